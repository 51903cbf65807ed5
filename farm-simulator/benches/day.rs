//! `cargo bench -p farm-simulator`: a day of Fedora, 15,000 tasks in 24 hours, with the queue's own decisions.
//!
//! `FARM_BENCH_SEED` (1) is what is drawn from; `FARM_BENCH_HOURS` (24), `FARM_BENCH_REBUILD` (12,500), `FARM_BENCH_PERSONS` (50) and
//! `FARM_BENCH_TASKS_EACH` (50) say how much; how many builders there are follows. `FARM_BENCH_SPARE` (5) of a hundred slots are spare.

use std::time::Instant;

use farm_simulator::{
    Built, Day, Percentiles, Plan, bound, build_time, day_of_fedora, given, makespan, simulate, waits,
};
use farm_testing::TestDb;
use farm_types::Class;

const HOUR: f64 = 3600.0;
/// Who begins within so many seconds begins soon.
const SOON: f64 = 10.0;

fn main() {
    let seed = number("SEED", 1);
    let [rebuild, persons, tasks_each, hours] =
        [("REBUILD", 12_500), ("PERSONS", 50), ("TASKS_EACH", 50), ("HOURS", 24)]
            .map(|(name, usual)| u32::try_from(number(name, usual)).unwrap_or(u32::MAX));
    let spare = f64::from(u32::try_from(number("SPARE", 5)).unwrap_or(u32::MAX)) / 100.0;
    let plan = day_of_fedora(seed, Day { hours: f64::from(hours), rebuild, persons, tasks_each, spare });
    let db = TestDb::new();
    let begin = Instant::now();
    let built = simulate(&mut db.connect(), &plan);
    let took = begin.elapsed().as_secs_f64();
    let slots: Vec<_> = ["x86_64", "aarch64"].map(|arch| slots(&plan, arch)).into();
    println!("a day of Fedora, seed {seed}: {} tasks on {}", plan.submissions.len(), slots.join(" and "));
    report(&plan, &built);
    println!(
        "simulated in {took:.0} s: {:.1} ms a task, from submission to its end",
        took * 1000.0 / built.len() as f64
    );
}

fn slots(plan: &Plan, arch: &str) -> String {
    let of_it = || plan.builders.iter().filter(|builders| builders.arch == arch);
    let slots: u32 = of_it().map(|builders| builders.count * builders.slots).sum();
    let spare: u32 = of_it().map(|builders| builders.count * u32::from(builders.spare)).sum();
    format!("{slots} slots of {arch} ({spare} spare)")
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(format!("FARM_BENCH_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn report(plan: &Plan, built: &[Built]) {
    let (end, least) = (makespan(built), bound(plan, built));
    let begin = built.iter().map(|built| built.submitted).fold(f64::INFINITY, f64::min);
    let over = (end - begin) / (least - begin) * 100.0 - 100.0;
    let met = if over <= 5.0 { "met" } else { "missed" };
    println!(
        "  all built after {:.2} h, no order takes less than {:.2} h: {over:.1} % over (at most 5 is wanted: {met})",
        (end - begin) / HOUR,
        (least - begin) / HOUR
    );
    for (class, who) in [(Class::Normal, "persons at work"), (Class::Background, "the mass rebuild")] {
        let waited = waits(plan, built, class);
        if !waited.is_empty() {
            let soon = waited.iter().filter(|waited| **waited <= SOON).count() as f64 / waited.len() as f64 * 100.0;
            let number = waited.len();
            println!(
                "  {who}: {number} tasks waited {}; {soon:.0} % of them {SOON} s at most",
                Percentiles::of(waited)
            );
        }
    }
    for (arch, given) in given(plan, built) {
        println!(
            "  {arch}: while persons waited a slot became free every {:.1} s, {} in all; the rebuild got {} of them",
            given.every, given.slots, given.background
        );
    }
    let times =
        build_time(plan, built.iter().filter(|built| plan.submissions[built.submission].class == Class::Normal));
    let mut waits: Vec<_> = times
        .keys()
        .map(|person| {
            let own = built.iter().filter(|built| plan.submissions[built.submission].person == *person);
            let own: Vec<_> = own.map(|built| built.started - built.submitted).collect();
            own.iter().sum::<f64>() / own.len() as f64
        })
        .collect();
    waits.sort_by(f64::total_cmp);
    if let (Some(least), Some(most)) = (waits.first(), waits.last()) {
        println!("  on average persons waited from {least:.1} s (who waited least) to {most:.1} s (who waited most)");
    }
}
