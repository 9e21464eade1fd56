//! What an operator sees of a running channel.

use std::sync::Arc;

use jiff::Timestamp;
use pipehat_connectors::{Health, HealthSnapshot};

use crate::ledger::Counters;
use crate::names::{ChannelName, DestinationName, MessageId};
use crate::project::ChannelSpec;

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
    /// Messages whose failure holds their lane, with operator code and reason.
    pub blocked: Vec<(MessageId, String)>,
    /// Bots of its steps that fail now.
    pub failing_bots: Vec<FailingBot>,
    /// Records that do not fit the books; always 0.
    pub anomalies: u64,
    /// Whether it stands still because the journal can't be written.
    pub stalled: bool,
    /// Whether it has failed, by a defect of ours, and takes nothing until the next start.
    pub failed: bool,
    /// Where the source listens.
    pub address: Option<String>,
    /// The connector of the source.
    pub source_connector: &'static str,
    /// The source's side.
    pub source: HealthSnapshot,
    /// Its destinations.
    pub destinations: Vec<DestinationStatus>,
}

impl ChannelStatus {
    /// A channel that nobody has seen yet, and that does not answer.
    pub(crate) fn not_seen(spec: &ChannelSpec) -> Self {
        Self {
            name: Arc::clone(&spec.name),
            revision: spec.revision.0,
            counters: Counters::default(),
            unprocessed: 0,
            blocked: Vec::new(),
            failing_bots: Vec::new(),
            anomalies: 0,
            stalled: false,
            failed: false,
            address: None,
            source_connector: spec.source.connector,
            source: Health::default().snapshot(),
            destinations: Vec::new(),
        }
    }
}

/// A bot that fails as a step of a channel, and is run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingBot {
    /// Its name.
    pub bot: Arc<str>,
    /// The messages at which it fails, each of which holds its lanes.
    pub messages: u64,
    /// The messages that wait behind them.
    pub waiting: u64,
    /// When it failed first at one of them.
    pub since: Timestamp,
    /// How often it failed at the one it failed at most.
    pub tries: u32,
    /// The operator code of the latest failure.
    pub code: &'static str,
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
