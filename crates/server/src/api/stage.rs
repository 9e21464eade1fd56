//! What the admin API says about one record of a message's life.

use bytes::Bytes;
use pipehat_connectors::{BotOutcome, BotResult, Found, ResourceChange};
use pipehat_engine::record::{
    BodyRef, Decision, OutputRecord, ProcessedOutcome, Record, SettledOutcome,
};
use pipehat_engine::{Effect, LookupAnswer, Stage};
use pipehat_message::CharsetRule;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lineage::{LineageWanted, TranslationView};
use super::view::time;
use crate::indexer::short_revision;

/// One record of a message's life.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StageView {
    /// The record's position in the journal.
    pub position: u64,
    /// `received`, `processed`, `attempted`, `settled` or `decided`.
    pub stage: String,
    /// When.
    pub at: String,
    /// What happened, in a sentence.
    pub what: String,
    /// The change of a resource that the message tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeView>,
    /// What the steps noticed, in the order of the record: of a validation, errors first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingView>,
    /// The translations that its outputs went through, and where what they made came from, when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub translations: Vec<TranslationView>,
    /// The payloads of this stage, when asked for: what it is, and its text, read by its MSH-18.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bodies: Vec<(String, String)>,
}

/// What happened to a resource of a datastore. It is sent in headers, too: `fhir-change` and so on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeView {
    /// `create`, `update` or `delete`.
    pub change: String,
    /// The resource's type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Its id.
    pub id: String,
    /// The version that the change made.
    pub version: u64,
}

impl From<&ResourceChange> for ChangeView {
    fn from(change: &ResourceChange) -> Self {
        Self {
            change: change.kind.as_str().to_owned(),
            resource_type: change.resource_type.clone(),
            id: change.id.clone(),
            version: change.version,
        }
    }
}

/// Something that was noticed about a message and did not stop it, or says why it was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// The operator code, such as `validation.finding`.
    pub code: String,
    /// How often.
    pub count: u64,
    /// The step and its place in the channel's file; empty where no step found it.
    pub place: String,
    /// Where in the message: `PID-7.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What is wrong, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The rule of a validation, such as `date-malformed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl FindingView {
    /// Takes apart what a record says of a finding: `PID-8 steps[1].map, channels/adt.yaml:7:5`, and
    /// of a validation `PID-8: what is wrong [rule] steps[1].validate, …`.
    fn of(code: &str, recorded: &str, count: u64) -> Self {
        let (about, place) = split_place(recorded);
        let owned = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (path, text, rule) = if code == "validation.finding" {
            let (told, rule) = match about.strip_suffix(']').and_then(|told| told.rsplit_once(" ["))
            {
                Some((told, rule)) => (told, rule),
                None => (about, ""),
            };
            let (path, text) = told.split_once(": ").unwrap_or(("", told));
            (path, text, rule)
        } else {
            (about, "", "")
        };
        let (path, text, rule) = (owned(path), owned(text), owned(rule));
        Self { code: code.to_owned(), count, place: place.to_owned(), path, text, rule }
    }
}

/// What the search of a bot's step begins with: it is no search.
const BOT: &str = "bot?";

/// What a bot's run gave: what it returned, and what it sent to destinations.
fn show_run(number: usize, found: &Bytes, show: &mut impl FnMut(String, &[u8])) {
    let Some(outcome) = BotOutcome::from_bytes(found) else { return };
    let took = outcome.took;
    let run = format!("run {number} of a bot ({took} µs)");
    match &outcome.result {
        BotResult::Nothing => show(format!("{run}, returned nothing"), b""),
        BotResult::Text(bytes) | BotResult::Json(bytes) => show(format!("{run}, returned"), bytes),
    }
    for (destination, bytes) in &outcome.sent {
        show(format!("{run}, sent to {destination}"), bytes);
    }
}

/// ` after 1 lookup and 2 runs of bots`
fn asked(lookups: usize, bots: usize) -> String {
    let several = |count: usize, one: &str, more: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {more}")),
    };
    let asked =
        [several(lookups, "lookup", "lookups"), several(bots, "run of a bot", "runs of bots")];
    let asked: Vec<String> = asked.into_iter().flatten().collect();
    if asked.is_empty() { String::new() } else { format!(" after {}", asked.join(" and ")) }
}

