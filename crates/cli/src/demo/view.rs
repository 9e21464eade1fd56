//! What the screen shows of a running demo. Pure: a snapshot and a size in, lines out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::tz::TimeZone;
use pipehat_connectors::LinkState;
use pipehat_engine::{ChannelStatus, DestinationStatus};

use super::observer::Parked;
use super::partner::Mood;
use super::snapshot::{Phase, Snapshot};
use super::summary::{clock, latency};
use super::system::System;
use super::table::{Cell, Column, Line, table};
use crate::terminal::Tone;

/// Rates are taken over so long.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// The least rows for the parked messages before anything else is left out.
const PARKED_ROWS_MIN: usize = 2;

/// Parked messages that are shown at most.
const PARKED_ROWS_MAX: usize = 12;

/// From so many rows on, systems that only send are shown as well.
const ROWS_FOR_ALL: usize = 28;

/// Which systems are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AllSystems {
    Yes,
    Receiving,
}

/// How many messages came in lately, by channel.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    moments: VecDeque<(Duration, BTreeMap<String, u64>)>,
}

impl Rates {
    /// Notes a moment.
    pub(crate) fn note(&mut self, snapshot: &Snapshot) {
        let received = snapshot.channels.iter();
        let received = received.map(|one| (one.name.to_string(), one.counters.received)).collect();
        self.moments.push_back((snapshot.elapsed, received));
        while self.moments.get(1).is_some_and(|(at, _)| *at + RATE_WINDOW <= snapshot.elapsed) {
            self.moments.pop_front();
        }
    }

    /// A channel's messages in a second.
    fn of(&self, channel: &str) -> f64 {
        let (Some((began, first)), Some((now, last))) = (self.moments.front(), self.moments.back())
        else {
            return 0.0;
        };
        let count = |all: &BTreeMap<String, u64>| all.get(channel).copied().unwrap_or(0);
        let seconds = now.saturating_sub(*began).as_secs_f64();
        if seconds <= 0.0 { 0.0 } else { count(last).saturating_sub(count(first)) as f64 / seconds }
    }
}

/// The lines for a screen of this size.
pub(crate) fn draw(snapshot: &Snapshot, rates: &Rates, size: (usize, usize)) -> Vec<Line> {
    let (columns, rows) = size;
    let header = header(snapshot, rates, columns);
    let hints = hints(snapshot, columns);
    let channels = channels(snapshot, rates, columns);
    let destinations = destinations(snapshot, columns);
    let all = if rows >= ROWS_FOR_ALL { AllSystems::Yes } else { AllSystems::Receiving };
    let systems = systems(snapshot, columns, all);
    let fixed = header.len() + channels.len() + systems.len() + hints.len();
    let parked_least = 1 + PARKED_ROWS_MIN;
    let mut left = rows.saturating_sub(fixed + parked_least);
    // What is most useful is shown first: the destinations one by one, then space between.
    let with_destinations = left >= destinations.len() + 4;
    if with_destinations {
        left -= destinations.len();
    }
    let between = if with_destinations { 4 } else { 3 };
    let blanks = left >= between;
    if blanks {
        left -= between;
    }
    let parked = parked(snapshot, columns, (PARKED_ROWS_MIN + left).min(PARKED_ROWS_MAX));
    let mut sections = vec![header, channels];
    if with_destinations {
        sections.push(destinations);
    }
    sections.extend([systems, parked]);
    let mut lines: Vec<Line> = Vec::new();
    for section in sections {
        if blanks && !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.extend(section);
    }
    let body = rows.saturating_sub(hints.len());
    lines.truncate(body);
    lines.resize(body, Line::default());
    lines.extend(hints);
    lines.truncate(rows);
    lines
}

