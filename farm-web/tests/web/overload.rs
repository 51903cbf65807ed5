//! More is asked of the web than it can do: who comes in vain is told so at once, and what was let in goes on.

use axum::http::StatusCode;
use diesel::connection::SimpleConnection as _;
use farm_api::error::{ErrorBody, ErrorCode};
use futures::{StreamExt as _, stream::FuturesUnordered};
use reqwest::Response;

use crate::farm::Farm;

const ROOM: usize = 4;
const TIMES: usize = 10;

fn small_web() -> Farm {
    Farm::with(|config| {
        config.max_requests = ROOM;
        config.http.behind_proxy = true;
    })
}

async fn ask(url: String, address: String) -> Response {
    reqwest::Client::new().get(url).header("x-forwarded-for", address).send().await.unwrap()
}

async fn assert_sent_away(answer: Response, code: ErrorCode) {
    let seconds = answer.headers().get("retry-after").expect("it does not say when to come again");
    assert!(seconds.to_str().unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!(answer.status().as_u16(), code.status());
    assert_eq!(answer.json::<ErrorBody>().await.unwrap().code, code);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_too_many_requests_are_sent_away_at_once_and_those_that_were_let_in_are_answered() {
    let farm = small_web();
    let url = farm.serve().await;
    for (from, let_in, code) in
        [(None, ROOM, ErrorCode::Unavailable), (Some("192.0.2.66"), ROOM / 2, ErrorCode::TooMany)]
    {
        // The database is slow.
        let mut lock = farm.connect();
        lock.batch_execute("BEGIN; LOCK TABLE farm.ready").unwrap();
        let address = |n: usize| from.map_or_else(|| format!("192.0.2.{n}"), str::to_owned);
        let mut requests: FuturesUnordered<_> =
            (0..ROOM * TIMES).map(|n| tokio::spawn(ask(format!("{url}/api/v1/queue"), address(n)))).collect();
        for _ in 0..ROOM * TIMES - let_in {
            assert_sent_away(requests.next().await.unwrap().unwrap(), code).await;
        }
        let health = ask(format!("{url}/healthz"), "192.0.2.1".to_owned()).await;
        assert_eq!(health.status(), StatusCode::OK, "who watches it is not sent away");
        lock.batch_execute("COMMIT").unwrap();
        while let Some(answer) = requests.next().await {
            assert_eq!(answer.unwrap().status(), StatusCode::OK);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_in_front_of_a_browser_sees_a_page() {
    let farm = small_web();
    let url = farm.serve().await;
    let mut lock = farm.connect();
    lock.batch_execute("BEGIN; LOCK TABLE farm.ready").unwrap();
    let mut requests: FuturesUnordered<_> =
        (0..ROOM + 1).map(|n| tokio::spawn(ask(format!("{url}/"), format!("192.0.2.{n}")))).collect();
    let answer = requests.next().await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    let page = answer.text().await.unwrap();
    assert!(page.contains("<html") && page.contains("come again soon"), "{page}");
}
