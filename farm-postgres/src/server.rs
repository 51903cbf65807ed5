//! The server: started, reached, stopped.

use std::{
    fs::File,
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Stdio},
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rustix::fs::{FlockOperation, flock};
use tracing::{info, warn};

use crate::{
    Kerberos, PostgresError, Programs,
    account::{Account, open_beside_server},
    error::system,
    kerberos::free_port,
    log::{Ended, Start},
    orphan,
};

const KEEPER: &str = include_str!("keeper.sh");
/// The role with all rights.
const SUPERUSER: &str = "postgres";
/// Only a part of the socket's name, where nothing listens on TCP.
const PORT: u16 = 5432;
/// How often another port is tried when somebody else was faster.
const PORTS: u32 = 5;
/// What the system allows the path of a unix socket, without its final zero.
const SOCKET_PATH_MAX: usize = 107;
/// How long a start may take: making a database, or replaying what a crash left, on a slow disk.
const START_PATIENCE: Duration = Duration::from_secs(180);

/// How a private PostgreSQL is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Remove the folder when the server ends, however this process ends.
    pub temporary: bool,
    /// Survive a crash of the machine. Without, everything is faster, and good for tests only.
    pub durable: bool,
    /// More settings, as in `("max_connections", "400")`.
    pub settings: Vec<(String, String)>,
    /// Also listen on TCP, on a free port of 127.0.0.1, for those who have a Kerberos ticket. Nobody else gets in there.
    pub kerberos: Option<Kerberos>,
}

impl Options {
    /// For data that matters.
    pub fn persistent() -> Self {
        Self { temporary: false, durable: true, settings: Vec::new(), kerberos: None }
    }

    /// For data that nobody will miss: fast, and gone with this process.
    pub fn temporary() -> Self {
        Self { temporary: true, durable: false, settings: Vec::new(), kerberos: None }
    }

    /// With one more setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a door for Kerberos.
    #[must_use]
    pub fn kerberos(self, kerberos: Kerberos) -> Self {
        Self { kerberos: Some(kerberos), ..self }
    }
}

/// What a copy goes on with when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// It is as the original was when the copy was complete.
    Nothing,
    /// The server that its setting `primary_conninfo` names: it is a replica.
    Primary,
    /// What its settings `restore_command` and `recovery_target…` say: it is a restore to a point in time.
    Archive,
}

/// How to stop a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Cut connections, roll back, write everything out.
    Orderly,
    /// As in a crash: the next start recovers.
    Crash,
}

/// A running private PostgreSQL. Dropping it stops it.
#[derive(Debug)]
pub struct PrivatePostgres {
    dir: PathBuf,
    options: Options,
    /// Of TCP where it listens there; always a part of the socket's name.
    port: u16,
    keeper: Option<Child>,
    ended: Ended,
    /// Held while the server is ours.
    _lock: File,
}

