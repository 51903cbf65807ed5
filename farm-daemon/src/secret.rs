//! Files that hold secrets: keys and keytabs.

use std::{
    fs::File,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Who may read a secret beside its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Nobody.
    Owner,
    /// A group: that of Debian's `ssl-cert`, for keys that several servers use.
    Group,
}

impl Readers {
    /// The bits of a mode that must not be set, and the mode that is proposed instead.
    const fn modes(self) -> (u32, u32) {
        match self {
            Self::Owner => (0o077, 0o400),
            Self::Group => (0o037, 0o640),
        }
    }
}

/// What is wrong with a file that holds a secret, at most one sentence: it is missing, cannot be read by this process, or
/// can be read by too many. `what` is what it is, as in `the keytab`.
pub(crate) fn problem(what: &str, path: &Path, readers: Readers) -> Option<String> {
    let named = format!("{what} {}", path.display());
    let opened = File::open(path).and_then(|file| file.metadata());
    let metadata = match opened {
        Ok(metadata) => metadata,
        Err(error) => return Some(format!("{named} cannot be read: {error}")),
    };
    if !metadata.is_file() {
        return Some(format!("{named} is no file"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    let (forbidden, proposed) = readers.modes();
    (mode & forbidden != 0).then(|| {
        format!("{named} is open to others (its mode is {mode:04o}): chmod {proposed:04o} {}", absolute(path).display())
    })
}

/// The same file, also for those who start elsewhere.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    // Only an empty path, or a working directory that is gone, has no absolute form.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_secret_is_for_its_owner_and_a_key_also_for_a_group() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs_err::write(&path, "x").unwrap();
        for (mode, owner, group) in [
            (0o400, true, true),
            (0o600, true, true),
            (0o640, false, true),
            (0o644, false, false),
            (0o660, false, false),
        ] {
            fs_err::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(problem("the key", &path, Readers::Owner).is_none(), owner, "{mode:o}");
            assert_eq!(problem("the key", &path, Readers::Group).is_none(), group, "{mode:o}");
        }
        let sentence = problem("the keytab", &path, Readers::Owner).unwrap();
        assert!(sentence.ends_with(&format!("chmod 0400 {}", path.display())), "{sentence}");
    }

    #[test]
    fn a_secret_that_is_missing_or_no_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = problem("the keytab", &dir.path().join("none"), Readers::Owner).unwrap();
        assert!(missing.contains("none cannot be read: No such file"), "{missing}");
        let folder = problem("the keytab", dir.path(), Readers::Owner).unwrap();
        assert!(folder.ends_with("is no file"), "{folder}");
    }
}
