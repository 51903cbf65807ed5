//! How things are written on pages. The script writes durations in the same way while a page is open.

use jiff::Timestamp;
use tera::{Kwargs, State, Tera, TeraResult};

/// Makes all filters known to the templates.
pub fn register(tera: &mut Tera) {
    tera.register_filter("shown", |text: &str, _: Kwargs, _: &State| shown(text, false));
    tera.register_filter("code", |text: &str, _: Kwargs, _: &State| shown(text, true));
    tera.register_filter("sentence", |text: &str, _: Kwargs, _: &State| sentence(&shown(text, false)));
    tera.register_filter("words", |label: &str, _: Kwargs, _: &State| words(label));
    tera.register_filter("bytes", |size: u64, _: Kwargs, _: &State| bytes(size));
    tera.register_filter("clock", |at: &str, _: Kwargs, _: &State| -> TeraResult<String> { clock(at) });
    tera.register_filter("ago", |at: &str, _: Kwargs, _: &State| -> TeraResult<String> {
        Ok(ago(Timestamp::now().as_second() - time(at)?.as_second()))
    });
    tera.register_filter("until", |from: &str, kwargs: Kwargs, _: &State| -> TeraResult<String> {
        let to = kwargs.get::<&str>("to")?.map_or_else(|| Ok(Timestamp::now()), time)?;
        Ok(duration(to.as_second() - time(from)?.as_second()))
    });
    tera.register_filter("plural", |count: i64, kwargs: Kwargs, _: &State| -> TeraResult<String> {
        kwargs.must_get::<String>(if count == 1 { "one" } else { "many" })
    });
    tera.register_filter("mark", |good: bool, _: Kwargs, _: &State| if good { "enabled" } else { "disabled" });
}

fn time(text: &str) -> TeraResult<Timestamp> {
    text.parse().map_err(|error: jiff::Error| tera::Error::message(error.to_string()))
}

/// Names are any text. What cannot be seen, ends the line or turns it around is written out.
fn shown(text: &str, tabs: bool) -> String {
    let hidden = |c: char| {
        c.is_control() && !(tabs && c == '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Reasons are told as parts of a sentence; a page begins with them.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// Labels are words with underscores.
fn words(label: &str) -> String {
    match label {
        "leased" => "running".to_owned(),
        "pending" => "ready".to_owned(),
        "farm_fault" => "fault of the farm".to_owned(),
        "internal" => "mistake of the farm".to_owned(),
        other => other.replace('_', " "),
    }
}

/// A size as `1.5 MiB`.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let (mut divisor, mut unit) = (1024, 0);
    while size >= divisor * 1024 && unit + 1 < UNITS.len() {
        (divisor, unit) = (divisor * 1024, unit + 1);
    }
    // Rounded as `farm` does, so that one file has one size.
    let tenths = (u128::from(size) * 10 + u128::from(divisor / 2)) / u128::from(divisor);
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", (tenths + 5) / 10, UNITS[unit])
    }
}

/// A duration as `2 min 5 s`; two units are enough.
pub fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if days > 0 => format!("{days} d {} h", hours % 24),
        () if hours > 0 => format!("{hours} h {} min", minutes % 60),
        () if minutes > 0 => format!("{minutes} min {} s", seconds % 60),
        () => format!("{seconds} s"),
    }
}

fn ago(seconds: i64) -> String {
    match seconds {
        ..5 => "just now".to_owned(),
        5..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

fn clock(at: &str) -> TeraResult<String> {
    Ok(time(at)?.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_short() {
        for (size, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (7743, "7.6 KiB"),
            (10_240, "10 KiB"),
            (1_572_864, "1.5 MiB"),
            (5 << 40, "5.0 TiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        for (seconds, text) in [(-3, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_661, "1 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn a_name_cannot_end_its_line_or_turn_it_around() {
        assert_eq!(shown("a\nb\u{202e}c\u{7f} ü\t", false), "a\\nb\\u{202e}c\\u{7f} ü\\t");
        assert_eq!(shown("a\tb", true), "a\tb");
    }
}
