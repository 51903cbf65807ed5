//! Configuration files: strict TOML, and every problem said with its place.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use crate::{KerberosConfig, LogConfig, Login};

/// The configuration of a daemon. Its structs carry `#[serde(deny_unknown_fields)]`, so a misspelt key is an error.
pub trait Config: DeserializeOwned {
    /// What is wrong with values that are well-formed one by one: a sentence per problem, all of them.
    fn validate(&self) -> Vec<String>;

    /// What the file says about logging.
    fn log(&self) -> LogConfig {
        LogConfig::default()
    }

    /// What the file says about Kerberos. [`start`](crate::start) puts it into the environment before the first thread.
    fn kerberos(&self) -> Option<&KerberosConfig> {
        None
    }

    /// How this daemon logs in with the tickets of its client keytab; with `None` the Kerberos library alone renews them.
    fn login(&self) -> Option<Login> {
        None
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {}: {source}; name another file with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The text is no TOML, or a key or value is not as it must be.
    #[error("{}, line {line}: {what}\n{excerpt}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key, what is wrong and what is expected.
        what: String,
        /// The line itself, with the place marked.
        excerpt: String,
    },
    /// The values contradict each other or the machine.
    #[error("{} is not right:{}", path.display(), list(problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// A sentence per problem.
        problems: Vec<String>,
    },
}

/// Reads a configuration and checks it.
pub fn load<C: Config>(path: &Path) -> Result<C, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    // Not fs_err: the sentence names the file itself.
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let config: C = parse(&text).map_err(|e| e.at(path))?;
    let mut problems = config.validate();
    let kerberos = config.kerberos();
    let renewal = kerberos.filter(|_| config.login().is_some()).and_then(KerberosConfig::renewal_problem);
    for problem in kerberos.map(KerberosConfig::problems).unwrap_or_default().into_iter().chain(renewal) {
        // The daemon may have asked as well.
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid { path: path.to_owned(), problems }) }
}

/// A problem in a text whose file is not known yet.
struct Malformed {
    line: usize,
    what: String,
    excerpt: String,
}

impl Malformed {
    fn at(self, path: &Path) -> ConfigError {
        ConfigError::Malformed { path: path.to_owned(), line: self.line, what: self.what, excerpt: self.excerpt }
    }

    fn new(text: &str, key: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let before = text.get(..span.start).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count();
        let source_line = text.lines().nth(line - 1).unwrap_or("");
        let width = text.get(span).map_or(1, |s| s.lines().next().unwrap_or("").chars().count()).max(1);
        let message = error.message().trim_end().replace('\n', ", ");
        Self {
            line,
            what: if key == "." { message } else { format!("{key}: {message}") },
            excerpt: format!("    {source_line}\n    {:column$}{}", "", "^".repeat(width)),
        }
    }
}

fn parse<C: DeserializeOwned>(text: &str) -> Result<C, Malformed> {
    let deserializer = toml::Deserializer::parse(text).map_err(|e| Malformed::new(text, ".", &e))?;
    serde_path_to_error::deserialize(deserializer).map_err(|e| Malformed::new(text, &e.path().to_string(), e.inner()))
}

fn list(problems: &[String]) -> String {
    problems.iter().fold(String::new(), |mut text, problem| {
        let _ = write!(text, "\n  - {problem}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        lease_secs: u64,
        renew_secs: u64,
        http: Http,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Http {
        #[expect(dead_code, reason = "only its reading is tested")]
        listen: crate::http::Address,
    }

    impl Config for Sample {
        fn validate(&self) -> Vec<String> {
            let _ = &self.http;
            let mut problems = Vec::new();
            if self.renew_secs * 2 > self.lease_secs {
                problems.push("renew_secs must be at most half of lease_secs".to_owned());
            }
            if self.lease_secs > 3600 {
                problems.push("lease_secs must be at most 3600".to_owned());
            }
            problems
        }
    }

    /// What a person reads who made this mistake; the file is called farm.toml.
    fn complaint(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("farm.toml");
        fs_err::write(&path, text).unwrap();
        let error = load::<Sample>(&path).unwrap_err();
        error.to_string().replace(&format!("{}/", dir.path().display()), "")
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_the_keys_there_are() {
        insta::assert_snapshot!(
            complaint("lease_secs = 60\nrenew_secs = 20\n[http]\nlsten = \"127.0.0.1:80\"\n"), @r#"
        farm.toml, line 4: http.lsten: unknown field `lsten`, expected `listen`
            lsten = "127.0.0.1:80"
            ^^^^^
        "#);
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_its_key_and_what_is_expected() {
        insta::assert_snapshot!(complaint("lease_secs = \"60\"\n"), @r#"
        farm.toml, line 1: lease_secs: invalid type: string "60", expected u64
            lease_secs = "60"
                         ^^^^
        "#);
    }

    #[test]
    fn a_value_that_does_not_parse_says_what_it_takes() {
        insta::assert_snapshot!(
            complaint("lease_secs = 60\nrenew_secs = 20\nhttp.listen = \"localhost\"\n"), @r#"
        farm.toml, line 3: http.listen: “localhost” is no address to listen on: it takes an IP address with a port, as in 127.0.0.1:8000, or a socket, as in unix:/run/farm/web.sock
            http.listen = "localhost"
                          ^^^^^^^^^^^
        "#);
    }

    #[test]
    fn a_missing_key_is_named() {
        insta::assert_snapshot!(complaint("lease_secs = 60\nrenew_secs = 20\n[http]\n"), @r"
        farm.toml, line 3: http: missing field `listen`
            [http]
            ^^^^^^
        ");
    }

    #[test]
    fn text_that_is_no_toml_is_refused_with_its_place() {
        insta::assert_snapshot!(complaint("lease_secs = = 60\n"), @r"
        farm.toml, line 1: extra `=`, expected nothing
            lease_secs = = 60
                         ^
        ");
    }

    #[test]
    fn contradicting_values_are_all_listed_at_once() {
        insta::assert_snapshot!(
            complaint("lease_secs = 4000\nrenew_secs = 3000\nhttp.listen = \"127.0.0.1:1\"\n"), @r"
        farm.toml is not right:
          - renew_secs must be at most half of lease_secs
          - lease_secs must be at most 3600
        ");
    }

    #[test]
    fn a_missing_file_is_named_with_the_way_out() {
        let error = load::<Sample>(Path::new("/nonexistent/farm.toml")).unwrap_err();
        insta::assert_snapshot!(
            error, @"cannot read the configuration /nonexistent/farm.toml: No such file or directory (os error 2); name another file with --config");
    }
}
