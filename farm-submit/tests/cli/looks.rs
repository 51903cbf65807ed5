//! How everything looks, and that JSON is the API's own.

use farm_api::{
    access::{TokenInfo, Whoami},
    error::Reason,
    people::{Builder, Job, JobPage, Platform, RunningTask, Why},
    record::Usage,
};
use farm_types::{BuilderState, JobId, Outcome, Stage, TaskId, TaskState, WaitReason};
use serde::de::DeserializeOwned;

use super::{
    program, run,
    server::{Farm, Server},
    things::{at, attempt, failed, job, running, succeeded, task, token},
};

fn farm() -> Server {
    let mut mixed = job(
        42,
        vec![
            failed(1, "f13-x86_64"),
            succeeded(2, "f14-x86_64", &["hello-2.12-1.x86_64.rpm", "hello-doc-2.12-1.noarch.rpm"]),
            task(3, "sl5-i686", TaskState::Pending),
        ],
    );
    mixed.tasks[0].attempts = vec![attempt(1, Some(Outcome::FarmFault)), attempt(2, Some(Outcome::Failed))];
    mixed.tasks[0].attempts[0].message = Some("cannot mount /proc".into());
    mixed.tasks[0].attempts[1].usage =
        Usage { peak_memory_bytes: Some(345 << 20), cpu_milliseconds: Some(58_340), written_bytes: Some(78 << 20) };
    mixed.tasks[2].message = Some("waits for a builder for i686".into());
    mixed.warnings.push(Reason {
        code: "no_builder".into(),
        source: None,
        message: "no builder for sl5-i686 at the moment".into(),
    });
    let mut rude = job(7, vec![succeeded(4, "f13-x86_64", &[])]);
    rude.title = "\u{1b}]0;owned\u{7}\u{202e}title\nof two lines".into();
    let platform = |name: &str, enabled, pending| Platform {
        name: name.parse().unwrap(),
        description: "Fedora 13".into(),
        enabled,
        auto: enabled,
        pending,
        running: 0,
        builders: 2,
    };
    let why = Why {
        task: TaskId(3),
        state: TaskState::Pending,
        reason: WaitReason::NoBuilder,
        summary: "no builder can take it now: b1 builds for x86_64 only".into(),
        ahead: Some(3),
        people: serde_json::from_str(
            r#"[{"person": "bob", "tasks": 2, "urgent": 2}, {"person": null, "tasks": 1, "urgent": 0}]"#,
        )
        .unwrap(),
        expected: serde_json::from_str(
            r#"{"begins_after": 300, "begins_within": 1200, "takes": 240, "ends_after": 540, "ends_within": 1440, "basis": "as 12 builds of it on this platform did"}"#,
        )
        .unwrap(),
        builders: serde_json::from_str(
            r#"[{"builder": "b1", "could_take_it": false, "reason": "other_arch", "summary": "builds for x86_64 only"}]"#,
        )
        .unwrap(),
    };
    Server::start(Farm {
        jobs: [(42, mixed), (7, rude)].into(),
        platforms: vec![platform("f13-x86_64", true, 1200), platform("sl5-i686", false, 0)],
        builders: vec![builder("b1", true), builder("b22", false)],
        whys: [(3, why)].into(),
        tokens: vec![token(7, Some("nightly")), token(12, None)],
        ..Farm::default()
    })
}

fn builder(name: &str, alive: bool) -> Builder {
    Builder {
        name: name.parse().unwrap(),
        state: BuilderState::Enabled,
        reason: None,
        alive,
        last_seen: Some(at(0)),
        version: Some("0.1.0".into()),
        arches: vec!["x86_64".into(), "i686".into()],
        slots: 2,
        used: 0,
        spare_slots: 0,
        out: None,
        takes_nothing: None,
        saves_for: None,
        machine: None,
        running: Vec::new(),
        gone: None,
        left: None,
    }
}

#[test]
fn everything_is_shown_in_columns_and_fit_for_a_terminal() {
    let server = farm();
    for arguments in [
        &["show", "42"][..],
        &["list"],
        &["platforms"],
        &["builders"],
        &["whoami"],
        &["token", "list"],
        &["why", "42"],
        &["cancel", "42"],
        &["retry", "42", "--failed"],
    ] {
        let ran = run(program("farm", &server.url).args(arguments)).ended(0);
        assert!(!ran.stdout.chars().any(|c| c.is_control() && c != '\n'), "{arguments:?}: {:?}", ran.stdout);
        insta::with_settings!({ filters => [(r"http://127.0.0.1:\d+", "http://farm")] }, {
            insta::assert_snapshot!(arguments[0], ran.stdout);
        });
    }
}

