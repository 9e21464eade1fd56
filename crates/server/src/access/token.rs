//! Access tokens: JWTs that this server signs for itself (HMAC with SHA-256).
//!
//! A token says which client it is for and what it may do, so that a request needs no look-up of tokens. It holds for
//! an hour at most and only as long as its client: the client's record is asked at every use, so that a revocation or a
//! new secret ends all tokens of before at once. Nobody else can check one; [RFC 7662] introspection is for that.
//!
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};

/// How long a token holds.
pub(super) const TOKEN_SECONDS: i64 = 3600;

/// Longer texts are no tokens: the scopes of a client are not longer.
const TOKEN_BYTES_MAX: usize = 256 * 1024;

/// `{"alg":"HS256","typ":"at+jwt"}`, the only header there is (RFC 9068 §2.1 for `typ`). A token with another is
/// none, so that nobody chooses an algorithm for us.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenClaims {
    /// The client.
    pub(super) client_id: String,
    /// The client, once more (RFC 9068 §2.2).
    pub(super) sub: String,
    /// What it may do, with spaces between.
    pub(super) scope: String,
    /// When it was made, in seconds since 1970.
    pub(super) iat: i64,
    /// When it ends.
    pub(super) exp: i64,
    /// Its own id.
    pub(super) jti: String,
    /// The same: `MedplumClient` asks `/auth/me` only where it finds one.
    pub(super) login_id: String,
    /// Which secret or keys of the client it was given for.
    #[serde(rename = "gen")]
    pub(super) generation: u32,
}

impl TokenClaims {
    /// What a new token for a client says.
    pub(super) fn new(
        client_id: &str,
        generation: u32,
        scope: String,
        id: String,
        now: i64,
    ) -> Self {
        Self {
            client_id: client_id.to_owned(),
            sub: client_id.to_owned(),
            scope,
            iat: now,
            exp: now.saturating_add(TOKEN_SECONDS),
            login_id: id.clone(),
            jti: id,
            generation,
        }
    }

    /// Whether they are not past their time, in seconds since 1970.
    pub(super) fn hold_at(&self, now: i64) -> bool {
        now < self.exp
    }
}

/// Makes and checks tokens.
pub(super) struct TokenKey(hmac::Key);

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenKey([redacted])")
    }
}

impl TokenKey {
    /// With a secret of the installation.
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A token that says this.
    pub(super) fn sign(&self, claims: &TokenClaims) -> String {
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a token says, where it is one of ours and not past its time.
    pub(super) fn verify(&self, token: &str, now: i64) -> Option<TokenClaims> {
        self.signed(token).filter(|claims| claims.hold_at(now))
    }

    /// What a token says, where it is one of ours, past its time too.
    pub(super) fn signed(&self, token: &str) -> Option<TokenClaims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let claims = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Compares in constant time.
        hmac::verify(&self.0, signed.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        serde_json::from_slice(&claims).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_for_its_time_and_its_key() {
        let key = TokenKey::new(&[1; 32]);
        let scope = "system/*.rs".to_owned();
        let claims = TokenClaims::new("c-1", 3, scope, "t-1".to_owned(), 1_000);
        let token = key.sign(&claims);
        assert_eq!(token.split('.').count(), 3);
        let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        assert_eq!(header.as_deref(), Some(br#"{"alg":"HS256","typ":"at+jwt"}"#.as_slice()));
        let check = |key: &TokenKey, token: &str, now: i64, expected: bool| {
            let found = key.verify(token, now);
            assert_eq!(found.as_ref(), expected.then_some(&claims), "{token} at {now}");
        };
        check(&key, &token, 1_000, true);
        check(&key, &token, 1_000 + TOKEN_SECONDS - 1, true);
        check(&key, &token, 1_000 + TOKEN_SECONDS, false);
        check(&TokenKey::new(&[2; 32]), &token, 1_000, false);
        check(&key, &token[..token.len() - 1], 1_000, false);
        check(&key, "", 1_000, false);
        check(&key, "a.b.c", 1_000, false);
        let none = URL_SAFE_NO_PAD.encode(br#"{"alg":"none"}"#);
        let unsigned = token.replacen(HEADER, &none, 1);
        check(&key, &unsigned, 1_000, false);
        let other = TokenClaims { scope: "system/*.*".to_owned(), ..claims.clone() };
        let forged = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other).unwrap());
        let (_, signature) = token.rsplit_once('.').unwrap();
        check(&key, &format!("{HEADER}.{forged}.{signature}"), 1_000, false);
    }
}
