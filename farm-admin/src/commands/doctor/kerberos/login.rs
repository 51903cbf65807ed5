//! Client keytabs: does a daemon get a ticket, and is it itself?

use std::path::{Path, PathBuf};

use farm_daemon::KerberosConfig;

use super::{
    super::finding::Finding,
    daemon::Subject,
    realm,
    tools::{Ticket, Tools},
};

/// A daemon that has a ticket.
#[derive(Debug)]
pub(super) struct Login {
    pub principal: String,
    pub keytab: PathBuf,
    pub ticket: Ticket,
}

/// The realm of a principal.
pub(super) fn realm_of(principal: &str) -> &str {
    principal.rsplit_once('@').map_or("", |(_, realm)| realm)
}

/// Logs in with the client keytab of a daemon, as the daemon does: as the first principal in it.
pub(super) fn check(tools: &Tools, subject: &Subject) -> (Option<Login>, Vec<Finding>) {
    let Some(keytab) = &subject.settings.kerberos.client_keytab else { return (None, Vec::new()) };
    let topic = subject.topic("keytab");
    let expected = format!("{}/{}", subject.daemon.name(), super::host::this());
    if let Some(problem) = file_problem(&topic, keytab, &expected) {
        return (None, vec![problem]);
    }
    let principal = match first(tools, keytab) {
        Ok(principal) => principal,
        Err(said) => return (None, vec![Finding::wrong(&topic, said).mend(ktadd(keytab, &expected))]),
    };
    let mut findings = vec![whose(subject, keytab, &principal)];
    match tools.log_in(&subject.name, keytab, &principal) {
        Ok(ticket) => {
            findings.push(realm::clock(realm_of(&principal), ticket.skew));
            (Some(Login { principal, keytab: keytab.clone(), ticket }), findings)
        }
        Err(said) => {
            findings.push(refused(subject, keytab, &principal, &said));
            (None, findings)
        }
    }
}

/// What can be seen of a keytab without Kerberos.
pub(super) fn file_problem(topic: &str, keytab: &Path, expected: &str) -> Option<Finding> {
    let config = KerberosConfig { client_keytab: Some(keytab.to_owned()), ..KerberosConfig::default() };
    let problem = config.problems().into_iter().next()?.replacen("the client keytab ", "", 1);
    Some(match problem.rsplit_once(": chmod") {
        Some((detail, modes)) => Finding::wrong(topic, detail).mend(format!("chmod{modes}")),
        None => Finding::wrong(topic, problem).mend(ktadd(keytab, expected)),
    })
}

/// The command that puts a new key into a keytab.
pub(super) fn ktadd(keytab: &Path, principal: &str) -> String {
    format!("kadmin -q 'ktadd -k {} {principal}'", keytab.display())
}

fn first(tools: &Tools, keytab: &Path) -> Result<String, String> {
    let entries = tools.entries(keytab).map_err(|said| format!("{} cannot be used: {said}", keytab.display()))?;
    let first = entries.into_iter().next().ok_or_else(|| format!("{} has no key in it", keytab.display()))?;
    Ok(first.principal)
}

fn whose(subject: &Subject, keytab: &Path, principal: &str) -> Finding {
    let (topic, own) = (subject.topic("keytab"), subject.daemon.name());
    if principal.split('/').next() == Some(own) {
        return Finding::ok(&topic, format!("{principal}, in {}", keytab.display()));
    }
    let detail = format!(
        "{} is for {principal}, and {} should come as {own}/HOST: it would be taken for another daemon, or for nobody",
        keytab.display(),
        subject.name
    );
    let right = format!("{own}/HOST@{}", realm_of(principal));
    Finding::wrong(&topic, detail)
        .mend(format!("put the keytab with the key of {right} there; see client_keytab in {}", subject.file.display()))
}

fn refused(subject: &Subject, keytab: &Path, principal: &str, said: &str) -> Finding {
    if let Some(finding) = realm::trouble(realm_of(principal), said) {
        return finding;
    }
    let topic = subject.topic("login");
    let kadmin = |query: &str| format!("kadmin -q '{query} {principal}'");
    if ["Preauthentication failed", "Password incorrect", "integrity check failed", "no suitable keys"]
        .iter()
        .any(|words| said.contains(words))
    {
        let detail = format!("the key of {principal} in {} is not the one that the KDC has ({said})", keytab.display());
        return Finding::wrong(&topic, detail).mend(ktadd(keytab, principal));
    }
    if said.contains("not found in Kerberos database") {
        let cure = format!("{} && {}", kadmin("addprinc -randkey"), ktadd(keytab, principal));
        return Finding::wrong(&topic, format!("the KDC knows no {principal}")).mend(cure);
    }
    if said.contains("revoked") {
        return Finding::wrong(&topic, format!("{principal} is disabled on the KDC"))
            .mend(kadmin("modprinc +allow_tix"));
    }
    if said.contains("expired") {
        let detail = format!("{principal} has expired on the KDC ({said})");
        return Finding::wrong(&topic, detail).mend(kadmin("modprinc -expire never -pwexpire never"));
    }
    Finding::wrong(&topic, format!("{principal} gets no ticket: {said}"))
}
