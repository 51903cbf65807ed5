//! Packages that want out.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use crate::{
    common::{Build, driver, shared_data},
    support::{Attack, lines, mark, nothing_is_left, small, spec},
};

#[tokio::test]
async fn no_right_comes_back_by_any_program() {
    let built = Attack::new("rights").run().await;
    built.packages();
    assert_eq!(lines(&built.log, "GOT"), [""; 0], "{}", built.log);
    let status = lines(&built.log, "CapInh:").concat();
    for part in [
        "CapPrm: 0000000000000000",
        "CapEff: 0000000000000000",
        "CapBnd: 0000000000000000",
        "NoNewPrivs: 1",
        "Seccomp: 2",
    ] {
        assert!(status.contains(part), "{part} in {status}\n{}", built.log);
    }
}

#[tokio::test]
async fn system_calls_that_no_build_needs_are_refused_however_they_are_called() {
    let attack = Attack::new("syscalls").limits(|limits| limits.disk_bytes = 1 << 30);
    let built = attack.run().await;
    built.packages();
    let refused = "Operation not permitted";
    let answer = |name: &str| {
        let line = built.log.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in\n{}", built.log))
    };
    for name in [
        "keyctl",
        "add_key",
        "request_key",
        "io_uring_setup",
        "userfaultfd",
        "perf_event_open",
        "setns",
        "quotactl",
        "fspick",
        "open_by_handle_at",
        "bpf",
        "mount",
        "umount2",
        "pivot_root",
        "clock_settime",
        "kexec_load",
        "swapon",
        "reboot",
        "unshare",
        "clone",
    ] {
        assert_eq!(answer(name), refused, "{name}");
    }
    assert_eq!(answer("clone3"), "Function not implemented");
    for name in ["getppid", "ptrace"] {
        assert_eq!(answer(name), "done", "{name}");
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(answer("x32"), "Function not implemented");
        assert_eq!(answer("old getpid"), "done");
        for name in ["old keyctl", "old unshare", "old bpf"] {
            assert_eq!(answer(name), refused, "{name}");
        }
    }
}

#[tokio::test]
async fn nothing_of_the_host_is_to_be_seen() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut secrets = Vec::new();
    for name in ["builder.keytab", "builder.token", "krb5cc_0", "farm-builder.toml"] {
        let path = folder.path().join(name);
        fs::write(&path, "secret").unwrap();
        // Whoever may read it: a build has no way there.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        secrets.push(path.display().to_string());
    }
    let data = shared_data().display().to_string();
    secrets.extend(["/etc/shadow".to_owned(), "/etc/debian_version".to_owned(), format!("{data}/trees")]);
    let words = [("SECRETS", secrets.join(" ")), ("PROCESS", std::process::id().to_string())];
    let built = Attack::with("looker", &words.each_ref().map(|(word, value)| (*word, value.as_str()))).run().await;
    built.packages();
    // The chroot has a file of this name of its own.
    let saw: Vec<_> = lines(&built.log, "SAW").into_iter().filter(|line| !line.ends_with("/etc/shadow")).collect();
    assert_eq!(saw, [""; 0], "{}", built.log);
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    assert!(shadow.is_empty() || !built.log.contains(shadow.lines().next().unwrap()), "{}", built.log);
}

#[tokio::test]
async fn a_build_sees_nothing_of_the_one_in_the_next_slot() {
    let driver = driver(shared_data()).await;
    let mark = mark();
    let mut victim = Build::new("mini12", &[&spec("victim", &[("MARK", &mark)])]).limits(small);
    let id = victim.request.id.to_string();
    // The victim says so when it has everything; then the spy looks; then the victim is told to end.
    let (said, ready) = tokio::sync::oneshot::channel();
    victim.said = Some(said);
    let cancel = victim.cancel.clone();
    let spy = async {
        ready.await.unwrap();
        let built = Build::new("mini12", &[&spec("spy", &[("MARK", &mark)])]).limits(small).run(&driver).await;
        cancel.cancel();
        built
    };
    let both = async { tokio::join!(victim.run(&driver), spy) };
    let (_, spied) = tokio::time::timeout(Duration::from_secs(100), both).await.unwrap();
    spied.packages();
    assert!(spied.log.lines().any(|line| line == "looked"), "{}", spied.log);
    assert_eq!(lines(&spied.log, "SAW"), [""; 0], "{}", spied.log);
    nothing_is_left(&id, &mark);
}
