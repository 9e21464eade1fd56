//! Telling the audit of each interaction, before anybody else learns how it ended.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{StatusCode, header};
use pipehat_resource::outcome::IssueCode;
use pipehat_store::datastore::{HistoryScope, ResourceKey};

use super::access::{AccessRequest, Principal};
use super::address::{Call, OperationScope, SearchScope, call};
use super::answer::Answer;
use super::audit::{AuditFact, AuditUnavailable};
use super::head::request_id;
use super::operation;
use super::problem::Problem;
use super::query_string::Query;
use super::request::Request;
use super::service::{BASE_PATH, FhirService, now};

/// Parameters that carry credentials: they are never told.
const CREDENTIALS: [&str; 3] = ["access_token", "client_secret", "client_assertion"];

/// Of what was asked without credentials the audit keeps this much: whoever may do nothing shall not fill the disk.
const REFUSED_QUERY_CHARACTERS_MAX: usize = 1_000;

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

    /// What the audit is told of a request that was refused by its head: as much of what was asked as can be read.
    pub(super) fn fact_of_head(
        &self,
        parts: &Parts,
        client: Option<Arc<str>>,
        peer: Option<SocketAddr>,
        request_id: &Arc<str>,
        status: StatusCode,
    ) -> AuditFact {
        let path = parts.uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
        let call = call(&parts.method, path, |name| self.knows(name));
        let (interaction, resource_type, resource) = match &call {
            Ok(call) => what(call),
            Err(_) => (parts.method.as_str().to_owned(), None, None),
        };
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        AuditFact {
            request_id: Arc::clone(request_id),
            at: now(),
            client,
            peer,
            interaction,
            resource_type,
            resource,
            query: query.ok().and_then(|query| told_query(&query)).map(shortened),
            status,
        }
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
            client: match &principal {
                Ok(principal) => Some(Arc::clone(&principal.client)),
                Err(_) => self.access.claimed(&parts.headers),
            },
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
    let (interaction, resource_type, resource) = what(&request.call);
    let setting = &request.setting;
    AuditFact {
        request_id: Arc::clone(&setting.request_id),
        at: setting.now,
        client: Some(Arc::clone(&setting.principal.client)),
        peer: setting.peer,
        interaction,
        resource_type,
        resource,
        query: told_query(&request.query),
        status,
    }
}

/// Parameters as the audit keeps them: without credentials, which some send so (RFC 6750 §2.3) and which open nothing here.
fn told_query(query: &Query) -> Option<String> {
    let mut told = query.clone();
    told.retain(|name, _| !CREDENTIALS.iter().any(|secret| name.eq_ignore_ascii_case(secret)));
    Some(told.encoded()).filter(|told| !told.is_empty())
}

/// The beginning of a query.
fn shortened(query: String) -> String {
    // It is percent-encoded: a character is a byte.
    query.chars().take(REFUSED_QUERY_CHARACTERS_MAX).collect()
}

/// The interaction, by the code that the audit has for it; on which type and resource.
fn what(call: &Call) -> (String, Option<String>, Option<ResourceKey>) {
    let (interaction, resource_type, resource) = match call {
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
    let interaction = match call {
        // Others than those that are here are told without their name: it may be anything, or the name of what only the
        // installation itself does.
        Call::Operation { name, on, .. } if operation::is_known(name, on) => format!("${name}"),
        _ => interaction.to_owned(),
    };
    let resource_type =
        resource_type.cloned().or_else(|| resource.map(|key| key.resource_type.clone()));
    (interaction, resource_type, resource.cloned())
}
