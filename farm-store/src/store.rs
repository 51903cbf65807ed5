//! The store itself.

use std::{
    fmt,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use farm_types::Digest;
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path, prefix::PrefixStore,
};
use tempfile::TempPath;
use uuid::Uuid;

use crate::{
    Blob, BodyError, Staged, StoreConfig, StoreError, s3,
    shared::{self, Shared},
    staging::{Locked, Staging, blocking},
};

const STAGING: &str = "staging";
const WRITABLE: &str = "writable";

/// Blobs in a folder or in S3. Cheap to clone. Prints itself as where it is.
#[derive(Debug, Clone)]
pub struct Store {
    name: String,
    objects: Arc<dyn ObjectStore>,
    staging: Staging,
    landing: Landing,
}

/// How staged bytes become a blob.
#[derive(Debug, Clone)]
enum Landing {
    /// The staged file is in the store's folder: it is renamed.
    Rename,
    /// It is sent to a server, where others learn of what is staged.
    Upload(Shared),
}

/// What a listing tells of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its name.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// When it was written last: writing it again counts.
    pub modified: SystemTime,
}

impl Store {
    /// Opens the store. `spool` is the local folder where uploads to S3 are staged; a folder store stages inside itself.
    pub fn open(config: &StoreConfig, spool: &FilePath) -> Result<Self, StoreError> {
        match config {
            StoreConfig::Folder { path } => Self::open_folder(path),
            StoreConfig::S3(s3) => {
                let name = format!("s3 {}/{}/{}", s3.endpoint, s3.bucket, s3.prefix);
                let objects = Arc::new(PrefixStore::new(s3::client(s3)?, s3.prefix.as_str()));
                let landing = Landing::Upload(Shared::new(Arc::clone(&objects) as Arc<dyn ObjectStore>));
                Self::new(name, objects, spool.to_owned(), landing)
            }
        }
    }

    fn open_folder(path: &FilePath) -> Result<Self, StoreError> {
        let name = format!("folder {}", path.display());
        fs_err::create_dir_all(path).map_err(|e| StoreError::io(&name, 0, "make the store's folder", e))?;
        let objects = LocalFileSystem::new_with_prefix(path)
            .map_err(|e| StoreError::object(&name, 0, "open the store's folder", e))?
            // A rename is on the disk when it returns, and so are the folders on the way to it.
            .with_fsync(true);
        Self::new(name, Arc::new(objects), path.join(STAGING), Landing::Rename)
    }

    fn new(
        name: String,
        objects: Arc<dyn ObjectStore>,
        staging: PathBuf,
        landing: Landing,
    ) -> Result<Self, StoreError> {
        let staging = Staging::open(staging, &name)?;
        Ok(Self { name, objects, staging, landing })
    }

    /// Begins an upload, or goes on with it: [`Staged::len`] says from where. Waits a moment for a connection that was
    /// receiving it until now, then fails with [`StoreError::InUse`].
    pub async fn stage(&self, id: Uuid) -> Result<Staged, StoreError> {
        let Landing::Upload(shared) = &self.landing else { return self.stage_here(id).await };
        let mut locked = self.staging.lock(id).await?;
        self.catch_up(shared, id, &mut locked).await?;
        Ok(Staged::new(id, &self.name, locked))
    }

    /// Ends a connection's part of an upload that is not complete: it can be gone on with by every process that has this store, on
    /// whatever host. (A folder store is seen by all of them anyway.)
    pub async fn suspend(&self, mut staged: Staged) -> Result<(), StoreError> {
        staged.flush().await?;
        let Landing::Upload(shared) = &self.landing else { return Ok(()) };
        let (id, end) = (staged.id(), staged.len());
        let put = async {
            let start = shared::length(&shared.segments(id).await?);
            if start < end { shared.put(id, staged.file(), start..end).await } else { Ok(()) }
        };
        put.await.map_err(|e| self.object_error(end, format!("share the upload {id} with other hosts"), e))
    }

    /// How many bytes of an upload are staged; of a folder store also while it is being received. `None`: no such upload.
    pub async fn staged_len(&self, id: Uuid) -> Result<Option<u64>, StoreError> {
        match (&self.landing, self.staging.len(id).await?) {
            (Landing::Rename, here) => Ok(here),
            (Landing::Upload(shared), here) => {
                let segments = shared.segments(id).await.map_err(|e| self.upload_error(id, e))?;
                let there = (!segments.is_empty()).then(|| shared::length(&segments));
                Ok(here.max(there))
            }
        }
    }

