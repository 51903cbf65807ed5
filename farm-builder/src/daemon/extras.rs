//! The repositories that a build has beside its platform's: those that its job names, and those of buckets. (What the jobs before made is
//! among its own results, see [`crate::BuildRequest`].)

use std::time::Duration;

use farm_api::{
    client::ClientError,
    error::ErrorCode,
    hub::{Lease, Predecessors},
    options::ExtraRepository,
    recipe::Repository,
};
use farm_daemon::CancellationToken;
use farm_types::{BucketName, LeaseKey};

use super::{
    hub::{Hub, Setback, insist},
    relay::Relay,
};

/// How long a build waits for the packages that were built before it to be published.
const PUBLISHING: Duration = Duration::from_secs(120);

/// What was found.
#[derive(Debug, Default)]
pub struct Extras {
    /// The repositories, as dnf is told of them.
    pub repositories: Vec<Repository>,
    /// What is worth a line in the log.
    pub remarks: Vec<String>,
    /// Serves the repositories of buckets, until dropped.
    pub relay: Option<Relay>,
}

/// Why a build cannot have what it asks for.
#[derive(Debug)]
pub enum Trouble {
    /// The hub says so.
    Hub(Setback),
    /// It is not there, or not any more.
    Gone(String),
    /// It is not there yet: the task goes back, as this is no fault of its builder and none of its own.
    Late(String),
}

impl Extras {
    /// Finds everything that a lease asks for.
    pub async fn find(hub: &std::sync::Arc<Hub>, lease: &Lease, stop: &CancellationToken) -> Result<Self, Trouble> {
        let mut extras = Self::default();
        extras.remarks.extend(lease.predecessors.as_ref().map(|before| told(before, lease)));
        for (n, wanted) in lease.options.repositories.iter().enumerate() {
            extras.repositories.extend(repository(lease, n + 1, wanted)?);
        }
        let mut buckets = lease.recipe.buckets.clone();
        buckets.extend(lease.options.buckets.iter().filter(|bucket| !lease.recipe.buckets.contains(bucket)).cloned());
        for bucket in &buckets {
            if is_published(hub, &lease.key, bucket, stop).await? {
                let relay = match extras.relay.take() {
                    Some(relay) => relay,
                    None => Relay::start(hub, lease.key, stop).await.map_err(|error| {
                        Trouble::Gone(format!("the builder cannot pass on the repository of {bucket}: {error}"))
                    })?,
                };
                extras.repositories.push(unsigned(format!("farm-bucket-{bucket}"), relay.url(bucket)));
                extras.relay = Some(relay);
            } else {
                extras.remarks.push(format!("the bucket {bucket} has no packages for {} yet", lease.recipe.name));
            }
        }
        Ok(extras)
    }
}

/// What the log says of the jobs before.
fn told(before: &Predecessors, lease: &Lease) -> String {
    let jobs = before.jobs.iter().map(|job| format!("job {job}")).collect::<Vec<_>>().join(", ");
    match before.packages.len() {
        0 => format!("this job comes after {jobs}, which made no packages for {}", lease.recipe.name),
        1 => format!("this job comes after {jobs}: the package that was made there can be installed"),
        n => format!("this job comes after {jobs}: the {n} packages that were made there can be installed"),
    }
}

/// What dnf is told of a repository that the job names; nothing where every build has it anyway.
fn repository(lease: &Lease, n: usize, wanted: &ExtraRepository) -> Result<Option<Repository>, Trouble> {
    match wanted {
        ExtraRepository::Named { name } => {
            match lease.recipe.repositories.iter().find(|known| known.name == name.as_str()) {
                Some(known) if known.enabled => Ok(None),
                Some(known) => Ok(Some(Repository { enabled: true, ..known.clone() })),
                None => Err(Trouble::Gone(format!("{} has no repository “{name}” any more", lease.recipe.name))),
            }
        }
        ExtraRepository::External { baseurl, gpgkey, priority } => Ok(Some(Repository {
            gpgcheck: gpgkey.is_some(),
            gpgkey: gpgkey.clone(),
            priority: *priority,
            ..unsigned(format!("farm-job-{n}"), baseurl.clone())
        })),
    }
}

fn unsigned(name: String, baseurl: String) -> Repository {
    Repository {
        name,
        baseurl: Some(baseurl),
        metalink: None,
        gpgcheck: false,
        gpgkey: None,
        priority: None,
        enabled: true,
    }
}

/// Whether a bucket has a repository for the platform of the task. While something that was built before is still to be
/// published, the hub has us ask again.
async fn is_published(
    hub: &Hub,
    key: &LeaseKey,
    bucket: &BucketName,
    stop: &CancellationToken,
) -> Result<bool, Trouble> {
    let ask = insist("reading a bucket", stop, || hub.bucket(key, bucket, &["repodata", "repomd.xml"]));
    match tokio::time::timeout(PUBLISHING, ask).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(Setback::Refused(ClientError::Refused(body)))) if body.code == ErrorCode::NotFound => Ok(false),
        Ok(Err(setback)) => Err(Trouble::Hub(setback)),
        Err(_) => Err(Trouble::Late(format!(
            "what is in the bucket {bucket} was not published within {} seconds: is farm-publisher running?",
            PUBLISHING.as_secs()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use farm_api::hub::Lease;
    use serde_json::json;

    use super::*;

    fn lease(repositories: serde_json::Value) -> Lease {
        serde_json::from_value(json!({
            "key": LeaseKey { task: farm_types::TaskId(1), attempt: farm_types::AttemptNumber(1),
                              token: farm_types::LeaseToken(uuid::Uuid::nil()) },
            "job": 1, "sources": [], "timeout_seconds": 1, "options": { "repositories": repositories },
            "recipe": { "name": "a-x86_64", "release": "a", "arch": "x86_64", "base": ["bash"], "repository": [
                { "name": "base", "baseurl": "http://h/", "gpgcheck": false },
                { "name": "more", "baseurl": "http://h/more", "gpgcheck": false, "enabled": false, "priority": 5 } ] },
        }))
        .unwrap()
    }

    #[test]
    fn a_platforms_own_repository_is_taken_from_its_recipe_and_another_as_the_job_says() {
        let url = "https://example.org/x/";
        let lease = lease(
            json!([{ "name": "base" }, { "name": "more" }, { "baseurl": url, "gpgkey": "https://k/", "priority": 3 }]),
        );
        let wanted = &lease.options.repositories;
        assert_eq!(repository(&lease, 1, &wanted[0]).unwrap(), None);
        let more = repository(&lease, 2, &wanted[1]).unwrap().unwrap();
        assert_eq!((more.name.as_str(), more.priority, more.enabled), ("more", Some(5), true));
        let other = repository(&lease, 3, &wanted[2]).unwrap().unwrap();
        assert_eq!((other.name.as_str(), other.baseurl.as_deref(), other.gpgcheck), ("farm-job-3", Some(url), true));
        assert_eq!(other.priority, Some(3));
    }

    #[test]
    fn a_repository_that_the_platform_has_no_more_is_missed_by_name() {
        let lease = lease(json!([{ "name": "gone" }]));
        let Trouble::Gone(why) = repository(&lease, 1, &lease.options.repositories[0]).unwrap_err() else { panic!() };
        assert_eq!(why, "a-x86_64 has no repository “gone” any more");
    }
}
