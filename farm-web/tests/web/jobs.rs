//! Jobs are handed in, listed, cancelled, built again.

use axum::http::StatusCode;
use farm_api::{
    error::ErrorCode,
    people::{Chain, Job, JobPage, NewChain, Queue, Task, Why},
};
use farm_db::testing;
use farm_types::{Outcome, Progress, TaskState};

use crate::farm::{Farm, failed_build, sha256};

#[tokio::test]
async fn the_same_request_sent_twice_is_one_job_and_another_one_under_its_key_is_refused() {
    let farm = Farm::new();
    let mut request = farm.request(&["hello-2.10-1.src.rpm"]).await;
    let first = farm.post("/api/v1/jobs", &request).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
    let second = farm.post("/api/v1/jobs", &request).await;
    assert_eq!(second.status, StatusCode::OK);
    assert_eq!(first.json::<Job>().id, second.json::<Job>().id);

    request.title = Some("something else".to_owned());
    let other = farm.post("/api/v1/jobs", &request).await;
    assert_eq!((other.status, other.refusal().code), (StatusCode::CONFLICT, ErrorCode::Conflict));
}

#[tokio::test]
async fn a_chain_is_handed_in_as_a_whole_sent_again_it_is_the_same_and_each_job_shows_it() {
    let farm = Farm::new();
    let mut jobs = vec![farm.request(&["a.src.rpm"]).await, farm.request(&["b.src.rpm"]).await];
    let first = farm.post("/api/v1/chains", &NewChain { jobs: jobs.clone() }).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
    let made = first.json::<Chain>().jobs;
    assert_eq!((made[0].after, made[1].after), (None, Some(made[0].id)));
    let again = farm.post("/api/v1/chains", &NewChain { jobs: jobs.clone() }).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.json::<Chain>().jobs[1].id, made[1].id);

    let page = farm.get(&made[1].url).await.text();
    assert!(
        page.contains("<h2>Chain</h2>") && page.contains(&format!("<a href=\"/jobs/{0}\">job {0}</a>", made[0].id)),
        "{page}"
    );
    assert!(page.contains(&format!("<strong>job {}</strong>", made[1].id)), "{page}");

    // After something else, the same job is another request.
    jobs[0] = farm.request(&["other.src.rpm"]).await;
    let other = farm.post("/api/v1/chains", &NewChain { jobs }).await;
    assert_eq!((other.status, other.refusal().code), (StatusCode::CONFLICT, ErrorCode::Conflict));
    assert_eq!(farm.get("/api/v1/jobs").await.json::<JobPage>().jobs.len(), 2, "nothing of it was made");
}

#[tokio::test]
async fn what_is_wrong_with_any_job_of_a_chain_is_said_at_once_and_of_which() {
    let farm = Farm::new();
    let mut jobs = vec![farm.request(&["a"]).await, farm.request(&["b"]).await];
    jobs[0].sources[0].name = String::new();
    jobs[1].timeout_seconds = Some(0);
    jobs[1].after = Some(farm_types::JobId(1));
    let answer = farm.post("/api/v1/chains", &NewChain { jobs }).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let reasons = answer.refusal().reasons;
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["file_name", "after", "timeout"]);
    assert!(reasons[0].message.starts_with("job 1 of the chain, source 1: "), "{reasons:?}");
    let empty = farm.post("/api/v1/chains", &NewChain { jobs: Vec::new() }).await;
    assert_eq!(empty.refusal().reasons[0].code, "no_job");
}

#[tokio::test]
async fn a_task_that_took_three_builders_with_it_is_on_a_page_of_its_own_and_has_no_button() {
    let farm = Farm::new();
    assert!(farm.get("/set-aside").await.text().contains("No task is set aside."));
    let job = farm.job(&["killer.src.rpm"]).await;
    let mut conn = farm.connect();
    let mut builder = testing::builder(&mut conn, "victim");
    for _ in 0..3 {
        assert!(!builder.claim(&mut conn, 4).is_empty());
        builder = builder.restarted(&mut conn);
    }
    let job: Job = farm.get(&format!("/api/v1/jobs/{job}")).await.json();
    let task = job.tasks.iter().find(|task| task.set_aside.is_some()).expect("none is set aside");
    let page = farm.get("/set-aside").await.text();
    for words in [
        format!("<a href=\"/tasks/{0}\">Task {0}</a>", task.id),
        format!("<a href=\"/tasks/{}?attempt=3\">attempt 3</a> on <a href=\"/builders/victim\">", task.id),
        format!("farm-admin set-aside put-back {}", task.id),
    ] {
        assert!(page.contains(&words), "{words}: {page}");
    }
    assert!(farm.get(&task.url).await.text().contains("<a href=\"/set-aside\">set aside</a>"));
    assert!(!farm.get(&job.url).await.text().contains("Retry failed"));
}

fn options(json: serde_json::Value) -> farm_api::options::NewOptions {
    serde_json::from_value(json).unwrap()
}

#[tokio::test]
async fn what_a_job_asks_of_its_builds_is_kept_and_shown() {
    let farm = Farm::new();
    let mut request = farm.request(&["a.src.rpm"]).await;
    request.options = options(serde_json::json!({ "check": false, "macros": { "hostile": "<b>%{x}</b>" } }));
    let answer = farm.post("/api/v1/jobs", &request).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let job = answer.json::<Job>();
    assert_eq!(job.options, request.options.check().unwrap());
    let page = farm.get(&job.url).await.text();
    assert!(page.contains("<dt>Check</dt><dd><code>off</code>"), "{page}");
    assert!(page.contains("hostile &lt;b&gt;") && !page.contains("<b>%"), "{page}");
}

