//! Pages show what the API says, and nothing that a name says is taken for markup.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use diesel::{RunQueryDsl as _, sql_query};
use farm_api::{error::Reason, people::Job};
use farm_db::intake::Decision;
use farm_types::{ArtifactKind, JobId, Progress, Stage};

use crate::farm::{Farm, artifact, failed_build, gzip};

const HOSTILE: &str = "\"'><script>alert(1)</script>\n%{name}\u{202e}-1-1.src.rpm";

async fn page(farm: &Farm, path: &str) -> String {
    let answer = farm.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    answer.text()
}

async fn press(farm: &Farm, path: &str, form: &'static str) -> StatusCode {
    let request = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("host", "127.0.0.1:8000")
        .header("origin", "http://127.0.0.1:8000");
    farm.send(request.body(Body::from(form)).unwrap()).await.status
}

#[tokio::test]
async fn a_farm_with_nothing_in_it_says_what_to_do() {
    let farm = Farm::new();
    let front = page(&farm, "/").await;
    assert!(front.contains("farm-admin builder add") && front.contains("farm-submit PACKAGE.src.rpm"), "{front}");
    for path in ["/jobs", "/builders", "/platforms", "/platforms/f13-x86_64"] {
        page(&farm, path).await;
    }
}

#[tokio::test]
async fn a_job_whose_files_are_gone_says_so_and_why_and_offers_nothing_that_takes_them() {
    let farm = Farm::new();
    farm.job(&["zlib-1.3.1-4.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let (failed, built) = (builder.claim(), builder.claim());
    let digest = farm.blob(b"rpm").await;
    builder.succeed(&built, vec![artifact(ArtifactKind::Rpm, "zlib-1.3.1-4.x86_64.rpm", digest, 3)]);
    builder.finish(&failed, &failed_build(&["zlib.c:1: error: no"]));
    let mut conn = farm.connect();
    sql_query("UPDATE farm.task SET finished_at = now() - interval '31 days'").execute(&mut conn).unwrap();
    assert_eq!(farm_db::chores::expire_files(&mut conn, 10).unwrap().jobs, 1);
    let html = page(&farm, "/jobs/1").await;
    for words in
        ["Its files are gone", "the bucket “scratch” keeps files for 30 days", "zlib.c:1: error: no", "farm show 1"]
    {
        assert!(html.contains(words), "{words} is not in {html}");
    }
    for words in ["Retry failed", "/artifacts/", "farm download"] {
        assert!(!html.contains(words), "{words} is in {html}");
    }
    let html = page(&farm, &format!("/tasks/{}", built.task)).await;
    assert!(!html.contains("/artifacts/"), "{html}");
}

#[tokio::test]
async fn a_job_is_shown_on_every_page_it_belongs_to() {
    let farm = Farm::new();
    farm.job(&["zlib-1.3.1-4.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let (failed, built) = (builder.claim(), builder.claim());
    builder.stage(&built, Stage::Build);
    for path in ["/", "/jobs", "/jobs/1", "/tasks/1", "/builders", "/builders/b1", "/platforms/f13-x86_64"] {
        let html = page(&farm, path).await;
        assert!(html.contains("zlib-1.3.1-4"), "{path}");
    }
    let digest = farm.blob(b"rpm").await;
    builder.succeed(&built, vec![artifact(ArtifactKind::Rpm, "zlib-1.3.1-4.x86_64.rpm", digest, 3)]);
    builder.finish(&failed, &failed_build(&["zlib.c:1: error: no", "make: *** Error 1"]));
    let html = page(&farm, "/jobs/1").await;
    for words in
        ["1 of 2 built", "zlib.c:1: error: no", "<b>4711</b>", "/artifacts/1/zlib-1.3.1-4.x86_64.rpm", "Retry failed"]
    {
        assert!(html.contains(words), "{words} is not in {html}");
    }
    let html = page(&farm, &format!("/tasks/{}", failed.task)).await;
    assert!(html.contains("dependencies <small>9.8 s</small>"), "{html}");
    // What it built, and how that ended.
    let html = page(&farm, "/builders/b1").await;
    let built = html.split("<h2>Built</h2>").nth(1).unwrap();
    assert!(built.contains("zlib-1.3.1-4") && built.contains("succeeded") && built.contains("failed"), "{html}");
}

#[tokio::test]
async fn a_builder_that_takes_nothing_says_why_and_how_its_machine_stands() {
    let farm = Farm::new();
    let mut builder = farm.builder("b1");
    builder.tell(Some("1.9 GiB free on the disk of /d, 2.0 needed"));
    for path in ["/builders", "/builders/b1"] {
        let html = page(&farm, path).await;
        assert!(html.contains("takes nothing") && html.contains("1.9 GiB free on the disk of /d"), "{path}: {html}");
    }
    let html = page(&farm, "/builders/b1").await;
    assert!(html.contains("2.5 on 4 processors") && html.contains("3.0 GiB"), "{html}");
    builder.tell(None);
    assert!(!page(&farm, "/builders/b1").await.contains("takes nothing"));
}

#[tokio::test]
async fn a_hostile_name_is_shown_and_does_nothing() {
    let farm = Farm::new();
    farm.submit(&[HOSTILE]).await;
    farm.decide(|_| {
        Decision::Reject(vec![Reason { code: "x".to_owned(), source: Some(1), message: HOSTILE.to_owned() }])
    });
    farm.job(&[HOSTILE]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    builder.log(&key, 0, b"</pre><script>alert(2)</script>");
    let digest = farm.blob(b"rpm").await;
    let name = HOSTILE.replace(['\n', '/'], " ");
    let mut end = failed_build(&["<script>alert(3)</script>"]);
    end.message = HOSTILE.to_owned();
    end.artifacts = vec![artifact(ArtifactKind::Rpm, &name, digest, 3)];
    builder.finish(&key, &end);
    for path in
        ["/", "/jobs", "/jobs/1", "/jobs/2", &format!("/tasks/{}", key.task), "/jobs?package=%22%3E%3Cscript%3E"]
    {
        let html = page(&farm, path).await;
        assert_eq!(html.matches("<script").count(), 1, "{path}: {html}");
        assert!(html.contains("&lt;script&gt;"), "{path}");
        assert!(!html.contains('\u{202e}'), "{path} turns its text around");
    }
    let html = page(&farm, "/jobs/2").await;
    assert!(
        html.contains("%22%27%3E%3Cscript%3Ealert%281%29%3C%20script%3E%20%25%7Bname%7D%E2%80%AE-1-1.src.rpm"),
        "{html}"
    );
    assert!(html.contains("\\n%{name}\\u{202e}"), "{html}");
}

#[tokio::test]
async fn buttons_work_without_a_script() {
    let farm = Farm::new();
    let id = farm.job(&["a-1-1.src.rpm"]).await;
    let progress = async || farm.get(&format!("/api/v1/jobs/{id}")).await.json::<Job>().progress;
    assert!(page(&farm, "/jobs/1").await.contains(r#"action="/jobs/1/cancel""#));
    assert_eq!(press(&farm, "/jobs/1/cancel", "").await, StatusCode::SEE_OTHER);
    assert_eq!(progress().await, Progress::Cancelled);
    assert!(page(&farm, "/jobs/1").await.contains("Build what was cancelled"));
    assert_eq!(press(&farm, "/jobs/1/retry", "").await, StatusCode::SEE_OTHER);
    assert_eq!(progress().await, Progress::Queued);
    assert_eq!(press(&farm, "/jobs/1/retry", "failed_only=true").await, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_button_on_another_site_does_nothing() {
    let farm = Farm::new();
    farm.job(&["a-1-1.src.rpm"]).await;
    let request = Request::post("/jobs/1/cancel").header("host", "127.0.0.1").header("origin", "http://evil.example");
    let answer = farm.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("The request comes from another site"), "{}", answer.text());
    assert_eq!(farm.get("/api/v1/jobs/1").await.json::<Job>().progress, Progress::Queued);
}

#[tokio::test]
async fn what_is_not_there_is_a_page_too() {
    let farm = Farm::new();
    for (path, status, words) in [
        ("/nothing", 404, "There is nothing at /nothing"),
        ("/%3Cscript%3E", 404, "404 Not Found"),
        ("/jobs/999", 404, "There is no job 999"),
        ("/jobs/abc", 400, "“abc” is no job number"),
        ("/tasks/999", 404, "There is no task 999"),
        ("/builders/nobody", 404, "There is no builder nobody"),
        ("/builders/NOBODY", 400, "is no builder name"),
        ("/platforms/f99-x86_64", 404, "There is no platform f99-x86_64"),
        ("/jobs?progress=nice", 400, "is no progress"),
        ("/jobs/1/cancel", 405, "GET does nothing"),
    ] {
        let answer = farm.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert!(answer.text().contains(words), "{path}: {}", answer.text());
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    }
}

#[tokio::test]
async fn style_and_script_are_kept_for_ever_under_the_url_of_their_content() {
    let farm = Farm::new();
    let html = page(&farm, "/").await;
    for name in ["farm.css", "farm.js", "farm.svg"] {
        let url = html.split('"').find(|word| word.starts_with("/assets/") && word.ends_with(name)).unwrap();
        let answer = farm.get(url).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.header("cache-control").contains("immutable"), "{url}");
        assert!(!farm.get(&format!("/assets/old/{name}")).await.header("cache-control").contains("immutable"));
    }
    assert!(!html.contains("http://") && !html.contains("https://"), "a page needs something from elsewhere: {html}");
}

#[tokio::test]
async fn the_end_of_a_long_log_is_on_the_page_and_all_of_it_is_a_click_away() {
    let farm = Farm::new();
    farm.job(&["a-1-1.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    let log: String = (1..20_000).map(|n| format!("\u{1b}[32mline {n}\u{1b}[0m\n")).collect();
    builder.log(&key, 0, log.as_bytes());
    let url = format!("/tasks/{}", key.task);
    let live = page(&farm, &url).await;
    assert!(live.contains(&format!("start={}&amp;follow=true", log.len())), "the page does not follow the log");
    let packed = gzip(log.as_bytes());
    let digest = farm.blob(&packed).await;
    builder.succeed(&key, vec![artifact(ArtifactKind::Log, "build.log", digest, packed.len())]);
    let html = page(&farm, &url).await;
    assert!(html.contains("\nline 19999\n") && !html.contains("line 1\n") && !html.contains('\u{1b}'));
    assert!(html.contains(&format!("/api/v1{url}/log?attempt=1")) && !html.contains("data-log"));
}

#[tokio::test]
async fn a_task_that_waits_says_why() {
    let farm = Farm::new();
    let id: JobId = farm.job(&["a-1-1.src.rpm"]).await;
    let job: Job = farm.get(&format!("/api/v1/jobs/{id}")).await.json();
    let html = page(&farm, &job.tasks[0].url).await;
    assert!(html.contains("Why it is not being built"), "{html}");
    let expected = "expected to begin when a builder takes tasks of its platform, and to end about 60 s after that: nothing was built";
    assert!(
        html.contains(&format!("It is {expected}"))
            && html.contains(
                "<dt>What can be done</dt><dd>an operator adds a builder for it: <code>farm-admin builder add</code>"
            ),
        "{html}"
    );
    let told = job.tasks[0].expected.as_ref().expect("the job's tasks say what is expected").to_string();
    assert!(told.starts_with(expected), "{told}");
    let of_job = page(&farm, &job.url).await;
    assert!(of_job.contains(&told.replacen('e', "E", 1)), "{of_job}");
    assert!(!html.contains("before it on its platform"), "nobody is ahead: {html}");

    farm.job(&["b-1-1.src.rpm"]).await;
    let last: JobId = farm.job(&["c-1-1.src.rpm"]).await;
    let last: Job = farm.get(&format!("/api/v1/jobs/{last}")).await.json();
    let html = page(&farm, &last.tasks[0].url).await;
    assert!(html.contains("2 tasks go before it on its platform: 2 of "), "{html}");
}
