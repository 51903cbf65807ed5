//! Service keytabs: can those who come with a ticket be known?

use std::path::Path;

use super::{
    super::finding::Finding,
    daemon::Subject,
    host,
    login::{Login, file_problem, ktadd, realm_of},
    tools::Tools,
};

/// Looks at the keytab by which callers' tickets are read. `by` is somebody who has a ticket, to be the caller.
pub(super) fn check(tools: &Tools, subject: &Subject, by: Option<&Login>) -> Vec<Finding> {
    let topic = subject.topic("service");
    let named = subject.settings.service.as_deref().and_then(|service| service.split_once('@'));
    let this = host::this();
    let (service, host) = named.map_or(("HTTP", this.as_str()), |(service, host)| (service, host));
    let wanted = format!("{service}/{host}");
    let Some(keytab) = &subject.settings.kerberos.service_keytab else {
        return match &subject.settings.service {
            Some(_) => {
                let detail = format!("service = \"{service}@{host}\" is set, and no keytab with its key");
                let cure = format!("write service_keytab = \"FILE\" under [kerberos] of {}", subject.file.display());
                vec![Finding::wrong(&topic, detail).mend(cure)]
            }
            None => Vec::new(),
        };
    };
    if let Some(problem) = file_problem(&topic, keytab, &wanted) {
        return vec![problem];
    }
    let entries = match tools.entries(keytab) {
        Ok(entries) => entries,
        Err(said) => {
            let detail = format!("{} cannot be used: {said}", keytab.display());
            return vec![Finding::wrong(&topic, detail).mend(ktadd(keytab, &wanted))];
        }
    };
    let mut hosts: Vec<_> = entries.iter().filter_map(|entry| host_in(&entry.principal, service)).collect();
    hosts.dedup();
    if !hosts.contains(&host) {
        return vec![lacks(&topic, keytab, &wanted, &hosts, named.is_some())]
            .into_iter()
            .chain(if named.is_some() { Vec::new() } else { call_each(tools, &topic, service, &hosts, keytab, by) })
            .collect();
    }
    call_each(tools, &topic, service, &[host], keytab, by)
}

/// The host in `HTTP/host@REALM`.
fn host_in<'a>(principal: &'a str, service: &str) -> Option<&'a str> {
    principal.strip_prefix(service)?.strip_prefix('/')?.split('@').next()
}

fn lacks(topic: &str, keytab: &Path, wanted: &str, hosts: &[&str], named: bool) -> Finding {
    let keytab_shown = keytab.display();
    if hosts.is_empty() || named {
        return Finding::wrong(
            topic,
            format!("{keytab_shown} has no key of {wanted}: nobody who calls it by that name is known"),
        )
        .mend(ktadd(keytab, wanted));
    }
    let detail = format!(
        "{keytab_shown} has no key of {wanted}, the name of this machine: only who calls it {} is known",
        hosts.join(" or ")
    );
    Finding::warning(topic, detail)
        .mend(format!("{}, or set service to the name by which it is called", ktadd(keytab, wanted)))
}

fn call_each(
    tools: &Tools,
    topic: &str,
    service: &str,
    hosts: &[&str],
    keytab: &Path,
    by: Option<&Login>,
) -> Vec<Finding> {
    let Some(by) = by else {
        return vec![Finding::warning(topic, "not tried: no daemon here has a ticket to call with")];
    };
    hosts.iter().map(|host| call(tools, topic, service, host, keytab, by)).collect()
}

fn call(tools: &Tools, topic: &str, service: &str, host: &str, keytab: &Path, by: &Login) -> Finding {
    let wanted = format!("{service}/{host}");
    // Without the keytab first, to tell a service that the KDC does not know from a key that is not the KDC's.
    if let Err(said) = tools.call(&by.ticket, service, host, None) {
        return host::unknown(topic, service, host, &said);
    }
    match tools.call(&by.ticket, service, host, Some(keytab)) {
        Ok(_) => Finding::ok(topic, format!("tickets for {wanted} can be read with {}", keytab.display())),
        Err(said) => {
            let detail =
                format!("the key of {wanted} in {} is not the one that the KDC has ({said})", keytab.display());
            Finding::wrong(topic, detail).mend(ktadd(keytab, &format!("{wanted}@{}", realm_of(&by.principal))))
        }
    }
}
