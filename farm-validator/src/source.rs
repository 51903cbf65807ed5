//! Reading a source package out of the store.

use farm_db::intake::UndecidedSource;
use farm_rpm::{Limits, SourceReport};
use farm_store::{Store, StoreError};
use futures::TryStreamExt as _;
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// A source could not be read: says nothing about the package.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// Reads one source as it streams by; nothing is kept on disk. Blocks.
pub(crate) fn read(
    runtime: &Handle,
    store: &Store,
    limits: &Limits,
    source: &UndecidedSource,
) -> Result<SourceReport, Fault> {
    let blob = runtime.block_on(store.get(&source.digest))?;
    let reader = StreamReader::new(blob.stream().map_err(std::io::Error::other));
    let bridge = SyncIoBridge::new_with_handle(Box::pin(reader), runtime.clone());
    farm_rpm::read_source_from(bridge, limits).map_err(|error| Fault(error.to_string()))
}
