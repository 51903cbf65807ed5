//! `farm-submit`: the same as `farm submit`.

use std::process::ExitCode;

use clap::Parser;
use farm_submit::{
    cli::{Command, FarmSubmit},
    run::run,
};

fn main() -> ExitCode {
    let FarmSubmit { common, submit } = FarmSubmit::parse();
    run("farm-submit", &common, Command::Submit(Box::new(submit)))
}
