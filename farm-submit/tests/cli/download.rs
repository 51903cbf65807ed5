//! `farm download`.

use std::{fs, path::Path};

use farm_types::TaskState;
use serde_json::Value;

use super::{
    Ran, program, run,
    server::{Mischief, Server},
    things::{content, digest_of, failed, job, succeeded, task},
};

const NAME: &str = "hello-%{x} 1.0-1.x86_64.rpm";

fn server() -> Server {
    let tasks = vec![succeeded(1, "f13-x86_64", &[NAME, "hello-1.0-1.src.rpm"]), failed(2, "f14-x86_64")];
    Server::with_job(job(42, tasks))
}

fn download(server: &Server, folder: &Path, arguments: &[&str]) -> Ran {
    run(program("farm", &server.url).args(["download", "42", "-d"]).arg(folder).args(arguments))
}

#[test]
fn packages_come_to_a_folder_per_platform_and_what_is_missing_is_told() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let ran = download(&server, folder.path(), &[]).ended(0);
    let target = folder.path().join("f13-x86_64").join(NAME);
    assert_eq!(fs::read(&target).unwrap(), content(NAME));
    assert_eq!(ran.stdout.lines().next().unwrap(), target.display().to_string());
    assert_eq!(ran.stderr, "no packages of 42:f14-x86_64, which is failed\n2 files, 97.7 KiB\n");
    let left: Vec<_> = fs::read_dir(folder.path().join("f13-x86_64")).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_file_that_is_there_is_not_downloaded_again_and_a_different_one_is_kept() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    download(&server, folder.path(), &["-q"]).ended(0);
    let target = folder.path().join("f13-x86_64").join(NAME);
    fs::write(&target, "mine").unwrap();
    let ran = download(&server, folder.path(), &[]).ended(2);
    assert!(ran.stderr.contains("is there and differs; --force overwrites it"), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 file, 48.8 KiB; 1 of them there before"), "{}", ran.stderr);
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    download(&server, folder.path(), &["--force"]).ended(0);
    assert_eq!(fs::read(&target).unwrap(), content(NAME));
    assert_eq!(server.count("GET /artifacts/"), 3);
}

#[test]
fn a_download_cut_in_the_middle_goes_on_where_it_was() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    server.farm().mischief = vec![("GET /artifacts/100/", Mischief::CutAfter(20_000)); 2];
    download(&server, folder.path(), &[]).ended(0);
    assert_eq!(fs::read(folder.path().join("f13-x86_64").join(NAME)).unwrap(), content(NAME));
    assert_eq!(server.count("GET /artifacts/100/"), 3);
}

#[test]
fn what_an_earlier_download_left_is_used_if_it_is_right_and_dropped_if_not() {
    for beginning in [content(NAME)[..30_000].to_vec(), vec![7; 30_000], vec![7; 90_000]] {
        let (server, folder) = (server(), tempfile::tempdir().unwrap());
        let place = folder.path().join("f13-x86_64");
        fs::create_dir(&place).unwrap();
        fs::write(place.join(format!(".{}.part", digest_of(&content(NAME)))), beginning).unwrap();
        download(&server, folder.path(), &[]).ended(0);
        assert_eq!(fs::read(place.join(NAME)).unwrap(), content(NAME));
    }
}

#[test]
fn bytes_that_are_not_the_right_ones_never_get_the_name() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let wrong = vec![7; content(NAME).len()];
    server.farm().blobs.insert(digest_of(&content(NAME)), wrong);
    let ran = download(&server, folder.path(), &[]).ended(2);
    assert!(ran.stderr.contains("what came is not what the farm has"), "{}", ran.stderr);
    assert!(!folder.path().join("f13-x86_64").join(NAME).exists());
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_not_accepted_from_any_server() {
    let folder = tempfile::tempdir().unwrap();
    let text = serde_json::to_string(&job(42, vec![succeeded(1, "f13-x86_64", &["evil.rpm"])])).unwrap();
    let hostile = server_that_says(text.replace("\"evil.rpm\"", "\"../../evil.rpm\""));
    let ran = run(program("farm", &hostile.1).args(["download", "42", "-d"]).arg(folder.path())).ended(4);
    assert!(ran.stderr.contains("is no file name"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_link_where_the_beginning_would_be_is_not_followed() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let place = folder.path().join("f13-x86_64");
    fs::create_dir(&place).unwrap();
    let precious = folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let part = place.join(format!(".{}.part", digest_of(&content(NAME))));
    std::os::unix::fs::symlink(&precious, part).unwrap();
    download(&server, folder.path(), &[]).ended(2);
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}

#[test]
fn a_job_without_packages_ends_with_1() {
    let server = Server::with_job(job(42, vec![task(1, "f13-x86_64", TaskState::Pending)]));
    let folder = tempfile::tempdir().unwrap();
    let ran = download(&server, folder.path(), &[]).ended(1);
    assert!(ran.stderr.ends_with("nothing to download of job 42, which is queued\n"), "{}", ran.stderr);
}

#[test]
fn as_json_the_files_are_one_document() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let ran = download(&server, folder.path(), &["--json"]).ended(0);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["files"][0]["artifact"]["name"], NAME);
    assert_eq!(document["files"][0]["was_there"], false);
}

/// A server that answers everything with the same text.
fn server_that_says(text: String) -> (tokio::runtime::Runtime, String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(move || std::future::ready(text.clone()));
    runtime.spawn(async move { axum::serve(listener, app).await });
    (runtime, url)
}
