//! Messages with more patients or documents than their structure has: senders batch like that. What stands behind another PID
//! is of that patient, and what stands behind another TXA of that document.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pipehat_dictionary::Version;
use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_testdata::{Generator, Selection, Settings as Made};
use pipehat_translate::{Settings, Translation, Translator};

fn to_fhir(text: &str) -> Translation {
    let message = Message::parse(text.as_bytes()).expect("a message");
    Translator::new(Settings::default()).to_fhir(&message)
}

fn translate(event: &str, version: &str, segments: &[&str]) -> Translation {
    let head = format!("MSH|^~\\&|KIS|GOOD|||20260701080000+0000||{event}|1|P|{version}");
    to_fhir(&format!("{head}\rEVN||20260701080000+0000\r{}\r", segments.join("\r")))
}

fn entries(translation: &Translation) -> impl Iterator<Item = &Value> {
    translation.bundle.items("entry").iter().filter_map(|entry| entry.get("resource"))
}

fn all(translation: &Translation, name: &str) -> Vec<Value> {
    entries(translation).filter(|own| own.resource_type() == Some(name)).cloned().collect()
}

/// The resources of a Bundle that are of a patient. Ids of what only its message names differ with the message, so that all but
/// patients are known by their numbers.
fn of_patients(translation: &Translation) -> BTreeSet<String> {
    let is_of_one = |own: &&Value| match own.resource_type() {
        // An appointment is of all its patients.
        Some("MessageHeader" | "Provenance" | "Appointment") => false,
        Some("Patient") => true,
        _ => own.to_json().contains("Patient/"),
    };
    let ids: Vec<(String, String)> = entries(translation)
        .filter(|own| own.resource_type() != Some("Patient"))
        .filter_map(|own| {
            let numbers = own.items("identifier").iter().filter_map(|it| it.text("value"));
            Some((own.id()?.to_owned(), format!("<{}>", numbers.collect::<Vec<_>>().join(" "))))
        })
        .collect();
    let known = |own: &Value| {
        let text = own.to_json();
        ids.iter().fold(text, |text, (id, number)| text.replace(id, number))
    };
    entries(translation).filter(is_of_one).map(known).collect()
}

const FIRST: [&str; 2] = ["PID|1||1^^^KL^MR||Eins^Ida", "PV1|1|I|A^1||||||||||||||||V1^^^KL"];
const SECOND: [&str; 2] = ["PID|2||2^^^KL^MR||Zwei^Zoe", "PV1|1|I|B^1||||||||||||||||V2^^^KL"];
const TXA_1: &str = "TXA|1|DS|TX|||||||||D1^K|||||AU||AV";
const TXA_2: &str = "TXA|1|DS|TX|||||||||D2^K|||||AU||AV";
const TEXT_1: [&str; 2] = ["OBX|1|TX|1^x^L||text one||||||F", "OBX|2|TX|1^x^L||and more||||||F"];
const TEXT_2: [&str; 2] = ["OBX|1|TX|1^x^L||text two||||||F", "OBX|2|TX|1^x^L||and less||||||F"];

/// The documents of a message.
fn documents(segments: &[&[&str]]) -> Vec<String> {
    let own = translate("MDM^T02^MDM_T02", "2.5", &segments.concat());
    all(&own, "DocumentReference").iter().map(Value::to_json).collect()
}

/// The documents of a message are those of these.
#[track_caller]
fn check_documents(segments: &[&[&str]], apart: [&[&[&str]]; 2]) {
    let expected: Vec<String> = apart.iter().flat_map(|segments| documents(segments)).collect();
    assert_eq!(documents(segments), expected, "{segments:?}");
}

#[test]
fn each_document_has_the_text_behind_it() {
    let text = all(
        &translate("MDM^T02^MDM_T02", "2.5", &[TXA_1, TEXT_1[0], TEXT_1[1]]),
        "DocumentReference",
    );
    assert!(text[0].to_json().contains(&STANDARD.encode("text one\nand more")), "{text:?}");
    let (txa_1, txa_2): ([&str; 1], [&str; 1]) = ([TXA_1], [TXA_2]);
    check_documents(
        &[&FIRST, &txa_1, &TEXT_1, &SECOND, &txa_2, &TEXT_2],
        [&[&FIRST, &txa_1, &TEXT_1], &[&SECOND, &txa_2, &TEXT_2]],
    );
    check_documents(
        &[&FIRST, &txa_1, &TEXT_1, &txa_2, &TEXT_2],
        [&[&FIRST, &txa_1, &TEXT_1], &[&FIRST, &txa_2, &TEXT_2]],
    );
    // A visit is the patient's.
    check_documents(
        &[&FIRST, &txa_1, &TEXT_1, &SECOND[..1], &txa_2, &TEXT_2],
        [&[&FIRST, &txa_1, &TEXT_1], &[&SECOND[..1], &txa_2, &TEXT_2]],
    );
    // The same patient again is still in the visit.
    check_documents(
        &[&FIRST, &txa_1, &TEXT_1, &FIRST[..1], &txa_2, &TEXT_2],
        [&[&FIRST, &txa_1, &TEXT_1], &[&FIRST, &txa_2, &TEXT_2]],
    );
    for first in [&[] as &[&str], &TEXT_1] {
        check_documents(
            &[&FIRST, &txa_1, first, &SECOND, &txa_2],
            [&[&FIRST, &txa_1, first], &[&SECOND, &txa_2]],
        );
        check_documents(
            &[&FIRST, &txa_1, first, &txa_2, &TEXT_2],
            [&[&FIRST, &txa_1, first], &[&FIRST, &txa_2, &TEXT_2]],
        );
    }
}