fn header(snapshot: &Snapshot, rates: &Rates, columns: usize) -> Vec<Line> {
    let rate: f64 = snapshot.channels.iter().map(|channel| rates.of(&channel.name)).sum();
    let (phase, tone) = match snapshot.phase {
        Phase::Running => ("running", Tone::Good),
        Phase::Paused => ("paused", Tone::Warning),
        Phase::Finishing => ("finishing", Tone::Warning),
    };
    let time = match snapshot.planned {
        Some(planned) => format!("{} of {}", clock(snapshot.elapsed.min(planned)), clock(planned)),
        None => clock(snapshot.elapsed),
    };
    let mut line = Line::default();
    let title = if columns < 80 { "Pipehat demo" } else { "Pipehat demo hospital" };
    line.add(title, Some(Tone::Strong));
    line.add(format!("  {time}  "), None);
    line.add(phase, Some(tone));
    line.add(format!("  {rate:.0} msg/s  "), Some(Tone::Strong));
    let acknowledgment = snapshot.tally.acknowledgment;
    let (p50, p99) = (latency(acknowledgment.p50), latency(acknowledgment.p99));
    line.add(format!("ack p50 {p50} p99 {p99}"), None);
    if columns >= 110 {
        let arrival = snapshot.tally.arrival;
        let (p50, p99) = (latency(arrival.p50), latency(arrival.p99));
        line.add(format!("  arrival p50 {p50} p99 {p99}"), None);
    }
    vec![line.fit(columns)]
}

fn channels(snapshot: &Snapshot, rates: &Rates, columns: usize) -> Vec<Line> {
    let heading = [
        Column::text("channel", 16),
        Column::number("msg/s", 6),
        Column::number("received", 8),
        Column::number("delivered", 9),
        Column::number("filtered", 8).may_go(2),
        Column::number("parked", 6),
        Column::number("rejected", 8).may_go(2),
        Column::number("in flight", 9),
    ];
    let rows = snapshot.channels.iter().map(|channel| {
        let counters = &channel.counters;
        let in_flight = counters.in_flight();
        let tone = if channel.blocked.is_empty() { Tone::Strong } else { Tone::Bad };
        vec![
            Cell::toned(&*channel.name, tone),
            Cell::plain(format!("{:.1}", rates.of(&channel.name))),
            Cell::plain(counters.received),
            Cell::plain(counters.delivered),
            Cell::plain(counters.filtered),
            Cell::when(counters.parked, counters.parked > 0, Tone::Warning),
            Cell::plain(counters.rejected),
            Cell::when(in_flight, in_flight > 50, Tone::Warning),
        ]
    });
    table(&heading, rows.collect(), columns)
}

fn destinations(snapshot: &Snapshot, columns: usize) -> Vec<Line> {
    let heading = [
        Column::text("destination", 28),
        Column::text("state", 6),
        Column::number("delivered", 10),
        Column::number("parked", 7),
        Column::number("queue", 7),
        Column::number("retrying", 9),
        Column::number("tries again", 12).may_go(1),
        Column::rest("last problem", 20),
    ];
    let rows = each_destination(snapshot).map(|(channel, destination)| {
        let key = (channel.name.to_string(), destination.name.to_string());
        let tally = snapshot.deliveries.get(&key).copied().unwrap_or_default();
        let (state, tone) = state(destination.health.state);
        let problem = destination.health.problem.as_ref().map_or("", |problem| problem.code);
        vec![
            Cell::plain(format!("{} → {}", channel.name, destination.name)),
            Cell::toned(state, tone),
            Cell::plain(tally.delivered),
            Cell::when(tally.parked, tally.parked > 0, Tone::Warning),
            Cell::when(destination.queued, destination.queued > 20, Tone::Warning),
            Cell::when(destination.retrying, destination.retrying > 0, Tone::Warning),
            Cell::plain(tally.retries),
            Cell::toned(problem, Tone::Faint),
        ]
    });
    table(&heading, rows.collect(), columns)
}

fn systems(snapshot: &Snapshot, columns: usize, all: AllSystems) -> Vec<Line> {
    let all = all == AllSystems::Yes;
    let heading = [
        Column::text("system", 13),
        Column::number("sent", 7),
        Column::number("arrived", 7),
        Column::number("twice", 6).may_go(2),
        Column::number("queue", 6),
        Column::number("retrying", 9).may_go(1),
        Column::rest(" what it does now", 36),
    ];
    let shown = System::ALL.into_iter().filter(|system| all || system.receives());
    let rows = shown.map(|system| {
        let tally = snapshot.tally.systems.get(&system).cloned().unwrap_or_default();
        let own = each_destination(snapshot).filter(|(_, one)| *one.name == *system.name());
        let (mut queued, mut retrying) = (0, 0);
        for (_, destination) in own {
            queued += destination.queued;
            retrying += destination.retrying;
        }
        let (doing, tone) = doing(system, snapshot);
        vec![
            Cell::toned(system.name(), Tone::Strong),
            Cell::plain(sent(system, snapshot)),
            Cell::plain(tally.arrived),
            Cell::plain(tally.again),
            Cell::when(queued, queued > 20, Tone::Warning),
            Cell::when(retrying, retrying > 0, Tone::Warning),
            Cell::toned(format!(" {doing}"), tone),
        ]
    });
    table(&heading, rows.collect(), columns)
}

