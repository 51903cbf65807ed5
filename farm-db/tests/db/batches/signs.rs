//! Signs of life: renewals, and builders that wait.

use farm_api::hub::Renew;
use farm_db::{
    queue::{self, Presence},
    testing::{self, TestBuilder},
};
use farm_types::{BuilderId, LeaseKey, Outcome};
use uuid::Uuid;

use super::{leases, operator_disables};
use crate::support::{PLATFORM, assert_sound, database, execute, text};

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
    execute(&mut conn, "UPDATE farm.builder SET saves_for = 1, spare_slots = 3 WHERE name = 'two'");
    let lives =
        [(two.id, two.instance), (one.id, Uuid::new_v4()), (one.id, one.instance), (BuilderId(99), Uuid::new_v4())];
    let stands = |builder, alive, platforms: &[&str], (saves_slots, spare_slots)| Presence {
        builder,
        alive,
        platforms: platforms.iter().map(|name| name.parse().unwrap()).collect(),
        saves_slots,
        spare_slots,
    };
    assert_eq!(
        queue::presence(&mut conn, &lives).unwrap(),
        [
            stands(two.id, true, &["b-s390x"], (true, 3)),
            stands(one.id, false, &[PLATFORM], (false, 0)),
            stands(one.id, true, &[PLATFORM], (false, 0)),
            stands(BuilderId(99), false, &[], (false, 0)),
        ]
    );
    operator_disables(&mut conn, "one");
    assert_eq!(queue::presence(&mut conn, &lives[2..3]).unwrap(), [stands(one.id, true, &[], (false, 0))]);
}
