//! Login by Kerberos ticket: one exchange for a token that is kept in memory and renewed.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use farm_auth::negotiate::{Initiator, NegotiateError, offers_negotiate, reply_token, www_authenticate};
use jiff::Timestamp;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue},
};

use super::{
    ClientError,
    call::{SHORT, broken, refusal},
    transport::{bearer, is_loopback},
};
use crate::{
    error::{ErrorBody, ErrorCode},
    login::LoginToken,
};

/// A token with less left than this is renewed before it is used.
const MARGIN: Duration = Duration::from_secs(30);

/// How we log in at one server, and what that brought. All clones of a transport share it.
pub(super) struct Login {
    /// Where a ticket is exchanged for a token.
    url: String,
    /// May a login go over plain HTTP to another machine?
    over_plain_http: bool,
    /// Held while an exchange goes on, so that those who need a token at the same time wait for the same one.
    turn: tokio::sync::Mutex<Option<Missed>>,
    held: Mutex<Option<Held>>,
}

/// A token, and how long it may be used.
#[derive(Clone)]
struct Held {
    authorization: HeaderValue,
    renew: Instant,
    end: Instant,
}

/// The exchange that went wrong last.
struct Missed {
    at: Instant,
    why: Trouble,
}

/// Why an exchange brought no token. Those who waited for it get a copy.
#[derive(Clone)]
enum Trouble {
    Login { why: String, passing: bool },
    NotAllowed(Box<ErrorBody>),
    Unreachable(String),
    Unavailable(Box<ErrorBody>, Option<Duration>),
    BadAnswer(String),
}

impl Login {
    pub(super) fn new(url: String, over_plain_http: bool) -> Self {
        Self { url, over_plain_http, turn: tokio::sync::Mutex::default(), held: Mutex::default() }
    }

    /// The header for a call, if we have logged in. One that is about to expire is renewed first; the old one does as long as
    /// that fails.
    pub(super) async fn authorization(&self, http: &Client, base: &Url) -> Option<HeaderValue> {
        let held = self.held()?;
        let now = Instant::now();
        if now < held.renew {
            return Some(held.authorization);
        }
        match self.again(http, base, Some(&held.authorization)).await {
            Ok(new) => Some(new),
            Err(_) => (now < held.end).then_some(held.authorization),
        }
    }

    /// Logs in, after the server did not take what we had. If somebody else has done so in the meantime, that is enough.
    pub(super) async fn again(
        &self,
        http: &Client,
        base: &Url,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, ClientError> {
        let asked = Instant::now();
        let mut turn = self.turn.lock().await;
        if let Some(held) = self.held().filter(|held| Some(&held.authorization) != refused) {
            return Ok(held.authorization);
        }
        if let Some(missed) = turn.as_ref().filter(|missed| missed.at >= asked) {
            return Err(missed.why.clone().at(base.as_str()));
        }
        let held = self.exchange(http, base).await.map_err(|why| {
            *turn = Some(Missed { at: Instant::now(), why: why.clone() });
            why.at(base.as_str())
        })?;
        let authorization = held.authorization.clone();
        *self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(held);
        Ok(authorization)
    }

    fn held(&self) -> Option<Held> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    async fn exchange(&self, http: &Client, base: &Url) -> Result<Held, Trouble> {
        if base.scheme() != "https" && !is_loopback(base) && !self.over_plain_http {
            let why = "it is plain HTTP to another machine, where everybody on the way could use the login: give its \
                       address with https://, or a token_file";
            return Err(Trouble::login(why));
        }
        let host = base.host_str().unwrap_or_default().to_owned();
        let begun = tokio::task::spawn_blocking(move || Initiator::new(&host)).await;
        let (initiator, token) = begun.map_err(|error| Trouble::login(&error.to_string()))??;
        let mut negotiate = www_authenticate(&token);
        negotiate.set_sensitive(true);
        let request = http.post(&self.url).header(AUTHORIZATION, negotiate).timeout(SHORT);
        let sent = Instant::now();
        let answer = request.send().await.map_err(|error| Trouble::from(broken(base.as_str(), &error).error))?;
        if !answer.status().is_success() {
            return Err(self.refused(base, answer).await);
        }
        // Before anything that it says is believed.
        initiator.finish(&reply_token(answer.headers()).unwrap_or_default())?;
        let clock = clock(answer.headers());
        let bytes = answer.bytes().await.map_err(|error| Trouble::from(broken(base.as_str(), &error).error))?;
        let token: LoginToken =
            serde_json::from_slice(&bytes).map_err(|error| Trouble::BadAnswer(error.to_string()))?;
        // By the server's own clock, whatever ours says. It is told in whole seconds.
        let life = Duration::try_from(token.expires.duration_since(clock)).unwrap_or_default();
        let life = life.saturating_sub(Duration::from_secs(1));
        let authorization = bearer(&token.token).map_err(Trouble::from)?;
        Ok(Held { authorization, renew: sent + life.saturating_sub(MARGIN.min(life / 4)), end: sent + life })
    }

    async fn refused(&self, base: &Url, answer: Response) -> Trouble {
        let status = answer.status();
        match refusal(base.as_str(), &self.url, answer).await.error {
            ClientError::NotAllowed(body) if status == StatusCode::UNAUTHORIZED => {
                Trouble::login(&format!("it does not take the ticket: {}", body.message))
            }
            other => Trouble::from(other),
        }
    }
}

impl Trouble {
    fn login(why: &str) -> Self {
        Self::Login { why: why.to_owned(), passing: false }
    }

    fn at(self, url: &str) -> ClientError {
        let url = url.to_owned();
        match self {
            Self::Login { why, passing } => ClientError::Login { url, why, passing },
            Self::NotAllowed(body) => ClientError::NotAllowed(body),
            Self::Unreachable(why) => ClientError::Unreachable { url, why },
            Self::Unavailable(body, retry_after) => ClientError::Unavailable { url, body, retry_after },
            Self::BadAnswer(why) => ClientError::BadAnswer { url, why },
        }
    }
}

impl From<NegotiateError> for Trouble {
    fn from(error: NegotiateError) -> Self {
        Self::Login { why: error.to_string(), passing: error.is_passing() }
    }
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotAllowed(body) => Self::NotAllowed(body),
            ClientError::Unreachable { why, .. } => Self::Unreachable(why),
            ClientError::Unavailable { body, retry_after, .. } => Self::Unavailable(body, retry_after),
            ClientError::BadAnswer { why, .. } => Self::BadAnswer(why),
            other => Self::login(&other.to_string()),
        }
    }
}

/// Whether an answer asks for a login of this kind.
pub(super) fn asks_for_login(answer: &Response) -> bool {
    answer.status() == StatusCode::UNAUTHORIZED && offers_negotiate(answer.headers())
}

/// What a stream that cannot be sent twice ends with, when a new login was all that it lacked.
pub(super) fn send_again(url: &str) -> ClientError {
    let message = "the login had expired and was renewed: send it again";
    let body = Box::new(ErrorBody::new(ErrorCode::Unavailable, message));
    ClientError::Unavailable { url: url.to_owned(), body, retry_after: None }
}

/// What time it is for the server.
fn clock(headers: &HeaderMap) -> Timestamp {
    let date = headers.get(DATE).and_then(|value| value.to_str().ok());
    let said = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
    said.unwrap_or_else(Timestamp::now)
}
