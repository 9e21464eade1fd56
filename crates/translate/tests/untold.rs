//! What a message does not speak of: a visit that is told of by an update is no visit that begins, and where the resource
//! stands already, it stays as it stands.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_resource::kept::{Keeps, Others};
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{Settings, Translation, Translator};

/// The Bundle and the findings of a message.
fn translated(event: &str, lines: &[&str]) -> Translation {
    let mut text = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|1|P|2.5.1\r");
    text += &lines.join("\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let base = Some("https://good.example/id/".to_owned());
    Translator::new(Settings { system_base: base, ..Settings::default() }).to_fhir(&message)
}

/// The resource of a type in a message sent on 15 March 2026 at 07:30, and which of its elements stay as they stand.
fn told(event: &str, lines: &[&str], name: &str) -> Option<(Value, Vec<String>)> {
    let mut text = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|1|P|2.5.1\r");
    let mut lines = lines.to_vec();
    // Behind what is the message's own.
    let before = ["SCH|", "RF1|", "PRD|"];
    let at = lines.iter().take_while(|line| before.iter().any(|own| line.starts_with(own)));
    lines.insert(at.count(), "PID|1||4711^^^GOOD^MR||Muster^Maria");
    text += &lines.join("\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let base = Some("https://good.example/id/".to_owned());
    let told =
        Translator::new(Settings { system_base: base, ..Settings::default() }).to_fhir(&message);
    for issue in validate(&told.bundle, Checks::All) {
        assert!(!issue.is_error(), "{:?} {}", issue.expression, issue.text);
    }
    let mut entries = told.bundle.items("entry").iter();
    let entry =
        entries.find(|own| own.get("resource").and_then(Value::resource_type) == Some(name))?;
    let keeps = Keeps::of_request(entry.get("request")?).expect("it is read").unwrap_or_default();
    // What is kept of all that is not told: tests/untold_people.rs.
    let keeps = keeps.elements().filter(|own| !own.ends_with('*')).map(str::to_owned).collect();
    Some((entry.get("resource")?.clone(), keeps))
}

/// A visit by its class, number, begin and end.
fn visit(class: &str, begin: &str, end: &str) -> String {
    let line =
        format!("PV1|1|{class}|W1{}V1^^^GOOD{}{begin}|{end}", "|".repeat(16), "|".repeat(25));
    line.trim_end_matches('|').to_owned()
}

/// The status of the visit, that of its place, and whether the status stays as it stands.
#[track_caller]
fn check(event: &str, lines: &[&str], expected: (&str, Option<&str>, bool)) {
    let (encounter, keeps) = told(event, lines, "Encounter").expect("a visit");
    let status = encounter.text("status").unwrap_or_default();
    let place = encounter.items("location").first().and_then(|place| place.text("status"));
    let is_kept = keeps.iter().any(|own| own == "status");
    assert_eq!((status, place, is_kept), expected, "{event} {lines:?}");
}

#[test]
fn an_update_does_not_say_that_a_visit_begins() {
    for event in ["ADT^A08^ADT_A01", "ADT^A28^ADT_A05", "ADT^A31^ADT_A05", "BAR^P05^BAR_P05"] {
        check(event, &[&visit("I", "", "")], ("unknown", None, true));
        check(event, &[&visit("I", "20260310", "")], ("in-progress", Some("active"), true));
        check(event, &[&visit("I", "20260315", "")], ("in-progress", Some("active"), true));
        check(event, &[&visit("I", "20260401", "")], ("planned", Some("planned"), true));
        check(event, &[&visit("P", "", "")], ("planned", Some("planned"), true));
        let expected = "PV2||||||||20260401";
        check(event, &[&visit("I", "", ""), expected], ("planned", Some("planned"), true));
        // Where the message says that it ended, that counts.
        let ended = visit("I", "20260310", "20260314");
        check(event, &[&ended], ("finished", Some("completed"), false));
    }
}

/// Messages about other things, without the visit, and at which line that stands.
const OTHERS: [(&str, &[&str], usize); 10] = [
    ("ORU^R01^ORU_R01", &["OBR|1||F1^LAB|T^Test^L|||20260315", "OBX|1|NM|T^Test^L||1||||||F"], 0),
    ("ORM^O01^ORM_O01", &["ORC|NW|O1^HIS", "OBR|1|O1^HIS||T^Test^L"], 0),
    ("OML^O21^OML_O21", &["ORC|NW|O1^HIS", "OBR|1|O1^HIS||T^Test^L"], 0),
    ("OMG^O19^OMG_O19", &["ORC|NW|O1^HIS", "OBR|1|O1^HIS||T^Test^L"], 0),
    ("MDM^T02^MDM_T02", &["TXA|1|DS|TX|||||||||D1^DOC|||||LA", "OBX|1|TX|T^T^L||x||||||F"], 0),
    ("SIU^S12^SIU_S12", &["SCH||A1^GOOD|||||||||^^^20270101090000+0100^20270101100000+0100"], 1),
    ("DFT^P03^DFT_P03", &["FT1|1|T1|||20260314||CG|L1^x^L"], 0),
    ("VXU^V04^VXU_V04", &["ORC|RE||I1^GP", "RXA|0|1|20260314||08^HepB^CVX|1"], 0),
    ("RDE^O11^RDE_O11", &["ORC|NW|R1^HIS", "RXE||M^Med^L|1||mg", "RXR|PO"], 0),
    ("REF^I12^REF_I12", &["RF1|P|R|M", "PRD|RP|Good^Grace"], 2),
];

#[test]
fn a_message_about_other_things_does_not_say_that_a_visit_begins() {
    for (event, lines, at) in OTHERS {
        let check = |class: &str, begin: &str, end: &str, expected| {
            let visit = visit(class, begin, end);
            let mut lines = lines.to_vec();
            lines.insert(at, &visit);
            check(event, &lines, expected);
        };
        check("I", "", "", ("unknown", None, false));
        check("I", "20260310", "", ("in-progress", Some("active"), false));
        check("I", "20260401", "", ("planned", Some("planned"), false));
        check("P", "", "", ("planned", Some("planned"), false));
        check("I", "20260310", "20260314", ("finished", Some("completed"), false));
    }
    // The outpatient visit of a booking is to come.
    let (event, lines, _) = OTHERS[5];
    let visit = visit("O", "", "");
    check(event, &[lines[0], &visit], ("planned", Some("planned"), false));
}

#[test]
fn an_event_says_that_a_visit_begins() {
    for event in ["ADT^A01^ADT_A01", "ADT^A04^ADT_A01", "ADT^A02^ADT_A02", "ADT^A06^ADT_A06"] {
        check(event, &[&visit("I", "20260401", "")], ("in-progress", Some("active"), false));
        check(event, &[&visit("I", "", "")], ("in-progress", Some("active"), false));
    }
    check("ADT^A05^ADT_A05", &[&visit("I", "", "")], ("planned", Some("planned"), false));
}

/// What of a resource stays as it stands.
#[track_caller]
fn check_kept(event: &str, lines: &[&str], name: &str, expected: &[&str]) {
    let (_, keeps) = told(event, lines, name).expect("a resource");
    assert_eq!(keeps, expected, "{event} {lines:?}");
}

#[test]
fn an_empty_field_changes_nothing() {
    let a08 = "ADT^A08^ADT_A01";
    let bare = ["status", "period.start", "period.end", "hospitalization.dischargeDisposition"];
    check_kept(a08, &[&visit("I", "", "")], "Encounter", &bare);
    let begun = ["status", "period.end", "hospitalization.dischargeDisposition"];
    check_kept(a08, &[&visit("I", "20260310", "")], "Encounter", &begun);
    let gone = ["hospitalization.dischargeDisposition"];
    check_kept(a08, &[&visit("I", "20260310", "20260314")], "Encounter", &gone);
    // Nor of an event that does not begin anew.
    let timeless = visit("I", "", "");
    for event in ["ADT^A02^ADT_A02", "ADT^A07^ADT_A06", "ADT^A13^ADT_A01", "ADT^A25^ADT_A21"] {
        check_kept(event, &[&timeless], "Encounter", &["period.start"]);
        check_kept(event, &[&visit("I", "20260310", "")], "Encounter", &[]);
    }
    let bare = ["period.start", "period.end", "hospitalization.dischargeDisposition"];
    check_kept("ADT^A03^ADT_A03", &[&timeless], "Encounter", &bare);
    check_kept("ADT^A03^ADT_A03", &[&visit("I", "20260310", "20260314")], "Encounter", &gone);
    for event in ["ADT^A01^ADT_A01", "ADT^A04^ADT_A01", "ADT^A05^ADT_A05", "ADT^A14^ADT_A05"] {
        check_kept(event, &[&timeless], "Encounter", &[]);
    }
    // `""` takes away (HL7 v2.5.1 §2.5.3).
    let deleted = visit("I", "20260310", "\"\"");
    check_kept(a08, &[&deleted], "Encounter", &["status", "hospitalization.dischargeDisposition"]);
    // A result is not about visits, and changes none.
    let lines = [visit("I", "", ""), "OBR|1||F1^LAB|T^Test^L".to_owned()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check_kept("ORU^R01^ORU_R01", &lines, "Encounter", &[]);
}

#[test]
fn a_changed_appointment_stays_what_it_was() {
    let lines = |status: &str| {
        format!(
            "SCH||F1^GOOD|||||||||^^^20260401090000+0100^20260401093000+0100{}{status}",
            "|".repeat(14)
        )
    };
    let (bare, told) = (lines(""), lines("Cancelled"));
    let all = ["status", "cancelationReason"];
    check_kept("SIU^S14^SIU_S12", &[&bare], "Appointment", &all);
    check_kept("SIU^S14^SIU_S12", &[&told], "Appointment", &[]);
    for event in ["SIU^S12^SIU_S12", "SIU^S13^SIU_S12", "SIU^S15^SIU_S12"] {
        check_kept(event, &[&bare], "Appointment", &[]);
    }
    // A code that nobody knows says nothing.
    check_kept("SIU^S14^SIU_S12", &[&lines("Umgebucht")], "Appointment", &all);
    // Its first component is a number of times, and mostly empty.
    for event in ["SIU^S18^SIU_S12", "SIU^S22^SIU_S12"] {
        check_kept(event, &[&lines("Booked")], "Appointment", &[]);
    }
    let timeless = "SCH||F1^GOOD";
    let all = ["status", "cancelationReason", "start", "end"];
    check_kept("SIU^S14^SIU_S12", &[timeless], "Appointment", &all);
}

#[test]
fn a_document_keeps_the_content_that_a_message_does_not_bring() {
    let document = "TXA|1|DS|TX|||20260314||||||DOC1^DOC|||||LA||AV";
    let text = "OBX|1|TX|A^History^L||one||||||F";
    for event in ["MDM^T01^MDM_T01", "MDM^T03^MDM_T01", "MDM^T09^MDM_T01", "MDM^T11^MDM_T01"] {
        let (told, keeps) = told(event, &[document], "DocumentReference").expect("a document");
        assert!(keeps.iter().any(|own| own == "content"), "{event} {keeps:?}");
        assert!(keeps.iter().any(|own| own == "author"), "{event} {keeps:?}");
        for own in ["docStatus", "status", "date", "type"] {
            assert!(!keeps.iter().any(|kept| kept == own), "{event} {own}");
        }
        assert!(told.text("docStatus").is_some() || told.get("_docStatus").is_some());
    }
    check_kept("MDM^T02^MDM_T02", &[document, text], "DocumentReference", &[]);
    // What it replaces stays, where that is not told again.
    for event in ["MDM^T04^MDM_T02", "MDM^T06^MDM_T02", "MDM^T08^MDM_T02"] {
        check_kept(event, &[document, text], "DocumentReference", &["relatesTo"]);
    }
    let replaces = "TXA|1|DS|TX|||20260314||||||DOC2^DOC|DOC1^DOC||||LA||AV";
    check_kept("MDM^T10^MDM_T02", &[replaces, text], "DocumentReference", &[]);
    check_kept("MDM^T06^MDM_T02", &[replaces, text], "DocumentReference", &[]);
}

#[test]
fn a_field_is_told_where_its_first_component_is_empty() {
    let document =
        "TXA|1|^Letter^L|TX|||20260314|||^New^B|^Signer^S||DOC1^DOC||||^x^1.2.3^ISO|LA||AV";
    let (_, keeps) = told("MDM^T03^MDM_T01", &[document], "DocumentReference").expect("one");
    for own in ["type", "author", "authenticator", "identifier"] {
        assert!(!keeps.iter().any(|kept| kept == own), "{own}");
    }
}

/// Which lists of the Appointment are told in part, with what is taken out of each.
#[track_caller]
fn check_parts(event: &str, lines: &[&str], expected: &[(&str, &[&str])]) {
    let schedule = "SCH||F1^GOOD|||||||30|min|^^^20260401090000+0200^20260401093000+0200";
    let lines = [&[schedule, "PID|1||4711^^^GOOD^MR||Muster^Maria"], lines].concat();
    let told = translated(event, &lines);
    for issue in validate(&told.bundle, Checks::All) {
        assert!(!issue.is_error(), "{:?} {}", issue.expression, issue.text);
    }
    let entries = told.bundle.items("entry");
    let is_appointment =
        |own: &&Value| own.get("resource").and_then(Value::resource_type) == Some("Appointment");
    let appointments: Vec<&Value> = entries.iter().filter(is_appointment).collect();
    let [appointment] = appointments.as_slice() else { panic!("one appointment") };
    let request = appointment.get("request").expect("a request");
    let keeps = Keeps::of_request(request).expect("it is read").unwrap_or_default();
    // An entry by what it is found by.
    let found_by = |name: &str| {
        let entry = entries.iter().find(|own| own.text("fullUrl") == Some(name));
        let found_by = entry.and_then(|own| own.get("request")?.text("ifNoneExist"));
        found_by.unwrap_or(name).replace("https://good.example/id/", "")
    };
    let found: Vec<(&str, Vec<String>)> = keeps
        .items()
        .iter()
        // Of these every message that changes one tells some.
        .filter(|own| !["identifier", "extension"].contains(&&*own.element))
        .map(|own| (&*own.element, own.without.iter().map(|name| found_by(name)).collect()))
        .collect();
    let found: Vec<(&str, Vec<&str>)> =
        found.iter().map(|(own, gone)| (*own, gone.iter().map(String::as_str).collect())).collect();
    let expected: Vec<(&str, Vec<&str>)> =
        expected.iter().map(|(own, gone)| (*own, gone.to_vec())).collect();
    assert_eq!(found, expected, "{event} {lines:?}");
}

#[test]
fn resources_with_action_codes_are_told_one_by_one() {
    let s14 = "SIU^S14^SIU_S12";
    let all: &[(&str, &[&str])] = &[("participant", &[]), ("serviceType", &[])];
    let silva = |action: &str| format!("AIP|1|{action}|77^Silva^Rui^^^^^^GOOD");
    for event in [s14, "SIU^S13^SIU_S12", "SIU^S18^SIU_S12", "SRR^S07^SRR_S01"] {
        let lines: &[&str] = &["RGS|1", &silva("U")];
        let lines = if event.starts_with("SRR") { &[][..] } else { lines };
        check_parts(event, lines, all);
    }
    check_parts(s14, &["RGS|1|U", &silva("")], all);
    check_parts(s14, &["RGS|1", &silva("")], &[]);
    check_parts(s14, &[], all);
    // What is made is whole, and so is what is cancelled with its resources.
    check_parts("SIU^S12^SIU_S12", &["RGS|1|A", &silva("A")], &[]);
    check_parts("SIU^S12^SIU_S12", &[], &[]);
    check_parts("SIU^S15^SIU_S12", &["RGS|1|D", &silva("D")], &[]);
    check_parts("SIU^S15^SIU_S12", &[], all);
    // What is taken out is named as what it is found by.
    let person = "identifier=GOOD|77";
    check_parts(
        s14,
        &["RGS|1", &silva("D"), "AIP|2|A|78^Costa^Ana^^^^^^GOOD"],
        &[("participant", &[person]), ("serviceType", &[])],
    );
    check_parts(
        s14,
        &["RGS|1", "AIS|1|D|CHK^Checkup^L", "RGS|2|D", "AIS|1|U|SCN^Scan^L", &silva("U")],
        &[("participant", &[person]), ("serviceType", &["L|CHK", "L|SCN"])],
    );
}

/// Why fields of a service and of a person that nothing takes over are left out.
#[track_caller]
fn check_reasons(lines: &[&str], expected: &[&str]) {
    let schedule = "SCH||F1^GOOD|||||||30|min|^^^20260401090000+0200^20260401093000+0200";
    let lines = [&[schedule, "PID|1||4711^^^GOOD^MR||Muster^Maria", "RGS|1"], lines].concat();
    let told = translated("SIU^S12^SIU_S12", &lines);
    let found: Vec<String> = told
        .findings
        .iter()
        .filter(|own| own.path.starts_with("AI"))
        .map(|own| format!("{} {}", own.path, own.text))
        .collect();
    assert_eq!(found, expected, "{lines:?}");
}

#[test]
fn what_was_not_deleted_is_not_said_to_be() {
    let offset = "An offset from the start of the appointment: a start that is told is kept, none is reckoned.";
    let offsets = |fields: &[&str]| -> Vec<String> {
        fields.iter().map(|field| format!("{field} {offset}")).collect()
    };
    let check = |line: &str, fields: &[&str]| {
        let expected = offsets(fields);
        check_reasons(&[line], &expected.iter().map(String::as_str).collect::<Vec<_>>());
    };
    check("AIS|1||CHK^Checkup^L|20260401090000+0200|5|min", &["AIS-5", "AIS-6"]);
    check("AIG|1||D1^Scanner|||||20260401090000+0200|5|min", &["AIG-9", "AIG-10"]);
    check("AIL|1||R1^^^GOOD|||20260401090000+0200|5|min", &["AIL-7", "AIL-8"]);
    check("AIP|1||77^Silva^Rui|||20260401090000+0200|5|min", &["AIP-7", "AIP-8"]);
    let gone = "Deleted from the appointment (AIP-2 or RGS-2 is D): it is no part of it any more.";
    let expected =
        ["AIP-1", "AIP-3.1", "AIP-3.2", "AIP-3.3"].map(|field| format!("{field} {gone}"));
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check_reasons(&["AIP|1|D|77^Silva^Rui"], &expected);
}

/// What of the places of a visit stays.
#[track_caller]
fn check_places(event: &str, lines: &[&str], expected: Option<(&[&str], &str)>) {
    let told = translated(event, lines);
    let mut entries = told.bundle.items("entry").iter();
    let is_visit =
        |own: &&Value| own.get("resource").and_then(Value::resource_type) == Some("Encounter");
    let request = entries.find(is_visit).and_then(|own| own.get("request")).expect("a visit");
    let keeps = Keeps::of_request(request).expect("it is read").unwrap_or_default();
    let places = keeps.items().iter().filter(|own| &*own.element == "location");
    let found = places.map(|own| {
        let others = match &own.others {
            Others::None => "",
            Others::Which(at) => at.text.as_deref().unwrap_or_default(),
            Others::All => "*",
        };
        (own.keeps.iter().map(|own| &**own).collect::<Vec<_>>(), others.to_owned())
    });
    let expected = expected.map(|(keeps, others)| (keeps.to_vec(), others.to_owned()));
    assert_eq!(found.collect::<Vec<_>>(), Vec::from_iter(expected), "{event} {lines:?}");
}

#[test]
fn places_stay_as_far_as_nothing_is_told_of_them() {
    let placed = |end: &str| visit("I", "20260310", end);
    let placeless = placed("").replace("|W1|", "||");
    let check = |event: &str, visit: &str, expected| {
        let lines = ["EVN||20260315073000+0100", "PID|1||4711^^^GOOD^MR||Muster^Maria", visit];
        check_places(event, &lines, expected);
    };
    for event in ["ADT^A08^ADT_A01", "ADT^A31^ADT_A05"] {
        check(event, &placed(""), Some((&["period.end"], "completed")));
        check(event, &placed("20260314"), Some((&[], "completed")));
        check(event, &placeless, Some((&[], "*")));
    }
    check("ADT^A02^ADT_A02", &placed(""), Some((&[], "completed")));
    check("ADT^A03^ADT_A03", &placed(""), Some((&["period.end"], "completed")));
    check("ADT^A03^ADT_A03", &placed("20260314"), Some((&[], "completed")));
    check("ADT^A13^ADT_A01", &placed(""), Some((&[], "completed")));
    check("ADT^A01^ADT_A01", &placed(""), None);
}
