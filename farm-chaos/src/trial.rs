//! From the first daemon to the verdict.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use farm_types::BuilderState;
use tokio::time::timeout;

use crate::{
    contained::Containment,
    crowd::Crowd,
    farm::Farm,
    judge::Evidence,
    leaks,
    operator::Operator,
    people::Ledger,
    questions,
    report::Report,
    rest::{come_to_rest, put_logs_together},
    settings::Settings,
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
    let (ledger, operator) = (Ledger::default(), Operator::start(&farm));
    let crowd = Crowd::gather(&farm, settings, &ledger)?;
    say("everything is built once, in peace");
    timeout(WARM_UP, crowd.warm_up(settings)).await.context("not even in peace are jobs taken")??;
    come_to_rest(&farm, &operator, Instant::now() + WARM_UP).await?;

    say("people line up before a closed door");
    farm.set_builders(BuilderState::Draining)?;
    timeout(WARM_UP, crowd.line_up(settings)).await.context("not even in peace are jobs taken")??;
    farm.set_builders(BuilderState::Enabled)?;

    say("the storm begins");
    let storm_began = SystemTime::now();
    let mut at_work = crowd.go(settings);
    let strikes = storm(&farm, settings).await?;
    say("the storm is over; the farm comes to rest");
    let end = Instant::now() + settings.patience;
    while let Some(done) = timeout(settings.patience, at_work.join_next()).await.context("people are not done")? {
        done??;
    }
    come_to_rest(&farm, &operator, end).await?;
    let attempts = put_logs_together(&farm, end).await?;
    say("the farm is at rest");
    let mut wrongs = leaks::of_running(&farm)?;
    if let Err(error) = farm.end().await {
        wrongs.push(format!("{error:#}"));
    }
    wrongs.extend(leaks::of_ended(&farm).await?);
    let evidence = Evidence::take(&farm, ledger.promises(), attempts, (storm_began, strikes))?;
    wrongs.extend(leaks::of_swept(&farm, &evidence).await?);
    wrongs.extend(ledger.wrongs());
    wrongs.extend(mistakes(&farm)?);
    wrongs.extend(bad_ends(&farm));
    let report = Report::of(&farm, settings, &evidence, wrongs, (ledger.twice(), operator.done())).await?;
    say("judged");
    tell_histories(&farm, &evidence, &report)?;
    Ok(report)
}

/// What daemons said of mistakes in themselves.
fn mistakes(farm: &Farm) -> anyhow::Result<Vec<String>> {
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

/// Daemons that ended though nobody killed them or asked them to: whatever is away, they wait for it.
fn bad_ends(farm: &Farm) -> Vec<String> {
    let ends = farm.units().flat_map(|unit| unit.own_ends().into_iter().map(move |end| (unit, end)));
    ends.map(|(unit, end)| format!("{} ended by itself: {end}", unit.name())).collect()
}

/// Writes down what happened to whatever something is wrong with, when what struck, and all that the database knows.
fn tell_histories(farm: &Farm, evidence: &Evidence, report: &Report) -> anyhow::Result<()> {
    let mut text = String::new();
    for wrong in report.all_wrongs() {
        text.push_str(&format!("{}\n", wrong.what));
        for line in
            wrong.job.map(|job| questions::history(&mut farm.database.connect()?, job)).transpose()?.unwrap_or_default()
        {
            text.push_str(&format!("    {line}\n"));
        }
    }
    for strike in &evidence.strikes {
        let at = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let (began, ended) = (at(strike.began), at(strike.ended));
        text.push_str(&format!("{began:.1} to {ended:.1}: {}: {}\n", strike.plan.kind.text(), strike.whom));
    }
    fs_err::write(farm.root.join("log/verdict.txt"), text)?;
    farm.database.dump(&farm.root.join("log/farm.sql"))
}
