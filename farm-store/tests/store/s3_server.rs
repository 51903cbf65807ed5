//! The S3 server of the tests as this crate configures it.

use std::time::{Duration, Instant};

use farm_store::{S3Config, Store, StoreConfig};
use farm_testing::{S3Running, S3Server};

const START_LIMIT: Duration = Duration::from_secs(60);

/// Starts it and waits until it can be written.
pub async fn start(server: &S3Server) -> S3Running {
    let running = server.start();
    let deadline = Instant::now() + START_LIMIT;
    let spool = tempfile::tempdir().unwrap();
    let probe = Store::open(&config(server, "probe"), spool.path()).unwrap();
    while let Err(error) = probe.check().await {
        assert!(Instant::now() < deadline, "the S3 server does not start: {error}\n{}", server.log());
    }
    running
}

pub fn config(server: &S3Server, prefix: &str) -> StoreConfig {
    StoreConfig::S3(S3Config {
        endpoint: server.endpoint(),
        bucket: "farm".to_owned(),
        prefix: prefix.to_owned(),
        region: "us-east-1".to_owned(),
        access_key_file: server.access_key_file(),
        secret_key_file: server.secret_key_file(),
        allow_http: true,
    })
}
