//! Numbers that a message takes from who goes on (MRG): of one record whose number changes, of two that become one.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_resource::kept::Keeps;
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{Settings, Translation, Translator};

const BASE: &str = "https://kh.example/id/";

fn translate(event: &str, lines: &[&str], base: Option<&str>) -> Translation {
    let text = format!(
        "MSH|^~\\&|HIS|KH|||20260315073000+0100||{event}|1|P|2.5.1\rEVN||20260315073000+0100\r{}\r",
        lines.join("\r")
    );
    let message = Message::parse(text.as_bytes()).expect("a message");
    let settings = Settings { system_base: base.map(str::to_owned), ..Settings::default() };
    let translation = Translator::new(settings).to_fhir(&message);
    for issue in validate(&translation.bundle, Checks::All) {
        assert!(!issue.is_error(), "{:?} {}", issue.expression, issue.text);
    }
    translation
}

fn entries<'t>(translation: &'t Translation, name: &str) -> Vec<&'t Value> {
    let is_it = |entry: &&Value| entry.get("resource").and_then(Value::resource_type) == Some(name);
    translation.bundle.items("entry").iter().filter(is_it).collect()
}

/// A resource's numbers, the retired ones in brackets, and the links.
fn says(resource: &Value) -> String {
    let number = |own: &Value| {
        let value = own.text("value").unwrap_or("?");
        if own.text("use") == Some("old") { format!("({value})") } else { value.to_owned() }
    };
    let mut said: Vec<String> = resource.items("identifier").iter().map(number).collect();
    // In which order they stand says nothing.
    said.sort_by_key(|own| own.starts_with('('));
    said.extend(
        resource.items("link").iter().filter_map(|own| own.text("type").map(str::to_owned)),
    );
    if resource.get("active").is_some() {
        said.push("off".to_owned());
    }
    said.join(" ")
}

/// Where the resources of a type are stored, and what they say.
fn stored(translation: &Translation, name: &str) -> Vec<String> {
    let one = |entry: &&Value| {
        let url = entry.get("request").and_then(|own| own.text("url")).unwrap_or_default();
        let told = says(entry.get("resource").expect("a resource"));
        format!("{}: {told}", url.replace(BASE, ""))
    };
    entries(translation, name).iter().map(one).collect()
}

/// What becomes of the resources of a type, and whether something is told at a place.
#[track_caller]
fn check(event: &str, lines: &[&str], name: &str, expected: &[&str], finding: Option<&str>) {
    let translation = translate(event, lines, Some(BASE));
    assert_eq!(stored(&translation, name), expected, "{event} {lines:?}");
    let about = |path: &str| translation.findings.iter().any(|own| own.path == path);
    match finding {
        Some(path) => assert!(about(path), "{event} {lines:?}: {:?}", translation.findings),
        None => assert!(!about("MRG-1") && !about("PID-3"), "{:?}", translation.findings),
    }
}

fn patient(numbers: &str) -> String {
    format!("PID|1||{numbers}||Muster^Max")
}

const VISIT: &str = "|O|||||||||||||||||";

#[test]
fn a_changed_number_is_looked_for_by_the_one_before_too() {
    for event in ["ADT^A46^ADT_A30", "ADT^A47^ADT_A30"] {
        let check = |numbers: &str, mrg: &str, expected: &str| {
            check(event, &[&patient(numbers), mrg], "Patient", &[expected], None);
        };
        check("2^^^KH^MR", "MRG|1^^^KH^MR", "Patient?identifier=KH|2,KH|1: 2 (1)");
        // What stands in both was not changed.
        let both = "Patient?identifier=MPI|9,KH|2,KH|1: 9 2 (1)";
        check("9^^^MPI^PI~2^^^KH^MR", "MRG|9^^^MPI^PI~1^^^KH^MR", both);
        check("9^^^MPI^PI~2^^^KH^MR", "MRG|1^^^KH^MR", both);
        // Commas of numbers are not those of the search.
        check("a,b^^^KH^MR", "MRG|1^^^KH^MR", "Patient?identifier=KH|a%5C%2Cb,KH|1: a,b (1)");
        check("2^^^KH^MR", "MRG|2^^^KH^MR", "Patient?identifier=KH|2: 2");
    }
    let external = ["PID|1|E2|7||Muster^Max", "MRG|7|||E1"];
    let expected = ["Patient?identifier=HIS/KH|7: E2 7 (E1)"];
    check("ADT^A46^ADT_A30", &external, "Patient", &expected, Some("PID-3"));
    let alone = ["PID|1|E2|||Muster^Max", "MRG||||E1"];
    let expected = ["Patient?identifier=HIS/KH/PID-2|E2,HIS/KH/PID-2|E1: E2 (E1)"];
    check("ADT^A46^ADT_A30", &alone, "Patient", &expected, Some("PID-2"));
    let alternate = ["PID|1||7|B2|Muster^Max", "MRG|7|B1"];
    let expected = ["Patient?identifier=HIS/KH|7: 7 B2 (B1)"];
    check("ADT^A48^ADT_A30", &alternate, "Patient", &expected, Some("PID-3"));
}

