//! Blobs are removed while others bring the same ones: whoever was told that the farm has them can read them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use farm_db::{
    blobs as uploads, chores, queue,
    testing::{self, TestBuilder},
};
use farm_janitor::chores::{Tools, blobs};
use farm_store::Store;
use farm_types::{Digest, LeaseKey};
use tokio::runtime::Handle;

use crate::{
    s3_server::{config, start},
    support::{Farm, PLATFORM, digest_of, put},
};

/// How often each of those who bring something does so.
const ROUNDS: usize = 60;
/// Few, so that they meet.
const CONTENTS: [&[u8]; 3] = [b"one", b"two", b"and three"];

/// Sweeps all the time, whatever is a moment old.
async fn sweeper(tools: Tools, over: Arc<AtomicBool>, removed: Arc<AtomicU64>) {
    while !over.load(Ordering::Relaxed) {
        for bytes in CONTENTS {
            let swept = blobs::page(&tools, digest_of(bytes).as_bytes()[0]).await.unwrap();
            removed.fetch_add(swept.blobs, Ordering::Relaxed);
        }
    }
}

/// The same on a store that is slow to remove: between the look at who needs a blob and its end lies time enough for somebody to
/// bring it, unless the look keeps others out.
async fn slow_sweeper(tools: Tools, over: Arc<AtomicBool>, removed: Arc<AtomicU64>) {
    while !over.load(Ordering::Relaxed) {
        for bytes in CONTENTS {
            let (store, runtime, digest) = (tools.store.clone(), Handle::current(), digest_of(bytes));
            let size = bytes.len() as u64;
            let swept = tools.pool.run(move |conn| {
                let first = digest.as_bytes()[0];
                let slowly = |digests: &[Digest]| {
                    // The slowness itself; nothing is waited for.
                    std::thread::sleep(Duration::from_millis(30));
                    for digest in digests {
                        runtime.block_on(store.delete(digest)).unwrap();
                    }
                    Ok(())
                };
                chores::mark_blobs(conn, first)?;
                let known = chores::sweep_blobs(conn, first, 0, 10, slowly).unwrap();
                let strangers = chores::sweep_strangers(conn, &[(digest, size)], slowly).unwrap();
                Ok(known.blobs + strangers.blobs)
            });
            removed.fetch_add(swept.await.unwrap(), Ordering::Relaxed);
        }
    }
}

/// That the farm has the bytes that somebody was told it has.
async fn assert_there(store: &Store, digest: &Digest, bytes: &[u8]) {
    for _ in 0..3 {
        let found = store.get(digest).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.bytes(1 << 20).await.unwrap(), bytes);
    }
}

/// Uploads, and then forgets that it did, so that nobody needs the blob any more.
async fn uploader(url: String, store: Store, person: &'static str) {
    for round in 0..ROUNDS {
        let bytes = CONTENTS[round % CONTENTS.len()];
        let digest = digest_of(bytes);
        let size = bytes.len() as u64;
        let upload =
            in_database(&url, move |conn| uploads::begin_upload(conn, &testing::person(person), &digest, size)).await;
        put(&store, &digest, bytes).await;
        in_database(&url, move |conn| uploads::end_upload(conn, &testing::person(person), upload)).await;
        assert_there(&store, &digest, bytes).await;
        forget(
            &url,
            format!(
                "DELETE FROM farm.brought WHERE person_id = (SELECT id FROM farm.person WHERE principal = '{person}')"
            ),
        )
        .await;
    }
}

