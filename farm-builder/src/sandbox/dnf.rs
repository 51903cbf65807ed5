//! Calls of dnf and rpm, which are the host's and see a chroot in the scene.

use std::{
    io::{BufRead, BufReader, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context as _;

use super::{
    Dnf,
    commands::{Confined, code, list, on_scene, run, show_proc},
    removal::remove,
    scene::Scene,
};

/// Where rpm's database lies while a base tree is made; `prepare.sh` moves it to where the platform's own rpm looks for it.
pub const FIRST_RPMDB: &str = "/usr/lib/sysimage/rpm";

/// dnf 4 compares each package, fetched or from a folder of this host, with the checksum in its repository's metadata, and checks
/// signatures where the recipe says so. After that rpm needs not digest it, and each of its files, again: that takes a third
/// of the processor time.
const ONCE: &str = "--setopt=tsflags=nodocs,nocrypto";

/// The longest plan.
const PLAN_LINES: usize = 100_000;

/// The line after the last of a plan.
const END: &str = "\"end\"";

/// One package that dnf would install or remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Everything that is known of it, as a line of JSON: name, checksum, repository, and where that is.
    pub text: String,
    /// The id of its repository; `None` if it would be removed.
    pub repository: Option<String>,
}

/// What dnf would do, sorted; its own words for it are in `plan.py`.
pub type Plan = Vec<Planned>;

/// What came of a call that told its plan.
pub struct Outcome {
    /// dnf's status.
    pub exit: i32,
    /// What it was about to do; `None` if it did not tell.
    pub plan: Option<Plan>,
    /// Whether it was let go on.
    pub went_on: bool,
}

/// A call of dnf for the chroot in the scene.
pub struct Call<'a> {
    pub scene: &'a Scene,
    pub dnf: &'a Dnf,
    /// Where rpm's database is in the chroot.
    pub rpmdb: &'a str,
}

impl Call<'_> {
    /// Calls dnf and answers its status; with the network of the host, or none.
    pub fn run(&self, network: bool, verb: &[&str], packages: &[PathBuf]) -> anyhow::Result<i32> {
        run(&mut *self.command(network, &[], verb, packages)?)
    }

    /// Two calls where the network is needed: scriptlets of packages run in the second, which has none.
    pub fn install(&self, packages: &[PathBuf]) -> anyhow::Result<i32> {
        if self.dnf.network {
            let exit = self.run(true, &["--quiet", "--downloadonly", "install"], packages)?;
            if exit != 0 {
                return Ok(exit);
            }
        }
        self.run(false, &["install"], packages)
    }

    /// Calls dnf, and lets `goes_on` see what it is about to do; if that says no, dnf ends well and nothing was done. A dnf that cannot
    /// say what it is about to do, as dnf 5, does it without asking.
    pub fn run_planned(
        &self,
        network: bool,
        verb: &[&str],
        packages: &[PathBuf],
        goes_on: impl FnOnce(&Plan) -> bool,
    ) -> anyhow::Result<Outcome> {
        if !is_dnf4() {
            return Ok(Outcome { exit: self.run(network, verb, packages)?, plan: None, went_on: true });
        }
        self.scene.write("plugins/plan.py", include_str!("plan.py"))?;
        let plugins = self.scene.path("plugins");
        let plugins = format!("--setopt=pluginpath={}", plugins.display());
        let mut command = self.command(network, &["--setopt=plugins=1", &plugins], verb, packages)?;
        let (ours, theirs) = UnixStream::pair()?;
        let mut child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().context("cannot start bwrap")?;
        // The command holds the other end, too.
        drop(command);
        let plan = read_plan(&ours)?;
        let went_on = plan.as_ref().is_none_or(goes_on);
        if plan.is_some() {
            (&ours).write_all(if went_on { b"go\n" } else { b"no\n" }).context("cannot answer dnf")?;
        }
        drop(ours);
        let exit = code(child.wait()?);
        anyhow::ensure!(exit != 0 || plan.is_some(), "dnf ended well and did not say what it did");
        Ok(Outcome { exit, plan, went_on })
    }

    /// Takes our own package out of the database of a chroot, if there is one, and lists what is there then: names and digests.
    pub fn list(&self, ours: Option<&str>) -> anyhow::Result<Vec<String>> {
        const SCRIPT: &str =
            "[ -z \"$2\" ] || rpm --root \"$1\" -e --justdb --nodeps --noscripts --notriggers \"$2\" || exit 1
            exec rpm --root \"$1\" -qa --qf '%{NEVRA}\\t%{SHA256HEADER}\\n'";
        self.write_macros()?;
        let mut command = on_scene(false, &[])?;
        command
            .args(["--", "/bin/sh", "-c", SCRIPT, "rpm"])
            .arg(self.scene.path("chroot"))
            .arg(ours.unwrap_or_default());
        let (status, text) = list(&mut command)?;
        anyhow::ensure!(status.success(), "rpm cannot list what is in the chroot; the log says why");
        let text = String::from_utf8(text).context("rpm lists names that are not UTF-8")?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        Ok(lines)
    }

    fn command(
        &self,
        network: bool,
        options: &[&str],
        verb: &[&str],
        packages: &[PathBuf],
    ) -> anyhow::Result<Confined> {
        let config = self.scene.write("dnf.conf", &self.dnf.config)?;
        self.write_macros()?;
        let root = self.scene.path("chroot");
        let mut command = on_scene(network, &self.dnf.folders)?;
        command.arg("--dev").arg(root.join("dev"));
        show_proc(&mut command, &root.join("proc"))?;
        // dnf looks for its cache beneath the chroot, wherever it is told that it is.
        command.arg("--bind").arg(self.scene.path("cache")).arg(root.join("var/cache/dnf"));
        command.args(["--", "dnf", "--assumeyes", "--releasever=0", "-c"]).arg(config).args(options);
        if is_dnf4() {
            command.arg(ONCE);
        }
        command.arg("--installroot").arg(root).args(verb).args(packages);
        Ok(command)
    }

    fn write_macros(&self) -> anyhow::Result<()> {
        // The kernel's file systems stand in the chroot while dnf works, and rpm must not try to make them belong to root.
        let mut macros = format!("%_dbpath {}\n%_netsharedpath /proc:/dev:/sys\n", self.rpmdb);
        if is_dnf4() {
            macros.push_str("%_pkgverify_level none\n");
        }
        self.scene.write("home/.rpmmacros", &macros).map(drop)
    }
}

