//! A small server that speaks the API and can be told to misbehave.

mod transfers;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post},
};
use farm_api::{
    access::{Account, Limits, MadeToken, NewToken, TokenInfo, Whoami},
    error::{ErrorBody, ErrorCode},
    people::{Builder, Chain, Job, JobPage, NewChain, NewJob, NewUpload, Platform, Task, Why},
};
use farm_types::{Digest, JobId, Scope, Way};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};
use uuid::Uuid;

use self::transfers::{artifact, begin, log, receive, status};
use super::things::token;

/// What happens to the next request of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mischief {
    /// The server says that it cannot now.
    Unavailable,
    /// The server does what was asked and the connection breaks before it says so.
    LoseAnswer,
    /// The connection breaks after so many bytes of the body, up or down.
    CutAfter(usize),
    /// Another server answers from now on, which has only so many bytes of every upload.
    HasOnly(usize),
    /// The server refuses.
    Refuse(ErrorBody),
}

/// What the server knows, and what it was told to do.
#[derive(Default)]
pub struct Farm {
    pub uploads: HashMap<Uuid, (NewUpload, Vec<u8>)>,
    pub blobs: HashMap<Digest, Vec<u8>>,
    pub submitted: Vec<NewJob>,
    pub jobs: HashMap<i64, Job>,
    /// What the streams of events tell, one after the other; then the job as it stands.
    pub events: VecDeque<Job>,
    /// How many events a connection brings before it ends.
    pub events_per_connection: Option<usize>,
    pub logs: HashMap<(i64, Option<i32>), Vec<u8>>,
    /// What becomes of a job each time somebody has read a log.
    pub after_log: VecDeque<Job>,
    pub platforms: Vec<Platform>,
    pub builders: Vec<Builder>,
    pub whys: HashMap<i64, Why>,
    pub tokens: Vec<TokenInfo>,
    /// What tokens were asked for.
    pub asked_tokens: Vec<NewToken>,
    /// By path prefix, with the method in front: `PATCH /api/v1/uploads/`.
    pub mischief: Vec<(&'static str, Mischief)>,
    /// All requests, as `METHOD path?query`.
    pub requests: Vec<String>,
    pub authorization: Option<String>,
}

/// The largest file that the server takes.
pub const LIMIT: u64 = 100 << 20;

/// The server, as long as it lives.
pub struct Server {
    pub url: String,
    farm: Shared,
    _runtime: Runtime,
}

type Shared = Arc<Mutex<Farm>>;

impl Server {
    pub fn start(farm: Farm) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let farm = Arc::new(Mutex::new(farm));
        let app = app(Arc::clone(&farm));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { url, farm, _runtime: runtime }
    }

    pub fn with_job(job: Job) -> Self {
        Self::start(Farm { jobs: HashMap::from([(job.id.0, job)]), ..Farm::default() })
    }

    pub fn farm(&self) -> MutexGuard<'_, Farm> {
        self.farm.lock().unwrap()
    }

    pub fn count(&self, request: &str) -> usize {
        self.farm().requests.iter().filter(|asked| asked.starts_with(request)).count()
    }
}

fn app(farm: Shared) -> Router {
    Router::new()
        .route("/api/v1/whoami", get(whoami))
        .route("/api/v1/tokens", get(tokens).post(make_token))
        .route("/api/v1/tokens/{id}", delete(revoke_token))
        .route("/api/v1/platforms", get(async |State(farm): State<Shared>| Json(lock(&farm).platforms.clone())))
        .route("/api/v1/builders", get(async |State(farm): State<Shared>| Json(lock(&farm).builders.clone())))
        .route("/api/v1/uploads", post(begin))
        .route("/api/v1/uploads/{id}", patch(receive).get(status))
        .route("/api/v1/jobs", post(create).get(list))
        .route("/api/v1/chains", post(create_chain))
        .route("/api/v1/jobs/{id}", get(job))
        .route("/api/v1/jobs/{id}/events", get(events))
        .route("/api/v1/jobs/{id}/{verb}", post(job))
        .route("/api/v1/tasks/{id}", get(task))
        .route("/api/v1/tasks/{id}/why", get(why))
        .route("/api/v1/tasks/{id}/log", get(log))
        .route("/artifacts/{id}/{name}", get(artifact))
        .layer(middleware::from_fn_with_state(Arc::clone(&farm), misbehave))
        .with_state(farm)
}

