//! Which lines of a log say why something failed.
//!
//! The first rule of the table that matches a line decides, so what looks worse than it is stands first, then what merely follows
//! from a failure, then the failures. What tools print, and what comes out of it, is in `cases`.

use std::sync::LazyLock;

use regex::RegexSet;

/// How much a line says. The least telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It looks like a failure and is none.
    Nothing,
    /// Something failed because something else did: `make: *** Error 2`.
    Consequence,
    /// It may be why, where nothing better is found.
    Hint,
    /// It is why.
    Reason,
}

/// What belongs to a line, of those that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    End,
    /// So many lines at most, as long as they are indented.
    Indented(usize),
    /// So many lines at most, as long as they are indented; they say what the line announces.
    Named(usize),
    /// The next line says what the line announces.
    Next,
    /// All indented lines, and the one after them, which says it all.
    Trace,
}

/// What a rule says of the lines that it matches.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    pub weight: Weight,
    pub then: Then,
}

const fn verdict(weight: Weight, then: Then) -> Verdict {
    Verdict { weight, then }
}

const NOTHING: Verdict = verdict(Weight::Nothing, Then::End);
const CONSEQUENCE: Verdict = verdict(Weight::Consequence, Then::End);
const HINT: Verdict = verdict(Weight::Hint, Then::End);
const REASON: Verdict = verdict(Weight::Reason, Then::End);
/// A compiler shows the place in the lines that follow.
const PLACE: Verdict = verdict(Weight::Reason, Then::Indented(2));

