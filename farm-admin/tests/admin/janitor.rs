//! Chores, and how long files are kept.

use diesel::{RunQueryDsl as _, sql_query};
use farm_testing::TestDb;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{json, misused, on, printed, refused};

/// The configuration of a janitor of that database.
fn config(db: &TestDb, dir: &TempDir) -> String {
    let (file, dir) = (dir.path().join("janitor.toml"), dir.path().display().to_string());
    let text = format!(
        "database = \"{}\"\nspool = \"{dir}/spool\"\n[store]\nkind = \"folder\"\npath = \"{dir}/store\"\n",
        db.url_as("farm_janitor")
    );
    fs_err::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn a_bucket_keeps_files_as_long_as_was_said() {
    let db = TestDb::new();
    let set = |args: &[&str]| on(&db).args(["bucket", "set", "scratch"]).args(args).ok();
    let keep = || json(on(&db).args(["bucket", "list", "--json"]))[0]["keep"].clone();
    assert_eq!(keep(), json!({ "days": 30 }));
    set(&["--keep-builds", "3", "--keep-bytes", "50G", "--keep-bytes-each", "1G"]).unwrap();
    assert_eq!(keep(), json!({ "days": 30, "builds": 3, "bytes": 50u64 << 30, "bytes_each": 1 << 30 }));
    let list = printed(on(&db).args(["bucket", "list"]));
    assert!(list.contains("30 days, 3 builds, 50.0 GiB, 1.0 GiB each"), "{list}");
    set(&["--keep-days", "forever", "--keep-bytes", "forever"]).unwrap();
    assert_eq!(keep(), json!({ "builds": 3, "bytes_each": 1 << 30 }));
    assert!(misused(on(&db).args(["bucket", "set", "scratch", "--keep-days", "0"])).contains("a number from 1 on"));
    let audit = printed(on(&db).args(["audit", "--action", "set retention"]));
    assert_eq!(audit.lines().filter(|line| line.contains("bucket scratch")).count(), 2, "{audit}");
}

#[test]
fn chores_are_listed_done_now_and_told_of_before() {
    let (db, dir) = (TestDb::new(), tempfile::tempdir().unwrap());
    let config = config(&db, &dir);
    let once = |more: &[&str]| {
        let mut command = on(&db);
        command.args(["janitor", "--config", &config, "--once"]).args(more);
        command
    };
    let list = printed(on(&db).arg("janitor"));
    assert!(list.contains("retention") && list.contains("never"), "{list}");

    farm_db::testing::platform(&mut db.connect(), "f13-x86_64");
    let job = farm_db::testing::submitted(&mut db.connect(), None);
    sql_query("UPDATE farm.job SET state = 'rejected', open = false, reasons = '[{}]', decided_at = now() - interval '31 days'")
        .execute(&mut db.connect())
        .unwrap();
    let would = printed(&mut once(&["retention", "--dry-run"]));
    assert_eq!(would, format!("job {job}: 1 bytes would go, the bucket “scratch” keeps files for 30 days\n"));
    assert_eq!(json(&mut once(&["retention", "--dry-run", "--json"]))["would"].as_array().unwrap().len(), 1);
    assert_eq!(printed(&mut once(&["retention"])), "retention: dealt with 1\n");
    assert_eq!(printed(&mut once(&["retention", "--dry-run"])), "nothing\n");
    assert!(refused(&mut once(&["tokens", "--dry-run"])).contains("cannot be said without doing it"));
    assert!(misused(&mut once(&["dishes"])).contains("possible values"));

    let listed = json(on(&db).args(["janitor", "--json"]));
    let retention = listed.as_array().unwrap().iter().find(|chore| chore["chore"] == "retention").unwrap();
    assert_eq!((&retention["last"]["done"], &retention["last"]["total"]), (&json!(1), &json!(1)));
}

#[test]
fn a_check_tells_of_chores_that_fail_and_of_a_janitor_that_is_away() {
    let db = TestDb::new();
    sql_query("INSERT INTO farm.chore (name, began_at, failures, error) VALUES ('blobs', now() - interval '1 hour', 3, 'the disk is full')")
        .execute(&mut db.connect())
        .unwrap();
    let said = printed(on(&db).arg("check"));
    assert!(said.contains("look at this: no janitor has done anything since"), "{said}");
    assert!(said.contains("look at this: the chore blobs failed 3 times in a row: the disk is full"), "{said}");
}
