//! The client of farm-web: one method per call of [`crate::people`].

use std::time::Duration;

use farm_types::{AttemptNumber, JobId, TaskId};
use reqwest::{Method, StatusCode, header::CONTENT_RANGE};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Bytestream, ClientError, JobEvents, Repeat, Transport,
    call::{Call, bytestream},
};
use crate::{
    access::{MadeToken, NewToken, TokenInfo, Whoami},
    paths,
    people::{
        Artifact, Builder, Chain, Job, JobFilter, JobPage, NewChain, NewJob, NewUpload, Platform, Queue, Retry, Task,
        Upload, Why,
    },
};

/// How long a file that is being sent to us may stand still.
const FILE_IDLE: Duration = Duration::from_secs(60);
/// How long a log may be silent before the connection is made anew, which costs little and finds dead connections.
const LOG_IDLE: Duration = Duration::from_secs(120);

/// farm-web, as a person's tools see it.
#[derive(Debug, Clone)]
pub struct PeopleClient {
    transport: Transport,
}

/// Which part of which log.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LogQuery {
    /// The attempt; the latest when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptNumber>,
    /// The byte to begin at.
    pub start: u64,
    /// Whether to go on while the attempt runs.
    pub follow: bool,
}

impl PeopleClient {
    /// A client of that server.
    pub fn new(transport: Transport) -> Self {
        Self { transport }
    }

    /// The server and who we are there.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The full URL of a page or file that the server named.
    pub fn url(&self, path: &str) -> String {
        self.transport.url(path)
    }

    fn get(&self, path: &str) -> Call<'_> {
        self.transport.get(&format!("api/v1/{path}"))
    }

    fn post(&self, path: &str) -> Call<'_> {
        self.transport.post(&format!("api/v1/{path}"))
    }

    /// Who is asking, as the server sees it.
    pub async fn whoami(&self) -> Result<Whoami, ClientError> {
        self.get("whoami").answer().await
    }

    /// One's tokens for scripts, and the sessions of one's browsers.
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>, ClientError> {
        self.get("tokens").answer().await
    }

    /// Makes a token for scripts. Its secret is in the answer and nowhere else: one whose answer is lost is revoked.
    pub async fn make_token(&self, new: &NewToken) -> Result<MadeToken, ClientError> {
        self.post("tokens").json(new).answer().await
    }

    /// Revokes a token, or ends a session.
    pub async fn revoke_token(&self, id: i64) -> Result<(), ClientError> {
        self.transport.call(Method::DELETE, &format!("api/v1/tokens/{id}")).done().await
    }

    /// All platforms.
    pub async fn platforms(&self) -> Result<Vec<Platform>, ClientError> {
        self.get("platforms").answer().await
    }

    /// All builders.
    pub async fn builders(&self) -> Result<Vec<Builder>, ClientError> {
        self.get("builders").answer().await
    }

    /// The state of the whole queue.
    pub async fn queue(&self) -> Result<Queue, ClientError> {
        self.get("queue").answer().await
    }

    /// Asks whether the server has a file, and if not, where to send it. Asked twice, it does no harm.
    pub async fn begin_upload(&self, upload: &NewUpload) -> Result<Upload, ClientError> {
        self.post("uploads").json(upload).repeat(Repeat::Always).answer().await
    }

    /// Where an upload stands.
    pub async fn upload_status(&self, id: Uuid) -> Result<Upload, ClientError> {
        self.get(&format!("uploads/{id}")).answer().await
    }

    /// Hands in a job. The key makes it the same job however often it is sent, so a restart of the server, which may
    /// come after a long upload, is waited for.
    pub async fn create_job(&self, job: &NewJob) -> Result<Job, ClientError> {
        self.post("jobs").json(job).repeat(Repeat::Always).tries(8).answer().await
    }

    /// Hands in a chain of jobs. As with a single job, it makes the same ones however often it is sent.
    pub async fn create_chain(&self, jobs: &[NewJob]) -> Result<Vec<Job>, ClientError> {
        let chain = NewChain { jobs: jobs.to_vec() };
        let made: Chain = self.post("chains").json(&chain).repeat(Repeat::Always).tries(8).answer().await?;
        Ok(made.jobs)
    }

    /// A page of the list of jobs.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<JobPage, ClientError> {
        self.get("jobs").query(filter).answer().await
    }

    /// A job.
    pub async fn job(&self, id: JobId) -> Result<Job, ClientError> {
        self.get(&format!("jobs/{id}")).answer().await
    }

    /// A job at once and after each change, until its end.
    pub fn events(&self, id: JobId) -> JobEvents {
        JobEvents::new(self.transport.clone(), id)
    }

    /// Withdraws what is not yet done of a job. A job that was withdrawn is not withdrawn again.
    pub async fn cancel(&self, id: JobId) -> Result<Job, ClientError> {
        self.post(&format!("jobs/{id}/cancel")).repeat(Repeat::Always).answer().await
    }

    /// Builds tasks of a job again.
    pub async fn retry(&self, id: JobId, retry: &Retry) -> Result<Job, ClientError> {
        self.post(&format!("jobs/{id}/retry")).json(retry).answer().await
    }

    /// A task.
    pub async fn task(&self, id: TaskId) -> Result<Task, ClientError> {
        self.get(&format!("tasks/{id}")).answer().await
    }

    /// Why a task is where it is.
    pub async fn why(&self, id: TaskId) -> Result<Why, ClientError> {
        self.get(&format!("tasks/{id}/why")).answer().await
    }

    /// A log as it comes. It may end early: then ask again from the byte reached.
    pub async fn log(&self, id: TaskId, query: &LogQuery) -> Result<Bytestream, ClientError> {
        self.get(&format!("tasks/{id}/log")).query(query).body(LOG_IDLE).await
    }

    /// A file that an attempt produced, from byte `start` on where the server can do that: the first value says
    /// where it really begins.
    pub async fn artifact(&self, artifact: &Artifact, start: u64) -> Result<(u64, Bytestream), ClientError> {
        // A log is kept compressed, and its digest is that of the compressed bytes: we want them as they are kept.
        let path = paths::artifact(artifact.id, &artifact.name);
        let mut call = self.transport.get(&path).header("accept-encoding", "gzip");
        if start > 0 {
            call = call.header("range", &format!("bytes={start}-"));
        }
        let response = call.head().await?;
        let wanted = format!("bytes {start}-");
        let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let resumed =
            response.status() == StatusCode::PARTIAL_CONTENT && range.is_some_and(|range| range.starts_with(&wanted));
        Ok((if resumed { start } else { 0 }, bytestream(response, FILE_IDLE)))
    }
}
