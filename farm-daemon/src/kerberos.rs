//! Who the process is to Kerberos: its keytabs and its tickets.
//!
//! The Kerberos library and libpq take all of this from the environment, and nothing else is needed: with a client keytab
//! the library logs in by itself, and again when half of a ticket's life is over.

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
};

/// The table `[kerberos]` of a configuration. What is left out stays as the environment has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KerberosConfig {
    /// The keytab by whose first principal this process logs in, to PostgreSQL or to the hub (`KRB5_CLIENT_KTNAME`).
    pub client_keytab: Option<PathBuf>,
    /// Where the tickets of this process are kept (`KRB5CCNAME`). With a client keytab the default is `MEMORY:farm-web` and
    /// the like, as tickets of somebody else would be used rather than the keytab.
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
            problems.push(
                "kerberos.ccache is empty: it takes a name as in MEMORY:farm or FILE:/run/farm/tickets".to_owned(),
            );
        }
        problems
    }

    /// The variables for a daemon of this name.
    fn variables(&self, daemon: &str) -> Vec<(&'static str, OsString)> {
        let own = || format!("MEMORY:farm-{}", daemon.strip_prefix("farm-").unwrap_or(daemon));
        let ccache = self.ccache.clone().or_else(|| self.client_keytab.is_some().then(own));
        [
            ("KRB5_CLIENT_KTNAME", self.client_keytab.as_deref().map(keytab_name)),
            ("KRB5CCNAME", ccache.map(OsString::from)),
            ("KRB5_KTNAME", self.service_keytab.as_deref().map(keytab_name)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// Puts it into the environment, over whatever was inherited.
    ///
    /// # Errors
    ///
    /// The process has a second thread already, which might read the environment in this moment.
    pub fn apply(&self, daemon: &str) -> anyhow::Result<()> {
        let variables = self.variables(daemon);
        ensure!(
            variables.is_empty() || threads::is_single(),
            "a fault in this program: a thread was started before Kerberos was set up"
        );
        for (name, value) in variables {
            // SAFETY: no other thread exists, as was just asked, so none reads or writes the environment meanwhile.
            unsafe { std::env::set_var(name, value) };
        }
        Ok(())
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

    #[test]
    fn a_client_keytab_comes_with_tickets_of_its_own_and_nothing_else_is_touched() {
        let config = KerberosConfig { client_keytab: Some("/etc/farm/web.keytab".into()), ..Default::default() };
        let expected: [(&str, OsString); 2] =
            [("KRB5_CLIENT_KTNAME", "FILE:/etc/farm/web.keytab".into()), ("KRB5CCNAME", "MEMORY:farm-web".into())];
        assert_eq!(config.variables("farm-web"), expected);
        let service = KerberosConfig { service_keytab: Some("/k".into()), ..Default::default() };
        assert_eq!(service.variables("farm-web"), [("KRB5_KTNAME", OsString::from("FILE:/k"))]);
    }

    #[test]
    fn tickets_may_be_kept_elsewhere() {
        let config = KerberosConfig { ccache: Some("FILE:/run/farm/cc".into()), ..Default::default() };
        assert_eq!(config.variables("farm-hub"), [("KRB5CCNAME", OsString::from("FILE:/run/farm/cc"))]);
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
