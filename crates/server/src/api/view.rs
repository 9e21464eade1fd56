//! What the API shows: the engine's facts in JSON. Bodies of messages are shown only where the
//! call asks for them.

use std::collections::BTreeMap;

use pipehat_connectors::{HealthSnapshot, LinkState};
use pipehat_engine::{ApplyReport, ChannelStatus, Counters, DestinationStatus, Proof};
use pipehat_journal::{Loss, Statistics};
use pipehat_store as store;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::indexer::short_revision;

use super::bots::BotView;

/// The whole node.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// The release that runs.
    pub version: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// The project directory.
    pub project: String,
    /// Every channel.
    pub channels: Vec<ChannelView>,
    /// The journal.
    pub journal: JournalView,
    /// Records the message index has not taken in yet; none without an index.
    pub index_behind: Option<u64>,
    /// The mistakes of the latest configuration that was refused.
    pub refused_configuration: Option<String>,
    /// What repairs of the journal gave up, as far as the journal goes back.
    #[serde(default)]
    pub losses: Vec<LossView>,
    /// The bots that a person has to look at: they fail, were given up, or hear of nothing.
    #[serde(default)]
    pub bots: Vec<BotView>,
}

/// Records that one repair of the journal gave up: what they told of messages can't be
/// accounted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LossView {
    /// When the journal was repaired, RFC 3339 in UTC.
    pub at: String,
    /// How many records.
    pub records: u64,
    /// Their positions: first and last of each range.
    pub positions: Vec<(u64, u64)>,
}

impl LossView {
    /// What each repair gave up, the earliest first.
    pub(super) fn all(losses: &[Loss]) -> Vec<Self> {
        let mut repairs: BTreeMap<u64, Self> = BTreeMap::new();
        for loss in losses {
            let at = i64::try_from(loss.at).unwrap_or(i64::MAX).saturating_mul(1_000_000);
            let repair = repairs.entry(loss.at).or_insert_with(|| Self {
                at: time(at),
                records: 0,
                positions: Vec::new(),
            });
            repair.records = repair.records.saturating_add(loss.records());
            repair.positions.push((loss.positions.start().get(), loss.positions.end().get()));
        }
        repairs.into_values().collect()
    }
}

/// A channel.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChannelView {
    /// Its name.
    pub name: String,
    /// The revision that runs, 12 hexadecimal digits.
    pub revision: String,
    /// Where its messages stand.
    pub counters: CountersView,
    /// Received and not yet processed.
    pub unprocessed: u64,
    /// Messages whose failure holds their lane: id and operator code.
    pub blocked: Vec<(u64, String)>,
    /// Whether it stands still because the journal can't be written.
    pub stalled: bool,
    /// Whether it has failed, by a defect of Pipehat, and refuses messages until the next start.
    #[serde(default)]
    pub failed: bool,
    /// The connector it receives by.
    pub source: String,
    /// Where it listens.
    pub address: Option<String>,
    /// The source's connections.
    pub health: HealthView,
    /// Its destinations.
    pub destinations: Vec<DestinationView>,
}

/// Where messages stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountersView {
    /// Came in.
    pub received: u64,
    /// Ended delivered.
    pub delivered: u64,
    /// Ended filtered.
    pub filtered: u64,
    /// Set aside.
    pub parked: u64,
    /// Answered negatively.
    pub rejected: u64,
    /// Replaced by another message or a decision.
    pub superseded: u64,
    /// Not ended.
    pub in_flight: u64,
}

impl From<Counters> for CountersView {
    fn from(counters: Counters) -> Self {
        Self {
            received: counters.received,
            delivered: counters.delivered,
            filtered: counters.filtered,
            parked: counters.parked,
            rejected: counters.rejected,
            superseded: counters.superseded,
            in_flight: counters.in_flight(),
        }
    }
}

/// A connection's side.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// `idle`, `up`, `down` or `stopped`.
    pub state: String,
    /// Open now.
    pub connections: u64,
    /// Opened since the start.
    pub connections_total: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Problems since the start.
    pub problems: u64,
    /// The latest problem's operator code.
    pub problem_code: Option<String>,
    /// The latest problem, where and what; cleared by the next success.
    pub problem: Option<String>,
    /// When it was; where the state is `down`, since when.
    #[serde(default)]
    pub problem_at: Option<String>,
}

