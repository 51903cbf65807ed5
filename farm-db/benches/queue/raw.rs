//! The statements themselves, sent by pgbench.

use std::{fs, path::PathBuf, process::Command};

use farm_postgres::Programs;
use farm_testing::TestDb;

/// What farm-db sends for a claim and a finish, as pgbench sends it (with `aset`, which takes an empty claim for none and goes on);
/// `:client_id` makes each client a builder of its own, as each worker of ours is.
const SCRIPT: &str = "\
\\set builder :client_id + 1
SELECT * FROM farm.claim_tasks(:builder, '00000000-0000-0000-0000-000000000001', 1, interval '60 s') \\aset t_
SELECT farm.finish_with_record(:builder, :t_task_id, :t_attempt, :t_token, 'succeeded', NULL, NULL, '', '[]', '[]', '[]', '{}', '[]');
";

/// The script, in a file.
pub fn script(db: &TestDb) -> PathBuf {
    let script = db.cluster().dir().join("queue.pgbench");
    fs::write(&script, SCRIPT).unwrap();
    script
}

/// Claims and finishes one by one, from so many clients. Answers how many.
pub fn one_by_one(db: &TestDb, script: &PathBuf, clients: u64, seconds: u64) -> u64 {
    let output = Command::new(Programs::find(None).unwrap().path("pgbench"))
        .args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string(), "-T", &seconds.to_string(), "-f"])
        .arg(script)
        .arg(db.url())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let done =
        text.lines().find_map(|line| line.strip_prefix("number of transactions actually processed: ")?.parse().ok());
    done.unwrap_or_else(|| panic!("pgbench said: {text}{}", String::from_utf8_lossy(&output.stderr)))
}
