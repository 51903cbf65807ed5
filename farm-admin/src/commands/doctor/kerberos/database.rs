//! The way into PostgreSQL.

use super::{
    super::finding::Finding,
    conninfo,
    daemon::Subject,
    host,
    login::{Login, realm_of},
    probe,
    tools::Tools,
};

/// Whether a daemon reaches the database as the role that is its own.
pub(super) fn check(tools: &Tools, subject: &Subject, login: &Login) -> Option<Finding> {
    let conninfo = subject.settings.database.as_deref()?;
    let topic = subject.topic("database");
    let settings = conninfo::settings(conninfo);
    // Several hosts are tried one after the other: the first will do here.
    let first = |key: &str| settings.get(key).and_then(|value| value.split(',').next()).unwrap_or_default();
    let (name, file) = (first("host"), subject.file.display());
    if let Some(finding) = no_name(&topic, name, first("hostaddr")) {
        return Some(finding);
    }
    let service = settings.get("krbsrvname").map_or("postgres", String::as_str);
    if let Err(said) = tools.call(&login.ticket, service, name, None) {
        return Some(host::unknown(&topic, service, name, &said));
    }
    let role = format!("farm_{}", subject.daemon.name());
    Some(match probe::log_in(conninfo, &login.keytab) {
        Ok(met) if met.role != role => {
            let detail = format!("{} comes to the database as {}, and has to be {role}", login.principal, met.role);
            Finding::wrong(&topic, detail).mend(format!("write user={role} into database of {file}"))
        }
        Ok(met) if met.process != login.principal => {
            let detail = format!(
                "lets {role} in without a ticket: whoever reaches it can be that, and the audit says “{}”",
                met.process
            );
            Finding::warning(&topic, detail)
                .mend("put the lines of deploy/kerberos/pg_hba.conf.sample before the others")
        }
        Ok(met) => Finding::ok(&topic, format!("{} is {}", met.process, met.role)),
        Err(said) => refused(&topic, &role, login, name, &said),
    })
}

/// GSSAPI goes over TCP, to a host with a name.
fn no_name(topic: &str, name: &str, address: &str) -> Option<Finding> {
    if host::is_address(name) || (name.is_empty() && !address.is_empty()) {
        let shown = if name.is_empty() { address } else { name };
        let detail = format!("the conninfo names the server by its address {shown}: tickets are for names");
        return Some(
            Finding::wrong(topic, detail)
                .mend(format!("write host=NAME hostaddr={shown}, with the name in postgres/NAME")),
        );
    }
    if name.is_empty() || name.starts_with(['/', '@']) {
        let detail = "the conninfo goes to a unix socket, where PostgreSQL takes no tickets: the keytab is of no use";
        return Some(
            Finding::wrong(topic, detail)
                .mend("write host=NAME with the name in postgres/NAME, also on the same machine"),
        );
    }
    None
}

fn refused(topic: &str, role: &str, login: &Login, name: &str, said: &str) -> Finding {
    let said = said.trim_end_matches(['.', ' ']);
    let finding = Finding::wrong(topic, said);
    let has = |words: &str| said.contains(words);
    if has("GSSAPI authentication failed") || has("Peer authentication failed") {
        let (daemon, realm) = (role.trim_start_matches("farm_"), realm_of(&login.principal).replace('.', "\\."));
        return finding.mend(format!(
            "write “farm /^{daemon}/[a-z0-9.-]+@{realm}$ {role}” into pg_ident.conf on {name}, then SELECT pg_reload_conf(); \
             PostgreSQL's log says more, also where its own keytab is to blame"
        ));
    }
    if has("no pg_hba.conf entry") || has("pg_hba.conf rejects") || has("password") {
        return finding.mend(format!(
            "write the lines of deploy/kerberos/pg_hba.conf.sample into pg_hba.conf on {name}, before the others"
        ));
    }
    if has("Connection refused") || has("timeout expired") {
        return finding
            .mend(format!("systemctl status postgresql (on {name}); it must listen there: listen_addresses"));
    }
    if has("accepting context") || has("GSSAPI") {
        return finding.mend(format!(
            "look into PostgreSQL's log on {name}: can it read krb_server_keyfile, has that the newest key?"
        ));
    }
    if has("no farm's database") || has("does not exist") {
        return finding.mend("farm-admin migrate (as the superuser, on the database's machine)");
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_socket_are_no_names() {
        let detail = |name, address| no_name("web", name, address).map(|finding| finding.detail);
        assert_eq!(detail("db.example.org", ""), None);
        assert_eq!(detail("db.example.org", "10.0.0.1"), None);
        assert!(detail("10.0.0.1", "").unwrap().contains("its address 10.0.0.1"));
        assert!(detail("", "10.0.0.1").unwrap().contains("its address 10.0.0.1"));
        assert!(detail("", "").unwrap().contains("unix socket"));
        assert!(detail("/run/postgresql", "").unwrap().contains("unix socket"));
    }
}
