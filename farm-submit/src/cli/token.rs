//! What can be written after `farm token`.

use clap::{Args, Subcommand};
use farm_types::Scope;

const SCOPES: &str = "\
Scopes:
  read     see what you may see
  submit   upload and hand in jobs
  cancel   cancel and retry jobs
  admin    administer what you may administer, revoke tokens
A token does what you may do, and of that only what its scopes say.

Examples:
  (umask 077; farm token create nightly > ~/.config/farm/token)    the configuration names it as token_file
  farm token create cleaner --scopes read,cancel --days 7";

/// The commands of `farm token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// List your tokens and the sessions of your browsers
    #[command(visible_alias = "ls", after_help = "Example:\n  farm token list")]
    List,
    /// Make a token for scripts and print it, once and alone
    #[command(after_help = SCOPES)]
    Create(CreateArgs),
    /// Revoke a token or end a session, at once
    #[command(after_help = "Examples:\n  farm token revoke nightly\n  farm token revoke 7")]
    Revoke {
        /// Its name, or its number as the list shows it
        #[arg(value_name = "NAME|ID")]
        token: String,
    },
}

/// What `farm token create` takes.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// What to call it
    pub name: String,
    /// What it is good for
    #[arg(long, value_delimiter = ',', value_name = "LIST", default_value = "read,submit")]
    pub scopes: Vec<Scope>,
    /// For how many days, 366 at the most
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
}
