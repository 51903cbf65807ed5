//! What every store has to do, folder or S3: one suite, run against both.

use std::time::Duration;

use farm_store::{BodyError, StoreError};
use futures::{TryStreamExt, future, stream};

use crate::common::{Setup, body, cut_body, digest_of, listed, new_id, put, read, some_bytes};

/// Larger than a part of an S3 upload, and no multiple of anything.
const LARGE: usize = (20 << 20) + 12_345;

/// Runs every function below as a test, each with a store of its own from `$setup`.
macro_rules! conformance {
    ($setup:expr) => {
        $crate::conformance::conformance!($setup,
            a_blob_comes_back_as_it_went_in,
            a_blob_of_no_bytes_is_a_blob,
            a_large_blob_comes_back_as_it_went_in,
            a_blob_that_is_not_there_is_not_found,
            bytes_with_the_wrong_digest_are_refused_and_leave_nothing,
            an_upload_that_is_too_short_is_kept_and_completed,
            an_upload_that_is_too_long_is_stopped_and_leaves_nothing,
            an_upload_cut_in_the_middle_is_resumed,
            an_upload_is_resumed_after_a_restart,
            an_upload_is_received_by_one_connection_at_a_time,
            a_body_that_breaks_off_leaves_nothing_of_a_one_shot_put,
            the_same_blob_committed_twice_at_once_is_one_blob,
            ranges_are_read,
            blobs_are_listed_and_deleted,
            abandoned_uploads_are_swept_and_those_under_way_are_not,
            a_store_that_can_be_written_is_ready,
        );
    };
    ($setup:expr, $($name:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            $crate::conformance::$name(&$setup.await).await;
        })+
    };
}
pub(crate) use conformance;

pub async fn a_blob_comes_back_as_it_went_in(setup: &Setup) {
    let bytes = some_bytes(1, 100_000);
    let digest = put(&setup.store, &bytes).await;
    assert_eq!(read(&setup.store, &digest).await, bytes);
    assert_eq!(setup.store.size(&digest).await.unwrap(), Some(100_000));
    assert!(setup.store.exists(&digest).await.unwrap());
}

pub async fn a_blob_of_no_bytes_is_a_blob(setup: &Setup) {
    let digest = put(&setup.store, &some_bytes(0, 0)).await;
    assert_eq!(setup.store.get(&digest).await.unwrap().size(), 0);
    assert_eq!(read(&setup.store, &digest).await, b"");
}

pub async fn a_large_blob_comes_back_as_it_went_in(setup: &Setup) {
    let bytes = some_bytes(2, LARGE);
    let digest = put(&setup.store, &bytes).await;
    assert!(read(&setup.store, &digest).await == bytes);
}

pub async fn a_blob_that_is_not_there_is_not_found(setup: &Setup) {
    let digest = digest_of(b"nobody put this");
    assert!(matches!(setup.store.get(&digest).await, Err(StoreError::NotFound(d)) if d == digest));
    assert_eq!(setup.store.size(&digest).await.unwrap(), None);
}

pub async fn bytes_with_the_wrong_digest_are_refused_and_leave_nothing(setup: &Setup) {
    let (bytes, id, expected) = (some_bytes(3, 3_000_000), new_id(), digest_of(b"something else"));
    let mut staged = setup.store.stage(id).await.unwrap();
    staged.append_stream(body(&bytes), 3_000_000).await.unwrap();
    let error = setup.store.commit(staged, &expected, 3_000_000).await.unwrap_err();
    assert!(matches!(error, StoreError::DigestMismatch { actual, .. } if actual == digest_of(&bytes)), "{error}");
    assert_eq!(setup.store.staged_len(id).await.unwrap(), None);
    assert_eq!(listed(&setup.store).await, []);
}

pub async fn an_upload_that_is_too_short_is_kept_and_completed(setup: &Setup) {
    let (bytes, id) = (some_bytes(4, 2_000_000), new_id());
    let digest = digest_of(&bytes);
    let mut staged = setup.store.stage(id).await.unwrap();
    staged.append(bytes.slice(..1_500_000)).await.unwrap();
    let error = setup.store.commit(staged, &digest, 2_000_000).await.unwrap_err();
    assert!(matches!(error, StoreError::SizeMismatch { expected: 2_000_000, actual: 1_500_000 }), "{error}");

    let mut staged = setup.store.stage(id).await.unwrap();
    staged.append(bytes.slice(1_500_000..)).await.unwrap();
    setup.store.commit(staged, &digest, 2_000_000).await.unwrap();
    assert!(read(&setup.store, &digest).await == bytes);
}

pub async fn an_upload_that_is_too_long_is_stopped_and_leaves_nothing(setup: &Setup) {
    let (bytes, id) = (some_bytes(5, 3_000_000), new_id());
    let mut staged = setup.store.stage(id).await.unwrap();
    // A sender that never ends.
    let endless = stream::repeat_with(|| Ok::<_, BodyError>(bytes.clone()));
    let error = staged.append_stream(endless, 10_000_000).await.unwrap_err();
    assert!(matches!(error, StoreError::SizeMismatch { expected: 10_000_000, .. }), "{error}");
    assert_eq!(setup.store.staged_len(id).await.unwrap(), None);
}

