//! The bytes of a log as text for a page.

use anstream::adapter::StripBytes;

/// Makes text of bytes as they come: terminal escapes go, bytes that are no UTF-8 are replaced, and a character that was
/// cut waits for its rest.
#[derive(Debug, Default)]
pub struct Plain {
    escapes: StripBytes,
    held: Vec<u8>,
}

impl Plain {
    /// The text of the next bytes, as far as it is whole.
    pub fn text(&mut self, bytes: &[u8]) -> String {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        self.held = held.split_off(held.len() - incomplete(&held));
        // Before the escapes go: what takes them out would take these bytes too.
        let text = String::from_utf8_lossy(&held);
        let plain: String = self.escapes.strip_next(text.as_bytes()).map(String::from_utf8_lossy).collect();
        still(plain)
    }

    /// How many bytes wait.
    pub fn held(&self) -> u64 {
        self.held.len() as u64
    }

    /// What still waits when there is no more to come.
    pub fn rest(self) -> String {
        still(String::from_utf8_lossy(&self.held).into_owned())
    }
}

/// The text without what would turn it around, and without the control characters that are no bytes: they are written out.
fn still(text: String) -> String {
    let turns = |c: char| matches!(c, '\u{80}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(turns) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len()), |mut still, c| {
        if turns(c) {
            still.extend(c.escape_unicode())
        } else {
            still.push(c)
        }
        still
    })
}

/// The length of what may be the beginning of a character at the end: three bytes at the most.
fn incomplete(bytes: &[u8]) -> usize {
    let invalid = bytes.utf8_chunks().last().map_or(&[][..], |last| last.invalid());
    match std::str::from_utf8(invalid) {
        Err(error) if error.error_len().is_none() => invalid.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_cut_in_two_is_put_together_again() {
        let mut plain = Plain::default();
        assert_eq!(plain.text(&"aü".as_bytes()[..2]), "a");
        assert_eq!(plain.held(), 1);
        assert_eq!(plain.text(&"ü".as_bytes()[1..]), "ü");
        assert_eq!(plain.held(), 0);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_not_waited_for() {
        assert_eq!(Plain::default().text(b"a\xff"), "a\u{fffd}");
        assert_eq!(Plain::default().text(b"\xffb"), "\u{fffd}b");
    }

    #[test]
    fn what_a_terminal_or_a_page_would_obey_is_gone_or_written_out() {
        let all = "a\u{1b}]0;title\u{7}b\u{1b}[2Jc\u{8}d\u{202e}e\u{1b}c\u{9b}31mf\0g\n\th";
        let plain = Plain::default().text(all.as_bytes());
        assert!(!plain.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')), "{plain:?}");
        assert!(plain.starts_with("ab") && plain.contains("\\u{202e}") && plain.ends_with("g\n\th"), "{plain:?}");
    }

    #[test]
    fn colours_go_also_when_they_are_cut_in_two() {
        let mut plain = Plain::default();
        assert_eq!(plain.text(b"\x1b[3"), "");
        assert_eq!(plain.text(b"1mred\x1b[0m\n"), "red\n");
    }
}
