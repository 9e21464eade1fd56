//! The addresses beside the FHIR API: tokens, introspection, discovery, and who one is.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Router, middleware};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use pipehat_store::audit::{AuditRecord, UsedOnce};
use serde_json::{Value, json};

use super::keys::Algorithm;
use super::oauth::{OAuthError, TokenForm, basic};
use super::service::{ADMIN, AccessService, Caller, now_micros};
use crate::fhir::{common_headers, preflight, request_id};

/// A form with an assertion has some kilobytes.
const FORM_BYTES_MAX: usize = 64 * 1024;

impl AccessService {
    /// The routes.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/oauth2/token", post(token))
            .route("/oauth2/introspect", post(introspect))
            .route("/auth/me", get(me))
            .route("/.well-known/smart-configuration", get(configuration))
            .route("/fhir/R4/.well-known/smart-configuration", get(configuration))
            .route("/.well-known/oauth-authorization-server", get(configuration))
            .route("/.well-known/openid-configuration", get(configuration))
            .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
            .layer(middleware::from_fn_with_state(Arc::clone(self), cross_origin))
            .with_state(Arc::clone(self))
    }

    /// Tells the audit of a call, durably.
    async fn told(
        &self,
        call: &Call<'_>,
        client: Option<&str>,
        status: StatusCode,
        used_once: Option<UsedOnce>,
    ) -> Result<(), OAuthError> {
        let record = AuditRecord {
            at: now_micros(),
            request_id: request_id(call.headers),
            client: client.map(Into::into),
            client_name: client.and_then(|id| self.register.name(id)),
            address: call.peer.map(|peer| peer.ip().to_string()),
            interaction: call.interaction.to_owned(),
            status: status.as_u16(),
            used_once,
            ..AuditRecord::default()
        };
        let recorded = async {
            self.audit.record(record).await?;
            self.audit.flush().await
        };
        recorded.await.map_err(|_| OAuthError::unavailable())
    }

    /// Answers a call, when the audit knows of it.
    async fn answered(
        &self,
        call: Call<'_>,
        client: Option<String>,
        result: Result<Value, OAuthError>,
    ) -> Response {
        self.answered_using(call, client, result, None).await
    }

    /// The same; with what was used up by it.
    async fn answered_using(
        &self,
        call: Call<'_>,
        client: Option<String>,
        result: Result<Value, OAuthError>,
        used: Option<UsedOnce>,
    ) -> Response {
        // A wrong proof of one of our clients is told with its name; what else was sent as an id is not kept: it may
        // be anything, a secret in the wrong place too.
        let client = client.filter(|id| id == ADMIN || self.register.name(id).is_some());
        let result = match result {
            Err(error) if error.status == StatusCode::UNAUTHORIZED => {
                Err(self.failed(call.peer).map_or(error, OAuthError::too_many))
            }
            other => other,
        };
        let status = result.as_ref().map_or_else(|error| error.status, |_| StatusCode::OK);
        let result = match self.told(&call, client.as_deref(), status, used).await {
            Ok(()) => result,
            Err(error) => Err(error),
        };
        match result {
            Ok(body) => json_answer(StatusCode::OK, &body),
            Err(error) => refusal(&error),
        }
    }
}

/// One call, as the audit is told of it.
struct Call<'a> {
    headers: &'a HeaderMap,
    peer: Option<SocketAddr>,
    interaction: &'static str,
}

type Peer = Option<axum::Extension<ConnectInfo<SocketAddr>>>;

fn address(peer: Peer) -> Option<SocketAddr> {
    peer.map(|axum::Extension(ConnectInfo(peer))| peer)
}

/// `POST /oauth2/token` (RFC 6749 §4.4.2).
async fn token(
    State(service): State<Arc<AccessService>>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call { headers: &headers, peer: address(peer), interaction: "token" };
    if service.audit.is_failing() {
        return refusal(&OAuthError::unavailable());
    }
    let form = match TokenForm::read(&headers, &body) {
        Ok(form) => form,
        Err(error) => return service.answered(call, None, Err(error)).await,
    };
    let named = basic(&headers).map(|(id, _)| id).or_else(|| form.client_id.clone());
    let proven = match form.grant_type.as_deref() {
        Some("client_credentials") => service.authenticated(&headers, &form),
        Some(_) => Err(OAuthError {
            code: "unsupported_grant_type",
            ..OAuthError::request("grant_type is client_credentials")
        }),
        None => Err(OAuthError::request("grant_type is missing; it is client_credentials")),
    };
    match proven {
        Ok((client, used)) => {
            let token = service.token(&client, form.scope.as_deref());
            service.answered_using(call, Some(client.id.clone()), token, used).await
        }
        Err(error) => service.answered(call, named, Err(error)).await,
    }
}

