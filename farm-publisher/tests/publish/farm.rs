//! A farm without its other daemons: what they would do is done by hand.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use farm_api::hub::{Finish, Hello, NewArtifact};
use farm_db::{
    PgConnection, blobs,
    intake::{self, Decision, ReadSource, Submission},
    operator, publish,
    publish::Publication,
    queue, testing,
};
use farm_store::{Store, StoreConfig};
use farm_testing::{DEADLINE, Process, Spec, TestDb, eventually};
use farm_types::{ArtifactKind, BuilderId, Class, Digest, Outcome};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use crate::dnf::Dnf;

pub const PLATFORM: &str = "f13-x86_64";

pub struct Farm {
    pub db: TestDb,
    pub dir: TempDir,
    pub store: Store,
    builder: BuilderId,
    instance: Uuid,
    jobs: AtomicU32,
}

/// A file that a build made.
pub struct Built {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Built {
    pub fn digest(&self) -> Digest {
        digest(&self.bytes)
    }
}

pub fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// A binary package of this name; another edition has the same name and other bytes.
pub fn package(name: &str, edition: &str) -> Built {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec::named(name).install(&format!("echo {edition} > %{{buildroot}}/usr/share/%{{name}}/edition"));
    let file = dir.path().join("package.spec");
    fs_err::write(&file, spec.text()).unwrap();
    let output = std::process::Command::new("rpmbuild")
        .args(["-bb", "--nodeps", "--define", &format!("_topdir {}", dir.path().display())])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let name = format!("{name}-1-1.noarch.rpm");
    let bytes = fs_err::read(dir.path().join("RPMS/noarch").join(&name)).unwrap();
    Built { name, bytes }
}

impl Farm {
    pub fn new() -> Self {
        let (db, dir) = (TestDb::new(), tempfile::tempdir().unwrap());
        let store = Store::open(&StoreConfig::Folder { path: dir.path().join("store") }, dir.path()).unwrap();
        let mut conn = db.connect();
        let recipe = serde_json::json!({
            "name": PLATFORM, "release": "f13", "arch": "x86_64", "base": ["bash"],
            "repository": [{ "name": "base", "baseurl": "file:///nowhere", "gpgcheck": false }],
        });
        operator::put_platform(&mut conn, &testing::operator(), &serde_json::from_value(recipe).unwrap()).unwrap();
        let token = digest(b"token");
        testing::put_builder(&mut conn, "builder", &token, None);
        let builder = operator::builder_by_token(&mut conn, &token).unwrap().unwrap().id;
        let instance = Uuid::new_v4();
        let hello = Hello {
            name: "builder".parse().unwrap(),
            instance,
            version: "1".to_owned(),
            arches: vec!["x86_64".to_owned()],
            slots: 100,
            successor: false,
        };
        queue::hello(&mut conn, builder, "127.0.0.1", &hello).unwrap();
        Self { db, dir, store, builder, instance, jobs: AtomicU32::new(0) }
    }

    /// A job for a bucket whose task succeeds with these packages.
    pub async fn build(&self, bucket: &str, packages: &[&Built]) {
        let mut artifacts = Vec::new();
        for package in packages {
            self.put(&package.bytes).await;
            artifacts.push(NewArtifact {
                kind: ArtifactKind::Rpm,
                name: package.name.parse().unwrap(),
                digest: package.digest(),
                size: package.bytes.len() as u64,
            });
        }
        let source = self.put(b"a source package").await;
        let mut conn = self.db.connect();
        self.submit_and_accept(&mut conn, bucket, source);
        let task = queue::claim(&mut conn, self.builder, self.instance, 1, 600).unwrap().remove(0);
        let finish = Finish {
            outcome: Outcome::Succeeded,
            cause: None,
            stage: None,
            message: String::new(),
            excerpt: Vec::new(),
            stages: Vec::new(),
            marks: Vec::new(),
            usage: farm_api::record::Usage::default(),
            artifacts,
        };
        for artifact in &finish.artifacts {
            queue::deliver(&mut conn, self.builder, &task.key, &artifact.digest, artifact.size).unwrap();
        }
        queue::finish(&mut conn, self.builder, &task.key, &finish).unwrap();
    }

    /// What an operator does with all rights.
    pub fn execute(&self, sql: &str) {
        diesel::RunQueryDsl::execute(diesel::sql_query(sql), &mut self.db.connect()).unwrap();
    }

