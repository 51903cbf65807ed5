//! From what is handed in to what it means, with every reason why not at once.

use std::{collections::BTreeSet, fmt::Display, str::FromStr};

use super::{BuildOptions, NewOptions, OURS};
use crate::error::Reason;

/// The most conditions, and the most macros, of one job.
const MOST: usize = 100;
/// The most repositories and buckets: dnf reads the metadata of each for every source.
const MOST_REPOSITORIES: usize = 20;
/// No builder has more slots.
const HEAVIEST: u16 = 64;

impl NewOptions {
    /// What it means; or everything that is wrong with it.
    pub fn check(&self) -> Result<BuildOptions, Vec<Reason>> {
        let mut found = Found::default();
        let options = BuildOptions {
            check: self.check,
            with: found.all("with", &self.with),
            without: found.all("without", &self.without),
            macros: found.macros(self),
            repositories: found.repositories(self),
            buckets: found.all("bucket", &self.buckets),
            limits: self.limits,
            weight: self.weight,
        };
        for both in options.with.iter().filter(|condition| options.without.contains(condition)) {
            found.refuse("condition", format!("the build condition “{both}” is both set and unset"));
        }
        for (what, count, most) in [
            ("build conditions", options.with.len() + options.without.len(), MOST),
            ("macros", options.macros.len(), MOST),
            ("repositories and buckets", options.repositories.len() + options.buckets.len(), MOST_REPOSITORIES),
        ] {
            if count > most {
                found.refuse("too_many", format!("{count} {what} are asked for; a job may have {most}"));
            }
        }
        for problem in self.limits.problems() {
            found.refuse("limit", format!("the limit {problem}"));
        }
        if self.weight.is_some_and(|weight| !(1..=HEAVIEST).contains(&weight)) {
            found.refuse("weight", format!("a weight is a number of slots, 1 to {HEAVIEST}"));
        }
        if found.reasons.is_empty() { Ok(options) } else { Err(found.reasons) }
    }
}

/// What was found wrong so far.
#[derive(Default)]
struct Found {
    reasons: Vec<Reason>,
}

impl Found {
    fn refuse(&mut self, code: &str, message: String) {
        self.reasons.push(Reason { code: code.to_owned(), source: None, message });
    }

    /// Each word once, in the order in which they were written.
    fn all<T: FromStr<Err: Display> + Ord + Clone>(&mut self, code: &str, words: &[String]) -> Vec<T> {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for word in words {
            match word.parse::<T>() {
                Ok(value) if seen.insert(value.clone()) => all.push(value),
                Ok(_) => {}
                Err(error) => self.refuse(code, error.to_string()),
            }
        }
        all
    }

    fn macros(
        &mut self,
        new: &NewOptions,
    ) -> std::collections::BTreeMap<farm_types::MacroName, farm_types::MacroValue> {
        let mut macros = std::collections::BTreeMap::new();
        for (name, value) in &new.macros {
            if OURS.contains(&name.as_str()) {
                self.refuse(
                    "macro",
                    format!("the macro “{name}” is set by the farm itself, which finds results by it"),
                );
                continue;
            }
            match (name.parse(), value.parse()) {
                (Ok(name), Ok(value)) => {
                    macros.insert(name, value);
                }
                (name, value) => {
                    let problems = [name.err(), value.err()];
                    problems.into_iter().flatten().for_each(|error: farm_types::NameError| {
                        self.refuse("macro", error.to_string());
                    });
                }
            }
        }
        macros
    }

    fn repositories(&mut self, new: &NewOptions) -> Vec<super::ExtraRepository> {
        let mut repositories = Vec::new();
        for repository in &new.repositories {
            match repository.check() {
                Ok(repository) if !repositories.contains(&repository) => repositories.push(repository),
                Ok(_) => {}
                Err(problems) => problems.into_iter().for_each(|problem| self.refuse("repository", problem)),
            }
        }
        repositories
    }
}
