//! The database is set back to a point in time, and the store has lost something.

use std::{path::Path, process::Command, time::Duration};

use farm_api::client::PeopleClient;
use farm_db::testing;
use farm_postgres::{Follows, Options};
use farm_store::{Store, StoreConfig};
use farm_testing::{Cluster, Process, Spec, TestDb};
use farm_types::{Digest, JobId};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    builder::{Builder, Quick, gate},
    farm::{PLATFORM, Site, assert_all_built, bring, client, connect, end_of, submit, texts, until},
};

/// A server that keeps its log, from a base backup on, so that it can be set back to any point of it.
struct Archived {
    cluster: std::sync::Arc<Cluster>,
    folder: tempfile::TempDir,
}

impl Archived {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL runs as another user.
        fs_err::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let archive = format!("test ! -f {0}/%f && cp %p {0}/%f", folder.path().display());
        let options = Options { temporary: true, ..Options::persistent() };
        let cluster = Cluster::with(options.set("archive_mode", "on").set("archive_command", &archive));
        Self { cluster, folder }
    }

    /// A base backup, to be set to the point of that name when it is started.
    fn backup(&self, point: &str) -> std::path::PathBuf {
        let fetch = format!("cp {}/%f %p", self.folder.path().display());
        let settings =
            [("restore_command", &*fetch), ("recovery_target_name", point), ("recovery_target_action", "promote")];
        self.cluster.copy(Follows::Archive, &settings)
    }

    /// Sees to it that everything so far is in the archive, and ends the server.
    async fn end(&self, db: &TestDb) {
        let mut conn = connect(&db.url());
        let last = texts(&mut conn, "SELECT pg_walfile_name(pg_switch_wal()) AS text").remove(0);
        let sql = format!("SELECT last_archived_wal AS text FROM pg_stat_archiver WHERE last_archived_wal >= '{last}'");
        until(&mut conn, "the end of the log in the archive", &sql).await;
        self.cluster.kill();
    }
}

/// The daemons, which find each other again after they were stopped.
struct Daemons {
    web: Process,
    hub: Process,
    others: [Process; 2],
}

impl Daemons {
    fn start(site: &Site, web: &str, hub: &str) -> Self {
        let hub = site.hub(hub);
        Self { web: site.web(web), hub, others: [site.validator(), site.janitor()] }
    }

    fn stop(&mut self) {
        for daemon in [&mut self.web, &mut self.hub].into_iter().chain(&mut self.others) {
            daemon.terminate();
        }
    }

    fn people(&self) -> PeopleClient {
        client(&self.web.url("/"), None)
    }
}

/// `farm-admin` on that database: what it prints, and its exit code.
fn admin(database: &str, arguments: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farm-admin"));
    command.env_remove("FARM_DATA").env_remove("FARM_DATABASE").args(["--database", database]).args(arguments);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&said).into_owned(), output.status.code())
}

/// The digest of a file of a job: of its source, or of an artifact of that kind.
fn digest(database: &str, job: JobId, kind: &str) -> Digest {
    let sql = match kind {
        "source" => format!("SELECT encode(digest, 'hex') AS text FROM farm.source WHERE job_id = {job}"),
        kind => format!(
            "SELECT encode(f.digest, 'hex') AS text FROM farm.artifact f JOIN farm.task t ON t.id = f.task_id
             WHERE t.job_id = {job} AND f.kind = '{kind}'"
        ),
    };
    texts(&mut connect(database), &sql).remove(0).parse().unwrap()
}

fn package(name: &str) -> std::path::PathBuf {
    Spec::named(name).srpm()
}

fn start_builder(site: &Site, database: &str, hub: &Process, open: watch::Receiver<bool>) -> Builder {
    let config = site.builder(&mut connect(database), "one", 2, &[hub.url("/")]);
    Builder::start(toml::from_str(&config).unwrap(), Quick { takes: Duration::from_millis(50), gate: open })
}

