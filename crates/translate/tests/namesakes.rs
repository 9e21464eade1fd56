//! Numbers that no authority is told of are several people's: who is called otherwise is somebody else.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_translate::{FindingKind, Settings, Translation, Translator};

const BASE: &str = "https://good.example/id/";
const RESULT: &str = "MSH|^~\\&|LAB|GOOD|||20260315073000+0100||ORU^R01^ORU_R01|1|P|2.5.1\r\
    PID|1||1^^^&1.2.3&ISO||Muster\rPV1|1|I|||||{attending}||||||||||||V1^^^&1.2.3&ISO\r\
    OBR|1||F1^^1.2.4^ISO|718-7^Hb^LN|||||||||||||||||||||F\r\
    OBX|1|NM|718-7^Hb^LN||9|g/dL|||||F|||||{observer}\r";
const ADMISSION: &str = "MSH|^~\\&|HIS|GOOD|||20260315073000+0100||ADT^A01^ADT_A01|1|P|2.5.1\r\
    PID|1||1^^^&1.2.3&ISO||Muster\rPV1|1|I|W^1^2^GOOD^^^^^{bed}|||W^1^2^GOOD^^^^^{before}\r\
    IN1|1|P1|{company}|{name}\rIN1|2|P2|{company}|{other}\r";
const APPOINTMENT: &str = "MSH|^~\\&|HIS|GOOD|||20260315073000+0100||SIU^S12^SIU_S12|1|P|2.5.1\r\
    SCH|1^^1.2.5^ISO||||||||||^^30^20270301090000+0100\rPID|1||1^^^&1.2.3&ISO||Muster\r\
    RGS|1\rAIG|1|A|EQ^{name}^L\rAIG|2|A|EQ^{other}^L\rAIP|1|A|5^{name}\rAIP|2|A|5^{other}\r";

fn translate(text: &str, values: &[(&str, &str)], base: Option<&str>) -> Translation {
    let fill =
        |text: String, (name, value): &(&str, &str)| text.replace(&format!("{{{name}}}"), value);
    let text = values.iter().fold(text.to_owned(), fill);
    let message = Message::parse(text.as_bytes()).expect("a message");
    let settings = Settings { system_base: base.map(str::to_owned), ..Settings::default() };
    Translator::new(settings).to_fhir(&message)
}

/// The entries of a type.
fn of_type<'t>(translation: &'t Translation, name: &str) -> Vec<&'t Value> {
    let entries = translation.bundle.items("entry").iter();
    let is_of_type =
        |entry: &&Value| entry.get("resource").and_then(Value::resource_type) == Some(name);
    entries.filter(is_of_type).collect()
}

/// By what the entries of a type are stored.
fn stored(translation: &Translation, name: &str) -> Vec<String> {
    let by = |entry: &Value| {
        let request = entry.get("request")?;
        request.text("ifNoneExist").or_else(|| request.text("url")).map(str::to_owned)
    };
    of_type(translation, name).into_iter().filter_map(by).collect()
}

fn is_told_twice(translation: &Translation, name: &str) -> bool {
    let text = format!("{name} is told twice, and not the same");
    let mut findings = translation.findings.iter();
    findings.any(|own| own.kind == FindingKind::ValueUnfit && own.text.starts_with(&text))
}

/// How many there are of a type, and whether a finding says that they are called differently.
#[track_caller]
fn check(
    text: &str,
    values: &[(&str, &str)],
    base: Option<&str>,
    name: &str,
    expected: (usize, bool),
) {
    let translation = translate(text, values, base);
    let found = stored(&translation, name);
    assert_eq!((found.len(), is_told_twice(&translation, name)), expected, "{found:?}");
}

