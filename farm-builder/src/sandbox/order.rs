//! What the daemon orders of the helper, and what that answers.
//!
//! Paths are relative to the data folder, which is the helper's working directory: so it needs no right to any folder above.

use std::path::PathBuf;

use anyhow::Context as _;
use farm_api::record::Usage;
use farm_types::Digest;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// What a helper process is started for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// What to do.
    pub order: Order,
    /// What bounds all that the helper starts.
    pub bounds: Bounds,
}

/// Bounds that processes inherit. What is absent is not bounded here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Bytes in /dev/shm.
    pub shm_bytes: Option<u64>,
    /// Bytes in one file.
    pub file_bytes: Option<u64>,
    /// Processes of one user in one namespace.
    pub processes: Option<u64>,
    /// Bytes of memory of one process, shared memory and what is only reserved not included.
    pub data_bytes: Option<u64>,
}

impl Bounds {
    /// Sets them for this process and all that it starts.
    pub(super) fn apply(&self) -> anyhow::Result<()> {
        let limits = [
            (Resource::RLIMIT_FSIZE, self.file_bytes),
            (Resource::RLIMIT_NPROC, self.processes),
            (Resource::RLIMIT_DATA, self.data_bytes),
        ];
        for (resource, limit) in limits {
            if let Some(limit) = limit {
                // Nobody but root of the host may raise what the daemon was started with.
                let (_, hard) = getrlimit(resource)?;
                let limit = limit.min(hard);
                setrlimit(resource, limit, limit).with_context(|| format!("cannot set {resource:?} to {limit}"))?;
            }
        }
        Ok(())
    }
}

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
        /// The folder to make it in: `root`, `cache`, `rpmdb`, `packages` (what it has) and `size` (in bytes) are made there.
        making: PathBuf,
        /// Metadata of the repositories, from [`Order::Refresh`].
        metadata: Option<PathBuf>,
        /// The base packages.
        packages: Vec<String>,
        /// How to call dnf.
        dnf: Dnf,
    },
    /// Make a dependency layer.
    MakeLayer(LayerOrder),
    /// Ask what is in the way of installing packages of our own making into a chroot.
    Explain {
        /// The chroot.
        chroot: Chroot,
        /// The packages.
        packages: Vec<PathBuf>,
        /// A repository of the attempt's own.
        results: Option<PathBuf>,
        /// How to call dnf.
        dnf: Dnf,
    },
    /// Say which packages are installed in a chroot.
    Inventory {
        /// The chroot.
        chroot: Chroot,
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
        /// No more packages than these.
        most_files: u32,
    },
    /// Stay, with namespaces that other steps enter and a place for what they write; answer each line that comes with
    /// [`Answer::Use`].
    Hold {
        /// The folder for what is written; made if missing.
        folder: PathBuf,
        /// What kind of place it is.
        scratch: Scratch,
        /// The build's folder, on the disk: the layers that are made in it count, too.
        build: Option<PathBuf>,
    },
    /// Make a folder of packages a repository.
    Index {
        /// The folder.
        folder: PathBuf,
    },
    /// Carry out these one after the other, until a program ends with another status than 0: each costs less than a helper of its own.
    /// Whatever one has started is gone before the next.
    All(Vec<Order>),
    /// Remove a folder and all in it, whoever owns it.
    Remove {
        /// The folder.
        path: PathBuf,
    },
}

/// Where what a build writes lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scratch {
    /// In a file system in memory, which takes no more than it has room for.
    Memory {
        /// Its bytes.
        bytes: u64,
        /// Its files and folders.
        files: u64,
    },
    /// In a folder on the disk. How much it takes can only be looked at.
    Disk,
}

/// What a [`Scratch`] holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Bytes.
    pub bytes: u64,
    /// Files and folders.
    pub files: u64,
    /// Bytes that are free on the disk.
    pub free_bytes: u64,
}

impl Order {
    /// Whether programs of the packages that are installed run in it as the chroot's root.
    pub fn runs_packages(&self) -> bool {
        matches!(self, Self::MakeLayer(_) | Self::Inventory { .. })
    }

    /// Whether it is for a 32-bit machine.
    pub fn narrow(&self) -> bool {
        match self {
            Self::Refresh { dnf, .. } | Self::MakeTree { dnf, .. } | Self::Explain { dnf, .. } => dnf.narrow,
            Self::MakeLayer(order) => order.dnf.narrow,
            Self::Run { narrow, .. } => *narrow,
            Self::All(orders) => orders.iter().any(Self::narrow),
            Self::Inventory { .. }
            | Self::Collect { .. }
            | Self::Hold { .. }
            | Self::Index { .. }
            | Self::Remove { .. } => false,
        }
    }
}

/// A writable chroot over a base tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chroot {
    /// The folder of the base tree: `root`, `cache` and `rpmdb` are there.
    pub tree: PathBuf,
    /// The folder of the layer over it, if any: `upper` is there.
    pub layer: Option<PathBuf>,
    /// The folder that takes what changes.
    pub changes: PathBuf,
}

/// Install a package of our own making, and with it everything that it requires, over a base tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerOrder {
    /// The folder of the base tree.
    pub tree: PathBuf,
    /// The folder in which layers over this tree lie, by their names.
    pub shelf: PathBuf,
    /// Where to make it: `upper`, `packages` (what it has beyond the tree) and `size` (in bytes) are there then.
    pub making: PathBuf,
    /// The package, `farm-build-requires`; not in the layer itself.
    pub package: PathBuf,
    /// A repository of the attempt's own.
    pub results: Option<PathBuf>,
    /// How to call dnf.
    pub dnf: Dnf,
    /// The platform's repositories. A layer with packages of any other is the attempt's own and has no name.
    pub shared: Vec<String>,
    /// Whether there are no repositories but the platform's.
    pub only_platform: bool,
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
    /// Nothing.
    Probe,
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

/// The line with which a helper ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// What came of the order.
    pub answer: Answer,
    /// What its programs used up.
    pub usage: Usage,
}

/// What the helper answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// The program that did it ended with this status.
    Exit(i32),
    /// The packages, as the rpm of the chroot prints them.
    Inventory(String),
    /// What was picked.
    Collected(Collection),
    /// What several orders came to: of those that were carried out, one answer each.
    All(Vec<Answer>),
    /// What came of the order to make a layer.
    Layer(Layered),
    /// What the place of [`Order::Hold`] holds.
    Use(Use),
    /// It could not be done.
    Broken(String),
}

/// What came of the order to make a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layered {
    /// The base tree has everything.
    Nothing,
    /// There is one of this name with the same packages, so nothing was made.
    Known(Digest),
    /// It is made. Without a name it is the attempt's own.
    Made(Option<Digest>),
    /// The packages are installed, and have left a chroot that cannot be used.
    Spoilt(String),
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
    /// Whether some were left behind because there were too many.
    pub too_many: bool,
}