/// `POST /oauth2/introspect` (RFC 7662): for an administrator every token, for a client its own.
async fn introspect(
    State(service): State<Arc<AccessService>>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call { headers: &headers, peer: address(peer), interaction: "introspect" };
    if service.audit.is_failing() {
        return refusal(&OAuthError::unavailable());
    }
    let form = match TokenForm::read(&headers, &body) {
        Ok(form) => form,
        Err(error) => return service.answered(call, None, Err(error)).await,
    };
    let caller = match service.caller(&headers) {
        Some(caller) => Ok((caller, None)),
        None => service
            .authenticated(&headers, &form)
            .map(|(client, used)| (Caller::Client { client, scope: String::new() }, used)),
    };
    let (caller, used) = match caller {
        Ok(caller) => caller,
        Err(error) => return service.answered(call, form.client_id, Err(error)).await,
    };
    let (id, all) = match &caller {
        Caller::Admin => (ADMIN.to_owned(), true),
        Caller::Client { client, .. } => (client.id.clone(), false),
    };
    let result = match form.token.as_deref() {
        None => Err(OAuthError::request("token is missing")),
        Some(token) => Ok(match service.claims(token) {
            Some(claims) if all || claims.client_id == id => json!({
                "active": true,
                "scope": claims.scope,
                "client_id": claims.client_id,
                "sub": claims.sub,
                "token_type": "bearer",
                "iat": claims.iat,
                "exp": claims.exp,
                "jti": claims.jti,
            }),
            _ => json!({ "active": false }),
        }),
    };
    service.answered_using(call, Some(id), result, used).await
}

/// `GET /auth/me`: what `MedplumClient` asks after it signed in.
async fn me(State(service): State<Arc<AccessService>>, peer: Peer, headers: HeaderMap) -> Response {
    let call = Call { headers: &headers, peer: address(peer), interaction: "me" };
    if service.audit.is_failing() {
        return refusal(&OAuthError::unavailable());
    }
    let (id, name, stand_in) = match service.caller(&headers) {
        Some(Caller::Admin) => (ADMIN.to_owned(), ADMIN.to_owned(), None),
        Some(Caller::Client { client, .. }) => {
            (client.id.clone(), client.name.clone(), client.stand_in.clone())
        }
        None => return service.answered(call, None, Err(OAuthError::client())).await,
    };
    let reference = format!("ClientApplication/{id}");
    // Medplum's own name for what R4 has no type for, unless a resource stands for the client.
    let profile = match &stand_in {
        Some(stand_in) => stand_in.profile(&name),
        None => json!({ "resourceType": "ClientApplication", "id": id, "name": name }),
    };
    let profile_reference = stand_in.map_or_else(|| reference.clone(), |own| own.to_string());
    let body = json!({
        "project": { "resourceType": "Project", "id": "pipehat", "name": "Pipehat" },
        "membership": {
            "resourceType": "ProjectMembership",
            "id": id,
            "project": { "reference": "Project/pipehat" },
            "user": { "reference": reference, "display": name },
            "profile": { "reference": profile_reference, "display": name },
        },
        "profile": profile,
        "config": { "resourceType": "UserConfiguration", "id": "pipehat" },
        "accessPolicy": { "resourceType": "AccessPolicy", "id": id },
    });
    service.answered(call, Some(id), Ok(body)).await
}

/// What a client must know to get a token: SMART App Launch 2 ("Conformance"), which is also RFC 8414.
async fn configuration(State(service): State<Arc<AccessService>>, headers: HeaderMap) -> Response {
    let Some(root) = service.addresses.root(&headers) else {
        return refusal(&OAuthError::request("the header Host is not a host and port"));
    };
    let body = json!({
        "issuer": root,
        "token_endpoint": format!("{root}/oauth2/token"),
        "introspection_endpoint": format!("{root}/oauth2/introspect"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
        "scopes_supported": ["system/*.cruds", "system/*.rs", "system/*.read", "system/*.write"],
        "capabilities": [
            "client-confidential-symmetric",
            "client-confidential-asymmetric",
            "permission-v1",
            "permission-v2",
        ],
    });
    let mut response = json_answer(StatusCode::OK, &body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    response
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // RFC 6749 §5.1.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

fn refusal(error: &OAuthError) -> Response {
    let mut response = json_answer(error.status, &error.body());
    let headers = response.headers_mut();
    if error.status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"pipehat\", charset=\"UTF-8\"");
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = error.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Lets scripts of the origins that may call the FHIR API sign in, too.
async fn cross_origin(
    State(service): State<Arc<AccessService>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    if parts.method == Method::OPTIONS
        && let Some(response) = preflight(&parts, &service.origins)
    {
        return response;
    }
    let id = request_id(&parts.headers);
    // One id for the answer and for the audit.
    if let Ok(id) = HeaderValue::from_str(&id) {
        parts.headers.insert("x-request-id", id);
    }
    let kept = parts.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let cache = response.headers().get(header::CACHE_CONTROL).cloned();
    common_headers(response.headers_mut(), &id, &kept, &service.origins);
    if let Some(cache) = cache {
        response.headers_mut().insert(header::CACHE_CONTROL, cache);
    }
    response
}
