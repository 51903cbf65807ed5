//! What it means that mock ended as it did.
//!
//! mock's own table has 10 for a package that does not build, but 1 is what comes: the status of rpmbuild is passed through. So the
//! phase decides first, then what the logs show, and the code last.

use farm_types::{Cause, Stage};

use super::phase::Phase;
use crate::native::{
    dependencies::{Refusal, refusal},
    failure::{End, MISSING_REQUIRES},
    watch::Journal,
};

/// Requirements that are named in a message.
const MOST_NAMES: usize = 20;

/// What mock says of a source before it does anything else.
const UNREADABLE: &str = "Cannot find/open srpm: ";

/// What it says when its clock strikes.
const EXPIRED: &str = "Timeout(";

/// How mock ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// Its exit code, not 0.
    pub code: i32,
    /// How far it had come.
    pub phase: Phase,
    /// Whether it was installing what the package needs.
    pub installing: bool,
    /// What it said last on its console.
    pub said: Option<String>,
    /// The platform.
    pub platform: &'a str,
    /// The file of its configuration.
    pub config: &'a str,
}

/// Whose fault it is, and which.
pub fn verdict(ended: &Ended<'_>, journal: &Journal) -> End {
    let farm = |cause, why: &str| End::fault(journal, cause, ended.sentence(why));
    match (ended.phase, ended.code) {
        (_, 2) => farm(Cause::Internal, "it was not started through its setuid wrapper; look at how it is installed"),
        (_, 3) => farm(Cause::Chroot, "its configuration is not valid; try it with mock --debug-config"),
        (_, 5) => farm(Cause::Internal, "it does not know an option that the farm gives it; a newer mock may"),
        (_, 6) => farm(Cause::Chroot, "this host cannot build for that architecture"),
        (_, 25 | 65) => farm(Cause::Chroot, "its LVM volumes cannot be used"),
        (_, 60) => farm(Cause::Chroot, "another mock has its chroot; find and end that one"),
        (_, 70) => farm(Cause::Internal, "it may not write into the builder's data folder"),
        (_, 80) => farm(Cause::Chroot, "it may not make namespaces; it needs the rights of root on this host"),
        (_, 90) => farm(Cause::Chroot, "its bootstrap chroot cannot be made"),
        (_, 129 | 130 | 137 | 141 | 143) => farm(Cause::Internal, "something else on this host ended it"),
        (Phase::Chroot, 1) if ended.said.as_deref().is_some_and(|said| said.starts_with(UNREADABLE)) => End::failed_in(
            journal,
            Cause::SourceInvalid,
            Stage::Source,
            "mock cannot read the header of the source package: it is damaged, or no package at all",
        ),
        (Phase::Chroot, _) => farm(Cause::Chroot, "the chroot cannot be made; root.log says why"),
        (_, 20) => farm(Cause::Chroot, "something is wrong with its chroot; root.log says what"),
        (_, 30 | 31) => requirements(ended, journal),
        // With 10, mock has missed a command of the package manager.
        (Phase::Setup, 1 | 10) if ended.installing => requirements(ended, journal),
        (Phase::Setup, 1 | 10 | 40) => {
            let why = journal.seen().first_telling().map(|line| format!(": {line}")).unwrap_or_default();
            End::failed(
                journal,
                Cause::SourceInvalid,
                format!("mock cannot unpack the source package or its spec{why}"),
            )
        }
        (Phase::Setup, _) => farm(Cause::Chroot, "the build could not begin; root.log says why"),
        (Phase::Rpmbuild, 40) => End::failed(journal, Cause::SourceInvalid, ended.sentence("the source is not valid")),
        // mock's own clock is set to strike after ours. Its code is rpmbuild's status for missing requirements.
        (Phase::Rpmbuild, 11) if ended.said.as_deref().is_some_and(|said| said.starts_with(EXPIRED)) => {
            End::failed(journal, Cause::Timeout, "rpmbuild took longer than mock was told that it may")
        }
        // Statuses of rpmbuild.
        (Phase::Rpmbuild, MISSING_REQUIRES) => End::of_rpmbuild(journal, MISSING_REQUIRES),
        (Phase::Rpmbuild, 1 | 10) => End::of_rpmbuild(journal, 1),
        // mock has lost count of its phases, as it does after some builds that fail.
        (Phase::Rpmbuild, 110) if journal.seen().failed.is_some() => End::of_rpmbuild(journal, 1),
        (Phase::Rpmbuild, _) => farm(Cause::Internal, "rpmbuild could not be run to its end; the log says why"),
    }
}

impl Ended<'_> {
    fn sentence(&self, why: &str) -> String {
        let said = self.said.as_deref().map(|said| format!("; it said: {said}")).unwrap_or_default();
        format!("mock ended with {} ({}): {why}{said}", self.code, self.config)
    }
}

