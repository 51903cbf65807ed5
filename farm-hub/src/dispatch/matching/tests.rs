use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use farm_types::{BuilderId, Class, PlatformName, TaskId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::dispatch::waiters::Serves;

fn platform(name: &str) -> PlatformName {
    format!("{name}-x86_64").parse().unwrap()
}

/// The lane of the tasks that are not background.
fn lane(name: &str) -> Lane {
    Lane { platform: platform(name), background: false }
}

fn place(rank: i64) -> Place {
    Place { class: Class::Normal, rank, task: TaskId(rank) }
}

/// Memory and waiters at one moment.
struct Scene {
    memory: Memory,
    waiters: Waiters,
    now: Instant,
}

impl Scene {
    fn new(platforms: &[&str]) -> Self {
        let mut memory = Memory::default();
        platforms.iter().for_each(|name| memory.follow(&platform(name)));
        Self { memory, waiters: Waiters::default(), now: Instant::now() }
    }

    fn task(&mut self, name: &str, rank: i64, change: impl FnOnce(&mut Claimable)) {
        let mut ready = Claimable { weight: 1, due: self.now, avoid: Vec::new(), saved: false };
        change(&mut ready);
        self.memory.hear(&lane(name), place(rank), ready, self.now);
    }

    fn background(&mut self, name: &str, rank: i64) {
        let ready = Claimable { weight: 1, due: self.now, avoid: Vec::new(), saved: false };
        self.memory.hear(&Lane { background: true, ..lane(name) }, place(rank), ready, self.now);
    }

    fn builder(&mut self, builder: i32, want: u32, serves: &[&str]) -> Ticket {
        self.builder_with(builder, want, |known| known.platforms = serves.iter().map(|name| platform(name)).collect())
    }

    fn builder_with(&mut self, builder: i32, want: u32, change: impl FnOnce(&mut Serves)) -> Ticket {
        let (life, mut serves) = ((BuilderId(builder), Uuid::nil()), Serves::default());
        change(&mut serves);
        let (ticket, _) = self.waiters.join(life, want);
        self.waiters.learn(life, serves, self.now);
        ticket
    }

    fn round(&mut self) -> Round {
        match_up(&mut self.memory, &mut self.waiters, 64, self.now)
    }

    /// Who is given the tasks of which ranks.
    fn given(&mut self) -> BTreeMap<Ticket, Vec<i64>> {
        let ranks = |picks: Vec<Picked>| picks.iter().map(|picked| picked.place.rank).collect();
        self.round().picks.into_iter().map(|(ticket, picks)| (ticket, ranks(picks))).collect()
    }
}

#[test]
fn the_best_task_goes_to_the_longest_idle_that_serves_its_platform() {
    let mut scene = Scene::new(&["a", "b"]);
    let _other = scene.builder(1, 1, &["a"]);
    let oldest = scene.builder(2, 1, &["b"]);
    let newest = scene.builder(3, 1, &["b"]);
    scene.task("b", 2, |_| {});
    scene.task("b", 1, |_| {});
    scene.task("b", 3, |_| {});
    assert_eq!(scene.given(), [(oldest, vec![1]), (newest, vec![2])].into());
    assert!(scene.given().is_empty(), "nobody is left who serves it");
}

#[test]
fn who_comes_back_without_having_been_given_anything_keeps_its_turn() {
    let mut scene = Scene::new(&["a"]);
    let first = scene.builder(1, 1, &["a"]);
    let second = scene.builder(2, 1, &["a"]);
    scene.waiters.leave(first);
    let first = scene.builder(1, 1, &["a"]);
    scene.task("a", 1, |_| {});
    assert_eq!(scene.given(), [(first, vec![1])].into());
    scene.waiters.was_served(first);
    scene.waiters.leave(first);
    let _first = scene.builder(1, 1, &["a"]);
    scene.task("a", 2, |_| {});
    assert_eq!(scene.given(), [(second, vec![2])].into());
}

#[test]
fn everybody_is_given_one_task_before_anybody_is_given_two() {
    let mut scene = Scene::new(&["a"]);
    let (large, small) = (scene.builder(1, 4, &["a"]), scene.builder(2, 1, &["a"]));
    for rank in 1..=3 {
        scene.task("a", rank, |_| {});
    }
    assert_eq!(scene.given(), [(large, vec![1, 3]), (small, vec![2])].into());
}

#[test]
fn a_builder_that_a_task_went_wrong_on_is_passed_over_for_it_and_for_nothing_else() {
    let mut scene = Scene::new(&["a"]);
    let (spoilt, other) = (scene.builder(1, 1, &["a"]), scene.builder(2, 1, &["a"]));
    scene.task("a", 1, |ready| ready.avoid = vec![BuilderId(1)]);
    scene.task("a", 2, |_| {});
    assert_eq!(scene.given(), [(other, vec![1]), (spoilt, vec![2])].into());
}

#[test]
fn a_task_whose_time_has_not_come_is_given_to_nobody() {
    let mut scene = Scene::new(&["a"]);
    let (waiter, later) = (scene.builder(1, 1, &["a"]), scene.now + Duration::from_secs(5));
    scene.task("a", 1, |ready| ready.due = later);
    assert!(scene.round().is_empty());
    scene.now = later;
    assert_eq!(scene.given(), [(waiter, vec![1])].into());
}

#[test]
fn for_a_heavy_task_somebody_with_room_looks_itself_and_others_are_given_what_comes_after() {
    let mut scene = Scene::new(&["a"]);
    let (small, large) = (scene.builder(1, 1, &["a"]), scene.builder(2, 3, &["a"]));
    scene.task("a", 1, |ready| ready.weight = 3);
    scene.task("a", 2, |_| {});
    let round = scene.round();
    assert_eq!(round.careful.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), [large]);
    assert_eq!(round.picks.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), [small]);
}

