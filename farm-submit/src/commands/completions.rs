//! `farm completions`: what a shell needs to complete our command lines.

use clap::CommandFactory;

use crate::{
    cli::{CompletionsArgs, Farm, FarmSubmit},
    exit::{Exit, Failure},
    output::Output,
};

/// Prints the completions.
pub fn run(args: &CompletionsArgs, output: &mut Output) -> Result<Exit, Failure> {
    let mut command = if args.submit { FarmSubmit::command() } else { Farm::command() };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output.bytes(&script)?;
    Ok(Exit::Done)
}
