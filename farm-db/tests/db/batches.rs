//! The verbs for many builders at once: each item comes to what its verb for one comes to, and none hurts another.

use std::{collections::HashSet, sync::Barrier, thread, time::Duration};

use diesel::PgConnection;
use farm_api::hub::{Finish, NewArtifact, Renew};
use farm_db::{
    Channel, DbError, Listener,
    queue::{self, Pick, Presence, Ready, ReadyKey},
    testing::{self, TestBuilder, ended},
};
use farm_testing::DEADLINE;
use farm_types::{ArtifactKind, BuilderId, BuilderState, LeaseKey, Outcome, TaskId};
use uuid::Uuid;

use crate::support::{PLATFORM, assert_sound, database, execute, state, task_of, text};

/// How often each race is run.
const ROUNDS: usize = 25;

fn look(conn: &mut PgConnection) -> Vec<ReadyKey> {
    queue::ready_keys(conn, &[PLATFORM.parse().unwrap()], 1000).unwrap()
}

fn pick(key: &ReadyKey, builder: TestBuilder) -> Pick {
    Pick { key: key.clone(), builder: builder.id, instance: builder.instance }
}

/// Who was given which task.
fn given(conn: &mut PgConnection, picks: &[Pick]) -> Vec<(BuilderId, TaskId)> {
    let claimed = queue::claim_keys(conn, picks, 60).unwrap();
    claimed.into_iter().map(|(builder, task)| (builder, task.key.task)).collect()
}

#[test]
fn two_hubs_that_pick_the_same_tasks_at_the_same_time_give_each_of_them_once() {
    let (db, mut conn) = database();
    let builders = [testing::builder(&mut conn, "one"), testing::builder(&mut conn, "two")];
    for _ in 0..ROUNDS {
        for _ in 0..12 {
            testing::accepted(&mut conn, &[PLATFORM]);
        }
        let keys = look(&mut conn);
        let start = Barrier::new(2);
        let claimed: Vec<_> = thread::scope(|scope| {
            let hub = |builder: TestBuilder| {
                let mut conn = db.connect();
                let picks: Vec<_> = keys.iter().map(|key| pick(key, builder)).collect();
                start.wait();
                queue::claim_keys(&mut conn, &picks, 60).unwrap()
            };
            let hubs = builders.map(|builder| scope.spawn(move || hub(builder)));
            hubs.into_iter().flat_map(|hub| hub.join().unwrap()).collect()
        });
        assert_eq!(claimed.len(), 12);
        assert_eq!(claimed.iter().map(|(_, task)| task.key.task).collect::<HashSet<_>>().len(), 12);
        assert_sound(&mut conn);
        let ends: Vec<_> =
            claimed.iter().map(|(builder, task)| (*builder, task.key, ended(Outcome::Succeeded))).collect();
        assert!(queue::finish_all(&mut conn, &ends).unwrap().iter().all(Result::is_ok));
    }
}

#[test]
fn a_task_picked_for_two_builders_goes_to_one_of_them() {
    let (_db, mut conn) = database();
    let (one, two) = (testing::builder(&mut conn, "one"), testing::builder(&mut conn, "two"));
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = look(&mut conn).remove(0);
    assert_eq!(given(&mut conn, &[pick(&key, one), pick(&key, two)]).len(), 1);
    assert_eq!(given(&mut conn, &[pick(&key, one)]), []);
    assert_sound(&mut conn);
}

#[test]
fn a_batch_gives_all_that_a_claim_gives() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let jobs = [(); 2].map(|()| testing::accepted(&mut conn, &[PLATFORM]));
    let picked = pick(&look(&mut conn)[0], builder);
    let (holder, by_key) = queue::claim_keys(&mut conn, &[picked], 60).unwrap().remove(0);
    let by_look = queue::claim(&mut conn, builder.id, builder.instance, 1, 60).unwrap().remove(0);
    assert_eq!(holder, builder.id);
    assert_eq!([by_key.job, by_look.job], jobs);
    for task in [&by_key, &by_look] {
        assert_eq!((task.recipe.name.as_str(), task.weight, task.sources.len()), (PLATFORM, 1, 1));
        assert_eq!(task.sources[0].label, "hello-1-1");
        queue::held(&mut conn, builder.id, &task.key).unwrap();
    }
    assert_sound(&mut conn);
}

