//! How a call is made: timeout, repetition, login, typed errors.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use reqwest::{
    Body, Method, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    ClientError, Transport,
    login::{asks_for_login, send_again},
};
use crate::error::{ErrorBody, ErrorCode};

/// The body of an answer as it comes.
pub type Bytestream = BoxStream<'static, Result<Bytes, ClientError>>;

/// How long a short call may take, until its answer is read.
pub(super) const SHORT: Duration = Duration::from_secs(30);
/// How often a call is made at the most, within two or three seconds, unless it asks for more.
const TRIES: u32 = 5;
/// The first pause between two tries; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, also when the server asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Which failures are worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// All passing ones: the call does the same whether it came once or twice.
    Always,
    /// Those after which the call certainly did nothing: no connection, 429, 503.
    WhenUndone,
    /// None.
    Never,
}

/// A call in the making.
#[must_use]
pub struct Call<'t> {
    transport: &'t Transport,
    request: RequestBuilder,
    timeout: Option<Duration>,
    repeat: Repeat,
    tries: u32,
}

/// A try that failed.
pub(super) struct Failure {
    pub(super) error: ClientError,
    /// Whether the server may have done what was asked.
    maybe_done: bool,
    /// Whether the server takes a Kerberos ticket for it.
    login: bool,
}

impl<'t> Call<'t> {
    pub(super) fn new(transport: &'t Transport, method: Method, path: &str) -> Self {
        let repeat = if method == Method::GET { Repeat::Always } else { Repeat::WhenUndone };
        let request = transport.http.request(method, transport.url(path));
        Self { transport, request, timeout: Some(SHORT), repeat, tries: TRIES }
    }

    /// Sends a value as JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        self.request = self.request.json(body);
        self
    }

    /// Adds a query.
    pub fn query<T: Serialize + ?Sized>(mut self, query: &T) -> Self {
        self.request = self.request.query(query);
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request = self.request.header(HeaderName::from_static(name), value);
        self
    }

    /// Sends bytes.
    pub fn bytes(mut self, body: Bytes) -> Self {
        self.request = self.request.body(body);
        self
    }

    /// Sends a stream of `length` bytes. It can be sent only once, and takes as long as it takes: whoever makes the
    /// stream watches that it gets on.
    pub fn stream<S>(mut self, body: S, length: u64) -> Self
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        self.request = self.request.header(CONTENT_LENGTH, length).body(Body::wrap_stream(body));
        self.timeout = None;
        self.repeat = Repeat::Never;
        self
    }

    /// How long one try may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Which failures are worth another try.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// How often to try; 8 outlast the restart of a server, half a minute.
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    /// Makes the call and reads its answer.
    pub async fn answer<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        self.run(async |url: &str, response: Response| {
            let bytes = response.bytes().await.map_err(|error| broken(url, &error))?;
            serde_json::from_slice(&bytes).map_err(|error| {
                Failure::lasting(ClientError::BadAnswer { url: url.to_owned(), why: error.to_string() })
            })
        })
        .await
    }

    /// Makes the call; its answer says nothing.
    pub async fn done(self) -> Result<(), ClientError> {
        self.head().await.map(drop)
    }

    /// Makes the call and hands over its answer unread. The timeout covers only the head.
    pub async fn head(self) -> Result<Response, ClientError> {
        self.run(async |_: &str, response: Response| Ok(response)).await
    }

    /// Makes the call and hands over the body as it comes. Silence for longer than `idle` is an error.
    pub async fn body(self, idle: Duration) -> Result<Bytestream, ClientError> {
        self.head().await.map(|response| bytestream(response, idle))
    }

    async fn run<T>(self, take: impl AsyncFn(&str, Response) -> Result<T, Failure>) -> Result<T, ClientError> {
        let url = self.transport.base.as_str();
        let (mut tries, mut logged_in) = (0, false);
        loop {
            let token = self.transport.token().await;
            let Some(request) = self.request.try_clone() else {
                let result = one_try(url, authorized(self.request, token.as_ref()), self.timeout, &take).await;
                let Err(failure) = result else { return result.map_err(|failure| failure.error) };
                let login = self.transport.log_in_after(&failure, token.as_ref()).await;
                return Err(login.map_or(failure.error, |login| login.err().unwrap_or_else(|| send_again(url))));
            };
            let mut failure = match one_try(url, authorized(request, token.as_ref()), self.timeout, &take).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !logged_in {
                match self.transport.log_in_after(&failure, token.as_ref()).await {
                    None => {}
                    Some(Ok(())) => {
                        logged_in = true;
                        continue;
                    }
                    Some(Err(error)) => failure = Failure { maybe_done: false, ..Failure::lasting(error) },
                }
            }
            tries += 1;
            if tries >= self.tries || !self.repeat.allows(&failure) {
                return Err(failure.error);
            }
            tokio::time::sleep(pause(tries, failure.error.retry_after())).await;
        }
    }
}

