//! The groups that can be made, and the group of one build.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use super::{
    files::{self, Bound, Counter},
    find,
};

/// How long processes that were killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often to look whether they are.
const PAUSE: Duration = Duration::from_millis(2);

/// The kinds of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One tree.
    V2,
    /// A tree for each controller.
    V1,
}

/// What groups bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    Memory,
    Pids,
    Cpu,
    CpuAccounting,
    Io,
}

/// The groups that this process may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    pub(super) kind: Kind,
    /// Where groups are made, of each controller that there is.
    pub(super) parents: Vec<(Controller, PathBuf)>,
}

/// What one group bounds.
#[derive(Debug, Clone, Copy)]
pub struct GroupLimits {
    /// Bytes of memory, files in memory included. There is no swap beside it.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u32,
    /// Its share of processor time; that of what is in no group is 100.
    pub cpu_weight: u16,
}

impl Cgroups {
    /// Finds what can be had on this host, and gets it ready; else says why builds are not bounded together.
    ///
    /// Where a part of the tree is this process's own, it moves itself into a leaf: the kernel wants processes in leaves only.
    pub fn find() -> Result<Self, String> {
        find::find()
    }

    /// Which kind [`Cgroups::find`] would find, or why none, without changing anything.
    pub fn look() -> Result<Kind, String> {
        find::look()
    }

    /// Which kind they are of.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The folders of a group of this name.
    pub fn folders(&self, name: &str) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self.parents.iter().map(|(_, parent)| parent.join(name)).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// Makes a group.
    pub fn make(&self, name: &str, limits: &GroupLimits) -> io::Result<Cgroup> {
        let parts = self.parents.iter().map(|(controller, parent)| (*controller, parent.join(name))).collect();
        let group = Cgroup { kind: self.kind, parts, folders: self.folders(name) };
        for folder in &group.folders {
            fs_err::create_dir(folder)?;
        }
        for Bound { controller, file, value, needed } in files::bounds(self.kind, limits) {
            if let Some(path) = group.file(controller, file).filter(|path| needed || path.exists()) {
                fs_err::write(path, value)?;
            }
        }
        Ok(group)
    }
}

/// How a process comes into a group.
#[derive(Debug)]
pub enum Entrance<'a> {
    /// It is put there, see [`Cgroup::add`].
    ByNumber(&'a Cgroup),
    /// It goes through these files itself, as long as it has one thread. To put another one there takes the kernel a lock, and that 5 ms
    /// and more in which no process of the host starts or ends; a thread that moves itself needs none. (Version 2 lets no single
    /// thread into a group that bounds memory.)
    Doors(Vec<File>),
}

/// The group of one build. Its folders are removed when it is dropped, if nothing is in them any more.
#[derive(Debug)]
pub struct Cgroup {
    kind: Kind,
    parts: Vec<(Controller, PathBuf)>,
    pub(super) folders: Vec<PathBuf>,
}

impl Cgroup {
    /// How processes come into it.
    pub fn entrance(&self) -> io::Result<Entrance<'_>> {
        match self.kind {
            Kind::V2 => Ok(Entrance::ByNumber(self)),
            Kind::V1 => {
                let open = |folder: &PathBuf| {
                    let mut door = fs_err::OpenOptions::new();
                    door.write(true).open(folder.join("tasks")).map(|door| door.into_parts().0)
                };
                self.folders.iter().map(open).collect::<io::Result<_>>().map(Entrance::Doors)
            }
        }
    }

    /// Puts a process into it, and so all that it will start.
    pub fn add(&self, process: u32) -> io::Result<()> {
        self.folders.iter().try_for_each(|folder| fs_err::write(folder.join("cgroup.procs"), process.to_string()))
    }

    /// How often the kernel has killed something in it for want of memory.
    pub fn memory_kills(&self) -> u64 {
        self.read(files::memory_kills(self.kind)).unwrap_or_default()
    }

    /// How often it refused to start a process.
    pub fn refused_processes(&self) -> u64 {
        self.read(files::REFUSED_PROCESSES).unwrap_or_default()
    }

    /// The most memory it ever had, if the kernel knows.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        self.read(files::peak_memory(self.kind))
    }

    /// The processor time it used, if the kernel knows.
    pub fn cpu_milliseconds(&self) -> Option<u64> {
        match self.kind {
            Kind::V2 => self.read(files::CPU_MICROSECONDS).map(|time| time / 1000),
            Kind::V1 => self.read(files::CPU_NANOSECONDS).map(|time| time / 1_000_000),
        }
    }

    /// The bytes it wrote to disks, if the kernel knows: version 1 does not, since most is written later, by the kernel.
    pub fn written_bytes(&self) -> Option<u64> {
        let path = self.file(Controller::Io, "io.stat")?;
        Some(files::sum_of(&fs_err::read_to_string(path).ok()?, "wbytes="))
    }

    fn file(&self, controller: Controller, name: &str) -> Option<PathBuf> {
        let (_, folder) = self.parts.iter().find(|(known, _)| *known == controller)?;
        Some(folder.join(name))
    }

    fn read(&self, counter: Counter) -> Option<u64> {
        let text = fs_err::read_to_string(self.file(counter.controller, counter.file)?).ok()?;
        files::value(&text, counter.key)
    }

    /// Ends everything in it and removes it.
    pub fn remove(self) -> io::Result<()> {
        remove(&self.folders)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            // Where something is in it still, the next start of the builder does it.
            let _ = fs_err::remove_dir(folder);
        }
    }
}

/// Ends everything in the folders of a group and removes them.
pub fn remove(folders: &[PathBuf]) -> io::Result<()> {
    let began = Instant::now();
    for folder in folders {
        loop {
            match fs_err::remove_dir(folder) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) if began.elapsed() > PATIENCE => return Err(error),
                Err(_) => end_all(folder),
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

fn end_all(folder: &Path) {
    if fs_err::write(folder.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let processes = fs_err::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    // One of another process namespace is listed as 0, and that would be ourselves.
    for process in processes.lines().filter_map(|line| line.parse().ok()).filter(|process| *process > 0) {
        // Whoever is gone already is what is wanted.
        let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
    }
}
