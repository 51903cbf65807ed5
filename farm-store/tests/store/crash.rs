//! A process that writes blobs is killed at any moment: every blob that can be seen is whole, and those that it
//! acknowledged are there.

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use farm_store::{Store, StoreConfig};
use farm_types::Digest;

use crate::common::{digest_of, listed, put, some_bytes};

const CHILD: &str = "FARM_STORE_CRASH_CHILD";
const ROUNDS: u64 = 12;

#[tokio::test]
async fn a_process_killed_at_any_moment_leaves_no_half_blob() {
    if let Some(folder) = env::var_os(CHILD) {
        return write_blobs_until_killed(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        acknowledged.extend(run_and_kill(folder.path(), Duration::from_millis(round * 7 % 40)));
    }
    assert!(acknowledged.len() as u64 >= ROUNDS);

    let store = open(folder.path());
    let seen = listed(&store).await;
    for digest in &seen {
        store.get(digest).await.unwrap().bytes(u64::MAX).await.unwrap();
    }
    for digest in acknowledged {
        assert!(seen.contains(&digest), "{digest} was acknowledged and is lost");
    }
    // Nobody holds what the dead left behind.
    store.sweep_staged(Duration::ZERO).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("staging")).unwrap().count(), 0);
}

/// Runs this very test as a child, waits for its first blob, lets it go on for `more`, kills it. Returns what it acknowledged.
fn run_and_kill(folder: &Path, more: Duration) -> Vec<Digest> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::a_process_killed_at_any_moment_leaves_no_half_blob", "--nocapture"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let digests = lines.by_ref().map_while(Result::ok).filter_map(|line| line.parse().ok()).take(1).collect::<Vec<_>>();
    // Not to wait for anything: to hit another moment each time.
    thread::sleep(more);
    child.kill().unwrap();
    child.wait().unwrap();
    digests.into_iter().chain(lines.map_while(Result::ok).filter_map(|line| line.parse().ok())).collect()
}

async fn write_blobs_until_killed(folder: &Path) {
    let store = open(folder);
    for seed in u64::from(std::process::id()) << 32.. {
        let bytes = some_bytes(seed, 2_500_000);
        let digest = put(&store, &bytes).await;
        assert_eq!(digest, digest_of(&bytes));
        println!("{digest}");
    }
}

fn open(folder: &Path) -> Store {
    Store::open(&StoreConfig::Folder { path: folder.to_owned() }, folder).unwrap()
}
