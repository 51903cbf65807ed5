//! How much is under way at once: short requests, and what goes on for long.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use farm_daemon::http::{self, Gate};

use crate::Config;

/// Where answers or requests take as long as a network or a build takes: files, logs, and events of both.
const LONG: [&str; 5] = ["/artifacts/", "/repositories/", "/api/v1/uploads/", "/events", "/log"];

/// The two doors.
#[derive(Debug, Clone)]
pub struct Doors {
    short: Gate,
    long: Gate,
}

impl Doors {
    /// As the configuration says.
    pub fn new(config: &Config) -> Self {
        Self { short: Gate::shared("requests", config.max_requests), long: Gate::shared("streams", config.max_streams) }
    }
}

/// Lets a request in by its door, or sends it away.
pub async fn admit(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let long = LONG.iter().any(|part| path.starts_with(part) || path.ends_with(part));
    http::admit(State(if long { doors.long } else { doors.short }), request, next).await
}