/// Why a builder is not given a task, and what makes it so: `one` is the builder, and there is one task.
const OBSTACLES: &[(&str, &str)] = &[
    ("the builder is disabled", "UPDATE farm.builder SET state = 'disabled' WHERE name = 'one'"),
    ("the builder drains", "UPDATE farm.builder SET state = 'draining' WHERE name = 'one'"),
    ("the builder serves other platforms", "UPDATE farm.builder SET platforms = '{b-x86_64}' WHERE name = 'one'"),
    ("the builder has another architecture", "UPDATE farm.builder SET arches = '{s390x}' WHERE name = 'one'"),
    ("the platform is disabled", "UPDATE farm.platform SET enabled = false"),
    ("the builder saves its slots", "UPDATE farm.builder SET saves_for = 1 WHERE name = 'one'"),
    ("another life said hello", "UPDATE farm.builder SET instance = gen_random_uuid() WHERE name = 'one'"),
    ("the task is not due", "UPDATE farm.ready SET not_before = now() + interval '1 minute'"),
    (
        "the task avoids the builder",
        "UPDATE farm.ready SET avoid = ARRAY(SELECT id FROM farm.builder WHERE name = 'one')",
    ),
    ("the task is heavy", "WITH t AS (UPDATE farm.task SET weight = 2) UPDATE farm.ready SET weight = 2"),
];

#[test]
fn a_builder_is_not_given_by_key_what_it_may_not_have_and_the_task_stays_in_the_queue() {
    for (obstacle, sql) in OBSTACLES {
        let (_db, mut conn) = database();
        let one = testing::builder(&mut conn, "one");
        testing::accepted(&mut conn, &[PLATFORM]);
        let key = look(&mut conn).remove(0);
        execute(&mut conn, sql);
        assert_eq!(given(&mut conn, &[pick(&key, one)]), [], "{obstacle}");
        assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.ready"), "1", "{obstacle}");
        assert_sound(&mut conn);
    }
}

#[test]
fn a_pick_that_cannot_be_had_takes_none_from_the_others_of_its_batch() {
    let (_db, mut conn) = database();
    let (one, two) = (testing::builder(&mut conn, "one"), testing::builder(&mut conn, "two"));
    for _ in 0..2 {
        testing::accepted(&mut conn, &[PLATFORM]);
    }
    let keys = look(&mut conn);
    operator_disables(&mut conn, "one");
    assert_eq!(given(&mut conn, &[pick(&keys[0], one), pick(&keys[1], two)]), [(two.id, keys[1].task)]);
    assert_sound(&mut conn);
}

fn operator_disables(conn: &mut PgConnection, builder: &str) {
    let name = builder.parse().unwrap();
    farm_db::operator::set_builder_state(conn, &testing::operator(), &name, BuilderState::Disabled, None).unwrap();
}

#[test]
fn better_the_builder_that_a_task_went_wrong_on_than_nobody_for_two_minutes() {
    let (_db, mut conn) = database();
    let one = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    execute(
        &mut conn,
        "UPDATE farm.ready SET avoid = ARRAY(SELECT id FROM farm.builder), not_before = now() - interval '3 minutes'",
    );
    let key = look(&mut conn).remove(0);
    assert_eq!(key.avoid, [one.id]);
    assert_eq!(given(&mut conn, &[pick(&key, one)]).len(), 1);
}

#[test]
fn what_no_builder_could_make_anything_of_ends_at_once_and_the_others_are_given() {
    let (_db, mut conn) = database();
    let one = testing::builder(&mut conn, "one");
    let jobs = [(); 2].map(|()| testing::accepted(&mut conn, &[PLATFORM]));
    execute(&mut conn, &format!("UPDATE farm.job SET options = '{{\"check\": 7}}' WHERE id = {}", jobs[0]));
    let picks: Vec<_> = look(&mut conn).iter().map(|key| pick(key, one)).collect();
    assert_eq!(given(&mut conn, &picks), [(one.id, task_of(&mut conn, jobs[1]))]);
    let fault = "SELECT outcome || ': ' || message AS text FROM farm.attempt WHERE outcome IS NOT NULL";
    let fault = text(&mut conn, fault);
    assert!(fault.starts_with("farm_fault: what the farm knows of the task cannot be read: "), "{fault}");
    assert_eq!(state(&mut conn, jobs[0]), "pending");
    assert_sound(&mut conn);
}

#[test]
fn a_batch_for_the_old_life_of_a_builder_against_the_hello_of_the_new_one_leaves_no_lease_behind() {
    let (db, mut conn) = database();
    let mut builder = testing::builder(&mut conn, "one");
    for _ in 0..ROUNDS {
        let job = testing::accepted(&mut conn, &[PLATFORM]);
        let picked = pick(&look(&mut conn)[0], builder);
        let start = Barrier::new(2);
        builder = thread::scope(|scope| {
            let hub = scope.spawn(|| {
                let mut conn = db.connect();
                start.wait();
                queue::claim_keys(&mut conn, &[picked], 60).unwrap();
            });
            let mut conn = db.connect();
            start.wait();
            let anew = builder.restarted(&mut conn);
            hub.join().unwrap();
            anew
        });
        assert_eq!(state(&mut conn, job), "pending");
        assert_sound(&mut conn);
        queue::cancel_job(&mut conn, &testing::operator(), job).unwrap();
    }
}

