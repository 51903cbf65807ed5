//! Buttons. They work without JavaScript; that no other site presses them is the business of [`crate::guard`].

use axum::{extract::State, response::Redirect};
use farm_api::{paths, people::Retry};
use farm_types::JobId;
use serde::Deserialize;

use crate::{
    App, Caller, api,
    error::Result,
    extract::{Form, Name},
};

pub async fn cancel(State(app): State<App>, Caller(identity): Caller, Name(id): Name<JobId>) -> Result<Redirect> {
    api::withdraw(&app, identity, id).await?;
    Ok(Redirect::to(&paths::job(id)))
}

/// What the button says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Again {
    failed_only: bool,
}

pub async fn retry(
    State(app): State<App>,
    Caller(identity): Caller,
    Name(id): Name<JobId>,
    Form(Again { failed_only }): Form<Again>,
) -> Result<Redirect> {
    api::again(&app, identity, id, Retry { failed_only }).await?;
    Ok(Redirect::to(&paths::job(id)))
}
