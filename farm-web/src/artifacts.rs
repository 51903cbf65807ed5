//! Downloads.

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use farm_db::read;
use farm_store::Blob;
use farm_types::{ArtifactId, ArtifactKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    error::{AppError, Result},
    identity::Visitor,
    log::unpack,
    range::{self, Part},
};

/// What an extended parameter of a header may hold as it is (RFC 8187, `attr-char`).
const ATTR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// What an artifact is never changes, as its number is never used again.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// The route of downloads.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(download))
}

/// A file that an attempt produced. The name in the URL is for the reader; the number decides.
///
/// Logs are kept compressed: clients that accept gzip get them so, others unpacked and without ranges.
#[utoipa::path(get, path = "/artifacts/{id}/{name}", tag = "artifacts", params(("id" = i64, Path), ("name" = String, Path)),
    responses((status = 200, content_type = "application/x-rpm"), (status = 206), (status = 304), (status = 416)))]
async fn download(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, _name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let id: ArtifactId = id.parse().map_err(|e| AppError::bad_request(format!("{e}")))?;
    let viewer = visitor.viewer();
    let artifact = app.db(move |conn| read::artifact(conn, viewer, id)).await?;
    let blob = app.store.get(&artifact.digest).await?;
    let is_log = artifact.kind == ArtifactKind::Log;
    let packed = !is_log || accepts_gzip(&headers);
    let etag = if packed { format!("\"{}\"", blob.digest()) } else { format!("\"{}-unpacked\"", blob.digest()) };
    let mut response = if packed {
        send(&blob, range::part(&headers, &etag, blob.size()))
    } else if range::part(&headers, &etag, 0) == Part::NotModified {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from_stream(unpack(blob.stream())).into_response()
    };
    let mut set = |name: HeaderName, value: &str| -> Result<()> {
        let value = HeaderValue::from_str(value).map_err(|e| AppError::Mistake(format!("header {name}: {e}")))?;
        response.headers_mut().insert(name, value);
        Ok(())
    };
    set(header::ETAG, &etag)?;
    set(header::CONTENT_TYPE, content_type(artifact.kind, artifact.name.as_str()))?;
    set(
        header::CONTENT_DISPOSITION,
        &disposition(artifact.kind, name_received(artifact.kind, artifact.name.as_str())),
    )?;
    if is_log {
        set(header::VARY, "accept-encoding")?;
    }
    if is_log && packed {
        set(header::CONTENT_ENCODING, "gzip")?;
    }
    response.headers_mut().insert(header::CACHE_CONTROL, FOR_EVER);
    Ok(response)
}

fn send(blob: &Blob, part: Part) -> Response {
    let size = blob.size();
    let ranges = (header::ACCEPT_RANGES, "bytes".to_owned());
    let length = |n: u64| (header::CONTENT_LENGTH, n.to_string());
    match part {
        Part::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Part::Whole => ([ranges, length(size)], Body::from_stream(blob.stream())).into_response(),
        Part::Range(begin, end) => {
            let range = (header::CONTENT_RANGE, format!("bytes {begin}-{}/{size}", end - 1));
            let body = Body::from_stream(blob.read_range(begin..end));
            (StatusCode::PARTIAL_CONTENT, [ranges, range, length(end - begin)], body).into_response()
        }
        Part::Unsatisfiable => {
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{size}"))]).into_response()
        }
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let mut words = coding.split(';').map(str::trim);
            let named = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
            named && !words.any(|word| word.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
        })
    })
}

fn content_type(kind: ArtifactKind, name: &str) -> &'static str {
    match kind {
        ArtifactKind::Rpm | ArtifactKind::Srpm => "application/x-rpm",
        ArtifactKind::Manifest if name.ends_with(".json") => "application/json",
        ArtifactKind::Log | ArtifactKind::Manifest => "text/plain; charset=utf-8",
    }
}

/// What the file is called once it is received: whichever way a log is sent, it arrives unpacked.
fn name_received(kind: ArtifactKind, name: &str) -> &str {
    match kind {
        ArtifactKind::Log => name.strip_suffix(".gz").unwrap_or(name),
        _ => name,
    }
}

/// The name twice (RFC 6266): plain for old clients, where what is not harmless is replaced, and exact.
fn disposition(kind: ArtifactKind, name: &str) -> String {
    let how = if matches!(kind, ArtifactKind::Rpm | ArtifactKind::Srpm) { "attachment" } else { "inline" };
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '+' | '-' | '.' | '_' | '~' | '^');
    let plain: String = name.chars().map(|c| if harmless(c) { c } else { '_' }).collect();
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ATTR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_leave_its_quotes() {
        assert_eq!(
            disposition(ArtifactKind::Rpm, "a\"; x=%{v}ü.rpm"),
            "attachment; filename=\"a__ x___v__.rpm\"; filename*=UTF-8''a%22%3B%20x%3D%25%7Bv%7D%C3%BC.rpm"
        );
    }

    #[test]
    fn a_log_that_arrives_unpacked_is_not_called_packed() {
        assert_eq!(name_received(ArtifactKind::Log, "build.log.gz"), "build.log");
        assert_eq!(name_received(ArtifactKind::Manifest, "list.gz"), "list.gz");
    }

    #[test]
    fn gzip_is_sent_only_to_those_who_say_that_they_take_it() {
        for (value, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("xgzip", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
