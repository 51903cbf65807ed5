//! Sizes and times, short.

use farm_types::Size;
use jiff::Timestamp;

/// A number of bytes: `1.4 MiB`.
pub fn size(bytes: u64) -> String {
    Size(bytes).to_string()
}

/// So many things: `1 file`, `3 files`.
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// How long it took: `8s`, `1m 05s`, `2h 03m`, `3d 04h`.
pub fn elapsed(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m {:02}s", seconds % 60),
        () if days == 0 => format!("{hours}h {:02}m", minutes % 60),
        () => format!("{days}d {:02}h", hours % 24),
    }
}

/// How long ago it was: `just now`, `5 min ago`, `2 h ago`, `3 days ago`, and then the date.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second());
    match seconds {
        // Two clocks are never quite the same.
        ..10 => "just now".to_owned(),
        10..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86400 => format!("{} h ago", seconds / 3600),
        86400..172_800 => "1 day ago".to_owned(),
        172_800..1_209_600 => format!("{} days ago", seconds / 86400),
        _ => then.strftime("%Y-%m-%d").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_at_most_two_units() {
        let times = [-3, 0, 59, 65, 3600, 7385, 90000].map(elapsed);
        assert_eq!(times, ["0s", "0s", "59s", "1m 05s", "1h 00m", "2h 03m", "1d 01h"]);
    }

    #[test]
    fn the_past_is_told_from_now_until_it_is_long_ago() {
        let now = Timestamp::from_second(1_750_000_000).unwrap();
        let told = |before: i64| ago(Timestamp::from_second(1_750_000_000 - before).unwrap(), now);
        assert_eq!(told(-30), "just now");
        assert_eq!(told(300), "5 min ago");
        assert_eq!(told(7200), "2 h ago");
        assert_eq!(told(86400), "1 day ago");
        assert_eq!(told(30 * 86400), "2025-05-16");
    }
}
