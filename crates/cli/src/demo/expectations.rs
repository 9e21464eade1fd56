//! What the simulation sent and what must come of it: the end-to-end check, kept by the systems
//! themselves and apart from the engine's books.
//!
//! Memory is bounded by what is under way: what arrived is forgotten but for its control id, and
//! of these the latest [`REMEMBERED`] are kept to recognise what arrives again.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pipehat_message::{Message, Path};

use super::sending::{Arrival, Fate, Sending};
use super::system::System;
use crate::latency::Latencies;

/// Arrivals that are recognised when they arrive again. Deliveries are at least once, and those
/// sent again follow within seconds.
const REMEMBERED: usize = 50_000;

/// Findings told one by one; further ones are only counted.
const FINDINGS_MAX: usize = 50;

/// What is expected, shared by everyone who sends and receives.
#[derive(Debug, Default)]
pub(crate) struct Expectations(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    open: HashMap<(System, String), Open>,
    /// What arrived, hashed to take little room, and whether it was refused.
    arrived: HashMap<u64, Option<&'static str>>,
    arrived_in_order: VecDeque<u64>,
    hashing: RandomState,
    /// What must still arrive of each lane, in its order.
    lanes: HashMap<(&'static str, System, String), VecDeque<u64>>,
    /// Messages that must be parked, with the code and why; taken out when they are seen to be.
    to_park: HashMap<String, (&'static str, String)>,
    sent: u64,
    channels: BTreeMap<&'static str, ChannelTally>,
    systems: BTreeMap<System, SystemTally>,
    acknowledgment: Latencies,
    arrival: Latencies,
    findings: Vec<String>,
    findings_count: u64,
}

#[derive(Debug)]
struct Open {
    arrival: Arrival,
    channel: &'static str,
    lanes: Vec<String>,
    number: u64,
    sent: Instant,
}

/// What a channel must have counted when everything has come to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChannelTally {
    /// Messages sent to it, repeats not counted.
    pub(crate) sent: u64,
    /// Messages that were sent once more with the same bytes.
    pub(crate) repeated: u64,
    /// Messages it must deliver.
    pub(crate) delivered: u64,
    /// Messages it must not want.
    pub(crate) filtered: u64,
    /// Messages that must be set aside.
    pub(crate) parked: u64,
    /// Messages it must refuse.
    pub(crate) rejected: u64,
}

/// What a system sent and received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SystemTally {
    /// Messages that must arrive there.
    pub(crate) expected: u64,
    /// Messages that arrived.
    pub(crate) arrived: u64,
    /// Arrivals of what had arrived before.
    pub(crate) again: u64,
    /// Messages it refused.
    pub(crate) refused: u64,
}

/// What a partner does with what arrived.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    /// It refuses it, saying this.
    pub(crate) refused: Option<&'static str>,
    /// Orders it works on.
    pub(crate) orders: Vec<String>,
}

/// Everything at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Messages sent.
    pub(crate) sent: u64,
    /// Deliveries that have not arrived yet.
    pub(crate) open: u64,
    /// Messages that must be parked and were not seen to be.
    pub(crate) to_park: u64,
    /// By channel.
    pub(crate) channels: BTreeMap<&'static str, ChannelTally>,
    /// By system.
    pub(crate) systems: BTreeMap<System, SystemTally>,
    /// From sending to the first acknowledgment.
    pub(crate) acknowledgment: Quantiles,
    /// From sending to arrival.
    pub(crate) arrival: Quantiles,
    /// What is not as it must be.
    pub(crate) findings: Vec<String>,
    /// How often something was not.
    pub(crate) findings_count: u64,
}

/// Half and nearly all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Quantiles {
    /// Half took no longer.
    pub(crate) p50: Option<Duration>,
    /// 99 in 100 took no longer.
    pub(crate) p99: Option<Duration>,
}

impl Quantiles {
    fn of(latencies: &Latencies) -> Self {
        let share = |share| (latencies.count() > 0).then(|| latencies.per_mille(share));
        Self { p50: share(500), p99: share(990) }
    }
}

