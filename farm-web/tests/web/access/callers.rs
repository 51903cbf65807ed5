//! Everybody there is.

use std::collections::HashMap;

use axum::{body::Body, http::Request};
use farm_auth::Token;
use farm_db::{Actor, PgConnection, access, operator, testing};
use farm_types::{ArtifactId, JobId, Scope, TaskId, TokenKind, Way};
use farm_web::Config;

use crate::farm::Farm;

/// How somebody shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nobody,
    Person,
    Builder,
    /// A token of `user` for that.
    Token(Scope),
}

pub struct Caller {
    pub name: &'static str,
    pub kind: Kind,
}

const fn caller(name: &'static str, kind: Kind) -> Caller {
    Caller { name, kind }
}

pub const CALLERS: [Caller; 13] = [
    caller("anybody", Kind::Nobody),
    caller("user", Kind::Person),
    caller("other", Kind::Person),
    caller("member", Kind::Person),
    caller("owner", Kind::Person),
    caller("admin", Kind::Person),
    caller("live", Kind::Builder),
    caller("dead", Kind::Builder),
    caller("idle", Kind::Builder),
    caller("read", Kind::Token(Scope::Read)),
    caller("submit", Kind::Token(Scope::Submit)),
    caller("cancel", Kind::Token(Scope::Cancel)),
    caller("manage", Kind::Token(Scope::Admin)),
];

impl Caller {
    /// Whose name this is done in.
    pub fn person(&self) -> &'static str {
        match self.kind {
            Kind::Token(_) => "user",
            _ => self.name,
        }
    }
}

/// The farm, and what is in it.
pub struct Scene {
    pub farm: Farm,
    tokens: HashMap<&'static str, Token>,
    /// A job in the bucket that is not public, built, with a package and a log.
    pub job: JobId,
    pub task: TaskId,
    pub artifact: ArtifactId,
}

/// A browser that logged in.
pub struct Session {
    cookie: String,
    pub csrf: String,
}

impl Session {
    pub fn form(&self, path: &str, body: &str) -> Request<Body> {
        let request = Request::post(path).header("cookie", &self.cookie).header("sec-fetch-site", "same-origin");
        request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned().into()).unwrap()
    }

    pub fn call(&self, method: &str, path: &str, csrf: Option<&str>) -> Request<Body> {
        let request = Request::builder().method(method).uri(path).header("cookie", &self.cookie);
        let request = csrf.into_iter().fold(request, |request, csrf| request.header("farm-csrf", csrf));
        request.body(Body::empty()).unwrap()
    }

    pub fn get(&self, path: &str) -> Request<Body> {
        self.call("GET", path, None)
    }
}

fn person(name: &str) -> Actor {
    Actor { principal: name.to_owned(), way: Way::Ticket, address: Some("192.0.2.7".to_owned()) }
}

