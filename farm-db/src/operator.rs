//! What operators and administrators do: platforms, builders, buckets, persons, groups, rights. Every verb has an actor, whose
//! right the database asks for.

use diesel::{
    Connection as _, IntoSql as _, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Jsonb, Nullable, Text},
};
use farm_api::{
    access::{GrantInfo, Group, Limits, Person},
    limits::Limits as BuildLimits,
    people::{Bucket, Keep},
    recipe::Recipe,
};
use farm_types::{BucketName, BuilderId, BuilderName, BuilderState, Digest, Grant, PlatformName, TaskId};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    Actor, DbError, Result,
    actor::{actor, bind},
    call::call,
    document::{self, document, documents},
    read::BUCKET,
};

/// Adds a platform, or gives a known one a new recipe. Answers whether it is new.
pub fn put_platform(conn: &mut PgConnection, actor: &Actor, recipe: &Recipe) -> Result<bool> {
    #[derive(QueryableByName)]
    struct New {
        #[diesel(sql_type = Bool)]
        new: bool,
    }
    let query = sql_query(concat!("SELECT farm.put_platform(", actor!(), ", $4, $5, $6, $7, $8) AS new"));
    let row: New = bind!(query, actor)
        .bind::<Text, _>(recipe.name.as_str())
        .bind::<Text, _>(&recipe.release)
        .bind::<Text, _>(&recipe.arch)
        .bind::<Jsonb, _>(serde_json::to_value(recipe)?)
        .bind::<Bool, _>(recipe.auto)
        .get_result(conn)?;
    Ok(row.new)
}

/// Opens or closes a platform. Of a closed one no tasks are made, and those that wait are given to nobody until it is open
/// again; what is being built is built to its end.
pub fn enable_platform(conn: &mut PgConnection, actor: &Actor, name: &PlatformName, enabled: bool) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.enable_platform(", actor!(), ", $4, $5)"));
    bind!(query, actor).bind::<Text, _>(name.as_str()).bind::<Bool, _>(enabled).execute(conn)?;
    Ok(())
}

/// The recipe of a platform.
pub fn recipe(conn: &mut PgConnection, name: &PlatformName) -> Result<Recipe> {
    let query =
        sql_query("SELECT recipe AS document FROM farm.platform WHERE name = $1").bind::<Text, _>(name.as_str());
    document(conn, query)?.ok_or_else(|| DbError::NotFound(format!("there is no platform {name}")))
}

/// A builder to be registered.
#[derive(Debug, Clone, Default)]
pub struct NewBuilder<'a> {
    /// The digest of the token that is put on its host; `None`: as it is.
    pub token: Option<Digest>,
    /// The principal of its ticket; `None`: as it is.
    pub principal: Option<&'a str>,
    /// What it may serve; `None` is every platform of its architectures.
    pub platforms: Option<&'a [PlatformName]>,
}

/// Registers a builder, or changes a known one.
pub fn put_builder(conn: &mut PgConnection, actor: &Actor, name: &BuilderName, new: &NewBuilder<'_>) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.put_builder(", actor!(), ", $4, $5, $6, $7)"));
    bind!(query, actor)
        .bind::<Text, _>(name.as_str())
        .bind::<Nullable<Binary>, _>(new.token.as_ref().map(|digest| digest.as_bytes().as_slice()))
        .bind::<Nullable<Text>, _>(new.principal)
        .bind::<Nullable<Array<Text>>, _>(
            new.platforms.map(|names| names.iter().map(PlatformName::as_str).collect::<Vec<_>>()),
        )
        .execute(conn)?;
    Ok(())
}

/// Says whether a builder is given tasks, and why not.
pub fn set_builder_state(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &BuilderName,
    state: BuilderState,
    reason: Option<&str>,
) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.set_builder_state(", actor!(), ", $4, $5::farm.builder_state, $6)"));
    bind!(query, actor)
        .bind::<Text, _>(name.as_str())
        .bind::<Text, _>(state.as_str())
        .bind::<Nullable<Text>, _>(reason)
        .execute(conn)?;
    Ok(())
}

/// Says how many slots of a builder background tasks leave free; as many as it has: it takes none of them.
pub fn set_spare_slots(conn: &mut PgConnection, actor: &Actor, builder: &BuilderName, slots: u16) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.set_spare_slots(", actor!(), ", $4, $5)"));
    bind!(query, actor).bind::<Text, _>(builder.as_str()).bind::<Integer, _>(i32::from(slots)).execute(conn)?;
    Ok(())
}