impl Expectations {
    /// Notes a message before it is sent: its arrival may overtake its acknowledgment.
    pub(crate) fn send(&self, sending: &Sending) {
        let mut books = self.lock();
        let books = &mut *books;
        books.sent += 1;
        let number = books.sent;
        let tally = books.channels.entry(sending.channel).or_default();
        tally.sent += 1;
        match &sending.fate {
            Fate::Filtered => tally.filtered += 1,
            Fate::Rejected => tally.rejected += 1,
            Fate::Parked { code, why } => {
                tally.parked += 1;
                books.to_park.insert(sending.control_id.clone(), (code, (*why).to_owned()));
            }
            Fate::Arrives(arrivals) => {
                match arrivals.iter().find_map(|arrival| Some((arrival.at, arrival.refused?))) {
                    Some((at, refused)) => {
                        tally.parked += 1;
                        let why = format!("{} refuses it: {refused}", at.name());
                        books.to_park.insert(sending.control_id.clone(), ("mllp.refused", why));
                    }
                    None => tally.delivered += 1,
                }
                for arrival in arrivals {
                    books.expect(sending, arrival, number);
                }
            }
        }
    }

    /// Notes that a message was sent once more.
    pub(crate) fn repeat(&self, channel: &'static str) {
        self.lock().channels.entry(channel).or_default().repeated += 1;
    }

    /// Notes how long the first acknowledgment of a message took.
    pub(crate) fn acknowledged(&self, took: Duration) {
        self.lock().acknowledgment.record(took);
    }

    /// Something is not as it must be.
    pub(crate) fn find(&self, finding: String) {
        self.lock().find(finding);
    }

    /// A message arrives somewhere: compares it with what was expected there.
    pub(crate) fn arrived(&self, at: System, bytes: &[u8]) -> Reception {
        let mut books = self.lock();
        let books = &mut *books;
        let Ok(message) = Message::parse(bytes) else {
            books.find(format!("{}: what arrived is no message", at.name()));
            return Reception::default();
        };
        let control_id = read(&message, "MSH-10");
        let key = (at, String::from_utf8_lossy(&control_id).into_owned());
        let tally = books.systems.entry(at).or_default();
        let Some(open) = books.open.remove(&key) else {
            return match books.arrived.get(&books.hashing.hash_one(&key)) {
                Some(refused) => {
                    tally.again += 1;
                    Reception { refused: *refused, orders: Vec::new() }
                }
                None => {
                    books.find(format!("{}: {} arrived unexpectedly", at.name(), key.1));
                    Reception::default()
                }
            };
        };
        tally.arrived += 1;
        tally.refused += u64::from(open.arrival.refused.is_some());
        books.arrival.record(open.sent.elapsed());
        for lane in &open.lanes {
            books.leave_lane((open.channel, at, lane.clone()), open.number, &key.1);
        }
        for (path, expected) in &open.arrival.contents {
            if read(&message, path) != *expected {
                books.find(format!("{}: {} has another {path} than expected", at.name(), key.1));
            }
        }
        books.remember(&key, open.arrival.refused);
        Reception { refused: open.arrival.refused, orders: open.arrival.orders }
    }

    /// A message was seen to be parked with this code: why that is right, if it is.
    pub(crate) fn parked(&self, control_id: &str, code: &str) -> Option<String> {
        let mut books = self.lock();
        let (expected, _) = books.to_park.get(control_id)?;
        if *expected != code {
            return None;
        }
        books.to_park.remove(control_id).map(|(_, why)| why)
    }

    /// Everything as it is now.
    pub(crate) fn tally(&self) -> Tally {
        let books = self.lock();
        Tally {
            sent: books.sent,
            open: books.open.len() as u64,
            to_park: books.to_park.len() as u64,
            channels: books.channels.clone(),
            systems: books.systems.clone(),
            acknowledgment: Quantiles::of(&books.acknowledgment),
            arrival: Quantiles::of(&books.arrival),
            findings: books.findings.clone(),
            findings_count: books.findings_count,
        }
    }

