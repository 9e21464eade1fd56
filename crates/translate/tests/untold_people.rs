//! What a message about a person does not speak of: an empty field changes nothing (HL7 v2.5.1 §2.5.3), and what has no field
//! is nobody's to take away.

mod over;

use pipehat_message::Message;
use pipehat_resource::json::{Value, parse};
use pipehat_resource::kept::Keeps;
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{Settings, Translator};

use over::taken_over;

/// The entries of a message from `KH`.
fn entries(event: &str, lines: &[&str]) -> Vec<Value> {
    let mut text = format!("MSH|^~\\&|HIS|KH|||20260315073000+0100||{event}|1|P|2.5.1\r");
    text += "EVN||20260315073000+0100\r";
    text += &lines.join("\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let base = Some("https://kh.example/id/".to_owned());
    let told =
        Translator::new(Settings { system_base: base, ..Settings::default() }).to_fhir(&message);
    for issue in validate(&told.bundle, Checks::All) {
        assert!(!issue.is_error(), "{:?} {}", issue.expression, issue.text);
    }
    told.bundle.items("entry").to_vec()
}

/// What comes of a message over what stands: the entry of a type, the first or the one that is found by this.
fn over(standing: &Value, event: &str, lines: &[&str], found_by: &str) -> Value {
    let name = standing.resource_type().expect("a type");
    let entries = entries(event, lines);
    let is_it = |own: &&Value| {
        let url = own.get("request").and_then(|own| own.text("url")).unwrap_or_default();
        own.get("resource").and_then(Value::resource_type) == Some(name) && url.contains(found_by)
    };
    let entry = entries.iter().find(is_it).expect("a resource");
    let keeps = Keeps::of_request(entry.get("request").expect("a request")).expect("it is read");
    let keeps = keeps.expect("a mark");
    let told = entry.get("resource").expect("a resource");
    taken_over(&keeps, standing, told)
}

/// The first resource of a type.
fn first(event: &str, lines: &[&str], name: &str) -> Value {
    let entries = entries(event, lines);
    let mut resources = entries.iter().filter_map(|own| own.get("resource"));
    resources.find(|own| own.resource_type() == Some(name)).expect("a resource").clone()
}

const A01: &str = "ADT^A01^ADT_A01";
const A08: &str = "ADT^A08^ADT_A01";
const FULL: [&str; 6] = [
    "PID|1||4711^^^KH^MR~99001^^^MPI^PI||Muster^Maria^Anna||19800501|F|||Hauptstr. 5^^Graz^^8010^AT||0316123^PRN^PH|0316999^WPN^PH|DE|M|CAT||123-45-6789|||||Y|2||||20260301",
    "PD1|||Praxis X^^77^^^KH|88^Gut^Karl^^^^^^KH",
    "NK1|1|Muster^Max|SPO",
    "PV1|1|I|W1^101^1^KH||PRE1||11^Att^A^^^^^^KH|12^Ref^R^^^^^^KH||SUR||||7|||||V1^^^KH|||||||||||||||||||||||||20260310",
    "PV2|||^Cough",
    "DG1|1||I10^Hyp^I10|||A",
];
const BARE: &str = "PID|1||4711^^^KH^MR||Muster^Maria||19800501|F";

fn full(name: &str) -> Value {
    first(A01, &FULL, name)
}

#[track_caller]
fn check_same(merged: &Value, standing: &Value, names: &[&str]) {
    for name in names {
        assert!(standing.get(name).is_some(), "{name} stands");
        assert_eq!(merged.get(name), standing.get(name), "{name}");
    }
}

fn numbers(patient: &Value) -> Vec<&str> {
    patient.items("identifier").iter().filter_map(|own| own.text("value")).collect()
}

#[test]
fn an_empty_field_takes_nothing_from_a_person() {
    let mut standing = full("Patient");
    let own = parse(br#"{"active":true,"photo":[{"title":"x"}],"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}]}"#);
    let own = own.expect("it is JSON");
    let object = standing.as_object_mut().expect("an object");
    for (name, value) in own.as_object().expect("an object").iter() {
        object.set(name, value.clone());
    }
    let stays = [
        "telecom",
        "address",
        "maritalStatus",
        "communication",
        "contact",
        "generalPractitioner",
        "extension",
        "multipleBirthInteger",
        "deceasedDateTime",
        "active",
        "photo",
        "link",
        "birthDate",
        "gender",
    ];
    for event in [A08, "ADT^A31^ADT_A05", "BAR^P05^BAR_P05", "ADT^A02^ADT_A02", A01] {
        let merged = over(&standing, event, &[BARE, "PV1|1|I"], "Patient");
        check_same(&merged, &standing, &stays);
        assert_eq!(numbers(&merged).len(), numbers(&standing).len(), "{event}");
    }
    // Of the rest of a name nothing is told by whoever tells a name.
    let merged = over(&standing, A08, &[BARE, "PV1|1|I"], "Patient");
    let name = merged.items("name").first().expect("a name").to_json();
    assert!(name.contains("Maria") && !name.contains("Anna"), "{name}");
}

#[test]
fn a_deleted_value_goes_and_the_rest_stays() {
    let standing = full("Patient");
    let line = "PID|1||4711^^^KH^MR||Muster^Maria||\"\"|F|||\"\"||\"\"|\"\"|DE|\"\"|\"\"||\"\"|||||\"\"|\"\"||||\"\"|\"\"";
    let merged = over(&standing, A08, &[line, "PD1||||\"\"", "PV1|1|I"], "Patient");
    for gone in [
        "birthDate",
        "address",
        "telecom",
        "maritalStatus",
        "extension",
        "multipleBirthInteger",
        "multipleBirthBoolean",
        "deceasedDateTime",
        "deceasedBoolean",
        "generalPractitioner",
    ] {
        assert_eq!(merged.get(gone), None, "{gone}");
    }
    check_same(&merged, &standing, &["communication", "contact"]);
    assert!(!numbers(&merged).contains(&"123-45-6789"));
    assert!(numbers(&merged).contains(&"99001"));
}

#[test]
fn a_choice_is_told_by_any_of_its_types() {
    let standing = full("Patient");
    let line = "PID|1||4711^^^KH^MR||Muster^Maria|||||||||||||||||||N||||||N";
    let merged = over(&standing, A08, &[line, "PV1|1|I"], "Patient");
    assert_eq!(merged.get("multipleBirthBoolean").and_then(Value::as_bool), Some(false));
    assert_eq!(merged.get("multipleBirthInteger"), None);
    assert_eq!(merged.get("deceasedDateTime"), None);
}

#[test]
fn a_number_told_anew_takes_the_place_of_the_one_before() {
    let standing = full("Patient");
    let check = |told: &str, expected: &[&str]| {
        let line = format!("PID|1||{told}||Muster^Maria");
        let merged = over(&standing, A08, &[&line, "PV1|1|I"], "Patient");
        let mut found = numbers(&merged);
        found.retain(|own| *own != "123-45-6789");
        assert_eq!(found, expected, "{told}");
    };
    check("4711^^^KH^MR", &["4711", "99001"]);
    check("4711^^^KH^MR~99002^^^MPI^PI", &["4711", "99002"]);
    check("99001^^^MPI^PI", &["4711", "99001"]);
    check("4711^^^KH^MR~5^^^LAB^PI", &["99001", "4711", "5"]);
    check("4712^^^KH^MR~99001^^^MPI^PI", &["4712", "99001"]);
}

#[test]
fn a_telephone_of_the_office_stays_where_only_that_of_the_home_is_told() {
    let standing = full("Patient");
    let check = |home: &str, office: &str, expected: &[&str]| {
        let line = format!("{BARE}|||||{home}|{office}");
        let merged = over(&standing, A08, &[&line, "PV1|1|I"], "Patient");
        let found: Vec<&str> =
            merged.items("telecom").iter().filter_map(|own| own.text("value")).collect();
        assert_eq!(found, expected, "{home} {office}");
    };
    check("0316555^PRN^PH", "", &["0316999", "0316555"]);
    check("", "0316888^WPN^PH", &["0316123", "0316888"]);
    check("0316555^PRN^PH", "\"\"", &["0316555"]);
    check("", "", &["0316123", "0316999"]);
}

#[test]
fn a_record_that_is_retired_keeps_all_but_what_is_told() {
    let mut standing = full("Patient");
    standing.as_object_mut().expect("an object").set("active", Value::Bool(true));
    for event in ["ADT^A40^ADT_A39", "ADT^A30^ADT_A30", "ADT^A18^ADT_A18"] {
        let lines = ["PID|1||4712^^^KH^MR||Muster^Maria", "MRG|4711^^^KH^MR"];
        let merged = over(&standing, event, &lines, "4711");
        let stays = ["telecom", "address", "name", "birthDate", "gender", "contact", "extension"];
        check_same(&merged, &standing, &stays);
        assert_eq!(merged.get("active").and_then(Value::as_bool), Some(false));
        assert_eq!(merged.items("link").len(), 1);
        assert!(numbers(&merged).contains(&"99001"));
        // The one that goes on is in use, whatever it was.
        standing.as_object_mut().expect("an object").set("active", Value::Bool(false));
        let lines = ["PID|1||4711^^^KH^MR||Muster^Maria", "MRG|4712^^^KH^MR"];
        let merged = over(&standing, event, &lines, "4711");
        assert_eq!(merged.get("active"), None, "{event}");
        check_same(&merged, &standing, &stays[..2]);
    }
    // A person who is added again is in use, too.
    let merged = over(&standing, "ADT^A28^ADT_A05", &[BARE, "PV1|1|N"], "Patient");
    assert_eq!(merged.get("active"), None);
}

#[test]
fn patients_of_one_message_are_told_each_by_its_own_segments() {
    let standing = full("Patient");
    let lines = [
        "PID|1||1^^^KH^MR||A^B|||||||||||M",
        "PV1|1|I|||||||||||||||||V8^^^KH",
        "PID|2||4711^^^KH^MR||Muster^Maria",
        "PV1|1|I|||||||||||||||||V9^^^KH",
    ];
    let merged = over(&standing, "ADT^A17^ADT_A17", &lines, "4711");
    check_same(&merged, &standing, &["maritalStatus", "address", "generalPractitioner"]);
}

#[test]
fn an_empty_field_takes_nothing_from_a_visit() {
    let mut standing = full("Encounter");
    let history = parse(br#"[{"status":"planned","period":{"start":"2026-03-01"}}]"#);
    let object = standing.as_object_mut().expect("an object");
    object.set("statusHistory", history.expect("it is JSON"));
    let visit = "PV1|1||||||||||||||||||V1^^^KH";
    for event in [A08, "ADT^A31^ADT_A05", "BAR^P05^BAR_P05", "ADT^A03^ADT_A03", "ADT^A13^ADT_A01"] {
        let merged = over(&standing, event, &[BARE, visit], "Encounter");
        let stays = [
            "class",
            "participant",
            "diagnosis",
            "reasonCode",
            "serviceType",
            "identifier",
            "hospitalization",
            "statusHistory",
        ];
        check_same(&merged, &standing, &stays);
    }
    // One kind of participant is told, another deleted.
    let count = |line: &str| {
        let merged = over(&standing, A08, &[BARE, line], "Encounter");
        let codes = merged.items("participant").iter().map(|own| {
            let coding = own.items("type").first().and_then(|own| own.items("coding").first());
            coding.and_then(|own| own.text("code")).unwrap_or_default().to_owned()
        });
        codes.collect::<Vec<_>>()
    };

    assert_eq!(count("PV1|1||||||13^New^N^^^^^^KH||||||||||||V1^^^KH"), ["REF", "ATND"]);
    assert_eq!(count("PV1|1||||||\"\"||||||||||||V1^^^KH"), ["REF"]);
    // `""` deletes, one by one.
    let line = "PV1|1||||\"\"|||||\"\"|||||||||V1^^^KH";
    let merged = over(&standing, A08, &[BARE, line], "Encounter");
    assert_eq!(merged.get("serviceType"), None);
    let stay = merged.get("hospitalization").expect("the rest of it").to_json();
    assert!(stay.contains("admitSource") && !stay.contains("preAdmission"), "{stay}");
}

#[test]
fn a_discharge_that_is_taken_back_leads_nowhere() {
    let visit = "PV1|1|I||||||||||||7|||||V1^^^KH|||||||||||||||||01|HOME|||||||20260310|20260314";
    let standing = first("ADT^A03^ADT_A03", &[BARE, visit], "Encounter");
    let told = standing.get("hospitalization").expect("told").to_json();
    assert!(told.contains("dischargeDisposition"), "{told}");
    let visit = "PV1|1||||||||||||||||||V1^^^KH";
    let merged = over(&standing, "ADT^A13^ADT_A01", &[BARE, visit], "Encounter");
    let stays = merged.get("hospitalization").map(Value::to_json).unwrap_or_default();
    assert!(!stays.contains("dischargeDisposition"), "{stays}");
    let ends = merged.get("period").map(Value::to_json).unwrap_or_default();
    assert!(!ends.contains("end"), "{ends}");
}
