//! The request for a line of the table: with something of its own to change, so that no line depends on another.

use axum::{body::Body, http::Request};
use farm_auth::Token;
use farm_db::{access, blobs, queue, testing};
use farm_types::Scope;
use serde_json::json;
use uuid::Uuid;

use super::callers::{Caller, Kind, Scene};

/// The request of a caller to a route.
pub async fn request(scene: &Scene, caller: &Caller, method: &str, route: &str) -> Request<Body> {
    let path = path(scene, route);
    let is_form = method == "POST" && !path.starts_with("/api/");
    if is_form && caller.kind == Kind::Person {
        let session = scene.session(caller.name);
        return session.form(&path, &format!("csrf={}&{}", session.csrf, form(route)));
    }
    let is_page = !path.starts_with("/api/");
    if is_page && caller.kind == Kind::Person {
        return scene.session(caller.name).get(&path);
    }
    let mut request = Request::builder().method(method).uri(&path);
    if let Some(bearer) = scene.bearer(caller) {
        request = request.header("authorization", bearer);
    }
    if is_form {
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        return request.body(form(route).into()).unwrap();
    }
    match body(scene, caller, method, route) {
        Some(json) => request.header("content-type", "application/json").body(json.to_string().into()).unwrap(),
        None => request.body(if method == "PATCH" { "0123456789".into() } else { Body::empty() }).unwrap(),
    }
}

/// The route with something in the place of its parameters.
fn path(scene: &Scene, route: &str) -> String {
    let (route, which) = route.split_once('#').unwrap_or((route, ""));
    let path = match route {
        "/api/v1/uploads/{id}" => format!("/api/v1/uploads/{}", fresh_upload(scene)),
        "/api/v1/tokens/{id}" => format!("/api/v1/tokens/{}", fresh_token(scene)),
        "/account/tokens/{id}/revoke" => format!("/account/tokens/{}/revoke", fresh_token(scene)),
        "/api/v1/jobs/{id}/cancel" | "/jobs/{id}/cancel" => route.replace("{id}", &scene.fresh_job().to_string()),
        "/api/v1/jobs/{id}/retry" | "/jobs/{id}/retry" => route.replace("{id}", &cancelled_job(scene)),
        "/artifacts/{id}/{name}" => format!("/artifacts/{}/a.rpm", scene.artifact),
        _ if route.contains("/jobs/{id}") => route.replace("{id}", &scene.job.to_string()),
        _ if route.contains("/tasks/{id}") => route.replace("{id}", &scene.task.to_string()),
        _ if route.contains("/builders/{name}") => route.replace("{name}", "idle"),
        _ if route.contains("/platforms/{name}") => route.replace("{name}", "f14-x86_64"),
        _ if route.contains("/buckets/{name}") => route.replace("{name}", "new"),
        _ if route.starts_with("/assets/") => "/assets/any/farm.css".to_owned(),
        _ => {
            let place = [("{bucket}", "private"), ("{platform}", "f13-x86_64"), ("{file}", "a.rpm")];
            let digest = "00".repeat(32);
            let file =
                if route.contains("repodata") { route.replace("{file}", "repomd.xml") } else { route.to_owned() };
            place.iter().fold(file.replace("{digest}", &digest), |path, (name, value)| path.replace(name, value))
        }
    };
    match (route, which) {
        ("/api/v1/uploads/{id}", "bytes") => format!("{path}?offset=0"),
        _ => path,
    }
}

fn form(route: &str) -> String {
    match route {
        "/builders/{name}/state" => "state=enabled&reason=".to_owned(),
        "/platforms/{name}/state" => "enabled=true".to_owned(),
        "/account/tokens" => format!("name={}&days=1&read=true", Uuid::new_v4().simple()),
        "/login" => "token=nonsense".to_owned(),
        _ => String::new(),
    }
}

fn body(scene: &Scene, caller: &Caller, method: &str, route: &str) -> Option<serde_json::Value> {
    Some(match (method, route) {
        ("POST", "/api/v1/tokens") => json!({ "name": Uuid::new_v4().simple().to_string(), "scopes": ["read"] }),
        ("PUT", "/api/v1/buckets/{name}") => json!({ "description": "new" }),
        ("POST", "/api/v1/builders/{name}/state") => json!({ "state": "enabled" }),
        ("POST", "/api/v1/platforms/{name}/state") => json!({ "enabled": true }),
        ("POST", "/api/v1/uploads") => json!({ "digest": testing::digest(), "size": 10 }),
        ("POST", "/api/v1/jobs") => new_job(scene, caller),
        ("POST", "/api/v1/chains") => json!({ "jobs": [new_job(scene, caller), new_job(scene, caller)] }),
        _ => return None,
    })
}

fn new_job(scene: &Scene, caller: &Caller) -> serde_json::Value {
    let digest = testing::digest();
    if !matches!(caller.kind, Kind::Nobody | Kind::Builder) {
        testing::brought(&mut scene.farm.connect(), caller.person(), &digest, 1);
    }
    json!({ "key": Uuid::new_v4(), "bucket": "private", "sources": [{ "name": "a.src.rpm", "digest": digest }] })
}

fn fresh_upload(scene: &Scene) -> Uuid {
    let digest = farm_types::Digest::from_bytes(rand_digest());
    blobs::begin_upload(&mut scene.farm.connect(), &testing::person("user"), &digest, 20).unwrap()
}

fn rand_digest() -> [u8; 32] {
    *testing::digest().as_bytes()
}

fn fresh_token(scene: &Scene) -> i64 {
    let (digest, name) = (Token::generate().digest(), Uuid::new_v4().simple().to_string());
    let new = access::NewToken { person: "user", digest: &digest, name: &name, scopes: &[Scope::Read], days: 1 };
    access::make_token(&mut scene.farm.connect(), &testing::person("user"), &new).unwrap()
}

fn cancelled_job(scene: &Scene) -> String {
    let job = scene.fresh_job();
    queue::cancel_job(&mut scene.farm.connect(), &testing::operator(), job).unwrap();
    job.to_string()
}
