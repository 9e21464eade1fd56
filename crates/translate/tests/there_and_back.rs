//! Fields that a message said are said again, in their place, by the message made of its resources.

use jiff::tz::{Offset, TimeZone};
use pipehat_dictionary::Version;
use pipehat_message::{CharsetRule, Message};
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

#[test]
fn a_street_is_said_once() {
    let at = |street: &str, path: &str, expected: &str| {
        let line = format!("PID|1||4711^^^GOOD^MR||Muster||||||{street}^^Bonn");
        let found = if expected.is_empty() { vec![] } else { vec![expected] };
        check_all("ADT^A01", Version::V2_5_1, &[&line, "PV1|1|I"], path, &found);
    };
    at("Hauptstr. 5&Hauptstr.&5", "PID-11.1.1", "Hauptstr. 5");
    at("Hauptstr. 5&Hauptstr.&5", "PID-11.1.2", "Hauptstr.");
    at("Hauptstr. 5&Hauptstr.&5", "PID-11.1.3", "5");
    at("Hauptstr. 5&Hauptstr.&5", "PID-11.2", "");
    at("&Am Berg&7", "PID-11.1.1", "Am Berg 7");
    at("&Am Berg", "PID-11.1.1", "Am Berg");
    at("Haus A&Gasse&3 b", "PID-11.1.1", "Haus A, Gasse 3 b");
    at("Hauptstr.&&5", "PID-11.1.1", "Hauptstr., 5");
    let two = "PID|1||4711^^^GOOD^MR||Muster||||||Weg 1&Weg&1^Hinterhaus^Bonn~Platz 2^^Ulm";
    check_all("ADT^A01", Version::V2_5_1, &[two, "PV1|1|I"], "PID-11[*].2", &["Hinterhaus"]);
    check_all("ADT^A01", Version::V2_5_1, &[two, "PV1|1|I"], "PID-11[2].1.1", &["Platz 2"]);
}

#[test]
fn who_pays_is_no_next_of_kin() {
    let lines = [
        "NK1|1|Mutter^Klara|MTH",
        "PV1|1|I",
        "GT1|1|G1^^^GOOD|Onkel^Otto||There 2|0228 7||19600101|M||UNC",
        "IN1|1|P1|C1^^^GOOD|Kasse||||||||||||Vater^Karl|FTH",
    ];
    check("ADT^A01", &lines, "NK1(*)-2.1.1", "Mutter");
    check("ADT^A01", &lines, "GT1(*)-3.1.1", "Onkel");
    check("ADT^A01", &lines, "GT1-2.1", "G1");
    check("ADT^A01", &lines, "GT1-11.1", "UNC");
    check("ADT^A01", &lines, "IN1-16.1.1", "Vater");
}

#[test]
fn names_of_coding_systems_come_back() {
    for system in ["LN", "SCT", "I9", "I10", "MDC", "NCIT", "FDAUNII", "HCPCS", "POS"] {
        let diagnosis = format!("DG1|1||X1^Name^{system}");
        check("ADT^A01", &["PV1|1|I", &diagnosis], "DG1-3.3", system);
    }
}

#[test]
fn each_patient_of_a_group_is_told_with_their_own() {
    let lines = [
        "SCH|P1^HIS|F1^HIS||||ROUTINE|||30|min|^^30^20260401090000^20260401093000",
        PATIENT,
        "PV1|1|O|A1||||||||||||||||V1^^^GOOD",
        "PID|2||4712^^^GOOD^MR||Beispiel^Bert||19700101|M",
        "PV1|1|O|A2||||||||||||||||V2^^^GOOD",
        "RGS|1|A",
    ];
    check_all("SIU^S12", Version::V2_5_1, &lines, "PID(*)-5.1.1", &["Muster", "Beispiel"]);
    check_all("SIU^S12", Version::V2_5_1, &lines, "PV1(*)-19.1", &["V1", "V2"]);
    check_all("SIU^S12", Version::V2_5_1, &lines, "PID(*)-1", &["1", "2"]);
}

#[test]
fn nothing_of_one_patient_of_a_group_is_told_of_another() {
    let appointment = r#"{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-04-01T09:00:00Z","end":"2026-04-01T10:00:00Z",
        "reasonReference":[{"reference":"Condition/c"}],
        "participant":[{"actor":{"reference":"Patient/p"},"status":"accepted"},{"actor":{"reference":"Patient/q"},"status":"accepted"},
            {"actor":{"reference":"Patient/r"},"status":"declined"},{"actor":{"reference":"Practitioner/d"},"status":"accepted"}]}"#;
    let patient = |id: &str| {
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"value":"{id}"}}],"name":[{{"family":"{id}"}}]}}"#
        )
    };
    let account = r#"{"resourceType":"Account","id":"x","status":"active","identifier":[{"value":"of-q"}],"subject":[{"reference":"Patient/q"}]}"#;
    let condition = r#"{"resourceType":"Condition","id":"c","code":{"text":"of q"},"subject":{"reference":"Patient/q"}}"#;
    let doctor = r#"{"resourceType":"Practitioner","id":"d","identifier":[{"value":"D1"}],"name":[{"family":"Doc"}]}"#;
    let (p, q, r) = (patient("p"), patient("q"), patient("r"));
    let all = [appointment, &p, &q, &r, account, condition, doctor];
    let written = check_resources("SIU^S12", &all, "PID(*)-3.1", &["p", "q"]);
    check_resources("SIU^S12", &all, "PID(1)-18", &[]);
    check_resources("SIU^S12", &all, "PID(2)-18.1", &["of-q"]);
    let text = String::from_utf8(written.message).expect("UTF-8");
    let order: Vec<&str> = text.split('\r').filter_map(|line| line.get(..3)).collect();
    assert_eq!(order, ["MSH", "SCH", "TQ1", "PID", "PID", "DG1", "RGS", "AIP"], "{text}");
    // Nobody is said to have entered it, and whom to ask is told to be a guess.
    check_resources("SIU^S12", &all, "SCH-20", &[]);
    assert!(written.findings.iter().any(|own| own.path == "SCH-16"), "{:#?}", written.findings);
}