/// Whether the host's dnf is the one that our plugin is for: dnf 4 is a Python program, dnf 5 is not.
fn is_dnf4() -> bool {
    let mut start = [0; 2];
    let read = fs_err::File::open("/usr/bin/dnf").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start));
    read.is_ok() && &start == b"#!"
}

/// Reads a plan; `None` if dnf ended without one.
fn read_plan(socket: &UnixStream) -> anyhow::Result<Option<Plan>> {
    let mut plan = Plan::new();
    for line in BufReader::new(socket).lines().take(PLAN_LINES) {
        let line = line.context("cannot read what dnf is about to do")?;
        if line == END {
            return Ok(Some(plan));
        }
        plan.push(planned(line)?);
    }
    Ok(None)
}

/// What a line of a plan says.
fn planned(line: String) -> anyhow::Result<Planned> {
    let [sign, _, _, repository, _]: [String; 5] =
        serde_json::from_str(&line).context("dnf does not say what it is about to do as it was told to")?;
    let repository = match sign.as_str() {
        "+" => Some(repository),
        "-" => None,
        _ => anyhow::bail!("dnf is about to do something unknown to a package: {}", sign.escape_debug()),
    };
    Ok(Planned { text: line, repository })
}

/// Removes from a shared cache what dnf has kept of one build's own repository.
pub fn forget_results(cache: &Path) -> anyhow::Result<()> {
    for entry in fs_err::read_dir(cache)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"farm-results")) {
            remove(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Option<Plan>> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(text.as_bytes()).unwrap();
        drop(theirs);
        read_plan(&ours)
    }

    #[test]
    fn a_plan_is_whole_only_with_its_end() {
        let line = r#"["+", "make-0:4-1.x86_64", "sha256:1", "base", "file:///base"]"#;
        let plan = read(&format!("[\"-\", \"x\", \"\", \"\", \"\"]\n{line}\n\"end\"\n")).unwrap().unwrap();
        let repositories: Vec<_> = plan.iter().map(|planned| planned.repository.as_deref()).collect();
        assert_eq!(repositories, [None, Some("base")]);
        assert_eq!(plan[1].text, line);
        assert_eq!(read(&format!("{line}\n")).unwrap(), None);
    }

    #[test]
    fn a_name_that_pretends_to_be_more_lines_or_fields_is_no_plan() {
        for forged in
            ["end", "+make\tsha256:1\tbase\t", r#"["+", "make", "sha256:1", "base"]"#, r#"["*", "m", "s", "b", "o"]"#]
        {
            assert!(read(&format!("{forged}\n\"end\"\n")).is_err(), "{forged}");
        }
    }
}
