//! The driver itself.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use farm_api::record::{BuildRecord, Tool};
use farm_types::{Cause, Digest, PlatformName, Stage};
use sha2::{Digest as _, Sha256};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    attempt::{Attempt, ChrootName},
    caches::Caches,
    config::MockConfig,
    host::Host,
    isolation::Isolation,
};
use crate::{
    driver::{BuildOutcome, BuildReport, BuildRequest, BuiltFile, Driver, DriverError, EventSink},
    native::{
        failure::End,
        files::beside,
        locks::try_lock,
        record::{Chroots, Tools},
        watch::{Journal, Noted},
    },
};

/// What names the chroot of an attempt, in the attempt's folder: for whoever has to clean up after a builder that was killed.
const CHROOT: &str = "chroot.json";

/// Builds with mock.
#[derive(Debug)]
pub struct MockDriver {
    config: MockConfig,
    host: Host,
    /// Where builds have their folders.
    work: PathBuf,
    /// Where the configurations are that mock gets.
    configs: PathBuf,
    tools: Tools,
}

impl MockDriver {
    /// A driver that works in a folder, which is made if missing. Removes what an earlier life left there and with mock. An error
    /// says what this host lacks.
    pub async fn new(data: &Path, config: MockConfig) -> anyhow::Result<Self> {
        let problems = config.problems();
        ensure!(problems.is_empty(), "{}", problems.join("; "));
        let host = Host::find(&config).await?;
        Self::on(host, data, config).await
    }

    async fn on(host: Host, data: &Path, config: MockConfig) -> anyhow::Result<Self> {
        fs_err::create_dir_all(data)?;
        let data = fs_err::canonicalize(data)?;
        if let Some(user) = &host.user {
            let closed = data.ancestors().find(|path| !is_open(path));
            if let Some(closed) = closed {
                anyhow::bail!("{} cannot reach {}: chmod o+x {0}", user.name, closed.display());
            }
        }
        let driver =
            Self { config, host, work: data.join("mock"), configs: data.join("mock-configs"), tools: Tools::default() };
        for folder in [&driver.work, &driver.configs] {
            fs_err::create_dir_all(folder)?;
        }
        tracing::info!(
            version = driver.host.version,
            isolation = driver.host.isolation.word(),
            network_is_cut = driver.host.isolation.cuts_network(),
            "builds are made by mock"
        );
        driver.clean().await?;
        Ok(driver)
    }

    /// Which isolation its builds have.
    pub const fn isolation(&self) -> Isolation {
        self.host.isolation
    }

    /// mock's version.
    pub fn version(&self) -> &str {
        &self.host.version
    }

