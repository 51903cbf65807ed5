use farm_types::Class;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rand_distr::{Distribution as _, LogNormal};

use crate::plan::{BuilderPlan, Plan, Submission, When};

const HOUR: f64 = 3600.0;
/// Of each builder.
const SLOTS: u32 = 4;

/// How large a day is.
#[derive(Debug, Clone, Copy)]
pub struct Day {
    /// How many hours it has: as many builders work as can do in that time what there is to do, if none is ever idle.
    pub hours: f64,
    /// Tasks of the mass rebuild.
    pub rebuild: u32,
    /// Persons at work.
    pub persons: u32,
    /// Tasks of each of them.
    pub tasks_each: u32,
    /// The part of all slots that background tasks leave free: a slot each of so many builders.
    pub spare: f64,
}

/// A distribution's day: a mass rebuild is handed in at its beginning as background, of which nobody sorted the packages, and persons work
/// from a third of it to seven tenths, as from eight to five, and hand in some small builds now and then. How long packages of the rebuild
/// take is known from before, more or less.
pub fn day_of_fedora(seed: u64, day: Day) -> Plan {
    let mut draw = StdRng::seed_from_u64(seed);
    let mut plan = Plan::default();
    rebuild(&mut plan, &mut draw, day);
    for person in 0..day.persons {
        work(&mut plan, &mut draw, &format!("person{person}"), day);
    }
    for arch in ["x86_64", "aarch64"] {
        let here = plan.submissions.iter().filter(|submission| submission.platform.ends_with(arch));
        let work: f64 = here.map(|submission| submission.seconds).sum();
        let count = (work / (day.hours * HOUR * f64::from(SLOTS))).ceil().max(1.0);
        let spare = (count * f64::from(SLOTS) * day.spare).round().min(count);
        for (count, spare) in [(spare, 1), (count - spare, 0)] {
            plan.builders.push(BuilderPlan { arch, count: count as u32, slots: SLOTS, spare });
        }
    }
    plan
}

/// Half take less than six minutes, one of a hundred more than two hours, and none more than four.
fn rebuild(plan: &mut Plan, draw: &mut StdRng, day: Day) {
    let time = LogNormal::new(f64::ln(360.0), 1.3).unwrap();
    let otherwise = LogNormal::new(0.0, 0.2).unwrap();
    for n in 0..day.rebuild {
        let platform = if n % 5 == 0 { "f14-aarch64" } else { "f14-x86_64" };
        let package = format!("package{n}");
        let seconds = time.sample(draw).clamp(20.0, 4.0 * HOUR);
        plan.history.push((platform, package.clone(), seconds * otherwise.sample(draw)));
        plan.submissions.push(Submission {
            when: When::At(0.0),
            person: "release-engineer".to_owned(),
            class: Class::Background,
            platform,
            package,
            seconds,
        });
    }
}

/// Half of the times one build alone, and each further one at once in half of those, eight at the most; half take less than two minutes, one of a
/// hundred more than a quarter of an hour.
fn work(plan: &mut Plan, draw: &mut StdRng, person: &str, day: Day) {
    let time = LogNormal::new(f64::ln(120.0), 0.9).unwrap();
    let mut left = day.tasks_each;
    while left > 0 {
        let at = draw.random_range(8.0 / 24.0..17.0 / 24.0) * day.hours * HOUR;
        let mut count = 1;
        while count < 8.min(left) && draw.random_bool(0.5) {
            count += 1;
        }
        left -= count;
        for n in 0..count {
            let platform =
                ["f13-x86_64", "f14-x86_64", "f14-x86_64", "sl6-x86_64", "f14-aarch64"][draw.random_range(0..5)];
            plan.submissions.push(Submission {
                when: When::At(at + f64::from(n)),
                person: person.to_owned(),
                class: Class::Normal,
                platform,
                package: format!("{person}-{}", draw.random_range(0..5)),
                seconds: time.sample(draw).clamp(10.0, HOUR),
            });
        }
    }
}
