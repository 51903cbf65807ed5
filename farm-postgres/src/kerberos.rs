//! A door on TCP, for those who prove by Kerberos who they are.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use crate::{PostgresError, account::Account, error::system};

/// How a private PostgreSQL lets others in than those who can open its socket: over TCP on 127.0.0.1, with a Kerberos ticket of
/// one realm, as the role that the ticket's principal maps to. The socket stays as it is.
#[derive(Debug, Clone)]
pub struct Kerberos {
    /// The file with the key of `postgres/localhost`. It is copied to where the server can read it.
    pub keytab: PathBuf,
    /// The configuration of the library, `krb5.conf`. It is copied too.
    pub config: PathBuf,
    /// The realm, as in `EXAMPLE.ORG`. Tickets of others are refused.
    pub realm: String,
    /// Who may be which role, as in `pg_ident.conf`: a principal, or a pattern that begins with `/`, and a role.
    pub map: Vec<(String, String)>,
}

impl Kerberos {
    /// Writes the files that the server needs, and gives its settings and its environment.
    pub(crate) fn prepare(&self, dir: &Path, account: &Account) -> Result<Prepared, PostgresError> {
        let read = |path: &Path| fs_err::read(path).map_err(system("cannot read what PostgreSQL needs for Kerberos"));
        let lines: Result<String, _> =
            self.map.iter().map(|(who, role)| Ok(format!("farm {} {}\n", quoted(who)?, quoted(role)?))).collect();
        let mut settings = Vec::new();
        for (setting, name, content) in [
            ("krb_server_keyfile", "postgres.keytab", read(&self.keytab)?),
            ("hba_file", "pg_hba.conf", self.hba()?.into_bytes()),
            ("ident_file", "pg_ident.conf", lines?.into_bytes()),
            ("", "krb5.conf", read(&self.config)?),
        ] {
            let path = dir.join(name);
            account.give(&path, &content).map_err(system("cannot write what PostgreSQL needs for Kerberos"))?;
            if !setting.is_empty() {
                settings.push((setting, path.display().to_string()));
            }
        }
        let config = dir.join("krb5.conf");
        Ok(Prepared { settings, env: vec![("KRB5_CONFIG", config), ("KRB5RCACHEDIR", dir.to_owned())] })
    }

    fn hba(&self) -> Result<String, PostgresError> {
        let realm = quoted(&self.realm)?;
        let over_tcp = format!("host all all 127.0.0.1/32 gss include_realm=1 krb_realm={realm} map=farm");
        Ok(format!("local all all trust\n{over_tcp}\n"))
    }
}

/// What the server has to be told.
pub(crate) struct Prepared {
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) env: Vec<(&'static str, PathBuf)>,
}

/// A port on 127.0.0.1 that nobody uses. Somebody may take it before the server does: then that says so.
pub(crate) fn free_port() -> Result<u16, PostgresError> {
    let port = || -> io::Result<u16> { Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port()) };
    port().map_err(system("cannot find a free port for PostgreSQL"))
}

/// A word of `pg_hba.conf` and `pg_ident.conf`. They have no way to write a quote.
fn quoted(word: &str) -> Result<String, PostgresError> {
    if word.contains(['"', '\n']) {
        let why = io::Error::new(io::ErrorKind::InvalidInput, format!("{word:?} has a quote or a line end in it"));
        return Err(system("cannot write pg_hba.conf and pg_ident.conf")(why));
    }
    Ok(format!("\"{word}\""))
}
