//! What a file that is not a package looks like, so that a person sees at once which file was taken by mistake.

use std::fmt;

/// A guess from the first bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LooksLike {
    /// Zeroes only: a download that was allocated and never written.
    Zeroes,
    /// A web page, often an error page or a login form that a download tool saved.
    Html,
    /// A spec.
    Spec,
    /// uuencoded text.
    Uuencoded,
    /// Other text.
    Text,
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// zstd.
    Zstd,
    /// zip.
    Zip,
    /// A Debian package.
    Deb,
    /// An executable.
    Elf,
    /// None of these.
    Unknown,
}

const MAGICS: &[(&[u8], LooksLike)] = &[
    (b"\x1f\x8b", LooksLike::Gzip),
    (b"BZh", LooksLike::Bzip2),
    (b"\xfd7zXZ\0", LooksLike::Xz),
    (b"\x28\xb5\x2f\xfd", LooksLike::Zstd),
    (b"PK\x03\x04", LooksLike::Zip),
    (b"!<arch>\ndebian", LooksLike::Deb),
    (b"\x7fELF", LooksLike::Elf),
    (b"begin ", LooksLike::Uuencoded),
];

impl LooksLike {
    /// Guesses from the start of a file; `head` may be cut anywhere.
    pub(crate) fn guess(head: &[u8]) -> Self {
        if let Some((_, kind)) = MAGICS.iter().find(|(magic, _)| head.starts_with(magic)) {
            return *kind;
        }
        if !head.is_empty() && head.iter().all(|byte| *byte == 0) {
            return Self::Zeroes;
        }
        if head.iter().any(|byte| *byte < b' ' && !byte.is_ascii_whitespace()) {
            return Self::Unknown;
        }
        let text = String::from_utf8_lossy(head).trim_start().to_ascii_lowercase();
        match () {
            () if text.starts_with("<!doctype html") || text.starts_with("<html") => Self::Html,
            () if text.starts_with("name:") || text.starts_with("summary:") => Self::Spec,
            () => Self::Text,
        }
    }
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zeroes => "zero bytes only",
            Self::Html => "a web page, perhaps an error page saved by a download",
            Self::Spec => "a spec file",
            Self::Uuencoded => "uuencoded text",
            Self::Text => "text",
            Self::Gzip => "a gzip file",
            Self::Bzip2 => "a bzip2 file",
            Self::Xz => "an xz file",
            Self::Zstd => "a zstd file",
            Self::Zip => "a zip file",
            Self::Deb => "a Debian package",
            Self::Elf => "a program",
            Self::Unknown => "some other kind of file",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_mistakes_are_recognised() {
        for (head, expected) in [
            (&b"<!DOCTYPE html><html>"[..], LooksLike::Html),
            (b"\n <html lang=en>", LooksLike::Html),
            (b"Name: hello\nVersion: 1", LooksLike::Spec),
            (b"this is not an rpm", LooksLike::Text),
            (b"caf\xe9 ole", LooksLike::Text),
            (b"\x1f\x8b\x08\0", LooksLike::Gzip),
            (b"!<arch>\ndebian-binary", LooksLike::Deb),
            (b"\0\0\0\0", LooksLike::Zeroes),
            (b"\x01\x02\xff", LooksLike::Unknown),
        ] {
            assert_eq!(LooksLike::guess(head), expected, "{head:?}");
        }
    }
}
