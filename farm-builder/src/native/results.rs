//! Results, from the moment they are the daemon's own.

use std::{
    io::{self, Read},
    path::Path,
};

use farm_rpm::Limits;
use farm_types::{ArtifactKind, Digest, FileName};
use sha2::{Digest as _, Sha256};

use super::files::{helpers_folder, let_read, own};
use crate::driver::BuiltFile;

/// Takes all files of a folder that a helper has filled; the inner error says what is wrong with them.
pub fn keep_all(from: &Path, into: &Path) -> io::Result<Result<Vec<BuiltFile>, String>> {
    let (mut files, mut names) = (Vec::new(), Vec::new());
    for entry in fs_err::read_dir(from)? {
        let utf8 = |_| io::Error::other("a helper has kept a file whose name is not UTF-8");
        names.push(entry?.file_name().into_string().map_err(utf8)?);
    }
    let mut sources = names.iter().filter(|name| name.ends_with(".src.rpm"));
    let (source, other) = (sources.next(), sources.next());
    if source.is_none() || other.is_some() {
        return Ok(Err("the build made another number of source packages than one".to_owned()));
    }
    for name in &names {
        match keep(&from.join(name), name, source.map(String::as_str), into)? {
            Ok(file) => files.push(file),
            Err(why) => return Ok(Err(format!("the build made a broken package, {}: {why}", name.escape_debug()))),
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Ok(files))
}

fn keep(from: &Path, name: &str, source: Option<&str>, into: &Path) -> io::Result<Result<BuiltFile, String>> {
    let kind = if name.ends_with(".src.rpm") { ArtifactKind::Srpm } else { ArtifactKind::Rpm };
    let limits = Limits { package: u64::MAX, ..Limits::default() };
    let problem = match kind {
        ArtifactKind::Srpm => {
            farm_rpm::read_source(from, &limits).map(|report| broken(report.package.is_some(), &report.problems))
        }
        _ => farm_rpm::read_binary(from, &limits).map(|report| {
            let made_from = report.package.as_ref().and_then(|package| package.source_rpm.as_deref());
            broken(report.package.is_some(), &report.problems).or_else(|| foreign(made_from, source))
        }),
    };
    if let Some(problem) = problem.map_err(io::Error::other)? {
        return Ok(Err(problem));
    }
    let Ok(file_name) = name.parse::<FileName>() else { return Ok(Err("it has no sane name".to_owned())) };
    let path = into.join(name);
    if path.exists() {
        return Ok(Err("another source of the job makes a package of the same name".to_owned()));
    }
    own(from)?;
    if fs_err::rename(from, &path).is_err() {
        // On another file system.
        fs_err::copy(from, &path)?;
    }
    let (size, digest) = digest(&path)?;
    Ok(Ok(BuiltFile { path, name: file_name, kind, size, digest }))
}

/// What a build did not make from its own source, it has brought along.
fn foreign(made_from: Option<&str>, source: Option<&str>) -> Option<String> {
    let (made_from, source) = (made_from.unwrap_or("no source package"), source.unwrap_or_default());
    (made_from != source)
        .then(|| format!("it says that it was made from {}, and not from {source}", made_from.escape_debug()))
}

fn broken(readable: bool, problems: &[farm_rpm::Problem]) -> Option<String> {
    (!readable).then(|| problems.first().map(ToString::to_string).unwrap_or_default())
}

fn digest(path: &Path) -> io::Result<(u64, Digest)> {
    let mut file = fs_err::File::open(path)?;
    let (mut digest, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 256 << 10]);
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok((size, Digest::from_bytes(digest.finalize().into())));
        }
        size += n as u64;
        digest.update(&buffer[..n]);
    }
}

/// Makes a folder with the binary packages, for a helper to make a repository of. Of those of one name the last stays.
pub fn offer(built: &[BuiltFile], folder: &Path, root: (u32, u32)) -> io::Result<()> {
    helpers_folder(folder, root)?;
    for file in built.iter().filter(|file| file.kind == ArtifactKind::Rpm) {
        let target = folder.join(file.name.as_str());
        match fs_err::remove_file(&target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if fs_err::hard_link(&file.path, &target).is_err() {
            fs_err::copy(&file.path, &target)?;
        }
        let_read(&target)?;
    }
    Ok(())
}
