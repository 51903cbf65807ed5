//! The S3 side: how the server is reached, and how a staged file gets there.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::Path as FilePath, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, WriteMultipart,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

use crate::{S3Config, StoreError, staging::blocking};

/// Blobs up to this size are sent in one request, larger ones in parts of it.
const PART_SIZE: u64 = 8 << 20;
/// What S3 allows.
const MAX_PARTS: u64 = 10_000;
/// Parts on the way at once; this bounds the memory of an upload (16 MiB).
const PARTS_AT_ONCE: usize = 2;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that says nothing for so long is taken for dead.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A server that restarts is waited for, but a person who uploads does not wait for minutes.
const RETRIES: usize = 5;
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
const BACKOFF: BackoffConfig =
    BackoffConfig { init_backoff: Duration::from_millis(300), max_backoff: Duration::from_secs(4), base: 3.0 };

/// A client for the bucket. Does not speak with the server yet.
pub(crate) fn client(config: &S3Config) -> Result<AmazonS3, StoreError> {
    let options = ClientOptions::new()
        .with_allow_http(config.allow_http)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT)
        // The default counts the whole request: no large blob could be read over a slow line.
        .with_timeout_disabled();
    AmazonS3Builder::new()
        .with_endpoint(&config.endpoint)
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_access_key_id(key(&config.access_key_file)?)
        .with_secret_access_key(key(&config.secret_key_file)?)
        .with_client_options(options)
        .with_retry(RetryConfig { backoff: BACKOFF, max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT })
        .build()
        .map_err(|source| StoreError::Object { doing: format!("use the S3 server {}", config.endpoint), source })
}

fn key(file: &FilePath) -> Result<String, StoreError> {
    let text = fs_err::read_to_string(file)
        .map_err(|source| StoreError::Io { doing: "read a key of the S3 server".to_owned(), source })?;
    Ok(text.trim().to_owned())
}

/// Sends a range of a file as one object. The server shows it whole or not at all.
pub(crate) async fn upload(
    objects: &dyn ObjectStore,
    key: &Path,
    file: Arc<File>,
    range: Range<u64>,
) -> object_store::Result<()> {
    let size = range.end - range.start;
    if size <= PART_SIZE {
        let payload = read_part(&file, range.start, size).await?;
        return objects.put(key, payload).await.map(drop);
    }
    let part_size = PART_SIZE.max(size.div_ceil(MAX_PARTS));
    let mut parts = WriteMultipart::new_with_chunk_size(objects.put_multipart(key).await?, usize_of(part_size));
    let sent = send_parts(&mut parts, &file, range, part_size).await;
    match sent {
        Ok(()) => parts.finish().await.map(drop),
        Err(e) => {
            // Best effort: a server that is gone cannot be told, its lifecycle rule has to do it.
            if let Err(abort) = parts.abort().await {
                tracing::warn!(key = %key, error = %abort, "cannot drop an incomplete upload on the S3 server");
            }
            Err(e)
        }
    }
}

async fn send_parts(
    parts: &mut WriteMultipart,
    file: &Arc<File>,
    range: Range<u64>,
    part_size: u64,
) -> object_store::Result<()> {
    let mut at = range.start;
    while at < range.end {
        parts.wait_for_capacity(PARTS_AT_ONCE).await?;
        let len = part_size.min(range.end - at);
        for bytes in read_part(file, at, len).await? {
            parts.put(bytes);
        }
        at += len;
    }
    Ok(())
}

async fn read_part(file: &Arc<File>, at: u64, len: u64) -> object_store::Result<PutPayload> {
    let file = Arc::clone(file);
    blocking(move || {
        let mut buffer = vec![0; usize_of(len)];
        file.read_exact_at(&mut buffer, at)?;
        Ok(PutPayload::from(buffer))
    })
    .await
    .map_err(|e: io::Error| object_store::Error::Generic { store: "staging", source: Box::new(e) })
}

/// Sizes of parts, far below what a `usize` holds.
fn usize_of(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
