//! What a source was built in, read out of the record of its attempt, and what has changed since the package was built before.

use farm_api::{
    error::ErrorCode,
    record::{BuildRecord, BuildrootView, EarlierBuild, Package, changes},
};
use farm_db::{
    Viewer,
    read::{self, RecordPlace},
};
use farm_types::{AttemptNumber, TaskId};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    App,
    error::{AppError, Result},
};

/// More than any record of ours has. (It comes from a builder.)
const RECORD_BYTES: u64 = 64 << 20;

/// Which chroot.
#[derive(Debug, Default, Clone, Copy, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Choice {
    /// The attempt; the latest that has a record when absent.
    attempt: Option<i32>,
    /// The position of the source, the first when absent.
    source: Option<u32>,
}

/// The chroot that was chosen, and the whole record it is in.
pub async fn view(app: &App, viewer: Viewer, task: TaskId, choice: Choice) -> Result<(BuildrootView, BuildRecord)> {
    let source = choice.source.unwrap_or(1);
    let attempt = choice.attempt.map(AttemptNumber);
    let (place, earlier) = app
        .db(move |conn| {
            let place = read::record(conn, viewer, task, attempt, source)?;
            Ok((place, read::earlier_record(conn, viewer, task, source)?))
        })
        .await?;
    let record = record(app, &place).await?;
    let packages = packages(&record, source);
    // Nothing can be said of changes where one of the two did not come to its build.
    let before = match &earlier {
        Some(earlier) if !packages.is_empty() => self::packages(&self::record(app, earlier).await?, earlier.source),
        _ => Vec::new(),
    };
    let view = BuildrootView {
        task,
        attempt: place.attempt,
        source,
        changes: if before.is_empty() { Vec::new() } else { changes(&before, &packages) },
        since: earlier.filter(|_| !before.is_empty()).map(|earlier| EarlierBuild {
            job: earlier.job,
            task: earlier.task,
            nevr: earlier.nevr,
        }),
        packages,
        record_url: place.url(),
    };
    Ok((view, record))
}

async fn record(app: &App, place: &RecordPlace) -> Result<BuildRecord> {
    let bytes = app.store.get(&place.digest).await?.bytes(RECORD_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let (task, attempt) = (place.task, place.attempt);
        tracing::warn!(%error, task.id = %task, %attempt, "the record of an attempt cannot be read");
        let message = format!("the record of attempt {attempt} of task {task} is none that this version can read");
        AppError::new(ErrorCode::NotFound, message)
    })
}

fn packages(record: &BuildRecord, source: u32) -> Vec<Package> {
    let root = record.buildroots.iter().find(|root| root.source == source);
    root.map(|root| root.packages.clone()).unwrap_or_default()
}