/// The rules.
const RULES: &[(Verdict, &str)] = &[
    // What the shell traces is what is about to happen, not what happened.
    (NOTHING, r"^\s*\++ "),
    (NOTHING, r"(^|\s)conftest\.\w+:|: warning: |^warning: |\(ignored\)$"),
    (NOTHING, r"^\s*not ok .*# ?(TODO|SKIP)|\b0 (tests )?failed\b|^# \w+: +0$"),
    // The machine.
    (REASON, r"No space left on device|Disk quota exceeded"),
    (REASON, r"(?i:out of memory|cannot allocate memory|virtual memory exhausted|memory exhausted)|std::bad_alloc"),
    (REASON, r"\bOutOfMemoryError\b|^MemoryError\b|memory allocation of \d+ bytes failed"),
    (REASON, r"Killed signal terminated program|^Killed$|:\s+(line \d+:\s+)?\d+ Killed\b|signal: 9, SIGKILL"),
    // What follows from something else.
    (REASON, r"\*\*\* No rule to make target|^\S+:\d+: \*\*\* "),
    (CONSEQUENCE, r"^\S*make(\[\d+\])?: \*\*\* |^make: .* Error \d+$"),
    (CONSEQUENCE, r"collect2: error: ld returned|linker command failed with exit code"),
    (CONSEQUENCE, r"^ninja: build stopped|^FAILED: |^\d+ errors? generated\.$"),
    (
        CONSEQUENCE,
        r"^error: (could not compile|aborting due to|test failed, to rerun|build failed|\d+ targets? failed)",
    ),
    (CONSEQUENCE, r"^test result: FAILED|^FAIL(\t|$)|^FAILED \(|^=+ .*\b\d+ (failed|errors?)\b|^Result: FAIL"),
    (CONSEQUENCE, r"Failed \d+/\d+ subtests|^\s*\d+% tests passed, \d+ tests failed|^Errors while running CTest"),
    (CONSEQUENCE, r"^# (FAIL|ERROR|XPASS): +\d|^-- Configuring incomplete|BUILD FAILURE|^error: Bad exit status"),
    // Packages and the files in them.
    (verdict(Weight::Reason, Then::Named(6)), r"Installed \(but unpackaged\) file\(s\) found:"),
    (verdict(Weight::Reason, Then::Named(6)), r"^error: Failed build dependencies:"),
    (REASON, r"File not found(: | by glob: )|File must begin with|^\s*(Directory not found|Not a directory): "),
    (REASON, r"Empty %files file|Could not open %files file|Arch dependent binaries in noarch package"),
    (
        REASON,
        r"[Nn]o build.?ID note found|Missing build-id in|[Dd]uplicate build-id|debug(source)?files\.list: No such",
    ),
    (
        REASON,
        r"^(.*/)?(debugedit|eu-strip|dwz|find-debuginfo(\.sh)?|gdb-add-index|objcopy|strip): .*(?i:error|fail|cannot|invalid|unable)",
    ),
    (REASON, r"^\*\*\* ERROR: |ERROR +[0-9A-Fa-f]{4}: file "),
    (REASON, r"nothing provides|No matching package|No match for argument|none of the providers can be installed"),
    (
        REASON,
        r"Hunk #\d+ FAILED|\d+ out of \d+ hunks? FAILED|can't find file to patch|previously applied\) patch detected",
    ),
    // Configuring.
    (REASON, r"^configure: error: |^(\S+: )?[Nn]o package '.*' found|was not found in the pkg-config search path"),
    (verdict(Weight::Reason, Then::Named(3)), r"^CMake Error at .*:$"),
    (REASON, r"^CMake Error|^meson\.build:\d+:\d+: ERROR: |/meson\.build:\d+:\d+: ERROR: "),
    (HINT, r"Could NOT find \S+"),
    // Compilers and linkers.
    (PLACE, r"^error(\[E\d+\])?: |: (fatal )?error:|: Error: |^\S+\.go:\d+:\d+: |^\S+:\d+:\d+: error"),
    (REASON, r"undefined reference to|undefined symbol|multiple definition of|cannot find -l|unresolved external"),
    (
        REASON,
        r"no required module provides package|cannot find (module|package)|^go: .*: .*(no such|missing|not found)",
    ),
    (REASON, r"internal compiler error|Segmentation fault|\bAborted\b.*core dumped|Illegal instruction|^Bus error"),
    (REASON, r"^\[ERROR\] |^npm (ERR!|error) |^! (LaTeX|Package|Undefined|Emergency)"),
    // Languages that are run.
    (verdict(Weight::Reason, Then::Trace), r"^\s*Traceback \(most recent call last\)"),
    (verdict(Weight::Reason, Then::Next), r"panicked at .*:$|^panic: |^---- .* stdout ----$"),
    (REASON, r"panicked at |^(\w+\.)*\w*(Error|Exception): |Can't locate \S+ in @INC|^syntax error at |^BEGIN failed"),
    // Tests.
    (verdict(Weight::Reason, Then::Named(5)), r"^The following tests FAILED:"),
    (verdict(Weight::Reason, Then::Indented(3)), r"^\s*--- FAIL: "),
    (
        REASON,
        r"^(FAIL|ERROR|XPASS): \S|^FAIL \S|^\s*\d+/\d+ +Test +#\d+: .*\*\*\*|^\s*\d+/\d+ .*\s(FAIL|TIMEOUT|ERROR)\s",
    ),
    (REASON, r"^(FAILED|ERROR) \S|^E   +\S|^test .* \.\.\. FAILED$|^\[  FAILED  \] |^\s*not ok \d|^\s*# +Failed test"),
    (REASON, r"\bAssertion\b.*\bfailed\b|\bassertion failed\b|AssertionError"),
    // The rest.
    (REASON, r"^(Error|ERROR|fatal|FATAL): |command not found|: not found$"),
    (HINT, r"No such file or directory|Permission denied|cannot stat|\bFAILED\b| at \S+ line \d+\.$"),
];

static PATTERNS: LazyLock<Result<RegexSet, regex::Error>> =
    LazyLock::new(|| RegexSet::new(RULES.iter().map(|(_, pattern)| pattern)));

/// What a line says, if anything.
pub fn judge(text: &str) -> Option<Verdict> {
    // That the table can be read is what a test is for.
    let first = PATTERNS.as_ref().ok()?.matches(text).iter().next()?;
    let (verdict, _) = RULES.get(first)?;
    (verdict.weight > Weight::Nothing).then_some(*verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read_and_what_is_harmless_says_nothing() {
        assert!(PATTERNS.is_ok(), "{PATTERNS:?}");
        for harmless in [
            "+ test -f x || echo error: no",
            "conftest.c:11:10: fatal error: foo.h: No such file or directory",
            "x.c:1:2: warning: unused variable 'error' [-Wunused]",
            "make: [Makefile:3: clean] Error 1 (ignored)",
            "100% tests passed, 0 tests failed out of 12",
            "not ok 3 - later # TODO not yet",
            "PASS: adds",
            "XFAIL: known",
            "gcc -c error.c -o error.o",
            "# FAIL:  0",
            "test result: ok. 3 passed; 0 failed; 0 ignored",
        ] {
            assert!(judge(harmless).is_none(), "{harmless}: {:?}", judge(harmless));
        }
    }
}
