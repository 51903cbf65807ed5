//! The audit has a table for each month.

use diesel::{Connection as _, connection::SimpleConnection as _};
use farm_api::access::AuditFilter;
use farm_db::{
    DbError, PgConnection, access,
    chores::{self, AuditMonths},
    database as health, migrate, operator, testing,
};
use farm_testing::TestDb;

use crate::support::{database, execute, text, texts};

/// Writes a line down as at another time, which is an expression.
fn line(conn: &mut PgConnection, at: &str, object: &str) {
    execute(
        conn,
        &format!(
            "INSERT INTO farm.audit (at, actor, way, action, object, process)
             VALUES ({at}, 'alice', 'token', 'test', '{object}', 'role farm_web')"
        ),
    );
}

/// The lines of the test, newest first, as they are read.
fn objects(conn: &mut PgConnection) -> Vec<String> {
    let filter = AuditFilter { action: Some("test".to_owned()), ..AuditFilter::default() };
    access::audit(conn, &filter).unwrap().into_iter().map(|entry| entry.object).collect()
}

/// The months that have a table, without what no month is there for.
fn months(conn: &mut PgConnection) -> Vec<String> {
    texts(
        conn,
        "SELECT right(inhrelid::regclass::text, 7) AS text FROM pg_inherits
         WHERE inhparent = 'farm.audit'::regclass AND inhrelid <> 'farm.audit_rest'::regclass ORDER BY 1",
    )
}

/// The name of the table of a month, so many after this one.
fn month(conn: &mut PgConnection, after: i32) -> String {
    let sql = "date_trunc('month', now() AT TIME ZONE 'UTC')";
    text(conn, &format!("SELECT to_char({sql} + interval '{after} months', 'YYYY_MM') AS text"))
}

fn in_the_rest(conn: &mut PgConnection) -> String {
    text(conn, "SELECT count(*)::text AS text FROM farm.audit_rest")
}

#[test]
fn lines_lie_in_the_tables_of_their_months_and_are_read_in_the_order_in_which_they_came() {
    let (_db, mut conn) = database();
    for (at, object) in [("now()", "first"), ("now() + interval '1 month'", "second"), ("now()", "third")] {
        line(&mut conn, at, object);
    }
    assert_eq!(objects(&mut conn), ["third", "second", "first"]);
    let (this, next) = (month(&mut conn, 0), month(&mut conn, 1));
    let of = |conn: &mut _, month: &str| {
        texts(conn, &format!("SELECT object AS text FROM farm.audit_{month} WHERE action = 'test' ORDER BY id"))
    };
    assert_eq!(
        (of(&mut conn, &this), of(&mut conn, &next)),
        (vec!["first".to_owned(), "third".to_owned()], vec!["second".to_owned()])
    );
}

#[test]
fn a_month_begins_in_utc_wherever_whoever_makes_it_lives() {
    let (_db, mut conn) = database();
    conn.batch_execute("SET timezone = 'Pacific/Kiritimati'").unwrap();
    for at in ["'2003-06-01 00:00:00Z'", "'2003-06-30 23:59:59.999999Z'", "'2003-07-01 00:00:00Z'"] {
        line(&mut conn, at, at.trim_matches('\''));
    }
    assert_eq!(chores::tend_audit(&mut conn).unwrap().made, 2);
    let lines = |conn: &mut _, month| text(conn, &format!("SELECT count(*)::text AS text FROM farm.audit_{month}"));
    assert_eq!((lines(&mut conn, "2003_06"), lines(&mut conn, "2003_07")), ("2".to_owned(), "1".to_owned()));
}

#[test]
fn months_are_there_before_they_begin_and_while_somebody_writes() {
    let (db, mut conn) = database();
    let ahead: Vec<_> = (0..=3).map(|after| month(&mut conn, after)).collect();
    assert_eq!(months(&mut conn), ahead);
    for month in &ahead[2..] {
        execute(&mut conn, &format!("DROP TABLE farm.audit_{month}"));
    }
    // A transaction that has written something and goes on.
    let mut other = db.connect();
    other
        .transaction(|other| {
            line(other, "now()", "under way");
            let mut janitor = db.connect_as("farm_janitor");
            assert_eq!(chores::tend_audit(&mut janitor).unwrap(), AuditMonths { made: 2, dropped: 0 });
            diesel::QueryResult::Ok(())
        })
        .unwrap();
    assert_eq!(months(&mut conn), ahead);
    assert_eq!(chores::tend_audit(&mut conn).unwrap(), AuditMonths::default());
}

#[test]
fn what_is_written_while_its_month_has_no_table_is_not_refused_and_comes_into_it_later() {
    let (db, mut conn) = database();
    let ahead = months(&mut conn);
    for month in &ahead {
        execute(&mut conn, &format!("DROP TABLE farm.audit_{month}"));
    }
    line(&mut conn, "now()", "now");
    line(&mut conn, "now() + interval '9 years'", "the clock was wrong");
    line(&mut conn, "'2002-02-02'", "and wrong again");
    let before = text(&mut conn, "SELECT string_agg(a::text, E'\n' ORDER BY id) AS text FROM farm.audit a");
    assert_eq!(in_the_rest(&mut conn), "3");
    assert_eq!(chores::tend_audit(&mut db.connect_as("farm_janitor")).unwrap(), AuditMonths { made: 6, dropped: 0 });
    assert_eq!(in_the_rest(&mut conn), "0");
    let after = "SELECT string_agg(a::text, E'\n' ORDER BY id) AS text FROM farm.audit a";
    assert_eq!(text(&mut conn, after), before);
    // It goes on as before, with what is there and with what is not.
    line(&mut conn, "now()", "next");
    line(&mut conn, "'2002-03-02'", "rest");
    assert_eq!(objects(&mut conn)[..2], ["rest", "next"]);
    assert_eq!(in_the_rest(&mut conn), "1");
}

