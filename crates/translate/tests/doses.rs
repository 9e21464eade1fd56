//! Doses and what is observed of them: what one message tells of one dose never replaces what another told of another dose or
//! of another patient.

use pipehat_message::Message;
use pipehat_translate::{Settings, Translation, Translator};

const REACTION: &str = "OBX|1|CE|31044-1^Reaction^LN|1|ANAPH^Anaphylaxis^L||||||F\r";
const BASE: &str = "https://good.example/id";

/// A message of a patient, told at a time under a control id.
fn translate(
    code: &str,
    (version, patient): (&str, &str),
    id: &str,
    segments: &str,
) -> Translation {
    let text = format!(
        "MSH|^~\\&|IIS|GOOD|||20260315073000+0100||{code}|{id}|P|{version}\r\
         PID|1||{patient}^^^&1.2.3&ISO||Muster\r{segments}"
    );
    let message = Message::parse(text.as_bytes()).expect("a message");
    let settings = Settings { system_base: Some(BASE.into()), ..Settings::default() };
    Translator::new(settings).to_fhir(&message)
}

/// How the resources of a type are stored.
fn requests(translation: &Translation, name: &str) -> Vec<String> {
    let own = translation.bundle.items("entry").iter();
    let own =
        own.filter(|entry| entry.get("resource").and_then(|own| own.resource_type()) == Some(name));
    own.map(|entry| entry.get("request").expect("a request").to_json()).collect()
}

/// How the one resource of a type is stored.
#[track_caller]
fn request(translation: &Translation, name: &str) -> String {
    let own = requests(translation, name);
    let [only] = own.as_slice() else { panic!("{name}: {own:?}") };
    only.clone()
}

fn vaccination(order: &str, when: &str, status: &str) -> String {
    format!("{order}RXA|0|1|{when}||08^HepB^CVX|1|mL|||||||||||||{status}|A\r{REACTION}")
}

/// ORC-3 `9999` says that there is no number (CDC): it makes the observations of no two patients and of no two doses one.
#[test]
fn what_is_observed_of_a_vaccination_is_of_that_one() {
    let numbers = ["9999", "9999^AU", "9999^CX^2.16.840.1.114222^ISO", "9999 ", ""];
    let orders = numbers.iter().map(|number| format!("ORC|RE||{number}\r"));
    for order in orders.chain([String::new(), "ORC|RE|P1^CX|9999^CX\r".into()]) {
        for version in ["2.3.1", "2.4", "2.5.1", "2.8"] {
            let told = |patient: &str, id: &str, when: &str| {
                let dose = vaccination(&order, when, "CP");
                let own = translate("VXU^V04^VXU_V04", (version, patient), id, &dose);
                (request(&own, "Observation"), request(&own, "Immunization"))
            };
            let first = told("1", "A", "20260301");
            // The message again under another control id changes nothing.
            assert_eq!(first, told("1", "B", "20260301"), "{order} {version}");
            for (patient, when) in [("2", "20260301"), ("1", "20260401")] {
                let other = told(patient, "A", when);
                assert_ne!(first.0, other.0, "{order} {version} {patient} {when}");
                assert_ne!(first.1, other.1, "{order} {version} {patient} {when}");
            }
        }
    }
}

/// Vaccinations under one number of one message: each has its own.
#[test]
fn what_is_observed_of_vaccinations_under_one_number_is_of_each() {
    let dose = |vaccine: &str, number: u8| {
        format!(
            "ORC|RE||F1^CX\rRXA|0|1|20260301||{vaccine}^x^CVX|1|mL|||||||||||||CP|A\r{}",
            REACTION.replace("OBX|1|", &format!("OBX|{number}|"))
        )
    };
    let told = |segments: &str| {
        let own = translate("VXU^V04^VXU_V04", ("2.5.1", "1"), "A", segments);
        assert!(
            !own.findings.iter().any(|it| it.text.contains("sub-identifier")),
            "{:?}",
            own.findings
        );
        requests(&own, "Observation")
    };
    let both = told(&format!("{}{}", dose("08", 1), dose("10", 2)));
    assert_eq!(both.len(), 2);
    assert_ne!(both[0], both[1]);
    assert_eq!(told(&dose("08", 1)), both[..1]);
}