/// What a finding is about, and the step's place, which ends in `step, file:line:column`.
fn split_place(recorded: &str) -> (&str, &str) {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let step_end = recorded.rfind(", ").filter(|end| {
        let mut parts = recorded.get(*end..).unwrap_or_default().rsplitn(3, ':');
        parts.next().is_some_and(is_number) && parts.next().is_some_and(is_number)
    });
    let Some(step) = step_end.and_then(|end| recorded.get(..end)) else { return (recorded, "") };
    match step.rfind(' ').and_then(|space| recorded.split_at_checked(space)) {
        Some((about, place)) => (about, place.trim_start()),
        None => ("", recorded),
    }
}

impl StageView {
    /// All of a message's records, the oldest first.
    pub(super) fn all(stages: &[Stage], wanted: &Wanted) -> Vec<Self> {
        let mut outputs: &[OutputRecord] = &[];
        let mut views = Vec::with_capacity(stages.len());
        for stage in stages {
            if let Record::Processed(record) = &stage.record
                && let ProcessedOutcome::Routed(routed) = &record.outcome
            {
                outputs = routed;
            }
            let mut view = Self::of(stage, outputs, wanted.bodies);
            if let Record::Processed(record) = &stage.record {
                view.translations = TranslationView::all(record, &wanted.lineage);
            }
            views.push(view);
        }
        views
    }

    /// One record; `outputs` are those the message had by then.
    fn of(stage: &Stage, outputs: &[OutputRecord], bodies: bool) -> Self {
        let mut shown: Vec<(String, String)> = Vec::new();
        let mut show = |name: String, bytes: &[u8]| {
            if bodies {
                shown.push((name, CharsetRule::Declared.text(bytes)));
            }
        };
        let mut findings = Vec::new();
        let mut change = None;
        let (name, at, what) = match &stage.record {
            Record::Received(record) => {
                show("received".to_owned(), &record.bytes);
                let from = record.peer.file.as_ref().or(record.peer.address.as_ref());
                let mut what = format!("received {} bytes", record.bytes.len());
                if let Some(from) = from {
                    what = format!("{what} from {from}");
                }
                if let Some(told) = record.change() {
                    let ChangeView { change: kind, resource_type, id, version } =
                        change.insert(ChangeView::from(&*told));
                    what = format!("{what}: {kind} of {resource_type}/{id}, version {version}");
                }
                if let Some(message) = record.acknowledges {
                    what = format!("made as the application acknowledgment of message {message}");
                }
                if let Some(original) = record.duplicate_of {
                    what = format!("repeats message {original}");
                }
                if let Some((code, detail)) = &record.refused {
                    what = format!("{what}, refused: {detail} [{code}]");
                }
                ("received", record.at, what)
            }
            Record::Processed(record) => {
                let (mut lookups, mut bots) = (0_usize, 0_usize);
                for effect in &record.effects {
                    let Effect::Lookup { search, answer } = effect else { continue };
                    if search.starts_with(BOT) {
                        bots += 1;
                        if let LookupAnswer::Found(Found::One(found)) = answer {
                            show_run(bots, found, &mut show);
                        }
                        continue;
                    }
                    lookups += 1;
                    show(format!("lookup {lookups}, searched"), search.as_bytes());
                    if let LookupAnswer::Found(Found::One(found) | Found::Several(found)) = answer {
                        show(format!("lookup {lookups}, found"), found);
                    }
                }
                let what = match &record.outcome {
                    ProcessedOutcome::Ended(ended) => {
                        format!("{}: {} [{}]", ended.disposition.as_str(), ended.detail, ended.code)
                    }
                    ProcessedOutcome::Routed(outputs) => {
                        for output in outputs {
                            if let BodyRef::Own(bytes) = &output.bytes {
                                show(format!("to {}", output.destination), bytes);
                            }
                        }
                        let names: Vec<&str> =
                            outputs.iter().map(|output| &*output.destination).collect();
                        format!("routed to {}", names.join(", "))
                    }
                };
                let noticed = record.findings.iter();
                findings = noticed
                    .map(|(code, recorded, count)| FindingView::of(code, recorded, *count))
                    .collect();
                let revision = short_revision(&record.revision);
                let asked = asked(lookups, bots);
                ("processed", record.at, format!("{what}{asked} by revision {revision}"))
            }
            Record::Attempted(record) => {
                let output = usize::from(record.ordinal).checked_sub(1);
                let destination = match output.and_then(|output| outputs.get(output)) {
                    Some(output) => format!("to {}", output.destination),
                    None => format!("of delivery {}", record.ordinal),
                };
                let what = format!(
                    "try {} {destination} failed: {} [{}]",
                    record.attempt, record.detail, record.code
                );
                ("attempted", record.at, what)
            }
            Record::Settled(record) => {
                if let Some(reply) = &record.reply {
                    show(format!("reply of {}", record.destination), reply);
                }
                let what = match &record.outcome {
                    SettledOutcome::Delivered => {
                        format!("delivered to {} at try {}", record.destination, record.attempts)
                    }
                    SettledOutcome::Parked { code, detail } => {
                        format!("parked for {}: {detail} [{code}]", record.destination)
                    }
                    SettledOutcome::GivenUp { code, detail } => {
                        format!("given up for {}: {detail} [{code}]", record.destination)
                    }
                };
                ("settled", record.at, what)
            }
            Record::Decided(record) => {
                let what = match &record.decision {
                    Decision::Reprocess => "to be processed again".to_owned(),
                    Decision::Discard => "discarded".to_owned(),
                    Decision::Resend(delivery) => format!("to be sent to {}", delivery.destination),
                    Decision::DiscardDelivery(delivery) => {
                        format!("discarded for {}", delivery.destination)
                    }
                };
                ("decided", record.at, format!("{what}, by {}: {}", record.by, record.reason))
            }
            Record::Applied(record) => ("applied", record.at, "configuration applied".to_owned()),
        };
        Self {
            position: stage.position.get(),
            stage: name.to_owned(),
            at: time(at.as_microsecond()),
            what,
            change,
            findings,
            translations: Vec::new(),
            bodies: shown,
        }
    }
}

