//! A farm spread over hosts: two webs and two hubs behind a balancer, database, store and builders on others, one of them cut off.

use std::time::Instant;

use farm_db::testing;
use farm_testing::{Process, Signal, eventually, platform};
use farm_types::JobId;
use futures::StreamExt as _;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    farm::{LEASE, PATIENCE, PLATFORM, client, digest_of, texts},
    layout::Spread,
    network::can_make_hosts,
};

#[test]
fn a_farm_spread_over_hosts_goes_on_while_one_of_them_is_cut_off_and_when_it_is_back() {
    if !can_make_hosts() {
        eprintln!("NOT RUN: hosts are network namespaces, which root alone can make: a_farm_spread_over_hosts_…");
        return;
    }
    let farm = Spread::start();
    let mut jobs = farm.submit("before", 6).1;
    assert_eq!(farm.ends(jobs.clone()).len(), 6);
    uploads_go_on_at_the_other_web(&farm);
    sessions_are_good_at_both_webs(&farm);
    jobs.extend(logs_are_live_through_the_balancer(&farm));
    jobs.extend(a_builder_is_cut_off(&farm));
    jobs.extend(a_web_and_a_hub_are_cut_off(&farm));
    jobs.extend(a_real_package_is_built(&farm));
    let ended = farm.ends(jobs);
    farm.assert_sound(&ended);
    eprintln!("spread: {} jobs on 8 hosts, one result each", ended.len());
}

/// A connection that breaks in the middle, at one web; the tool goes on, at whichever web the balancer gives it.
fn uploads_go_on_at_the_other_web(farm: &Spread) {
    let (people, token) = (farm.client(), farm.token.clone());
    let fronts = farm.fronts.each_ref().map(|front| format!("{}:8000", front.address));
    let file = tempfile::NamedTempFile::new_in(farm.site.dir.path()).unwrap();
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[2]).collect();
    fs_err::write(file.path(), &bytes).unwrap();
    farm.people.run(async move || {
        let digest = digest_of(&bytes);
        let upload = people.begin_upload(&farm_api::people::NewUpload { digest, size: bytes.len() as u64 }).await.unwrap();
        let id = upload.id.unwrap();
        for (front, part) in fronts.iter().zip([0..7_000_000, 7_000_000..12_000_000]) {
            let mut socket = TcpStream::connect(front).await.unwrap();
            let head = format!(
                "PATCH /api/v1/uploads/{id}?offset={} HTTP/1.1\r\nHost: {front}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
                part.start,
                bytes.len() - part.start
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(&bytes[part.clone()]).await.unwrap();
            socket.shutdown().await.unwrap();
            drop(socket);
            for front in &fronts {
                let there = client(&format!("http://{front}/"), Some(&token));
                eventually("what one web received at both", PATIENCE, async || {
                    (there.upload_status(id).await.ok()?.offset == part.end as u64).then_some(())
                })
                .await;
            }
        }
        people.upload(file.path(), digest, bytes.len() as u64, |_| {}).await.unwrap();
        assert!(people.begin_upload(&farm_api::people::NewUpload { digest, size: bytes.len() as u64 }).await.unwrap().complete);
    });
}

/// Who logs in at one web is known at the other.
fn sessions_are_good_at_both_webs(farm: &Spread) {
    let (token, fronts) =
        (farm.token.clone(), farm.fronts.each_ref().map(|front| format!("http://{}:8000", front.address)));
    farm.people.run(async move || {
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let login = browser.post(format!("{}/login", fronts[0])).header("origin", &fronts[0]);
        let answer =
            login.header("content-type", "application/x-www-form-urlencoded").body(format!("token={token}")).send();
        let answer = answer.await.unwrap();
        let cookie = answer.headers().get("set-cookie").unwrap_or_else(|| panic!("{answer:?}")).to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        for front in &fronts {
            let account = browser.get(format!("{front}/account")).header("cookie", &cookie).send().await.unwrap();
            assert!(account.status().is_success(), "{account:?}");
            assert!(account.text().await.unwrap().contains("alice"));
        }
    });
}

