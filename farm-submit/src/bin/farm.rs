//! `farm`: everything a user does with the farm.

use std::process::ExitCode;

use clap::Parser;
use farm_submit::{cli::Farm, run::run};

fn main() -> ExitCode {
    let Farm { common, command } = Farm::parse();
    run("farm", &common, command)
}