#[tokio::test]
async fn what_builds_cannot_be_asked_for_is_refused_with_every_reason_and_what_one_may_not_ask_with_the_right() {
    let farm = Farm::new();
    let mut request = farm.request(&["a.src.rpm"]).await;
    request.options = options(serde_json::json!({ "with": ["a-b"], "macros": { "_topdir": "/" }, "weight": 0 }));
    let answer = farm.post("/api/v1/jobs", &request).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let codes: Vec<_> = answer.refusal().reasons.into_iter().map(|reason| reason.code).collect();
    assert_eq!(codes, ["with", "macro", "weight"]);
    request.options =
        options(serde_json::json!({ "repositories": [{ "baseurl": "https://example.org/" }], "buckets": ["none"] }));
    let answer = farm.post("/api/v1/jobs", &request).await;
    assert_eq!((answer.status, answer.refusal().code), (StatusCode::FORBIDDEN, ErrorCode::Forbidden));
    assert!(answer.refusal().message.contains("the right “external”, “see:none”"), "{}", answer.text());
    let unknown = serde_json::json!({ "key": "k", "sources": [], "options": { "root": true } });
    let answer = farm.post("/api/v1/jobs", &unknown).await;
    assert!(answer.text().contains("unknown field `root`"), "{}", answer.text());
}

#[tokio::test]
async fn a_job_needs_its_files_to_be_uploaded_before() {
    let farm = Farm::new();
    let mut request = farm.request(&["a.src.rpm"]).await;
    request.sources[0].digest = sha256(b"never sent");
    let answer = farm.post("/api/v1/jobs", &request).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text().contains(&sha256(b"never sent").to_string()), "{}", answer.text());
}

#[tokio::test]
async fn all_that_is_wrong_with_a_request_is_said_at_once() {
    let farm = Farm::new();
    let mut request = farm.request(&["a"]).await;
    request.sources = vec![request.sources[0].clone(); 6];
    request.sources[1].name = String::new();
    request.timeout_seconds = Some(0);
    let answer = farm.post("/api/v1/jobs", &request).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let codes: Vec<_> = answer.refusal().reasons.into_iter().map(|reason| reason.code).collect();
    assert_eq!(codes, ["timeout", "too_many_sources", "file_name"]);
}

#[tokio::test]
async fn a_job_goes_its_way_and_shows_it() {
    let farm = Farm::new();
    let id = farm.submit(&["hello-2.10-1.src.rpm"]).await;
    let path = format!("/api/v1/jobs/{id}");
    let progress = async || farm.get(&path).await.json::<Job>().progress;
    assert_eq!(progress().await, Progress::Submitted);
    farm.accept();
    assert_eq!(progress().await, Progress::Queued);

    let mut builder = farm.builder("b1");
    let key = builder.claim();
    assert_eq!(progress().await, Progress::Running);
    assert_eq!(farm.get("/api/v1/queue").await.json::<Queue>().running, 1);
    builder.finish(&key, &failed_build(&["error: no"]));
    let task: Task = farm.get(&format!("/api/v1/tasks/{}", key.task)).await.json();
    assert_eq!((task.state, task.attempts[0].outcome), (TaskState::Failed, Some(Outcome::Failed)));
    let why: Why = farm.get(&format!("/api/v1/tasks/{}/why", key.task)).await.json();
    assert!(why.summary.contains("exit code 2"), "{}", why.summary);

    let cancelled: Job = farm.post(&format!("{path}/cancel"), &()).await.json();
    assert_eq!(cancelled.progress, Progress::Failed);
    let retried: Job = farm.post(&format!("{path}/retry"), &serde_json::json!({ "failed_only": true })).await.json();
    let states: Vec<_> = retried.tasks.iter().map(|task| task.state).collect();
    assert!(states.contains(&TaskState::Pending) && states.contains(&TaskState::Cancelled), "{states:?}");
    let nothing = farm.post(&format!("{path}/retry"), &serde_json::json!({ "failed_only": true })).await;
    assert_eq!(nothing.status, StatusCode::CONFLICT, "{}", nothing.text());
}

#[tokio::test]
async fn jobs_are_listed_in_pages_and_filtered() {
    let farm = Farm::new();
    for n in 0..5 {
        farm.job(&[&format!("p{n}.src.rpm")]).await;
    }
    let page: JobPage = farm.get("/api/v1/jobs?limit=2").await.json();
    let next = page.next.expect("there are more");
    let rest: JobPage = farm.get(&format!("/api/v1/jobs?limit=10&before={next}")).await.json();
    assert_eq!((page.jobs.len(), rest.jobs.len(), rest.next), (2, 3, None));
    for (filter, count) in [
        ("person=alice", 5),
        ("person=bob", 0),
        ("progress=queued", 5),
        ("progress=failed", 0),
        ("platform=f13-x86_64", 5),
        ("platform=f99-x86_64", 0),
        ("package=hello", 5),
        ("package=%3Cscript%3E", 0),
    ] {
        let page: JobPage = farm.get(&format!("/api/v1/jobs?{filter}")).await.json();
        assert_eq!(page.jobs.len(), count, "{filter}");
    }
}
