//! What a check answers.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, for now or for most.
    Warning,
    /// The farm cannot do its work.
    Wrong,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub verdict: Verdict,
    /// One sentence on that.
    pub detail: String,
    /// The command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Finding {
    /// All is well.
    pub(crate) fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict: Verdict::Ok, detail: detail.into(), cure: None }
    }

    /// Something to mind.
    pub(crate) fn warning(name: &str, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, ..Self::ok(name, detail) }
    }

    /// Something that has to be mended.
    pub(crate) fn wrong(name: &str, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, ..Self::ok(name, detail) }
    }

    /// With the command that mends it.
    #[must_use]
    pub(crate) fn mend(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }
}

/// The findings for people: a line each, the cure below.
pub(crate) fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for Finding { name, verdict, detail, cure } in findings {
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Wrong => "wrong",
        };
        text.push_str(&format!("{verdict:7}  {name:width$}  {detail}\n"));
        if let Some(cure) = cure {
            text.push_str(&format!("{:7}  {:width$}  mend it: {cure}\n", "", ""));
        }
    }
    let count = |wanted| findings.iter().filter(|finding| finding.verdict == wanted).count();
    text.push_str(&match (count(Verdict::Wrong), count(Verdict::Warning)) {
        (0, 0) => "All is well.\n".to_owned(),
        (wrong, warnings) => format!("{wrong} wrong, {warnings} to mind.\n"),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_and_its_cure_stands_below() {
        let findings = [
            Finding::ok("memory", "8.0 GiB"),
            Finding::wrong("createrepo_c", "not installed").mend("apt-get install createrepo-c"),
        ];
        let expected = "ok       memory        8.0 GiB\n\
                        wrong    createrepo_c  not installed\n\
                        \x20                      mend it: apt-get install createrepo-c\n\
                        1 wrong, 0 to mind.\n";
        assert_eq!(text(&findings), expected);
    }

    #[test]
    fn nothing_to_mend_is_said_in_so_many_words() {
        assert!(text(&[Finding::ok("memory", "plenty")]).ends_with("All is well.\n"));
    }
}