#[test]
fn a_changed_number_of_a_visit_or_an_account_is_looked_for_by_the_one_before_too() {
    let pid = patient("7^^^KH^MR");
    let visit = |number: &str| format!("PV1|1{VISIT}{number}");
    let lines = [&pid, "MRG|7^^^KH^MR||||V1^^^KH", &visit("V9^^^KH")];
    let expected = ["Encounter?identifier=KH|V9,KH|V1: V9 (V1)"];
    check("ADT^A50^ADT_A50", &lines, "Encounter", &expected, None);
    let expected = ["Patient?identifier=KH|7: 7"];
    check("ADT^A50^ADT_A50", &lines, "Patient", &expected, None);
    // A51 changes PV1-50, and the visit's number stays.
    for prior in ["V9^^^KH", ""] {
        let prior = format!("MRG|7^^^KH^MR||||{prior}|B1^^^KH");
        let lines = [&pid, &*prior, &format!("{}{}B2^^^KH", visit("V9^^^KH"), "|".repeat(31))];
        let expected = ["Encounter?identifier=KH|V9: V9 B2 (B1)"];
        check("ADT^A51^ADT_A50", &lines, "Encounter", &expected, None);
    }
    let lines = [&*format!("{pid}|||||||||||||A2^^^KH"), "MRG|7^^^KH^MR||A1^^^KH"];
    let expected = ["Account?identifier=KH|A2,KH|A1: A2 (A1)"];
    check("ADT^A49^ADT_A43", &lines, "Account", &expected, None);
    // Who merges has two records before it, and each is found by its own number.
    let lines = [&pid, "MRG|7^^^KH^MR||||V1^^^KH", &visit("V9^^^KH")];
    check("ADT^A42^ADT_A39", &lines, "Encounter", &["Encounter?identifier=KH|V9: V9 (V1)"], None);
}

#[test]
fn what_nothing_looks_for_is_told() {
    let lines = [&*patient("2^^^KH^MR"), "MRG|1^^^KH^MR"];
    let translation = translate("ADT^A47^ADT_A30", &lines, None);
    let told =
        translation.findings.iter().any(|own| own.path == "MRG" && own.text.contains("before"));
    assert!(told, "{:?}", translation.findings);
}

#[test]
fn a_number_of_before_stays() {
    let numbers = |event: &str, lines: &[&str], name: &str, standing: &Value| {
        let translation = translate(event, lines, Some(BASE));
        let entry = *entries(&translation, name).first().expect("an entry");
        let keeps = Keeps::of_request(entry.get("request").expect("a request"));
        let keeps = keeps.expect("it is read").expect("a mark");
        let mut merged = entry.get("resource").expect("a resource").clone();
        keeps.take_over(standing, &mut merged, &|_| None);
        merged
    };
    let first = |event: &str, lines: &[&str], name: &str| {
        let translation = translate(event, lines, Some(BASE));
        let entry = *entries(&translation, name).first().expect("an entry");
        entry.get("resource").expect("a resource").clone()
    };
    let a08 = "ADT^A08^ADT_A01";
    let pid = patient("1^^^KH^MR");
    let one = first(a08, &[&pid], "Patient");
    let changed = [&*patient("2^^^KH^MR"), "MRG|1^^^KH^MR"];
    let two = numbers("ADT^A47^ADT_A30", &changed, "Patient", &one);
    assert_eq!(says(&two), "2 (1)");
    let later = numbers(a08, &[&patient("2^^^KH^MR")], "Patient", &two);
    assert_eq!(says(&later), "2 (1)");
    // Who still tells the number of before takes the new one from nobody.
    let late = numbers(a08, &[&pid], "Patient", &two);
    assert_eq!(says(&late), "2 (1)");
    let again = [&*patient("3^^^KH^MR"), "MRG|2^^^KH^MR"];
    let three = numbers("ADT^A47^ADT_A30", &again, "Patient", &later);
    assert_eq!(says(&three), "3 (1) (2)");
    // It may be changed back.
    let back = [&*pid, "MRG|2^^^KH^MR"];
    assert_eq!(says(&numbers("ADT^A47^ADT_A30", &back, "Patient", &two)), "1 (2)");

    let visit = |number: &str| format!("PV1|1{VISIT}{number}");
    let standing = first("ADT^A01^ADT_A01", &[&pid, &visit("V1^^^KH")], "Encounter");
    let changed = [&*pid, "MRG|1^^^KH^MR||||V1^^^KH", &visit("V9^^^KH")];
    let renumbered = numbers("ADT^A50^ADT_A50", &changed, "Encounter", &standing);
    assert_eq!(says(&renumbered), "V9 (V1)");
    let other = format!("{}{}B2^^^KH", visit("V9^^^KH"), "|".repeat(31));
    for (event, pv1, expected) in [
        (a08, visit("V9^^^KH"), "V9 (V1)"),
        (a08, other.clone(), "V9 B2 (V1)"),
        ("ADT^A03^ADT_A03", other.clone(), "V9 B2 (V1)"),
        ("ADT^A01^ADT_A01", visit("V9^^^KH"), "V9 (V1)"),
        ("ADT^A04^ADT_A01", other, "V9 B2 (V1)"),
        (a08, visit("V1^^^KH"), "V9 (V1)"),
    ] {
        let later = numbers(event, &[&pid, &pv1], "Encounter", &renumbered);
        assert_eq!(says(&later), expected, "{event} {pv1}");
    }
}

