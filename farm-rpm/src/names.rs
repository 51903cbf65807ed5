//! Which names are sane: what may become a part of a file name, of a URL and of a line on a terminal.
//!
//! Kept: everything that real packages have, `%{ver}`, `+`, `^`, `~`, spaces, quotes, other alphabets. Whoever shows a name escapes
//! it. Refused is what has a meaning for the file system or moves the cursor.

use std::fmt;

/// The longest file name that the usual file systems take.
pub(crate) const LONGEST: usize = 255;

/// Says what is wrong with a name that has to serve as one, if anything is.
pub(crate) fn fault(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("it is empty"),
        _ if name.len() > LONGEST => Some("it is longer than 255 bytes"),
        _ if name.contains('/') => Some("it contains a slash"),
        _ if name.chars().any(moves_the_cursor) => Some("it contains control characters"),
        _ => None,
    }
}

/// Like [`fault`], for a name, version or release.
pub(crate) fn label_fault(label: &str) -> Option<&'static str> {
    fault(label).or(match label.as_bytes().first() {
        Some(b'.') => Some("it begins with a dot"),
        Some(b'-') => Some("it begins with a dash"),
        _ => None,
    })
}

/// Like [`label_fault`], for a version or release: a dash would make `name-version-release` ambiguous.
pub(crate) fn version_fault(label: &str) -> Option<&'static str> {
    label_fault(label).or(label.contains('-').then_some("it contains a dash"))
}

/// Like [`fault`], for the name of a file in a source package.
pub(crate) fn file_fault(name: &str) -> Option<&'static str> {
    fault(name).or(matches!(name, "." | "..").then_some("it names a folder"))
}

/// Control characters, and those of Unicode that break or turn around a line.
pub(crate) fn moves_the_cursor(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A hostile string as a person may read it: in quotes, escaped, cut when long.
pub(crate) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 100;
        let start: String = self.0.chars().take(SHOWN).collect();
        let cut = if start.len() < self.0.len() { "…" } else { "" };
        f.write_str("\"")?;
        for c in start.chars() {
            if moves_the_cursor(c) { write!(f, "{}", c.escape_unicode())? } else { write!(f, "{c}")? }
        }
        write!(f, "{cut}\"")
    }
}

/// Several hostile strings, quoted, with commas; after the tenth only their number.
pub(crate) struct QuotedList<'a>(pub &'a [String]);

impl fmt::Display for QuotedList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        for (at, name) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { ", " }, Quoted(name))?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_real_packages_are_sane() {
        let hex = "a".repeat(40);
        for name in ["parallel-%{ver}", "gtk+", "1.0~rc1^git", &hex, "with space", "it's \"quoted\"", "naïve", "日本"]
        {
            assert_eq!(label_fault(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_mean_something_to_a_file_system_or_a_terminal_are_refused() {
        for name in
            ["", "a/b", "../x", ".hidden", "-rf", "a\nb", "a\0b", "\u{1b}[2J", "gpj.\u{202e}exe", &"x".repeat(256)]
        {
            assert!(label_fault(name).is_some(), "{name:?}");
        }
        for name in [".", "..", "a/b", ""] {
            assert!(file_fault(name).is_some(), "{name:?}");
        }
        assert_eq!(file_fault(".gitignore"), None);
        assert!(version_fault("1-2").is_some());
    }

    #[test]
    fn shown_names_are_escaped_and_cut() {
        assert_eq!(Quoted("a\nb").to_string(), "\"a\\u{a}b\"");
        assert!(Quoted(&"é".repeat(5000)).to_string().len() < 300);
    }
}
