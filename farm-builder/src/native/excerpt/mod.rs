//! Finds in a log why a build failed, as it streams by and in bounded memory.
//!
//! - `scanner`: lines out of bytes, and where rpmbuild is;
//! - `rules`: which lines say why, as a table;
//! - `seen`: what of them is kept;
//! - `printable`: a line as a person may read it.

#[cfg(test)]
mod cases;
mod printable;
mod rules;
mod scanner;
mod seen;

pub(crate) use printable::printable;
pub use scanner::{Scanner, Section};
pub use seen::Seen;