impl Transport {
    /// The header that says who we are, if we can say it without being asked.
    async fn token(&self) -> Option<HeaderValue> {
        match (&self.authorization, &self.login) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(login)) => login.authorization(&self.http, &self.base).await,
            (None, None) => None,
        }
    }

    /// Logs in, if that is what a call failed for; `used` is the token that it had.
    async fn log_in_after(&self, failure: &Failure, used: Option<&HeaderValue>) -> Option<Result<(), ClientError>> {
        let login = self.login.as_ref().filter(|_| failure.login && self.authorization.is_none())?;
        Some(login.again(&self.http, &self.base, used).await.map(drop))
    }
}

fn authorized(request: RequestBuilder, token: Option<&HeaderValue>) -> RequestBuilder {
    match token {
        Some(token) => request.header(AUTHORIZATION, token),
        None => request,
    }
}

impl Repeat {
    fn allows(self, failure: &Failure) -> bool {
        failure.error.is_passing()
            && match self {
                Self::Always => true,
                Self::WhenUndone => !failure.maybe_done,
                Self::Never => false,
            }
    }
}

/// How long to wait after the `tries`-th failure. The jitter keeps a thousand clients from coming back together.
pub fn pause(tries: u32, asked: Option<Duration>) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16));
    let jittered = doubled.mul_f64(rand::random_range(0.5..1.0));
    asked.map_or(jittered, |asked| asked + jittered.min(Duration::from_secs(1))).min(LONGEST_PAUSE)
}

async fn one_try<T>(
    url: &str,
    request: RequestBuilder,
    limit: Option<Duration>,
    take: &impl AsyncFn(&str, Response) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (client, request) = request.build_split();
    let request = request.map_err(|error| {
        Failure::lasting(ClientError::BadAddress { address: url.to_owned(), why: error.to_string() })
    })?;
    let asked = request.url().to_string();
    let exchange = async {
        let response = client.execute(request).await.map_err(|error| broken(url, &error))?;
        match response.status().is_success() {
            true => take(&asked, response).await,
            false => Err(refusal(url, &asked, response).await),
        }
    };
    match limit {
        None => exchange.await,
        Some(limit) => tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err(Failure::late(url, limit))),
    }
}

/// A body as a stream that ends with an error when nothing comes for too long.
pub(super) fn bytestream(response: Response, idle: Duration) -> Bytestream {
    let url = format!("{}/", response.url().origin().ascii_serialization());
    let chunks = response.bytes_stream().boxed();
    futures::stream::unfold(Some(chunks), move |chunks| {
        let url = url.clone();
        async move {
            let mut chunks = chunks?;
            match tokio::time::timeout(idle, chunks.next()).await {
                Ok(None) => None,
                Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(chunks))),
                Ok(Some(Err(error))) => Some((Err(ClientError::unreachable(&url, &error)), None)),
                Err(_) => Some((Err(Failure::late(&url, idle).error), None)),
            }
        }
    })
    .boxed()
}

impl Failure {
    fn lasting(error: ClientError) -> Self {
        Self { error, maybe_done: true, login: false }
    }

    fn late(url: &str, limit: Duration) -> Self {
        let why = format!("no answer within {} seconds", limit.as_secs());
        Self::lasting(ClientError::Unreachable { url: url.to_owned(), why })
    }
}

pub(super) fn broken(url: &str, error: &reqwest::Error) -> Failure {
    Failure { maybe_done: !error.is_connect(), error: ClientError::unreachable(url, error), login: false }
}

/// What an answer that is no success means.
pub(super) async fn refusal(url: &str, asked: &str, response: Response) -> Failure {
    let (status, login) = (response.status(), asks_for_login(&response));
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (retry_after, location) = (header(RETRY_AFTER), header(LOCATION));
    let retry_after = retry_after.and_then(|value| value.parse().ok()).map(Duration::from_secs);
    if status.is_redirection() {
        let why = match location {
            Some(location) => format!("it sends us on to {location}"),
            None => format!("it answered {status}"),
        };
        return Failure::lasting(ClientError::BadAnswer { url: asked.to_owned(), why });
    }
    let bytes = response.bytes().await.unwrap_or_default();
    let said = serde_json::from_slice::<ErrorBody>(&bytes).ok();
    let undone = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let passing = undone || matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
    let error = match (said, status) {
        (Some(body), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => ClientError::NotAllowed(Box::new(body)),
        (None, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let message = format!("{asked} answered {status}: you may not do that there");
            ClientError::NotAllowed(Box::new(ErrorBody::new(ErrorCode::Forbidden, message)))
        }
        (Some(body), _) if status.is_server_error() || undone => {
            ClientError::Unavailable { url: url.to_owned(), body: Box::new(body), retry_after }
        }
        (Some(body), _) => ClientError::Refused(Box::new(body)),
        (None, _) if passing => {
            let body = Box::new(ErrorBody::new(ErrorCode::Unavailable, format!("it answered {status}")));
            ClientError::Unavailable { url: url.to_owned(), body, retry_after }
        }
        (None, _) => ClientError::BadAnswer { url: asked.to_owned(), why: format!("it answered {status}") },
    };
    Failure { error, maybe_done: !undone, login }
}