/// Only the filler can say what has become of an order (HL7 v2.5.1 §4.5.1.5).
#[test]
fn who_orders_says_nothing_of_how_far_it_is() {
    let request = |status: &str| {
        format!(
            r#"{{"resourceType":"ServiceRequest","id":"s","status":"{status}","intent":"order","code":{{"text":"X"}},"subject":{{}}}}"#
        )
    };
    for (status, expected) in [("active", &[][..]), ("revoked", &[]), ("completed", &["CM"])] {
        check_resources("OML^O21", &[&request(status)], "ORC-5", expected);
    }
}

#[test]
fn a_coding_system_of_a_year_keeps_its_year() {
    for system in ["ICD10GM2026", "ICD10GM2014"] {
        let diagnosis = format!("DG1|1||I21.9^Infarct^{system}");
        check("ADT^A01", &["PV1|1|I", &diagnosis], "DG1-3.3", system);
    }
    let lines = [PATIENT, "PV1|1|I", "PR1|1||8-837^PTCA^OPS2025||20260301"];
    check_all("ADT^A01", Version::V2_8_2, &lines, "PR1-3.3", &["OPS2025"]);
}

const PERSON: &str = r#"{"resourceType":"Patient","id":"p","identifier":[{"system":"A","value":"1"},{"system":"B","value":"9"}],"name":[{"family":"A","use":"official"},{"family":"B","use":"maiden"}],
    "telecom":[{"system":"phone","value":"11","rank":2},{"system":"phone","value":"22","rank":1}],"link":[{"type":"replaces","other":{"reference":"Patient/q"}}]}"#;

#[test]
fn a_number_that_both_records_have_is_no_prior_one() {
    let other = r#"{"resourceType":"Patient","id":"q","identifier":[{"system":"A","value":"2"},{"system":"B","value":"9"}]}"#;
    check_resources("ADT^A40", &[PERSON, other], "MRG-1[*].1", &["2"]);
}

#[test]
fn the_preferred_telephone_is_the_first() {
    check_resources("ADT^A31", &[PERSON], "PID-13[*].1", &["22", "11"]);
}

#[test]
fn further_names_have_a_field_in_old_messages() {
    let bundle = format!(r#"{{"resourceType":"Bundle","entry":[{{"resource":{PERSON}}}]}}"#);
    let bundle = json::parse(bundle.as_bytes()).expect("it is JSON");
    let message = write("ADT^A31", Version::V2_3, &bundle).message;
    assert_eq!(values(&message, "PID-5[*].1"), ["A"]);
    assert_eq!(values(&message, "PID-9[*].1"), ["B"]);
}

/// A report with these results.
fn report(results: &[&str], more: &[&str]) -> Vec<String> {
    let references = results.iter().map(|id| format!(r#"{{"reference":"Observation/{id}"}}"#));
    let references = references.collect::<Vec<_>>().join(",");
    let report = format!(
        r#"{{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{{"text":"X"}},"result":[{references}]}}"#
    );
    [report].into_iter().chain(more.iter().map(|&text| text.to_owned())).collect()
}

fn observation(id: &str, more: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"coding":[{{"system":"L","code":"{id}"}}]}}{more}}}"#
    )
}

