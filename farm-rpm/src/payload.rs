//! How the payload is packed. Nothing is unpacked here: see the crate's documentation.

use std::fmt;

use rpm::IndexTag;

use crate::{header::Header, names::Quoted, problem::Problem};

/// How a payload is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip: also what a package without a statement has.
    #[default]
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// lzma, the format before xz.
    Lzma,
    /// zstd.
    Zstd,
}

impl Compression {
    const ALL: [Self; 6] = [Self::None, Self::Gzip, Self::Bzip2, Self::Xz, Self::Lzma, Self::Zstd];

    /// rpm's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zstd",
        }
    }

    fn magic(self) -> &'static [u8] {
        match self {
            Self::None => b"0707",
            Self::Gzip => b"\x1f\x8b",
            Self::Bzip2 => b"BZh",
            Self::Xz => b"\xfd7zXZ\0",
            Self::Lzma => b"\x5d\0\0",
            Self::Zstd => b"\x28\xb5\x2f\xfd",
        }
    }

    /// Whether rpm, told to expect `self`, reads what really is `found`: zlib lets plain bytes through, liblzma reads both of its formats.
    fn reads(self, found: Self) -> bool {
        self == found
            || (self == Self::Gzip && found == Self::None)
            || (matches!(self, Self::Xz | Self::Lzma) && matches!(found, Self::Xz | Self::Lzma))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Bytes of the payload that [`compression`] wants to see.
pub(crate) const HEAD: usize = 6;

/// How the payload is compressed: what its first bytes show, which must be what rpm will expect from the header.
pub(crate) fn compression(header: &Header, head: &[u8]) -> Result<Compression, Problem> {
    let unsupported = |detail| Problem::UnsupportedPayload { detail };
    let format = header.text(IndexTag::RPMTAG_PAYLOADFORMAT)?;
    if let Some(format) = format.filter(|format| format != "cpio") {
        return Err(unsupported(format!("its format {} is not known", Quoted(&format))));
    }
    let stated = match header.text(IndexTag::RPMTAG_PAYLOADCOMPRESSOR)? {
        None => Compression::default(),
        Some(name) => *Compression::ALL
            .iter()
            .find(|compression| compression.name() == name)
            .ok_or_else(|| unsupported(format!("its compression {} is not known", Quoted(&name))))?,
    };
    match Compression::ALL.iter().find(|compression| head.starts_with(compression.magic())) {
        Some(found) if stated.reads(*found) => Ok(*found),
        Some(found) => Err(unsupported(format!("the header says {stated}, but it is {found}"))),
        None => Err(unsupported(format!("the header says {stated}, but it is something else"))),
    }
}
