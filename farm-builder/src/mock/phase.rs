//! `state.log`: in which phase mock is.
//!
//! Lines are `YYYY-MM-DD HH:MM:SS,mmm - Start: PHASE` and `… - Finish: PHASE`, with `(bootstrap)` before the colon where a bootstrap
//! chroot is meant. A phase that fails may be finished or not, by version, so only beginnings count.

use farm_types::Stage;

/// How far mock has come with a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It makes its chroot, or waits for a lock that it needs for that.
    Chroot,
    /// It installs the source package, packs it again in the chroot, and installs what that needs.
    Setup,
    /// rpmbuild runs. Requirements that a spec generates are installed here, too.
    Rpmbuild,
}

impl Phase {
    /// The phase that begins with a line of `state.log`; `None` if it is the end of one, or one within another.
    pub fn begun_by(line: &str) -> Option<Self> {
        let text = line.split_once(" - ").map_or(line, |(_, text)| text);
        if text.starts_with("Start(bootstrap): ") {
            return Some(Self::Chroot);
        }
        let name = text.strip_prefix("Start: ")?;
        let begins = |word: &str| name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        if begins("chroot init") {
            Some(Self::Chroot)
        } else if begins("build phase for") || begins("build setup for") {
            Some(Self::Setup)
        } else if begins("rpmbuild") && !begins("rpmbuild -bs") {
            Some(Self::Rpmbuild)
        } else {
            None
        }
    }

    /// The stage that begins with it; those within rpmbuild begin with its scripts.
    pub const fn stage(self) -> Option<Stage> {
        match self {
            Self::Chroot => Some(Stage::Chroot),
            Self::Setup => Some(Stage::Source),
            Self::Rpmbuild => None,
        }
    }
}

/// Whether a line of `root.log` says that what the package needs is about to be installed.
pub fn installs_requirements(line: &str) -> bool {
    line.contains("Executing command: ") && line.contains("builddep")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_phases_are_recognised_and_nothing_else() {
        let at = "2026-11-26 01:30:00,123 - ";
        for (text, phase) in [
            ("Start: chroot init", Some(Phase::Chroot)),
            ("Start(bootstrap): chroot init", Some(Phase::Chroot)),
            ("Start: unpacking root cache", None),
            ("Start: build phase for x.src.rpm", Some(Phase::Setup)),
            ("Start: build setup for x.src.rpm", Some(Phase::Setup)),
            ("Start: rpmbuild x.src.rpm", Some(Phase::Rpmbuild)),
            ("Start: rpmbuild -bs", None),
            ("Finish: rpmbuild x.src.rpm", None),
            ("Start: clean chroot", None),
            ("Waiting for yum_cache lock", None),
        ] {
            assert_eq!(Phase::begun_by(&format!("{at}{text}")), phase, "{text}");
        }
    }

    #[test]
    fn the_installation_of_requirements_is_seen_in_the_root_log() {
        assert!(installs_requirements(
            "Executing command: ['/usr/bin/dnf-3', 'builddep', '--installroot', '/x/root/']"
        ));
        assert!(!installs_requirements("Executing command: ['/usr/bin/dnf-3', '--installroot', '/x/root/', 'update']"));
    }
}
