//! Pages in a real browser, with its scripts and without.

use farm_api::people::Job;
use farm_types::{Progress, Stage};

use crate::{
    chrome::Chrome,
    farm::{Farm, failed_build},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_open_follows_the_log_and_the_job() {
    let farm = Farm::new();
    let server = farm.serve().await;
    farm.job(&["a-1-1.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    let start = builder.log(&key, 0, b"first line\n");
    let mut chrome = Chrome::start(true).await;
    chrome.open(&format!("{server}/tasks/{}", key.task)).await;
    chrome.wait_for("document.querySelector('.log').textContent === 'first line\\n'").await;
    builder.log(&key, start, "sec\u{f6}nd line\n".as_bytes());
    chrome.wait_for("document.querySelector('.log').textContent.endsWith('first line\\nsec\u{f6}nd line\\n')").await;
    builder.stage(&key, Stage::Check);
    chrome.wait_for("document.querySelector('#head .state').textContent === 'check'").await;
    builder.finish(&key, &failed_build(&["a.c:1: error: no"]));
    chrome.wait_for("document.querySelector('#head .excerpt').textContent.includes('error: no')").await;
    chrome.wait_for("document.title.startsWith('failed')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_accepted_while_its_page_is_open_gets_its_tasks() {
    let farm = Farm::new();
    let server = farm.serve().await;
    let id = farm.submit(&["a-1-1.src.rpm"]).await;
    let mut chrome = Chrome::start(true).await;
    chrome.open(&format!("{server}/jobs/{id}")).await;
    assert!(chrome.text().await.contains("being checked"));
    farm.accept();
    chrome.wait_for("document.querySelectorAll('.task').length === 2").await;
    chrome.evaluate("document.querySelector('button.danger').click()").await;
    chrome.wait_for("document.querySelector('#head .state')?.textContent === 'cancelled'").await;
    assert_eq!(farm.get(&format!("/api/v1/jobs/{id}")).await.json::<Job>().progress, Progress::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_and_does_everything_without_its_script() {
    let farm = Farm::new();
    let server = farm.serve().await;
    let id = farm.job(&["a-1-1.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let (key, other) = (builder.claim(), builder.claim());
    builder.log(&key, 0, b"the only line\n");
    builder.finish(&key, &failed_build(&["a.c:1: error: no"]));
    builder.succeed(&other, Vec::new());
    let mut chrome = Chrome::start(false).await;
    chrome.open(&format!("{server}/tasks/{}", key.task)).await;
    let text = chrome.text().await;
    for words in ["the only line", "a.c:1: error: no", "dependencies 9.8 s", "Whole log as plain text"] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    chrome.open(&format!("{server}/jobs/{id}")).await;
    chrome.evaluate("document.querySelector('.actions button').click()").await;
    chrome.wait_for("document.querySelector('#head .state')?.textContent === 'running'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_name_runs_nothing_and_no_page_is_wider_than_a_phone() {
    let farm = Farm::new();
    let server = farm.serve().await;
    let hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    let name = format!("{hostile}{}-1-1.src.rpm", "x".repeat(900));
    farm.job(&[&name]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    builder.log(&key, 0, "y".repeat(5000).as_bytes());
    builder.finish(&key, &failed_build(&[&"z".repeat(5000)]));
    let mut chrome = Chrome::start(true).await;
    chrome.narrow().await;
    for path in ["/", "/jobs", "/jobs/1", &format!("/tasks/{}", key.task), "/builders", "/platforms/f13-x86_64"] {
        chrome.open(&format!("{server}{path}")).await;
        let width = chrome.evaluate("document.scrollingElement.scrollWidth").await;
        assert!(width.as_u64() <= Some(360), "{path} is {width} wide");
        assert_ne!(chrome.evaluate("document.title").await, "owned", "{path}");
    }
}
