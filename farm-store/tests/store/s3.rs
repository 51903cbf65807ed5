//! The S3 store against a real server: the suite, and a server that dies.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use farm_store::{Store, StoreConfig, StoreError};
use farm_testing::{S3Running, S3Server};
use tokio::sync::OnceCell;

use crate::{
    common::{Setup, body, digest_of, listed, new_id, put, read, some_bytes},
    conformance::conformance,
    s3_server::{config, start},
};

conformance!(s3());

/// One server for the whole suite, with a prefix for each test. It dies with the test program: its standard input ends.
async fn s3() -> Setup {
    static SERVER: OnceCell<(S3Server, S3Running)> = OnceCell::const_new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (server, _) = SERVER
        .get_or_init(|| async {
            let server = S3Server::new();
            let running = start(&server).await;
            (server, running)
        })
        .await;
    Setup::new(|_| config(server, &format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_of_an_upload_shows_nothing_and_the_upload_is_repeated() {
    const SIZE: u64 = 64 << 20;
    let server = S3Server::new();
    let running = start(&server).await;
    let setup = Setup::new(|_| config(&server, "killed"));
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

    let _running = start(&server).await;
    server.keep_data(false);
    assert!(!setup.store.exists(&digest).await.unwrap());
    assert_eq!(listed(&setup.store).await, []);
    let staged = setup.store.stage(id).await.unwrap();
    assert_eq!(staged.len(), SIZE, "what was staged is kept");
    setup.store.commit(staged, &digest, SIZE).await.unwrap();
    assert!(read(&setup.store, &digest).await == bytes);
}

/// The same store as another host opens it, with a disk of its own.
fn on_another_host(setup: &Setup, host: &str) -> Store {
    Store::open(&setup.config, &setup.spool.with_file_name(host)).unwrap()
}

#[tokio::test]
async fn an_upload_that_was_suspended_goes_on_at_any_host_from_where_it_was() {
    const SIZE: u64 = 20_000_000;
    let setup = s3().await;
    let (bytes, id) = (some_bytes(1, SIZE as usize), new_id());
    let hosts = [setup.open_again(), on_another_host(&setup, "b"), on_another_host(&setup, "c")];
    let parts = [0..9_000_000, 9_000_000..9_000_001, 9_000_001..SIZE as usize];
    for (host, part) in hosts.iter().zip(parts) {
        assert_eq!(host.staged_len(id).await.unwrap().unwrap_or(0), part.start as u64);
        let mut staged = host.stage(id).await.unwrap();
        assert_eq!(staged.len(), part.start as u64);
        staged.append_stream(body(&bytes.slice(part.clone())), SIZE).await.unwrap();
        match part.end as u64 {
            SIZE => host.commit(staged, &digest_of(&bytes), SIZE).await.unwrap(),
            _ => host.suspend(staged).await.unwrap(),
        }
    }
    assert!(read(&setup.store, &digest_of(&bytes)).await == bytes);
    assert_eq!(on_another_host(&setup, "d").staged_len(id).await.unwrap(), None, "the segments have gone");
}

#[tokio::test]
async fn a_host_that_died_in_the_middle_takes_along_what_it_alone_had_and_no_more() {
    let setup = s3().await;
    let (bytes, id) = (some_bytes(1, 3000), new_id());
    let [one, other] = ["one", "other"].map(|host| on_another_host(&setup, host));
    let mut staged = one.stage(id).await.unwrap();
    staged.append_stream(body(&bytes.slice(..1000)), 3000).await.unwrap();
    one.suspend(staged).await.unwrap();
    let mut staged = one.stage(id).await.unwrap();
    staged.append_stream(body(&bytes.slice(1000..2000)), 3000).await.unwrap();
    drop(staged);
    let mut staged = other.stage(id).await.unwrap();
    assert_eq!((one.staged_len(id).await.unwrap(), staged.len()), (Some(2000), 1000));
    staged.append_stream(body(&bytes.slice(1000..2500)), 3000).await.unwrap();
    other.suspend(staged).await.unwrap();
    let mut staged = one.stage(id).await.unwrap();
    assert_eq!(staged.len(), 2500, "both have begun the same file");
    staged.rewind(2000).await.unwrap();
    staged.append_stream(body(&bytes.slice(2000..)), 3000).await.unwrap();
    one.commit(staged, &digest_of(&bytes), 3000).await.unwrap();
    assert!(read(&setup.store, &digest_of(&bytes)).await == bytes);
}

#[tokio::test]
async fn what_was_suspended_and_abandoned_is_swept_or_forgotten_from_any_host() {
    let setup = s3().await;
    for forget in [true, false] {
        let id = new_id();
        let mut staged = setup.store.stage(id).await.unwrap();
        staged.append_stream(body(&some_bytes(1, 100)), 1000).await.unwrap();
        setup.store.suspend(staged).await.unwrap();
        let janitor = on_another_host(&setup, "janitor");
        if forget {
            janitor.forget(id).await.unwrap();
        } else {
            assert_eq!(janitor.sweep_staged(Duration::from_secs(3600)).await.unwrap(), 0);
            assert_eq!(janitor.sweep_staged(Duration::ZERO).await.unwrap(), 1);
        }
        assert_eq!(janitor.staged_len(id).await.unwrap(), None);
    }
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
