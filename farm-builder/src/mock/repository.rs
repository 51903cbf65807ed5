//! The repository of what an attempt has built so far, for the sources that follow.

use std::{io, path::Path, process::Stdio};

use tokio::process::Command;

use super::host::PATH;
use crate::{driver::BuiltFile, native::results};

/// Makes a repository of the packages in a new folder. A new one each time, since dnf remembers what it knows of a folder.
///
/// The packages come from builds, so what reads them sees nothing else of this host that it could change or tell.
pub async fn make(built: &[BuiltFile], folder: &Path) -> io::Result<()> {
    // Whoever mock's dnf runs as may read them; only the daemon may write.
    let owner = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    results::offer(built, folder, owner)?;
    let output = Command::new("bwrap")
        .args(["--unshare-all", "--die-with-parent", "--new-session"])
        .args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--bind"])
        .args([folder, folder])
        .args(["createrepo_c", "--quiet", "--no-database"])
        .arg(folder)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("createrepo_c fails ({}): {}", output.status, words.trim())))
}