    /// Removes builds of which no living process holds the lock.
    async fn clean(&self) -> anyhow::Result<()> {
        for entry in fs_err::read_dir(&self.work)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "lock") {
                continue;
            }
            let folder = path.with_extension("");
            let Some(_lock) = try_lock(&path)? else { continue };
            if let Some(chroot) = read_chroot(&folder)
                && !tidy(&self.host, &chroot, &folder.join("console")).await
            {
                tracing::warn!(path = %folder.display(), "mock cannot clean what an earlier life left; it stays behind");
                continue;
            }
            remove(&folder)?;
            // Another builder on this host may have been quicker.
            let _ = fs_err::remove_file(&path);
            tracing::info!(path = %folder.display(), "removed what an earlier life left");
        }
        Ok(())
    }

    async fn attempt(
        &self,
        request: &BuildRequest,
        journal: &mut Journal,
        cancel: &CancellationToken,
        chroots: &mut Chroots,
    ) -> Result<Vec<BuiltFile>, End> {
        journal.stage(Stage::Chroot).await;
        let folder = self.work.join(request.id.as_str());
        let chroot = self
            .chroot(request)
            .map_err(|error| End::fault(journal, Cause::Chroot, format!("mock cannot build there: {error:#}")))?;
        let ready = || {
            let lock = try_lock(&beside(&folder, "lock"))?.ok_or_else(|| io::Error::other("another process has it"))?;
            fs_err::create_dir_all(&folder)?;
            fs_err::write(folder.join(CHROOT), serde_json::to_vec(&chroot)?)?;
            Ok::<_, io::Error>(lock)
        };
        let _lock = ready().map_err(|error| {
            let why = format!("cannot make the build's folder {}: {error}", folder.display());
            End::fault(journal, Cause::Internal, why)
        })?;
        let mut attempt = Attempt {
            host: &self.host,
            request,
            journal,
            cancel,
            folder: folder.clone(),
            asked: Some(AbortOnDropHandle::new(tokio::spawn(Caches::find(self.host.clone(), chroot.clone())))),
            known: Caches::default(),
            chroot,
            ends: None,
            is_unclean: false,
            repository: None,
            chroots: Chroots::default(),
        };
        let result = attempt.run().await;
        *chroots = std::mem::take(&mut attempt.chroots);
        if attempt.is_unclean {
            tracing::warn!(path = %folder.display(), "mock cannot clean its chroot; the next start tries again");
        } else if let Err(error) = remove(&folder) {
            tracing::warn!(%error, "a folder stays behind until the next start");
        } else {
            let _ = fs_err::remove_file(beside(&folder, "lock"));
        }
        result
    }

    /// Names the chroot of a build to mock.
    fn chroot(&self, request: &BuildRequest) -> anyhow::Result<ChrootName> {
        let extension: String = request
            .id
            .as_str()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' })
            .collect();
        let config = self.config_for(&request.platform.name)?;
        Ok(ChrootName { config, config_dir: self.config.config_dir.clone(), extension })
    }

    /// What to keep of an attempt, once it had a chroot. Its base is the configuration that mock made it by.
    async fn record(
        &self,
        mut chroots: Chroots,
        request: &BuildRequest,
        isolation: &crate::isolation::Isolation,
    ) -> Option<BuildRecord> {
        if !chroots.buildroots.is_empty() {
            let site = self.config.file_of(&request.platform.name);
            chroots.base = site.file_stem().map(|name| name.to_string_lossy().into_owned());
        }
        let mut record = chroots.record(request, Some(isolation), &self.tools).await?;
        record.tools.push(Tool { name: "mock".to_owned(), version: self.host.version.clone() });
        Some(record)
    }

    /// The configuration that mock gets: the site's, but without a network for builds. (For a build that may have one, an option says
    /// so.) It is named by its content and never written again, for a newer file makes mock forget the chroots that it has cached.
    fn config_for(&self, platform: &PlatformName) -> anyhow::Result<PathBuf> {
        let site = self.config.file_of(platform);
        ensure!(
            site.is_file(),
            "{platform} has no configuration of mock's: there is no {}. Add it, or say in [mock.configs] which one it has",
            site.display()
        );
        let text = format!(
            "include('{}')\nconfig_opts['rpmbuild_networking'] = False\nconfig_opts['use_host_resolv'] = False\n",
            site.display()
        );
        let digest = Digest::from_bytes(Sha256::digest(&text).into()).to_string();
        let name = format!("{platform}-{}.cfg", digest.get(..12).unwrap_or(&digest));
        let path = self.configs.join(name);
        if !path.exists() {
            let new = beside(&path, &format!("{}.new", uuid::Uuid::new_v4()));
            fs_err::write(&new, text)?;
            fs_err::set_permissions(&new, std::fs::Permissions::from_mode(0o644))?;
            fs_err::rename(&new, &path).context("cannot keep a configuration for mock")?;
        }
        Ok(path)
    }
}

/// Ends what runs in a chroot and removes it. False: mock failed at that.
pub async fn tidy(host: &Host, chroot: &ChrootName, console: &Path) -> bool {
    let mut is_clean = true;
    let orphans = (!host.isolation.own_processes).then_some("--orphanskill");
    for command in orphans.into_iter().chain(["--clean"]) {
        let mut arguments = chroot.options();
        arguments.push(command.into());
        match host.tidy(&arguments, console).await {
            Ok(true) => {}
            Ok(false) => is_clean = false,
            Err(error) => {
                tracing::warn!(%error, "mock cannot be started to clean up");
                is_clean = false;
            }
        }
    }
    is_clean
}

fn read_chroot(folder: &Path) -> Option<ChrootName> {
    serde_json::from_slice(&fs_err::read(folder.join(CHROOT)).ok()?).ok()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether everybody may go through a folder.
fn is_open(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|folder| folder.permissions().mode() & 0o001 != 0)
}

