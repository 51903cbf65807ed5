//! What an operator's tools ask to find out whether a farm is well. Needs the rights of `farm_owner`.

use diesel::{PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::BigInt};

use crate::{Result, conninfo, migrate};

/// Signs that a daemon does not do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Health {
    /// Jobs that no validator has decided on for more than a minute, though it is their time.
    #[diesel(sql_type = BigInt)]
    pub undecided: i64,
    /// Leases that ran out more than a minute ago and that no janitor has taken back.
    #[diesel(sql_type = BigInt)]
    pub expired: i64,
}

/// Opens a connection on which nothing takes longer than two seconds: whoever asks for health must not hang.
pub fn connect(conninfo: &str) -> Result<PgConnection> {
    let mut conn = migrate::connect(&conninfo::with(conninfo, "connect_timeout", "2"))?;
    conn.batch_execute("SET statement_timeout = '2s'")?;
    Ok(conn)
}

/// Looks for the signs.
pub fn health(conn: &mut PgConnection) -> Result<Health> {
    let query = sql_query(
        "SELECT (SELECT count(*) FROM farm.job WHERE state = 'submitted'
                 AND greatest(submitted_at, next_try_at) < now() - interval '1 minute') AS undecided,
                (SELECT count(*) FROM farm.lease WHERE expires_at < now() - interval '1 minute') AS expired",
    );
    Ok(query.get_result(conn)?)
}
