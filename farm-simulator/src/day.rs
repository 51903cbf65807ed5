use farm_types::Class;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rand_distr::{Distribution as _, LogNormal};

use crate::plan::{BuilderPlan, Plan, Submission, When};

const HOUR: f64 = 3600.0;

/// How large a day is.
#[derive(Debug, Clone, Copy)]
pub struct Day {
    /// Tasks of the mass rebuild.
    pub rebuild: u32,
    /// Persons at work.
    pub persons: u32,
    /// Tasks of each of them.
    pub tasks_each: u32,
    /// Builders with four slots each; a fifth of them are for aarch64.
    pub builders: u32,
}

/// A distribution's day: a mass rebuild is handed in at eight in the morning as background, of which nobody sorted the packages, and persons
/// work from eight to five, each with some small builds at once now and then. How long packages take is known from before, more or less.
/// Seconds count from midnight.
pub fn day_of_fedora(seed: u64, day: Day) -> Plan {
    let mut draw = StdRng::seed_from_u64(seed);
    let mut plan = Plan {
        builders: vec![
            BuilderPlan { arch: "x86_64", count: day.builders - day.builders / 5, slots: 4 },
            BuilderPlan { arch: "aarch64", count: day.builders / 5, slots: 4 },
        ],
        ..Plan::default()
    };
    rebuild(&mut plan, &mut draw, day);
    for person in 0..day.persons {
        work(&mut plan, &mut draw, &format!("person{person}"), day.tasks_each);
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
            when: When::At(8.0 * HOUR),
            person: "release-engineer".to_owned(),
            class: Class::Background,
            platform,
            package,
            seconds,
        });
    }
}

/// One to eight builds at once, of two minutes or so each.
fn work(plan: &mut Plan, draw: &mut StdRng, person: &str, tasks: u32) {
    let time = LogNormal::new(f64::ln(120.0), 0.7).unwrap();
    let mut left = tasks;
    while left > 0 {
        let at = draw.random_range(8.0..17.0) * HOUR;
        let count = draw.random_range(1..=8).min(left);
        left -= count;
        for n in 0..count {
            let platform = ["f13-x86_64", "f14-x86_64", "sl6-x86_64", "f14-aarch64"][draw.random_range(0..4)];
            plan.submissions.push(Submission {
                when: When::At(at + f64::from(n)),
                person: person.to_owned(),
                class: Class::Normal,
                platform,
                package: format!("{person}-{}", draw.random_range(0..5)),
                seconds: time.sample(draw).clamp(10.0, 1800.0),
            });
        }
    }
}
