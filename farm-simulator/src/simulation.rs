use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashMap, HashSet},
};

use diesel::PgConnection;
use farm_db::{
    intake, operator, queue,
    testing::{self, TestBuilder},
};
use farm_types::{Class, Digest, JobId, LeaseKey, Outcome};

use crate::plan::{Plan, Submission, When};

/// Longer than any simulation runs on a real clock: nobody renews.
const LEASE_SECONDS: u32 = 86_400;

/// After so many tasks the database is tidied: a day of real time would give autovacuum the time for it.
const TIDY_EVERY: usize = 2500;

/// What became of a submission, in seconds after the beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Built {
    /// The index of the submission in the plan.
    pub submission: usize,
    /// When it was handed in.
    pub submitted: f64,
    /// When a builder began.
    pub started: f64,
    /// When it was built.
    pub ended: f64,
}

/// Lets everything happen, in a database with nothing in it yet but the schema. Answers what was built, in the order in which it was begun.
pub fn simulate(conn: &mut PgConnection, plan: &Plan) -> Vec<Built> {
    let mut simulation = Simulation::new(conn, plan);
    while let Some(Reverse(event)) = simulation.events.pop() {
        simulation.happen(event);
    }
    assert_eq!(simulation.built.len(), plan.submissions.len(), "some tasks were never claimed");
    simulation.built
}

/// What happens next, and in what order at the same time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Event {
    at: f64,
    number: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Submit(usize),
    /// A task of that builder is done: the index in `built`.
    End(usize, usize),
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.total_cmp(&other.at).then(self.number.cmp(&other.number))
    }
}

struct Worker {
    builder: TestBuilder,
    arch: &'static str,
    free: u32,
    spare: u32,
}

impl Worker {
    /// Whether it has a slot for such a task.
    fn has_room(&self, class: Class) -> bool {
        self.free > if class == Class::Background { self.spare } else { 0 }
    }
}

struct Simulation<'a> {
    conn: &'a mut PgConnection,
    plan: &'a Plan,
    events: BinaryHeap<Reverse<Event>>,
    number: u64,
    workers: Vec<Worker>,
    /// One source for each person: what is in it does not matter here.
    sources: HashMap<&'a str, Digest>,
    submissions: HashMap<JobId, (usize, f64)>,
    leases: HashMap<usize, LeaseKey>,
    followers: HashMap<usize, Vec<usize>>,
    built: Vec<Built>,
    ended: usize,
}

impl<'a> Simulation<'a> {
    fn new(conn: &'a mut PgConnection, plan: &'a Plan) -> Self {
        set_up(conn, plan);
        let mut workers = Vec::new();
        for (kind, alike) in plan.builders.iter().enumerate() {
            for n in 0..alike.count {
                let name = format!("b{kind}-{n}");
                let builder = testing::builder_for(conn, &name, alike.arch).with_slots(conn, alike.slots);
                operator::set_spare_slots(conn, &testing::operator(), &name.parse().unwrap(), alike.spare).unwrap();
                workers.push(Worker { builder, arch: alike.arch, free: alike.slots, spare: alike.spare.into() });
            }
        }
        let mut simulation = Self {
            conn,
            plan,
            events: BinaryHeap::new(),
            number: 0,
            workers,
            sources: HashMap::new(),
            submissions: HashMap::new(),
            leases: HashMap::new(),
            followers: HashMap::new(),
            built: Vec::new(),
            ended: 0,
        };
        for (index, submission) in plan.submissions.iter().enumerate() {
            match submission.when {
                When::At(at) => simulation.expect(at, What::Submit(index)),
                When::After(other) => simulation.followers.entry(other).or_default().push(index),
            }
        }
        simulation
    }

    fn expect(&mut self, at: f64, what: What) {
        self.events.push(Reverse(Event { at, number: self.number, what }));
        self.number += 1;
    }

    fn happen(&mut self, event: Event) {
        match event.what {
            What::Submit(index) => self.submit(index, event.at),
            What::End(worker, built) => {
                self.finish(worker, built);
                for follower in self.followers.remove(&self.built[built].submission).unwrap_or_default() {
                    self.submit(follower, event.at);
                }
                self.claim(worker, event.at);
            }
        }
    }

    fn submit(&mut self, index: usize, at: f64) {
        let plan = self.plan;
        let submission = &plan.submissions[index];
        let conn = &mut *self.conn;
        let source = self.sources.entry(&submission.person).or_insert_with(|| {
            let source = testing::digest();
            testing::brought(conn, &submission.person, &source, 1);
            source
        });
        let new = intake::Submission { class: submission.class, ..testing::submission_of(&submission.person, *source) };
        let (job, _) = intake::submit(self.conn, &new).unwrap();
        testing::accept_as(self.conn, job, &submission.package, &[submission.platform]);
        self.submissions.insert(job, (index, at));
        let (arch, class) = (arch(submission.platform), submission.class);
        if let Some(worker) = self.workers.iter().position(|worker| worker.has_room(class) && worker.arch == arch) {
            self.claim(worker, at);
        }
    }

    /// Gives a builder what it has room for. As builders do, it asks again for the slots that are free after that.
    fn claim(&mut self, worker: usize, at: f64) {
        loop {
            let Worker { builder, free, .. } = self.workers[worker];
            let claimed = queue::claim(self.conn, builder.id, builder.instance, free, LEASE_SECONDS).unwrap();
            if claimed.is_empty() {
                return;
            }
            for task in claimed {
                let (submission, submitted) = self.submissions[&task.job];
                let ended = at + self.plan.submissions[submission].seconds;
                self.leases.insert(self.built.len(), task.key);
                self.expect(ended, What::End(worker, self.built.len()));
                self.built.push(Built { submission, submitted, started: at, ended });
                self.workers[worker].free -= 1;
            }
            if self.workers[worker].free == 0 {
                return;
            }
        }
    }

    fn finish(&mut self, worker: usize, built: usize) {
        let key = self.leases.remove(&built).unwrap();
        let Submission { seconds, .. } = self.plan.submissions[self.built[built].submission];
        testing::began_ago(self.conn, key.task, seconds);
        self.workers[worker].builder.finish(self.conn, &key, Outcome::Succeeded).unwrap();
        self.workers[worker].free += 1;
        self.ended += 1;
        if self.ended.is_multiple_of(TIDY_EVERY) {
            testing::tidy(self.conn);
        }
    }
}

fn arch(platform: &str) -> &str {
    platform.rsplit_once('-').unwrap().1
}

/// Platforms, persons without limits, shares, history.
fn set_up(conn: &mut PgConnection, plan: &Plan) {
    let platforms: HashSet<_> = plan.submissions.iter().map(|submission| submission.platform).collect();
    for platform in platforms {
        testing::platform(conn, platform);
    }
    operator::put_limits(conn, &testing::operator(), None, &testing::no_limits()).unwrap();
    let persons: HashSet<_> = plan.submissions.iter().map(|submission| &submission.person).collect();
    for person in persons {
        operator::put_person(conn, &testing::operator(), person, true).unwrap();
    }
    for (person, share) in &plan.shares {
        operator::set_share(conn, &testing::operator(), person, Some(*share)).unwrap();
    }
    for (platform, package, seconds) in &plan.history {
        testing::took_before(conn, platform, package, *seconds);
    }
}
