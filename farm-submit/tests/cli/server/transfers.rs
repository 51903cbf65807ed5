//! Bytes: uploads one way, logs and files the other.

use std::collections::HashMap;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use farm_api::{
    error::{ErrorBody, ErrorCode},
    people::{Artifact, NewUpload, Upload},
};
use futures::StreamExt;
use uuid::Uuid;

use super::{
    super::things::{content, digest_of},
    Shared, find, hang_up, lock, missing, refuse,
};

pub async fn begin(State(farm): State<Shared>, Json(new): Json<NewUpload>) -> Json<Upload> {
    let mut farm = lock(&farm);
    let size = new.size;
    if farm.blobs.contains_key(&new.digest) {
        return Json(Upload { id: None, offset: size, size, complete: true });
    }
    let id = Uuid::new_v4();
    farm.uploads.insert(id, (new, Vec::new()));
    Json(Upload { id: Some(id), offset: 0, size, complete: false })
}

pub async fn status(State(farm): State<Shared>, Path(id): Path<Uuid>) -> Response {
    match lock(&farm).uploads.get(&id) {
        Some((new, bytes)) => {
            let offset = bytes.len() as u64;
            Json(Upload { id: Some(id), offset, size: new.size, complete: offset == new.size }).into_response()
        }
        None => missing("such upload"),
    }
}

pub async fn receive(
    State(farm): State<Shared>,
    Path(id): Path<Uuid>,
    Query(query): Query<HashMap<String, usize>>,
    request: Request,
) -> Response {
    let cut = request.extensions().get::<usize>().copied().unwrap_or(usize::MAX);
    let mut room = cut;
    let mut body = request.into_body().into_data_stream();
    let there = lock(&farm).uploads[&id].1.len();
    if there != query["offset"] {
        let body = ErrorBody::new(ErrorCode::WrongOffset, "the bytes do not begin where the last ones ended");
        return refuse(ErrorBody { offset: Some(there as u64), ..body });
    }
    while let Some(Ok(block)) = body.next().await {
        let taken = block.len().min(room);
        room -= taken;
        lock(&farm).uploads.get_mut(&id).unwrap().1.extend_from_slice(&block[..taken]);
        if room == 0 {
            hang_up();
        }
    }
    let mut farm = lock(&farm);
    let (new, bytes) = farm.uploads[&id].clone();
    let complete = bytes.len() as u64 == new.size;
    if complete && digest_of(&bytes) != new.digest {
        return refuse(ErrorBody::new(ErrorCode::Refused, "the bytes do not have the digest that was told"));
    }
    let answer = Upload { id: Some(id), offset: bytes.len() as u64, size: new.size, complete };
    if complete {
        farm.blobs.insert(new.digest, bytes);
    }
    Json(answer).into_response()
}

pub async fn log(
    State(farm): State<Shared>,
    Path(id): Path<i64>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let number = |name| query.get(name).and_then(|text| text.parse::<i64>().ok());
    let mut farm = lock(&farm);
    if let Some(job) = farm.after_log.pop_front() {
        farm.jobs.insert(job.id.0, job);
    }
    let attempt = number("attempt").map(|n| i32::try_from(n).unwrap());
    let Some(bytes) = farm.logs.get(&(id, attempt)) else { return missing("such log") };
    let start = number("start").unwrap_or(0) as usize;
    cut(&request, bytes[start.min(bytes.len())..].to_vec())
}

/// A body, perhaps broken off.
fn cut(request: &Request, bytes: Vec<u8>) -> Response {
    match request.extensions().get::<usize>() {
        None => bytes.into_response(),
        Some(&length) => {
            let part = bytes[..length].to_vec();
            let part = futures::stream::once(async move { Ok(part) });
            let broken = futures::stream::once(async {
                // The part goes over the wire first.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cut"))
            });
            Body::from_stream(part.chain(broken)).into_response()
        }
    }
}

pub async fn artifact(State(farm): State<Shared>, Path((id, name)): Path<(i64, String)>, request: Request) -> Response {
    let known = find(&lock(&farm), |task| task.artifacts.iter().find(|a: &&Artifact| a.id.0 == id).cloned());
    if known.is_none_or(|known| known.name.as_str() != name) {
        return missing("such file");
    }
    let bytes = lock(&farm).blobs.get(&digest_of(&content(&name))).cloned().unwrap_or_else(|| content(&name));
    match range(request.headers()) {
        None => cut(&request, bytes),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            let rest = cut(&request, bytes[start..].to_vec());
            (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, range)], rest).into_response()
        }
    }
}

fn range(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}
