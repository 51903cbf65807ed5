//! The log of an attempt as one stream of bytes, wherever its parts are at the moment.
//!
//! - `follow`: from chunks in the database while the attempt runs, from the blob in the store once it is there;
//! - `unpack`: gzip, piece by piece;
//! - `plain`: bytes as text for a page.

mod follow;
mod plain;
mod unpack;

pub use follow::{LogPart, attempt_of, stream};
pub use plain::Plain;
pub use unpack::unpack;
