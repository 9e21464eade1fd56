//! The results: as a table that grows while the bench runs, and as JSON.

use std::time::Duration;

use serde::Serialize;

use crate::latency::Latencies;
use crate::terminal::{Terminal, Tone};

/// One measurement. What does not apply to it is absent.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) what: String,
    /// Connections, senders, or messages at a time.
    pub(super) connections: usize,
    pub(super) messages: u64,
    pub(super) seconds: f64,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) max_ms: f64,
    /// Bytes handed to the system for each message: the file's or the journal's own count.
    pub(super) written_per_message: Option<f64>,
    /// Bytes handed to `write` by the whole process, index and checkpoints included.
    pub(super) process_written_per_message: Option<f64>,
    /// Processor time of the whole process for each message, senders and receiver included.
    pub(super) processor_us_per_message: Option<f64>,
    /// Memory of the whole process at its highest, senders and receiver included.
    pub(super) memory_bytes: Option<u64>,
    /// From the last acknowledgment until every message had reached the receiver.
    pub(super) drained_s: Option<f64>,
    /// From the last acknowledgment until the index knew every message.
    pub(super) indexed_s: Option<f64>,
}

const MILLISECONDS: f64 = 1e3;

impl Row {
    pub(super) fn new(what: impl Into<String>, connections: usize) -> Self {
        Self {
            what: what.into(),
            connections,
            messages: 0,
            seconds: 0.0,
            per_second: 0.0,
            p50_ms: 0.0,
            p99_ms: 0.0,
            p999_ms: 0.0,
            max_ms: 0.0,
            written_per_message: None,
            process_written_per_message: None,
            processor_us_per_message: None,
            memory_bytes: None,
            drained_s: None,
            indexed_s: None,
        }
    }

    pub(super) fn measured(mut self, messages: u64, took: Duration, latencies: &Latencies) -> Self {
        let per_mille = |share| latencies.per_mille(share).as_secs_f64() * MILLISECONDS;
        self.messages = messages;
        self.seconds = took.as_secs_f64();
        self.per_second = messages as f64 / self.seconds.max(f64::MIN_POSITIVE);
        self.p50_ms = per_mille(500);
        self.p99_ms = per_mille(990);
        self.p999_ms = per_mille(999);
        self.max_ms = latencies.longest().as_secs_f64() * MILLISECONDS;
        self
    }

    pub(super) fn with_written(mut self, bytes: u64, messages: u64) -> Self {
        self.written_per_message = Some(bytes as f64 / messages.max(1) as f64);
        self
    }
}

pub(super) fn head(terminal: &Terminal) -> String {
    let head = format!(
        "{:<38} {:>5} {:>11} {:>8} {:>8} {:>8} {:>9} {:>8} {:>6}",
        "", "conn.", "messages/s", "p50 ms", "p99 ms", "max ms", "written B", "CPU µs", "MB"
    );
    terminal.paint(Tone::Strong, head)
}

pub(super) fn line(row: &Row) -> String {
    let optional = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.0}"));
    let line = format!(
        "{:<38} {:>5} {:>11} {:>8} {:>8} {:>8} {:>9} {:>8} {:>6}",
        row.what,
        row.connections,
        thousands(row.per_second),
        milliseconds(row.p50_ms),
        milliseconds(row.p99_ms),
        milliseconds(row.max_ms),
        optional(row.written_per_message),
        optional(row.processor_us_per_message),
        optional(row.memory_bytes.map(|bytes| bytes as f64 / 1e6)),
    );
    line.trim_end().to_owned()
}

/// `12,345`
pub(super) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three figures that say something.
pub(super) fn milliseconds(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.3}"),
        value if value < 100.0 => format!("{value:.2}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(thousands(7.4), "7");
        assert_eq!(thousands(999.6), "1,000");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
        assert_eq!(milliseconds(0.1234), "0.123");
        assert_eq!(milliseconds(12.345), "12.35");
        assert_eq!(milliseconds(1234.5), "1234");
    }
}
