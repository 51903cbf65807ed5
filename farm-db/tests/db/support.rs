//! A database with one platform, and short ways to look into it.

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Text},
};
use farm_db::{invariants, testing};
use farm_testing::TestDb;
use farm_types::{JobId, TaskId};

/// The platform that there is.
pub const PLATFORM: &str = "a-x86_64";

/// A database with that platform.
pub fn database() -> (TestDb, PgConnection) {
    let db = TestDb::new();
    let mut conn = db.connect();
    testing::platform(&mut conn, PLATFORM);
    (db, conn)
}

/// Panics if the database is in a state that must not be.
pub fn assert_sound(conn: &mut PgConnection) {
    assert_eq!(invariants::check(conn).unwrap(), Vec::<String>::new());
}

/// The one text that a query answers in its column `text`.
pub fn text(conn: &mut PgConnection, sql: &str) -> String {
    let mut all = texts(conn, sql);
    assert_eq!(all.len(), 1, "{sql}");
    all.remove(0)
}

/// All texts that a query answers in its column `text`.
pub fn texts(conn: &mut PgConnection, sql: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    let rows: Vec<Row> = sql_query(sql).load(conn).unwrap();
    rows.into_iter().map(|row| row.text).collect()
}

/// Changes something behind the verbs' back, as time does.
pub fn execute(conn: &mut PgConnection, sql: &str) -> usize {
    sql_query(sql).execute(conn).unwrap()
}

/// The only task of a job.
pub fn task_of(conn: &mut PgConnection, job: JobId) -> TaskId {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        id: i64,
    }
    let row: Row =
        sql_query("SELECT id FROM farm.task WHERE job_id = $1").bind::<BigInt, _>(job.0).get_result(conn).unwrap();
    TaskId(row.id)
}

/// The state of the only task of a job.
pub fn state(conn: &mut PgConnection, job: JobId) -> String {
    text(conn, &format!("SELECT state::text AS text FROM farm.task WHERE job_id = {job}"))
}

/// Lets all leases have run out an hour ago. Rows are locked in the order that the verbs keep.
pub fn expire_leases(conn: &mut PgConnection) {
    execute(
        conn,
        "WITH all_of_them AS (SELECT task_id FROM farm.lease ORDER BY task_id FOR UPDATE)
         UPDATE farm.lease l SET expires_at = now() - interval '1 hour' FROM all_of_them a WHERE l.task_id = a.task_id",
    );
}

/// Lets all backoffs have ended just now.
pub fn end_backoffs(conn: &mut PgConnection) {
    execute(
        conn,
        "WITH all_of_them AS (SELECT task_id FROM farm.ready ORDER BY task_id FOR UPDATE)
         UPDATE farm.ready r SET not_before = now() FROM all_of_them a WHERE r.task_id = a.task_id",
    );
}
