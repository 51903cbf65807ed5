//! A server and a network that let one down.

use std::net::TcpListener;

use farm_api::error::ErrorCode;
use serde_json::json;

use super::{
    program, run,
    server::{Mischief, Server, refusal},
    submit::{building, package},
    things::{digest_of, job, srpm, succeeded},
};

#[test]
fn an_upload_cut_in_the_middle_is_resumed() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 3_000_000);
    server.farm().mischief = vec![
        ("PATCH", Mischief::CutAfter(1_000_000)),
        ("PATCH", Mischief::CutAfter(500_000)),
        ("GET /api/v1/uploads", Mischief::Unavailable),
    ];
    run(program("farm-submit", &server.url).arg(&path)).ended(0);
    let farm = server.farm();
    assert!(farm.blobs.contains_key(&digest_of(&srpm(3_000_000))));
    let patches: Vec<_> = farm.requests.iter().filter(|request| request.starts_with("PATCH")).collect();
    let offsets: Vec<_> = patches.iter().map(|request| request.split_once("offset=").unwrap().1).collect();
    assert_eq!(offsets, ["0", "1000000", "1500000"]);
}

#[test]
fn an_upload_goes_on_at_another_server_from_what_that_one_has() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 3_000_000);
    server.farm().mischief = vec![("PATCH", Mischief::CutAfter(1_000_000)), ("PATCH", Mischief::HasOnly(400_000))];
    run(program("farm-submit", &server.url).arg(&path)).ended(0);
    let farm = server.farm();
    assert!(farm.blobs.contains_key(&digest_of(&srpm(3_000_000))));
    let patches: Vec<_> = farm.requests.iter().filter(|request| request.starts_with("PATCH")).collect();
    let offsets: Vec<_> = patches.iter().map(|request| request.split_once("offset=").unwrap().1).collect();
    assert_eq!(offsets, ["0", "1000000", "400000"]);
    let asked = farm.requests.iter().filter(|request| request.starts_with("GET /api/v1/uploads")).count();
    assert_eq!(asked, 1, "after the cut, but not when the answer says where to go on");
}

#[test]
fn a_lost_answer_to_an_upload_is_no_second_upload() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 100_000);
    server.farm().mischief.push(("PATCH", Mischief::LoseAnswer));
    run(program("farm-submit", &server.url).arg(&path)).ended(0);
    assert_eq!(server.count("PATCH"), 1);
}

#[test]
fn a_lost_answer_to_the_job_makes_no_second_job() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 10);
    server.farm().mischief = vec![("POST /api/v1/jobs", Mischief::LoseAnswer); 3];
    let ran = run(program("farm-submit", &server.url).arg(&path)).ended(0);
    assert!(ran.stdout.starts_with("Job 1: "), "{}", ran.stdout);
    assert_eq!((server.count("POST /api/v1/jobs"), server.farm().submitted.len()), (4, 1));
}

#[test]
fn the_same_id_submitted_twice_is_one_job() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 10);
    for _ in 0..2 {
        let ran = run(program("farm-submit", &server.url).arg(&path).args(["--id", "nightly", "--no-wait"])).ended(0);
        assert!(ran.stdout.starts_with("Job 1: "), "{}", ran.stdout);
    }
    assert_eq!(server.farm().submitted.len(), 1);
}

#[test]
fn a_server_that_cannot_at_the_moment_is_asked_again() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 10);
    server.farm().mischief = vec![
        ("POST /api/v1/uploads", Mischief::Unavailable),
        ("PATCH", Mischief::Unavailable),
        ("POST /api/v1/jobs", Mischief::Unavailable),
        ("POST /api/v1/jobs", Mischief::Unavailable),
    ];
    run(program("farm-submit", &server.url).arg(&path)).ended(0);
    assert_eq!(server.farm().submitted.len(), 1);
}

#[test]
fn a_server_that_never_can_ends_with_4_and_its_reason() {
    let server = building();
    server.farm().mischief = vec![("GET /api/v1/whoami", Mischief::Unavailable); 9];
    let ran = run(program("farm", &server.url).arg("whoami")).ended(4);
    assert!(ran.stderr.contains("cannot do that now: the database restarts"), "{}", ran.stderr);
    assert_eq!(server.count("GET"), 5);
}

#[test]
fn a_full_store_is_no_fault_of_the_package() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 10);
    let body = refusal(ErrorCode::StoreFull, "the store is full; an operator must make room", json!([]));
    server.farm().mischief.push(("PATCH", Mischief::Refuse(body)));
    let ran = run(program("farm-submit", &server.url).arg(&path)).ended(4);
    assert!(ran.stderr.contains("the store is full"), "{}", ran.stderr);
    assert_eq!(server.farm().submitted.len(), 0);
}

#[test]
fn nobody_at_the_address_ends_with_4() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = run(program("farm", &format!("http://127.0.0.1:{port}/")).arg("list")).ended(4);
    assert!(ran.stderr.contains(&format!("cannot reach the farm at http://127.0.0.1:{port}/: Connection refused")));
}

#[test]
fn something_else_at_the_address_ends_with_4_and_says_so() {
    let server = building();
    let ran = run(program("farm", &format!("{}elsewhere/", server.url)).arg("list")).ended(4);
    assert!(ran.stderr.contains("does not speak as a farm does: it answered 404"), "{}", ran.stderr);
}

#[test]
fn an_address_that_is_none_is_wrong_usage() {
    for address in ["farm.example.org", "ftp://farm/", "http://alice:secret@farm/"] {
        let ran = run(program("farm", address).arg("list")).ended(2);
        assert!(ran.stderr.contains("is no address of a server"), "{}", ran.stderr);
    }
}

#[test]
fn what_does_not_exist_is_refused_with_3() {
    let server = building();
    let ran = run(program("farm", &server.url).args(["show", "99"])).ended(3);
    assert_eq!(ran.stderr, "farm: there is no job 99\n");
}

#[test]
fn a_reader_that_goes_away_is_no_error_to_tell() {
    let jobs = (1..2000).map(|id| (id, job(id, vec![succeeded(id, "f13-x86_64", &[])])));
    let server = Server::start(super::server::Farm { jobs: jobs.collect(), ..Default::default() });
    let mut child = std::process::Command::new(super::binary("farm"))
        .args(["list", "--server", &server.url])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((String::from_utf8(output.stderr).unwrap().as_str(), output.status.code()), ("", Some(141)));
}

#[test]
fn the_token_of_the_configuration_goes_to_its_server_only() {
    let (server, other) = (building(), building());
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/farm");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), format!("server = {:?}\ntoken_file = \"token\"\n", server.url)).unwrap();
    std::fs::write(folder.join("token"), "secret\n").unwrap();
    let mut command = assert_cmd::Command::new(super::binary("farm"));
    command.env_clear().env("HOME", home.path()).arg("whoami");
    let ran = run(&mut command).ended(0);
    assert!(ran.stderr.contains("others can read your token: chmod 600 "), "{}", ran.stderr);
    assert_eq!(server.farm().authorization.as_deref(), Some("Bearer secret"));
    run(command.args(["--server", &other.url])).ended(0);
    assert_eq!(other.farm().authorization, None);
}
