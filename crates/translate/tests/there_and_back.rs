//! Fields that a message said are said again, in their place, by the message made of its resources.

use jiff::tz::{Offset, TimeZone};
use pipehat_dictionary::Version;
use pipehat_message::Message;
use pipehat_resource::json::{self, Value};
use pipehat_translate::to_v2::{Profile, Resources, Stamp, Wanted, Writer, Written};
use pipehat_translate::{Settings, Translator};

const BASE: &str = "https://good.example/id/";
const PATIENT: &str = "PID|1||4711^^^GOOD^MR||Muster^Maria||19800101|F";

fn write(event: &str, version: Version, bundle: &Value) -> Written {
    let profile = Profile { system_base: Some(BASE.to_owned()), ..Profile::default() };
    let wanted = Wanted { event, version, order_control: None, lineage: None };
    let stamp = Stamp {
        time: "2026-05-06T08:00:00Z".parse().expect("a time"),
        offset: Offset::UTC,
        control_id: "C1",
    };
    Writer::new(profile).write(&wanted, &Resources::of_bundle(bundle), &stamp).expect("a message")
}

fn there_and_back(event: &str, version: Version, lines: &[&str]) -> Written {
    let mut text = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0000||{event}|1|P|{version}");
    for line in lines {
        text.push('\r');
        text.push_str(line);
    }
    let message = Message::parse(text.as_bytes()).expect("a message");
    let settings = Settings {
        zone: Some(TimeZone::UTC),
        system_base: Some(BASE.to_owned()),
        ..Settings::default()
    };
    write(event, version, &Translator::new(settings).to_fhir(&message).bundle)
}

fn values(message: &[u8], path: &str) -> Vec<String> {
    let message = Message::parse(message).expect("a message");
    let path = path.parse().expect("a path");
    let values = message.values(&path);
    let values = values.map(|value| String::from_utf8_lossy(value.raw()).into_owned());
    values.filter(|value| !value.is_empty()).collect()
}

#[track_caller]
fn check_all(event: &str, version: Version, lines: &[&str], path: &str, expected: &[&str]) {
    let written = there_and_back(event, version, lines);
    let text = String::from_utf8_lossy(&written.message).replace('\r', "\n");
    let found = values(&written.message, path);
    assert_eq!(found, expected, "{path} of {event} {version}\n{text}{:#?}", written.findings);
}

/// A field of a message of 2.5.1.
#[track_caller]
fn check(event: &str, lines: &[&str], path: &str, expected: &str) {
    let lines = [&[PATIENT], lines].concat();
    let expected = [expected];
    let found = if expected == [""] { &[] } else { expected.as_slice() };
    check_all(event, Version::V2_5_1, &lines, path, found);
}

#[test]
fn names_of_authorities_come_back_as_they_were() {
    let number = "PID|1||4711^^^GOOD HOPE/ST. ÄGIDIEN^MR||Muster";
    let lines = [number, "PV1|1|I"];
    check_all("ADT^A01", Version::V2_5_1, &lines, "PID-3.4.1", &["GOOD HOPE/ST. ÄGIDIEN"]);
    check("ADT^A01", &["PV1|1|I", "OBX|1|NM|W^^L||7|kg^^LOCAL+|||||F"], "OBX-6.3", "LOCAL+");
}

#[test]
fn a_telephone_has_its_number_in_each_version() {
    let line = "PID|1||4711^^^GOOD^MR||Muster||||||||0228 1~^^CP^^^^^^^^^0170 1|0228 2";
    let found = |version: Version, path: &str, expected: &[&str]| {
        let line = if version < Version::V2_5 {
            line.replace("^^CP^^^^^^^^^0170 1", "0170 1^^CP")
        } else {
            line.to_owned()
        };
        check_all("ADT^A01", version, &[&line, "PV1|1|I"], path, expected);
    };
    for (version, number) in
        [(Version::V2_3, 1), (Version::V2_5_1, 1), (Version::V2_6, 12), (Version::V2_8_2, 12)]
    {
        found(version, &format!("PID-13[*].{number}"), &["0228 1", "0170 1"]);
        found(version, "PID-13[2].3", &["CP"]);
        found(version, &format!("PID-14[*].{number}"), &["0228 2"]);
    }
    found(Version::V2_9_1, "PID-40[*].12", &["0228 1", "0170 1", "0228 2"]);
}

#[test]
fn nobody_is_reached_by_nothing() {
    let line = "PID|1||4711^^^GOOD^MR||Muster||||||||^PRN^PH~^NET^^\"\"";
    check_all("ADT^A01", Version::V2_5_1, &[line, "PV1|1|I"], "PID-13", &[]);
}

