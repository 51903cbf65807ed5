//! TLS, with certificates of an authority of our own.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use farm_api::client::{ClientError, Transport};

use crate::run;

/// A TLS server of OpenSSL's that answers `GET /greeting`.
struct Tls {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Tls {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let body = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\"hello\"";
        fs_err::write(dir.path().join("greeting"), body).unwrap();
        make_certificate(dir.path());
        let mut child = openssl(dir.path())
            .args(["s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem", "-HTTP"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // `ACCEPT 127.0.0.1:40123`
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.filter_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned)).next().unwrap();
        let port = line.rsplit(':').next().unwrap().parse().unwrap();
        Self { child, port, dir }
    }

    fn get(&self, host: &str, ca: Option<&Path>) -> Result<String, ClientError> {
        let address = format!("https://{host}:{}/", self.port);
        let mut answer = None;
        let client = Transport::trusting(&address, "tests", ca)?;
        run(async { answer = Some(client.get("greeting").tries(1).answer().await) });
        answer.unwrap()
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(dir: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// A certificate for `localhost` that is its own authority.
fn make_certificate(dir: &Path) {
    let output = openssl(dir)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_server_is_trusted_by_the_authority_that_is_named_and_only_under_its_name() {
    let server = Tls::start();
    let ca = server.dir.path().join("cert.pem");
    assert_eq!(server.get("localhost", Some(&ca)).unwrap(), "hello");
    for (host, ca) in [("localhost", None), ("127.0.0.1", Some(ca.as_path()))] {
        let error = server.get(host, ca).unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[test]
fn a_file_without_certificates_is_named() {
    let server = Tls::start();
    let error = server.get("localhost", Some(&server.dir.path().join("greeting"))).unwrap_err();
    assert!(error.to_string().contains("greeting holds no certificates"), "{error}");
}
