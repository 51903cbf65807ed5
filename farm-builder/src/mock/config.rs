//! `[mock]` of the builder's configuration.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use farm_types::PlatformName;
use serde::Deserialize;

/// What the mock driver needs to know. No word of it comes from those who submit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MockConfig {
    /// The program; `mock` by default.
    pub program: PathBuf,
    /// Where mock's configurations are; `/etc/mock` by default.
    pub config_dir: PathBuf,
    /// Which of them a platform has: a name, or the path of a file that ends in `.cfg`. By default the platform's own name.
    pub configs: BTreeMap<PlatformName, String>,
    /// What is to isolate builds.
    pub isolation: IsolationChoice,
    /// Whether builds may run where mock isolates little; see [`Isolation`](super::Isolation).
    pub allow_simple_isolation: bool,
    /// As whom mock builds when the builder runs as root, for whom it builds nothing; by default a member of the group `mock`.
    pub user: Option<String>,
}

/// What is to isolate builds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IsolationChoice {
    /// systemd-nspawn where the host has it running, else mock's simple one.
    #[default]
    Auto,
    /// systemd-nspawn.
    Nspawn,
    /// mock's own: a chroot.
    Simple,
}

impl Default for MockConfig {
    fn default() -> Self {
        Self {
            program: "mock".into(),
            config_dir: "/etc/mock".into(),
            configs: BTreeMap::new(),
            isolation: IsolationChoice::Auto,
            allow_simple_isolation: false,
            user: None,
        }
    }
}

impl MockConfig {
    /// Everything that is wrong with it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !is_plain(&self.config_dir) {
            problems.push(format!("[mock] config_dir “{}” is no absolute plain path", self.config_dir.display()));
        }
        for (platform, config) in &self.configs {
            if !is_plain(&self.path_of(config)) || config.starts_with('-') {
                problems.push(format!(
                    "[mock.configs] {platform}: “{}” is neither the name of a configuration nor the path of a file.cfg",
                    config.escape_debug()
                ));
            }
        }
        problems
    }

    /// The file of mock's configuration for a platform.
    pub fn file_of(&self, platform: &PlatformName) -> PathBuf {
        self.path_of(self.configs.get(platform).map_or(platform.as_str(), String::as_str))
    }

    fn path_of(&self, config: &str) -> PathBuf {
        if config.ends_with(".cfg") { PathBuf::from(config) } else { self.config_dir.join(format!("{config}.cfg")) }
    }
}

/// Whether a path may stand in a configuration of mock's, which is Python.
fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path
            .to_str()
            .is_some_and(|text| !text.contains(['\'', '\\', '"', '{', '}']) && !text.contains(char::is_control))
        && !path.components().any(|part| part == std::path::Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> MockConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_platform_has_the_configuration_of_its_name_unless_another_is_given() {
        let config = config(
            "config_dir = '/etc/farm/mock'\n[configs]\n'f13-i686' = 'fedora-13-i386'\n'f14-x86_64' = '/srv/f14.cfg'",
        );
        assert_eq!(config.problems(), [""; 0]);
        for (platform, file) in [
            ("f13-i686", "/etc/farm/mock/fedora-13-i386.cfg"),
            ("f14-x86_64", "/srv/f14.cfg"),
            ("f15-x86_64", "/etc/farm/mock/f15-x86_64.cfg"),
        ] {
            assert_eq!(config.file_of(&platform.parse().unwrap()), PathBuf::from(file));
        }
    }

    #[test]
    fn what_would_be_code_in_a_configuration_is_refused() {
        for bad in ["a'b", "../x", "relative.cfg", "-r", "/x/../y.cfg", "a\\nb", "{{x}}"] {
            let mut config = MockConfig::default();
            config.configs.insert("f13-x86_64".parse().unwrap(), bad.to_owned());
            assert_eq!(config.problems().len(), 1, "{bad}");
        }
    }

    #[test]
    fn simple_isolation_has_to_be_allowed_by_word() {
        assert!(!MockConfig::default().allow_simple_isolation);
        assert!(toml::from_str::<MockConfig>("isolation = 'none'").is_err());
    }
}
