//! Where a daemon listens.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// An address to listen on: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/farm/web.sock`. Port 0: any that is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// A text that is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "“{0}” is no address to listen on: it takes an IP address with a port, as in 127.0.0.1:8000, \
     or a socket, as in unix:/run/farm/web.sock"
)]
pub struct ParseAddressError(String);

impl Address {
    /// Whether only programs of this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseAddressError(text.to_owned());
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(PathBuf::from(path))),
            Some(_) => Err(wrong()),
            None => text.parse().map(Self::Tcp).map_err(|_| wrong()),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_what_it_prints() {
        for text in ["127.0.0.1:8000", "[::1]:0", "unix:/run/farm/web.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn names_and_relative_paths_are_refused() {
        for text in ["localhost:8000", "8000", "127.0.0.1", "unix:web.sock", "unix:", ""] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_and_sockets_are_local() {
        for (text, local) in [("127.0.0.9:1", true), ("[::1]:1", true), ("unix:/s", true), ("0.0.0.0:1", false)] {
            assert_eq!(text.parse::<Address>().unwrap().is_local(), local, "{text}");
        }
    }
}
