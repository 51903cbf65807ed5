//! How a command ends, and with which exit code. `docs/CLI.md` has the same table.

use std::{io, process::ExitCode};

use anstyle::{AnsiColor, Style};
use farm_api::{
    client::ClientError,
    error::{ErrorBody, Reason},
};

use crate::{output::aside, show::shown};

/// The exit codes as `--help` shows them.
pub const EXIT_CODES: &str = "\
Exit codes:
    0  done; for a job that was waited for: all built
    1  some task failed or was cancelled; nothing to download
    2  usage: the command line, or a file on this side
    3  rejected: the farm refuses, with every reason
    4  the server cannot be reached, or cannot answer now
    5  not allowed
  130  interrupted; a job that was handed in goes on
  141  nobody reads the output any more, as in `farm list | head`";

/// How a command ended that did what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything is well.
    Done = 0,
    /// A task failed or was cancelled.
    TaskFailed = 1,
    /// The command line is wrong, or a file on this side.
    Usage = 2,
    /// The farm refuses.
    Rejected = 3,
    /// Server or network cannot be reached, or the server cannot answer.
    Unreachable = 4,
    /// Who is asking may not.
    NotAllowed = 5,
    /// Ctrl-C.
    Interrupted = 130,
    /// The reader of the output has gone: 128 + SIGPIPE, as of any program.
    PipeClosed = 141,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do what it is for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What is wrong with the command line or the files it names, one sentence each.
    #[error("{}", .0.join("\n"))]
    Usage(Vec<String>),
    /// Something on this side: a file, the configuration.
    #[error("{0}")]
    Local(String),
    /// The farm rejected, and why.
    #[error("{message}")]
    Rejected {
        /// What was rejected.
        message: String,
        /// Every reason, as sentences.
        reasons: Vec<String>,
    },
    /// The server, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Ctrl-C; what the user should know now.
    #[error("{0}")]
    Interrupted(String),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// A single thing that is wrong with the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(vec![message.into()])
    }

    /// The exit code that goes with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Local(_) => Exit::Usage,
            Self::Rejected { .. } => Exit::Rejected,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::PipeClosed,
            Self::Output(_) => Exit::Usage,
            Self::Client(error) => match error {
                ClientError::BadAddress { .. } | ClientError::Local(_) => Exit::Usage,
                ClientError::Refused(_) => Exit::Rejected,
                ClientError::NotAllowed(_) | ClientError::Login { .. } => Exit::NotAllowed,
                ClientError::Unreachable { .. } | ClientError::Unavailable { .. } | ClientError::BadAnswer { .. } => {
                    Exit::Unreachable
                }
            },
        }
    }

    /// Tells the user, on stderr, and gives the exit code.
    pub fn report(&self, program: &str) -> Exit {
        let exit = self.exit();
        if exit != Exit::PipeClosed {
            let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
            for line in self.to_string().lines() {
                aside(&format!("{red}{program}:{red:#} {}", shown(line)));
            }
            if let Self::Client(ClientError::Unreachable { .. }) = self {
                aside("  The address comes from --server, FARM_SERVER or the configuration; is the farm running?");
            }
            for reason in self.reasons() {
                aside(&format!("  - {}", shown(&reason)));
            }
        }
        exit
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Rejected { reasons, .. } => reasons.clone(),
            Self::Client(error) => error.body().map(|body| sentences(body, &[])).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

/// A refusal of the server as a rejection whose reasons name the files they are about.
pub fn rejected(body: &ErrorBody, names: &[&str]) -> Failure {
    Failure::Rejected { message: body.message.clone(), reasons: sentences(body, names) }
}

fn sentences(body: &ErrorBody, names: &[&str]) -> Vec<String> {
    body.reasons.iter().map(|reason| sentence(reason, names)).filter(|text| *text != body.message).collect()
}

/// A reason as one line: the file it is about, and what is wrong with it.
pub fn sentence(reason: &Reason, names: &[&str]) -> String {
    let name = reason.source.and_then(|position| names.get((position as usize).checked_sub(1)?));
    match (name, reason.source) {
        (Some(name), _) if !reason.message.contains(name) => format!("{name}: {}", reason.message),
        (None, Some(position)) => format!("source {position}: {}", reason.message),
        _ => reason.message.clone(),
    }
}
