//! The command line that all daemons share.

use std::path::PathBuf;

use crate::LogFormat;

/// The hidden option of a process that is there for one login; see `tickets`.
pub(crate) const LOG_IN_ONCE: &str = "log-in-once";

/// The options that every daemon has. Flatten it into the daemon's own `clap` parser.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DaemonArgs {
    /// The configuration, a TOML file [default: /etc/farm/<daemon>.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Read the configuration, say what is wrong with it, and end: 0 if it is good, 2 if not
    #[arg(long)]
    pub check_config: bool,

    /// What to log: a level, or levels by module as in `info,farm_hub=debug`
    #[arg(long, value_name = "FILTER", env = "FARM_LOG")]
    pub log_level: Option<String>,

    /// How to log
    #[arg(long, value_name = "FORMAT", env = "FARM_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,

    /// End when standard input ends, and print a line of JSON when ready: for a parent process that must not leave orphans
    #[arg(long)]
    pub with_parent: bool,

    /// Leave the terminal and run in the background. The command ends when the daemon is ready (0), or says why it
    /// cannot be (1). Not under systemd, which watches its daemons itself
    #[arg(long = "daemon", requires_all = ["pid_file", "log_file"], conflicts_with = "with_parent")]
    pub background: bool,

    /// With --daemon: the file that holds the number of the process, locked while it runs
    #[arg(long, value_name = "FILE", requires = "background")]
    pub pid_file: Option<PathBuf>,

    /// With --daemon: the file to log to, opened anew at SIGHUP
    #[arg(long, value_name = "FILE", requires = "background")]
    pub log_file: Option<PathBuf>,

    /// Log in where the daemon would, with the tickets that the environment names, and end
    #[arg(long = LOG_IN_ONCE, hide = true)]
    pub log_in_once: bool,
}

impl DaemonArgs {
    /// Where the configuration of the daemon of this name is.
    pub fn config_path(&self, daemon: &str) -> PathBuf {
        self.config.clone().unwrap_or_else(|| PathBuf::from(format!("/etc/farm/{daemon}.toml")))
    }
}
