//! Who gets how much, and when: the queue's own decisions, in simulated time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use farm_db::invariants;
use farm_simulator::{
    BuilderPlan, Built, Day, Percentiles, Plan, Submission, When, bound, build_time, day_of_fedora, given, makespan,
    simulate, waits,
};
use farm_testing::TestDb;
use farm_types::Class;
use proptest::prelude::*;

const PLATFORM: &str = "f13-x86_64";

fn run(plan: &Plan) -> Vec<Built> {
    let db = TestDb::new();
    let mut conn = db.connect();
    let built = simulate(&mut conn, plan);
    assert_eq!(invariants::check(&mut conn).unwrap(), Vec::<String>::new());
    built
}

/// A plan for builders of that many slots in all.
fn plan(slots: u32) -> Plan {
    Plan { builders: vec![BuilderPlan { arch: "x86_64", count: slots, slots: 1, spare: 0 }], ..Plan::default() }
}

fn submission(when: When, person: &str, seconds: f64) -> Submission {
    Submission {
        when,
        person: person.to_owned(),
        class: Class::Normal,
        platform: PLATFORM,
        package: format!("takes-{seconds}"),
        seconds,
    }
}

/// Tasks whose time is known from before.
fn known(plan: &mut Plan, when: When, person: &str, seconds: f64) {
    let new = submission(when, person, seconds);
    if !plan.history.iter().any(|(_, package, _)| *package == new.package) {
        plan.history.push((PLATFORM, new.package.clone(), seconds));
    }
    plan.submissions.push(new);
}

fn persons(plan: &Plan, built: &[Built]) -> Vec<String> {
    built.iter().map(|built| plan.submissions[built.submission].person.clone()).collect()
}

#[test]
fn after_three_thousand_tasks_of_one_person_the_single_one_of_another_is_next() {
    let mut plan = plan(10);
    for _ in 0..3000 {
        known(&mut plan, When::At(0.0), "alice", 300.0);
    }
    known(&mut plan, When::At(1000.0), "bob", 300.0);
    let built = run(&plan);
    let bobs = built.iter().find(|built| built.submission == 3000).unwrap();
    assert_eq!((bobs.submitted, bobs.started), (1000.0, 1200.0), "builders are free again after 1200 s");
    let first = built.iter().find(|built| built.started >= 1200.0).unwrap();
    assert_eq!(first.submission, 3000);
}

#[test]
fn background_moves_on_a_busy_platform_a_tenth_as_fast_and_has_all_of_an_idle_one() {
    let mut plan = plan(1);
    for _ in 0..330 {
        known(&mut plan, When::At(0.0), "alice", 60.0);
    }
    for _ in 0..60 {
        known(&mut plan, When::At(0.0), "rebuild", 60.0);
        plan.submissions.last_mut().unwrap().class = Class::Background;
    }
    let built = run(&plan);
    let order = persons(&plan, &built);
    let last = order.iter().rposition(|person| person == "alice").unwrap();
    let meanwhile = order[..last].iter().filter(|person| *person == "rebuild").count();
    assert!((30..=36).contains(&meanwhile), "{meanwhile} background tasks beside 330 normal ones");
    assert!(order[last + 1..].iter().all(|person| person == "rebuild"));
    assert_eq!(makespan(&built), 390.0 * 60.0, "no slot was idle");
}

#[test]
fn background_waits_for_a_newcomer_and_not_the_other_way_round() {
    let mut plan = plan(1);
    for _ in 0..50 {
        known(&mut plan, When::At(0.0), "rebuild", 60.0);
        plan.submissions.last_mut().unwrap().class = Class::Background;
    }
    for _ in 0..8 {
        known(&mut plan, When::At(90.0), "alice", 60.0);
    }
    let order = persons(&plan, &run(&plan));
    assert_eq!(order[2], "alice");
    assert_eq!(order[2..11].iter().filter(|person| *person == "alice").count(), 8, "{order:?}");
}

#[test]
fn long_background_tasks_are_not_left_for_the_end() {
    let mut plan = plan(4);
    for n in 0..200 {
        known(&mut plan, When::At(0.0), "rebuild", if n == 199 { 7200.0 } else { 120.0 });
        plan.submissions.last_mut().unwrap().class = Class::Background;
    }
    let built = run(&plan);
    assert!(makespan(&built) <= bound(&plan, &built) * 1.2, "{} of {}", makespan(&built), bound(&plan, &built));
    let long = built.iter().position(|built| built.submission == 199).unwrap();
    assert!((40..70).contains(&long), "the long one was begun as number {long}");
}