fn lock(farm: &Shared) -> MutexGuard<'_, Farm> {
    farm.lock().unwrap()
}

/// Breaks the connection off: the task that serves it ends without a word.
fn hang_up() -> ! {
    std::panic::resume_unwind(Box::new("hung up"))
}

async fn misbehave(State(farm): State<Shared>, mut request: Request, next: Next) -> Response {
    let asked = format!("{} {}", request.method(), request.uri());
    let mischief = {
        let mut farm = lock(&farm);
        let found = farm.mischief.iter().position(|(prefix, _)| asked.starts_with(prefix));
        farm.requests.push(asked);
        if let Some(value) = request.headers().get(header::AUTHORIZATION) {
            farm.authorization = value.to_str().ok().map(str::to_owned);
        }
        found.map(|at| farm.mischief.remove(at).1)
    };
    match mischief {
        None => next.run(request).await,
        Some(Mischief::Unavailable) => {
            let body = ErrorBody::new(ErrorCode::Unavailable, "the database restarts");
            ([(header::RETRY_AFTER, "0")], refuse(body)).into_response()
        }
        Some(Mischief::Refuse(body)) => refuse(body),
        Some(Mischief::LoseAnswer) => {
            next.run(request).await;
            hang_up()
        }
        Some(Mischief::HasOnly(bytes)) => {
            lock(&farm).uploads.values_mut().for_each(|(_, there)| there.truncate(bytes));
            next.run(request).await
        }
        Some(Mischief::CutAfter(bytes)) => {
            request.extensions_mut().insert(bytes);
            next.run(request).await
        }
    }
}

fn refuse(body: ErrorBody) -> Response {
    (StatusCode::from_u16(body.code.status()).unwrap(), Json(body)).into_response()
}

fn missing(what: &str) -> Response {
    refuse(ErrorBody::new(ErrorCode::NotFound, format!("there is no {what}")))
}

async fn whoami() -> Json<Whoami> {
    Json(Whoami {
        account: Account {
            principal: "alice".into(),
            groups: vec!["packagers".into()],
            rights: vec!["build:*".into(), "class:normal".into(), "define".into(), "submit:scratch".into()],
            limits: Limits { jobs_waiting: Some(1000), uploads: Some(100), bytes: Some(1 << 40), sources: Some(100) },
            build_limits: farm_api::limits::Limits { memory_bytes: Some(8 << 30), ..Default::default() },
            used: Limits { jobs_waiting: Some(3), uploads: Some(0), bytes: Some(3 << 29), sources: None },
            share: 1.0,
        },
        way: Way::Token,
        scopes: vec![Scope::Read, Scope::Submit],
        version: "0.1.0".into(),
        max_upload_bytes: Some(LIMIT),
    })
}

/// The secret of every token that is made here.
pub const SECRET: &str = "farm_not-a-secret";

async fn tokens(State(farm): State<Shared>) -> Json<Vec<TokenInfo>> {
    Json(lock(&farm).tokens.clone())
}

async fn make_token(State(farm): State<Shared>, Json(new): Json<NewToken>) -> Response {
    let mut farm = lock(&farm);
    let id = farm.tokens.iter().map(|token| token.id).max().unwrap_or(0) + 1;
    farm.tokens.push(TokenInfo { scopes: new.scopes.clone(), ..token(id, Some(&new.name)) });
    farm.asked_tokens.push(new);
    (StatusCode::CREATED, Json(MadeToken { id, token: SECRET.into() })).into_response()
}

