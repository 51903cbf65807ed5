//! People who hand in jobs, whatever happens to the farm meanwhile, and remember what they were promised.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use farm_api::{
    client::{ClientError, PeopleClient},
    people::{Job, NewJob, NewSource, Retry},
};
use farm_types::{Digest, JobId, JobKey, Progress};
use rand::{RngExt as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};
use tokio::{sync::OnceCell, task::spawn_blocking, time::sleep};

use crate::plan::Plan;

/// The pause before something is tried again that did not go.
const PAUSE: Duration = Duration::from_millis(400);

/// What the numbers of jobs that come after others are higher by.
const CHAINED: usize = 2_000_000;

/// What somebody was promised.
#[derive(Debug, Clone)]
pub struct Promise {
    /// The job.
    pub job: JobId,
    /// Whose.
    pub person: String,
    /// What its package does.
    pub plan: Plan,
    /// On how many platforms.
    pub platforms: usize,
    /// The job that it comes after.
    pub after: Option<JobId>,
    /// Whether it was withdrawn, and the farm said so.
    pub cancelled: bool,
}

/// All promises, and what was not as it should be when they were made.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    promises: Vec<Promise>,
    wrongs: Vec<String>,
    twice: u64,
}

impl Ledger {
    /// All promises.
    pub fn promises(&self) -> Vec<Promise> {
        self.lock().promises.clone()
    }

    /// What was wrong.
    pub fn wrongs(&self) -> Vec<String> {
        self.lock().wrongs.clone()
    }

    /// How many jobs were handed in twice by the same key.
    pub fn twice(&self) -> u64 {
        self.lock().twice
    }

    fn cancelled(&self, job: JobId) {
        self.lock().promises.iter_mut().filter(|promise| promise.job == job).for_each(|p| p.cancelled = true);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody.
pub struct Person {
    name: String,
    clients: Vec<PeopleClient>,
    /// By plan and number.
    sources: tokio::sync::Mutex<HashMap<(Plan, usize), Arc<Source>>>,
    ledger: Ledger,
}

/// A package of somebody's.
struct Source {
    path: PathBuf,
    digest: Digest,
    size: u64,
    uploaded: OnceCell<()>,
}

impl Source {
    fn make(plan: Plan, person: &str, number: usize) -> anyhow::Result<Self> {
        let path = plan.source(person, number);
        let bytes = fs_err::read(&path)?;
        let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
        Ok(Self { path, digest, size: bytes.len() as u64, uploaded: OnceCell::new() })
    }
}

/// What somebody does with a job.
#[derive(Debug, Clone, Copy)]
pub struct Errand {
    /// Its number among those of this person.
    pub number: usize,
    /// What its package does.
    pub plan: Plan,
    /// Which of the packages of this person that do so it is.
    pub package: usize,
    /// Where it is built.
    pub targets: &'static [&'static str],
    /// Whether it is handed in twice at the same time.
    pub twice: bool,
    /// After how long it is withdrawn, if it is.
    pub cancel_after: Option<Duration>,
    /// Whether it is built again once it has failed.
    pub retry: bool,
    /// Whether another one is handed in that comes after it.
    pub chain: bool,
    /// Which web is called first.
    pub web: usize,
}

impl Errand {
    /// Draws one.
    pub fn draw(
        rng: &mut StdRng,
        number: usize,
        (plan, package): (Plan, usize),
        targets: &'static [&'static str],
    ) -> Self {
        let soon = Duration::from_secs_f64(rng.random_range(0.1..10.0));
        let withdrawn = plan == Plan::Hangs || (rng.random_bool(0.1) && targets.len() > 1);
        Self {
            number,
            plan,
            package,
            targets,
            twice: rng.random_bool(0.1),
            cancel_after: withdrawn.then_some(soon),
            retry: plan == Plan::Fails && rng.random_bool(0.3),
            chain: targets.len() > 1 && rng.random_bool(0.5),
            web: rng.random_range(0..2),
        }
    }
}

impl Person {
    /// Somebody who calls the webs by these clients.
    pub fn new(name: &str, clients: Vec<PeopleClient>, ledger: &Ledger) -> Self {
        Self { name: name.to_owned(), clients, sources: Default::default(), ledger: ledger.clone() }
    }

