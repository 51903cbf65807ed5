//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{commands, daemons, farm::FarmArgs, up};

/// Runs and looks after a farm.
#[derive(Parser)]
#[command(name = "farm-admin", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    farm: FarmArgs,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.";

#[derive(Subcommand)]
enum Command {
    /// Run a whole farm here, with a private PostgreSQL, until Ctrl-C
    Up(up::UpArgs),
    /// Bring the database's schema up to date
    Migrate(commands::migrate::MigrateArgs),
    /// Add, list, show, enable, disable platforms
    #[command(subcommand)]
    Platform(commands::platform::PlatformCommand),
    /// Add, list, enable, disable, drain builders
    #[command(subcommand)]
    Builder(commands::builder::BuilderCommand),
    /// Add, list, let in, shut out persons, and set what they may use up
    #[command(subcommand)]
    User(commands::user::UserCommand),
    /// Add, list, remove groups of persons, and say who is in them
    #[command(subcommand)]
    Group(commands::group::GroupCommand),
    /// Give rights, list them, take them back
    #[command(subcommand)]
    Grant(commands::grant::GrantCommand),
    /// Add, list, change buckets
    #[command(subcommand)]
    Bucket(commands::bucket::BucketCommand),
    /// Make, list, revoke tokens for scripts
    #[command(subcommand)]
    Token(commands::token::TokenCommand),
    SetAside(commands::set_aside::SetAsideArgs),
    Audit(commands::audit::AuditArgs),
    KeepAudit(commands::keep_audit::KeepAuditArgs),
    Janitor(commands::janitor::JanitorArgs),
    Check(commands::check::CheckArgs),
    AfterRestore(commands::after_restore::AfterRestoreArgs),
    /// Check this machine and the farm; say what is wrong and how to mend it
    Doctor(commands::doctor::DoctorArgs),
    /// Build a tiny package through the whole farm and say how long each step took
    Selftest(commands::selftest::SelftestArgs),
    /// Run one daemon (what `up` starts)
    #[command(hide = true)]
    Run(daemons::RunArgs),
}

/// Parses, runs, and maps the result to an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Run(args) => return daemons::run(&args),
        Command::Up(args) => up::run(&cli.farm, &args),
        Command::Migrate(args) => commands::migrate::run(&cli.farm, &args),
        Command::Platform(command) => commands::platform::run(&cli.farm, command),
        Command::Builder(command) => commands::builder::run(&cli.farm, command),
        Command::User(command) => commands::user::run(&cli.farm, command),
        Command::Group(command) => commands::group::run(&cli.farm, command),
        Command::Grant(command) => commands::grant::run(&cli.farm, command),
        Command::Bucket(command) => commands::bucket::run(&cli.farm, command),
        Command::Token(command) => commands::token::run(&cli.farm, command),
        Command::SetAside(args) => commands::set_aside::run(&cli.farm, args),
        Command::Audit(args) => commands::audit::run(&cli.farm, args),
        Command::KeepAudit(args) => commands::keep_audit::run(&cli.farm, &args),
        Command::Janitor(args) => commands::janitor::run(&cli.farm, &args),
        Command::Check(args) => commands::check::run(&cli.farm, &args),
        Command::AfterRestore(args) => commands::after_restore::run(&cli.farm, &args),
        Command::Doctor(args) => return commands::doctor::run(&cli.farm, &args),
        Command::Selftest(args) => commands::selftest::run(&cli.farm, &args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farm-admin: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
