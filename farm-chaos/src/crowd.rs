//! Who hands in what, and when.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    farm::{Farm, REAL, SEEMING},
    people::{Errand, Ledger, Person},
    plan::Plan,
    settings::Settings,
};

/// Those who all want the same, and should get as much.
pub const EQUALS: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Who hands in whatever else there is.
const ODD: &str = "eve";
/// Who wants it really built.
const BUILDER: &str = "rita";

const ONE: &[&str] = &[SEEMING[0]];
const BOTH: &[&str] = &SEEMING;
const REALLY: &[&str] = &[REAL];

/// How many requests of each of the equals are under way at the same time.
const AT_ONCE: [usize; 4] = [1, 2, 4, 8];
/// What the numbers of jobs that are there before anything happens are higher by.
const LINED_UP: usize = 3_000_000;

/// What the odd one hands in: the more often it stands here, the more of it.
const ODD_PLANS: [Plan; 12] = [
    Plan::Ok,
    Plan::Ok,
    Plan::Ok,
    Plan::Chatty,
    Plan::Large,
    Plan::Fails,
    Plan::Fails,
    Plan::Fails,
    Plan::Flaky,
    Plan::Broken,
    Plan::Hangs,
    Plan::Hangs,
];
/// What the equals hand in: what is built, so that the farm knows how long it takes.
const EQUAL_PLANS: [Plan; 4] = [Plan::Ok, Plan::Chatty, Plan::Large, Plan::Flaky];
/// What is really built, or is not.
const REAL_PLANS: [Plan; 3] = [Plan::Ok, Plan::Ok, Plan::Fails];

/// Everybody.
pub struct Crowd {
    people: Vec<Arc<Person>>,
    seed: u64,
}

impl Crowd {
    /// Makes them known to the farm, and their packages.
    pub fn gather(farm: &Farm, settings: &Settings, ledger: &Ledger) -> anyhow::Result<Self> {
        let mut people = Vec::new();
        for name in EQUALS.into_iter().chain([ODD, BUILDER]) {
            people.push(Arc::new(Person::new(name, farm.clients(&farm.person(name)?)?, ledger)));
        }
        Ok(Self { people, seed: settings.seed })
    }

    /// Each of the equals' packages is built once, in peace: so the farm knows how long they take.
    pub async fn warm_up(&self, settings: &Settings) -> anyhow::Result<()> {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut errands = Vec::new();
        for person in self.people.iter().take(EQUALS.len()) {
            for (number, plan) in EQUAL_PLANS.into_iter().enumerate() {
                errands.push((person, Errand::draw(&mut rng, 1_000_000 + number, (plan, 1), ONE)));
            }
        }
        if settings.real_jobs > 0
            && let Some(rita) = self.people.last()
        {
            errands.push((rita, Errand::draw(&mut rng, 1_000_000, (Plan::Ok, 1), REALLY)));
        }
        stream::iter(errands).map(Ok).try_for_each_concurrent(4, |(person, errand)| person.run(errand)).await
    }

    /// The equals hand in what has to be waiting so that there is something to be shared out: each more than the one before, and more
    /// eagerly, and no one is to get more for that.
    pub async fn line_up(&self, settings: &Settings) -> anyhow::Result<()> {
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_add(1));
        let mut all = JoinSet::new();
        for (n, person) in self.people.iter().take(EQUALS.len()).enumerate() {
            let numbers = (0..settings.waiting * (n + 1)).zip(EQUAL_PLANS.into_iter().cycle());
            let errands = numbers.map(|(number, plan)| Errand::draw(&mut rng, LINED_UP + number, (plan, 1), ONE));
            all.spawn(at_once(Arc::clone(person), errands.collect(), AT_ONCE[n]));
        }
        all.join_all().await.into_iter().collect()
    }

    /// What everybody wants while things happen, bit by bit.
    pub fn go(&self, settings: &Settings) -> JoinSet<anyhow::Result<()>> {
        let mut all = JoinSet::new();
        for (n, person) in self.people.iter().enumerate() {
            let mut rng = StdRng::seed_from_u64(self.seed ^ (n as u64 + 1));
            let draw = |number| {
                let (plan, targets) = match person.name() {
                    ODD => (ODD_PLANS.choose(&mut rng), if number % 3 == 0 { BOTH } else { ONE }),
                    BUILDER => (REAL_PLANS.choose(&mut rng), REALLY),
                    // The same for each of them, however few.
                    _ => (EQUAL_PLANS.get(number % EQUAL_PLANS.len()), ONE),
                };
                // Of what the others want it is known how long it takes, and there is something to upload all the time.
                let package = if person.name() == ODD { number / 2 } else { 1 };
                Errand::draw(&mut rng, number, (plan.copied().unwrap_or(Plan::Ok), package), targets)
            };
            let jobs = match person.name() {
                ODD => settings.odd_jobs,
                BUILDER => settings.real_jobs,
                _ => settings.jobs,
            };
            let errands: Vec<_> = (0..jobs).map(draw).collect();
            let pause = settings.time.mul_f64(0.9) / u32::try_from(jobs.max(1)).unwrap_or(u32::MAX);
            all.spawn(bit_by_bit(Arc::clone(person), errands, pause, StdRng::seed_from_u64(rng.random())));
        }
        all
    }
}

async fn at_once(person: Arc<Person>, errands: Vec<Errand>, most: usize) -> anyhow::Result<()> {
    stream::iter(errands).map(Ok).try_for_each_concurrent(most, |errand| person.run(errand)).await
}

async fn bit_by_bit(person: Arc<Person>, errands: Vec<Errand>, pause: Duration, mut rng: StdRng) -> anyhow::Result<()> {
    let mut all = JoinSet::new();
    for errand in errands {
        sleep(pause.mul_f64(rng.random_range(0.5..1.5))).await;
        let person = Arc::clone(&person);
        all.spawn(async move { person.run(errand).await });
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    Ok(())
}
