//! Who the process is to Kerberos: its keytabs and its tickets.
//!
//! The Kerberos library and libpq take all of this from the environment: with a client keytab the library logs in by itself, and
//! again when half of a ticket's life is over. That is too seldom for who is disabled at the KDC: see `tickets`.

#![expect(unsafe_code, reason = "the environment of a process can be set in no other way")]

use std::{
    ffi::{OsStr, OsString},
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::ensure;

use crate::{
    secret::{self, Readers},
    threads,
    tickets::{Tickets, cache_name},
};

/// The table `[kerberos]` of a configuration. What is left out stays as the environment has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KerberosConfig {
    /// The keytab by whose first principal this process logs in, to PostgreSQL or to the hub (`KRB5_CLIENT_KTNAME`).
    pub client_keytab: Option<PathBuf>,
    /// Where the tickets of this process are kept (`KRB5CCNAME`). With a client keytab the default is a file in a folder of its
    /// own, as tickets of somebody else would be used rather than the keytab. Where the daemon renews them itself it has to be a file,
    /// which newer tickets replace.
    pub ccache: Option<String>,
    /// The keytab with the key of `HTTP/<host>`, by which the tickets of callers are read (`KRB5_KTNAME`).
    pub service_keytab: Option<PathBuf>,
}

impl KerberosConfig {
    /// What is wrong with it. Reading a configuration ([`load`](crate::load)) asks this too.
    pub fn problems(&self) -> Vec<String> {
        let mut problems: Vec<_> = [("client", &self.client_keytab), ("service", &self.service_keytab)]
            .into_iter()
            .filter_map(|(whose, path)| keytab_problem(&format!("the {whose} keytab"), path.as_deref()?))
            .collect();
        if self.ccache.as_deref().is_some_and(|name| name.trim().is_empty()) {
            problems.push("kerberos.ccache is empty: it takes a name as in FILE:/run/farm/tickets".to_owned());
        }
        problems
    }

    /// What is wrong with it for a process that replaces the tickets of its client keytab by newer ones.
    pub(crate) fn renewal_problem(&self) -> Option<String> {
        let name = self.ccache.as_deref().filter(|name| !name.trim().is_empty())?;
        (self.client_keytab.is_some() && self.file().is_none()).then(|| {
            format!(
                "kerberos.ccache is {name}, and with a client keytab it takes a file, as in FILE:/run/farm/tickets, whose tickets \
                 this process replaces by newer ones; leave it out to have one in a folder of its own"
            )
        })
    }

    /// The file that tickets are kept in by this configuration, if it is one.
    fn file(&self) -> Option<&Path> {
        let name = self.ccache.as_deref()?;
        let path = Path::new(name.strip_prefix("FILE:").unwrap_or(name));
        path.is_absolute().then_some(path)
    }

    /// The tickets that are this process's own to renew: those of its keytab.
    fn own_tickets(&self, daemon: &str) -> anyhow::Result<Option<Tickets>> {
        match (&self.client_keytab, self.file()) {
            (None, _) => Ok(None),
            (Some(_), Some(file)) => Ok(Some(Tickets::in_file(file))),
            // Somewhere else: a process that replaces its tickets refuses that, and for any other the library alone renews them.
            (Some(_), None) if self.ccache.is_some() => Ok(None),
            (Some(_), None) => Tickets::in_own_folder(daemon).map(Some),
        }
    }