/// So many leases of a builder.
fn leases(conn: &mut PgConnection, builder: TestBuilder, number: u32) -> Vec<LeaseKey> {
    for _ in 0..number {
        testing::accepted(conn, &[PLATFORM]);
    }
    let keys = builder.claim(conn, number);
    assert_eq!(keys.len(), number as usize);
    keys
}

fn with_file(name: &str, digest: farm_types::Digest) -> Finish {
    let file = NewArtifact { kind: ArtifactKind::Rpm, name: name.parse().unwrap(), digest, size: 1 };
    Finish { artifacts: vec![file], ..ended(Outcome::Succeeded) }
}

#[test]
fn ends_that_are_refused_hurt_no_other_of_their_batch() {
    let (_db, mut conn) = database();
    let (one, two) = (testing::builder(&mut conn, "one"), testing::builder(&mut conn, "two"));
    let keys = leases(&mut conn, one, 6);
    let digest = testing::digest();
    queue::deliver(&mut conn, one.id, &keys[0], &digest, 1).unwrap();
    let twice = Finish {
        artifacts: [with_file("a.rpm", digest).artifacts, with_file("a.rpm", digest).artifacts].concat(),
        ..ended(Outcome::Succeeded)
    };
    queue::deliver(&mut conn, one.id, &keys[4], &digest, 1).unwrap();
    let ends = [
        (one.id, keys[0], with_file("a.rpm", digest)),
        (one.id, keys[1], with_file("a.rpm", testing::digest())),
        (two.id, keys[2], ended(Outcome::Succeeded)),
        (one.id, keys[3], ended(Outcome::Failed)),
        // Only the table refuses this, and with it the statement.
        (one.id, keys[4], twice),
        (one.id, keys[5], ended(Outcome::Cancelled)),
    ];
    let ended = queue::finish_all(&mut conn, &ends).unwrap();
    assert!(ended[0].is_ok() && ended[3].is_ok(), "{ended:?}");
    assert!(matches!(ended[1], Err(DbError::NotFound(_))), "{ended:?}");
    assert!(matches!(ended[2], Err(DbError::LeaseLost(_))), "{ended:?}");
    assert!(matches!(ended[4], Err(DbError::Sql(_))), "{ended:?}");
    assert!(matches!(ended[5], Err(DbError::Conflict(_))), "{ended:?}");
    let states = "SELECT string_agg(state::text, ' ' ORDER BY id) AS text FROM farm.task";
    assert_eq!(text(&mut conn, states), "succeeded leased leased failed leased leased");
    let bytes = "SELECT string_agg(bytes::text, ' ' ORDER BY id) AS text FROM farm.job";
    assert_eq!(text(&mut conn, bytes), "1 0 0 0 0 0");
    assert_sound(&mut conn);
}

#[test]
fn an_end_that_comes_twice_in_a_batch_or_once_more_later_is_no_error() {
    let (_db, mut conn) = database();
    let one = testing::builder(&mut conn, "one");
    let key = leases(&mut conn, one, 1)[0];
    let end = (one.id, key, ended(Outcome::Succeeded));
    let other = (one.id, key, ended(Outcome::Failed));
    let ended = queue::finish_all(&mut conn, &[end.clone(), end.clone()]).unwrap();
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    let ended = queue::finish_all(&mut conn, &[end, other]).unwrap();
    assert!(ended[0].is_ok(), "{ended:?}");
    assert!(matches!(ended[1], Err(DbError::LeaseLost(_))), "{ended:?}");
    let lines = "SELECT count(*)::text AS text FROM farm.audit WHERE action = 'finish'";
    assert_eq!(text(&mut conn, lines), "1");
    assert_sound(&mut conn);
}

