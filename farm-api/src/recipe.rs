//! The recipe of a platform: what its chroot is made from. The same text is the TOML that `farm-admin platform add`
//! reads, the JSON that the database keeps, and what the hub hands to a builder.

use farm_types::{BucketName, PlatformName, RepositoryName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits::Limits;

/// How a platform's chroot is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The platform, `release-arch`.
    pub name: PlatformName,
    /// The distribution release, `f13`.
    pub release: String,
    /// The architecture, `x86_64`.
    pub arch: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Whether `auto` includes it.
    #[serde(default = "yes")]
    pub auto: bool,
    /// What dnf installs into the base tree: packages or `@groups`.
    pub base: Vec<String>,
    /// Where from.
    #[serde(rename = "repository", alias = "repositories")]
    pub repositories: Vec<Repository>,
    /// Whether builds may use the network, where the job asks for it and its submitter may. They then share the host's network, as
    /// under mock with `rpmbuild_networking`: for hosts on which nothing listens that builds must not reach.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// How long a build may take, in seconds, unless the job says otherwise; 7200 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// How many of a builder's slots a build takes, from 1 to 64; 1 when absent. One that has fewer gives all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// What a build may use up here, whatever its job asks for: `[limits]` with the words of [`Limits`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// Buckets whose results every build may install, as if its job had asked for them; they have to be public.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<BucketName>,
}

/// A dnf repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Its id in dnf.
    pub name: String,
    /// Where it is; this or `metalink`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseurl: Option<String>,
    /// Where its mirrors are listed; this or `baseurl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metalink: Option<String>,
    /// Whether its packages must be signed.
    #[serde(default = "yes")]
    pub gpgcheck: bool,
    /// URL of the key that signs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpgkey: Option<String>,
    /// As in dnf: the lower number wins; 99 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Whether the base tree and every build use it. One that is not enabled is for the builds of jobs that name it.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_true(value: &bool) -> bool {
    *value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Recipe {
    /// Everything that is wrong with the recipe beyond its form.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.name.as_str() != format!("{}-{}", self.release, self.arch) {
            problems.push(format!("name “{}” is not release-arch, “{}-{}”", self.name, self.release, self.arch));
        }
        if self.base.is_empty() {
            problems.push("base is empty: say which packages or @groups make the base tree".to_owned());
        }
        if self.base.iter().any(|word| word.starts_with('-') || word.chars().any(char::is_control)) {
            problems.push("base holds a word that is no package and no @group".to_owned());
        }
        if !self.repositories.iter().any(|repository| repository.enabled) {
            problems.push("no [[repository]] that is enabled: say where the packages come from".to_owned());
        }
        for repository in &self.repositories {
            problems.extend(repository.problems());
        }
        if self.weight.is_some_and(|weight| !(1..=64).contains(&weight)) {
            problems.push("weight is the number of slots that a build takes: from 1 to 64".to_owned());
        }
        if matches!(self.timeout_seconds, Some(0)) {
            problems.push("timeout_seconds is 0: no build could succeed".to_owned());
        }
        problems.extend(self.limits.problems().into_iter().map(|problem| format!("limits: {problem}")));
        problems
    }

    /// The recipe as far as the base tree depends on it. What builds may do in it, and what only some of them see, makes no other
    /// tree.
    #[must_use]
    pub fn for_base(&self) -> Self {
        let repositories = self.repositories.iter().filter(|repository| repository.enabled).cloned().collect();
        Self {
            repositories,
            description: String::new(),
            auto: true,
            network: false,
            timeout_seconds: None,
            weight: None,
            limits: Limits::default(),
            buckets: Vec::new(),
            ..self.clone()
        }
    }
}

impl Repository {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let name = &self.name;
        if let Err(error) = name.parse::<RepositoryName>() {
            problems.push(error.to_string());
        }
        if name.starts_with("farm-") {
            problems.push(format!("repository {name}: names that begin with “farm-” are those of buckets and jobs"));
        }
        if self.baseurl.is_some() == self.metalink.is_some() {
            problems.push(format!("repository {name}: give either baseurl or metalink"));
        }
        if self.gpgcheck && self.gpgkey.is_none() {
            problems.push(format!("repository {name}: gpgcheck needs a gpgkey; or say gpgcheck = false"));
        }
        for url in [&self.baseurl, &self.metalink, &self.gpgkey].into_iter().flatten() {
            if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
                problems.push(format!("repository {name}: “{}” is no URL", url.escape_debug()));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_builds_may_do_makes_no_other_base_tree_and_what_is_in_it_does() {
        let plain = json!({ "name": "a-x86_64", "release": "a", "arch": "x86_64", "base": ["bash"],
                            "repository": [{ "name": "base", "baseurl": "http://h/", "gpgcheck": false }] });
        let base = |key: &str, value: serde_json::Value| {
            let mut recipe = plain.clone();
            recipe[key] = value;
            serde_json::from_value::<Recipe>(recipe).unwrap().for_base()
        };
        let former = base("base", json!(["bash"]));
        for (key, value) in [
            ("description", json!("of all")),
            ("auto", json!(false)),
            ("network", json!(true)),
            ("timeout_seconds", json!(5)),
            ("weight", json!(4)),
            ("limits", json!({ "processes": 5 })),
            ("buckets", json!(["main"])),
        ] {
            assert_eq!(base(key, value), former, "{key}");
        }
        assert_ne!(base("base", json!(["bash", "make"])), former);
    }
}
