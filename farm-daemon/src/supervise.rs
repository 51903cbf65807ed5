//! The long-running parts of a daemon: when one ends early, the daemon ends.

use std::{collections::HashMap, future::Future};

use anyhow::{Context as _, anyhow};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::error;

/// Runs the parts of a daemon side by side.
///
/// A part runs until the token is cancelled and then comes to its end. If one ends sooner, with or without an error, the
/// token is cancelled, the others drain, and [`Supervisor::wait`] gives the error: half a daemon is worse than none.
#[derive(Debug)]
pub struct Supervisor {
    shutdown: CancellationToken,
    parts: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, &'static str>,
}

impl Supervisor {
    /// A supervisor that cancels this token when a part ends early.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, parts: JoinSet::new(), names: HashMap::new() }
    }

    /// Starts a part. Its name is for the error, as in `the listener`.
    pub fn spawn<F>(&mut self, name: &'static str, part: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let id = self.parts.spawn(part).id();
        self.names.insert(id, name);
    }

    /// Waits until all parts have ended. The error is the one of the part that ended first.
    pub async fn wait(mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.parts.join_next_with_id().await {
            let Err(problem) = self.judge(ended) else { continue };
            self.shutdown.cancel();
            if result.is_ok() {
                result = Err(problem);
            } else {
                error!("{problem:#}");
            }
        }
        result
    }

    fn judge(&self, ended: Result<(Id, anyhow::Result<()>), JoinError>) -> anyhow::Result<()> {
        let name = |id| self.names.get(&id).copied().unwrap_or("a part");
        match ended {
            Ok((_, Ok(()))) if self.shutdown.is_cancelled() => Ok(()),
            Ok((id, Ok(()))) => Err(anyhow!("{} ended although nobody asked it to", name(id))),
            Ok((id, Err(error))) => Err(error).with_context(|| format!("{} failed", name(id))),
            // The panic's own words are in the log already, printed by its hook.
            Err(error) => Err(anyhow!("{} panicked", name(error.id()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn until(token: CancellationToken) -> anyhow::Result<()> {
        token.cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn parts_that_end_when_asked_are_a_success() {
        let token = CancellationToken::new();
        let mut supervisor = Supervisor::new(token.clone());
        supervisor.spawn("the server", until(token.clone()));
        supervisor.spawn("the listener", until(token.clone()));
        token.cancel();
        supervisor.wait().await.unwrap();
    }

    #[tokio::test]
    async fn a_part_that_ends_early_ends_the_others_and_is_named() {
        let token = CancellationToken::new();
        let mut supervisor = Supervisor::new(token.clone());
        supervisor.spawn("the server", until(token));
        supervisor.spawn("the listener", async { Ok(()) });
        let error = supervisor.wait().await.unwrap_err();
        assert_eq!(error.to_string(), "the listener ended although nobody asked it to");
    }

    #[tokio::test]
    async fn a_part_that_fails_gives_its_reason() {
        let token = CancellationToken::new();
        let mut supervisor = Supervisor::new(token.clone());
        supervisor.spawn("the server", until(token));
        supervisor.spawn("the listener", async { Err(anyhow!("the database is gone")) });
        let error = supervisor.wait().await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the listener failed: the database is gone");
    }

    #[tokio::test]
    async fn a_part_that_panics_is_named() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn("the listener", async { panic!("on purpose") });
        assert_eq!(supervisor.wait().await.unwrap_err().to_string(), "the listener panicked");
    }
}