const MERGES: [&str; 6] = [
    "ADT^A40^ADT_A39",
    "ADT^A39^ADT_A39",
    "ADT^A18^ADT_A18",
    "ADT^A30^ADT_A30",
    "ADT^A34^ADT_A30",
    "ADT^A36^ADT_A30",
];

#[test]
fn nobody_is_merged_into_themselves() {
    for event in MERGES {
        for (numbers, mrg) in
            [("1^^^KH^MR", "MRG|1^^^KH^MR"), ("1^^^KH^MR~2^^^KH^MR", "MRG|2^^^KH^MR~1^^^KH^MR")]
        {
            let said = numbers.replace("^^^KH^MR", "").replace('~', " ");
            let expected = format!("Patient?identifier=KH|1: {said}");
            check(event, &[&patient(numbers), mrg], "Patient", &[&expected], Some("MRG"));
        }
    }
    // A number in another field is no other record's.
    let lines = ["PID|1||1^^^KH^MR|B1|Muster^Max||||||||||||||123", "MRG|1^^^KH^MR"];
    let translation = translate("ADT^A40^ADT_A39", &lines, Some(BASE));
    let patients = stored(&translation, "Patient");
    assert_eq!(patients.len(), 1, "{patients:?}");
    assert!(!patients.concat().contains("repla"), "{patients:?}");
}

#[test]
fn who_goes_on_is_known_by_a_number_that_is_not_retired() {
    for event in MERGES {
        for numbers in ["1^^^KH^MR~2^^^KH^MR", "2^^^KH^MR~1^^^KH^MR"] {
            check(
                event,
                &[&patient(numbers), "MRG|1^^^KH^MR"],
                "Patient",
                &[
                    "Patient?identifier=KH|2: 2 replaces",
                    "Patient?identifier=KH|1: 1 replaced-by off",
                ],
                Some("PID-3"),
            );
        }
        check(
            event,
            &[&patient("2^^^KH^MR"), "MRG|1^^^KH^MR"],
            "Patient",
            &["Patient?identifier=KH|2: 2 replaces", "Patient?identifier=KH|1: 1 replaced-by off"],
            None,
        );
    }
    // Of one sender's numbers and another's.
    check(
        "ADT^A40^ADT_A39",
        &[&patient("1^^^KA^MR"), "MRG|1^^^KB^MR"],
        "Patient",
        &["Patient?identifier=KA|1: 1 replaces", "Patient?identifier=KB|1: 1 replaced-by off"],
        None,
    );
    // Each group of several has its own.
    check(
        "ADT^A40^ADT_A39",
        &[&patient("2^^^KH^MR"), "MRG|1^^^KH^MR", &patient("4^^^KH^MR"), "MRG|4^^^KH^MR"],
        "Patient",
        &[
            "Patient?identifier=KH|2: 2 replaces",
            "Patient?identifier=KH|1: 1 replaced-by off",
            "Patient?identifier=KH|4: 4",
        ],
        Some("MRG(2)"),
    );
}

#[test]
fn a_visit_or_an_account_is_not_merged_into_itself() {
    let pid = patient("7^^^KH^MR");
    let visit = format!("PV1|1{VISIT}V1^^^KH");
    let lines = [&*pid, "MRG|6^^^KH^MR||||V1^^^KH", &visit];
    let expected = ["Encounter?identifier=KH|V1: V1"];
    check("ADT^A42^ADT_A39", &lines, "Encounter", &expected, Some("MRG-5"));
    let lines = [&*format!("{pid}|||||||||||||A1^^^KH"), "MRG|7^^^KH^MR||A1^^^KH"];
    let translation = translate("ADT^A41^ADT_A39", &lines, Some(BASE));
    assert_eq!(stored(&translation, "Account"), ["Account?identifier=KH|A1: A1"]);
    assert!(!translation.bundle.to_json().contains("inactive"));
    let told = translation.findings.iter().any(|own| own.path == "MRG-3");
    assert!(told, "{:?}", translation.findings);
}