    /// Some of what has not arrived, by name.
    pub(crate) fn missing(&self, most: usize) -> Vec<String> {
        let books = self.lock();
        let names = books.open.values().map(|open| {
            format!(
                "{} of {} has not arrived at {}",
                open.arrival.control_id,
                open.channel,
                open.arrival.at.name()
            )
        });
        names.take(most).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn expect(&mut self, sending: &Sending, arrival: &Arrival, number: u64) {
        self.systems.entry(arrival.at).or_default().expected += 1;
        for lane in &sending.lanes {
            let lane = (sending.channel, arrival.at, lane.clone());
            let waiting = self.lanes.entry(lane).or_default();
            // A message that is split arrives in parts, which keep the message's place.
            waiting.push_back(number);
        }
        let open = Open {
            arrival: arrival.clone(),
            channel: sending.channel,
            lanes: sending.lanes.clone(),
            number,
            sent: Instant::now(),
        };
        self.open.insert((arrival.at, arrival.control_id.clone()), open);
    }

    /// A message of a lane arrived: it must be the one that was sent first.
    fn leave_lane(&mut self, lane: (&'static str, System, String), number: u64, name: &str) {
        let Some(waiting) = self.lanes.get_mut(&lane) else { return };
        let at = waiting.iter().position(|waits| *waits == number);
        if let Some(at) = at {
            waiting.remove(at);
        }
        if waiting.is_empty() {
            self.lanes.remove(&lane);
        }
        if at != Some(0) {
            self.find(format!("{}: {name} of {} arrived out of order", lane.1.name(), lane.0));
        }
    }

    fn remember(&mut self, key: &(System, String), refused: Option<&'static str>) {
        if self.arrived_in_order.len() >= REMEMBERED
            && let Some(oldest) = self.arrived_in_order.pop_front()
        {
            self.arrived.remove(&oldest);
        }
        let hash = self.hashing.hash_one(key);
        self.arrived_in_order.push_back(hash);
        self.arrived.insert(hash, refused);
    }

    fn find(&mut self, finding: String) {
        self.findings_count += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

fn read(message: &Message<'_>, path: &str) -> Vec<u8> {
    let path: Path = path.parse().expect("the simulation's paths are fixed texts");
    message.get(&path).map(|value| value.decoded().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pipehat_message::AcknowledgmentCode;

    use super::*;

    fn sending(control_id: &str, fate: Fate) -> Sending {
        Sending {
            channel: "c",
            control_id: control_id.to_owned(),
            bytes: Vec::new(),
            lanes: vec!["7".to_owned()],
            acknowledgment: AcknowledgmentCode::Aa,
            fate,
        }
    }

    fn arriving(control_id: &str) -> Sending {
        let arrival = Arrival::new(System::Ward, control_id).with("PID-3.1", "7");
        sending(control_id, Fate::Arrives(vec![arrival]))
    }

    fn message(control_id: &str, patient: &str) -> Vec<u8> {
        format!("MSH|^~\\&|||||||ADT^A01|{control_id}|T|2.5\rPID|1||{patient}\r").into_bytes()
    }

    #[test]
    fn what_arrives_as_expected_is_no_finding() {
        let expectations = Expectations::default();
        expectations.send(&arriving("1"));
        expectations.send(&sending("2", Fate::Filtered));
        assert_eq!(expectations.missing(9), ["1 of c has not arrived at ward"]);
        expectations.arrived(System::Ward, &message("1", "7"));
        expectations.arrived(System::Ward, &message("1", "7"));
        let tally = expectations.tally();
        assert_eq!((tally.sent, tally.open, tally.findings_count), (2, 0, 0));
        let ward = tally.systems.get(&System::Ward).cloned().unwrap_or_default();
        assert_eq!((ward.expected, ward.arrived, ward.again), (1, 1, 1));
    }

    #[test]
    fn every_deviation_is_found() {
        let expectations = Expectations::default();
        for id in ["1", "2", "3"] {
            expectations.send(&arriving(id));
        }
        expectations.arrived(System::Ward, &message("2", "7"));
        expectations.arrived(System::Ward, &message("1", "8"));
        expectations.arrived(System::Billing, &message("1", "7"));
        expectations.arrived(System::Ward, b"rubbish");
        let tally = expectations.tally();
        assert_eq!(tally.open, 1);
        assert_eq!(
            tally.findings,
            [
                "ward: 2 of c arrived out of order",
                "ward: 1 has another PID-3.1 than expected",
                "billing: 1 arrived unexpectedly",
                "ward: what arrived is no message",
            ]
        );
    }

    #[test]
    fn only_what_must_be_parked_is_explained() {
        let expectations = Expectations::default();
        expectations.send(&sending("1", Fate::Parked { code: "program.park", why: "slip" }));
        let mut refused = arriving("2");
        if let Fate::Arrives(arrivals) = &mut refused.fate
            && let Some(arrival) = arrivals.first_mut()
        {
            arrival.refused = Some("no");
        }
        expectations.send(&refused);
        assert_eq!(expectations.tally().to_park, 2);
        assert_eq!(expectations.parked("1", "mllp.refused"), None);
        assert_eq!(expectations.parked("1", "program.park").as_deref(), Some("slip"));
        assert_eq!(expectations.parked("1", "program.park"), None);
        assert_eq!(expectations.parked("3", "program.park"), None);
        let reception = expectations.arrived(System::Ward, &message("2", "7"));
        assert_eq!(reception.refused, Some("no"));
        assert_eq!(
            expectations.parked("2", "mllp.refused").as_deref(),
            Some("ward refuses it: no")
        );
        assert_eq!(expectations.tally().to_park, 0);
    }
}