/// After how many tasks in a row that it spoilt a builder is taken out of service; 0: never.
pub fn trust(conn: &mut PgConnection) -> Result<u32> {
    let query = sql_query("SELECT to_jsonb(in_a_row) AS document FROM farm.trust");
    document(conn, query)?
        .ok_or_else(|| DbError::Data("the row that says when builders are taken out is gone".to_owned()))
}

/// Says after how many tasks in a row that it spoilt a builder is taken out of service; 0: never.
pub fn set_trust(conn: &mut PgConnection, actor: &Actor, in_a_row: u32) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.set_trust(", actor!(), ", $4)"));
    bind!(query, actor).bind::<Integer, _>(i32::try_from(in_a_row).unwrap_or(i32::MAX)).execute(conn)?;
    Ok(())
}

/// For how many months a line of the audit is kept; 0: for ever.
pub fn audit_kept(conn: &mut PgConnection) -> Result<u32> {
    document(conn, sql_query("SELECT to_jsonb(months) AS document FROM farm.audit_keep"))?
        .ok_or_else(|| DbError::Data("the row that says how long the audit is kept is gone".to_owned()))
}

/// Says for how many months after its own a line of the audit is kept; 0: for ever.
pub fn keep_audit(conn: &mut PgConnection, actor: &Actor, months: u32) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.keep_audit(", actor!(), ", $4)"));
    bind!(query, actor).bind::<Integer, _>(i32::try_from(months).unwrap_or(i32::MAX)).execute(conn)?;
    Ok(())
}

/// Has a task built again that was set aside.
pub fn put_back(conn: &mut PgConnection, actor: &Actor, task: TaskId) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.put_back(", actor!(), ", $4)"));
    bind!(query, actor).bind::<BigInt, _>(task.0).execute(conn)?;
    Ok(())
}

/// A builder that is registered.
#[derive(Debug, Clone, Deserialize)]
pub struct KnownBuilder {
    /// Its number.
    pub id: BuilderId,
    /// Its name.
    pub name: BuilderName,
}

/// Finds out which builder comes with a token.
pub fn builder_by_token(conn: &mut PgConnection, token: &Digest) -> Result<Option<KnownBuilder>> {
    let query = sql_query("SELECT document FROM farm.builder_by_token($1) AS document WHERE document IS NOT NULL");
    document(conn, query.bind::<Binary, _>(token.as_bytes().as_slice()))
}

/// The same for many tokens, in the same order.
pub fn builders_by_tokens(conn: &mut PgConnection, tokens: &[Digest]) -> Result<Vec<Option<KnownBuilder>>> {
    let digests: Vec<_> = tokens.iter().map(|token| token.as_bytes().as_slice()).collect();
    let query = call("SELECT * FROM farm.builders_by_tokens(", digests.into_sql::<Array<Binary>>(), ")");
    document::in_order(query.load(conn)?)
}

/// Gives the builder of a principal a token. Answers until when it is good.
pub fn builder_log_in(
    conn: &mut PgConnection,
    principal: &str,
    address: &str,
    token: &Digest,
    seconds: u32,
) -> Result<Timestamp> {
    let query = sql_query("SELECT to_jsonb(farm.builder_log_in($1, $2, $3, make_interval(secs => $4))) AS document")
        .bind::<Text, _>(principal)
        .bind::<Text, _>(address)
        .bind::<Binary, _>(token.as_bytes().as_slice())
        .bind::<Double, _>(f64::from(seconds));
    document(conn, query)?.ok_or_else(|| DbError::Data("a builder's token has no end".to_owned()))
}

/// Makes a bucket, or changes a known one; what is `None` stays as it is.
pub fn put_bucket(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &BucketName,
    description: Option<&str>,
    public: Option<bool>,
) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.put_bucket(", actor!(), ", $4, $5, $6)"));
    bind!(query, actor)
        .bind::<Text, _>(name.as_str())
        .bind::<Nullable<Text>, _>(description)
        .bind::<Nullable<Bool>, _>(public)
        .execute(conn)?;
    Ok(())
}

/// All buckets, by name.
pub fn buckets(conn: &mut PgConnection) -> Result<Vec<Bucket>> {
    documents(conn, sql_query(format!("SELECT {BUCKET} AS document FROM farm.bucket b ORDER BY b.name")))
}

