//! One private PostgreSQL per test process.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use diesel::{Connection as _, PgConnection, RunQueryDsl as _, sql_query};
use diesel_migrations::{FileBasedMigrations, MigrationHarness as _};
use farm_postgres::{Follows, Kerberos, Options, PrivatePostgres, Shutdown};

use rustix::process::{Pid, Signal, kill_process};

use crate::{DEADLINE, Realm, TestDb, eventually_blocking};

/// A clone of this is what a test gets. Nobody may connect to it, as PostgreSQL copies only a database at rest.
const TEMPLATE: &str = "farm_template";

static SHARED: LazyLock<Arc<Cluster>> = LazyLock::new(|| Arc::new(Cluster::start(Options::temporary())));

/// A private PostgreSQL with the migrations of the workspace at hand.
///
/// Nearly every test shares the one of its process: see [`TestDb::new`]. A test that stops, crashes or tunes the server
/// has one of its own: [`Cluster::own`].
#[derive(Debug)]
pub struct Cluster {
    server: Mutex<PrivatePostgres>,
    template: OnceLock<()>,
    names: AtomicU32,
}

impl Cluster {
    /// The one that the tests of this process share.
    pub fn shared() -> Arc<Self> {
        Arc::clone(&SHARED)
    }

    /// One for a single test that does something to the server itself. It survives crashes as a real one does.
    pub fn own() -> Arc<Self> {
        Arc::new(Self::start(Options { temporary: true, ..Options::persistent() }))
    }

    /// One for a single test, with settings of its own.
    pub fn with(options: Options) -> Arc<Self> {
        Arc::new(Self::start(options))
    }

    /// One that also lets in who has a ticket of this realm, by TCP. `map` says who may be which role, as in `pg_ident.conf`:
    /// a principal, or a pattern that begins with `/`, and a role.
    pub fn with_realm(realm: &Realm, map: &[(&str, &str)]) -> Arc<Self> {
        Self::with(Options::temporary().kerberos(kerberos(realm, map)))
    }

    /// The same on a server that survives crashes as a real one does: for measuring.
    pub fn durable_with_realm(realm: &Realm, map: &[(&str, &str)]) -> Arc<Self> {
        Self::with(Options { temporary: true, ..Options::persistent() }.kerberos(kerberos(realm, map)))
    }

    /// A database with the migrations applied.
    pub fn database(self: &Arc<Self>) -> TestDb {
        self.template.get_or_init(|| self.make_template());
        let name = self.next_name();
        // Copying files instead of writing everything to the log: three times as fast, and the log is not needed.
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy"));
        TestDb::on(Arc::clone(self), name)
    }

    /// A database with nothing in it, for tests of the migrations themselves.
    pub fn empty_database(self: &Arc<Self>) -> TestDb {
        let name = self.next_name();
        self.execute(&format!("CREATE DATABASE {name}"));
        TestDb::on(Arc::clone(self), name)
    }

    /// Stops the server, in good order or as a crash does, and starts it again. All connections are cut.
    pub fn restart(&self, how: Shutdown) {
        self.server().restart(how).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Begins a server of its own that follows this one, and waits until this one commits nothing that the replica has not written
    /// down. That holds until somebody changes `synchronous_standby_names`.
    pub fn synchronous_replica(&self) -> Arc<Self> {
        let primary = format!("host={} port=5432 user=postgres application_name=replica", self.dir().display());
        let replica = self.copy(Follows::Primary, &[("primary_conninfo", &primary)]);
        let replica = Arc::new(Self::run(&replica, Options { temporary: true, ..Options::persistent() }));
        self.execute("ALTER SYSTEM SET synchronous_standby_names = 'replica'");
        self.execute("SELECT pg_reload_conf()");
        let streams = "SELECT 1 / count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        eventually_blocking("a synchronous replica", DEADLINE, || self.try_execute(streams).ok());
        replica
    }

    /// Makes a primary of a replica, as whoever looks after the database does when the primary is gone.
    pub fn promote(&self) {
        self.execute("SELECT 1 / pg_promote(true, 60)::int");
    }

    /// Names this moment, so that a copy can be set back to it.
    pub fn restore_point(&self, name: &str) {
        self.execute(&format!("SELECT pg_create_restore_point('{name}')"));
    }

    /// A copy of the data as it is now, with other settings: the folder of a server that [`restored`](Self::restored) starts.
    pub fn copy(&self, follows: Follows, settings: &[(&str, &str)]) -> PathBuf {
        let dir = folder();
        self.server().copy_to(&dir, follows, settings).unwrap_or_else(|error| panic!("{error}"));
        dir
    }

    /// Starts a server on data that is there. Waits until it takes changes, if it is to come to that by itself.
    pub fn restored(dir: &Path, options: Options) -> Arc<Self> {
        let cluster = Self::run(dir, options);
        let takes_changes = "SELECT 1 / (NOT pg_is_in_recovery())::int";
        eventually_blocking("the end of the recovery", DEADLINE, || cluster.try_execute(takes_changes).ok());
        Arc::new(cluster)
    }

    /// Kills every process of the server in this moment, as the end of its machine does.
    pub fn kill(&self) {
        let (data, ended) = (self.dir().join("data"), self.server().ended());
        for entry in fs_err::read_dir("/proc").unwrap().flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            if let Some(pid) = pid.filter(|_| fs_err::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data))
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        ended.wait();
    }

