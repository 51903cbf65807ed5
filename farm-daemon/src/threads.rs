//! Whether this process has a second thread yet.

/// Whether the calling thread is the only one. Only then may a process fork or change its environment. Where the system
/// does not tell, it is taken for no.
pub(crate) fn is_single() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}
