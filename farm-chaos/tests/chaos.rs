//! The short form of `make chaos`.

use std::process::Command;

use farm_testing::{Process, program};

#[test]
fn whatever_happens_to_a_farm_no_job_is_lost_none_is_built_twice_and_nothing_is_left_behind() {
    let mut command = Command::new(program("farm-chaos", "chaos"));
    command.arg("--with-parent");
    if let Ok(seed) = std::env::var("SEED") {
        command.args(["--seed", &seed]);
    }
    let mut chaos = Process::start("chaos", command);
    let status = chaos.wait(std::time::Duration::from_secs(900));
    println!("{}", chaos.log());
    assert!(status.success(), "see above");
    assert!(chaos.log().lines().any(|line| line.starts_with("losses") && line.ends_with(" 0")));
}