impl From<HealthSnapshot> for HealthView {
    fn from(health: HealthSnapshot) -> Self {
        let state = match health.state {
            LinkState::Idle => "idle",
            LinkState::Up => "up",
            LinkState::Down => "down",
            LinkState::Stopped => "stopped",
        };
        Self {
            state: state.to_owned(),
            connections: health.connections,
            connections_total: health.connections_total,
            bytes_in: health.bytes_in,
            bytes_out: health.bytes_out,
            problems: health.problems,
            problem_code: health.problem.as_ref().map(|problem| problem.code.to_owned()),
            problem: health.problem.map(|problem| problem.detail),
            problem_at: health.problem_at.map(|at| at.to_string()),
        }
    }
}

/// A destination.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DestinationView {
    /// Its name.
    pub name: String,
    /// Its connector.
    pub connector: String,
    /// Open deliveries.
    pub queued: u64,
    /// Under way.
    pub sending: u64,
    /// Failed, waiting to be tried again.
    pub retrying: u64,
    /// Failures in a row to reach the peer.
    pub failures: u32,
    /// Its connections.
    pub health: HealthView,
}

impl From<DestinationStatus> for DestinationView {
    fn from(status: DestinationStatus) -> Self {
        Self {
            name: status.name.to_string(),
            connector: status.connector.to_owned(),
            queued: status.queued,
            sending: status.sending as u64,
            retrying: status.retrying as u64,
            failures: status.failures,
            health: status.health.into(),
        }
    }
}

impl From<ChannelStatus> for ChannelView {
    fn from(status: ChannelStatus) -> Self {
        Self {
            name: status.name.to_string(),
            revision: short_revision(&status.revision),
            counters: status.counters.into(),
            unprocessed: status.unprocessed,
            blocked: status
                .blocked
                .into_iter()
                .map(|(message, code)| (message.0.get(), code))
                .collect(),
            stalled: status.stalled,
            failed: status.failed,
            source: status.source_connector.to_owned(),
            address: status.address,
            health: status.source.into(),
            destinations: status.destinations.into_iter().map(Into::into).collect(),
        }
    }
}

/// The journal.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JournalView {
    /// The oldest record kept.
    pub first_position: u64,
    /// The next record's position.
    pub next_position: u64,
    /// Records written since the start.
    pub records: u64,
    /// Writes with one sync each.
    pub groups: u64,
    /// Bytes of the records.
    pub payload_bytes: u64,
    /// Bytes handed to the system.
    pub bytes_written: u64,
    /// Milliseconds a sync took on average.
    pub sync_milliseconds_mean: f64,
    /// The longest sync.
    pub sync_milliseconds_max: f64,
    /// Chunks on disk.
    pub chunks: u64,
    /// Their size.
    pub disk_bytes: u64,
}

impl JournalView {
    pub(super) fn of(statistics: &Statistics, first: u64, next: u64) -> Self {
        let syncs = u32::try_from(statistics.syncs.max(1)).unwrap_or(u32::MAX);
        Self {
            first_position: first,
            next_position: next,
            records: statistics.records,
            groups: statistics.groups,
            payload_bytes: statistics.payload_bytes,
            bytes_written: statistics.bytes_written,
            sync_milliseconds_mean: (statistics.sync_time / syncs).as_secs_f64() * 1e3,
            sync_milliseconds_max: statistics.sync_time_max.as_secs_f64() * 1e3,
            chunks: statistics.chunks,
            disk_bytes: statistics.disk_bytes,
        }
    }
}

/// What an applied configuration changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApplyView {
    /// New channels.
    pub added: Vec<String>,
    /// Channels with a new revision.
    pub changed: Vec<String>,
    /// Channels taken away.
    pub removed: Vec<String>,
}

impl From<ApplyReport> for ApplyView {
    fn from(report: ApplyReport) -> Self {
        let names =
            |names: Vec<std::sync::Arc<str>>| names.iter().map(ToString::to_string).collect();
        Self {
            added: names(report.added),
            changed: names(report.changed),
            removed: names(report.removed),
        }
    }
}

/// The proof that nothing is missing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProofView {
    /// Whether every message of every channel is accounted for.
    pub holds: bool,
    /// The first record read.
    pub from: u64,
    /// The end of what was read.
    pub through: u64,
    /// Records read.
    pub records: u64,
    /// Each channel.
    pub channels: Vec<ProofChannelView>,
    /// What repairs of the journal gave up: the proof is over what is there.
    #[serde(default)]
    pub losses: Vec<LossView>,
}

