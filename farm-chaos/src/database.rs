//! The database, and what happens to it: crashes, restarts, days on which it is slow or stands still, connections that are cut.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use diesel::{PgConnection, RunQueryDsl as _, sql_query};
use farm_db::migrate;
use farm_postgres::{Options, PrivatePostgres, Programs, Shutdown};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{task::spawn_blocking, time::sleep};

use crate::disk::run;

/// The name of the farm's database.
const NAME: &str = "farm";
/// How long it may take to come up again.
const START: Duration = Duration::from_secs(120);
/// A slow server stands still for so long, and then works for so long.
const STANDS: Duration = Duration::from_millis(150);
const WORKS: Duration = Duration::from_millis(50);

/// The private server.
#[derive(Debug, Clone)]
pub struct Database {
    server: Arc<Mutex<PrivatePostgres>>,
    folder: PathBuf,
    superuser: String,
    as_role: String,
}

impl Database {
    /// Starts it, with the newest schema.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        // What dies here are processes and not the machine, so nothing has to reach the disk; but what was committed has to be in the log.
        let options = Options { temporary: true, ..Options::persistent() }
            .set("fsync", "off")
            .set("full_page_writes", "off")
            .set("max_connections", "200");
        let server = PrivatePostgres::start(folder, &options)?;
        migrate::create_database(&mut migrate::connect(&server.superuser_url("postgres"))?, NAME)?;
        let superuser = server.superuser_url(NAME);
        migrate::up(&mut migrate::connect(&superuser)?)?;
        let as_role = server.url("ROLE", NAME);
        Ok(Self { folder: server.dir().to_owned(), server: Arc::new(Mutex::new(server)), superuser, as_role })
    }

    /// How to connect as a role.
    pub fn url(&self, role: &str) -> String {
        self.as_role.replace("user=ROLE", &format!("user={}", role.replace('_', "%5F")))
    }

    /// A connection with all rights.
    pub fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(migrate::connect(&self.superuser)?)
    }

    /// Kills its first process; the others follow. It is started again as its keeper would do it.
    pub async fn crash(&self) -> anyhow::Result<()> {
        kill_process(self.first()?, Signal::KILL)?;
        self.restart(Shutdown::Crash).await
    }

    /// Stops it and starts it again.
    pub async fn restart(&self, how: Shutdown) -> anyhow::Result<()> {
        let end = Instant::now() + START;
        loop {
            let server = Arc::clone(&self.server);
            let again = move || server.lock().unwrap_or_else(PoisonError::into_inner).restart(how);
            match spawn_blocking(again).await? {
                Ok(()) => return Ok(()),
                // Processes of a killed server need a moment to see that it is gone.
                Err(_) if Instant::now() < end => sleep(Duration::from_millis(200)).await,
                Err(error) => return Err(error).context("PostgreSQL does not come up again"),
            }
        }
    }

    /// Lets all of it stand still for so long: whoever asks it something waits.
    pub async fn pause(&self, time: Duration) -> anyhow::Result<()> {
        let stopped = Stopped::new([self.first()?].into_iter().chain(self.processes()?).collect());
        sleep(time).await;
        drop(stopped);
        Ok(())
    }

    /// Lets it stand still most of the time, for so long.
    pub async fn slow_down(&self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let processes = self.processes()?;
            let stopped = Stopped::new(processes);
            sleep(STANDS).await;
            drop(stopped);
            sleep(WORKS).await;
        }
        Ok(())
    }

    /// Cuts two of three connections of the farm.
    pub async fn cut_connections(&self) -> anyhow::Result<()> {
        let this = self.clone();
        let cut = move || {
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'farm\\_%' AND random() < 0.67";
            Ok(sql_query(cut).execute(&mut this.connect()?).map(drop)?)
        };
        spawn_blocking(cut).await?
    }

    /// Writes down all that is in it.
    pub fn dump(&self, file: &Path) -> anyhow::Result<()> {
        let program = Programs::find(None)?.path("pg_dump");
        run(Command::new(program).arg("--file").arg(file).arg(&self.superuser))
    }

    /// The first of its processes.
    fn first(&self) -> anyhow::Result<Pid> {
        let text = fs_err::read_to_string(self.folder.join("data/postmaster.pid"))?;
        let pid = text.lines().next().and_then(|line| line.parse().ok()).and_then(Pid::from_raw);
        pid.context("the server has no number")
    }

    /// The processes that serve connections, and those that write behind them.
    fn processes(&self) -> anyhow::Result<Vec<Pid>> {
        let first = self.first()?.as_raw_pid();
        let children = fs_err::read_to_string(format!("/proc/{first}/task/{first}/children"))?;
        Ok(children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect())
    }
}

/// Processes that stand still until this is dropped.
struct Stopped(Vec<Pid>);

impl Stopped {
    fn new(processes: Vec<Pid>) -> Self {
        for pid in &processes {
            let _ = kill_process(*pid, Signal::STOP);
        }
        Self(processes)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}
