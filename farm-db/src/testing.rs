//! For tests only (feature `testing`): rows in one line, where a test is about something else. They panic on failure.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use diesel::{
    PgConnection, RunQueryDsl,
    connection::SimpleConnection as _,
    sql_query,
    sql_types::{Array, BigInt, Double, Jsonb, Text},
};
use farm_api::{
    access::Limits,
    hub::{Finish, Hello},
    recipe::{Recipe, Repository},
};
use farm_types::{
    BuilderId, Cause, Class, Digest, JobId, LeaseKey, Outcome, PlatformName, Scope, TaskId, TokenKind, Way,
};
use serde_json::json;
use uuid::Uuid;

use jiff::Timestamp;

use crate::{
    Actor, Result, access, blobs,
    fleets::Fleet,
    intake::{self, Submission},
    operator::{self, NewBuilder},
    queue,
};

/// A digest that no other has.
pub fn digest() -> Digest {
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    Digest::try_from([*a.as_bytes(), *b.as_bytes()].concat()).unwrap()
}

/// Whoever comes to the database itself with all rights, as tests do.
pub fn operator() -> Actor {
    Actor::operator("test")
}

/// A person of that name, on this machine.
pub fn person(name: &str) -> Actor {
    Actor { principal: name.to_owned(), way: Way::Local, address: Some("local".to_owned()) }
}

/// Registers a builder that comes with a token.
pub fn put_builder(conn: &mut PgConnection, name: &str, token: &Digest, platforms: Option<&[PlatformName]>) {
    let new = NewBuilder { token: Some(*token), principal: None, platforms };
    operator::put_builder(conn, &operator(), &name.parse().unwrap(), &new).unwrap();
}

/// Records a blob that a person brought.
pub fn brought(conn: &mut PgConnection, principal: &str, digest: &Digest, size: u64) {
    let person = person(principal);
    let upload = blobs::begin_upload(conn, &person, digest, size).unwrap();
    blobs::end_upload(conn, &person, upload).unwrap();
}

/// Logs a person in with a token of all scopes, for ten minutes.
pub fn log_in(conn: &mut PgConnection, actor: &Actor, token: &Digest, kind: TokenKind) -> Result<Timestamp> {
    let login = access::Login { token, kind, scopes: Scope::ALL, seconds: 600, parent: None };
    access::log_in(conn, actor, &login)
}

/// A platform that tasks can be made for.
pub fn platform(conn: &mut PgConnection, name: &str) -> PlatformName {
    let name: PlatformName = name.parse().unwrap();
    let repository = Repository {
        name: "base".to_owned(),
        baseurl: Some("file:///nowhere".to_owned()),
        metalink: None,
        gpgcheck: false,
        gpgkey: None,
        priority: None,
        enabled: true,
    };
    let recipe = Recipe {
        name: name.clone(),
        release: name.release().to_owned(),
        arch: name.arch().to_owned(),
        description: String::new(),
        auto: true,
        base: vec!["bash".to_owned()],
        repositories: vec![repository],
        network: false,
        timeout_seconds: None,
        weight: None,
        limits: Default::default(),
        buckets: Vec::new(),
    };
    operator::put_platform(conn, &operator(), &recipe).unwrap();
    name
}

/// A builder that said hello.
#[derive(Debug, Clone, Copy)]
pub struct TestBuilder {
    /// Its number.
    pub id: BuilderId,
    /// Its life.
    pub instance: Uuid,
    arch: &'static str,
    slots: u32,
}

/// A builder of x86_64 that said hello.
pub fn builder(conn: &mut PgConnection, name: &str) -> TestBuilder {
    builder_for(conn, name, "x86_64")
}

/// A builder of that architecture that said hello.
pub fn builder_for(conn: &mut PgConnection, name: &str, arch: &'static str) -> TestBuilder {
    let token = digest();
    put_builder(conn, name, &token, None);
    let id = operator::builder_by_token(conn, &token).unwrap().unwrap().id;
    TestBuilder { arch, ..TestBuilder::new(id) }.restarted(conn)
}

/// A fleet of which three may be there, with two slots each.
pub fn fleet(name: &str, principals: &str) -> Fleet {
    Fleet { name: name.parse().unwrap(), principals: principals.to_owned(), platforms: None, slots: 2, builders: 3 }
}

/// A builder that logs in by its principal, and has not said hello.
pub fn builder_of_a_fleet(conn: &mut PgConnection, principal: &str) -> Result<TestBuilder> {
    let token = digest();
    operator::builder_log_in(conn, principal, "192.0.2.7", &token, 600)?;
    Ok(TestBuilder::new(operator::builder_by_token(conn, &token)?.unwrap().id))
}

impl TestBuilder {
    /// The builder of that number, which was never heard of.
    pub fn new(id: BuilderId) -> Self {
        Self { id, instance: Uuid::nil(), arch: "x86_64", slots: 4 }
    }

    /// The same builder, started anew.
    pub fn restarted(self, conn: &mut PgConnection) -> Self {
        let anew = Self { instance: Uuid::new_v4(), ..self };
        anew.says_hello(conn);
        anew
    }

    /// The same builder with so many slots; four are usual.
    #[must_use]
    pub fn with_slots(self, conn: &mut PgConnection, slots: u32) -> Self {
        let changed = Self { slots, ..self };
        changed.says_hello(conn);
        changed
    }

    /// The next life of the same builder, to which this one hands over.
    #[must_use]
    pub fn succeeded(self, conn: &mut PgConnection) -> Self {
        let next = Self { instance: Uuid::new_v4(), ..self };
        next.hello(conn, true);
        next
    }