impl PrivatePostgres {
    /// Starts the server whose data is in this folder, and makes the database there if there is none.
    ///
    /// Returns when it accepts connections. The folder holds `data/`, `postgres.log` and the socket.
    pub fn start(dir: &Path, options: &Options) -> Result<Self, PostgresError> {
        let port = if options.kerberos.is_some() { free_port()? } else { PORT };
        let excess = (socket(dir, port).as_os_str().len()).saturating_sub(SOCKET_PATH_MAX);
        if excess > 0 {
            return Err(PostgresError::PathTooLong { dir: dir.to_owned(), excess });
        }
        let account = Account::choose()?;
        account.own(dir)?;
        let dir = fs_err::canonicalize(dir).map_err(system("cannot find the folder of PostgreSQL"))?;
        let lock = lock(&dir)?;
        let mut server =
            Self { dir, options: options.clone(), port, keeper: None, ended: Ended::default(), _lock: lock };
        for _ in 1..PORTS {
            match server.launch(&account) {
                Err(PostgresError::NotStarted { log, .. }) if log.contains("could not bind IPv4") => {
                    info!(server.port, "somebody else took the port that was free a moment ago: trying another one");
                    server.port = free_port()?;
                }
                result => return result.map(|()| server),
            }
        }
        server.launch(&account)?;
        Ok(server)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How to connect to a database as a role: a URL that libpq understands.
    pub fn url(&self, role: &str, database: &str) -> String {
        let text = |bytes: &[u8]| percent_encode(bytes, NON_ALPHANUMERIC).to_string();
        let host = text(self.dir.as_os_str().as_bytes());
        format!(
            "postgresql:///{}?host={host}&port={}&user={}",
            text(database.as_bytes()),
            self.port,
            text(role.as_bytes())
        )
    }

    /// How to connect to a database as a role with a Kerberos ticket, where the server has a [door](Options::kerberos) for that: a
    /// conninfo of libpq.
    pub fn gss_conninfo(&self, role: &str, database: &str) -> Option<String> {
        self.options.kerberos.as_ref()?;
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        // The address is said too: `localhost` may be `::1` first. Nothing is encrypted on the way from a machine to itself.
        Some(format!(
            "host=localhost hostaddr=127.0.0.1 port={} dbname={} user={} krbsrvname=postgres gssencmode=disable sslmode=disable",
            self.port,
            quoted(database),
            quoted(role)
        ))
    }

    /// How to connect to a database with all rights.
    pub fn superuser_url(&self, database: &str) -> String {
        self.url(SUPERUSER, database)
    }

    /// Copies the data while the server runs, with `pg_basebackup`, into the folder of another server, which [`start`](Self::start)
    /// starts from there. `settings` go before those that are copied.
    pub fn copy_to(&self, dir: &Path, follows: Follows, settings: &[(&str, &str)]) -> Result<(), PostgresError> {
        let account = Account::choose()?;
        account.own(dir)?;
        let dir = fs_err::canonicalize(dir).map_err(system("cannot find the folder of the copy"))?;
        let data = dir.join("data");
        let program = programs_for(&self.dir.join("data"))?.path("pg_basebackup");
        let output = account
            .command(&program.display().to_string())
            .args(["--checkpoint=fast", "--wal-method=stream", "--no-password", "--username", SUPERUSER, "--host"])
            .arg(&self.dir)
            .args(["--port", &self.port.to_string(), "--pgdata"])
            .arg(&data)
            .output()
            .map_err(system("cannot run pg_basebackup"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(PostgresError::NotCopied { dir, said });
        }
        let text: String =
            settings.iter().map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''"))).collect();
        account.append(&data.join("postgresql.auto.conf"), text.as_bytes()).map_err(system("cannot write settings"))?;
        let signal = match follows {
            Follows::Nothing => return Ok(()),
            Follows::Primary => "standby.signal",
            Follows::Archive => "recovery.signal",
        };
        account.give(&data.join(signal), b"").map_err(system("cannot write the signal file"))
    }

    /// Tells when the server has ended, so that whoever depends on it can start it again or end too. Of the run that goes
    /// on now: after a [`restart`](Self::restart) there is another.
    pub fn ended(&self) -> Ended {
        self.ended.clone()
    }

    /// Stops the server and waits until it is gone.
    pub fn stop(mut self) -> Result<(), PostgresError> {
        self.finish()
    }

    /// Stops the server, in good order or not, and starts it again on the same data. Connections are cut.
    pub fn restart(&mut self, how: Shutdown) -> Result<(), PostgresError> {
        self.end(how)?;
        self.launch(&Account::choose()?)
    }

    fn launch(&mut self, account: &Account) -> Result<(), PostgresError> {
        let data = self.dir.join("data");
        let programs = programs_for(&data)?;
        orphan::clear(&data)?;
        let kerberos =
            self.options.kerberos.as_ref().map(|kerberos| kerberos.prepare(&self.dir, account)).transpose()?;
        let (settings, env) = kerberos.map(|prepared| (prepared.settings, prepared.env)).unwrap_or_default();
        let mut keeper = account
            .command("/bin/sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(programs.path("initdb"))
            .args(self.initdb_options())
            .arg("--")
            .arg(programs.path("postgres"))
            .args(self.server_options(&data, &settings))
            .envs(env)
            .env("DATA", &data)
            .env("REMOVE", if self.options.temporary { self.dir.as_os_str() } else { "".as_ref() })
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal is for the owner, who stops the server last.
            .process_group(0)
            .spawn()
            .map_err(system("cannot run /bin/sh"))?;
        let log = keeper.stderr.take();
        self.keeper = Some(keeper);
        match log.map(|log| self.wait_until_ready(log)) {
            Some(Err(error)) => {
                let _ = self.end(Shutdown::Crash);
                Err(error)
            }
            _ => {
                info!(version = programs.version(), "PostgreSQL runs in {}", self.dir.display());
                Ok(())
            }
        }
    }

    fn initdb_options(&self) -> Vec<&'static str> {
        let mut options = vec!["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"];
        options.push(if self.options.durable { "--data-checksums" } else { "--no-sync" });
        options
    }

    fn server_options(&self, data: &Path, more: &[(&str, String)]) -> Vec<String> {
        let mut options = vec!["-D".to_owned(), data.display().to_string()];
        let mut set = |name: &str, value: &str| options.extend(["-c".to_owned(), format!("{name}={value}")]);
        set("listen_addresses", if self.options.kerberos.is_some() { "127.0.0.1" } else { "" });
        set("port", &self.port.to_string());
        set("unix_socket_directories", &self.dir.display().to_string());
        set("unix_socket_permissions", "0700");
        set("timezone", "UTC");
        set("log_timezone", "UTC");
        set("logging_collector", "off");
        set("log_destination", "stderr");
        // It compiles what is over in a moment, as long as tables have no statistics.
        set("jit", "off");
        if !self.options.durable {
            for name in ["fsync", "synchronous_commit", "full_page_writes"] {
                set(name, "off");
            }
        }
        for (name, value) in &self.options.settings {
            set(name, value);
        }
        for (name, value) in more {
            set(name, value);
        }
        options
    }

    /// Waits for the line of the log that says so.
    fn wait_until_ready(&mut self, log: ChildStderr) -> Result<(), PostgresError> {
        let file = open_beside_server(File::options().append(true), &self.dir.join("postgres.log"))
            .map_err(system("cannot write the log of PostgreSQL"))?;
        self.ended = Ended::follow(log, file)?;
        let why = match self.ended.wait_for_start(START_PATIENCE) {
            Start::Ready => return Ok(()),
            Start::Ended => String::new(),
            Start::Slow => format!(" within {} seconds", START_PATIENCE.as_secs()),
        };
        Err(PostgresError::NotStarted { dir: self.dir.clone(), why, log: self.ended.tail() })
    }

    /// Tells the keeper and waits for it. Without a keeper there is nothing to do.
    fn end(&mut self, how: Shutdown) -> Result<(), PostgresError> {
        let Some(mut keeper) = self.keeper.take() else { return Ok(()) };
        if let Some(mut pipe) = keeper.stdin.take() {
            let signal = match how {
                Shutdown::Orderly => "INT\n",
                Shutdown::Crash => "QUIT\n",
            };
            // If the keeper is gone, the wait tells.
            let _ = pipe.write_all(signal.as_bytes());
        }
        keeper.wait().map_err(system("cannot wait for PostgreSQL"))?;
        Ok(())
    }

    /// Stops the server, and removes its folder if it is temporary.
    fn finish(&mut self) -> Result<(), PostgresError> {
        self.end(Shutdown::Orderly)?;
        if self.options.temporary && self.dir.exists() {
            fs_err::remove_dir_all(&self.dir).map_err(system("cannot remove the folder of PostgreSQL"))?;
        }
        Ok(())
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            warn!("{error}");
        }
    }
}

fn socket(dir: &Path, port: u16) -> PathBuf {
    dir.join(format!(".s.PGSQL.{port}"))
}

/// One owner per folder.
fn lock(dir: &Path) -> Result<File, PostgresError> {
    let file = open_beside_server(File::options().write(true), &dir.join("lock"))
        .map_err(system("cannot make the lock of PostgreSQL's folder"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(PostgresError::InUse { dir: dir.to_owned() }),
        Err(error) => Err(system("cannot lock the folder of PostgreSQL")(error)),
    }
}

/// The programs of the version that made the data, or the newest if there is none yet.
fn programs_for(data: &Path) -> Result<Programs, PostgresError> {
    let made_by = fs_err::read_to_string(data.join("PG_VERSION")).ok().and_then(|text| text.trim().parse().ok());
    let programs = Programs::find(made_by)?;
    match made_by {
        Some(made_by) if made_by != programs.version() => {
            Err(PostgresError::OtherVersion { data: data.to_owned(), made_by, installed: programs.version() })
        }
        _ => Ok(programs),
    }
}