    /// Hands in a job and does with it what is to be done.
    pub async fn run(&self, errand: Errand) -> anyhow::Result<()> {
        let source = self.source(errand.plan, errand.package).await?;
        source.uploaded.get_or_init(|| self.upload(&source, errand.web)).await;
        let job = self.hand_in(&errand, errand.number, &source, None).await?;
        if errand.chain {
            self.hand_in(&errand, errand.number + CHAINED, &source, Some(job)).await?;
        }
        if let Some(pause) = errand.cancel_after {
            // What never ends is there to be withdrawn while it is built.
            if errand.plan == Plan::Hangs {
                self.until(job, errand.web, |progress| !matches!(progress, Progress::Submitted | Progress::Queued))
                    .await?;
            }
            sleep(pause).await;
            self.insist("cancel", errand.web, move |web| async move { web.cancel(job).await }).await?;
            self.ledger.cancelled(job);
        } else if errand.retry {
            self.until(job, errand.web, Progress::is_final).await?;
            self.retry(job, errand.web).await?;
        }
        Ok(())
    }

    /// Has what failed of a job built again.
    async fn retry(&self, job: JobId, web: usize) -> anyhow::Result<()> {
        let again = move |web: PeopleClient| async move { web.retry(job, &Retry { failed_only: true }).await };
        self.insist("retry", web, again).await.map(drop)
    }

    /// Who it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A package of this person's, which is made when it is first needed.
    async fn source(&self, plan: Plan, number: usize) -> anyhow::Result<Arc<Source>> {
        let mut sources = self.sources.lock().await;
        if let Some(source) = sources.get(&(plan, number)) {
            return Ok(Arc::clone(source));
        }
        let person = self.name.clone();
        let made = Arc::new(spawn_blocking(move || Source::make(plan, &person, number)).await??);
        sources.insert((plan, number), Arc::clone(&made));
        Ok(made)
    }

    async fn upload(&self, source: &Source, mut web: usize) {
        while self.web(web).upload(&source.path, source.digest, source.size, |_| {}).await.is_err() {
            web += 1;
            sleep(PAUSE).await;
        }
    }

    async fn hand_in(
        &self,
        errand: &Errand,
        number: usize,
        source: &Source,
        after: Option<JobId>,
    ) -> anyhow::Result<JobId> {
        let key: JobKey = format!("{}-{number}", self.name).parse()?;
        let new = NewJob {
            key: key.clone(),
            title: None,
            sources: vec![NewSource { name: format!("{key}.src.rpm"), digest: source.digest }],
            targets: errand.targets.iter().map(|&target| target.to_owned()).collect(),
            bucket: None,
            class: None,
            timeout_seconds: None,
            after,
            network: false,
            like: None,
            options: Default::default(),
        };
        let create = |web| {
            let new = new.clone();
            self.insist("create", web, move |web| {
                let new = new.clone();
                async move { web.create_job(&new).await }
            })
        };
        let job = if errand.twice {
            let (one, other) = tokio::join!(create(errand.web), create(errand.web + 1));
            let (one, other): (Job, Job) = (one?, other?);
            self.ledger.lock().twice += 1;
            if one.id != other.id {
                self.ledger.lock().wrongs.push(format!("{key} became two jobs, {} and {}", one.id, other.id));
            }
            one.id
        } else {
            create(errand.web).await?.id
        };
        let (person, plan, platforms) = (self.name.clone(), errand.plan, errand.targets.len());
        self.ledger.lock().promises.push(Promise { job, person, plan, platforms, after, cancelled: false });
        Ok(job)
    }

    async fn until(&self, job: JobId, web: usize, is_there: impl Fn(Progress) -> bool) -> anyhow::Result<()> {
        while !is_there(self.insist("job", web, move |web| async move { web.job(job).await }).await?.progress) {
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// Makes a call until it is answered, by one web or the other. That it is refused is wrong: nothing is asked for that may not be.
    async fn insist<T, Answer>(
        &self,
        what: &str,
        mut web: usize,
        call: impl Fn(PeopleClient) -> Answer,
    ) -> anyhow::Result<T>
    where
        Answer: Future<Output = Result<T, ClientError>>,
    {
        loop {
            match call(self.web(web).clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error @ (ClientError::Refused(_) | ClientError::NotAllowed(_))) => {
                    self.ledger.lock().wrongs.push(format!("{} was refused a {what}: {error}", self.name));
                    return Err(error.into());
                }
                Err(_) => sleep(PAUSE).await,
            }
            web += 1;
        }
    }

    fn web(&self, number: usize) -> &PeopleClient {
        &self.clients[number % self.clients.len()]
    }
}
