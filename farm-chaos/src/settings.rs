//! How much of everything there is.

use std::time::Duration;

/// How the farm is, and what is done to it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What everything is drawn from.
    pub seed: u64,
    /// For how long things happen.
    pub time: Duration,
    /// How long the farm may take afterwards to come to rest.
    pub patience: Duration,
    /// How many jobs the first of the persons that want the same has waiting when it begins; the next has twice as many, and so on.
    pub waiting: usize,
    /// How many each of them hands in meanwhile.
    pub jobs: usize,
    /// How many those hand in that hand in everything else.
    pub odd_jobs: usize,
    /// How many go to builders that really build.
    pub real_jobs: usize,
    /// How many builders only seem to build.
    pub builders: usize,
    /// How many of these have a network of their own.
    pub hosts: usize,
    /// How many builders really build.
    pub real_builders: usize,
    /// The pause between two faults.
    pub pause: std::ops::Range<f64>,
}

impl Settings {
    /// For `make test`: some minutes on a machine that is busy with other tests.
    pub fn short(seed: u64) -> Self {
        Self {
            seed,
            time: Duration::from_secs(55),
            patience: Duration::from_secs(300),
            waiting: 15,
            jobs: 8,
            odd_jobs: 50,
            real_jobs: 10,
            builders: 18,
            hosts: 4,
            real_builders: 2,
            pause: 0.4..1.6,
        }
    }

    /// For `make chaos`: as long as one likes.
    pub fn long(seed: u64, minutes: u32) -> Self {
        let minutes = minutes.max(1);
        let times = minutes as usize;
        Self {
            time: Duration::from_secs(60 * u64::from(minutes)),
            // The queue grows while things happen, and is worked off when they do not any more.
            patience: Duration::from_secs(300 + 120 * u64::from(minutes)),
            waiting: 30,
            jobs: 50 * times,
            odd_jobs: 60 * times,
            real_jobs: 10 * times,
            ..Self::short(seed)
        }
    }
}
