//! What can be written on the command line.

mod build;
mod task_choice;
mod token;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use farm_types::{AttemptNumber, BucketName, Class, JobId, JobKey, PlatformName, Progress};
use jiff::SignedDuration;

use crate::exit::EXIT_CODES;
pub use build::BuildArgs;
pub use task_choice::TaskChoice;
pub use token::{CreateArgs, TokenCommand};

/// Heading of the options that every command takes.
const COMMON: &str = "Common options";

const SUBMIT_EXAMPLES: &str = "\
Examples:
  farm-submit hello-2.12-1.src.rpm                        on the default platforms
  farm-submit *.src.rpm --targets f13,sl5                 several sources are one job
  farm-submit hello.src.rpm -t all -t '!sl5'              everywhere but on sl5
  farm-submit lib.src.rpm : app.src.rpm tool.src.rpm      a chain: a job for each group, built with what those before made
  farm-submit hello.src.rpm --no-wait --json | jq .job.id
  farm-submit hello.src.rpm --id nightly-2026-03-01       sent twice, it is still one job";

const FARM_EXAMPLES: &str = "\
Examples:
  farm submit hello-2.12-1.src.rpm --targets f13
  farm watch 42
  farm logs -f 42:f13
  farm download 42 -d results

Configuration: ~/.config/farm/config.toml or /etc/farm/config.toml, such as
  server = \"https://farm.example.org/\"
  token_file = \"/home/alice/.config/farm/token\"";

/// Hands source packages to the build farm and waits for the results
#[derive(Debug, Parser)]
#[command(name = "farm-submit", version, after_help = format!("{SUBMIT_EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct FarmSubmit {
    /// What to submit.
    #[command(flatten)]
    pub submit: SubmitArgs,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// The build farm: submit source packages, watch them being built, fetch the results
#[derive(Debug, Parser)]
#[command(name = "farm", version, after_help = format!("{FARM_EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Farm {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Default, Args)]
pub struct Common {
    /// Address of the server [default: from the configuration, else http://127.0.0.1:8080/]
    #[arg(long, global = true, help_heading = COMMON, env = "FARM_SERVER", hide_env_values = true, value_name = "URL")]
    pub server: Option<String>,
    /// File that holds your token for the server
    #[arg(long, global = true, help_heading = COMMON, env = "FARM_TOKEN_FILE", hide_env_values = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Print one JSON document on standard output, as the server's API has it
    #[arg(long, global = true, help_heading = COMMON)]
    pub json: bool,
}

/// The commands of `farm`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Hand in source packages and wait for the results
    #[command(after_help = SUBMIT_EXAMPLES)]
    Submit(Box<SubmitArgs>),
    /// List jobs, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  farm list --mine\n  farm list --state failed --platform f13-x86_64\n  farm list --package hello --limit 5"
    )]
    List(ListArgs),
    /// Show a job: its tasks, why they failed, its sources and packages
    #[command(after_help = "Example:\n  farm show 42")]
    Show(JobArgs),
    /// Follow jobs to their end
    #[command(
        after_help = "Examples:\n  farm watch 42\n  farm watch 42 && farm download 42\n  farm watch 42 43 44              a chain\n\nCtrl-C ends the watching, not the job."
    )]
    Watch(WatchArgs),
    /// Print the log of a task
    #[command(
        visible_alias = "log",
        after_help = "Examples:\n  farm logs 42:f13               the task on f13\n  farm logs 42                   the only task, or the only one that failed\n  farm logs -f 42:f13-x86_64     follow it while it is being built\n  farm logs 42:f13 --attempt 1   what an earlier attempt printed"
    )]
    Logs(LogsArgs),
    /// Withdraw what is not yet built of a job
    #[command(after_help = "Example:\n  farm cancel 42")]
    Cancel(JobArgs),
    /// Build tasks of a job again that failed or were cancelled
    #[command(after_help = "Examples:\n  farm retry 42\n  farm retry 42 --failed && farm watch 42")]
    Retry(RetryArgs),
    /// Build again what was built, with the very packages that were installed then
    #[command(
        after_help = "Examples:\n  farm rebuild 42:f13            a new job that is built as that task was\n  farm rebuild 42 -b compare     its results go to the bucket “compare”\n\nIt fails where the repositories do not have all those packages any more, and names those that are gone."
    )]
    Rebuild(RebuildArgs),
    /// Download the packages of a job
    #[command(
        after_help = "Examples:\n  farm download 42                  to ./f13-x86_64/, ./sl5-x86_64/, …\n  farm download 42:f13 -d results   of one platform, to results/f13-x86_64/\n\nWhat is there already is not downloaded again; a different file is never overwritten without --force."
    )]
    Download(DownloadArgs),
    /// Say why a task is where it is
    #[command(after_help = "Examples:\n  farm why 42\n  farm why 42:sl5")]
    Why(WhyArgs),
    /// List the platforms that can be built for
    #[command(after_help = "Example:\n  farm platforms")]
    Platforms,
    /// List the builders and what they do
    #[command(after_help = "Example:\n  farm builders --json | jq '.[] | select(.alive | not) | .name'")]
    Builders,
    /// Show who you are to the server, what you may do there, and how much of it is used up
    #[command(after_help = "Examples:\n  farm whoami\n  farm whoami --json | jq .rights")]
    Whoami,
    /// List, make and revoke tokens for scripts
    #[command(
        subcommand,
        after_help = "Examples:\n  farm token list\n  (umask 077; farm token create nightly > ~/.config/farm/token)"
    )]
    Token(TokenCommand),
    /// Print the completions of a shell
    #[command(hide = true)]
    Completions(CompletionsArgs),
}

