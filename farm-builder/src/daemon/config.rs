//! The configuration, `/etc/farm/farm-builder.toml`.

use std::{path::PathBuf, thread};

use farm_daemon::{KerberosConfig, LogConfig, http::HttpConfig};
use farm_types::BuilderName;
use serde::Deserialize;

/// Where the builder keeps everything.
const DATA: &str = "/var/lib/farm/builder";
/// Where the token of this builder is, as `farm-admin builder add` printed it.
const TOKEN_FILE: &str = "/etc/farm/builder.token";
/// Long enough for a build that is nearly done; the others begin anew elsewhere and lose less than the administrator's time.
const DRAIN_SECONDS: u64 = 20;
/// A linker at work on a large program says nothing for long.
const SILENCE_SECONDS: u64 = 3600;
/// What the hub takes is more.
const MAX_LOG_BYTES: u64 = 128 << 20;
/// As much as the hub takes of one file.
const MAX_RESULT_BYTES: u64 = 8 << 30;

/// What the builder has to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the hub is: `https://hub.example.org:8001/`.
    pub hub: String,
    /// The builder's name, as the operator registered it.
    pub name: BuilderName,
    /// The file with its token; `/etc/farm/builder.token` by default, if there is one. Without a token the builder logs in by
    /// Kerberos, with the keytab of its host.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Certificates of authorities to trust at the hub beside the system's, as a PEM file.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Tasks at once; by default one for every two processors.
    #[serde(default = "slots")]
    pub slots: u32,
    /// Where base trees, chroots and results are; `/var/lib/farm/builder` by default. Builders on one host may share it, and then
    /// share base trees.
    #[serde(default = "data")]
    pub data: PathBuf,
    /// Architectures to build for; by default this machine's, and i686 on an x86_64 whose kernel runs programs of 32 bits.
    #[serde(default = "arches")]
    pub arches: Vec<String>,
    /// How long builds may go on when the builder is told to end; then they are given back. 20 by default.
    #[serde(default = "drain_seconds")]
    pub drain_seconds: u64,
    /// How long a build may print nothing; an hour by default.
    #[serde(default = "silence_seconds")]
    pub silence_seconds: u64,
    /// How long a log may become; 128 MiB by default.
    #[serde(default = "max_log_bytes")]
    pub max_log_bytes: u64,
    /// How large the packages of one source may become; 8 GiB by default.
    #[serde(default = "max_result_bytes")]
    pub max_result_bytes: u64,
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

fn silence_seconds() -> u64 {
    SILENCE_SECONDS
}

fn max_log_bytes() -> u64 {
    MAX_LOG_BYTES
}

fn max_result_bytes() -> u64 {
    MAX_RESULT_BYTES
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
        if self.slots == 0 {
            problems.push("slots is 0: the builder would never build anything".to_owned());
        }
        if self.arches.is_empty() {
            problems.push("arches is empty: the builder would never build anything".to_owned());
        }
        for (name, value) in [
            ("silence_seconds", self.silence_seconds),
            ("max_log_bytes", self.max_log_bytes),
            ("max_result_bytes", self.max_result_bytes),
        ] {
            if value == 0 {
                problems.push(format!("{name} is 0: every build would fail"));
            }
        }
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
    fn a_builder_without_slots_is_refused() {
        let config: Config = toml::from_str("hub = 'http://hub/'\nname = 'b1'\nslots = 0\nmax_log_bytes = 0").unwrap();
        assert_eq!(config.validate().len(), 2);
    }
}
