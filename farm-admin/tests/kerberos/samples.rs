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

/// What `--check-config` of farm-builder says of a text.
fn check_builder(text: &str) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let keytab = dir.path().join("farm-builder.keytab");
    fs_err::write(&keytab, [5, 2]).unwrap();
    fs_err::set_permissions(&keytab, std::fs::Permissions::from_mode(0o400)).unwrap();
    let text = ["/etc/farm/keytabs/", "/run/farm/"]
        .iter()
        .fold(text.to_owned(), |text, folder| text.replace(folder, &format!("{}/", dir.path().display())));
    let file = dir.path().join("farm-builder.toml");
    fs_err::write(&file, text).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_farm-admin"));
    let output = check.args(["run", "builder", "--check-config", "--config"]).arg(file).output().unwrap();
    (output.status.success(), said(&output))
}

#[test]
fn the_configuration_in_the_role_for_a_fleet_is_good_when_it_is_filled_in() {
    let template =
        fs_err::read_to_string(deploy("fleet/ansible/roles/farm_builder/templates/farm-builder.toml.j2")).unwrap();
    let filled = [
        ("{{ ansible_managed }}", "managed"),
        ("{{ farm_builder_hubs | to_json }}", r#"["https://hub.example.org:8001/"]"#),
        ("{{ farm_builder_name | to_json }}", r#""w1.fleet.example.org""#),
        ("{{ farm_builder_slots }}", "4"),
        ("{{ farm_builder_deregister_on_exit | bool | to_json }}", "true"),
        ("{{ farm_builder_settings }}", "drain_seconds = 60\n[limits]\nprocesses = 1000"),
    ];
    let text = filled.iter().fold(template, |text, (gap, value)| {
        assert!(text.contains(gap), "{gap} is not in {text}");
        text.replace(gap, value)
    });
    assert!(!text.contains("{{"), "{text}");
    let (good, said) = check_builder(&text);
    assert!(good, "{said}");
}

#[test]
fn the_configuration_in_the_deployment_for_a_fleet_is_good_when_the_host_is_filled_in() {
    let yaml = fs_err::read_to_string(deploy("fleet/kubernetes/builders.yaml")).unwrap();
    let block = yaml.split_once("  farm-builder.toml: |\n").unwrap().1.lines();
    let text: Vec<_> = block.map_while(|line| line.strip_prefix("    ")).collect();
    let text = text.join("\n").replace("@HOST@", "farm-builder-1.fleet.example.org");
    assert!(text.contains("deregister_on_exit = true"), "{text}");
    let (good, said) = check_builder(&text);
    assert!(good, "{said}");
    let (good, said) = check_builder(&text.replace("slots = 2", "slots = 0"));
    assert!(!good && said.contains("slots is 0"), "{said}");
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
