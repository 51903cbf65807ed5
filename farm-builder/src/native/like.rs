//! Building with the very packages of an earlier build.
//!
//! The base tree is made of that build's list, every package by its full name, so that nothing is there that was not there then.
//! dnf cannot be asked for a digest, so what is installed is compared with the list before the build begins.

use farm_api::{
    recipe::Recipe,
    record::{Package, changes},
};
use farm_types::Cause;

use super::{attempt::Attempt, failure::End, inventory::RESULTS};

/// Names in a message; of more the number is told.
const NAMED: usize = 10;

impl Attempt<'_> {
    /// The recipe of the platform with the packages of the build to build like.
    pub fn recipe_like(&self, like: &[Package]) -> Result<Recipe, End> {
        let mut base = Vec::new();
        // Keys are no packages that a repository has; and what was made by the jobs before is installed when it is needed, as it was then.
        let is_there = |package: &&Package| package.arch.is_some() && package.repository.as_deref() != Some(RESULTS);
        for package in like.iter().filter(is_there) {
            let name = package.nevra();
            if !is_plain(package) {
                let why =
                    format!("the record to build like names a package “{}”, which none is called", name.escape_debug());
                return Err(self.fault(Cause::Internal, why));
            }
            base.push(name);
        }
        Ok(Recipe { base, ..self.request.platform.clone() })
    }

    /// What the end of making the base tree means: that packages are gone from the repositories is an answer, not a fault.
    pub fn end_like(&self, end: End) -> End {
        const MARK: &str = "No match for argument: ";
        let gone: Vec<&str> = self.journal.seen().lines().filter_map(|line| line.trim().strip_prefix(MARK)).collect();
        match end {
            End::Fault(_) if !gone.is_empty() => self.failed(Cause::Dependencies, self.lacking(&gone)),
            end => end,
        }
    }

    /// Compares what is installed with the list.
    pub fn check_like(&self, like: &[Package], installed: &[Package]) -> Result<(), End> {
        let is_package = |package: &&Package| package.arch.is_some();
        let all = |packages: &[Package]| packages.iter().filter(is_package).cloned().collect::<Vec<_>>();
        let others = changes(&all(like), &all(installed));
        let told: Vec<String> = others
            .iter()
            .map(|change| match (&change.before, &change.now) {
                (Some(before), Some(now)) if before == now => {
                    format!("{} {now} is another build of that name", change.name)
                }
                (Some(before), Some(now)) => format!("{} is {now} and was {before}", change.name),
                (None, Some(now)) => format!("{} {now} was not there", change.name),
                (before, None) => format!("{} {} is not there", change.name, before.clone().unwrap_or_default()),
            })
            .collect();
        if told.is_empty() {
            return Ok(());
        }
        let named: Vec<&str> = told.iter().map(String::as_str).collect();
        Err(self.failed(Cause::Dependencies, format!("this is not the chroot of that build: {}", list(&named))))
    }

    fn lacking(&self, gone: &[&str]) -> String {
        format!("the repositories of {} do not have any more: {}", self.request.platform.name, list(gone))
    }
}

fn list(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    format!("{}{more}", names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", "))
}

/// Whether dnf can take a package's name for nothing but a name: it is no option, file, URL, group or pattern.
fn is_plain(package: &Package) -> bool {
    let plain = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-' | '~' | '^'))
    };
    let Package { name, version, release, arch, .. } = package;
    [name, version, release].into_iter().chain(arch).all(|part| plain(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_dnf_could_take_for_something_else_is_none() {
        let package = |name: &str| Package {
            name: name.to_owned(),
            epoch: Some(1),
            version: "1.0~rc1".to_owned(),
            release: "1.f13".to_owned(),
            arch: Some("x86_64".to_owned()),
            digest: None,
            repository: None,
        };
        for name in ["gcc-c++", "libstdc++", "perl_x", "3proxy"] {
            assert!(is_plain(&package(name)), "{name}");
        }
        for name in ["--nogpgcheck", "@core", "/etc/passwd", "http://x/y.rpm", "a*", "a b", "", "a\n"] {
            assert!(!is_plain(&package(name)), "{name}");
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(list(&names), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2 more");
        assert_eq!(list(&["a"]), "a");
    }
}
