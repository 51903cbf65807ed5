//! What a build sees of the world: nothing but its chroot.

mod common;

use std::{collections::BTreeSet, net::TcpListener, time::Duration};

use common::{Build, driver, script, shared_data};
use farm_builder::native::ScratchPlace;

#[tokio::test]
async fn a_build_has_a_loopback_of_its_own_and_no_network() {
    // Another port on the host's loopback; reached through the host's network, it would answer.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let build = format!(
        "echo interfaces: $(tail -n +3 /proc/net/dev | cut -d: -f1)
         (echo > /dev/tcp/127.0.0.1/{port}) 2>&1 && echo REACHED THE HOST
         perl -e 'use Socket; socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(0, INADDR_LOOPBACK)) && listen(S, 1) \
            && socket(C, PF_INET, SOCK_STREAM, 0) && connect(C, getsockname(S)) && print \"the loopback is up\\n\"'"
    );
    let built = Build::new("mini12", &[&script(&[("BUILD", &build)])]).run(&driver(shared_data()).await).await;
    built.packages();
    assert!(built.log.contains("interfaces: lo\n"), "{}", built.log);
    assert!(built.log.contains("the loopback is up\n"), "{}", built.log);
    assert!(!built.log.lines().any(|line| line == "REACHED THE HOST"), "{}", built.log);
}

/// What a build that looks for the network finds: on a loopback of its own, or on the host's, where somebody listens.
fn looks_around(port: u16) -> String {
    let look = format!(
        "echo interfaces: $(tail -n +3 /proc/net/dev | cut -d: -f1)
         (echo > /dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo REACHED THE HOST
         echo resolver: $(cat /etc/resolv.conf | sha256sum)
         echo hosts: $(cat /etc/hosts | sha256sum)
         echo rights: $(grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status)"
    );
    script(&[("PREP", &look), ("BUILD", &look)])
}

/// The lines of a log that begin so, as a set.
fn lines<'a>(log: &'a str, start: &str) -> BTreeSet<&'a str> {
    log.lines().filter(|line| line.starts_with(start)).collect()
}

async fn looking_around(network: bool, platform: bool, port: u16) -> String {
    let mut build = Build::new("mini12", &[&looks_around(port)]);
    (build.request.network, build.request.platform.network) = (network, platform);
    let built = build.run(&driver(shared_data()).await).await;
    built.packages();
    built.log
}

#[tokio::test]
async fn a_build_that_may_use_the_network_has_that_of_the_host_and_no_other_right_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let log = looking_around(true, true, listener.local_addr().unwrap().port()).await;
    assert_eq!(log.lines().filter(|line| *line == "REACHED THE HOST").count(), 2, "{log}");
    let devices = std::fs::read_to_string("/proc/net/dev").unwrap();
    let devices: Vec<_> = devices.lines().skip(2).map(|line| line.split(':').next().unwrap().trim()).collect();
    assert_eq!(lines(&log, "interfaces:"), BTreeSet::from([&*format!("interfaces: {}", devices.join(" "))]));
    for (line, file) in [("resolver:", "/etc/resolv.conf"), ("hosts:", "/etc/hosts")] {
        let text = std::fs::read(file).unwrap();
        let expected = format!("{line} {} -", hex(&text));
        assert_eq!(lines(&log, line), BTreeSet::from([&*expected]), "{log}");
    }
    let rights = "rights: CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1";
    assert_eq!(lines(&log, "rights:"), BTreeSet::from([rights]));
    assert!(log.lines().any(|line| line == "[farm] this build has the network of the host"), "{log}");
}

#[tokio::test]
async fn a_build_has_no_network_unless_both_the_job_and_the_platform_are_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for (network, platform) in [(false, false), (false, true), (true, false)] {
        let log = looking_around(network, platform, port).await;
        assert!(!log.lines().any(|line| line == "REACHED THE HOST"), "{log}");
        assert_eq!(lines(&log, "interfaces:"), BTreeSet::from(["interfaces: lo"]), "{log}");
        let told = log.lines().any(|line| line == "[farm] the platform lets no build use the network any more");
        assert_eq!(told, network, "{log}");
    }
}

