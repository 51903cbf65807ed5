//! `farm logs`.

use farm_api::people::Task;
use farm_types::{Outcome, TaskState};

use super::{
    program, run,
    server::{Mischief, Server},
    things::{attempt, failed, job, succeeded, task},
};

const LOG: &[u8] = b"make\ngcc \xe9 \x1b[31mred\x1b[0m\nend\n";

fn with_log(server: &Server, id: i64, attempt: i32, log: &[u8]) {
    server.farm().logs.insert((id, Some(attempt)), log.to_vec());
}

#[test]
fn the_log_of_the_only_task_that_failed_comes_byte_for_byte() {
    let server = Server::with_job(job(42, vec![succeeded(1, "f13-x86_64", &[]), failed(2, "f14-x86_64")]));
    with_log(&server, 2, 1, LOG);
    let output = program("farm", &server.url).args(["logs", "42"]).output().unwrap();
    assert_eq!(output.stdout, LOG);
}

#[test]
fn several_tasks_are_a_choice_and_a_release_is_enough_to_make_it() {
    let tasks = vec![succeeded(1, "f13-x86_64", &[]), succeeded(2, "f14-x86_64", &[])];
    let server = Server::with_job(job(42, tasks));
    with_log(&server, 2, 1, b"two\n");
    let ran = run(program("farm", &server.url).args(["logs", "42"])).ended(2);
    insta::assert_snapshot!(ran.stderr, @r"
    farm: job 42 has 2 tasks; which one?
    farm:   42:f13-x86_64  succeeded
    farm:   42:f14-x86_64  succeeded
    ");
    assert_eq!(run(program("farm", &server.url).args(["logs", "42:F14"])).ended(0).stdout, "two\n");
    let ran = run(program("farm", &server.url).args(["logs", "42:sl5"])).ended(2);
    assert_eq!(ran.stderr, "farm: job 42 has no task on “sl5”; it has f13-x86_64, f14-x86_64\n");
}

#[test]
fn a_log_cut_in_the_middle_goes_on_where_it_was() {
    let server = Server::with_job(job(42, vec![failed(2, "f14-x86_64")]));
    with_log(&server, 2, 1, b"one\ntwo\nthree\n");
    server.farm().mischief = vec![("GET /api/v1/tasks/2/log", Mischief::CutAfter(6))];
    assert_eq!(run(program("farm", &server.url).args(["logs", "42"])).ended(0).stdout, "one\ntwo\nthree\n");
}

#[test]
fn following_goes_over_to_the_next_attempt() {
    let with = |state, outcomes: &[Option<Outcome>]| {
        let attempts = (1..).zip(outcomes).map(|(number, outcome)| attempt(number, *outcome));
        job(42, vec![Task { attempts: attempts.collect(), ..task(5, "f13-x86_64", state) }])
    };
    let fault = Some(Outcome::FarmFault);
    let server = Server::with_job(with(TaskState::Leased, &[None]));
    server.farm().after_log =
        [with(TaskState::Leased, &[fault, None]), with(TaskState::Succeeded, &[fault, Some(Outcome::Succeeded)])]
            .into();
    with_log(&server, 5, 1, b"first\n");
    with_log(&server, 5, 2, b"second\n");
    let ran = run(program("farm", &server.url).args(["logs", "-f", "42"])).ended(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("first\nsecond\n", "attempt 2 of job 42 on f13-x86_64\n"));
    let ran = run(program("farm", &server.url).args(["logs", "42", "--attempt", "1"])).ended(0);
    assert_eq!(ran.stdout, "first\n");
}

#[test]
fn a_task_that_nobody_has_begun_has_no_log_yet() {
    let server = Server::with_job(job(42, vec![task(1, "f13-x86_64", TaskState::Pending)]));
    let ran = run(program("farm", &server.url).args(["logs", "42"])).ended(0);
    assert_eq!(ran.stderr, "nobody has begun to build job 42 on f13-x86_64; ask: farm why 42:f13-x86_64\n");
}

#[test]
fn as_json_the_log_comes_with_its_task() {
    let server = Server::with_job(job(42, vec![failed(2, "f14-x86_64")]));
    with_log(&server, 2, 1, LOG);
    let ran = run(program("farm", &server.url).args(["logs", "42", "--json"])).ended(0);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["task"]["id"], 2);
    assert_eq!(document["log"], "make\ngcc \u{fffd} \u{1b}[31mred\u{1b}[0m\nend\n");
}
