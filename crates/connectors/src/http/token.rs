//! The token that senders show.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a request must show. Only a hash of the token is kept in memory.
#[derive(Clone)]
pub(super) struct Token {
    hash: [u8; 32],
    header: Option<HeaderName>,
}

impl Token {
    /// Expects this token in `Authorization: Bearer`, or bare in another header.
    pub(super) fn new(token: &[u8], header: Option<HeaderName>) -> Self {
        Self { hash: Sha256::digest(token).into(), header }
    }

    /// Whether a request shows it. Takes the same time however much of it is right: hashes are compared, so that not even
    /// the length shows.
    pub(super) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown = match &self.header {
            Some(header) => headers.get(header).map(|value| value.as_bytes()),
            None => headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes())),
        };
        shown.is_some_and(|shown| Sha256::digest(shown).ct_eq(&self.hash).into())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// The token behind the scheme, which is not case-sensitive (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn shows(token: &Token, name: &'static str, value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        token.is_shown(&headers)
    }

    #[test]
    fn only_the_token_itself_is_taken() {
        let token = Token::new(b"opensesame", None);
        assert!(shows(&token, "authorization", "Bearer opensesame"));
        assert!(shows(&token, "authorization", "bearer opensesame"));
        for wrong in
            ["opensesame", "Bearer ", "Bearer opensesam", "Bearer opensesamee", "Basic opensesame"]
        {
            assert!(!shows(&token, "authorization", wrong), "{wrong}");
        }
        assert!(!shows(&token, "x-api-key", "opensesame"));
        assert!(!token.is_shown(&HeaderMap::new()));
        assert_eq!(format!("{token:?}"), "[redacted]");
    }

    #[test]
    fn another_header_can_carry_it() {
        let token = Token::new(b"opensesame", Some(HeaderName::from_static("x-api-key")));
        assert!(shows(&token, "x-api-key", "opensesame"));
        assert!(!shows(&token, "authorization", "Bearer opensesame"));
    }
}