    /// Removes staged uploads that got no byte for `idle`. Returns how many. (The janitor's; safe at any time.)
    pub async fn sweep_staged(&self, idle: Duration) -> Result<u64, StoreError> {
        let mut swept = self.staging.sweep(idle).await?;
        if let Landing::Upload(shared) = &self.landing {
            let segments = shared.sweep(idle).await;
            swept += segments.map_err(|e| self.object_error(0, "clear abandoned uploads away".to_owned(), e))?;
        }
        Ok(swept)
    }

    /// Forgets an upload: what was staged of it goes, here and for other hosts.
    pub async fn forget(&self, id: Uuid) -> Result<(), StoreError> {
        self.stage_here(id).await?.discard().await?;
        self.forget_shared(id).await
    }

    /// Makes a blob of what was staged, whole or not at all. When it returns, the blob survives a power cut. It may be
    /// there already: it is the same then.
    ///
    /// On failure what was staged is kept, to go on with it, except where no later byte can help (a wrong digest, too
    /// many bytes).
    pub async fn commit(&self, staged: Staged, expected: &Digest, size: u64) -> Result<(), StoreError> {
        let id = staged.id();
        let landed = self.land(staged, expected, size).await;
        let is_over = match &landed {
            Ok(()) | Err(StoreError::DigestMismatch { .. }) => true,
            Err(StoreError::SizeMismatch { expected, actual }) => actual > expected,
            Err(_) => false,
        };
        if is_over {
            self.forget_shared(id).await?;
        }
        landed
    }

    /// Receives a blob in one go: staged and committed, or nothing is left.
    pub async fn put_stream<S, E>(&self, expected: &Digest, size: u64, body: S) -> Result<(), StoreError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<BodyError>,
    {
        let id = Uuid::new_v4();
        let mut staged = self.stage_here(id).await?;
        // Also when this future is dropped: nobody knows the id, so nobody could go on. After the commit there is nothing
        // to remove any more.
        let _remove = TempPath::try_from_path(self.staging.path(id))
            .map_err(|e| StoreError::io(&self.name, 0, "stage an upload", e))?;
        staged.append_stream(body, size).await?;
        self.land(staged, expected, size).await
    }

    /// The blob, to be read.
    pub async fn get(&self, digest: &Digest) -> Result<Blob, StoreError> {
        let size = self.size(digest).await?.ok_or(StoreError::NotFound(*digest))?;
        Ok(Blob { objects: Arc::clone(&self.objects), key: key(digest), digest: *digest, size })
    }

