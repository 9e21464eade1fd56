//! Each component of each field of the segments that message maps read is told: its text stands in the Bundle, or a finding
//! names its place. Nothing of the translation's own bookkeeping is asked.
//!
//! One field at a time of a generated message is filled: with a text of its own in each subcomponent, and again with the
//! code that the message had. `every_component.tsv` says what is passed over, and why.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use pipehat_dictionary::Version;
use pipehat_message::{Message, SegmentName};
use pipehat_resource::json::Value;
use pipehat_testdata::{Generator, Selection, Settings as Made};
use pipehat_translate::{Finding, Settings, Translation, Translator};

/// Segments that the same maps read in each message.
const SHARED: [&str; 12] =
    ["PID", "PD1", "PV1", "PV2", "NK1", "GT1", "IN1", "IN2", "IN3", "AL1", "DG1", "EVN"];
/// Components and subcomponents filled, more than the largest data types that maps read.
const COMPONENTS: usize = 15;
const SUBCOMPONENTS: usize = 4;

/// The texts of a Bundle in small letters, what is in base64 as what it means.
fn texts(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object.iter() {
                if name == "data"
                    && let Some(bytes) = inner.as_str().and_then(|text| STANDARD.decode(text).ok())
                    && !bytes.starts_with(b"MSH")
                {
                    out.push_str(&String::from_utf8_lossy(&bytes).to_lowercase());
                    out.push('\n');
                }
                texts(inner, out);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::String(text) => {
            out.push_str(&text.to_lowercase());
            out.push('\n');
        }
        Value::Number(number) => {
            out.push_str(number.as_str());
            out.push('\n');
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// A place: repetition, component, subcomponent, from 1.
type Leaf = (usize, usize, usize);

/// What a field is filled with, and where each text stands.
fn filled(first: &str) -> (String, Vec<(Leaf, String)>) {
    let mut field = String::new();
    let mut leaves = Vec::new();
    for repetition in 1..=2 {
        if repetition > 1 {
            field.push('~');
        }
        for component in 1..=COMPONENTS {
            if component > 1 {
                field.push('^');
            }
            for subcomponent in 1..=SUBCOMPONENTS {
                if subcomponent > 1 {
                    field.push('&');
                }
                if (component, subcomponent) == (1, 1) && !first.is_empty() {
                    field.push_str(first);
                    continue;
                }
                let text = format!("q{repetition}{component:02}{subcomponent}q");
                field.push_str(&text);
                leaves.push(((repetition, component, subcomponent), text));
            }
        }
    }
    (field, leaves)
}

/// The texts of [`filled`] that stand in a text.
fn marks(text: &str) -> BTreeSet<&str> {
    const LENGTH: usize = 6;
    let starts = text.match_indices('q').map(|(at, _)| at);
    let mark = |at: usize| text.get(at..at + LENGTH).filter(|own| own.ends_with('q'));
    starts.filter_map(mark).collect()
}

/// Whether a finding's path is that of a place, or of what it stands in.
fn covers(path: &str, field: &str, (repetition, component, subcomponent): Leaf) -> bool {
    let Some(rest) = path.strip_prefix(field) else { return false };
    let own = if repetition > 1 { format!("[{repetition}]") } else { String::new() };
    let Some(rest) = rest.strip_prefix(&*own) else { return false };
    let whole = format!(".{component}");
    let part = format!(".{component}.{subcomponent}");
    rest.is_empty() || rest == whole || rest == part
}

fn message(lines: &[String]) -> Vec<u8> {
    lines.join("\r").into_bytes()
}

fn translate(translator: &Translator, lines: &[String]) -> Translation {
    let bytes = message(lines);
    let message = Message::parse(&bytes).expect("a message");
    translator.to_fhir(&message)
}

/// The exceptions: place and reason.
fn exceptions() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("every_component.tsv").lines();
    lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t')).collect()
}

#[test]
fn every_component_is_told() {
    let settings = Settings {
        zone: Some(TimeZone::UTC),
        system_base: Some("https://good.example/id/".to_owned()),
        ..Settings::default()
    };
    let translator = Translator::new(settings);
    let version = Version::V2_5_1;
    let exceptions = exceptions();
    let mut used = BTreeSet::new();
    let mut lost: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    let mut generator =
        Generator::new(Made { seed: 11, ..Made::new(version) }).expect("a generator");
    for event in Selection::all(version) {
        let name = format!("{}^{}", event.message_code(), event.trigger_event());
        let Ok(selection) = Selection::parse(&name, version) else { continue };
        let mut bytes = Vec::new();
        generator.append(&selection, &mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<String> =
            text.split('\r').filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let base = translate(&translator, &lines);
        if base.bundle.items("entry").is_empty() {
            continue;
        }
        let mut occurrences: BTreeMap<String, usize> = BTreeMap::new();
        for (at, line) in lines.iter().enumerate() {
            let segment = line.get(..3).unwrap_or_default().to_owned();
            let occurrence = occurrences.entry(segment.clone()).or_default();
            *occurrence += 1;
            // The same maps read who the patient is in any message.
            let is_shared = SHARED.contains(&segment.as_str());
            let code = if is_shared { "" } else { event.message_code() };
            if segment == "MSH" || !seen.insert((code, segment.clone())) {
                continue;
            }
            let name = <[u8; 3]>::try_from(segment.as_bytes()).ok().and_then(SegmentName::new);
            let definition = name.and_then(|name| version.segment(name)).expect("a segment");
            let fields: Vec<&str> = line.split('|').collect();
            for number in 1..=usize::from(definition.field_count()) + 1 {
                // What OBX-5 is, and no value.
                if segment == "OBX" && number == 2 {
                    continue;
                }
                let own = fields.get(number).copied().unwrap_or_default();
                let first = own.split(['~', '^', '&']).next().unwrap_or_default();
                let firsts = if first.is_empty() { vec![""] } else { vec!["", first] };
                for first in firsts {
                    let (field, leaves) = filled(first);
                    let mut parts: Vec<&str> = fields.clone();
                    parts.resize(parts.len().max(number + 1), "");
                    parts[number] = &field;
                    let mut lines = lines.clone();
                    lines[at] = parts.join("|");
                    count += 1;
                    let made = translate(&translator, &lines);
                    let mut out = String::new();
                    texts(&made.bundle, &mut out);
                    let found = marks(&out);
                    let path = format!("{segment}-{number}");
                    let paths = made.findings.iter().map(|finding| finding.path.as_str());
                    let paths: BTreeSet<&str> =
                        paths.filter(|own| own.starts_with(&segment)).collect();
                    // Of two that are one, what was told first counts.
                    let is_twice = made.findings.iter().any(|own| {
                        own.path.starts_with(&segment) && own.text.contains("is told twice")
                    });
                    // What of the whole segment was told without the field as well says nothing of it, but that nothing
                    // was made.
                    let is_new = |own: &&Finding| {
                        own.path == segment
                            && (own.text.contains("made") || !base.findings.contains(own))
                    };
                    let is_whole = is_twice || made.findings.iter().any(|own| is_new(&own));
                    for (leaf, text) in leaves {
                        let is_told = is_whole
                            || found.contains(text.as_str())
                            || paths.iter().any(|own| covers(own, &path, leaf));
                        if is_told {
                            continue;
                        }
                        // A set id counts segments, and has one component.
                        if number == 1
                            && leaf == (1, 1, 1)
                            && definition.field(1).is_some_and(|own| own.data_type_name() == "SI")
                        {
                            continue;
                        }
                        let place = format!("{segment}-{number}");
                        if let Some((own, _)) = exceptions.get_key_value(place.as_str()) {
                            used.insert(*own);
                            continue;
                        }
                        let (repetition, component, subcomponent) = leaf;
                        let kept = if first.is_empty() { "" } else { " code" };
                        let own = lost
                            .entry(format!("{place} {}{kept}", event.message_code()))
                            .or_default();
                        own.insert(format!("{repetition}.{component}.{subcomponent}"));
                    }
                }
            }
        }
    }
    let idle: Vec<_> = exceptions.keys().filter(|own| !used.contains(*own)).collect();
    assert!(count > 1_000, "{count} fields");
    let shown: Vec<String> = lost
        .iter()
        .map(|(place, leaves)| {
            format!("{place}: {}", leaves.iter().cloned().collect::<Vec<_>>().join(" "))
        })
        .collect();
    assert!(lost.is_empty(), "{count} fields\n{}", shown.join("\n"));
    assert!(idle.is_empty(), "exceptions that nothing needs: {idle:?}");
}

/// The data types of OBX-5, with what each may begin with.
const VALUES: [(&str, &str); 14] = [
    ("NA", "3"),
    ("MA", "3"),
    ("NM", "3"),
    ("SN", "<"),
    ("ST", ""),
    ("TX", ""),
    ("FT", ""),
    ("CE", "A"),
    ("CWE", "A"),
    ("DT", "20260101"),
    ("TM", "1200"),
    ("CX", "1"),
    ("XPN", "A"),
    ("EI", "1"),
];

#[test]
fn every_component_of_a_result_is_told() {
    let translator = Translator::new(Settings { zone: Some(TimeZone::UTC), ..Settings::default() });
    for (type_, first) in VALUES {
        let (value, leaves) = filled(first);
        // A numeric array holds numbers.
        let values = match type_ {
            "NA" => vec![value, "3&4^5".to_owned()],
            _ => vec![value],
        };
        for value in values {
            let lines = [
                "MSH|^~\\&|LAB|GOOD|||20260315||ORU^R01^ORU_R01|1|P|2.5.1".to_owned(),
                "PID|1||4711^^^GOOD^MR||Muster^Maria".to_owned(),
                "OBR|1||F1^LAB|T^Test^L".to_owned(),
                format!("OBX|1|{type_}|T^Test^L||{value}||||||F"),
            ];
            let made = translate(&translator, &lines);
            let paths: Vec<&str> = made.findings.iter().map(|own| own.path.as_str()).collect();
            if !value.contains('q') {
                assert!(paths.contains(&"OBX-5.1.2"), "{type_} {value}: {paths:?}");
                continue;
            }
            let mut out = String::new();
            texts(&made.bundle, &mut out);
            let found = marks(&out);
            for (leaf, text) in &leaves {
                let is_told = paths.contains(&"OBX")
                    || found.contains(text.as_str())
                    || paths.iter().any(|own| covers(own, "OBX-5", *leaf));
                assert!(is_told, "{type_} {leaf:?}: {paths:?}");
            }
        }
    }
}
