//! The private PostgreSQL of the tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use diesel::{QueryableByName, RunQueryDsl as _, sql_query, sql_types::BigInt};
use farm_postgres::Shutdown;
use farm_testing::{Cluster, TestDb};

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(db: &TestDb, from: &str) -> i64 {
    let sql = format!("SELECT count(*) AS count FROM {from}");
    sql_query(sql).get_result::<Count>(&mut db.connect()).unwrap().count
}

#[test]
fn every_test_has_a_database_of_its_own_with_the_migrations_applied() {
    let (one, other) = (TestDb::new(), TestDb::new());
    sql_query("CREATE TABLE only_here ()").execute(&mut one.connect()).unwrap();
    assert_eq!(count(&one, "pg_tables WHERE tablename = 'only_here'"), 1);
    assert_eq!(count(&other, "pg_tables WHERE tablename = 'only_here'"), 0);
    assert!(count(&other, "pg_tables WHERE schemaname = 'farm'") > 0);
}

#[test]
fn each_role_of_the_farm_can_connect() {
    let db = TestDb::new();
    for role in ["farm_web", "farm_hub", "farm_validator", "farm_janitor", "farm_publisher", "farm_readonly"] {
        sql_query("SELECT 1").execute(&mut db.connect_as(role)).unwrap();
    }
}

#[test]
fn a_dropped_database_is_gone_although_someone_is_connected() {
    let db = TestDb::new();
    let other = TestDb::empty();
    let name = db.name().to_owned();
    let _connected = db.connect();
    drop(db);
    assert_eq!(count(&other, &format!("pg_database WHERE datname = '{name}'")), 0);
}

#[test]
fn what_was_committed_survives_a_crash_of_a_server_of_ones_own() {
    let cluster = Cluster::own();
    let db = cluster.database();
    sql_query("CREATE TABLE kept ()").execute(&mut db.connect()).unwrap();
    cluster.restart(Shutdown::Crash);
    assert_eq!(count(&db, "pg_tables WHERE tablename = 'kept'"), 1);
    assert!(cluster.log().contains("automatic recovery"));
}

#[test]
fn an_empty_database_can_be_migrated() {
    let db = TestDb::empty();
    assert_eq!(count(&db, "pg_tables WHERE schemaname = 'farm'"), 0);
    db.migrate();
    assert!(count(&db, "pg_tables WHERE schemaname = 'farm'") > 0);
}
