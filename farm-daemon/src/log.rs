//! Logs: one line per event on standard error, readable by people, or JSON.

use std::{backtrace::Backtrace, fmt::Write as _, io::IsTerminal as _};

use anyhow::Context as _;
use tracing::error;
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::DaemonArgs;

/// Our own state changes, and other libraries' only when something is wrong.
const DEFAULT_FILTER: &str = "info,hyper=warn,h2=warn,reqwest=warn,object_store=warn";

/// How a log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people per event.
    #[default]
    Text,
    /// An object of JSON per event and line.
    Json,
}

/// The table `[log]` of a configuration. The command line and the environment go before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What to log, as in `info,farm_hub=debug`.
    pub filter: Option<String>,
    /// How to log.
    pub format: Option<LogFormat>,
}

/// A log that can be started: what to log, and how.
pub(crate) struct Log {
    filter: EnvFilter,
    format: LogFormat,
}

impl Log {
    /// As the command line or else the configuration says.
    ///
    /// # Errors
    ///
    /// The filter is none.
    pub(crate) fn new(args: &DaemonArgs, config: &LogConfig) -> anyhow::Result<Self> {
        let filter = args.log_level.as_deref().or(config.filter.as_deref()).unwrap_or(DEFAULT_FILTER);
        Self::parse(filter, args.log_format.or(config.format).unwrap_or_default())
    }

    fn parse(filter: &str, format: LogFormat) -> anyhow::Result<Self> {
        let filter = EnvFilter::try_new(filter).with_context(|| {
            format!("“{filter}” is no log filter: it takes a level, as in info, or info,farm_hub=debug")
        })?;
        Ok(Self { filter, format })
    }

    /// Starts logging to what is standard error now. Once per process.
    pub(crate) fn start(self) -> anyhow::Result<()> {
        let stderr = fmt::layer().with_writer(std::io::stderr);
        let layer = match self.format {
            LogFormat::Json => stderr.json().flatten_event(true).boxed(),
            LogFormat::Text => {
                let text = stderr.compact().with_ansi(std::io::stderr().is_terminal()).fmt_fields(one_line_fields());
                // The journal keeps the time itself.
                if is_journal() { text.without_time().boxed() } else { text.boxed() }
            }
        };
        tracing_subscriber::registry().with(self.filter).with(layer).try_init().context("logging is set up already")?;
        // One event like any other, also in JSON.
        std::panic::set_hook(Box::new(
            |panic| error!(backtrace = %Backtrace::capture(), "a fault in this program: {panic}"),
        ));
        Ok(())
    }
}

/// Starts logging to standard error. Once per process. [`start`](crate::start) does it for daemons; this is for programs
/// that run for long and are none.
pub fn log_to_stderr(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    Log::parse(filter, format)?.start()
}

/// Whether standard error is the journal. The variable alone does not tell: a shell that systemd started hands it down to
/// programs that write elsewhere.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(rustix::stdio::stderr()).is_ok_and(|it| stream == format!("{}:{}", it.st_dev, it.st_ino))
}

/// Fields as `name=value`, in which no control character survives: names of packages come from strangers, and a line
/// break or an escape sequence in one must not forge a line of the log.
fn one_line_fields() -> impl for<'w> fmt::FormatFields<'w> + Send + Sync + 'static {
    use tracing_subscriber::field::MakeExt as _;
    fmt::format::debug_fn(|writer, field, value| {
        let value = escape_controls(&format!("{value:?}"));
        if field.name() == "message" { write!(writer, "{value}") } else { write!(writer, "{field}={value}") }
    })
    .delimited(" ")
}

fn escape_controls(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, c| {
        if c.is_control() {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_a_package_name_does_not_forge_a_line() {
        assert_eq!(escape_controls("a\nERROR all is lost \u{1b}[2J"), "a\\nERROR all is lost \\u{1b}[2J");
        assert_eq!(escape_controls("Łódź “quoted”"), "Łódź “quoted”");
    }
}