#[test]
fn an_insurance_says_the_same_of_who_is_insured() {
    let insured = |relation: &str| {
        format!(
            "IN1|1|P1^Plan A^99P|C1^^^GOOD|Kasse||||||||||||Muster^Karl|{relation}|19500101|Weg 1^^Bonn||||||||||||||||P2||||||||M"
        )
    };
    let field = |relation: &str, path: &str, expected: &str| {
        check("ADT^A01", &["PV1|1|I", &insured(relation)], path, expected);
    };
    for code in ["SPO", "PAR", "MTH", "CHD", "GRD", "SIB"] {
        field(code, "IN1-17.1", code);
    }
    check("ADT^A01", &["PV1|1|I", "IN1|1|P1|C1|Kasse|||||||||||||SEL"], "IN1-17.1", "SEL");
    // Without the insured, the converse of what the patient is to them is told.
    check("ADT^A01", &["PV1|1|I", "IN1|1|P1|C1|Kasse|||||||||||||PAR"], "IN1-17.1", "PAR");
    check("ADT^A01", &["PV1|1|I", "IN1|1|P1|C1|Kasse|||||||||||||CHD"], "IN1-17.1", "CHD");
    field("PAR", "IN1-2", "P1^^99P");
    field("PAR", "IN1-35", "P2");
    field("PAR", "IN1-18", "19500101");
    field("PAR", "IN1-19.1.1", "Weg 1");
    field("PAR", "IN1-43", "M");
    check("ADT^A01", &["PV1|1|I", "IN1|1|P1^Plan A^99P|C1|Kasse"], "IN1-2", "P1^Plan A^99P");
    check("ADT^A01", &["PV1|1|I", "IN1|1|P1^Plan A^99P|C1|Kasse"], "IN1-35", "");
}

#[test]
fn the_places_of_a_visit_are_where_they_were() {
    let line = format!("PV1|1|I|W3|||W1|||||TMP|{}202603010900", "|".repeat(32));
    check("ADT^A01", &[&line], "PV1-3", "W3");
    check("ADT^A01", &[&line], "PV1-6", "W1");
    check("ADT^A01", &[&line], "PV1-11", "TMP");
    let over = format!("{line}|202603050900");
    check("ADT^A03", &[&over], "PV1-3", "W3");
    let home = format!("PV1|1|I|W3|{}01|REHA", "|".repeat(32));
    check("ADT^A03", &[&home], "PV1-37.1", "REHA");
}

#[test]
fn a_contact_has_its_role() {
    let lines = ["NK1|1|Muster^Karl|Bruder^Brother|||||EC1^First emergency contact", "PV1|1|I"];
    check("ADT^A01", &lines, "NK1-3", "Bruder^Brother");
}

#[test]
fn when_an_order_is_to_be_done_is_told_in_old_messages() {
    let lines = [
        PATIENT,
        "ORC|NW|P1^HIS|||||1^BID^^20260316080000^20260320080000^R",
        "OBR|1|P1^HIS||GLU^Glucose^L",
    ];
    let at = |path: &str, expected: &[&str]| {
        check_all("ORM^O01", Version::V2_4, &lines, path, expected);
    };
    at("ORC-7.4", &["20260316080000+0000"]);
    at("ORC-7.5", &["20260320080000+0000"]);
    at("ORC-7.6", &["R"]);
    at("ORC-7.1.1", &["1"]);
    at("ORC-7.2.1", &["BID"]);
}

#[test]
fn whom_to_call_back_is_told() {
    let order = "ORC|NW|P1^HIS||||||||||D1^Doc||0228 5";
    let lines = [order, "OBR|1|P1^HIS||GLU^Glucose^L"];
    check("ORM^O01", &lines, "ORC-14.1", "0228 5");
    check("ORM^O01", &lines, "OBR-17.1", "0228 5");
}

#[test]
fn results_keep_what_tells_them_apart_and_who_made_them() {
    let lines = [
        "OBR|1||F1^LAB|GLU^Glucose^L",
        "OBX|1|NM|GLU^Glucose^L|1.1|5.40|mmol/L^^UCUM|||||F||||LAB7^Labor Sieben^L",
    ];
    check("ORU^R01", &lines, "OBX-4", "1.1");
    check("ORU^R01", &lines, "OBX-5", "5.40");
    let all = [&[PATIENT], lines.as_slice()].concat();
    check_all("ORU^R01", Version::V2_4, &all, "OBX-15.1", &["LAB7"]);
    check_all("ORU^R01", Version::V2_8_2, &all, "OBX-4", &["1.1"]);
}

#[test]
fn what_is_noted_of_one_order_is_not_told_of_another() {
    let lines = [
        "ORC|RE|P1^HIS|F1^LAB|||||||||D1^Doc",
        "OBR|1|P1^HIS|F1^LAB|GLU^Glucose^L|||20260315||||||fasting",
        "OBX|1|NM|GLU^Glucose^L||5.4|mmol/L^^UCUM|||||F",
        "ORC|RE|P1^HIS|F1^LAB|||||||||D1^Doc",
        "OBR|2|P1^HIS|F1^LAB|NA^Sodium^L|||20260315",
        "OBX|1|NM|NA^Sodium^L||140|mmol/L^^UCUM|||||F",
    ];
    check("ORU^R01", &lines, "NTE(*)-3", "fasting");
    let all = [&[PATIENT], lines.as_slice()].concat();
    check_all("ORU^R01", Version::V2_5_1, &all, "ORC(*)-12[*].1", &["D1", "D1"]);
}

