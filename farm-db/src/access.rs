//! Who is it: persons, their tokens and sessions; and what was written down of what they did.

use diesel::{
    OptionalExtension, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Nullable, Text},
};
use farm_api::access::{Account, AuditEntry, AuditFilter, TokenInfo};
use farm_types::{BucketName, Digest, JobId, PersonId, Right, Scope, TokenKind};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    Actor, DbError, Result, Viewer,
    actor::{actor, bind},
    document::{document, documents},
};

/// A person that is known and let in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KnownPerson {
    /// The person's number.
    pub person: PersonId,
    /// The principal.
    pub principal: String,
}

/// Who a token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenBearer {
    /// The person.
    #[serde(flatten)]
    pub known: KnownPerson,
    /// What the token is.
    pub kind: TokenKind,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// Until when.
    pub expires: Timestamp,
    /// Whether it was begun with another token, as a session can be.
    #[serde(default)]
    pub derived: bool,
}

/// Who comes with a ticket, or is on the machine of a farm of one. Refuses builders, and who was shut out.
pub fn caller_by_principal(conn: &mut PgConnection, principal: &str) -> Result<KnownPerson> {
    let query = sql_query("SELECT farm.caller_by_principal($1) AS document").bind::<Text, _>(principal);
    document(conn, query)?.ok_or_else(|| DbError::Data("a person has no number".to_owned()))
}

/// Who comes with a token; `None`: nobody that is known, or not any more.
pub fn caller_by_token(conn: &mut PgConnection, token: &Digest) -> Result<Option<TokenBearer>> {
    let query = sql_query("SELECT document FROM farm.caller_by_token($1) AS document WHERE document IS NOT NULL");
    document(conn, query.bind::<Binary, _>(token.as_bytes().as_slice()))
}

/// What a person is to the farm.
pub fn account(conn: &mut PgConnection, principal: &str) -> Result<Account> {
    let query = sql_query("SELECT farm.whoami($1) AS document").bind::<Text, _>(principal);
    document(conn, query)?.ok_or_else(|| DbError::NotFound(format!("{principal} was never here")))
}

fn labels(scopes: &[Scope]) -> Vec<&'static str> {
    scopes.iter().map(|scope| scope.as_str()).collect()
}

/// A token to be given after a proof of who somebody is.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// Its digest.
    pub token: &'a Digest,
    /// What it is.
    pub kind: TokenKind,
    /// What it is good for.
    pub scopes: &'a [Scope],
    /// For how long.
    pub seconds: u32,
    /// The token that was the proof, with which it ends.
    pub parent: Option<&'a Digest>,
}

/// Gives a person a token or session after a proof of who that is. Answers until when it is good.
pub fn log_in(conn: &mut PgConnection, actor: &Actor, login: &Login<'_>) -> Result<Timestamp> {
    let query = sql_query(concat!(
        "SELECT to_jsonb(farm.log_in(",
        actor!(),
        ", $4, $5::farm.token_kind, $6::farm.scope[], make_interval(secs => $7), $8)) AS document"
    ));
    let query = bind!(query, actor)
        .bind::<Binary, _>(login.token.as_bytes().as_slice())
        .bind::<Text, _>(login.kind.as_str())
        .bind::<Array<Text>, _>(labels(login.scopes))
        .bind::<Double, _>(f64::from(login.seconds))
        .bind::<Nullable<Binary>, _>(login.parent.map(|digest| digest.as_bytes().as_slice()));
    document(conn, query)?.ok_or_else(|| DbError::Data("a token has no end".to_owned()))
}

/// Ends a session.
pub fn log_out(conn: &mut PgConnection, actor: &Actor, token: &Digest) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.log_out(", actor!(), ", $4)"));
    bind!(query, actor).bind::<Binary, _>(token.as_bytes().as_slice()).execute(conn)?;
    Ok(())
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken<'a> {
    /// Whose.
    pub person: &'a str,
    /// Its digest.
    pub digest: &'a Digest,
    /// What its owner calls it.
    pub name: &'a str,
    /// What it is good for.
    pub scopes: &'a [Scope],
    /// For how many days.
    pub days: u32,
}

/// Makes a token for scripts. Answers its number.
pub fn make_token(conn: &mut PgConnection, actor: &Actor, new: &NewToken<'_>) -> Result<i64> {
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        id: i64,
    }
    let query = sql_query(concat!(
        "SELECT farm.make_token(",
        actor!(),
        ", $4, $5, $6, $7::farm.scope[], make_interval(days => $8)) AS id"
    ));
    let row: Number = bind!(query, actor)
        .bind::<Text, _>(new.person)
        .bind::<Binary, _>(new.digest.as_bytes().as_slice())
        .bind::<Text, _>(new.name)
        .bind::<Array<Text>, _>(labels(new.scopes))
        .bind::<Integer, _>(i32::try_from(new.days).unwrap_or(i32::MAX))
        .get_result(conn)?;
    Ok(row.id)
}

