//! The files that are to be submitted: all are read, and everything wrong with any of them is told at once.

use std::{
    io::{ErrorKind, Read},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use farm_types::Digest;
use sha2::{Digest as _, Sha256};

use crate::show;

/// The first bytes of every RPM package.
const RPM_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// Bytes read at once.
const BLOCK: usize = 1024 * 1024;

/// A file on this side.
#[derive(Debug, Clone)]
pub struct LocalFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name, fit for people and for JSON.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Device and inode: the same file under another name has the same.
    identity: (u64, u64),
    /// Whether it begins as an RPM package does.
    pub looks_like_rpm: bool,
}

/// Looks at all files; or says everything that is wrong with them.
pub fn look(paths: &[PathBuf]) -> Result<Vec<LocalFile>, Vec<String>> {
    let mut files: Vec<LocalFile> = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match look_at(path) {
            Ok(file) => match files.iter().find(|other| other.identity == file.identity) {
                Some(first) if first.path == *path => problems.push(format!("{}: given twice", shown_path(path))),
                Some(first) => {
                    problems.push(format!("{}: the same file as {}", shown_path(path), shown_path(&first.path)));
                }
                None => files.push(file),
            },
            Err(why) => problems.push(format!("{}: {why}", shown_path(path))),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// The digest of a file. `progress` is told how many bytes were read.
pub fn digest(file: &LocalFile, progress: impl Fn(u64)) -> Result<Digest, String> {
    let why = |error: std::io::Error| format!("{}: cannot be read: {error}", shown_path(&file.path));
    let mut source = std::fs::File::open(&file.path).map_err(why)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut read = 0;
    loop {
        match source.read(&mut block) {
            Ok(0) => break,
            Ok(count) => {
                hash.update(&block[..count]);
                read += count as u64;
                progress(read);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(why(error)),
        }
    }
    if read != file.size {
        return Err(format!("{}: changed while it was read", shown_path(&file.path)));
    }
    Ok(Digest::from_bytes(hash.finalize().into()))
}

fn look_at(path: &Path) -> Result<LocalFile, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "you may not read it".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Err("is a folder; name the source packages in it".to_owned());
    }
    if !kind.is_file() {
        let what = if kind.is_fifo() { "a pipe" } else { "a device" };
        return Err(format!("is {what}, and no file"));
    }
    if metadata.len() == 0 {
        return Err("is empty".to_owned());
    }
    let mut magic = Vec::new();
    std::fs::File::open(path).map_err(cannot)?.take(4).read_to_end(&mut magic).map_err(cannot)?;
    Ok(LocalFile {
        path: path.to_owned(),
        name: show::file_name(path.file_name().unwrap_or(path.as_os_str())),
        size: metadata.len(),
        identity: (metadata.dev(), metadata.ino()),
        looks_like_rpm: magic == RPM_MAGIC,
    })
}

/// A path as a person reads it.
pub fn shown_path(path: &Path) -> String {
    show::shown(&show::file_name(path.as_os_str())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_all_files_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs_err::write(at("empty.src.rpm"), "").unwrap();
        fs_err::write(at("good.src.rpm"), [&RPM_MAGIC[..], b"..."].concat()).unwrap();
        fs_err::hard_link(at("good.src.rpm"), at("again.src.rpm")).unwrap();
        let paths = ["missing", "", "empty.src.rpm", "good.src.rpm", "again.src.rpm", "good.src.rpm"].map(at);
        let problems = look(&paths).unwrap_err().join("\n");
        for words in ["no such file", "is a folder", "is empty", "the same file as", "given twice"] {
            assert!(problems.contains(words), "{words}: {problems}");
        }
        assert_eq!(problems.lines().count(), 5);
    }

    #[test]
    fn a_text_is_seen_not_to_begin_as_a_package() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.src.rpm");
        fs_err::write(&path, "no").unwrap();
        assert!(!look(&[path]).unwrap()[0].looks_like_rpm);
    }
}