/// Text of another patient without a TXA of its own is in no document before it.
#[test]
fn text_without_a_document_is_of_none_before() {
    let own = translate(
        "MDM^T02^MDM_T02",
        "2.5",
        &[&FIRST[..], &[TXA_1], &TEXT_1, &SECOND, &TEXT_2].concat(),
    );
    let documents = all(&own, "DocumentReference");
    let data = ["text one\nand more", "text two\nand less"].map(|text| STANDARD.encode(text));
    let [first, second] = documents.as_slice() else { panic!("{documents:?}") };
    assert!(first.to_json().contains(&data[0]) && !first.to_json().contains(&data[1]));
    assert!(second.to_json().contains(&data[1]) && second.get("subject").is_none());
}

#[test]
fn notes_orders_and_files_are_of_their_document() {
    let order = |number: &str| format!("ORC|NW|{number}^K\rOBR|1|{number}^K||X^y^L");
    let (order_1, order_2) = (order("O1"), order("O2"));
    let file = |text: &str| format!("OBX|1|ED|1^x^L||^text^plain^A^{text}||||||F");
    let (file_1, file_2) = (file("one"), file("two"));
    let first: [&[&str]; 2] = [&FIRST, &[&order_1, TXA_1, &file_1]];
    let second: [&[&str]; 2] = [&SECOND, &[&order_2, TXA_2, &file_2]];
    check_documents(&[first, second].concat(), [&first, &second]);
    let second: &[&str] = &[&order_2, TXA_2, &file_2];
    check_documents(&[&FIRST, first[1], second], [&first, &[&FIRST, second]]);
    // An order is of the document behind it only.
    let second: &[&str] = &[TXA_2, &file_2];
    check_documents(&[&FIRST, first[1], second], [&first, &[&FIRST, second]]);
    let note = |text: &str| format!("NTE|1||note {text}");
    let (note_1, note_2) = (note("one"), note("two"));
    let first: &[&str] = &[TXA_1, &file_1, &note_1];
    let second: &[&str] = &[TXA_2, &file_2, &note_2];
    for patient in [&FIRST, &SECOND] {
        check_documents(&[&FIRST, first, patient, second], [&[&FIRST, first], &[patient, second]]);
    }
    check_documents(&[&FIRST, first, second], [&[&FIRST, first], &[&FIRST, second]]);
}

/// A message of an event, from its header and from its first PID.
fn made(generator: &mut Generator, selection: &Selection) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    generator.append(selection, &mut bytes);
    let text = String::from_utf8(bytes).ok()?;
    let at = text.find("\rPID|")? + 1;
    Some((text[..at].to_owned(), text[at..].to_owned()))
}

/// Where a text begins to differ from the one most like it.
fn differing(text: &str, others: &[&String]) -> String {
    let common = |other: &str| {
        text.char_indices()
            .zip(other.chars())
            .find(|((_, one), other)| one != other)
            .map_or(0, |it| it.0.0)
    };
    let other = others.iter().max_by_key(|other| common(other)).map_or("", |other| other.as_str());
    let at = common(other);
    let from = text.floor_char_boundary(at.saturating_sub(60));
    let cut =
        |text: &str| text.get(from..).unwrap_or_default().chars().take(200).collect::<String>();
    format!(
        "{} ({}) instead of {}",
        cut(text),
        text.chars().take(40).collect::<String>(),
        cut(other)
    )
}

/// Whatever two patients' messages make is made of the two in one: nothing of one goes to the other.
#[test]
fn what_is_behind_another_patient_is_as_if_it_stood_alone() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for version in [Version::V2_5_1, Version::V2_8_2] {
        for event in Selection::all(version) {
            let name = format!("{}^{}", event.message_code(), event.trigger_event());
            // Of another patient's two orders the structure takes the first, of a diet, for one of a tray.
            if name == "OMD^O03" {
                continue;
            }
            let Ok(selection) = Selection::parse(&name, version) else { continue };
            let mut generator =
                Generator::new(Made { seed: 11, ..Made::new(version) }).expect("one");
            let Some((head, first)) = made(&mut generator, &selection) else { continue };
            let patient = |segments: &str| segments.split('|').nth(3).map(str::to_owned);
            let mut others = (0..9).filter_map(|_| Some(made(&mut generator, &selection)?.1));
            let Some(second) = others.find(|own| patient(own) != patient(&first)) else { continue };
            if first.matches("\rPID|").count() > 0 {
                continue;
            }
            count += 1;
            let alone = of_patients(&to_fhir(&format!("{head}{first}")));
            // With the visit, and without.
            let bare: String =
                second.split_inclusive('\r').filter(|own| !own.starts_with("PV")).collect();
            for behind in [&second, &bare] {
                let expected: BTreeSet<String> = alone
                    .union(&of_patients(&to_fhir(&format!("{head}{behind}"))))
                    .cloned()
                    .collect();
                let found = of_patients(&to_fhir(&format!("{head}{first}{behind}")));
                let more: Vec<_> = found.difference(&expected).collect();
                let less: Vec<_> = expected.difference(&found).collect();
                if !more.is_empty() || !less.is_empty() {
                    let differing: Vec<String> =
                        more.iter().map(|own| differing(own, &less)).collect();
                    let (more, less) = (more.len(), less.len());
                    wrong.push(format!("{name} {version}: {more} for {less}: {differing:#?}"));
                }
            }
        }
    }
    assert!(count > 100, "{count}");
    assert!(wrong.is_empty(), "{} of {count}: {}", wrong.len(), wrong.join("\n"));
}
