//! What is written down of what everybody does.

mod builders;
mod jobs;
mod later;

use diesel::PgConnection;
use farm_api::{
    access::{AuditFilter, Limits},
    people::Keep,
};
use farm_db::{Actor, access, blobs, operator, testing};
use farm_testing::TestDb;
use farm_types::{BuilderState, Digest, Scope, TokenKind, Way};

use self::{
    builders::{
        a_builder_is_taken_out_of_service, a_builder_leaves, a_builder_of_a_fleet_comes_and_goes,
        a_task_takes_builders_with_it,
    },
    jobs::{
        a_job_is_built_and_published, a_job_is_given_back_lost_and_cancelled, a_job_is_turned_down,
        jobs_come_after_others,
    },
    later::{something_is_lost, the_audit_is_kept_no_longer, the_database_is_set_back, time_goes_by},
};
use super::actions::ACTIONS;
use crate::support::{PLATFORM, database, execute};

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
    the_audit_is_kept_no_longer(&mut farm);
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
