//! The folder store: the suite, its layout, and blobs that were damaged on the disk.

use std::{future::ready, os::unix::fs::PermissionsExt, path::PathBuf};

use farm_store::{StoreConfig, StoreError};
use farm_types::Digest;

use crate::{
    common::{Setup, listed, put, read, some_bytes},
    conformance::conformance,
};

conformance!(ready(folder()));

fn folder() -> Setup {
    Setup::new(|folder| StoreConfig::Folder { path: folder.path().join("store") })
}

fn file_of(setup: &Setup, digest: &Digest) -> PathBuf {
    let StoreConfig::Folder { path } = &setup.config else { panic!("not a folder") };
    path.join(format!("blobs/{}/{digest}", &digest.to_string()[..2]))
}

#[tokio::test]
async fn a_blob_is_a_file_named_by_its_digest_that_others_cannot_read() {
    let setup = folder();
    let bytes = some_bytes(1, 1000);
    let digest = put(&setup.store, &bytes).await;
    let file = file_of(&setup, &digest);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o137, 0);
}

#[tokio::test]
async fn a_damaged_blob_is_never_read_to_its_end() {
    let setup = folder();
    let digest = put(&setup.store, &some_bytes(1, 3_000_000)).await;
    let file = file_of(&setup, &digest);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[1_000_000] ^= 1;
    for damaged in [&bytes[..], &bytes[..2_000_000], b""] {
        std::fs::write(&file, damaged).unwrap();
        let error = setup.store.get(&digest).await.unwrap().bytes(u64::MAX).await.unwrap_err();
        assert!(matches!(error, StoreError::DigestMismatch { expected, .. } if expected == digest), "{error}");
    }
}

#[tokio::test]
async fn putting_a_damaged_blob_again_mends_it() {
    let setup = folder();
    let bytes = some_bytes(1, 1000);
    let digest = put(&setup.store, &bytes).await;
    std::fs::write(file_of(&setup, &digest), b"damaged").unwrap();
    put(&setup.store, &bytes).await;
    assert_eq!(read(&setup.store, &digest).await, bytes);
}

#[tokio::test]
async fn a_foreign_file_in_the_store_is_left_alone() {
    let setup = folder();
    let digest = put(&setup.store, &some_bytes(1, 1000)).await;
    std::fs::write(file_of(&setup, &digest).with_file_name("README"), b"hello").unwrap();
    assert_eq!(listed(&setup.store).await, [digest]);
}
