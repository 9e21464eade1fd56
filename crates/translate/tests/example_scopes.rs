//! The examples' bots may write whatever a message of theirs can make them write: a scope that lacks stops a feed at the first
//! message that says such a thing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pipehat_message::Message;
use pipehat_translate::{Settings, Translator};

struct Feed {
    example: &'static str,
    bot: &'static str,
    /// What the channel accepts.
    events: &'static [&'static str],
    /// What the bot writes of its own accord; all that these refer to it takes along (`withReferenced`).
    writes: &'static [&'static str],
    /// What it writes in a way of its own, or not at all: no reference leads on from there. A result's order is looked for and
    /// never made, of an appointment's (SCH-26) and of a
    /// visit's episode (PV1-54) not enough is told to make one.
    own: &'static [&'static str],
}

const ADMISSIONS: &[&str] = &[
    "ADT^A01", "ADT^A02", "ADT^A03", "ADT^A04", "ADT^A05", "ADT^A08", "ADT^A11", "ADT^A13",
    "ADT^A28", "ADT^A31", "ADT^A40",
];
const APPOINTMENTS: &[&str] = &["SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S26"];
const VERSIONS: [&str; 4] = ["2.3", "2.4", "2.5.1", "2.8.2"];
const RESULTS: &[&str] = &["DiagnosticReport", "Observation", "Specimen"];

const FEEDS: [Feed; 4] = [
    Feed {
        example: "identity",
        bot: "identity",
        events: ADMISSIONS,
        writes: &["Patient", "Encounter"],
        own: &["EpisodeOfCare"],
    },
    Feed {
        example: "results",
        bot: "results",
        events: &["ORU^R01"],
        writes: RESULTS,
        own: &["Patient", "Encounter", "ServiceRequest"],
    },
    Feed {
        example: "orders",
        bot: "results",
        events: &["ORU^R01"],
        writes: RESULTS,
        own: &["Patient", "Encounter", "ServiceRequest"],
    },
    Feed {
        example: "scheduling",
        bot: "appointments",
        events: APPOINTMENTS,
        writes: &["Appointment"],
        own: &["Patient", "ServiceRequest"],
    },
];

/// The letters of each type's scopes in a bot's file.
fn scopes(example: &str, bot: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let file = root.join(example).join("bots").join(format!("{bot}.yaml"));
    let text = fs::read_to_string(file).expect("the bot's file");
    let mut scopes = BTreeMap::new();
    for own in text.split("system/").skip(1) {
        let (resource_type, rest) = own.split_once('.').expect("a scope");
        let letters: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
        scopes.insert(resource_type.to_owned(), letters);
    }
    scopes
}

#[test]
fn bots_may_write_all_that_their_messages_can_refer_to() {
    let translator = Translator::new(Settings::default());
    let mut lacking = Vec::new();
    for Feed { example, bot, events, writes, own } in &FEEDS {
        let scopes = scopes(example, bot);
        let mut told = BTreeSet::new();
        for (event, version) in
            events.iter().flat_map(|event| VERSIONS.map(|version| (event, version)))
        {
            let header = format!("MSH|^~\\&|A|B|C|D|20260105||{event}|1|P|{version}\r");
            let message = Message::parse(header.as_bytes()).expect("a message");
            let references = translator.references(&message);
            assert!(!references.is_empty(), "{event} has no map");
            let mut open: Vec<&str> = writes.to_vec();
            let mut reached = BTreeSet::new();
            while let Some(from) = open.pop() {
                if own.contains(&from) || !reached.insert(from) {
                    continue;
                }
                open.extend(references.iter().filter(|(one, _)| *one == from).map(|(_, to)| *to));
            }
            told.extend(reached);
        }
        for resource_type in told {
            let letters = scopes.get(resource_type).map(String::as_str).unwrap_or_default();
            if !["c", "r", "u", "s"].iter().all(|letter| letters.contains(letter)) {
                lacking.push(format!("{example}/bots/{bot}.yaml: system/{resource_type}.crus"));
            }
        }
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
}
