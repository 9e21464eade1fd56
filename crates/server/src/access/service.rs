//! Who is behind a request, and who gets a token.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use pipehat_resource::search::Registry;
use pipehat_store::audit::{AuditError, AuditLog, UsedOnce};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use super::address::Addresses;
use super::assertion::{ASSERTION_TYPE, Assertion, Replays};
use super::client::Client;
use super::failures::Failures;
use super::granted::granted;
use super::oauth::{OAuthError, TokenForm, basic, bearer, scopes_for};
use super::register::{ClientRegister, new_id};
use super::scope::{SmartScope, joined};
use super::token::{TOKEN_SECONDS, TokenClaims, TokenKey};
use crate::fhir::{
    Access, AccessRefusal, AccessRequest, Decision, Principal, Scope, Scopes, SearchParameters,
};

/// What was granted is remembered for this many texts of scopes.
const GRANTS_MAX: usize = 1_000;

/// As many tokens are known again without looking at their signature.
const KNOWN_TOKENS_MAX: usize = 1_024;

/// Longer ones are looked at each time.
const KNOWN_TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How often to look whether something was done to clients.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Whoever has the token that a start writes beside the data may do everything: the same person may read the data.
pub(crate) const ADMIN: &str = "admin";

const CHALLENGE: &str = "Bearer realm=\"pipehat\", Basic realm=\"pipehat\", charset=\"UTF-8\"";
const CHALLENGE_INVALID: &str =
    "Bearer realm=\"pipehat\", error=\"invalid_token\", Basic realm=\"pipehat\", charset=\"UTF-8\"";

/// What an installation's access is made of.
pub struct AccessSettings {
    /// The secret that tokens are signed with.
    pub token_secret: [u8; 32],
    /// The token of the admin API.
    pub admin_token: String,
    /// The public address of the FHIR API, where it is not what `Host` says.
    pub base: Option<String>,
    /// The origins whose scripts may call.
    pub origins: Vec<String>,
}

/// Knows the clients, gives them tokens and tells the API who is behind a request.
pub struct AccessService {
    pub(super) register: Arc<ClientRegister>,
    pub(super) addresses: Addresses,
    pub(super) origins: Vec<String>,
    pub(super) audit: Arc<AuditLog>,
    key: TokenKey,
    admin_token: String,
    parameters: Arc<SearchParameters>,
    failures: Mutex<Failures>,
    replays: Mutex<Replays>,
    grants: RwLock<Grants>,
    /// Tokens that were found to be ours.
    tokens: RwLock<HashMap<Box<str>, Arc<TokenClaims>>>,
}

/// What texts of scopes give, by the parameters in force.
#[derive(Default)]
struct Grants {
    registry: Option<Arc<Registry>>,
    by_text: HashMap<String, Arc<[Scope]>>,
}

/// Who a request is from.
#[derive(Clone)]
pub(super) enum Caller {
    Admin,
    Client { client: Arc<Client>, scope: String },
}

impl AccessService {
    /// Over a register and an audit log, which knows the assertions that were used before.
    ///
    /// # Errors
    /// When the audit log can't be read.
    pub fn new(
        settings: AccessSettings,
        register: Arc<ClientRegister>,
        parameters: Arc<SearchParameters>,
        audit: Arc<AuditLog>,
    ) -> Result<Self, AuditError> {
        let used = audit.used_once(now_micros())?;
        Ok(Self {
            register,
            addresses: Addresses::new(settings.base),
            origins: settings.origins,
            audit,
            key: TokenKey::new(&settings.token_secret),
            admin_token: settings.admin_token,
            parameters,
            failures: Mutex::default(),
            replays: Mutex::new(Replays::with(used)),
            grants: RwLock::default(),
            tokens: RwLock::default(),
        })
    }