/// Says how long a bucket keeps files. A bound that is `None` stays as it is, 0 takes it away.
pub fn set_retention(conn: &mut PgConnection, actor: &Actor, name: &BucketName, keep: &Keep) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.set_retention(", actor!(), ", $4, $5, $6, $7, $8)"));
    let number = |bound: Option<i64>| bound.map(|n| i32::try_from(n).unwrap_or(i32::MAX));
    bind!(query, actor)
        .bind::<Text, _>(name.as_str())
        .bind::<Nullable<Integer>, _>(number(keep.days))
        .bind::<Nullable<Integer>, _>(number(keep.builds))
        .bind::<Nullable<BigInt>, _>(keep.bytes)
        .bind::<Nullable<BigInt>, _>(keep.bytes_each)
        .execute(conn)?;
    Ok(())
}

/// Makes a person known, lets in or shuts out.
pub fn put_person(conn: &mut PgConnection, actor: &Actor, principal: &str, enabled: bool) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.put_person(", actor!(), ", $4, $5)"));
    bind!(query, actor).bind::<Text, _>(principal).bind::<Bool, _>(enabled).execute(conn)?;
    Ok(())
}

const PERSON: &str = "jsonb_build_object('principal', p.principal, 'enabled', p.enabled, 'created', p.created_at,
  'jobs', (SELECT count(*) FROM farm.job j WHERE j.person_id = p.id),
  'limits', (SELECT to_jsonb(l) - 'only_row' FROM farm.limits_of(p.id) l),
  'own_limits', jsonb_build_object('jobs_waiting', p.jobs_waiting, 'uploads', p.uploads, 'bytes', p.bytes, 'sources', p.sources),
  'share', farm.share_of(p.id), 'own_share', p.share)";

/// All persons, by principal.
pub fn persons(conn: &mut PgConnection) -> Result<Vec<Person>> {
    documents(conn, sql_query(format!("SELECT {PERSON} AS document FROM farm.person p ORDER BY p.principal")))
}

/// The person of that principal; `None`: the name was never heard.
pub fn person(conn: &mut PgConnection, principal: &str) -> Result<Option<Person>> {
    let query = sql_query(format!("SELECT {PERSON} AS document FROM farm.person p WHERE p.principal = $1"));
    document(conn, query.bind::<Text, _>(principal))
}

/// What everybody may use up for whom nothing else was said.
pub fn limits(conn: &mut PgConnection) -> Result<Limits> {
    let query = sql_query("SELECT to_jsonb(l) - 'only_row' AS document FROM farm.limits l");
    document(conn, query)?.ok_or_else(|| DbError::Data("the row with everybody's limits is gone".to_owned()))
}

/// What one build of a person may use up, or for `None` one of everybody of whom nothing else is said; and which of these bounds are
/// the person's own.
pub fn build_limits(conn: &mut PgConnection, principal: Option<&str>) -> Result<(BuildLimits, BuildLimits)> {
    let query = sql_query(
        "SELECT jsonb_build_array(farm.build_limits_of(p.id), coalesce(
             (SELECT l.limits FROM farm.build_limits l WHERE l.person_id IS NOT DISTINCT FROM p.id), '{}')) AS document
         FROM (SELECT CASE WHEN $1 IS NOT NULL THEN farm.known_person($1) END AS id) p",
    );
    let query = query.bind::<Nullable<Text>, _>(principal);
    document(conn, query)?.ok_or_else(|| DbError::Data("the bounds of builds are gone".to_owned()))
}

/// Sets what one build of a person may use up, or for `None` one of everybody. What is `None` is not bounded: of a person, as for
/// everybody.
pub fn put_build_limits(
    conn: &mut PgConnection,
    actor: &Actor,
    principal: Option<&str>,
    limits: &BuildLimits,
) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.put_build_limits(", actor!(), ", $4, $5)"));
    let query = bind!(query, actor).bind::<Nullable<Text>, _>(principal);
    query.bind::<Jsonb, _>(serde_json::to_value(limits)?).execute(conn)?;
    Ok(())
}

