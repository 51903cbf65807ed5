//! A builder of such a farm, and what it brings.

use farm_api::{
    hub::{Finish, Hello, LogLine, NewArtifact, StageTime, Status},
    limits::Limits,
    record::{BuildRecord, Buildroot, FILE_NAME, FORMAT, Package, RepositoryState, SourceFile, Tool, Usage},
};
use farm_db::{PgConnection, operator, queue, testing};
use farm_types::{ArtifactKind, BuilderId, Cause, Digest, LeaseKey, Outcome, Stage};
use uuid::Uuid;

use super::{Farm, PLATFORMS, gzip, recipe, sha256};

/// A builder, as the hub sees it.
pub struct Builder {
    conn: PgConnection,
    id: BuilderId,
    instance: Uuid,
}

impl Builder {
    pub(super) fn new(mut conn: PgConnection, name: &str) -> Self {
        let token = sha256(name.as_bytes());
        testing::put_builder(&mut conn, name, &token, None);
        let id = operator::builder_by_token(&mut conn, &token).unwrap().unwrap().id;
        let instance = Uuid::new_v4();
        let hello = Hello {
            name: name.parse().unwrap(),
            instance,
            version: "0.1.0".to_owned(),
            arches: vec!["x86_64".to_owned()],
            slots: 2,
            successor: false,
        };
        queue::hello(&mut conn, id, "127.0.0.1", &hello).unwrap();
        Self { conn, id, instance }
    }

    /// Takes the next task.
    pub fn claim(&mut self) -> LeaseKey {
        let claimed = queue::claim(&mut self.conn, self.id, self.instance, 1, 600).unwrap();
        claimed.first().expect("there is nothing to claim").key
    }

    /// Says how it stands.
    pub fn tell(&mut self, reason: Option<&str>) {
        let status = Status {
            instance: self.instance,
            reason: reason.map(str::to_owned),
            load: 2.5,
            processors: 4,
            memory_available: 3 << 30,
            disk_available: 5 << 30,
            files_available: 1 << 20,
        };
        queue::tell_status(&mut self.conn, self.id, &status).unwrap();
    }

    pub fn stage(&mut self, key: &LeaseKey, stage: Stage) {
        queue::stage_began(&mut self.conn, self.id, key, stage).unwrap();
    }

    /// Adds to the log; answers its size.
    pub fn log(&mut self, key: &LeaseKey, start: u64, text: &[u8]) -> u64 {
        let length = u32::try_from(text.len()).unwrap();
        queue::append_log(&mut self.conn, self.id, key, start, length, &gzip(text)).unwrap()
    }

    /// Ends an attempt; what it produced is in the store already.
    pub fn finish(&mut self, key: &LeaseKey, end: &Finish) {
        for artifact in &end.artifacts {
            queue::deliver(&mut self.conn, self.id, key, &artifact.digest, artifact.size).unwrap();
        }
        queue::finish(&mut self.conn, self.id, key, end).unwrap();
    }

    pub fn succeed(&mut self, key: &LeaseKey, artifacts: Vec<NewArtifact>) {
        self.finish(key, &Finish { outcome: Outcome::Succeeded, artifacts, ..failure() });
    }

    pub fn release(&mut self, key: &LeaseKey) {
        queue::release(&mut self.conn, self.id, key, "the builder is shutting down").unwrap();
    }
}

/// An end by the package's own fault, to be changed as a test needs it.
pub fn failure() -> Finish {
    Finish {
        outcome: Outcome::Failed,
        cause: None,
        stage: Some(Stage::Build),
        message: String::new(),
        excerpt: Vec::new(),
        stages: vec![
            StageTime { stage: Stage::Fetch, milliseconds: 120 },
            StageTime { stage: Stage::Chroot, milliseconds: 2_300 },
            StageTime { stage: Stage::Dependencies, milliseconds: 9_800 },
            StageTime { stage: Stage::Build, milliseconds: 31_000 },
        ],
        marks: Vec::new(),
        usage: Usage {
            peak_memory_bytes: Some(345 << 20),
            cpu_milliseconds: Some(58_300),
            written_bytes: Some(78 << 20),
        },
        artifacts: Vec::new(),
    }
}

/// A build that failed with these lines.
pub fn failed_build(lines: &[&str]) -> Finish {
    let excerpt = (4711..).zip(lines).map(|(number, line)| LogLine { number, text: (*line).to_owned() }).collect();
    let message = "the build failed: make ended with exit code 2".to_owned();
    Finish { cause: Some(Cause::Build), excerpt, message, ..failure() }
}

pub fn artifact(kind: ArtifactKind, name: &str, digest: Digest, size: usize) -> NewArtifact {
    NewArtifact { kind, name: name.parse().unwrap(), digest, size: size as u64 }
}

/// A record with these packages, `name-version-release.arch`, in the store.
pub async fn record(farm: &Farm, packages: &[&str]) -> NewArtifact {
    let package = |nevra: &&str| {
        let (nevr, arch) = nevra.rsplit_once('.').unwrap();
        let [release, version, name] = nevr.rsplitn(3, '-').collect::<Vec<_>>().try_into().unwrap();
        Package {
            name: name.to_owned(),
            epoch: None,
            version: version.to_owned(),
            release: release.to_owned(),
            arch: Some(arch.to_owned()),
            digest: Some(sha256(nevra.as_bytes())),
            repository: Some("base".to_owned()),
        }
    };
    let tool = |name: &str, version: &str| Tool { name: name.to_owned(), version: version.to_owned() };
    let record = BuildRecord {
        format: FORMAT,
        platform: PLATFORMS[0].parse().unwrap(),
        recipe: serde_json::to_value(recipe(PLATFORMS[0])).unwrap(),
        repositories: vec![RepositoryState {
            name: "base".to_owned(),
            digest: sha256(b"repomd"),
            revision: Some("1764118000".to_owned()),
        }],
        base: sha256(b"base").to_string(),
        sources: vec![SourceFile { position: 1, digest: sha256(b"source") }],
        predecessors: Vec::new(),
        buildroots: vec![Buildroot { source: 1, layers: Vec::new(), packages: packages.iter().map(package).collect() }],
        limits: Limits { timeout_seconds: Some(7200), memory_bytes: Some(8 << 30), ..Limits::default() },
        network: false,
        isolation: None,
        options: None,
        tools: vec![
            tool("farm-builder", "0.1.0"),
            tool("kernel", "6.18.2"),
            tool("bwrap", "0.11.0"),
            tool("dnf", "4.24.0"),
        ],
        stages: failure().stages,
        usage: failure().usage,
    };
    let bytes = serde_json::to_vec(&record).unwrap();
    artifact(ArtifactKind::Manifest, FILE_NAME, farm.blob(&bytes).await, bytes.len())
}