    /// How to connect as a role to the copy that this server has of a database of the one it was made from.
    pub fn url_of(&self, role: &str, database: &TestDb) -> String {
        self.url(role, database.name())
    }

    /// The folder of the server: its data and its log.
    pub fn dir(&self) -> PathBuf {
        self.server().dir().to_owned()
    }

    /// The log of the server so far.
    pub fn log(&self) -> String {
        fs_err::read_to_string(self.dir().join("postgres.log")).unwrap()
    }

    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        self.server().url(role, database)
    }

    pub(crate) fn gss_conninfo(&self, role: &str, database: &str) -> Option<String> {
        self.server().gss_conninfo(role, database)
    }

    pub(crate) fn superuser_url(&self, database: &str) -> String {
        self.server().superuser_url(database)
    }

    /// Runs a statement with all rights, on no database of a test.
    pub fn try_execute(&self, sql: &str) -> Result<(), String> {
        let url = self.superuser_url("postgres");
        let mut connection = PgConnection::establish(&url).map_err(|error| error.to_string())?;
        sql_query(sql).execute(&mut connection).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn start(options: Options) -> Self {
        Self::run(&folder(), options)
    }

    fn run(dir: &Path, options: Options) -> Self {
        // Enough for many tests with pools side by side; little memory each.
        let options = options.set("max_connections", "400").set("shared_buffers", "32MB");
        let server = PrivatePostgres::start(dir, &options).unwrap_or_else(|error| {
            let _ = fs_err::remove_dir_all(dir);
            panic!("no PostgreSQL for the tests: {error}")
        });
        Self { server: Mutex::new(server), template: OnceLock::new(), names: AtomicU32::new(1) }
    }

    fn make_template(&self) {
        // If a migration fails, every test is to say so, not only the first.
        self.execute(&format!("DROP DATABASE IF EXISTS {TEMPLATE}"));
        self.execute(&format!("CREATE DATABASE {TEMPLATE}"));
        migrate(&self.superuser_url(TEMPLATE));
        self.execute(&format!("ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false IS_TEMPLATE true"));
    }

    fn next_name(&self) -> String {
        format!("t_{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    fn execute(&self, sql: &str) {
        self.try_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// A test that panicked while it held the server does not make the others fail.
    fn server(&self) -> MutexGuard<'_, PrivatePostgres> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new folder for a server.
fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("farm-pg-").tempdir().unwrap().keep()
}

fn kerberos(realm: &Realm, map: &[(&str, &str)]) -> Kerberos {
    Kerberos {
        keytab: realm.add_service("postgres/localhost"),
        config: realm.config(),
        realm: realm.name().to_owned(),
        map: map.iter().map(|(who, role)| ((*who).to_owned(), (*role).to_owned())).collect(),
    }
}

/// Applies the migrations of the workspace, as `farm-admin migrate` does.
pub(crate) fn migrate(url: &str) {
    // Roles belong to the whole server: two databases must not make them at the same time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let migrations = FileBasedMigrations::from_path(&folder)
        .unwrap_or_else(|error| panic!("cannot read the migrations in {}: {error}", folder.display()));
    let mut connection = PgConnection::establish(url).unwrap();
    connection.run_pending_migrations(migrations).unwrap_or_else(|error| panic!("a migration fails: {error}"));
}
