//! What dnf's words mean.

use super::needs::single_name;

/// Why dnf did not install.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A repository cannot be reached, or has not what it says it has.
    Repository(String),
    /// The packages do not fit together, or are not there.
    Unsolvable(String),
    /// Something else.
    Other(String),
}

/// Says why dnf did not install, from what it printed.
pub fn refusal<'a>(lines: impl Iterator<Item = &'a str>) -> Refusal {
    const REPOSITORY: [&str; 7] = [
        "Failed to download metadata",
        "Error downloading packages",
        "Errors during downloading",
        "Cannot download",
        "Curl error",
        "Status code:",
        "repomd.xml",
    ];
    const SIGNATURE: [&str; 3] = ["is not signed", "Failing package is:", "Problem opening package"];
    let lines: Vec<&str> = lines.collect();
    let last = lines.iter().rev().find(|line| line.starts_with("Error")).or(lines.last()).copied().unwrap_or_default();
    let cut = |line: &str| line.chars().take(300).collect::<String>();
    if lines.iter().any(|line| line.contains("GPG check FAILED")) {
        let of_package = |line: &&&str| SIGNATURE.iter().any(|mark| line.contains(mark));
        let why = lines.iter().find(of_package).map_or("GPG check FAILED", |line| line.trim());
        return Refusal::Repository(format!("a package has no good signature: {}", cut(why)));
    }
    if let Some(line) = lines.iter().find(|line| REPOSITORY.iter().any(|mark| line.contains(mark))) {
        return Refusal::Repository(cut(line.trim()));
    }
    let reasons: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with("  - ")).collect();
    match reasons.first() {
        Some(reason) => Refusal::Unsolvable(cut(reason.trim_start_matches([' ', '-']))),
        None => Refusal::Other(cut(last)),
    }
}

/// Which of `count` dependencies, each of them asked for by a package of its own, cannot be had.
pub fn missing<'a>(lines: impl Iterator<Item = &'a str>, count: usize) -> Vec<usize> {
    let words: Vec<&str> = lines.filter(|line| line.contains("Problem") || line.starts_with("  - ")).collect();
    let is_in = |name: &str| {
        words
            .iter()
            .any(|line| line.split_once(name).is_some_and(|(_, rest)| !rest.starts_with(|c: char| c.is_ascii_digit())))
    };
    (0..count).filter(|n| is_in(&single_name(*n))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSOLVABLE: &str = "Error: 
 Problem 1: conflicting requests
  - nothing provides foo >= 2 needed by farm-needs-1-1-1.noarch from @commandline
 Problem 2: package farm-needs-12-1-1.noarch from @commandline requires bar, but none of the providers can be installed
(try to add '--skip-broken' to skip uninstallable packages)";

    #[test]
    fn each_missing_dependency_is_found() {
        assert_eq!(missing(UNSOLVABLE.lines(), 20), [1, 12]);
    }

    #[test]
    fn a_repository_that_is_away_is_not_the_packages_fault() {
        let lines = ["Error: Failed to download metadata for repo 'x': Cannot download repomd.xml: Curl error (7)"];
        assert!(matches!(refusal(lines.into_iter()), Refusal::Repository(_)));
        assert!(matches!(refusal(UNSOLVABLE.lines()), Refusal::Unsolvable(_)));
        assert!(matches!(refusal(["oops"].into_iter()), Refusal::Other(_)));
    }

    #[test]
    fn the_package_without_a_good_signature_is_named() {
        for line in
            ["Package x-1-1.noarch.rpm is not signed", "Public key for x is not installed. Failing package is: x"]
        {
            let Refusal::Repository(why) = refusal([line, "Error: GPG check FAILED"].into_iter()) else {
                panic!("{line}")
            };
            assert!(why.ends_with(line), "{why}");
        }
    }
}