#[test]
fn one_builder_keeps_slots_for_a_heavy_task_and_the_others_do_not_look_for_it() {
    let mut scene = Scene::new(&["a"]);
    let (first, _second) = (scene.builder(1, 1, &["a"]), scene.builder(2, 1, &["a"]));
    scene.task("a", 1, |ready| ready.weight = 3);
    let Some((ticket, Some(one))) = scene.round().careful.pop() else { panic!("nobody looks") };
    assert_eq!(ticket, first);
    let saved = Claimable { saved: true, ..one.ready };
    scene.memory.done(&one.lane, one.place, Some(saved), scene.now);
    assert!(scene.round().is_empty());
}

#[test]
fn who_looked_for_a_heavy_task_in_vain_does_not_look_again_at_once() {
    let mut scene = Scene::new(&["a"]);
    let waiter = scene.builder(1, 4, &["a"]);
    scene.task("a", 1, |ready| ready.weight = 3);
    for looks in [1, 0, 1] {
        let round = scene.round();
        assert_eq!(round.careful.len(), looks);
        for (ticket, one) in round.careful {
            let one = one.unwrap();
            scene.memory.done(&one.lane, one.place, Some(one.ready), scene.now);
            scene.waiters.wait_on(ticket, true);
        }
        if looks == 0 {
            scene.waiters.try_again();
        }
    }
    assert!(scene.waiters.get(waiter).is_some());
}

#[test]
fn a_builder_that_keeps_slots_looks_itself() {
    let mut scene = Scene::new(&["a"]);
    let ticket = scene.builder_with(1, 2, |known| (known.platforms, known.saves_slots) = (vec![platform("a")], true));
    scene.task("a", 1, |_| {});
    let round = scene.round();
    assert!(round.picks.is_empty());
    assert_eq!(round.careful, [(ticket, None)]);
    assert!(scene.round().is_empty());
}

#[test]
fn background_tasks_leave_the_spare_slots_to_others() {
    let mut scene = Scene::new(&["a"]);
    let with = |known: &mut Serves| (known.platforms, known.spare_slots) = (vec![platform("a")], 1);
    let (spare, roomy) = (scene.builder_with(1, 1, with), scene.builder_with(2, 3, with));
    for rank in 1..=4 {
        scene.background("a", rank);
    }
    assert_eq!(scene.given(), [(roomy, vec![1, 2])].into());
    scene.task("a", 9, |_| {});
    assert_eq!(scene.given(), [(spare, vec![9])].into(), "however many background tasks are before it");
}

#[test]
fn of_both_lanes_the_best_task_goes_first() {
    let mut scene = Scene::new(&["a"]);
    let waiter = scene.builder(1, 3, &["a"]);
    scene.background("a", 1);
    scene.task("a", 2, |_| {});
    scene.background("a", 3);
    scene.task("a", 4, |_| {});
    assert_eq!(scene.given(), [(waiter, vec![1, 2, 3])].into());
}