pub async fn an_upload_cut_in_the_middle_is_resumed(setup: &Setup) {
    let (bytes, id) = (some_bytes(6, LARGE), new_id());
    let digest = digest_of(&bytes);
    for cut in [5_000_000, 5_000_001, 17_000_000] {
        let mut staged = setup.store.stage(id).await.unwrap();
        let at = staged.len() as usize;
        let error = staged.append_stream(cut_body(&bytes.slice(at..), cut - at), LARGE as u64).await.unwrap_err();
        assert!(matches!(error, StoreError::Body(_)), "{error}");
        drop(staged);
        assert_eq!(setup.store.staged_len(id).await.unwrap(), Some(cut as u64));
    }
    let mut staged = setup.store.stage(id).await.unwrap();
    staged.append_stream(body(&bytes.slice(17_000_000..)), LARGE as u64).await.unwrap();
    setup.store.commit(staged, &digest, LARGE as u64).await.unwrap();
    assert!(read(&setup.store, &digest).await == bytes);
    assert_eq!(setup.store.staged_len(id).await.unwrap(), None);
}

pub async fn an_upload_is_resumed_after_a_restart(setup: &Setup) {
    let (bytes, id) = (some_bytes(7, 4_000_000), new_id());
    let mut staged = setup.store.stage(id).await.unwrap();
    staged.append_stream(body(&bytes.slice(..3_000_000)), 4_000_000).await.unwrap();
    drop(staged);

    let store = setup.open_again();
    let mut staged = store.stage(id).await.unwrap();
    assert_eq!(staged.len(), 3_000_000);
    staged.append(bytes.slice(3_000_000..)).await.unwrap();
    store.commit(staged, &digest_of(&bytes), 4_000_000).await.unwrap();
    assert!(read(&store, &digest_of(&bytes)).await == bytes);
}

pub async fn an_upload_is_received_by_one_connection_at_a_time(setup: &Setup) {
    let id = new_id();
    let mut first = setup.store.stage(id).await.unwrap();
    first.append(some_bytes(8, 1000)).await.unwrap();
    first.flush().await.unwrap();
    let error = setup.open_again().stage(id).await.map(drop).unwrap_err();
    assert!(matches!(error, StoreError::InUse(i) if i == id), "{error}");
    assert_eq!(setup.store.staged_len(id).await.unwrap(), Some(1000));

    // One that ends meanwhile is waited for.
    let (second, ()) = future::join(setup.store.stage(id), async { drop(first) }).await;
    assert_eq!(second.unwrap().len(), 1000);
}

pub async fn a_body_that_breaks_off_leaves_nothing_of_a_one_shot_put(setup: &Setup) {
    let bytes = some_bytes(9, 3_000_000);
    let error = setup.store.put_stream(&digest_of(&bytes), 3_000_000, cut_body(&bytes, 2_500_000)).await.unwrap_err();
    assert!(matches!(error, StoreError::Body(_)), "{error}");
    assert_eq!(listed(&setup.store).await, []);
    assert_eq!(setup.store.sweep_staged(Duration::ZERO).await.unwrap(), 0);
}

pub async fn the_same_blob_committed_twice_at_once_is_one_blob(setup: &Setup) {
    let bytes = some_bytes(10, LARGE);
    let (a, b) = future::join(put(&setup.store, &bytes), put(&setup.store, &bytes)).await;
    assert_eq!(a, b);
    put(&setup.store, &bytes).await;
    assert_eq!(listed(&setup.store).await, [a]);
    assert!(read(&setup.store, &a).await == bytes);
    assert_eq!(setup.store.sweep_staged(Duration::ZERO).await.unwrap(), 0);
}

pub async fn ranges_are_read(setup: &Setup) {
    let bytes = some_bytes(11, 3_000_000);
    let digest = put(&setup.store, &bytes).await;
    let blob = setup.store.get(&digest).await.unwrap();
    for range in [0..1, 0..3_000_000, 1_048_570..2_500_001, 2_999_999..3_000_000] {
        let parts: Vec<_> = blob.read_range(range.clone()).try_collect().await.unwrap();
        assert!(parts.concat() == bytes[range.start as usize..range.end as usize], "{range:?}");
    }
}

pub async fn blobs_are_listed_and_deleted(setup: &Setup) {
    let mut digests = Vec::new();
    for seed in 20..26 {
        digests.push(put(&setup.store, &some_bytes(seed, 1000 + seed as usize)).await);
    }
    digests.sort();
    assert_eq!(listed(&setup.store).await, digests);

    let one = digests[3];
    let first = one.as_bytes()[0];
    let found: Vec<_> = setup.store.list(Some(first)).try_collect().await.unwrap();
    assert!(found.iter().all(|info| info.digest.as_bytes()[0] == first));
    assert!(found.iter().any(|info| info.digest == one && info.modified.elapsed().unwrap_or_default().as_secs() < 600));

    setup.store.delete(&one).await.unwrap();
    setup.store.delete(&one).await.unwrap();
    assert!(!setup.store.exists(&one).await.unwrap());
    assert_eq!(listed(&setup.store).await.len(), 5);
}

pub async fn abandoned_uploads_are_swept_and_those_under_way_are_not(setup: &Setup) {
    let (abandoned, under_way) = (new_id(), new_id());
    drop(setup.store.stage(abandoned).await.unwrap());
    let staged = setup.store.stage(under_way).await.unwrap();
    assert_eq!(setup.store.sweep_staged(Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(setup.store.sweep_staged(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(setup.store.staged_len(abandoned).await.unwrap(), None);
    assert_eq!(setup.store.staged_len(under_way).await.unwrap(), Some(0));
    drop(staged);
}

pub async fn a_store_that_can_be_written_is_ready(setup: &Setup) {
    setup.store.check().await.unwrap();
    assert_eq!(listed(&setup.store).await, []);
    assert_eq!(setup.store.sweep_staged(Duration::ZERO).await.unwrap(), 0);
}
