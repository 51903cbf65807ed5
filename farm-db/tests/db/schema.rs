//! What is true of the schema as a whole.

use std::process::Command;

use farm_db::migrate;
use farm_postgres::Programs;
use farm_testing::TestDb;
use farm_types::{
    ArtifactKind, BuilderState, Cause, Class, JobState, Outcome, Right, Scope, Stage, TaskState, TokenKind, Way,
};

use crate::support::{database, text, texts};

#[test]
fn the_labels_of_enums_are_the_same_in_sql_and_rust_in_the_same_order() {
    fn labels<T: std::fmt::Display>(all: &[T]) -> String {
        all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
    let (_db, mut conn) = database();
    for (name, expected) in [
        ("job_state", labels(JobState::ALL)),
        ("task_state", labels(TaskState::ALL)),
        ("class", labels(Class::ALL)),
        ("builder_state", labels(BuilderState::ALL)),
        ("outcome", labels(Outcome::ALL)),
        ("cause", labels(Cause::ALL)),
        ("stage", labels(Stage::ALL)),
        ("artifact_kind", labels(ArtifactKind::ALL)),
        ("way", labels(Way::ALL)),
        ("scope", labels(Scope::ALL)),
        ("right", labels(Right::ALL)),
        ("token_kind", labels(TokenKind::ALL)),
    ] {
        let sql = format!("SELECT array_to_string(enum_range(NULL::farm.{name}), ',') AS text");
        assert_eq!(text(&mut conn, &sql), expected, "{name}");
    }
    let known =
        "SELECT count(*)::text AS text FROM pg_type WHERE typtype = 'e' AND typnamespace = 'farm'::regnamespace";
    assert_eq!(text(&mut conn, known), "12", "a new enum belongs into this test");
}

/// Foreign keys that no index begins with, and why none is needed.
const NO_INDEX: &[(&str, &str)] = &[
    // Without an index here a claim and a ready task cost one index less; tasks are deleted only by retention.
    ("ready (task_id)", "tasks in the queue are not deleted"),
    ("lease (builder_id)", "builders are not deleted, and the table is small"),
    ("leaving (builder_id)", "builders are not deleted, and the table is small"),
    ("task (given_up_for)", "jobs are not deleted"),
    ("share (person_id)", "persons are not deleted"),
    ("publication (platform)", "platforms are not deleted, and the table is small"),
];

#[test]
fn every_foreign_key_has_an_index_or_a_reason() {
    let (_db, mut conn) = database();
    let without = texts(
        &mut conn,
        "SELECT format('%s (%s)', c.conrelid::regclass::text, a.columns) AS text
         FROM pg_constraint c CROSS JOIN LATERAL (
           SELECT string_agg(attname, ', ' ORDER BY k.n) AS columns FROM unnest(c.conkey) WITH ORDINALITY AS k(attnum, n)
           JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) a
         WHERE c.contype = 'f' AND c.connamespace = 'farm'::regnamespace AND NOT EXISTS (
           SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])
         ORDER BY 1",
    );
    let without: Vec<_> = without.iter().map(|key| key.trim_start_matches("farm.")).collect();
    let mut expected: Vec<_> = NO_INDEX.iter().map(|(key, _)| *key).collect();
    expected.sort_unstable();
    assert_eq!(without, expected);
}

/// What refers to a blob keeps it: what the janitor may remove is found by this function.
#[test]
fn everything_that_refers_to_a_blob_is_an_owner_of_it() {
    let (_db, mut conn) = database();
    let referring = texts(
        &mut conn,
        "SELECT format('FROM %s WHERE %s = ', c.conrelid::regclass, a.attname) AS text FROM pg_constraint c
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
         WHERE c.contype = 'f' AND c.confrelid = 'farm.blob'::regclass ORDER BY 1",
    );
    assert!(referring.len() >= 5, "{referring:?}");
    let body = text(&mut conn, "SELECT prosrc AS text FROM pg_proc WHERE oid = 'farm.has_owner'::regproc");
    for reference in referring {
        assert!(body.contains(&reference), "farm.has_owner does not look {reference}");
    }
}

