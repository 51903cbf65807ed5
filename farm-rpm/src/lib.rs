//! Reads RPM packages: source packages that people hand in, and what a build made of them.
//!
//! - [`read_source`] answers for a source package what it says of itself ([`SourcePackage`]) and *every* reason to refuse it
//!   ([`Problem`]), all at once;
//! - [`read_binary`] reads a package that came out of a build.
//!
//! Two kinds of trouble are kept apart: a [`Problem`] is the package's fault and a value; a [`ReadError`] is the farm's (its own
//! disk), so the reading may be tried again.
//!
//! # How packages are read
//!
//! One pass over the bytes, front to back, in memory that does not grow with the package: lead, signature header, header,
//! then the payload through every digest that the package carries. Bytes are hostile until proven otherwise:
//! - The headers are parsed here and not by the `rpm` crate, which lends its tag names and flags. Version 0.30 of it trusts what
//!   the file says: an offset outside the data is a slice panic, a count of `0xffffffff` asks for 64 GiB and aborts the process,
//!   index and data sizes are added up in 32 bits, and one badly encoded string in a header that calls itself UTF-8 hides the
//!   whole list that it is in.
//! - The payload is **not** decompressed. Every package of the last twenty years has a digest over the compressed payload (MD5 over
//!   header and payload until rpm 4.13, SHA-256 since; a package with none is refused). Names and sizes of the files are in the
//!   header, which the digests cover and which rpm itself goes by: it refuses an archive with a member that the header does not
//!   list. So unpacking here would prove nothing that the build in its chroot does not, at the price of every decompressor and
//!   every decompression bomb in a process that holds the database.
//!
//! The functions block: call them where blocking is allowed.

mod arch;
mod binary;
mod dependency;
mod digest;
mod envelope;
mod facts;
mod header;
mod identity;
mod limits;
mod names;
mod nevra;
mod payload;
mod problem;
mod report;
mod sniff;
mod source;

pub use arch::ArchRefusal;
pub use binary::{BinaryPackage, read_binary, read_binary_from};
pub use dependency::Dependency;
pub use digest::Algorithm;
pub use identity::{Identity, read_identity};
pub use limits::Limits;
pub use nevra::Nevra;
pub use payload::Compression;
pub use problem::{Part, Problem, Warning};
pub use report::{BinaryReport, ReadError, Report, SourceReport};
pub use rpm::DependencyFlags;
pub use sniff::LooksLike;
pub use source::{SourceFile, SourcePackage, read_source, read_source_from};