#[test]
fn two_people_of_one_number_stay_two() {
    for base in [None, Some(BASE)] {
        let people = [("attending", "9^Silva^Rui"), ("observer", "9^Tec^Ze")];
        check(RESULT, &people, base, "Practitioner", (2, false));
        let translation = translate(RESULT, &people, base);
        let family = |reference: &str| {
            let practitioners = of_type(&translation, "Practitioner");
            let own =
                practitioners.into_iter().find(|own| own.text("fullUrl") == Some(reference))?;
            own.get("resource")?.items("name").first()?.text("family").map(str::to_owned)
        };
        let role = of_type(&translation, "PractitionerRole");
        let role = role.first().and_then(|own| own.get("resource")).expect("a role");
        let observer = role.get("practitioner").and_then(|own| own.text("reference"));
        assert_eq!(observer.and_then(family).as_deref(), Some("Tec"));
        // Written otherwise it is the same one.
        let people = [("attending", "9^Silva^Rui"), ("observer", "9^SILVA^RUI^^^Dr.")];
        check(RESULT, &people, base, "Practitioner", (1, false));
        let people = [("attending", "9^Silva^Rui"), ("observer", "9^Silva^Ana")];
        check(RESULT, &people, base, "Practitioner", (2, false));
    }
}

#[test]
fn a_number_of_an_authority_is_one_persons() {
    let people =
        [("attending", "9^Silva^Rui^^^^^^&1.2.6&ISO"), ("observer", "9^Sylva^Rui^^^^^^&1.2.6&ISO")];
    check(RESULT, &people, None, "Practitioner", (1, true));
    let people =
        [("attending", "9^Silva^Rui^^^^^^&1.2.6&ISO"), ("observer", "9^Silva^^^^^^^&1.2.6&ISO")];
    check(RESULT, &people, None, "Practitioner", (1, false));
}

#[test]
fn the_next_message_replaces_nobody_else() {
    for base in [None, Some(BASE)] {
        let by = |observer| {
            let translation = translate(RESULT, &[("attending", ""), ("observer", observer)], base);
            stored(&translation, "Practitioner")
        };
        assert_ne!(by("9^Silva^Rui"), by("9^Tec^Ze"));
        assert_eq!(by("9^Silva^Rui"), by("9^Silva^Rui"));
        let payer = |name| {
            let values =
                [("bed", ""), ("before", ""), ("company", "1"), ("name", name), ("other", name)];
            stored(&translate(ADMISSION, &values, base), "Organization")
        };
        assert_ne!(payer("Alfa"), payer("Beta"));
        assert_eq!(payer("Alfa"), payer("Alfa"));
    }
}

#[test]
fn companies_of_one_number_stay_two() {
    let values = |company| {
        let beds = [("bed", ""), ("before", ""), ("company", company)];
        [beds.as_slice(), &[("name", "Alfa, Lda & Cia"), ("other", "Beta")]].concat()
    };
    let payers = |translation: &Translation| {
        let payer = |entry: &&Value| {
            let payor = entry.get("resource")?.items("payor").first()?;
            payor.text("reference").map(str::to_owned)
        };
        let coverages = of_type(translation, "Coverage");
        let mut payers: Vec<_> = coverages.iter().filter_map(payer).collect();
        payers.dedup();
        payers.len()
    };
    assert_eq!(payers(&translate(ADMISSION, &values("1"), None)), 2);
    let translation = translate(ADMISSION, &values("1"), Some(BASE));
    assert_eq!(payers(&translation), 2);
    let searches = stored(&translation, "Organization");
    let expected =
        "identifier=https://good.example/id/HIS/GOOD|1&name:exact=Alfa%5C%2C%20Lda%20%26%20Cia";
    assert!(searches.iter().any(|own| own == expected), "{searches:?}");
    let translation = translate(ADMISSION, &values("1^^^&1.2.7&ISO"), None);
    assert_eq!((payers(&translation), is_told_twice(&translation, "Organization")), (1, true));
}

#[test]
fn a_company_without_a_name_is_not_looked_for_among_those_with_one() {
    let searches = |name| {
        let values =
            [("bed", ""), ("before", ""), ("company", "1"), ("name", name), ("other", name)];
        stored(&translate(ADMISSION, &values, Some(BASE)), "Organization")
    };
    let expected = "identifier=https://good.example/id/HIS/GOOD|1&name:missing=true";
    for name in ["", "\"\""] {
        let nameless = searches(name);
        assert!(nameless.iter().any(|own| own == expected), "{nameless:?}");
    }
    assert!(searches("Alfa").iter().all(|own| own != expected));
}

