//! A realm, a PostgreSQL in it, and the daemons of a farm with the keytabs of their own.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    path::Path,
    process::{Command, Output},
    sync::{Arc, LazyLock},
};

use diesel::{
    QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{Bool, Text},
};
use farm_api::access::{AuditEntry, AuditFilter};
use farm_db::{access, operator, testing};
use farm_testing::{Cluster, Process, Realm, TestDb, program};
use tempfile::TempDir;

use crate::curl::{Answer, curl};

/// Who may be which role, as `pg_ident.conf` of a farm has it. `twofold/…` is there to come as the wrong one.
const MAP: [(&str, &str); 7] = [
    (r"/^web/[a-z0-9-]+@FARM\.TEST$", "farm_web"),
    (r"/^hub/[a-z0-9-]+@FARM\.TEST$", "farm_hub"),
    (r"/^validator/[a-z0-9-]+@FARM\.TEST$", "farm_validator"),
    (r"/^janitor/[a-z0-9-]+@FARM\.TEST$", "farm_janitor"),
    (r"/^publisher/[a-z0-9-]+@FARM\.TEST$", "farm_publisher"),
    ("twofold/host1@FARM.TEST", "farm_web"),
    ("twofold/host1@FARM.TEST", "farm_hub"),
];

/// The server that the tests share.
static CLUSTER: LazyLock<Arc<Cluster>> = LazyLock::new(|| Cluster::with_realm(&Realm::shared(), &MAP));

/// The daemons that come to the database.
pub const DAEMONS: [&str; 5] = ["web", "hub", "validator", "janitor", "publisher"];

/// Variables of an environment.
pub type Env = Vec<(String, String)>;

/// A farm of a database, without daemons yet.
pub struct Site {
    pub realm: Arc<Realm>,
    pub db: TestDb,
    pub dir: TempDir,
}

/// A daemon to be started, and what is special about it.
pub struct Daemon<'s> {
    site: &'s Site,
    name: &'s str,
    principal: String,
    role: String,
    lines: String,
    tables: String,
}

impl Site {
    /// In the realm that the tests share.
    pub fn new() -> Self {
        Self::on(Realm::shared(), &CLUSTER)
    }

    /// With a realm and a server of its own, for a test that changes keys.
    pub fn own() -> Self {
        let realm = Arc::new(Realm::start());
        let cluster = Cluster::with_realm(&realm, &MAP);
        Self::on(realm, &cluster)
    }

    fn on(realm: Arc<Realm>, cluster: &Arc<Cluster>) -> Self {
        Self { realm, db: cluster.database(), dir: tempfile::tempdir().unwrap() }
    }

    /// A daemon, as in `web`, with the keytab of `web/host1`.
    pub fn daemon<'s>(&'s self, name: &'s str) -> Daemon<'s> {
        Daemon {
            site: self,
            name,
            principal: format!("{name}/host1"),
            role: format!("farm_{name}"),
            lines: String::new(),
            tables: String::new(),
        }
    }

    /// farm-web, running, that takes the tickets of people.
    pub fn web(&self) -> Process {
        self.daemon("web").start()
    }

    /// The environment of a person who has just got a ticket.
    pub fn person(&self, name: &str) -> Env {
        self.realm.add_person(name);
        self.with(Realm::ticket(&self.realm.kinit(name)))
    }

    /// The environment of a process in this realm with one variable more.
    pub fn with(&self, variable: (String, String)) -> Env {
        [self.realm.env(), vec![variable]].concat()
    }

    /// A tool of the people, as in `farm`, of somebody with this environment, told to call this server.
    pub fn tool(&self, name: &str, env: &Env, server: &str, args: &[&str]) -> Output {
        self.tool_as(&[], name, env, server, args)
    }

    /// The same, below another program, as in `faketime -f +10m`.
    pub fn tool_as(&self, below: &[&str], name: &str, env: &Env, server: &str, args: &[&str]) -> Output {
        let tool = program("farm-submit", name);
        let words: Vec<&OsStr> = below.iter().map(OsStr::new).chain([tool.as_os_str()]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(args).envs(env.iter().cloned()).env_remove("FARM_TOKEN_FILE");
        command.env("FARM_SERVER", server).env("XDG_CONFIG_HOME", self.dir.path()).env("NO_COLOR", "1");
        command.output().unwrap()
    }

    /// Lets a person in, or shuts out.
    pub fn let_in(&self, principal: &str, enabled: bool) {
        operator::put_person(&mut self.db.connect(), &testing::operator(), principal, enabled).unwrap();
    }

    /// What was written down, oldest first.
    pub fn audit(&self) -> Vec<AuditEntry> {
        let filter = AuditFilter { limit: Some(1000), ..AuditFilter::default() };
        let mut entries = access::audit(&mut self.db.connect(), &filter).unwrap();
        entries.reverse();
        entries
    }

    /// The connections of a role, as `PRINCIPAL since TIME`, with what the server knows of their tickets.
    pub fn connections(&self, role: &str) -> Vec<(String, String)> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Bool)]
            by_ticket: bool,
            #[diesel(sql_type = Text)]
            principal: String,
            #[diesel(sql_type = Text)]
            since: String,
        }
        let query = "SELECT g.gss_authenticated AS by_ticket, coalesce(g.principal, '') AS principal, a.backend_start::text AS since
                     FROM pg_stat_activity a JOIN pg_stat_gssapi g USING (pid)
                     WHERE a.datname = current_database() AND a.usename = $1 ORDER BY a.backend_start";
        let rows: Vec<Row> = sql_query(query).bind::<Text, _>(role).load(&mut self.db.connect()).unwrap();
        rows.into_iter()
            .map(|row| {
                assert!(row.by_ticket, "a connection of {role} came without a ticket");
                (row.principal, row.since)
            })
            .collect()
    }

    /// Runs a statement with all rights.
    pub fn execute(&self, sql: &str) {
        sql_query(sql).execute(&mut self.db.connect()).unwrap();
    }
}

