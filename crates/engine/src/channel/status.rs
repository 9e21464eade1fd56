//! What an operator sees of a running channel.

use pipehat_connectors::HealthSnapshot;

use crate::ledger::Counters;
use crate::names::{ChannelName, DestinationName, MessageId};

/// A channel at one moment.
#[derive(Debug, Clone)]
pub struct ChannelStatus {
    /// Its name.
    pub name: ChannelName,
    /// The revision that runs.
    pub revision: [u8; 32],
    /// Where its messages stand.
    pub counters: Counters,
    /// Messages received and not yet processed.
    pub unprocessed: u64,
    /// Messages whose failure holds their lane, with the operator code.
    pub blocked: Vec<(MessageId, String)>,
    /// Records that do not fit the books; always 0.
    pub anomalies: u64,
    /// Whether it stands still because the journal can't be written.
    pub stalled: bool,
    /// Where the source listens.
    pub address: Option<String>,
    /// The connector of the source.
    pub source_connector: &'static str,
    /// The source's side.
    pub source: HealthSnapshot,
    /// Its destinations.
    pub destinations: Vec<DestinationStatus>,
}

/// A destination at one moment.
#[derive(Debug, Clone)]
pub struct DestinationStatus {
    /// Its name.
    pub name: DestinationName,
    /// Its connector.
    pub connector: &'static str,
    /// Open deliveries.
    pub queued: u64,
    /// Deliveries under way.
    pub sending: usize,
    /// Deliveries that failed and wait to be tried again.
    pub retrying: usize,
    /// Failures in a row to reach the peer at all.
    pub failures: u32,
    /// The connection's side.
    pub health: HealthSnapshot,
}
