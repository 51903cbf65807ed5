//! Group commit: what waits together is done together, and everybody has an answer of his own.

use std::sync::{
    Arc, Barrier, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, Sender, channel},
};

use diesel::{PgConnection, RunQueryDsl as _, sql_query};
use farm_db::{Batch, Bounds, DbError, Pool, Result};
use farm_testing::{DEADLINE, TestDb, eventually};
use tokio::task::JoinSet;

fn pool(db: &TestDb) -> Pool {
    Pool::new(&db.url(), 4, farm_db::pool::max_age_seconds()).unwrap()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually(what, DEADLINE, async || is_so().then_some(())).await;
}

/// How many items each batch had.
type Sizes = Arc<Mutex<Vec<usize>>>;

/// A batch at a time, of which the sizes are kept and which goes on when it is told to.
fn gated(pool: Pool, bounds: Bounds) -> (Batch<u32, u32>, Sizes, Sender<()>) {
    let (open, gate): (_, Receiver<()>) = channel();
    let (sizes, gate) = (Arc::new(Mutex::new(Vec::new())), Mutex::new(gate));
    let kept = Arc::clone(&sizes);
    let batch = Batch::new(pool, bounds, move |_, items: Vec<u32>| {
        kept.lock().unwrap().push(items.len());
        gate.lock().unwrap().recv().unwrap();
        Ok(items.into_iter().map(|item| item * 2).collect())
    });
    (batch, sizes, open)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_a_batch_is_under_way_is_done_in_the_next_one() {
    let db = TestDb::new();
    let (batch, sizes, open) = gated(pool(&db), Bounds { size: 4, under_way: 1, waiting: 100, ..Bounds::default() });
    let run = |item| {
        let batch = batch.clone();
        tokio::spawn(async move { batch.run(item).await.unwrap() })
    };
    let first = run(1);
    until("the first batch is under way", || sizes.lock().unwrap().len() == 1).await;
    let others: Vec<_> = (2..=7).map(run).collect();
    until("the others wait", || batch.waiting() == 6).await;
    for _ in 0..3 {
        open.send(()).unwrap();
    }
    assert_eq!(first.await.unwrap(), 2);
    for (other, item) in others.into_iter().zip(2..) {
        assert_eq!(other.await.unwrap(), item * 2);
    }
    assert_eq!(*sizes.lock().unwrap(), [1, 4, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_hangs_does_not_keep_the_next_one_waiting() {
    let db = TestDb::new();
    let (open, gate) = channel::<()>();
    let (gate, begun) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let begins = Arc::clone(&begun);
    let batch = Batch::new(pool(&db), Bounds::default(), move |_, items: Vec<u32>| {
        begins.fetch_add(1, Ordering::SeqCst);
        if items.contains(&1) {
            gate.lock().unwrap().recv().unwrap();
        }
        Ok(items)
    });
    let hanging = batch.clone();
    let hanging = tokio::spawn(async move { hanging.run(1).await.unwrap() });
    until("the first batch is under way", || begun.load(Ordering::SeqCst) == 1).await;
    assert_eq!(tokio::time::timeout(DEADLINE, batch.run(2)).await.unwrap().unwrap(), 2);
    open.send(()).unwrap();
    assert_eq!(hanging.await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_when_too_many_wait_is_sent_away() {
    let db = TestDb::new();
    let (batch, sizes, open) = gated(pool(&db), Bounds { size: 4, under_way: 1, waiting: 1, ..Bounds::default() });
    let run = |item| {
        let batch = batch.clone();
        tokio::spawn(async move { batch.run(item).await })
    };
    let first = run(1);
    until("the first batch is under way", || sizes.lock().unwrap().len() == 1).await;
    let second = run(2);
    until("the second waits", || batch.waiting() == 1).await;
    assert!(matches!(batch.run(3).await, Err(DbError::Busy)));
    open.send(()).unwrap();
    open.send(()).unwrap();
    assert_eq!([first.await.unwrap().unwrap(), second.await.unwrap().unwrap()], [2, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_has_it_done_all_the_same() {
    let db = TestDb::new();
    let (batch, sizes, open) = gated(pool(&db), Bounds { size: 4, under_way: 1, waiting: 100, ..Bounds::default() });
    let gone = tokio::spawn({
        let batch = batch.clone();
        async move { batch.run(1).await }
    });
    until("the first batch is under way", || sizes.lock().unwrap().len() == 1).await;
    gone.abort();
    let stays = tokio::spawn({
        let batch = batch.clone();
        async move { batch.run(2).await.unwrap() }
    });
    open.send(()).unwrap();
    open.send(()).unwrap();
    assert_eq!(stays.await.unwrap(), 4);
    assert_eq!(*sizes.lock().unwrap(), [1, 1]);
}

/// Fails for 1, panics for 2, and answers too little for 3.
fn fail(conn: &mut PgConnection, items: Vec<u32>) -> Result<Vec<u32>> {
    if items.contains(&1) {
        sql_query("SELECT 1 / 0").execute(conn)?;
    }
    assert!(!items.contains(&2), "it is two");
    Ok(items.into_iter().filter(|item| *item != 3).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_a_panic_and_a_missing_answer_are_told_to_everybody_and_the_next_batch_goes_well() {
    let db = TestDb::new();
    let batch = Batch::new(pool(&db), Bounds::default(), fail);
    assert!(matches!(batch.run(1).await, Err(DbError::Sql(_))));
    assert!(matches!(batch.run(2).await, Err(DbError::Unavailable(_))));
    assert!(matches!(batch.run(3).await, Err(DbError::Data(_))));
    assert_eq!(batch.run(4).await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_batches_are_under_way_at_the_same_time_and_no_more() {
    let db = TestDb::new();
    let (both, busy) = (Barrier::new(2), AtomicUsize::new(0));
    let batch = Batch::new(
        pool(&db),
        Bounds { size: 1, under_way: 2, waiting: 100, ..Bounds::default() },
        move |_, items: Vec<()>| {
            let busy_now = busy.fetch_add(1, Ordering::SeqCst) + 1;
            both.wait();
            busy.fetch_sub(1, Ordering::SeqCst);
            Ok(items.into_iter().map(|()| busy_now).collect())
        },
    );
    let all: Vec<_> = (0..20)
        .map(|_| {
            let batch = batch.clone();
            tokio::spawn(async move { batch.run(()).await.unwrap() })
        })
        .collect();
    for one in all {
        assert!(one.await.unwrap() <= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_too_many_wait_for_a_connection_the_next_one_is_sent_away_at_once() {
    let db = TestDb::new();
    let pool = Pool::new(&db.url(), 1, farm_db::pool::max_age_seconds()).unwrap();
    let (open, gate) = channel::<()>();
    let busy = pool.clone();
    let (has_it, waits_for_it) = tokio::sync::oneshot::channel();
    let first = tokio::spawn(async move {
        let verb = move |_: &mut PgConnection| {
            has_it.send(()).unwrap();
            Ok(gate.recv().is_ok())
        };
        busy.run(verb).await
    });
    waits_for_it.await.unwrap();
    let mut others = JoinSet::new();
    for _ in 0..65 {
        let pool = pool.clone();
        others.spawn(async move { pool.run(|_| Ok(true)).await });
    }
    let refused = others.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, Err(DbError::Busy)), "{refused:?}");
    open.send(()).unwrap();
    assert!(first.await.unwrap().unwrap());
    assert!(others.join_all().await.into_iter().all(|answer| answer.unwrap()));
}