/// What is shown of a message beside what happened to it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Its payloads.
    pub bodies: bool,
    /// Where what translations made of it came from.
    pub lineage: LineageWanted,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pipehat_connectors::{ChangeKind, FilePart, PartOrder};
    use pipehat_engine::MessageId;
    use pipehat_engine::record::{Attempted, PeerRecord, Processed, Received};
    use pipehat_journal::Position;

    use super::*;

    fn stages(bytes: &[u8]) -> [Stage; 3] {
        let message = MessageId(Position::FIRST);
        let (channel, at) = ("adt", Timestamp::UNIX_EPOCH);
        let output = |destination: &str, bytes| OutputRecord {
            destination: destination.into(),
            bytes,
            translation: None,
        };
        let own = BodyRef::Own(Bytes::copy_from_slice(bytes));
        [
            Record::Received(Received {
                channel: channel.into(),
                at,
                peer: PeerRecord::default(),
                part: None,
                sender_hash: 0,
                content_hash: 0,
                duplicate_of: None,
                refused: None,
                sequence: None,
                acknowledges: None,
                bytes: Bytes::copy_from_slice(bytes),
            }),
            Record::Processed(Processed {
                channel: channel.into(),
                message,
                at,
                revision: [0; 32],
                lanes: Vec::new(),
                file: None,
                effects: Vec::new(),
                findings: Vec::new(),
                outcome: ProcessedOutcome::Routed(vec![
                    output("archive", BodyRef::AsReceived),
                    output("lab", own),
                ]),
                reply: None,
                translations: Vec::new(),
            }),
            Record::Attempted(Attempted {
                channel: channel.into(),
                message,
                ordinal: 2,
                attempt: 3,
                at,
                code: "mllp.connect-failed".to_owned(),
                detail: "refused".to_owned(),
            }),
        ]
        .map(|record| Stage { position: Position::FIRST, record })
    }

    fn wanted(bodies: bool) -> Wanted {
        Wanted { bodies, ..Wanted::default() }
    }

    #[test]
    fn payloads_are_read_in_the_character_set_they_name() {
        for (message, text) in [
            (&b"MSH|^~\\&|M\xFCller|||||||||||||||8859/1"[..], "Müller"),
            (&b"MSH|^~\\&|\xA3uk|||||||||||||||8859/2"[..], "Łuk"),
            ("MSH|^~\\&|Müller".as_bytes(), "Müller"),
        ] {
            let views = StageView::all(&stages(message), &wanted(true));
            let bodies: Vec<&(String, String)> =
                views.iter().flat_map(|view| &view.bodies).collect();
            assert_eq!(bodies.len(), 2);
            for (name, body) in bodies {
                assert_eq!(body.split('|').nth(2), Some(text), "{name}");
            }
        }
    }

    #[test]
    fn a_run_of_a_bot_is_no_lookup_and_no_bytes() {
        let mut stages = stages(b"MSH|^~\\&|A");
        let Record::Processed(record) = &mut stages[1].record else { panic!("it is processed") };
        let outcome = |result, sent| BotOutcome { result, sent, took: 15, ..BotOutcome::default() };
        let text = BotResult::Text(Bytes::from_static(b"MSH|B"));
        let sent = vec![("lab".into(), Bytes::from_static(b"MSH|C"))];
        let run = |outcome: &BotOutcome| Effect::Lookup {
            search: "bot?names#17".to_owned(),
            answer: LookupAnswer::Found(Found::One(outcome.to_bytes())),
        };
        record.effects = vec![
            run(&outcome(text, sent)),
            run(&outcome(BotResult::Nothing, Vec::new())),
            Effect::Lookup {
                search: "Patient?name=a".to_owned(),
                answer: LookupAnswer::Found(Found::Nothing),
            },
        ];
        let views = StageView::all(&stages, &wanted(true));
        let what = &views[1].what;
        assert!(what.contains(" after 1 lookup and 2 runs of bots by "), "{what}");
        let shown: Vec<String> =
            views[1].bodies.iter().map(|(name, text)| format!("{name}: {text}")).collect();
        assert_eq!(
            shown[..4],
            [
                "run 1 of a bot (15 µs), returned: MSH|B",
                "run 1 of a bot (15 µs), sent to lab: MSH|C",
                "run 2 of a bot (15 µs), returned nothing: ",
                "lookup 1, searched: Patient?name=a",
            ]
        );
    }

    #[test]
    fn payloads_are_shown_when_they_are_asked_for() {
        let views = StageView::all(&stages(b"MSH|^~\\&|A"), &wanted(false));
        assert!(views.iter().all(|view| view.bodies.is_empty()));
    }

    #[test]
    fn findings_are_taken_apart() {
        let check = |code: &str, recorded: &str, expected: [&str; 4]| {
            let found = FindingView::of(code, recorded, 2);
            assert_eq!((&*found.code, found.count), (code, 2));
            let texts = [found.path, found.text, found.rule].map(Option::unwrap_or_default);
            let [path, text, rule] = &texts;
            assert_eq!([path, text, rule, &found.place], expected, "{recorded}");
        };
        let place = "steps[2].do[1].validate, channels/adt.yaml:7:15";
        check(
            "validation.finding",
            &format!(
                "PID-7.1: Time: is no DTM, value: write YYYY[MM[DD]] [date-malformed] {place}"
            ),
            ["PID-7.1", "Time: is no DTM, value: write YYYY[MM[DD]]", "date-malformed", place],
        );
        check(
            "validation.finding",
            &format!("findings that are not listed {place}"),
            ["", "findings that are not listed", "", place],
        );
        check("program.segment-absent", &format!("PID-8 {place}"), ["PID-8", "", "", place]);
        check("program.rejected", place, ["", "", "", place]);
        check("receive.control-id-reused", "MSH-10", ["MSH-10", "", "", ""]);
        check("program.rejected", "", ["", "", "", ""]);
        check("program.rejected", "a, b:1", ["a, b:1", "", "", ""]);
    }

    #[test]
    fn what_happened_to_a_resource_is_told_without_its_payload() {
        let mut stages = stages(br#"{"resourceType":"Patient","id":"p1"}"#);
        let Record::Received(received) = &mut stages[0].record else { panic!("it came in") };
        let change = ResourceChange {
            kind: ChangeKind::Delete,
            resource_type: "Patient".to_owned(),
            id: "p1".to_owned(),
            version: 2,
        };
        received.peer.headers = change.named().map(|(name, value)| (name.to_owned(), value)).into();
        received.part = Some(FilePart {
            key: ResourceChange::PART_KEY.to_owned(),
            index: 7,
            last: false,
            order: PartOrder::Later,
        });
        let views = StageView::all(&stages, &wanted(false));
        assert!(views[0].what.ends_with("bytes: delete of Patient/p1, version 2"), "{views:?}");
        let told = serde_json::to_value(&views[0].change).expect("JSON");
        let expected = r#"{"change":"delete","type":"Patient","id":"p1","version":2}"#;
        let expected: serde_json::Value = serde_json::from_str(expected).expect("JSON");
        assert_eq!(told, expected);
        assert_eq!(views[1].change, None);
    }

    #[test]
    fn a_failed_try_names_its_destination() {
        let stages = stages(b"MSH|^~\\&|A");
        let last =
            |stages: &[Stage]| StageView::all(stages, &wanted(false)).pop().expect("a stage").what;
        assert_eq!(last(&stages), "try 3 to lab failed: refused [mllp.connect-failed]");
        let [received, _, attempted] = stages;
        assert_eq!(
            last(&[received, attempted]),
            "try 3 of delivery 2 failed: refused [mllp.connect-failed]"
        );
    }
}
