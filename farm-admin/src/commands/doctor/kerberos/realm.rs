//! What all daemons need: `krb5.conf`, a KDC that answers, a clock that is right.

use std::path::{Path, PathBuf};

use super::{super::finding::Finding, tools::Tools};

/// More than this the library does not forgive (`clockskew`).
const SKEW_ALLOWED: i64 = 300;
/// A clock that is kept does not drift so far.
const SKEW_USUAL: i64 = 30;
/// The file, unless `KRB5_CONFIG` says otherwise.
const CONFIG: &str = "/etc/krb5.conf";

/// Whether the library knows its realm. Where this is wrong, nothing else can be right.
pub(super) fn settings(tools: &Tools) -> Finding {
    let name = "krb5.conf";
    let files = config_files();
    let named = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" or ");
    if !files.iter().any(|file| file.exists()) {
        return Finding::wrong(name, format!("there is no {named}: Kerberos knows no realm and no KDC")).mend(format!(
            "copy {} from a machine of the realm, or write it as in deploy/kerberos/README.md",
            shown(&files)
        ));
    }
    match tools.default_realm() {
        Ok(()) => Finding::ok(name, named),
        Err(said) if said.contains("default realm") => Finding::wrong(name, format!("{named} has no default_realm"))
            .mend(format!("write default_realm = EXAMPLE.ORG under [libdefaults] of {}", shown(&files))),
        Err(said) => Finding::wrong(name, format!("{named} cannot be used: {said}")).mend(format!(
            "correct {}: a section begins with [name], and what is in braces has a line each",
            shown(&files)
        )),
    }
}

fn config_files() -> Vec<PathBuf> {
    match std::env::var_os("KRB5_CONFIG").filter(|value| !value.is_empty()) {
        Some(value) => std::env::split_paths(&value).collect(),
        None => vec![CONFIG.into()],
    }
}

fn shown(files: &[PathBuf]) -> String {
    files.first().map_or(Path::new(CONFIG), PathBuf::as_path).display().to_string()
}

/// A failure of `kinit` or `kvno` that is not of the one who called, but of the whole realm.
pub(super) fn trouble(realm: &str, said: &str) -> Option<Finding> {
    let name = topic(realm);
    if said.contains("Cannot find KDC for realm") {
        return Some(
            Finding::wrong(&name, format!("krb5.conf names no KDC for {realm}, and the DNS does not either")).mend(
                format!(
                    "write kdc = HOST into {realm} = {{ … }} under [realms] of {}, a line each",
                    shown(&config_files())
                ),
            ),
        );
    }
    if said.contains("Cannot contact any KDC") || said.contains("Cannot resolve") {
        return Some(Finding::wrong(&name, format!("no KDC of {realm} answers: {said}")).mend(
            "systemctl status krb5-kdc (on the KDC); its name must resolve here, and port 88 be open, TCP and UDP",
        ));
    }
    said.contains("Clock skew")
        .then(|| wrong_clock(&name, &format!("the clock here and that of the KDC are too far apart: {said}")))
}

/// How the clocks agree.
pub(super) fn clock(realm: &str, skew: i64) -> Finding {
    let name = topic(realm);
    let direction = if skew < 0 { "ahead of" } else { "behind" };
    let detail = format!("the clock here is {} s {direction} that of the KDC", skew.abs());
    match skew.abs() {
        0..=SKEW_USUAL => Finding::ok(&name, "answers, and the clocks agree"),
        ..=SKEW_ALLOWED => Finding { verdict: super::super::finding::Verdict::Warning, ..wrong_clock(&name, &detail) },
        _ => wrong_clock(&name, &format!("{detail}: tickets are refused from {SKEW_ALLOWED} s on")),
    }
}

fn wrong_clock(name: &str, detail: &str) -> Finding {
    Finding::wrong(name, detail).mend("timedatectl set-ntp true (on both machines)")
}

fn topic(realm: &str) -> String {
    format!("kdc {realm}")
}

#[cfg(test)]
mod tests {
    use super::{super::super::finding::Verdict, *};

    #[test]
    fn a_clock_is_right_a_little_off_or_wrong() {
        let verdict = |skew| clock("EX.TEST", skew).verdict;
        assert_eq!((verdict(3), verdict(-120), verdict(3600)), (Verdict::Ok, Verdict::Warning, Verdict::Wrong));
        assert!(clock("EX.TEST", -3600).detail.starts_with("the clock here is 3600 s ahead of"));
    }
}
