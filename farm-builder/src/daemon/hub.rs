//! The calls to the hub, and which failures are worth another try.

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use farm_api::{
    client::{Bytestream, ClientError, Repeat, Transport},
    error::ErrorCode,
    hub::{
        Claim, Claimed, Finish, Hello, LEASE_HEADER, Leave, LogTaken, NewArtifact, Release, Renew, Renewed, StageBegan,
        Status, Wanted, Welcome,
    },
    paths,
};
use farm_auth::Token;
use farm_daemon::{Backoff, CancellationToken};
use farm_types::{BucketName, Digest, LeaseKey, Stage};
use reqwest::Method;
use tokio::time::Instant;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::thresholds::Readings;

/// How much longer than a long poll its call may take.
const GRACE: Duration = Duration::from_secs(30);
/// How much longer a renewal may take at the least.
const RENEWAL_GRACE: Duration = Duration::from_secs(2);
/// A stream of which nothing comes for so long is dead.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes read from a file at once.
const BLOCK: usize = 256 << 10;
/// How long the hub may answer that it cannot: its store is full, it made a mistake, it does not let us in any more. (That nobody
/// answers at all may take as long as it takes: hubs and KDCs are restarted and networks mended.)
const PATIENCE: Duration = Duration::from_secs(600);

/// The hub, as one life of this builder calls it; or several, of which one is called until it is away.
#[derive(Debug)]
pub struct Hub {
    transports: Vec<Transport>,
    current: AtomicUsize,
    instance: Uuid,
    trouble: Mutex<Option<String>>,
}

/// Why something could not be brought to the hub.
#[derive(Debug)]
pub enum Setback {
    /// The lease is gone: nothing of this attempt is wanted any more.
    LeaseLost,
    /// We were told to stop trying.
    Stopped,
    /// The hub will not take it.
    Refused(ClientError),
}