async fn revoke_token(State(farm): State<Shared>, Path(id): Path<i64>) -> Response {
    let mut farm = lock(&farm);
    let before = farm.tokens.len();
    farm.tokens.retain(|token| token.id != id);
    if farm.tokens.len() == before {
        return refuse(ErrorBody::new(ErrorCode::NotFound, format!("you have no token {id}")));
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn create(State(farm): State<Shared>, Json(new): Json<NewJob>) -> Response {
    match make(&mut lock(&farm), new) {
        Ok((is_new, job)) => (if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(job)).into_response(),
        Err(refusal) => refuse(refusal),
    }
}

async fn create_chain(State(farm): State<Shared>, Json(new): Json<NewChain>) -> Response {
    let mut jobs: Vec<Job> = Vec::new();
    for job in new.jobs {
        let after = jobs.last().map(|before| before.id);
        match make(&mut lock(&farm), job) {
            Ok((_, job)) => jobs.push(Job { after, ..job }),
            Err(refusal) => return refuse(refusal),
        }
    }
    (StatusCode::CREATED, Json(Chain { jobs })).into_response()
}

fn make(farm: &mut Farm, new: NewJob) -> Result<(bool, Job), ErrorBody> {
    if new.sources.iter().any(|source| !farm.blobs.contains_key(&source.digest)) {
        return Err(ErrorBody::new(ErrorCode::Refused, "a source was not uploaded"));
    }
    let known = farm.submitted.iter().position(|other| other.key == new.key);
    let id = known.unwrap_or(farm.submitted.len()) as i64 + 1;
    let mut job = farm.jobs.get(&id).cloned().unwrap_or_else(|| super::things::job(id, Vec::new()));
    (job.id, job.key) = (JobId(id), new.key.clone());
    farm.jobs.insert(id, job.clone());
    if known.is_none() {
        farm.submitted.push(new);
    }
    Ok((known.is_none(), job))
}

async fn list(State(farm): State<Shared>) -> Json<JobPage> {
    let mut jobs: Vec<Job> = lock(&farm).jobs.values().cloned().collect();
    jobs.sort_by_key(|job| -job.id.0);
    Json(JobPage { jobs, next: None })
}

async fn job(State(farm): State<Shared>, Path(path): Path<Vec<String>>) -> Response {
    match lock(&farm).jobs.get(&path[0].parse::<i64>().unwrap()) {
        Some(job) => Json(job.clone()).into_response(),
        None => missing(&format!("job {}", path[0])),
    }
}

async fn events(State(farm): State<Shared>, Path(id): Path<i64>) -> Response {
    let mut farm = lock(&farm);
    let most = farm.events_per_connection.unwrap_or(usize::MAX);
    let mut told = String::from(": a comment\n\n");
    let mut ended = false;
    for _ in 0..most {
        let next = farm.events.pop_front().unwrap_or_else(|| farm.jobs[&id].clone());
        told += &format!("event: job\ndata: {}\n\n", serde_json::to_string(&next).unwrap());
        ended = next.progress.is_final();
        if ended || farm.events.is_empty() {
            break;
        }
    }
    let told = futures::stream::once(async move { Ok::<_, std::io::Error>(told) });
    let stays_open = !ended && most == usize::MAX;
    let body = match stays_open {
        true => Body::from_stream(told.chain(futures::stream::pending())),
        false => Body::from_stream(told),
    };
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn find<T>(farm: &Farm, pick: impl Fn(&Task) -> Option<T>) -> Option<T> {
    farm.jobs.values().flat_map(|job| &job.tasks).find_map(pick)
}

async fn task(State(farm): State<Shared>, Path(id): Path<i64>) -> Response {
    let task = find(&lock(&farm), |task| (task.id.0 == id).then(|| task.clone()));
    task.map_or_else(|| missing("such task"), |task| Json(task).into_response())
}

async fn why(State(farm): State<Shared>, Path(id): Path<i64>) -> Response {
    let why = lock(&farm).whys.get(&id).cloned();
    why.map_or_else(|| missing("such task"), |why| Json(why).into_response())
}

/// The JSON of a refusal, for tests that compare it.
pub fn refusal(code: ErrorCode, message: &str, reasons: Value) -> ErrorBody {
    serde_json::from_value(json!({ "code": code, "message": message, "reasons": reasons })).unwrap()
}
