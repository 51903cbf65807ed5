//! Room on the builder's disk. A task that is taken without any is an attempt spoilt, and three of those end it.

use std::{path::Path, time::Duration};

use farm_daemon::CancellationToken;

/// Less than this holds no sources, no log and no results.
const NEEDED: u64 = 256 << 20;

/// How often to look again.
const PAUSE: Duration = Duration::from_secs(5);

/// Waits until there is room where `folder` is. False: the daemon is to end.
pub async fn wait_for_room(folder: &Path, shutdown: &CancellationToken) -> bool {
    let mut told = false;
    while let Some(available) = shortage(folder) {
        if !told {
            let (folder, available) = (folder.display(), available >> 20);
            tracing::error!("no tasks are claimed: the disk of {folder} has {available} MiB left; make room there");
            told = true;
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return false;
        }
    }
    if told {
        tracing::info!("there is room on the disk of {} again", folder.display());
    }
    true
}

/// How little is left, if it is too little. A disk that does not say is taken to have room.
fn shortage(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let available = disk.f_bavail.saturating_mul(disk.f_frsize);
    (available < NEEDED).then_some(available)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_room_is_seen() {
        assert_eq!(shortage(Path::new("/proc")), Some(0));
        assert_eq!(shortage(Path::new("/there/is/no/such/folder")), None);
    }

    #[tokio::test]
    async fn who_waits_for_room_ends_when_told_to() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        assert!(!wait_for_room(Path::new("/proc"), &shutdown).await);
    }
}
