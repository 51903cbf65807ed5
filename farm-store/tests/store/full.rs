//! A disk that is really full: a small file system in a mount namespace of the test's own.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use farm_store::{Store, StoreConfig, StoreError};

use crate::common::{body, digest_of, listed, new_id, put, read, some_bytes};

const CHILD: &str = "FARM_STORE_FULL_CHILD";
const SIZE: usize = 20 << 20;

#[tokio::test]
async fn an_upload_to_a_full_disk_goes_on_when_there_is_room() {
    if let Some(folder) = env::var_os(CHILD) {
        return fill_up_and_go_on(PathBuf::from(folder)).await;
    }
    let namespaces = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount"]);
        unshare
    };
    if !namespaces().arg("true").status().is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED: no test with a full disk, for this machine allows no user namespaces");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let status = namespaces()
        .args(["sh", "-c", r#"mount -t tmpfs -o size=12m tmpfs "$1" && shift && exec "$@""#, "sh"])
        .arg(folder.path())
        .arg(env::current_exe().unwrap())
        .args(["--exact", "full::an_upload_to_a_full_disk_goes_on_when_there_is_room", "--nocapture"])
        .env(CHILD, folder.path())
        .status()
        .unwrap();
    assert!(status.success());
}

/// What the child does, in the namespace where `folder` is a file system of 12 MiB.
async fn fill_up_and_go_on(folder: PathBuf) {
    let store = Store::open(&StoreConfig::Folder { path: folder.clone() }, &folder).unwrap();
    let before = put(&store, &some_bytes(1, 1000)).await;
    let (bytes, id) = (some_bytes(2, SIZE), new_id());
    let digest = digest_of(&bytes);

    let mut staged = store.stage(id).await.unwrap();
    assert_full(staged.append_stream(body(&bytes), SIZE as u64).await, &folder);
    drop(staged);
    assert_full(store.check().await, &folder);
    assert_full(store.put_stream(&digest, SIZE as u64, body(&bytes)).await, &folder);
    let staged = std::fs::read_dir(folder.join("staging")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(staged.collect::<Vec<_>>(), [id.to_string().as_str()], "only the upload that may go on is kept");
    assert_eq!(listed(&store).await, [before], "what was there before is not touched, nothing new is seen");

    let kept = store.staged_len(id).await.unwrap().unwrap();
    assert!(kept > 8 << 20, "only {kept} bytes of the upload were kept");
    assert!(Command::new("mount").args(["-o", "remount,size=64m"]).arg(&folder).status().unwrap().success());

    let mut staged = store.stage(id).await.unwrap();
    assert_eq!(staged.len(), kept);
    staged.append_stream(body(&bytes.slice(kept as usize..)), SIZE as u64).await.unwrap();
    store.commit(staged, &digest, SIZE as u64).await.unwrap();
    assert!(read(&store, &digest).await == bytes);
    store.check().await.unwrap();
}

fn assert_full(result: Result<(), StoreError>, folder: &Path) {
    let error = result.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().contains(&*folder.to_string_lossy()), "{error}");
}
