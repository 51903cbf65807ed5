//! What the pool does with servers that are not the one any more.

use diesel::connection::SimpleConnection as _;
use farm_db::{DbError, PgConnection, Pool};
use farm_testing::{Cluster, TestDb};

use crate::support::{execute, text};

fn server_process(conn: &mut PgConnection) -> farm_db::Result<String> {
    Ok(text(conn, "SELECT pg_backend_pid()::text AS text"))
}

#[tokio::test]
async fn a_connection_on_which_a_change_was_refused_as_on_a_replica_is_not_used_again() {
    let db = TestDb::new();
    let pool = Pool::new(&db.url(), 1, 600).unwrap();
    let before = pool.run(server_process).await.unwrap();
    assert_eq!(pool.run(server_process).await.unwrap(), before, "the pool keeps what is good");
    let refused = pool.run(|conn| {
        conn.batch_execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")?;
        Ok(conn.batch_execute("CREATE TABLE nothing ()")?)
    });
    let error = refused.await.unwrap_err();
    assert!(matches!(error, DbError::Unavailable(_)), "{error:?}");
    assert_ne!(pool.run(server_process).await.unwrap(), before);
}

#[tokio::test]
async fn a_server_that_takes_no_changes_any_more_is_given_up_before_it_is_asked_for_one() {
    let cluster = Cluster::own();
    let db = cluster.database();
    let pool = Pool::new(&db.url(), 1, 600).unwrap();
    pool.run(server_process).await.unwrap();
    let set = |value: &str| {
        let mut conn = db.connect();
        conn.batch_execute("SET default_transaction_read_only = off").unwrap();
        conn.batch_execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE").unwrap();
        execute(&mut conn, &format!("ALTER SYSTEM SET default_transaction_read_only = {value}"));
        execute(&mut conn, "SELECT pg_reload_conf()");
    };
    set("on");
    let error = farm_testing::eventually("the end of all changes", farm_testing::DEADLINE, async || {
        pool.run(server_process).await.err()
    })
    .await;
    assert!(matches!(&error, DbError::Unavailable(why) if why.contains("takes no changes")), "{error:?}");
    set("off");
    farm_testing::eventually("changes", farm_testing::DEADLINE, async || pool.run(server_process).await.ok()).await;
}