#[test]
fn a_batch_ends_tasks_in_every_way_and_lets_the_jobs_go_that_come_after() {
    let (_db, mut conn) = database();
    let one = testing::builder(&mut conn, "one");
    let jobs = [(); 3].map(|()| testing::accepted(&mut conn, &[PLATFORM]));
    let keys = one.claim(&mut conn, 3);
    let next = jobs.map(|job| {
        let next = testing::submitted(&mut conn, Some(job));
        testing::accept(&mut conn, next, &[PLATFORM]);
        next
    });
    let outcomes = [Outcome::Succeeded, Outcome::Failed, Outcome::FarmFault];
    let ends: Vec<_> = keys.iter().zip(outcomes).map(|(key, outcome)| (one.id, *key, ended(outcome))).collect();
    assert!(queue::finish_all(&mut conn, &ends).unwrap().iter().all(Result::is_ok));
    assert_eq!(jobs.map(|job| state(&mut conn, job)), ["succeeded", "failed", "pending"]);
    assert_eq!(next.map(|job| state(&mut conn, job)), ["pending", "cancelled", "waiting"]);
    assert_sound(&mut conn);
}

#[test]
fn batches_that_end_tasks_of_the_same_jobs_and_packages_never_wait_in_a_circle() {
    let (db, mut conn) = database();
    testing::platform(&mut conn, "b-x86_64");
    let one = testing::builder(&mut conn, "one");
    for _ in 0..ROUNDS {
        for _ in 0..8 {
            testing::accepted(&mut conn, &[PLATFORM, "b-x86_64"]);
        }
        let keys = one.claim(&mut conn, 16);
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for half in 0..2 {
                let ends = keys.iter().skip(half).step_by(2).map(|key| (one.id, *key, ended(Outcome::Succeeded)));
                // In opposite orders.
                let mut ends: Vec<_> = ends.collect();
                if half == 0 {
                    ends.reverse();
                }
                let (start, mut conn) = (&start, db.connect());
                scope.spawn(move || {
                    start.wait();
                    assert!(queue::finish_all(&mut conn, &ends).unwrap().iter().all(Result::is_ok));
                });
            }
        });
        assert_sound(&mut conn);
    }
    let circles = "SELECT deadlocks::text AS text FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(text(&mut conn, circles), "0");
}

#[test]
fn renewals_of_many_builders_keep_what_is_theirs_and_tell_each_what_it_lost() {
    let (_db, mut conn) = database();
    let [one, two, three] = ["one", "two", "three"].map(|name| testing::builder(&mut conn, name));
    let (of_one, of_two, of_three) =
        (leases(&mut conn, one, 2), leases(&mut conn, two, 1), leases(&mut conn, three, 2));
    let job = text(&mut conn, &format!("SELECT job_id::text AS text FROM farm.task WHERE id = {}", of_one[1].task));
    queue::cancel_job(&mut conn, &testing::operator(), job.parse().unwrap()).unwrap();
    execute(&mut conn, "UPDATE farm.lease SET expires_at = now()");
    let renew = |builder: TestBuilder, leases: &[LeaseKey]| {
        (builder.id, Renew { instance: builder.instance, leases: leases.to_vec(), wait_seconds: 0 })
    };
    let old_life = (two.id, Renew { instance: Uuid::new_v4(), leases: of_two.clone(), wait_seconds: 0 });
    let renewals = [
        renew(one, &of_one),
        old_life,
        renew(two, &[]),
        renew(three, &[of_three[0], of_one[0], of_three[1]]),
        // Sent again while the first one is under way.
        renew(three, &of_three),
    ];
    let gone = queue::renew_all(&mut conn, &renewals, 60).unwrap();
    let gone: Vec<Vec<_>> =
        gone.iter().map(|gone| gone.iter().map(|gone| (gone.task, gone.outcome)).collect()).collect();
    assert_eq!(gone[0], [(of_one[1].task, Outcome::Cancelled)]);
    assert_eq!(gone[1], [(of_two[0].task, Outcome::Lost)]);
    assert_eq!(gone[2], []);
    assert_eq!(gone[3], [(of_one[0].task, Outcome::Lost)]);
    assert_eq!(gone[4], []);
    let renewed =
        "SELECT string_agg(task_id::text, ' ' ORDER BY task_id) AS text FROM farm.lease WHERE expires_at > now()";
    assert_eq!(text(&mut conn, renewed), format!("{} {} {}", of_one[0].task, of_three[0].task, of_three[1].task));
    assert_sound(&mut conn);
}

#[test]
fn who_renews_or_waits_is_seen() {
    let (_db, mut conn) = database();
    let (one, two) = (testing::builder(&mut conn, "one"), testing::builder(&mut conn, "two"));
    execute(&mut conn, "UPDATE farm.builder SET last_seen_at = now() - interval '1 hour'");
    let renewal = (one.id, Renew { instance: one.instance, leases: Vec::new(), wait_seconds: 0 });
    queue::renew_all(&mut conn, &[renewal], 60).unwrap();
    let seen = "SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') AS text FROM farm.builder_view WHERE alive";
    assert_eq!(text(&mut conn, seen), "one");
    queue::presence(&mut conn, &[(two.id, Uuid::new_v4())]).unwrap();
    assert_eq!(text(&mut conn, seen), "one");
    queue::presence(&mut conn, &[(two.id, two.instance)]).unwrap();
    assert_eq!(text(&mut conn, seen), "one two");
}

