//! Everybody there is.

use std::collections::HashMap;

use diesel::RunQueryDsl as _;
use farm_auth::Token;
use farm_db::{PgConnection, access, operator, queue, testing};
use farm_types::{Digest, LeaseKey, Scope, TokenKind};
use futures::stream;

use crate::support::{Builder, Farm, sha256};

pub const CALLERS: [&str; 13] = [
    "anybody", "person", "admin", "read", "submit", "cancel", "manage", "live", "login", "dead", "idle", "expired",
    "revoked",
];

/// The bytes of every source.
const SOURCE: &[u8] = b"a source package";

/// The hub, and who calls it.
pub struct Scene {
    pub farm: Farm,
    pub http: reqwest::Client,
    tokens: HashMap<&'static str, String>,
    pub live: Builder,
    pub dead: Builder,
    pub idle: Builder,
    /// What `dead` held until it was reaped.
    pub reaped: LeaseKey,
    source: Digest,
}

impl Scene {
    pub async fn new() -> Self {
        let farm = Farm::start().await;
        let mut conn = farm.conn();
        let replaced = Token::generate();
        testing::put_builder(&mut conn, "live", &replaced.digest(), None);
        let (live, dead, idle) = (farm.builder("live").await, farm.builder("dead").await, farm.builder("idle").await);
        let source = sha256(SOURCE);
        let bytes = stream::iter([Ok::<_, std::io::Error>(SOURCE.into())]);
        farm.store.put_stream(&source, SOURCE.len() as u64, bytes).await.unwrap();
        testing::brought(&mut conn, "person", &source, SOURCE.len() as u64);
        let mut tokens = persons(&mut conn);
        let principal = "builder/live@EXAMPLE.ORG";
        let new = operator::NewBuilder { principal: Some(principal), ..Default::default() };
        operator::put_builder(&mut conn, &testing::operator(), &"live".parse().unwrap(), &new).unwrap();
        for (name, seconds) in [("login", 600), ("expired", 0)] {
            let token = Token::generate();
            operator::builder_log_in(&mut conn, principal, "192.0.2.7", &token.digest(), seconds).unwrap();
            tokens.insert(name, token.expose());
        }
        tokens.insert("revoked", replaced.expose());
        for (name, builder) in [("live", &live), ("dead", &dead), ("idle", &idle)] {
            tokens.insert(name, builder.token.clone());
        }
        farm.job(&["a-x86_64"]);
        let reaped = dead.claim_one().await.key;
        let expire = "UPDATE farm.lease SET expires_at = now() - interval '1 hour'";
        assert_eq!(diesel::sql_query(expire).execute(&mut conn).unwrap(), 1);
        assert_eq!(testing::reap(&mut conn), 1);
        Self { farm, http: reqwest::Client::new(), tokens, live, dead, idle, reaped, source }
    }

    /// What a caller shows to be known.
    pub fn token(&self, caller: &str) -> Option<&str> {
        self.tokens.get(caller).map(String::as_str)
    }

    /// A lease that `live` has now.
    pub async fn held_by_live(&self) -> LeaseKey {
        let mut conn = self.farm.conn();
        let mut submission = testing::submission(&mut conn, "person");
        submission.sources = vec![("a.src.rpm".to_owned(), self.source)];
        let (job, _) = farm_db::intake::submit(&mut conn, &submission).unwrap();
        testing::accept(&mut conn, job, &["a-x86_64"]);
        self.live.claim_one().await.key
    }

    /// Nobody but those has done anything to an attempt.
    pub fn assert_untouched_unless(&self, allowed: &[&str], caller: &str, held: &LeaseKey) {
        let of = |table: &str, number: &str| {
            format!("{table} WHERE task_id = {} AND {number} = {}", held.task, held.attempt)
        };
        let same = self.farm.count(&format!(
            "SELECT count(*) FROM {} AND outcome IS NULL AND stage IS NULL AND log_size = 0
               AND EXISTS (SELECT FROM {})",
            of("farm.attempt", "number"),
            of("farm.lease", "attempt"),
        ));
        assert!(same == 1 || allowed.contains(&caller), "{caller} has changed an attempt of another");
    }

    /// What is left of a lease goes.
    pub fn end(&self, held: &LeaseKey) {
        let mut conn = self.farm.conn();
        let job = self.farm.count(&format!("SELECT job_id FROM farm.task WHERE id = {}", held.task));
        queue::cancel_job(&mut conn, &testing::operator(), farm_types::JobId(job)).unwrap();
    }
}

/// The tokens of persons.
fn persons(conn: &mut PgConnection) -> HashMap<&'static str, String> {
    operator::set_grant(conn, &testing::operator(), &"admin".parse().unwrap(), "admin", true).unwrap();
    let mut tokens = HashMap::new();
    for name in ["person", "admin"] {
        let token = Token::generate();
        let person = testing::person(name);
        testing::log_in(conn, &person, &token.digest(), TokenKind::Login).unwrap();
        tokens.insert(name, token.expose());
    }
    for (name, scope) in
        [("read", Scope::Read), ("submit", Scope::Submit), ("cancel", Scope::Cancel), ("manage", Scope::Admin)]
    {
        let token = Token::generate();
        let new = access::NewToken { person: "person", digest: &token.digest(), name, scopes: &[scope], days: 1 };
        access::make_token(conn, &testing::person("person"), &new).unwrap();
        tokens.insert(name, token.expose());
    }
    tokens
}
