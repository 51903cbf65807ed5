//! The farm as a whole.

use axum::{Json, extract::State};
use farm_api::{
    access::Whoami,
    people::{Builder, Platform, Queue},
};
use farm_db::{access, read};

use crate::{App, Caller, error::Result, identity::Visitor};

/// Who is asking, as the server sees it.
#[utoipa::path(get, path = "/whoami", tag = "farm", responses((status = 200, body = Whoami)))]
pub async fn whoami(State(app): State<App>, caller: Caller) -> Result<Json<Whoami>> {
    let principal = caller.principal;
    Ok(Json(Whoami {
        account: app.db(move |conn| access::account(conn, &principal)).await?,
        way: caller.way,
        scopes: caller.scopes,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        max_upload_bytes: Some(app.config.max_upload_bytes),
    }))
}

/// All platforms.
#[utoipa::path(get, path = "/platforms", tag = "farm", responses((status = 200, body = [Platform])))]
pub async fn platforms(State(app): State<App>) -> Result<Json<Vec<Platform>>> {
    app.db(read::platforms).await.map(Json)
}

/// All builders and what they are doing.
#[utoipa::path(get, path = "/builders", tag = "farm", responses((status = 200, body = [Builder])))]
pub async fn builders(State(app): State<App>, visitor: Visitor) -> Result<Json<Vec<Builder>>> {
    app.db(move |conn| read::builders(conn, visitor.viewer(), None)).await.map(Json)
}

/// The state of the queue.
#[utoipa::path(get, path = "/queue", tag = "farm", responses((status = 200, body = Queue)))]
pub async fn queue(State(app): State<App>) -> Result<Json<Queue>> {
    app.db(read::queue).await.map(Json)
}
