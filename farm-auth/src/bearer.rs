//! The header `Authorization: Bearer farm_…`.

use http::{HeaderMap, header::AUTHORIZATION};

use crate::{ParseTokenError, Token};

/// Why a request carries no token that can be looked up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// There is no such header.
    #[error("the request has no header “Authorization: Bearer …”")]
    Missing,
    /// There is another scheme, or more than one header.
    #[error("the header Authorization takes “Bearer” and one token")]
    NotBearer,
    /// What follows is no token.
    #[error(transparent)]
    NoToken(#[from] ParseTokenError),
}

/// The token of a request.
pub fn bearer(headers: &HeaderMap) -> Result<Token, BearerError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(BearerError::Missing)?;
    if values.next().is_some() {
        return Err(BearerError::NotBearer);
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(BearerError::NotBearer)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(BearerError::NotBearer);
    }
    Ok(token.trim_start_matches(' ').parse()?)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_token_goes_through_the_header() {
        let token = Token::generate();
        for scheme in ["Bearer", "bearer"] {
            let headers = headers(&[&format!("{scheme} {}", token.expose())]);
            assert!(bearer(&headers).unwrap().matches(&token.digest()));
        }
    }

    #[test]
    fn every_other_header_is_refused_with_its_reason() {
        assert_eq!(bearer(&headers(&[])).unwrap_err(), BearerError::Missing);
        for value in ["Basic YTpi", "Bearer", "Negotiate x"] {
            assert_eq!(bearer(&headers(&[value])).unwrap_err(), BearerError::NotBearer, "{value}");
        }
        assert_eq!(bearer(&headers(&["Bearer x"])).unwrap_err(), BearerError::NoToken(ParseTokenError));
        let good = format!("Bearer {}", Token::generate().expose());
        assert_eq!(bearer(&headers(&[&good, &good])).unwrap_err(), BearerError::NotBearer);
    }
}
