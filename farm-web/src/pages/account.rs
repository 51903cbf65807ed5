//! Who one is, what one may do, and one's tokens.

use axum::{
    extract::State,
    response::{Html, IntoResponse, Redirect, Response},
};
use farm_api::access::{Account, MadeToken, NewToken, TokenInfo};
use farm_db::access;
use farm_types::{Right, Scope, Size, Way};
use serde::{Deserialize, Serialize};

use super::templates::render;
use crate::{
    App, Caller,
    api::tokens,
    error::Result,
    extract::{Form, Name},
    identity::Visitor,
};

#[derive(Serialize)]
struct AccountPage {
    page: &'static str,
    account: Account,
    /// What one build may use up.
    build_limits: Vec<BuildLimit>,
    way: Way,
    /// Whether the audit is for this person.
    is_admin: bool,
    tokens: Vec<TokenInfo>,
    scopes: Vec<Scope>,
    /// The token that was just made: shown once.
    made: Option<MadeToken>,
    may_make: bool,
}

#[derive(Serialize)]
struct BuildLimit {
    name: String,
    value: String,
}

fn build_limits(account: &Account) -> Vec<BuildLimit> {
    let set = account.build_limits.named().into_iter().filter_map(|(name, value)| Some((name, value?)));
    set.map(|(name, value)| BuildLimit {
        name: name.trim_end_matches("_bytes").replace('_', " "),
        value: if name.ends_with("_bytes") { Size(value).to_string() } else { value.to_string() },
    })
    .collect()
}

async fn show(app: &App, caller: Caller, made: Option<MadeToken>) -> Result<Html<String>> {
    let principal = caller.principal.clone();
    let (account, tokens) =
        app.db(move |conn| Ok((access::account(conn, &principal)?, access::tokens(conn, Some(&principal))?))).await?;
    let page = AccountPage {
        page: "account",
        is_admin: account.rights.iter().any(|right| right == Right::Admin.as_str()),
        build_limits: build_limits(&account),
        account,
        way: caller.way,
        tokens,
        scopes: caller.scopes.clone(),
        made,
        may_make: caller.has(Scope::Admin) && !caller.by_token,
    };
    render("account.html", &Visitor(Some(caller)), &page)
}

pub async fn page(State(app): State<App>, caller: Caller) -> Result<Html<String>> {
    show(&app, caller, None).await
}

/// What the form for a new token says. A box that is not ticked is not sent.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    name: String,
    days: Option<u32>,
    #[serde(default)]
    read: bool,
    #[serde(default)]
    submit: bool,
    #[serde(default)]
    cancel: bool,
    #[serde(default)]
    admin: bool,
}

pub async fn make(State(app): State<App>, caller: Caller, Form(wanted): Form<Wanted>) -> Result<Response> {
    let boxes = [
        (Scope::Read, wanted.read),
        (Scope::Submit, wanted.submit),
        (Scope::Cancel, wanted.cancel),
        (Scope::Admin, wanted.admin),
    ];
    let scopes = boxes.into_iter().filter(|(_, ticked)| *ticked).map(|(scope, _)| scope).collect();
    let new = NewToken { name: wanted.name.trim().to_owned(), scopes, days: wanted.days };
    let made = tokens::make_for(&app, caller.clone(), new).await?;
    // Not by a redirect: the secret is in this answer and nowhere else.
    let no_store = [(axum::http::header::CACHE_CONTROL, "no-store")];
    Ok((no_store, show(&app, caller, Some(made)).await?).into_response())
}

pub async fn revoke(State(app): State<App>, caller: Caller, Name(id): Name<i64>) -> Result<Redirect> {
    let actor = caller.actor();
    app.db(move |conn| access::revoke_token(conn, &actor, id)).await?;
    app.known.forget();
    Ok(Redirect::to("/account"))
}
