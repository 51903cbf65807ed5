//! What tools print when they fail, and what the excerpt makes of it.

mod building;
mod testing;

use building::{COMPILERS, CONFIGURATION};
use testing::{MACHINE, PACKAGING, TESTS};

use super::Scanner;

/// A log of one script of a spec, the sentence that it comes down to, and a line that the excerpt has to have as well.
#[derive(Clone, Copy)]
struct Case {
    tool: &'static str,
    log: &'static str,
    headline: &'static str,
    also: &'static str,
}

const fn case(tool: &'static str, log: &'static str, headline: &'static str, also: &'static str) -> Case {
    Case { tool, log, headline, also }
}

fn scan(text: &str) -> Scanner {
    let (mut scanner, mut rest) = (Scanner::default(), text.as_bytes());
    while !rest.is_empty() {
        let (taken, _) = scanner.feed(rest);
        rest = &rest[taken..];
    }
    scanner
}

#[test]
fn of_what_each_tool_prints_the_excerpt_has_the_line_that_says_why() {
    let mut wrong = Vec::new();
    for Case { tool, log, headline, also } in [COMPILERS, CONFIGURATION, TESTS, PACKAGING, MACHINE].concat() {
        // What was printed before, in a script that went well, is not the reason.
        let whole = format!("a.c:1:1: error: of another script\nExecuting(%check): /bin/sh\n{log}");
        let scanner = scan(&whole);
        let found = scanner.seen().first_telling().unwrap_or_default();
        if found != headline {
            wrong.push(format!("{tool}: {found}\n    and not: {headline}"));
        }
        let excerpt = scanner.seen().excerpt();
        let lines: Vec<_> = excerpt.iter().map(|line| line.text.as_str()).collect();
        if !also.is_empty() && !lines.contains(&also) {
            wrong.push(format!("{tool}: {also:?} is not in {lines:#?}"));
        }
        for line in &excerpt {
            let number = usize::try_from(line.number).unwrap();
            let expected = whole.lines().nth(number - 1).map(|line| line.replace('\t', " "));
            assert_eq!(Some(&line.text), expected.as_ref(), "{tool}: line {number}");
        }
        assert!(excerpt.len() <= 20);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_long_trace_is_kept_short_and_has_its_end() {
    let frames: String = (0..500).map(|n| format!("  File \"x.py\", line {n}, in f\n")).collect();
    let scanner = scan(&format!("Traceback (most recent call last):\n{frames}RecursionError: too deep\nmore\n"));
    assert_eq!(scanner.seen().first_telling(), Some("RecursionError: too deep"));
    let excerpt = scanner.seen().excerpt();
    let numbers: Vec<_> = excerpt.iter().map(|line| line.number).take(6).collect();
    assert_eq!(numbers, [1, 498, 499, 500, 501, 502]);
}
