//! The listening socket of a daemon.

use std::{
    fmt, io,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt as _, net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener as AxumListener},
};
use tls_listener::{Error as TlsError, SpawningHandshakes, TlsListener};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;
use tracing::{debug, error};

use super::{Address, HttpConfig, tls::Certificates};
use crate::reload::on_reload;

/// A reverse proxy reaches the socket through its group.
const SOCKET_MODE: u32 = 0o660;

/// How long a client may take to agree on the encryption. Others do not wait for it.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long to wait before the next connection when the system has no room for one.
const NO_ROOM: Duration = Duration::from_secs(1);

/// A bound socket, TCP (with or without TLS) or unix. The file of a unix socket is removed when it is dropped.
pub struct Listener {
    socket: Socket,
    address: Address,
    certificates: Option<Arc<Certificates>>,
    behind_proxy: bool,
}

/// Handshakes run in tasks of their own, so that a client that is silent or slow holds up nobody.
type Tls = TlsListener<TcpListener, SpawningHandshakes<TlsAcceptor>>;

enum Socket {
    Tcp(TcpListener),
    Tls(Box<Tls>),
    Unix(UnixListener),
}

impl Listener {
    /// Binds the address of the configuration, unless that would be unsafe.
    pub async fn bind(config: &HttpConfig) -> anyhow::Result<Self> {
        if let Some(problem) = config.problems().pop() {
            bail!(problem);
        }
        let context = || format!("cannot listen on {}", config.listen);
        let certificates = config.tls.clone().map(Certificates::read).transpose()?;
        let (socket, address) = match &config.listen {
            Address::Tcp(address) => {
                let socket = TcpListener::bind(address).await.with_context(context)?;
                let address = Address::Tcp(socket.local_addr().with_context(context)?);
                (encrypted(socket, certificates.as_ref())?, address)
            }
            Address::Unix(path) => (Socket::Unix(bind_unix(path).with_context(context)?), config.listen.clone()),
        };
        Ok(Self { socket, address, certificates, behind_proxy: config.behind_proxy })
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether it speaks HTTPS.
    pub fn is_encrypted(&self) -> bool {
        self.certificates.is_some()
    }

    /// The certificates that have to be watched.
    pub(super) fn certificates(&self) -> Option<Arc<Certificates>> {
        self.certificates.clone()
    }

    pub(super) fn is_behind_proxy(&self) -> bool {
        self.behind_proxy
    }
}

fn encrypted(socket: TcpListener, certificates: Option<&Arc<Certificates>>) -> anyhow::Result<Socket> {
    let Some(certificates) = certificates else { return Ok(Socket::Tcp(socket)) };
    let acceptor = SpawningHandshakes(certificates.acceptor()?);
    let listener = tls_listener::builder(acceptor).handshake_timeout(HANDSHAKE).listen(socket);
    let weak = Arc::downgrade(certificates);
    on_reload(move || {
        if let Some(certificates) = weak.upgrade() {
            certificates.reload();
        }
    });
    Ok(Socket::Tls(Box::new(listener)))
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
            // A socket for both kinds of addresses shows 192.0.2.1 as ::ffff:192.0.2.1.
            Self::Tcp(address) => address.ip().to_canonical().fmt(f),
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
    type Io = Either<TcpStream, Either<UnixStream, Box<TlsStream<TcpStream>>>>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match &mut self.socket {
            Socket::Tcp(socket) => {
                let (stream, address) = AxumListener::accept(socket).await;
                at_once(&stream);
                (Either::Left(stream), Peer::Tcp(address))
            }
            Socket::Tls(socket) => {
                let (stream, address) = accept_encrypted(socket).await;
                at_once(stream.get_ref().0);
                (Either::Right(Either::Right(Box::new(stream))), Peer::Tcp(address))
            }
            Socket::Unix(socket) => {
                let (stream, _) = AxumListener::accept(socket).await;
                (Either::Right(Either::Left(stream)), self.peer())
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.peer())
    }
}

/// Small pieces of a live log must not wait for each other. A connection that refuses this works too.
fn at_once(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

async fn accept_encrypted(socket: &mut Tls) -> (TlsStream<TcpStream>, SocketAddr) {
    loop {
        match socket.accept().await {
            Ok(connection) => return connection,
            // Strangers knock at every door of the network, and a browser that does not trust us hangs up.
            Err(TlsError::TlsAcceptError { error, peer_addr, .. }) => {
                debug!(target: "farm_http", { http.client = %peer_addr.ip(), %error }, "no TLS");
            }
            Err(TlsError::HandshakeTimeout { peer_addr, .. }) => {
                debug!(target: "farm_http", { http.client = %peer_addr.ip() }, "no TLS: silent for too long");
            }
            // Who called has hung up already.
            Err(TlsError::ListenerError(error)) if is_of_the_caller(error.kind()) => {}
            Err(error) => {
                error!(%error, "cannot take a connection; trying again in a second");
                tokio::time::sleep(NO_ROOM).await;
            }
        }
    }
}

fn is_of_the_caller(error: io::ErrorKind) -> bool {
    matches!(
        error,
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
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
    async fn what_would_be_unsafe_is_not_bound() {
        let error = Listener::bind(&config("0.0.0.0:0")).await.err().unwrap();
        assert!(error.to_string().contains("unencrypted HTTP"), "{error}");
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
