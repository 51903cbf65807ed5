//! One claimed task, from its sources to its end.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use farm_api::{hub::Lease, limits::Limits};
use farm_daemon::CancellationToken;
use farm_types::{Cause, Outcome, Stage};
use tokio::sync::mpsc;

use super::{
    board::{Held, Why},
    config::Config,
    courier::{Courier, Spool},
    delivery::Delivery,
    extras::{Extras, Trouble},
    hub::{Hub, Setback, insist},
    limits, numbers,
    sources::{FetchError, fetch, fetch_like, fetch_packages},
};
use crate::driver::{BuildEvent, BuildLimits, BuildReport, BuildRequest, Driver, DriverError};

/// Log pieces and stages that wait for the disk.
const EVENTS: usize = 64;

/// How long giving a task back may take.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// What every assignment needs.
pub struct Workshop<D> {
    pub config: Config,
    pub hub: Arc<Hub>,
    pub driver: D,
    /// Sources, logs and results.
    pub spool: PathBuf,
}

/// How an assignment ended.
#[derive(Debug)]
enum End {
    /// It has to be brought to the hub.
    Delivery(Box<Delivery>),
    /// Nothing of it is wanted.
    Stopped,
    /// It came before what it is to be built with, so the task goes back.
    Early(String),
}

impl<D: Driver> Workshop<D> {
    /// Does what a lease asks for. Whatever happens, the lease is not renewed afterwards.
    pub async fn carry_out(&self, held: Held, lease: Lease) {
        let folder = self.spool.join(format!("{}-{}", held.key.task, held.key.attempt));
        let began = tokio::time::Instant::now();
        let platform = &lease.recipe.name;
        tracing::info!(task.id = %held.key.task, attempt = %held.key.attempt, job.id = %lease.job, %platform, "build begins");
        let outcome = match self.work(&held, &lease, &folder).await {
            Ok(outcome) => outcome,
            Err(error) => {
                // It cannot even keep a log: the disk is full, or broken. Another builder may do better.
                tracing::error!(task.id = %held.key.task, %error, "the builder's own disk fails");
                let message = format!("the builder's own disk fails: {error}");
                let release =
                    insist("giving a task back", held.order.token(), || self.hub.release(&held.key, &message));
                let _ = tokio::time::timeout(GIVE_BACK, release).await;
                Outcome::Released
            }
        };
        numbers::ended(outcome);
        let seconds = began.elapsed().as_secs_f32();
        tracing::info!(task.id = %held.key.task, attempt = %held.key.attempt, %platform, %outcome, seconds, "build ended");
        if let Err(error) = fs_err::tokio::remove_dir_all(&folder).await {
            tracing::warn!(%error, "a folder stays behind until the next start");
        }
    }

    async fn work(&self, held: &Held, lease: &Lease, folder: &Path) -> std::io::Result<Outcome> {
        fs_err::tokio::create_dir_all(folder.join("results")).await?;
        let mut spool = Spool::create(folder.join("log")).await?;
        let over = CancellationToken::new();
        let courier = Courier::new(self.hub.clone(), held.key, held.order.clone(), &spool);
        tokio::spawn(courier.run(over.clone()));
        let _over = over.drop_guard();

        Ok(match self.build(held, lease, folder, &mut spool).await {
            End::Stopped => self.stopped(held, None).await,
            End::Early(why) => {
                tracing::warn!(task.id = %held.key.task, why, "a task goes back");
                self.give_back(held, &why).await
            }
            End::Delivery(delivery) => {
                if delivery.finish.outcome == Outcome::FarmFault {
                    tracing::error!(task.id = %held.key.task, why = delivery.finish.message, "the farm failed");
                }
                spool.stage(Stage::Upload);
                match delivery.bring(&self.hub, &held.key, spool.path(), held.order.token()).await {
                    Ok(outcome) => outcome,
                    Err(setback) => self.stopped(held, Some(setback)).await,
                }
            }
        })
    }

    /// The attempt has come to no end of its own.
    async fn stopped(&self, held: &Held, setback: Option<Setback>) -> Outcome {
        match (held.order.why(), setback) {
            (Some(Why::Gone(outcome)), _) => outcome,
            (None, Some(Setback::LeaseLost)) => Outcome::Lost,
            (None, Some(Setback::Refused(error))) => {
                tracing::error!(task.id = %held.key.task, %error, "the hub does not take the end of an attempt");
                self.spoilt(held, format!("the hub does not take the end of the attempt: {error}")).await
            }
            (Some(Why::GiveBack), _) => self.give_back(held, "the builder was told to end").await,
            (None, _) => self.give_back(held, "the build was stopped").await,
        }
    }

    /// The results cannot be delivered. A fault is counted and a task given back is not, so an end that no hub ever takes would
    /// else be built for ever.
    async fn spoilt(&self, held: &Held, why: String) -> Outcome {
        let fault = Delivery::fault(Cause::Upload, Stage::Upload, why).finish;
        let end = insist("ending the attempt", held.order.token(), || self.hub.finish(&held.key, &fault));
        match tokio::time::timeout(GIVE_BACK, end).await {
            Ok(Ok(())) => Outcome::FarmFault,
            _ => self.give_back(held, &fault.message).await,
        }
    }

