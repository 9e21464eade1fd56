//! What a clinician or a clerk reads in the resources is what the message says: whose data they are, whether a visit goes
//! on, which result a correction replaces.

use pipehat_dictionary::Version;
use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_resource::kept::Keeps;
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{FindingKind, Settings, Translation, Translator};

const PATIENT: &str = "PID|1||4711^^^GOOD^MR||Muster^Maria";

fn header(event: &str) -> String {
    format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|1|P|2.5.1")
}

fn translate(event: &str, lines: &[&str]) -> Translation {
    translate_lines(event, &[&[PATIENT], lines].concat())
}

/// The same of a message that has a patient of its own, or at another place.
fn translate_lines(event: &str, lines: &[&str]) -> Translation {
    let mut text = header(event);
    for line in lines {
        text.push('\r');
        text.push_str(line);
    }
    let message = Message::parse(text.as_bytes()).expect("a message");
    let base = Some("https://good.example/id/".to_owned());
    let translation =
        Translator::new(Settings { system_base: base, ..Settings::default() }).to_fhir(&message);
    for issue in validate(&translation.bundle, Checks::All) {
        assert!(!issue.is_error(), "{:?} {}", issue.expression, issue.text);
    }
    translation
}

fn resources<'t>(translation: &'t Translation, name: &str) -> Vec<&'t Value> {
    let all = translation.bundle.items("entry").iter().filter_map(|own| own.get("resource"));
    all.filter(|own| own.resource_type() == Some(name)).collect()
}

/// An element of all resources of a type, as JSON.
#[track_caller]
fn check(event: &str, lines: &[&str], place: &str, expected: &[&str]) -> Translation {
    let translation = translate(event, lines);
    let (name, element) = place.split_once('.').expect("a type and an element");
    let found: Vec<String> = resources(&translation, name)
        .into_iter()
        .map(|own| {
            let found = element.split('.').try_fold(own, |own, name| match name.parse::<usize>() {
                Ok(index) => own.as_array()?.get(index),
                Err(_) => own.get(name),
            });
            found.map(Value::to_json).unwrap_or_default()
        })
        .collect();
    assert_eq!(found, expected, "{:#?}", translation.findings);
    translation
}

#[track_caller]
fn check_told(translation: &Translation, kind: FindingKind, path: &str, words: &str) {
    let is_told = translation
        .findings
        .iter()
        .any(|own| own.kind == kind && own.path.starts_with(path) && own.text.contains(words));
    assert!(is_told, "{kind:?} {path} {words}: {:#?}", translation.findings);
}

#[test]
fn a_guarantor_is_another_person_than_the_next_of_kin() {
    for event in ["ADT^A01^ADT_A01", "ADT^A05^ADT_A05", "ADT^A06^ADT_A06"] {
        let lines = [
            "NK1|1|Mutter^Klara|MTH|Here 1",
            "PV1|1|I",
            "GT1|1|G1^^^GOOD|Onkel^Otto||There 2||||||UNC",
        ];
        let names = [
            r#"[{"family":"Mutter","given":["Klara"]}]"#,
            r#"[{"family":"Onkel","given":["Otto"]}]"#,
        ];
        check(event, &lines, "RelatedPerson.name", &names);
    }
}