#[test]
fn the_members_of_a_panel_stand_below_it() {
    let panel = r#","hasMember":[{"reference":"Observation/m"},{"reference":"Observation/n"}]"#;
    let texts = [
        observation("panel", panel),
        observation("m", r#","valueInteger":1"#),
        observation("n", r#","valueInteger":2"#),
        observation("other", r#","valueInteger":3"#),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let all = report(&["panel", "other", "m"], &texts);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    check_resources("ORU^R01", &all, "OBX(*)-3.1", &["panel", "m", "n", "other"]);
}

/// Table 0085: F is of a result that there is, X of one that can't be obtained, N of one that nobody asked for.
#[test]
fn a_result_that_is_absent_is_not_final() {
    let absent = |code: &str| {
        format!(
            r#","dataAbsentReason":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"{code}"}}]}}"#
        )
    };
    let pressure = format!(
        r#","component":[{{"code":{{"text":"s"}},"valueInteger":120}},{{"code":{{"text":"d"}}{}}}]"#,
        absent("not-performed")
    );
    let texts = [
        observation("a", &absent("error")),
        observation("b", &absent("not-asked")),
        observation("c", &pressure),
        observation("e", ""),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let all = report(&["a", "b", "c", "e"], &texts);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    check_resources("ORU^R01", &all, "OBX(*)-11", &["X", "N", "F", "X", "F"]);
}

#[test]
fn a_document_is_of_a_type_and_text_stays_text() {
    let document = |content: &str| {
        format!(
            r#"{{"resourceType":"DocumentReference","id":"d","status":"current","type":{{"coding":[{{"system":"http://loinc.org","code":"18842-5"}}]}},"content":[{{"attachment":{{"contentType":"{content}","data":"QnJpZWY="}}}}]}}"#
        )
    };
    let text = document("text/plain; charset=utf-8");
    check_resources("MDM^T02", &[&text], "TXA-2", &["DS"]);
    check_resources("MDM^T02", &[&text], "TXA-3", &["TX"]);
    check_resources("MDM^T02", &[&text], "OBX-2", &["TX"]);
    check_resources("MDM^T02", &[&text], "OBX-5", &["Brief"]);
    let pdf = document("application/pdf; name=x");
    check_resources("MDM^T02", &[&pdf], "OBX-5", &["^AP^PDF^Base64^QnJpZWY="]);
}

#[test]
fn a_dose_that_was_refused_is_not_told_as_given() {
    let dose = r#"{"resourceType":"Immunization","id":"i","status":"not-done","primarySource":true,"patient":{},"occurrenceDateTime":"2026-03-01","vaccineCode":{"text":"X"},
        "statusReason":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"PATOBJ"}]}}"#;
    check_resources("VXU^V04", &[dose], "RXA-20", &["RE"]);
    check_resources("VXU^V04", &[dose], "RXA-9", &[]);
}

#[test]
fn who_has_a_role_is_told_without_a_finding() {
    let role = r#"{"resourceType":"PractitionerRole","id":"r","practitioner":{"reference":"Practitioner/d"}}"#;
    let doctor = r#"{"resourceType":"Practitioner","id":"d","identifier":[{"value":"D1"}]}"#;
    let charge = r#"{"resourceType":"ChargeItem","id":"c","status":"billable","code":{"text":"X"},"subject":{},"performer":[{"actor":{"reference":"PractitionerRole/r"}}]}"#;
    let written = check_resources("DFT^P03", &[charge, role, doctor], "FT1-20.1", &["D1"]);
    assert!(
        written.findings.iter().all(|own| !own.path.contains("performer")),
        "{:#?}",
        written.findings
    );
}

/// MSH-18 says what the bytes are, and no character becomes another.
#[test]
fn the_declared_character_set_is_that_of_the_bytes() {
    const NAMES: [&str; 5] =
        ["Muster", "Müller-Lüdenscheidt", "Łódź €", "山田", "\u{1F600}\u{301}"];
    for version in [Version::V2_3, Version::V2_4, Version::V2_5_1, Version::V2_7, Version::V2_9_1] {
        for name in NAMES {
            let patient = format!(
                r#"{{"resourceType":"Bundle","entry":[{{"resource":{{"resourceType":"Patient","id":"p","identifier":[{{"value":"1"}}],"name":[{{"family":"{name}"}}]}}}}]}}"#
            );
            let bundle = json::parse(patient.as_bytes()).expect("it is JSON");
            let written = write("ADT^A31", version, &bundle);
            let read = CharsetRule::default().of_message(&written.message);
            let decoded = read.transcode(&written.message);
            let found = values(decoded.text.as_bytes(), "PID-5.1.1");
            assert_eq!(found, [name], "{version}");
            let declared = values(&written.message, "MSH-18");
            let is_told = declared == ["UNICODE UTF-8"];
            assert!(
                is_told || (declared.is_empty() && written.message.is_ascii()),
                "{version} {name}"
            );
            let lossy = written.findings.iter().any(|own| own.path.starts_with("PID-5"));
            assert!(!lossy, "{:#?}", written.findings);
        }
    }
}

#[test]
fn text_that_cant_be_read_is_a_finding() {
    let document = r#"{"resourceType":"DocumentReference","id":"d","status":"current","type":{"text":"X"},"content":[{"attachment":{"contentType":"text/plain","data":"/Wo="}}]}"#;
    let written = check_resources("MDM^T02", &[document], "OBX-5", &[]);
    assert!(
        written.findings.iter().any(|own| own.text.contains("not UTF-8")),
        "{:#?}",
        written.findings
    );
}

#[test]
fn results_of_one_code_have_numbers() {
    let texts = [
        observation("a", r#","valueInteger":1"#),
        observation("b", r#","valueInteger":2,"note":[{"text":"x"}]"#)
            .replace(r#""code":"b""#, r#""code":"a""#),
        observation("c", r#","valueInteger":3"#),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let all = report(&["a", "b", "c"], &texts);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    check_resources("ORU^R01", &all, "OBX(*)-4", &["1", "2"]);
    check_resources("ORU^R01", &all, "OBX(3)-4", &[]);
    // Several values of one result come back as several, told apart.
    let lines = ["OBR|1||F1^LAB|GLU^Glucose^L", "OBX|1|ST|C^Color^L||red~blue||||||F"];
    check("ORU^R01", &lines, "OBX(1)-4", "1");
    check("ORU^R01", &lines, "OBX(2)-5", "blue");
}

/// The same in a receiver's zone.
fn in_berlin(event: &str, resources: &[&str]) -> Vec<u8> {
    let entries = resources.iter().map(|text| format!(r#"{{"resource":{text}}}"#));
    let entries = entries.collect::<Vec<_>>().join(",");
    let bundle = format!(r#"{{"resourceType":"Bundle","entry":[{entries}]}}"#);
    let bundle = json::parse(bundle.as_bytes()).expect("it is JSON");
    let zone = TimeZone::get("Europe/Berlin").expect("the system has time zones");
    let profile = Profile { zone: Some(zone), ..Profile::default() };
    let wanted = Wanted { event, version: Version::V2_5_1, order_control: None, lineage: None };
    let stamp = Stamp {
        time: "2026-05-06T08:00:00Z".parse().expect("a time"),
        offset: Offset::UTC,
        control_id: "C1",
    };
    let resources = Resources::of_bundle(&bundle);
    Writer::new(profile).write(&wanted, &resources, &stamp).expect("a message").message
}

#[test]
fn nobody_is_born_on_another_day_in_another_zone() {
    let patient = r#"{"resourceType":"Patient","id":"p","birthDate":"1980-01-01","deceasedDateTime":"2026-01-01T23:30:00Z",
        "_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1980-01-01T23:30:00Z"}]}}"#;
    let coverage = r#"{"resourceType":"Coverage","id":"c","status":"active","subscriberId":"1","beneficiary":{"reference":"Patient/p"},
        "period":{"start":"2025-12-31T23:00:00Z","end":"2026-12-31"}}"#;
    let message = in_berlin("ADT^A31", &[patient, coverage]);
    assert_eq!(values(&message, "PID-7"), ["19800101233000+0000"]);
    // Other times are those of the receiver's clock, and dates those of its calendar.
    assert_eq!(values(&message, "PID-29"), ["20260102003000+0100"]);
    assert_eq!(values(&message, "IN1-12"), ["20260101"]);
    assert_eq!(values(&message, "IN1-13"), ["20261231"]);
}

#[test]
fn numbers_keep_their_digits() {
    let value = r#","valueQuantity":{"value":5.40,"unit":"g"},"referenceRange":[{"type":{"coding":[{"code":"critical"}]},"low":{"value":1}},{"low":{"value":3.90},"high":{"value":6.10}}]"#;
    let texts = [observation("a", value)];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let all = report(&["a"], &texts);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    check_resources("ORU^R01", &all, "OBX-5", &["5.40"]);
    let written = check_resources("ORU^R01", &all, "OBX-7", &["3.90-6.10"]);
    let is_told = written.findings.iter().any(|own| own.path.contains("referenceRange[0]"));
    assert!(is_told, "{:#?}", written.findings);
}

#[test]
fn what_was_asked_with_an_order_is_told_with_its_results() {
    let lines = [
        "NK1|1|Mutter^Klara|MTH",
        "ORC|RE|P1^HIS|F1^LAB|G1^HIS||||||||D1^Doc|||||||||Praxis^^^^^GOOD^^^^77|Weg 1^^Bonn|0228 1",
        "OBR|1|P1^HIS|F1^LAB|GLU^Glucose^L|||20260315",
        "OBX|1|NM|GLU^Glucose^L||5.4|mmol/L^^UCUM|||A||F",
        "OBX|2|NM|AGE^Hours^L||41|h^^UCUM|||||F||||||||||||||||||QST",
    ];
    check("ORU^R01", &lines, "OBX(2)-5", "41");
    check("ORU^R01", &lines, "NK1-2.1.1", "Mutter");
    check("ORU^R01", &lines, "ORC-4.1", "G1");
    check("ORU^R01", &lines, "ORC-21.1", "Praxis");
    check("ORU^R01", &lines, "ORC-22.1.1", "Weg 1");
    let all = [&[PATIENT], lines.as_slice()].concat();
    check_all("ORU^R01", Version::V2_8_2, &all, "OBX(2)-29", &["QST"]);
}

#[test]
fn who_insures_is_reached_and_in_which_order() {
    let insurance = "IN1|1|P1|C1^^^GOOD|Kasse|||0228 9|||||||||||||||2";
    check("ADT^A01", &["PV1|1|I", insurance], "IN1-7.1", "0228 9");
    check("ADT^A01", &["PV1|1|I", insurance], "IN1-22", "2");
}

#[test]
fn a_refused_dose_is_refused_again() {
    let dose = |reason: &str, status: &str| {
        format!("RXA|0|1|20260101||08^HepB^CVX|999||||||||||||{reason}||{status}")
    };
    let check_dose = |reason: &str, status: &str, again: &[&str]| {
        let lines = ["ORC|RE||I1^GOOD", &dose(reason, status)];
        check("VXU^V04", &lines, "RXA-20", status);
        let all = [&[PATIENT], lines.as_slice()].concat();
        check_all("VXU^V04", Version::V2_5_1, &all, "RXA-18", again);
    };
    let reason = "00^Parental decision^NIP002";
    let both = "00^Parental decision^NIP002^X^Other^L";
    check_dose("", "RE", &[]);
    check_dose(reason, "RE", &[reason]);
    check_dose(both, "RE", &[both]);
    check_dose("^No wish", "RE", &["^No wish"]);
    check_dose("", "NA", &[]);
    check_dose(reason, "NA", &[reason]);
    check_dose("", "PA", &[]);
}

#[test]
fn a_visit_keeps_its_places_apart() {
    let visit = |event: &str, end: &str| {
        let filled = [
            (2, "I"),
            (3, "W^1^A"),
            (6, "OLD^2^B"),
            (11, "TMP^3^C"),
            (42, "PEND^4^D"),
            (43, "PTMP^5^E"),
            (44, "20260314"),
            (45, end),
        ];
        let field = |number| filled.iter().find(|(own, _)| *own == number).map_or("", |it| it.1);
        let fields: Vec<&str> = (2..=45).map(field).collect();
        (event.to_owned(), format!("PV1|1|{}", fields.join("|")))
    };
    let places = ["PV1-3.1", "PV1-6.1", "PV1-11.1", "PV1-42.1", "PV1-43.1"];
    let (event, line) = visit("ADT^A01", "");
    for (path, expected) in places.iter().zip(["W", "OLD", "TMP", "PEND", "PTMP"]) {
        check(&event, &[&line], path, expected);
    }
    // When it is over nobody is at a temporary place any more: it is the last of those before.
    let (event, line) = visit("ADT^A03", "20260315");
    for (path, expected) in places.iter().zip(["W", "OLD", "", "PEND", "PTMP"]) {
        check(&event, &[&line], path, expected);
    }
}

#[test]
fn equipment_of_an_appointment_stays_equipment() {
    let lines = [
        "SCH|A1^GOOD|A1^GOOD||||X|||30|min^minutes^UCUM|^^^20270110090000+0000^20270110093000+0000|||||1^Contact||||1^Contact|||||Booked",
        PATIENT,
        "RGS|1|A",
        "AIG|1|A|US1^Sonograph^L|DEV^Device^L||||20270110090000+0000|||30|min",
        "AIL|1|A|R1^1|ROOM^Room^L||20270110090000+0000|||30|min",
    ];
    for (path, expected) in [("AIG-3.1", "US1"), ("AIG-3.2", "Sonograph"), ("AIG-4.1", "DEV")] {
        check_all("SIU^S12", Version::V2_5_1, &lines, path, &[expected]);
    }
    check_all("SIU^S12", Version::V2_5_1, &lines, "AIL(*)-3.1", &["R1"]);
}

#[test]
fn what_was_measured_stands_with_its_charge() {
    let lines = [
        PATIENT,
        "FT1|1|T1^GOOD||20260303||CG|1^Care^L",
        "OBX|1|NM|GLU^Glucose^L||5.4|mmol/L^^UCUM|||||F",
        "FT1|2|T2^GOOD||20260303||CG|2^Care^L",
        "OBX|1|NM|NA^Sodium^L||140|mmol/L^^UCUM|||||F",
    ];
    let written = there_and_back("DFT^P03", Version::V2_5_1, &lines);
    let text = String::from_utf8_lossy(&written.message).into_owned();
    let told = text.split('\r').filter(|it| it.starts_with("FT1") || it.starts_with("OBX"));
    let told = told.map(|it| it.split('|').nth(if it.starts_with("FT1") { 2 } else { 5 }));
    let told: Vec<&str> =
        told.flatten().map(|it| it.split('^').next().unwrap_or_default()).collect();
    assert_eq!(told, ["T1", "5.4", "T2", "140"], "{text}");
}

#[test]
fn what_is_taken_out_of_an_appointment_is_told_as_deleted() {
    let read = |text: &str| json::parse(text.as_bytes()).expect("it is JSON");
    let appointment = |places: &[&str], services: &[&str]| {
        let actors = places.iter().map(|it| match it.split_once(':') {
            Some((actor, status)) => (actor, status),
            None => (*it, "accepted"),
        });
        let actors = actors.map(|(actor, status)| {
            format!(r#"{{"actor":{{"reference":"{actor}"}},"status":"{status}"}}"#)
        });
        let services = services.iter().map(|it| format!(r#"{{"text":"{it}"}}"#));
        let join = |parts: Vec<String>| parts.join(",");
        read(&format!(
            r#"{{"resourceType":"Appointment","id":"a","status":"booked","serviceType":[{}],"participant":[{}]}}"#,
            join(services.collect()),
            join(actors.collect())
        ))
    };
    let known: Vec<Value> = ["R1", "R2"]
        .iter()
        .map(|id| format!(r#"{{"resourceType":"Location","id":"{id}","name":"{id}"}}"#))
        .chain(["D1", "D2"].iter().map(|id| {
            format!(r#"{{"resourceType":"Practitioner","id":"{id}","name":[{{"family":"{id}"}}]}}"#)
        }))
        .chain([
            r#"{"resourceType":"Device","id":"V1","deviceName":[{"name":"V1","type":"other"}]}"#
                .to_owned(),
        ])
        .chain([r#"{"resourceType":"Patient","id":"P1","identifier":[{"value":"1"}]}"#.to_owned()])
        .map(|text| read(&text))
        .collect();
    let check = |earlier: Option<(&[&str], &[&str])>, now: (&[&str], &[&str]), expected: &str| {
        let now = appointment(now.0, now.1);
        let mut resources = Resources::default().with_root(&now);
        if let Some((places, services)) = earlier {
            resources = resources.with_earlier(appointment(places, services));
        }
        let resources = resources.resolved_by(|reference| {
            let name = |own: &&Value| {
                own.resource_type()
                    .zip(own.id())
                    .is_some_and(|(name, id)| reference == format!("{name}/{id}"))
            };
            known.iter().find(name).cloned()
        });
        let wanted = Wanted {
            event: "SIU^S14",
            version: Version::V2_5_1,
            order_control: None,
            lineage: None,
        };
        let stamp = Stamp {
            time: "2026-05-06T08:00:00Z".parse().expect("a time"),
            offset: Offset::UTC,
            control_id: "C1",
        };
        let written = Writer::new(Profile::default()).write(&wanted, &resources, &stamp);
        let text = String::from_utf8(written.expect("a message").message).expect("UTF-8");
        let told = text.split('\r').filter(|it| it.starts_with("AI"));
        let told = told.map(|it| {
            let fields: Vec<&str> = it.split('|').collect();
            let name = fields.get(3).copied().unwrap_or_default().trim_matches('^');
            format!("{} {} {} {name}", fields[0], fields[1], fields[2])
        });
        assert_eq!(told.collect::<Vec<_>>().join(", "), expected, "{text}");
    };
    let all: &[&str] =
        &["Patient/P1", "Location/R1", "Location/R2", "Practitioner/D1", "Device/V1"];
    let few: &[&str] = &["Patient/P1", "Location/R1", "Practitioner/D2"];
    let told = "AIS 1 U S1, AIS 2 D S2, AIG 1 D V1, AIL 1 U R1, AIL 2 D R2, AIP 1 A D2, AIP 2 D D1";
    check(Some((all, &["S1", "S2"])), (few, &["S1"]), told);
    let nobody_knows = "AIS 1 U S1, AIL 1 U R1, AIP 1 U D2";
    check(None, (few, &["S1"]), nobody_knows);
    check(Some((few, &["S1"])), (few, &["S1"]), nobody_knows);
    // Who declined takes no part any more, and one who had declined did not before.
    let declined: &[&str] = &["Patient/P1", "Location/R1:declined", "Practitioner/D2"];
    check(Some((few, &["S1"])), (declined, &["S1"]), "AIS 1 U S1, AIL 1 D R1, AIP 1 U D2");
    check(Some((declined, &["S1"])), (few, &["S1"]), "AIS 1 U S1, AIL 1 A R1, AIP 1 U D2");
}

/// A result without a place is left out as a whole, and no final one without a value stands for it.
#[test]
fn sampled_data_leave_no_empty_result() {
    let patient = r#"{"resourceType":"Patient","id":"p","name":[{"family":"A"}]}"#;
    let observation = |value: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"o","status":"final","code":{{"text":"ECG"}},"subject":{{"reference":"Patient/p"}},{value}}}"#
        )
    };
    let report = r#"{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{"text":"ECG"},"subject":{"reference":"Patient/p"},"result":[{"reference":"Observation/o"}]}"#;
    let data = r#"{"origin":{"value":0},"period":2,"dimensions":1,"data":"1 2 3"}"#;
    let whole = observation(&format!(r#""valueSampledData":{data}"#));
    let component = observation(&format!(
        r#""component":[{{"code":{{"text":"I"}},"valueSampledData":{data}}}]"#
    ));
    for own in [whole, component] {
        let written = check_resources("ORU^R01", &[patient, report, &own], "OBX(*)-1", &[]);
        let is_told = written.findings.iter().any(|own| {
            own.path == "Bundle.entry[2].resource"
                && own.text == "OBX has no data type for sampled data: left out"
        });
        assert!(is_told, "{:#?}", written.findings);
    }
}

/// OBX-6 is the unit of a whole ratio.
#[test]
fn a_ratio_is_in_the_units_of_both() {
    let patient = r#"{"resourceType":"Patient","id":"p","name":[{"family":"A"}]}"#;
    let report = r#"{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{"text":"ACR"},"subject":{"reference":"Patient/p"},"result":[{"reference":"Observation/o"}]}"#;
    let ucum = |value: &str, unit: &str| {
        format!(
            r#"{{"value":{value},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}}"#
        )
    };
    let check = |numerator: &str, denominator: &str, expected: &[&str], lost: &[&str]| {
        let observation = format!(
            r#"{{"resourceType":"Observation","id":"o","status":"final","code":{{"text":"ACR"}},"subject":{{"reference":"Patient/p"}},"valueRatio":{{"numerator":{numerator},"denominator":{denominator}}}}}"#
        );
        let written =
            check_resources("ORU^R01", &[patient, report, &observation], "OBX-6", expected);
        let told = written.findings.iter().map(|own| own.path.as_str());
        let told: Vec<_> = told.filter(|own| own.contains("valueRatio")).collect();
        assert_eq!(told, lost);
    };
    check(&ucum("11.5", "mg"), &ucum("13.25", "g"), &["mg/g^mg/g^UCUM"], &[]);
    check(&ucum("1", "mg"), &ucum("2", "mmol/L"), &["mg/(mmol/L)^mg/mmol/L^UCUM"], &[]);
    check(&ucum("1", "mg"), &ucum("2", "mg"), &["mg^^UCUM"], &[]);
    check(r#"{"value":1,"unit":"mg"}"#, r#"{"value":2}"#, &["mg"], &[]);
    check(r#"{"value":1}"#, r#"{"value":128}"#, &[], &[]);
    let lost = [
        "Bundle.entry[2].resource.valueRatio.numerator.unit",
        "Bundle.entry[2].resource.valueRatio.denominator.unit",
    ];
    check(r#"{"value":1,"unit":"mg"}"#, r#"{"value":2,"unit":"g"}"#, &[], &lost);
}

/// CE has six components (HL7 v2.5.1 §2.A.8), CWE nine.
#[test]
fn a_coded_value_has_the_parts_of_its_type() {
    let patient = r#"{"resourceType":"Patient","id":"p","name":[{"family":"A"}]}"#;
    let report = r#"{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{"text":"T"},"subject":{"reference":"Patient/p"},"result":[{"reference":"Observation/o"}]}"#;
    let observation = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"T"},"subject":{"reference":"Patient/p"},"valueCodeableConcept":{"text":"amber"}}"#;
    let written = check_resources("ORU^R01", &[patient, report, observation], "OBX-5", &["^amber"]);
    assert_eq!(values(&written.message, "OBX-2"), ["CE"]);
}

/// What a number, a class or an address says besides what a place takes is told.
#[test]
fn what_stands_beside_what_is_told_is_a_finding() {
    let patient = r#"{"resourceType":"Patient","id":"p","name":[{"family":"A"}],"address":[{"use":"home","type":"postal","city":"Bonn"}]}"#;
    let coverage = r#"{"resourceType":"Coverage","id":"c","status":"active","beneficiary":{"reference":"Patient/p"},"payor":[{"display":"K"}],"class":[{"type":{"coding":[{"code":"group"}]},"value":"G1","name":"Group one"}]}"#;
    let condition = r#"{"resourceType":"Condition","id":"d","subject":{"reference":"Patient/p"},"code":{"text":"Flu"},"category":[{"coding":[{"code":"problem-list-item"}]}]}"#;
    let allergy = r#"{"resourceType":"AllergyIntolerance","id":"a","patient":{"reference":"Patient/p"},"type":"intolerance","category":["food"],"code":{"text":"Milk"}}"#;
    let all = [patient, coverage, condition, allergy];
    let written = check_resources("ADT^A31", &all, "IN1-9.1", &["Group one"]);
    for path in [
        "Bundle.entry[0].resource.address[0].type",
        "Bundle.entry[2].resource.category[0].coding[0].code",
        "Bundle.entry[3].resource.type",
    ] {
        let is_told = written.findings.iter().any(|own| own.path == path);
        assert!(is_told, "{path} {:#?}", written.findings);
    }
}

#[test]
fn a_mobile_telephone_stays_one() {
    // Table 0201 has PRS from 2.7 on.
    for (version, equipment) in [
        (Version::V2_3, "ORN^CP"),
        (Version::V2_3_1, "ORN^CP"),
        (Version::V2_4, "ORN^CP"),
        (Version::V2_5_1, "ORN^CP"),
        (Version::V2_6, "ORN^CP"),
        (Version::V2_7, "PRS^CP"),
        (Version::V2_8_2, "PRS^CP"),
    ] {
        let telecom = |system: &str| {
            let bundle = format!(
                r#"{{"resourceType":"Bundle","entry":[{{"resource":{{"resourceType":"Patient","id":"p","telecom":[{{"system":"{system}","value":"+43 664 1","use":"mobile"}}]}}}}]}}"#
            );
            let bundle = json::parse(bundle.as_bytes()).expect("it is JSON");
            write("ADT^A28", version, &bundle)
        };
        let written = telecom("phone");
        let text = String::from_utf8_lossy(&written.message).into_owned();
        assert!(text.contains(&format!("^{equipment}")), "{text}");
        let message = Message::parse(&written.message).expect("a message");
        let back = Translator::new(Settings::default()).to_fhir(&message).bundle.to_json();
        assert!(
            back.contains(r#""use":"mobile""#) && back.contains(r#""system":"phone""#),
            "{back}"
        );
        // What only XTN.2 could say of another thing than a telephone.
        let fax = telecom("fax");
        let is_told = fax.findings.iter().any(|own| own.path.ends_with("telecom[0].use"));
        assert_eq!(is_told, version < Version::V2_7, "{version} {:?}", fax.findings);
    }
}

/// The uses of a name there and back, and whether a finding tells of the name's type.
#[track_caller]
fn check_name(usage: &str, version: Version, code: &str, expected: Option<&str>, is_told: bool) {
    let bundle = format!(
        r#"{{"resourceType":"Bundle","entry":[{{"resource":{{"resourceType":"Patient","id":"p","name":[{{"family":"Muster","use":"{usage}"}}]}}}}]}}"#
    );
    let bundle = json::parse(bundle.as_bytes()).expect("it is JSON");
    let written = write("ADT^A28", version, &bundle);
    assert_eq!(values(&written.message, "PID-5.7"), [code], "{usage} {version}");
    let message = Message::parse(&written.message).expect("a message");
    let back = Translator::new(Settings::default()).to_fhir(&message).bundle;
    let patient = back.items("entry").iter().filter_map(|own| own.get("resource"));
    let mut patients = patient.filter(|own| own.resource_type() == Some("Patient"));
    let patient = patients.next().expect("a patient");
    let found = patient.items("name").first().and_then(|name| name.text("use"));
    assert_eq!(found, expected, "{usage} {version}");
    let told = written.findings.iter().any(|own| own.text.contains("table 0200"));
    assert_eq!(told, is_told, "{usage} {version} {:?}", written.findings);
}

#[test]
fn the_use_of_a_name_is_told_by_the_table_of_the_version() {
    for version in [Version::V2_5_1, Version::V2_6] {
        check_name("anonymous", version, "S", Some("anonymous"), false);
        check_name("official", version, "L", Some("official"), false);
        check_name("temp", version, "U", None, true);
        check_name("old", version, "A", None, true);
    }
    check_name("anonymous", Version::V2_7, "MSK", Some("anonymous"), false);
    check_name("temp", Version::V2_8_2, "TEMP", Some("temp"), false);
    check_name("old", Version::V2_7, "BAD", Some("old"), false);
}

#[test]
fn a_result_that_was_wrong_is_deleted_where_no_code_says_more() {
    let result = |status: &str, interpretation: &str| {
        format!(
            r#"{{"resourceType":"Bundle","entry":[{{"fullUrl":"urn:uuid:1","resource":{{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{{"text":"Panel"}},"subject":{{"reference":"Patient/p"}},"result":[{{"reference":"Observation/o"}}]}}}},{{"resource":{{"resourceType":"Patient","id":"p"}}}},{{"resource":{{"resourceType":"Observation","id":"o","status":"{status}","code":{{"text":"Test"}},"subject":{{"reference":"Patient/p"}},"valueString":"x","interpretation":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"{interpretation}"}}]}}]}}}}]}}"#
        )
    };
    let written = |version, status: &str, interpretation: &str| {
        let bundle = result(status, interpretation);
        let bundle = json::parse(bundle.as_bytes()).expect("it is JSON");
        write("ORU^R01", version, &bundle)
    };
    let status = |version| values(&written(version, "entered-in-error", "H").message, "OBX-11");
    assert_eq!(status(Version::V2_3), ["D"]);
    assert_eq!(status(Version::V2_3_1), ["W"]);
    for (version, code, expected) in [
        (Version::V2_3_1, "H", "H"),
        (Version::V2_3_1, "POS", ""),
        (Version::V2_4, "POS", "POS"),
        (Version::V2_8_2, "POS", "POS"),
    ] {
        let made = written(version, "final", code);
        let found = values(&made.message, "OBX-8.1").join(" ");
        assert_eq!(found, expected, "{version} {code} {:?}", made.findings);
        let told =
            made.findings.iter().any(|own| own.path.starts_with("OBX") && own.path.contains("-8"));
        assert_eq!(told, expected.is_empty(), "{version} {code} {:?}", made.findings);
    }
    let made = written(Version::V2_8_2, "final", "E");
    assert_ne!(values(&made.message, "OBX-8.3"), ["HL70078"]);
}

/// A message of resources; what stands at a path, and the findings.
#[track_caller]
fn told(event: &str, resources: &[&str], path: &str) -> (Vec<String>, Vec<String>) {
    let patient = r#"{"resourceType":"Patient","id":"p1","identifier":[{"system":"https://good.example/id/x","value":"1"}],"name":[{"family":"Muster"}]}"#;
    let entries: Vec<String> = [&[patient], resources]
        .concat()
        .iter()
        .map(|own| format!(r#"{{"resource":{own}}}"#))
        .collect();
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#,
        entries.join(",")
    );
    let bundle = json::parse(bundle.as_bytes()).expect("a Bundle");
    let written = write(event, Version::V2_5_1, &bundle);
    let findings = written.findings.iter().map(|own| own.path.clone()).collect();
    (values(&written.message, path), findings)
}

/// AL1-4 is how bad a reaction was, and what is read of it is that again. How bad one could be (`criticality`) is something
/// else.
#[test]
fn an_allergy_is_as_severe_as_its_worst_reaction() {
    for code in ["SV", "MO", "MI"] {
        let allergy = format!("AL1|1|DA|1^Penicillin^L|{code}");
        check("ADT^A01", &["PV1|1|I", &allergy], "AL1-4.1", code);
    }
    let allergy = |criticality: &str, severities: &[&str]| {
        let reactions: Vec<String> = severities
            .iter()
            .map(|own| format!(r#"{{"manifestation":[{{"text":"x"}}],"severity":"{own}"}}"#))
            .collect();
        let reaction = match reactions.as_slice() {
            [] => String::new(),
            some => format!(r#","reaction":[{}]"#, some.join(",")),
        };
        let criticality = match criticality {
            "" => String::new(),
            code => format!(r#","criticality":"{code}""#),
        };
        let allergy = format!(
            r#"{{"resourceType":"AllergyIntolerance","id":"a1","clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}}]}},"code":{{"text":"Penicillin"}},"patient":{{"reference":"Patient/p1"}}{criticality}{reaction}}}"#
        );
        let visit = r#"{"resourceType":"Encounter","id":"e1","status":"in-progress","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"},"subject":{"reference":"Patient/p1"}}"#;
        told("ADT^A01", &[visit, &allergy], "AL1-4.1")
    };
    for (criticality, severities, expected) in [
        ("low", &["severe"] as &[&str], &["SV"] as &[&str]),
        ("high", &["mild"], &["MI"]),
        ("unable-to-assess", &["moderate"], &["MO"]),
        ("", &["mild", "severe"], &["SV"]),
        ("", &["mild", "moderate", "mild"], &["MO"]),
        ("", &["moderate"], &["MO"]),
        ("high", &[], &[]),
        ("low", &[], &[]),
    ] {
        let (found, findings) = allergy(criticality, severities);
        assert_eq!(found, expected, "{criticality} {severities:?}");
        let is_told = findings.iter().any(|own| own.contains("criticality"));
        assert_eq!(is_told, !criticality.is_empty(), "{criticality} {severities:?} {findings:?}");
    }
}

/// A document keeps its mark: the most restricted of several.
#[test]
fn a_document_is_as_confidential_as_its_label() {
    const V3: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
    const V2: &str = "http://terminology.hl7.org/CodeSystem/v2-0272";
    let document = |labels: &[(&str, &str)]| {
        let labels: Vec<String> = labels
            .iter()
            .map(|(system, code)| {
                format!(r#"{{"coding":[{{"system":"{system}","code":"{code}"}}]}}"#)
            })
            .collect();
        let document = format!(
            r#"{{"resourceType":"DocumentReference","id":"d1","status":"current","type":{{"text":"x"}},"subject":{{"reference":"Patient/p1"}},"content":[{{"attachment":{{"contentType":"text/plain","data":"eA=="}}}}],"securityLabel":[{}]}}"#,
            labels.join(",")
        );
        told("MDM^T02", &[&document], "TXA-18")
    };
    for (labels, expected) in [
        (&[(V3, "R")] as &[(&str, &str)], &["R"] as &[&str]),
        (&[(V3, "V")], &["V"]),
        (&[(V3, "N")], &["U"]),
        (&[(V3, "U")], &[]),
        (&[(V3, "L")], &[]),
        (&[(V3, "M")], &[]),
        (&[(V2, "R")], &["R"]),
        (&[(V2, "U")], &["U"]),
        (&[(V3, "N"), (V3, "R")], &["R"]),
        (&[(V2, "R"), (V3, "V")], &["V"]),
    ] {
        let (found, findings) = document(labels);
        assert_eq!(found, expected, "{labels:?}");
        let is_told = findings.iter().any(|own| own.contains("securityLabel"));
        assert_eq!(is_told, expected.is_empty() || labels.len() > 1, "{labels:?} {findings:?}");
    }
    for code in ["V", "R", "U"] {
        let document = format!("TXA|1|DS|TX|||||||||D1^GOOD|||||AU|{code}|AV");
        let lines = ["PV1|1|I", &document, "OBX|1|TX|1^x^L||text||||||F"];
        check("MDM^T02", &lines, "TXA-18", code);
    }
}

/// An order keeps its mark; where a message has no place for one, that is told.
#[test]
fn an_order_is_as_confidential_as_its_label() {
    const V3: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
    let security = |codes: &[&str]| {
        let labels: Vec<String> =
            codes.iter().map(|own| format!(r#"{{"system":"{V3}","code":"{own}"}}"#)).collect();
        format!(r#""meta":{{"versionId":"1","security":[{}]}}"#, labels.join(","))
    };
    for (codes, expected) in
        [(&["R"] as &[&str], "R"), (&["V"], "V"), (&["N"], "U"), (&["N", "V", "R"], "V")]
    {
        let order = format!(
            r#"{{"resourceType":"ServiceRequest","id":"s1",{},"status":"active","intent":"order","code":{{"text":"x"}},"subject":{{"reference":"Patient/p1"}}}}"#,
            security(codes)
        );
        let (found, findings) = told("OML^O21", &[&order], "ORC-28.1");
        assert_eq!(found, [expected], "{codes:?}");
        let left = findings.iter().filter(|own| own.contains("meta.security")).count();
        assert_eq!(left > 0, codes.len() > 1, "{codes:?} {findings:?}");
    }
    let visit = format!(
        r#"{{"resourceType":"Encounter","id":"e1",{},"status":"in-progress","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"}},"subject":{{"reference":"Patient/p1"}}}}"#,
        security(&["R"])
    );
    let (_, findings) = told("ADT^A01", &[&visit], "PV1-2");
    assert!(findings.iter().any(|own| own.contains("meta.security")), "{findings:?}");
    for code in ["V", "R", "U", "PSY"] {
        let line = format!("ORC|NW|P1^GOOD{}{code}", "|".repeat(26));
        let lines = [&*line, "OBR|1|P1^GOOD||X^y^L"];
        check("OML^O21", &lines, "ORC-28.1", code);
    }
}
