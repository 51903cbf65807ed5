//! `cargo bench -p farm-admin --bench login`: what it costs to be known. A real farm-web with a real KDC and a durable
//! PostgreSQL; requests of each kind in turns on one connection, so that a machine that is slow for a while is slow for all.
//!
//! `FARM_BENCH_ROUNDS` (2000), `FARM_BENCH_EXCHANGES` (500) and `FARM_BENCH_LOGINS` (1000) say how many.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use farm_api::LoginToken;
use farm_auth::negotiate::{Initiator, reply_token, www_authenticate};
use farm_testing::{Cluster, Process, Realm};
use reqwest::{
    Client,
    header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue, SET_COOKIE},
    redirect,
};
use tokio::task::JoinSet;

/// Tells this program that it is the client, and where the server is.
const SERVER: &str = "FARM_BENCH_SERVER";
/// A public route that asks the database little.
const CHEAP: &str = "/api/v1/buckets";

fn main() {
    match std::env::var(SERVER) {
        Ok(server) => tokio::runtime::Runtime::new().unwrap().block_on(measure(&server)),
        Err(_) => serve(),
    }
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(format!("FARM_BENCH_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Makes a realm and a farm-web in it, and has the client run with a ticket: where that is, is in the environment of a process.
fn serve() {
    let realm = Realm::shared();
    let (web, http) = (realm.add_service("web/host1"), realm.add_service("HTTP/localhost"));
    let map = [("web/host1@FARM.TEST", "farm_web")];
    let cluster = Cluster::durable_with_realm(&realm, &map);
    let db = cluster.database();
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "database = \"{}\"\nspool = \"{path}/spool\"\n[http]\nlisten = \"127.0.0.1:0\"\n[store]\nkind = \"folder\"\npath = \
         \"{path}/store\"\n[kerberos]\nclient_keytab = \"{}\"\nservice_keytab = \"{}\"\n",
        db.gss_conninfo("farm_web"),
        web.display(),
        http.display(),
        path = dir.path().display(),
    );
    let web = Process::daemon_with("farm-web", &config, |command| {
        command.envs(realm.env());
    });
    realm.add_person("alice");
    let server = web.url("").replace("127.0.0.1", "localhost");
    let mut client = Command::new(std::env::current_exe().unwrap());
    client.envs(realm.env()).envs([Realm::ticket(&realm.kinit("alice"))]).env(SERVER, server);
    assert!(client.status().unwrap().success());
}

async fn measure(server: &str) {
    let http = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
    let (_, token) = exchange(&http, server).await;
    let bearer = HeaderValue::from_str(&format!("Bearer {}", token.token)).unwrap();
    let kinds = [HeaderMap::new(), one(AUTHORIZATION, bearer), one(COOKIE, session(&http, server).await)];
    let mut times = kinds.each_ref().map(|_| Vec::new());
    let rounds = number("ROUNDS", 2000);
    for round in 0..rounds + 100 {
        // Each kind comes first as often as the others.
        for turn in 0..kinds.len() {
            let kind = (round + turn) % kinds.len();
            let began = Instant::now();
            let answer = http.get(format!("{server}{CHEAP}")).headers(kinds[kind].clone()).send().await.unwrap();
            assert!(answer.status().is_success());
            answer.bytes().await.unwrap();
            // The first ones warm plans and caches.
            if round >= 100 {
                times[kind].push(began.elapsed());
            }
        }
    }
    let [nobody, bearer, session] = times.map(median);
    let mut exchanges = Vec::new();
    for _ in 0..number("EXCHANGES", 500) {
        exchanges.push(exchange(&http, server).await.0);
    }
    let over = |time: f64| format!("{:+.3} ms", time - nobody);
    println!("GET {CHEAP} on one connection, {rounds} rounds in turns; medians");
    println!("{:<34} {:>9}   {:>10}   wanted", "", "time", "more");
    println!("{:<34} {nobody:>6.3} ms", "without any authentication");
    println!("{:<34} {bearer:>6.3} ms   {:>10}   at most +0.3 ms", "with a bearer token", over(bearer));
    println!("{:<34} {session:>6.3} ms   {:>10}", "with the session of a browser", over(session));
    println!("{:<34} {:>6.3} ms   {:>10}   under 5 ms", "a ticket for a token (Negotiate)", median(exchanges), "");
    in_parallel(&http, server).await;
}

/// All at once: each a task, each with a connection of its own as long as it lasts.
async fn in_parallel(http: &Client, server: &str) {
    let logins = number("LOGINS", 1000);
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..logins {
        let (http, server) = (http.clone(), server.to_owned());
        tasks.spawn(async move { exchange(&http, &server).await.0 });
    }
    let (mut times, mut failures) = (Vec::new(), 0);
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(time) => times.push(time),
            Err(_) => failures += 1,
        }
    }
    let all = began.elapsed().as_secs_f64();
    let slowest = times.iter().max().map_or(0.0, Duration::as_secs_f64);
    println!(
        "{logins} logins at once: {failures} failures (0 is wanted), {all:.2} s, {:.0} each second, the slowest {slowest:.2} s",
        logins as f64 / all
    );
    assert_eq!(failures, 0, "logins failed");
}

/// Logs in by ticket and makes sure of the server, as the tools do. Nothing is tried twice.
async fn exchange(http: &Client, server: &str) -> (Duration, LoginToken) {
    let began = Instant::now();
    let (initiator, token) = tokio::task::spawn_blocking(|| Initiator::new("localhost")).await.unwrap().unwrap();
    let request = http.post(format!("{server}/api/v1/token")).header(AUTHORIZATION, www_authenticate(&token));
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    initiator.finish(&reply_token(answer.headers()).unwrap()).unwrap();
    let token = answer.json().await.unwrap();
    (began.elapsed(), token)
}

/// The cookie of a browser that logged in by ticket.
async fn session(http: &Client, server: &str) -> HeaderValue {
    let (_, token) = tokio::task::spawn_blocking(|| Initiator::new("localhost")).await.unwrap().unwrap();
    let request = http.get(format!("{server}/login")).header(AUTHORIZATION, www_authenticate(&token));
    let answer = request.send().await.unwrap();
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    HeaderValue::from_str(&cookie).unwrap()
}

fn one(name: reqwest::header::HeaderName, value: HeaderValue) -> HeaderMap {
    [(name, value)].into_iter().collect()
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