/// Delivers under a lease, and forgets it.
async fn deliverer(url: String, store: Store, builder: TestBuilder, key: LeaseKey) {
    for round in 0..ROUNDS {
        let bytes = CONTENTS[round % CONTENTS.len()];
        let digest = digest_of(bytes);
        let size = bytes.len() as u64;
        let known = in_database(&url, move |conn| queue::has_delivered(conn, builder.id, &key, &digest, size)).await;
        assert!(!known);
        put(&store, &digest, bytes).await;
        in_database(&url, move |conn| queue::deliver(conn, builder.id, &key, &digest, size)).await;
        assert_there(&store, &digest, bytes).await;
        let whose = format!("task_id = {} AND attempt = {}", key.task, key.attempt);
        forget(&url, format!("DELETE FROM farm.expected WHERE {whose}; DELETE FROM farm.delivered WHERE {whose}"))
            .await;
    }
}

async fn in_database<T: Send + 'static>(
    url: &str,
    verb: impl FnOnce(&mut farm_db::PgConnection) -> farm_db::Result<T> + Send + 'static,
) -> T {
    let url = url.to_owned();
    tokio::task::spawn_blocking(move || verb(&mut farm_db::pool::connect(&url).unwrap()).unwrap()).await.unwrap()
}

async fn forget(url: &str, statements: String) {
    use diesel::connection::SimpleConnection as _;
    in_database(url, move |conn| Ok(conn.batch_execute(&statements)?)).await;
}

async fn race(mut farm: Farm) {
    farm.tools.config.chores.blob_grace_seconds = 0;
    testing::platform(&mut farm.conn, PLATFORM);
    let builder = testing::builder(&mut farm.conn, "b1");
    // Before anybody brings and forgets: what these jobs are made from is brought as well, by one of the same persons.
    let keys = [(); 2].map(|()| {
        testing::accepted(&mut farm.conn, &[PLATFORM]);
        builder.claim_one(&mut farm.conn)
    });
    let (over, removed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let sweepers = [
        tokio::spawn(sweeper(farm.tools.clone(), Arc::clone(&over), Arc::clone(&removed))),
        tokio::spawn(slow_sweeper(farm.tools.clone(), Arc::clone(&over), Arc::clone(&removed))),
    ];
    let mut bringers = Vec::new();
    for person in ["alice", "bob"] {
        bringers.push(tokio::spawn(uploader(farm.db.url(), farm.tools.store.clone(), person)));
    }
    for key in keys {
        bringers.push(tokio::spawn(deliverer(farm.db.url(), farm.tools.store.clone(), builder, key)));
    }
    let mut results = Vec::new();
    for bringer in bringers {
        results.push(bringer.await);
    }
    over.store(true, Ordering::Relaxed);
    for sweeper in sweepers {
        sweeper.await.unwrap();
    }
    results.into_iter().for_each(|result| result.unwrap());
    assert!(removed.load(Ordering::Relaxed) > 20, "there was no race: {removed:?} blobs were removed");
    farm.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_blob_that_somebody_brings_in_this_moment_is_never_lost_from_a_folder() {
    race(Farm::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_blob_that_somebody_brings_in_this_moment_is_never_lost_from_s3() {
    let server = farm_testing::S3Server::new();
    let _running = start(&server).await;
    race(Farm::on(|_| config(&server, "race"))).await;
}

#[tokio::test]
async fn an_announced_blob_is_kept_until_its_lease_has_ended_and_goes_then() {
    let mut farm = Farm::new();
    let (builder, key) = farm.leased();
    farm.tools.config.chores.blob_grace_seconds = 0;
    let (bytes, digest) = (b"announced", digest_of(b"announced"));
    assert!(!queue::has_delivered(&mut farm.conn, builder.id, &key, &digest, 9).unwrap());
    put(&farm.tools.store, &digest, bytes).await;
    let first = digest.as_bytes()[0];
    assert_eq!(blobs::page(&farm.tools, first).await.unwrap().blobs, 0);
    queue::release(&mut farm.conn, builder.id, &key, "it has to go").unwrap();
    assert_eq!(blobs::page(&farm.tools, first).await.unwrap().blobs, 1);
    assert!(!farm.tools.store.exists(&digest).await.unwrap());
    farm.assert_sound();
}
