//! Secrets that stand for a principal.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use farm_types::Digest;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What every token begins with, so that people and scanners for leaked secrets recognise one.
const PREFIX: &str = "farm_";

/// A secret that stands for a principal: 256 bits of chance, as text `farm_` and 43 characters of base64url.
///
/// Its `Debug` shows nothing, and it has no `Display`, so that it cannot get into a log by accident.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// A text that is no token. It does not repeat the text, which may be a secret with a typing error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a token: it takes farm_ and 43 letters, digits, - or _")]
pub struct ParseTokenError;

impl Token {
    /// A new token.
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// The text of the token, for the one who will use it.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// What the farm stores of it. To look a token up by its digest tells an attacker nothing by its timing, as nobody can
    /// choose digests byte by byte.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(Sha256::digest(self.expose()).into())
    }

    /// Whether the stored digest is this token's, in a time that does not depend on where they differ.
    pub fn matches(&self, stored: &Digest) -> bool {
        self.digest().as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl FromStr for Token {
    type Err = ParseTokenError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(PREFIX).ok_or(ParseTokenError)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| ParseTokenError)?;
        bytes.try_into().map(Self).map_err(|_| ParseTokenError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_what_it_exposes_and_matches_its_digest_only() {
        let (token, other) = (Token::generate(), Token::generate());
        let read: Token = token.expose().parse().unwrap();
        assert!(read.matches(&token.digest()));
        assert!(!other.matches(&token.digest()));
        assert_eq!(token.expose().len(), 48);
    }

    #[test]
    fn a_digest_is_that_of_the_text_so_that_other_tools_can_make_it() {
        let token: Token = "farm_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
        let by_sha256sum = "662de7522fcc6e058221fdc41887fd46434645cf1fe46b9a4bc92e3af8ea519f";
        assert_eq!(token.digest().to_string(), by_sha256sum);
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_repeated() {
        let good = Token::generate().expose();
        for text in ["", "farm_", &good[5..], &good[..47], &format!("{good}A"), &good.replace("farm_", "FARM_")] {
            let error = text.parse::<Token>().unwrap_err();
            assert!(text.is_empty() || text == "farm_" || !error.to_string().contains(text));
        }
    }

    #[test]
    fn a_token_does_not_get_into_a_log() {
        assert_eq!(format!("{:?}", Token::generate()), "Token(…)");
    }
}