#[test]
fn who_waits_is_told_what_it_serves_and_whether_its_life_is_over() {
    let (_db, mut conn) = database();
    testing::platform(&mut conn, "b-s390x");
    let (one, two) = (testing::builder(&mut conn, "one"), testing::builder_for(&mut conn, "two", "s390x"));
    execute(&mut conn, "UPDATE farm.builder SET saves_for = 1 WHERE name = 'two'");
    let lives =
        [(two.id, two.instance), (one.id, Uuid::new_v4()), (one.id, one.instance), (BuilderId(99), Uuid::new_v4())];
    let stands = |builder, alive, platforms: &[&str], saves_slots| Presence {
        builder,
        alive,
        platforms: platforms.iter().map(|name| name.parse().unwrap()).collect(),
        saves_slots,
    };
    assert_eq!(
        queue::presence(&mut conn, &lives).unwrap(),
        [
            stands(two.id, true, &["b-s390x"], true),
            stands(one.id, false, &[PLATFORM], false),
            stands(one.id, true, &[PLATFORM], false),
            stands(BuilderId(99), false, &[], false),
        ]
    );
    operator_disables(&mut conn, "one");
    assert_eq!(queue::presence(&mut conn, &lives[2..3]).unwrap(), [stands(one.id, true, &[], false)]);
}

#[test]
fn keys_come_in_the_order_of_service_and_go_on_after_a_place() {
    let (_db, mut conn) = database();
    let other = testing::platform(&mut conn, "b-x86_64");
    for _ in 0..5 {
        testing::accepted(&mut conn, &[PLATFORM, "b-x86_64"]);
    }
    execute(
        &mut conn,
        "UPDATE farm.ready SET class = 'urgent' WHERE task_id = (SELECT max(task_id) FROM farm.ready WHERE platform = 'a-x86_64')",
    );
    execute(&mut conn, "UPDATE farm.ready SET not_before = now() + interval '1 hour' WHERE platform = 'b-x86_64'");
    let all = look(&mut conn);
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted_by_key(ReadyKey::place));
    assert_eq!(all[0].class.as_str(), "urgent");
    let ours = all[0].platform.clone();
    let after = [(ours.clone(), all[1].place()), (other.clone(), all[4].place())];
    let keys = queue::ready_keys_after(&mut conn, &after, 2).unwrap();
    let (of_ours, of_other): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.platform == ours);
    assert_eq!(of_ours.iter().map(|key| key.task).collect::<Vec<_>>(), [all[2].task, all[3].task]);
    assert!(of_other.iter().all(|key| key.place() > all[4].place()));
    let later = queue::ready_keys(&mut conn, &[other], 1).unwrap().remove(0);
    assert!(later.not_before_in > Duration::from_secs(3500) && later.not_before_in <= Duration::from_secs(3600));
}

#[tokio::test]
async fn whoever_listens_is_told_what_a_look_would_show() {
    let (db, mut conn) = database();
    let one = testing::builder(&mut conn, "one");
    let mut listener = Listener::connect(&db.url(), &[Channel::Ready]).await.unwrap();
    testing::accepted(&mut conn, &[PLATFORM]);
    let mut heard = async || {
        let told = tokio::time::timeout(DEADLINE, listener.next()).await.unwrap().unwrap();
        Ready::heard(&told.payload).unwrap()
    };
    assert_eq!(heard().await, Ready::Key(look(&mut conn).remove(0)));
    let key = one.claim_one(&mut conn);
    let two = testing::builder(&mut conn, "two");
    one.finish(&mut conn, &key, Outcome::FarmFault).unwrap();
    let Ready::Key(again) = heard().await else { panic!("only a platform was told") };
    assert_eq!((again.task, again.avoid), (key.task, vec![one.id]));
    // The first fault costs five seconds.
    assert!(again.not_before_in > Duration::from_secs(4) && again.not_before_in <= Duration::from_secs(5));
    farm_db::operator::set_builder_state(
        &mut conn,
        &testing::operator(),
        &"two".parse().unwrap(),
        BuilderState::Enabled,
        None,
    )
    .unwrap();
    assert_eq!(heard().await, Ready::Look(PLATFORM.parse().unwrap()));
    assert_eq!(given(&mut conn, &[pick(&look(&mut conn)[0], two)]), []);
    assert_eq!(Ready::heard("no platform"), None);
}