    fn submit_and_accept(&self, conn: &mut PgConnection, bucket: &str, source: Digest) {
        let bucket_name = bucket.parse().unwrap();
        operator::put_bucket(conn, &testing::operator(), &bucket_name, None, None).unwrap();
        let submit = format!("submit:{bucket}").parse().unwrap();
        operator::set_grant(conn, &testing::operator(), &submit, "everyone", true).unwrap();
        testing::brought(conn, "alice", &source, 1);
        let job = self.jobs.fetch_add(1, Ordering::Relaxed);
        let submission = Submission {
            actor: testing::person("alice"),
            key: format!("job-{job}").parse().unwrap(),
            request: digest(&job.to_le_bytes()),
            title: "a job".to_owned(),
            bucket: bucket.parse().unwrap(),
            class: Class::Normal,
            targets: PLATFORM.to_owned(),
            timeout_seconds: None,
            after: None,
            network: false,
            like: None,
            options: Default::default(),
            sources: vec![("hello-1-1.src.rpm".to_owned(), source)],
        };
        intake::submit(conn, &submission).unwrap();
        let sources = vec![ReadSource {
            position: 1,
            name: "hello".to_owned(),
            epoch: None,
            version: "1".to_owned(),
            release: "1".to_owned(),
        }];
        let platforms = vec![PLATFORM.parse().unwrap()];
        let accept = Decision::Accept { sources, platforms, warnings: Vec::new() };
        intake::decide_next(conn, |_, _| Some(accept)).unwrap();
    }

    async fn put(&self, bytes: &[u8]) -> Digest {
        let digest = digest(bytes);
        let body = futures::stream::iter([Ok::<_, std::io::Error>(bytes.to_vec().into())]);
        self.store.put_stream(&digest, bytes.len() as u64, body).await.unwrap();
        blobs::record(&mut self.db.connect(), &digest, bytes.len() as u64).unwrap();
        digest
    }

    /// The publisher's configuration: it waits for nothing, and tries again after a second.
    pub fn config(&self, createrepo: &Path) -> String {
        format!(
            "database = {:?}\nspool = {:?}\nrepositories = {:?}\ncreaterepo = {createrepo:?}\nsettle_milliseconds = 0\n\
             rescan_seconds = 1\n[store]\nkind = 'folder'\npath = {:?}\n",
            self.db.url_as("farm_publisher"),
            self.dir.path().join("spool"),
            self.repositories(),
            self.dir.path().join("store"),
        )
    }

    pub fn publisher(&self) -> Process {
        self.publisher_with(Path::new("createrepo_c"))
    }

    pub fn publisher_with(&self, createrepo: &Path) -> Process {
        Process::daemon("farm-publisher", &self.config(createrepo))
    }

    /// A program in the place of createrepo_c that does what this shell script says; `"$@"` is what it is asked for.
    pub fn createrepo(&self, script: &str) -> PathBuf {
        let file = self.dir.path().join("createrepo");
        let new = self.dir.path().join("createrepo.new");
        let text = format!("#!/bin/sh\n[ \"$1\" != --version ] || exec createrepo_c \"$@\"\n{script}\n");
        fs_err::write(&new, text).unwrap();
        fs_err::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        fs_err::rename(new, &file).unwrap();
        file
    }

    pub fn repositories(&self) -> PathBuf {
        self.dir.path().join("repositories")
    }

    pub fn repository(&self, bucket: &str) -> PathBuf {
        self.repositories().join(bucket).join(PLATFORM)
    }

    /// A dnf that knows the repository of a bucket and nothing else.
    pub fn dnf(&self, bucket: &str) -> Dnf {
        Dnf::on(&format!("file://{}", self.repository(bucket).display()))
    }

    pub fn publication(&self, bucket: &str) -> Option<Publication> {
        let publications = publish::publications(&mut self.db.connect()).unwrap();
        publications.into_iter().find(|publication| publication.repository.bucket.as_str() == bucket)
    }

    /// Waits until all that was built for a bucket is public.
    pub async fn published(&self, bucket: &str) -> Publication {
        eventually("the publication", DEADLINE, async || {
            let late = publish::unpublished(&mut self.db.connect()).unwrap();
            if late.iter().any(|repository| repository.bucket.as_str() == bucket) {
                return None;
            }
            self.publication(bucket)
        })
        .await
    }
}
