//! The session of a browser: a token in a cookie that no script can read and no other site sends along.

use axum::http::{HeaderMap, HeaderValue, header::COOKIE};
use farm_auth::Token;
use sha2::{Digest as _, Sha256};

/// The prefix binds a browser (RFC 6265bis): it takes such a cookie from this host alone, over a way that is safe, and for all of
/// its paths. So another host of the same domain cannot put a session of its own in the place of ours.
const COOKIE_NAME: &str = "__Host-farm_session";

/// The cookie that begins a session.
pub fn session_cookie(token: &Token, seconds: u32) -> Option<HeaderValue> {
    cookie(&token.expose(), seconds)
}

/// The cookie that ends it.
pub fn end_cookie() -> Option<HeaderValue> {
    cookie("", 0)
}

/// Browsers send a cookie that is `Secure` over HTTPS, and to this machine. `Lax`: also when a link leads here from a mail, but
/// with no form of another site.
fn cookie(value: &str, seconds: u32) -> Option<HeaderValue> {
    let text = format!("{COOKIE_NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax");
    let mut cookie = HeaderValue::from_str(&text).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

/// The token in the cookie of a request.
pub fn session_token(headers: &HeaderMap) -> Option<Token> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .and_then(|(_, value)| value.parse().ok())
}

/// What a form has to send along in a session: only a page of ours can know it, and it tells nothing of the session's token.
pub fn csrf(session: &Token) -> String {
    hex::encode(&Sha256::digest(format!("form of {}", session.expose()))[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_goes_through_the_cookie_among_others() {
        let token = Token::generate();
        let set = session_cookie(&token, 60).unwrap();
        let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        let headers = [(COOKIE, HeaderValue::from_str(&format!("a=b; {pair}; c=d")).unwrap())].into_iter().collect();
        assert!(session_token(&headers).unwrap().matches(&token.digest()));
        assert!(set.is_sensitive());
    }

    #[test]
    fn the_secret_of_forms_is_another_for_each_session() {
        let (one, other) = (Token::generate(), Token::generate());
        assert_eq!(csrf(&one), csrf(&one));
        assert_ne!(csrf(&one), csrf(&other));
        assert!(!one.expose().contains(&csrf(&one)));
    }
}
