//! Which role may do what.

use diesel::{PgConnection, RunQueryDsl as _, connection::SimpleConnection as _, sql_query};
use farm_db::{
    operator, queue,
    testing::{self, TestBuilder},
};

use crate::support::{PLATFORM, database, execute, task_of, texts};

/// What each role can do, and nothing else: tried, not looked up. A new table or function belongs into this list.
const RIGHTS: &str = include_str!("rights.txt");

const ROLES: [&str; 6] = ["farm_web", "farm_hub", "farm_validator", "farm_janitor", "farm_publisher", "farm_readonly"];

/// One thing of the schema to try: what it is called in the list, and a statement for each thing that one might do with it.
struct Trial {
    object: String,
    statements: Vec<(String, String)>,
}

#[test]
fn every_role_can_do_with_every_table_and_function_what_the_list_says_and_nothing_else() {
    let (db, mut conn) = database();
    let trials = tables(&mut conn).into_iter().chain(functions(&mut conn)).collect::<Vec<_>>();
    let mut found = String::new();
    for role in ROLES {
        let mut conn = db.connect_as(role);
        for trial in &trials {
            let done: Vec<_> = trial
                .statements
                .iter()
                .filter(|(_, sql)| is_permitted(&mut conn, sql))
                .map(|(what, _)| what.as_str())
                .collect();
            if !done.is_empty() {
                found += &format!("{role:<15} {:<22} {}\n", trial.object, summary(&done));
            }
        }
    }
    let new: Vec<_> = found.lines().filter(|line| !RIGHTS.lines().any(|known| known == *line)).collect();
    let gone: Vec<_> = RIGHTS.lines().filter(|known| !found.lines().any(|line| line == *known)).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "not in rights.txt:\n{}\nonly in rights.txt:\n{}",
        new.join("\n"),
        gone.join("\n")
    );
}

/// Whether the database lets this role try at all; what comes of it is rolled back.
fn is_permitted(conn: &mut PgConnection, sql: &str) -> bool {
    conn.batch_execute("BEGIN").unwrap();
    let result = conn.batch_execute(sql);
    conn.batch_execute("ROLLBACK").unwrap();
    !result.is_err_and(|error| error.to_string().contains("permission denied for"))
}

