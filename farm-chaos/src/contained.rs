//! Namespaces of our own: whatever is mounted, cut or left behind in them goes with us, and nobody else sees it.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use rustix::process::geteuid;

use crate::disk::run;

/// Says to the process inside that it is.
const INSIDE: &str = "FARM_CHAOS_INSIDE";

/// Whether this process is in namespaces of its own, in which it may mount and cut what it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Containment(bool);

impl Containment {
    /// Nothing of the kind.
    pub const NONE: Self = Self(false);

    /// Whether it may do what only root may, since nobody else is there.
    pub fn is_root(self) -> bool {
        self.0
    }
}

/// As root, starts this program anew in mount, network and process namespaces of its own, and answers only if that fails. In there, or as
/// somebody else, answers whether it is in there.
pub fn enter() -> Result<Containment, ExitCode> {
    if std::env::var_os(INSIDE).is_some() {
        return match run(Command::new("ip").args(["link", "set", "lo", "up"])) {
            Ok(()) => Ok(Containment(true)),
            Err(error) => Err(say(&format!("{error:#}"))),
        };
    }
    if !geteuid().is_root() {
        return Ok(Containment::NONE);
    }
    // What is in there dies with its first process, which is us.
    let error = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into()))
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "yes")
        .exec();
    Err(say(&format!("cannot run unshare: {error}")))
}

fn say(why: &str) -> ExitCode {
    eprintln!("chaos: {why}");
    ExitCode::FAILURE
}
