//! What a request brings to show who makes it.

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use farm_api::error::ErrorCode;
use farm_auth::{Token, bearer, negotiate::negotiate_token};

use super::session::session_token;
use crate::error::AppError;

/// What a request brings.
#[derive(Debug)]
pub enum Credentials {
    /// A token in the header.
    Token(Token),
    /// A Kerberos ticket.
    Ticket(Vec<u8>),
    /// The cookie of a session.
    Session(Token),
    /// Nothing.
    None,
}

/// Reads what a request brings. A header that cannot be understood is refused: who says something means it.
pub fn credentials(headers: &HeaderMap) -> Result<Credentials, AppError> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Ok(session_token(headers).map_or(Credentials::None, Credentials::Session));
    };
    let refuse = |message: String| AppError::new(ErrorCode::Unauthenticated, message);
    let scheme = header.to_str().unwrap_or_default().split(' ').next().unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "negotiate" => match negotiate_token(headers) {
            Ok(Some(token)) => Ok(Credentials::Ticket(token)),
            Ok(None) => Ok(Credentials::None),
            Err(error) => Err(refuse(error.public().to_owned())),
        },
        // dnf and browsers' download managers know nothing better: any name, and the token as the password.
        "basic" => password(header.to_str().unwrap_or_default())
            .map(Credentials::Token)
            .ok_or_else(|| refuse("the password has to be a token of the farm".to_owned())),
        _ => bearer(headers).map(Credentials::Token).map_err(|error| refuse(error.to_string())),
    }
}

/// The password of `Basic` (RFC 7617), if it is a token.
fn password(header: &str) -> Option<Token> {
    let (_, encoded) = header.split_once(' ')?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(value: &str) -> HeaderMap {
        [(AUTHORIZATION, HeaderValue::from_str(value).unwrap())].into_iter().collect()
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_the_password_of_basic() {
        let token = Token::generate();
        let basic = STANDARD.encode(format!("anybody:{}", token.expose()));
        for value in [format!("Bearer {}", token.expose()), format!("Basic {basic}")] {
            let Ok(Credentials::Token(found)) = credentials(&with(&value)) else { panic!("{value}") };
            assert!(found.matches(&token.digest()));
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused_and_nothing_is_nothing() {
        for value in ["Basic YTpi", "Bearer x", "Digest x", "Negotiate %%%"] {
            assert!(credentials(&with(value)).is_err(), "{value}");
        }
        assert!(matches!(credentials(&HeaderMap::new()), Ok(Credentials::None)));
    }
}
