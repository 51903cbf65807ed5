//! A real S3 server: SeaweedFS, as `farm-store/tests/get-s3-server` gets it.

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::eventually_blocking;

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

/// A folder with the server's data, keys and ports; the server runs as long as a [`S3Running`] of it lives. It has a bucket `farm`.
#[derive(Debug)]
pub struct S3Server {
    dir: PathBuf,
    address: String,
    ports: Vec<u16>,
}

/// A run of the server. It ends with this, and with the test.
#[derive(Debug)]
pub struct S3Running {
    keeper: Child,
    stdin: Option<ChildStdin>,
}

impl S3Server {
    /// One on loopback.
    #[expect(clippy::new_without_default, reason = "it makes something; a default is for values")]
    pub fn new() -> Self {
        Self::at("127.0.0.1")
    }

    /// One at this address of the machine.
    pub fn at(address: &str) -> Self {
        let dir = TempDir::with_prefix("farm-s3-").unwrap().keep();
        let keys = format!(
            r#"{{"identities":[{{"name":"farm","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],
            "actions":["Admin"]}}]}}"#
        );
        for (name, text) in [("keys.json", &*keys), ("access", ACCESS_KEY), ("secret", SECRET_KEY), ("log", "")] {
            fs_err::write(dir.join(name), text).unwrap();
        }
        // All held at once, so that they differ.
        let held: Vec<_> = (0..10).map(|_| TcpListener::bind((address, 0)).unwrap()).collect();
        let ports = held.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        Self { dir, address: address.to_owned(), ports }
    }

    /// Starts it and waits until it answers. It can be written a moment later.
    pub fn start(&self) -> S3Running {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&self.dir)
            .arg(self.ports.iter().map(|port| format!("{port} ")).collect::<String>())
            .arg(program())
            .args(self.arguments())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let running = S3Running { stdin: keeper.stdin.take(), keeper };
        let at = (self.address.as_str(), self.ports[0]);
        eventually_blocking("an answer of the S3 server", START_LIMIT, || TcpStream::connect(at).ok());
        running
    }

    /// Where it is, as a URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", self.address, self.ports[0])
    }

    /// The file with the access key.
    pub fn access_key_file(&self) -> PathBuf {
        self.dir.join("access")
    }

    /// The file with the secret key.
    pub fn secret_key_file(&self) -> PathBuf {
        self.dir.join("secret")
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        fs_err::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// How many bytes the server keeps.
    pub fn data_size(&self) -> u64 {
        let files = fs_err::read_dir(self.dir.join("data")).unwrap().map_while(Result::ok);
        files.filter_map(|file| file.metadata().ok()).filter(|m| m.is_file()).map(|m| m.len()).sum()
    }

    /// Lets the data outlive the next stop.
    pub fn keep_data(&self, keep: bool) {
        let mark = self.dir.join("keep");
        if keep { fs_err::write(mark, "").unwrap() } else { fs_err::remove_file(mark).unwrap() }
    }

    fn arguments(&self) -> Vec<String> {
        let data = self.dir.join("data");
        fs_err::create_dir_all(&data).unwrap();
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
            "-master.telemetry=false",
            "-bucket=farm",
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ];
        let paths = [
            format!("-dir={}", data.display()),
            format!("-s3.config={}", self.dir.join("keys.json").display()),
            format!("-ip={}", self.address),
            format!("-ip.bind={}", self.address),
        ];
        fixed.map(str::to_owned).into_iter().chain(paths).chain(ports).collect()
    }
}

impl S3Running {
    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        drop(self.stdin.take());
        self.keeper.wait().unwrap();
    }
}

impl Drop for S3Running {
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
