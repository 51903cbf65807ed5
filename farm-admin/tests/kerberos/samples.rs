//! The samples of configurations and units.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{deploy, run, said};

const DAEMONS: [&str; 6] = ["web", "hub", "validator", "janitor", "publisher", "builder"];

/// The names in a folder of `deploy/`.
fn names(folder: &str, ending: &str) -> Vec<String> {
    let entries = fs_err::read_dir(deploy(folder)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(ending));
    names.sort();
    names
}

/// A certificate with its key, as an administrator has them from his authority.
fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (dir.join("server.pem"), dir.join("server.key"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=farm.example.org", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
    run(&mut openssl);
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    (certificate, key)
}

/// A sample with the secrets it names in place.
fn in_place(daemon: &str, dir: &Path) -> PathBuf {
    let text = fs_err::read_to_string(deploy(&format!("etc/farm-{daemon}.toml"))).unwrap();
    let keytab = dir.join("keytab");
    fs_err::write(&keytab, [5, 2]).unwrap();
    fs_err::set_permissions(&keytab, std::fs::Permissions::from_mode(0o400)).unwrap();
    let (certificate, key) = certificate(dir);
    let lines = text.lines().map(|line| {
        let stands_for = [("keytab = ", &keytab), ("certificate = ", &certificate), ("key = ", &key)];
        match stands_for.iter().find(|(setting, _)| line.split('"').next().unwrap().ends_with(setting)) {
            Some((_, path)) => format!("{}{:?}", line.split('"').next().unwrap(), path.display().to_string()),
            None => line.to_owned(),
        }
    });
    let file = dir.join(format!("farm-{daemon}.toml"));
    fs_err::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    file
}

#[test]
fn the_samples_of_all_daemons_are_good_configurations() {
    let mut expected: Vec<_> = DAEMONS.iter().map(|daemon| format!("farm-{daemon}.toml")).collect();
    expected.sort();
    assert_eq!(names("etc", ".toml"), expected);
    for daemon in DAEMONS {
        let dir = tempfile::tempdir().unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_farm-admin"));
        let file = in_place(daemon, dir.path());
        let output = check.args(["run", daemon, "--check-config", "--config"]).arg(file).output().unwrap();
        assert!(output.status.success(), "farm-{daemon}.toml: {}", said(&output));
    }
}

#[test]
fn the_samples_name_each_daemons_own_role_and_own_keytab() {
    for daemon in DAEMONS {
        let text = fs_err::read_to_string(deploy(&format!("etc/farm-{daemon}.toml"))).unwrap();
        assert!(text.contains(&format!("client_keytab = \"/etc/farm/keytabs/farm-{daemon}.keytab\"")), "{text}");
        assert_eq!(text.contains(&format!("user=farm_{daemon} ")), daemon != "builder", "{text}");
    }
}

#[test]
fn the_units_are_understood_by_systemd() {
    let mut expected: Vec<_> = DAEMONS.iter().map(|daemon| format!("farm-{daemon}.service")).collect();
    expected.sort();
    assert_eq!(names("systemd", ".service"), expected);
    let dir = tempfile::tempdir().unwrap();
    for daemon in DAEMONS {
        let name = format!("farm-{daemon}.service");
        let text = fs_err::read_to_string(deploy(&format!("systemd/{name}"))).unwrap();
        let program = format!("ExecStart=/usr/local/bin/farm-{daemon}\n");
        assert!(text.contains(&program) && text.contains(&format!("User=farm-{daemon}\n")), "{text}");
        let unit = dir.path().join(name);
        // The program need not be installed here.
        fs_err::write(&unit, text.replace(&program, "ExecStart=/bin/true\n")).unwrap();
        let verified = match Command::new("systemd-analyze").arg("verify").arg(&unit).env("LC_ALL", "C").output() {
            Ok(output) => output,
            Err(error) => {
                println!("the units are not verified here, as there is no systemd-analyze: {error}");
                return;
            }
        };
        assert!(verified.status.success() && said(&verified).is_empty(), "{}", said(&verified));
    }
}
