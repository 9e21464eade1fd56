//! Tokens, HTTP Basic, discovery: how a client gets in, and how not.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pipehat_server::access::{StandIn, read_keys};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use crate::secured::{ADMIN_TOKEN, Secured};

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

#[tokio::test]
async fn a_client_signs_in_by_its_secret() {
    let server = Secured::new();
    let (id, secret) = server.client("lab", "system/Patient.rs system/Observation.cruds");
    let header = basic(&id, &secret);
    let in_form = format!("&client_id={id}&client_secret={secret}");
    for (authorization, more) in [(header.as_str(), ""), ("", &in_form), (&header, &in_form)] {
        let form = format!("grant_type=client_credentials{more}");
        let answer = server.form("/oauth2/token", authorization, &form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.body["token_type"], "bearer");
        assert_eq!(answer.body["expires_in"], 3600);
        assert_eq!(answer.body["scope"], "system/Patient.rs system/Observation.cruds");
        let token = format!("Bearer {}", answer.body["access_token"].as_str().unwrap());
        assert_eq!(server.get("/fhir/R4/Patient", &token).await.status, 200);
        assert_eq!(server.get("/fhir/R4/Encounter", &token).await.status, 403);
    }
    assert_eq!(server.get("/fhir/R4/Patient", &header).await.status, 200, "HTTP Basic");
    let narrow = server.token(&(id, secret), "&scope=system/Patient.r").await;
    assert_eq!(server.get("/fhir/R4/Patient/none", &narrow).await.status, 404);
    assert_eq!(server.get("/fhir/R4/Patient", &narrow).await.status, 403);
}

#[tokio::test]
async fn a_token_request_is_refused_by_its_code() {
    let server = Secured::new();
    let (id, secret) = server.client("lab", "system/Patient.rs");
    let own = format!("client_id={id}&client_secret={secret}");
    let check = async |form: &str, status: u16, code: &str| {
        let answer = server.form("/oauth2/token", "", form).await;
        assert_eq!((answer.status, &answer.body["error"]), (status, &json!(code)), "{form}");
        assert!(answer.body["error_description"].is_string());
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{form}");
    };
    let credentials = "grant_type=client_credentials";
    check("", 400, "invalid_request").await;
    check(&own, 400, "invalid_request").await;
    check(&format!("grant_type=password&{own}"), 400, "unsupported_grant_type").await;
    check(credentials, 401, "invalid_client").await;
    check(&format!("{credentials}&client_id={id}&client_secret=x"), 401, "invalid_client").await;
    check(&format!("{credentials}&client_id=x&client_secret={secret}"), 401, "invalid_client")
        .await;
    check(&format!("{credentials}&client_secret={secret}"), 400, "invalid_request").await;
    check(&format!("{credentials}&{own}&client_id={id}"), 400, "invalid_request").await;
    check(&format!("{credentials}&{own}&scope=system/*.rs"), 400, "invalid_scope").await;
    check(&format!("{credentials}&{own}&scope=patient/*.rs"), 400, "invalid_scope").await;
    let (id, secret) = server.client("all", "system/*.rs");
    let all = format!("client_id={id}&client_secret={secret}");
    check(&format!("{credentials}&{all}&scope=system/Patent.rs"), 400, "invalid_scope").await;
    check(&format!("{credentials}&{own}&client_assertion=a.b.c"), 400, "invalid_request").await;
    let json = server.call("POST /oauth2/token", "", &json!({})).await;
    assert_eq!((json.status, &json.body["error"]), (400, &json!("invalid_request")));
    assert_eq!(server.get("/oauth2/token", "").await.status, 405);
}

#[tokio::test]
async fn a_revoked_client_and_an_old_secret_open_nothing() {
    let server = Secured::new();
    let client = server.client("lab", "system/*.*");
    let token = server.token(&client, "").await;
    let header = basic(&client.0, &client.1);
    assert_eq!(server.get("/fhir/R4/Patient", &token).await.status, 200);
    let rotated = server.clients.rotate(&client.0, None).unwrap().secret.unwrap();
    assert_eq!(server.get("/fhir/R4/Patient", &token).await.status, 401);
    assert_eq!(server.get("/fhir/R4/Patient", &header).await.status, 401);
    let client = (client.0, rotated);
    let token = server.token(&client, "").await;
    assert_eq!(server.get("/fhir/R4/Patient", &token).await.status, 200);
    server.clients.revoke(&client.0, "2026-01-02T03:04:06Z").unwrap();
    assert_eq!(server.get("/fhir/R4/Patient", &token).await.status, 401);
    assert_eq!(server.get("/fhir/R4/Patient", &basic(&client.0, &client.1)).await.status, 401);
    let form =
        format!("grant_type=client_credentials&client_id={}&client_secret={}", client.0, client.1);
    assert_eq!(server.form("/oauth2/token", "", &form).await.status, 401);
}

