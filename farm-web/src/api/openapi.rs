//! The document that describes the API, made from the handlers themselves.

use axum::{
    Json, Router,
    http::{StatusCode, header},
    routing::get,
};
use farm_api::error::ErrorBody;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Content, Info, OpenApi, RefOr, Response, path::Operation, schema::Ref},
};

use crate::App;

const DESCRIPTION: &str = "Hand in source packages, watch them being built, get the results. Every answer that is no \
                           success has an ErrorBody, whose message is for people and whose code is for programs.";

/// Serves the document.
pub fn route(document: OpenApi) -> Router<App> {
    let document = complete(document);
    Router::new().route(
        "/api/v1/openapi.json",
        get(move || async move { ([(header::CACHE_CONTROL, "no-cache")], Json(document)) }),
    )
}

/// Adds what all calls have in common.
fn complete(mut document: OpenApi) -> OpenApi {
    document.info = Info::new("Farm", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(DESCRIPTION.to_owned());
    let components = document.components.get_or_insert_default();
    let mut needed = Vec::new();
    <ErrorBody as ToSchema>::schemas(&mut needed);
    needed.push((ErrorBody::name().into_owned(), ErrorBody::schema()));
    components.schemas.extend(needed);
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            name_apart(operation);
            describe_answers(operation);
            add_refusal(operation);
        }
    }
    document
}

/// A call is called as its handler, which is unique only among those of its tag: `jobs_show`, `tasks_show`.
fn name_apart(operation: &mut Operation) {
    if let (Some(id), Some([tag, ..])) = (&mut operation.operation_id, operation.tags.as_deref()) {
        *id = format!("{tag}_{id}");
    }
}

/// OpenAPI wants every answer described; what the types do not say already is what the status says.
fn describe_answers(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            let known = status.parse::<StatusCode>().ok().and_then(|status| status.canonical_reason());
            response.description = known.unwrap_or(status).to_owned();
        }
    }
}

fn add_refusal(operation: &mut Operation) {
    let mut response = Response::new("refused, or failed");
    let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(ErrorBody::name()))));
    response.content.insert("application/json".to_owned(), RefOr::T(content));
    operation.responses.responses.insert("default".to_owned(), RefOr::T(response));
}
