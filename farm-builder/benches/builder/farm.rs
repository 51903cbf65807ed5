//! A farm with a hub, a database and builders.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use farm_builder::{BuildLimits, BuildRequest, NativeDriver};
use farm_postgres::Options;
use farm_rpm::Dependency;
use farm_testing::{Cluster, Process};
use farm_types::JobId;

use crate::{
    common::{SMALL, pack, platform},
    support::Farm,
};

/// How long to wait before asking whether a task has ended: its times come from the database.
const PAUSE: Duration = Duration::from_millis(20);

/// The farm.
pub struct Site {
    farm: Farm,
    data: PathBuf,
    _cluster: std::sync::Arc<Cluster>,
}

/// A running builder.
pub struct Builder(Process);

impl Builder {
    /// The most memory it has had, in MiB; without its children.
    pub fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Site {
    pub fn start(data: &Path) -> Self {
        let cluster = Cluster::with(Options { temporary: true, ..Options::persistent() });
        Self { farm: Farm::on(cluster.database(), 20, 5), data: data.to_owned(), _cluster: cluster }
    }

    /// A builder with so many slots.
    pub fn builder(&self, name: &str, slots: u32) -> Builder {
        let config = self.farm.builder_config(name, &format!("slots = {slots}"));
        let data = format!("data = '{}'", self.data.display());
        let lines: Vec<&str> =
            config.lines().map(|line| if line.starts_with("data =") { &data } else { line }).collect();
        let config = lines.join("\n");
        Builder(Process::daemon("farm-builder", &config))
    }

    /// Takes away what is kept for further builds: `trees`, layers included, or only `layers`. (It is not removed: for minutes ext4
    /// is slow to make files where many were removed.)
    pub fn forget(&self, what: &str) {
        let folders: &[&str] = if what == "trees" { &["trees", "layers"] } else { &["layers"] };
        for folder in folders {
            for entry in std::fs::read_dir(self.data.join(folder)).unwrap() {
                let away = self.data.with_extension(uuid::Uuid::new_v4().to_string());
                std::fs::rename(entry.unwrap().path(), away).unwrap();
            }
        }
    }

    /// Builds a source package: from claim to finish, in milliseconds.
    pub async fn attempt(&self, source: &Path) -> f64 {
        let job = self.farm.job(&[source.to_owned()]).await;
        self.ended(job).await;
        self.milliseconds(&[job], "max(finished_at) - min(started_at)")
    }

    /// How long so many small builds take together, in milliseconds.
    pub async fn throughput(&self, builds: usize) -> f64 {
        let dir = tempfile::tempdir().unwrap();
        let source = pack(dir.path(), SMALL);
        // It warms what is still cold.
        self.attempt(&source).await;
        let mut jobs = Vec::new();
        for _ in 0..builds {
            jobs.push(self.farm.job(std::slice::from_ref(&source)).await);
        }
        for job in &jobs {
            self.ended(*job).await;
        }
        self.milliseconds(&jobs, "max(finished_at) - min(started_at)")
    }

    /// How long a chroot takes, in milliseconds.
    pub async fn ready(&self, driver: &NativeDriver) -> f64 {
        let request = BuildRequest {
            id: "probe".parse().unwrap(),
            platform: platform("mini12"),
            sources: Vec::new(),
            results: self.data.clone(),
            limits: BuildLimits::default(),
            network: false,
            like: None,
            options: Default::default(),
            repositories: Vec::new(),
            predecessors: Vec::new(),
            remarks: Vec::new(),
        };
        let need =
            |name: &str| Dependency { name: name.to_owned(), flags: rpm::DependencyFlags::ANY, evr: String::new() };
        let needs = ["gcc", "make", "bison", "flex"].map(need);
        driver.probe(&request, &needs).await.unwrap().as_secs_f64() * 1000.0
    }

    async fn ended(&self, job: JobId) {
        let sql = "SELECT state FROM farm.task WHERE job_id = $1 AND finished_at IS NOT NULL";
        let state = loop {
            match self.farm.ask(job, sql) {
                Some(state) => break state,
                None => tokio::time::sleep(PAUSE).await,
            }
        };
        assert_eq!(state, "succeeded", "{}", self.farm.log(job).await);
    }

    fn milliseconds(&self, jobs: &[JobId], span: &str) -> f64 {
        let (first, last) = (jobs.first().unwrap(), jobs.last().unwrap());
        let sql = format!(
            "SELECT extract(epoch FROM {span}) * 1000 FROM farm.attempt WHERE task_id IN
             (SELECT id FROM farm.task WHERE job_id BETWEEN $1 AND {})",
            last.0
        );
        self.farm.ask(*first, &sql).unwrap().parse().unwrap()
    }
}
