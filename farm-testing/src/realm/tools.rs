//! The programs of MIT Kerberos.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Where they are; `/usr/sbin` is not in everybody's path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that works in the realm of this folder, and sees nothing of the machine's own.
pub(super) fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .env("KRB5_CONFIG", dir.join("krb5.conf"))
        .env("KRB5_KDC_PROFILE", dir.join("kdc.conf"))
        .env("KRB5CCNAME", format!("FILE:{}/nothing", dir.display()))
        .current_dir("/");
    command
}

/// Runs it to its end.
pub(super) fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}; see deploy/setup test"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&said));
}
