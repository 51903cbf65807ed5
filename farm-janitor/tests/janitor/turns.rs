//! Whose turn it is with a chore.

use farm_db::chores::{self, ChoreEnd};
use farm_janitor::{
    chores::{CHORES, find},
    run_chore,
};
use farm_testing::TestDb;
use uuid::Uuid;

use crate::support::Farm;

fn begin(db: &TestDb, janitor: Uuid, period: f64) -> bool {
    chores::begin(&mut db.connect_as("farm_janitor"), "blobs", janitor, period, 600.0).unwrap()
}

#[test]
fn a_chore_is_done_by_one_janitor_at_a_time_and_not_before_its_time() {
    let db = TestDb::new();
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    assert!(begin(&db, one, 3600.0));
    assert!(!begin(&db, other, 0.0), "the first one is at it");
    chores::end(&mut db.connect(), "blobs", one, &ChoreEnd { done: 3, ..ChoreEnd::default() }).unwrap();
    assert!(!begin(&db, other, 3600.0), "it is not time");
    assert!(begin(&db, other, 0.0));
}

#[test]
fn the_chore_of_a_janitor_that_was_stopped_is_taken_over_and_its_late_word_changes_nothing() {
    let farm = Farm::new();
    let (stopped, other) = (Uuid::new_v4(), Uuid::new_v4());
    assert!(begin(&farm.db, stopped, 0.0));
    farm.pass("UPDATE farm.chore SET held_until = now() - interval '1 second'");
    assert!(begin(&farm.db, other, 0.0));
    let late = ChoreEnd { done: 7, error: Some("it was stopped".to_owned()), ..ChoreEnd::default() };
    chores::end(&mut farm.db.connect(), "blobs", stopped, &late).unwrap();
    let state = chores::states(&mut farm.db.connect()).unwrap().remove(0);
    assert!(state.running && state.total == 0 && state.error.is_none(), "{state:?}");
}

#[tokio::test]
async fn every_chore_runs_with_the_rights_of_the_janitor_and_is_written_down() {
    let farm = Farm::new();
    for chore in CHORES {
        let report = run_chore(chore, &farm.tools).await.unwrap().expect(chore.name);
        assert!(report.alarms.is_empty(), "{}: {report:?}", chore.name);
        if let Some(preview) = chore.preview {
            preview(farm.tools.clone()).await.unwrap();
        }
    }
    let states = chores::states(&mut farm.db.connect()).unwrap();
    assert_eq!(states.len(), CHORES.len());
    assert!(states.iter().all(|state| state.ended_at.is_some() && !state.running), "{states:?}");
}

#[tokio::test]
async fn a_chore_that_fails_says_how_often_and_why_until_it_is_done() {
    let farm = Farm::new();
    let blobs = find("blobs").unwrap();
    farm.pass("ALTER FUNCTION farm.mark_blobs RENAME TO mark_blobs_away");
    for failures in 1..=2 {
        run_chore(blobs, &farm.tools).await.unwrap_err();
        let state = chores::states(&mut farm.db.connect()).unwrap().remove(0);
        assert_eq!(state.failures, failures);
        assert!(state.error.unwrap().contains("farm.mark_blobs"));
    }
    farm.pass("ALTER FUNCTION farm.mark_blobs_away RENAME TO mark_blobs");
    run_chore(blobs, &farm.tools).await.unwrap().unwrap();
    let state = chores::states(&mut farm.db.connect()).unwrap().remove(0);
    assert_eq!((state.failures, state.error), (0, None));
}
