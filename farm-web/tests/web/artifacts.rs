//! Downloads.

use farm_types::ArtifactKind;

use crate::farm::{Farm, artifact, gzip};

const HOSTILE: &str = "a \"b\" %{c}<script>\u{fc}'.rpm";

/// A farm with one package, of a hundred bytes and a hostile name, and its log. Answers the URLs of both.
async fn farm() -> (Farm, String, String) {
    let farm = Farm::new();
    farm.job(&["a.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    let (package, log) = ((0..100).collect::<Vec<u8>>(), gzip(b"the log\n"));
    let package = artifact(ArtifactKind::Rpm, HOSTILE, farm.blob(&package).await, package.len());
    let log = artifact(ArtifactKind::Log, "build.log", farm.blob(&log).await, log.len());
    builder.succeed(&key, vec![package, log]);
    let task = farm.task(key.task);
    let url = |kind| task.artifacts.iter().find(|artifact| artifact.kind == kind).unwrap().url.clone();
    let (package, log) = (url(ArtifactKind::Rpm), url(ArtifactKind::Log));
    (farm, package, log)
}

#[tokio::test]
async fn a_package_is_sent_whole_or_in_part_and_not_twice() {
    let (farm, package, _) = farm().await;
    let whole = farm.get(&package).await;
    assert_eq!(whole.body, (0..100).collect::<Vec<u8>>());
    assert_eq!(whole.header("content-type"), "application/x-rpm");
    assert_eq!(whole.header("content-length"), "100");
    assert!(whole.header("cache-control").contains("immutable"));
    assert_eq!(
        whole.header("content-disposition"),
        "attachment; filename=\"a _b_ __c__script___.rpm\"; \
         filename*=UTF-8''a%20%22b%22%20%25%7Bc%7D%3Cscript%3E%C3%BC%27.rpm"
    );
    let etag = whole.header("etag").to_owned();
    for (header, value, status, range, bytes) in [
        ("range", "bytes=10-19", 206, "bytes 10-19/100", 10..20),
        ("range", "bytes=90-", 206, "bytes 90-99/100", 90..100),
        ("range", "bytes=-1", 206, "bytes 99-99/100", 99..100),
        ("range", "bytes=100-", 416, "bytes */100", 0..0),
        ("range", "bytes=1-2,4-5", 200, "", 0..100),
        ("if-none-match", etag.as_str(), 304, "", 0..0),
        ("if-none-match", "\"other\"", 200, "", 0..100),
    ] {
        let answer = farm.get_with(&package, &[(header, value)]).await;
        assert_eq!(answer.status, status, "{value}");
        assert_eq!(answer.header("content-range"), range, "{value}");
        assert_eq!(answer.body, bytes.collect::<Vec<u8>>(), "{value}");
    }
    let resumed = farm.get_with(&package, &[("range", "bytes=50-"), ("if-range", &etag)]).await;
    assert_eq!(resumed.status, 206);
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let (farm, package, _) = farm().await;
    let request = axum::http::Request::head(&package).body(axum::body::Body::empty()).unwrap();
    let answer = farm.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length"), answer.body.len()), (200, "100", 0));
}

#[tokio::test]
async fn a_log_is_sent_as_the_client_can_read_it() {
    let (farm, _, log) = farm().await;
    let unpacked = farm.get(&log).await;
    assert_eq!((unpacked.text().as_str(), unpacked.header("content-encoding")), ("the log\n", ""));
    let packed = farm.get_with(&log, &[("accept-encoding", "br, gzip")]).await;
    assert_eq!((&packed.body[..], packed.header("content-encoding")), (&gzip(b"the log\n")[..], "gzip"));
    assert_ne!(packed.header("etag"), unpacked.header("etag"));
    for answer in [&packed, &unpacked] {
        assert_eq!(answer.header("vary"), "accept-encoding");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn a_blob_that_is_damaged_is_not_sent_to_its_end() {
    let (farm, package, _) = farm().await;
    let mut artifacts = [1, 2].map(|id| farm.task(farm_types::TaskId(id)).artifacts).into_iter().flatten();
    let digest = artifacts.find(|artifact| artifact.kind == ArtifactKind::Rpm).unwrap().digest.to_string();
    let farm_store::StoreConfig::Folder { path } = &farm.app.config.store else { panic!() };
    fs_err::write(path.join("blobs").join(&digest[..2]).join(&digest), [0; 100]).unwrap();
    let request = axum::http::Request::get(&package).body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(farm.router.clone(), request).await.unwrap();
    assert!(axum::body::to_bytes(response.into_body(), 1000).await.is_err());
}
