//! Keys of what can be claimed.

use std::time::Duration;

use farm_db::{
    Channel, Listener,
    queue::{self, Lane, Ready, ReadyKey},
    testing::{self},
};
use farm_testing::DEADLINE;
use farm_types::{BuilderState, Outcome};

use super::{given, look, pick};
use crate::support::{PLATFORM, database, execute};

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
    let lane = |platform| Lane { platform, background: false };
    let after = [(lane(ours.clone()), all[1].place()), (lane(other.clone()), all[4].place())];
    let keys = queue::ready_keys_after(&mut conn, &after, 2).unwrap();
    let (of_ours, of_other): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.platform == ours);
    assert_eq!(of_ours.iter().map(|key| key.task).collect::<Vec<_>>(), [all[2].task, all[3].task]);
    assert!(of_other.iter().all(|key| key.place() > all[4].place()));
    let later = queue::ready_keys(&mut conn, &[lane(other)], 1).unwrap().remove(0);
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
    let keys = look(&mut conn);
    assert_eq!(given(&mut conn, &[pick(&keys[0], two)]), []);
    assert_eq!(Ready::heard("no platform"), None);
}
