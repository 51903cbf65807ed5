//! What a package was built in, what has changed since, and where in its log each stage begins.

use axum::http::StatusCode;
use farm_api::{
    hub::Finish,
    people::{Job, Like, NewJob, Task},
    record::{BuildrootView, StageMark},
};
use farm_types::{ArtifactKind, AttemptNumber, Outcome, Stage, TaskId};

use crate::farm::{Farm, artifact, failed_build, failure, gzip, record};

/// Builds a package with these packages; every job has a task on each of two platforms, of which the first is built so.
async fn built(farm: &Farm, name: &str, packages: &[&str], succeeds: bool) -> TaskId {
    farm.job(&[name]).await;
    let mut builder = farm.builder("b1");
    let (one, two) = (builder.claim(), builder.claim());
    let (key, other) = if farm.task(one.task).platform.as_str().starts_with("f13") { (one, two) } else { (two, one) };
    let artifacts = vec![record(farm, packages).await];
    match succeeds {
        true => builder.succeed(&key, artifacts),
        false => builder.finish(&key, &Finish { artifacts, ..failed_build(&["no"]) }),
    }
    builder.succeed(&other, vec![record(farm, &["other-1-1.x86_64"]).await]);
    key.task
}

#[tokio::test]
async fn what_has_changed_since_the_last_success_of_the_package_on_the_platform_is_shown() {
    let farm = Farm::new();
    let first = built(&farm, "zlib-1-1.src.rpm", &["bash-5-1.x86_64", "gcc-14-1.x86_64"], true).await;
    built(&farm, "curl-1-1.src.rpm", &["perl-5-1.x86_64"], true).await;
    built(&farm, "zlib-1-2.src.rpm", &["perl-5-2.x86_64"], false).await;
    let last = built(&farm, "zlib-1-3.src.rpm", &["bash-5-1.x86_64", "gcc-15-1.x86_64", "sed-4-1.x86_64"], false).await;
    let view: BuildrootView = farm.get(&format!("/api/v1/tasks/{last}/buildroot")).await.json();
    assert_eq!(view.packages.len(), 3);
    let since = view.since.unwrap();
    assert_eq!((since.task, since.nevr.as_deref()), (first, Some("zlib-1-1")));
    let changes: Vec<_> =
        view.changes.iter().map(|c| (c.name.as_str(), c.before.as_deref(), c.now.as_deref())).collect();
    assert_eq!(changes, [("gcc", Some("14-1"), Some("15-1")), ("sed", None, Some("4-1"))]);
    let html = farm.get(&format!("/tasks/{last}/buildroot")).await.text();
    for words in
        ["zlib-1-1 in job 1", "14-1", "15-1", "was not there", "1764118000", "farm-builder", "2 h 0 min", "8.0 GiB"]
    {
        assert!(html.contains(words), "{words} is not in {html}");
    }
    let html = farm.get(&format!("/tasks/{last}")).await.text();
    for words in ["345 MiB of memory", "58 s of the processor", "78 MiB written", "/buildroot?attempt=1"] {
        assert!(html.contains(words), "{words} is not in {html}");
    }
    let task: Task = farm.get(&format!("/api/v1/tasks/{last}")).await.json();
    let whole = farm.get(task.attempts[0].record_url.as_ref().unwrap()).await;
    assert_eq!((whole.status, whole.header("content-type")), (StatusCode::OK, "application/json"));
    assert_eq!(task.attempts[0].record_url.as_deref(), Some(view.record_url.as_str()));
}