/// The package manager did not install what the package needs: is it the package that asks for too much, or a repository that fails?
fn requirements(ended: &Ended<'_>, journal: &Journal) -> End {
    let names = missing(journal.seen().lines());
    if !names.is_empty() {
        return End::failed(
            journal,
            Cause::Dependencies,
            format!("{} cannot provide: {}", ended.platform, names.join(", ")),
        );
    }
    match refusal(journal.seen().lines()) {
        Refusal::Unsolvable(why) => End::failed(
            journal,
            Cause::Dependencies,
            format!("the BuildRequires cannot be installed together on {}: {why}", ended.platform),
        ),
        Refusal::Repository(why) => End::fault(journal, Cause::Chroot, format!("a repository cannot be used: {why}")),
        Refusal::Other(_) => {
            End::fault(journal, Cause::Chroot, ended.sentence("the BuildRequires could not be installed"))
        }
    }
}

/// What the package manager says that it cannot find, each once.
fn missing<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for line in lines {
        if let Some(name) = missing_in(line.trim())
            && !names.contains(&name)
            && names.len() < MOST_NAMES
        {
            names.push(name);
        }
    }
    names
}

fn missing_in(line: &str) -> Option<&str> {
    let after = |mark: &str| line.split_once(mark).map(|(_, rest)| rest.trim());
    let name = after("No matching package to install: ")
        .or_else(|| after("No match for argument: "))
        .or_else(|| after("nothing provides ").and_then(|rest| rest.split_once(" needed by ")).map(|(name, _)| name))?;
    let name = name.trim_matches('\'');
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    async fn judge(code: i32, phase: Phase, installing: bool, log: &str) -> End {
        let (events, mut listener) = mpsc::channel(64);
        let mut journal = Journal::new(events, 1 << 20);
        journal.begin(true);
        journal.take(log.to_owned().into()).await.unwrap();
        listener.close();
        let ended = Ended {
            code,
            phase,
            installing,
            said: Some("sorry".to_owned()),
            platform: "f13-x86_64",
            config: "/f13.cfg",
        };
        verdict(&ended, &journal)
    }

    async fn failed(code: i32, phase: Phase, installing: bool, log: &str) -> (Cause, String) {
        match judge(code, phase, installing, log).await {
            End::Failed(failure) => (failure.cause, failure.message),
            other => panic!("{code} in {phase:?}: {other:?}"),
        }
    }

    async fn fault(code: i32, phase: Phase, log: &str) -> (Cause, String) {
        match judge(code, phase, false, log).await {
            End::Fault(error) => (error.cause, error.message),
            other => panic!("{code} in {phase:?}: {other:?}"),
        }
    }

    #[tokio::test]
    async fn rpmbuilds_status_says_that_a_script_failed_and_the_log_says_which() {
        for (script, cause) in [("%build", Cause::Build), ("%check", Cause::Check), ("%prep", Cause::Prep)] {
            let log = format!(
                "Executing({script}): /bin/sh -e /var/tmp/rpm-tmp.x\nx.c:1: error: no\n\nRPM build errors:\n\
                 error: Bad exit status from /var/tmp/rpm-tmp.x ({script})\n"
            );
            for code in [1, 10, 110] {
                let (found, message) = failed(code, Phase::Rpmbuild, false, &log).await;
                assert_eq!(found, cause, "{code}: {message}");
                assert!(message.contains("x.c:1: error: no"), "{message}");
            }
        }
    }

    #[tokio::test]
    async fn what_a_package_lacks_is_named() {
        let log = "No matching package to install: 'nothing >= 2'\nNot all dependencies satisfied\n\
                   Error: Some packages could not be found.\n";
        let words = "f13-x86_64 cannot provide: nothing >= 2";
        assert_eq!(failed(30, Phase::Setup, true, log).await, (Cause::Dependencies, words.to_owned()));
        let log = "Error: \n Problem 1: nothing provides a needed by b-1.noarch\n Problem 2: nothing provides c needed by b\n";
        let (_, message) = failed(30, Phase::Rpmbuild, false, log).await;
        assert!(message.ends_with("cannot provide: a, c"), "{message}");
    }

    #[tokio::test]
    async fn a_repository_that_is_away_is_not_the_packages_fault() {
        let log = "Error: Failed to download metadata for repo 'x': Cannot download repomd.xml\n";
        assert_eq!(fault(30, Phase::Setup, log).await.0, Cause::Chroot);
        assert_eq!(fault(30, Phase::Chroot, "nothing provides a needed by b\n").await.0, Cause::Chroot);
    }

    #[tokio::test]
    async fn a_source_that_cannot_be_unpacked_or_parsed_is_not_valid() {
        for code in [1, 40] {
            let (cause, message) = failed(code, Phase::Setup, false, "error: line 3: Unknown tag: Nonsense\n").await;
            assert_eq!(cause, Cause::SourceInvalid);
            assert!(message.contains("Unknown tag"), "{message}");
        }
    }

    #[tokio::test]
    async fn what_is_wrong_with_mock_is_the_farms_fault_in_every_phase() {
        for phase in [Phase::Chroot, Phase::Setup, Phase::Rpmbuild] {
            for code in [2, 3, 5, 6, 20, 25, 60, 65, 70, 80, 90, 129, 137, 141, 143, 120, 42] {
                let (_, message) = fault(code, phase, "Executing(%build): /bin/sh\n").await;
                assert!(message.contains(&format!("mock ended with {code} (/f13.cfg)")), "{message}");
                assert!(message.contains("sorry"), "{message}");
            }
        }
    }
}
