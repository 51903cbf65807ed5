//! What has to be left of the machine for a task to be taken. One that is taken without it is an attempt spoilt, and three of those
//! end a task.

use std::path::Path;

use serde::Deserialize;

/// Builds that use all processors, as many as there are slots, come to half of this; above it they wait for each other.
const LOAD_PER_PROCESSOR: f32 = 4.0;
/// What a compiler wants at once.
const MEMORY_BYTES: u64 = 512 << 20;
/// Sources, an unpacked tree and results of an ordinary package.
const DISK_BYTES: u64 = 2 << 30;
/// The files of a chroot.
const FILES: u64 = 50_000;

/// Below these no tasks are taken; what is being built goes on. 0: whatever there is, is enough.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// The load of a minute over the number of processors; above it nothing is taken. 4 by default.
    pub load_per_processor: f32,
    /// Bytes of memory that can be had without swapping; 512 MiB by default.
    pub memory_bytes: u64,
    /// Bytes that are free where the builder's data is; 2 GiB by default.
    pub disk_bytes: u64,
    /// Files that can still be made there; 50000 by default.
    pub files: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            load_per_processor: LOAD_PER_PROCESSOR,
            memory_bytes: MEMORY_BYTES,
            disk_bytes: DISK_BYTES,
            files: FILES,
        }
    }
}

/// What is left of the machine. What the system does not tell is taken to be enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Readings {
    pub load: f32,
    pub processors: u32,
    pub memory_available: u64,
    pub disk_available: u64,
    pub files_available: u64,
}

impl Readings {
    /// As it is now; the disk is that of `folder`.
    pub fn take(folder: &Path) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (disk_available, files_available) = disk(folder).unwrap_or((u64::MAX, u64::MAX));
        Self {
            load: std::fs::read_to_string("/proc/loadavg").ok().and_then(|text| load(&text)).unwrap_or(0.0),
            processors: u32::try_from(processors).unwrap_or(u32::MAX),
            memory_available: std::fs::read_to_string("/proc/meminfo")
                .ok()
                .and_then(|text| memory(&text))
                .unwrap_or(u64::MAX),
            disk_available,
            files_available,
        }
    }
}

fn load(loadavg: &str) -> Option<f32> {
    loadavg.split(' ').next()?.parse().ok()
}

fn memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// Free bytes and files.
fn disk(folder: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    // A file system that makes inodes as they are needed counts none.
    let files = if disk.f_files == 0 { u64::MAX } else { disk.f_favail };
    Some((disk.f_bavail.saturating_mul(disk.f_frsize), files))
}

impl Thresholds {
    /// What there is too little of, as part of a sentence; `folder` names the disk.
    pub fn shortage(&self, now: &Readings, folder: &Path) -> Option<String> {
        let folder = folder.display();
        let load = now.load / now.processors.max(1) as f32;
        if now.disk_available < self.disk_bytes {
            let (free, needed) = (gib(now.disk_available), gib(self.disk_bytes));
            Some(format!("{free} GiB free on the disk of {folder}, {needed} needed"))
        } else if now.files_available < self.files {
            let (free, needed) = (now.files_available, self.files);
            Some(format!("{free} files can still be made on the disk of {folder}, {needed} needed"))
        } else if now.memory_available < self.memory_bytes {
            let (free, needed) = (gib(now.memory_available), gib(self.memory_bytes));
            Some(format!("{free} GiB of memory available, {needed} needed"))
        } else if self.load_per_processor > 0.0 && load > self.load_per_processor {
            let (load, processors, most) = (now.load, now.processors, self.load_per_processor);
            Some(format!("the load is {load:.1} on {processors} processors, at most {most:.1} on each"))
        } else {
            None
        }
    }
}

/// With a digit behind the point, never rounded up: what is not enough must not look like enough.
fn gib(bytes: u64) -> String {
    let tenths = (u128::from(bytes) * 10) >> 30;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: Readings = Readings {
        load: 0.1,
        processors: 4,
        memory_available: u64::MAX,
        disk_available: u64::MAX,
        files_available: u64::MAX,
    };

    fn shortage(now: Readings) -> Option<String> {
        Thresholds::default().shortage(&now, Path::new("/d"))
    }

    #[test]
    fn each_thing_that_is_short_is_named_with_what_there_is_and_what_is_needed() {
        assert_eq!(shortage(PLENTY), None);
        for (now, said) in [
            (Readings { disk_available: (2 << 30) - 1, ..PLENTY }, "1.9 GiB free on the disk of /d, 2.0 needed"),
            (
                Readings { files_available: 49_999, ..PLENTY },
                "49999 files can still be made on the disk of /d, 50000 needed",
            ),
            (Readings { memory_available: 500 << 20, ..PLENTY }, "0.4 GiB of memory available, 0.5 needed"),
            (Readings { load: 16.2, ..PLENTY }, "the load is 16.2 on 4 processors, at most 4.0 on each"),
        ] {
            assert_eq!(shortage(now).as_deref(), Some(said));
        }
        assert_eq!(shortage(Readings { load: 16.0, ..PLENTY }), None);
    }

    #[test]
    fn a_threshold_of_nothing_is_never_reached() {
        let none = Thresholds { load_per_processor: 0.0, memory_bytes: 0, disk_bytes: 0, files: 0 };
        let now = Readings { load: 900.0, processors: 1, memory_available: 0, disk_available: 0, files_available: 0 };
        assert_eq!(none.shortage(&now, Path::new("/d")), None);
    }

    #[test]
    fn the_system_is_read_as_it_speaks() {
        assert_eq!(load("0.52 0.58 0.59 1/467 12345\n"), Some(0.52));
        assert_eq!(memory("MemTotal: 100 kB\nMemAvailable:   3 kB\n"), Some(3072));
        let here = Readings::take(Path::new("/proc"));
        assert!(here.memory_available < u64::MAX && here.disk_available == 0, "{here:?}");
        let nowhere = Readings::take(Path::new("/there/is/no/such/folder"));
        assert_eq!(nowhere.disk_available, u64::MAX);
    }
}
