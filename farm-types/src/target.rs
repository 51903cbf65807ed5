//! Targets: how a user names platforms.
//!
//! `f13` is every architecture of that release, `f13-x86_64` one platform, `auto` the default set, `all` everything,
//! `!sl5` leaves out. Letter case does not matter. A list that only leaves out starts from `auto`.

use std::collections::BTreeSet;

use crate::PlatformName;

/// A platform as targets see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformChoice {
    /// Its name.
    pub name: PlatformName,
    /// Whether it takes new tasks.
    pub enabled: bool,
    /// Whether it belongs to `auto`.
    pub auto: bool,
}

/// What was asked for, as the user wrote it: `f13,!sl5`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetList(Vec<Target>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    word: String,
    leave_out: bool,
}

/// Why a list of targets names no set of platforms. All problems of a list are reported at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetProblem {
    /// No platform and no release of that name.
    #[error("unknown target “{}”; known are: {known}", word.escape_debug())]
    Unknown {
        /// As the user wrote it.
        word: String,
        /// What there is.
        known: String,
    },
    /// It exists and takes no tasks.
    #[error("target “{}” is disabled: no new tasks are taken for {platforms} at the moment", word.escape_debug())]
    Disabled {
        /// As the user wrote it.
        word: String,
        /// The platforms it names.
        platforms: String,
    },
    /// All is left out, or there is nothing.
    #[error("the targets “{}” name no platform at all", list.escape_debug())]
    Nothing {
        /// The whole list.
        list: String,
    },
}

impl TargetProblem {
    /// Stable name of the problem, for scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown_target",
            Self::Disabled { .. } => "disabled_target",
            Self::Nothing { .. } => "no_target",
        }
    }
}

impl TargetList {
    /// Takes lists as people write them: comma or blank separated, repeated options one after the other.
    pub fn parse<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Self {
        let mut list = Vec::new();
        for words in words {
            for word in words.as_ref().split([',', ' ', '\t', '\n']).filter(|w| !w.is_empty()) {
                let (leave_out, name) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
                list.push(Target { word: name.to_lowercase(), leave_out });
            }
        }
        Self(list)
    }

    /// The platforms meant, in order of their names, or everything that is wrong with the list.
    pub fn resolve(&self, platforms: &[PlatformChoice]) -> Result<Vec<PlatformName>, Vec<TargetProblem>> {
        let mut chosen = BTreeSet::new();
        let mut problems = Vec::new();
        if self.0.iter().all(|t| t.leave_out) {
            chosen.extend(platforms.iter().filter(|p| p.auto && p.enabled).map(|p| &p.name));
        }
        for target in self.0.iter().filter(|t| !t.leave_out) {
            match named(&target.word, platforms) {
                Ok(found) => chosen.extend(found),
                Err(problem) => problems.push(problem),
            }
        }
        for target in self.0.iter().filter(|t| t.leave_out) {
            match named(&target.word, platforms) {
                Ok(found) => found.iter().for_each(|name| {
                    chosen.remove(name);
                }),
                // Leaving out what is disabled anyway is no mistake.
                Err(TargetProblem::Unknown { word, known }) => {
                    problems.push(TargetProblem::Unknown { word: format!("!{word}"), known })
                }
                Err(_) => {}
            }
        }
        if problems.is_empty() && chosen.is_empty() {
            problems.push(TargetProblem::Nothing { list: self.to_string() });
        }
        if problems.is_empty() { Ok(chosen.into_iter().cloned().collect()) } else { Err(problems) }
    }
}

impl std::fmt::Display for TargetList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, target) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let mark = if target.leave_out { "!" } else { "" };
            write!(f, "{comma}{mark}{}", target.word)?;
        }
        Ok(())
    }
}

fn named<'a>(word: &str, platforms: &'a [PlatformChoice]) -> Result<Vec<&'a PlatformName>, TargetProblem> {
    let matching: Vec<_> = match word {
        "all" => platforms.iter().filter(|p| p.enabled).collect(),
        "auto" => platforms.iter().filter(|p| p.enabled && p.auto).collect(),
        _ => platforms.iter().filter(|p| p.name.as_str() == word || p.name.release() == word).collect(),
    };
    let enabled: Vec<_> = matching.iter().filter(|p| p.enabled).map(|p| &p.name).collect();
    if !enabled.is_empty() || word == "all" || word == "auto" {
        return Ok(enabled);
    }
    if matching.is_empty() {
        let known = platforms.iter().filter(|p| p.enabled).map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        return Err(TargetProblem::Unknown { word: word.to_owned(), known });
    }
    let platforms = matching.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
    Err(TargetProblem::Disabled { word: word.to_owned(), platforms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn farm() -> Vec<PlatformChoice> {
        [("f13-i686", true, true), ("f13-x86_64", true, true), ("sl5-x86_64", true, false), ("f9-x86_64", false, true)]
            .map(|(name, enabled, auto)| PlatformChoice { name: name.parse().unwrap(), enabled, auto })
            .to_vec()
    }

    fn resolve(list: &str) -> Result<Vec<String>, Vec<TargetProblem>> {
        TargetList::parse([list]).resolve(&farm()).map(|names| names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_release_means_all_its_architectures_in_any_letter_case() {
        assert_eq!(resolve("F13").unwrap(), ["f13-i686", "f13-x86_64"]);
        assert_eq!(resolve("f13-X86_64").unwrap(), ["f13-x86_64"]);
    }

    #[test]
    fn nothing_asked_for_is_auto_and_leaving_out_starts_from_it() {
        assert_eq!(resolve("").unwrap(), ["f13-i686", "f13-x86_64"]);
        assert_eq!(resolve("!f13-i686").unwrap(), ["f13-x86_64"]);
        assert_eq!(resolve("all,!f13").unwrap(), ["sl5-x86_64"]);
    }

    #[test]
    fn every_problem_of_a_list_is_reported_at_once() {
        let problems = resolve("f99,f9,sl5,!nope").unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].to_string().contains("f13-i686, f13-x86_64, sl5-x86_64"));
    }

    #[test]
    fn a_list_that_leaves_out_everything_is_refused() {
        assert!(matches!(resolve("sl5,!sl5").unwrap_err()[..], [TargetProblem::Nothing { .. }]));
    }

    #[test]
    fn repeated_options_add_up() {
        let list = TargetList::parse(["f13-i686", "sl5"]);
        assert_eq!(list.resolve(&farm()).unwrap().len(), 2);
        assert_eq!(list.to_string(), "f13-i686,sl5");
    }
}
