//! The list of jobs.

use axum::extract::State;
use farm_api::{
    paths,
    people::{Job, JobFilter},
};
use farm_db::read;
use farm_types::{PlatformName, Progress};
use serde::{Deserialize, Serialize};

use super::{Page, templates::render};
use crate::{
    App,
    api::find,
    error::{AppError, Result},
    extract::Query,
    identity::Visitor,
};

/// Jobs on one page.
const LENGTH: u32 = 50;

/// The form above the list. A browser sends its empty fields too.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    progress: String,
    platform: String,
    package: String,
    person: String,
    #[serde(skip_serializing)]
    before: Option<i64>,
}

#[derive(Serialize)]
struct JobsPage {
    page: &'static str,
    jobs: Vec<Job>,
    filter: Form,
    filtered: bool,
    states: &'static [Progress],
    platforms: Vec<PlatformName>,
    newest: Option<String>,
    older: Option<String>,
    live: bool,
}

pub async fn page(State(app): State<App>, visitor: Visitor, Query(form): Query<Form>) -> Page {
    let found = find(&app, &visitor, form.filter()?).await?;
    let platforms = app.db(read::platforms).await?.into_iter().map(|platform| platform.name).collect();
    let filtered = form.fields().any(|(_, value)| !value.is_empty());
    let page = JobsPage {
        page: "jobs",
        jobs: found.jobs,
        filtered,
        states: Progress::ALL,
        platforms,
        newest: form.before.map(|_| form.url(None)),
        older: found.next.map(|next| form.url(Some(next))),
        live: form.before.is_none(),
        filter: form,
    };
    render("jobs.html", &visitor, &page)
}

impl Form {
    fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [&self.progress, &self.platform, &self.package, &self.person].map(|value| value.trim());
        ["progress", "platform", "package", "person"].into_iter().zip(fields)
    }

    fn filter(&self) -> Result<JobFilter> {
        fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<Option<T>> {
            let text = Some(text.trim()).filter(|text| !text.is_empty());
            text.map(|text| text.parse().map_err(|e: T::Err| AppError::bad_request(e.to_string()))).transpose()
        }
        Ok(JobFilter {
            person: parsed(&self.person)?,
            progress: parsed(&self.progress)?,
            platform: parsed(&self.platform)?,
            package: parsed(&self.package)?,
            before: self.before,
            limit: Some(LENGTH),
        })
    }

    /// The same list from another place on.
    fn url(&self, before: Option<i64>) -> String {
        let before = before.map(|before| before.to_string()).unwrap_or_default();
        let fields = self.fields().chain([("before", before.as_str())]).filter(|(_, value)| !value.is_empty());
        let query: Vec<_> = fields.map(|(name, value)| format!("{name}={}", paths::segment(value))).collect();
        if query.is_empty() { "/jobs".to_owned() } else { format!("/jobs?{}", query.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_the_filter_and_encodes_it() {
        let form = Form { package: "a&b=<c>".to_owned(), progress: "failed".to_owned(), ..Form::default() };
        assert_eq!(form.url(Some(7)), "/jobs?progress=failed&package=a%26b%3D%3Cc%3E&before=7");
        assert_eq!(Form::default().url(None), "/jobs");
    }
}