#[tokio::test]
async fn too_many_failures_are_put_off_and_right_credentials_are_not() {
    let server = Secured::new();
    let (id, secret) = server.client("lab", "system/*.*");
    let wrong = basic(&id, "wrong");
    let mut statuses = Vec::new();
    for _ in 0..25 {
        statuses.push(server.get("/fhir/R4/Patient", &wrong).await.status);
    }
    assert!(statuses[..20].iter().all(|status| *status == 401), "{statuses:?}");
    assert!(statuses[20..].iter().all(|status| *status == 429), "{statuses:?}");
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret=wrong");
    let answer = server.form("/oauth2/token", "", &form).await;
    assert_eq!(answer.status, 429);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(server.get("/fhir/R4/Patient", &basic(&id, &secret)).await.status, 200);
    server.token(&(id, secret), "").await;
    assert_eq!(server.get("/fhir/R4/Patient", "").await.status, 401, "none sent is no failure");
}

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let (kind, random) = (&ECDSA_P384_SHA384_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap())
    }

    fn keys(&self) -> String {
        let point = self.0.public_key().as_ref();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "keys": [{ "kty": "EC", "crv": "P-384", "kid": "k", "x": text(&point[1..49]),
            "y": text(&point[49..]) }] })
        .to_string()
    }

    fn form(&self, id: &str, audience: &str, jti: &str) -> String {
        let text = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let claims = json!({ "iss": id, "sub": id, "aud": audience, "jti": jti,
            "exp": now.as_secs() + 240 });
        let signed = format!("{}.{}", text(json!({ "alg": "ES384", "kid": "k" })), text(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!(
            "grant_type=client_credentials&scope=system/Patient.rs&client_assertion_type=\
             urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
             &client_assertion={signed}.{}",
            URL_SAFE_NO_PAD.encode(signature)
        )
    }
}

#[tokio::test]
async fn a_client_signs_in_by_its_key() {
    for base in [None, Some("https://fhir.example.org/fhir/R4")] {
        let server = Secured::with_base(base);
        let signer = Signer::new();
        let keys = read_keys(&signer.keys()).unwrap();
        let id = server.added("backend", "system/*.cruds", Some(keys)).client.id;
        let discovered = server.get("/fhir/R4/.well-known/smart-configuration", "").await.body;
        let audience = discovered["token_endpoint"].as_str().unwrap();
        let expected = base.map_or("http://fhir.test", |_| "https://fhir.example.org");
        assert_eq!(audience, format!("{expected}/oauth2/token"));
        let form = signer.form(&id, audience, "j-1");
        let answer = server.form("/oauth2/token", "", &form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["scope"], "system/Patient.rs");
        let token = format!("Bearer {}", answer.body["access_token"].as_str().unwrap());
        assert_eq!(server.get("/fhir/R4/Patient", &token).await.status, 200);
        let check = async |form: String, says: &str| {
            let answer = server.form("/oauth2/token", "", &form).await;
            assert_eq!((answer.status, &answer.body["error"]), (401, &json!("invalid_client")));
            let text = answer.body["error_description"].as_str().unwrap();
            assert!(text.contains(says), "{text}");
        };
        check(form, "used before").await;
        check(signer.form(&id, "https://other.example.org/oauth2/token", "j-2"), "aud").await;
        check(Signer::new().form(&id, audience, "j-3"), "signature").await;
        check(signer.form("nobody", audience, "j-4"), "unknown").await;
        if base.is_some() {
            check(signer.form(&id, "http://fhir.test/oauth2/token", "j-5"), "aud").await;
        }
        let secret = format!("{}&client_secret=x", signer.form(&id, audience, "j-6"));
        assert_eq!(server.form("/oauth2/token", "", &secret).await.status, 400);
    }
}

#[tokio::test]
async fn an_assertion_is_used_once_also_over_a_restart() {
    let server = Secured::new();
    let signer = Signer::new();
    let keys = read_keys(&signer.keys()).unwrap();
    let id = server.added("backend", "system/Patient.rs", Some(keys)).client.id;
    let form = |jti: &str| signer.form(&id, "http://fhir.test/oauth2/token", jti);
    let (first, refused) = (form("j-1"), format!("{}&scope=system/*.cruds", form("j-2")));
    assert_eq!(server.form("/oauth2/token", "", &first).await.status, 200);
    // What is refused for another reason behind the proof is used up, too.
    let refused = refused.replacen("&scope=system/Patient.rs", "", 1);
    assert_eq!(server.form("/oauth2/token", "", &refused).await.status, 400);
    let server = server.restarted();
    for used in [&first, &refused] {
        let answer = server.form("/oauth2/token", "", used).await;
        assert_eq!(answer.status, 401);
        let text = answer.body["error_description"].as_str().unwrap();
        assert!(text.contains("used before"), "{text}");
    }
    assert_eq!(server.form("/oauth2/token", "", &form("j-3")).await.status, 200);
}

#[tokio::test]
async fn discovery_is_open_and_the_rest_is_not() {
    let server = Secured::new();
    for path in [
        "/.well-known/smart-configuration",
        "/fhir/R4/.well-known/smart-configuration",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    ] {
        let answer = server.get(path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.body["grant_types_supported"], json!(["client_credentials"]));
        assert_eq!(answer.body["token_endpoint"], "http://fhir.test/oauth2/token");
    }
    let metadata = server.get("/fhir/R4/metadata", "").await.body;
    let security = &metadata["rest"][0]["security"];
    assert_eq!(security["service"][0]["coding"][0]["code"], "SMART-on-FHIR");
    let address = &security["extension"][0]["extension"][0]["valueUri"];
    assert_eq!(address, "http://fhir.test/oauth2/token");
    for path in ["/auth/me", "/fhir/R4/Patient", "/fhir/R4/AuditEvent", "/fhir/R4"] {
        let answer = server.get(path, "").await;
        assert_eq!(answer.status, 401, "{path}");
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("Basic realm="), "{challenge}");
    }
    assert_eq!(server.form("/oauth2/introspect", "", "token=x").await.status, 401);
}

