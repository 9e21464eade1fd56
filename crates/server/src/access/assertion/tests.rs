use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};
use serde_json::{Value, json};

use super::super::keys::{KEYS_MAX, KeysError, read_keys};
use super::*;

const NOW: i64 = 1_800_000_000;
const AUDIENCE: &str = "https://fhir.example.org/oauth2/token";

struct Signer {
    pair: EcdsaKeyPair,
    algorithm: &'static str,
    curve: &'static str,
}

impl Signer {
    fn p384() -> Self {
        Self::on(&ECDSA_P384_SHA384_FIXED_SIGNING, "ES384", "P-384")
    }

    fn p256() -> Self {
        Self::on(&ECDSA_P256_SHA256_FIXED_SIGNING, "ES256", "P-256")
    }

    fn on(
        kind: &'static ring::signature::EcdsaSigningAlgorithm,
        algorithm: &'static str,
        curve: &'static str,
    ) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
        Self { pair, algorithm, curve }
    }

    fn jwk(&self, key_id: &str) -> Value {
        let point = self.pair.public_key().as_ref();
        let half = (point.len() - 1) / 2;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": self.curve, "kid": key_id, "alg": self.algorithm, "use": "sig",
            "x": text(&point[1..=half]), "y": text(&point[1 + half..]) })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(header), text(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn keys(keys: &[Value]) -> Vec<PublicKey> {
    read_keys(&json!({ "keys": keys }).to_string()).unwrap()
}

fn claims() -> Value {
    json!({ "iss": "c-1", "sub": "c-1", "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW, "jti": "j-1" })
}

fn checked(text: &str, keys: &[PublicKey]) -> Result<(), AssertionError> {
    let audiences = [AUDIENCE.to_owned()];
    Assertion::read(text).and_then(|assertion| assertion.check(keys, &audiences, NOW))
}

#[test]
fn claims_must_be_right() {
    let signer = Signer::p384();
    let keys = keys(&[signer.jwk("k-1")]);
    let check = |change: Value, expected: Result<(), AssertionError>| {
        let mut claims = claims();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let text = signer.sign(&json!({ "alg": "ES384", "kid": "k-1", "typ": "JWT" }), &claims);
        assert_eq!(checked(&text, &keys), expected, "{change}");
    };
    check(json!({}), Ok(()));
    check(json!({ "aud": ["https://other.example.org", AUDIENCE] }), Ok(()));
    check(json!({ "exp": NOW + 1, "iat": null, "nbf": NOW + 60 }), Ok(()));
    check(json!({ "exp": (NOW as f64) + 1.5 }), Ok(()));
    check(json!({ "iss": "c-2" }), Err(AssertionError::Client));
    check(json!({ "iss": "", "sub": "" }), Err(AssertionError::Client));
    check(
        json!({ "aud": "https://other.example.org/oauth2/token" }),
        Err(AssertionError::Audience),
    );
    check(json!({ "aud": null }), Err(AssertionError::Audience));
    check(json!({ "aud": [] }), Err(AssertionError::Audience));
    check(json!({ "exp": NOW }), Err(AssertionError::Expired));
    check(json!({ "exp": null }), Err(AssertionError::Expired));
    check(json!({ "exp": 1e300 }), Err(AssertionError::TooLong));
    check(json!({ "exp": NOW + 360 }), Ok(()));
    check(json!({ "exp": NOW + 361 }), Err(AssertionError::TooLong));
    check(json!({ "iat": NOW + 61 }), Err(AssertionError::Early));
    check(json!({ "nbf": NOW + 61 }), Err(AssertionError::Early));
    check(json!({ "jti": "" }), Err(AssertionError::Id));
    check(json!({ "jti": "x".repeat(ID_BYTES_MAX + 1) }), Err(AssertionError::Id));
    check(json!({ "exp": "soon" }), Err(AssertionError::Form));
}

#[test]
fn the_signature_must_be_the_clients() {
    let (p384, p256, stranger) = (Signer::p384(), Signer::p256(), Signer::p384());
    let both = keys(&[p384.jwk("a"), p256.jwk("b")]);
    let check = |text: &str, expected: Result<(), AssertionError>| {
        assert_eq!(checked(text, &both), expected, "{text}");
    };
    let header = |algorithm: &str, key_id: &str| json!({ "alg": algorithm, "kid": key_id });
    check(&p384.sign(&header("ES384", "a"), &claims()), Ok(()));
    check(&p256.sign(&header("ES256", "b"), &claims()), Ok(()));
    check(&p256.sign(&json!({ "alg": "ES256" }), &claims()), Ok(()));
    let wrong = Err(AssertionError::Signature);
    check(&p256.sign(&header("ES256", "a"), &claims()), wrong);
    check(&p256.sign(&header("ES384", "b"), &claims()), wrong);
    check(&p256.sign(&header("RS256", "b"), &claims()), wrong);
    check(&stranger.sign(&header("ES384", "a"), &claims()), wrong);
    let unknown = Err(AssertionError::Algorithm);
    check(&p256.sign(&header("none", "b"), &claims()), unknown);
    check(&p256.sign(&header("HS256", "b"), &claims()), unknown);
    check("a.b.c", Err(AssertionError::Form));
    check("", Err(AssertionError::Form));
    let critical = json!({ "alg": "ES256", "crit": ["exp"] });
    check(&p256.sign(&critical, &claims()), Err(AssertionError::Form));
    let text = p256.sign(&header("ES256", "b"), &claims());
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let other =
        json!({ "iss": "c-1", "sub": "c-1", "aud": AUDIENCE, "exp": NOW + 9, "jti": "other" });
    let header = signed.split_once('.').unwrap().0;
    let forged = URL_SAFE_NO_PAD.encode(other.to_string());
    check(&format!("{header}.{forged}.{signature}"), wrong);
}

#[test]
fn an_assertion_is_used_once() {
    let signer = Signer::p256();
    let text = |id: &str, exp: i64| {
        let mut claims = claims();
        (claims["jti"], claims["exp"]) = (json!(id), json!(exp));
        signer.sign(&json!({ "alg": "ES256" }), &claims)
    };
    let mut replays = Replays::default();
    let mut take = |text: &str, now: i64| {
        let assertion = Assertion::read(text).unwrap();
        replays.take(&assertion, now).map(|used| used.until)
    };
    let first = text("j-1", NOW + 300);
    let until = |exp: i64| Ok(exp * 1_000_000);
    assert_eq!(take(&first, NOW), until(NOW + 300));
    assert_eq!(take(&first, NOW + 299), Err(AssertionError::Replayed));
    assert_eq!(take(&text("j-2", NOW + 300), NOW), until(NOW + 300));
    let again = take(&text("j-1", NOW + 900), NOW + 300);
    assert_eq!(again, until(NOW + 900), "the first has run out");
    assert_eq!(replays.used.len(), 1, "what ran out is forgotten");
}

#[test]
fn key_sets_are_read() {
    let (p256, p384) = (Signer::p256(), Signer::p384());
    let check = |set: Value, expected: Result<usize, KeysError>| {
        let read = read_keys(&set.to_string()).map(|keys| keys.len());
        assert_eq!(read, expected, "{set}");
    };
    let rsa = |bytes: usize| json!({ "kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(vec![0x81; bytes]) });
    check(json!({ "keys": [p256.jwk("a"), p384.jwk("b"), rsa(256)] }), Ok(3));
    check(json!({ "keys": [rsa(255)] }), Err(KeysError::Kind(1)));
    check(json!({ "keys": [rsa(1024)] }), Ok(1));
    check(json!({ "keys": [rsa(1025)] }), Err(KeysError::Kind(1)));
    check(json!({ "keys": [] }), Err(KeysError::Count));
    check(json!({ "keys": vec![p256.jwk("a"); KEYS_MAX] }), Ok(KEYS_MAX));
    check(json!({ "keys": vec![p256.jwk("a"); KEYS_MAX + 1] }), Err(KeysError::Count));
    check(json!([]), Err(KeysError::Form));
    check(json!({ "keys": [p256.jwk("a"), { "kty": "oct", "k": "AA" }] }), Err(KeysError::Kind(2)));
    let mut private = p256.jwk("a");
    private["d"] = json!("AA");
    check(json!({ "keys": [private] }), Err(KeysError::Private(1)));
    let mut encrypts = p256.jwk("a");
    encrypts["use"] = json!("enc");
    check(json!({ "keys": [encrypts] }), Err(KeysError::Kind(1)));
}

/// Signed by openssl with a key made for this test: `RS384` works, which ring alone can't sign quickly in tests.
#[test]
fn rsa_signatures_are_checked() {
    let set = include_str!("../../../golden/access/rsa_keys.json");
    let keys = read_keys(set).unwrap();
    let texts = include_str!("../../../golden/access/rsa_assertions.txt");
    let mut algorithms = Vec::new();
    for text in texts.lines() {
        let assertion = Assertion::read(text).unwrap();
        algorithms.push(assertion.algorithm);
        assert_eq!(assertion.check(&keys, &[AUDIENCE.to_owned()], NOW), Ok(()), "{text}");
    }
    assert_eq!(algorithms, [Algorithm::Rs384, Algorithm::Rs256]);
}