#[test]
fn a_dose_of_the_past_is_told_as_one() {
    let shot =
        |note: &str| format!("RXA|0|1|20130415|20130415|31^Hep B^CVX|999|||{note}||||||||||||CP");
    let note = |note: &str| check("VXU^V04", &["ORC|RE||1^REG", &shot(note)], "RXA-9", note);
    note("01^Historical record^NIP001");
    note("00^New immunization record^NIP001");
    note("");
}

#[test]
fn a_procedure_has_its_words() {
    let lines = ["PV1|1|I", "PR1|1||OP7^Bypass^L|Coronary bypass|20260301"];
    check("ADT^A01", &lines, "PR1-4", "Coronary bypass");
}

#[test]
fn a_charge_is_of_its_department() {
    let charge = "FT1|1|T1||20260315|20260316|CG|B1^Biopsy^L|||1|||ONC^Oncology";
    check("DFT^P03", &[charge], "FT1-13.1", "ONC");
}

#[test]
fn a_booked_visit_is_told() {
    let lines = [
        "SCH|P1^HIS|F1^HIS||||ROUTINE|||30|min|^^30^20260401090000^20260401093000",
        PATIENT,
        "PV1|1|O|CARDIO||||||||||||||||V1^^^GOOD",
        "RGS|1|A",
    ];
    check_all("SIU^S12", Version::V2_5_1, &lines, "PV1-19.1", &["V1"]);
}

#[test]
fn each_service_has_its_own_duration_or_none() {
    let one = "AIS|1|A|X1^X-ray^L|20260401090000|||30|min";
    let other = "AIS|2|A|X2^Talk^L|20260401090000|||10|min";
    let booking = "SCH|P1^HIS|F1^HIS||||ROUTINE|||40|min|^^40^20260401090000^20260401094000";
    let lines = [booking, PATIENT, "RGS|1|A", one, other];
    check_all("SIU^S12", Version::V2_5_1, &lines, "AIS(*)-3.1", &["X1", "X2"]);
    check_all("SIU^S12", Version::V2_5_1, &lines, "AIS(*)-7", &[]);
    check_all("SIU^S12", Version::V2_5_1, &lines[..4], "AIS(*)-7", &["40"]);
}

/// A Bundle as an application writes it.
#[track_caller]
fn check_resources(event: &str, resources: &[&str], path: &str, expected: &[&str]) -> Written {
    let entries = resources.iter().map(|text| format!(r#"{{"resource":{text}}}"#));
    let entries = entries.collect::<Vec<_>>().join(",");
    let bundle = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#);
    let bundle = json::parse(bundle.as_bytes()).expect("it is JSON");
    let written = write(event, Version::V2_5_1, &bundle);
    let text = String::from_utf8_lossy(&written.message).replace('\r', "\n");
    let found = values(&written.message, path);
    assert_eq!(found, expected, "{path}\n{text}{:#?}", written.findings);
    written
}

/// Coverage.relationship is what the patient is to the insured (R4, subscriber-relationship), IN1-17 the converse.
#[test]
fn a_child_is_insured_by_its_parent() {
    let patient = r#"{"resourceType":"Patient","id":"p","name":[{"family":"A"}]}"#;
    let coverage = |relationship: &str| {
        format!(
            r#"{{"resourceType":"Coverage","id":"c","status":"active","beneficiary":{{"reference":"Patient/p"}},"subscriberId":"S1","payor":[{{"display":"K"}}],"relationship":{relationship}}}"#
        )
    };
    let coded = |system: &str, code: &str| {
        format!(
            r#"{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/{system}","code":"{code}"}}],"text":"{code}"}}"#
        )
    };
    let relation = |relationship: &str, expected: &[&str]| {
        let all = [patient, &coverage(relationship)];
        check_resources("ADT^A31", &all, "IN1-17", expected)
    };
    relation(&coded("subscriber-relationship", "child"), &["PAR^Parent^HL70063"]);
    relation(&coded("subscriber-relationship", "parent"), &["CHD^Child^HL70063"]);
    relation(&coded("subscriber-relationship", "self"), &["SEL^Self^HL70063"]);
    relation(&coded("v3-RoleCode", "DAU"), &["PAR^Parent^HL70063"]);
    let other = coverage(r#"{"text":"Tochter"}"#).replace(r#""subscriberId":"S1","#, "");
    let written = check_resources("ADT^A31", &[patient, &other], "IN1-1", &[]);
    let is_told = written.findings.iter().any(|own| own.text == "nothing of it stands in IN1");
    assert!(is_told, "{:#?}", written.findings);
    // What can't be turned round is not told as it is.
    for unknown in
        [coded("v2-0063", "CHD"), r#"{"text":"Tochter"}"#.to_owned(), coded("v3-RoleCode", "NIECE")]
    {
        let written = relation(&unknown, &[]);
        assert!(
            written.findings.iter().any(|own| own.path.contains("relationship")),
            "{:#?}",
            written.findings
        );
    }
}