    /// The variables of a process that has these tickets.
    fn variables(&self, tickets: Option<&Tickets>) -> Vec<(&'static str, OsString)> {
        let ccache = tickets.map(|own| cache_name(own.file())).or_else(|| self.ccache.clone().map(OsString::from));
        [
            ("KRB5_CLIENT_KTNAME", self.client_keytab.as_deref().map(keytab_name)),
            ("KRB5CCNAME", ccache),
            ("KRB5_KTNAME", self.service_keytab.as_deref().map(keytab_name)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// Puts it into the environment, over whatever was inherited. Answers the tickets that are to be renewed.
    ///
    /// # Errors
    ///
    /// The process has a second thread already, which might read the environment in this moment; or there is no place for tickets.
    pub fn apply(&self, daemon: &str) -> anyhow::Result<Option<Tickets>> {
        let tickets = self.own_tickets(daemon)?;
        let variables = self.variables(tickets.as_ref());
        ensure!(
            variables.is_empty() || threads::is_single(),
            "a fault in this program: a thread was started before Kerberos was set up"
        );
        for (name, value) in variables {
            // SAFETY: no other thread exists, as was just asked, so none reads or writes the environment meanwhile.
            unsafe { std::env::set_var(name, value) };
        }
        Ok(tickets)
    }
}

/// A keytab as the library names it.
fn keytab_name(path: &Path) -> OsString {
    let mut name = OsString::from("FILE:");
    name.push::<&OsStr>(secret::absolute(path).as_os_str());
    name
}

fn keytab_problem(what: &str, path: &Path) -> Option<String> {
    secret::problem(what, path, Readers::Owner).or_else(|| {
        let mut magic = [0; 2];
        let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
        // Version 1 or 2 of the file format, see MIT's documentation of it.
        (read.is_err() || !matches!(magic, [5, 1 | 2])).then(|| {
            format!("{what} {} is no keytab: make one with ktadd of kadmin, or with ipa-getkeytab", path.display())
        })
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn keytab(dir: &Path, content: &[u8], mode: u32) -> PathBuf {
        let path = dir.join("keytab");
        fs_err::write(&path, content).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn variables(config: &KerberosConfig) -> Vec<(&'static str, OsString)> {
        config.variables(config.own_tickets("farm-web").unwrap().as_ref())
    }

    #[test]
    fn a_client_keytab_comes_with_tickets_of_its_own_and_nothing_else_is_touched() {
        let config = KerberosConfig { client_keytab: Some("/etc/farm/web.keytab".into()), ..Default::default() };
        let tickets = config.own_tickets("farm-web").unwrap().unwrap();
        let expected: [(&str, OsString); 2] =
            [("KRB5_CLIENT_KTNAME", "FILE:/etc/farm/web.keytab".into()), ("KRB5CCNAME", cache_name(tickets.file()))];
        assert_eq!(config.variables(Some(&tickets)), expected);
        let service = KerberosConfig { service_keytab: Some("/k".into()), ..Default::default() };
        assert_eq!(variables(&service), [("KRB5_KTNAME", OsString::from("FILE:/k"))]);
    }

    #[test]
    fn tickets_may_be_kept_elsewhere_and_those_of_a_keytab_in_a_file() {
        let kept = |ccache: &str, client_keytab| KerberosConfig {
            client_keytab,
            ccache: Some(ccache.into()),
            ..Default::default()
        };
        assert_eq!(variables(&kept("MEMORY:cc", None)), [("KRB5CCNAME", OsString::from("MEMORY:cc"))]);
        for name in ["FILE:/run/farm/cc", "/run/farm/cc"] {
            let config = kept(name, Some("/k".into()));
            assert_eq!(variables(&config)[1], ("KRB5CCNAME", OsString::from("FILE:/run/farm/cc")));
        }
        let kept_in_memory = kept("MEMORY:cc", Some("/k".into()));
        assert_eq!(variables(&kept_in_memory)[1], ("KRB5CCNAME", OsString::from("MEMORY:cc")));
        let problem = kept_in_memory.renewal_problem().unwrap();
        assert!(
            problem.contains("kerberos.ccache is MEMORY:cc, and with a client keytab it takes a file"),
            "{problem}"
        );
        assert_eq!(kept("/run/farm/cc", Some("/k".into())).renewal_problem(), None);
    }

    #[test]
    fn a_keytab_is_looked_at_before_it_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let problems = |path| KerberosConfig { client_keytab: Some(path), ..Default::default() }.problems().join("; ");
        assert_eq!(problems(keytab(dir.path(), &[5, 2, 0], 0o400)), "");
        assert!(problems(keytab(dir.path(), &[5, 2, 0], 0o640)).contains("chmod 0400"));
        assert!(problems(keytab(dir.path(), b"", 0o400)).contains("is no keytab"));
        assert!(problems(keytab(dir.path(), b"-----BEGIN", 0o400)).contains("is no keytab"));
        assert!(problems(dir.path().join("none")).contains("the client keytab"));
    }

    #[test]
    fn the_environment_is_left_alone_once_there_are_threads() {
        let config = KerberosConfig { ccache: Some("MEMORY:never".into()), ..Default::default() };
        std::thread::scope(|scope| {
            let (end, wait) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || wait.recv());
            assert!(config.apply("farm-web").is_err());
            drop(end);
        });
        assert_ne!(std::env::var("KRB5CCNAME").as_deref(), Ok("MEMORY:never"));
    }
}
