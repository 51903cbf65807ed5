//! What the daemon orders of the helper, and what that answers.
//!
//! Paths are relative to the data folder, which is the helper's working directory: so it needs no right to any folder above.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One step of work for one helper process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Get the metadata of all repositories into `cache`.
    Refresh {
        /// Where they go.
        cache: PathBuf,
        /// How to call dnf.
        dnf: Dnf,
    },
    /// Install the base packages into the new tree `making/root`, add the build user, get everything ready for use.
    MakeTree {
        /// The folder to make it in: `root`, `cache` and `rpmdb` are made there.
        making: PathBuf,
        /// Metadata of the repositories, from [`Order::Refresh`].
        metadata: Option<PathBuf>,
        /// The base packages.
        packages: Vec<String>,
        /// How to call dnf.
        dnf: Dnf,
    },
    /// Install packages of our own making, and with them everything they require, into a chroot.
    Install {
        /// The chroot.
        chroot: Chroot,
        /// The packages.
        packages: Vec<PathBuf>,
        /// A repository of the attempt's own.
        results: Option<PathBuf>,
        /// How to call dnf.
        dnf: Dnf,
        /// Do not install: only say what would be in the way.
        explain: bool,
    },
    /// Run a script as the build user in a chroot.
    Run {
        /// The chroot.
        chroot: Chroot,
        /// What to run.
        script: Script,
        /// The source package that the script sees.
        source: Option<PathBuf>,
        /// Whether the script has the network of the host. Else it has a loopback of its own.
        network: bool,
        /// What rpmbuild is told beside what it always is.
        arguments: Vec<String>,
        /// Whether the kernel is to say that this is a 32-bit machine.
        narrow: bool,
    },
    /// Pick packages out of a chroot in which nothing runs any more.
    Collect {
        /// The folder with the chroot's changes.
        chroot: Chroot,
        /// Which packages.
        kind: Collect,
        /// Where they go; made if missing.
        into: PathBuf,
        /// No more bytes than these, all together.
        most_bytes: u64,
    },
    /// Make a folder of packages a repository.
    Index {
        /// The folder.
        folder: PathBuf,
    },
    /// Remove a folder and all in it, whoever owns it.
    Remove {
        /// The folder.
        path: PathBuf,
    },
}

impl Order {
    /// Whether it is for a 32-bit machine.
    pub fn narrow(&self) -> bool {
        match self {
            Self::Refresh { dnf, .. } | Self::MakeTree { dnf, .. } | Self::Install { dnf, .. } => dnf.narrow,
            Self::Run { narrow, .. } => *narrow,
            Self::Collect { .. } | Self::Index { .. } | Self::Remove { .. } => false,
        }
    }
}

/// A writable chroot over a base tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chroot {
    /// The folder of the base tree: `root`, `cache` and `rpmdb` are there.
    pub tree: PathBuf,
    /// The folder that takes what changes.
    pub changes: PathBuf,
}

/// How to call dnf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dnf {
    /// The text of dnf.conf, repositories included.
    pub config: String,
    /// Folders of this host that repositories lie in.
    pub folders: Vec<PathBuf>,
    /// Whether some repository is reached over the network.
    pub network: bool,
    /// Whether some repository is one build's alone, so that what comes from there is kept for no other.
    #[serde(default)]
    pub passing: bool,
    /// Whether the kernel is to say that this is a 32-bit machine.
    #[serde(default)]
    pub narrow: bool,
}

/// A script for the build user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Script {
    /// Unpack the source package and pack it again.
    Source,
    /// First round of `%generate_buildrequires`.
    FirstRequires,
    /// Later rounds: the sources are unpacked.
    MoreRequires,
    /// Build the binary packages.
    Build,
}

/// Which packages to pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Collect {
    /// The one that [`Script::Source`] made.
    Source,
    /// The one that a round of `%generate_buildrequires` made.
    Requires,
    /// The binary packages.
    Binaries,
}

/// What the helper answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// The program that did it ended with this status.
    Exit(i32),
    /// What was picked.
    Collected(Collection),
    /// It could not be done.
    Broken(String),
}

/// What was picked out of a chroot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// Names of files, now in the folder asked for.
    pub files: Vec<String>,
    /// What was left behind, and why, for people.
    pub refused: Vec<String>,
    /// Whether some were left behind because all together were too large.
    pub too_large: bool,
}