#[test]
fn who_takes_longer_than_expected_pays_for_it_with_the_next_task() {
    let mut plan = plan(1);
    // Neither package was ever built, so a minute is expected of each.
    let mut chain = |person: &str, seconds: f64, tasks: usize| {
        for lane in 0..3 {
            for n in 0..tasks {
                let when = if n == 0 { When::At(0.0) } else { When::After(plan.submissions.len() - 1) };
                let package = format!("{person}-{lane}-{n}");
                plan.submissions.push(Submission { package, ..submission(when, person, seconds) });
            }
        }
    };
    chain("alice", 600.0, 15);
    chain("bob", 60.0, 150);
    let built = run(&plan);
    let last = built.iter().rposition(|built| built.submission < 45).unwrap();
    let times = build_time(&plan, &built[..last]);
    let ratio = times["alice"] / times["bob"];
    assert!((0.8..=1.25).contains(&ratio), "{times:?}");
}

#[test]
fn who_was_ahead_on_one_platform_does_not_hold_up_another() {
    let mut plan = plan(1);
    for _ in 0..100 {
        known(&mut plan, When::At(0.0), "alice", 600.0);
    }
    // The clock of the other platform has never moved.
    known(&mut plan, When::At(30_000.0), "bob", 60.0);
    for _ in 0..20 {
        known(&mut plan, When::At(30_000.0), "carol", 60.0);
        plan.submissions.last_mut().unwrap().platform = "f14-x86_64";
        plan.history.push(("f14-x86_64", "takes-60".to_owned(), 60.0));
    }
    plan.history.dedup();
    let order = persons(&plan, &run(&plan));
    let since = order.iter().position(|person| person == "bob").unwrap();
    assert!(order[since..since + 10].iter().any(|person| person == "alice"), "{:?}", &order[since..since + 10]);
    assert!(order[since..since + 3].iter().any(|person| person == "carol"), "{:?}", &order[since..since + 3]);
}

#[test]
fn in_a_small_day_of_fedora_all_is_done_in_time_and_who_is_at_work_waits_for_the_next_slots_only() {
    let plan = day_of_fedora(7, Day { hours: 8.0, rebuild: 900, persons: 10, tasks_each: 10, spare: 0.0 });
    let built = run(&plan);
    let (end, least) = (makespan(&built), bound(&plan, &built));
    assert!(end <= 1.05 * least, "done after {end} s, while {least} s are enough");
    // A background task counts tenfold against one of each person who waits.
    let given = given(&plan, &built);
    assert!(given.values().all(|given| given.slots > 10 && given.background * 11 <= given.slots), "{given:?}");
    // No order gives a slot before one is free. Half of what is handed in comes alone, and each newcomer goes ahead.
    let waited = Percentiles::of(waits(&plan, &built, Class::Normal));
    let every = given["x86_64"].every;
    assert!(waited.p50 <= 3.0 * every, "{waited}, and a slot became free every {every:.1} s");
}

#[test]
fn who_comes_while_a_mass_rebuild_goes_on_begins_at_once_on_a_spare_slot() {
    let builders = [BuilderPlan { arch: "x86_64", count: 1, slots: 4, spare: 1 }];
    let mut plan = Plan { builders: builders.into(), ..Plan::default() };
    for n in 0..100 {
        let class = Class::Background;
        plan.submissions.push(Submission { class, ..submission(When::At(0.0), "rebuild", 600.0 + f64::from(n)) });
    }
    // The second of each pair waits for the next slot. Whoever gets it, the spare one is free again before the next pair.
    for n in 1..=6 {
        for seconds in [300.0, 301.0] {
            plan.submissions.push(submission(When::At(2000.0 * f64::from(n)), "alice", seconds));
        }
    }
    let built = run(&plan);
    let class = |built: &Built| plan.submissions[built.submission].class;
    let waited = waits(&plan, &built, Class::Normal);
    assert_eq!(waited.iter().filter(|waited| **waited == 0.0).count(), 6, "{waited:?}");
    for one in built.iter().filter(|one| class(one) == Class::Background) {
        let beside =
            |other: &&Built| class(other) == Class::Background && (other.started..other.ended).contains(&one.started);
        assert!(built.iter().filter(beside).count() <= 3, "the rebuild used the spare slot at {}", one.started);
    }
}

