//! Names that people and packages choose, parsed once at the door.

use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{}” is no {what}: {rule}", text.escape_debug())]
pub struct NameError {
    /// What it was meant to be.
    pub what: &'static str,
    /// The name, cut to 120 characters.
    pub text: String,
    /// What such a name looks like.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $what:literal, $rule:literal, $check:path) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.to_owned().try_into()
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                if $check(&text) {
                    Ok(Self(text))
                } else {
                    Err(NameError { what: $what, text: text.chars().take(120).collect(), rule: $rule })
                }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(/// Name of a platform, `release-arch`: `f13-x86_64`.
    PlatformName, "platform name",
    "it takes release-arch in small letters, digits, dots and underscores, such as f13-x86_64", is_platform);
name!(/// Name of a bucket.
    BucketName, "bucket name",
    "it takes 1 to 50 small letters, digits, dots, dashes and underscores, beginning with a letter or digit", is_slug);
name!(/// Name of a builder, by custom its host name.
    BuilderName, "builder name",
    "it takes 1 to 50 small letters, digits, dots, dashes and underscores, beginning with a letter or digit", is_slug);
name!(/// Name of a fleet: builders that may register themselves.
    FleetName, "fleet name",
    "it takes 1 to 50 small letters, digits, dots, dashes and underscores, beginning with a letter or digit", is_slug);
name!(/// Name of a group of persons.
    GroupName, "group name",
    "it takes 1 to 50 small letters, digits, dots, dashes and underscores, beginning with a letter or digit", is_slug);
name!(/// What a submitter calls a job (`--id`), unique among that person's jobs; or the key that makes a re-sent
    /// request the same request.
    JobKey, "job id", "it takes 1 to 50 letters, digits, dots, dashes and underscores", is_key);
name!(/// Name of one file, fit for a URL (percent-encoded) and for a disk: no path, nothing hidden, nothing unprintable.
    FileName, "file name",
    "it takes 1 to 255 bytes without slashes and control characters, and no dot or dash in front", is_file_name);

name!(/// Name of a macro that a job defines for its builds. rpm takes other names too; these are those it takes everywhere.
    MacroName, "name of a macro",
    "it takes 3 to 64 letters, digits and underscores, and no digit in front", is_macro);
name!(/// What a macro stands for: one line, with every bracket closed, as rpm wants it.
    MacroValue, "value of a macro",
    "it takes at most 1000 bytes on one line, with every bracket that it opens closed", is_macro_value);
name!(/// Name of a build condition, as in `%bcond_with NAME`. It becomes part of a macro's name, so it has the same letters.
    Condition, "build condition", "it takes 1 to 50 letters, digits and underscores", is_condition);
name!(/// What a platform's recipe calls one of its repositories.
    RepositoryName, "repository name", "it takes 1 to 50 letters, digits, dots, colons, dashes and underscores",
    is_repository);

impl PlatformName {
    /// The release, `f13` of `f13-x86_64`.
    pub fn release(&self) -> &str {
        self.0.rsplit_once('-').map_or(&self.0, |(release, _)| release)
    }

    /// The architecture, `x86_64` of `f13-x86_64`.
    pub fn arch(&self) -> &str {
        self.0.rsplit_once('-').map_or("", |(_, arch)| arch)
    }
}

fn is_platform(text: &str) -> bool {
    text.len() <= 100
        && text.rsplit_once('-').is_some_and(|(release, arch)| {
            let part = |s: &str| {
                s.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                    && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'))
            };
            part(release) && part(arch)
        })
}

fn is_slug(text: &str) -> bool {
    (1..=50).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'))
}

fn is_key(text: &str) -> bool {
    (1..=50).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn is_macro(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (3..=64).contains(&text.len()) && text.chars().all(letter) && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_macro_value(text: &str) -> bool {
    text.len() <= 1000 && !text.chars().any(char::is_control) && closes_its_brackets(text)
}

/// rpm reads a value until every bracket is closed, and finds none that ends within the line else.
fn closes_its_brackets(text: &str) -> bool {
    let (mut braces, mut rounds) = (0_u32, 0_u32);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            '(' => rounds += 1,
            ')' => rounds = rounds.saturating_sub(1),
            _ => {}
        }
    }
    braces == 0 && rounds == 0
}

fn is_condition(text: &str) -> bool {
    (1..=50).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_repository(text: &str) -> bool {
    (1..=50).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
}

fn is_file_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && !text.contains('/')
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_name_splits_at_its_last_dash() {
        let p: PlatformName = "centos-stream9-x86_64".parse().unwrap();
        assert_eq!((p.release(), p.arch()), ("centos-stream9", "x86_64"));
    }

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for bad in ["", ".", "..", "a/b", "/etc/passwd", ".hidden", "-rf", "a\nb", "a\u{1b}[31m", &"x".repeat(256)] {
            assert!(bad.parse::<FileName>().is_err(), "{bad:?}");
        }
        for good in ["hello-1.0-1.x86_64.rpm", "parallel-%{ver}-1.noarch.rpm", "a b+c^d~e", "%", "ü"] {
            assert!(good.parse::<FileName>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn what_rpm_would_read_otherwise_is_no_macro() {
        for bad in ["ab", "1abc", "a-b", "a b", "abc(x)", "%abc", "äbc", &"x".repeat(65)] {
            assert!(bad.parse::<MacroName>().is_err(), "{bad:?}");
        }
        for bad in ["two\nlines", "{", "%{x", "(", "%(echo", "a\0", &"x".repeat(1001)] {
            assert!(bad.parse::<MacroValue>().is_err(), "{bad:?}");
        }
        for good in ["", "1", "%{?x:y}(z)", "; rm -rf / \"'", "\\{", ") }", "ü"] {
            assert!(good.parse::<MacroValue>().is_ok(), "{good:?}");
        }
        for bad in ["", "a.b", "a+b", "a-b", "--nodeps", "a b"] {
            assert!(bad.parse::<Condition>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_shows_the_name_escaped() {
        let error = "a\u{1b}[31m".parse::<FileName>().unwrap_err().to_string();
        assert!(error.contains("\\u{1b}") && !error.contains('\u{1b}'), "{error}");
    }
}