/// Sets the limits of a person, or for `None` those of everybody. A limit that is `None`: of a person, that of everybody; of
/// everybody, as it is.
pub fn put_limits(conn: &mut PgConnection, actor: &Actor, principal: Option<&str>, limits: &Limits) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.put_limits(", actor!(), ", $4, $5, $6, $7, $8)"));
    let number = |limit: Option<i64>| limit.map(|n| i32::try_from(n).unwrap_or(i32::MAX));
    bind!(query, actor)
        .bind::<Nullable<Text>, _>(principal)
        .bind::<Nullable<Integer>, _>(number(limits.jobs_waiting))
        .bind::<Nullable<Integer>, _>(number(limits.uploads))
        .bind::<Nullable<BigInt>, _>(limits.bytes)
        .bind::<Nullable<Integer>, _>(number(limits.sources))
        .execute(conn)?;
    Ok(())
}

/// Sets how much of a busy platform's build time a person, or for `@group` each who is in it, gets against others: from 0.01 to 1000, 1
/// is usual. `None` takes it back.
pub fn set_share(conn: &mut PgConnection, actor: &Actor, whose: &str, share: Option<f64>) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.set_share(", actor!(), ", $4, $5)"));
    bind!(query, actor).bind::<Text, _>(whose).bind::<Nullable<Double>, _>(share).execute(conn)?;
    Ok(())
}

/// Makes a group, or describes a known one anew.
pub fn put_group(conn: &mut PgConnection, actor: &Actor, group: &str, description: &str) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.put_group(", actor!(), ", $4, $5)"));
    bind!(query, actor).bind::<Text, _>(group).bind::<Text, _>(description).execute(conn)?;
    Ok(())
}

/// Removes a group, and with it what was granted to it.
pub fn remove_group(conn: &mut PgConnection, actor: &Actor, group: &str) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.remove_group(", actor!(), ", $4)"));
    bind!(query, actor).bind::<Text, _>(group).execute(conn)?;
    Ok(())
}

/// Puts a person, or everybody whose principal matches a pattern with a star, into a group or takes them out.
pub fn set_member(conn: &mut PgConnection, actor: &Actor, group: &str, member: &str, is_in: bool) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.set_member(", actor!(), ", $4, $5, $6)"));
    bind!(query, actor).bind::<Text, _>(group).bind::<Text, _>(member).bind::<Bool, _>(is_in).execute(conn)?;
    Ok(())
}

/// The same for several: all of them, or at the first that is refused none.
pub fn set_members(
    conn: &mut PgConnection,
    actor: &Actor,
    group: &str,
    members: &[String],
    are_in: bool,
) -> Result<()> {
    conn.transaction(|conn| members.iter().try_for_each(|member| set_member(conn, actor, group, member, are_in)))
}

/// All groups, by name.
pub fn groups(conn: &mut PgConnection) -> Result<Vec<Group>> {
    let query = "SELECT jsonb_build_object('name', g.name, 'description', g.description, 'share', g.share,
        'members', (SELECT coalesce(jsonb_agg(p.principal ORDER BY p.principal), '[]')
                    FROM farm.member m JOIN farm.person p ON p.id = m.person_id WHERE m.group_id = g.id),
        'rules', (SELECT coalesce(jsonb_agg(r.pattern ORDER BY r.pattern), '[]') FROM farm.member_rule r WHERE r.group_id = g.id))
        AS document FROM farm.group g ORDER BY g.name";
    documents(conn, sql_query(query))
}

/// Gives a right or takes it back: to or from `everyone`, a group as in `@packagers`, or a person.
pub fn set_grant(conn: &mut PgConnection, actor: &Actor, grant: &Grant, to: &str, given: bool) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.set_grant(", actor!(), ", $4::farm.right, $5, $6, $7)"));
    bind!(query, actor)
        .bind::<Text, _>(grant.right.as_str())
        .bind::<Nullable<Text>, _>(grant.object.as_deref())
        .bind::<Text, _>(to)
        .bind::<Bool, _>(given)
        .execute(conn)?;
    Ok(())
}

/// Who was given what, by right.
pub fn grants(conn: &mut PgConnection) -> Result<Vec<GrantInfo>> {
    let query = "SELECT jsonb_build_object('right', farm.right_text(g.what, g.object), 'since', g.created_at,
        'to', coalesce(p.principal, '@' || o.name, 'everyone')) AS document
        FROM farm.grant g LEFT JOIN farm.person p ON p.id = g.person_id LEFT JOIN farm.group o ON o.id = g.group_id
        ORDER BY g.what, g.object, p.principal, o.name";
    documents(conn, sql_query(query))
}