/// What one person hands in at the beginning: a share, and how long the tasks take.
fn backlog() -> impl Strategy<Value = (f64, Vec<u32>)> {
    (prop::sample::select(vec![0.5, 1.0, 2.0, 3.0]), prop::collection::vec(1..=600u32, 5..25))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Start-time fair queueing's own bound (Goyal, Vin, Cheng 1996, theorem 1): over any time in which both wait, what two persons get for
    /// their shares differs by no more than the longest task of each.
    #[test]
    fn persons_who_wait_get_build_time_by_their_shares(backlogs in prop::collection::vec(backlog(), 2..5)) {
        let mut plan = plan(1);
        for (person, (share, tasks)) in backlogs.iter().enumerate() {
            plan.shares.push((format!("p{person}"), *share));
            for seconds in tasks {
                known(&mut plan, When::At(0.0), &format!("p{person}"), f64::from(*seconds));
            }
        }
        // The first is begun before anybody else is there.
        let built = &run(&plan)[1..];
        let of = |built: &Built| plan.submissions[built.submission].person[1..].parse::<usize>().unwrap();
        let last = |person: usize| built.iter().rposition(|built| of(built) == person).unwrap_or(0);
        let longest = |person: usize| f64::from(*backlogs[person].1.iter().max().unwrap()) / backlogs[person].0;
        for (a, b) in (0..backlogs.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let both = &built[..last(a).min(last(b))];
            for from in 0..both.len() {
                let (mut got_a, mut got_b) = (0.0, 0.0);
                for built in &both[from..] {
                    let seconds = plan.submissions[built.submission].seconds;
                    match of(built) {
                        person if person == a => got_a += seconds / backlogs[a].0,
                        person if person == b => got_b += seconds / backlogs[b].0,
                        _ => {}
                    }
                    let most = longest(a) + longest(b) + 1.0;
                    prop_assert!((got_a - got_b).abs() <= most, "p{a} got {got_a}, p{b} got {got_b}, of at most {most} apart");
                }
            }
        }
    }

    /// Whoever comes with one task while others wait with many waits, once a slot is free, for one task of each of them at the most: of those
    /// who had no more than their part so far and were there before.
    #[test]
    fn nobody_is_served_twice_before_a_newcomer(
        tasks in prop::collection::vec((0..4usize, 1..=600u32), 10..40),
        at in 1..600u32,
    ) {
        let mut plan = plan(1);
        for (person, seconds) in &tasks {
            known(&mut plan, When::At(0.0), &format!("p{person}"), f64::from(*seconds));
        }
        known(&mut plan, When::At(f64::from(at) + 0.5), "newcomer", 60.0);
        let built = run(&plan);
        let newcomer = built.iter().position(|built| built.submission == tasks.len()).unwrap();
        let order = persons(&plan, &built);
        let mut served = BTreeSet::new();
        for n in (0..newcomer).filter(|n| built[*n].started > built[newcomer].submitted) {
            prop_assert!(served.insert(&order[n]), "{} was served twice before the newcomer", order[n]);
        }
    }

    /// A plan is done without a slot being idle while somebody waits, so every task is begun: nobody starves.
    #[test]
    fn nobody_starves(tasks in prop::collection::vec((0..4usize, 0..3usize, 1..=600u32), 5..40)) {
        let mut plan = plan(2);
        for (person, class, seconds) in &tasks {
            known(&mut plan, When::At(0.0), &format!("p{person}"), f64::from(*seconds));
            plan.submissions.last_mut().unwrap().class = [Class::Normal, Class::Background, Class::Normal][*class];
        }
        let built = run(&plan);
        let work: f64 = plan.submissions.iter().map(|submission| submission.seconds).sum();
        let longest = plan.submissions.iter().map(|submission| submission.seconds).fold(0.0, f64::max);
        // Graham's bound for lists.
        prop_assert!(makespan(&built) <= work / 2.0 + longest / 2.0 + 1.0);
    }
}
