//! The store: blobs, bytes named by their SHA-256, in a local folder or in S3.
//!
//! A blob is whole or not there: it is written aside (*staged*), its digest compared, then made visible at once. It is
//! never changed afterwards, so it can be read while others write, and written twice without harm.
//!
//! - [`Store::stage`] and [`Staged`]: an upload that arrives in pieces, over several connections if need be; after
//!   [`Store::suspend`] also at several hosts;
//! - [`Store::commit`]: the staged bytes become a blob. When it returns, the blob survives a power cut;
//! - [`Store::put_stream`]: both of them in one go;
//! - [`Store::get`] and [`Blob`]: reading, verified;
//! - [`StoreError`]: what may go wrong, and who can mend it.
//!
//! Layout of a folder (and of an S3 prefix, where `staging/<uuid>/` has the pieces of uploads that one connection did not complete):
//!
//! ```text
//! blobs/ab/abcdef…    the blobs
//! staging/<uuid>      uploads that are under way
//! writable            what Store::check writes
//! ```
//!
//! Cost of certainty: bytes are hashed once when they arrive and once each time they are read; both beside the copying,
//! on another thread.

mod blob;
mod config;
mod digester;
mod error;
mod s3;
mod shared;
mod staged;
mod staging;
mod store;

pub use blob::{Blob, BlobStream};
pub use config::{S3Config, StoreConfig};
pub use error::StoreError;
pub use staged::Staged;
pub use store::{BlobInfo, Store};

/// What the sender of a stream of bytes may fail with.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
