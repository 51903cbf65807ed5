//! Tokens in files.

use std::{
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{ParseTokenError, Token};

/// More than any token has, with room for line ends.
const LIMIT: u64 = 1024;

/// Why there is no token in a file.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read. The system's sentence names the file.
    #[error("cannot read the token: {0}")]
    Unreadable(#[from] io::Error),
    /// Everybody on the machine can use the token.
    #[error("others can read the token in {}, mode {mode:04o}: chmod o= {}, and replace the token if strangers use this machine", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It has something else in it.
    #[error("{} holds no token: {source}", path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
        /// What it takes.
        source: ParseTokenError,
    },
}

/// Reads a token from a file that is closed to others. White space around it does no harm.
pub fn read_token_file(path: &Path) -> Result<Token, TokenFileError> {
    let file = fs_err::File::open(path)?;
    // Of the open file: nobody can exchange it between the look and the reading.
    let mode = file.metadata()?.mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(TokenFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text)?;
    text.trim().parse().map_err(|source| TokenFileError::NoToken { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), text).unwrap();
        fs_err::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_token_is_read_from_a_file_of_ones_own() {
        let token = Token::generate();
        let read = read_token_file(file(&format!("{}\n", token.expose()), 0o640).path()).unwrap();
        assert!(read.matches(&token.digest()));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_way_out() {
        let file = file(&Token::generate().expose(), 0o644);
        let error = read_token_file(file.path()).unwrap_err().to_string();
        assert!(error.contains("mode 0644: chmod o= /"), "{error}");
    }

    #[test]
    fn a_file_without_a_token_is_named_and_its_content_is_not() {
        let file = file("my password", 0o600);
        let error = read_token_file(file.path()).unwrap_err().to_string();
        assert!(error.contains("holds no token") && !error.contains("password"), "{error}");
    }
}
