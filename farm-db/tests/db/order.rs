//! Who is served first.

use diesel::PgConnection;
use farm_db::{DbError, chores, intake, operator, queue, testing};
use farm_types::{Class, JobId, Outcome};

use crate::support::{PLATFORM, assert_sound, database, end_backoffs, execute, text};

#[test]
fn urgent_before_normal_before_background() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    operator::set_grant(&mut conn, &testing::operator(), &"class:urgent".parse().unwrap(), "alice", true).unwrap();
    for class in [Class::Background, Class::Normal, Class::Urgent] {
        let new = intake::Submission { class, ..testing::submission(&mut conn, "alice") };
        let (job, _) = intake::submit(&mut conn, &new).unwrap();
        testing::accept(&mut conn, job, &[PLATFORM]);
    }
    let jobs = [(); 3].map(|()| {
        let key = builder.claim_one(&mut conn);
        text(
            &mut conn,
            &format!(
                "SELECT j.class::text AS text FROM farm.task t JOIN farm.job j ON j.id = t.job_id WHERE t.id = {}",
                key.task
            ),
        )
    });
    assert_eq!(jobs, ["urgent", "normal", "background"]);
}

#[test]
fn many_jobs_of_one_person_do_not_delay_the_single_one_of_another() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let mut submit = |principal: &str| -> JobId {
        let new = testing::submission(&mut conn, principal);
        let (job, _) = intake::submit(&mut conn, &new).unwrap();
        testing::accept(&mut conn, job, &[PLATFORM]);
        job
    };
    for _ in 0..20 {
        submit("alice");
    }
    let bobs = submit("bob");
    let served: Vec<_> = (0..2).map(|_| builder.claim_one(&mut conn).task).collect();
    let of_bob = crate::support::task_of(&mut conn, bobs);
    assert!(served.contains(&of_bob), "{of_bob} is not among {served:?}");
}

#[test]
fn a_builder_gets_as_many_as_it_wants_and_no_more() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    for _ in 0..5 {
        testing::accepted(&mut conn, &[PLATFORM]);
    }
    assert_eq!(builder.claim(&mut conn, 3).len(), 3);
    assert_eq!(builder.claim(&mut conn, 3).len(), 2);
    assert_eq!(builder.claim(&mut conn, 3).len(), 0);
}

#[test]
fn a_builder_is_given_only_what_it_may_serve() {
    let (_db, mut conn) = database();
    testing::platform(&mut conn, "b-x86_64");
    let builder = testing::builder(&mut conn, "one");
    let only_b = [testing::platform(&mut conn, "b-x86_64")];
    testing::put_builder(&mut conn, "one", &testing::digest(), Some(&only_b));
    let other = testing::builder_for(&mut conn, "other", "i686");
    testing::accepted(&mut conn, &[PLATFORM]);
    assert!(builder.claim(&mut conn, 1).is_empty());
    assert!(other.claim(&mut conn, 1).is_empty());
    testing::accepted(&mut conn, &["b-x86_64"]);
    assert_eq!(builder.claim(&mut conn, 2).len(), 1);
}

/// The rank of the only task of a new job of that package.
fn rank(conn: &mut PgConnection, person: &str, package: &str) -> i64 {
    let new = testing::submission(conn, person);
    let (job, _) = intake::submit(conn, &new).unwrap();
    testing::accept_as(conn, job, package, &[PLATFORM]);
    text(conn, &format!("SELECT rank::text AS text FROM farm.task WHERE job_id = {job}")).parse().unwrap()
}

#[test]
fn a_package_is_expected_to_take_what_it_took_here_or_elsewhere_or_a_minute() {
    let (_db, mut conn) = database();
    testing::platform(&mut conn, "b-x86_64");
    testing::took_before(&mut conn, PLATFORM, "here", 10.0);
    testing::took_before(&mut conn, "b-x86_64", "here", 500.0);
    testing::took_before(&mut conn, "b-x86_64", "elsewhere", 20.0);
    let ranks = ["here", "elsewhere", "nowhere", "last"].map(|package| rank(&mut conn, "alice", package));
    assert_eq!([ranks[1] - ranks[0], ranks[2] - ranks[1], ranks[3] - ranks[2]], [10_000, 20_000, 60_000]);
}

#[test]
fn what_is_cancelled_before_it_was_built_costs_nothing() {
    let (_db, mut conn) = database();
    let alice = testing::person("alice");
    let first = rank(&mut conn, "alice", "hello");
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    queue::cancel_job(&mut conn, &alice, job).unwrap();
    assert_eq!(rank(&mut conn, "alice", "hello") - first, 60_000);
    assert_sound(&mut conn);
}

