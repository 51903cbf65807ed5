//! What may go wrong in the store, sorted by who can mend it.

use std::{error::Error, io};

use farm_types::Digest;
use uuid::Uuid;

use crate::BodyError;

/// `DigestMismatch`, `SizeMismatch` and `Body` are the sender's fault when they come from receiving; every other one is the farm's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room, or the quota is used up. What was staged is kept: the upload can go on when there is room.
    #[error("the store {store} is full: there is no room for {asked} more bytes; make room, then send the rest again")]
    Full {
        /// Which store, as [`crate::Store`] prints itself.
        store: String,
        /// How many bytes could not be taken.
        asked: u64,
    },
    /// The bytes are not those that they were said to be. What was staged is gone: no later byte could mend it.
    #[error("the digest is wrong: expected SHA-256 {expected}, the bytes have {actual}")]
    DigestMismatch {
        /// The digest that was announced, or the name of the blob that is read.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// Fewer bytes than announced (what was staged is kept, the rest can follow) or more (what was staged is gone).
    #[error("the size is wrong: expected {expected} bytes, got {actual}")]
    SizeMismatch {
        /// The size that was announced.
        expected: u64,
        /// How many bytes came; when there were too many, at least so many.
        actual: u64,
    },
    /// The sender's stream broke off. What came before is staged.
    #[error("the upload broke off: {0}")]
    Body(#[source] BodyError),
    /// The upload is being received by another connection.
    #[error("the upload {0} is being received by another connection; wait until it ends, then go on")]
    InUse(Uuid),
    /// There is no such blob.
    #[error("there is no blob {0}")]
    NotFound(Digest),
    /// A fault of the local disk.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried, to what.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A fault of the object store: the folder's file system, or the S3 server or the way to it.
    #[error("cannot {doing}: {source}")]
    Object {
        /// What was tried, to what.
        doing: String,
        /// What the store said.
        source: object_store::Error,
    },
}

impl StoreError {
    /// Sorts a fault of the local disk: without room for `asked` bytes, or any other.
    pub(crate) fn io(store: &str, asked: u64, doing: impl Into<String>, source: io::Error) -> Self {
        if is_full(&source) {
            Self::Full { store: store.to_owned(), asked }
        } else {
            Self::Io { doing: doing.into(), source }
        }
    }

    /// Sorts a fault of the object store in the same way.
    pub(crate) fn object(store: &str, asked: u64, doing: impl Into<String>, source: object_store::Error) -> Self {
        if is_full(&source) {
            Self::Full { store: store.to_owned(), asked }
        } else {
            Self::Object { doing: doing.into(), source }
        }
    }
}

/// Looks for "no space" and "quota exceeded" at any depth.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e: &&(dyn Error + 'static)| cause(*e))
        .filter_map(|e| e.downcast_ref::<io::Error>())
        .any(|e| matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

/// The next error below. (The source of an [`io::Error`] leaves out the very error that it wraps.)
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_space_and_quota_are_full_and_say_which_store_and_how_much() {
        for code in [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT] {
            let error = StoreError::io("folder /srv", 42, "write", io::Error::from(code));
            assert!(matches!(error, StoreError::Full { asked: 42, .. }), "{error:?}");
            assert!(error.to_string().contains("folder /srv") && error.to_string().contains("42"), "{error}");
        }
    }

    #[test]
    fn no_space_is_found_below_an_object_store_error() {
        let source = io::Error::other(io::Error::from(rustix::io::Errno::NOSPC));
        let error = object_store::Error::Generic { store: "test", source: Box::new(source) };
        assert!(matches!(StoreError::object("s", 1, "write", error), StoreError::Full { .. }));
    }
}