    /// It says hello in the life that it is in.
    pub fn says_hello(self, conn: &mut PgConnection) {
        self.hello(conn, false);
    }

    fn hello(self, conn: &mut PgConnection, successor: bool) {
        let hello = Hello {
            name: "unused".parse().unwrap(),
            instance: self.instance,
            version: "test".to_owned(),
            arches: vec![self.arch.to_owned()],
            slots: self.slots,
            successor,
        };
        queue::hello(conn, self.id, "127.0.0.1", &hello).unwrap();
    }

    /// Claims up to so many tasks.
    pub fn claim(self, conn: &mut PgConnection, want: u32) -> Vec<LeaseKey> {
        let claimed = queue::claim(conn, self.id, self.instance, want, 60).unwrap();
        claimed.into_iter().map(|task| task.key).collect()
    }

    /// Claims the one task that there must be.
    pub fn claim_one(self, conn: &mut PgConnection) -> LeaseKey {
        let claimed = self.claim(conn, 1);
        assert_eq!(claimed.len(), 1, "there is no task to claim");
        claimed[0]
    }

    /// Ends an attempt without artifacts.
    pub fn finish(self, conn: &mut PgConnection, key: &LeaseKey, outcome: Outcome) -> Result<()> {
        queue::finish(conn, self.id, key, &ended(outcome))
    }
}

/// Lets a task have been claimed so many seconds ago, as time does.
pub fn began_ago(conn: &mut PgConnection, task: TaskId, seconds: f64) {
    let query = sql_query("UPDATE farm.task SET started_at = now() - make_interval(secs => $2) WHERE id = $1");
    query.bind::<BigInt, _>(task.0).bind::<Double, _>(seconds).execute(conn).unwrap();
}

/// Lets a package have taken that long before.
pub fn took_before(conn: &mut PgConnection, platform: &str, package: &str, seconds: f64) {
    let query = sql_query("INSERT INTO farm.build_time (platform, name, seconds) VALUES ($1, $2, $3)");
    query.bind::<Text, _>(platform).bind::<Text, _>(package).bind::<Double, _>(seconds).execute(conn).unwrap();
}

/// Does what autovacuum does over hours.
pub fn tidy(conn: &mut PgConnection) {
    conn.batch_execute("VACUUM ANALYZE").unwrap();
}

/// Limits that nobody comes to.
pub fn no_limits() -> Limits {
    Limits { jobs_waiting: Some(1 << 30), uploads: Some(1 << 30), bytes: Some(1 << 60), sources: Some(1 << 30) }
}

/// Takes back what has run out, as the janitor does when a hub has been there for long.
pub fn reap(conn: &mut PgConnection) -> i32 {
    let always = "INSERT INTO farm.hub_pulse VALUES (true, now(), now() - interval '1 day', '60 s')
                  ON CONFLICT (only_row) DO UPDATE SET at = excluded.at, since = excluded.since";
    sql_query(always).execute(conn).unwrap();
    queue::reap(conn, 0).unwrap()
}

/// The end of an attempt without artifacts.
pub fn ended(outcome: Outcome) -> Finish {
    let cause = match outcome {
        Outcome::Succeeded => None,
        Outcome::Failed => Some(Cause::Build),
        _ => Some(Cause::Internal),
    };
    Finish {
        outcome,
        cause,
        stage: None,
        message: String::new(),
        excerpt: Vec::new(),
        stages: Vec::new(),
        marks: Vec::new(),
        usage: farm_api::record::Usage::default(),
        artifacts: Vec::new(),
    }
}

/// A job of one source, which is recorded, under a key of its own.
pub fn submission(conn: &mut PgConnection, principal: &str) -> Submission {
    let source = digest();
    brought(conn, principal, &source, 1);
    submission_of(principal, source)
}

/// A job of a source that the person brought before, under a key of its own.
pub fn submission_of(principal: &str, source: Digest) -> Submission {
    Submission {
        actor: person(principal),
        key: Uuid::new_v4().to_string().parse().unwrap(),
        request: digest(),
        title: "a test".to_owned(),
        bucket: "scratch".parse().unwrap(),
        class: Class::Normal,
        targets: "auto".to_owned(),
        timeout_seconds: None,
        after: None,
        network: false,
        like: None,
        options: Default::default(),
        sources: vec![("hello-1-1.src.rpm".to_owned(), source)],
    }
}

/// A job that waits for a validator.
pub fn submitted(conn: &mut PgConnection, after: Option<JobId>) -> JobId {
    let new = Submission { after, ..submission(conn, "alice") };
    intake::submit(conn, &new).unwrap().0
}

/// Accepts that job, with a task for each of the platforms.
pub fn accept(conn: &mut PgConnection, job: JobId, platforms: &[&str]) {
    accept_as(conn, job, "hello", platforms);
}

/// Accepts that job as one of a package of that name.
pub fn accept_as(conn: &mut PgConnection, job: JobId, package: &str, platforms: &[&str]) {
    let source = json!([{ "position": 1, "name": package, "epoch": null, "version": "1", "release": "1" }]);
    sql_query("SELECT farm.accept($1, $2, $3, '[]')")
        .bind::<BigInt, _>(job.0)
        .bind::<Jsonb, _>(source)
        .bind::<Array<Text>, _>(platforms)
        .execute(conn)
        .unwrap();
}

/// A job with a task for each of the platforms.
pub fn accepted(conn: &mut PgConnection, platforms: &[&str]) -> JobId {
    let job = submitted(conn, None);
    accept(conn, job, platforms);
    job
}