/// Revokes a token or session.
pub fn revoke_token(conn: &mut PgConnection, actor: &Actor, token: i64) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.revoke_token(", actor!(), ", $4)"));
    bind!(query, actor).bind::<BigInt, _>(token).execute(conn)?;
    Ok(())
}

/// The tokens and sessions of a person, or of everybody.
pub fn tokens(conn: &mut PgConnection, principal: Option<&str>) -> Result<Vec<TokenInfo>> {
    let query = sql_query("SELECT document FROM farm.tokens_of($1) AS document");
    documents(conn, query.bind::<Nullable<Text>, _>(principal))
}

/// Forgets tokens that are not good any more. Answers how many.
pub fn forget_tokens(conn: &mut PgConnection) -> Result<i32> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = Integer)]
        count: i32,
    }
    let row: Count = sql_query("SELECT farm.forget_tokens() AS count").get_result(conn)?;
    Ok(row.count)
}

/// Whether somebody sees what is in a bucket.
pub fn sees_bucket(conn: &mut PgConnection, viewer: Viewer, bucket: &BucketName) -> Result<bool> {
    #[derive(QueryableByName)]
    struct Sees {
        #[diesel(sql_type = Bool)]
        sees: bool,
    }
    let query = sql_query("SELECT farm.sees_bucket($1, $2) AS sees");
    let row: Sees =
        query.bind::<Nullable<Integer>, _>(viewer.number()).bind::<Text, _>(bucket.as_str()).get_result(conn)?;
    Ok(row.sees)
}

/// Whether a person may do something: for showing a button, and for what only administrators read. Verbs that change
/// something ask by themselves.
pub fn may(conn: &mut PgConnection, person: PersonId, right: Right, object: Option<&str>) -> Result<bool> {
    #[derive(QueryableByName)]
    struct May {
        #[diesel(sql_type = Bool)]
        may: bool,
    }
    let row: May = sql_query("SELECT farm.may($1, $2::farm.right, $3) AS may")
        .bind::<Integer, _>(person.0)
        .bind::<Text, _>(right.as_str())
        .bind::<Nullable<Text>, _>(object)
        .get_result(conn)?;
    Ok(row.may)
}

/// Whether a person may cancel and retry a job: for showing a button.
pub fn may_change(conn: &mut PgConnection, person: PersonId, job: JobId) -> Result<bool> {
    #[derive(QueryableByName)]
    struct May {
        #[diesel(sql_type = Bool)]
        may: bool,
    }
    let query = sql_query("SELECT farm.may_change($1, $2) AS may");
    let row: May = query.bind::<Integer, _>(person.0).bind::<BigInt, _>(job.0).get_result(conn)?;
    Ok(row.may)
}

/// What was written down, newest first.
pub fn audit(conn: &mut PgConnection, filter: &AuditFilter) -> Result<Vec<AuditEntry>> {
    let query = sql_query(
        "SELECT jsonb_build_object('id', id, 'at', at, 'actor', actor, 'way', way, 'address', address, 'action', action,
           'object', object, 'details', details, 'process', process) AS document
         FROM farm.audit WHERE ($1 IS NULL OR actor = $1) AND ($2 IS NULL OR object = $2) AND ($3 IS NULL OR action = $3)
           AND ($4 IS NULL OR at >= $4::timestamptz) AND ($5 IS NULL OR id < $5) ORDER BY id DESC LIMIT $6",
    );
    let since = filter.since.map(|since| since.to_string());
    documents(
        conn,
        query
            .bind::<Nullable<Text>, _>(filter.actor.as_deref())
            .bind::<Nullable<Text>, _>(filter.object.as_deref())
            .bind::<Nullable<Text>, _>(filter.action.as_deref())
            .bind::<Nullable<Text>, _>(since.as_deref())
            .bind::<Nullable<BigInt>, _>(filter.before)
            .bind::<BigInt, _>(i64::from(filter.limit.unwrap_or(100).clamp(1, 1000))),
    )
}

/// Who this process is to the database: the principal of its ticket, or its role.
pub fn process(conn: &mut PgConnection) -> Result<(String, String)> {
    #[derive(QueryableByName)]
    struct Me {
        #[diesel(sql_type = Text)]
        role: String,
        #[diesel(sql_type = Text)]
        process: String,
    }
    let me: Option<Me> =
        sql_query("SELECT session_user::text AS role, farm.process() AS process").get_result(conn).optional()?;
    me.map(|me| (me.role, me.process)).ok_or_else(|| DbError::Data("a session has no role".to_owned()))
}
