//! The examples' bots may write whatever a message of theirs can make them write: a scope that lacks stops a feed at the first
//! message that says such a thing. Which messages those are the channels' own filters say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use pipehat_config::Colour;
use pipehat_connectors::{Secrets, UnknownSecret};
use pipehat_dictionary::Version;
use pipehat_message::Message;
use pipehat_translate::{Settings, Translator};

use super::load::{Loaded, Project};
use super::testing::{TestEnvironment, run};
use crate::program::Verdict;

struct Feed {
    example: &'static str,
    channel: &'static str,
    bot: &'static str,
    /// What the bot writes of its own accord; all that these refer to it takes along (`withReferenced`).
    writes: &'static [&'static str],
    /// What it writes in a way of its own, or not at all: no reference leads on from there. A result's order is looked for
    /// and never made, of an appointment's (SCH-26) and of a visit's episode (PV1-54) not enough is told to make one.
    own: &'static [&'static str],
    /// What the workflow is for: the filter lets these in, and each of their versions has a table.
    events: &'static [&'static str],
}

const RESULTS: &[&str] = &["DiagnosticReport", "Observation", "Specimen"];

const FEEDS: [Feed; 4] = [
    Feed {
        example: "identity",
        channel: "admissions",
        bot: "identity",
        writes: &["Patient", "Encounter"],
        own: &["EpisodeOfCare"],
        events: &[
            "ADT^A01", "ADT^A02", "ADT^A03", "ADT^A04", "ADT^A05", "ADT^A08", "ADT^A11", "ADT^A13",
            "ADT^A18", "ADT^A28", "ADT^A30", "ADT^A31", "ADT^A34", "ADT^A36", "ADT^A39", "ADT^A40",
        ],
    },
    Feed {
        example: "results",
        channel: "results",
        bot: "results",
        writes: RESULTS,
        own: &["Patient", "Encounter", "ServiceRequest"],
        events: &["ORU^R01"],
    },
    Feed {
        example: "orders",
        channel: "results",
        bot: "results",
        writes: RESULTS,
        own: &["Patient", "Encounter", "ServiceRequest"],
        events: &["ORU^R01"],
    },
    Feed {
        example: "scheduling",
        channel: "appointments",
        bot: "appointments",
        writes: &["Appointment"],
        own: &["Patient", "ServiceRequest"],
        events: &["SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S16", "SIU^S17", "SIU^S26"],
    },
];

/// Has a secret of each name that the examples ask for.
struct AnySecret;

impl Secrets for AnySecret {
    fn secret(&self, _: &str) -> Result<Vec<u8>, UnknownSecret> {
        Ok(b"a key that both know".to_vec())
    }
}

/// All that any version of the standard has: message code and trigger event, with each of the versions that have it.
fn all_events() -> BTreeSet<(String, &'static str)> {
    let all = Version::ALL.iter().flat_map(|version| {
        version.events().map(|event| {
            let name = format!("{}^{}", event.message_code(), event.trigger_event());
            (name, version.as_str())
        })
    });
    all.collect()
}

/// The letters of each type's scopes.
fn letters(scopes: &[String]) -> BTreeMap<&str, &str> {
    let scopes = scopes.iter().filter_map(|scope| scope.strip_prefix("system/")?.split_once('.'));
    scopes.collect()
}

/// What a bot writes for a message of these references.
fn reached(
    feed: &Feed,
    references: &BTreeSet<(&'static str, &'static str)>,
) -> BTreeSet<&'static str> {
    let mut open: Vec<&str> = feed.writes.to_vec();
    let mut reached = BTreeSet::new();
    while let Some(from) = open.pop() {
        if !feed.own.contains(&from) && reached.insert(from) {
            open.extend(references.iter().filter(|(one, _)| *one == from).map(|(_, to)| *to));
        }
    }
    reached
}

#[test]
fn bots_of_examples_may_write_all_that_their_messages_can_refer_to() {
    let translator = Translator::new(Settings::default());
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let all = all_events();
    let mut lacking = BTreeSet::new();
    for feed in &FEEDS {
        let Feed { example, channel, bot, events, .. } = feed;
        let loaded = Project::load(&examples.join(example), &TestEnvironment, &AnySecret);
        let Loaded { project: Some(project), .. } = loaded else {
            panic!("{example}: {}", loaded.diagnostics.render(Colour::Never));
        };
        let channel = project.channels.iter().find(|one| &*one.name == *channel);
        let channel = channel.unwrap_or_else(|| panic!("{example} has no such channel"));
        let bot = project.bots.iter().find(|one| &*one.name == *bot);
        let bot = bot.unwrap_or_else(|| panic!("{example} has no such bot"));
        let scopes = letters(&bot.scopes);
        let mut accepted = BTreeSet::new();
        for (event, version) in &all {
            let header = format!("MSH|^~\\&|A|B|C|D|20260105||{event}|1|P|{version}\r");
            let header = Bytes::from(header);
            if matches!(run(channel, &header), Verdict::Filtered { .. }) {
                continue;
            }
            let message = Message::parse(&header).expect("a message");
            let references = translator.references(&message);
            accepted.insert(event.as_str());
            let is_mapped = !references.is_empty();
            assert!(
                is_mapped || !events.contains(&event.as_str()),
                "no table for {event} {version}"
            );
            for resource_type in reached(feed, &references) {
                let letters = scopes.get(resource_type).copied().unwrap_or_default();
                if !["c", "r", "u", "s"].iter().all(|letter| letters.contains(letter)) {
                    lacking.insert(format!("{example}: system/{resource_type}.crus for {event}"));
                }
            }
        }
        for event in *events {
            assert!(accepted.contains(event), "{example} filters {event}");
        }
        assert!(!accepted.contains("MDM^T02"), "{example} filters nothing");
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
}
