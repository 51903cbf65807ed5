use std::io::Read as _;

use farm_api::{
    error::ErrorCode,
    hub::{LeaseRecord, LogTaken, NewArtifact},
};
use farm_db::{blobs, read, testing};
use farm_types::{ArtifactKind, Outcome};
use flate2::read::MultiGzDecoder;
use futures::stream;
use reqwest::{Method, StatusCode};

use crate::support::{Builder, Farm, ok, refusal, sha256};

async fn farm_with_lease() -> (Farm, Builder, farm_api::hub::Lease) {
    let farm = Farm::start().await;
    farm.job(&["a-x86_64"]);
    let builder = farm.builder("one").await;
    let lease = builder.claim_one().await;
    (farm, builder, lease)
}

#[tokio::test]
async fn a_log_grows_piece_by_piece_and_pieces_sent_again_or_too_early_change_nothing() {
    let (farm, builder, lease) = farm_with_lease().await;
    let large = "x".repeat(100_000);
    let mut next = 0;
    for piece in ["one\n", "two\n", &large] {
        let taken: LogTaken = ok(builder.log(&lease.key, next, piece.as_bytes()).await).await;
        assert_eq!(taken.next, next + piece.len() as u64);
        for wrong in [next, taken.next + 7] {
            assert_eq!(ok::<LogTaken>(builder.log(&lease.key, wrong, b"again").await).await.next, taken.next);
        }
        next = taken.next;
    }
    assert_eq!(ok::<LogTaken>(builder.log(&lease.key, 0, b"").await).await.next, next);
    let chunks = read::log_chunks(&mut farm.conn(), lease.key.task, lease.key.attempt, 0).unwrap();
    let gzip: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.data).collect();
    let mut log = String::new();
    MultiGzDecoder::new(&gzip[..]).read_to_string(&mut log).unwrap();
    assert_eq!(log, format!("one\ntwo\n{large}"));
}

#[tokio::test]
async fn of_a_piece_of_log_that_breaks_off_nothing_is_kept_and_it_is_taken_when_it_comes_again() {
    let (_farm, builder, lease) = farm_with_lease().await;
    assert_eq!(ok::<LogTaken>(builder.log(&lease.key, 0, b"one\n").await).await.next, 4);
    let broken = stream::iter([Ok(b"tw".to_vec()), Err(std::io::Error::other("the cable is cut"))]);
    let request = builder.call(Method::PUT, "log?start=4", Some(&lease.key)).header("content-length", 4);
    assert!(request.body(reqwest::Body::wrap_stream(broken)).send().await.is_err());
    assert_eq!(ok::<LogTaken>(builder.log(&lease.key, 4, b"").await).await.next, 4);
    assert_eq!(ok::<LogTaken>(builder.log(&lease.key, 4, b"two\n").await).await.next, 8);
}

#[tokio::test]
async fn the_record_to_build_like_is_read_under_the_lease_of_that_task_and_no_other() {
    let (farm, builder, first) = farm_with_lease().await;
    assert_eq!(first.like, None);
    let (bytes, digest) = (b"{}", sha256(b"{}"));
    builder.blob(&first.key, &digest, bytes).await;
    let mut end = testing::ended(Outcome::Succeeded);
    let name = "buildroot.json".parse().unwrap();
    end.artifacts = vec![NewArtifact { kind: ArtifactKind::Manifest, name, digest, size: 2 }];
    assert_eq!(builder.finish_with(&first.key, &end).await.status(), StatusCode::NO_CONTENT);
    let mut conn = farm.conn();
    let new = farm_db::intake::Submission {
        like: Some(first.key.task),
        targets: "a-x86_64".to_owned(),
        ..testing::submission(&mut conn, "alice")
    };
    let (job, _) = farm_db::intake::submit(&mut conn, &new).unwrap();
    testing::accept(&mut conn, job, &["a-x86_64"]);
    let lease = builder.claim_one().await;
    assert_eq!(lease.like, Some(LeaseRecord { digest, size: 2 }));
    let record = async |builder: &Builder| builder.call(Method::GET, "record", Some(&lease.key)).send().await.unwrap();
    assert_eq!(&record(&builder).await.bytes().await.unwrap()[..], bytes);
    let thief = farm.builder("two").await;
    assert_eq!(refusal(record(&thief).await).await, ErrorCode::LeaseLost);
    let answer = builder.call(Method::GET, "record", Some(&first.key)).send().await.unwrap();
    assert_eq!(refusal(answer).await, ErrorCode::LeaseLost);
}