impl Daemon<'_> {
    /// With the keytab of another principal.
    pub fn principal(mut self, principal: &str) -> Self {
        principal.clone_into(&mut self.principal);
        self
    }

    /// As another role.
    pub fn role(mut self, role: &str) -> Self {
        role.clone_into(&mut self.role);
        self
    }

    /// With a line more in its configuration.
    pub fn line(mut self, line: &str) -> Self {
        writeln!(self.lines, "{line}").unwrap();
        self
    }

    /// With tables more at the end of its configuration.
    pub fn tables(mut self, tables: &str) -> Self {
        self.tables.push_str(tables);
        self
    }

    /// Where its health is to be asked for, if it listens for that alone.
    pub fn socket(&self) -> String {
        self.site.dir.path().join(format!("{}.sock", self.name)).display().to_string()
    }

    /// Its configuration.
    pub fn config(&self) -> String {
        let keytab = self.site.realm.add_service(&self.principal);
        self.config_with(&keytab)
    }

    /// The same with a keytab of which the realm does not know.
    pub fn config_with(&self, keytab: &Path) -> String {
        let dir = self.site.dir.path().display();
        let database = self.site.db.gss_conninfo(&self.role);
        let serves = ["web", "hub"].contains(&self.name);
        let service =
            if serves { self.site.realm.add_service("HTTP/localhost").display().to_string() } else { String::new() };
        let mut text = format!("database = \"{database}\"\nspool = \"{dir}/spool-{}\"\n{}", self.name, self.lines);
        if self.name == "publisher" {
            writeln!(text, "repositories = \"{dir}/repositories\"").unwrap();
        }
        writeln!(text, "[store]\nkind = \"folder\"\npath = \"{dir}/store\"").unwrap();
        if serves {
            writeln!(text, "[http]\nlisten = \"127.0.0.1:0\"").unwrap();
        } else {
            writeln!(text, "[metrics]\nlisten = \"unix:{}\"", self.socket()).unwrap();
        }
        write!(text, "{}", self.tables).unwrap();
        writeln!(text, "[kerberos]\nclient_keytab = \"{}\"", keytab.display()).unwrap();
        if serves {
            writeln!(text, "service_keytab = \"{service}\"").unwrap();
        }
        text
    }

    /// Starts it, and waits until it is ready.
    pub fn start(self) -> Process {
        let daemon = format!("farm-{}", self.name);
        Process::daemon_with(&daemon, &self.config(), |command| {
            command.envs(self.site.realm.env());
        })
    }

    /// Starts one that is not to run; gives its exit code and what it said.
    pub fn fail(self) -> (Option<i32>, String) {
        let config = self.config();
        self.fail_with(&config)
    }

    /// The same with this configuration.
    pub fn fail_with(self, config: &str) -> (Option<i32>, String) {
        let daemon = format!("farm-{}", self.name);
        let file = self.site.dir.path().join(format!("{daemon}.toml"));
        fs_err::write(&file, config).unwrap();
        let mut command = Command::new("timeout");
        command.arg("60").arg(program(&daemon, &daemon)).arg("--config").arg(file).envs(self.site.realm.env());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

/// The address of a server under the name that its principal has.
pub fn localhost(server: &Process, path: &str) -> String {
    let port = server.address().rsplit(':').next().unwrap();
    format!("http://localhost:{port}{path}")
}

/// Asks a daemon for a status, by this name or that socket.
pub fn ready(socket: &str) -> Answer {
    curl(&Env::new(), &["--unix-socket", socket, "http://localhost/readyz"])
}

/// That a tool was refused for want of a login, with these words and the exit code that the documents have for it.
#[track_caller]
pub fn not_allowed(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains(words), "“{words}” is not in: {said}");
}

/// What a tool printed that succeeded.
#[track_caller]
pub fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}
