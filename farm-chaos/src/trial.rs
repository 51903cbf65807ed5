//! From the first daemon to the verdict.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use farm_types::JobId;
use tokio::time::timeout;

use crate::{
    contained::Containment,
    crowd::Crowd,
    farm::Farm,
    fault::{Kind, Strike},
    judge::{Evidence, Wrong},
    leaks,
    people::Ledger,
    questions, recovery,
    report::Report,
    rest::come_to_rest,
    settings::Settings,
    shares,
    storm::storm,
};

/// How long the first, peaceful builds may take.
const WARM_UP: Duration = Duration::from_secs(120);

/// Starts a farm in the folder, lets happen what may, and judges what came of it.
pub async fn run(root: &Path, settings: &Settings, contained: Containment) -> anyhow::Result<Report> {
    let began = Instant::now();
    let say = |what: &str| eprintln!("[{:6.1} s] {what}", began.elapsed().as_secs_f64());
    say("starting a farm");
    let farm = Arc::new(Farm::start(root, settings, contained).await?);
    let ledger = Ledger::default();
    let crowd = Crowd::gather(&farm, settings, &ledger)?;
    say("everything is built once, in peace");
    timeout(WARM_UP, crowd.warm_up(settings)).await.context("not even in peace are jobs taken")??;
    come_to_rest(&farm, &crowd, &[], Instant::now() + WARM_UP).await?;

    say("the storm begins");
    let mut at_work = crowd.go(settings);
    let strikes = storm(&farm, settings).await?;
    say("the storm is over; the farm comes to rest");
    let end = Instant::now() + settings.patience;
    while let Some(done) = timeout(settings.patience, at_work.join_next()).await.context("people are not done")? {
        done??;
    }
    let again = come_to_rest(&farm, &crowd, &ledger.promises(), end).await?;
    say("the farm is at rest");
    let mut wrongs = plain(leaks::of_running(&farm)?);
    if let Err(error) = farm.end().await {
        wrongs.extend(plain(vec![format!("{error:#}")]));
    }
    wrongs.extend(plain(leaks::of_ended(&farm)?));
    let evidence = Evidence::take(&farm, ledger.promises())?;
    wrongs.extend(plain(leaks::of_swept(&farm, &evidence).await?));
    wrongs.extend(plain(ledger.wrongs()));
    wrongs.extend(plain(panics(&farm)?));
    let report = judge(&farm, settings, evidence, strikes, again, wrongs, ledger.twice()).await?;
    say("judged");
    tell_histories(&farm, &report)?;
    Ok(report)
}

async fn judge(
    farm: &Farm,
    settings: &Settings,
    evidence: Evidence,
    strikes: Vec<Strike>,
    again: Vec<JobId>,
    mut wrongs: Vec<Wrong>,
    twice: u64,
) -> anyhow::Result<Report> {
    wrongs.extend(evidence.changelings().await?);
    wrongs.extend(evidence.lost_logs().await?);
    wrongs.extend(evidence.unplanned_faults());
    let shares = shares::shares(&evidence);
    match shares.are_fair() {
        Some(true) => {}
        Some(false) => wrongs.extend(plain(vec!["those who wanted the same did not get as much".to_owned()])),
        None => wrongs.extend(plain(vec![format!("{} builds are too few to tell who got how much", shares.builds)])),
    }
    let ways = farm.webs.iter().chain(farm.builders.iter().flat_map(|builder| &builder.ways));
    let tricks = ways.map(|way| way.tricks_done()).fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
    let own_ends =
        farm.units().flat_map(|unit| unit.own_ends().into_iter().map(|end| format!("{}: {end}", unit.name())));
    Ok(Report {
        seed: settings.seed,
        impossible: Kind::ALL.into_iter().filter_map(|kind| Some((kind, kind.lacks(farm)?))).collect(),
        tricks,
        jobs: (evidence.promises.len(), twice, evidence.promises.iter().filter(|promise| promise.cancelled).count()),
        tasks: evidence.tasks.len(),
        outcomes: Report::outcomes_of(&evidence),
        again,
        losses: evidence.losses(),
        doubles: evidence.doubles(),
        wrongs,
        slowest: recovery::slowest(&strikes, &evidence),
        shares,
        own_ends: own_ends.collect(),
        strikes,
    })
}

fn plain(whats: Vec<String>) -> Vec<Wrong> {
    whats.into_iter().map(|what| Wrong { job: None, what }).collect()
}

/// What daemons said of mistakes in themselves.
fn panics(farm: &Farm) -> anyhow::Result<Vec<String>> {
    let mut wrongs = Vec::new();
    for unit in farm.units() {
        let log = fs_err::read(farm.root.join("log").join(format!("{}.log", unit.name())))?;
        let log = String::from_utf8_lossy(&log);
        let mistakes =
            log.lines().filter(|line| line.contains("a fault in this program") || line.contains("a call failed"));
        wrongs.extend(mistakes.map(|line| format!("{}: {line}", unit.name())));
    }
    Ok(wrongs)
}

/// Writes down what happened to whatever something is wrong with, and when what struck.
fn tell_histories(farm: &Farm, report: &Report) -> anyhow::Result<()> {
    let mut text = String::new();
    for wrong in report.all_wrongs() {
        text.push_str(&format!("{}\n", wrong.what));
        for line in
            wrong.job.map(|job| questions::history(&mut farm.database.connect()?, job)).transpose()?.unwrap_or_default()
        {
            text.push_str(&format!("    {line}\n"));
        }
    }
    for strike in &report.strikes {
        let at =
            |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let (began, ended) = (at(strike.began), at(strike.ended));
        text.push_str(&format!("{began:.1} to {ended:.1}: {}: {}\n", strike.plan.kind.text(), strike.whom));
    }
    Ok(fs_err::write(farm.root.join("log/verdict.txt"), text)?)
}
