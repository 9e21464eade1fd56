//! What was done to clients, on its way into the audit.
//!
//! The command line changes the register whether a Pipehat runs or not, and can't write the audit, which belongs to the one
//! that runs. So what it did stands in the register itself, written with the change in one step, until a Pipehat has told
//! the audit of it: within a second, or with the next start.

use std::time::{SystemTime, UNIX_EPOCH};

use pipehat_store::audit::AuditRecord;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::scope::joined;
use super::service::ADMIN;

/// What was done to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Deed {
    /// It was added.
    Add,
    /// It got a new secret or new keys.
    Rotate,
    /// Another resource stands for it, or none.
    StandIn,
    /// It was revoked.
    Revoke,
}

/// Something that was done to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClientEvent {
    /// An id of its own: the audit's request id.
    pub(super) id: String,
    /// When, in microseconds since 1970 (UTC).
    pub(super) at: i64,
    pub(super) deed: Deed,
    /// The client's id.
    pub(super) client: String,
    /// The client's name, and its scopes or what stands for it.
    pub(super) of: String,
    /// Which user of the system.
    pub(super) user: u32,
}

impl ClientEvent {
    /// Something that is done now.
    pub(super) fn now(id: String, deed: Deed, client: &Client) -> Self {
        let what = match (deed, &client.stand_in) {
            (Deed::StandIn, Some(stand_in)) => format!("stood for by {stand_in}"),
            (Deed::StandIn, None) => "stood for by nothing".to_owned(),
            _ => joined(&client.scopes),
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id,
            at: i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            deed,
            client: client.id.clone(),
            of: format!("{}: {what}", client.name),
            user: rustix::process::getuid().as_raw(),
        }
    }

    /// As the audit has it.
    pub(super) fn record(&self) -> AuditRecord {
        let interaction = match self.deed {
            Deed::Add => "$client-add",
            Deed::Rotate => "$client-rotate",
            Deed::StandIn => "$client-stand-in",
            Deed::Revoke => "$client-revoke",
        };
        AuditRecord {
            at: self.at,
            request_id: self.id.as_str().into(),
            client: Some(ADMIN.into()),
            client_name: Some(format!("uid {}", self.user).into()),
            address: None,
            interaction: interaction.to_owned(),
            resource_type: Some(CLIENT.to_owned()),
            resource_id: Some(self.client.clone()),
            status: 200,
            query: Some(self.of.clone()),
            used_once: None,
        }
    }
}

/// What the audit calls a client: no resource of R4.
pub(super) const CLIENT: &str = "ClientApplication";
