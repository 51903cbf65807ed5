//! The table of calls, as in [`farm_api::hub`].

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::Method,
    middleware::from_fn_with_state,
    routing::{MethodFilter, MethodRouter, on},
};
use farm_daemon::http::{Gate, HEALTH_ROUTES, admit, health_routes};

use crate::{Config, calls, hub::Shared};

/// What answers a call, for the method that the table has for it.
type Answer = fn(MethodFilter) -> MethodRouter<Shared>;

/// By which door a call comes in. Each has room of its own, so that whatever is too much, leases are kept and results taken.
#[derive(Debug, Clone, Copy)]
enum Door {
    /// Claims, which wait.
    Claims,
    /// Renewals, which wait too.
    Leases,
    /// Ends of attempts.
    Ends,
    /// Everything else.
    Calls,
}

use Door::{Calls, Claims, Ends, Leases};

/// Ends of attempts that are taken at once: each may have some megabytes.
const ENDS: usize = 64;

struct Doors {
    claims: Gate,
    leases: Gate,
    ends: Gate,
    calls: Gate,
}

impl Doors {
    fn new(config: &Config) -> Self {
        Self {
            claims: Gate::new("claims", config.max_waiting),
            leases: Gate::new("leases", config.max_waiting),
            ends: Gate::new("ends", ENDS),
            calls: Gate::shared("calls", config.max_calls),
        }
    }

    fn gate(&self, door: Door) -> Gate {
        let gate = match door {
            Claims => &self.claims,
            Leases => &self.leases,
            Ends => &self.ends,
            Calls => &self.calls,
        };
        gate.clone()
    }
}

/// Every call of builders. The router is made from this table, and a test tries each line of it as everybody there is.
const CALLS: [(Method, &str, Door, Answer); 16] = [
    (Method::POST, "/hub/v1/token", Calls, |method| on(method, calls::token::token)),
    (Method::POST, "/hub/v1/hello", Calls, |method| on(method, calls::hello::hello)),
    (Method::POST, "/hub/v1/claim", Claims, |method| on(method, calls::claim::claim)),
    (Method::POST, "/hub/v1/renew", Leases, |method| on(method, calls::renew::renew)),
    (Method::POST, "/hub/v1/status", Calls, |method| on(method, calls::status::status)),
    (Method::POST, "/hub/v1/leave", Calls, |method| on(method, calls::leave::leave)),
    (Method::POST, "/hub/v1/stage", Calls, |method| on(method, calls::stage::stage)),
    (Method::GET, "/hub/v1/sources/{position}", Calls, |method| on(method, calls::sources::source)),
    (Method::GET, "/hub/v1/record", Calls, |method| on(method, calls::sources::record)),
    (Method::GET, "/hub/v1/packages/{sha256}", Calls, |method| on(method, calls::sources::package)),
    (Method::GET, "/hub/v1/buckets/{bucket}/repodata/{file}", Calls, |method| on(method, calls::buckets::metadata)),
    (Method::GET, "/hub/v1/buckets/{bucket}/packages/{digest}/{file}", Calls, |method| {
        on(method, calls::buckets::package)
    }),
    (Method::PUT, "/hub/v1/log", Calls, |method| {
        on(method, calls::log::log).layer(DefaultBodyLimit::max(calls::log::MAX_PIECE))
    }),
    (Method::PUT, "/hub/v1/blobs/{sha256}", Calls, |method| on(method, calls::blobs::blob)),
    (Method::POST, "/hub/v1/finish", Ends, |method| {
        on(method, calls::finish::finish).layer(DefaultBodyLimit::max(calls::finish::MAX_END))
    }),
    (Method::POST, "/hub/v1/release", Ends, |method| on(method, calls::release::release)),
];

/// Every route there is: the calls of builders, and what a monitoring system asks.
pub fn routes() -> impl Iterator<Item = (Method, &'static str)> {
    let calls = CALLS.into_iter().map(|(method, path, ..)| (method, path));
    calls.chain(HEALTH_ROUTES.map(|path| (Method::GET, path)))
}

pub(crate) fn router(hub: Shared) -> anyhow::Result<Router> {
    let health = {
        let hub = Shared::clone(&hub);
        health_routes(move || {
            let hub = Shared::clone(&hub);
            async move { hub.readiness().await }
        })
    };
    let mut router = Router::new();
    let doors = Doors::new(&hub.config);
    for (method, path, door, answer) in CALLS {
        let admit = from_fn_with_state(doors.gate(door), admit);
        router = router.route(path, answer(MethodFilter::try_from(method)?).layer(admit));
    }
    let router = router.layer(from_fn_with_state(Shared::clone(&hub), calls::token::ask_for_ticket));
    Ok(router.with_state(hub).merge(health))
}
