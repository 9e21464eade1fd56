//! A number means nothing without its unit, and another thing with the unit of something else: no Quantity is made of two
//! places that do not belong together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use pipehat_dictionary::Version;
use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_testdata::{Generator, Selection, Settings as Made};
use pipehat_translate::{FindingKind, LineageLimits, Settings, Translation, Translator};

/// Fields whose number has its unit in another field, by the standard.
const PAIRS: &[(&str, &str)] = &[
    ("OBX-5", "OBX-6"),
    ("RXA-6", "RXA-7"),
    ("RXD-4", "RXD-5"),
    ("RXE-10", "RXE-11"),
    ("RXE-3", "RXE-5"),
    ("RXG-5", "RXG-7"),
    ("RXO-11", "RXO-12"),
    ("RXO-2", "RXO-4"),
];

fn translator() -> Translator {
    Translator::new(Settings {
        zone: Some(TimeZone::UTC),
        system_base: Some("https://good.example/id/".to_owned()),
        ..Settings::default()
    })
}

/// `PID(2)-3[2].1` as `PID-3`.
fn field(path: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for sign in path.chars() {
        match sign {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '.' if depth == 0 => break,
            _ if depth == 0 => out.push(sign),
            _ => {}
        }
    }
    out
}

/// The segments of a message, each value that quantities are made of with a number and a unit of its own.
fn distinct(text: &str) -> String {
    let mut number = 100;
    let mut next = |unit: bool| {
        number += 1;
        if unit { format!("{number}^U{number}") } else { number.to_string() }
    };
    let lines = text.split('\r').map(|line| {
        let mut fields: Vec<String> = line.split('|').map(str::to_owned).collect();
        let filled: &[(usize, bool)] = match fields[0].as_str() {
            "TQ1" => &[(2, true), (6, true), (13, true)],
            "RXE" => &[(3, false), (10, false), (19, true), (23, false), (25, false), (33, false)],
            "RXO" => &[(2, false), (11, false), (18, false), (23, true), (25, false)],
            "RXG" => &[(5, false), (15, false), (17, false), (23, false)],
            "RXD" => &[(4, false), (12, true), (16, false), (28, false)],
            "RXA" => &[(6, false), (13, false)],
            "RXC" => &[(3, false), (5, false), (8, false)],
            _ => &[],
        };
        let last = filled.iter().map(|own| own.0).max().unwrap_or_default();
        fields.resize(fields.len().max(last + 2), String::new());
        for (at, unit) in filled {
            fields[*at] = next(*unit);
        }
        fields.join("|").trim_end_matches('|').to_owned()
    });
    lines.collect::<Vec<_>>().join("\r")
}

