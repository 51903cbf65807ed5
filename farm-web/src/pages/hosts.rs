//! Builders and platforms.

use axum::extract::State;
use farm_api::{
    error::ErrorCode,
    paths,
    people::{Builder, Job, JobFilter, Platform},
    recipe::Recipe,
};
use farm_db::{
    PgConnection, access, operator,
    publish::{self, Publication},
    read::{self, PastAttempt},
};
use farm_types::{BucketName, BuilderName, BuilderState, PersonId, PlatformName, Right};
use jiff::Timestamp;
use serde::Serialize;

use super::{Page, templates::render};
use crate::{App, error::AppError, extract::Name, identity::Visitor};

/// So many of a platform's latest jobs.
const LATEST: u32 = 20;

/// So many of a builder's last attempts.
const PAST: u32 = 20;

/// A builder on a page.
#[derive(Serialize)]
pub struct BuilderRow {
    url: String,
    /// Which sign it gets.
    state: &'static str,
    /// And which word.
    word: &'static str,
    builder: Builder,
}

impl BuilderRow {
    /// Shows a builder that is given tasks and is silent as away, and one that takes none by itself: that is what matters then.
    pub fn new(builder: Builder) -> Self {
        let (state, word) = match builder.state {
            BuilderState::Enabled if builder.alive && builder.takes_nothing.is_some() => ("draining", "takes nothing"),
            BuilderState::Enabled if builder.alive => ("enabled", "ready"),
            BuilderState::Enabled if builder.last_seen.is_none() => ("disabled", "never came up"),
            BuilderState::Enabled => ("away", "away"),
            BuilderState::Disabled if builder.out.is_some() => ("failed", "out of service"),
            state => (state.as_str(), state.as_str()),
        };
        Self { url: paths::builder(&builder.name), state, word, builder }
    }
}

#[derive(Serialize)]
struct BuildersPage {
    page: &'static str,
    builders: Vec<BuilderRow>,
}

pub async fn builders(State(app): State<App>, visitor: Visitor) -> Page {
    let viewer = visitor.viewer();
    let builders = app.db(move |conn| read::builders(conn, viewer, None)).await?;
    let builders = builders.into_iter().map(BuilderRow::new).collect();
    render("builders.html", &visitor, &BuildersPage { page: "builders", builders })
}

#[derive(Serialize)]
struct BuilderPage {
    page: &'static str,
    /// Whether there are buttons.
    may_change: bool,
    row: BuilderRow,
    past: Vec<PastRow>,
}

/// An attempt that has ended.
#[derive(Serialize)]
struct PastRow {
    url: String,
    attempt: PastAttempt,
}

pub async fn builder(State(app): State<App>, visitor: Visitor, Name(name): Name<BuilderName>) -> Page {
    let missing = AppError::new(ErrorCode::NotFound, format!("there is no builder {name}"));
    let (viewer, person) = (visitor.viewer(), visitor.0.as_ref().map(|caller| caller.person));
    let (found, past, may_change) = app
        .db(move |conn| {
            let may_change = may(conn, person, Right::Builders)?;
            let past = read::past_attempts(conn, viewer, &name, PAST)?;
            Ok((read::builders(conn, viewer, Some(&name))?, past, may_change))
        })
        .await?;
    let row = BuilderRow::new(found.into_iter().next().ok_or(missing)?);
    let past = past.into_iter().map(|attempt| PastRow { url: paths::task(attempt.task), attempt }).collect();
    render("builder.html", &visitor, &BuilderPage { page: "builders", row, may_change, past })
}

#[derive(Serialize)]
struct PlatformRow {
    url: String,
    state: &'static str,
    platform: Platform,
}

impl PlatformRow {
    fn new(platform: Platform) -> Self {
        let state = if platform.enabled { "enabled" } else { "disabled" };
        Self { url: paths::platform(&platform.name), state, platform }
    }
}

#[derive(Serialize)]
struct PlatformsPage {
    page: &'static str,
    platforms: Vec<PlatformRow>,
}

pub async fn platforms(State(app): State<App>, visitor: Visitor) -> Page {
    let platforms = app.db(read::platforms).await?.into_iter().map(PlatformRow::new).collect();
    render("platforms.html", &visitor, &PlatformsPage { page: "platforms", platforms })
}

#[derive(Serialize)]
struct PlatformPage {
    page: &'static str,
    /// Whether there are buttons.
    may_change: bool,
    row: PlatformRow,
    recipe: Recipe,
    repositories: Vec<RepositoryRow>,
    jobs: Vec<Job>,
    jobs_url: String,
}

/// What dnf can install from.
#[derive(Serialize)]
struct RepositoryRow {
    bucket: BucketName,
    packages: u32,
    published: Timestamp,
    url: String,
}

impl RepositoryRow {
    fn new(publication: Publication) -> Self {
        let url = paths::repo_file(&publication.repository.bucket, &publication.repository.platform);
        let Publication { repository, packages, published_at, .. } = publication;
        Self { bucket: repository.bucket, packages, published: published_at, url }
    }
}

pub async fn platform(State(app): State<App>, visitor: Visitor, Name(name): Name<PlatformName>) -> Page {
    let missing = AppError::new(ErrorCode::NotFound, format!("there is no platform {name}"));
    let jobs_url = format!("/jobs?platform={}", paths::segment(name.as_str()));
    let served = app.config.repositories.is_some();
    let (viewer, person) = (visitor.viewer(), visitor.0.as_ref().map(|caller| caller.person));
    let (platform, recipe, jobs, repositories, may_change) = app
        .db(move |conn| {
            let mut repositories = if served { publish::publications(conn)? } else { Vec::new() };
            repositories.retain(|publication| publication.repository.platform == name);
            let may_change = may(conn, person, Right::Platforms)?;
            let seen = |p: &Publication, conn: &mut _| access::sees_bucket(conn, viewer, &p.repository.bucket);
            let seen: Vec<bool> = repositories.iter().map(|p| seen(p, conn)).collect::<Result<_, _>>()?;
            let mut seen = seen.into_iter();
            repositories.retain(|_| seen.next().unwrap_or_default());
            let recipe = operator::recipe(conn, &name)?;
            let platform = read::platforms(conn)?.into_iter().find(|platform| platform.name == name);
            let filter = JobFilter { platform: Some(name), limit: Some(LATEST), ..JobFilter::default() };
            Ok((platform, recipe, read::jobs(conn, viewer, &filter)?.jobs, repositories, may_change))
        })
        .await?;
    let row = PlatformRow::new(platform.ok_or(missing)?);
    let repositories = repositories.into_iter().map(RepositoryRow::new).collect();
    let page = PlatformPage { page: "platforms", row, recipe, repositories, jobs, jobs_url, may_change };
    render("platform.html", &visitor, &page)
}

/// Whether a page has buttons for its visitor.
fn may(conn: &mut PgConnection, person: Option<PersonId>, right: Right) -> farm_db::Result<bool> {
    person.map_or(Ok(false), |person| access::may(conn, person, right, None))
}