/// What `farm-submit` takes.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// Source packages; several are one job. A `:` between them begins the next job of a chain, which is built when the one before has
    /// succeeded, and with what all before it made
    #[arg(required = true, value_name = "SRPM", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Where to build: releases or platforms, `auto`, `all`, `!NAME` leaves out; comma separated or repeated [default:
    /// auto]
    #[arg(short, long, value_name = "LIST")]
    pub targets: Vec<String>,
    /// Where the results go [default: scratch]
    #[arg(short, long)]
    pub bucket: Option<BucketName>,
    /// Who goes first: urgent, normal, background [default: normal]
    #[arg(short, long)]
    pub class: Option<Class>,
    /// One line for people [default: the names of the sources]
    #[arg(long)]
    pub title: Option<String>,
    /// Your own name for the job: the same name never makes a second one. The further jobs of a chain have a number behind it
    #[arg(long)]
    pub id: Option<JobKey>,
    /// Begin only when that job has succeeded, and build with what it and all before it made
    #[arg(long, value_name = "JOB")]
    pub after: Option<JobId>,
    /// How long each task may take: 90m, 2h [default: the platform's]
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    pub timeout: Option<u32>,
    /// Let the builds use the network: takes the right `network`, and platforms that allow it
    #[arg(long)]
    pub network: bool,
    /// Do not wait for the end of the job
    #[arg(long)]
    pub no_wait: bool,
    /// Print no progress, only the job and its results
    #[arg(short, long)]
    pub quiet: bool,
    /// What the builds are asked for.
    #[command(flatten)]
    pub build: BuildArgs,
}

impl SubmitArgs {
    /// The files of each job: one, or those of a chain. An error is a sentence.
    pub fn groups(&self) -> Result<Vec<&[PathBuf]>, String> {
        let groups: Vec<_> = self.files.split(|file| file.as_os_str() == ":").collect();
        match groups.iter().position(|group| group.is_empty()) {
            Some(n) => Err(format!("job {} of the chain has no source: a `:` stands between sources", n + 1)),
            None => Ok(groups),
        }
    }
}

/// What `farm list` takes.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only yours
    #[arg(long, conflicts_with = "person")]
    pub mine: bool,
    /// Only that person's
    #[arg(long, value_name = "NAME")]
    pub person: Option<String>,
    /// Only those that stand so: submitted, rejected, queued, running, succeeded, failed, cancelled
    #[arg(long)]
    pub state: Option<Progress>,
    /// Only those with a task on that platform
    #[arg(long)]
    pub platform: Option<PlatformName>,
    /// Only those with that package among their sources
    #[arg(long, value_name = "NAME")]
    pub package: Option<String>,
    /// Only those before that job: the next page
    #[arg(long, value_name = "JOB")]
    pub before: Option<JobId>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
}

/// A job.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// Number of the job
    pub job: JobId,
}

