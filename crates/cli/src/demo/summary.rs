//! What a demo came to, for people and for scripts.

use std::io::{self, Write};
use std::time::Duration;

use pipehat_engine::{Counters, Proof};
use serde_json::{Value, json};

use super::expectations::{ChannelTally, Quantiles};
use super::snapshot::Snapshot;
use super::system::System;
use crate::terminal::{Terminal, Tone};

/// What a demo came to.
#[derive(Debug)]
pub(crate) struct Summary {
    /// The last moment.
    pub(crate) end: Snapshot,
    /// For how long messages flowed.
    pub(crate) flowed: Duration,
    /// How long what was under way then took to come to its end.
    pub(crate) drained: Duration,
    /// The books made anew from the journal.
    pub(crate) proof: Proof,
    /// Some of what did not arrive.
    pub(crate) missing: Vec<String>,
    /// What sets the people and events.
    pub(crate) seed: u64,
    /// The most memory the process had, where the system tells.
    pub(crate) memory_bytes_max: Option<u64>,
    /// Where the project and its data are, when they are kept.
    pub(crate) kept: Option<String>,
}

impl Summary {
    /// Whether everything is accounted for.
    pub(crate) fn is_as_expected(&self) -> bool {
        self.problems().is_empty()
    }

    /// Everything that is not as it must be.
    pub(crate) fn problems(&self) -> Vec<String> {
        let end = &self.end;
        let mut problems = Vec::new();
        if end.tally.open > 0 {
            problems.push(format!("{} deliveries did not arrive", end.tally.open));
            problems.extend(self.missing.iter().cloned());
        }
        if end.tally.to_park > 0 {
            problems.push(format!("{} messages were to be parked and were not", end.tally.to_park));
        }
        if end.unexplained_count > 0 {
            problems
                .push(format!("{} messages are parked without explanation", end.unexplained_count));
            problems.extend(end.unexplained.iter().map(|parked| {
                let to = parked.destination.as_deref().unwrap_or("the steps");
                format!("{} of {} to {to}: {}", parked.control_id, parked.channel, parked.code)
            }));
        }
        if end.tally.findings_count > 0 {
            problems
                .push(format!("{} times something was not as expected", end.tally.findings_count));
            problems.extend(end.tally.findings.iter().cloned());
        }
        for channel in &end.channels {
            let expected = end.tally.channels.get(&*channel.name).cloned().unwrap_or_default();
            // What people release or discard meanwhile ends otherwise than the simulation knows.
            if end.decisions == 0 && !fits(&channel.counters, &expected) {
                problems.push(format!("{}: the counts differ from what was sent", channel.name));
            }
            if channel.anomalies > 0 {
                problems.push(format!("{}: the books do not fit the records", channel.name));
            }
        }
        if !self.proof.holds() {
            problems.push("the proof does not hold".to_owned());
        }
        problems
    }

    /// As one JSON object.
    pub(crate) fn to_json(&self) -> Value {
        let end = &self.end;
        let problems = self.problems();
        let channels: Vec<Value> = end
            .channels
            .iter()
            .map(|channel| {
                let expected = end.tally.channels.get(&*channel.name).cloned().unwrap_or_default();
                let counters = &channel.counters;
                json!({
                    "name": &*channel.name,
                    "received": counters.received,
                    "delivered": counters.delivered,
                    "filtered": counters.filtered,
                    "parked": counters.parked,
                    "rejected": counters.rejected,
                    "superseded": counters.superseded,
                    "in_flight": counters.in_flight(),
                    "expected": {
                        "sent": expected.sent,
                        "repeated": expected.repeated,
                        "delivered": expected.delivered,
                        "filtered": expected.filtered,
                        "parked": expected.parked,
                        "rejected": expected.rejected,
                    },
                    "as_expected": fits(counters, &expected),
                })
            })
            .collect();
        let destinations: Vec<Value> = self
            .destinations()
            .map(|row| {
                json!({
                    "channel": row.channel,
                    "name": row.name,
                    "delivered": row.delivered,
                    "parked": row.parked,
                    "queued": row.queued,
                    "retries": row.retries,
                })
            })
            .collect();
        let systems: Vec<Value> = System::ALL
            .iter()
            .filter_map(|system| {
                let tally = end.tally.systems.get(system)?;
                Some(json!({
                    "name": system.name(),
                    "expected": tally.expected,
                    "arrived": tally.arrived,
                    "again": tally.again,
                    "refused": tally.refused,
                }))
            })
            .collect();
        let parked: Vec<Value> = end
            .explained
            .iter()
            .map(|(explanation, count)| {
                json!({
                    "channel": explanation.channel,
                    "destination": explanation.destination,
                    "code": explanation.code,
                    "why": explanation.why,
                    "messages": count,
                })
            })
            .collect();
        json!({
            "as_expected": problems.is_empty(),
            "problems": problems,
            "seed": self.seed,
            "seconds": seconds(self.flowed),
            "drained_seconds": seconds(self.drained),
            "sent": end.tally.sent,
            "received": end.received(),
            "arrived": self.arrived(),
            "unaccounted": end.tally.open,
            "per_second": rounded(self.per_second()),
            "acknowledgment_ms": quantiles(end.tally.acknowledgment),
            "arrival_ms": quantiles(end.tally.arrival),
            "channels": channels,
            "destinations": destinations,
            "systems": systems,
            "parked": parked,
            "parked_unexplained": end.unexplained_count,
            "proof": { "holds": self.proof.holds(), "records": self.proof.records },
            "memory_bytes_max": self.memory_bytes_max,
            "directory": self.kept,
        })
    }

