//! What is written down of what everybody does.

use diesel::PgConnection;
use farm_api::{
    access::{AuditFilter, Limits},
    hub::{Finish, NewArtifact},
    options::BuildOptions,
    people::Keep,
};
use farm_db::{
    Actor, access, blobs, chores, fleets,
    intake::{self, Decided, Decision, ReadSource, Submission},
    operator,
    publish::{self, Repository},
    queue, restore,
    testing::{self, TestBuilder},
};
use farm_testing::TestDb;
use farm_types::{ArtifactKind, BuilderState, Digest, JobId, Outcome, Scope, TokenKind, Way};

use super::actions::ACTIONS;
use crate::support::{PLATFORM, database, execute, expire_leases, text};

/// The test below does all this, in this order: action, object, actor, way, and the process that wrote it down. An operator comes as the
/// superuser of the test's server; everybody else through the process that is there for it.
const EXPECTED: &str = include_str!("audit.txt");

/// The connections of the farm's processes, and of an operator.
struct Farm {
    operator: PgConnection,
    web: PgConnection,
    hub: PgConnection,
    validator: PgConnection,
    janitor: PgConnection,
    publisher: PgConnection,
}

fn person(name: &str, way: Way) -> Actor {
    Actor { principal: name.to_owned(), way, address: Some("192.0.2.7".to_owned()) }
}

#[test]
fn everything_that_anybody_causes_leaves_a_line_with_who_did_what_to_what_and_how_that_is_known() {
    let (db, operator) = database();
    let mut farm = Farm {
        operator,
        web: db.connect_as("farm_web"),
        hub: db.connect_as("farm_hub"),
        validator: db.connect_as("farm_validator"),
        janitor: db.connect_as("farm_janitor"),
        publisher: db.connect_as("farm_publisher"),
    };
    operators_set_the_farm_up(&mut farm);
    an_administrator_looks_after_it(&mut farm);
    everybody_logs_in_and_out(&mut farm);
    uploads_come_to_nothing(&mut farm);
    a_job_is_built_and_published(&mut farm);
    a_job_is_turned_down(&mut farm);
    a_job_is_given_back_lost_and_cancelled(&mut farm);
    jobs_come_after_others(&mut farm);
    a_task_takes_builders_with_it(&mut farm);
    a_builder_leaves(&mut farm);
    time_goes_by(&mut farm);
    let other = a_builder_is_taken_out_of_service(&mut farm);
    a_builder_of_a_fleet_comes_and_goes(&mut farm);
    something_is_lost(&mut farm, other);
    the_database_is_set_back(farm);
    let lines = |text: &str| text.trim().lines().map(squeezed).collect::<Vec<_>>();
    assert_eq!(lines(&written(&db)), lines(EXPECTED));
}

