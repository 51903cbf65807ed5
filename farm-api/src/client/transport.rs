//! One server's address, who we are there, and how a call is made.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use reqwest::{Certificate, Client, Method, Url, header::HeaderValue};

use super::{Call, ClientError, login::Login};

/// How long the connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// A server of the farm, and who we are there.
#[derive(Clone)]
pub struct Transport {
    pub(super) http: Client,
    /// Ends in a slash.
    pub(super) base: Url,
    /// A token that was given to us.
    pub(super) authorization: Option<HeaderValue>,
    /// Where to get one.
    pub(super) login: Option<Arc<Login>>,
}

impl Transport {
    /// A client of the server at `address`; `program` is what it calls itself there.
    pub fn new(address: &str, program: &str) -> Result<Self, ClientError> {
        Self::trusting(address, program, None)
    }

    /// The same, and over TLS it also trusts certificates signed by the authorities in the PEM file `ca`, not only by those
    /// that the system trusts (or `SSL_CERT_FILE` names).
    pub fn trusting(address: &str, program: &str, ca: Option<&Path>) -> Result<Self, ClientError> {
        let bad = |why: &str| ClientError::BadAddress { address: address.to_owned(), why: why.to_owned() };
        let mut base = Url::parse(address).map_err(|error| bad(&error.to_string()))?;
        match base.scheme() {
            "http" | "https" => {}
            _ => return Err(bad("it does not begin with http:// or https://")),
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(bad("a password has no place in it; name a token_file in the configuration"));
        }
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut builder = Client::builder()
            .user_agent(program)
            .connect_timeout(CONNECT)
            .tcp_keepalive(Duration::from_secs(30))
            // A redirect is told to the user: following it would hand uploads and tokens to somebody else.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        for authority in ca.map(authorities).transpose()?.unwrap_or_default() {
            builder = builder.add_root_certificate(authority);
        }
        let http = builder.build().map_err(|error| bad(&error.to_string()))?;
        Ok(Self { http, base, authorization: None, login: None })
    }

    /// The same, with a bearer token.
    pub fn with_token(mut self, token: &str) -> Result<Self, ClientError> {
        self.authorization = Some(bearer(token)?);
        Ok(self)
    }

    /// The same, which logs in with a Kerberos ticket when the server asks for a login: it exchanges the ticket at `path`, as in
    /// `api/v1/token`, for a bearer token, makes sure of who gave it, keeps it in memory and renews it. A [token](Self::with_token)
    /// that was given goes before. All clones share the login, and calls that need one at the same time share the exchange.
    #[must_use]
    pub fn with_login(mut self, path: &str) -> Self {
        self.login = Some(Arc::new(Login::new(self.url(path), false)));
        self
    }

    /// The same, which does so even over plain HTTP to another machine: for a network in which nobody listens.
    #[must_use]
    pub fn with_login_over_plain_http(mut self, path: &str) -> Self {
        self.login = Some(Arc::new(Login::new(self.url(path), true)));
        self
    }

    /// The server's address, with a slash at its end.
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// The full URL of a path on this server. Whatever the path is, the result stays on this server.
    pub fn url(&self, path: &str) -> String {
        format!("{}{}", self.base, path.trim_start_matches('/'))
    }

    /// Begins a call. Without more said: 30 seconds, repeated when it is a GET, else when certainly undone.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(self, method, path)
    }

    /// Begins a GET.
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    /// Begins a POST.
    pub fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// Whether the server is on this machine; a proxy of the environment would look for it on its own.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// The header for a token.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| {
        ClientError::Local(std::io::Error::other("the token holds characters that no token has: is it the right file?"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The certificates in a file.
fn authorities(file: &Path) -> Result<Vec<Certificate>, ClientError> {
    let found = Certificate::from_pem_bundle(&fs_err::read(file)?).unwrap_or_default();
    if found.is_empty() {
        let why = format!("{} holds no certificates in PEM format", file.display());
        return Err(ClientError::Local(std::io::Error::other(why)));
    }
    Ok(found)
}
