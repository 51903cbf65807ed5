//! Which isolation a build under mock really has.
//!
//! Under mock's simple isolation nothing cuts the network: `rpmbuild_networking = False` acts under systemd-nspawn alone, and a build
//! was seen to reach a port of its host. Neither kind limits memory, processes or disk.

use crate::isolation::{self as record, Guard};

/// What isolates builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// systemd-nspawn.
    Nspawn,
    /// A chroot, by mock.
    Simple,
}

/// Which isolation builds have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isolation {
    /// What isolates builds.
    pub means: Means,
    /// Whether mock runs in a process namespace that the driver made, so that a build sees no process of the host and none outlives
    /// its build.
    pub own_processes: bool,
}

impl Isolation {
    /// Whether a build that is to have no network has none.
    pub const fn cuts_network(self) -> bool {
        matches!(self.means, Means::Nspawn)
    }

    /// As mock calls it.
    pub const fn word(self) -> &'static str {
        match self.means {
            Means::Nspawn => "nspawn",
            Means::Simple => "simple",
        }
    }

    /// The same for the attempt's record; `network` if the build was granted one.
    pub fn record(self, network: bool) -> record::Isolation {
        let namespaces: &[&str] = match (self.means, network) {
            (Means::Nspawn, true) => &["mount", "pid", "ipc", "uts"],
            (Means::Nspawn, false) => &["mount", "pid", "ipc", "uts", "net"],
            (Means::Simple, _) if self.own_processes => &["mount", "pid"],
            (Means::Simple, _) => &["mount"],
        };
        record::Isolation {
            memory: Guard::Nothing,
            processes: Guard::Nothing,
            cpu: Guard::Nothing,
            disk: Guard::Nothing,
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
            seccomp: matches!(self.means, Means::Nspawn),
            lacks: self.lines(network).into_iter().filter(|line| line.contains("NOT")).collect(),
        }
    }

    /// What to say of it in the log of a build; `network` if the build was granted one.
    pub fn lines(self, network: bool) -> Vec<String> {
        let net = match (network, self.cuts_network()) {
            (true, _) => "that of the host, as the job asked",
            (false, true) => "cut",
            (false, false) => "NOT cut (mock's simple isolation)",
        };
        let processes = match (self.means, self.own_processes) {
            (Means::Nspawn, _) => "its own, by systemd-nspawn",
            (Means::Simple, true) => "its own namespace",
            (Means::Simple, false) => "those of the host are NOT hidden",
        };
        let rights = match self.means {
            Means::Nspawn => "those that systemd-nspawn leaves",
            Means::Simple => "NOT dropped for what runs as root in the chroot",
        };
        vec![
            format!("isolation: {}", self.word()),
            format!("network: {net}"),
            format!("processes: {processes}"),
            format!("capabilities: {rights}"),
            "scriptlets of packages run as root of this host, in the chroot".to_owned(),
            "NOT limited: memory, processes, CPU, disk; limited: time, silence, log, results".to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_true_is_said_of_the_network() {
        let simple = Isolation { means: Means::Simple, own_processes: true };
        let nspawn = Isolation { means: Means::Nspawn, own_processes: false };
        assert!(simple.lines(false).contains(&"network: NOT cut (mock's simple isolation)".to_owned()));
        assert!(nspawn.lines(false).contains(&"network: cut".to_owned()));
        assert!(nspawn.lines(true).iter().any(|line| line.starts_with("network: that of the host")));
    }
}