/// Every action that the table of functions has is done above, and no other.
#[test]
fn every_action_there_is_is_among_those() {
    let done: std::collections::BTreeSet<_> =
        EXPECTED.trim().lines().map(|line| line.split('|').next().unwrap().trim()).collect();
    let recorded = ACTIONS.iter().filter(|(_, actions)| !actions.starts_with('('));
    let known: std::collections::BTreeSet<_> = recorded.flat_map(|(_, actions)| actions.split(", ")).collect();
    assert_eq!(done, known);
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The audit, oldest first. Of digests the first bytes are enough.
fn written(db: &TestDb) -> String {
    let mut entries =
        access::audit(&mut db.connect(), &AuditFilter { limit: Some(1000), ..AuditFilter::default() }).unwrap();
    entries.reverse();
    let lines = entries.iter().map(|entry| {
        let object = entry.object.replace(&"01".repeat(32), "0101").replace(&"02".repeat(32), "0202");
        let process = entry.process.strip_prefix("role ").unwrap();
        let process = if process.starts_with("farm_") { process } else { "superuser" };
        let actor = if entry.way == Way::Daemon { process } else { &entry.actor };
        let address = matches!(entry.way, Way::Operator | Way::Daemon);
        assert_eq!(entry.address.is_none(), address, "{entry:?}");
        format!("{} | {object} | {actor} | {} | {process}", entry.action, entry.way)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn operators_set_the_farm_up(farm: &mut Farm) {
    let (conn, test) = (&mut farm.operator, testing::operator());
    for enabled in [true, false, true] {
        operator::put_person(conn, &test, "alice", enabled).unwrap();
    }
    for whose in [Some("alice"), None] {
        operator::put_limits(conn, &test, whose, &Limits { sources: Some(7), ..Limits::default() }).unwrap();
    }
    operator::put_build_limits(conn, &test, None, &Default::default()).unwrap();
    operator::set_share(conn, &test, "alice", Some(2.0)).unwrap();
    operator::put_bucket(conn, &test, &"results".parse().unwrap(), Some("what came of it"), None).unwrap();
    operator::set_retention(conn, &test, &"results".parse().unwrap(), &Keep { days: Some(9), ..Keep::default() })
        .unwrap();
    operator::put_group(conn, &test, "packagers", "").unwrap();
    for (member, is_in) in [("alice", true), ("*/admin@X", true), ("alice", false)] {
        operator::set_member(conn, &test, "packagers", member, is_in).unwrap();
    }
    for (right, to, given) in [
        ("submit:results", "@packagers", true),
        ("submit:results", "@packagers", false),
        ("own:*", "everyone", true),
        ("admin", "boss", true),
    ] {
        operator::set_grant(conn, &test, &right.parse().unwrap(), to, given).unwrap();
    }
    operator::remove_group(conn, &test, "packagers").unwrap();
    let new = operator::NewBuilder { token: None, principal: Some("builder/one@X"), platforms: None };
    operator::put_builder(conn, &test, &"one".parse().unwrap(), &new).unwrap();
}

fn an_administrator_looks_after_it(farm: &mut Farm) {
    let (conn, boss) = (&mut farm.web, person("boss", Way::Session));
    for enabled in [false, true] {
        operator::enable_platform(conn, &boss, &PLATFORM.parse().unwrap(), enabled).unwrap();
    }
    operator::put_bucket(conn, &boss, &"results".parse().unwrap(), None, Some(true)).unwrap();
    for state in [BuilderState::Draining, BuilderState::Disabled, BuilderState::Enabled] {
        operator::set_builder_state(conn, &boss, &"one".parse().unwrap(), state, None).unwrap();
    }
}

fn everybody_logs_in_and_out(farm: &mut Farm) {
    let conn = &mut farm.web;
    let (ticket, session) = (person("alice", Way::Ticket), person("alice", Way::Session));
    let secrets = [testing::digest(), testing::digest(), testing::digest()];
    testing::log_in(conn, &ticket, &secrets[0], TokenKind::Login).unwrap();
    testing::log_in(conn, &ticket, &secrets[1], TokenKind::Session).unwrap();
    for _ in 0..2 {
        // The second time there is nothing to end.
        access::log_out(conn, &session, &secrets[1]).unwrap();
    }
    let new =
        access::NewToken { person: "alice", digest: &secrets[2], name: "script", scopes: &[Scope::Read], days: 1 };
    let token = access::make_token(conn, &ticket, &new).unwrap();
    access::revoke_token(conn, &session, token).unwrap();
    operator::builder_log_in(&mut farm.hub, "builder/one@X", "192.0.2.9", &testing::digest(), 600).unwrap();
    // Nobody has heard of him.
    testing::log_in(&mut farm.web, &person("bob", Way::Ticket), &testing::digest(), TokenKind::Login).unwrap();
}

fn uploads_come_to_nothing(farm: &mut Farm) {
    let (alice, digest) = (person("alice", Way::Token), Digest::from_bytes([2; 32]));
    let upload = blobs::begin_upload(&mut farm.web, &alice, &digest, 1).unwrap();
    for whose in ["bob", "alice", "alice"] {
        // Of somebody else there is nothing to forget, nor is there the second time.
        blobs::forget_upload(&mut farm.web, &person(whose, Way::Token), upload).unwrap();
    }
    let upload = blobs::begin_upload(&mut farm.web, &alice, &digest, 1).unwrap();
    // Just touched, it is not stale, whatever the janitor says.
    assert!(blobs::forget_stale_uploads(&mut farm.janitor, 0).unwrap().is_empty());
    execute(&mut farm.operator, "UPDATE farm.upload SET touched_at = now() - interval '2 minutes'");
    assert_eq!(blobs::forget_stale_uploads(&mut farm.janitor, 60).unwrap(), [upload]);
    // Nobody has heard of her, and it is known by which way she came.
    blobs::begin_upload(&mut farm.web, &person("carol", Way::Token), &digest, 1).unwrap();
}

fn submission(source: Digest) -> Submission {
    Submission {
        actor: person("alice", Way::Token),
        key: uuid::Uuid::new_v4().to_string().parse().unwrap(),
        request: testing::digest(),
        title: String::new(),
        bucket: "scratch".parse().unwrap(),
        class: farm_types::Class::Normal,
        targets: "auto".to_owned(),
        timeout_seconds: None,
        after: None,
        network: false,
        like: None,
        options: BuildOptions { check: false, ..Default::default() },
        sources: vec![("a.src.rpm".to_owned(), source)],
    }
}

fn submit(farm: &mut Farm) -> JobId {
    submit_after(farm, None)
}

fn submit_after(farm: &mut Farm, after: Option<JobId>) -> JobId {
    let new = Submission { after, ..submission(Digest::from_bytes([1; 32])) };
    let (job, _) = intake::submit(&mut farm.web, &new).unwrap();
    // Sent again, it is nothing new.
    assert_eq!(intake::submit(&mut farm.web, &new).unwrap(), (job, false));
    job
}

fn decide(farm: &mut Farm, job: JobId, decision: Decision) {
    let decided = intake::decide_next(&mut farm.validator, |_, _| Some(decision)).unwrap();
    assert_eq!(decided, Decided::Done(job));
}

fn accept(farm: &mut Farm, job: JobId) {
    let source =
        ReadSource { position: 1, name: "a".to_owned(), epoch: None, version: "1".to_owned(), release: "1".to_owned() };
    let platforms = vec![PLATFORM.parse().unwrap()];
    decide(farm, job, Decision::Accept { sources: vec![source], platforms, warnings: Vec::new() });
}

fn builder(farm: &mut Farm) -> TestBuilder {
    let number = "SELECT id::text AS text FROM farm.builder";
    TestBuilder::new(farm_types::BuilderId(text(&mut farm.operator, number).parse().unwrap()))
}

/// In the life that it said hello in.
fn living_builder(farm: &mut Farm) -> TestBuilder {
    let instance = "SELECT instance::text AS text FROM farm.builder";
    let mut builder = builder(farm);
    builder.instance = text(&mut farm.operator, instance).parse().unwrap();
    builder
}

fn a_job_is_built_and_published(farm: &mut Farm) {
    let (alice, source) = (person("alice", Way::Token), Digest::from_bytes([1; 32]));
    let upload = blobs::begin_upload(&mut farm.web, &alice, &source, 1).unwrap();
    assert_eq!(blobs::begin_upload(&mut farm.web, &alice, &source, 1).unwrap(), upload);
    blobs::end_upload(&mut farm.web, &alice, upload).unwrap();
    let job = submit(farm);
    accept(farm, job);
    let builder = builder(farm).restarted(&mut farm.hub);
    let key = builder.claim_one(&mut farm.hub);
    queue::deliver(&mut farm.hub, builder.id, &key, &source, 1).unwrap();
    let name = "buildroot.json".parse().unwrap();
    let record = NewArtifact { kind: ArtifactKind::Manifest, name, digest: source, size: 1 };
    let end = Finish { artifacts: vec![record], ..testing::ended(Outcome::Succeeded) };
    for _ in 0..2 {
        // The answer was lost, so the end comes twice.
        queue::finish(&mut farm.hub, builder.id, &key, &end).unwrap();
    }
    let repository = Repository { bucket: "scratch".parse().unwrap(), platform: PLATFORM.parse().unwrap() };
    let contents = publish::contents(&mut farm.publisher, &repository).unwrap().unwrap();
    publish::published(&mut farm.publisher, &repository, &contents.reasons, 0).unwrap();
    publish::publish_again(&mut farm.publisher, &repository).unwrap();
}

fn a_job_is_turned_down(farm: &mut Farm) {
    let source = Digest::from_bytes([1; 32]);
    let like = Some(farm_types::TaskId(1));
    let new = intake::Submission { like, targets: PLATFORM.to_owned(), ..submission(source) };
    let (job, _) = intake::submit(&mut farm.web, &new).unwrap();
    assert_eq!(intake::submit(&mut farm.web, &new).unwrap(), (job, false));
    let reason = farm_api::error::Reason { code: "bad".to_owned(), source: None, message: "it is bad".to_owned() };
    decide(farm, job, Decision::Reject(vec![reason]));
}

fn a_job_is_given_back_lost_and_cancelled(farm: &mut Farm) {
    let job = submit(farm);
    accept(farm, job);
    let builder = living_builder(farm);
    let key = builder.claim_one(&mut farm.hub);
    queue::release(&mut farm.hub, builder.id, &key, "it has to go").unwrap();
    assert_eq!(queue::cancel_job(&mut farm.web, &person("alice", Way::Token), job).unwrap(), 1);
    // What changes nothing is nothing to write down.
    assert_eq!(queue::cancel_job(&mut farm.web, &person("alice", Way::Token), job).unwrap(), 0);
    assert_eq!(queue::retry_job(&mut farm.operator, &testing::operator(), job, false).unwrap(), 1);
    let lost = builder.claim_one(&mut farm.hub);
    queue::append_log(&mut farm.hub, builder.id, &lost, 0, 1, b"x").unwrap();
    expire_leases(&mut farm.operator);
    assert_eq!(queue::reap(&mut farm.janitor, 0).unwrap(), 1);
    execute(&mut farm.operator, "UPDATE farm.builder SET last_seen_at = now()");
    assert_eq!(queue::cancel_job(&mut farm.web, &person("boss", Way::Session), job).unwrap(), 1);
    let log = queue::UnsealedLog { task: lost.task, attempt: lost.attempt };
    queue::seal_log(&mut farm.janitor, &log, &testing::digest(), 1).unwrap();
}

fn jobs_come_after_others(farm: &mut Farm) {
    let mut before = None;
    for _ in 0..3 {
        let job = submit_after(farm, before);
        accept(farm, job);
        before = Some(job);
    }
    let builder = living_builder(farm);
    for outcome in [Outcome::Succeeded, Outcome::Failed] {
        let key = builder.claim_one(&mut farm.hub);
        builder.finish(&mut farm.hub, &key, outcome).unwrap();
    }
}

fn a_task_takes_builders_with_it(farm: &mut Farm) {
    let (builder, job) = (living_builder(farm), JobId(5));
    assert_eq!(queue::retry_job(&mut farm.web, &person("alice", Way::Token), job, true).unwrap(), 1);
    for _ in 0..3 {
        builder.claim_one(&mut farm.hub);
        expire_leases(&mut farm.operator);
        assert_eq!(queue::reap(&mut farm.janitor, 0).unwrap(), 1);
    }
    operator::put_back(&mut farm.operator, &testing::operator(), farm_types::TaskId(4)).unwrap();
    operator::set_trust(&mut farm.operator, &testing::operator(), 1).unwrap();
    let key = builder.claim_one(&mut farm.hub);
    let fault = Finish { stage: Some(farm_types::Stage::Chroot), ..testing::ended(Outcome::FarmFault) };
    queue::finish(&mut farm.hub, builder.id, &key, &fault).unwrap();
}

/// Answers the one that is left.
fn a_builder_is_taken_out_of_service(farm: &mut Farm) -> TestBuilder {
    let new = operator::NewBuilder { token: None, principal: Some("builder/two@X"), platforms: None };
    operator::put_builder(&mut farm.operator, &testing::operator(), &"two".parse().unwrap(), &new).unwrap();
    let number = "SELECT id::text AS text FROM farm.builder WHERE name = 'two'";
    let two = TestBuilder::new(farm_types::BuilderId(text(&mut farm.operator, number).parse().unwrap()));
    let two = two.restarted(&mut farm.hub);
    assert_eq!(chores::judge_doubtful(&mut farm.janitor).unwrap().out.len(), 1);
    two
}

fn a_builder_of_a_fleet_comes_and_goes(farm: &mut Farm) {
    let night = testing::fleet("night", "builder/w*@X");
    fleets::allow_builders(&mut farm.operator, &testing::operator(), &night).unwrap();
    let w1 = testing::builder_of_a_fleet(&mut farm.hub, "builder/w1@X").unwrap();
    let w1 = w1.restarted(&mut farm.hub);
    assert!(queue::deregister(&mut farm.hub, w1.id, w1.instance).unwrap());
    testing::builder_of_a_fleet(&mut farm.hub, "builder/w1@X").unwrap();
    execute(&mut farm.operator, "UPDATE farm.builder SET last_seen_at = now() - interval '2 hours' WHERE name = 'w1'");
    assert_eq!(chores::deregister_silent(&mut farm.janitor, 3600).unwrap(), ["w1"]);
    assert_eq!(fleets::disallow_builders(&mut farm.operator, &testing::operator(), &night.name).unwrap(), 0);
}

fn a_builder_leaves(farm: &mut Farm) {
    let builder = living_builder(farm);
    for _ in 0..2 {
        queue::leave(&mut farm.hub, builder.id, builder.instance).unwrap();
    }
}

fn time_goes_by(farm: &mut Farm) {
    let conn = &mut farm.operator;
    execute(conn, "UPDATE farm.builder SET last_seen_at = now() - interval '1 hour'");
    assert_eq!(chores::note_vanished(&mut farm.janitor, 600).unwrap().gone, ["one"]);
    execute(conn, "UPDATE farm.builder SET last_seen_at = now()");
    assert_eq!(chores::note_vanished(&mut farm.janitor, 600).unwrap().back, ["one"]);
    execute(
        conn,
        "WITH b AS (INSERT INTO farm.blob (digest, size) VALUES (decode(repeat('02', 32), 'hex'), 1) RETURNING digest)
         INSERT INTO farm.brought (digest, person_id) SELECT digest, id FROM b, farm.person WHERE principal = 'alice'",
    );
    execute(conn, "UPDATE farm.brought SET touched_at = now() - interval '1 month'");
    // The other file that was brought is in a job.
    assert_eq!(chores::forget_files(&mut farm.janitor, 600.0).unwrap(), 2);
    execute(conn, "UPDATE farm.task SET finished_at = now() - interval '1 year' WHERE job_id = 1");
    assert_eq!(chores::expire_files(&mut farm.janitor, 10).unwrap().jobs, 1);
}

fn something_is_lost(farm: &mut Farm, builder: TestBuilder) {
    let job = submit(farm);
    accept(farm, job);
    let key = builder.claim_one(&mut farm.hub);
    let mut artifacts = Vec::new();
    for (first, kind, name) in [(3, ArtifactKind::Rpm, "a.rpm"), (4, ArtifactKind::Log, "build.log.gz")] {
        let digest = Digest::from_bytes([first; 32]);
        queue::deliver(&mut farm.hub, builder.id, &key, &digest, 1).unwrap();
        artifacts.push(NewArtifact { kind, name: name.parse().unwrap(), digest, size: 1 });
    }
    queue::finish(&mut farm.hub, builder.id, &key, &Finish { artifacts, ..testing::ended(Outcome::Succeeded) })
        .unwrap();
    let (conn, test) = (&mut farm.operator, testing::operator());
    for first in [3, 4, 5] {
        let missing = [(Digest::from_bytes([first; 32]), None)];
        restore::note_missing(conn, &test, first, &missing).unwrap();
    }
    for _ in 0..2 {
        // The second time there is nothing to mend.
        restore::make_good(conn, &test, job).unwrap();
    }
}

fn the_database_is_set_back(farm: Farm) {
    let Farm { mut operator, web, hub, validator, janitor, publisher } = farm;
    restore::after_restore(&mut operator, &testing::operator(), 1).unwrap_err();
    drop((web, hub, validator, janitor, publisher));
    // The server notices in a moment that they have gone.
    let set_back = || restore::after_restore(&mut operator, &testing::operator(), 1).ok();
    farm_testing::eventually_blocking("the end of the sessions", farm_testing::DEADLINE, set_back);
}
