//! What came of the messages sent: counts, latencies, and a line for each while there are not too many.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::latency::Latencies;

/// How one message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    /// An acknowledgment with this code.
    Code(&'static str),
    /// A reply came that is no acknowledgment.
    Unreadable,
    /// None came in time.
    TimedOut,
    /// The connection ended before one came.
    Lost,
    /// None was waited for.
    NotAwaited,
}

impl Answer {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Code(code) => code,
            Self::Unreadable => "unreadable",
            Self::TimedOut => "timeout",
            Self::Lost => "lost",
            Self::NotAwaited => "not awaited",
        }
    }

    pub(super) fn is_positive(self) -> bool {
        match self {
            Self::Code(code) => matches!(code, "AA" | "CA"),
            Self::NotAwaited => true,
            Self::Unreadable | Self::TimedOut | Self::Lost => false,
        }
    }
}

/// One message and its end.
#[derive(Debug)]
pub(super) struct Outcome {
    /// In the order of sending, from 1.
    pub(super) number: u64,
    pub(super) control_id: String,
    pub(super) answer: Answer,
    /// The errors that ERR reports: code and place.
    pub(super) errors: Vec<String>,
    /// MSA-3, if values may be shown.
    pub(super) text: Option<String>,
    pub(super) latency: Option<Duration>,
}

impl Outcome {
    pub(super) fn json(&self) -> Json {
        let mut json = json!({
            "message": self.number,
            "control_id": self.control_id,
            "answer": self.answer.as_str(),
            "errors": self.errors,
            "milliseconds": self.latency.map(milliseconds),
        });
        if let (Some(text), Some(map)) = (&self.text, json.as_object_mut()) {
            map.insert("text".to_owned(), json!(text));
        }
        json
    }
}

/// The sum of all outcomes.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) sent: u64,
    pub(super) bytes: u64,
    answers: BTreeMap<Answer, u64>,
    pub(super) latencies: Latencies,
    /// Acknowledgments that belong to no message waiting for one.
    pub(super) unexpected: u64,
    pub(super) elapsed: Duration,
}

impl Report {
    pub(super) fn count(&mut self, answer: Answer, latency: Option<Duration>) {
        let count = self.answers.entry(answer).or_default();
        *count = count.saturating_add(1);
        if let Some(latency) = latency {
            self.latencies.record(latency);
        }
    }

    /// How many have ended.
    pub(super) fn ended(&self) -> u64 {
        self.answers.values().sum()
    }

    pub(super) fn all_positive(&self) -> bool {
        self.answers.keys().all(|answer| answer.is_positive())
    }

    fn per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.ended() as f64 / seconds } else { 0.0 }
    }

    pub(super) fn json(&self) -> Json {
        let answers: serde_json::Map<_, _> = self
            .answers
            .iter()
            .map(|(answer, count)| (answer.as_str().to_owned(), json!(count)))
            .collect();
        let latencies = &self.latencies;
        let latency = (latencies.count() > 0).then(|| {
            json!({
                "mean": milliseconds(latencies.mean()),
                "p50": milliseconds(latencies.per_mille(500)),
                "p90": milliseconds(latencies.per_mille(900)),
                "p99": milliseconds(latencies.per_mille(990)),
                "p999": milliseconds(latencies.per_mille(999)),
                "max": milliseconds(latencies.longest()),
            })
        });
        json!({
            "sent": self.sent,
            "answers": answers,
            "unexpected": self.unexpected,
            "bytes": self.bytes,
            "seconds": rounded(self.elapsed.as_secs_f64()),
            "per_second": rounded(self.per_second()),
            "latency_milliseconds": latency,
        })
    }

    /// The totals as lines for a person.
    pub(super) fn lines(&self) -> Vec<String> {
        let answers =
            self.answers.iter().map(|(answer, count)| format!("{count} {}", answer.as_str()));
        let mut lines = vec![format!(
            "{} message(s) in {}, {:.0}/s: {}",
            self.sent,
            duration(self.elapsed),
            self.per_second(),
            answers.collect::<Vec<_>>().join(", ")
        )];
        if self.latencies.count() > 0 {
            let [p50, p90, p99, p999] =
                [500, 900, 990, 999].map(|share| duration(self.latencies.per_mille(share)));
            let max = duration(self.latencies.longest());
            lines
                .push(format!("latency: p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}"));
        }
        if self.unexpected > 0 {
            lines.push(format!("{} acknowledgment(s) for no message that waited", self.unexpected));
        }
        lines
    }
}

/// To the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1000.0)
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// A duration with three digits that count.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (number, unit) = if seconds >= 1.0 { (seconds, "s") } else { (seconds * 1000.0, "ms") };
    let decimals = match number {
        100.0.. => 0,
        10.0..100.0 => 1,
        _ => 2,
    };
    format!("{number:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let shown = [0, 7, 1_234, 56_789, 999_000, 1_500_000, 61_000_000]
            .map(|microseconds| duration(Duration::from_micros(microseconds)));
        assert_eq!(
            shown,
            ["0.00 ms", "0.01 ms", "1.23 ms", "56.8 ms", "999 ms", "1.50 s", "61.0 s"]
        );
    }

    #[test]
    fn totals_are_told_by_answer() {
        let mut report = Report { sent: 3, elapsed: Duration::from_secs(2), ..Report::default() };
        report.count(Answer::Code("AA"), Some(Duration::from_millis(2)));
        assert!(report.all_positive());
        report.count(Answer::Code("AA"), Some(Duration::from_millis(2)));
        report.count(Answer::TimedOut, None);
        assert!(!report.all_positive());
        assert_eq!(report.lines()[0], "3 message(s) in 2.00 s, 2/s: 2 AA, 1 timeout");
        assert_eq!(report.json()["answers"], json!({"AA": 2, "timeout": 1}));
    }
}
