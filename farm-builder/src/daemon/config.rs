//! The configuration, `/etc/farm/farm-builder.toml`.

use std::{path::PathBuf, thread};

use farm_api::limits::Limits;
use farm_daemon::{KerberosConfig, LogConfig, http::HttpConfig};
use farm_types::BuilderName;
use serde::Deserialize;

use super::{limits, thresholds::Thresholds};
use crate::{mock::MockConfig, native::ScratchPlace};

/// Where the builder keeps everything.
const DATA: &str = "/var/lib/farm/builder";
/// Where the token of this builder is, as `farm-admin builder add` printed it.
const TOKEN_FILE: &str = "/etc/farm/builder.token";
/// Long enough for a build that is nearly done; the others begin anew elsewhere and lose less than the administrator's time.
const DRAIN_SECONDS: u64 = 20;

/// What the builder has to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the hub is: `https://hub.example.org:8001/`. Or a list of hubs: when one is away, the next one is called.
    pub hub: Hubs,
    /// The builder's name, as the operator registered it.
    pub name: BuilderName,
    /// The file with its token; `/etc/farm/builder.token` by default, if there is one. Without a token the builder logs in by
    /// Kerberos, with the keytab of its host.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Certificates of authorities to trust at the hub beside the system's, as a PEM file.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Tasks at once, if each weighs 1; by default one for every two processors.
    #[serde(default = "slots")]
    pub slots: u32,
    /// Where base trees, chroots and results are; `/var/lib/farm/builder` by default. Builders on one host may share it, and then
    /// share base trees.
    #[serde(default = "data")]
    pub data: PathBuf,
    /// What makes chroots and builds in them.
    #[serde(default)]
    pub driver: DriverKind,
    /// What the mock driver has to know.
    #[serde(default)]
    pub mock: MockConfig,
    /// How many bytes of base trees and dependency layers are kept for further builds; by default a quarter of the disk, and 20 GiB at
    /// most.
    #[serde(default)]
    pub cache_bytes: Option<u64>,
    /// Architectures to build for; by default this machine's, and i686 on an x86_64 whose kernel runs programs of 32 bits.
    #[serde(default = "arches")]
    pub arches: Vec<String>,
    /// How long builds may go on when the builder is told to end; then they are given back. 20 by default.
    #[serde(default = "drain_seconds")]
    pub drain_seconds: u64,
    /// Whether this builder is taken off the farm's list when it ends, if it registered itself: for machines that come and go. Not by
    /// default.
    #[serde(default)]
    pub deregister_on_exit: bool,
    /// What each build may use up; see [`BuildLimits`](crate::BuildLimits). A platform or a job can lower it.
    #[serde(default)]
    pub limits: Limits,
    /// The share of processor time of each build, where it is short; that of the host's own programs is 100. 50 by default.
    #[serde(default = "limits::cpu_weight")]
    pub cpu_weight: u16,
    /// Where what builds write lies: `memory`, `disk`, or `auto`, the default: in memory where the limit for it is at most half of
    /// that for the memory.
    #[serde(default)]
    pub scratch: ScratchPlace,
    /// Below which no tasks are taken.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// Where to serve health and metrics; nowhere by default.
    #[serde(default)]
    pub metrics: Option<HttpConfig>,
    /// As whom this builder logs in to the hub, where it has no token: by the keytab of its host.
    #[serde(default)]
    pub kerberos: KerberosConfig,
    /// How to log.
    #[serde(default)]
    pub log: LogConfig,
}

/// What makes chroots and builds in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverKind {
    /// [`crate::native`].
    #[default]
    Native,
    /// [`crate::mock`].
    Mock,
}

/// One address or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Hubs {
    /// One.
    One(String),
    /// Several, the first before the others.
    Several(Vec<String>),
}

impl Hubs {
    /// All of them.
    pub fn addresses(&self) -> &[String] {
        match self {
            Self::One(address) => std::slice::from_ref(address),
            Self::Several(addresses) => addresses,
        }
    }
}

fn slots() -> u32 {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(processors / 2).unwrap_or(1).max(1)
}

fn data() -> PathBuf {
    DATA.into()
}

fn arches() -> Vec<String> {
    super::arches::of_this_host()
}

fn drain_seconds() -> u64 {
    DRAIN_SECONDS
}

impl Config {
    /// The file with the token, if there is to be one.
    pub(super) fn token_file(&self) -> Option<PathBuf> {
        let usual = || Some(PathBuf::from(TOKEN_FILE)).filter(|path| path.exists());
        self.token_file.clone().or_else(usual)
    }
}

impl farm_daemon::Config for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.metrics.as_ref().map(HttpConfig::problems).unwrap_or_default();
        problems.extend(self.mock.problems());
        if self.slots == 0 {
            problems.push("slots is 0: the builder would never build anything".to_owned());
        }
        if self.hub.addresses().is_empty() {
            problems.push("hub is an empty list: there would be nobody to ask for tasks".to_owned());
        }
        if !self.thresholds.load_per_processor.is_finite() {
            problems.push("thresholds.load_per_processor is no number".to_owned());
        }
        if self.arches.is_empty() {
            problems.push("arches is empty: the builder would never build anything".to_owned());
        }
        problems.extend(limits::problems(&self.limits));
        problems
    }

    fn log(&self) -> LogConfig {
        self.log.clone()
    }

    fn kerberos(&self) -> Option<&KerberosConfig> {
        Some(&self.kerberos)
    }
}

#[cfg(test)]
mod tests {
    use farm_daemon::Config as _;

    use super::*;

    #[test]
    fn a_hub_and_a_name_are_enough() {
        let config: Config = toml::from_str("hub = 'http://hub/'\nname = 'b1'").unwrap();
        assert!(config.slots > 0 && !config.arches[0].is_empty());
        assert!(config.validate().is_empty());
    }

    #[test]
    fn a_driver_is_chosen_by_name_and_native_is_the_default() {
        let config: Config = toml::from_str("hub = 'http://hub/'\nname = 'b1'").unwrap();
        assert_eq!(config.driver, DriverKind::Native);
        let text = "hub = 'http://hub/'\nname = 'b1'\ndriver = 'mock'\n[mock]\nconfig_dir = 'etc'\n                    [mock.configs]\n'f13-x86_64' = '../x'";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!((config.driver, config.validate().len()), (DriverKind::Mock, 2));
        assert!(toml::from_str::<Config>("hub = 'http://hub/'\nname = 'b1'\ndriver = 'docker'").is_err());
    }

    #[test]
    fn there_may_be_several_hubs_and_some_thresholds() {
        let config: Config =
            toml::from_str("hub = ['http://a/', 'http://b/']\nname = 'b1'\n[thresholds]\nmemory_bytes = 5").unwrap();
        assert_eq!(config.hub.addresses(), ["http://a/", "http://b/"]);
        assert_eq!((config.thresholds.memory_bytes, config.thresholds.disk_bytes), (5, 2 << 30));
        assert!(config.validate().is_empty());
        let none: Config = toml::from_str("hub = []\nname = 'b1'").unwrap();
        assert_eq!(none.validate().len(), 1);
    }

    #[test]
    fn a_builder_without_slots_is_refused() {
        let config: Config =
            toml::from_str("hub = 'http://hub/'\nname = 'b1'\nslots = 0\n[limits]\nlog_bytes = 0").unwrap();
        assert_eq!(config.validate().len(), 2);
    }
}