fn grant(conn: &mut PgConnection, right: &str, to: &str) {
    operator::set_grant(conn, &testing::operator(), &right.parse().unwrap(), to, true).unwrap();
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let repositories = tempfile::tempdir().unwrap().keep();
        let farm = Farm::with(|config| {
            config.local_user = None;
            config.repositories = Some(repositories.clone());
            change(config);
        });
        let mut conn = farm.connect();
        let operator = testing::operator();
        operator::put_bucket(&mut conn, &operator, &"private".parse().unwrap(), None, Some(false)).unwrap();
        operator::put_group(&mut conn, &operator, "packagers", "").unwrap();
        operator::set_member(&mut conn, &operator, "packagers", "member", true).unwrap();
        for (right, to) in [
            ("submit:private", "user"),
            ("submit:private", "@packagers"),
            ("see:private", "@packagers"),
            ("own:private", "owner"),
            ("admin", "admin"),
        ] {
            grant(&mut conn, right, to);
        }
        publish(&repositories);
        let (job, task, artifact) = built(&farm).await;
        let mut scene = Self { farm, tokens: HashMap::new(), job, task, artifact };
        for caller in &CALLERS {
            let token = scene.token_of(&mut conn, caller);
            scene.tokens.extend(token.map(|token| (caller.name, token)));
        }
        scene
    }

    fn token_of(&self, conn: &mut PgConnection, caller: &Caller) -> Option<Token> {
        let token = Token::generate();
        let (digest, actor) = (token.digest(), person(caller.person()));
        match caller.kind {
            Kind::Nobody => return None,
            Kind::Person => {
                testing::log_in(conn, &actor, &digest, TokenKind::Login).unwrap();
            }
            Kind::Token(scope) => {
                let new =
                    access::NewToken { person: "user", digest: &digest, name: caller.name, scopes: &[scope], days: 1 };
                access::make_token(conn, &actor, &new).unwrap();
            }
            Kind::Builder => {
                testing::put_builder(conn, caller.name, &digest, None);
                // Where the lease comes from, or went, is nothing that farm-web knows; the hub's own table is about that.
            }
        }
        Some(token)
    }

    /// The token of a caller, in the header of a request.
    pub fn bearer(&self, caller: &Caller) -> Option<String> {
        self.tokens.get(caller.name).map(|token| format!("Bearer {}", token.expose()))
    }

    /// The header with a token of a person that is good for these things.
    pub fn token(&self, person: &str, scopes: &[Scope]) -> String {
        let (token, name) = (Token::generate(), uuid::Uuid::new_v4().simple().to_string());
        let new = access::NewToken { person, digest: &token.digest(), name: &name, scopes, days: 1 };
        access::make_token(&mut self.farm.connect(), &self::person(person), &new).unwrap();
        format!("Bearer {}", token.expose())
    }

    /// Logs a person in as a browser does.
    pub fn session(&self, name: &str) -> Session {
        let token = Token::generate();
        let mut conn = self.farm.connect();
        testing::log_in(&mut conn, &person(name), &token.digest(), TokenKind::Session).unwrap();
        Session { cookie: format!("__Host-farm_session={}", token.expose()), csrf: csrf(&token) }
    }

    /// The session with this cookie.
    pub fn session_of(&self, cookie: &str) -> Session {
        let token = cookie.split_once('=').unwrap().1.parse().unwrap();
        Session { cookie: cookie.to_owned(), csrf: csrf(&token) }
    }

    /// A job of `user` in the bucket that is not public, with a task on each platform.
    pub fn fresh_job(&self) -> JobId {
        let mut conn = self.farm.connect();
        let mut submission = testing::submission(&mut conn, "user");
        submission.bucket = "private".parse().unwrap();
        let (job, _) = farm_db::intake::submit(&mut conn, &submission).unwrap();
        // What other requests have made is decided on first. (This connection is an operator's, who sees everything.)
        let waits = |conn: &mut _| {
            let job = farm_db::read::job(conn, farm_db::Viewer::ANYBODY, job).unwrap();
            job.progress == farm_types::Progress::Submitted
        };
        while waits(&mut conn) {
            self.farm.accept();
        }
        job
    }

    /// Takes away what members of the group may see.
    pub fn blind_members(&self) {
        let see = "see:private".parse().unwrap();
        operator::set_grant(&mut self.farm.connect(), &testing::operator(), &see, "@packagers", false).unwrap();
    }

    pub fn shut_out(&self, name: &str) {
        operator::put_person(&mut self.farm.connect(), &testing::operator(), name, false).unwrap();
    }
}

/// What a page has in its forms.
fn csrf(token: &Token) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(&Sha256::digest(format!("form of {}", token.expose()))[..16])
}

/// Something that dnf could ask for.
fn publish(repositories: &std::path::Path) {
    let digest = "00".repeat(32);
    let folder = repositories.join("private/f13-x86_64");
    fs_err::create_dir_all(folder.join("repodata")).unwrap();
    fs_err::create_dir_all(folder.join("packages").join(&digest)).unwrap();
    fs_err::write(folder.join("repodata/repomd.xml"), "<repomd/>").unwrap();
    fs_err::write(folder.join("packages").join(&digest).join("a.rpm"), "a").unwrap();
}

async fn built(farm: &Farm) -> (JobId, TaskId, ArtifactId) {
    let mut conn = farm.connect();
    let mut submission = testing::submission(&mut conn, "user");
    submission.bucket = "private".parse().unwrap();
    let (job, _) = farm_db::intake::submit(&mut conn, &submission).unwrap();
    farm.accept();
    let mut builder = farm.builder("builder");
    let key = builder.claim();
    builder.log(&key, 0, b"it builds\n");
    let digest = farm.blob(b"a package").await;
    let package = crate::farm::artifact(farm_types::ArtifactKind::Rpm, "a.rpm", digest, 9);
    builder.succeed(&key, vec![package, crate::farm::record(farm, &[]).await]);
    let artifact = farm.task(key.task).artifacts[0].id;
    // The job comes to its end, so that what tells of its changes does too.
    let other = builder.claim();
    builder.succeed(&other, Vec::new());
    (job, key.task, artifact)
}
