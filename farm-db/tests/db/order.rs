//! Who is served first.

use farm_db::{intake, operator, testing};
use farm_types::{Class, JobId};

use crate::support::{PLATFORM, database, text};

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
        text(&mut conn, &format!("SELECT class::text AS text FROM farm.task WHERE id = {}", key.task))
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