impl Hub {
    /// The hubs at these addresses, which know us by a token, or without one by the ticket of our host.
    pub fn new(addresses: &[String], ca: Option<&Path>, token: Option<&Token>) -> Result<Self, ClientError> {
        let program = concat!("farm-builder/", env!("CARGO_PKG_VERSION"));
        let transport = |address: &String| {
            let transport = Transport::trusting(address, program, ca)?;
            match token {
                Some(token) => transport.with_token(&token.expose()),
                None => Ok(transport.with_login("hub/v1/token")),
            }
        };
        let transports = addresses.iter().map(transport).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { transports, current: AtomicUsize::new(0), instance: Uuid::new_v4(), trouble: Mutex::default() })
    }

    /// What tells this life of the builder from others.
    pub fn instance(&self) -> Uuid {
        self.instance
    }

    /// What is wrong with the connection to the hub, if anything is.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers whether the hub answers.
    pub fn note<T>(&self, answer: Result<T, ClientError>) -> Result<T, ClientError> {
        let trouble = answer.as_ref().err().map(ToString::to_string);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        answer
    }

    /// Makes a call to the hub that answered last. When it is away, the next call goes to the next one.
    async fn call<'a, T, F>(&'a self, call: impl FnOnce(&'a Transport) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let at = self.current.load(Ordering::Relaxed);
        // There is one at least, see the configuration.
        let answer = call(&self.transports[at]).await;
        if let Err(ClientError::Unreachable { .. } | ClientError::Unavailable { .. }) = &answer
            && self.transports.len() > 1
        {
            let next = (at + 1) % self.transports.len();
            // Calls that fail side by side go on to the same one.
            if self.current.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                tracing::warn!(hub = self.transports[next].base(), "a hub is away: the next one is called");
            }
        }
        answer
    }

    pub async fn hello(
        &self,
        name: &farm_types::BuilderName,
        arches: &[String],
        slots: u32,
        successor: bool,
    ) -> Result<Welcome, ClientError> {
        let hello = Hello {
            name: name.clone(),
            instance: self.instance,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            arches: arches.to_vec(),
            slots,
            successor,
        };
        self.call(|hub| hub.post("hub/v1/hello").json(&hello).repeat(Repeat::Never).answer()).await
    }

    /// Asks for tasks that fit into so many slots; waits for the first one.
    pub async fn claim(&self, want: u32, wait: Duration) -> Result<Claimed, ClientError> {
        let claim = Claim { instance: self.instance, want, wait_seconds: seconds(wait) };
        let timeout = wait + GRACE;
        self.call(|hub| hub.post("hub/v1/claim").json(&claim).repeat(Repeat::Never).timeout(timeout).answer()).await
    }

    /// Renews leases and waits for orders. A hub that hangs is left in time for the next one: a lease lasts as long as three such waits, of
    /// which one may have passed since the last renewal.
    pub async fn renew(&self, leases: Vec<LeaseKey>, wait: Duration) -> Result<Renewed, ClientError> {
        let renew = Renew { instance: self.instance, leases, wait_seconds: seconds(wait) };
        let timeout = wait + (wait / 2).max(RENEWAL_GRACE);
        self.call(|hub| hub.post("hub/v1/renew").json(&renew).repeat(Repeat::Never).timeout(timeout).answer()).await
    }

    /// Says how we stand; answers what an operator wants of us.
    pub async fn status(&self, now: &Readings, reason: Option<String>) -> Result<Wanted, ClientError> {
        let status = Status {
            instance: self.instance,
            reason,
            load: now.load,
            processors: now.processors,
            memory_available: now.memory_available,
            disk_available: now.disk_available,
            files_available: now.files_available,
        };
        self.call(|hub| hub.post("hub/v1/status").json(&status).repeat(Repeat::Never).answer()).await
    }

    /// Says that a successor takes over, or that nobody does.
    pub async fn leave(&self, for_good: bool) -> Result<(), ClientError> {
        let leave = Leave { instance: self.instance, for_good };
        self.call(|hub| hub.post("hub/v1/leave").json(&leave).repeat(Repeat::Never).done()).await
    }

    pub async fn stage(&self, key: &LeaseKey, stage: Stage) -> Result<(), ClientError> {
        self.call(|hub| {
            let call = hub.post("hub/v1/stage").header(LEASE_HEADER, &key.to_header());
            call.json(&StageBegan { stage }).repeat(Repeat::Never).done()
        })
        .await
    }

    /// The bytes of a source, as they come.
    pub async fn source(&self, key: &LeaseKey, position: u32) -> Result<Bytestream, ClientError> {
        self.call(|hub| {
            let call = hub.get(&format!("hub/v1/sources/{position}")).header(LEASE_HEADER, &key.to_header());
            call.repeat(Repeat::Never).body(IDLE)
        })
        .await
    }

    /// The record of the build with whose packages to build, as it comes.
    pub async fn record(&self, key: &LeaseKey) -> Result<Bytestream, ClientError> {
        self.call(|hub| {
            let call = hub.get("hub/v1/record").header(LEASE_HEADER, &key.to_header());
            call.repeat(Repeat::Never).body(IDLE)
        })
        .await
    }

    /// A package of a job before, as it comes.
    pub async fn package(&self, key: &LeaseKey, digest: &Digest) -> Result<Bytestream, ClientError> {
        self.call(|hub| {
            let call = hub.get(&format!("hub/v1/packages/{digest}")).header(LEASE_HEADER, &key.to_header());
            call.repeat(Repeat::Never).body(IDLE)
        })
        .await
    }

    /// A file of a bucket's repository, for the platform of the task. That it is still being published is no fault of the hub: the
    /// next one would say the same.
    pub async fn bucket(&self, key: &LeaseKey, bucket: &BucketName, path: &[&str]) -> Result<Bytestream, ClientError> {
        let path: Vec<String> = path.iter().map(|part| paths::segment(part)).collect();
        let path = path.join("/");
        let path = path.as_str();
        let answer = self.call(async |hub| {
            let call = hub.get(&format!("hub/v1/buckets/{bucket}/{path}")).header(LEASE_HEADER, &key.to_header());
            match call.repeat(Repeat::Never).body(IDLE).await {
                Err(error @ ClientError::Unavailable { .. }) => Ok(Err(error)),
                answer => answer.map(Ok),
            }
        });
        answer.await?
    }

    /// Brings a piece of log; answers where the next one has to begin.
    pub async fn log(&self, key: &LeaseKey, start: u64, piece: Bytes) -> Result<u64, ClientError> {
        let taken: LogTaken = self
            .call(|hub| {
                let call = hub.call(Method::PUT, &format!("hub/v1/log?start={start}"));
                call.header(LEASE_HEADER, &key.to_header()).bytes(piece).repeat(Repeat::Never).answer()
            })
            .await?;
        Ok(taken.next)
    }

    /// Brings an artifact.
    pub async fn artifact(&self, key: &LeaseKey, artifact: &NewArtifact, path: &Path) -> Result<(), ClientError> {
        let file = fs_err::tokio::File::open(path).await?;
        let stream = ReaderStream::with_capacity(file, BLOCK);
        self.call(|hub| {
            let call = hub.call(Method::PUT, &format!("hub/v1/blobs/{}", artifact.digest));
            call.header(LEASE_HEADER, &key.to_header()).stream(stream, artifact.size).done()
        })
        .await
    }

    pub async fn finish(&self, key: &LeaseKey, finish: &Finish) -> Result<(), ClientError> {
        self.call(|hub| {
            let call = hub.post("hub/v1/finish").header(LEASE_HEADER, &key.to_header());
            call.json(finish).repeat(Repeat::Never).done()
        })
        .await
    }

    pub async fn release(&self, key: &LeaseKey, message: &str) -> Result<(), ClientError> {
        let release = Release { message: message.to_owned() };
        self.call(|hub| {
            let call = hub.post("hub/v1/release").header(LEASE_HEADER, &key.to_header());
            call.json(&release).repeat(Repeat::Never).done()
        })
        .await
    }
}

/// Makes a call until it succeeds, is refused, or `stop` says that it is not wanted any more.
pub async fn insist<T, F>(what: &str, stop: &CancellationToken, call: impl Fn() -> F) -> Result<T, Setback>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut backoff = Backoff::default();
    let mut refused_since = None;
    loop {
        let error = match stop.run_until_cancelled(call()).await {
            None => return Err(Setback::Stopped),
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(error)) if error.code() == Some(ErrorCode::LeaseLost) => return Err(Setback::LeaseLost),
            Some(Err(error)) => error,
        };
        match &error {
            ClientError::Unreachable { .. } | ClientError::Login { passing: true, .. } => refused_since = None,
            ClientError::Unavailable { .. } | ClientError::Login { .. } => {
                if refused_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(Setback::Refused(error));
                }
            }
            _ => return Err(Setback::Refused(error)),
        }
        tracing::warn!(%error, "{what} has to wait");
        if !backoff.wait_as_asked(error.retry_after(), stop).await {
            return Err(Setback::Stopped);
        }
    }
}

fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs()).unwrap_or(u32::MAX)
}