#[tokio::test]
async fn a_client_learns_who_it_is_and_what_its_token_is() {
    let server = Secured::new();
    let client = server.client("lab", "system/Patient.rs");
    let token = server.token(&client, "").await;
    let me = server.get("/auth/me", &token).await;
    assert_eq!(me.status, 200);
    assert_eq!(me.body["profile"]["resourceType"], "ClientApplication");
    assert_eq!(me.body["profile"]["id"], json!(client.0));
    assert_eq!(me.body["profile"]["name"], "lab");
    assert!(me.body["membership"].is_object() && me.body["project"].is_object());

    let device = StandIn::parse("Device/lab").expect("a reference");
    server.clients.stand_in("lab", Some(device)).expect("a client");
    let me = server.get("/auth/me", &token).await;
    assert_eq!(
        me.body["profile"],
        json!({
            "resourceType": "Device",
            "id": "lab",
            "deviceName": [{ "name": "lab", "type": "user-friendly-name" }],
        })
    );
    assert_eq!(me.body["membership"]["profile"]["reference"], "Device/lab");
    let user = format!("ClientApplication/{}", client.0);
    assert_eq!(me.body["membership"]["user"]["reference"], user);

    let bare = token.strip_prefix("Bearer ").unwrap();
    let other = server.client("other", "system/*.*");
    let own = basic(&client.0, &client.1);
    let admin = format!("Bearer {ADMIN_TOKEN}");
    let check = async |authorization: &str, token: &str, active: bool| {
        let answer =
            server.form("/oauth2/introspect", authorization, &format!("token={token}")).await;
        assert_eq!((answer.status, &answer.body["active"]), (200, &json!(active)));
        answer.body
    };
    let said = check(&own, bare, true).await;
    assert_eq!(
        (&said["scope"], &said["client_id"]),
        (&json!("system/Patient.rs"), &json!(client.0))
    );
    check(&admin, bare, true).await;
    check(&token, bare, true).await;
    check(&basic(&other.0, &other.1), bare, false).await;
    check(&own, "x", false).await;
    server.clients.revoke(&client.0, "2026-01-02T03:04:06Z").unwrap();
    check(&admin, bare, false).await;
}

#[tokio::test]
async fn scripts_of_known_origins_may_sign_in() {
    let server = Secured::new();
    let ask = async |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        let answer = server.send("OPTIONS /oauth2/token", &headers, String::new()).await;
        answer.headers.get("access-control-allow-origin").is_some()
    };
    assert!(ask("https://app.example.org").await);
    assert!(!ask("https://evil.example.net").await);
}
