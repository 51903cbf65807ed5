//! Where the blobs are: a part of every daemon's configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `kind = "folder"` or `kind = "s3"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum StoreConfig {
    /// A folder of this machine (or a network file system with atomic rename and flock).
    Folder {
        /// The folder; made when it is missing.
        path: PathBuf,
    },
    /// A bucket of an S3 server.
    S3(S3Config),
}

/// A bucket of an S3 server, and the files that hold the keys to it: no secret stands in a configuration.
///
/// Give the bucket a lifecycle rule that drops incomplete multipart uploads after a day: a daemon that was killed while it
/// sent a large blob cannot drop its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The server, as `https://s3.example.org`; the bucket is put in the path.
    pub endpoint: String,
    /// The bucket; it must exist.
    pub bucket: String,
    /// Put before every key, so that a bucket can be shared.
    #[serde(default)]
    pub prefix: String,
    /// The region that requests are signed for.
    #[serde(default = "default_region")]
    pub region: String,
    /// Holds the access key (one line).
    pub access_key_file: PathBuf,
    /// Holds the secret key (one line).
    pub secret_key_file: PathBuf,
    /// Allows `http://` endpoints. Everybody on the way can then read the blobs.
    #[serde(default)]
    pub allow_http: bool,
}

/// What servers other than Amazon's expect when they do not care.
fn default_region() -> String {
    "us-east-1".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read() {
        let config: StoreConfig = toml::from_str("kind = 'folder'\npath = '/srv/farm'").unwrap();
        assert_eq!(config, StoreConfig::Folder { path: "/srv/farm".into() });
    }

    #[test]
    fn s3_is_read_with_its_defaults() {
        let text = "kind = 's3'\nendpoint = 'https://s3'\nbucket = 'b'\naccess_key_file = '/a'\nsecret_key_file = '/s'";
        let StoreConfig::S3(s3) = toml::from_str(text).unwrap() else { panic!("not S3") };
        assert_eq!((s3.region.as_str(), s3.prefix.as_str(), s3.allow_http), ("us-east-1", "", false));
    }

    #[test]
    fn an_unknown_word_is_refused_by_name() {
        let folder = toml::from_str::<StoreConfig>("kind = 'folder'\npath = '/srv'\npaht = 1").unwrap_err();
        assert!(folder.to_string().contains("paht"), "{folder}");
        let text =
            "kind = 's3'\nendpoint = 'x'\nbucket = 'b'\naccess_key_file = '/a'\nsecret_key_file = '/s'\nsecret = 's'";
        let s3 = toml::from_str::<StoreConfig>(text).unwrap_err();
        assert!(s3.to_string().contains("secret"), "{s3}");
    }
}
