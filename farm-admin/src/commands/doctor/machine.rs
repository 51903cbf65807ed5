//! What kind of system this is, hence how its packages are installed.

use nix::unistd::{User, geteuid};

/// How packages are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Debian, Ubuntu and their like.
    Debian,
    /// Fedora, Enterprise Linux and their like.
    Fedora,
    /// Another one.
    Other,
}

/// This machine and the user who asks, who is taken for the one that runs the builder.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub family: Family,
    pub user: String,
    pub uid: u32,
}

impl Machine {
    /// The one we are on.
    pub(crate) fn this() -> Self {
        let uid = geteuid();
        let user = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
        let release = fs_err::read_to_string("/etc/os-release").unwrap_or_default();
        Self { family: family(&release), user, uid: uid.as_raw() }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// A command that needs root, as this user has to type it.
    pub(crate) fn as_root(&self, command: &str) -> String {
        if self.is_root() { command.to_owned() } else { format!("sudo {command}") }
    }

    /// The command that installs a package, by its name in each family.
    pub(crate) fn install(&self, debian: &str, fedora: &str) -> String {
        match self.family {
            Family::Debian => self.as_root(&format!("apt-get install {debian}")),
            Family::Fedora => self.as_root(&format!("dnf install {fedora}")),
            Family::Other => format!("install the package that Debian calls {debian} and Fedora {fedora}"),
        }
    }
}

/// From the text of os-release(5): its own name first, then those it is like.
fn family(os_release: &str) -> Family {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    let names = format!("{} {}", value("ID"), value("ID_LIKE"));
    let known = names.split_whitespace().find_map(|name| match name {
        "debian" | "ubuntu" => Some(Family::Debian),
        "fedora" | "rhel" | "centos" => Some(Family::Fedora),
        _ => None,
    });
    known.unwrap_or(Family::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(family: Family, uid: u32) -> Machine {
        Machine { family, user: "alice".to_owned(), uid }
    }

    #[test]
    fn the_family_is_that_of_os_release() {
        assert_eq!(family("NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n"), Family::Debian);
        assert_eq!(family("ID=pop\nID_LIKE=\"ubuntu debian\"\n"), Family::Debian);
        assert_eq!(family("ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\n"), Family::Fedora);
        assert_eq!(family("ID=arch\n"), Family::Other);
        assert_eq!(family(""), Family::Other);
    }

    #[test]
    fn the_command_is_the_familys_and_has_sudo_where_need_be() {
        assert_eq!(machine(Family::Debian, 0).install("uidmap", "shadow-utils"), "apt-get install uidmap");
        assert_eq!(machine(Family::Fedora, 1000).install("uidmap", "shadow-utils"), "sudo dnf install shadow-utils");
        let other = machine(Family::Other, 0).install("uidmap", "shadow-utils");
        assert_eq!(other, "install the package that Debian calls uidmap and Fedora shadow-utils");
    }
}