#[tokio::test]
async fn what_is_no_record_is_not_shown_as_one_and_what_a_record_says_does_nothing() {
    let farm = Farm::new();
    let hostile = "<script>alert(1)</script>\u{202e}-1-1.x86_64";
    let task = built(&farm, "a-1-1.src.rpm", &[hostile], true).await;
    let html = farm.get(&format!("/tasks/{task}/buildroot")).await.text();
    assert!(html.matches("<script").count() == 1 && !html.contains('\u{202e}'), "{html}");
    for query in ["?attempt=7", "?source=2", "?source=4294967295"] {
        let answer = farm.get(&format!("/tasks/{task}/buildroot{query}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{query}");
    }
    farm.job(&["b-1-1.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    let junk = artifact(ArtifactKind::Manifest, "buildroot.json", farm.blob(b"{}").await, 2);
    builder.succeed(&key, vec![junk]);
    let answer = farm.get(&format!("/tasks/{}/buildroot", key.task)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text());
    assert!(answer.text().contains("none that this version can read"), "{}", answer.text());
}

#[tokio::test]
async fn a_job_may_be_handed_in_to_be_built_like_a_task_and_says_so() {
    let farm = Farm::new();
    let task = built(&farm, "zlib-1-1.src.rpm", &["bash-5-1.x86_64"], true).await;
    let new = farm.request(&["zlib-1-1.src.rpm"]).await;
    let request = |target: &str, like| NewJob {
        key: target.parse().unwrap(),
        targets: vec![target.to_owned()],
        like: Some(like),
        ..new.clone()
    };
    let answer = farm.post("/api/v1/jobs", &request("f13-x86_64", task)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let job: Job = answer.json();
    assert_eq!(job.like, Some(Like { task, attempt: AttemptNumber(1) }));
    let html = farm.get(&job.url).await.text();
    assert!(html.contains(&format!("/tasks/{task}/buildroot?attempt=1")), "{html}");
    for (target, like, status) in [("f14-x86_64", task, 409), ("auto", task, 409), ("all", TaskId(99), 404)] {
        let answer = farm.post("/api/v1/jobs", &request(target, like)).await;
        assert_eq!(answer.status.as_u16(), status, "{target}: {}", answer.text());
    }
}

#[tokio::test]
async fn one_jumps_to_a_stage_of_a_long_log_and_goes_on_from_there() {
    let farm = Farm::new();
    farm.job(&["a-1-1.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    let prep: String = (0..5000).map(|n| format!("unpacking {n} of many\n")).collect();
    let mark = "[farm] === %build === 1.0 s\n";
    let build: String = (0..9000).map(|n| format!("compiling {n} of many\n")).collect();
    let log = format!("{prep}{mark}{build}the very end\n");
    let packed = gzip(log.as_bytes());
    let place = StageMark { stage: Stage::Build, source: None, offset: prep.len() as u64, line: 5001 };
    builder.log(&key, 0, log.as_bytes());
    builder.finish(
        &key,
        &Finish {
            outcome: Outcome::Succeeded,
            marks: vec![place],
            artifacts: vec![artifact(ArtifactKind::Log, "build.log.gz", farm.blob(&packed).await, packed.len())],
            ..failure()
        },
    );
    let url = format!("/tasks/{}?attempt=1&from={}", key.task, place.offset);
    let end = farm.get(&format!("/tasks/{}", key.task)).await.text();
    assert!(end.contains(&url.replace('&', "&amp;")) && end.contains("the very end"), "{end}");
    let jumped = farm.get(&url).await.text();
    let shown = jumped.split_once("<pre class=\"log\"").unwrap().1;
    assert!(shown.split_once('>').unwrap().1.starts_with("[farm] === %build === 1.0 s\n"), "{shown}");
    assert!(!shown.contains("unpacking") && !shown.contains("the very end"));
    // Piece by piece to the end, and nothing is left out or comes twice.
    let (mut pieces, mut page) = (String::new(), jumped);
    loop {
        let (_, rest) = page.split_once("<pre class=\"log\"").unwrap();
        let text = rest.split_once('>').unwrap().1.split_once("</pre>").unwrap().0;
        pieces.push_str(text);
        let Some((before, _)) = page.split_once("\">later →") else { break };
        let next = before.rsplit_once("href=\"").unwrap().1.replace("&amp;", "&");
        page = farm.get(next.split('#').next().unwrap()).await.text();
    }
    assert_eq!(pieces, format!("{mark}{build}the very end\n"));
}
