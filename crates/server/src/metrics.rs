//! The node's counters in Prometheus' text format. Names of channels and destinations are the
//! only labels: nothing of a message is among them.

use std::collections::BTreeMap;
use std::fmt::Write;

use pipehat_connectors::SftpServer;
use pipehat_journal::{SYNC_TIME_BOUNDS, Statistics};

use crate::api::{DestinationView, StatusView};
use crate::fhir::Figures;

/// Renders the metrics.
pub(crate) fn render(
    status: &StatusView,
    journal: &Statistics,
    subscriptions: Option<&Figures>,
    sftp: &BTreeMap<String, SftpServer>,
) -> String {
    let mut page = Page::default();
    page.channels(status);
    page.destinations(status);
    page.journal(status, journal);
    if let Some(figures) = subscriptions {
        page.subscriptions(figures);
    }
    page.sftp(sftp);
    page.0
}

/// What a metric shows of a destination.
type Value = fn(&DestinationView) -> u64;

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _ = write!(self.0, "{name}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn channels(&mut self, status: &StatusView) {
        let name = "pipehat_messages_received_total";
        self.family(name, "counter", "Messages received.");
        for channel in &status.channels {
            self.sample(name, &[("channel", &channel.name)], channel.counters.received);
        }
        let name = "pipehat_messages";
        self.family(name, "gauge", "Messages by where they stand.");
        for channel in &status.channels {
            let counters = &channel.counters;
            for (disposition, count) in [
                ("delivered", counters.delivered),
                ("filtered", counters.filtered),
                ("parked", counters.parked),
                ("rejected", counters.rejected),
                ("superseded", counters.superseded),
                ("in-flight", counters.in_flight),
            ] {
                let labels = [("channel", channel.name.as_str()), ("disposition", disposition)];
                self.sample(name, &labels, count);
            }
        }
        let name = "pipehat_source_connections";
        self.family(name, "gauge", "Connections open to a channel's source.");
        for channel in &status.channels {
            self.sample(name, &[("channel", &channel.name)], channel.health.connections);
        }
        let name = "pipehat_source_up";
        self.family(name, "gauge", "0 when a channel's source can't do its work, or has ended.");
        for channel in &status.channels {
            let is_up = !matches!(channel.health.state.as_str(), "down" | "stopped");
            self.sample(name, &[("channel", &channel.name)], u8::from(is_up));
        }
        let name = "pipehat_messages_holding_lanes";
        self.family(
            name,
            "gauge",
            "Messages that failed, or wait for a lookup, and hold their lane.",
        );
        for channel in &status.channels {
            self.sample(name, &[("channel", &channel.name)], channel.blocked.len());
        }
        let name = "pipehat_channel_stalled";
        self.family(
            name,
            "gauge",
            "1 when a channel stands still because the journal can't be written.",
        );
        for channel in &status.channels {
            self.sample(name, &[("channel", &channel.name)], u8::from(channel.stalled));
        }
        let name = "pipehat_channel_failed";
        self.family(name, "gauge", "1 when a channel has failed and refuses messages.");
        for channel in &status.channels {
            self.sample(name, &[("channel", &channel.name)], u8::from(channel.failed));
        }
    }

    fn destinations(&mut self, status: &StatusView) {
        let families: [(&str, &str, Value); 4] = [
            ("pipehat_queue_depth", "Deliveries open.", |destination| destination.queued),
            ("pipehat_deliveries_sending", "Deliveries under way.", |destination| {
                destination.sending
            }),
            (
                "pipehat_deliveries_retrying",
                "Deliveries waiting to be tried again.",
                |destination| destination.retrying,
            ),
            ("pipehat_destination_up", "1 when the latest connection worked.", |destination| {
                u64::from(destination.health.state == "up")
            }),
        ];
        for (name, help, value) in families {
            self.family(name, "gauge", help);
            for channel in &status.channels {
                for destination in &channel.destinations {
                    let labels =
                        [("channel", channel.name.as_str()), ("destination", &destination.name)];
                    self.sample(name, &labels, value(destination));
                }
            }
        }
    }

    /// Counted since the project took effect: a changed one begins anew, as counters may.
    fn sftp(&mut self, servers: &BTreeMap<String, SftpServer>) {
        if servers.is_empty() {
            return;
        }
        let name = "pipehat_sftp_operations_total";
        self.family(name, "counter", "What bots did on SFTP servers.");
        for (server, counts) in servers.iter().map(|(name, server)| (name, server.counts())) {
            for (outcome, count) in [("done", counts.done), ("failed", counts.failed)] {
                self.sample(name, &[("server", server), ("outcome", outcome)], count);
            }
        }
        let name = "pipehat_sftp_bytes_total";
        self.family(name, "counter", "Bytes of files got from and put on SFTP servers.");
        for (server, counts) in servers.iter().map(|(name, server)| (name, server.counts())) {
            for (way, count) in [("got", counts.bytes_received), ("put", counts.bytes_sent)] {
                self.sample(name, &[("server", server), ("way", way)], count);
            }
        }
    }

    fn subscriptions(&mut self, figures: &Figures) {
        for (name, help, value) in [
            ("pipehat_subscriptions_active", "FHIR Subscriptions that are active.", figures.active),
            (
                "pipehat_subscription_deliveries_waiting",
                "Notifications of Subscriptions that wait to be delivered.",
                figures.waiting,
            ),
            (
                "pipehat_subscription_dead_letters",
                "Notifications of Subscriptions that were given up.",
                figures.dead_letters,
            ),
        ] {
            self.family(name, "gauge", help);
            self.sample(name, &[], value);
        }
    }

    fn journal(&mut self, status: &StatusView, journal: &Statistics) {
        for (name, kind, help, value) in [
            ("pipehat_journal_records_total", "counter", "Records written.", journal.records),
            (
                "pipehat_journal_groups_total",
                "counter",
                "Writes with one sync each.",
                journal.groups,
            ),
            (
                "pipehat_journal_written_bytes_total",
                "counter",
                "Bytes handed to the system.",
                journal.bytes_written,
            ),
            ("pipehat_journal_disk_bytes", "gauge", "Size on disk.", journal.disk_bytes),
            (
                "pipehat_journal_lost_records",
                "gauge",
                "Records that repairs of the journal gave up.",
                status.losses.iter().map(|loss| loss.records).sum(),
            ),
            (
                "pipehat_journal_waiting_bytes",
                "gauge",
                "Bytes waiting to be written.",
                journal.waiting_bytes,
            ),
            (
                "pipehat_index_behind_records",
                "gauge",
                "Records the message index has not taken in.",
                status.index_behind.unwrap_or(0),
            ),
            ("pipehat_uptime_seconds", "gauge", "Seconds since the start.", status.uptime_seconds),
        ] {
            self.family(name, kind, help);
            self.sample(name, &[], value);
        }
        let name = "pipehat_journal_sync_seconds";
        self.family(name, "histogram", "How long a sync of the journal took.");
        let bucket = format!("{name}_bucket");
        let mut sum = 0;
        for (count, bound) in journal.sync_times.iter().zip(SYNC_TIME_BOUNDS) {
            sum += count;
            self.sample(&bucket, &[("le", &bound.as_secs_f64().to_string())], sum);
        }
        self.sample(&bucket, &[("le", "+Inf")], journal.syncs);
        self.sample(&format!("{name}_sum"), &[], journal.sync_time.as_secs_f64());
        self.sample(&format!("{name}_count"), &[], journal.syncs);
    }
}