/// Tasks as platform, rank, weight, and whether the first builder is to be avoided.
fn tasks() -> impl Strategy<Value = Vec<(usize, i64, u16, bool)>> {
    prop::collection::vec((0..3usize, 1..1000i64, 1..=2u16, any::<bool>()), 0..40)
}

/// Builders as free slots, and which platforms they serve.
fn builders() -> impl Strategy<Value = Vec<(u32, BTreeSet<usize>)>> {
    prop::collection::vec((1..5u32, prop::collection::btree_set(0..3usize, 0..3)), 0..12)
}

const NAMES: [&str; 3] = ["a", "b", "c"];

proptest! {
    #[test]
    fn nobody_is_given_what_it_may_not_have_and_nothing_is_left_that_somebody_could_have(
        tasks in tasks(), builders in builders(),
    ) {
        let mut scene = Scene::new(&NAMES);
        let avoided = |avoid: bool| if avoid { vec![BuilderId(1)] } else { Vec::new() };
        for (at, rank, weight, avoid) in &tasks {
            scene.task(NAMES[*at], *rank, |ready| (ready.weight, ready.avoid) = (*weight, avoided(*avoid)));
        }
        let tickets: Vec<Ticket> = (1..)
            .zip(&builders)
            .map(|(number, (want, serves))| {
                scene.builder(number, *want, &serves.iter().map(|at| NAMES[*at]).collect::<Vec<_>>())
            })
            .collect();
        let round = match_up(&mut scene.memory, &mut scene.waiters, usize::MAX, scene.now);

        let of = |ticket: Ticket| tickets.iter().position(|t| *t == ticket).unwrap();
        let serves = |builder: usize, name: &PlatformName| builders[builder].1.iter().any(|at| platform(NAMES[*at]) == *name);
        let mut taken = BTreeSet::new();
        for (ticket, picks) in &round.picks {
            let builder = of(*ticket);
            prop_assert!(picks.len() <= builders[builder].0 as usize, "more than it has slots for");
            for one in picks {
                prop_assert!(one.ready.weight == 1 && serves(builder, &one.lane.platform));
                prop_assert!(!(one.ready.avoid.contains(&BuilderId(1)) && builder == 0), "it is to be avoided");
                prop_assert!(taken.insert((one.lane.clone(), one.place)), "twice");
            }
        }
        let busy: BTreeSet<usize> = round.careful.iter().map(|(ticket, _)| of(*ticket)).collect();
        for (builder, (want, _)) in builders.iter().enumerate() {
            let given = round.picks.iter().find(|(ticket, _)| of(*ticket) == builder).map_or(0, |(_, picks)| picks.len());
            prop_assert!(given == 0 || !busy.contains(&builder), "it looks itself and is given something too");
            let free = *want as usize > given && !busy.contains(&builder);
            for name in NAMES {
                let left = std::iter::successors(scene.memory.first_after(&lane(name), None), |(place, _)| {
                    scene.memory.first_after(&lane(name), Some(*place))
                });
                for (_, ready) in left.filter(|(_, ready)| ready.weight == 1) {
                    let could = free && serves(builder, &platform(name)) && (builder != 0 || ready.avoid.is_empty());
                    prop_assert!(!could, "builder {builder} has room, and a task of {name} is left");
                }
            }
        }
    }

    #[test]
    fn the_best_tasks_of_all_are_given_to_those_who_have_waited_longest(
        ranks in prop::collection::btree_set(1..1000i64, 0..30), waiting in 0..30usize,
    ) {
        let mut scene = Scene::new(&NAMES);
        for rank in &ranks {
            scene.task(NAMES[(*rank % 3) as usize], *rank, |_| {});
        }
        let tickets: Vec<Ticket> = (1..).take(waiting).map(|number| scene.builder(number, 1, &NAMES)).collect();
        let given: Vec<(Ticket, i64)> = scene.given().into_iter().map(|(ticket, ranks)| (ticket, ranks[0])).collect();
        let expected: Vec<(Ticket, i64)> = tickets.into_iter().zip(ranks).collect();
        prop_assert_eq!(given, expected);
    }
}