#[test]
fn one_number_of_two_authorities_without_a_uri_is_two() {
    let text = "MSH|^~\\&|HIS|GOOD|||20260315073000+0100||ADT^A01^ADT_A01|1|P|2.5.1\r\
        PID|1||4711^^^{namespace}^MR||Muster\r\
        PV1|1|I|W||||||||||||||||V1^^^{namespace}\rIN1|1|P1|7^^^{namespace}|Alfa\r";
    let result = "MSH|^~\\&|LAB|GOOD|||20260315073000+0100||ORU^R01^ORU_R01|1|P|2.5.1\r\
        PID|1||1^^^&1.2.3&ISO||Muster\rOBR|1||F1^^1.2.4^ISO|718-7^Hb^LN|||||||||||||||||||||F\r\
        OBX|1|NM|718-7^Hb^LN||9|g/dL|||||F|||||||EQ1^{namespace}\r";
    for (text, names) in
        [(text, ["Patient", "Encounter", "Organization"].as_slice()), (result, &["Device"])]
    {
        for name in names {
            let of = |namespace| stored(&translate(text, &[("namespace", namespace)], None), name);
            let (east, west) = (of("EAST"), of("WEST"));
            assert_eq!(east, of("EAST"), "{name}");
            assert!(
                !east.is_empty() && east.iter().any(|own| !west.contains(own)),
                "{name}: {east:?}"
            );
        }
    }
    // Who only refers to the patient refers to the same one.
    let result = |namespace| {
        let text = "MSH|^~\\&|HIS|GOOD|||20260315073000+0100||ORU^R01^ORU_R01|1|P|2.5.1\r\
            PID|1||4711^^^{namespace}^MR||Muster\rOBR|1||F1^^1.2.4^ISO|718-7^Hb^LN|||||||||||||||||||||F\r\
            OBX|1|NM|718-7^Hb^LN||9|g/dL|||||F\r";
        let translation = translate(text, &[("namespace", namespace)], None);
        let results = of_type(&translation, "Observation");
        let subject = results.first().and_then(|own| own.get("resource")?.get("subject"));
        subject.and_then(|own| own.text("reference")).expect("a subject").to_owned()
    };
    for namespace in ["EAST", "WEST", ""] {
        let told = stored(&translate(text, &[("namespace", namespace)], None), "Patient");
        assert_eq!(told, [result(namespace)], "{namespace}");
    }
}

#[test]
fn a_place_that_is_described_otherwise_is_told() {
    let values = |before| {
        [("bed", "East"), ("before", before), ("company", ""), ("name", ""), ("other", "")]
    };
    assert!(is_told_twice(&translate(ADMISSION, &values("West"), None), "Location"));
    assert!(!is_told_twice(&translate(ADMISSION, &values("East"), None), "Location"));
    assert!(!is_told_twice(&translate(ADMISSION, &values(""), None), "Location"));
}

#[test]
fn who_and_what_an_appointment_takes_stay_apart() {
    let values = [("name", "Um^A"), ("other", "Dois^B")];
    check(APPOINTMENT, &values, None, "Practitioner", (2, false));
    let names = [("name", "Um"), ("other", "Dois")];
    let named = |translation: &Translation| {
        let of_name = |entry: &&&Value| {
            entry.get("resource").is_some_and(|own| own.get("deviceName").is_some())
        };
        of_type(translation, "Device").iter().filter(of_name).count()
    };
    assert_eq!(named(&translate(APPOINTMENT, &names, None)), 2);
    // The coding system says whose number it is.
    let translation = translate(APPOINTMENT, &names, Some(BASE));
    assert_eq!((named(&translation), is_told_twice(&translation, "Device")), (1, true));
}