/// `select (a), select (b)` as `select (a, b)`.
fn summary(done: &[&str]) -> String {
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    for what in done {
        let (verb, column) = what.split_once(' ').unwrap_or((what, ""));
        match parts.last_mut().filter(|(last, _)| *last == verb) {
            Some((_, columns)) => columns.push(column),
            None => parts.push((verb, vec![column])),
        }
    }
    let parts = parts.iter().map(|(verb, columns)| match &columns[..] {
        // The whole of it is more than any column.
        ["", ..] => (*verb).to_owned(),
        columns => format!("{verb} ({})", columns.join(", ")),
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// Tables and views: as a whole, and where that is refused, column by column.
fn tables(conn: &mut PgConnection) -> Vec<Trial> {
    let names = texts(
        conn,
        "SELECT relkind::text || relname::text AS text FROM pg_class WHERE relnamespace = 'farm'::regnamespace
         AND relkind IN ('r', 'v', 'p') AND NOT relispartition ORDER BY relname",
    );
    let mut trials = Vec::new();
    for name in names {
        let (is_view, name) = (name.starts_with('v'), &name[1..]);
        let columns = texts(
            conn,
            &format!(
                "SELECT attname::text AS text FROM pg_attribute WHERE attrelid = 'farm.{name}'::regclass AND attnum > 0
                 AND NOT attisdropped ORDER BY attnum"
            ),
        );
        let mut statements = vec![("select".to_owned(), format!("SELECT * FROM farm.{name} LIMIT 0"))];
        for verb in ["select", "update"] {
            statements.extend(columns.iter().map(|column| {
                let sql = match verb {
                    "select" => format!("SELECT {column} FROM farm.{name} LIMIT 0"),
                    _ => format!("UPDATE farm.{name} SET {column} = DEFAULT WHERE false"),
                };
                (format!("{verb} {column}"), sql)
            }));
        }
        if is_view {
            // Nothing is changed through views: they are for reading.
            statements.retain(|(what, _)| what.starts_with("select"));
            trials.push(Trial { object: name.to_owned(), statements });
            continue;
        }
        statements.push(("insert".to_owned(), format!("INSERT INTO farm.{name} DEFAULT VALUES")));
        statements.push(("delete".to_owned(), format!("DELETE FROM farm.{name} WHERE false")));
        statements.push(("truncate".to_owned(), format!("TRUNCATE farm.{name}")));
        trials.push(Trial { object: name.to_owned(), statements });
    }
    trials
}

/// Functions, called with nothing but NULL.
fn functions(conn: &mut PgConnection) -> Vec<Trial> {
    let calls = texts(
        conn,
        "SELECT format('%s %s', p.proname, (SELECT coalesce(string_agg('NULL::' || format_type(t.type, NULL), ', ' ORDER BY t.n), '')
           FROM unnest(p.proargtypes) WITH ORDINALITY AS t(type, n))) AS text
         FROM pg_proc p WHERE pronamespace = 'farm'::regnamespace AND prorettype <> 'trigger'::regtype ORDER BY p.proname",
    );
    calls
        .iter()
        .map(|call| {
            let (name, arguments) = call.split_once(' ').unwrap();
            let sql = format!("SELECT farm.{name}({arguments})");
            Trial { object: format!("{name}()"), statements: vec![("call".to_owned(), sql)] }
        })
        .collect()
}

#[test]
fn a_hub_that_is_hostile_cannot_submit_nor_finish_without_a_lease_nor_read_tokens() {
    let (db, mut conn) = database();
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    let builder = testing::builder(&mut conn, "one");
    let key = builder.claim_one(&mut conn);
    let task = task_of(&mut conn, job);
    let mut hub = db.connect_as("farm_hub");
    let nobody = "ROW('alice', 'operator', NULL)::farm.actor";
    for (sql, expected) in [
        (
            format!(
                "SELECT farm.submit({nobody}, 'k', '\\x', '', 'scratch', 'normal', '', NULL, NULL, false, '{{}}', '{{}}')"
            ),
            "permission denied",
        ),
        (format!("SELECT farm.cancel_job({nobody}, {job})"), "permission denied"),
        (format!("SELECT farm.put_person({nobody}, 'mallory', true)"), "permission denied"),
        ("SELECT farm.record(NULL, 'submit', 'job 1', NULL)".to_owned(), "permission denied"),
        ("SELECT token FROM farm.lease".to_owned(), "permission denied"),
        ("SELECT token FROM farm.attempt".to_owned(), "permission denied"),
        ("SELECT token_digest FROM farm.builder".to_owned(), "permission denied"),
        ("SELECT digest FROM farm.token".to_owned(), "permission denied"),
        ("SELECT digest FROM farm.source".to_owned(), "permission denied"),
        ("DELETE FROM farm.lease".to_owned(), "permission denied"),
        ("UPDATE farm.task SET state = 'succeeded'".to_owned(), "permission denied"),
        ("SET ROLE farm_owner".to_owned(), "permission denied"),
        ("SET ROLE farm_web".to_owned(), "permission denied"),
        (
            format!(
                "SELECT farm.finish({}, {task}, 1, gen_random_uuid(), 'succeeded', NULL, NULL, '', '[]', '[]', '[]')",
                builder.id
            ),
            "is not yours any more",
        ),
        (
            format!("SELECT farm.leased_source({}, {task}, 1, gen_random_uuid(), 1)", builder.id),
            "is not yours any more",
        ),
        (
            format!("SELECT farm.append_log({}, {task}, 1, gen_random_uuid(), 0, 1, 'x')", builder.id),
            "is not yours any more",
        ),
        (format!("SELECT farm.release({}, {task}, 1, gen_random_uuid(), '')", builder.id), "is not yours any more"),
    ] {
        let error = sql_query(&sql).execute(&mut hub).expect_err(&sql).to_string();
        assert!(error.contains(expected), "{sql}: {error}");
    }
    builder.finish(&mut conn, &key, farm_types::Outcome::Succeeded).unwrap();
}

#[test]
fn only_who_owns_the_farm_is_an_operator_whatever_a_process_says_of_itself() {
    let (db, mut conn) = database();
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    let mut web = db.connect_as("farm_web");
    let error = queue::cancel_job(&mut web, &testing::operator(), job).unwrap_err();
    assert_eq!(error.to_string(), "the role farm_web is no operator of the farm");
    queue::cancel_job(&mut conn, &testing::operator(), job).unwrap();
}

#[test]
fn nobody_changes_a_line_of_the_audit_not_even_who_owns_the_farm() {
    let (db, mut conn) = database();
    testing::accepted(&mut conn, &[PLATFORM]);
    for sql in ["UPDATE farm.audit SET actor = 'nobody'", "DELETE FROM farm.audit", "TRUNCATE farm.audit"] {
        for role in ROLES {
            let error = sql_query(sql).execute(&mut db.connect_as(role)).expect_err(sql).to_string();
            assert!(error.contains("permission denied"), "{role}: {sql}: {error}");
        }
        for become_owner in ["RESET ROLE", "SET ROLE farm_owner"] {
            conn.batch_execute(become_owner).unwrap();
            let error = sql_query(sql).execute(&mut conn).expect_err(sql).to_string();
            assert_eq!(error, "the audit is only ever added to");
        }
    }
}

#[test]
fn dashboards_see_what_is_public_and_nothing_else() {
    let (db, mut conn) = database();
    operator::put_bucket(&mut conn, &testing::operator(), &"secret".parse().unwrap(), None, Some(false)).unwrap();
    let public = testing::accepted(&mut conn, &[PLATFORM]);
    let private = testing::accepted(&mut conn, &[PLATFORM]);
    execute(&mut conn, &format!("UPDATE farm.job SET bucket = 'secret' WHERE id = {private}"));
    let mut dashboard = db.connect_as("farm_readonly");
    for table in ["job", "task", "source"] {
        let column = if table == "job" { "id" } else { "job_id" };
        let seen = texts(&mut dashboard, &format!("SELECT {column}::text AS text FROM farm.{table}"));
        assert_eq!(seen, [public.to_string()], "{table}");
    }
}

#[test]
fn the_hub_can_do_all_that_a_builder_asks_for_with_its_own_role() {
    let (db, mut conn) = database();
    let token = testing::digest();
    testing::put_builder(&mut conn, "one", &token, None);
    testing::accepted(&mut conn, &[PLATFORM]);
    let mut hub = db.connect_as("farm_hub");
    let id = operator::builder_by_token(&mut hub, &token).unwrap().unwrap().id;
    let builder = TestBuilder::new(id).restarted(&mut hub);
    let key = builder.claim_one(&mut hub);
    queue::source(&mut hub, id, &key, 1).unwrap();
    queue::held(&mut hub, id, &key).unwrap();
    queue::gone(&mut hub, id, &[key]).unwrap();
    assert_eq!(queue::presence(&mut hub, &[(id, builder.instance)]).unwrap()[0].platforms.len(), 1);
    assert!(queue::ready_keys(&mut hub, &queue::Lane::of(&PLATFORM.parse().unwrap()), 9).unwrap().is_empty());
    queue::append_log(&mut hub, id, &key, 0, 3, b"abc").unwrap();
    queue::deliver(&mut hub, id, &key, &testing::digest(), 1).unwrap();
    builder.finish(&mut hub, &key, farm_types::Outcome::Succeeded).unwrap();
}

#[test]
fn nobody_without_a_role_sees_the_farm() {
    let (db, mut conn) = database();
    conn.batch_execute("DROP ROLE IF EXISTS stranger_to_the_farm; CREATE ROLE stranger_to_the_farm LOGIN").unwrap();
    let error =
        sql_query("SELECT FROM farm.job").execute(&mut db.connect_as("stranger_to_the_farm")).expect_err("it saw");
    assert!(error.to_string().contains("permission denied for schema farm"), "{error}");
}