    fn arrived(&self) -> u64 {
        self.end.tally.systems.values().map(|tally| tally.arrived).sum()
    }

    fn per_second(&self) -> f64 {
        self.end.tally.sent as f64 / self.flowed.as_secs_f64().max(0.001)
    }

    fn destinations(&self) -> impl Iterator<Item = DestinationRow<'_>> {
        self.end.channels.iter().flat_map(|channel| {
            channel.destinations.iter().map(|destination| {
                let key = (channel.name.to_string(), destination.name.to_string());
                let tally = self.end.deliveries.get(&key).copied().unwrap_or_default();
                DestinationRow {
                    channel: &channel.name,
                    name: &destination.name,
                    delivered: tally.delivered,
                    parked: tally.parked,
                    queued: destination.queued,
                    retries: tally.retries,
                }
            })
        })
    }

    /// As a person reads it.
    pub(crate) fn write(&self, output: &mut dyn Write, terminal: &Terminal) -> io::Result<()> {
        let end = &self.end;
        let strong = |text: &str| terminal.paint(Tone::Strong, text);
        writeln!(
            output,
            "{}",
            strong(&format!(
                "{} messages in {} ({:.0}/s), {} deliveries arrived",
                end.tally.sent,
                clock(self.flowed),
                self.per_second(),
                self.arrived()
            ))
        )?;
        writeln!(
            output,
            "acknowledged after {} (p50), {} (p99); arrived after {} (p50), {} (p99)",
            latency(end.tally.acknowledgment.p50),
            latency(end.tally.acknowledgment.p99),
            latency(end.tally.arrival.p50),
            latency(end.tally.arrival.p99),
        )?;
        writeln!(output)?;
        let heading =
            ["channel", "received", "delivered", "filtered", "parked", "rejected", "repeats"];
        writeln!(output, "{}", strong(&row(&heading.map(str::to_owned))))?;
        for channel in &end.channels {
            let counters = &channel.counters;
            let cells = [
                channel.name.to_string(),
                counters.received.to_string(),
                counters.delivered.to_string(),
                counters.filtered.to_string(),
                counters.parked.to_string(),
                counters.rejected.to_string(),
                counters.superseded.to_string(),
            ];
            writeln!(output, "{}", row(&cells))?;
        }
        writeln!(output)?;
        let again: u64 = end.tally.systems.values().map(|tally| tally.again).sum();
        let retries: u64 = self.destinations().map(|row| row.retries).sum();
        writeln!(
            output,
            "while the laboratory was away: {retries} tries again, {again} messages arrived twice"
        )?;
        if !end.explained.is_empty() {
            writeln!(output, "parked, as it must be:")?;
        }
        for (explanation, count) in &end.explained {
            writeln!(
                output,
                "  {count:>5}  {}  {}  {}",
                explanation.channel,
                terminal.paint(Tone::Faint, &explanation.code),
                explanation.why
            )?;
        }
        writeln!(output)?;
        self.write_verdict(output, terminal)
    }

    fn write_verdict(&self, output: &mut dyn Write, terminal: &Terminal) -> io::Result<()> {
        let problems = self.problems();
        if problems.is_empty() {
            let all = "every message is accounted for";
            writeln!(
                output,
                "{}:\nby the systems that sent and received it, and by the proof from {} records",
                terminal.paint(Tone::Good, all),
                self.proof.records
            )?;
        } else {
            writeln!(output, "{}", terminal.paint(Tone::Bad, "not everything is as it must be:"))?;
            for problem in &problems {
                writeln!(output, "  {problem}")?;
            }
        }
        if let Some(kept) = &self.kept {
            writeln!(
                output,
                "the project and its data are in {kept}; run it on with `pipehat up {kept}`"
            )?;
        }
        Ok(())
    }
}

struct DestinationRow<'s> {
    channel: &'s str,
    name: &'s str,
    delivered: u64,
    parked: u64,
    queued: u64,
    retries: u64,
}

/// Whether a channel counted what it must have. A message sent twice may have been kept once or
/// twice: when its connection broke before, nobody knows but Pipehat.
fn fits(counters: &Counters, expected: &ChannelTally) -> bool {
    counters.delivered == expected.delivered
        && counters.filtered == expected.filtered
        && counters.parked == expected.parked
        && counters.rejected == expected.rejected
        && counters.received.checked_sub(counters.superseded) == Some(expected.sent)
        && counters.superseded <= expected.repeated
}

fn row(cells: &[String; 7]) -> String {
    let [first, rest @ ..] = cells;
    let rest: String = rest.iter().map(|cell| format!("{cell:>10}")).collect();
    format!("{first:<18}{rest}")
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn seconds(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64())
}

fn quantiles(quantiles: Quantiles) -> Value {
    let millis = |duration: Option<Duration>| duration.map(|one| rounded(one.as_secs_f64() * 1e3));
    json!({ "p50": millis(quantiles.p50), "p99": millis(quantiles.p99) })
}

/// `0.4 ms`, `12 ms`, `3.4 s`; `–` for nothing.
pub(crate) fn latency(duration: Option<Duration>) -> String {
    let Some(duration) = duration else { return "–".to_owned() };
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        _ if millis < 10.0 => format!("{millis:.1} ms"),
        _ if millis < 1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1e3),
    }
}

/// `12 s`, `3:05 min`.
pub(crate) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{}:{:02} min", seconds / 60, seconds % 60)
    }
}
