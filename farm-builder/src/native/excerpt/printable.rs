//! Lines that others wrote, made fit to be read.

/// A line as a person may read it: no escapes of terminals, no control characters, nothing that turns the text around.
pub fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            // What a progress bar has overwritten.
            '\r' if !chars.as_str().is_empty() => out.clear(),
            '\t' => out.push(' '),
            c if c.is_control() || turns(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Whether a character changes the direction in which its neighbours are shown.
const fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Skips what belongs to an escape: `[…` up to its letter, `]…` up to its bell or its end, or one character.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => {
            chars.by_ref().find(|c| ('@'..='~').contains(c));
        }
        Some(']' | 'P' | '^' | '_') => {
            let mut before = '\0';
            for c in chars.by_ref() {
                if c == '\u{7}' || (before == '\u{1b}' && c == '\\') {
                    break;
                }
                before = c;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_would_obey() {
        for (line, shown) in [
            (b"\x1b[31merror:\x1b[0m \x07bad".as_slice(), "error: bad"),
            (b"10%\r20%\r100% done\r", "100% done"),
            (b"caf\xe9", "caf\u{fffd}"),
            (b"\x1b]0;a title\x07text", "text"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ end", "link end"),
            (b"\x1bPq#0\x1b\\x\x1bcy\x08\x7f", "xy"),
            ("a\u{202e}b\u{9b}31mc".as_bytes(), "ab31mc"),
        ] {
            assert_eq!(printable(line), shown);
        }
    }
}
