//! `Authorization: Negotiate …` and `WWW-Authenticate: Negotiate …` (RFC 4559).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};

use super::NegotiateError;

const SCHEME: &str = "Negotiate";

/// The token of a request; none when the request has no `Authorization`, or one of another scheme.
pub fn negotiate_token(headers: &HeaderMap) -> Result<Option<Vec<u8>>, NegotiateError> {
    let malformed = |said: &str| NegotiateError::Malformed { said: said.to_owned() };
    let values: Vec<_> = headers.get_all(AUTHORIZATION).iter().collect();
    match values.iter().find_map(|value| after_scheme(value)) {
        None => Ok(None),
        Some(_) if values.len() > 1 => Err(malformed("there is more than one header Authorization")),
        Some("") => Err(malformed("nothing follows the word Negotiate")),
        Some(text) => {
            STANDARD.decode(text).map(Some).map_err(|_| malformed("what follows the word Negotiate is not base64"))
        }
    }
}

/// The value of `WWW-Authenticate`: with the reply that proves the server in an answer that succeeds, with an empty one in a 401,
/// where it offers this way to log in.
pub fn www_authenticate(reply: &[u8]) -> HeaderValue {
    if reply.is_empty() {
        return HeaderValue::from_static(SCHEME);
    }
    // The alphabet of base64 is that of a header.
    HeaderValue::try_from(format!("{SCHEME} {}", STANDARD.encode(reply))).unwrap_or(HeaderValue::from_static(SCHEME))
}

/// Whether the server offers this way to log in.
pub fn offers_negotiate(headers: &HeaderMap) -> bool {
    challenges(headers).any(|challenge| after_scheme_text(challenge).is_some())
}

/// The token with which the server proves itself, where there is one.
pub fn reply_token(headers: &HeaderMap) -> Option<Vec<u8>> {
    let token = challenges(headers).find_map(after_scheme_text).filter(|token| !token.is_empty())?;
    STANDARD.decode(token).ok()
}

/// A header may hold several challenges, and there may be several headers.
fn challenges(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(','))
}

fn after_scheme(value: &HeaderValue) -> Option<&str> {
    after_scheme_text(value.to_str().ok()?)
}

fn after_scheme_text(text: &str) -> Option<&str> {
    let text = text.trim();
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    scheme.eq_ignore_ascii_case(SCHEME).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_token_goes_to_the_server_and_back() {
        let request = headers(AUTHORIZATION, &["negotiate  AQID"]);
        assert_eq!(negotiate_token(&request).unwrap().unwrap(), [1, 2, 3]);
        let answer: HeaderMap = [(WWW_AUTHENTICATE, www_authenticate(&[4, 5, 6]))].into_iter().collect();
        assert_eq!(reply_token(&answer).unwrap(), [4, 5, 6]);
    }

    #[test]
    fn other_schemes_are_not_ours_and_broken_tokens_are_refused() {
        for other in [&[][..], &["Bearer farm_x"], &["Negotiated x"]] {
            assert_eq!(negotiate_token(&headers(AUTHORIZATION, other)), Ok(None));
        }
        for broken in [&["Negotiate"][..], &["Negotiate ?"], &["Negotiate AQID", "Bearer x"]] {
            let error = negotiate_token(&headers(AUTHORIZATION, broken)).unwrap_err();
            assert!(matches!(error, NegotiateError::Malformed { .. }), "{error}");
        }
    }

    #[test]
    fn the_offer_is_found_among_others() {
        for (values, offered) in [
            (&["Negotiate"][..], true),
            (&["Bearer realm=\"farm\", negotiate"], true),
            (&["Bearer", "Negotiate AQID"], true),
            (&["Bearer realm=\"farm\""], false),
            (&[], false),
        ] {
            assert_eq!(offers_negotiate(&headers(WWW_AUTHENTICATE, values)), offered, "{values:?}");
        }
        assert_eq!(reply_token(&headers(WWW_AUTHENTICATE, &["Negotiate"])), None);
    }
}