    /// Gives a task back that was not begun.
    pub async fn hand_back(&self, held: &Held, why: &str) {
        numbers::ended(self.give_back(held, why).await);
    }

    async fn give_back(&self, held: &Held, why: &str) -> Outcome {
        let patience = CancellationToken::new();
        let release = insist("giving a task back", &patience, || self.hub.release(&held.key, why));
        match tokio::time::timeout(GIVE_BACK, release).await {
            Ok(Ok(())) => Outcome::Released,
            // The lease runs out by itself.
            _ => Outcome::Lost,
        }
    }

    /// Gets the sources and builds them.
    async fn build(&self, held: &Held, lease: &Lease, folder: &Path, spool: &mut Spool) -> End {
        spool.stage(Stage::Fetch);
        let fetched = async {
            let stop = held.order.token();
            let sources = fetch(&self.hub, &held.key, &lease.sources, folder, stop).await?;
            let like = match &lease.like {
                Some(like) => Some(fetch_like(&self.hub, &held.key, like, folder, stop).await?),
                None => None,
            };
            let predecessors = match &lease.predecessors {
                Some(before) => fetch_packages(&self.hub, &held.key, &before.packages, folder, stop).await?,
                None => Vec::new(),
            };
            Ok((sources, like, predecessors))
        };
        let (sources, like, predecessors) = match fetched.await {
            Ok(fetched) => fetched,
            Err(FetchError::Hub(Setback::LeaseLost)) => {
                held.order.give(Why::Gone(Outcome::Lost));
                return End::Stopped;
            }
            Err(FetchError::Hub(Setback::Stopped)) => return End::Stopped,
            Err(FetchError::Hub(Setback::Refused(error))) => return fetch_failed(error.to_string()),
            Err(FetchError::Damaged(why)) => return fetch_failed(why),
            Err(FetchError::Disk(error)) => return fetch_failed(format!("the builder's own disk fails: {error}")),
        };
        let extras = match Extras::find(&self.hub, lease, held.order.token()).await {
            Ok(extras) => extras,
            Err(Trouble::Hub(Setback::LeaseLost)) => {
                held.order.give(Why::Gone(Outcome::Lost));
                return End::Stopped;
            }
            Err(Trouble::Hub(Setback::Stopped)) => return End::Stopped,
            Err(Trouble::Hub(Setback::Refused(error))) => return no_extras(error.to_string()),
            Err(Trouble::Gone(why)) => return no_extras(why),
            Err(Trouble::Late(why)) => return End::Early(why),
        };
        let id = format!("{}-{}-{}", self.config.name, held.key.task, held.key.attempt);
        let request = match id.parse() {
            Ok(id) => BuildRequest {
                id,
                platform: lease.recipe.clone(),
                sources,
                results: folder.join("results"),
                limits: self.limits(lease),
                network: lease.network,
                like,
                predecessors,
                options: lease.options.clone(),
                repositories: extras.repositories,
                remarks: extras.remarks,
            },
            Err(error) => return fetch_failed(format!("cannot name the build's folder: {error}")),
        };
        let report = self.drive(request, spool, held.order.token()).await;
        if let Ok(report) = &report {
            numbers::built(report);
        }
        drop(extras.relay);
        let Some(mut delivery) = Delivery::of(report) else { return End::Stopped };
        delivery.keep_record(folder, lease).await;
        End::Delivery(Box::new(delivery))
    }

    /// Lets the driver build, and keeps what it tells.
    async fn drive(
        &self,
        request: BuildRequest,
        spool: &mut Spool,
        stop: &CancellationToken,
    ) -> Result<BuildReport, DriverError> {
        let (sender, mut events) = mpsc::channel(EVENTS);
        let stop = stop.child_token();
        let listen = async {
            let mut trouble = None;
            while let Some(event) = events.recv().await {
                match event {
                    BuildEvent::StageBegan(stage) => spool.stage(stage),
                    BuildEvent::Log(bytes) if trouble.is_none() => {
                        if let Err(error) = spool.append(&bytes).await {
                            trouble = Some(error);
                            stop.cancel();
                        }
                    }
                    BuildEvent::Log(_) => {}
                }
            }
            trouble
        };
        let (report, trouble) = tokio::join!(self.driver.build(request, sender, stop.clone()), listen);
        match trouble {
            None => report,
            Some(error) => Err(DriverError {
                cause: Cause::Internal,
                stage: Stage::Build,
                message: format!("the builder cannot keep the log: {error}; look at its disk"),
            }),
        }
    }

    /// The lower of what the hub allows and of what this builder does.
    fn limits(&self, lease: &Lease) -> BuildLimits {
        let asked = Limits { timeout_seconds: Some(lease.timeout_seconds), ..Limits::default() };
        limits::of_build(&self.config, asked.lowest(lease.limits))
    }
}

fn no_extras(why: String) -> End {
    let message = format!("the build cannot have the repositories that it is to install from: {why}");
    End::Delivery(Box::new(Delivery::fault(Cause::Chroot, Stage::Fetch, message)))
}

fn fetch_failed(why: String) -> End {
    let fault = Delivery::fault(Cause::Internal, Stage::Fetch, format!("the sources could not be fetched: {why}"));
    End::Delivery(Box::new(fault))
}
