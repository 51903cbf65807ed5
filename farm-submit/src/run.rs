//! From a parsed command line to an exit code.

use std::process::ExitCode;

use crate::{
    cli::{Command, Common},
    commands,
    config::Config,
    exit::{Exit, Failure},
    output::Output,
};

/// Runs a command of the program that calls itself `program`.
pub fn run(program: &str, common: &Common, command: Command) -> ExitCode {
    let result = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(execute(common, command));
            // A file that is being read at this moment must not hold up an interrupted command.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Failure::Local(error.to_string())),
    };
    result.unwrap_or_else(|failure| failure.report(program)).into()
}

async fn execute(common: &Common, command: Command) -> Result<Exit, Failure> {
    let mut output = Output::new(common.json);
    if let Command::Completions(args) = &command {
        return commands::completions::run(args, &mut output);
    }
    let client = Config::load(common)?.client()?;
    let client = &client;
    let output = &mut output;
    match command {
        Command::Submit(args) => commands::submit::run(&args, client, output).await,
        Command::List(args) => commands::list::run(&args, client, output).await,
        Command::Show(args) => commands::show::run(&args, client, output).await,
        Command::Watch(args) => commands::watch::run(&args, client, output).await,
        Command::Logs(args) => commands::logs::run(&args, client, output).await,
        Command::Cancel(args) => commands::change::cancel(&args, client, output).await,
        Command::Retry(args) => commands::change::retry(&args, client, output).await,
        Command::Rebuild(args) => commands::rebuild::run(&args, client, output).await,
        Command::Download(args) => commands::download::run(&args, client, output).await,
        Command::Why(args) => commands::why::run(&args, client, output).await,
        Command::Platforms => commands::farm::platforms(client, output).await,
        Command::Builders => commands::farm::builders(client, output).await,
        Command::Whoami => commands::whoami::run(client, output).await,
        Command::Token(command) => commands::token::run(&command, client, output).await,
        Command::Completions(_) => Ok(Exit::Done),
    }
}
