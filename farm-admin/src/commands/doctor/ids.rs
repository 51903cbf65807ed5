//! The range of subordinate ids that namespaces get.

use super::{finding::Finding, machine::Machine};

/// As many as a chroot has ids.
const COUNT: u64 = 65_536;

/// Where ranges of our choice begin: above those that the system's tools give out first.
const FIRST: u64 = 524_288;

const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];

/// Whether the user has a range in both files.
pub(crate) fn check(machine: &Machine) -> Vec<Finding> {
    let texts = FILES.map(|file| fs_err::read_to_string(file).unwrap_or_default());
    vec![judge(machine, &texts)]
}

fn judge(machine: &Machine, texts: &[String; 2]) -> Finding {
    let name = "subordinate ids";
    let own = [machine.user.clone(), machine.uid.to_string()];
    let has =
        |text: &String| ranges(text).any(|range| own.iter().any(|user| user == range.user) && range.count >= COUNT);
    let missing: Vec<_> = FILES.iter().zip(texts).filter(|(_, text)| !has(text)).map(|(file, _)| *file).collect();
    if missing.is_empty() {
        return Finding::ok(name, format!("user {} has {COUNT} or more", machine.user));
    }
    let start = free(texts);
    let end = start + COUNT - 1;
    let options: Vec<_> =
        missing.iter().map(|file| format!("--add-{}s {start}-{end}", file.trim_start_matches("/etc/"))).collect();
    let detail =
        format!("user {} has no range of {COUNT} in {}; chroots need them", machine.user, missing.join(" and "));
    Finding::wrong(name, detail).mend(machine.as_root(&format!("usermod {} {}", options.join(" "), machine.user)))
}

struct Range<'a> {
    user: &'a str,
    start: u64,
    count: u64,
}

fn ranges(text: &str) -> impl Iterator<Item = Range<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (user, start, count) = (fields.next()?, fields.next()?.parse::<u32>(), fields.next()?.parse::<u32>());
        Some(Range { user, start: start.ok()?.into(), count: count.ok()?.into() })
    })
}

/// The start of a range that nobody has in either file.
fn free(texts: &[String; 2]) -> u64 {
    let ends = texts.iter().flat_map(|text| ranges(text)).map(|range| range.start + range.count);
    ends.max().map_or(FIRST, |end| end.next_multiple_of(COUNT).max(FIRST))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{finding::Verdict, machine::Family},
        *,
    };

    fn judge(subuid: &str, subgid: &str) -> Finding {
        let machine = Machine { family: Family::Debian, user: "alice".to_owned(), uid: 1000 };
        super::judge(&machine, &[subuid.to_owned(), subgid.to_owned()])
    }

    #[test]
    fn a_range_by_name_or_by_number_will_do() {
        assert_eq!(judge("alice:100000:65536\n", "1000:100000:65536\n").verdict, Verdict::Ok);
    }

    #[test]
    fn a_missing_range_is_added_where_nobody_has_one() {
        let finding = judge("bob:524288:65536\n", "bob:524288:65536\n");
        let cure = "sudo usermod --add-subuids 589824-655359 --add-subgids 589824-655359 alice";
        assert_eq!((finding.verdict, finding.cure.as_deref()), (Verdict::Wrong, Some(cure)));
    }

    #[test]
    fn only_the_file_that_lacks_it_is_named() {
        let finding = judge("alice:524288:65536", "alice:524288:1000\nnonsense\n");
        assert!(
            finding.detail.contains("/etc/subgid") && !finding.detail.contains("/etc/subuid"),
            "{}",
            finding.detail
        );
        assert_eq!(finding.cure.as_deref(), Some("sudo usermod --add-subgids 589824-655359 alice"));
    }
}