fn hex(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_build_sees_no_file_process_device_or_environment_of_the_host() {
    let secret = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    std::fs::write(secret.path(), "secret").unwrap();
    let build = format!(
        "cat {} /etc/shadow /proc/1/root{} && echo READ IT
         test -e /etc/debian_version && echo SAW IT
         echo processes: $(ls /proc | grep -c '^[0-9]')
         echo devices: $(ls /dev)
         echo environment: $(env -0 | tr '\\0' '\\n' | cut -d= -f1 | sort)
         echo ids: $(id -u) $(id -g)
         echo rights: $(grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status)
         echo open: $(ls /proc/self/fd)",
        secret.path().display(),
        secret.path().display(),
    );
    let built = Build::new("mini12", &[&script(&[("BUILD", &build)])]).run(&driver(shared_data()).await).await;
    built.packages();
    let line = |start: &str| {
        let found = built.log.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no {start} in\n{}", built.log)).to_owned()
    };
    assert!(!built.log.lines().any(|line| matches!(line, "READ IT" | "SAW IT" | "secret")), "{}", built.log);
    let processes: u32 = line("processes:").rsplit(' ').next().unwrap().parse().unwrap();
    assert!(processes < 12, "{processes}");
    assert!(!line("devices:").contains("vda") && !line("devices:").contains("kmsg"), "{}", line("devices:"));
    assert!(!line("environment:").contains("CARGO"), "{}", line("environment:"));
    assert_eq!(line("ids:"), "ids: 1000 1000");
    assert_eq!(line("rights:"), "rights: CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1");
    assert_eq!(line("open:").split_whitespace().count() - 1, 4, "{}", line("open:"));
}

#[tokio::test]
async fn a_build_gets_no_right_back() {
    let build = "unshare --user --map-root-user true && echo GOT A NAMESPACE
        mount -t tmpfs none /mnt && echo MOUNTED
        mknod x b 8 0 && echo MADE A DEVICE
        touch /usr/x /etc/x && echo WROTE
        chown 0 . && echo CHOWNED";
    let built = Build::new("mini13", &[&script(&[("BUILD", build)])]).run(&driver(shared_data()).await).await;
    built.packages();
    for word in ["GOT A NAMESPACE", "MOUNTED", "MADE A DEVICE", "WROTE", "CHOWNED"] {
        assert!(!built.log.lines().any(|line| line == word), "{word}\n{}", built.log);
    }
}

#[tokio::test]
async fn scriptlets_of_required_packages_have_no_right_on_the_host_and_no_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let post = format!(
        "%post\n(echo > /dev/tcp/127.0.0.1/{port}) && echo > /usr/share/script/reached\n\
         mknod /usr/share/script/device b 8 0\nls /etc/debian_version && echo > /usr/share/script/saw\n\
         cat /proc/self/uid_map > /usr/share/script/map\n:\n"
    );
    let evil = script(&[("SECTIONS", &post)]);
    let victim =
        script(&[("PREAMBLE", "BuildRequires: script"), ("BUILD", "ls /usr/share/script; cat /usr/share/script/map")])
            .replace("Name: script", "Name: victim")
            .replace("/usr/share/script\n", "/usr/share/victim\n")
            .replace("%{buildroot}/usr/share/script", "%{buildroot}/usr/share/victim");
    let built = Build::new("mini12", &[&evil, &victim]).run(&driver(shared_data()).await).await;
    built.packages();
    let listing: Vec<_> =
        built.log.lines().skip_while(|line| *line != "+ ls /usr/share/script").skip(1).take(2).collect();
    assert_eq!(listing, ["file", "map"], "{}", built.log);
    let map = built.log.lines().skip_while(|line| *line != "+ cat /usr/share/script/map").nth(1).unwrap();
    let outer = map.split_whitespace().nth(1).unwrap();
    assert!(outer != "0" || !nix::unistd::geteuid().is_root(), "{map}");
}

#[tokio::test]
async fn two_builds_on_one_base_do_not_see_each_other() {
    let driver = driver(shared_data()).await;
    let build =
        "test ! -e /builddir/mark && touch /builddir/mark && sleep 0.5 && test $(ls /builddir/mark | wc -l) = 1";
    let spec = script(&[("BUILD", build)]);
    let [one, two] = [Build::new("mini12", &[&spec]), Build::new("mini12", &[&spec])];
    let (one, two) =
        tokio::time::timeout(Duration::from_secs(120), async { tokio::join!(one.run(&driver), two.run(&driver)) })
            .await
            .unwrap();
    assert_eq!(one.packages().len(), 2);
    assert_eq!(two.packages().len(), 2);
}

#[tokio::test]
async fn every_step_of_a_build_writes_into_the_memory_that_it_may_have() {
    let driver = driver(shared_data()).await.with_scratch(ScratchPlace::Memory);
    let room = "df --output=size -B1 /builddir | sed s/^/room:/ >&2";
    let spec = script(&[("PREAMBLE", &format!("%global seen %({room}; echo 1)")), ("BUILD", room)]);
    // The first step of a build has a helper that was started before there was that memory; if not this one's, the next one's.
    for _ in 0..3 {
        let build = Build::new("mini12", &[&spec]).limits(|limits| limits.disk_bytes = 256 << 20);
        let built = build.run(&driver).await;
        built.packages();
        let rooms = built.log.lines().filter_map(|line| line.strip_prefix("room:"));
        let rooms: Vec<_> = rooms.map(str::trim).filter(|room| room.parse::<u64>().is_ok()).collect();
        assert!(rooms.len() > 2 && rooms.iter().all(|room| *room == "268435456"), "{rooms:?}\n{}", built.log);
    }
}