/// One channel's proof.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProofChannelView {
    /// Its name.
    pub name: String,
    /// Whether every message is accounted for.
    pub holds: bool,
    /// The totals.
    pub counters: CountersView,
    /// Not ended, counted one by one: must equal the totals' difference.
    pub in_flight_counted: u64,
    /// Open deliveries.
    pub open_deliveries: u64,
    /// Records that do not fit what came before.
    pub anomalies: u64,
}

impl From<Proof> for ProofView {
    fn from(proof: Proof) -> Self {
        Self {
            holds: proof.holds(),
            from: proof.from.get(),
            through: proof.through.get(),
            records: proof.records,
            losses: LossView::all(&proof.losses),
            channels: proof
                .channels
                .into_iter()
                .map(|channel| ProofChannelView {
                    holds: channel.holds(),
                    name: channel.name.to_string(),
                    counters: channel.counters.into(),
                    in_flight_counted: channel.in_flight,
                    open_deliveries: channel.open_deliveries,
                    anomalies: channel.anomalies,
                })
                .collect(),
        }
    }
}

/// A message as lists show it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MessageView {
    /// Our number of it.
    pub id: u64,
    /// The channel.
    pub channel: String,
    /// When it came in, RFC 3339 in UTC.
    pub received_at: String,
    /// Its size.
    pub bytes: u64,
    /// MSH-9, such as `ADT^A01`.
    #[serde(rename = "type")]
    pub message_type: String,
    /// MSH-10.
    pub control_id: String,
    /// MSH-12.
    pub version: String,
    /// MSH-3.
    pub sending_application: String,
    /// MSH-4.
    pub sending_facility: String,
    /// Who sent it.
    pub peer: String,
    /// `in-flight`, `delivered`, `filtered`, `parked`, `rejected` or `superseded`.
    pub disposition: String,
    /// The operator code that says why.
    pub code: String,
    /// The revision that processed it.
    pub revision: String,
    /// The message it repeats.
    pub duplicate_of: Option<u64>,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryView>,
}

/// A delivery as lists show it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// Which output, from 1.
    pub ordinal: u32,
    /// The destination.
    pub destination: String,
    /// `open`, `delivered`, `parked` or `discarded`.
    pub state: String,
    /// The operator code that says why.
    pub code: String,
    /// How many tries.
    pub attempts: u32,
}

impl From<store::Summary> for MessageView {
    fn from(summary: store::Summary) -> Self {
        let message_type = if summary.trigger.is_empty() {
            summary.code.to_string()
        } else {
            format!("{}^{}", summary.code, summary.trigger)
        };
        Self {
            id: summary.message,
            channel: summary.channel.to_string(),
            received_at: time(summary.received_at_micros),
            bytes: u64::from(summary.bytes),
            message_type,
            control_id: summary.control_id.expose().to_owned(),
            version: summary.version.to_string(),
            sending_application: summary.sending_application.to_string(),
            sending_facility: summary.sending_facility.to_string(),
            peer: summary.peer.expose().to_owned(),
            disposition: disposition(summary.disposition).to_owned(),
            code: summary.operator_code.to_string(),
            revision: summary.revision.to_string(),
            duplicate_of: summary.duplicate_of,
            deliveries: summary
                .deliveries
                .into_iter()
                .map(|delivery| DeliveryView {
                    ordinal: delivery.ordinal,
                    destination: delivery.destination.to_string(),
                    state: delivery_state(delivery.state).to_owned(),
                    code: delivery.operator_code.to_string(),
                    attempts: delivery.attempts,
                })
                .collect(),
        }
    }
}

fn disposition(disposition: store::Disposition) -> &'static str {
    match disposition {
        store::Disposition::InFlight => "in-flight",
        store::Disposition::Delivered => "delivered",
        store::Disposition::Filtered => "filtered",
        store::Disposition::Parked => "parked",
        store::Disposition::Rejected => "rejected",
        store::Disposition::Superseded => "superseded",
    }
}

fn delivery_state(state: store::DeliveryState) -> &'static str {
    match state {
        store::DeliveryState::InFlight => "in-flight",
        store::DeliveryState::Delivered => "delivered",
        store::DeliveryState::Parked => "parked",
        store::DeliveryState::Discarded => "discarded",
    }
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros)
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}
