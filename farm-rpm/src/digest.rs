//! The digests that a package carries, checked while its bytes stream by.

use std::fmt;

use sha2::digest::DynDigest;

/// The algorithms that rpm has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5 over header and payload, until rpm 4.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA3-256, since rpm 6.
    Sha3_256,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
            Self::Sha3_256 => "SHA3-256",
        })
    }
}

/// A digest that the package states, and the same being computed.
pub(crate) struct Check {
    pub algorithm: Algorithm,
    stated: Vec<u8>,
    state: Box<dyn DynDigest>,
}

impl Check {
    pub fn new(algorithm: Algorithm, stated: Vec<u8>) -> Self {
        let state: Box<dyn DynDigest> = match algorithm {
            Algorithm::Md5 => Box::new(md5::Md5::default()),
            Algorithm::Sha1 => Box::new(sha1::Sha1::default()),
            Algorithm::Sha256 => Box::new(sha2::Sha256::default()),
            Algorithm::Sha512 => Box::new(sha2::Sha512::default()),
            Algorithm::Sha3_256 => Box::new(sha3::Sha3_256::default()),
        };
        Self { algorithm, stated, state }
    }

    /// From a digest in hex. What is not hex becomes a digest that nothing matches.
    pub fn from_hex(algorithm: Algorithm, stated: &str) -> Self {
        Self::new(algorithm, hex::decode(stated).unwrap_or_default())
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    /// The algorithm, if what was computed is not what was stated.
    pub fn failed(self) -> Option<Algorithm> {
        (*self.state.finalize() != *self.stated).then_some(self.algorithm)
    }
}
