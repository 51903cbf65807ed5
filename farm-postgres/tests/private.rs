//! A private PostgreSQL lives and dies with its owner.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use diesel::{Connection as _, PgConnection, RunQueryDsl as _, sql_query};
use farm_postgres::{Options, PostgresError, PrivatePostgres, Shutdown};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A folder with a path that PostgreSQL's user can reach and a socket fits in.
fn folder() -> TempDir {
    let dir = tempfile::Builder::new().prefix("farm-pg-").tempdir_in("/tmp").unwrap();
    fs_err::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn run(server: &PrivatePostgres, sql: &str) {
    let mut connection = PgConnection::establish(&server.superuser_url("postgres")).unwrap();
    sql_query(sql).execute(&mut connection).unwrap();
}

fn server_pid(data: &Path) -> String {
    fs_err::read_to_string(data.join("postmaster.pid")).unwrap().lines().next().unwrap().to_owned()
}

fn kill(pid: &str) {
    kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// Kills the parent of the server that works on this data, as an administrator in a hurry might.
fn kill_keeper(data: &Path) {
    let pid = server_pid(data);
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap();
    kill(status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap());
}

#[test]
fn data_survives_a_stop_and_a_crash() {
    let folder = folder();
    let dir = folder.path().join("pg");
    let mut server = PrivatePostgres::start(&dir, &Options::persistent()).unwrap();
    run(&server, "CREATE TABLE t AS SELECT 1 AS x");
    server.restart(Shutdown::Crash).unwrap();
    run(&server, "INSERT INTO t SELECT 1/count(*) FROM t");
    server.stop().unwrap();
    let server = PrivatePostgres::start(&dir, &Options::persistent()).unwrap();
    run(&server, "SELECT 1/(count(*) - 1) FROM t");
}

#[test]
fn a_temporary_one_leaves_nothing() {
    let folder = folder();
    let dir = folder.path().join("pg");
    let server = PrivatePostgres::start(&dir, &Options::temporary()).unwrap();
    run(&server, "SELECT 1");
    drop(server);
    assert!(!dir.exists());
}

#[test]
fn a_folder_has_one_owner() {
    let folder = folder();
    let dir = folder.path().join("pg");
    let _server = PrivatePostgres::start(&dir, &Options::temporary()).unwrap();
    let error = PrivatePostgres::start(&dir, &Options::temporary()).unwrap_err();
    assert!(matches!(error, PostgresError::InUse { .. }), "{error}");
}

#[test]
fn a_server_whose_keeper_was_killed_is_stopped_and_its_data_taken_over() {
    let folder = folder();
    let dir = folder.path().join("pg");
    let server = PrivatePostgres::start(&dir, &Options::persistent()).unwrap();
    run(&server, "CREATE TABLE t (x int)");
    kill_keeper(&dir.join("data"));
    drop(server);
    let server = PrivatePostgres::start(&dir, &Options::persistent()).unwrap();
    run(&server, "INSERT INTO t VALUES (1)");
}

#[test]
fn the_end_of_a_killed_server_is_told_and_it_can_be_started_again() {
    let folder = folder();
    let dir = folder.path().join("pg");
    let mut server = PrivatePostgres::start(&dir, &Options::persistent()).unwrap();
    let ended = server.ended();
    kill(&server_pid(&dir.join("data")));
    ended.wait();
    server.restart(Shutdown::Orderly).unwrap();
    run(&server, "SELECT 1");
}

#[test]
fn a_stale_pid_file_that_names_a_living_process_does_not_stop_a_start() {
    let folder = folder();
    let dir = folder.path().join("pg");
    PrivatePostgres::start(&dir, &Options::persistent()).unwrap().stop().unwrap();
    fs_err::write(dir.join("data/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
    run(&PrivatePostgres::start(&dir, &Options::persistent()).unwrap(), "SELECT 1");
}

#[test]
fn data_of_a_version_that_is_not_installed_is_left_alone() {
    let folder = folder();
    let data = folder.path().join("pg/data");
    fs_err::create_dir_all(&data).unwrap();
    fs_err::write(data.join("PG_VERSION"), "9\n").unwrap();
    let error = PrivatePostgres::start(&folder.path().join("pg"), &Options::persistent()).unwrap_err();
    assert!(error.to_string().contains("was made by PostgreSQL 9"), "{error}");
}

#[test]
fn a_setting_that_postgresql_refuses_is_shown_in_its_words() {
    let folder = folder();
    let options = Options::temporary().set("max_connections", "none");
    let error = PrivatePostgres::start(&folder.path().join("pg"), &options).unwrap_err();
    assert!(error.to_string().contains("invalid value for parameter \"max_connections\""), "{error}");
}

#[test]
fn a_path_too_long_for_a_socket_is_refused_before_anything_is_made() {
    let folder = folder();
    let dir = folder.path().join("x".repeat(100));
    let error = PrivatePostgres::start(&dir, &Options::temporary()).unwrap_err();
    assert!(error.to_string().contains("shorter path"), "{error}");
    assert!(!dir.exists());
}

#[test]
fn a_folder_that_its_user_cannot_reach_is_named_with_the_way_out() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("SKIPPED: only for root does PostgreSQL run as another user");
        return;
    }
    let folder = folder();
    fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = PrivatePostgres::start(&folder.path().join("pg"), &Options::temporary()).unwrap_err();
    assert!(error.to_string().contains("cannot reach"), "{error}");
}