async fn running(database: &str, job: JobId) {
    let sql = format!(
        "SELECT 'runs' AS text FROM farm.attempt a JOIN farm.task t ON t.id = a.task_id
         WHERE t.job_id = {job} AND a.outcome IS NULL AND a.stage = 'build'"
    );
    until(&mut connect(database), &format!("the build of job {job}"), &sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farm_that_was_set_back_builds_what_the_store_has_lost_and_takes_nothing_from_builds_of_the_lost_time() {
    let archived = Archived::start();
    let db = archived.cluster.database();
    testing::platform(&mut db.connect(), PLATFORM);
    let mut site = Site::local(format!("host={} dbname={} user=ROLE", archived.cluster.dir().display(), db.name()));
    let mut daemons = Daemons::start(&site, "127.0.0.1:0", "127.0.0.1:0");
    let (gates, open) = gate(true);
    let _builder = start_builder(&site, &db.url(), &daemons.hub, open);

    // Before the point: four jobs that are built, and two that are being built.
    let people = daemons.people();
    let mut jobs = Vec::new();
    for name in ["whole", "packageless", "sourceless", "logless"] {
        let source = bring(&people, &package(name)).await.unwrap();
        jobs.push(submit(&people, source, name).await);
        end_of(&people, *jobs.last().unwrap()).await;
    }
    let backup = archived.backup("the_point");
    gates.send_replace(false);
    let source = bring(&people, &package("held")).await.unwrap();
    let held = submit(&people, source, "held").await;
    running(&db.url(), held).await;
    archived.cluster.restore_point("the_point");

    // After it: a job that nobody will know of, whose build goes on through the restore.
    let lost = submit(&people, source, "lost").await;
    running(&db.url(), lost).await;
    let lost_task = people.job(lost).await.unwrap().tasks[0].id;
    archived.end(&db).await;
    let addresses = (daemons.web.address().to_owned(), daemons.hub.address().to_owned());
    daemons.stop();

    let restored = Cluster::restored(&backup, Options { temporary: true, ..Options::persistent() });
    let database = restored.url_of("postgres", &db);
    site.database = format!("host={} dbname={} user=ROLE", restored.dir().display(), db.name());
    assert_eq!(
        texts(&mut connect(&database), "SELECT id::text AS text FROM farm.job").len(),
        5,
        "more or less was restored"
    );
    let [_, packageless, sourceless, logless] = jobs[..] else { panic!("not four jobs") };
    remove_from_store(
        site.dir.path(),
        &[
            digest(&database, packageless, "rpm"),
            digest(&database, sourceless, "rpm"),
            digest(&database, sourceless, "source"),
            digest(&database, logless, "log"),
        ],
    )
    .await;

    let (said, code) = admin(&database, &["after-restore", "--skip", "1000", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let restoration: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(restoration["leases"], 1, "of the builds that the restored database knows: {said}");
    let janitor = site.dir.path().join("janitor.toml");
    fs_err::write(&janitor, site.config("janitor", Site::JANITOR, None)).unwrap();
    let check = |more: &[&str]| {
        admin(&database, &[["check", "--store", "--config", janitor.to_str().unwrap()].as_slice(), more].concat())
    };
    let (said, code) = check(&[]);
    assert_eq!(code, Some(1), "{said}");
    for line in [
        format!("job {packageless} of alice: {PLATFORM}, attempt 1: quick-1-1.noarch.rpm: can be built again"),
        format!("job {sourceless} of alice: source: quick-1-1.src.rpm: whoever has the source has to hand it in again"),
        format!("job {logless} of alice: {PLATFORM}, attempt 1: build.log.gz: nothing brings that back"),
        "4 files are missing from the store".to_owned(),
    ] {
        assert!(said.contains(&line), "{line}\nis not in\n{said}");
    }

    // The farm comes up again, and the builder, which was never told, goes on with both builds.
    let daemons = Daemons::start(&site, &addresses.0, &addresses.1);
    let people = daemons.people();
    gates.send_replace(true);
    let (said, code) = check(&["--requeue", "--json"]);
    assert_eq!(code, Some(1), "the source is still missing: {said}");
    let sum = serde_json::from_str::<Value>(said.split("farm-admin:").next().unwrap()).unwrap()["sum"].clone();
    assert_eq!((&sum["built"], &sum["forgotten"], &sum["left"]), (&1.into(), &1.into(), &2.into()), "{sum}");

    // Whoever has the source brings it, and is asked for it although the farm had it once.
    bring(&people, &package("sourceless")).await.unwrap();
    let (said, code) = check(&["--requeue"]);
    assert_eq!(code, Some(0), "{said}");
    let mut ended = Vec::new();
    for job in jobs.iter().chain([&held]) {
        ended.push(end_of(&people, *job).await);
    }
    assert_eq!(check(&[]).1, Some(0));

    // What people knew of the lost time is answered, and its numbers are not given again.
    let gone = people.job(lost).await.unwrap_err();
    assert!(gone.to_string().contains("was lost when the database was set back"), "{gone}");
    let next = submit(&people, source, "next").await;
    assert!(next.0 >= lost.0 + 1000 && restoration["jobs_before"] == next.0, "{next} after {restoration}");
    ended.push(end_of(&people, next).await);
    assert_ne!(ended.last().unwrap().tasks[0].id, lost_task);

    let mut conn = connect(&database);
    let old = format!(
        "SELECT outcome::text AS text FROM farm.attempt a JOIN farm.task t ON t.id = a.task_id WHERE t.job_id = {held} AND number = 1"
    );
    assert_eq!(texts(&mut conn, &old), ["lost"], "the build that was held over the restore");
    assert_all_built(&mut conn, &ended);
    let audit = admin(&database, &["audit", "--action", "restore"]).0;
    assert!(audit.contains("database"), "{audit}");
}

async fn remove_from_store(dir: &Path, digests: &[Digest]) {
    let store = Store::open(&StoreConfig::Folder { path: dir.join("store") }, dir).unwrap();
    for digest in digests {
        assert!(store.exists(digest).await.unwrap());
        store.delete(digest).await.unwrap();
    }
}
