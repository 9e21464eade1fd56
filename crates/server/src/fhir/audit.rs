//! What is told of each access: the seam between the API and the audit.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::StatusCode;
use pipehat_store::datastore::ResourceKey;

/// What recording gives back.
pub type Recorded<'a> = Pin<Box<dyn Future<Output = Result<(), AuditUnavailable>> + Send + 'a>>;

/// The audit can't be written: nothing may be shown then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit can't be written")]
pub struct AuditUnavailable;

/// Takes what is told of each access.
pub trait AuditTrail: Send + Sync {
    /// Records one access, before its answer goes out. What was refused is told, too; each entry of a batch on
    /// its own.
    fn record<'a>(&'a self, fact: AuditFact) -> Recorded<'a>;

    /// Waits until everything recorded before is durable: asked before the answer to a change goes out.
    fn settle<'a>(&'a self) -> Recorded<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// One access.
#[derive(Debug, Clone)]
pub struct AuditFact {
    /// The request's id, as `X-Request-Id` says it.
    pub request_id: Arc<str>,
    /// When, in microseconds since 1970 (UTC).
    pub at: i64,
    /// Which client; `None` where nobody could be made out.
    pub client: Option<Arc<str>>,
    /// From where.
    pub peer: Option<SocketAddr>,
    /// The interaction, by its code in `restful-interaction`, or `$name` of an operation.
    pub interaction: String,
    /// On which type.
    pub resource_type: Option<String>,
    /// On which resource.
    pub resource: Option<ResourceKey>,
    /// The parameters of a search, as they were asked: they may speak of patients.
    pub query: Option<String>,
    /// How it was answered.
    pub status: StatusCode,
}

/// Records nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAudit;

impl AuditTrail for NoAudit {
    fn record<'a>(&'a self, _: AuditFact) -> Recorded<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}
