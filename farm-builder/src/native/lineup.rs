//! In which order the sources of a job are built, and what there is to say of those that could not be.
//!
//! What a source package says of itself was written on another machine, with other macros, so the order is a suggestion: a source
//! that lacks another's result all the same goes to the back of the line (`attempt.rs`).

use std::{collections::BTreeMap, path::PathBuf};

use farm_rpm::{Dependency, Limits, SourcePackage};

/// Sources that a message names; the log names all.
const MOST_NAMED: usize = 5;

/// A source of a job, as far as the others are concerned with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// The package's name; empty where it cannot be read.
    name: String,
    /// What to call it: `hello-1.0-1`.
    label: String,
    /// Names that its packages will provide, as far as is known before they are built.
    brings: Vec<String>,
    /// Names that it takes to build it.
    needs: Vec<String>,
}

/// Reads what sources say of themselves. One that cannot be read says nothing; its own build will tell why.
pub fn read(sources: &[PathBuf]) -> Vec<Member> {
    let package =
        |path: &PathBuf| farm_rpm::read_source(path, &Limits::default()).ok().and_then(|report| report.package);
    sources.iter().map(|path| package(path).map(Member::of).unwrap_or_default()).collect()
}

impl Member {
    fn of(package: SourcePackage) -> Self {
        let needs = package.build_requires.iter().filter(|need| !need.is_rpmlib());
        Self {
            label: format!("{}-{}", package.nevra.name, package.nevra.evr()),
            name: package.nevra.name,
            brings: package.provides.iter().map(|provided| plain(&provided.name).to_owned()).collect(),
            needs: needs.flat_map(words).collect(),
        }
    }

    /// Whether something of that name is likely to come of it: because it says so, or by the custom of calling packages after
    /// their source, `foo-devel`.
    fn brings(&self, name: &str) -> bool {
        let after_it = || name.strip_prefix(&self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        self.brings.iter().any(|brought| brought == name) || (!self.name.is_empty() && after_it())
    }
}

/// A name without what it says of the architecture: `foo` of `foo(x86-64)`.
fn plain(name: &str) -> &str {
    ["(x86-64)", "(x86-32)"].iter().find_map(|isa| name.strip_suffix(isa)).unwrap_or(name)
}

/// The names in a dependency; of a boolean one, every word that is no operator.
fn words(need: &Dependency) -> Vec<String> {
    if !need.is_rich() {
        return vec![plain(&need.name).to_owned()];
    }
    let is_operator = |word: &str| {
        matches!(word, "and" | "or" | "if" | "else" | "unless" | "with" | "without" | "<" | "<=" | "=" | ">=" | ">")
    };
    let words = need.name.split_whitespace().map(|word| word.trim_start_matches('('));
    // Only brackets that close something outside of the word: `pkgconfig(x)` keeps its own.
    let word = |word: &'_ str| {
        let mut word = word.to_owned();
        while word.ends_with(')') && word.matches(')').count() > word.matches('(').count() {
            word.pop();
        }
        word
    };
    words.map(word).filter(|word| !word.is_empty() && !is_operator(word)).map(|word| plain(&word).to_owned()).collect()
}

/// Positions, counted from 1, in the order to build them: each after those that bring what it needs, and as they were handed in
/// where that leaves a choice, or where it is a circle.
pub fn order(members: &[Member]) -> Vec<usize> {
    let needs = |n: usize, other: usize| {
        n != other && members[n].needs.iter().any(|need| bringer(members, need) == Some(other))
    };
    let mut left: Vec<usize> = (0..members.len()).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let next = left.iter().position(|n| !left.iter().any(|other| needs(*n, *other))).unwrap_or(0);
        order.push(left.remove(next) + 1);
    }
    order
}

/// Which of the sources brings something of that name. Where several look like it, the one that says so, or else the one with the
/// longest name: `foo-bar-devel` is of `foo-bar` and not of `foo`.
fn bringer(members: &[Member], name: &str) -> Option<usize> {
    let says_so = members.iter().position(|member| member.brings.iter().any(|brought| brought == name));
    says_so.or_else(|| (0..members.len()).filter(|n| members[*n].brings(name)).max_by_key(|n| members[*n].name.len()))
}