#[tokio::test]
async fn a_log_or_a_piece_of_it_that_is_too_long_is_refused() {
    let (_farm, builder, lease) = farm_with_lease().await;
    let piece = vec![b'x'; (1 << 20) + 1];
    assert_eq!(refusal(builder.log(&lease.key, 0, &piece).await).await, ErrorCode::TooLarge);
    let limit = 4 << 20;
    assert_eq!(refusal(builder.log(&lease.key, limit, b"x").await).await, ErrorCode::TooLarge);
    let answer = builder.call(Method::PUT, "log?start=-1", Some(&lease.key)).send().await.unwrap();
    assert_eq!(refusal(answer).await, ErrorCode::BadRequest);
}

#[tokio::test]
async fn an_artifact_is_stored_once_and_is_the_attempts_when_it_ends() {
    let (farm, builder, lease) = farm_with_lease().await;
    let (bytes, digest) = (b"a package", sha256(b"a package"));
    assert_eq!(builder.blob(&lease.key, &digest, bytes).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(builder.blob(&lease.key, &digest, bytes).await.status(), StatusCode::OK);
    assert_eq!(farm.store.get(&digest).await.unwrap().bytes(100).await.unwrap(), bytes);
    let mut end = testing::ended(Outcome::Succeeded);
    let name = "hello-1-1.x86_64.rpm".parse().unwrap();
    end.artifacts = vec![NewArtifact { kind: ArtifactKind::Rpm, name, digest, size: bytes.len() as u64 }];
    assert_eq!(builder.finish_with(&lease.key, &end).await.status(), StatusCode::NO_CONTENT);
    let task = read::task(&mut farm.conn(), farm_db::Viewer::ANYBODY, lease.key.task).unwrap();
    assert_eq!(task.artifacts.len(), 1);
}

#[tokio::test]
async fn a_blob_that_was_brought_is_answered_for_before_its_bytes_are_read_and_one_that_only_exists_is_not() {
    let (farm, builder, lease) = farm_with_lease().await;
    let digest = sha256(b"known");
    blobs::record(&mut farm.conn(), &digest, 5).unwrap();
    assert_eq!(builder.blob(&lease.key, &digest, b"known").await.status(), StatusCode::NO_CONTENT);
    let never = reqwest::Body::wrap_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = builder.call(Method::PUT, &format!("blobs/{digest}"), Some(&lease.key));
    let answer = request.header("content-length", 5).body(never).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_large_artifact_that_is_refused_gets_its_refusal_and_not_a_broken_connection() {
    let (_farm, builder, lease) = farm_with_lease().await;
    let bytes = vec![b'x'; 16 << 20];
    assert_eq!(refusal(builder.blob(&lease.key, &sha256(&bytes), &bytes).await).await, ErrorCode::TooLarge);
}

#[tokio::test]
async fn an_artifact_of_wrong_bytes_is_refused_and_nothing_of_it_stays() {
    let (farm, builder, lease) = farm_with_lease().await;
    let digest = sha256(b"right");
    assert_eq!(refusal(builder.blob(&lease.key, &digest, b"wrong").await).await, ErrorCode::Refused);
    assert!(!farm.store.exists(&digest).await.unwrap());
    assert_eq!(blobs::size(&mut farm.conn(), &digest).unwrap(), None);
    let answer = builder.call(Method::PUT, "blobs/abc", Some(&lease.key)).body("x").send().await.unwrap();
    assert_eq!(refusal(answer).await, ErrorCode::BadRequest);
}

#[tokio::test]
async fn the_sources_of_a_held_task_are_read_and_no_others() {
    let farm = Farm::start().await;
    let bytes = vec![7; 3_000_000];
    let digest = sha256(&bytes);
    let body = stream::iter([Ok::<_, std::io::Error>(bytes.clone().into())]);
    farm.store.put_stream(&digest, bytes.len() as u64, body).await.unwrap();
    let mut conn = farm.conn();
    testing::brought(&mut conn, "alice", &digest, bytes.len() as u64);
    let new = farm_db::intake::Submission {
        sources: vec![("big.src.rpm".to_owned(), digest)],
        ..testing::submission(&mut conn, "alice")
    };
    let (job, _) = farm_db::intake::submit(&mut conn, &new).unwrap();
    testing::accept(&mut conn, job, &["a-x86_64"]);
    let builder = farm.builder("one").await;
    let lease = builder.claim_one().await;
    let answer = builder.call(Method::GET, "sources/1", Some(&lease.key)).send().await.unwrap();
    assert_eq!(answer.content_length(), Some(bytes.len() as u64));
    assert_eq!(answer.bytes().await.unwrap(), bytes);
    let answer = builder.call(Method::GET, "sources/2", Some(&lease.key)).send().await.unwrap();
    assert_eq!(refusal(answer).await, ErrorCode::NotFound);
}
