//! `cargo bench -p farm-admin --bench upload`: sending a file of 1 GiB to farm-web against `sha256sum` and `cp` of the same
//! file, in turns, and the memory that the server took.
//!
//! `FARM_BENCH_MIB` (1024) and `FARM_BENCH_ROUNDS` (5) say how much.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use farm_api::client::{PeopleClient, Transport};
use farm_testing::{Process, TestDb};
use farm_types::Digest;
use rand::Rng as _;
use sha2::{Digest as _, Sha256};

const MIB: usize = 1 << 20;

fn main() {
    let [mib, rounds] = [("MIB", 1024), ("ROUNDS", 5)].map(|(name, usual)| {
        std::env::var(format!("FARM_BENCH_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    });
    let db = TestDb::new();
    // Not below /tmp, which may be memory.
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = dir.path().display();
    let web = Process::daemon(
        "farm-web",
        &format!(
            "database = '{}'\nspool = '{path}/spool'\n[http]\nlisten = '127.0.0.1:0'\n[store]\nkind = 'folder'\npath = '{path}/store'\n",
            db.url_as("farm_web")
        ),
    );
    let people = PeopleClient::new(Transport::new(&web.url("/"), "bench").unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let file = dir.path().join("file");
    println!("{mib} MiB, {rounds} rounds in turns");
    println!("{:>5}  {:>8}  {:>14}  {:>7}", "round", "upload s", "sha256sum+cp s", "speed");
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let digest = make(&file, mib);
        let theirs = sha256sum_and_cp(&file, &dir.path().join("copy"));
        let began = Instant::now();
        runtime.block_on(people.upload(&file, digest, (mib * MIB) as u64, |_| {})).unwrap();
        let ours = began.elapsed();
        ratios.push(theirs.as_secs_f64() / ours.as_secs_f64());
        let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
        println!("{round:>5}  {:>8.2}  {:>14.2}  {ratio:>6.2}x", ours.as_secs_f64(), theirs.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!("median speed {:.2}x of sha256sum and cp (at least 0.5x is wanted)", ratios[ratios.len() / 2]);
    println!("farm-web's peak memory: {} MB (under 100 is wanted)", peak_memory_mb(web.pid()));
}

/// A file of new random bytes, so that the server does not have it yet; and its digest.
fn make(file: &Path, mib: usize) -> Digest {
    let (mut out, mut digest) = (fs_err::File::create(file).unwrap(), Sha256::new());
    let mut block = vec![0; MIB];
    for _ in 0..mib {
        rand::rng().fill_bytes(&mut block);
        out.write_all(&block).unwrap();
        digest.update(&block);
    }
    out.sync_all().unwrap();
    Digest::from_bytes(digest.finalize().into())
}

fn sha256sum_and_cp(file: &Path, copy: &Path) -> Duration {
    let began = Instant::now();
    let run = |command: &mut Command| assert!(command.stdout(Stdio::null()).status().unwrap().success());
    run(Command::new("sha256sum").arg(file));
    run(Command::new("cp").arg(file).arg(copy));
    let elapsed = began.elapsed();
    fs_err::remove_file(copy).unwrap();
    elapsed
}

fn peak_memory_mb(pid: u32) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
