//! Who may call what: every route, and what it wants to know of whoever calls.
//!
//! A route that is not in the table is refused to everybody. What somebody may do with one particular job, bucket, builder or
//! platform is decided by the database, in the transaction that does it.

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use farm_api::error::ErrorCode;
use farm_types::{Scope, Way};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use crate::{
    App, Caller,
    error::{AppError, Result},
    identity::unknown,
};

/// The header by which a script of our own pages says that it is one.
const CSRF_HEADER: &str = "farm-csrf";
/// More than any form of ours has.
const MAX_FORM: usize = 64 << 10;

/// What a route wants to know of whoever calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing; who is known sees more. A site may want everybody to be known, see `require_login`.
    Nothing,
    /// Nothing, whatever the site wants: one has to be able to log in.
    NothingEver,
    /// A person, with whatever that person came with.
    Person,
    /// A person, whose token is good for that if it is a token.
    Scope(Scope),
}

use Needs::{Nothing, NothingEver, Person};
const READ: Needs = Needs::Scope(Scope::Read);
const SUBMIT: Needs = Needs::Scope(Scope::Submit);
const CANCEL: Needs = Needs::Scope(Scope::Cancel);
const ADMIN: Needs = Needs::Scope(Scope::Admin);

/// Every route. `HEAD` is as `GET`.
pub const ROUTES: &[(Method, &str, Needs)] = &[
    (Method::POST, "/api/v1/token", Person),
    (Method::GET, "/api/v1/whoami", Person),
    (Method::GET, "/api/v1/tokens", READ),
    (Method::POST, "/api/v1/tokens", ADMIN),
    (Method::DELETE, "/api/v1/tokens/{id}", ADMIN),
    (Method::GET, "/api/v1/audit", ADMIN),
    (Method::GET, "/api/v1/buckets", Nothing),
    (Method::PUT, "/api/v1/buckets/{name}", ADMIN),
    (Method::GET, "/api/v1/platforms", Nothing),
    (Method::POST, "/api/v1/platforms/{name}/state", ADMIN),
    (Method::GET, "/api/v1/builders", Nothing),
    (Method::POST, "/api/v1/builders/{name}/state", ADMIN),
    (Method::GET, "/api/v1/queue", Nothing),
    (Method::POST, "/api/v1/uploads", SUBMIT),
    (Method::GET, "/api/v1/uploads/{id}", SUBMIT),
    (Method::PATCH, "/api/v1/uploads/{id}", SUBMIT),
    (Method::GET, "/api/v1/jobs", Nothing),
    (Method::POST, "/api/v1/jobs", SUBMIT),
    (Method::POST, "/api/v1/chains", SUBMIT),
    (Method::GET, "/api/v1/jobs/{id}", Nothing),
    (Method::GET, "/api/v1/jobs/{id}/events", Nothing),
    (Method::POST, "/api/v1/jobs/{id}/cancel", CANCEL),
    (Method::POST, "/api/v1/jobs/{id}/retry", CANCEL),
    (Method::GET, "/api/v1/tasks/{id}", Nothing),
    (Method::GET, "/api/v1/tasks/{id}/why", Nothing),
    (Method::GET, "/api/v1/tasks/{id}/buildroot", Nothing),
    (Method::GET, "/api/v1/tasks/{id}/log", Nothing),
    (Method::GET, "/api/v1/tasks/{id}/log/events", Nothing),
    (Method::GET, "/api/v1/openapi.json", Nothing),
    (Method::GET, "/artifacts/{id}/{name}", Nothing),
    (Method::GET, "/repositories/{bucket}/{platform}/farm.repo", Nothing),
    (Method::GET, "/repositories/{bucket}/{platform}/repodata/{file}", Nothing),
    (Method::GET, "/repositories/{bucket}/{platform}/packages/{digest}/{file}", Nothing),
    (Method::GET, "/", Nothing),
    (Method::GET, "/jobs", Nothing),
    (Method::GET, "/jobs/{id}", Nothing),
    (Method::POST, "/jobs/{id}/cancel", CANCEL),
    (Method::POST, "/jobs/{id}/retry", CANCEL),
    (Method::GET, "/tasks/{id}", Nothing),
    (Method::GET, "/tasks/{id}/buildroot", Nothing),
    (Method::GET, "/set-aside", Nothing),
    (Method::GET, "/builders", Nothing),
    (Method::GET, "/builders/{name}", Nothing),
    (Method::POST, "/builders/{name}/state", ADMIN),
    (Method::GET, "/platforms", Nothing),
    (Method::GET, "/platforms/{name}", Nothing),
    (Method::POST, "/platforms/{name}/state", ADMIN),
    (Method::GET, "/account", READ),
    (Method::POST, "/account/tokens", ADMIN),
    (Method::POST, "/account/tokens/{id}/revoke", ADMIN),
    (Method::GET, "/audit", ADMIN),
    (Method::GET, "/login", NothingEver),
    (Method::POST, "/login", NothingEver),
    (Method::POST, "/logout", NothingEver),
    (Method::GET, "/assets/{version}/{name}", NothingEver),
];