    /// Whether the blob is there.
    pub async fn exists(&self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.size(digest).await?.is_some())
    }

    /// The blob's size; `None`: it is not there.
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        match self.objects.head(&key(digest)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.object_error(0, format!("look for the blob {digest}"), e)),
        }
    }

    /// Deletes the blob, if it is there. Who deletes has to know that nobody is about to rely on it: the store knows no
    /// references.
    pub async fn delete(&self, digest: &Digest) -> Result<(), StoreError> {
        match self.objects.delete(&key(digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.object_error(0, format!("delete the blob {digest}"), e)),
        }
    }

    /// All blobs, in no order; or those whose digest begins with the byte `first`, so that a large store can be walked in
    /// 256 steps.
    pub fn list(&self, first: Option<u8>) -> BoxStream<'static, Result<BlobInfo, StoreError>> {
        let prefix = first.map_or_else(|| Path::from("blobs"), |byte| Path::from(format!("blobs/{byte:02x}")));
        let store = self.clone();
        self.objects
            .list(Some(&prefix))
            .map_err(move |e| store.object_error(0, "list the blobs".to_owned(), e))
            .try_filter_map(|meta| async move { Ok(info(&meta)) })
            .boxed()
    }

    /// Whether a blob could be written now: writes a few bytes, to the disk. For `/readyz`.
    pub async fn check(&self) -> Result<(), StoreError> {
        let mut staged = self.stage_here(Uuid::new_v4()).await?;
        let written = async {
            staged.append(Bytes::from_static(b"writable\n")).await?;
            staged.flush().await
        };
        let written = written.await;
        // On a full disk too: a check that asks every few seconds must not leave a file each time.
        let discarded = staged.discard().await;
        written.and(discarded)?;
        let payload = PutPayload::from_static(b"Written by every readiness check of the farm.\n");
        let size = payload.content_length() as u64;
        let written = self.objects.put(&Path::from(WRITABLE), payload).await;
        written.map(drop).map_err(|e| self.object_error(size, format!("write to the store {self}"), e))
    }

    /// Stages what no other host knows or has to know of.
    async fn stage_here(&self, id: Uuid) -> Result<Staged, StoreError> {
        Ok(Staged::new(id, &self.name, self.staging.lock(id).await?))
    }

    async fn land(&self, staged: Staged, expected: &Digest, size: u64) -> Result<(), StoreError> {
        let actual = staged.len();
        if actual > size {
            staged.discard().await?;
            return Err(StoreError::SizeMismatch { expected: size, actual });
        }
        let (locked, digest) = staged.finish().await?;
        if actual < size {
            return Err(StoreError::SizeMismatch { expected: size, actual });
        }
        if digest != *expected {
            self.remove_staged(&locked).await?;
            return Err(StoreError::DigestMismatch { expected: *expected, actual: digest });
        }
        match self.landing {
            Landing::Rename => self.rename(locked, expected).await,
            Landing::Upload(_) => self.upload(locked, expected).await,
        }
    }

    async fn rename(&self, locked: Locked, digest: &Digest) -> Result<(), StoreError> {
        let Locked { path, file, len } = locked;
        let doing = || format!("write the blob {digest}");
        // The lock must outlive the rename, so that nobody stages into what is a blob by then.
        let lock = Arc::clone(&file);
        blocking(move || file.sync_all()).await.map_err(|e| StoreError::io(&self.name, len, doing(), e))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let from = Path::from_iter([STAGING, &*name]);
        let renamed = self.objects.rename(&from, &key(digest)).await;
        drop(lock);
        renamed.map_err(|e| self.object_error(len, doing(), e))
    }

    async fn upload(&self, locked: Locked, digest: &Digest) -> Result<(), StoreError> {
        if self.size(digest).await? != Some(locked.len) {
            s3::upload(&*self.objects, &key(digest), Arc::clone(&locked.file), 0..locked.len)
                .await
                .map_err(|e| self.object_error(locked.len, format!("send the blob {digest} to {self}"), e))?;
        }
        self.remove_staged(&locked).await
    }

    /// Fetches what other hosts have of an upload and this one has not.
    async fn catch_up(&self, shared: &Shared, id: Uuid, locked: &mut Locked) -> Result<(), StoreError> {
        let segments = shared.segments(id).await.map_err(|e| self.upload_error(id, e))?;
        let len = shared::length(&segments);
        if locked.len < len {
            let fetched = shared.fetch(id, &segments, &locked.file, locked.len).await;
            fetched
                .map_err(|e| self.object_error(len, format!("fetch what other hosts have of the upload {id}"), e))?;
            locked.len = len;
        }
        Ok(())
    }

    async fn forget_shared(&self, id: Uuid) -> Result<(), StoreError> {
        match &self.landing {
            Landing::Rename => Ok(()),
            Landing::Upload(shared) => shared.remove(id).await.map_err(|e| self.upload_error(id, e)),
        }
    }

    fn upload_error(&self, id: Uuid, source: object_store::Error) -> StoreError {
        self.object_error(0, format!("look for the upload {id} in {self}"), source)
    }

    async fn remove_staged(&self, locked: &Locked) -> Result<(), StoreError> {
        let removed = fs_err::tokio::remove_file(&locked.path).await;
        removed.map_err(|e| StoreError::io(&self.name, 0, "remove a staged upload", e))
    }

    fn object_error(&self, asked: u64, doing: String, source: object_store::Error) -> StoreError {
        StoreError::object(&self.name, asked, doing, source)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// `blobs/ab/abcdef…`: 256 folders, so that none gets too large.
fn key(digest: &Digest) -> Path {
    let hex = digest.to_string();
    Path::from_iter(["blobs", &hex[..2], &hex])
}

fn info(meta: &ObjectMeta) -> Option<BlobInfo> {
    let Some(digest) = meta.location.filename().and_then(|name| name.parse().ok()) else {
        tracing::warn!(key = %meta.location, "something in the store is no blob; it is left alone");
        return None;
    };
    Some(BlobInfo { digest, size: meta.size, modified: meta.last_modified.into() })
}
