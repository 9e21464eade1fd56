//! A client: who may ask for tokens, how it proves who it is, and what it may do.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::keys::PublicKey;
use super::scope::SmartScope;
use super::stand_in::StandIn;

/// A client's name has at most this many bytes.
pub(super) const NAME_BYTES_MAX: usize = 200;

/// What is kept of a secret: its SHA-256.
///
/// A slow hash such as Argon2id makes guessing words expensive. Our secrets are no words: they are 256 random bits, and
/// nobody tries half of 2^256 however fast the hash is. A fast one keeps HTTP Basic cheap, where each request brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Of a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Whether a secret is this one; takes as long whatever is wrong.
    pub fn is_of(self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }
}

impl Serialize for SecretHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&hex)
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("expected 64 hexadecimal digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// How a client proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// By a secret.
    Secret(SecretHash),
    /// By what it signs with the private key of one of these.
    Keys(Vec<PublicKey>),
}

/// One client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its id, for OAuth2 and for the audit.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    #[serde(with = "scope_texts")]
    pub scopes: Vec<SmartScope>,
    /// How it proves who it is.
    pub proof: Proof,
    /// Grows with each new secret; tokens of before are void.
    pub generation: u32,
    /// When it was added (RFC 3339).
    pub created: String,
    /// The resource that stands for it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<StandIn>,
    /// When it was revoked, where it was: it stays for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

impl Client {
    /// Whether it may ask for anything.
    pub fn is_active(&self) -> bool {
        self.revoked.is_none()
    }

    /// Its public keys, where it has some.
    pub fn keys(&self) -> &[PublicKey] {
        match &self.proof {
            Proof::Keys(keys) => keys,
            Proof::Secret(_) => &[],
        }
    }

    /// Whether this is its secret.
    pub fn has_secret(&self, secret: &str) -> bool {
        match &self.proof {
            Proof::Secret(hash) => hash.is_of(secret),
            Proof::Keys(_) => false,
        }
    }
}

mod scope_texts {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::SmartScope;

    pub(super) fn serialize<S: Serializer>(
        scopes: &[SmartScope],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let texts: Vec<&str> = scopes.iter().map(SmartScope::as_str).collect();
        texts.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<SmartScope>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let read = |text: &String| SmartScope::parse(text).map_err(serde::de::Error::custom);
        texts.iter().map(read).collect()
    }
}
