//! Names of hosts: a ticket is for a service on a host with a name.

use std::{net::IpAddr, process::Command};

use super::super::finding::Finding;

/// The full name of this machine, as far as it knows.
pub(super) fn this() -> String {
    let full =
        Command::new("hostname").arg("-f").env("LC_ALL", "C").output().ok().filter(|output| output.status.success());
    let full = full.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_lowercase()).unwrap_or_default();
    if !full.is_empty() {
        return full;
    }
    nix::unistd::gethostname().map_or_else(|_| "HOST".to_owned(), |name| name.to_string_lossy().to_lowercase())
}

/// Whether it is an address rather than a name.
pub(super) fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// Why there is no ticket for a service on a host, from the words of `kvno`.
pub(super) fn unknown(topic: &str, service: &str, host: &str, said: &str) -> Finding {
    let asked = format!("{service}/{host}");
    if said.contains("krbtgt/") || said.contains("Cannot find KDC") || said.contains("Cannot determine realm") {
        let detail = format!("the KDC knows no {asked}, nor another realm that the host might be in: {said}");
        return Finding::wrong(topic, detail).mend(format!(
            "kadmin -q 'addprinc -randkey {asked}'; or, if there is one in another realm, say so under [domain_realm] of /etc/krb5.conf"
        ));
    }
    if !said.contains("not found in Kerberos database") {
        return Finding::wrong(topic, format!("there is no ticket for {asked}: {said}"));
    }
    // The library may have asked the DNS for another name of the host.
    let looked_for = said.split_whitespace().find(|word| word.starts_with(&format!("{service}/"))).unwrap_or(&asked);
    if looked_for.split('@').next() != Some(&asked) {
        return Finding::wrong(topic, format!("{host} was taken for another name: the KDC knows no {looked_for}"))
            .mend("write rdns = false and dns_canonicalize_hostname = false under [libdefaults] of /etc/krb5.conf");
    }
    Finding::wrong(topic, format!("the KDC knows no {looked_for}, or it is disabled"))
        .mend(format!("kadmin -q 'addprinc -randkey {looked_for}', or call the host as its principal does"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_name() {
        assert!(is_address("127.0.0.1") && is_address("::1") && is_address("[::1]"));
        assert!(!is_address("localhost") && !is_address("10.example.org"));
    }

    #[test]
    fn a_host_that_the_library_gave_another_name_is_told_from_one_that_is_unknown() {
        let said =
            |name: &str| format!("Server {name} not found in Kerberos database while getting credentials for {name}");
        let cure = |name| unknown("web", "HTTP", "farm.example.org", &said(name)).cure.unwrap();
        assert!(
            cure("HTTP/farm.example.org@EX.TEST")
                .starts_with("kadmin -q 'addprinc -randkey HTTP/farm.example.org@EX.TEST'")
        );
        assert!(cure("HTTP/www7.example.org@EX.TEST").contains("rdns = false"));
        assert!(cure("krbtgt/EXAMPLE.ORG@EX.TEST").contains("[domain_realm]"));
    }
}
