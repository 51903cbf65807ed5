//! The same package built by mock, where that is installed and a configuration is named.

use std::{path::Path, process::Command, time::Instant};

use crate::table::median;

/// mock's times, in milliseconds.
pub struct Mock {
    pub cold: f64,
    pub warm: f64,
}

/// `None`, and a word why, where mock cannot be measured.
pub fn measure(dir: &Path, source: &Path) -> Option<Mock> {
    let Ok(config) = std::env::var("FARM_BENCH_MOCK") else {
        eprintln!("without mock: FARM_BENCH_MOCK names no configuration of it");
        return None;
    };
    let call = |arguments: &[&str]| {
        let mut command = Command::new("mock");
        command.args(["--root", &config, "--quiet", "--resultdir"]).arg(dir.join("mock")).args(arguments);
        let output = command.output().expect("mock is not installed");
        assert!(output.status.success(), "mock: {}", String::from_utf8_lossy(&output.stderr));
    };
    let build = || {
        let began = Instant::now();
        call(&["--rebuild", source.to_str().unwrap()]);
        began.elapsed().as_secs_f64() * 1000.0
    };
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        call(&["--scrub=all"]);
        cold.push(build());
        warm.push(build());
    }
    Some(Mock { cold: median(&cold), warm: median(&warm) })
}
