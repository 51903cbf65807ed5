//! Bringing the schema up to date. Needs a superuser: it makes roles.

use diesel::{Connection, PgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{DbError, Result};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");

/// Applies what is missing, one after the other, and answers the names of what was applied.
pub fn up(conn: &mut PgConnection) -> Result<Vec<String>> {
    let applied = conn.run_pending_migrations(MIGRATIONS).map_err(|e| DbError::Data(e.to_string()))?;
    Ok(applied.iter().map(ToString::to_string).collect())
}

/// What `up` would apply.
pub fn pending(conn: &mut PgConnection) -> Result<Vec<String>> {
    let pending = conn.pending_migrations(MIGRATIONS).map_err(|e| DbError::Data(e.to_string()))?;
    Ok(pending.iter().map(|m| m.name().to_string()).collect())
}

/// Applies the next one alone, and answers its name; for tests.
pub fn up_one(conn: &mut PgConnection) -> Result<String> {
    Ok(conn.run_next_migration(MIGRATIONS).map_err(|e| DbError::Data(e.to_string()))?.to_string())
}

/// Takes the last one back; for tests.
pub fn down_one(conn: &mut PgConnection) -> Result<()> {
    conn.revert_last_migration(MIGRATIONS).map_err(|e| DbError::Data(e.to_string()))?;
    Ok(())
}

/// Takes everything back; for tests.
pub fn down(conn: &mut PgConnection) -> Result<()> {
    conn.revert_all_migrations(MIGRATIONS).map_err(|e| DbError::Data(e.to_string()))?;
    Ok(())
}

/// Makes an empty database of that name unless it is there. `conn` is to any other database of the cluster.
pub fn create_database(conn: &mut PgConnection, name: &str) -> Result<()> {
    use diesel::{RunQueryDsl, sql_query, sql_types::Text};
    if !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
        return Err(DbError::Data(format!("“{name}” is no name for a database: small letters and underscores")));
    }
    let found = sql_query("SELECT 1 FROM pg_database WHERE datname = $1").bind::<Text, _>(name).execute(conn)?;
    if found == 0 {
        diesel::connection::SimpleConnection::batch_execute(conn, &format!("CREATE DATABASE {name}"))?;
    }
    Ok(())
}

/// Opens a connection for the functions above, without the time limits of the programs' own.
pub fn connect(conninfo: &str) -> Result<PgConnection> {
    Ok(PgConnection::establish(&crate::conninfo::patient(conninfo))?)
}
