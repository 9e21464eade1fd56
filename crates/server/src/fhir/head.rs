//! What the head of a request says: who asks, for what, and how the answer is to look.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, header};
use pipehat_resource::outcome::IssueCode;

use super::access::{AccessRequest, Principal, Scopes};
use super::address::{Call, call};
use super::conditions::Conditions;
use super::negotiation::{ContentKind, Wanted, content_kind};
use super::prefer::Prefer;
use super::problem::Problem;
use super::query_string::Query;
use super::render::Form;
use super::request::{Content, Request, Setting};
use super::resource::new_id;
use super::service::{BASE_PATH, FhirService, now};
use super::shape::Shape;

impl FhirService {
    /// Everything that the head of a request says.
    pub(super) async fn read_head(
        &self,
        parts: &Parts,
        path: &str,
        peer: Option<SocketAddr>,
        request_id: &Arc<str>,
        form: &mut Form,
    ) -> Result<(Request, ContentKind), (Option<Arc<str>>, Problem)> {
        let base = self.base(parts).map_err(|problem| (None, problem))?;
        let call = call(&parts.method, path, |name| self.knows(name));
        // Clients learn here how to sign in; it says nothing of patients.
        let open = matches!(call, Ok(Call::Capabilities));
        // Requests that come by HTTP have no such extension.
        let own = parts.extensions.get::<Principal>().cloned();
        let principal = if let Some(own) = own {
            own
        } else if open {
            Principal { client: "anybody".into(), scopes: Scopes::Some(Arc::new([])) }
        } else {
            let asked =
                AccessRequest { method: &parts.method, path, headers: &parts.headers, peer };
            self.access
                .principal(asked)
                .await
                .map_err(|refusal| (self.access.claimed(&parts.headers), refusal.into()))?
        };
        let client = Some(Arc::clone(&principal.client));
        let setting =
            Setting { base, principal, now: now(), request_id: Arc::clone(request_id), peer };
        head(parts, call, setting, form).map_err(|problem| (client, problem))
    }

    /// The public address of the API.
    pub(super) fn base(&self, parts: &Parts) -> Result<String, Problem> {
        if let Some(base) = &self.options.base {
            return Ok(base.trim_end_matches('/').to_owned());
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let host = host.unwrap_or("localhost");
        let plain = host.len() <= 255
            && host.bytes().all(|byte| {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'_')
            });
        if plain {
            return Ok(format!("http://{host}{BASE_PATH}"));
        }
        Err(Problem::bad_request(IssueCode::Value, "the header Host is not a host and port")
            .at_location("Host"))
    }

    /// Whether what somebody showed before opens something still.
    pub(super) async fn opens(&self, parts: &Parts, peer: Option<SocketAddr>) -> bool {
        let path = parts.uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
        let asked = AccessRequest { method: &parts.method, path, headers: &parts.headers, peer };
        self.access.principal(asked).await.is_ok()
    }
}

/// What the head asks, once who asks is known.
fn head(
    parts: &Parts,
    call: Result<Call, Problem>,
    setting: Setting,
    form: &mut Form,
) -> Result<(Request, ContentKind), Problem> {
    let call = call?;
    let query = Query::parse(parts.uri.query().unwrap_or_default())
        .map_err(|error| Problem::bad_request(IssueCode::Value, error.to_string()))?;
    let shape = Shape::of(&query)?;
    form.pretty = shape.pretty;
    let wanted = Wanted::of(&parts.headers, &query)?;
    if !is_binary_read(&call) {
        form.json = wanted.resource()?;
    }
    // The part that is shown of what a change gives back is all of it.
    let shape = match call {
        Call::Read(_)
        | Call::VersionRead(..)
        | Call::Search(_)
        | Call::History(_)
        | Call::Operation { .. } => shape,
        _ => Shape { pretty: shape.pretty, ..Shape::default() },
    };
    form.shape = match call {
        Call::Read(_) | Call::VersionRead(..) => shape.clone(),
        _ => Shape { pretty: shape.pretty, ..Shape::default() },
    };
    let kind = content_kind(&parts.headers)?;
    let security_context = parts.headers.get("x-security-context");
    let security_context =
        security_context.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request = Request {
        call,
        conditions: Conditions::of_headers(&parts.headers)?,
        prefer: Prefer::of_headers(&parts.headers),
        content: Content::None,
        query,
        wanted,
        shape,
        security_context,
        keeps: None,
        only_if_found: false,
        setting: Arc::new(setting),
    };
    Ok((request, kind))
}

fn is_binary_read(call: &Call) -> bool {
    matches!(call, Call::Read(key) | Call::VersionRead(key, _) if key.resource_type == "Binary")
}

/// The client's id of a request where it can be written anywhere, or one of ours.
pub(crate) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let plain = |text: &&str| {
        (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
    };
    given.filter(plain).map_or_else(|| new_id().into(), Into::into)
}
