//! Listening goes on while connections come and go.

use std::time::Duration;

use farm_db::{Channel, Heard};
use farm_testing::{DEADLINE, TestDb};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::{execute, text};

const LISTENERS: &str = "SELECT count(*)::text AS text FROM pg_stat_activity
                         WHERE datname = current_database() AND query LIKE 'LISTEN %'";

async fn next<T>(heard: &mut UnboundedReceiver<T>) -> T {
    tokio::time::timeout(DEADLINE, heard.recv()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_became_old_goes_when_the_next_one_is_there() {
    let db = TestDb::new();
    let (tell, mut heard) = unbounded_channel();
    let (url, mut conn) = (db.url(), db.connect());
    // Asked in the very moment in which one is told of a connection.
    let listening = tokio::spawn(async move {
        farm_db::listen(&url, &[Channel::Access], 1, |heard| tell.send((heard, text(&mut conn, LISTENERS))).unwrap())
            .await;
    });
    let (first, listeners) = next(&mut heard).await;
    assert!(matches!(first, Heard::Connected), "{first:?}");
    assert_eq!(listeners, "1");
    for _ in 0..2 {
        let (again, listeners) = next(&mut heard).await;
        assert!(matches!(again, Heard::Connected), "{again:?}");
        assert_eq!(listeners, "2", "the old connection was gone before the new one was told of");
    }
    execute(&mut db.connect(), "SELECT pg_notify('farm_access', '')");
    let told = async {
        loop {
            match next(&mut heard).await.0 {
                Heard::Told(told) => return told,
                Heard::Connected => {}
                Heard::Lost(error) => panic!("{error}"),
            }
        }
    };
    assert_eq!(told.await.channel, Channel::Access);
    listening.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_can_have_no_next_connection_says_so() {
    let db = TestDb::new();
    let (tell, mut heard) = unbounded_channel();
    execute(&mut db.connect(), "CREATE ROLE leaving LOGIN");
    let url = db.url_as("leaving");
    let listening = tokio::spawn(async move {
        farm_db::listen(&url, &[Channel::Access], 1, |heard| tell.send(heard).unwrap()).await;
    });
    assert!(matches!(next(&mut heard).await, Heard::Connected));
    execute(&mut db.connect(), "ALTER ROLE leaving NOLOGIN");
    let lost = tokio::time::timeout(DEADLINE + Duration::from_secs(1), async {
        loop {
            if let Heard::Lost(error) = next(&mut heard).await {
                return error.to_string();
            }
        }
    });
    let why = lost.await.unwrap();
    assert!(why.contains("not permitted to log in"), "{why}");
    listening.abort();
    execute(&mut db.connect(), "DROP ROLE leaving");
}
