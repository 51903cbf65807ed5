//! Whether builds can be locked up here: tried as the builder does it, see farm-builder's `native/helper.rs` and `sandbox/`.

use std::{
    fs::Permissions,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::{Command, Stdio},
};

use farm_builder::native::IdMap;
use tempfile::TempDir;

use super::{
    finding::{Finding, Verdict},
    machine::Machine,
    programs::PATH,
    room::existing,
};

/// An overlay over folders of the data folder's file system; and what it leaves removed, as only this root can.
const OVERLAY: &str = "mkdir lower upper work \
    && mount -t overlay -o userxattr,volatile,lowerdir=lower,upperdir=upper,workdir=work overlay /sys \
    && touch /sys/file && umount /sys; status=$?; rm -rf lower upper work; exit $status";

/// The build user under bubblewrap.
const BUBBLEWRAP: &str = "exec setpriv --reuid 1000 --regid 1000 --clear-groups bwrap \
    --unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try --die-with-parent --new-session --clearenv \
    --unshare-user --uid 1000 --gid 1000 --disable-userns --unshare-net --cap-drop ALL \
    --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
    --proc /proc --dev /dev -- /usr/bin/true";

/// User namespaces, an overlay in one, bubblewrap in one.
pub(crate) fn check(machine: &Machine, data: &Path) -> Vec<Finding> {
    // Without ids there is nothing to try; another check says so.
    let Ok(ids) = IdMap::of_this_user() else {
        return vec![Finding::warning("user namespaces", "not tried: there are no subordinate ids to map")];
    };
    let folder = match scratch(data, ids.root) {
        Ok(folder) => folder,
        Err(error) => {
            return vec![Finding::wrong("user namespaces", format!("cannot write where the data is to be: {error}"))];
        }
    };
    let probe = |script| try_in_namespace(&ids, folder.path(), script);
    if let Err(why) = probe("true") {
        return vec![namespaces_refused(machine, &why, sysctl)];
    }
    vec![
        Finding::ok("user namespaces", "unshare makes them"),
        match probe(OVERLAY) {
            Ok(()) => Finding::ok("overlay", format!("can be mounted over {}", existing(data).display())),
            Err(why) => {
                let file_system = existing(data);
                Finding::wrong("overlay", format!("cannot be mounted over {}: {why}", file_system.display()))
                    .mend("choose a folder on ext4, xfs or btrfs with --data DIR; Linux 5.11 or newer is needed")
            }
        },
        match probe(BUBBLEWRAP) {
            Ok(()) => Finding::ok("bubblewrap", "locks up a build user without rights"),
            Err(why) => Finding { name: "bubblewrap".to_owned(), ..namespaces_refused(machine, &why, sysctl) },
        },
    ]
}

/// A folder beside the data that belongs to the namespace's root.
fn scratch(data: &Path, root: (u32, u32)) -> std::io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix(".farm-doctor-").tempdir_in(existing(data))?;
    fs_err::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    if nix::unistd::geteuid().is_root() {
        chown(folder.path(), Some(root.0), Some(root.1))?;
    }
    Ok(folder)
}

fn try_in_namespace(ids: &IdMap, folder: &Path, script: &str) -> Result<(), String> {
    let output = Command::new("unshare")
        .args(["--user", "--mount", "--propagation=private", "--pid", "--fork", "--mount-proc", "--ipc", "--uts"])
        .args(&ids.options)
        .args(["--", "/bin/sh", "-c", script])
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start unshare: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().last().map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()))
}

fn sysctl(name: &str) -> Option<String> {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    Some(fs_err::read_to_string(path).ok()?.trim().to_owned())
}

/// The setting that forbids it, if one does.
fn namespaces_refused(machine: &Machine, why: &str, read: impl Fn(&str) -> Option<String>) -> Finding {
    const SETTINGS: [(&str, &str, &str); 3] = [
        ("user.max_user_namespaces", "0", "15000"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ];
    let finding = Finding { verdict: Verdict::Wrong, ..Finding::ok("user namespaces", format!("do not work: {why}")) };
    match SETTINGS.iter().find(|(name, forbids, _)| read(name).as_deref() == Some(forbids)) {
        Some((name, forbids, allows)) => {
            let detail = format!("{}; the system forbids them, {name} is {forbids}", finding.detail);
            let keep =
                machine.as_root(&format!("sh -c 'echo {name}={allows} > /etc/sysctl.d/60-farm.conf; sysctl --system'"));
            Finding { detail, ..finding }.mend(keep)
        }
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::machine::Family, *};

    fn refused(settings: &'static [(&'static str, &'static str)]) -> Finding {
        let machine = Machine { family: Family::Debian, user: "root".to_owned(), uid: 0 };
        let read = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        namespaces_refused(&machine, "Operation not permitted", read)
    }

    #[test]
    fn the_setting_that_forbids_namespaces_is_named_and_mended_for_good() {
        let finding =
            refused(&[("user.max_user_namespaces", "63000"), ("kernel.apparmor_restrict_unprivileged_userns", "1")]);
        assert!(finding.detail.contains("apparmor"), "{}", finding.detail);
        let cure =
            "sh -c 'echo kernel.apparmor_restrict_unprivileged_userns=0 > /etc/sysctl.d/60-farm.conf; sysctl --system'";
        assert_eq!(finding.cure.as_deref(), Some(cure));
    }

    #[test]
    fn where_no_setting_is_to_blame_the_error_stands_alone() {
        let finding = refused(&[("user.max_user_namespaces", "63000")]);
        assert_eq!(finding.detail, "do not work: Operation not permitted");
        assert_eq!((finding.verdict, finding.cure), (Verdict::Wrong, None));
    }
}
