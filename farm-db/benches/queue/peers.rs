//! Other queues on PostgreSQL, from npm: graphile-worker as it comes, and pg-boss by fetch and complete.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use farm_testing::{
    Cluster, TestDb,
    bench::{Server, Turn},
};

const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../peers/package.json")),
    ("graphile-worker.mjs", include_str!("../peers/graphile-worker.mjs")),
    ("pg-boss.mjs", include_str!("../peers/pg-boss.mjs")),
];

/// The programs, and a database for each.
pub struct Peers {
    folder: PathBuf,
    databases: [TestDb; 2],
}

impl Peers {
    /// Installs them below `target/`. `None`, said aloud, where that cannot be done.
    pub fn prepare(cluster: &Arc<Cluster>) -> Option<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("queue-peers");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in FILES {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let install =
            Command::new("npm").args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(&folder).output();
        match install {
            Ok(output) if output.status.success() => {
                Some(Self { folder, databases: [cluster.empty_database(), cluster.empty_database()] })
            }
            Ok(output) => {
                println!(
                    "NOT MEASURED beside graphile-worker and pg-boss: npm fails: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
                None
            }
            Err(error) => {
                println!("NOT MEASURED beside graphile-worker and pg-boss: no npm here: {error}");
                None
            }
        }
    }

    /// A turn of each.
    pub fn turns(&self, server: &Server, workers: u64, seconds: u64) -> [Turn; 2] {
        ["graphile-worker.mjs", "pg-boss.mjs"]
            .iter()
            .zip(&self.databases)
            .map(|(script, db)| self.turn(server, script, db, workers, seconds))
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| unreachable!())
    }

    /// Jobs are put in first. What is measured begins with the line `go` and ends with the number of jobs done.
    fn turn(&self, server: &Server, script: &str, db: &TestDb, workers: u64, seconds: u64) -> Turn {
        use std::io::{BufRead as _, BufReader};
        let mut child = Command::new("node")
            .args([script, &db.url(), &workers.to_string(), &seconds.to_string()])
            .current_dir(&self.folder)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(lines.next().as_deref(), Some("go"), "{script}");
        let turn = server.turn(|| lines.next().unwrap().parse().unwrap());
        assert!(child.wait().unwrap().success(), "{script}");
        turn
    }
}
