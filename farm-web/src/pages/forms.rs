//! Buttons. They work without JavaScript; that no other site presses them is the business of [`crate::guard`] and
//! [`crate::access`].

use axum::{extract::State, response::Redirect};
use farm_api::{
    paths,
    people::{BuilderChange, PlatformChange, Retry},
};
use farm_types::{BuilderName, BuilderState, JobId, PlatformName};
use serde::Deserialize;

use crate::{
    App, Caller, api,
    error::Result,
    extract::{Form, Name},
};

pub async fn cancel(State(app): State<App>, caller: Caller, Name(id): Name<JobId>) -> Result<Redirect> {
    api::withdraw(&app, caller, id).await?;
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
    caller: Caller,
    Name(id): Name<JobId>,
    Form(Again { failed_only }): Form<Again>,
) -> Result<Redirect> {
    api::again(&app, caller, id, Retry { failed_only }).await?;
    Ok(Redirect::to(&paths::job(id)))
}

/// What the buttons of a builder say.
#[derive(Debug, Deserialize)]
pub struct BuilderForm {
    state: BuilderState,
    reason: Option<String>,
}

pub async fn builder(
    State(app): State<App>,
    caller: Caller,
    Name(name): Name<BuilderName>,
    Form(BuilderForm { state, reason }): Form<BuilderForm>,
) -> Result<Redirect> {
    let (back, change) = (Redirect::to(&paths::builder(&name)), BuilderChange { state, reason });
    api::admin::set_builder(&app, caller, name, change).await?;
    Ok(back)
}

/// What the button of a platform says.
#[derive(Debug, Deserialize)]
pub struct PlatformForm {
    enabled: bool,
}

pub async fn platform(
    State(app): State<App>,
    caller: Caller,
    Name(name): Name<PlatformName>,
    Form(PlatformForm { enabled }): Form<PlatformForm>,
) -> Result<Redirect> {
    let (back, change) = (Redirect::to(&paths::platform(&name)), PlatformChange { enabled });
    api::admin::set_platform(&app, caller, name, change).await?;
    Ok(back)
}