fn each_destination(
    snapshot: &Snapshot,
) -> impl Iterator<Item = (&ChannelStatus, &DestinationStatus)> {
    let channels = snapshot.channels.iter();
    channels.flat_map(|channel| channel.destinations.iter().map(move |one| (channel, one)))
}

fn state(state: LinkState) -> (&'static str, Tone) {
    match state {
        LinkState::Idle => ("idle", Tone::Faint),
        LinkState::Up => ("up", Tone::Good),
        LinkState::Down => ("down", Tone::Bad),
        LinkState::Stopped => ("ended", Tone::Faint),
    }
}

/// What a system has sent.
fn sent(system: System, snapshot: &Snapshot) -> u64 {
    let own = system.sends_to().iter();
    own.filter_map(|channel| snapshot.tally.channels.get(channel)).map(|tally| tally.sent).sum()
}

fn doing(system: System, snapshot: &Snapshot) -> (String, Tone) {
    let sending = if snapshot.phase == Phase::Running { "" } else { "not " };
    let refused = snapshot.tally.systems.get(&system).map_or(0, |tally| tally.refused);
    let text = match system {
        System::Laboratory => {
            let (mood, until) = snapshot.laboratory;
            let now = tokio::time::Instant::now();
            let left = until.map_or(0, |until| until.saturating_duration_since(now).as_secs() + 1);
            return match mood {
                Mood::Up => ("works on orders".to_owned(), Tone::Good),
                Mood::Slow => ("slow: up to 200 ms for each".to_owned(), Tone::Warning),
                Mood::BreakingOff => ("hangs up instead of answering".to_owned(), Tone::Warning),
                Mood::Down => (format!("down for {left} s"), Tone::Bad),
            };
        }
        System::Registration => format!("{sending}admitting and moving patients"),
        System::Ward => format!("reads results, {sending}ordering, charging"),
        System::Pharmacy => "up to 15 ms for each".to_owned(),
        System::Scheduling => format!("{sending}booking; waits for the portal"),
        System::Portal => "its answers go back to scheduling".to_owned(),
        System::Billing => format!("refused {refused} unknown charges"),
        System::Clinic => format!("{sending}dropping batch files"),
        System::Registry => "takes files and HTTP posts".to_owned(),
    };
    (text, Tone::Good)
}

fn parked(snapshot: &Snapshot, columns: usize, rows: usize) -> Vec<Line> {
    let explained: u64 = snapshot.explained.values().sum();
    let mut heading = Line::default();
    heading.add("parked", Some(Tone::Strong));
    heading.add(format!("  {explained} as expected"), Some(Tone::Faint));
    if snapshot.unexplained_count > 0 {
        let text = format!(", {} without explanation", snapshot.unexplained_count);
        heading.add(text, Some(Tone::Bad));
    }
    if snapshot.tally.findings_count > 0 {
        let text = format!("; {} findings", snapshot.tally.findings_count);
        heading.add(text, Some(Tone::Bad));
    }
    let mut lines = vec![heading.fit(columns)];
    for parked in snapshot.latest_parked.iter().rev().take(rows) {
        lines.push(parked_line(parked).fit(columns));
    }
    lines
}

fn parked_line(parked: &Parked) -> Line {
    let mut line = Line::default();
    let time = parked.at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string();
    line.add(format!("{time} "), Some(Tone::Faint));
    line.add(&parked.channel, None);
    if let Some(destination) = &parked.destination {
        line.add(format!(" → {destination}"), None);
    }
    let tone = if parked.explained.is_some() { Tone::Warning } else { Tone::Bad };
    line.add(format!(" {} ", parked.code), Some(tone));
    line.add(&parked.detail, None);
    line
}

