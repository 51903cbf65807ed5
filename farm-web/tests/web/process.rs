//! The daemon itself: its configuration, its end, a disk that is full.

use std::{
    os::unix::fs::MetadataExt as _,
    process::Command,
    time::{Duration, Instant},
};

use farm_api::{
    client::{ClientError, JobEvent, PeopleClient, Transport},
    error::ErrorCode,
    people::NewUpload,
};
use farm_store::StoreConfig;
use farm_testing::{Process, program};

use crate::farm::{Farm, sha256};

/// The configuration of a daemon on the database of a farm, with its store there.
fn config(farm: &Farm, listen: &str, store: &str) -> String {
    format!(
        "local_user = 'alice'\ndatabase = '{}'\nspool = '{store}/spool'\n[http]\nlisten = '{listen}'\n[store]\nkind = 'folder'\npath = '{store}'\n",
        farm.app.config.database
    )
}

fn client(process: &Process) -> PeopleClient {
    PeopleClient::new(Transport::new(&process.url("/"), "test").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_counts_what_it_serves_and_ends_though_somebody_watches() {
    let farm = Farm::new();
    let job = farm.submit(&["a.src.rpm"]).await;
    let StoreConfig::Folder { path } = &farm.app.config.store else { panic!() };
    let mut web = Process::daemon("farm-web", &config(&farm, "127.0.0.1:0", &path.to_string_lossy()));
    let client = client(&web);
    let mut events = client.events(job);
    assert!(matches!(events.next().await.unwrap().unwrap(), JobEvent::Job(_)));

    let address = web.url("/metrics");
    let metrics = tokio::task::spawn_blocking(move || get(&address)).await.unwrap();
    for line in ["farm_web_viewers{kind=\"job\"} 1", "route=\"/api/v1/jobs/{id}/events\""] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let begin = Instant::now();
    assert!(web.terminate().success());
    assert!(begin.elapsed() < Duration::from_secs(8), "it took {:?} to end", begin.elapsed());
}

#[test]
fn a_farm_for_one_person_lets_no_other_machine_in() {
    let farm = Farm::new();
    let dir = tempfile::tempdir().unwrap();
    for (listen, good) in [("0.0.0.0:8000", false), ("192.0.2.1:80", false), ("[::1]:0", true), ("unix:/tmp/s", true)] {
        let file = dir.path().join("farm-web.toml");
        fs_err::write(&file, config(&farm, listen, "/srv/farm")).unwrap();
        let mut command = Command::new(program("farm-web", "farm-web"));
        let output = command.arg("--check-config").arg("--config").arg(&file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(if good { 0 } else { 2 }), "{listen}: {said}");
        assert!(good || said.contains("with local_user nobody is asked who it is"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_a_full_store_is_refused_and_what_arrived_is_kept() {
    let farm = Farm::new();
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = (dir.path().join("store"), dir.path().join("farm-web.toml"));
    fs_err::create_dir(&store).unwrap();
    fs_err::write(&file, config(&farm, "127.0.0.1:0", &store.to_string_lossy())).unwrap();
    // A small file system in a mount namespace of its own; who is not root needs to be it there.
    let mut command = Command::new("unshare");
    if fs_err::metadata("/proc/self").unwrap().uid() != 0 {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c"]);
    command.arg(r#"mount -t tmpfs -o size=12m tmpfs "$1" && shift && exec "$@""#).arg("sh").arg(&store);
    command.arg(program("farm-web", "farm-web")).arg("--with-parent").arg("--config").arg(&file);
    let mut web = Process::start("farm-web", command);
    web.wait_until_ready();

    let bytes = vec![7; 20 << 20];
    let source = dir.path().join("source");
    fs_err::write(&source, &bytes).unwrap();
    let (client, digest, size) = (client(&web), sha256(&bytes), bytes.len() as u64);
    let error = client.upload(&source, digest, size, |_| {}).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }) && error.code() == Some(ErrorCode::StoreFull), "{error}");
    assert!(error.to_string().contains("what arrived is kept"), "{error}");
    let kept = client.begin_upload(&NewUpload { digest, size }).await.unwrap().offset;
    assert!(kept > 8 << 20, "only {kept} bytes were kept");
}

/// A GET without a library: one answer, then the end.
fn get(url: &str) -> String {
    use std::io::{Read as _, Write as _};
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = std::net::TcpStream::connect(host).unwrap();
    write!(socket, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}
