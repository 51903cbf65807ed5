//! What bounds a build, and how surely: said in its log and kept in its record, since not every host can do everything.

use std::fmt;

use farm_types::Size;
use serde::{Deserialize, Serialize};

use crate::{
    cgroup::Kind,
    driver::BuildLimits,
    sandbox::{Bounds, Scratch},
};

/// What sees to it that a limit is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The kernel, by a control group of version 2, for all processes together.
    CgroupV2,
    /// The kernel, by control groups of version 1, for all processes together.
    CgroupV1,
    /// The kernel, for each process by itself.
    Rlimit,
    /// A file system that has no more room than that.
    FileSystem,
    /// The builder, who looks at it now and then: for a moment it can be more.
    Sampled,
    /// Nobody.
    Nothing,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CgroupV2 => "cgroup v2",
            Self::CgroupV1 => "cgroup v1",
            Self::Rlimit => "each process by itself",
            Self::FileSystem => "in memory",
            Self::Sampled => "looked at now and then",
            Self::Nothing => "not enforced",
        })
    }
}

/// What guards which limit of a build. Time, silence, the log and the results are the builder's own to bound, and always are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Memory.
    pub memory: Guard,
    /// Processes and threads.
    pub processes: Guard,
    /// The share of processor time.
    pub cpu: Guard,
    /// Bytes and files written into the chroot.
    pub disk: Guard,
    /// Namespaces that are the build's own.
    pub namespaces: Vec<String>,
    /// Whether system calls are filtered.
    pub seccomp: bool,
    /// Why no more than that, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
}

impl Isolation {
    /// Of the native driver, by what there is. `network` if the build has that of the host.
    pub(crate) fn native(groups: Result<Kind, &str>, scratch: Scratch, network: bool) -> Self {
        let (memory, processes, cpu) = match groups {
            Ok(Kind::V2) => (Guard::CgroupV2, Guard::CgroupV2, Guard::CgroupV2),
            Ok(Kind::V1) => (Guard::CgroupV1, Guard::CgroupV1, Guard::CgroupV1),
            Err(_) => (Guard::Rlimit, Guard::Rlimit, Guard::Nothing),
        };
        let disk = match scratch {
            Scratch::Memory { .. } => Guard::FileSystem,
            Scratch::Disk => Guard::Sampled,
        };
        let namespaces = ["user", "mount", "pid", "ipc", "uts", "cgroup", "net"];
        let shown = if network { &namespaces[..namespaces.len() - 1] } else { &namespaces[..] };
        Self {
            memory,
            processes,
            cpu,
            disk,
            namespaces: shown.iter().map(|name| (*name).to_owned()).collect(),
            seccomp: true,
            lacks: groups.err().map(str::to_owned).into_iter().collect(),
        }
    }

    /// One line for the log.
    pub(crate) fn line(&self, limits: &BuildLimits) -> String {
        format!(
            "limits: memory {} ({}), {} processes ({}), cpu weight {} ({}), disk {} and {} files ({})",
            Size(limits.memory_bytes),
            self.memory,
            limits.processes,
            self.processes,
            limits.cpu_weight,
            self.cpu,
            Size(limits.disk_bytes),
            limits.files,
            self.disk
        )
    }
}

/// What a process of the build inherits in any case, and what it has to where no group bounds it.
pub(crate) fn bounds(limits: &BuildLimits, grouped: bool) -> Bounds {
    Bounds {
        // Files there are memory, so the group counts them; without one, at least they do not grow without end.
        shm_bytes: Some(if grouped { limits.memory_bytes } else { limits.memory_bytes / 2 }),
        file_bytes: Some(limits.disk_bytes),
        processes: Some(limits.processes.into()),
        data_bytes: (!grouped).then_some(limits.memory_bytes),
    }
}
