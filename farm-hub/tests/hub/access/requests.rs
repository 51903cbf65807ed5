//! The request for a line of the table.

use farm_api::hub::{Hello, LEASE_HEADER, Leave, Release, Renew, StageBegan};
use farm_db::testing;
use farm_types::{LeaseKey, Outcome, Stage};
use reqwest::RequestBuilder;

use super::callers::Scene;
use crate::support::{Builder, sha256};

impl Scene {
    /// The request of a caller to a route; `held` is the lease of `live`.
    pub fn request(&self, caller: &str, method: &str, route: &str, held: &LeaseKey) -> RequestBuilder {
        let (route, which) = route.split_once('#').unwrap_or((route, ""));
        let bytes = held.token.0.as_bytes();
        let path = route.replace("{position}", "1").replace("{sha256}", &sha256(bytes).to_string());
        let path = path.replace("{bucket}", "closed").replace("{file}", "repomd.xml");
        let path = path.replace("{digest}", &sha256(bytes).to_string());
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.farm.url));
        let request = match self.token(caller) {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let lease = if caller == "dead" { &self.reaped } else { held };
        let request = if which == "bare" { request } else { request.header(LEASE_HEADER, lease.to_header()) };
        let builder = self.builder(caller);
        match route {
            "/hub/v1/hello" => {
                let name = if which == "stolen" { "live" } else { name(caller) };
                request.json(&Hello {
                    name: name.parse().unwrap(),
                    // The life that it is in: a new one would end what it holds.
                    instance: builder.instance,
                    version: "test".to_owned(),
                    arches: vec!["x86_64".to_owned()],
                    slots: 4,
                    successor: false,
                })
            }
            "/hub/v1/claim" => request.json(&builder.claim_request(1, 0)),
            "/hub/v1/renew" => {
                request.json(&Renew { instance: builder.instance, leases: vec![*lease], wait_seconds: 0 })
            }
            "/hub/v1/status" => request.json(&builder.status(None)),
            "/hub/v1/leave" => request.json(&Leave { instance: builder.instance, for_good: which == "good" }),
            "/hub/v1/stage" => request.json(&StageBegan { stage: Stage::Build }),
            "/hub/v1/finish" => request.json(&testing::ended(Outcome::Succeeded)),
            "/hub/v1/release" => request.json(&Release { message: "on purpose".to_owned() }),
            "/hub/v1/log" => request.query(&[("start", "0")]).body("a line\n"),
            "/hub/v1/blobs/{sha256}" => request.body(bytes.to_vec()),
            _ => request,
        }
    }

    /// The builder that a caller is, or says to be.
    fn builder(&self, caller: &str) -> &Builder {
        match name(caller) {
            "dead" => &self.dead,
            "idle" => &self.idle,
            _ => &self.live,
        }
    }
}

fn name(caller: &str) -> &str {
    match caller {
        "dead" | "idle" => caller,
        _ => "live",
    }
}