#[test]
fn the_help_of_each_command_has_examples() {
    let commands = [
        "",
        "submit",
        "list",
        "show",
        "watch",
        "logs",
        "cancel",
        "retry",
        "rebuild",
        "download",
        "why",
        "platforms",
        "builders",
        "whoami",
        "token",
        "token list",
        "token create",
        "token revoke",
    ];
    for name in commands {
        let words = name.split_whitespace().chain(["--help"]);
        let ran = run(program("farm", "").env_remove("FARM_SERVER").args(words));
        let help = ran.ended(0).stdout;
        assert!(help.contains("Example"), "{help}");
        insta::assert_snapshot!(format!("help-{}", name.replace(" ", "-")), help);
    }
    let ran = run(program("farm-submit", "").env_remove("FARM_SERVER").arg("--help")).ended(0);
    insta::assert_snapshot!("help-farm-submit", ran.stdout);
}

#[test]
fn json_reads_back_into_the_types_of_the_api() {
    fn check<T: DeserializeOwned>(server: &Server, arguments: &[&str]) {
        let ran = run(program("farm", &server.url).args(arguments).arg("--json")).ended(0);
        let read = serde_json::from_str::<T>(&ran.stdout);
        assert!(read.is_ok(), "{arguments:?}: {:?}\n{}", read.err(), ran.stdout);
    }
    let server = farm();
    check::<JobPage>(&server, &["list"]);
    check::<Job>(&server, &["show", "42"]);
    check::<Job>(&server, &["cancel", "42"]);
    check::<Job>(&server, &["retry", "42"]);
    check::<Vec<Why>>(&server, &["why", "42:sl5"]);
    check::<Vec<Platform>>(&server, &["platforms"]);
    check::<Vec<Builder>>(&server, &["builders"]);
    check::<Whoami>(&server, &["whoami"]);
    check::<Vec<TokenInfo>>(&server, &["token", "list"]);
}

#[test]
fn what_a_builder_does_stands_under_the_table() {
    let server = farm();
    server.farm().builders[0].running.push(RunningTask {
        job: JobId(42),
        task: TaskId(3),
        platform: "f13-x86_64".parse().unwrap(),
        title: "hello".into(),
        stage: Some(Stage::Build),
        started: at(0),
        weight: 1,
    });
    let ran = run(program("farm", &server.url).arg("builders")).ended(0);
    assert!(ran.stdout.contains("b1:\n  42:f13-x86_64  build  "), "{}", ran.stdout);
}

#[test]
fn a_builder_that_takes_nothing_says_why() {
    let server = farm();
    server.farm().builders[0].takes_nothing = Some("1.9 GiB free on the disk of /d, 2.0 needed".to_owned());
    let ran = run(program("farm", &server.url).arg("builders")).ended(0);
    let line = ran.stdout.lines().find(|line| line.starts_with("b1 ")).unwrap();
    assert!(
        line.contains("  takes nothing  ") && line.ends_with("1.9 GiB free on the disk of /d, 2.0 needed"),
        "{line}"
    );
}

#[test]
fn a_running_task_shows_its_stage_and_builder() {
    let server = Server::with_job(job(1, vec![running(1, "f13-x86_64", Stage::Dependencies)]));
    let ran = run(program("farm", &server.url).args(["show", "1"])).ended(0);
    assert!(ran.stdout.contains("running    dependencies  ") && ran.stdout.contains("  on b1"), "{}", ran.stdout);
}

#[test]
fn a_task_that_has_not_ended_says_when_it_is_expected_to_in_show_and_in_json() {
    let mut waits = task(1, "f13-x86_64", TaskState::Pending);
    let known = r#"{"begins_after": 300, "begins_within": 1200, "takes": 240, "ends_after": 540, "ends_within": 1440, "basis": "so"}"#;
    waits.expected = serde_json::from_str(known).unwrap();
    let server = Server::with_job(job(1, vec![waits]));
    let ran = run(program("farm", &server.url).args(["show", "1"])).ended(0);
    let line = "  f13-x86_64  pending    expected to begin in 5 to 20 min, and to end about 4 min after that: so\n";
    assert!(ran.stdout.ends_with(line), "{}", ran.stdout);
    let json = run(program("farm", &server.url).args(["show", "1", "--json"])).ended(0).stdout;
    let job: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(job["tasks"][0]["expected"]["ends_within"], 1440);
}

#[test]
fn a_task_that_is_tried_again_says_why() {
    let mut again = task(1, "f13-x86_64", TaskState::Pending);
    again.attempts = vec![attempt(1, Some(Outcome::Lost))];
    again.started = Some(at(2));
    let server = Server::with_job(job(1, vec![again]));
    let ran = run(program("farm", &server.url).args(["show", "1"])).ended(0);
    assert!(ran.stdout.ends_with("  f13-x86_64  pending    after attempt 1 on b1: lost\n"), "{}", ran.stdout);
}

#[test]
fn the_completions_of_a_shell_know_the_commands() {
    let ran = run(program("farm", "").args(["completions", "bash"])).ended(0);
    assert!(ran.stdout.contains("download") && ran.stdout.contains("--attempt"));
    let ran = run(program("farm", "").args(["completions", "zsh", "--submit"])).ended(0);
    assert!(ran.stdout.starts_with("#compdef farm-submit"));
}
