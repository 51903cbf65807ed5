//! Tokens for scripts.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use farm_api::{
    access::{MadeToken, NewToken, TokenInfo},
    error::{ErrorCode, Reason},
};
use farm_auth::Token;
use farm_db::access;

use crate::{
    App, Caller,
    error::{AppError, Result},
    extract::{self, Name},
};

/// How long a token is good of which nobody said so.
const DAYS: u32 = 90;
/// And how long at the most: who needs one for longer makes the next.
const MOST_DAYS: u32 = 366;

/// The caller's tokens and sessions.
#[utoipa::path(get, path = "/tokens", tag = "tokens", responses((status = 200, body = [TokenInfo])))]
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<TokenInfo>>> {
    app.db(move |conn| access::tokens(conn, Some(&caller.principal))).await.map(Json)
}

/// Makes a token. Its secret is in the answer and nowhere else.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = NewToken, responses((status = 201, body = MadeToken)))]
pub async fn make(
    State(app): State<App>,
    caller: Caller,
    extract::Json(new): extract::Json<NewToken>,
) -> Result<(StatusCode, [(HeaderName, &'static str); 1], Json<MadeToken>)> {
    let made = make_for(&app, caller, new).await?;
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(made)))
}

/// Makes a token, for the API and the page.
pub async fn make_for(app: &App, caller: Caller, new: NewToken) -> Result<MadeToken> {
    // Nor can a session that was begun with one: a token that was stolen would live for ever.
    if caller.by_token {
        let message = "a token cannot make tokens: log in with a ticket or a browser";
        return Err(AppError::new(ErrorCode::Forbidden, message));
    }
    let days = new.days.unwrap_or(DAYS);
    let problems = problems(&new, days);
    if !problems.is_empty() {
        return Err(AppError::refused(problems));
    }
    // What a session was begun with is not more than the session is good for.
    if let Some(scope) = new.scopes.iter().find(|scope| !caller.has(**scope)) {
        return Err(AppError::new(ErrorCode::Forbidden, format!("you have not the scope “{scope}” yourself")));
    }
    let token = Token::generate();
    let (digest, actor) = (token.digest(), caller.actor());
    let id = app
        .db(move |conn| {
            let new = access::NewToken {
                person: &actor.principal,
                digest: &digest,
                name: &new.name,
                scopes: &new.scopes,
                days,
            };
            access::make_token(conn, &actor, &new)
        })
        .await?;
    Ok(MadeToken { id, token: token.expose() })
}

fn problems(new: &NewToken, days: u32) -> Vec<Reason> {
    let mut problems = Vec::new();
    let mut problem = |code: &str, message: String| {
        problems.push(Reason { code: code.to_owned(), source: None, message });
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let name = &new.name;
    if !(1..=50).contains(&name.len()) || !name.chars().all(is_name) || name.starts_with(['_', '.', '-']) {
        let rule = "it takes 1 to 50 letters, digits, dots, dashes and underscores, beginning with a letter or digit";
        problem("token_name", format!("“{}” is no name for a token: {rule}", name.escape_debug()));
    }
    if new.scopes.is_empty() {
        problem("scopes", "say what the token is good for: read, submit, cancel, admin".to_owned());
    }
    if !(1..=MOST_DAYS).contains(&days) {
        problem("days", format!("a token lasts 1 to {MOST_DAYS} days, not {days}"));
    }
    problems
}

/// Revokes a token or a session, at once.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", params(("id" = i64, Path)), responses((status = 204)))]
pub async fn revoke(State(app): State<App>, caller: Caller, Name(id): Name<i64>) -> Result<StatusCode> {
    let actor = caller.actor();
    app.db(move |conn| access::revoke_token(conn, &actor, id)).await?;
    app.known.forget();
    Ok(StatusCode::NO_CONTENT)
}
