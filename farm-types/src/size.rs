//! Numbers of bytes, as people write and read them.

use std::{fmt, str::FromStr};

use parse_size::Config;

/// So many bytes. Written `50G`, `1.5TiB` or `1048576`; shown as `50.0 GiB`. The units are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A text that is no number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{}” is no size: it takes a number and a unit, such as 500M, 50G or 2T", .0.escape_debug())]
pub struct ParseSizeError(String);

impl FromStr for Size {
    type Err = ParseSizeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Whoever writes 50G reads 50.0 GiB afterwards, and not 46.6.
        Config::new().with_binary().parse_size(text).map(Self).map_err(|_| ParseSizeError(text.to_owned()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        f.pad(&format!("{value:.1} {}", UNITS[unit]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_digit_after_the_point_and_never_four_before_it() {
        let sizes = [0, 1023, 1024, 1536, 1_048_575, 1 << 30, u64::MAX].map(|bytes| Size(bytes).to_string());
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 GiB", "16.0 EiB"]);
    }

    #[test]
    fn a_size_is_written_with_a_unit_or_without() {
        let written =
            ["0", "1048576", "500M", "50G", "50 GiB", "50gb", "1.5T"].map(|text| text.parse::<Size>().unwrap().0);
        assert_eq!(written, [0, 1 << 20, 500 << 20, 50 << 30, 50 << 30, 50 << 30, 3 << 39]);
        for text in ["", "much", "-1", "5X", "G", "99999E"] {
            assert!(text.parse::<Size>().unwrap_err().to_string().contains("is no size"), "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for size in [Size(0), Size(3 << 19), Size(50 << 30), Size(1 << 40)] {
            assert_eq!(size.to_string().parse(), Ok(size));
        }
    }
}
