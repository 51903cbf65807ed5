//! A whole farm at work while its processes are killed: every job ends, none is built twice, nothing stays behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use farm_api::{
    client::{PeopleClient, Transport},
    people::{Job, NewJob, NewSource},
};
use farm_testing::{Process, Signal, Spec, eventually, platform, program};
use farm_types::{Digest, JobId, Outcome, Progress};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// A build takes seconds here; with restarts, leases given back and backoffs in between, some minutes.
const PATIENCE: Duration = Duration::from_secs(240);

/// A farm that `farm-admin up` runs.
struct Farm {
    up: Process,
    data: TempDir,
    people: PeopleClient,
}

impl Farm {
    fn start() -> Self {
        // Not below /tmp, which may be memory, and where others can reach it, as builds run as other users.
        let data = tempfile::Builder::new().prefix("farm-faults-").tempdir_in("/var/tmp").unwrap();
        fs_err::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
        let mut command = Command::new(program("farm-admin", "farm-admin"));
        command
            .arg("--data")
            .arg(data.path())
            .args(["up", "--listen", "127.0.0.1:0", "--platform"])
            .arg(platform("mini12"));
        let up = Process::start("farm-admin", command);
        let line = up.wait_for_log("Farm is ready: ");
        let url = line.split("Farm is ready: ").nth(1).unwrap().trim();
        let people = PeopleClient::new(Transport::new(url, "test").unwrap());
        Self { up, data, people }
    }

    async fn submit(&self, name: &str) -> JobId {
        let srpm = Spec::named(name).build("echo at work; sleep 3; echo done").srpm();
        let bytes = fs_err::read(&srpm).unwrap();
        let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
        self.people.upload(&srpm, digest, bytes.len() as u64, |_| {}).await.unwrap();
        let job = NewJob {
            key: name.parse().unwrap(),
            title: None,
            sources: vec![NewSource { name: format!("{name}.src.rpm"), digest }],
            targets: Vec::new(),
            bucket: None,
            class: None,
            timeout_seconds: None,
            after: None,
            network: false,
            like: None,
            options: Default::default(),
        };
        eventually("the job to be taken", PATIENCE, async || self.people.create_job(&job).await.ok()).await.id
    }

    /// Waits until a builder is in the middle of a build.
    async fn until_something_is_built(&self) {
        eventually("something to be built", PATIENCE, async || {
            let builders = self.people.builders().await.ok()?;
            builders.iter().flat_map(|b| &b.running).find(|task| task.stage.is_some_and(|s| s.as_str() == "build"))?;
            Some(())
        })
        .await;
    }

    async fn end_of(&self, id: JobId) -> Job {
        eventually(&format!("the end of job {id}"), PATIENCE, async || {
            self.people.job(id).await.ok().filter(|job| job.progress.is_final())
        })
        .await
    }

    /// Kills a daemon, as the kernel does when memory is short.
    fn kill(&self, daemon: &str) {
        let argument = format!("\0run\0{daemon}\0");
        let pid = self.processes().into_iter().find(|(_, line)| line.contains(&argument)).map(|(pid, _)| pid);
        let pid = pid.unwrap_or_else(|| panic!("the {daemon} does not run"));
        send(pid, Signal::KILL);
    }

    /// Kills PostgreSQL's first process; the others follow it.
    fn kill_postgres(&self) {
        let pid = fs_err::read_to_string(self.data.path().join("postgres/data/postmaster.pid")).unwrap();
        send(pid.lines().next().unwrap().parse().unwrap(), Signal::KILL);
    }

    /// All processes that have to do with this farm, with their command lines.
    fn processes(&self) -> Vec<(i32, String)> {
        let data = self.data.path().to_str().unwrap();
        let lines = fs_err::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some((pid, String::from_utf8_lossy(&line).into_owned()))
        });
        lines.filter(|(_, line)| line.contains(data)).collect()
    }

    /// Ends the farm and sees to it that nothing is left.
    async fn end(mut self) {
        assert!(self.up.terminate().success(), "farm-admin up did not end well");
        eventually("every process to be gone", PATIENCE, async || self.processes().is_empty().then_some(())).await;
        let data = self.data.path().to_str().unwrap();
        let mounted: Vec<_> =
            fs_err::read_to_string("/proc/self/mountinfo").unwrap().lines().map(str::to_owned).collect();
        assert!(!mounted.iter().any(|line| line.contains(data)), "a mount is left: {mounted:?}");
        let work = fs_err::read_dir(self.data.path().join("builder/work")).unwrap().count();
        assert_eq!(work, 0, "a chroot is left");
    }
}

fn send(pid: i32, signal: Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// What has to hold of a farm at rest.
fn assert_sound(data: &Path) {
    let conninfo = fs_err::read_to_string(data.join("etc/operator-database")).unwrap();
    let mut conn = farm_db::migrate::connect(&conninfo).unwrap();
    let broken = farm_db::invariants::check(&mut conn).unwrap();
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!(farm_db::read::queue(&mut conn).unwrap().running, 0, "a lease is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_every_job_ends_and_none_is_built_twice() {
    let farm = Farm::start();
    let mut jobs = BTreeSet::new();
    for name in ["one", "two", "three", "four"] {
        jobs.insert(farm.submit(name).await);
    }
    for victim in ["builder", "hub", "web", "validator", "janitor", "postgres"] {
        farm.until_something_is_built().await;
        match victim {
            "postgres" => farm.kill_postgres(),
            daemon => farm.kill(daemon),
        }
        jobs.insert(farm.submit(&format!("after-{victim}")).await);
    }
    for id in jobs {
        let job = farm.end_of(id).await;
        assert_eq!(job.progress, Progress::Succeeded, "{job:#?}");
        let results = job.tasks[0].attempts.iter().filter(|a| a.outcome == Some(Outcome::Succeeded)).count();
        assert_eq!(results, 1, "{job:#?}");
    }
    assert_sound(farm.data.path());
    farm.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_a_farm_that_is_killed_and_its_work_goes_on_when_it_is_started_again() {
    let mut farm = Farm::start();
    let id = farm.submit("interrupted").await;
    farm.until_something_is_built().await;
    send(i32::try_from(farm.up.pid()).unwrap(), Signal::KILL);
    eventually("every process to be gone", PATIENCE, async || farm.processes().is_empty().then_some(())).await;

    let mut command = Command::new(program("farm-admin", "farm-admin"));
    command.arg("--data").arg(farm.data.path()).args(["up", "--listen", "127.0.0.1:0"]);
    farm.up = Process::start("farm-admin", command);
    let line = farm.up.wait_for_log("Farm is ready: ");
    let url = line.split("Farm is ready: ").nth(1).unwrap().trim().to_owned();
    farm.people = PeopleClient::new(Transport::new(&url, "test").unwrap());
    let job = farm.end_of(id).await;
    assert_eq!(job.progress, Progress::Succeeded, "{job:#?}");
    assert_sound(farm.data.path());
    farm.end().await;
}
