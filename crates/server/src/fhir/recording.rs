//! Telling the audit of each interaction, before anybody else learns how it ended.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{StatusCode, header};
use pipehat_resource::outcome::IssueCode;
use pipehat_store::datastore::{HistoryScope, ResourceKey};

use super::access::{AccessRequest, Principal};
use super::address::{Call, OperationScope, SearchScope};
use super::answer::Answer;
use super::audit::{AuditFact, AuditUnavailable};
use super::head::request_id;
use super::problem::Problem;
use super::request::Request;
use super::service::{BASE_PATH, FhirService, now};

impl FhirService {
    /// Performs an interaction and tells the audit.
    pub(super) async fn audited(&self, request: &Request) -> Result<Answer, Problem> {
        let result = self.perform(request).await;
        self.told(request, result).await
    }

    /// Tells the audit how an interaction ended, before anybody else learns it.
    pub(super) async fn told(
        &self,
        request: &Request,
        result: Result<Answer, Problem>,
    ) -> Result<Answer, Problem> {
        let status = match &result {
            Ok(answer) => answer.status,
            Err(problem) => problem.status(),
        };
        let mut fact = fact(request, status);
        if fact.resource.is_none()
            && let Ok(answer) = &result
        {
            // What was created, or found by a condition.
            fact.resource = answer.location.as_deref().and_then(key_of_address);
        }
        self.record(fact).await?;
        result
    }

    /// Records one access.
    pub(super) async fn record(&self, fact: AuditFact) -> Result<(), Problem> {
        self.audit.record(fact).await.map_err(unaudited)
    }

    /// Who wants to listen at the websocket; the audit is told.
    pub(super) async fn listener(
        &self,
        parts: &Parts,
        peer: Option<SocketAddr>,
    ) -> Result<Principal, Problem> {
        let path = parts.uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
        let asked = AccessRequest { method: &parts.method, path, headers: &parts.headers, peer };
        let principal = self.access.principal(asked).await.map_err(Problem::from);
        let status = match &principal {
            Ok(_) => StatusCode::SWITCHING_PROTOCOLS,
            Err(problem) => problem.status(),
        };
        self.record(AuditFact {
            request_id: request_id(&parts.headers),
            at: now(),
            client: principal.as_ref().ok().map(|principal| Arc::clone(&principal.client)),
            peer,
            interaction: "$subscriptions".to_owned(),
            resource_type: Some("Subscription".to_owned()),
            resource: None,
            query: None,
            status,
        })
        .await?;
        principal
    }
}

/// Whether an interaction may change something, so that its record must be durable before its answer.
pub(super) fn changes(call: &Call) -> bool {
    match call {
        Call::Create(_)
        | Call::Update(_)
        | Call::ConditionalUpdate(_)
        | Call::Patch(_)
        | Call::ConditionalPatch(_)
        | Call::Delete(_)
        | Call::ConditionalDelete(_)
        | Call::Bundle => true,
        Call::Operation { by_post, .. } => *by_post,
        Call::Capabilities
        | Call::Read(_)
        | Call::VersionRead(..)
        | Call::History(_)
        | Call::Search(_) => false,
    }
}

/// The refusal of what could not be recorded.
pub(super) fn unaudited(error: AuditUnavailable) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        IssueCode::NoStore,
        format!("{error}; without it nothing is shown"),
    )
    .with_header(header::RETRY_AFTER, "5")
}

/// The resource of a version's address below the base.
fn key_of_address(address: &str) -> Option<ResourceKey> {
    let (resource_type, rest) = address.split_once('/')?;
    let (id, _) = rest.split_once('/')?;
    Some(ResourceKey { resource_type: resource_type.to_owned(), id: id.to_owned() })
}

/// What the audit is told of an interaction.
fn fact(request: &Request, status: StatusCode) -> AuditFact {
    let (interaction, resource_type, resource) = match &request.call {
        Call::Capabilities => ("capabilities", None, None),
        Call::Read(key) => ("read", None, Some(key)),
        Call::VersionRead(key, _) => ("vread", None, Some(key)),
        Call::Create(name) => ("create", Some(name), None),
        Call::Update(key) => ("update", None, Some(key)),
        Call::ConditionalUpdate(name) => ("update", Some(name), None),
        Call::Patch(key) => ("patch", None, Some(key)),
        Call::ConditionalPatch(name) => ("patch", Some(name), None),
        Call::Delete(key) => ("delete", None, Some(key)),
        Call::ConditionalDelete(name) => ("delete", Some(name), None),
        Call::History(scope) => match scope {
            HistoryScope::All => ("history-system", None, None),
            HistoryScope::Type(name) => ("history-type", Some(name), None),
            HistoryScope::Resource(key) => ("history-instance", None, Some(key)),
        },
        Call::Search(scope) => match scope {
            SearchScope::All => ("search-system", None, None),
            SearchScope::Type(name) => ("search-type", Some(name), None),
            SearchScope::Compartment(key, member) => ("search-type", member.as_ref(), Some(key)),
        },
        Call::Bundle => ("batch", None, None),
        Call::Operation { on, .. } => match on {
            OperationScope::System => ("operation", None, None),
            OperationScope::Type(name) => ("operation", Some(name), None),
            OperationScope::Resource(key) | OperationScope::Version(key, _) => {
                ("operation", None, Some(key))
            }
        },
    };
    let interaction = match &request.call {
        Call::Operation { name, .. } => format!("${name}"),
        _ => interaction.to_owned(),
    };
    let setting = &request.setting;
    let resource_type =
        resource_type.cloned().or_else(|| resource.map(|key| key.resource_type.clone()));
    AuditFact {
        request_id: Arc::clone(&setting.request_id),
        at: setting.now,
        client: Some(Arc::clone(&setting.principal.client)),
        peer: setting.peer,
        interaction,
        resource_type,
        resource: resource.cloned(),
        query: Some(request.query.encoded()).filter(|query| !query.is_empty()),
        status,
    }
}
