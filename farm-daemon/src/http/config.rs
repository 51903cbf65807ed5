//! Where and how to serve HTTP.

use super::{Address, TlsConfig};

/// Where and how to serve HTTP: the table `[http]` of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The address to listen on.
    pub listen: Address,
    /// The certificate to serve HTTPS with: the table `[http.tls]`. Without it, HTTP.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// All requests come from a reverse proxy, which says in `X-Forwarded-For` whose they are. Without one this must be
    /// false, as then anybody could say anything there.
    #[serde(default)]
    pub behind_proxy: bool,
    /// Serve unencrypted HTTP to other machines. Passwords, tokens and packages are then readable on the way: only for a
    /// network that is trusted as the machine itself is.
    #[serde(default)]
    pub allow_plain_http_on_network: bool,
}

impl HttpConfig {
    /// Serves HTTP on this address, if it is local.
    pub fn new(listen: Address) -> Self {
        Self { listen, tls: None, behind_proxy: false, allow_plain_http_on_network: false }
    }

    /// What is wrong with it, for [`Config::validate`](crate::Config::validate).
    pub fn problems(&self) -> Vec<String> {
        match &self.tls {
            Some(_) if matches!(self.listen, Address::Unix(_)) => vec![format!(
                "tls is for addresses of the network, and listen = \"{}\" is a socket of this machine: leave one of them out",
                self.listen
            )],
            Some(tls) => tls.problems(),
            None if self.listen.is_local() || self.allow_plain_http_on_network => Vec::new(),
            None => vec![format!(
                "listen = \"{}\" would serve unencrypted HTTP to other machines: name a certificate and its key in tls, \
                 listen on 127.0.0.1 behind a proxy that speaks HTTPS, or set allow_plain_http_on_network = true",
                self.listen
            )],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str) -> HttpConfig {
        HttpConfig::new(listen.parse().unwrap())
    }

    #[test]
    fn other_machines_are_served_plain_http_only_when_that_is_asked_for() {
        let problems = config("0.0.0.0:0").problems().join("; ");
        assert!(problems.contains("allow_plain_http_on_network = true"), "{problems}");
        let allowed = HttpConfig { allow_plain_http_on_network: true, ..config("0.0.0.0:0") };
        assert!(allowed.problems().is_empty());
        assert!(config("127.0.0.1:0").problems().is_empty());
    }

    #[test]
    fn a_unix_socket_has_no_certificate() {
        let tls = Some(TlsConfig { certificate: "/c".into(), key: "/k".into() });
        let problems = HttpConfig { tls, ..config("unix:/s") }.problems().join("; ");
        assert!(problems.contains("leave one of them out"), "{problems}");
    }
}
