//! The place of one file on this side: written aside, verified, and only then given its name.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use farm_api::people::Artifact;
use farm_types::Digest;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{FlockOperation, OFlags, flock};
use sha2::{Digest as _, Sha256};
use tempfile::TempPath;

use crate::{exit::Failure, sources::shown_path};

/// A file in the making.
pub struct Place {
    file: File,
    /// Named by the digest, so that whoever comes later can go on.
    aside: PathBuf,
    path: PathBuf,
    hash: Sha256,
    written: u64,
    size: u64,
    digest: Digest,
    force: bool,
}

impl Place {
    /// The place of an artifact in `folder`, which is made at need; none when this very file is there already.
    pub fn look(folder: &Path, artifact: &Artifact, force: bool) -> Result<Option<Self>, Failure> {
        fs_err::create_dir_all(folder).map_err(local)?;
        // A `FileName` has no slash and no leading dot: this path cannot leave the folder.
        let path = folder.join(artifact.name.as_str());
        let size = u64::try_from(artifact.size).unwrap_or_default();
        match fs_err::symlink_metadata(&path) {
            Ok(there) if there.is_file() && there.len() == size && hash_of(&path)? == artifact.digest => {
                return Ok(None);
            }
            Ok(there) if there.is_dir() => return Err(Failure::Local(format!("{} is a folder", shown_path(&path)))),
            Ok(_) if !force => return Err(differs(&path)),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(local(error)),
            _ => {}
        }
        let aside = folder.join(format!(".{}.part", artifact.digest));
        let file = open(&aside)?;
        let mut place =
            Self { file, aside, path, hash: Sha256::new(), written: 0, size, digest: artifact.digest, force };
        place.written = hash_all(&mut place.file, &mut place.hash).map_err(|error| place.problem(&error))?;
        if place.written > place.size || place.missing() == 0 && !place.is_whole() {
            place.restart()?;
        }
        Ok(Some(place))
    }

    /// Bytes that are there.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that are not.
    pub fn missing(&self) -> u64 {
        self.size - self.written
    }

    /// Whether what is there is the file.
    pub fn is_whole(&self) -> bool {
        Digest::from_bytes(self.hash.clone().finalize().into()) == self.digest
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.len() as u64 > self.missing() {
            // Nothing of it is worth going on with; what cannot be removed is found out the next time.
            let _ = fs_err::remove_file(&self.aside);
            return Err(Failure::Local(format!("{}: the farm sends more than it said", shown_path(&self.path))));
        }
        self.file.write_all(bytes).map_err(|error| self.problem(&error))?;
        self.hash.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Begins anew.
    pub fn restart(&mut self) -> Result<(), Failure> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|error| self.problem(&error))?;
        self.hash = Sha256::new();
        self.written = 0;
        Ok(())
    }

    /// Gives the file its name, unless another file has taken it or the bytes are not the right ones.
    pub fn publish(self) -> Result<(), Failure> {
        let aside = TempPath::try_from_path(&self.aside).map_err(|error| self.problem(&error))?;
        if !self.is_whole() {
            // Dropping the path removes the file.
            let path = shown_path(&self.path);
            return Err(Failure::Local(format!("{path}: what came is not what the farm has; try again")));
        }
        let named = if self.force { aside.persist(&self.path) } else { aside.persist_noclobber(&self.path) };
        match named {
            Ok(()) => Ok(()),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(differs(&self.path)),
            Err(error) => Err(self.problem(&error.error)),
        }
    }

    fn problem(&self, error: &io::Error) -> Failure {
        Failure::Local(format!("{}: cannot be written: {error}", shown_path(&self.path)))
    }
}

fn open(aside: &Path) -> Result<File, Failure> {
    let file = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(aside)
        .map_err(local)?
        .into_file();
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Failure::Local(format!("{}: another download is at work on it", shown_path(aside))))?;
    Ok(file)
}

fn hash_of(path: &Path) -> Result<Digest, Failure> {
    let mut file = fs_err::File::open(path).map_err(local)?.into_file();
    let mut hash = Sha256::new();
    hash_all(&mut file, &mut hash).map_err(local)?;
    Ok(Digest::from_bytes(hash.finalize().into()))
}

fn hash_all(file: &mut File, hash: &mut Sha256) -> io::Result<u64> {
    let mut block = vec![0; 1024 * 1024];
    let mut total = 0;
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                hash.update(&block[..count]);
                total += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn differs(path: &Path) -> Failure {
    Failure::Local(format!("{} is there and differs; --force overwrites it", shown_path(path)))
}

fn local(error: io::Error) -> Failure {
    Failure::Local(error.to_string())
}
