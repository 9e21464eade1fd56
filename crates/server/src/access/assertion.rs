//! `private_key_jwt`: a client proves who it is by a JWT it signed (RFC 7523 §2.2, §3; SMART Backend Services,
//! "Authenticating to the FHIR server").
//!
//! Pure: the time comes in, and what was used before is a [`Replays`].

use std::collections::{BTreeSet, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pipehat_store::audit::UsedOnce;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::keys::{Algorithm, PublicKey};

/// The `client_assertion_type` of a JWT (RFC 7523 §2.2).
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion holds for five minutes at most (SMART Backend Services: `exp`).
const LIFETIME_SECONDS_MAX: i64 = 300;

const MICROSECONDS: i64 = 1_000_000;

/// How far clocks may be apart.
const SKEW_SECONDS: i64 = 60;

const ASSERTION_BYTES_MAX: usize = 16 * 1024;
const ID_BYTES_MAX: usize = 256;

/// How many assertions are remembered. Each is for six minutes at most, so more than a hundred a second.
const REPLAYS_MAX: usize = 50_000;

/// Why an assertion is not taken. The client is told: it holds nothing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum AssertionError {
    /// No JWT.
    #[error("the client_assertion is no signed JWT")]
    Form,
    /// The algorithm.
    #[error(
        "the client_assertion is signed by another algorithm than RS384, ES384, RS256 or ES256"
    )]
    Algorithm,
    /// `iss` and `sub`.
    #[error("`iss` and `sub` of the client_assertion must both be the client_id")]
    Client,
    /// `aud`.
    #[error("`aud` of the client_assertion is not this server's token address")]
    Audience,
    /// `exp`.
    #[error("the client_assertion is past its `exp`")]
    Expired,
    /// `exp`.
    #[error("`exp` of the client_assertion must be at most five minutes ahead")]
    TooLong,
    /// `nbf`, `iat`.
    #[error(
        "the client_assertion is not valid yet: its `nbf` or `iat` is ahead of this server's clock"
    )]
    Early,
    /// `jti`.
    #[error("the client_assertion needs a `jti` of 1 to {ID_BYTES_MAX} bytes")]
    Id,
    /// The signature.
    #[error("none of the client's keys made the signature of the client_assertion")]
    Signature,
    /// Used before.
    #[error("the client_assertion was used before")]
    Replayed,
    /// Too many at once.
    #[error("too many assertions at once; try again later")]
    Busy,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    aud: Option<Audience>,
    // Fractions are allowed (RFC 7519 §2, NumericDate).
    exp: Option<f64>,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    iat: Option<f64>,
    #[serde(default)]
    jti: String,
}

/// An assertion that was taken apart, and not yet believed.
pub(super) struct Assertion<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Assertion<'a> {
    /// Takes it apart.
    ///
    /// # Errors
    /// When it is no JWT of the kinds taken here.
    pub(super) fn read(text: &'a str) -> Result<Self, AssertionError> {
        if text.len() > ASSERTION_BYTES_MAX {
            return Err(AssertionError::Form);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(AssertionError::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(AssertionError::Form)?;
        let decoded = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| AssertionError::Form);
        let header: Header =
            serde_json::from_slice(&decoded(header)?).map_err(|_| AssertionError::Form)?;
        let algorithm = Algorithm::named(&header.alg).ok_or(AssertionError::Algorithm)?;
        // RFC 7515 §4.1.11: extensions that are not understood must be refused.
        if header.crit.is_some() {
            return Err(AssertionError::Form);
        }
        let claims = serde_json::from_slice(&decoded(claims)?).map_err(|_| AssertionError::Form)?;
        let signature = decoded(signature)?;
        Ok(Self { algorithm, key_id: header.kid, claims, signed, signature })
    }

    /// The client it says it is from.
    pub(super) fn client_id(&self) -> &str {
        &self.claims.sub
    }

    /// Checks everything but whether it was used before.
    ///
    /// # Errors
    /// The first that is wrong.
    pub(super) fn check(
        &self,
        keys: &[PublicKey],
        audiences: &[String],
        now: i64,
    ) -> Result<(), AssertionError> {
        let claims = &self.claims;
        if claims.iss != claims.sub || claims.sub.is_empty() {
            return Err(AssertionError::Client);
        }
        let named = self.key_id.as_deref();
        let signed = keys
            .iter()
            .filter(|key| named.is_none() || key.key_id().is_none() || key.key_id() == named)
            .any(|key| key.verifies(self.algorithm, self.signed.as_bytes(), &self.signature));
        if !signed {
            return Err(AssertionError::Signature);
        }
        let ours = |aud: &String| audiences.contains(aud);
        let meant = match &claims.aud {
            None => false,
            Some(Audience::One(one)) => ours(one),
            Some(Audience::Several(several)) => several.iter().any(ours),
        };
        if !meant {
            return Err(AssertionError::Audience);
        }
        let expires = self.expires();
        if expires <= now {
            return Err(AssertionError::Expired);
        }
        if expires > now.saturating_add(LIFETIME_SECONDS_MAX + SKEW_SECONDS) {
            return Err(AssertionError::TooLong);
        }
        let latest = seconds(Some(now.saturating_add(SKEW_SECONDS) as f64));
        if seconds(claims.nbf) > latest || seconds(claims.iat) > latest {
            return Err(AssertionError::Early);
        }
        if claims.jti.is_empty() || claims.jti.len() > ID_BYTES_MAX {
            return Err(AssertionError::Id);
        }
        Ok(())
    }

    fn expires(&self) -> i64 {
        seconds(self.claims.exp)
    }

    /// Of client and `jti`, which has a meaning for its client only (RFC 7519 §4.1.7).
    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.claims.sub.len().to_le_bytes());
        hash.update(&self.claims.sub);
        hash.update(&self.claims.jti);
        hash.finalize().into()
    }
}

/// A time as whole seconds; none is long ago.
fn seconds(time: Option<f64>) -> i64 {
    // A float becomes the nearest integer there is.
    time.filter(|time| time.is_finite()).map_or(0, |time| time.floor() as i64)
}

/// The assertions used before, until each has run out.
#[derive(Debug, Default)]
pub(super) struct Replays {
    used: HashSet<[u8; 32]>,
    by_end: BTreeSet<(i64, [u8; 32])>,
}

impl Replays {
    /// With those that were used before a restart.
    pub(super) fn with(used: impl IntoIterator<Item = UsedOnce>) -> Self {
        let mut replays = Self::default();
        for UsedOnce { hash, until } in used {
            replays.by_end.insert((until.div_euclid(MICROSECONDS), hash));
            replays.used.insert(hash);
        }
        replays
    }

    /// Takes an assertion that was checked, once. What it gives has to be kept before the answer goes out.
    ///
    /// # Errors
    /// When it was used before, or there are too many.
    pub(super) fn take(
        &mut self,
        assertion: &Assertion<'_>,
        now: i64,
    ) -> Result<UsedOnce, AssertionError> {
        while let Some(first) = self.by_end.first() {
            if first.0 > now {
                break;
            }
            if let Some((_, hash)) = self.by_end.pop_first() {
                self.used.remove(&hash);
            }
        }
        let hash = assertion.hash();
        if self.used.contains(&hash) {
            return Err(AssertionError::Replayed);
        }
        if self.used.len() >= REPLAYS_MAX {
            return Err(AssertionError::Busy);
        }
        let until = assertion.expires();
        self.by_end.insert((until, hash));
        self.used.insert(hash);
        Ok(UsedOnce { hash, until: until.saturating_mul(MICROSECONDS) })
    }
}

#[cfg(test)]
mod tests;