#[test]
fn a_task_costs_what_it_took_when_its_person_hands_in_the_next() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    // Somebody else waits too, so the clock stands still.
    let ranks = [rank(&mut conn, "bob", "hello"), rank(&mut conn, "alice", "hello")];
    assert_eq!(ranks[0], ranks[1]);
    rank(&mut conn, "bob", "hello");
    let (bobs, alices) = (builder.claim_one(&mut conn), builder.claim_one(&mut conn));
    testing::began_ago(&mut conn, alices.task, 600.0);
    builder.finish(&mut conn, &alices, Outcome::Failed).unwrap();
    let late = rank(&mut conn, "alice", "hello") - ranks[1];
    assert!((600_000..610_000).contains(&late), "{late} ms");
    // What the farm spoilt is not paid for.
    let mut key = bobs;
    for attempt in 1..=3 {
        if attempt > 1 {
            end_backoffs(&mut conn);
            key = builder.claim_one(&mut conn);
            assert_eq!(key.task, bobs.task, "it kept its place");
        }
        testing::began_ago(&mut conn, key.task, 600.0);
        builder.finish(&mut conn, &key, Outcome::FarmFault).unwrap();
    }
    assert_eq!(rank(&mut conn, "bob", "hello") - ranks[0], 60_000);
    assert_sound(&mut conn);
}

#[test]
fn an_old_rank_at_the_head_of_the_line_turns_no_clock_back() {
    let (_db, mut conn) = database();
    let old = rank(&mut conn, "alice", "hello");
    execute(&mut conn, "UPDATE farm.share SET clock = 1000000, finish = 2000000");
    assert!(rank(&mut conn, "bob", "hello") >= old + 1_000_000);
}

#[test]
fn the_share_of_a_person_is_its_own_or_the_greatest_of_its_groups_and_divides_what_time_counts() {
    let (_db, mut conn) = database();
    let operator = testing::operator();
    rank(&mut conn, "alice", "hello");
    for (group, members) in [("slow", ["alice", "bob"]), ("fast", ["alice", "carol"])] {
        operator::put_group(&mut conn, &operator, group, "").unwrap();
        for member in members {
            operator::set_member(&mut conn, &operator, group, member, true).unwrap();
        }
    }
    for (whose, share) in [("@slow", 0.5), ("@fast", 4.0)] {
        operator::set_share(&mut conn, &operator, whose, Some(share)).unwrap();
    }
    let gap = |conn: &mut PgConnection, person: &str| -rank(conn, person, "hello") + rank(conn, person, "hello");
    assert_eq!(gap(&mut conn, "alice"), 15_000);
    assert_eq!(gap(&mut conn, "bob"), 120_000);
    operator::set_share(&mut conn, &operator, "alice", Some(2.0)).unwrap();
    assert_eq!(gap(&mut conn, "alice"), 30_000);
    for bad in [0.0, 0.001, -1.0, 1001.0, f64::NAN, f64::INFINITY] {
        let refused = operator::set_share(&mut conn, &operator, "alice", Some(bad)).unwrap_err();
        assert!(matches!(refused, DbError::Conflict(_)), "{bad}: {refused}");
    }
}

#[test]
fn one_persons_jobs_are_accepted_side_by_side_without_a_deadlock_and_each_has_its_own_place() {
    let (db, mut conn) = database();
    testing::platform(&mut conn, "b-x86_64");
    let jobs: Vec<_> = (0..40).map(|_| testing::submitted(&mut conn, None)).collect();
    std::thread::scope(|scope| {
        for mine in jobs.chunks(10) {
            let db = &db;
            scope.spawn(move || {
                let mut conn = db.connect();
                for (n, job) in mine.iter().enumerate() {
                    let both = if n % 2 == 0 { ["b-x86_64", PLATFORM] } else { [PLATFORM, "b-x86_64"] };
                    testing::accept(&mut conn, *job, &both);
                }
            });
        }
    });
    let places = "SELECT count(DISTINCT (platform, rank))::text AS text FROM farm.task";
    assert_eq!(text(&mut conn, places), "80");
    assert_sound(&mut conn);
}

#[test]
fn what_was_settled_of_who_hands_in_nothing_counts_all_the_same() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = builder.claim_one(&mut conn);
    let new = testing::submission(&mut conn, "bob");
    let (bobs, _) = intake::submit(&mut conn, &new).unwrap();
    testing::accept(&mut conn, bobs, &[PLATFORM]);
    testing::began_ago(&mut conn, key.task, 600.0);
    builder.finish(&mut conn, &key, Outcome::Succeeded).unwrap();

    let next = |conn: &mut PgConnection| {
        let job = testing::accepted(conn, &[PLATFORM]);
        text(conn, &format!("SELECT (rank / 1000)::text AS text FROM farm.task WHERE job_id = {job}"))
    };
    execute(&mut conn, "BEGIN");
    let settled_then = next(&mut conn);
    execute(&mut conn, "ROLLBACK");
    assert_eq!(settled_then, "600");
    assert_eq!(chores::settle_up(&mut conn, 1000).unwrap(), 1);
    assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.settlement"), "0");
    assert_eq!(chores::settle_up(&mut conn, 1000).unwrap(), 0);
    assert_eq!(next(&mut conn), settled_then);
}
