//! What dnf fetches. That dnf can use it is shown where it is made, in farm-publisher.

use axum::http::{StatusCode, header};
use farm_db::{operator, testing};
use farm_web::Config;

use crate::farm::Farm;

const DIGEST: &str = "abababababababababababababababababababababababababababababababab";

/// A farm that serves a folder with one repository in it.
fn farm(dir: &tempfile::TempDir) -> Farm {
    farm_with(dir, |_| {})
}

/// The same, with something changed in the configuration.
fn farm_with(dir: &tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Farm {
    let repository = dir.path().join("scratch/f13-x86_64");
    let package = repository.join("packages").join(DIGEST);
    for folder in [&repository.join("repodata"), &package, &dir.path().join(".publisher")] {
        fs_err::create_dir_all(folder).unwrap();
    }
    fs_err::write(repository.join("repodata/repomd.xml"), "<repomd/>").unwrap();
    fs_err::write(package.join("a %{b}.rpm"), "0123456789").unwrap();
    fs_err::write(dir.path().join(".publisher/secret"), "secret").unwrap();
    Farm::with(|config| {
        config.repositories = Some(dir.path().to_owned());
        change(config);
    })
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
    assert_eq!(index.headers[header::CACHE_CONTROL], "public, no-cache");
    let path = format!("/repositories/scratch/f13-x86_64/packages/{DIGEST}/a%20%25%7Bb%7D.rpm");
    let package = farm.get(&path).await;
    assert_eq!(&package.body[..], b"0123456789");
    assert_eq!(package.headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
}

#[tokio::test]
async fn what_not_everybody_sees_is_kept_by_no_cache_that_people_share() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm(&dir);
    let package = format!("packages/{DIGEST}/a%20%25%7Bb%7D.rpm");
    let ask = async |farm: &Farm, who: &str| {
        for path in ["farm.repo", "repodata/repomd.xml", &package] {
            let answer = farm.get(&format!("/repositories/scratch/f13-x86_64/{path}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
            let kept = answer.header("cache-control");
            assert!(kept.starts_with(&format!("{who}, ")), "{path}: {kept}");
            assert_eq!(answer.header("vary").contains("Authorization, Cookie"), who == "private", "{path}");
        }
    };
    ask(&farm, "public").await;
    let mut conn = farm.connect();
    let operator = testing::operator();
    operator::put_bucket(&mut conn, &operator, &"scratch".parse().unwrap(), None, Some(false)).unwrap();
    operator::set_grant(&mut conn, &operator, &"see:scratch".parse().unwrap(), "alice", true).unwrap();
    ask(&farm, "private").await;
}

#[tokio::test]
async fn where_everybody_has_to_log_in_nothing_is_for_a_shared_cache_and_dnf_is_asked_for_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm_with(&dir, |config| config.require_login = true);
    let path = "/repositories/scratch/f13-x86_64/repodata/repomd.xml";
    assert_eq!(farm.get(path).await.header("cache-control"), "private, no-cache");
    // Whom a proxy brings is not on this machine, and so nobody who is known.
    let stranger = farm.get_with(path, &[("x-forwarded-for", "192.0.2.7")]).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(stranger.header("www-authenticate").starts_with("Basic "), "{:?}", stranger.headers);
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
