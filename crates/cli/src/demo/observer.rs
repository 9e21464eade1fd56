//! What the journal tells while the demo runs: how deliveries settle, and what is parked and why.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use pipehat_engine::record::{Disposition, ProcessedOutcome, Record, SettledOutcome};
use pipehat_engine::{Log, LogError, MessageId};
use pipehat_journal::Position;
use pipehat_message::{Acknowledgment, Header};

use super::expectations::Expectations;

/// Parked messages shown one by one.
const LATEST_MAX: usize = 20;

/// Parked messages without an explanation that are told one by one.
const UNEXPLAINED_MAX: usize = 50;

/// Reads the journal as it grows.
#[derive(Debug)]
pub(crate) struct Observer {
    next: Position,
    /// By channel and destination.
    pub(crate) deliveries: BTreeMap<(String, String), DeliveryTally>,
    /// The latest parked messages, the newest last.
    pub(crate) latest: VecDeque<Parked>,
    /// Parked messages by what explains them.
    pub(crate) explained: BTreeMap<Explanation, u64>,
    /// Parked messages that nothing explains.
    pub(crate) unexplained: Vec<Parked>,
    /// How many these are.
    pub(crate) unexplained_count: u64,
    /// Messages that people decided about: these go where the simulation does not expect them.
    decided: BTreeSet<MessageId>,
}

/// A destination's deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DeliveryTally {
    /// Delivered.
    pub(crate) delivered: u64,
    /// Parked.
    pub(crate) parked: u64,
    /// Tries beyond the first.
    pub(crate) retries: u64,
}

/// Why messages are parked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Explanation {
    /// The channel.
    pub(crate) channel: String,
    /// The destination, for a delivery.
    pub(crate) destination: Option<String>,
    /// The operator code.
    pub(crate) code: String,
    /// Why the simulation expects it.
    pub(crate) why: String,
}

/// One parked message.
#[derive(Debug, Clone)]
pub(crate) struct Parked {
    /// When.
    pub(crate) at: Timestamp,
    /// The channel.
    pub(crate) channel: String,
    /// The destination, for a delivery.
    pub(crate) destination: Option<String>,
    /// MSH-10.
    pub(crate) control_id: String,
    /// The operator code.
    pub(crate) code: String,
    /// What the record says of it, or the partner did. No values.
    pub(crate) detail: String,
    /// Why the simulation expects it, if it does.
    pub(crate) explained: Option<String>,
}

impl Observer {
    /// An observer from the start of the journal.
    pub(crate) fn new(log: &Log) -> Self {
        Self {
            next: log.journal().first_position(),
            deliveries: BTreeMap::new(),
            latest: VecDeque::new(),
            explained: BTreeMap::new(),
            unexplained: Vec::new(),
            unexplained_count: 0,
            decided: BTreeSet::new(),
        }
    }

    /// Reads what is new. Blocks on the disk.
    pub(crate) fn follow(
        &mut self,
        log: &Log,
        expectations: &Expectations,
    ) -> Result<(), LogError> {
        if self.next >= log.journal().next_position() {
            return Ok(());
        }
        for entry in log.heads(self.next) {
            let (position, record) = entry?;
            self.next = position.next();
            match record {
                Record::Settled(settled) => {
                    let key = (settled.channel.to_string(), settled.destination.to_string());
                    let tally = self.deliveries.entry(key).or_default();
                    tally.retries += u64::from(settled.attempts.saturating_sub(1));
                    let (code, detail) = match settled.outcome {
                        SettledOutcome::Delivered => {
                            tally.delivered += 1;
                            continue;
                        }
                        SettledOutcome::GivenUp { .. } => continue,
                        SettledOutcome::Parked { code, detail } => (code, detail),
                    };
                    tally.parked += 1;
                    let said = settled.reply.as_deref().and_then(said);
                    let parked = Parked {
                        at: settled.at,
                        channel: settled.channel.to_string(),
                        destination: Some(settled.destination.to_string()),
                        control_id: control_id(log, settled.message),
                        code,
                        detail: said.unwrap_or(detail),
                        explained: None,
                    };
                    self.parked(settled.message, parked, expectations);
                }
                Record::Processed(processed) => {
                    let ProcessedOutcome::Ended(ended) = processed.outcome else { continue };
                    if ended.disposition != Disposition::Parked {
                        continue;
                    }
                    let parked = Parked {
                        at: processed.at,
                        channel: processed.channel.to_string(),
                        destination: None,
                        control_id: control_id(log, processed.message),
                        code: ended.code,
                        detail: ended.detail,
                        explained: None,
                    };
                    self.parked(processed.message, parked, expectations);
                }
                Record::Decided(decided) => {
                    self.decided.insert(decided.message);
                }
                Record::Received(_) | Record::Attempted(_) | Record::Applied(_) => {}
            }
        }
        Ok(())
    }

    /// How many messages people decided about.
    pub(crate) fn decisions(&self) -> u64 {
        self.decided.len() as u64
    }

    fn parked(&mut self, message: MessageId, mut parked: Parked, expectations: &Expectations) {
        let expected = expectations.parked(&parked.control_id, &parked.code);
        let released = || {
            let again = "someone released it, and it came to the same";
            self.decided.contains(&message).then(|| again.to_owned())
        };
        parked.explained = expected.or_else(released);
        match &parked.explained {
            Some(why) => {
                let explanation = Explanation {
                    channel: parked.channel.clone(),
                    destination: parked.destination.clone(),
                    code: parked.code.clone(),
                    why: why.clone(),
                };
                *self.explained.entry(explanation).or_default() += 1;
            }
            None => {
                self.unexplained_count += 1;
                if self.unexplained.len() < UNEXPLAINED_MAX {
                    self.unexplained.push(parked.clone());
                }
            }
        }
        if self.latest.len() >= LATEST_MAX {
            self.latest.pop_front();
        }
        self.latest.push_back(parked);
    }
}

/// What a partner said when it refused: MSA-3, or the text of ERR.
fn said(reply: &[u8]) -> Option<String> {
    let acknowledgment = Acknowledgment::read(reply).ok()?;
    let text = String::from_utf8_lossy(acknowledgment.text()).into_owned();
    Some(text).filter(|text| !text.is_empty())
}

/// MSH-10 of a message as it was received.
fn control_id(log: &Log, message: MessageId) -> String {
    let Ok(Record::Received(received)) = log.fetch(message.0) else { return String::new() };
    Header::read(&received.bytes)
        .map(|header| String::from_utf8_lossy(header.control_id()).into_owned())
        .unwrap_or_default()
}