/// Why a source could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What it needs and cannot have; empty where it is not known by name.
    pub missing: Vec<Dependency>,
    /// How that was told when it was tried.
    pub message: String,
}

/// What to say of sources, by position, that could not be built: a sentence, and a line for each.
pub fn stuck(members: &[Member], platform: &str, lacks: &BTreeMap<usize, Lack>) -> (String, Vec<String>) {
    let lines: Vec<String> = lacks.iter().map(|(position, lack)| line(members, lacks, *position, lack)).collect();
    let circles: Vec<String> = circles(members, lacks).iter().map(|circle| circle_text(members, circle)).collect();
    let count = members.len();
    let mut parts: Vec<String> = lines.iter().take(MOST_NAMED).cloned().collect();
    if lines.len() > MOST_NAMED {
        parts.push(format!("{} more, which the log names", lines.len() - MOST_NAMED));
    }
    parts.extend(circles.iter().take(MOST_NAMED).cloned());
    let message = format!("{} of {count} sources cannot be built on {platform}: {}", lacks.len(), parts.join("; "));
    (message, lines.into_iter().chain(circles).collect())
}

fn called(members: &[Member], position: usize) -> String {
    let label = members.get(position - 1).map(|member| member.label.escape_debug().to_string()).unwrap_or_default();
    if label.is_empty() { format!("source {position}") } else { label }
}

fn line(members: &[Member], lacks: &BTreeMap<usize, Lack>, position: usize, lack: &Lack) -> String {
    let name = called(members, position);
    if lack.missing.is_empty() {
        return format!("{name}: {}", lack.message);
    }
    let missing = lack.missing.iter().map(|need| match from(members, need).filter(|from| lacks.contains_key(from)) {
        Some(from) if from == position => format!("{need} (which it would bring itself)"),
        Some(from) => format!("{need} (which {} would bring)", called(members, from)),
        None => need.to_string(),
    });
    format!("{name} lacks {}", missing.collect::<Vec<_>>().join(", "))
}

/// The position of the source that brings what is needed.
fn from(members: &[Member], need: &Dependency) -> Option<usize> {
    words(need).iter().find_map(|word| bringer(members, word)).map(|n| n + 1)
}