/// One order, two doses: what was measured at the second is not that of the first.
#[test]
fn what_is_observed_of_a_dose_is_of_that_one() {
    let glucose = |value: u16| format!("OBX|1|NM|GLU^Glucose^L||{value}|mg/dL|||||F\r");
    let check = |code: &str, dose: fn(u8) -> String| {
        let order = "ORC|RE|PR1^CPOE\r";
        let told = |id: &str, doses: &[(u8, u16)]| {
            let doses: String = doses
                .iter()
                .map(|(own, value)| format!("{}{}", dose(*own), glucose(*value)))
                .collect();
            let own = translate(code, ("2.5.1", "1"), id, &format!("{order}{doses}"));
            requests(&own, "Observation")
        };
        let (morning, afternoon) = (told("A", &[(1, 180)]), told("B", &[(2, 60)]));
        assert_ne!(morning, afternoon, "{code}");
        // Again, corrected, and both in one message.
        assert_eq!(morning, told("C", &[(1, 170)]), "{code}");
        assert_eq!([morning, afternoon].concat(), told("D", &[(1, 180), (2, 60)]), "{code}");
    };
    check("RAS^O17^RAS_O17", |own| {
        format!("RXA|0|{own}|2026030{own}0800|2026030{own}0800|INS^Insulin^L|4|IE\r")
    });
    check("RDS^O13^RDS_O13", |own| format!("RXD|{own}|INS^Insulin^L|2026030{own}0800|4|IE\r"));
    check("RGV^O15^RGV_O15", |own| format!("RXG|{own}||^^^2026030{own}0800|INS^Insulin^L|4||IE\r"));
}

/// No order is made of or found by 9999, and no order's number alone makes vaccinations one.
#[test]
fn no_order_is_known_by_9999() {
    for version in ["2.3.1", "2.5.1", "2.8"] {
        for number in ["9999", "9999^CX", "9999 ^CX", "9999^CX^1.2.4^ISO"] {
            let told = |patient: &str, id: &str, placer: &str| {
                let dose = vaccination(&format!("ORC|RE|{placer}|{number}\r"), "20260301", "CP");
                translate("VXU^V04^VXU_V04", (version, patient), id, &dose)
            };
            let own = told("1", "A", "");
            for entry in own.bundle.items("entry") {
                let request = entry.get("request").expect("a request").to_json();
                assert!(!request.contains("9999"), "{request}");
            }
            assert!(requests(&own, "ServiceRequest").is_empty(), "{number}");
            let own = told("1", "A", "P1^CX");
            let order = request(&own, "ServiceRequest");
            assert!(order.contains("|P1") && !order.contains("9999"), "{order}");
            let orders = own.bundle.items("entry").iter().filter_map(|own| own.get("resource"));
            let mut orders = orders.filter(|own| own.resource_type() == Some("ServiceRequest"));
            assert!(orders.all(|own| !own.to_json().contains("9999")));
        }
    }
}

/// The placer's number is the order's: a vaccination is known by it, its patient, the vaccine and when.
#[test]
fn a_placers_number_alone_makes_no_two_vaccinations_one() {
    for filler in ["", "9999^CX"] {
        let told = |patient: &str, placer: &str, when: &str, vaccine: &str, status: &str| {
            let dose = vaccination(&format!("ORC|RE|{placer}^CX|{filler}|G1^CX\r"), when, status);
            let dose = dose.replace("08^HepB", vaccine);
            request(&translate("VXU^V04^VXU_V04", ("2.5.1", patient), "A", &dose), "Immunization")
        };
        let first = told("1", "P1", "20260301", "08^HepB", "CP");
        assert_eq!(first, told("1", "P1", "20260301", "08^Hepatitis B", "CP"));
        // Under its own number a refusal that is corrected is.
        assert_eq!(first, told("1", "P1", "20260301", "08^HepB", "RE"));
        for other in [
            told("2", "P1", "20260301", "08^HepB", "CP"),
            told("1", "P2", "20260301", "08^HepB", "CP"),
            told("1", "P1", "20260401", "08^HepB", "CP"),
            told("1", "P1", "20260301", "10^IPV", "CP"),
        ] {
            assert_ne!(first, other);
        }
    }
}

