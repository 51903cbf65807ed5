//! Waiting longer and longer before the next try, never in step with others.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio_util::sync::CancellationToken;

/// Nobody is kept waiting for longer, whatever a server asks for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// Delays that double from the first to the cap. Chance adds up to as much again, so that a thousand clients that lost
/// the same server do not come back in the same moment.
#[derive(Debug)]
pub struct Backoff {
    plan: ExponentialBuilder,
    cap: Duration,
    delays: ExponentialBackoff,
}

impl Backoff {
    /// Delays from `first` to twice `cap`, without end.
    pub fn new(first: Duration, cap: Duration) -> Self {
        let plan = ExponentialBuilder::default()
            .with_factor(2.0)
            .with_min_delay(first)
            .with_max_delay(cap)
            .with_jitter()
            .without_max_times();
        Self { plan, cap, delays: plan.build() }
    }

    /// The delay before the next try.
    pub fn next_delay(&mut self) -> Duration {
        self.delays.next().unwrap_or(self.cap)
    }

    /// Starts over: a try succeeded.
    pub fn reset(&mut self) {
        self.delays = self.plan.build();
    }

    /// The same for who is asked to wait for a time: that time and, by chance, up to a quarter of it more, or the delay if it is longer.
    pub fn next_delay_of(&mut self, asked: Option<Duration>) -> Duration {
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        self.next_delay().max(asked.mul_f64(rand::random_range(1.0..1.25)))
    }

    /// Waits for the next delay. False: the daemon is to end, so there is no next try.
    pub async fn wait(&mut self, shutdown: &CancellationToken) -> bool {
        self.wait_as_asked(None, shutdown).await
    }

    /// Waits for the next delay, and as long as was asked for.
    pub async fn wait_as_asked(&mut self, asked: Option<Duration>, shutdown: &CancellationToken) -> bool {
        let delay = self.next_delay_of(asked);
        shutdown.run_until_cancelled(tokio::time::sleep(delay)).await.is_some()
    }
}

impl Default for Backoff {
    /// What reconnects use: from a quarter of a second to about half a minute.
    fn default() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_secs(15))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_start_over_after_a_success() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 4 * second);
        for expected in [1, 2, 4, 4, 4] {
            let delay = backoff.next_delay();
            assert!(
                (expected * second..=2 * expected * second).contains(&delay),
                "{delay:?}, expected {expected} s or more"
            );
        }
        backoff.reset();
        assert!(backoff.next_delay() <= 2 * second);
    }

    #[test]
    fn who_is_asked_to_wait_waits_that_long_or_a_little_longer() {
        let mut backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(1));
        let asked = Duration::from_secs(4);
        let delay = backoff.next_delay_of(Some(asked));
        assert!((asked..asked + Duration::from_secs(1)).contains(&delay), "{delay:?}");
        assert!(backoff.next_delay_of(Some(Duration::from_secs(86_400))) <= LONGEST_ASKED.mul_f64(1.25));
    }

    #[tokio::test]
    async fn a_wait_ends_when_the_daemon_is_to_end() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let mut backoff = Backoff::new(Duration::from_secs(3600), Duration::from_secs(3600));
        assert!(!backoff.wait(&shutdown).await);
    }
}
