//! What the programs of a step have used up.
//!
//! The helper is the first process of its process namespace, so whatever a program has left behind is waited for by it, or by the
//! first process of bubblewrap's namespace, which is in turn; and the kernel adds up what those who were waited for have used.

use farm_api::record::Usage;
use nix::{
    errno::Errno,
    sys::{
        resource::{UsageWho, getrusage},
        time::{TimeVal, TimeValLike},
        wait::wait,
    },
};

/// What all programs have used up, as far as the kernel tells. Waits for those that are about to end.
pub fn of_programs() -> Usage {
    // bubblewrap ends as soon as it is told how its program has, and leaves us the first process of its namespace.
    while matches!(wait(), Ok(_) | Err(Errno::EINTR)) {}
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
    let milliseconds = |time: TimeVal| u64::try_from(time.num_milliseconds()).unwrap_or_default();
    Usage {
        // In KiB, and of the largest process: the kernel does not add up what several hold at once.
        peak_memory_bytes: used.and_then(|used| u64::try_from(used.max_rss()).ok()).map(|kib| kib.saturating_mul(1024)),
        cpu_milliseconds: used.map(|used| milliseconds(used.user_time()) + milliseconds(used.system_time())),
        written_bytes: fs_err::read_to_string("/proc/self/io").ok().and_then(|text| written(&text)),
    }
}

/// What went to a disk, or would have, had it not been removed before.
fn written(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_that_went_to_the_disk_are_read() {
        assert_eq!(written("rchar: 9\nwchar: 8\nwrite_bytes: 4096\ncancelled_write_bytes: 1\n"), Some(4096));
        assert_eq!(written(""), None);
    }
}
