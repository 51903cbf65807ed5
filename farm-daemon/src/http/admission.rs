//! How many requests are under way at once. Who comes when there is no room is told at once to come again soon, which costs next to
//! nothing; what was let in goes on as if nobody else were there.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::{
    Json,
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use farm_api::error::{ErrorBody, ErrorCode};
use http_body::{Frame, SizeHint};

use super::ClientAddress;

/// When to come again, in seconds: not all at once.
const COME_AGAIN: std::ops::RangeInclusive<u32> = 2..=5;

/// The value of `Retry-After` for whoever is to come again soon.
pub fn retry_after() -> HeaderValue {
    HeaderValue::from(rand::random_range(COME_AGAIN))
}

/// A door with room for so many requests at once; cheap to clone. A request is under way until the last byte of its answer has gone.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    most: usize,
    most_each: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    all: usize,
    by_client: HashMap<String, usize>,
}

/// A place behind a gate; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    gate: Gate,
    client: Option<String>,
}

/// Why a request was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no room for anybody.
    Full,
    /// One client has half of all places.
    TooMany,
}

impl Gate {
    /// A gate with so many places. The name is for metrics.
    pub fn new(name: &'static str, most: usize) -> Self {
        Self::with(name, most, most)
    }

    /// The same, of which one address has half at the most, so that nobody alone shuts out all others.
    pub fn shared(name: &'static str, most: usize) -> Self {
        Self::with(name, most, most.div_ceil(2))
    }

    fn with(name: &'static str, most: usize, most_each: usize) -> Self {
        Self(Arc::new(Inner { name, most, most_each, under_way: Mutex::default() }))
    }

    /// A place, if there is one.
    pub fn enter(&self, client: &str) -> Result<Place, Refused> {
        let Inner { name, most, most_each, .. } = *self.0;
        let mut under_way = self.under_way();
        let refused = |why: Refused| {
            metrics::counter!("farm_http_refused_total", "gate" => name, "why" => why.word()).increment(1);
            Err(why)
        };
        if under_way.all >= most {
            return refused(Refused::Full);
        }
        let client = (most_each < most).then(|| client.to_owned());
        if let Some(client) = &client {
            let own = under_way.by_client.entry(client.clone()).or_default();
            if *own >= most_each {
                return refused(Refused::TooMany);
            }
            *own += 1;
        }
        under_way.all += 1;
        drop(under_way);
        Ok(Place { gate: self.clone(), client })
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.gate.under_way();
        under_way.all -= 1;
        if let Some(client) = &self.client
            && let Some(own) = under_way.by_client.get_mut(client)
        {
            *own -= 1;
            if *own == 0 {
                under_way.by_client.remove(client);
            }
        }
    }
}

impl Refused {
    const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooMany => "too_many",
        }
    }
}

impl IntoResponse for Refused {
    /// As JSON. Its body goes along as an extension, from which pages make a page.
    fn into_response(self) -> Response {
        let (code, message) = match self {
            Self::Full => (
                ErrorCode::Unavailable,
                "more is asked of the farm than it can do at the moment; nothing was done, come again soon",
            ),
            Self::TooMany => (
                ErrorCode::TooMany,
                "too many requests of yours are under way at the same time; nothing was done, come again soon",
            ),
        };
        let body = ErrorBody::new(code, message);
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let mut response = (status, [(header::RETRY_AFTER, retry_after())], Json(&body)).into_response();
        response.extensions_mut().insert(body);
        response
    }
}

/// Lets a request in, or sends it away. A middleware.
pub async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<ClientAddress>().map_or("unknown", |it| it.0.as_str());
    match gate.enter(client) {
        Ok(place) => next.run(request).await.map(|body| Body::new(Held { body, _place: place })),
        Err(refused) => refused.into_response(),
    }
}

/// The body of an answer, with the place that its request has.
struct Held {
    body: Body,
    _place: Place,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware::from_fn_with_state, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(router: &Router) -> Response {
        router.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn who_comes_when_there_is_no_room_is_told_when_to_come_again_and_is_let_in_then() {
        let gate = Gate::new("test", 1);
        let router = Router::new().route("/", get(|| async { "an answer" })).layer(from_fn_with_state(gate, admit));
        let first = ask(&router).await;
        assert_eq!(first.status(), StatusCode::OK);
        let second = ask(&router).await;
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
        let seconds: u32 = second.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!(COME_AGAIN.contains(&seconds), "{seconds}");
        let body: ErrorBody =
            serde_json::from_slice(&axum::body::to_bytes(second.into_body(), 9999).await.unwrap()).unwrap();
        assert_eq!(body.code, ErrorCode::Unavailable);
        // The first answer has been read to its end, and with it the request is over.
        axum::body::to_bytes(first.into_body(), 9999).await.unwrap();
        assert_eq!(ask(&router).await.status(), StatusCode::OK);
    }

    #[test]
    fn one_client_has_half_of_the_places_at_the_most() {
        let gate = Gate::shared("test", 4);
        let places: Vec<_> = (0..2).map(|_| gate.enter("192.0.2.1").unwrap()).collect();
        assert_eq!(gate.enter("192.0.2.1").unwrap_err(), Refused::TooMany);
        let _others: Vec<_> = ["192.0.2.2", "192.0.2.3"].map(|client| gate.enter(client).unwrap()).into();
        assert_eq!(gate.enter("192.0.2.4").unwrap_err(), Refused::Full);
        drop(places);
        assert!(gate.enter("192.0.2.1").is_ok());
        assert_eq!(gate.under_way().by_client.len(), 2, "who has left is still known");
    }
}
