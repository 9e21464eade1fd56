//! Each populated leaf of a message is told: by the lineage of an element, by a finding, or by a row that says why it is
//! nothing. Nothing of the translation's own bookkeeping is asked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use pipehat_dictionary::Version;
use pipehat_message::{CharsetRule, Message};
use pipehat_resource::json;
use pipehat_testdata::{Generator, Selection, Settings as Made};
use pipehat_translate::{LineageLimits, Place, Settings, Translator};

/// The leaves of a message, named as findings name them.
fn leaves(text: &str) -> Vec<(String, String)> {
    let mut leaves = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.split('\r').filter(|line| !line.is_empty()) {
        let (name, _) = line.split_at(3);
        let count = counts.entry(name).or_default();
        *count += 1;
        let segment = if *count > 1 { format!("{name}({count})") } else { name.to_owned() };
        // MSH-1 is the separator itself.
        let first = usize::from(name == "MSH");
        for (number, field) in line.split('|').enumerate().skip(1) {
            let field_path = format!("{segment}-{}", number + first);
            if name == "MSH" && number == 1 {
                continue;
            }
            let repetitions: Vec<&str> = field.split('~').collect();
            for (repetition, value) in (1..).zip(&repetitions) {
                let path = match repetition {
                    1 => field_path.clone(),
                    _ => format!("{field_path}[{repetition}]"),
                };
                part(&path, value, &['^', '&'], &mut leaves);
            }
        }
    }
    leaves
}

fn part(path: &str, value: &str, delimiters: &[char], leaves: &mut Vec<(String, String)>) {
    let Some((delimiter, inner)) = delimiters.split_first() else {
        if !value.is_empty() {
            leaves.push((path.to_owned(), value.to_owned()));
        }
        return;
    };
    if !value.contains(*delimiter) {
        // A single part takes no number, but where parts below it are told apart it is the first.
        match inner {
            [below] if value.contains(*below) => part(&format!("{path}.1"), value, inner, leaves),
            _ if !value.is_empty() => leaves.push((path.to_owned(), value.to_owned())),
            _ => {}
        }
        return;
    }
    for (number, value) in (1..).zip(value.split(*delimiter)) {
        part(&format!("{path}.{number}"), value, inner, leaves);
    }
}

/// A first part and the whole are one where there is no second: `PID-5.1.1` as `PID-5`.
fn short(path: &str) -> &str {
    path.trim_end_matches(".1")
}

/// Fields that rows of ours map to nothing, on purpose.
fn on_purpose() -> BTreeSet<String> {
    let rows = include_str!("../tables/own/segments.jsonl").lines();
    let rows = rows.filter_map(|row| json::parse(row.as_bytes()).ok());
    rows.filter(|row| row.text("attr") == Some("$none"))
        .filter_map(|row| row.text("id").map(str::to_owned))
        .collect()
}

/// `PID(2)-3[2].1` as `PID-3.1`.
fn place(path: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for sign in path.chars() {
        match sign {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ if depth == 0 => out.push(sign),
            _ => {}
        }
    }
    out
}

#[test]
fn every_leaf_of_a_generated_message_is_told() {
    let settings = Settings {
        zone: Some(TimeZone::UTC),
        system_base: Some("https://good.example/id/".to_owned()),
        ..Settings::default()
    };
    let translator = Translator::new(settings);
    let on_purpose = on_purpose();
    let mut untold: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut all = 0;
    for version in [Version::V2_3, Version::V2_5_1, Version::V2_8_2] {
        let mut generator =
            Generator::new(Made { seed: 7, ..Made::new(version) }).expect("a generator");
        for event in Selection::all(version) {
            let name = format!("{}^{}", event.message_code(), event.trigger_event());
            let Ok(selection) = Selection::parse(&name, version) else { continue };
            let mut bytes = Vec::new();
            generator.append(&selection, &mut bytes);
            let message = Message::parse(&bytes).expect("a message");
            let translation = translator.to_fhir_with_lineage(&message, LineageLimits::SHOWN);
            let lineage = translation.lineage.expect("there is lineage").unpack();
            let lineage = lineage.expect("it can be read");
            let sources = lineage.sources.iter().flat_map(|source| &source.paths);
            let told: BTreeSet<&str> = sources
                .map(Place::path)
                .chain(translation.findings.iter().map(|finding| finding.path.as_str()))
                .map(short)
                .collect();
            let bundle = translation.bundle.to_json();
            let text = CharsetRule::default().of_message(&bytes).transcode(&bytes).text;
            let leaves = leaves(&text);
            // What one place tells, another may say again: an order's number in ORC and OBR, a time in SCH and AIS.
            let said: BTreeSet<&str> = leaves
                .iter()
                .filter(|(leaf, _)| told.contains(short(leaf)))
                .map(|(_, value)| value.as_str())
                .collect();
            for (leaf, value) in &leaves {
                all += 1;
                let field = place(leaf).split('.').next().unwrap_or_default().to_owned();
                let segment = leaf.split('-').next().unwrap_or_default();
                let is_told = told.contains(short(leaf))
                    || told.contains(segment)
                    || said.contains(value.as_str())
                    || bundle.contains(value.as_str()) && value.len() > 2;
                if !is_told && !on_purpose.contains(&field) {
                    let own = untold.entry(place(leaf)).or_insert((0, name.clone()));
                    own.0 += 1;
                }
            }
        }
    }
    // How the message is to be read, and not what it says.
    for place in ["MSH-9.2", "MSH-9.3", "MSH-12", "MSH-18", "OBX-2"] {
        untold.remove(place);
    }
    // The words of a code that a table translates, or that only decides.
    for place in ["PV1-2.2", "IN1-2.2", "GT1-11.1", "OBR-13.3"] {
        untold.remove(place);
    }
    // A quantity of 1: one administration of the give amount (HL7 v2.5.1 §4.14.1.2).
    for place in ["ORC-7.1", "RXE-1.1"] {
        untold.remove(place);
    }
    assert!(all > 50_000, "{all} leaves");
    assert!(untold.is_empty(), "{untold:#?}");
}