/// What `farm watch` takes.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Numbers of the jobs, which are followed one after the other
    #[arg(required = true, value_name = "JOB")]
    pub jobs: Vec<JobId>,
    /// Print no progress, only the results
    #[arg(short, long)]
    pub quiet: bool,
}

/// What `farm logs` takes.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The job, and which of its platforms or releases
    #[arg(value_name = "JOB[:PLATFORM]")]
    pub task: TaskChoice,
    /// Go on until the task has ended
    #[arg(short, long)]
    pub follow: bool,
    /// The log of that attempt [default: the latest]
    #[arg(long, value_name = "N")]
    pub attempt: Option<AttemptNumber>,
}

/// What `farm retry` takes.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// Number of the job
    pub job: JobId,
    /// Only tasks that failed, not those that were cancelled
    #[arg(long)]
    pub failed: bool,
}

/// What `farm rebuild` takes.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// The job, and which of its platforms or releases
    #[arg(value_name = "JOB[:PLATFORM]")]
    pub task: TaskChoice,
    /// Where the results go [default: scratch]
    #[arg(short, long)]
    pub bucket: Option<BucketName>,
    /// Your own name for the new job: the same name never makes a second one
    #[arg(long)]
    pub id: Option<JobKey>,
    /// Do not wait for the end of the job
    #[arg(long)]
    pub no_wait: bool,
    /// Print no progress, only the job and its results
    #[arg(short, long)]
    pub quiet: bool,
}

/// What `farm download` takes.
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// The job, and which of its platforms or releases
    #[arg(value_name = "JOB[:PLATFORM]")]
    pub task: TaskChoice,
    /// Folder to put the platforms' folders in
    #[arg(short, long, default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Logs and manifests as well, also of tasks that failed
    #[arg(short, long)]
    pub all: bool,
    /// Overwrite files that differ
    #[arg(long)]
    pub force: bool,
    /// Print no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// What `farm why` takes.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The job, and which of its platforms or releases
    #[arg(value_name = "JOB[:PLATFORM]")]
    pub task: TaskChoice,
}

/// What `farm completions` takes.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    pub shell: Shell,
    /// For `farm-submit` and not for `farm`
    #[arg(long)]
    pub submit: bool,
}

/// A time as people write it, in seconds.
fn timeout(text: &str) -> Result<u32, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "a time has a number and a unit: 90m, 2h, 1h 30m".to_owned())?;
    match u32::try_from(duration.as_secs()) {
        Ok(0) => Err("no build is done in no time".to_owned()),
        Ok(seconds) => Ok(seconds),
        Err(_) => Err("it is out of range".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_lines_are_free_of_contradictions() {
        Farm::command().debug_assert();
        FarmSubmit::command().debug_assert();
    }

    #[test]
    fn a_timeout_needs_a_unit_and_a_positive_number() {
        assert_eq!(timeout("90m"), Ok(5400));
        assert_eq!(timeout("1h30m"), Ok(5400));
        assert_eq!(timeout("2h"), Ok(7200));
        for bad in ["90", "", "soon", "-5m", "0s", "1000000d", "PT"] {
            assert!(timeout(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_colon_begins_the_next_job_of_a_chain() {
        let groups = |files: &[&str]| {
            let args = FarmSubmit::parse_from([&["farm-submit"], files].concat()).submit;
            args.groups().map(|groups| groups.iter().map(|group| group.len()).collect::<Vec<_>>())
        };
        assert_eq!(groups(&["a", "b"]).unwrap(), [2]);
        assert_eq!(groups(&["a", ":", "b", "c", ":", "a"]).unwrap(), [1, 2, 1]);
        for (files, n) in [(&[":", "a"][..], 1), (&["a", ":"], 2), (&["a", ":", ":", "b"], 2), (&[":"], 1)] {
            assert!(
                groups(files).unwrap_err().starts_with(&format!("job {n} of the chain has no source")),
                "{files:?}"
            );
        }
    }

    #[test]
    fn targets_are_comma_separated_or_repeated() {
        let line = ["farm-submit", "a.src.rpm", "-t", "f13,sl5", "--targets", "!f13-i686"];
        assert_eq!(FarmSubmit::parse_from(line).submit.targets, ["f13,sl5", "!f13-i686"]);
    }
}
