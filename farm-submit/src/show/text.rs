//! Text that others wrote, made fit for a terminal: nothing in it may move the cursor, change colours, or hide.

use std::{
    borrow::Cow,
    ffi::OsStr,
    fmt::Write,
    os::unix::ffi::OsStrExt,
    str::{Utf8Chunk, from_utf8},
};

/// A text with everything escaped that is not plainly visible.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| push(&mut safe, c));
    Cow::Owned(safe)
}

/// Words of a list: `read, submit`.
pub fn join<T: ToString>(words: &[T]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The name of a file as text: bytes that are no UTF-8 are shown as `\xE9`.
pub fn file_name(name: &OsStr) -> String {
    lossless(name.as_bytes())
}

/// A log on its way to a terminal: lines and tabs as they are, everything else that is not plain escaped.
#[derive(Debug, Default)]
pub struct LogText {
    /// The beginning of a character, or of a line end, whose rest is yet to come.
    rest: Vec<u8>,
}

impl LogText {
    /// The next bytes as text.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.rest);
        let whole = bytes.len() - unfinished(&bytes);
        self.rest = bytes[whole..].to_vec();
        log_text(&bytes[..whole])
    }

    /// What is left at the end of the log.
    pub fn finish(self) -> String {
        log_text(&self.rest)
    }
}

/// How many bytes at the end may be a part of something longer.
fn unfinished(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\r") {
        return 1;
    }
    let tail = bytes.len().saturating_sub(3)..bytes.len();
    tail.rev().find(|&at| bytes[at] >= 0xC0).map_or(0, |at| match from_utf8(&bytes[at..]) {
        Err(error) if error.error_len().is_none() => bytes.len() - at,
        _ => 0,
    })
}

fn log_text(bytes: &[u8]) -> String {
    let text = lossless(bytes).replace("\r\n", "\n");
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => safe.push(c),
            _ => push(&mut safe, c),
        }
    }
    safe
}

fn lossless(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(Utf8Chunk::valid(&chunk));
        for byte in chunk.invalid() {
            // Writing into a String cannot fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

fn push(safe: &mut String, c: char) {
    if is_plain(c) {
        safe.push(c);
    } else {
        safe.extend(c.escape_default());
    }
}

/// Neither a control character nor one of those that reorder or hide the text around them.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_do_nothing() {
        assert_eq!(shown("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(shown("gnp.\u{202e}cod"), "gnp.\\u{202e}cod");
        assert!(matches!(shown("grün 100 %{x}"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_file_name_that_is_no_utf8_is_shown_escaped() {
        assert_eq!(file_name(OsStr::from_bytes(b"caf\xe9-1.src.rpm")), "caf\\xE9-1.src.rpm");
    }

    #[test]
    fn a_log_keeps_its_lines_and_characters_that_come_in_pieces() {
        let mut log = LogText::default();
        let mut text = String::new();
        for byte in "gr\u{fc}n\r\n\tx\u{1b}[2J €\n".as_bytes() {
            text += &log.push(&[*byte]);
        }
        text += &log.push(b"\xe9!\xe2\x82");
        text += &log.finish();
        assert_eq!(text, "grün\n\tx\\u{1b}[2J €\n\\xE9!\\xE2\\x82");
    }
}
