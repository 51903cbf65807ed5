//! The listening socket of a daemon.

use std::{
    fmt, io,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt as _, net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener as AxumListener},
};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::Address;

/// A reverse proxy reaches the socket through its group.
const SOCKET_MODE: u32 = 0o660;

/// Where and how to serve HTTP: the table `[http]` of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The address to listen on.
    pub listen: Address,
    /// Serve unencrypted HTTP to other machines. Passwords, tokens and packages are then readable on the way: only for a
    /// network that is trusted as the machine itself is.
    #[serde(default)]
    pub allow_plain_http_on_network: bool,
}

impl HttpConfig {
    /// Serves on this address, and to other machines only if that is local.
    pub fn new(listen: Address) -> Self {
        Self { listen, allow_plain_http_on_network: false }
    }

    /// What is wrong with it, for [`Config::validate`](crate::Config::validate).
    pub fn problems(&self) -> Vec<String> {
        if self.listen.is_local() || self.allow_plain_http_on_network {
            return Vec::new();
        }
        vec![format!(
            "listen = \"{}\" would serve unencrypted HTTP to other machines: listen on 127.0.0.1 behind a proxy that \
             speaks HTTPS, or set allow_plain_http_on_network = true",
            self.listen
        )]
    }
}

/// A bound socket, TCP or unix. The file of a unix socket is removed when it is dropped.
pub struct Listener {
    socket: Socket,
    address: Address,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Binds the address of the configuration, unless that would be unsafe.
    pub async fn bind(config: &HttpConfig) -> anyhow::Result<Self> {
        if let Some(problem) = config.problems().pop() {
            bail!(problem);
        }
        let context = || format!("cannot listen on {}", config.listen);
        match &config.listen {
            Address::Tcp(address) => {
                let socket = TcpListener::bind(address).await.with_context(context)?;
                let address = Address::Tcp(socket.local_addr().with_context(context)?);
                Ok(Self { socket: Socket::Tcp(socket), address })
            }
            Address::Unix(path) => {
                let socket = bind_unix(path).with_context(context)?;
                Ok(Self { socket: Socket::Unix(socket), address: Address::Unix(path.clone()) })
            }
        }
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            let _ = fs_err::remove_file(path);
        }
    }
}

fn bind_unix(path: &Path) -> anyhow::Result<UnixListener> {
    if path.exists() {
        if StdUnixStream::connect(path).is_ok() {
            bail!("another process listens there");
        }
        // Left behind by a process that was killed.
        fs_err::remove_file(path)?;
    }
    let socket = UnixListener::bind(path)?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(socket)
}

/// Who is at the other end of a connection. Take it as `ConnectInfo<Peer>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A program, here or elsewhere.
    Tcp(SocketAddr),
    /// A program of this machine, through the socket of this path.
    Unix(PathBuf),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.ip().fmt(f),
            Self::Unix(_) => f.write_str("local"),
        }
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.remote_addr().clone()
    }
}

impl AxumListener for Listener {
    type Io = Either<TcpStream, UnixStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match &mut self.socket {
            Socket::Tcp(socket) => {
                let (stream, address) = AxumListener::accept(socket).await;
                // Small pieces of a live log must not wait for each other. A connection that refuses this works too.
                let _ = stream.set_nodelay(true);
                (Either::Left(stream), Peer::Tcp(address))
            }
            Socket::Unix(socket) => {
                let (stream, _) = AxumListener::accept(socket).await;
                (Either::Right(stream), self.peer())
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.peer())
    }
}

impl Listener {
    fn peer(&self) -> Peer {
        match &self.address {
            Address::Tcp(address) => Peer::Tcp(*address),
            Address::Unix(path) => Peer::Unix(path.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str) -> HttpConfig {
        HttpConfig::new(listen.parse().unwrap())
    }

    #[tokio::test]
    async fn other_machines_are_served_plain_http_only_when_that_is_asked_for() {
        let error = Listener::bind(&config("0.0.0.0:0")).await.err().unwrap();
        assert!(error.to_string().contains("allow_plain_http_on_network = true"), "{error}");
        let allowed = HttpConfig { allow_plain_http_on_network: true, ..config("0.0.0.0:0") };
        assert!(allowed.problems().is_empty());
        assert!(config("127.0.0.1:0").problems().is_empty());
    }

    #[tokio::test]
    async fn a_free_port_is_chosen_and_told() {
        let listener = Listener::bind(&config("127.0.0.1:0")).await.unwrap();
        assert!(matches!(listener.address(), Address::Tcp(address) if address.port() != 0));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let first = Listener::bind(&config("127.0.0.1:0")).await.unwrap();
        let error = Listener::bind(&HttpConfig::new(first.address().clone())).await.err().unwrap();
        assert_eq!(error.to_string(), format!("cannot listen on {}", first.address()));
    }

    #[tokio::test]
    async fn a_socket_left_by_a_killed_process_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let address = Address::Unix(path.clone());
        let first = Listener::bind(&HttpConfig::new(address.clone())).await.unwrap();
        let error = Listener::bind(&HttpConfig::new(address)).await.err().unwrap();
        assert!(format!("{error:#}").ends_with("another process listens there"), "{error:#}");
        drop(first);
        assert!(!path.exists());
    }
}