#[test]
fn who_is_told_twice_is_told_once() {
    let lines = [
        "PV1|1|I",
        "GT1|1|G1^^^GOOD|Mutter^Klara||Here 1|0301",
        "GT1|2|G1^^^GOOD|Mutter^Klara||Here 1|0302",
    ];
    let told = check("ADT^A01^ADT_A01", &lines, "RelatedPerson.telecom.1.value", &[r#""0302""#]);
    for person in resources(&told, "RelatedPerson") {
        assert_eq!((person.items("name").len(), person.items("address").len()), (1, 1));
    }
}

#[test]
fn a_severity_without_a_reaction_is_kept() {
    for allergy in ["AL1|1|DA|1^Penicillin^L|SV", "IAM|1|DA|1^Penicillin^L|SV||A|A1"] {
        let lines = ["PV1|1|I", allergy];
        let place = "AllergyIntolerance.reaction.0.severity";
        check("ADT^A01^ADT_A01", &lines, place, &[r#""severe""#]);
    }
}

#[test]
fn a_reaction_in_words_is_no_code() {
    let lines = ["PV1|1|I", "IAM|1|DA|1^Penicillin^L|SV|Hives~R1^Rash^L|A|A1"];
    check(
        "ADT^A01^ADT_A01",
        &lines,
        "AllergyIntolerance.reaction.0.manifestation",
        &[r#"[{"text":"Hives"}]"#],
    );
}

#[test]
fn an_old_diagnosis_names_its_coding_system_in_the_field_before() {
    let lines = ["PV1|1|I", "DG1|1|I10|I21.9|Infarct", "PR1|1|C4|71045|Radiograph|20260302"];
    let system = |uri| format!("\"{uri}\"");
    let icd = system("http://hl7.org/fhir/sid/icd-10");
    let told = check("ADT^A01^ADT_A01", &lines, "Condition.code.coding.0.system", &[icd.as_str()]);
    assert!(told.findings.iter().all(|own| own.kind != FindingKind::CodeUnmapped));
    let cpt = system("http://www.ama-assn.org/go/cpt");
    check("ADT^A01^ADT_A01", &lines, "Procedure.code.coding.0.system", &[cpt.as_str()]);
    let both = ["PV1|1|I", "DG1|1|I9|I21.9^Infarct^I10"];
    check("ADT^A01^ADT_A01", &both, "Condition.code.coding.0.system", &[icd.as_str()]);
}

#[test]
fn nobody_lies_where_a_visit_has_ended() {
    let visit = |end: &str| {
        format!(
            "PV1|1|I|W3||||||||||||||||V1^^^GOOD|||||||||||||||||||||||||202603010900+0100|{end}"
        )
    };
    let check = |event: &str, end: &str, status: &str, place: &str, period_end: &str| {
        let line = visit(end);
        check(event, &[&line], "Encounter.status", &[status]);
        check(event, &[&line], "Encounter.location.0.status", &[place]);
        check(event, &[&line], "Encounter.period.end", &[period_end]);
    };
    let end = r#""2026-03-05T09:00:00+01:00""#;
    check("ADT^A01^ADT_A01", "", r#""in-progress""#, r#""active""#, "");
    check("ADT^A03^ADT_A03", "202603050900+0100", r#""finished""#, r#""completed""#, end);
    check("ADT^A03^ADT_A03", "", r#""finished""#, r#""completed""#, "");
    check("ADT^A08^ADT_A01", "202603050900+0100", r#""finished""#, r#""completed""#, end);
    // The discharge is taken back, whatever end the message still shows.
    check("ADT^A13^ADT_A01", "202603050900+0100", r#""in-progress""#, r#""active""#, "");
    check("ADT^A11^ADT_A09", "", r#""cancelled""#, "", "");
}

#[test]
fn a_booked_visit_has_not_begun() {
    let booking = "SCH|P1^EHR|F1^SCHED|||||ROUTINE||30|min|^^30^202604010900+0200";
    let place = "Encounter.status";
    let text = |visit: &str, expected: &str| {
        let translation = translate_lines("SIU^S12^SIU_S12", &[booking, PATIENT, visit]);
        let found = resources(&translation, "Encounter");
        let found = found.first().and_then(|own| own.text("status"));
        assert_eq!(found, Some(expected), "{place}");
    };
    text("PV1|1|O|||||||||||||||||V1^^^GOOD", "planned");
    text("PV1|1|I|||||||||||||||||V1^^^GOOD", "unknown");
    text(&format!("PV1|1|I{}V1^^^GOOD{}20260301", "|".repeat(17), "|".repeat(25)), "in-progress");
}

#[test]
fn a_result_without_a_time_has_that_of_its_report() {
    let report = "OBR|1||F1^LAB|24323-8^Panel^LN|||202603150810+0100";
    let own = "OBX|1|NM|2345-7^Glucose^LN||100||||||F|||202603150900+0100";
    let none = "OBX|2|NM|2160-0^Creatinine^LN||1||||||F";
    let times = [r#""2026-03-15T09:00:00+01:00""#, r#""2026-03-15T08:10:00+01:00""#];
    check("ORU^R01^ORU_R01", &[report, own, none], "Observation.effectiveDateTime", &times);
}

#[test]
fn a_correction_of_one_of_several_replaces_none_of_the_others() {
    let report = "OBR|1||F1^LAB|24323-8^Panel^LN";
    let line =
        |number: u8, value: u16| format!("OBX|{number}|NM|2345-7^Glucose^LN||{value}|mg/dL|||||F");
    let ids = |lines: &[String]| -> Vec<String> {
        let lines: Vec<&str> =
            [report].into_iter().chain(lines.iter().map(String::as_str)).collect();
        let translation = translate("ORU^R01^ORU_R01", &lines);
        let is_ambiguous =
            translation.findings.iter().any(|own| own.kind == FindingKind::Ambiguous);
        assert_eq!(is_ambiguous, lines.len() > 2, "{:#?}", translation.findings);
        let found = resources(&translation, "Observation");
        found.into_iter().filter_map(|own| own.id().map(str::to_owned)).collect()
    };
    let both = ids(&[line(1, 100), line(2, 200)]);
    let alone = ids(&[line(1, 222)]);
    assert!(both.iter().all(|id| !alone.contains(id)), "{both:?} {alone:?}");
    // The whole report again is the same results.
    assert_eq!(ids(&[line(1, 101), line(2, 201)]), both);
    // One that stands alone is replaced by one that stands alone.
    assert_eq!(ids(&[line(1, 111)]), alone);
}

#[test]
fn sub_identifiers_tell_results_of_one_code_apart() {
    let report = "OBR|1||F1^LAB|24323-8^Panel^LN";
    let [first, second] =
        ["OBX|1|ST|600-7^Germ^LN|1|A||||||F", "OBX|2|ST|600-7^Germ^LN|2|B||||||F"];
    let id = |lines: &[&str]| -> Vec<String> {
        let translation = translate("ORU^R01^ORU_R01", lines);
        assert!(translation.findings.iter().all(|own| own.kind != FindingKind::Ambiguous));
        let found = resources(&translation, "Observation");
        found.into_iter().filter_map(|own| own.id().map(str::to_owned)).collect()
    };
    let both = id(&[report, first, second]);
    assert_eq!(id(&[report, second]), both.get(1..).unwrap_or_default());
}

#[test]
fn the_lines_of_a_document_are_one_text() {
    let text = |lines: &str| {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.encode(lines);
        format!(r#"{{"contentType":"text/plain","data":"{data}"}}"#)
    };
    let document = "TXA|1|DS|TX|||||||||DOC1^DOC|||||AU||AV";
    let place = "DocumentReference.content.0.attachment";
    let parts = [
        document,
        "OBX|1|TX|A^History^L||one||||||F",
        "OBX|2|TX|A^History^L||||||||F",
        "OBX|3|FT|B^Findings^L||two~three\\.br\\four||||||F",
        "OBX|4|ED|C^Picture^L||^IM^JPEG^Base64^/9g=||||||F",
    ];
    let expected = text("History\none\n\n\nFindings\ntwo\nthree\nfour");
    let told = check("MDM^T02^MDM_T02", &parts, place, &[expected.as_str()]);
    let documents = resources(&told, "DocumentReference");
    assert_eq!(documents.first().map(|own| own.items("content").len()), Some(2));
    let one = [document, "OBX|1|TX|A^History^L||one||||||F", "OBX|2|TX|A^History^L||two||||||F"];
    let place = "DocumentReference.content.0.attachment.title";
    check("MDM^T02^MDM_T02", &one, place, &[r#""History""#]);
}

#[test]
fn an_embedded_document_may_be_written_as_senders_do() {
    let told = |data: &str| {
        let line = format!("OBX|1|ED|A^Report^L||LAB^application^pdf^Base64^{data}||||||F");
        let order = "OBR|1||F1^LAB|24323-8^Panel^LN";
        let told = translate("ORU^R01^ORU_R01", &[order, &line]);
        let unfit = told.findings.iter().any(|own| own.kind == FindingKind::ValueUnfit);
        let found = resources(&told, "Observation").first().map(|own| own.to_json());
        let data = found.as_deref().and_then(|own| own.split_once(r#""data":""#));
        let data = data.and_then(|(_, rest)| rest.split_once('"')).map(|(data, _)| data.to_owned());
        assert_eq!(unfit, data.is_none());
        data
    };
    let expected = Some("JVBERi0xLjQK+/8=".to_owned());
    for data in [
        "JVBERi0xLjQK+/8=",
        r"JVBERi0x\.br\LjQK\.br\+/8=\.br\",
        r"JVBERi0x\X0D0A\LjQK+/8=",
        "JVBERi0x LjQK +/8=",
        "JVBERi0xLjQK+/8",
        "JVBERi0xLjQK-_8=",
        "JVBERi0xLjQK-_8",
    ] {
        assert_eq!(told(data), expected, "{data}");
    }
    // Cut off, of two alphabets, of none.
    for data in ["JVBERi0xLjQK+/9", "JVBERi0xLjQK+", "JVBERi0xLjQK+_8=", "JV=BERi0x", "%%%"] {
        assert_eq!(told(data), None, "{data}");
    }
}

#[test]
fn a_document_is_found_by_its_number() {
    let request = |event: &str, status: &str, lines: &[&str]| {
        let document = format!("TXA|1|DS|TX|||||||||DOC1^DOC|||||AU||{status}");
        let lines: Vec<&str> = [document.as_str()].iter().chain(lines).copied().collect();
        let told = translate(event, &lines);
        let mut entries = told.bundle.items("entry").iter();
        let entry = entries.find(|entry| {
            entry.get("resource").and_then(Value::resource_type) == Some("DocumentReference")
        });
        let mut request = entry.and_then(|entry| entry.get("request")).expect("a request").clone();
        let keeps = Keeps::of_request(&request).expect("it is read");
        Keeps::strip(request.as_object_mut().expect("an object"));
        (request.to_json(), keeps.is_some_and(|keeps| keeps.elements().any(|own| own == "content")))
    };
    let search = "identifier=https://good.example/id/DOC|DOC1";
    let update = format!(r#"{{"method":"PUT","url":"DocumentReference?{search}"}}"#);
    let create =
        format!(r#"{{"method":"POST","url":"DocumentReference","ifNoneExist":"{search}"}}"#);
    let text = ["OBX|1|TX|A^History^L||one||||||F"];
    let check = |event: &str, status: &str, lines: &[&str], expected: (&str, bool)| {
        let (asked, keeps) = request(event, status, lines);
        assert_eq!((asked.as_str(), keeps), expected, "{event} {status}");
    };
    check("MDM^T02^MDM_T02", "AV", &text, (&update, false));
    // A notification without the content takes none away, but what it withdraws is withdrawn.
    check("MDM^T01^MDM_T01", "AV", &[], (&create, true));
    check("MDM^T03^MDM_T01", "UN", &[], (&create, true));
    check("MDM^T03^MDM_T01", "OB", &[], (&update, true));
    check("MDM^T11^MDM_T01", "AV", &[], (&update, true));
}

#[test]
fn a_document_that_nothing_looks_for_is_not_made_without_its_content() {
    let text = header("MDM^T01^MDM_T01") + "\r" + PATIENT + "\rTXA|1|DS|TX|||||||||DOC1^DOC\r";
    let message = Message::parse(text.as_bytes()).expect("a message");
    let told = Translator::new(Settings::default()).to_fhir(&message);
    assert!(resources(&told, "DocumentReference").is_empty());
    check_told(&told, FindingKind::Incomplete, "TXA", "without its content");
}

#[test]
fn an_expected_admission_is_no_mode_of_arrival() {
    let visit = "PV1|1|I||||||||||||||||||V1^^^GOOD";
    let more = format!("PV2||||||||20261130{}A^Ambulance^HL70430", "|".repeat(30));
    let lines = [visit, more.as_str()];
    let told = check(
        "ADT^A01^ADT_A01",
        &lines,
        "Encounter.extension.0.valueDateTime",
        &[r#""2026-11-30""#],
    );
    let extensions = resources(&told, "Encounter").first().map(|own| own.items("extension").len());
    assert_eq!(extensions, Some(2), "{}", told.bundle.to_pretty_json());
    let place = "Encounter.extension.1.valueCoding.code";
    check("ADT^A01^ADT_A01", &lines, place, &[r#""A""#]);
}

#[test]
fn an_addendum_names_the_document_it_adds_to() {
    for (event, code) in [("T05", "appends"), ("T09", "replaces")] {
        let expected = format!(
            r#"[{{"code":"{code}","target":{{"identifier":{{"value":"DOC0","system":"https://good.example/id/DOC"}}}}}}]"#
        );
        check(
            &format!("MDM^{event}^MDM_T01"),
            &["TXA|1|DS|TX|||||||||DOC1^DOC|DOC0^DOC||||AU||AV"],
            "DocumentReference.relatesTo",
            &[expected.as_str()],
        );
    }
}

#[test]
fn a_duration_after_a_start_is_an_end() {
    let order = ["ORC|NW|P1^EHR", "RXE||1^Drug^L|1||TAB", "TQ1|1||BID|||5^d|202603160800+0100"];
    let period = r#"{"start":"2026-03-16T08:00:00+01:00","end":"2026-03-21T08:00:00+01:00"}"#;
    let place = "MedicationRequest.dosageInstruction.0.timing.repeat.boundsPeriod";
    check("RDE^O11^RDE_O11", &order, place, &[period]);
    let order = [
        "ORC|NW|P1^EHR",
        "TQ1|1||BID|||5^d|202603160800+0100|202603200800+0100",
        "OBR|1|P1^EHR||1^Test^L",
    ];
    let period = r#"{"start":"2026-03-16T08:00:00+01:00","end":"2026-03-20T08:00:00+01:00"}"#;
    let place = "ServiceRequest.occurrenceTiming.repeat.boundsPeriod";
    check("OML^O21^OML_O21", &order, place, &[period]);
}

#[test]
fn a_code_that_two_fields_tell_is_told_once() {
    let order = ["ORC|NW|P1^EHR", "RXE|^BID|1^Drug^L|1||TAB", "TQ1|1||BID"];
    let told = check(
        "RDE^O11^RDE_O11",
        &order,
        "MedicationRequest.dosageInstruction.0.timing.code.coding.2",
        &[""],
    );
    assert!(told.bundle.to_json().contains("v3-GTSAbbreviation"));
}

#[test]
fn what_nothing_refers_to_is_not_made() {
    let mut text = header("ADT^A01^ADT_A01");
    text.push_str("\rPID|1||4711^^^GOOD^MR~^^^ELSE^MR||Muster\rPV1|1|I\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let told = Translator::new(Settings::default()).to_fhir(&message);
    assert!(!told.bundle.to_json().contains("ELSE"));
    check_told(&told, FindingKind::Incomplete, "PID", "Identifier would lack its value");
    check_told(&told, FindingKind::Incomplete, "PID", "Organization");
}

#[test]
fn what_is_no_charge_is_told_with_its_reason() {
    let lines = ["FT1|1|T1||20260303||PY|1^Care^L", "FT1|2|T2||20260303||CG|1^Care^L"];
    let told = check("DFT^P03^DFT_P03", &lines, "ChargeItem.identifier.0.value", &[r#""T2""#]);
    check_told(&told, FindingKind::NotMapped, "FT1-7", "payment");
}

#[test]
fn a_historical_dose_is_not_the_givers_own() {
    let dose = |note: &str| format!("RXA|0|1|20260315|20260315|08^HepB^CVX|999|||{note}^^NIP001");
    let order = "ORC|RE||I1^IIS";
    for (note, expected) in [("00", "true"), ("01", "false")] {
        let rxa = dose(note);
        check("VXU^V04^VXU_V04", &[order, &rxa], "Immunization.primarySource", &[expected]);
    }
}

#[test]
fn a_time_without_a_zone_is_told_once() {
    let text = header("ADT^A01^ADT_A01").replace("+0100", "") + "\r" + PATIENT + "\rPV1|1|I\r";
    let message = Message::parse(text.as_bytes()).expect("a message");
    let told = Translator::new(Settings::default()).to_fhir(&message);
    let of_header = told
        .findings
        .iter()
        .filter(|own| own.kind == FindingKind::ZoneMissing && own.path.starts_with("MSH-7"));
    assert_eq!(of_header.count(), 1, "{:#?}", told.findings);
}

#[test]
fn a_message_to_nobody_has_no_destination() {
    check("ADT^A01^ADT_A01", &["PV1|1|I"], "MessageHeader.destination", &[""]);
    check("ADT^A01", &["PV1|1|I"], "MessageHeader.eventCoding.display", &[r#""ADT^A01""#]);
}

#[test]
fn a_number_that_is_not_divided_is_a_number() {
    let number = |xtn: &str, expected: &str| {
        let line = format!("NK1|1|Muster^Karl|||{xtn}");
        check("ADT^A28", &[&line], "RelatedPerson.telecom.0.value", &[&format!("{expected:?}")]);
    };
    number("^PRN^CP^^^^06645550104", "06645550104");
    number("^PRN^PH^^^^+43 1 5550111", "+43 1 5550111");
    number("^PRN^PH^^43^^6645550107", "+43 6645550107");
    number("^PRN^PH^^^^5550106^12", "5550106 X12");
    number("^PRN^PH^^^^5550106^^^^^+43 1 5550109", "+43 1 5550109");
    number("^PRN^PH^^^664^5550107", "664 5550107");
}

#[test]
fn a_person_who_is_deleted_is_out_of_use() {
    check("ADT^A29", &[], "Patient.active", &["false"]);
    check("ADT^A31", &[], "Patient.active", &[""]);
}

#[test]
fn an_order_that_is_withdrawn_or_held_is_not_active() {
    for (control, status) in [
        ("NW", "active"),
        ("CA", "revoked"),
        ("DC", "revoked"),
        ("HD", "on-hold"),
        ("RL", "active"),
    ] {
        let order = format!("ORC|{control}|P1");
        let lines = [order.as_str(), "OBR|1|P1||GLU^Glucose^L"];
        check("ORM^O01", &lines, "ServiceRequest.status", &[&format!("{status:?}")]);
    }
}

#[test]
fn a_value_of_whatever_type_is_kept() {
    let value = |of: &str, value: &str, unit: &str, expected: &str| {
        let line = format!("OBX|1|{of}|C^Name^L||{value}|{unit}|||||F");
        let lines = ["OBR|1||F1|GLU^Glucose^L", line.as_str()];
        check("ORU^R01", &lines, "Observation.valueString", &[&format!("{expected:?}")]);
    };
    value("NM", ">=^32", "ug/mL", ">= 32 ug/mL");
    value("NM", "1,5", "mg", "1,5 mg");
    value("EI", "DOC1^KIS", "", "DOC1 KIS");
    value("PPN", "7^Arzt^Eva", "", "Eva Arzt");
    value("XX", "one^two", "", "one two");
    value("AD", "Str^^Wien", "", "Str, Wien");
    value("AD", "Str^^Wien^W^1010", "", "Str, Wien, W 1010");
}

/// IN1-17 is what the insured is to the patient, Coverage.relationship what the patient is to the insured.
#[test]
fn a_parent_who_insures_a_child_is_no_child_of_it() {
    let check = |relation: &str, of_patient: &str, of_insured: &[&str]| {
        let insurance = format!("IN1|1|P1|C1^^^GOOD|Kasse||||||||||||Muster^Karl|{relation}");
        let lines = ["PV1|1|I", &insurance];
        let place = "Coverage.relationship.coding";
        let coding = format!(
            r#"[{{"code":"{of_patient}","system":"http://terminology.hl7.org/CodeSystem/subscriber-relationship"}}]"#
        );
        let expected = if of_patient.is_empty() { "" } else { &coding };
        let told = check("ADT^A01^ADT_A01", &lines, place, &[expected]);
        let persons = resources(&told, "RelatedPerson").into_iter();
        let relations = persons.flat_map(|own| own.items("relationship"));
        let codes = relations.filter_map(|own| own.items("coding").first()?.text("code"));
        assert_eq!(codes.collect::<Vec<_>>(), of_insured, "{relation}");
    };
    check("PAR^Parent^HL70063", "child", &["PRN"]);
    check("MTH", "child", &["MTH"]);
    check("CHD", "parent", &["CHILD"]);
    check("SPO", "spouse", &["SPS"]);
    check("GRD", "other", &["GRD"]);
    check("SEL", "self", &[]);
    check("X7", "", &["X7"]);
}

#[test]
fn a_plan_is_told_by_its_class_too() {
    let plan = r#"[{"value":"P1","name":"Plan A","type":{"coding":[{"code":"plan","system":"http://terminology.hl7.org/CodeSystem/coverage-class"}]}}]"#;
    let lines = ["PV1|1|I", "IN1|1|P1^Plan A|C1^^^GOOD|Kasse"];
    check("ADT^A01^ADT_A01", &lines, "Coverage.class", &[plan]);
    check("ADT^A01^ADT_A01", &lines, "Coverage.identifier.0.value", &[r#""P1""#]);
}

#[test]
fn a_mobile_telephone_is_not_that_of_a_home() {
    let telecom = |line: &str, expected: &str| {
        let translation = translate_lines("ADT^A01^ADT_A01", &[line, "PV1|1|I"]);
        let found = resources(&translation, "Patient")
            .first()
            .map(|own| own.get("telecom").map(Value::to_json).unwrap_or_default());
        assert_eq!(found.as_deref(), Some(expected), "{line}");
    };
    let patient = |home: &str| format!("PID|1||4711^^^GOOD^MR||Muster^Maria||||||||{home}");
    telecom(&patient("1^^CP"), r#"[{"value":"1","system":"phone","use":"mobile"}]"#);
    telecom(&patient("1"), r#"[{"value":"1","system":"phone","use":"home"}]"#);
    // How nobody is reached says nothing.
    telecom(&patient("^PRN^PH~^NET^^\"\""), "");
    // A number and an address in one field are two.
    telecom(
        &patient("1^^^a@b.example"),
        r#"[{"value":"1","system":"phone","use":"home"},{"value":"a@b.example","system":"email"}]"#,
    );
}

#[test]
fn a_number_that_two_fields_say_is_one() {
    let line = "PID|1|4711^^^GOOD^MR|4711^^^GOOD^MR~12^^^GOOD^PI||Muster^Maria";
    let translation = translate_lines("ADT^A01^ADT_A01", &[line, "PV1|1|I"]);
    let patient = resources(&translation, "Patient");
    let numbers: Vec<_> = patient
        .iter()
        .flat_map(|own| own.items("identifier"))
        .filter_map(|own| own.text("value"))
        .collect();
    assert_eq!(numbers, ["4711", "12"]);
    let request = translation.bundle.items("entry").iter().find_map(|entry| {
        let is_patient = entry.get("resource")?.resource_type() == Some("Patient");
        entry.get("request").filter(|_| is_patient)?.text("url")
    });
    assert_eq!(request, Some("Patient?identifier=https://good.example/id/GOOD|4711"));
}

/// What a result or an order says of a visit without its number would be one more Encounter with each message.
#[test]
fn a_visit_without_a_number_is_made_of_what_is_about_visits() {
    let made = |event: &str, lines: &[&str]| {
        let translation = translate(event, lines);
        let is_told = translation.findings.iter().any(|own| {
            own.kind == FindingKind::Incomplete
                && own.path.starts_with("PV1")
                && own.text.contains("no visit")
        });
        let ids: Vec<String> = resources(&translation, "Encounter")
            .iter()
            .map(|own| own.text("id").unwrap_or("by number").to_owned())
            .collect();
        assert_eq!(is_told, ids.is_empty(), "{event}: {:#?}", translation.findings);
        ids
    };
    let result = [
        "OBR|1||F1^LAB|GLU^Glucose^L|||20260315",
        "OBX|1|NM|GLU^Glucose^L||5.4|mmol/L^^UCUM|||||F",
    ];
    let oru = |visit| made("ORU^R01^ORU_R01", &[&[visit], result.as_slice()].concat());
    assert!(oru("PV1|1|I|W3^2|||||D1^Doc").is_empty());
    assert_eq!(oru("PV1|1|I||||||||||||||||||||||||||||||||||||||||||||||||V2^^^GOOD").len(), 1);
    assert_eq!(oru("PV1|1|I|||||||||||||||||V1^^^GOOD"), ["by number"]);
    assert!(made("SIU^S12^SIU_S12", &["SCH|P1|F1", "PV1|1|O", "RGS|1"]).is_empty());
    let adt = |event, begin: &str| {
        let line = format!("PV1|1|I|{}{begin}", "|".repeat(41));
        let ids = made(event, &[&line]);
        assert_eq!(ids.len(), 1, "{event}");
        ids
    };
    // A visit is its patient's, from its begin on.
    assert_eq!(adt("ADT^A01^ADT_A01", "202603150710"), adt("ADT^A08^ADT_A01", "202603150710"));
    assert_ne!(adt("ADT^A01^ADT_A01", "202603150710"), adt("ADT^A01^ADT_A01", "202603150810"));
}

#[test]
fn a_booked_visit_is_that_of_its_appointment() {
    let lines = ["SCH|P1|F1", "PV1|1|O|||||||||||||||||V1^^^GOOD", "RGS|1"];
    let order = [lines[0], PATIENT, lines[1], lines[2]];
    let translation = translate_lines("SIU^S12^SIU_S12", &order);
    let visit = resources(&translation, "Encounter");
    let appointments: usize = visit.iter().map(|own| own.items("appointment").len()).sum();
    assert_eq!((visit.len(), appointments), (1, 1));
}

#[test]
fn the_last_place_of_a_visit_is_told_from_those_before() {
    let line =
        format!("PV1|1|I|W3|||W1|||||TMP{}202603010900+0100|202603050900+0100", "|".repeat(33));
    let statuses = |event: &str, place: usize, what: &str, expected: &str| {
        check(event, &[&line], &format!("Encounter.location.{place}.{what}"), &[expected]);
    };
    for place in 0..3 {
        statuses("ADT^A03^ADT_A03", place, "status", r#""completed""#);
    }
    statuses("ADT^A03^ADT_A03", 0, "period.end", r#""2026-03-05T09:00:00+01:00""#);
    statuses("ADT^A03^ADT_A03", 1, "period", "");
}

#[test]
fn a_degree_is_said_once() {
    let lines = ["ORC|NW|P1^HIS||||||||||D1^Doc^Tor^^^^MD^^GOOD", "OBR|1|P1^HIS||GLU^Glucose^L"];
    check("ORM^O01^ORM_O01", &lines, "Practitioner.name.0.suffix", &[""]);
    check(
        "ORM^O01^ORM_O01",
        &lines,
        "Practitioner.qualification.0.code.coding.0.code",
        &[r#""MD""#],
    );
}

#[test]
fn an_authority_of_a_group_number_is_no_number() {
    let report = ["OBR|1|P1^HIS|F1^LAB|GLU^Glucose^L", "OBX|1|NM|GLU^Glucose^L||5||||||F"];
    let numbers = |group: &str, expected: &[(&str, &str)]| {
        let order = format!("ORC|RE|P1^HIS|F1^LAB|{group}");
        let translation =
            translate("ORU^R01^ORU_R01", &[&[order.as_str()], report.as_slice()].concat());
        let reports = resources(&translation, "DiagnosticReport");
        let found: Vec<_> = reports
            .iter()
            .flat_map(|own| own.items("identifier"))
            .map(|own| (own.text("value").unwrap_or(""), own.text("system").unwrap_or("")))
            .skip(2)
            .collect();
        assert_eq!(found, expected, "{group}");
    };
    let (his, lab) = ("https://good.example/id/HIS", "https://good.example/id/LAB");
    numbers("G1^HIS", &[("G1", his)]);
    // A pair of 2.8.
    numbers("G1&HIS^G2&LAB", &[("G2", lab), ("G1", his)]);
}

#[test]
fn the_kind_of_a_result_names_its_table() {
    let result = format!("OBX|1|NM|AGE^Hours^L||41||||||F{}QST", "|".repeat(18));
    let lines = ["OBR|1|P1^HIS|F1^LAB|GLU^Glucose^L", &result];
    let place = "Observation.category.0.coding.0.system";
    let system = r#""http://terminology.hl7.org/CodeSystem/v2-0936""#;
    check("ORU^R01^ORU_R01", &lines, place, &[system]);
}

#[test]
fn a_susceptibility_is_of_one_organism() {
    let culture = [
        "OBR|1||M1^LAB|600-7^Blood culture^LN|||20260315081000+0100||||||||||||||||||F",
        "OBX|1|CE|600-7^Bacteria^LN|1|112283007^E. coli^SCT||||||F",
        "OBX|2|CE|600-7^Bacteria^LN|2|3092008^S. aureus^SCT||||||F",
    ];
    let panel = |number: u8, sub: u8, germ: &str| {
        format!(
            "OBR|{number}||M1^LAB|50545-3^Susceptibility^LN|||20260315081000+0100||||||||||||||||||F|600-7&Bacteria&LN^{sub}^{germ}|||^M1&LAB"
        )
    };
    let (first, second) = (panel(2, 1, "E. coli"), panel(3, 2, "S. aureus"));
    let result = |value: &str, flag: &str| {
        format!("OBX|1|SN|18906-8^Ciprofloxacin^LN||{value}|ug/mL||{flag}|||F")
    };
    let (sensitive, resistant) = (result("<=^0.25", "S"), result(">^4", "R"));
    let (first, second) = (first.as_str(), second.as_str());
    let below = [first, sensitive.as_str(), second, resistant.as_str()];
    let lines: Vec<&str> = culture.iter().chain(&below).copied().collect();
    let told = translate("ORU^R01^ORU_R01", &lines);
    assert!(
        told.findings
            .iter()
            .all(|own| own.kind != FindingKind::Ambiguous && !own.path.starts_with("OBR")),
        "{:#?}",
        told.findings
    );
    let url = |germ: &str| {
        let all = told.bundle.items("entry").iter();
        let mut of_germ = all.filter(|entry| {
            entry.get("resource").is_some_and(|own| {
                let value = own.get("valueCodeableConcept").map(Value::to_json);
                value.is_some_and(|value| value.contains(germ))
            })
        });
        of_germ.next().and_then(|entry| entry.text("fullUrl")).expect("the organism").to_owned()
    };
    let results = resources(&told, "Observation");
    let below: Vec<&&Value> =
        results.iter().filter(|own| own.get("derivedFrom").is_some()).collect();
    assert_eq!(below.len(), 2);
    for (own, germ, note) in [
        (below.first(), "E. coli", "Result of: 600-7 Bacteria 1 E. coli"),
        (below.get(1), "S. aureus", "Result of: 600-7 Bacteria 2 S. aureus"),
    ] {
        let own = own.expect("a susceptibility");
        let parent = own.items("derivedFrom").first().expect("its organism");
        assert_eq!(parent.text("reference"), Some(url(germ).as_str()), "{germ}");
        assert_eq!(parent.text("display"), Some(germ));
        assert_eq!(own.items("note").first().and_then(|note| note.text("text")), Some(note));
    }
    // One panel alone is the same panel again, and says in words whose it is.
    let alone = translate("ORU^R01^ORU_R01", &[second, resistant.as_str()]);
    let one = resources(&alone, "Observation");
    assert_eq!(one.first().and_then(|own| own.id()), below.get(1).and_then(|own| own.id()));
    let display = one.first().and_then(|own| own.items("derivedFrom").first());
    assert_eq!(display.and_then(|own| own.text("display")), Some("S. aureus"));
    check_told(&alone, FindingKind::NotMapped, "OBR-26", "in words");
    // Where number and text name two organisms, nobody can say which is meant.
    let (mixed, unlike) = (panel(2, 2, "E. coli"), panel(2, 2, "Staph"));
    let derived = |panel: &str| {
        let below = [panel, sensitive.as_str()];
        let told = translate(
            "ORU^R01^ORU_R01",
            &culture.iter().chain(&below).copied().collect::<Vec<_>>(),
        );
        let results = resources(&told, "Observation");
        let from = results.last().and_then(|own| own.items("derivedFrom").first());
        let reference = from.and_then(|own| own.text("reference")).map(str::to_owned);
        (told, reference)
    };
    let (told, reference) = derived(&mixed);
    assert_eq!(reference, None);
    check_told(&told, FindingKind::Ambiguous, "OBR(2)-26", "derived from neither");
    let (told, reference) = derived(&unlike);
    assert!(reference.is_some(), "the number alone counts");
    check_told(&told, FindingKind::Ambiguous, "OBR(2)-26", "something else");
}

/// The report and the results of a susceptibility panel, by their ids.
fn panel_ids(order: &str, numbers: &str, parent: &str, value: &str) -> (Vec<String>, Vec<String>) {
    let obr = format!(
        "OBR|1|{numbers}|50545-3^Susceptibility^LN|||20260315081000+0100||||||||||||||||||F||||{parent}"
    );
    let result = format!("OBX|1|SN|18906-8^Ciprofloxacin^LN||{value}|ug/mL|||||F");
    let lines: Vec<&str> =
        [order, &obr, &result].into_iter().filter(|own| !own.is_empty()).collect();
    let told = translate("ORU^R01^ORU_R01", &lines);
    let ids = |name: &str| {
        let all = resources(&told, name).into_iter();
        all.filter_map(|own| own.id()).map(str::to_owned).collect::<Vec<_>>()
    };
    (ids("DiagnosticReport"), ids("Observation"))
}

#[test]
fn panels_of_one_number_that_follow_from_two_orders_are_two() {
    let by = |parent: &str| panel_ids("", "|S1^LAB", parent, "^0.25");
    // Corrected, the panel is the same one.
    assert_eq!(by("^M1&LAB"), panel_ids("", "|S1^LAB", "^M1&LAB", "^4"));
    let all =
        [by("^M1&LAB"), by("^M2&LAB"), by("P1&HIS"), by("P2&HIS^M1&LAB"), by("^M1&EAST"), by("")];
    for (at, one) in all.iter().enumerate() {
        for other in all.iter().skip(at + 1) {
            assert_ne!(one.0, other.0);
            assert_ne!(one.1, other.1);
        }
    }
    // What says nothing more than the panel's own number makes no other of it.
    for parent in ["^S1", "^S1&LAB", "\"\"", "^\"\""] {
        assert_eq!(by(parent), by(""), "{parent}");
    }
    let placed = |parent: &str| panel_ids("", "P1^HIS|", parent, "^0.25");
    assert_eq!(placed("P1&HIS"), placed(""));
    assert_ne!(placed("P1&HIS^M1&LAB"), placed("P1&HIS^M2&LAB"));
    // Two orders under one filler's number.
    assert_ne!(by("P1^S1"), by("P2^S1"));
    // ORC-8 is identical to OBR-29.
    let orc = |parent: &str| panel_ids(&format!("ORC|RE|||||||{parent}"), "|S1^LAB", "", "^4");
    assert_eq!(orc("^M1&LAB"), by("^M1&LAB"));
    assert_ne!(orc("^M1&LAB"), orc("^M2&LAB"));
    // What OBR-26 names is of the order that OBR-29 names.
    let organism = |parent: &str| {
        let obr = format!(
            "OBR|1||S1^LAB|50545-3^Susceptibility^LN|||20260315||||||||||||||||||F|600-7&Bacteria&LN^1|||{parent}"
        );
        let told = translate("ORU^R01^ORU_R01", &[&obr, "OBX|1|SN|18906-8^C^LN||^4|ug/mL|||||F"]);
        resources(&told, "DiagnosticReport").first().and_then(|own| own.id()).map(str::to_owned)
    };
    assert_ne!(organism("^M1&LAB"), organism("^M2&LAB"));
    assert_eq!(organism("^S1&LAB"), organism(""));
}

#[test]
fn panels_of_two_orders_in_one_message_stay_apart() {
    let panel = |number: u8, parent: &str, value: &str| {
        [
            format!(
                "OBR|{number}||S1^LAB|50545-3^Susceptibility^LN|||20260315||||||||||||||||||F||||{parent}"
            ),
            format!("OBX|1|SN|18906-8^Ciprofloxacin^LN||{value}|ug/mL|||||F"),
        ]
    };
    let ids = |panels: [[String; 2]; 2]| {
        let lines: Vec<&str> = panels.iter().flatten().map(String::as_str).collect();
        let told = translate("ORU^R01^ORU_R01", &lines);
        let found = resources(&told, "Observation").into_iter().filter_map(|own| {
            let value = own.get("valueQuantity").and_then(|own| own.get("value"))?.to_json();
            Some((value, own.id()?.to_owned()))
        });
        let mut found: Vec<_> = found.collect();
        found.sort();
        found
    };
    let [first, second] = [panel(1, "^M1&LAB", "^0.25"), panel(2, "^M2&LAB", "^4")];
    let lines: Vec<&str> = first.iter().chain(&second).map(String::as_str).collect();
    let one = translate("ORU^R01^ORU_R01", &lines);
    check_told(&one, FindingKind::Ambiguous, "OBR(2)-29", "their request names both");
    let told = ids([first.clone(), second.clone()]);
    assert_eq!(told, ids([second, first]), "in whichever order");
}

#[test]
fn an_organism_is_of_the_order_that_is_named() {
    let germ = |number: &str, germ: &str| {
        [
            format!("OBR|1|{number}|600-7^Blood culture^LN|||20260315||||||||||||||||||F"),
            format!("OBX|1|CE|600-7^Bacteria^LN|1|{germ}||||||F"),
        ]
    };
    let derived = |parent: &str, cultures: &[[String; 2]]| {
        let obr = format!(
            "OBR|3||S1^LAB|50545-3^Susceptibility^LN|||20260315||||||||||||||||||F|600-7&Bacteria&LN^1|||{parent}"
        );
        let mut lines: Vec<&str> = cultures.iter().flatten().map(String::as_str).collect();
        lines.extend([&*obr, "OBX|1|SN|18906-8^C^LN||^4|ug/mL|||||F"]);
        let told = translate("ORU^R01^ORU_R01", &lines);
        let results = resources(&told, "Observation");
        let from = results.last().and_then(|own| own.items("derivedFrom").first());
        let reference = from.and_then(|own| own.text("reference")).map(str::to_owned)?;
        let entry = told.bundle.items("entry").iter();
        let mut entry = entry.filter(|own| own.text("fullUrl") == Some(&reference));
        entry.next().and_then(|own| own.get("resource")).map(Value::to_json)
    };
    let both = [germ("P1^HIS|M1^LAB", "1^E. coli^L"), germ("P2^HIS|M2^LAB", "2^S. aureus^L")];
    for (parent, expected) in
        [("^M1&LAB", "E. coli"), ("P2&HIS", "S. aureus"), ("P1&HIS^M1&LAB", "E. coli")]
    {
        assert!(derived(parent, &both).is_some_and(|own| own.contains(expected)), "{parent}");
    }
    // Another culture's organism is none of this order's.
    for parent in ["P2&HIS", "^M2&LAB", "P1&HIS^M2&LAB", "^M1&EAST"] {
        assert_eq!(derived(parent, both.get(..1).unwrap_or_default()), None, "{parent}");
    }
}

/// A text and a document of one result under one OBX-4 both stand, and are the same two in whichever order they are told.
#[test]
fn a_text_and_its_document_are_two() {
    let order = "OBR|1||F1^LAB|11502-2^Report^LN|||20260315||||||||||||||||||F";
    let text = "OBX|1|TX|11502-2^Report^LN|1|text||||||F";
    let document = "OBX|2|ED|11502-2^Report^LN|1|^application^pdf^Base64^JVBERi0=||||||F";
    let told = |results: &[&str]| {
        let told = translate("ORU^R01^ORU_R01", &[&[order], results].concat());
        let all = resources(&told, "Observation").into_iter();
        let mut all: Vec<(bool, String)> = all
            .filter_map(|own| Some((own.get("valueString").is_some(), own.id()?.to_owned())))
            .collect();
        all.sort();
        all
    };
    let both = told(&[text, document]);
    assert_eq!(both.len(), 2);
    assert_eq!(both, told(&[document, text]));
    assert_eq!(both, told(&[&text.replace("|text|", "|another|"), document]));
    // One alone replaces neither: whether it is one of two nobody says.
    for alone in [text, document] {
        let alone = told(&[alone]);
        assert!(alone.iter().all(|(_, id)| both.iter().all(|(_, other)| other != id)));
    }
    // Of several of a kind each has its number.
    let three = told(&[text, document, &text.replace("|text|", "|more|")]);
    assert_eq!(three.len(), 3);
    assert!(both.iter().all(|own| three.contains(own)));
}

#[test]
fn a_visit_that_nobody_can_name_is_told_once() {
    let lines = ["PV1|1|O|A^B", "OBR|1||F1^LAB|24323-8^C", "OBX|1|NM|2^K^L||5||||||F"];
    let told = translate("ORU^R01^ORU_R01", &lines);
    let of_visit: Vec<_> = told.findings.iter().filter(|own| own.path.starts_with("PV1")).collect();
    assert_eq!(of_visit.len(), 1, "{of_visit:#?}");
}

#[test]
fn a_number_keeps_who_assigned_it_where_that_has_no_uri() {
    let text = header("ORU^R01^ORU_R01")
        + "\r"
        + PATIENT
        + "\rOBR|1||F900^BIRLAB|1^Test^L|||20260315||||||||||||||||||F\rOBX|1|NM|2^K^L||5||||||F\r";
    let message = Message::parse(text.as_bytes()).expect("a message");
    let told = Translator::new(Settings::default()).to_fhir(&message);
    let reports = resources(&told, "DiagnosticReport");
    let identifier = reports.first().and_then(|own| own.items("identifier").first());
    let assigner = identifier.and_then(|own| own.get("assigner")).map(Value::to_json);
    assert_eq!(assigner.as_deref(), Some(r#"{"display":"BIRLAB"}"#));
    check_told(&told, FindingKind::SystemUnknown, "OBR-3", "no known URI");
}

#[test]
fn a_charge_and_its_credit_in_one_message_end_as_the_last_of_them() {
    let charge = "FT1|1|T1||20260303||CG|1^Care^L";
    let credit = "FT1|2|T1||20260304||CR|1^Care^L";
    let event = "DFT^P03^DFT_P03";
    let told = check(event, &[charge, credit], "ChargeItem.status", &["\"aborted\""]);
    check_told(&told, FindingKind::ValueUnfit, "FT1(2)", "told last counts");
    check(event, &[credit, charge], "ChargeItem.status", &["\"billable\""]);
    check(event, &[credit, charge], "ChargeItem.note", &[""]);
}

#[test]
fn a_document_that_is_replaced_is_superseded_where_it_stands() {
    let settings = |base: Option<&str>| Settings {
        system_base: base.map(str::to_owned),
        ..Settings::default()
    };
    let told = |event: &str, number: &str, parent: &str, base: Option<&str>| {
        let text = format!(
            "MSH|^~\\&|HIS|GOOD|||20260315||MDM^{event}^MDM_T02|1|P|2.5.1\rEVN|{event}|20260315\rPID|1||4711^^^GOOD^MR\rTXA|1|DS|TX|||||||||{number}|{parent}||||LA||AV\rOBX|1|TX|DS^B^LN||Text||||||F"
        );
        let message = Message::parse(text.as_bytes()).expect("a message");
        let translation = Translator::new(settings(base)).to_fhir(&message);
        let entries = translation.bundle.items("entry").iter();
        let patches = entries.filter_map(|own| own.get("request"));
        let patches = patches.filter(|own| own.text("method") == Some("PATCH"));
        let patches: Vec<String> = patches.map(Value::to_json).collect();
        let is_told = translation
            .findings
            .iter()
            .any(|own| own.kind == FindingKind::LeftOut && own.text.contains("TXA-13"));
        (patches.join(" "), is_told)
    };
    let base = Some("https://good.example/");
    let patch = r#"{"extension":[{"url":"urn:pipehat:if-found","valueBoolean":true}],"method":"PATCH","url":"DocumentReference?identifier=https://good.example/GOOD|D1&status=current"}"#;
    assert_eq!(told("T10", "D2^GOOD", "D1^GOOD", base), (patch.to_owned(), false));
    // Whose number it is nobody knows: nothing is made up, and it is said.
    assert_eq!(told("T10", "D2^GOOD", "D1^GOOD", None), (String::new(), true));
    // An addendum replaces nothing, nor does a document itself.
    assert_eq!(told("T06", "D2^GOOD", "D1^GOOD", base), (String::new(), false));
    assert_eq!(told("T10", "D1^GOOD", "D1^GOOD", base), (String::new(), false));
    assert_eq!(told("T10", "D2^GOOD", "", base), (String::new(), false));
}

#[test]
fn a_note_in_several_repetitions_is_one_note_with_their_lines() {
    const NOTES: [&str; 3] = ["NTE|1||one~two~three", "NTE|1||~one~~two", "NTE|1||one~two||9^Tec"];
    let texts = [r"one\ntwo\nthree", r"\none\n\ntwo", r"one\ntwo"];
    let notes = |event: &str, lines: &[&str], behind: usize, place: &str, extension: &str| {
        for (note, text) in NOTES.iter().zip(texts) {
            let mut lines = lines.to_vec();
            lines.insert(behind, note);
            let translation = translate(event, &lines);
            let (name, element) = place.split_once('.').expect("a type and an element");
            let found: Vec<String> = resources(&translation, name)
                .iter()
                .flat_map(|own| own.items(element))
                .map(Value::to_json)
                .filter(|own| element != "extension" || own.contains(extension))
                .collect();
            let [found] = found.as_slice() else { panic!("{event} {note}: {found:#?}") };
            assert!(found.contains(&format!("\"text\":\"{text}\"")), "{event} {note}: {found}");
            let is_signed = found.contains("authorReference");
            assert_eq!(is_signed, note.ends_with("Tec"), "{event} {note}: {found}");
        }
    };
    let result = ["OBR|1||F1^L|1^T^L|||20260315||||||||||||||||||F", "OBX|1|ST|2^K^L||a||||||F"];
    notes("ORU^R01^ORU_R01", &result, 1, "DiagnosticReport.extension", "DiagnosticReport.note");
    notes("ORU^R01^ORU_R01", &result, 2, "Observation.note", "");
    let order = ["ORC|NW|P1^L", "OBR|1|P1^L||1^T^L"];
    notes("OML^O21^OML_O21", &order, 2, "ServiceRequest.note", "");
    notes("ORM^O01^ORM_O01", &order, 2, "ServiceRequest.note", "");
    let schedule = "SCH|1^L|||||R^Routine^L|||30|min|^^30^202603151000+0000";
    for (note, text) in NOTES.iter().zip(texts) {
        let lines = [schedule, note, PATIENT, "RGS|1", "AIS|1||A^B^L"];
        let translation = translate_lines("SIU^S12^SIU_S12", &lines);
        let appointments = resources(&translation, "Appointment");
        let json = appointments.iter().map(|own| own.to_json()).collect::<String>();
        assert_eq!(json.matches("Appointment.note").count(), 1, "{note}: {json}");
        assert_eq!(json.matches(&format!("\"text\":\"{text}\"")).count(), 1, "{note}: {json}");
    }
}

#[test]
fn a_local_time_that_is_not_or_is_twice_becomes_no_other_instant() {
    let zone = Some(jiff::tz::TimeZone::get("Europe/Lisbon").expect("the database has it"));
    let translator = Translator::new(Settings { zone, ..Settings::default() });
    let check = |event: &str,
                 time: &str,
                 place: (&str, &str),
                 expected: &str,
                 kind,
                 words: &str| {
        let text = format!(
            "MSH|^~\\&|HIS|GOOD|||20270101||{event}|1|P|2.5.1\r{PATIENT}\rOBR|1||F1^L|1^T^L|||{time}|||||||||||||||{time}|||F\rOBX|1|NM|2^K^L||5||||||F\r"
        );
        let message = Message::parse(text.as_bytes()).expect("a message");
        let told = translator.to_fhir(&message);
        let found = resources(&told, place.0);
        let found = found.first().and_then(|own| own.text(place.1)).unwrap_or_default();
        assert_eq!(found, expected, "{time} {:#?}", told.findings);
        check_told(&told, kind, "OBR-", words);
    };
    let oru = "ORU^R01^ORU_R01";
    let (skipped, twice) = (FindingKind::ValueUnfit, FindingKind::ZoneMissing);
    let (effective, issued) =
        (("DiagnosticReport", "effectiveDateTime"), ("DiagnosticReport", "issued"));
    check(oru, "20270328013000", effective, "2027-03-28", skipped, "only the date is kept");
    check(oru, "20270328013000", issued, "", skipped, "went forward: left out");
    check(oru, "20271031013000", effective, "2027-10-31", twice, "only the date is kept");
    check(oru, "20271031013000", issued, "", twice, "went back: left out");
}

/// HL7 2.1 and 2.2 call the structures of A04, A08, A34 and others by their own names; what they say later versions say by ADT_A01 and
/// ADT_A30.
#[test]
fn what_an_old_version_calls_otherwise_is_translated_by_the_newest_one() {
    let check = |version: &str, event: &str, lines: &str, name: &str, expected: usize| {
        let text = format!(
            "MSH|^~\\&|HIS|GOOD|||20260315073000||ADT^{event}|1|P|{version}\r{PATIENT}\r{lines}"
        );
        let message = Message::parse(text.as_bytes()).expect("a message");
        let base = Some("https://good.example/id/".to_owned());
        let settings = Settings { system_base: base, ..Settings::default() };
        let translation = Translator::new(settings).to_fhir(&message);
        assert_eq!(resources(&translation, name).len(), expected, "{version} {event}");
    };
    for version in ["2.1", "2.2"] {
        for event in ["A04", "A08", "A13"] {
            check(version, event, "PV1|1|I|2W||||||||||||||||V1^^^GOOD", "Encounter", 1);
        }
        for event in ["A34", "A36", "A40"] {
            check(version, event, "MRG|4712^^^GOOD^MR", "Patient", 2);
        }
    }
}

/// An event that HL7 doesn't have, and what a message says that names none.
#[test]
fn of_an_event_that_hl7_does_not_have_nothing_is_guessed() {
    let check = |event: &str, version: &str, patients: usize, expected: Option<&str>| {
        let text = format!(
            "MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|1|P|{version}\r{PATIENT}\rPV1|1|I|2W"
        );
        let message = Message::parse(text.as_bytes()).expect("a message");
        let base = Some("https://good.example/id/".to_owned());
        let settings = Settings { system_base: base, ..Settings::default() };
        let translation = Translator::new(settings).to_fhir(&message);
        assert_eq!(resources(&translation, "Patient").len(), patients, "{event} {version}");
        let kind = FindingKind::StructureUnknown;
        let mut found = translation.findings.iter().filter(|own| own.kind == kind);
        let told = found.next().map(|own| (own.path.as_str(), own.text.split(':').next()));
        let expected = expected.map(|text| ("MSH-9", Some(text)));
        assert_eq!(told, expected, "{event} {version}");
        assert!(found.next().is_none(), "{event} {version}");
    };
    let unknown = "no version of HL7 has this event";
    for version in ["2.1", "2.3", "2.5.1", "2.9.1"] {
        check("ADT^A99", version, 0, Some(&format!("{unknown}, and no table is for it")));
        check("ADT^A99^ADT_A99", version, 0, Some(&format!("{unknown}, and no table is for it")));
        check("ADT", version, 1, Some("MSH-9.2 names no event"));
        // One of another version is known.
        check("ADT^A62", version, 1, None);
        check("ADT^A08", version, 1, None);
    }
    check("ADT^Z01", "2.5.1", 0, Some(&format!("{unknown}, and no table is for it")));
    check("ADT^Z01^ADT_A01", "2.5.1", 1, Some(unknown));
    check("ADT^A01^ADT_A01", "2.5.1", 1, None);
    check("ADT^A08^ADT_A08", "2.5.1", 1, None);
    check("ORU^R99", "2.5.1", 0, Some(&format!("{unknown}, and no table is for it")));
    check("ORU", "2.2", 1, Some("MSH-9.2 names no event"));
}

#[test]
fn every_event_of_a_patient_or_a_visit_is_translated_in_every_version() {
    let translator = Translator::new(Settings::default());
    let mut unknown = Vec::new();
    for version in Version::ALL {
        for event in version.events().filter(|event| event.message_code() == "ADT") {
            let event = event.trigger_event();
            let text = format!(
                "MSH|^~\\&|HIS|GOOD|||20260315073000+0100||ADT^{event}|1|P|{version}\r{PATIENT}\r"
            );
            let message = Message::parse(text.as_bytes()).expect("a message");
            let findings = translator.to_fhir(&message).findings;
            if findings.iter().any(|own| own.kind == FindingKind::StructureUnknown) {
                unknown.push(format!("{version} {event}"));
            }
        }
    }
    assert_eq!(unknown, [""; 0]);
}