fn hints(snapshot: &Snapshot, columns: usize) -> Vec<Line> {
    let mut look = Line::default();
    look.add("look  ", Some(Tone::Faint));
    look.add(format!("pipehat messages find --parked --data {}", snapshot.data.display()), None);
    if columns >= 120 {
        look.add("   admin API  ", Some(Tone::Faint));
        look.add(&snapshot.http, None);
    }
    let mut keys = Line::default();
    let pause = if snapshot.phase == Phase::Paused { " go on  " } else { " pause  " };
    for (key, what) in [("q", " quit  "), ("p", pause), ("f", " laboratory fails now  ")] {
        keys.add(key, Some(Tone::Strong));
        keys.add(what, Some(Tone::Faint));
    }
    vec![look.fit(columns), keys.fit(columns)]
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use pipehat_connectors::Health;
    use pipehat_engine::Counters;

    use super::*;
    use crate::demo::expectations::Expectations;
    use crate::terminal::columns;

    fn channel(name: &str, destinations: &[&str]) -> ChannelStatus {
        let health = Health::default().snapshot();
        let destination = |name: &&str| DestinationStatus {
            name: (*name).into(),
            connector: "mllp",
            queued: 123_456,
            sending: 1,
            retrying: 2,
            failures: 3,
            health: health.clone(),
        };
        ChannelStatus {
            failed: false,
            name: name.into(),
            revision: [0; 32],
            counters: Counters { received: 1_234_567, parked: 5, ..Counters::default() },
            unprocessed: 0,
            blocked: Vec::new(),
            failing_bots: Vec::new(),
            anomalies: 0,
            stalled: false,
            address: None,
            source_connector: "mllp",
            source: health.clone(),
            destinations: destinations.iter().map(destination).collect(),
        }
    }

    fn snapshot(elapsed: u64) -> Snapshot {
        let parked = Parked {
            at: jiff::Timestamp::UNIX_EPOCH,
            channel: "charges".to_owned(),
            destination: Some("billing".to_owned()),
            control_id: "CHA0000001".to_owned(),
            code: "mllp.refused".to_owned(),
            detail: "charge code is not in the price list".to_owned(),
            explained: None,
        };
        let names = ["admissions", "appointments", "charges", "lab-orders", "lab-results"];
        let mut channels: Vec<_> =
            names.iter().map(|name| channel(name, &["laboratory", "billing"])).collect();
        if let Some(first) = channels.first_mut() {
            first.counters.received += elapsed * 30;
        }
        Snapshot {
            phase: Phase::Running,
            elapsed: Duration::from_secs(elapsed),
            planned: Some(Duration::from_secs(3600)),
            channels,
            tally: Expectations::default().tally(),
            deliveries: BTreeMap::new(),
            latest_parked: vec![parked; 20],
            explained: BTreeMap::new(),
            unexplained: Vec::new(),
            unexplained_count: 1,
            decisions: 0,
            laboratory: (Mood::Down, None),
            http: "http://127.0.0.1:45678".to_owned(),
            data: PathBuf::from("/tmp/pipehat-demo-12345/data"),
        }
    }

    fn shown(size: (usize, usize)) -> Vec<String> {
        let mut rates = Rates::default();
        for elapsed in 0..5 {
            rates.note(&snapshot(elapsed));
        }
        draw(&snapshot(4), &rates, size).iter().map(Line::text).collect()
    }

    #[test]
    fn every_size_is_filled_and_never_exceeded() {
        for size in [(20, 5), (60, 20), (80, 24), (100, 30), (140, 40), (250, 90), (1, 1)] {
            let lines = shown(size);
            assert_eq!(lines.len(), size.1, "{size:?}");
            for line in &lines {
                assert!(columns(line) <= size.0, "{size:?}: {line}");
            }
        }
    }

    #[test]
    fn a_usual_terminal_shows_what_matters() {
        let text = shown((80, 24)).join("\n");
        for part in [
            "30 msg/s",
            "in flight",
            "down for",
            "1 without explanation",
            "mllp.refused",
            "pipehat messages find --parked --data /tmp/pipehat-demo-12345/d",
            "q quit",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn a_large_one_shows_each_destination_too() {
        let text = shown((140, 40)).join("\n");
        assert!(text.contains("admissions → laboratory"), "{text}");
        assert!(text.contains("http://127.0.0.1:45678"), "{text}");
        assert!(!shown((80, 24)).join("\n").contains("admissions → laboratory"));
    }
}
