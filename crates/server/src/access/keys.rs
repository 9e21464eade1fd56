//! A client's public keys: a JSON Web Key Set (RFC 7517), given when the client is registered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};

/// A set has at most this many keys.
pub(super) const KEYS_MAX: usize = 20;

/// RSA keys below are refused (RFC 7518 §3.3).
const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;

/// A signature's algorithm (RFC 7518 §3.1). SMART asks for RS384 and ES384.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
}

impl Algorithm {
    /// Those that are taken, as discovery lists them.
    pub const NAMES: [&str; 4] = ["RS384", "ES384", "RS256", "ES256"];

    /// By its name; what is not here, `none` and HMAC above all, is not taken.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            _ => return None,
        })
    }
}

/// One public key, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    #[serde(rename = "kid", skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(rename = "kty")]
    kind: String,
    #[serde(rename = "alg", skip_serializing_if = "Option::is_none")]
    algorithm: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    #[serde(rename = "crv", skip_serializing_if = "Option::is_none")]
    curve: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

/// Why a key set can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not a JWK Set.
    #[error("expected a JSON Web Key Set: {{\"keys\": [ … ]}}")]
    Form,
    /// A private key.
    #[error(
        "key {0} is a private key: give only its public part (without `d`), and replace the key, for others may have seen it"
    )]
    Private(usize),
    /// None of those that are taken.
    #[error("key {0} is neither RSA with 2048 to 8192 bits nor EC on P-256 or P-384")]
    Kind(usize),
    /// Too many, or none.
    #[error("expected 1 to {KEYS_MAX} keys")]
    Count,
}

/// Reads a JWK Set and leaves of it what is needed.
///
/// # Errors
/// When it is none, or has a key that can't be used.
pub fn read_keys(text: &str) -> Result<Vec<PublicKey>, KeysError> {
    let set: serde_json::Value = serde_json::from_str(text).map_err(|_| KeysError::Form)?;
    let keys = set.get("keys").and_then(serde_json::Value::as_array).ok_or(KeysError::Form)?;
    if keys.is_empty() || keys.len() > KEYS_MAX {
        return Err(KeysError::Count);
    }
    let mut read = Vec::with_capacity(keys.len());
    for (number, key) in (1..).zip(keys) {
        if key.get("d").is_some() {
            return Err(KeysError::Private(number));
        }
        let key: PublicKey =
            serde_json::from_value(key.clone()).map_err(|_| KeysError::Kind(number))?;
        key.material().ok_or(KeysError::Kind(number))?;
        read.push(key);
    }
    Ok(read)
}

enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(Vec<u8>),
    P384(Vec<u8>),
}

impl PublicKey {
    /// Which key it is.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Whether this key made a signature by this algorithm.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let named = self.algorithm.as_deref();
        if named.is_some_and(|name| Algorithm::named(name) != Some(algorithm)) {
            return false;
        }
        let Some(material) = self.material() else { return false };
        match (algorithm, material) {
            (Algorithm::Rs256, Material::Rsa(key)) => {
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            (Algorithm::Rs384, Material::Rsa(key)) => {
                key.verify(&RSA_PKCS1_2048_8192_SHA384, message, signature).is_ok()
            }
            (Algorithm::Es256, Material::P256(point)) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signature).is_ok()
            }
            (Algorithm::Es384, Material::P384(point)) => {
                let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point);
                key.verify(message, signature).is_ok()
            }
            _ => false,
        }
    }

    fn material(&self) -> Option<Material> {
        if self.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        match (self.kind.as_str(), self.curve.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (decoded(self.n.as_deref())?, decoded(self.e.as_deref())?);
                let n: Vec<u8> = n.into_iter().skip_while(|byte| *byte == 0).collect();
                let bits = n.len().checked_mul(8)?;
                (RSA_BITS_MIN..=RSA_BITS_MAX)
                    .contains(&bits)
                    .then_some(Material::Rsa(RsaPublicKeyComponents { n, e }))
            }
            ("EC", Some("P-256")) => self.point(32).map(Material::P256),
            ("EC", Some("P-384")) => self.point(48).map(Material::P384),
            _ => None,
        }
    }

    /// The uncompressed point (SEC 1 §2.3.3).
    fn point(&self, bytes: usize) -> Option<Vec<u8>> {
        let (x, y) = (decoded(self.x.as_deref())?, decoded(self.y.as_deref())?);
        (x.len() == bytes && y.len() == bytes).then(|| [&[4], x.as_slice(), &y].concat())
    }
}

fn decoded(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok().filter(|bytes| !bytes.is_empty())
}
