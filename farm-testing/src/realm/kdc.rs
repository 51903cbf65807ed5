//! The server of a realm, its files, and the programs that administer it.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Stdio},
    sync::Mutex,
    time::Duration,
};

use super::tools::{command, run};
use crate::{DEADLINE, output::Output};

const KEEPER: &str = include_str!("keeper.sh");
/// What the KDC says when it answers.
const READY: &str = "commencing operation";

/// A KDC and the folder it works in.
#[derive(Debug)]
pub(super) struct Kdc {
    pub(super) realm: String,
    pub(super) dir: PathBuf,
    address: SocketAddrV4,
    output: Output,
    keeper: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Kdc {
    pub(super) fn start(realm: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("farm-realm-").tempdir().unwrap().keep();
        let address = free_address();
        fs_err::write(dir.join("kdc.conf"), kdc_conf(realm, &dir, address)).unwrap();
        fs_err::write(dir.join("krb5.conf"), krb5_conf(realm, &[(realm, address)])).unwrap();
        let mut keeper = command("/bin/sh", &dir)
            .args(["-c", KEEPER, "keeper"])
            .env("DIR", &dir)
            .env("REALM", realm)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal is for the tests; the keeper ends after them.
            .process_group(0)
            .spawn()
            .unwrap();
        let output = Output::default();
        output.collect(keeper.stderr.take().unwrap());
        let pipe = Mutex::new(keeper.stdin.take());
        let kdc = Self { realm: realm.to_owned(), dir, address, output, keeper, pipe };
        if kdc.output.wait_for(DEADLINE, |line| line.contains(READY)).is_none() {
            let said = kdc.log().join("\n");
            panic!("no KDC for the tests; is it installed (deploy/setup test)? It said:\n{said}")
        }
        kdc
    }

    pub(super) fn stop(&self) {
        if let Some(pipe) = self.pipe.lock().unwrap().as_mut() {
            pipe.write_all(b"stop\n").unwrap();
        }
        // The end of its log is the end of the KDC.
        let more = self.output.wait_for(DEADLINE, |_| false);
        assert_eq!(more, None);
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.output.lines()
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("krb5.conf")
    }

    /// A configuration for members of this realm in a world in which `localhost` belongs to the other.
    pub(super) fn config_knowing(&self, other: &Self) -> PathBuf {
        let path = self.dir.join(format!("krb5-{}.conf", other.realm));
        let realms = [(other.realm.as_str(), other.address), (self.realm.as_str(), self.address)];
        fs_err::write(&path, krb5_conf(&self.realm, &realms)).unwrap();
        path
    }

    pub(super) fn administer(&self, query: &[&str]) {
        // It wants to know who asks, and would fail for a user without a name; any name will do.
        let who = format!("tests/admin@{}", self.realm);
        run(command("kadmin.local", &self.dir).args(["-r", &self.realm, "-p", &who]).args(query));
    }

    /// Makes a new key and adds it to a keytab.
    pub(super) fn add_key(&self, principal: &str, keytab: &Path) {
        self.administer(&["ktadd", "-q", "-k", &keytab.display().to_string(), principal]);
    }

    pub(super) fn kinit(&self, principal: &str, keytab: &Path, cache: &Path, lifetime: Duration) {
        let mut command = command("kinit", &self.dir);
        command.args(["-l", &format!("{}s", lifetime.as_secs()), "-k", "-t"]).arg(keytab).arg("-c").arg(cache);
        run(command.arg(principal));
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        // The keeper sees the end of the pipe, ends the KDC and removes the folder.
        drop(self.pipe.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        let _ = self.keeper.wait();
    }
}

/// A KDC shares its port with any other that asks for it, and then each gets half of the questions. So every test process
/// has an address of its own, made of its number.
fn free_address() -> SocketAddrV4 {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, 64 | (a & 63), b, c);
    let listener = TcpListener::bind((ip, 0)).unwrap();
    SocketAddrV4::new(ip, listener.local_addr().unwrap().port())
}

fn kdc_conf(realm: &str, dir: &Path, address: SocketAddrV4) -> String {
    let dir = dir.display();
    format!(
        "[kdcdefaults]
 kdc_listen = {address}
 kdc_tcp_listen = {address}
[realms]
 {realm} = {{
  database_name = {dir}/principal
  key_stash_file = {dir}/stash
  acl_file = {dir}/acl
  supported_enctypes = aes256-cts-hmac-sha1-96:normal
 }}
[logging]
 kdc = STDERR
"
    )
}

/// `localhost` is in the first of the realms.
fn krb5_conf(default: &str, realms: &[(&str, SocketAddrV4)]) -> String {
    // Not on one line each: that would be ignored without a word.
    let kdcs: String = realms.iter().map(|(realm, kdc)| format!(" {realm} = {{\n  kdc = {kdc}\n }}\n")).collect();
    let home = realms.first().map_or(default, |(realm, _)| realm);
    format!(
        "[libdefaults]
 default_realm = {default}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
{kdcs}[domain_realm]
 localhost = {home}
"
    )
}