/// Without a number a refusal is not the dose that was given on the same day; under a number it becomes that.
#[test]
fn a_refusal_without_a_number_is_another() {
    let told = |order: &str, statuses: &[&str]| {
        let doses: String =
            statuses.iter().map(|status| vaccination(order, "20260301", status)).collect();
        requests(&translate("VXU^V04^VXU_V04", ("2.5.1", "1"), "A", &doses), "Immunization")
    };
    for order in ["", "ORC|RE\r", "ORC|RE||9999^CX\r"] {
        let given = told(order, &["CP"]);
        for status in ["RE", "NA"] {
            let refused = told(order, &[status]);
            assert_ne!(given, refused, "{order}{status}");
            assert_eq!(told(order, &["CP", status]), [given.clone(), refused].concat(), "{order}");
        }
        assert_eq!(given, told(order, &["PA"]), "{order}");
        assert_eq!(given, told(order, &[""]), "{order}");
        let back = vaccination(order, "20260301", "CP").replace("|CP|A", "|CP|D");
        let back = translate("VXU^V04^VXU_V04", ("2.5.1", "1"), "A", &back);
        assert_eq!(given, requests(&back, "Immunization"), "{order}");
    }
    assert_eq!(told("ORC|RE||F1^CX\r", &["CP"]), told("ORC|RE||F1^CX\r", &["RE"]));
    assert_eq!(told("ORC|RE||F1^CX\r", &["RE", "CP"]).len(), 1);
}

/// A vaccination that is deleted takes back what was observed of it; a measurement at a drug that was given stays one, and is told.
#[test]
fn a_deleted_vaccination_takes_back_what_was_observed_of_it() {
    let statuses = |translation: &Translation| -> Vec<String> {
        let own = translation.bundle.items("entry").iter();
        let own = own.filter_map(|entry| entry.get("resource"));
        let own = own.filter(|own| own.resource_type() == Some("Observation"));
        own.map(|own| own.text("status").unwrap_or_default().to_owned()).collect()
    };
    let told = |translation: &Translation| {
        let mut findings = translation.findings.iter();
        findings.any(|finding| finding.text.contains("RXA-21 deletes"))
    };
    let dose = |action: &str| {
        format!(
            "ORC|RE|P1^CX|F1^CX\rRXA|0|1|20260301||08^HepB^CVX|1|mL|||||||||||||CP|{action}\r{REACTION}"
        )
    };
    for (action, status) in
        [("D", "entered-in-error"), ("A", "final"), ("U", "final"), ("", "final")]
    {
        let own = translate("VXU^V04^VXU_V04", ("2.5.1", "1"), "A", &dose(action));
        assert_eq!((statuses(&own), told(&own)), (vec![status.to_owned()], false), "{action}");
    }
    // The first of two is deleted.
    let both = dose("D") + &dose("A").replace("F1", "F2").replace("20260301", "20260401");
    let own = translate("VXU^V04^VXU_V04", ("2.5.1", "1"), "A", &both);
    assert_eq!(statuses(&own), ["entered-in-error", "final"]);
    // What was observed of the person, before any dose, is of none.
    let person = format!("{}{}", REACTION.replace("31044-1", "59784-9"), dose("D"));
    let own = translate("VXU^V04^VXU_V04", ("2.5.1", "1"), "A", &person);
    assert_eq!(statuses(&own), ["final", "entered-in-error"]);
    let drug = dose("D")
        .replace("OBX|1|CE|31044-1^Reaction^LN|1|ANAPH", "OBX|1|CE|2339-0^Glucose^LN|1|HIGH");
    let own = translate("RAS^O17^RAS_O17", ("2.5.1", "1"), "A", &drug);
    assert_eq!((statuses(&own), told(&own)), (vec!["final".to_owned()], true));
}
