//! Everything about a running demo at one moment: what is shown, and what is judged at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pipehat_engine::ChannelStatus;

use super::expectations::Tally;
use super::observer::{DeliveryTally, Explanation, Parked};
use super::partner::Condition;

/// What the demo does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Messages flow.
    Running,
    /// Nothing is sent for a while.
    Paused,
    /// Nothing is sent any more; what is under way arrives.
    Finishing,
}

/// One moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// What the demo does.
    pub(crate) phase: Phase,
    /// Since the first message.
    pub(crate) elapsed: Duration,
    /// For how long messages are to flow; none: until someone ends it.
    pub(crate) planned: Option<Duration>,
    /// The channels.
    pub(crate) channels: Vec<ChannelStatus>,
    /// What the simulated systems know.
    pub(crate) tally: Tally,
    /// By channel and destination.
    pub(crate) deliveries: BTreeMap<(String, String), DeliveryTally>,
    /// The latest parked messages, the newest last.
    pub(crate) latest_parked: Vec<Parked>,
    /// Parked messages by what explains them.
    pub(crate) explained: BTreeMap<Explanation, u64>,
    /// Parked messages that nothing explains.
    pub(crate) unexplained: Vec<Parked>,
    /// How many.
    pub(crate) unexplained_count: u64,
    /// Messages that people decided about.
    pub(crate) decisions: u64,
    /// How the laboratory is.
    pub(crate) laboratory: Condition,
    /// The admin API.
    pub(crate) http: String,
    /// The data directory.
    pub(crate) data: PathBuf,
}

impl Snapshot {
    /// Messages received so far, by the engine's count.
    pub(crate) fn received(&self) -> u64 {
        self.channels.iter().map(|channel| channel.counters.received).sum()
    }

    /// Deliveries that are open.
    pub(crate) fn queued(&self) -> u64 {
        let destinations = self.channels.iter().flat_map(|channel| &channel.destinations);
        destinations.map(|destination| destination.queued).sum()
    }

    /// Whether nothing is under way any more: everything that was sent came in, and everything
    /// that came in has ended and has arrived where it must.
    pub(crate) fn is_quiet(&self) -> bool {
        let came_in = self.channels.iter().all(|channel| {
            let tally = self.tally.channels.get(&*channel.name);
            let sent = tally.map_or(0, |tally| tally.sent);
            let counters = &channel.counters;
            // What people discarded is superseded as well as what was sent twice.
            let repeated = if self.decisions == 0 { counters.superseded } else { 0 };
            counters.received.saturating_sub(repeated) >= sent && counters.in_flight() == 0
        });
        came_in && self.queued() == 0 && self.tally.open == 0 && self.tally.to_park == 0
    }
}
