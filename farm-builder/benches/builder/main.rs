//! `cargo bench -p farm-builder --bench builder`: what a build costs beside rpmbuild. A real hub on a durable PostgreSQL, the real
//! daemon, real chroots of `mini12`, a small C package with `%check`. What it is held against, a script of dnf and rpmbuild, takes turns
//! with it, so that a machine that is busy for a while is busy for both. Wants root, for the script's plain chroot.
//!
//! `FARM_BENCH_ROUNDS` (7) says how often, `FARM_BENCH_BUILDS` (40) how many small builds the slots share, and `FARM_BENCH_MOCK` names a
//! configuration of mock for a column more, where mock is installed.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench fails by panicking")]

mod bare;
#[path = "../../tests/common/mod.rs"]
mod common;
mod farm;
mod mock;
#[expect(dead_code, reason = "not everything is measured")]
#[path = "../../tests/daemon/support.rs"]
mod support;
mod table;

use std::{path::PathBuf, process::ExitCode};

use bare::Bare;
use farm::Site;
use table::{Row, Table, median};

/// The limits of the issue that asked for this bench.
const WARM: (f64, f64) = (1.15, 300.0);
const READY: f64 = 25.0;
const NEW_LAYER: f64 = 500.0;
const COLD: f64 = 0.6;
const SLOTS: f64 = 1.8;
const MEMORY: f64 = 40.0;

fn main() -> ExitCode {
    if let Some(code) = farm_builder::sandbox::main() {
        return code;
    }
    let rounds = number("FARM_BENCH_ROUNDS", 7);
    let builds = number("FARM_BENCH_BUILDS", 40);
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let source = package(dir.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let table = runtime.block_on(measure(dir.path(), &source, rounds, builds));
    table.print();
    ExitCode::SUCCESS
}

async fn measure(dir: &std::path::Path, source: &std::path::Path, rounds: usize, builds: usize) -> Table {
    let mut bare = Bare::new(&dir.join("bare"), source);
    let site = Site::start(&dir.join("data"));
    let builder = site.builder("one", 1);
    let (mut script, mut rpmbuild, mut install) = (Vec::new(), Vec::new(), Vec::new());
    let (mut cold, mut layer, mut warm, mut ready) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let parts = bare.cold();
        install.push(parts.dependencies);
        script.push(parts.base + parts.dependencies + parts.rpmbuild);
        site.forget("trees");
        cold.push(site.attempt(source).await);
        site.forget("layers");
        layer.push(site.attempt(source).await);
        for _ in 0..3 {
            rpmbuild.push(bare.rpmbuild());
            warm.push(site.attempt(source).await);
        }
    }
    let driver = common::driver(dir.join("data")).await;
    for _ in 0..30 {
        ready.push(site.ready(&driver).await);
    }
    drop(driver);
    let one = site.throughput(builds).await;
    let mut memory = builder.memory();
    drop(builder);
    let two = site.builder("two", 2);
    let both = site.throughput(builds).await;
    memory = memory.max(two.memory());

    let small = common::pack(dir, common::SMALL);
    let ceiling = bare.two_over_one(&small, builds);
    let [script, rpmbuild, install] = [&script, &rpmbuild, &install].map(|times| median(times));
    let mock = mock::measure(dir, source);
    let mut table = Table::new(mock.is_some());
    table.note(format!("bare rpmbuild {rpmbuild:.0} ms; script from nothing {script:.0} ms, of it dnf for the dependencies {install:.0} ms"));
    table.note(format!("two of bare rpmbuild at once over one, {builds} small builds: {ceiling:.2} x, which is what this machine can gain"));
    let limit = rpmbuild * WARM.0 + WARM.1;
    table.add(
        Row::ms("warm, layer cached: claim to finish", median(&warm), limit).beside(mock.as_ref().map(|it| it.warm)),
    );
    table.add(Row::ms("chroot ready: mounted, first program, undone", median(&ready), READY));
    table.add(Row::ms("new layer: claim to finish", median(&layer), rpmbuild + install + NEW_LAYER));
    table.add(Row::ms("cold platform: claim to finish", median(&cold), script * COLD).beside(mock.map(|it| it.cold)));
    table.add(Row::at_least(format!("two slots over one, {builds} small builds"), one / both, SLOTS));
    table.add(Row::mib("builder's memory at most", memory, MEMORY));
    table
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The small C package with `%check`, that needs something beyond the base tree.
fn package(dir: &std::path::Path) -> PathBuf {
    common::pack(dir, &common::SMALL.replace("BuildRequires: make", "BuildRequires: make, bison, flex"))
}
