//! A small server that takes tickets, as those of the farm do.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use farm_api::{
    LoginToken,
    error::{ErrorBody, ErrorCode},
};
use farm_auth::negotiate::{Acceptor, negotiate_token, www_authenticate};
use jiff::Timestamp;

/// A server and what it saw.
pub struct Server {
    address: SocketAddr,
    pub seen: Arc<Seen>,
}

/// What the server saw, and how it is to behave.
pub struct Seen {
    acceptor: Acceptor,
    tokens: Mutex<HashSet<String>>,
    /// Tickets that were exchanged for a token.
    pub exchanges: AtomicUsize,
    /// Calls that were refused for want of a token.
    pub refusals: AtomicUsize,
    /// Whether it offers Negotiate.
    pub offers: AtomicBool,
    /// Whether it proves itself.
    pub proves: AtomicBool,
    /// Whether it takes tickets.
    pub takes: AtomicBool,
    /// How long its tokens are good, in seconds.
    pub life: AtomicUsize,
}

impl Server {
    pub async fn start() -> Self {
        let seen = Arc::new(Seen {
            acceptor: Acceptor::new(Some("HTTP@localhost")).unwrap(),
            tokens: Mutex::default(),
            exchanges: AtomicUsize::new(0),
            refusals: AtomicUsize::new(0),
            offers: AtomicBool::new(true),
            proves: AtomicBool::new(true),
            takes: AtomicBool::new(true),
            life: AtomicUsize::new(600),
        });
        let app = Router::new()
            .route("/open", get(async || Json("open")))
            .route("/closed", get(closed).post(closed))
            .route("/upload", put(upload))
            .route("/api/v1/token", post(token))
            .with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, seen }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://localhost:{}/", self.address.port())
    }

    /// Forgets all tokens, as if they had expired.
    pub fn forget(&self) {
        self.seen.tokens.lock().unwrap().clear();
    }

    pub fn exchanges(&self) -> usize {
        self.seen.exchanges.load(Ordering::SeqCst)
    }

    pub fn refusals(&self) -> usize {
        self.seen.refusals.load(Ordering::SeqCst)
    }
}

async fn closed(State(seen): State<Arc<Seen>>, headers: HeaderMap) -> Response {
    match known(&seen, &headers) {
        true => Json("closed").into_response(),
        false => refuse(&seen),
    }
}

async fn upload(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    match known(&seen, &headers) {
        true => Json(body.len()).into_response(),
        false => refuse(&seen),
    }
}

async fn token(State(seen): State<Arc<Seen>>, headers: HeaderMap) -> Response {
    let ticket = negotiate_token(&headers).unwrap().unwrap();
    let who = seen.acceptor.accept(ticket).await.unwrap();
    if !seen.takes.load(Ordering::SeqCst) {
        let body = ErrorBody::new(ErrorCode::Unauthenticated, "strangers are not served here");
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    let number = seen.exchanges.fetch_add(1, Ordering::SeqCst);
    let token = format!("farm_{number}");
    seen.tokens.lock().unwrap().insert(format!("Bearer {token}"));
    let life = Duration::from_secs(seen.life.load(Ordering::SeqCst) as u64);
    let answer = Json(LoginToken { token, principal: who.principal, expires: Timestamp::now() + life });
    match seen.proves.load(Ordering::SeqCst) {
        true => ([(WWW_AUTHENTICATE, www_authenticate(&who.reply))], answer).into_response(),
        false => answer.into_response(),
    }
}

fn known(seen: &Seen, headers: &HeaderMap) -> bool {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    token.is_some_and(|token| seen.tokens.lock().unwrap().contains(token))
}

fn refuse(seen: &Seen) -> Response {
    seen.refusals.fetch_add(1, Ordering::SeqCst);
    let body = Json(ErrorBody::new(ErrorCode::Unauthenticated, "say who you are"));
    let mut response = (StatusCode::UNAUTHORIZED, body).into_response();
    if seen.offers.load(Ordering::SeqCst) {
        response.headers_mut().insert(WWW_AUTHENTICATE, www_authenticate(&[]));
    }
    response
}
