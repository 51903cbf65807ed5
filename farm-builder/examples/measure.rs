//! Measures the native driver: `measure RECIPE SRPM [ROUNDS]`. Prints the time of the base tree, then of builds on it, then of an empty
//! chroot over it. (To see where that goes: `strace -f -r`, `perf trace -s`.)

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::Context as _;
use farm_builder::{BuildLimits, BuildOutcome, BuildRequest, Driver as _, NativeConfig, NativeDriver};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn main() -> anyhow::Result<ExitCode> {
    if let Some(code) = farm_builder::sandbox::main() {
        return Ok(code);
    }
    tokio::runtime::Runtime::new()?.block_on(measure())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let recipe = arguments.get(1).context("usage: measure RECIPE SRPM [ROUNDS]")?;
    let source = PathBuf::from(arguments.get(2).context("usage: measure RECIPE SRPM [ROUNDS]")?);
    let rounds: usize = arguments.get(3).map_or(Ok(5), |rounds| rounds.parse())?;
    let data = tempfile::tempdir_in("/var/tmp")?;
    let driver = NativeDriver::new(NativeConfig::new(data.path().join("data"))).await?;
    for round in 0..=rounds {
        let request = request(recipe, &source, &data.path().join(format!("results-{round}")))?;
        let (events, mut listener) = mpsc::channel(64);
        let began = Instant::now();
        let build = driver.build(request, events, CancellationToken::new());
        let (report, ()) = tokio::join!(build, async { while listener.recv().await.is_some() {} });
        let (report, took) = (report?, began.elapsed());
        anyhow::ensure!(matches!(report.outcome, BuildOutcome::Succeeded { .. }), "{:?}", report.outcome);
        let stages: Vec<String> =
            report.stages.iter().map(|(stage, time)| format!("{stage} {} ms", time.as_millis())).collect();
        let kind = if round == 0 { "with base tree" } else { "warm" };
        println!("{kind}: {} ms ({})", took.as_millis(), stages.join(", "));
    }
    let request = request(recipe, &source, &data.path().join("results-probe"))?;
    for _ in 0..rounds {
        println!("chroot: {:.1} ms", driver.probe(&request, &[]).await?.as_secs_f64() * 1000.0);
    }
    Ok(())
}

fn request(recipe: &str, source: &Path, results: &Path) -> anyhow::Result<BuildRequest> {
    fs_err::create_dir(results)?;
    Ok(BuildRequest {
        id: "measure".parse()?,
        platform: toml::from_str(&fs_err::read_to_string(recipe)?)?,
        sources: vec![source.to_owned()],
        results: results.to_owned(),
        limits: BuildLimits::default(),
        network: false,
        like: None,
        options: Default::default(),
        repositories: Vec::new(),
        predecessors: Vec::new(),
        remarks: Vec::new(),
    })
}
