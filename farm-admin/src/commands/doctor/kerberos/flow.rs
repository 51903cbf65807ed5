//! All checks, in the order in which one thing needs the other.

use std::path::PathBuf;

use super::{
    super::{
        finding::{Finding, Verdict},
        machine::Machine,
    },
    daemon::{self, Subject},
    database, hub,
    login::{self, Login},
    realm, service, tools,
    tools::Tools,
};

/// Examines the daemons of these configurations, or else those of this machine.
pub(crate) fn check(machine: &Machine, files: &[PathBuf]) -> Vec<Finding> {
    let (subjects, mut findings) = daemon::subjects(files);
    if subjects.is_empty() {
        if findings.is_empty() {
            let whose = if files.is_empty() { "in /etc/farm " } else { "" };
            findings.push(Finding::ok(
                "kerberos",
                format!("no configuration {whose}mentions it: there is nothing to check"),
            ));
        }
        return findings;
    }
    if let Some(missing) = tools::missing(machine) {
        findings.push(missing);
        return findings;
    }
    match Tools::new() {
        Ok(tools) => findings.extend(examine(&tools, &subjects)),
        Err(error) => findings.push(Finding::wrong("kerberos", format!("cannot make a folder for tickets: {error}"))),
    }
    findings
}

fn examine(tools: &Tools, subjects: &[Subject]) -> Vec<Finding> {
    let settings = realm::settings(tools);
    if settings.verdict == Verdict::Wrong {
        return vec![settings];
    }
    let mut findings = vec![settings];
    if subjects.iter().any(Subject::uses_database) && !farm_db::libpq_knows_gss() {
        findings.push(
            Finding::wrong(
                "libpq",
                "was built without Kerberos (GSSAPI): no daemon can log in to the database with a ticket",
            )
            .mend("build the farm with the system's libpq: without the feature `bundled` of pq-sys"),
        );
    }
    let mut logins = Vec::new();
    for subject in subjects {
        let (login, found) = login::check(tools, subject);
        logins.push(login);
        findings.extend(found);
    }
    for (subject, login) in subjects.iter().zip(&logins) {
        // Anybody can be the caller.
        let caller = login.as_ref().or_else(|| logins.iter().flatten().next());
        findings.extend(service::check(tools, subject, caller));
        if let Some(login) = login {
            findings.extend(as_itself(tools, subject, login));
        }
    }
    without_repetition(findings)
}

/// What a daemon does with its ticket.
fn as_itself(tools: &Tools, subject: &Subject, login: &Login) -> Vec<Finding> {
    [database::check(tools, subject, login), hub::check(tools, subject, login)].into_iter().flatten().collect()
}

/// What is wrong with the realm is wrong for every daemon, and is said once.
fn without_repetition(findings: Vec<Finding>) -> Vec<Finding> {
    let mut said: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        if !said.contains(&finding) {
            said.push(finding);
        }
    }
    said
}
