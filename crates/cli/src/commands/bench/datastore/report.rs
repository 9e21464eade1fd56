//! The results: as a table that grows while the bench runs, and as JSON.

use std::time::Duration;

use serde::Serialize;

use crate::commands::bench::table::{milliseconds, thousands};
use crate::latency::Latencies;
use crate::terminal::{Terminal, Tone};

/// One measurement. What does not apply to it is absent.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) clients: usize,
    pub(super) requests: u64,
    pub(super) seconds: f64,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
    /// Processor time of the server for each request.
    pub(super) processor_us: Option<f64>,
    /// Memory of the server at its highest while this was measured.
    pub(super) memory_bytes: Option<u64>,
    /// Requests that were refused or failed; they count in nothing else.
    pub(super) failed: u64,
}

impl Row {
    pub(super) fn new(what: impl Into<String>, clients: usize) -> Self {
        Self {
            what: what.into(),
            clients,
            requests: 0,
            seconds: 0.0,
            per_second: 0.0,
            p50_ms: 0.0,
            p99_ms: 0.0,
            max_ms: 0.0,
            processor_us: None,
            memory_bytes: None,
            failed: 0,
        }
    }

    pub(super) fn measured(mut self, requests: u64, took: Duration, latencies: &Latencies) -> Self {
        let per_mille = |share| latencies.per_mille(share).as_secs_f64() * 1e3;
        self.requests = requests;
        self.seconds = took.as_secs_f64();
        self.per_second = requests as f64 / self.seconds.max(f64::MIN_POSITIVE);
        self.p50_ms = per_mille(500);
        self.p99_ms = per_mille(990);
        self.max_ms = latencies.longest().as_secs_f64() * 1e3;
        self
    }
}

pub(super) fn head(terminal: &Terminal) -> String {
    let head = format!(
        "{:<22} {:>7} {:>9} {:>8} {:>8} {:>8} {:>7} {:>6}",
        "", "clients", "a second", "p50 ms", "p99 ms", "max ms", "CPU µs", "MB"
    );
    terminal.paint(Tone::Strong, head)
}

pub(super) fn line(row: &Row) -> String {
    let optional = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.0}"));
    let failed = match row.failed {
        0 => String::new(),
        failed => format!("  {} failed", thousands(failed as f64)),
    };
    let line = format!(
        "{:<22} {:>7} {:>9} {:>8} {:>8} {:>8} {:>7} {:>6}{failed}",
        row.what,
        row.clients,
        thousands(row.per_second),
        milliseconds(row.p50_ms),
        milliseconds(row.p99_ms),
        milliseconds(row.max_ms),
        optional(row.processor_us),
        optional(row.memory_bytes.map(|bytes| bytes as f64 / 1e6)),
    );
    line.trim_end().to_owned()
}
