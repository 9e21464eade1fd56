//! Facts of the API become records of the log.

use std::sync::Arc;

use pipehat_store::audit::{AuditLog, AuditRecord};

use crate::access::register::ClientRegister;
use crate::fhir::{AuditFact, AuditTrail, AuditUnavailable, Recorded, bot_of, channel_of};

/// The trail that leads to the audit log.
///
/// A record is queued before the answer goes out, and durable some milliseconds later; what changes something is
/// answered when its records are durable.
pub struct LogTrail {
    log: Arc<AuditLog>,
    register: Arc<ClientRegister>,
}

impl LogTrail {
    /// To a log. The register knows the clients' names.
    pub fn new(log: Arc<AuditLog>, register: Arc<ClientRegister>) -> Self {
        Self { log, register }
    }

    /// The name of a registered client, or of a channel of this installation.
    fn name_of(&self, client: &str) -> Option<Arc<str>> {
        channel_of(client)
            .or_else(|| bot_of(client))
            .map(Arc::from)
            .or_else(|| self.register.name(client))
    }

    fn record_of(&self, fact: AuditFact) -> AuditRecord {
        let (resource_type, resource_id) = match fact.resource {
            Some(key) => (Some(key.resource_type), Some(key.id)),
            None => (fact.resource_type, None),
        };
        AuditRecord {
            at: fact.at,
            request_id: fact.request_id,
            client_name: fact.client.as_deref().and_then(|id| self.name_of(id)),
            client: fact.client,
            address: fact.peer.map(|peer| peer.ip().to_string()),
            interaction: fact.interaction,
            resource_type,
            resource_id,
            status: fact.status.as_u16(),
            query: fact.query,
            used_once: None,
        }
    }
}

impl AuditTrail for LogTrail {
    fn record<'a>(&'a self, fact: AuditFact) -> Recorded<'a> {
        let record = self.record_of(fact);
        Box::pin(async move { self.log.record(record).await.map_err(|_| AuditUnavailable) })
    }

    fn settle<'a>(&'a self) -> Recorded<'a> {
        Box::pin(async move { self.log.flush().await.map_err(|_| AuditUnavailable) })
    }
}
