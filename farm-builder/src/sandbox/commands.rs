//! The programs that a step starts, each of them under bubblewrap.

use std::{
    fs::File,
    io::{self, Read as _},
    ops::{Deref, DerefMut},
    os::{
        fd::{AsFd, AsRawFd},
        unix::{
            fs::PermissionsExt as _,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::Context as _;

use super::{Bounds, Script, scene::Scene, seccomp};

/// Inside the chroots: the user that builds.
const BUILD_ID: u32 = 1000;

/// What dnf needs of the host: itself, and how to reach and trust a repository.
const HOST_FILES: [&str; 15] = [
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/rpm",
    "/etc/ssl",
    "/run/systemd/resolve",
];

/// What packages and their scriptlets need of root's rights to put files in place, in whose name they have to be.
const ROOT_RIGHTS: [&str; 10] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Bytes that dnf has for temporary files, in memory: half a gibibyte.
const TEMPORARY: &str = "536870912";

/// The longest list of what is installed: of twenty thousand packages. As a part of an answer it is six times as long at the most, see
/// `ANSWER_BYTES` in `native/helper.rs`.
const LIST_BYTES: u64 = 2 << 20;

/// What of /proc is about the host and not about the build.
const MASKED: [&str; 25] = [
    "acpi",
    "asound",
    "cmdline",
    "config.gz",
    "diskstats",
    "driver",
    "interrupts",
    "iomem",
    "ioports",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "latency_stats",
    "modules",
    "mtrr",
    "pagetypeinfo",
    "partitions",
    "sched_debug",
    "scsi",
    "slabinfo",
    "timer_list",
    "vmallocinfo",
    "zoneinfo",
];

/// A program under bubblewrap.
pub struct Confined {
    command: Command,
    /// Its filter of system calls, inherited by number: so it has to be open when the program is started.
    _filter: File,
}

impl Deref for Confined {
    type Target = Command;

    fn deref(&self) -> &Command {
        &self.command
    }
}

impl DerefMut for Confined {
    fn deref_mut(&mut self) -> &mut Command {
        &mut self.command
    }
}

/// A program under bubblewrap, still without what it sees. Its output goes to the log.
fn bubblewrap() -> anyhow::Result<Confined> {
    let filter = seccomp::filter()?;
    let mut command = Command::new("bwrap");
    command
        .args(["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"])
        .args(["--die-with-parent", "--new-session", "--hostname", "farm", "--clearenv"])
        .args(["--setenv", "PATH", "/usr/bin:/usr/sbin:/bin:/sbin", "--setenv", "LANG", "C.UTF-8"]);
    command.arg("--seccomp").arg(filter.as_raw_fd().to_string());
    to_log(&mut command)?;
    Ok(Confined { command, _filter: filter })
}

/// Leaves a program that is root of the namespace no right but those that packages need.
fn few_rights(command: &mut Command) {
    command.args(["--cap-drop", "ALL"]);
    for right in ROOT_RIGHTS {
        command.args(["--cap-add", right]);
    }
}

/// Shows a /proc of the program's own at `place`, without what it says about the host.
pub fn show_proc(command: &mut Command, place: &Path) -> anyhow::Result<()> {
    let (file, folder) = (Scene.write("nothing", "")?, Scene.path("empty"));
    super::scene::folder(&folder)?;
    command.arg("--proc").arg(place);
    for name in MASKED {
        let Ok(meta) = std::fs::symlink_metadata(Path::new("/proc").join(name)) else { continue };
        // What only root of the host may read needs no mount over it, which costs its time.
        if meta.permissions().mode() & 0o077 == 0 {
            continue;
        }
        command.arg("--ro-bind").arg(if meta.is_dir() { &folder } else { &file }).arg(place.join(name));
    }
    Ok(())
}

/// Lets everything a program says go to the log, and gives it nothing to read.
fn to_log(command: &mut Command) -> io::Result<()> {
    let log = io::stderr().as_fd().try_clone_to_owned()?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(())
}

/// One of [`Script`]s as the build user, who has no right at all, in a chroot; `network` as the host has it, or none.
pub fn build_user(
    root: &Path,
    script: Script,
    source: Option<&Path>,
    network: bool,
    bounds: &Bounds,
) -> anyhow::Result<Confined> {
    let mut command = bubblewrap()?;
    // bubblewrap maps its caller, so the caller must be the build user already: else "user 1000" inside is root outside.
    command.uid(BUILD_ID).gid(BUILD_ID);
    let id = BUILD_ID.to_string();
    command.args(["--unshare-user", "--uid", &id, "--gid", &id, "--disable-userns", "--cap-drop", "ALL"]);
    if !network {
        command.arg("--unshare-net");
    }
    command.arg("--bind").arg(root).arg("/");
    show_proc(&mut command, Path::new("/proc"))?;
    command.args(["--dev", "/dev"]);
    if let Some(bytes) = bounds.shm_bytes {
        command.args(["--size", &bytes.to_string()]);
    }
    // What lies in /dev itself would be a file system without bounds.
    command.args(["--tmpfs", "/dev/shm", "--remount-ro", "/dev"]);
    if let Some(source) = source {
        command.arg("--ro-bind").arg(source).arg("/builddir/source.src.rpm");
    }
    command.args(["--setenv", "HOME", "/builddir", "--setenv", "SHELL", "/bin/bash", "--setenv", "TERM", "dumb"]);
    command.args([
        "--chdir",
        "/builddir",
        "--",
        "/bin/bash",
        "-c",
        include_str!("build.sh"),
        "build.sh",
        script.name(),
    ]);
    Ok(command)
}

/// A shell script of ours as root of the chroot, without network.
pub fn chroot_root(root: &Path, script: &str) -> anyhow::Result<Confined> {
    let mut command = bubblewrap()?;
    few_rights(&mut command);
    command.arg("--unshare-net").arg("--bind").arg(root).arg("/");
    show_proc(&mut command, Path::new("/proc"))?;
    command.args(["--dev", "/dev", "--remount-ro", "/dev"]);
    command.args(["--setenv", "HOME", "/root", "--chdir", "/", "--", "/bin/bash", "-ec", script]);
    Ok(command)
}

/// A program of the host that sees the scene and little else; `network` as the host has it, or none.
pub fn on_scene(network: bool, folders: &[std::path::PathBuf]) -> anyhow::Result<Confined> {
    let mut command = bubblewrap()?;
    few_rights(&mut command);
    if !network {
        command.arg("--unshare-net");
    }
    command.args(["--ro-bind", "/usr", "/usr"]);
    for name in ["bin", "sbin", "lib", "lib32", "lib64"] {
        let path = Path::new("/").join(name);
        match std::fs::read_link(&path) {
            Ok(target) => command.arg("--symlink").arg(target).arg(&path),
            Err(_) => command.arg("--ro-bind-try").arg(&path).arg(&path),
        };
    }
    for path in HOST_FILES {
        command.args(["--ro-bind-try", path, path]);
    }
    for path in ["/tmp", "/var/tmp"] {
        command.args(["--size", TEMPORARY, "--tmpfs", path]);
    }
    // After these, since a repository may lie there.
    for folder in folders {
        command.arg("--ro-bind").arg(folder).arg(folder);
    }
    let home = Scene.path("home");
    show_proc(&mut command, Path::new("/proc"))?;
    command.args(["--dev", "/dev", "--remount-ro", "/dev"]);
    command.arg("--bind").arg(Scene.path("")).arg(Scene.path(""));
    command.arg("--setenv").arg("HOME").arg(home).args(["--chdir", "/"]);
    Ok(command)
}

/// Runs a program to its end. A program killed by signal n counts as ended with 128 + n, as shells have it.
pub fn run(command: &mut Command) -> anyhow::Result<i32> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {name}: is it installed?"))?;
    Ok(code(status))
}

/// Runs a program that lists what packages have made to its end; answers how that was and what it printed, if that is no list without end.
pub fn list(command: &mut Command) -> anyhow::Result<(ExitStatus, Vec<u8>)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start bwrap")?;
    let mut text = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(LIST_BYTES + 1).read_to_end(&mut text)?;
    }
    if text.len() as u64 > LIST_BYTES {
        child.kill()?;
        child.wait()?;
        anyhow::bail!("a list of what is installed has more than {LIST_BYTES} bytes");
    }
    Ok((child.wait()?, text))
}

/// How a program ended, as [`run`] answers it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// Removes a folder by `rm`, which gets along with trees of any depth.
pub fn rm(path: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("rm");
    command.args(["-rf", "--one-file-system", "--"]).arg(path);
    to_log(&mut command)?;
    let exit = run(&mut command)?;
    anyhow::ensure!(exit == 0, "cannot remove {}: rm ended with {exit}", path.display());
    Ok(())
}

/// Copies a folder to a new name.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    cp("-a", from, to)
}

/// The same, but its files are links to those that are there.
pub fn link(from: &Path, to: &Path) -> anyhow::Result<()> {
    cp("-al", from, to)
}

fn cp(how: &str, from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("cp");
    command.args([how, "--"]).arg(from).arg(to);
    to_log(&mut command)?;
    let exit = run(&mut command)?;
    anyhow::ensure!(exit == 0, "cannot copy {}: cp ended with {exit}", from.display());
    Ok(())
}

impl Script {
    /// Its name in `build.sh`.
    const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::FirstRequires => "requires",
            Self::MoreRequires => "more-requires",
            Self::Build => "build",
            Self::Probe => "probe",
        }
    }
}
