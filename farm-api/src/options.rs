//! What a job may ask of its builds, beyond where and when: what a submitter writes, [`NewOptions`], and what that was found to
//! mean, [`BuildOptions`].

mod parse;
mod repository;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use farm_types::{BucketName, Condition, MacroName, MacroValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use repository::{ExtraRepository, NewRepository};

use crate::limits::Limits;

/// Macros that Farm itself sets, and by which it finds what a build has made.
const OURS: [&str; 22] = [
    "_buildhost",
    "_builddir",
    "_build_name_fmt",
    "_buildrootdir",
    "_dbpath",
    "_rpmdir",
    "_rpmfilename",
    "_sourcedir",
    "_specdir",
    "_srcrpmdir",
    "_target",
    "_target_cpu",
    "_target_os",
    "_target_platform",
    "_tmppath",
    "_topdir",
    "buildroot",
    "clamp_mtime_to_source_date_epoch",
    "nil",
    "source_date_epoch_from_changelog",
    "use_source_date_epoch_as_buildtime",
    "_use_internal_dependency_generator",
];

/// What a job asks of its builds, as it is handed in: nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewOptions {
    /// Whether `%check` is run; it is when absent.
    #[serde(skip_serializing_if = "is_true")]
    pub check: bool,
    /// Build conditions to set, as by `rpmbuild --with`: takes the right `define`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// Build conditions to unset, as by `rpmbuild --without`: takes the right `define`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Macros to define, as by `rpmbuild --define`: takes the right `define`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub macros: BTreeMap<String, String>,
    /// Repositories to install from beside the platform's. One that is not the platform's own takes the right `external`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<NewRepository>,
    /// Buckets to install from: one has to see them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<String>,
    /// What a build may use up; the platform's, the person's and the builder's bounds hold as well.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// How many slots of a builder a build takes; one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
}

/// What a job asks of its builds, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct BuildOptions {
    /// Whether `%check` is run.
    #[serde(skip_serializing_if = "is_true")]
    pub check: bool,
    /// Build conditions that are set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<Condition>,
    /// Build conditions that are unset.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Condition>,
    /// Macros that are defined.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub macros: BTreeMap<MacroName, MacroValue>,
    /// Repositories to install from beside the platform's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<ExtraRepository>,
    /// Buckets to install from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<BucketName>,
    /// What a build may use up.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// How many slots of a builder a build takes; one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_true(value: &bool) -> bool {
    *value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for NewOptions {
    fn default() -> Self {
        Self {
            check: true,
            with: Vec::new(),
            without: Vec::new(),
            macros: BTreeMap::new(),
            repositories: Vec::new(),
            buckets: Vec::new(),
            limits: Limits::default(),
            weight: None,
        }
    }
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            check: true,
            with: Vec::new(),
            without: Vec::new(),
            macros: BTreeMap::new(),
            repositories: Vec::new(),
            buckets: Vec::new(),
            limits: Limits::default(),
            weight: None,
        }
    }
}

impl NewOptions {
    /// Whether nothing is asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What was asked once can be asked again.
impl From<BuildOptions> for NewOptions {
    fn from(asked: BuildOptions) -> Self {
        let BuildOptions { check, with, without, macros, repositories, buckets, limits, weight } = asked;
        let texts = |conditions: Vec<Condition>| conditions.iter().map(ToString::to_string).collect();
        Self {
            check,
            with: texts(with),
            without: texts(without),
            macros: macros.iter().map(|(name, value)| (name.to_string(), value.as_str().to_owned())).collect(),
            repositories: repositories.into_iter().map(NewRepository::from).collect(),
            buckets: buckets.iter().map(ToString::to_string).collect(),
            limits,
            weight,
        }
    }
}

impl BuildOptions {
    /// Whether nothing is asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What rpmbuild is told, as arguments of its own: no shell reads them.
    pub fn rpmbuild_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if !self.check {
            arguments.push("--nocheck".to_owned());
        }
        for (option, conditions) in [("--with", &self.with), ("--without", &self.without)] {
            for condition in conditions {
                arguments.extend([option.to_owned(), condition.to_string()]);
            }
        }
        for (name, value) in &self.macros {
            // rpm refuses a macro that stands for nothing, unless it is said so.
            let value = if value.as_str().trim().is_empty() { "%{nil}" } else { value.as_str() };
            arguments.extend(["--define".to_owned(), format!("{name} {value}")]);
        }
        arguments
    }

    /// Each thing that is asked for, under the name that people know it by, for pages and lists.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let mut shown = Vec::new();
        if !self.check {
            shown.push(("check", "off".to_owned()));
        }
        shown.extend(self.with.iter().map(|condition| ("with", condition.to_string())));
        shown.extend(self.without.iter().map(|condition| ("without", condition.to_string())));
        shown
            .extend(self.macros.iter().map(|(name, value)| ("macro", format!("{name} {value}").trim_end().to_owned())));
        shown.extend(self.repositories.iter().map(|repository| ("repository", repository.to_string())));
        shown.extend(self.buckets.iter().map(|bucket| ("use bucket", bucket.to_string())));
        let limits = self.limits.named();
        shown.extend(limits.iter().filter_map(|(name, value)| Some(("limit", format!("{name} {}", (*value)?)))));
        shown.extend(self.weight.map(|weight| ("weight", weight.to_string())));
        shown
    }
}
