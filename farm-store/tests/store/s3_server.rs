//! A real S3 server on loopback: SeaweedFS, as `tests/get-s3-server` gets it.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use farm_store::{S3Config, Store, StoreConfig};
use tempfile::TempDir;

const VERSION: &str = "4.48";
const ACCESS_KEY: &str = "farm";
const SECRET_KEY: &str = "farm-secret";
const START_LIMIT: Duration = Duration::from_secs(60);

/// Kills the server and clears up when its standard input ends, that is also when the tests are killed.
const KEEPER: &str = r#"
    dir=$1 ports=$2; shift 2
    "$@" >>"$dir/log" 2>&1 & server=$!
    cat
    kill -9 $server; wait
    for port in $ports; do rm -f /tmp/seaweedfs-*-"$port".sock; done
    [ -e "$dir/keep" ] || rm -rf "$dir""#;

/// A folder with the server's data, keys and ports; the server runs as long as a [`Running`] of it lives.
pub struct S3Server {
    dir: PathBuf,
    ports: Vec<u16>,
}

pub struct Running {
    keeper: Child,
    stdin: Option<ChildStdin>,
}

impl S3Server {
    pub fn new() -> Self {
        let dir = TempDir::with_prefix("farm-s3-").unwrap().keep();
        let keys = format!(
            r#"{{"identities":[{{"name":"farm","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],
            "actions":["Admin"]}}]}}"#
        );
        for (name, text) in [("keys.json", &*keys), ("access", ACCESS_KEY), ("secret", SECRET_KEY), ("log", "")] {
            fs::write(dir.join(name), text).unwrap();
        }
        // All held at once, so that they differ.
        let held: Vec<_> = (0..10).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = held.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        Self { dir, ports }
    }

    /// Starts it and waits until it can be written.
    pub async fn start(&self) -> Running {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&self.dir)
            .arg(self.ports.iter().map(|port| format!("{port} ")).collect::<String>())
            .arg(program())
            .args(self.arguments())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let running = Running { stdin: keeper.stdin.take(), keeper };
        let deadline = Instant::now() + START_LIMIT;
        let probe = Store::open(&self.config("probe"), &self.dir.join("probe")).unwrap();
        while let Err(error) = probe.check().await {
            let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the S3 server does not start: {error}\n{log}");
        }
        running
    }

    pub fn config(&self, prefix: &str) -> StoreConfig {
        StoreConfig::S3(S3Config {
            endpoint: format!("http://127.0.0.1:{}", self.ports[0]),
            bucket: "farm".to_owned(),
            prefix: prefix.to_owned(),
            region: "us-east-1".to_owned(),
            access_key_file: self.dir.join("access"),
            secret_key_file: self.dir.join("secret"),
            allow_http: true,
        })
    }

    /// How many bytes the server keeps.
    pub fn data_size(&self) -> u64 {
        let files = fs::read_dir(self.dir.join("data")).unwrap().map_while(Result::ok);
        files.filter_map(|file| file.metadata().ok()).filter(|m| m.is_file()).map(|m| m.len()).sum()
    }

    /// Lets the data outlive the next stop.
    pub fn keep_data(&self, keep: bool) {
        let mark = self.dir.join("keep");
        if keep { fs::write(mark, "").unwrap() } else { fs::remove_file(mark).unwrap() }
    }

    fn arguments(&self) -> Vec<String> {
        let data = self.dir.join("data");
        fs::create_dir_all(&data).unwrap();
        let ports = [
            "s3.port",
            "s3.port.grpc",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "admin.port",
            "admin.port.grpc",
        ];
        let ports = ports.iter().zip(&self.ports).map(|(name, port)| format!("-{name}={port}"));
        // Nothing leaves this machine: SeaweedFS reports to its makers unless it is told not to.
        let fixed = [
            "mini",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-bucket=farm",
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ];
        let paths =
            [format!("-dir={}", data.display()), format!("-s3.config={}", self.dir.join("keys.json").display())];
        fixed.map(str::to_owned).into_iter().chain(paths).chain(ports).collect()
    }
}

impl Running {
    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        drop(self.stdin.take());
        self.keeper.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn program() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let program = workspace.join(format!(".cache/s3-server/weed-{VERSION}"));
    assert!(program.exists(), "the S3 server of the tests is missing: run farm-store/tests/get-s3-server");
    program
}
