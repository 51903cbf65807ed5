//! A span, a line and a number per request.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument as _, debug, info_span};

use super::ClientAddress;

/// The header that tells the client the id of its request, so that a person can quote it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, the same in the log, in the answer's header `x-request-id`, and on a page that says sorry.
/// Take it as `Extension<RequestId>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Puts a request into a span of its own, and logs and counts its answer.
///
/// The line is of level debug under the target `farm_http`: `FARM_LOG=info,farm_http=debug` is an access log. The query is
/// never logged, as it may hold secrets. The duration ends where the body begins.
pub(super) async fn trace(mut request: Request, next: Next) -> Response {
    let id = format!("{:016x}", rand::random::<u64>());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(RequestId(id.clone()));

    let client = request.extensions().get::<ClientAddress>().map_or("unknown", |it| it.0.as_str());

    let span = info_span!("request", http.id = %id, http.client = %client, http.method = %method, http.path = %path);
    async move {
        let begin = Instant::now();
        let mut response = next.run(request).await;
        let took = begin.elapsed();
        let status = response.status().as_u16();
        debug!(target: "farm_http", { http.status = status, duration_ms = took.as_millis() }, "answered");
        metrics::histogram!(
            "farm_http_request_seconds",
            "method" => label(&method), "route" => route, "status" => status.to_string()
        )
        .record(took);
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
    .instrument(span)
    .await
}

/// A method as a label. Clients may invent methods, and each label costs memory for ever.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
