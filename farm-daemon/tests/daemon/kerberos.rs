//! What a daemon makes of the table `[kerberos]`.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::support::{Daemon, PLAIN, body, command_in, get};

/// What begins like a keytab.
fn keytab(dir: &Path, name: &str, mode: u32) -> PathBuf {
    let path = dir.join(name);
    fs_err::write(&path, [5, 2]).unwrap();
    fs_err::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_daemon_has_the_keytabs_of_its_configuration_and_tickets_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (client, service) = (keytab(dir.path(), "client", 0o400), keytab(dir.path(), "service", 0o600));
    let (client, service) = (client.display(), service.display());
    let config = format!("{PLAIN}[kerberos]\nclient_keytab = \"{client}\"\nservice_keytab = \"{service}\"\n");
    let mut daemon = Daemon::start_with(&config, |command| {
        command.env("KRB5CCNAME", "FILE:/tmp/krb5cc_of_somebody").env("KRB5_CLIENT_KTNAME", "FILE:/etc/other");
        command.env_remove("KRB5_CONFIG").env_remove("KRB5_KTNAME");
    });
    let answer = get(&daemon.address(), "/kerberos");
    let (tickets, keytabs) = body(&answer).split_once('\n').unwrap();
    assert!(tickets.starts_with("KRB5CCNAME=FILE:/") && tickets.contains("/smallest-tickets-"), "{tickets}");
    assert_eq!(keytabs, format!("KRB5_CLIENT_KTNAME=FILE:{client}\nKRB5_KTNAME=FILE:{service}"));
}

#[test]
fn without_a_configuration_the_environment_stays_as_it_was() {
    let mut daemon = Daemon::start_with(PLAIN, |command| {
        command.env("KRB5CCNAME", "FILE:/run/farm/tickets");
        command.env_remove("KRB5_CONFIG").env_remove("KRB5_KTNAME").env_remove("KRB5_CLIENT_KTNAME");
    });
    assert_eq!(body(&get(&daemon.address(), "/kerberos")), "KRB5CCNAME=FILE:/run/farm/tickets");
}

#[test]
fn keytabs_that_cannot_be_used_are_all_found_before_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let open = keytab(dir.path(), "open", 0o644);
    let config = format!(
        "{PLAIN}[kerberos]\nclient_keytab = \"/nonexistent/keytab\"\nservice_keytab = \"{}\"\n",
        open.display()
    );
    let output = command_in(dir.path(), &config).arg("--check-config").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("the client keytab /nonexistent/keytab cannot be read"), "{complaint}");
    assert!(complaint.contains(&format!("chmod 0400 {}", open.display())), "{complaint}");
}
