//! HTTPS with certificates that are made here, and that change.

use std::{
    fs::Permissions,
    io::Read as _,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use farm_testing::DEADLINE;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::support::{Daemon, ask, body, command_in};

/// A folder with a certificate for localhost and its key.
struct Files {
    dir: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("server.pem"), dir.path().join("server.key"));
        let files = Self { dir, certificate, key };
        files.renew();
        files
    }

    /// Another certificate with another key.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs_err::write(&self.certificate, made.cert.pem()).unwrap();
        fs_err::write(&self.key, made.signing_key.serialize_pem()).unwrap();
        self.set_mode(0o600);
    }

    fn set_mode(&self, mode: u32) {
        fs_err::set_permissions(&self.key, Permissions::from_mode(mode)).unwrap();
    }

    fn config(&self) -> String {
        format!(
            "http.listen = \"127.0.0.1:0\"\n[http.tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
            self.certificate.display(),
            self.key.display()
        )
    }

    fn trusted(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&self.certificate).unwrap()
    }

    /// What `--check-config` says of them.
    fn complaint(&self) -> String {
        let output = command_in(self.dir.path(), &self.config()).arg("--check-config").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Asks by HTTPS, trusting this certificate only. The answer is ours only if the whole handshake was right.
fn ask_encrypted(address: &str, trusted: &CertificateDer<'static>, path: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    ask(StreamOwned::new(connection, socket), path, "")
}

#[test]
fn https_is_spoken_with_the_certificate_of_the_configuration() {
    let files = Files::new();
    let mut daemon = Daemon::start(&files.config());
    let address = daemon.address();
    let answer = ask_encrypted(&address, &files.trusted(), "/caller").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(body(&answer), "127.0.0.1");
    let plain = ask(TcpStream::connect(&address).unwrap(), "/caller", "");
    assert!(!plain.unwrap_or_default().contains("HTTP/1.1 200"), "it speaks HTTP there too");
}

#[test]
fn curl_agrees_on_https_with_http_1_1() {
    let files = Files::new();
    let mut daemon = Daemon::start(&files.config());
    let address = daemon.address();
    let port = address.rsplit(':').next().unwrap();
    let output = std::process::Command::new("curl")
        .args(["--silent", "--show-error", "--http2", "--noproxy", "*", "--write-out", "%{http_version}", "--cacert"])
        .arg(&files.certificate)
        .arg(format!("https://localhost:{port}/healthz"))
        .output()
        .unwrap();
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(said, "ok\n1.1", "{why}");
}

#[test]
fn a_renewed_certificate_is_used_after_sighup_without_a_restart() {
    let files = Files::new();
    let mut daemon = Daemon::start(&files.config());
    let address = daemon.address();
    let old = files.trusted();
    assert!(ask_encrypted(&address, &old, "/healthz").is_ok());
    files.renew();
    daemon.signal("HUP");
    let log = daemon.wait_for_log("reloaded");
    assert!(log.contains("was read anew"), "{log}");
    assert!(ask_encrypted(&address, &files.trusted(), "/healthz").unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask_encrypted(&address, &old, "/healthz").is_err());
}

#[test]
fn a_broken_certificate_does_not_replace_a_good_one() {
    let files = Files::new();
    let mut daemon = Daemon::start(&files.config());
    let address = daemon.address();
    let old = files.trusted();
    fs_err::write(&files.certificate, "-----BEGIN CERTIFICATE-----\nno\n").unwrap();
    daemon.signal("HUP");
    let log = daemon.wait_for_log("reloaded");
    assert!(log.contains("ERROR") && log.contains("the certificate stays as it was"), "{log}");
    assert!(ask_encrypted(&address, &old, "/healthz").unwrap().starts_with("HTTP/1.1 200"));
}

#[test]
fn silent_clients_hold_up_nobody_and_are_hung_up_on() {
    let files = Files::new();
    let mut daemon = Daemon::start(&files.config());
    let address = daemon.address();
    let silent: Vec<_> = (0..50).map(|_| TcpStream::connect(&address).unwrap()).collect();
    // Of these, the handshakes cannot end. Ours comes after them and does.
    assert!(ask_encrypted(&address, &files.trusted(), "/healthz").unwrap().starts_with("HTTP/1.1 200"));
    for mut client in silent {
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn files_that_do_not_fit_are_found_before_the_start() {
    let files = Files::new();
    let other = Files::new();
    fs_err::copy(&other.certificate, &files.certificate).unwrap();
    let complaint = files.complaint();
    assert!(complaint.contains("is not that of the certificate"), "{complaint}");

    files.set_mode(0o644);
    let complaint = files.complaint();
    assert!(complaint.contains(&format!("chmod 0640 {}", files.key.display())), "{complaint}");

    files.renew();
    swap(&files.certificate, &files.key);
    files.set_mode(0o600);
    let complaint = files.complaint();
    assert!(complaint.contains("holds no certificate in PEM form"), "{complaint}");

    fs_err::remove_file(&files.certificate).unwrap();
    let complaint = files.complaint();
    assert!(complaint.contains("cannot be read: No such file"), "{complaint}");
}

fn swap(a: &Path, b: &Path) {
    let (first, second) = (fs_err::read(a).unwrap(), fs_err::read(b).unwrap());
    fs_err::write(a, second).unwrap();
    fs_err::write(b, first).unwrap();
}
