//! What a message says does not stand, or not any more, or not yet, does not stand in the resources either.
//!
//! `standing.tsv` lists the fields of HL7 v2 that can turn a resource into its opposite, code by code: negated, cancelled,
//! entered in error, over, only expected, only suspected. For each, what the resources must say.

use pipehat_dictionary::{TableNumber, Version};
use pipehat_message::Message;
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{Settings, Translation, Translator};

/// A field, its HL7 table, and the message it stands in (`{}`).
struct Field<'t> {
    name: &'t str,
    table: Option<u16>,
    event: &'t str,
    segments: &'t str,
    codes: Vec<&'t str>,
}

fn translate(event: &str, segments: &str) -> Translation {
    let mut text = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|1|P|2.8.2\r");
    if !segments.contains("PID|") && !event.starts_with("MFN") && !event.starts_with("SIU") {
        text.push_str("PID|1||4711^^^GOOD^MR||Muster^Maria\r");
    }
    text.push_str(&segments.replace(" / ", "\r"));
    let message = Message::parse(text.as_bytes()).expect("a message");
    let base = Some("https://good.example/id/".to_owned());
    let settings = Settings { system_base: base, ..Settings::default() };
    Translator::new(settings).to_fhir(&message)
}

/// What an element of the first resource of a type says: `-` for nothing.
fn found(translation: &Translation, place: &str) -> String {
    let (name, path) = place.split_once('.').unwrap_or((place, ""));
    let all = translation.bundle.items("entry").iter().filter_map(|own| own.get("resource"));
    let mut of_type = all.filter(|own| own.resource_type() == Some(name));
    let Some(resource) = of_type.next() else { return "-".to_owned() };
    let end =
        path.split('.').filter(|name| !name.is_empty()).try_fold(resource, |own, name| match name
            .parse::<usize>(
        ) {
            Ok(index) => own.as_array()?.get(index),
            Err(_) => own.get(name),
        });
    match end {
        None => "-".to_owned(),
        Some(_) if path.is_empty() => "made".to_owned(),
        Some(value) => value.as_str().map_or_else(|| value.to_json(), str::to_owned),
    }
}

fn is_told(translation: &Translation, place: &str) -> bool {
    translation.findings.iter().any(|own| {
        let path = own.path.split(['.', '[']).next().unwrap_or_default();
        path == place || own.path.starts_with(place)
    })
}

/// `Type.element=text`, `Type=-` (not made, and said so), `!FIELD` (a finding names it).
fn check(translation: &Translation, field: &str, expected: &str) -> Result<(), String> {
    if let Some(place) = expected.strip_prefix('!') {
        let place = if place.is_empty() { field } else { place };
        return is_told(translation, place).then_some(()).ok_or(format!("no finding at {place}"));
    }
    let (place, text) = expected.split_once('=').ok_or("an expectation without `=`")?;
    let found = found(translation, place);
    if found == text { Ok(()) } else { Err(format!("{place} is {found}, not {text}")) }
}

#[test]
fn what_does_not_stand_does_not_stand_in_the_resources() {
    let mut field: Option<Field<'_>> = None;
    let mut wrong = Vec::new();
    let mut complete = |field: Option<Field<'_>>| {
        let Some((field, number)) = field.and_then(|own| own.table.map(|number| (own, number)))
        else {
            return;
        };
        let number = TableNumber::new(number).expect("a table's number");
        for version in [Version::V2_5_1, Version::V2_8_2] {
            let Some(table) = version.table(number) else { continue };
            for code in table.codes() {
                let code = code.code().to_owned();
                if !field.codes.contains(&code.as_str()) {
                    wrong.push(format!("{}: nothing is decided of {code}", field.name));
                }
            }
        }
    };
    let mut checks = Vec::new();
    for line in include_str!("standing.tsv").lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        if let [name, table, event, segments] = cells.as_slice()
            && let Some(name) = name.strip_prefix('>')
        {
            complete(field.take());
            let table = table.parse().ok();
            field = Some(Field { name, table, event, segments, codes: Vec::new() });
            continue;
        }
        let [codes, expected, _why] = cells.as_slice() else {
            panic!("three cells in a line: {line}");
        };
        let field = field.as_mut().expect("a field before its codes");
        for code in codes.split(',') {
            field.codes.push(code);
            checks.push((field.name, field.event, field.segments, code, *expected));
        }
    }
    complete(field.take());
    for (name, event, segments, code, expected) in checks {
        let code = if code == "(none)" { "" } else { code };
        let translation = translate(&event.replace("{}", code), &segments.replace("{}", code));
        for issue in validate(&translation.bundle, Checks::All) {
            if issue.is_error() {
                wrong.push(format!("{name} {code}: {:?} {}", issue.expression, issue.text));
            }
        }
        for expected in expected.split("; ") {
            if let Err(text) = check(&translation, name, expected) {
                wrong.push(format!("{name} {code}: {text} {:?}", translation.findings));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
