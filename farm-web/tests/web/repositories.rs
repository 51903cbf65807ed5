//! What dnf fetches. That dnf can use it is shown where it is made, in farm-publisher.

use axum::http::{StatusCode, header};

use crate::farm::Farm;

const DIGEST: &str = "abababababababababababababababababababababababababababababababab";

/// A farm that serves a folder with one repository in it.
fn farm(dir: &tempfile::TempDir) -> Farm {
    let repository = dir.path().join("scratch/f13-x86_64");
    let package = repository.join("packages").join(DIGEST);
    for folder in [&repository.join("repodata"), &package, &dir.path().join(".publisher")] {
        fs_err::create_dir_all(folder).unwrap();
    }
    fs_err::write(repository.join("repodata/repomd.xml"), "<repomd/>").unwrap();
    fs_err::write(package.join("a %{b}.rpm"), "0123456789").unwrap();
    fs_err::write(dir.path().join(".publisher/secret"), "secret").unwrap();
    Farm::with(|config| config.repositories = Some(dir.path().to_owned()))
}

#[tokio::test]
async fn dnf_finds_a_repository_by_its_repo_file() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm(&dir);
    let answer = farm.get("/repositories/scratch/f13-x86_64/farm.repo").await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.starts_with("[farm-scratch-f13-x86_64]\n"), "{text}");
    assert!(text.contains("/repositories/scratch/f13-x86_64/\n"), "{text}");
    assert_eq!(farm.get("/repositories/scratch/f14-x86_64/farm.repo").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_index_is_asked_for_each_time_and_packages_are_kept_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm(&dir);
    let index = farm.get("/repositories/scratch/f13-x86_64/repodata/repomd.xml").await;
    assert_eq!((index.status, &index.body[..]), (StatusCode::OK, &b"<repomd/>"[..]));
    assert_eq!(index.headers[header::CACHE_CONTROL], "no-cache");
    let path = format!("/repositories/scratch/f13-x86_64/packages/{DIGEST}/a%20%25%7Bb%7D.rpm");
    let package = farm.get(&path).await;
    assert_eq!(&package.body[..], b"0123456789");
    assert!(package.headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
}

#[tokio::test]
async fn no_path_leads_out_of_a_repository() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm(&dir);
    for path in [
        "/repositories/.publisher/secret/farm.repo",
        "/repositories/scratch/f13-x86_64/repodata/..%2F..%2F..%2F.publisher%2Fsecret",
        "/repositories/scratch/..%2F.publisher/repodata/secret",
        "/repositories/scratch/f13-x86_64/packages/%2e%2e/repomd.xml",
        "/repositories/scratch/f13-x86_64/repodata/.hidden",
    ] {
        let answer = farm.get(path).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        assert_ne!(&answer.body[..], b"secret", "{path}");
    }
}