#[test]
fn migrations_go_up_and_down_and_up_again_to_the_same_schema() {
    let db = TestDb::empty();
    let mut conn = migrate::connect(&db.url()).unwrap();
    let applied = migrate::up(&mut conn).unwrap();
    assert!(applied.len() >= 5);
    assert_eq!(migrate::pending(&mut conn).unwrap(), Vec::<String>::new());
    let before = dump(&db);
    migrate::down(&mut conn).unwrap();
    let left = "SELECT count(*)::text AS text FROM pg_namespace WHERE nspname = 'farm'";
    assert_eq!(text(&mut conn, left), "0");
    assert_eq!(migrate::up(&mut conn).unwrap(), applied);
    assert_eq!(dump(&db), before);
}

/// What migrations that are released, and so stay as they are, do not take back, or not to the letter.
const RELEASED: &[&str] = &[
    "20261125000010 takes:     -- Two tasks that end in the same moment: the second one to get here sees both.",
    "20261125000012 leaves: GRANT ALL ON FUNCTION farm.publish_again(p_bucket text, p_platform text) TO farm_publisher;",
    "20261125000012 leaves: GRANT ALL ON FUNCTION farm.seal_log(p_task bigint, p_attempt integer, p_digest farm.sha256, p_size bigint) TO farm_janitor;",
];

#[test]
fn each_migration_takes_back_what_it_did_and_nothing_else() {
    let db = TestDb::empty();
    let mut conn = migrate::connect(&db.url()).unwrap();
    let mut wrong = Vec::new();
    // The first makes what the dumps are about.
    migrate::up_one(&mut conn).unwrap();
    while !migrate::pending(&mut conn).unwrap().is_empty() {
        let before = lines(&dump(&db));
        let name = migrate::up_one(&mut conn).unwrap();
        let with = lines(&dump(&db));
        migrate::down_one(&mut conn).unwrap();
        let after = lines(&dump(&db));
        wrong.extend(after.iter().filter(|line| !before.contains(line)).map(|line| format!("{name} leaves: {line}")));
        wrong.extend(before.iter().filter(|line| !after.contains(line)).map(|line| format!("{name} takes: {line}")));
        assert_eq!(migrate::up_one(&mut conn).unwrap(), name);
        assert_eq!(lines(&dump(&db)), with, "{name} after it was taken back");
    }
    assert_eq!(wrong, RELEASED);
}

/// The lines of a dump in an order of their own, as that of rights and columns says when they came. Labels stay in an enum: PostgreSQL
/// takes none out.
fn lines(dump: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut in_enum = false;
    for line in dump.lines() {
        in_enum = (in_enum || line.contains(" AS ENUM (")) && line != ");";
        if !in_enum {
            lines.push(line.trim_end_matches(',').to_owned());
        }
    }
    lines.sort_unstable();
    lines
}

/// The schema with all rights, as pg_dump writes it.
fn dump(db: &TestDb) -> String {
    let program = Programs::find(None).unwrap().path("pg_dump");
    let output = Command::new(program).args(["--schema-only", "--schema=farm", &db.url()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Newer versions guard each dump with a word of chance.
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.starts_with("\\")).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_invariant_that_is_broken_is_named() {
    let (_db, mut conn) = database();
    let job = farm_db::testing::accepted(&mut conn, &[crate::support::PLATFORM]);
    crate::support::execute(&mut conn, "DELETE FROM farm.ready");
    let task = crate::support::task_of(&mut conn, job);
    let breaches = farm_db::invariants::check(&mut conn).unwrap();
    assert_eq!(breaches.len(), 1, "{breaches:?}");
    assert!(breaches[0].starts_with("a task is pending exactly if") && breaches[0].ends_with(&format!("task {task}")));
}