#[test]
fn months_are_dropped_that_are_kept_no_longer_and_a_line_says_so() {
    let (db, mut conn) = database();
    let janitor = &mut db.connect_as("farm_janitor");
    for (months, object) in [(5, "old"), (4, "younger"), (3, "kept"), (0, "now")] {
        line(&mut conn, &format!("date_trunc('month', now(), 'UTC') - interval '{months} months'"), object);
    }
    assert_eq!(
        chores::tend_audit(janitor).unwrap(),
        AuditMonths { made: 3, dropped: 0 },
        "it is kept for ever at first"
    );
    operator::keep_audit(&mut conn, &testing::operator(), 3).unwrap();
    assert_eq!(operator::audit_kept(&mut conn).unwrap(), 3);
    let gone = [month(&mut conn, -5), month(&mut conn, -4)];
    assert_eq!(chores::tend_audit(janitor).unwrap(), AuditMonths { made: 0, dropped: 2 });
    assert_eq!(objects(&mut conn), ["now", "kept"]);
    let said = texts(
        &mut conn,
        "SELECT format('%s %s %s', object, details, process) AS text FROM farm.audit WHERE action = 'drop audit' ORDER BY id",
    );
    let expected = gone.map(|month| format!("audit of {} {{\"lines\": 1}} role farm_janitor", month.replace('_', "-")));
    assert_eq!(said, expected);
}

#[test]
fn the_audit_of_less_than_a_quarter_is_none() {
    let (_db, mut conn) = database();
    for months in [1, 2, 1201, u32::MAX] {
        let refused = operator::keep_audit(&mut conn, &testing::operator(), months).unwrap_err();
        assert!(matches!(refused, DbError::Conflict(_)), "{refused:?}");
    }
    assert_eq!(operator::audit_kept(&mut conn).unwrap(), 0);
}

#[test]
fn no_line_of_a_month_is_changed_nor_of_what_has_no_month() {
    let (db, mut conn) = database();
    line(&mut conn, "now()", "mine");
    line(&mut conn, "'2002-02-02'", "mine");
    let tables = ["audit_rest".to_owned(), format!("audit_{}", month(&mut conn, 0))];
    for table in tables {
        for sql in [
            format!("UPDATE farm.{table} SET actor = 'nobody'"),
            format!("DELETE FROM farm.{table}"),
            format!("TRUNCATE farm.{table}"),
        ] {
            let mut web = db.connect_as("farm_web");
            assert!(web.batch_execute(&sql).unwrap_err().to_string().contains("permission denied"), "{sql}");
            assert_eq!(conn.batch_execute(&sql).unwrap_err().to_string(), "the audit is only ever added to", "{sql}");
        }
    }
    // What the tables that are made later have, too.
    chores::tend_audit(&mut conn).unwrap();
    for table in ["audit_rest", "audit_2002_02"] {
        let error = conn.batch_execute(&format!("DELETE FROM farm.{table}")).unwrap_err();
        assert_eq!(error.to_string(), "the audit is only ever added to", "{table}");
    }
}

#[test]
fn lines_of_a_farm_that_had_one_table_move_into_their_months_and_their_numbers_go_on() {
    let db = TestDb::empty();
    let mut conn = migrate::connect(&db.url()).unwrap();
    let tables = "SELECT to_regclass('farm.audit_rest')::text AS text WHERE to_regclass('farm.audit_rest') IS NOT NULL";
    migrate::up(&mut conn).unwrap();
    while !texts(&mut conn, tables).is_empty() {
        migrate::down_one(&mut conn).unwrap();
    }
    for at in ["now() - interval '70 days'", "now() - interval '40 days'", "now()"] {
        line(&mut conn, at, at.trim_end_matches('\'').rsplit('\'').next().unwrap());
    }
    let all = "SELECT string_agg(a::text, E'\n' ORDER BY id) AS text FROM farm.audit a";
    let before = text(&mut conn, all);
    migrate::up(&mut conn).unwrap();
    assert_eq!(text(&mut conn, all), before);
    assert_eq!(in_the_rest(&mut conn), "0");
    line(&mut conn, "now()", "next");
    assert_eq!(objects(&mut conn), ["next", "now()", "40 days", "70 days"]);
    let numbers = "SELECT string_agg(id::text, ' ' ORDER BY id) AS text FROM farm.audit";
    assert_eq!(text(&mut conn, numbers), "1 2 3 4");
}

#[test]
fn that_nobody_looks_into_a_month_is_nothing_to_tell_of_its_indexes() {
    let (_db, mut conn) = database();
    let indexes = "SELECT string_agg(indexrelid::regclass::text, ' ') AS text FROM pg_stat_all_indexes
         WHERE schemaname = 'farm' AND idx_scan = 0 AND relname LIKE 'audit%' AND pg_relation_size(indexrelid) > 10485760";
    execute(
        &mut conn,
        "INSERT INTO farm.audit (actor, way, action, object, process)
         SELECT 'alice', 'token', 'test',
           (SELECT string_agg(md5(format('%s %s', n, k)), '') FROM generate_series(1, 20) AS k), 'role farm_web'
         FROM generate_series(1, 20000) AS n",
    );
    assert!(text(&mut conn, indexes).contains("object"), "it is large, and nobody used it");
    assert_eq!(health::look(&mut conn).unwrap().unused_indexes, Vec::<String>::new());
}