    /// Follows the register until the stop: what was done to clients goes into the audit.
    pub(crate) async fn follow_clients(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            if let Err(error) = self.tell_of_clients().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what was done to clients can't be told to the audit; trying again"
                );
            }
        }
    }

    /// Tells the audit what was done to clients and does not stand there yet. A crash between the two steps tells it again,
    /// under the same request id.
    ///
    /// # Errors
    /// When the audit can't be written.
    pub async fn tell_of_clients(&self) -> Result<(), AuditError> {
        let events = self.register.untold();
        if events.is_empty() {
            return Ok(());
        }
        for event in events.iter() {
            self.audit.record(event.record()).await?;
        }
        self.audit.flush().await?;
        let register = Arc::clone(&self.register);
        let forgotten = tokio::task::spawn_blocking(move || register.told(&events)).await;
        if let Ok(Err(error)) = forgotten {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the register of clients can't be written; what was done to clients is told again"
            );
        }
        Ok(())
    }

    /// Who sends these headers; `None` where that can't be made out.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        if let Some(token) = bearer(headers) {
            if bool::from(token.as_bytes().ct_eq(self.admin_token.as_bytes())) {
                return Some(Caller::Admin);
            }
            let (claims, client) = self.opened(token)?;
            return Some(Caller::Client { client, scope: claims.scope.clone() });
        }
        let (id, secret) = basic(headers)?;
        let client = self.by_secret(&id, &secret)?;
        let scope = joined(&client.scopes);
        Some(Caller::Client { client, scope })
    }

    /// What a token says, where it opens something now.
    pub(super) fn claims(&self, token: &str) -> Option<Arc<TokenClaims>> {
        self.opened(token).map(|(claims, _)| claims)
    }

    /// What a token says, and whose it is. That it is ours need not be found out twice; all else may have changed.
    fn opened(&self, token: &str) -> Option<(Arc<TokenClaims>, Arc<Client>)> {
        let now = now_seconds();
        let seen = {
            let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
            tokens.get(token).map(Arc::clone)
        };
        let claims = match seen {
            Some(claims) => claims.hold_at(now).then_some(claims)?,
            None => {
                let claims = Arc::new(self.key.verify(token, now)?);
                if token.len() <= KNOWN_TOKEN_BYTES_MAX {
                    let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
                    if tokens.len() >= KNOWN_TOKENS_MAX {
                        tokens.clear();
                    }
                    tokens.insert(token.into(), Arc::clone(&claims));
                }
                claims
            }
        };
        let client = self.register.client(&claims.client_id)?;
        (client.generation == claims.generation).then_some((claims, client))
    }

    fn by_secret(&self, id: &str, secret: &str) -> Option<Arc<Client>> {
        let client = self.register.client(id)?;
        client.has_secret(secret).then_some(client)
    }

    /// The client of a token request, by exactly one of the ways to prove who it is (RFC 6749 §2.3); and what it used up
    /// by that, which the audit has to keep.
    pub(super) fn authenticated(
        &self,
        headers: &HeaderMap,
        form: &TokenForm,
    ) -> Result<(Arc<Client>, Option<UsedOnce>), OAuthError> {
        if let Some(text) = &form.assertion {
            return self.by_assertion(headers, form, text);
        }
        if form.assertion_type.is_some() {
            return Err(OAuthError::request("client_assertion is missing"));
        }
        let (id, secret) = match (basic(headers), &form.client_secret) {
            (Some((id, secret)), other) => {
                // `MedplumClient` may send both; they must say the same.
                let same = other.as_ref().is_none_or(|other| *other == secret)
                    && form.client_id.as_ref().is_none_or(|other| *other == id);
                if !same {
                    return Err(OAuthError::request(
                        "the header Authorization and the form name different clients",
                    ));
                }
                (id, secret)
            }
            (None, Some(secret)) => {
                let id = form.client_id.clone();
                let id = id.ok_or_else(|| OAuthError::request("client_id is missing"))?;
                (id, secret.clone())
            }
            (None, None) => return Err(OAuthError::client()),
        };
        let client = self.by_secret(&id, &secret).ok_or_else(OAuthError::client)?;
        Ok((client, None))
    }

    fn by_assertion(
        &self,
        headers: &HeaderMap,
        form: &TokenForm,
        text: &str,
    ) -> Result<(Arc<Client>, Option<UsedOnce>), OAuthError> {
        if form.assertion_type.as_deref() != Some(ASSERTION_TYPE) {
            return Err(OAuthError::request(format!("client_assertion_type is {ASSERTION_TYPE}")));
        }
        if form.client_secret.is_some() || headers.contains_key(http::header::AUTHORIZATION) {
            return Err(OAuthError::request(
                "a client proves who it is by an assertion or by a secret, not by both",
            ));
        }
        let assertion = Assertion::read(text).map_err(OAuthError::assertion)?;
        if form.client_id.as_deref().is_some_and(|id| id != assertion.client_id()) {
            return Err(OAuthError::request("client_id is not that of the assertion"));
        }
        let client = self.register.client(assertion.client_id()).ok_or_else(OAuthError::client)?;
        let now = now_seconds();
        let audiences = self.addresses.audiences(headers);
        assertion.check(client.keys(), &audiences, now).map_err(OAuthError::assertion)?;
        let mut replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        let used = replays.take(&assertion, now).map_err(OAuthError::assertion)?;
        Ok((client, Some(used)))
    }

    /// A token for a client, with the scopes it asks for.
    pub(super) fn token(
        &self,
        client: &Client,
        asked: Option<&str>,
    ) -> Result<serde_json::Value, OAuthError> {
        let scopes = scopes_for(&client.scopes, asked)?;
        let registry = self.parameters.registry();
        let unknown = |name: &&str| asked.is_some() && !registry.is_resource_type(name);
        if let Some(name) = scopes.iter().filter_map(SmartScope::resource_type).find(unknown) {
            return Err(OAuthError::scope(format!("R4 has no resource type `{name}`")));
        }
        let scope = joined(&scopes);
        let id = new_id().map_err(|_| OAuthError::unavailable())?;
        let now = now_seconds();
        let claims = TokenClaims::new(&client.id, client.generation, scope.clone(), id, now);
        Ok(serde_json::json!({
            "access_token": self.key.sign(&claims),
            // SMART Backend Services: "bearer".
            "token_type": "bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": scope,
            // For MedplumClient.
            "project": { "reference": "Project/pipehat" },
            "profile": {
                "reference": format!("ClientApplication/{}", client.id),
                "display": client.name,
            },
        }))
    }

    /// Counts a failure; where there were too many, after how many seconds to try again.
    pub(super) fn failed(&self, peer: Option<SocketAddr>) -> Option<u32> {
        // A request without an address comes from inside.
        let address = peer.map_or(IpAddr::from([127, 0, 0, 1]), |peer| peer.ip());
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.count(address, now_seconds())
    }

    fn scopes(&self, text: &str) -> Arc<[Scope]> {
        let registry = self.parameters.registry();
        {
            let grants = self.grants.read().unwrap_or_else(PoisonError::into_inner);
            let current =
                grants.registry.as_ref().is_some_and(|known| Arc::ptr_eq(known, &registry));
            if let Some(scopes) = grants.by_text.get(text).filter(|_| current) {
                return Arc::clone(scopes);
            }
        }
        let read = SmartScope::parse_list(text).unwrap_or_default();
        let base = self.addresses.base().unwrap_or_default();
        let scopes: Arc<[Scope]> = granted(&read, &registry, base).into();
        let mut grants = self.grants.write().unwrap_or_else(PoisonError::into_inner);
        let current = grants.registry.as_ref().is_some_and(|known| Arc::ptr_eq(known, &registry));
        if !current || grants.by_text.len() >= GRANTS_MAX {
            *grants = Grants { registry: Some(registry), by_text: HashMap::new() };
        }
        grants.by_text.insert(text.to_owned(), Arc::clone(&scopes));
        scopes
    }

    fn decide(&self, request: AccessRequest<'_>) -> Result<Principal, AccessRefusal> {
        // No record, no action.
        if self.audit.is_failing() {
            return Err(AccessRefusal::Unavailable);
        }
        match self.caller(request.headers) {
            Some(Caller::Admin) => Ok(Principal { client: ADMIN.into(), scopes: Scopes::All }),
            Some(Caller::Client { client, scope }) => Ok(Principal {
                client: client.id.as_str().into(),
                scopes: Scopes::Some(self.scopes(&scope)),
            }),
            None if !request.headers.contains_key(http::header::AUTHORIZATION) => {
                Err(AccessRefusal::Unauthorized { challenge: CHALLENGE })
            }
            None => match self.failed(request.peer) {
                Some(retry_after) => Err(AccessRefusal::TooMany { retry_after }),
                None => Err(AccessRefusal::Invalid { challenge: CHALLENGE_INVALID }),
            },
        }
    }
}

impl Access for AccessService {
    fn principal<'a>(&'a self, request: AccessRequest<'a>) -> Decision<'a> {
        Box::pin(std::future::ready(self.decide(request)))
    }

    fn claimed(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        if let Some(token) = bearer(headers) {
            return self.key.signed(token).map(|claims| claims.client_id.as_str().into());
        }
        let (id, _) = basic(headers)?;
        self.register.client(&id).map(|client| client.id.as_str().into())
    }
}

pub(super) fn now_seconds() -> i64 {
    now_micros() / 1_000_000
}

pub(super) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