/// Lets a request through to its handler, or refuses it.
pub async fn check(State(app): State<App>, path: MatchedPath, request: Request, next: Next) -> Response {
    match admit(&app, path.as_str(), request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal,
    }
}

async fn admit(app: &App, path: &str, request: Request) -> Result<Request, Response> {
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let needs = ROUTES.iter().find(|(m, p, _)| m == method && *p == path).map(|(_, _, needs)| *needs);
    let caller = request.extensions().get::<Caller>();
    let is_page = method == Method::GET && !path.starts_with("/api/") && !path.starts_with("/artifacts/");
    match needs {
        // The table lacks it: nobody was thought of who may do this.
        None => return Err(not_in_the_table(path, &request)),
        Some(needs) => match (refusal(needs, caller, app.config.require_login), caller) {
            (None, _) => {}
            // dnf knows no other way.
            (Some(_), None) if path.starts_with("/repositories/") => {
                return Err(AppError::AskForPassword.into_response());
            }
            // A person in front of a browser is taken to where one logs in, and comes back.
            (Some(_), None) if is_page => return Err(Redirect::to(&log_in_at(request.uri())).into_response()),
            (Some(error), _) => return Err(error.into_response()),
        },
    }
    if method.is_safe() || needs == Some(NothingEver) && path != "/logout" {
        return Ok(request);
    }
    let Some(caller) = caller.cloned() else { return Ok(request) };
    if path.starts_with("/api/") {
        from_our_page(&caller, request.headers()).map_err(IntoResponse::into_response)?;
        return Ok(request);
    }
    from_our_form(&caller, request).await.map_err(IntoResponse::into_response)
}

/// Refuses a method that does nothing at this path, with those that do something.
fn not_in_the_table(path: &str, request: &Request) -> Response {
    let methods: Vec<_> = ROUTES.iter().filter(|(_, known, _)| *known == path).map(|(m, _, _)| m.as_str()).collect();
    if methods.is_empty() {
        return AppError::new(ErrorCode::Forbidden, "nobody may do that").into_response();
    }
    // There is no code of its own for this; the status says it.
    let message = format!("{} does nothing at {}", request.method(), request.uri().path().escape_debug());
    let mut response = AppError::bad_request(message).into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let head = if methods.contains(&"GET") { ",HEAD" } else { "" };
    if let Ok(allowed) = HeaderValue::from_str(&format!("{}{head}", methods.join(","))) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

fn refusal(needs: Needs, caller: Option<&Caller>, require_login: bool) -> Option<AppError> {
    match (needs, caller) {
        (NothingEver, _) | (_, None) if needs == NothingEver || (needs == Nothing && !require_login) => None,
        (_, None) => Some(unknown()),
        (Needs::Scope(scope), Some(caller)) if !caller.has(scope) => {
            let has = caller.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
            let message = format!("your token is not good for that: it takes the scope “{scope}”, and has {has}");
            Some(AppError::new(ErrorCode::Forbidden, message))
        }
        (_, Some(_)) => None,
    }
}

fn log_in_at(uri: &Uri) -> String {
    let next = uri.path_and_query().map_or("/", |path| path.as_str());
    format!("/login?next={}", farm_api::paths::segment(next))
}

/// What a browser sends by itself, a cookie, is not enough to change something.
fn from_our_page(caller: &Caller, headers: &HeaderMap) -> Result<()> {
    match &caller.csrf {
        Some(csrf) => same(csrf, headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok())),
        None => Ok(()),
    }
}

/// The same for a form: it sends along what only our pages know.
async fn from_our_form(caller: &Caller, request: Request) -> Result<Request> {
    #[derive(Deserialize)]
    struct Form {
        csrf: Option<String>,
    }
    match (&caller.csrf, caller.way) {
        (Some(csrf), _) => {
            let (parts, body) = request.into_parts();
            let bytes = to_bytes(body, MAX_FORM).await.map_err(|_| AppError::bad_request("that is no form of ours"))?;
            let form: Form =
                serde_urlencoded::from_bytes(&bytes).map_err(|_| AppError::bad_request("that is no form of ours"))?;
            same(csrf, form.csrf.as_deref())?;
            Ok(Request::from_parts(parts, Body::from(bytes)))
        }
        // Who is here by being on this machine has no session; other sites are kept off by the guard.
        (None, Way::Local) => Ok(request),
        (None, _) => {
            let message = "forms are for browsers that logged in at /login; programs call /api/v1";
            Err(AppError::new(ErrorCode::Forbidden, message))
        }
    }
}

fn same(expected: &str, found: Option<&str>) -> Result<()> {
    if found.is_some_and(|found| found.as_bytes().ct_eq(expected.as_bytes()).into()) {
        return Ok(());
    }
    let message = "this does not come from a page of the farm that you logged in to; reload the page and try again";
    Err(AppError::new(ErrorCode::Forbidden, message))
}
