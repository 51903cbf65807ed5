//! The S3 store against a real server: the suite, and a server that dies.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use farm_store::{Store, StoreConfig, StoreError};
use tokio::sync::OnceCell;

use crate::{
    common::{Setup, body, digest_of, listed, new_id, put, read, some_bytes},
    conformance::conformance,
    s3_server::{Running, S3Server},
};

conformance!(s3());

/// One server for the whole suite, with a prefix for each test. It dies with the test program: its standard input ends.
async fn s3() -> Setup {
    static SERVER: OnceCell<(S3Server, Running)> = OnceCell::const_new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (server, _) = SERVER
        .get_or_init(|| async {
            let server = S3Server::new();
            let running = server.start().await;
            (server, running)
        })
        .await;
    Setup::new(|_| server.config(&format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_of_an_upload_shows_nothing_and_the_upload_is_repeated() {
    const SIZE: u64 = 64 << 20;
    let server = S3Server::new();
    let running = server.start().await;
    let setup = Setup::new(|_| server.config("killed"));
    let (bytes, id, before) = (some_bytes(1, SIZE as usize), new_id(), server.data_size());
    let digest = digest_of(&bytes);
    let mut staged = setup.store.stage(id).await.unwrap();
    staged.append_stream(body(&bytes), SIZE).await.unwrap();

    let store = setup.store.clone();
    let commit = tokio::spawn(async move { store.commit(staged, &digest, SIZE).await });
    wait_until("the server has some parts", || server.data_size() > before + (8 << 20)).await;
    server.keep_data(true);
    running.kill();
    let error = commit.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Object { .. }), "{error:?}");
    assert!(error.to_string().contains("http://127.0.0.1"), "{error}");

    let _running = server.start().await;
    server.keep_data(false);
    assert!(!setup.store.exists(&digest).await.unwrap());
    assert_eq!(listed(&setup.store).await, []);
    let staged = setup.store.stage(id).await.unwrap();
    assert_eq!(staged.len(), SIZE, "what was staged is kept");
    setup.store.commit(staged, &digest, SIZE).await.unwrap();
    assert!(read(&setup.store, &digest).await == bytes);
}

#[tokio::test]
async fn a_wrong_key_is_said_clearly() {
    let setup = s3().await;
    let StoreConfig::S3(mut s3) = setup.config.clone() else { panic!("not S3") };
    // Any file with another content will do.
    s3.secret_key_file = s3.access_key_file.clone();
    let store = Store::open(&StoreConfig::S3(s3), &setup.spool).unwrap();
    let error = store.check().await.unwrap_err();
    assert!(error.to_string().contains("write to the store s3 http://127.0.0.1"), "{error}");
    put(&setup.store, &some_bytes(1, 10)).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_clearly() {
    let setup = s3().await;
    let StoreConfig::S3(mut s3) = setup.config.clone() else { panic!("not S3") };
    s3.endpoint = "http://127.0.0.1:1".to_owned();
    let store = Store::open(&StoreConfig::S3(s3), &setup.spool).unwrap();
    let error = store.check().await.unwrap_err();
    assert!(error.to_string().contains("http://127.0.0.1:1"), "{error}");
}

async fn wait_until(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