impl Driver for MockDriver {
    async fn build(
        &self,
        request: BuildRequest,
        events: EventSink,
        cancel: CancellationToken,
    ) -> Result<BuildReport, DriverError> {
        let mut journal = Journal::new(events, request.limits.log_bytes);
        self.tools.look();
        let isolation = self.host.isolation.record(request.uses_network());
        let mut chroots = Chroots::default();
        let outcome = match self.attempt(&request, &mut journal, &cancel, &mut chroots).await {
            Ok(packages) => BuildOutcome::Succeeded { packages },
            Err(End::Failed(failure)) => BuildOutcome::Failed(failure),
            Err(End::Cancelled) => BuildOutcome::Cancelled,
            Err(End::Fault(error)) => return Err(error),
        };
        let Noted { stages, marks, usage } = journal.finish();
        let record = self.record(chroots, &request, &isolation).await;
        Ok(BuildReport { outcome, stages, marks, usage, isolation: Some(isolation), record })
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        driver::{BuildEvent, BuildLimits},
        mock::isolation::Means,
    };

    /// It says who it is, and does not end when it is told to. Neither does what it has left to itself.
    const STUBBORN: &str = "Name: stubborn\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n\
        %build\ntrap '' TERM HUP INT\nsetsid sh -c 'trap \"\" TERM; while :; do sleep 1000; done' &\n\
        echo ready\nwhile :; do sleep 1000 || :; done\n%files\n";

    fn request(folder: &Path) -> BuildRequest {
        let spec = folder.join("stubborn.spec");
        fs_err::write(&spec, STUBBORN).unwrap();
        let mut pack = Command::new("rpmbuild");
        pack.args(["-bs", "--nodeps", "--define"]).arg(format!("_topdir {}", folder.display())).arg(&spec);
        assert!(pack.output().expect("rpmbuild is not installed: run deploy/setup").status.success());
        let recipe = "name = 'm-x86_64'\nrelease = 'm'\narch = 'x86_64'\nbase = ['bash']\nrepository = []";
        fs_err::create_dir(folder.join("results")).unwrap();
        BuildRequest {
            id: "alone-1".parse().unwrap(),
            platform: toml::from_str(recipe).unwrap(),
            sources: vec![folder.join("SRPMS/stubborn-1-1.src.rpm")],
            results: folder.join("results"),
            limits: BuildLimits { timeout: Duration::from_secs(600), ..BuildLimits::default() },
            network: false,
            like: None,
            options: Default::default(),
            repositories: Vec::new(),
            predecessors: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// How many processes belong to the chroots of a folder, as the stand-in for mock marks them.
    fn inside(roots: &Path) -> usize {
        let mark = format!("CHROOT={}", roots.display()).into_bytes();
        let has_mark = |text: Vec<u8>| text.windows(mark.len()).any(|part| part == mark);
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes.filter(|process| std::fs::read(process.path().join("environ")).is_ok_and(has_mark)).count()
    }

    #[tokio::test]
    async fn without_a_process_namespace_mock_itself_ends_what_its_builds_leave() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, roots) = (dir.path(), dir.path().join("roots"));
        fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let text = format!("config_opts['root'] = 'm'\nconfig_opts['basedir'] = '{}'\n", roots.display());
        fs_err::write(folder.join("m-x86_64.cfg"), text).unwrap();
        let config = MockConfig { config_dir: folder.to_owned(), ..MockConfig::default() };
        let isolation = Isolation { means: Means::Simple, own_processes: false };
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        let user = nix::unistd::geteuid().is_root().then(|| super::super::host::Account {
            name: nobody.name,
            uid: nobody.uid.as_raw(),
            gid: nobody.gid.as_raw(),
        });
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mock/stand-in");
        let host = Host { program, version: "6.7".to_owned(), isolation, user };
        let driver = MockDriver::on(host, &folder.join("data"), config).await.unwrap();

        let (events, mut listener) = mpsc::channel(64);
        let cancel = CancellationToken::new();
        let listen = async {
            let mut log = Vec::new();
            while let Some(event) = listener.recv().await {
                let BuildEvent::Log(bytes) = event else { continue };
                log.extend_from_slice(&bytes);
                if !cancel.is_cancelled() && log.windows(7).any(|part| part == b"\nready\n") {
                    assert!(inside(&roots) >= 2);
                    cancel.cancel();
                }
            }
            String::from_utf8_lossy(&log).into_owned()
        };
        let (report, log) = tokio::join!(driver.build(request(folder), events, cancel.clone()), listen);
        assert_eq!(report.unwrap().outcome, BuildOutcome::Cancelled, "{log}");
        assert!(log.contains("processes: those of the host are NOT hidden"), "{log}");
        assert_eq!(inside(&roots), 0);
        assert_eq!(fs_err::read_dir(&roots).unwrap().count() + fs_err::read_dir(&driver.work).unwrap().count(), 0);
    }
}