/// Sources that wait for each other, each circle once.
fn circles(members: &[Member], lacks: &BTreeMap<usize, Lack>) -> Vec<Vec<usize>> {
    let needed = |position: usize| {
        let missing = lacks.get(&position).map(|lack| lack.missing.as_slice()).unwrap_or_default();
        missing
            .iter()
            .filter_map(|need| from(members, need))
            .filter(|other| lacks.contains_key(other))
            .collect::<Vec<_>>()
    };
    let reached = |start: usize| {
        let (mut seen, mut next) = (Vec::new(), needed(start));
        while let Some(position) = next.pop() {
            if !seen.contains(&position) {
                seen.push(position);
                next.extend(needed(position));
            }
        }
        seen
    };
    let reaches: BTreeMap<usize, Vec<usize>> = lacks.keys().map(|position| (*position, reached(*position))).collect();
    let mut circles: Vec<Vec<usize>> = Vec::new();
    for (position, reached) in &reaches {
        let circle: Vec<usize> = reaches
            .iter()
            .filter(|(other, back)| reached.contains(other) && back.contains(position))
            .map(|(n, _)| *n)
            .collect();
        if !circle.is_empty() && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

fn circle_text(members: &[Member], circle: &[usize]) -> String {
    let names: Vec<String> = circle.iter().map(|position| called(members, *position)).collect();
    match names.as_slice() {
        [one] => format!("{one} is a cycle by itself: it takes its own result to build it"),
        names => format!("{} are a cycle: each waits for another's result", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use farm_rpm::DependencyFlags;

    use super::*;

    fn need(name: &str) -> Dependency {
        Dependency { name: name.to_owned(), flags: DependencyFlags::ANY, evr: String::new() }
    }

    fn member(name: &str, brings: &[&str], needs: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            label: format!("{name}-1-1"),
            brings: brings.iter().map(|name| (*name).to_owned()).collect(),
            needs: needs.iter().flat_map(|name| words(&need(name))).collect(),
        }
    }

    fn lack(missing: &[&str]) -> Lack {
        Lack { missing: missing.iter().map(|name| need(name)).collect(), message: "not together".to_owned() }
    }

    #[test]
    fn each_comes_after_what_it_needs_and_else_as_handed_in() {
        let members = [
            member("app", &[], &["lib-devel", "pkgconfig(tool)"]),
            member("lib", &[], &["gcc"]),
            member("other", &[], &[]),
            member("tool", &["tool", "pkgconfig(tool)"], &["(lib >= 1 or libold)"]),
        ];
        assert_eq!(order(&members), [2, 3, 4, 1]);
        assert_eq!(order(&[]), [0; 0]);
        // What cannot be read needs nothing and brings nothing.
        assert_eq!(order(&[Member::default(), Member::default()]), [1, 2]);
    }

    #[test]
    fn a_circle_is_begun_where_it_was_handed_in() {
        let members =
            [member("a", &[], &["b"]), member("b", &[], &["c"]), member("c", &[], &["a"]), member("d", &[], &[])];
        assert_eq!(order(&members), [4, 1, 3, 2]);
    }

    #[test]
    fn the_longer_name_is_meant_and_a_needed_one_that_is_said_goes_first() {
        let members =
            [member("user", &[], &["foo-bar-devel"]), member("foo", &[], &["user"]), member("foo-bar", &[], &[])];
        assert_eq!(order(&members), [3, 1, 2]);
        let said =
            [member("user", &[], &["foo-devel"]), member("foo", &[], &[]), member("compat", &["foo-devel"], &[])];
        assert_eq!(order(&said), [2, 3, 1]);
    }

    #[test]
    fn words_of_boolean_dependencies_are_their_names() {
        assert_eq!(words(&need("(pkgconfig(x) if (b and c >= 2) else d)")), ["pkgconfig(x)", "b", "c", "2", "d"]);
        assert_eq!(words(&need("foo(x86-64)")), ["foo"]);
    }

    #[test]
    fn a_lack_and_a_circle_are_told_apart() {
        let members = [member("a", &[], &[]), member("b", &[], &[]), member("c", &[], &[]), member("d", &[], &[])];
        let lacks = BTreeMap::from([(1, lack(&["b-devel", "zlib"])), (2, lack(&["a"])), (4, lack(&["gone >= 2"]))]);
        let (message, lines) = stuck(&members, "p-x", &lacks);
        assert_eq!(
            message,
            "3 of 4 sources cannot be built on p-x: a-1-1 lacks b-devel (which b-1-1 would bring), zlib; \
             b-1-1 lacks a (which a-1-1 would bring); d-1-1 lacks gone >= 2; a-1-1, b-1-1 are a cycle: each waits for another's \
             result"
        );
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn who_only_waits_for_a_circle_is_no_part_of_it() {
        let members = [member("a", &[], &[]), member("b", &[], &[]), member("self", &[], &[])];
        let lacks = BTreeMap::from([(1, lack(&["b"])), (2, lack(&["self"])), (3, lack(&["self"]))]);
        assert_eq!(circles(&members, &lacks), [[3]]);
        assert!(stuck(&members, "p-x", &lacks).0.contains("self-1-1 is a cycle by itself"));
    }

    #[test]
    fn of_twenty_the_message_names_some_and_the_lines_all() {
        let members: Vec<Member> = (1..=20).map(|n| member(&format!("s{n}"), &[], &[])).collect();
        let lacks = (1..=20).map(|n| (n, lack(if n == 20 { &[] } else { &["gone"] }))).collect();
        let (message, lines) = stuck(&members, "p-x", &lacks);
        assert!(message.ends_with("; 15 more, which the log names") && message.len() < 500, "{message}");
        assert_eq!((lines.len(), lines[19].as_str()), (20, "s20-1-1: not together"));
    }
}
