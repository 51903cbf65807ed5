//! Files come in pieces, are verified, and count only then.

use axum::{body::Body, http::StatusCode};
use farm_api::{
    client::{PeopleClient, Transport, Uploaded},
    error::ErrorCode,
    people::{NewUpload, Upload},
};
use farm_testing::{DEADLINE, eventually};
use futures::StreamExt as _;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::farm::{Farm, sha256};

async fn begin(farm: &Farm, bytes: &[u8]) -> Upload {
    let new = NewUpload { digest: sha256(bytes), size: bytes.len() as u64 };
    let answer = farm.post("/api/v1/uploads", &new).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

fn path(upload: &Upload, offset: u64) -> String {
    format!("/api/v1/uploads/{}?offset={offset}", upload.id.unwrap())
}

#[tokio::test]
async fn a_file_is_known_after_its_last_byte_and_not_asked_for_again() {
    let farm = Farm::new();
    let bytes = b"a source package".repeat(1000);
    let upload = begin(&farm, &bytes).await;
    assert_eq!((upload.offset, upload.complete), (0, false));

    let half: Upload = farm.patch(&path(&upload, 0), bytes[..5000].to_vec()).await.json();
    assert_eq!((half.offset, half.complete, half.id), (5000, false, upload.id));
    let whole: Upload = farm.patch(&path(&upload, 5000), bytes[5000..].to_vec()).await.json();
    assert_eq!((whole.offset, whole.complete, whole.id), (16_000, true, None));

    let again = begin(&farm, &bytes).await;
    assert_eq!((again.complete, again.id), (true, None));
    assert_eq!(farm.app.store.get(&sha256(&bytes)).await.unwrap().bytes(1 << 20).await.unwrap(), bytes);
}

#[tokio::test]
async fn an_upload_cut_in_the_middle_is_resumed() {
    let farm = Farm::new();
    let address = farm.serve().await;
    let bytes = b"0123456789".repeat(100_000);
    let upload = begin(&farm, &bytes).await;

    let mut socket = TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap();
    let head =
        format!("PATCH {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", path(&upload, 0), bytes.len());
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&bytes[..300_000]).await.unwrap();
    // Dropped with bytes on their way: what arrives of them stays.
    socket.shutdown().await.unwrap();
    drop(socket);
    let status = format!("/api/v1/uploads/{}", upload.id.unwrap());
    let arrived = eventually("the bytes before the cut", DEADLINE, async || {
        let now: Upload = farm.get(&status).await.json();
        (now.offset == 300_000).then_some(now.offset)
    })
    .await;

    let rest = bytes[usize::try_from(arrived).unwrap()..].to_vec();
    let whole: Upload = farm.patch(&path(&upload, arrived), rest).await.json();
    assert!(whole.complete);
}

#[tokio::test]
async fn the_client_of_the_farm_brings_a_file_and_finds_it_there_the_next_time() {
    let farm = Farm::new();
    let client = PeopleClient::new(Transport::new(&farm.serve().await, "test").unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes = b"abc".repeat(1 << 20);
    fs_err::write(file.path(), &bytes).unwrap();
    let (digest, size) = (sha256(&bytes), bytes.len() as u64);
    assert_eq!(client.upload(file.path(), digest, size, |_| {}).await.unwrap(), Uploaded::Sent);
    assert_eq!(client.upload(file.path(), digest, size, |_| {}).await.unwrap(), Uploaded::WasThere);
}

#[tokio::test]
async fn a_gap_is_refused_with_the_right_offset_and_what_is_sent_again_replaces_what_came() {
    let farm = Farm::new();
    let upload = begin(&farm, &[7; 100]).await;
    farm.patch(&path(&upload, 0), vec![6; 40]).await;
    for offset in [41, 100] {
        let answer = farm.patch(&path(&upload, offset), vec![7; 10]).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert_eq!((answer.refusal().code, answer.refusal().offset), (ErrorCode::WrongOffset, Some(40)));
        assert!(answer.text().contains("begin at 40"), "{}", answer.text());
    }
    let again: Upload = farm.patch(&path(&upload, 0), vec![7; 30]).await.json();
    assert_eq!((again.offset, again.complete), (30, false));
    assert!(farm.patch(&path(&upload, 30), vec![7; 70]).await.json::<Upload>().complete);
}

#[tokio::test]
async fn of_two_senders_at_once_the_second_is_refused_and_the_first_goes_on() {
    let farm = Farm::new();
    let bytes = vec![7; 1000];
    let upload = begin(&farm, &bytes).await;
    let (sender, receiver) = futures::channel::mpsc::unbounded::<std::io::Result<Vec<u8>>>();
    sender.unbounded_send(Ok(bytes[..500].to_vec())).unwrap();
    let url = path(&upload, 0);
    let first = farm.patch(&url, Body::from_stream(receiver));
    let second = async {
        // The first one holds the upload from its first byte on.
        eventually("the first sender", DEADLINE, async || farm.app.store.staged_len(upload.id.unwrap()).await.unwrap())
            .await;
        let answer = farm.patch(&url, bytes.clone()).await;
        sender.unbounded_send(Ok(bytes[500..].to_vec())).unwrap();
        drop(sender);
        answer
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(second.status, StatusCode::CONFLICT, "{}", second.text());
    assert!(first.json::<Upload>().complete);
}

#[tokio::test]
async fn bytes_that_are_not_what_was_announced_are_refused_and_forgotten() {
    let farm = Farm::new();
    let upload = begin(&farm, b"right").await;
    let answer = farm.patch(&path(&upload, 0), "wrong").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains("send it again"), "{}", answer.text());
    assert_eq!(farm.patch(&path(&upload, 0), "right").await.status, StatusCode::NOT_FOUND);
    assert!(!begin(&farm, b"right").await.complete);
}

#[tokio::test]
async fn more_bytes_than_announced_are_refused() {
    let farm = Farm::new();
    let upload = begin(&farm, &[7; 100]).await;
    let announced = farm
        .send(
            axum::http::Request::patch(path(&upload, 0))
                .header("content-length", "101")
                .body(vec![7; 101].into())
                .unwrap(),
        )
        .await;
    assert_eq!(announced.status, StatusCode::UNPROCESSABLE_ENTITY);
    let stream = futures::stream::iter([Ok::<_, std::io::Error>(vec![7; 101])]).boxed();
    let streamed = farm.patch(&path(&upload, 0), Body::from_stream(stream)).await;
    assert_eq!(streamed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(streamed.text().contains("more bytes"), "{}", streamed.text());
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_before_it_is_sent() {
    let farm = Farm::with(|config| config.max_upload_bytes = 10);
    let answer = farm.post("/api/v1/uploads", &NewUpload { digest: sha256(b""), size: 11 }).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.text().contains("takes 10 at the most"), "{}", answer.text());
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let farm = Farm::new();
    let upload = begin(&farm, b"").await;
    assert!(farm.patch(&path(&upload, 0), Body::empty()).await.json::<Upload>().complete);
}

#[tokio::test]
async fn a_blob_that_the_store_lost_is_asked_for_again() {
    let farm = Farm::new();
    let digest = farm.blob(b"lost").await;
    farm.app.store.delete(&digest).await.unwrap();
    let upload = begin(&farm, b"lost").await;
    assert!(!upload.complete);
    assert!(farm.patch(&path(&upload, 0), "lost").await.json::<Upload>().complete);
}