/// A line of a log is seen while the build that wrote it is held: as text, and as an event.
fn logs_are_live_through_the_balancer(farm: &Spread) -> Vec<JobId> {
    farm.gates.send_replace(false);
    let (_, jobs) = farm.submit("live", 1);
    let (job, people, url, token) = (jobs[0], farm.client(), farm.url.clone(), farm.token.clone());
    farm.people.run(async move || {
        let task =
            eventually("a task", PATIENCE, async || people.job(job).await.ok()?.tasks.first().map(|task| task.id))
                .await;
        let http = reqwest::Client::new();
        for path in ["log?follow=true", "log/events?follow=true"] {
            let request = http.get(format!("{url}api/v1/tasks/{task}/{path}")).bearer_auth(&token);
            let seen = eventually("a live log", PATIENCE, async || {
                let answer = request.try_clone()?.send().await.ok()?.error_for_status().ok()?;
                let (mut body, mut text) = (answer.bytes_stream(), String::new());
                while let Some(Ok(piece)) = body.next().await {
                    text += &String::from_utf8_lossy(&piece);
                    if text.contains("is at work") {
                        return Some(text);
                    }
                }
                None
            });
            assert!(tokio::time::timeout(PATIENCE, seen).await.unwrap().contains("is at work"));
        }
    });
    farm.gates.send_replace(true);
    jobs
}

/// A builder whose cable is pulled: what it builds is built elsewhere, in time, and what it brings when it is back is refused.
fn a_builder_is_cut_off(farm: &Spread) -> Vec<JobId> {
    farm.gates.send_replace(false);
    let (_, jobs) = farm.submit("cut", 4);
    farm.until(
        "two builds on each builder",
        "SELECT 'both' AS text FROM farm.lease HAVING count(*) FILTER (WHERE builder_id = (SELECT id FROM farm.builder WHERE name = 'one')) = 2
           AND count(*) = 4",
    );
    let held = texts(
        &mut farm.db.connect(),
        "SELECT task_id::text AS text FROM farm.lease WHERE builder_id = (SELECT id FROM farm.builder WHERE name = 'one')",
    );
    farm.network.cut(&farm.builds[0]);
    let cut_at = Instant::now();
    farm.until(
        "the tasks of the builder that is cut off to be taken back",
        &format!(
            "SELECT 'gone' AS text FROM farm.attempt WHERE task_id IN ({}) AND outcome = 'lost' HAVING count(*) = 2",
            held.join(",")
        ),
    );
    let taken_back = cut_at.elapsed();
    // The one that is left makes room and takes them.
    farm.gates.send_replace(true);
    farm.until(
        "results of the tasks that were taken back",
        &format!(
            "SELECT 'built' AS text FROM farm.task WHERE id IN ({}) AND state = 'succeeded' HAVING count(*) = 2",
            held.join(",")
        ),
    );
    farm.network.mend(&farm.builds[0]);
    // It is there again: a next job can be built by it.
    farm.until(
        "the builder that was cut off",
        "SELECT 'back' AS text FROM farm.builder WHERE name = 'one' AND last_seen_at > now() - interval '5 seconds'",
    );
    eprintln!(
        "spread: the tasks of a builder that was cut off were taken back after {:.1} s, of at most {}",
        taken_back.as_secs_f64(),
        LEASE + 10
    );
    jobs
}

/// A web, a hub, a validator and a janitor at once: people and builders go on with the others.
fn a_web_and_a_hub_are_cut_off(farm: &Spread) -> Vec<JobId> {
    farm.network.cut(&farm.fronts[0]);
    let began = Instant::now();
    let (_, jobs) = farm.submit("half", 6);
    farm.ends(jobs.clone());
    eprintln!("spread: 6 jobs through half of the front in {:.1} s", began.elapsed().as_secs_f64());
    farm.network.mend(&farm.fronts[0]);
    let url = format!("http://{}:8000/readyz", farm.fronts[0].address);
    farm.people.run(async move || {
        eventually("the web that was cut off to be ready", PATIENCE, async || {
            reqwest::get(&url).await.ok()?.error_for_status().ok()
        })
        .await;
    });
    jobs
}

/// The builder that is a process and makes real chroots, in a namespace too.
fn a_real_package_is_built(farm: &Spread) -> Vec<JobId> {
    let mut conn = farm.db.connect();
    let recipe = fs_err::read_to_string(platform("mini12")).unwrap();
    let recipe: farm_api::recipe::Recipe = toml::from_str(&recipe).unwrap();
    farm_db::operator::enable_platform(&mut conn, &testing::operator(), &PLATFORM.parse().unwrap(), false).unwrap();
    farm_db::operator::put_platform(&mut conn, &testing::operator(), &recipe).unwrap();
    let hub = [farm.url.replace(":8000", ":8001")];
    let config = farm.site.builder(&mut conn, "real", 1, &hub);
    let mut builder = farm.builds[1].inside(move || Process::daemon("farm-builder", &config));
    let (_, jobs) = farm.submit("real", 1);
    let ended = farm.ends(jobs.clone());
    assert_eq!(ended[0].tasks[0].platform.as_str(), "mini12-x86_64");
    builder.signal(Signal::TERM);
    builder.wait(PATIENCE);
    jobs
}
