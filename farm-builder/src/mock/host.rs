//! What this host has of mock: the program, as whom it builds, and how it isolates.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use nix::unistd::{Group, User, getegid, geteuid, getgroups};
use tokio::process::Command;

use super::{
    config::{IsolationChoice, MockConfig},
    isolation::{Isolation, Means},
};

/// Where programs are looked for, and all that mock gets to know of it.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Whose orders mock takes.
const GROUP: &str = "mock";

/// What this host has of mock.
#[derive(Debug, Clone)]
pub struct Host {
    /// The program.
    pub program: PathBuf,
    /// What it says of itself.
    pub version: String,
    /// How it isolates builds.
    pub isolation: Isolation,
    /// As whom it builds, where the builder runs as root.
    pub user: Option<Account>,
}

/// A user of this host.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl Host {
    /// Looks at this host. An error says what it lacks and how that is mended.
    pub async fn find(config: &MockConfig) -> anyhow::Result<Self> {
        let means = means(config, nspawn_works())?;
        let user = user(config)?;
        let program = find_program(&config.program).with_context(|| {
            format!(
                "there is no {} on this host: install the package mock, or give its path as `program` in [mock]; or leave \
                 `driver = \"mock\"` out, for the native driver needs none",
                config.program.display()
            )
        })?;
        let mut host = Self {
            program,
            version: String::new(),
            isolation: Isolation { means, own_processes: means == Means::Simple && has_namespaces().await },
            user,
        };
        host.version = host.ask_version().await?;
        Ok(host)
    }

    async fn ask_version(&self) -> anyhow::Result<String> {
        let output = self.environment(Command::new(&self.program).arg("--version")).output().await;
        let output = output.with_context(|| format!("cannot run {}", self.program.display()))?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{} --version` fails: {}", self.program.display(), words.trim());
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        ensure!(
            version.starts_with(|c: char| c.is_ascii_digit()),
            "{} is not the mock that builds packages: its version is “{}”",
            self.program.display(),
            version.escape_debug()
        );
        Ok(version)
    }

    /// Gives a command the environment in which mock runs: nothing of the daemon's own.
    pub fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8").env("HOME", "/").current_dir("/");
        if let Some(user) = &self.user {
            // How mock learns who gives it orders, when root starts it.
            command
                .env("SUDO_UID", user.uid.to_string())
                .env("SUDO_GID", user.gid.to_string())
                .env("SUDO_USER", &user.name);
        }
        command
    }

    /// Makes a folder in which mock may write.
    pub fn folder_for_mock(&self, path: &Path) -> std::io::Result<()> {
        fs_err::create_dir_all(path)?;
        match &self.user {
            Some(user) => std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid)),
            None => Ok(()),
        }
    }
}

fn means(config: &MockConfig, nspawn_works: bool) -> anyhow::Result<Means> {
    let means = match config.isolation {
        IsolationChoice::Nspawn if !nspawn_works => bail!(
            "isolation = \"nspawn\" needs systemd-nspawn (of systemd-container) and a running systemd, and this host has not both"
        ),
        IsolationChoice::Nspawn => Means::Nspawn,
        IsolationChoice::Auto if nspawn_works => Means::Nspawn,
        IsolationChoice::Auto | IsolationChoice::Simple => Means::Simple,
    };
    ensure!(
        means == Means::Nspawn || config.allow_simple_isolation,
        "mock's simple isolation does not cut the network, and drops no capabilities: a build can reach whatever this host \
         reaches. Use the native driver, which isolates; or install systemd-container and run systemd, for isolation = \
         \"nspawn\"; or, where only trusted sources are built, say allow_simple_isolation = true in [mock]"
    );
    Ok(means)
}

/// Whether mock could use systemd-nspawn. It is asked here, and mock is never left to choose by itself, so that what is said of a
/// build's isolation is true.
fn nspawn_works() -> bool {
    Path::new("/run/systemd/system").is_dir() && find_program(Path::new("systemd-nspawn")).is_some()
}

/// Whether mock can be put into a process namespace of its own.
async fn has_namespaces() -> bool {
    if !geteuid().is_root() {
        return false;
    }
    let mut command = Command::new("unshare");
    command.args(super::process::NAMESPACE).args(["--", "true"]).env_clear().env("PATH", PATH);
    command.output().await.is_ok_and(|output| output.status.success())
}

fn find_program(program: &Path) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if program.components().count() > 1 {
        return Some(program.to_owned()).filter(is_program);
    }
    PATH.split(':').map(|folder| Path::new(folder).join(program)).find(is_program)
}

/// As whom mock builds. (It refuses to do so for root itself.)
fn user(config: &MockConfig) -> anyhow::Result<Option<Account>> {
    let group = Group::from_name(GROUP).ok().flatten();
    if !geteuid().is_root() {
        ensure!(config.user.is_none(), "[mock] user is for builders that run as root; this one builds as its own user");
        let is_member = group
            .is_some_and(|group| getegid() == group.gid || getgroups().is_ok_and(|groups| groups.contains(&group.gid)));
        ensure!(is_member, "mock takes orders from members of the group {GROUP} only: usermod -a -G {GROUP} USER");
        return Ok(None);
    }
    let member = || group.as_ref()?.mem.iter().find(|name| name.as_str() != "root").cloned();
    let Some(name) = config.user.clone().or_else(member) else {
        bail!(
            "mock builds nothing for root itself, and the group {GROUP} has no other member: useradd --system {GROUP}builder; \
             usermod -a -G {GROUP} {GROUP}builder; or say which user in [mock]"
        );
    };
    let user = User::from_name(&name)?.with_context(|| format!("there is no user {name}, which [mock] names"))?;
    ensure!(!user.uid.is_root(), "mock builds nothing for root itself: name another user in [mock]");
    let gid = group.map_or(user.gid, |group| group.gid);
    Ok(Some(Account { name, uid: user.uid.as_raw(), gid: gid.as_raw() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(isolation: IsolationChoice, allow: bool) -> MockConfig {
        MockConfig { isolation, allow_simple_isolation: allow, ..MockConfig::default() }
    }

    #[test]
    fn isolation_that_mock_does_not_give_is_not_pretended() {
        use IsolationChoice::{Auto, Nspawn, Simple};
        assert_eq!(means(&config(Auto, false), true).unwrap(), Means::Nspawn);
        assert_eq!(means(&config(Auto, true), false).unwrap(), Means::Simple);
        assert_eq!(means(&config(Simple, true), true).unwrap(), Means::Simple);
        for (choice, works) in [(Auto, false), (Simple, false), (Simple, true)] {
            let error = means(&config(choice, false), works).unwrap_err().to_string();
            assert!(error.contains("allow_simple_isolation = true"), "{error}");
        }
        assert!(means(&config(Nspawn, true), false).unwrap_err().to_string().contains("systemd-container"));
    }

    #[tokio::test]
    async fn a_host_without_mock_is_told_what_to_install() {
        let config = MockConfig {
            program: "/no/such/mock".into(),
            user: Some("nobody".to_owned()).filter(|_| geteuid().is_root()),
            ..config(IsolationChoice::Simple, true)
        };
        let error = Host::find(&config).await.unwrap_err().to_string();
        // An ordinary user is told first that it is no member of the group.
        assert!(error.contains("install the package mock") || !geteuid().is_root(), "{error}");
    }
}
