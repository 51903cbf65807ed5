//! What the whole PostgreSQL server uses up.

use std::time::{Duration, Instant};

use diesel::{PgConnection, QueryableByName, RunQueryDsl as _, sql_query, sql_types::Text};

use crate::TestDb;

/// Ticks of a second in `/proc`, on every Linux.
const TICKS: f64 = 100.0;

/// The server's processes.
pub struct Server {
    postmaster: u32,
}

/// What was done in a turn, and what it cost.
#[derive(Clone, Copy, Default)]
pub struct Turn {
    /// What was done.
    pub jobs: u64,
    /// How long it took.
    pub time: Duration,
    /// Seconds of processors that the server took.
    pub cpu: f64,
}

impl Turn {
    /// Jobs in a second.
    pub fn rate(self) -> f64 {
        self.jobs as f64 / self.time.as_secs_f64()
    }

    /// Microseconds of the server's processors for each job.
    pub fn cpu_each(self) -> f64 {
        self.cpu * 1e6 / self.jobs.max(1) as f64
    }
}

impl Server {
    /// The server of a database.
    pub fn of(db: &TestDb) -> Self {
        let folder = text(&mut db.connect(), "SELECT setting AS text FROM pg_settings WHERE name = 'data_directory'");
        let file = fs_err::read_to_string(format!("{folder}/postmaster.pid")).unwrap();
        Self { postmaster: file.lines().next().unwrap().trim().parse().unwrap() }
    }

    /// Does something that answers how many jobs it did.
    pub fn turn(&self, work: impl FnOnce() -> u64) -> Turn {
        let (cpu, began) = (self.cpu(), Instant::now());
        let jobs = work();
        Turn { jobs, time: began.elapsed(), cpu: self.cpu() - cpu }
    }

    /// Seconds of processors since the start: of all processes that live, and, by the postmaster, of those that ended.
    fn cpu(&self) -> f64 {
        let numbers =
            fs_err::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let ticks: u64 = numbers.filter_map(|pid: u32| self.ticks(pid)).sum();
        ticks as f64 / TICKS
    }

    fn ticks(&self, pid: u32) -> Option<u64> {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which is in parentheses: state, parent, …; utime, stime, cutime, cstime are 12th to 15th.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let number = |n: usize| fields.get(n)?.parse::<u64>().ok();
        let own = number(11)? + number(12)?;
        if pid == self.postmaster {
            Some(own + number(13)? + number(14)?)
        } else {
            (number(1)? == u64::from(self.postmaster)).then_some(own)
        }
    }
}

/// The one text that a query answers in its column `text`.
pub fn text(conn: &mut PgConnection, sql: &str) -> String {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    sql_query(sql).get_result::<Row>(conn).unwrap().text
}
