//! Daemons that start before their database: after a power cut, machines come back in any order.

use std::{os::unix::fs::symlink, path::PathBuf};

use farm_testing::{Process, TestDb, eventually};

use crate::farm::{PATIENCE, Site, folder};

/// The daemons that use the database, and their own settings.
const DAEMONS: [(&str, &str, Option<&str>); 5] = [
    ("web", "local_user = 'alice'", Some("127.0.0.1:0")),
    ("hub", "", Some("127.0.0.1:0")),
    ("validator", "", None),
    ("janitor", "", None),
    ("publisher", "repositories = 'DIR/repositories'", None),
];

/// A database behind a path that is not there until it [comes](Late::come).
struct Late {
    db: TestDb,
    path: PathBuf,
    site: Site,
}

impl Late {
    /// `user` is as whom the daemons come; `ROLE` stands for who they should be.
    fn new(user: &str) -> Self {
        let (db, dir) = (TestDb::new(), folder());
        let path = dir.path().join("sockets");
        let database = format!("host={} port=5432 dbname={} {user}", path.display(), db.name());
        let store = format!("kind = 'folder'\npath = '{}'", dir.path().join("store").display());
        Self { db, path, site: Site { database, store, http: "", dir } }
    }

    /// Starts all daemons, which wait for it when this is done.
    fn start(&self) -> Vec<Process> {
        let daemons = DAEMONS.map(|(name, own, listen)| {
            let own = own.replace("DIR", &self.site.dir.path().display().to_string());
            Process::starting_daemon(&format!("farm-{name}"), &self.site.config(name, &own, listen), |_| {})
        });
        for daemon in &daemons {
            daemon.wait_for_log("the database is not there yet");
        }
        daemons.into()
    }

    fn come(&self) {
        symlink(self.db.cluster().dir(), &self.path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_that_start_before_their_database_work_once_it_is_there() {
    let late = Late::new("user=ROLE");
    let mut daemons = late.start();
    late.come();
    for (daemon, (name, ..)) in daemons.iter_mut().zip(DAEMONS) {
        daemon.wait_until_ready();
        daemon.wait_for_log(&format!("the database knows this process as farm_{name}"));
    }
    for daemon in &daemons[..2] {
        let readiness = daemon.url("/readyz");
        let is_ready = async || reqwest::get(&readiness).await.ok()?.error_for_status().ok();
        eventually("a ready daemon", PATIENCE, is_ready).await;
    }
    for daemon in &mut daemons {
        assert!(daemon.terminate().success());
    }
}

#[test]
fn daemons_that_wait_for_their_database_end_when_they_are_asked_to() {
    for mut daemon in Late::new("user=ROLE").start() {
        assert!(daemon.terminate().success());
    }
}

#[test]
fn daemons_end_when_the_database_that_came_late_takes_them_for_somebody_else() {
    let late = Late::new("user=postgres");
    let daemons = late.start();
    late.come();
    for mut daemon in daemons {
        daemon.wait_for_log("this process came to the database as the role postgres, and has to be farm_");
        assert_eq!(daemon.wait(PATIENCE).code(), Some(1));
    }
}