#[test]
fn no_quantity_is_of_two_origins() {
    let translator = translator();
    let mut pairs: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut count = 0;
    for version in [Version::V2_3, Version::V2_4, Version::V2_5_1, Version::V2_8_2] {
        let mut generator =
            Generator::new(Made { seed: 5, ..Made::new(version) }).expect("a generator");
        for event in Selection::all(version) {
            let name = format!("{}^{}", event.message_code(), event.trigger_event());
            let Ok(selection) = Selection::parse(&name, version) else { continue };
            for _ in 0..3 {
                let mut bytes = Vec::new();
                generator.append(&selection, &mut bytes);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                for text in [text.clone(), distinct(&text)] {
                    let message = Message::parse(text.as_bytes()).expect("a message");
                    let made = translator.to_fhir_with_lineage(&message, LineageLimits::SHOWN);
                    let lineage = made.lineage.expect("there is lineage").unpack();
                    let mut parts: BTreeMap<_, [BTreeSet<String>; 2]> = BTreeMap::new();
                    for source in lineage.expect("it can be read").sources {
                        let Some((owner, member)) = source.element.path().rsplit_once('.') else {
                            continue;
                        };
                        let is_unit = match member {
                            "value" => 0,
                            "unit" | "code" => 1,
                            _ => continue,
                        };
                        let own =
                            parts.entry((source.element.entry(), owner.to_owned())).or_default();
                        own[is_unit].extend(source.paths.iter().map(|own| own.path().to_owned()));
                    }
                    for ((_, owner), [values, units]) in parts {
                        for value in &values {
                            for unit in &units {
                                let pair = (field(value), field(unit));
                                let segment =
                                    |path: &str| path.split('-').next().map(str::to_owned);
                                // Of one field and one occurrence of it, or of two fields of one segment that belong together.
                                let is_one = pair.0 == pair.1
                                    || segment(value) == segment(unit)
                                        && PAIRS.contains(&(&pair.0, &pair.1));
                                count += 1;
                                if !is_one {
                                    pairs
                                        .entry(pair)
                                        .or_default()
                                        .insert(format!("{name} {owner}"));
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(count > 100, "{count} quantities");
    assert!(pairs.is_empty(), "{pairs:#?}");
}

fn translate(event: &str, version: &str, lines: &[&str]) -> Translation {
    let mut text = format!("MSH|^~\\&|KIS|GOOD|||20260412080000+0100||{event}|1|P|{version}\r");
    text += "PID|1||4711^^^GOOD^MR||Muster^Maria\r";
    text += &lines.join("\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    translator().to_fhir(&message)
}

/// The doses of all resources of a type, and the places told in findings.
#[track_caller]
fn check(event: &str, version: &str, lines: &[&str], expected: &[&str], told: &[&str]) {
    let made = translate(event, version, lines);
    let resources = made.bundle.items("entry").iter().filter_map(|own| own.get("resource"));
    let mut doses = Vec::new();
    for resource in resources {
        for dosage in resource.items("dosageInstruction") {
            doses.extend(dosage.items("doseAndRate").iter().map(|dose| {
                ["doseQuantity", "doseRange"]
                    .into_iter()
                    .filter_map(|name| dose.get(name))
                    .map(Value::to_json)
                    .collect::<String>()
            }));
        }
    }
    doses.retain(|dose| !dose.is_empty());
    assert_eq!(doses, expected, "{event} {lines:?} {:?}", made.findings);
    let places: Vec<&str> = made.findings.iter().map(|own| own.path.as_str()).collect();
    let of_dose = |place: &&str| {
        ["TQ1", "RXE-1", "RXO", "RXG", "ORC-7"].iter().any(|own| place.starts_with(own))
    };
    let places: Vec<&str> = places.into_iter().filter(of_dose).collect();
    assert_eq!(places, told, "{event} {lines:?}");
}

const DOSE: &str = r#"{"value":500,"unit":"mg"}"#;
const ORC: &str = "ORC|NW|R1^KIS";
const RXE: &str = "RXE||ABC^Paracetamol 500^99MED|500||mg|TAB";

#[test]
fn the_dose_of_an_order_is_its_give_amount() {
    // HL7 v2.5.1 §4.14.1.2: 1 refers to one administration of the give amount.
    let rde = |timing: &str, expected: &[&str], told: &[&str]| {
        check("RDE^O11^RDE_O11", "2.5.1", &[ORC, RXE, timing, "RXR|PO"], expected, told);
        check("RDE^O11^RDE_O11", "2.5", &[ORC, RXE, "RXR|PO", timing], expected, told);
        check("RDE^O11^RDE_O11", "2.5.1", &[ORC, timing, RXE, "RXR|PO"], expected, told);
        let rxo = "RXO|ABC^Paracetamol 500^99MED|500||mg|TAB";
        check("OMP^O09^OMP_O09", "2.5.1", &[ORC, timing, rxo, "RXR|PO"], expected, told);
    };
    rde("TQ1|1|1|BID", &[DOSE], &[]);
    rde("TQ1|1||BID", &[DOSE], &[]);
    rde("TQ1|1|2|BID", &[DOSE], &["TQ1-2"]);
    rde("TQ1|1|2^TAB|BID", &[DOSE], &["TQ1-2.1", "TQ1-2.2"]);
    rde("TQ1|1|2^TAB|BID", &[DOSE], &["TQ1-2.1", "TQ1-2.2"]);
    let range = r#"{"low":{"value":500,"unit":"mg"},"high":{"value":1000,"unit":"mg"}}"#;
    let lines = [ORC, "RXE||ABC^P^99MED|500|1000|mg|TAB", "TQ1|1|1|Q6H"];
    check("RDE^O11^RDE_O11", "2.5.1", &lines, &[range], &[]);
    let lines = [ORC, "TQ1|1|1|Q6H", "RXO|ABC^P^99MED|500|1000|mg|TAB"];
    check("OMP^O09^OMP_O09", "2.5.1", &lines, &[range], &[]);
    let lines = [ORC, "TQ1|1|7^TAB|Q6H", "RXO|ABC^P^99MED||1000|mg|TAB"];
    let range = r#"{"high":{"value":1000,"unit":"mg"}}"#;
    check("OMP^O09^OMP_O09", "2.5.1", &lines, &[range], &["TQ1-2.1", "TQ1-2.2"]);
}

#[test]
fn a_quantity_with_its_own_unit_is_the_dose_where_no_amount_is_told() {
    let rde = |timing: &str, expected: &[&str], told: &[&str]| {
        let lines = [ORC, timing, "RXO|ABC^Paracetamol 500^99MED|||mg|TAB", "RXR|PO"];
        check("OMP^O09^OMP_O09", "2.5.1", &lines, expected, told);
    };
    rde("TQ1|1|2^TAB|BID", &[r#"{"value":2,"unit":"TAB"}"#], &["RXO-4"]);
    // A number of what nobody tells is no dose.
    rde("TQ1|1|2|BID", &[], &["TQ1-2", "RXO-4"]);
    rde("TQ1|1|1|BID", &[], &["RXO-4"]);
}

#[test]
fn the_dose_of_older_versions_is_its_give_amount() {
    for version in ["2.3", "2.4", "2.5"] {
        let quantities: [(&str, &[&str]); 3] =
            [("1", &[]), ("2", &[".1"]), ("2&TAB", &[".1.1", ".1.2"])];
        for (quantity, told) in quantities {
            let told = |field: &str| -> Vec<String> {
                told.iter().map(|own| format!("{field}{own}")).collect()
            };
            let orc = format!("ORC|NW|R1^KIS|||||{quantity}^BID");
            let own = told("ORC-7");
            let places: Vec<&str> = own.iter().map(String::as_str).collect();
            check("RDE^O01^RDE_O01", version, &[&orc, RXE], &[DOSE], &places);
            let rxo = "RXO|ABC^Paracetamol 500^99MED|500||mg|TAB";
            check("ORM^O01^ORM_O01", version, &[&orc, rxo], &[DOSE], &places);
            let rxe = format!("RXE|{quantity}^BID|ABC^Paracetamol 500^99MED|500||mg|TAB");
            let own = told("RXE-1");
            let places: Vec<&str> = own.iter().map(String::as_str).collect();
            check("RDE^O01^RDE_O01", version, &[ORC, &rxe], &[DOSE], &places);
        }
    }
}

#[test]
fn what_is_given_is_the_give_amount() {
    for timing in ["TQ1|1|1|BID", "TQ1|1||BID"] {
        let rxg = "RXG|1|1||ABC^Paracetamol 500^99MED|500||mg";
        let lines = [ORC, RXE, "RXR|PO", rxg, timing, "RXR|PO"];
        check("RGV^O15^RGV_O15", "2.5.1", &lines, &[DOSE], &[]);
    }
}

#[test]
fn a_number_that_is_none_is_told() {
    let check = |kind: &str, value: &str, text: &str, told: &[&str]| {
        let obx = format!("OBX|1|{kind}|4^Kalium^L||{value}|mmol/l|3.5-5.1||||F");
        let made = translate("ORU^R01^ORU_R01", "2.5.1", &["OBR|1||F1^LAB|T^Test^L", &obx]);
        let mut resources = made.bundle.items("entry").iter().filter_map(|own| own.get("resource"));
        let result = resources.find(|own| own.resource_type() == Some("Observation"));
        let result = result.expect("a result");
        assert_eq!(result.text("valueString").unwrap_or_default(), text);
        assert_eq!(result.get("valueQuantity").is_none(), !text.is_empty(), "{}", result.to_json());
        let unfit = made.findings.iter().filter(|own| own.kind == FindingKind::ValueUnfit);
        let found: Vec<_> = unfit.map(|own| own.path.as_str()).collect();
        assert_eq!(found, told, "{value} {:?}", made.findings);
    };
    for value in ["6,9", "12 345", "positiv", "1.2.3"] {
        check("NM", value, &format!("{value} mmol/l"), &["OBX-5.1.1"]);
    }
    check("NM", "6.9", "", &[]);
    check("NM", "<5", "", &[]);
    check("SN", ">=^5,5", ">= 5,5 mmol/l", &["OBX-5.2.1"]);
    check("SN", "^1^:^x", "1 : x mmol/l", &["OBX-5.4.1"]);
    check("SN", "^5.5", "", &[]);
    check("SN", "^2^+", "2 + mmol/l", &[]);
}

/// A date that is none is kept as the text it is: a final result without a value would say that nothing came out.
#[test]
fn a_date_that_is_none_is_kept_as_text() {
    for (kind, value, is_fit) in [
        ("DT", "20260230", false),
        ("DTM", "20260301259", false),
        ("TS", "gestern", false),
        ("TM", "2530", false),
        ("DT", "20260228", true),
        ("TS", "2026", true),
        ("DTM", "20260301120000+0100", true),
        ("TM", "2330", true),
    ] {
        let obx = format!("OBX|1|{kind}|4^Datum^L||{value}||||||F");
        let made = translate("ORU^R01^ORU_R01", "2.5.1", &["OBR|1||F1^LAB|T^Test^L", &obx]);
        let mut resources = made.bundle.items("entry").iter().filter_map(|own| own.get("resource"));
        let result = resources.find(|own| own.resource_type() == Some("Observation"));
        let result = result.expect("a result");
        let text = if is_fit { None } else { Some(value) };
        assert_eq!(result.text("valueString"), text, "{kind} {}", result.to_json());
        let is_told = made.findings.iter().any(|own| own.kind == FindingKind::ValueUnfit);
        assert_eq!(is_told, !is_fit, "{kind} {value} {:?}", made.findings);
    }
}
