//! What the tables say, and what messages become of resources.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::tz::Offset;
use pipehat_dictionary::Version;
use pipehat_dictionary::validation::{Level, Standard, Validator};
use pipehat_message::{Message, Severity};
use pipehat_resource::json;

use super::tables::Tables;
use super::{
    Authority, Hierarchic, Profile, Resources, Stamp, Wanted, WriteError, Writer, Written,
};
use crate::{FindingKind, LineageLimits};

pub(super) fn profile() -> Profile {
    Profile {
        sending_application: Hierarchic::named("PIPEHAT"),
        sending_facility: Hierarchic::named("HOSPITAL"),
        receiving_application: Hierarchic::named("LAB"),
        receiving_facility: Hierarchic::named("LABS"),
        system_base: Some("http://synth.example/id/".to_owned()),
        authorities: vec![Authority {
            system: "http://synth.example/id/mrn".to_owned(),
            authority: Hierarchic {
                namespace: "HOSPITAL".to_owned(),
                universal_id: "1.2.3".to_owned(),
                universal_id_type: "ISO".to_owned(),
            },
            type_code: Some("MR".to_owned()),
        }],
        ..Profile::default()
    }
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/to_v2").join(name)
}

fn written(name: &str, event: &str, version: Version) -> Written {
    let text = std::fs::read_to_string(golden(&format!("{name}.json"))).expect("the Bundle");
    // The same visit or appointment, as it is when the event happens.
    let text = match event {
        "ADT^A11" => text.replace("\"finished\"", "\"cancelled\""),
        "ADT^A13" => text.replace("\"finished\"", "\"in-progress\""),
        "SIU^S15" => text.replace("\"booked\"", "\"cancelled\""),
        "SIU^S17" => text.replace("\"booked\"", "\"entered-in-error\""),
        "SIU^S26" => text.replace("\"booked\"", "\"noshow\""),
        _ => text,
    };
    let bundle = json::parse(text.as_bytes()).expect("it is JSON");
    let resources = Resources::of_bundle(&bundle);
    let wanted =
        Wanted { event, version, order_control: None, lineage: Some(LineageLimits::SHOWN) };
    let stamp = Stamp {
        time: "2026-05-06T08:00:00Z".parse().expect("a time"),
        offset: Offset::UTC,
        control_id: "C1",
    };
    Writer::new(profile()).write(&wanted, &resources, &stamp).expect("a message")
}

/// The message that a Bundle becomes is what the file says, with its findings.
#[track_caller]
fn check(name: &str, event: &str, version: Version) {
    let written = written(name, event, version);
    let mut told = String::from_utf8(written.message.clone()).expect("UTF-8").replace('\r', "\n");
    for finding in &written.findings {
        let _ = writeln!(told, "{:?} {}: {}", finding.kind, finding.path, finding.text);
    }
    let file = golden(&format!("{name}.{}.{version}.txt", event.replace('^', "_").to_lowercase()));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &told).expect("written");
    }
    let expected = std::fs::read_to_string(&file).expect("the golden message");
    assert_eq!(told, expected, "{}", file.display());
}

/// Each of these versions of the message is valid.
#[track_caller]
fn check_valid(name: &str, event: &str, versions: &[Version]) {
    for &version in versions {
        let written = written(name, event, version);
        let errors = errors(&written.message);
        let text = String::from_utf8_lossy(&written.message).replace('\r', "\n");
        assert!(errors.is_empty(), "{event} of {version}: {errors:#?}\n{text}");
    }
}

/// What the standard has against a message.
fn errors(message: &[u8]) -> Vec<String> {
    let message = Message::parse(message).expect("it is a message");
    let mut validator = Validator::new(Level::Standard);
    let findings = validator.validate(&message, &Standard);
    let bad = findings.iter().filter(|finding| finding.severity == Severity::Error);
    bad.map(|finding| format!("{finding:?}")).collect()
}

const VERSIONS: [Version; 8] = [
    Version::V2_3,
    Version::V2_3_1,
    Version::V2_4,
    Version::V2_5_1,
    Version::V2_6,
    Version::V2_7,
    Version::V2_8_2,
    Version::V2_9_1,
];

#[test]
fn a_visit_becomes_each_event_of_adt() {
    check("discharge", "ADT^A03", Version::V2_3);
    check("discharge", "ADT^A03", Version::V2_5_1);
    check("discharge", "ADT^A03", Version::V2_8_2);
    check("discharge", "ADT^A01", Version::V2_5_1);
    check("discharge", "ADT^A31", Version::V2_5_1);
    for event in
        ["ADT^A01", "ADT^A03", "ADT^A04", "ADT^A08", "ADT^A11", "ADT^A13", "ADT^A28", "ADT^A31"]
    {
        check_valid("discharge", event, &VERSIONS);
    }
}

#[test]
fn two_patients_become_a_merge() {
    check("merge", "ADT^A40", Version::V2_5_1);
    check_valid("merge", "ADT^A40", &VERSIONS);
}

#[test]
fn a_request_becomes_an_order() {
    check("order", "ORM^O01", Version::V2_5_1);
    check("order", "OML^O21", Version::V2_5_1);
    check_valid("order", "ORM^O01", &VERSIONS[..5]);
    check_valid("order", "OML^O21", &VERSIONS[2..]);
}

#[test]
fn a_report_becomes_a_result() {
    check("result", "ORU^R01", Version::V2_3);
    check("result", "ORU^R01", Version::V2_5_1);
    check("result", "ORU^R01", Version::V2_8_2);
    check_valid("result", "ORU^R01", &VERSIONS);
}

#[test]
fn an_appointment_becomes_a_schedule() {
    check("appointment", "SIU^S12", Version::V2_5_1);
    for event in ["SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S17", "SIU^S26"] {
        check_valid("appointment", event, &VERSIONS);
    }
}

#[test]
fn a_vaccination_becomes_an_update() {
    check("vaccination", "VXU^V04", Version::V2_5_1);
    check_valid("vaccination", "VXU^V04", &VERSIONS);
}

#[test]
fn a_document_becomes_a_notification() {
    check("document", "MDM^T02", Version::V2_5_1);
    check_valid("document", "MDM^T02", &VERSIONS);
    check_valid("document", "MDM^T03", &VERSIONS);
}

#[test]
fn a_charge_becomes_a_transaction() {
    check("charge", "DFT^P03", Version::V2_5_1);
    check_valid("charge", "DFT^P03", &VERSIONS);
}

#[test]
fn the_tables_are_read() {
    if let Err(problem) = Tables::read() {
        panic!("{problem}");
    }
}

/// Reads a resource.
pub(super) fn resource(text: &str) -> json::Value {
    json::parse(text.as_bytes()).expect("it is JSON")
}

pub(super) fn write(
    profile: Profile,
    event: &str,
    resources: &Resources<'_>,
) -> Result<Written, WriteError> {
    let wanted = Wanted {
        event,
        version: Version::V2_5_1,
        order_control: None,
        lineage: Some(LineageLimits::SHOWN),
    };
    let stamp = Stamp {
        time: "2026-05-06T08:00:00Z".parse().expect("a time"),
        offset: Offset::UTC,
        control_id: "C1",
    };
    Writer::new(profile).write(&wanted, resources, &stamp)
}

/// A field of a patient's message, from a patient with this in it.
#[track_caller]
fn check_patient(profile: Profile, more: &str, path: &str, expected: &str) {
    let patient = resource(&format!(r#"{{"resourceType":"Patient","id":"p1",{more}}}"#));
    let written = write(profile, "ADT^A31", &Resources::default().with_root(&patient));
    let written = written.expect("a message");
    let message = Message::parse(&written.message).expect("a message");
    let value = message.get(&path.parse().expect("a path"));
    let raw =
        value.map_or(String::new(), |value| String::from_utf8_lossy(value.raw()).into_owned());
    assert_eq!(raw, expected, "{:?}", written.findings);
}

#[test]
fn an_authority_is_what_the_profile_says_or_the_system_is() {
    let identifier =
        |system: &str| format!(r#""identifier":[{{"system":"{system}","value":"1"}}]"#);
    let check = |system: &str, expected: &str| {
        check_patient(profile(), &identifier(system), "PID-3", expected);
    };
    check("http://synth.example/id/mrn", "1^^^HOSPITAL&1.2.3&ISO^MR");
    check("http://synth.example/id/other", "1^^^other");
    check("urn:oid:1.2.3.4", "1^^^&1.2.3.4&ISO");
    check("urn:uuid:0b0a", "1^^^&0b0a&UUID");
    check("http://elsewhere.example/a&b", "1^^^&http://elsewhere.example/a\\T\\b&URI");
    check("LOCAL", "1^^^LOCAL");
    let assigned = r#""identifier":[{"value":"1","assigner":{"display":"CLINIC"}}]"#;
    check_patient(profile(), assigned, "PID-3", "1^^^CLINIC");
}

#[test]
fn times_are_written_in_the_receivers_zone() {
    let born = r#""deceasedDateTime":"2026-05-06T23:30:00.250Z""#;
    check_patient(Profile::default(), born, "PID-29", "20260506233000.250+0000");
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("the system has time zones");
    let berlin = Profile { zone: Some(zone), ..Profile::default() };
    check_patient(berlin.clone(), born, "PID-29", "20260507013000.250+0200");
    let left = Profile { offsets: super::Offsets::Left, ..berlin };
    check_patient(left, born, "PID-29", "20260507013000.250");
    check_patient(Profile::default(), r#""deceasedDateTime":"2026-05""#, "PID-29", "202605");
}

#[test]
fn text_that_looks_like_structure_stays_text() {
    let name = r#""name":[{"family":"a|b^c~d\\e&f\rg"}]"#;
    check_patient(profile(), name, "PID-5", r"a\F\b\S\c\R\d\E\e\T\f\X0D\g");
}

#[test]
fn codes_are_told_as_the_profile_wants() {
    let codes = [("Sex".to_owned(), [("other".to_owned(), "A".to_owned())].into())].into();
    let own = Profile { codes, ..Profile::default() };
    check_patient(own, r#""gender":"other""#, "PID-8", "A");
    check_patient(Profile::default(), r#""gender":"other""#, "PID-8", "O");
    check_patient(Profile::default(), r#""gender":"sideways""#, "PID-8", "");
}

/// A message has a finding of this kind, at this place.
#[track_caller]
fn check_finding(written: &Written, kind: FindingKind, path: &str) {
    let found = written.findings.iter().any(|it| it.kind == kind && it.path == path);
    assert!(found, "{:#?}", written.findings);
}

#[test]
fn what_is_lost_or_missing_is_told() {
    let patient = resource(
        r#"{"resourceType":"Patient","id":"p1","gender":"sideways","photo":[{"title":"x"}],
            "maritalStatus":{"coding":[{"system":"http://synth.example/own","code":"Z"}]}}"#,
    );
    let written = write(profile(), "ADT^A31", &Resources::default().with_root(&patient));
    let written = written.expect("a message");
    check_finding(&written, FindingKind::CodeUnmapped, "PID-8");
    check_finding(&written, FindingKind::SystemUnknown, "PID-16");
    check_finding(&written, FindingKind::NotMapped, "Patient/p1.gender");
    check_finding(&written, FindingKind::NotMapped, "Patient/p1.photo[0].title");
    check_finding(&written, FindingKind::Incomplete, "PID-3");
    check_finding(&written, FindingKind::Incomplete, "PID-5");
}

#[test]
fn no_finding_holds_a_value() {
    let secret = "Geheimnis";
    let patient = resource(&format!(
        r#"{{"resourceType":"Patient","gender":"{secret}","birthDate":"{secret}","photo":[{{"title":"{secret}"}}],
            "contact":[{{"name":{{"text":"{secret}"}}}}],"identifier":[{{"value":"{}"}}]}}"#,
        secret.repeat(50)
    ));
    let written = write(profile(), "ADT^A31", &Resources::default().with_root(&patient));
    let findings = format!("{:?}", written.expect("a message").findings);
    assert!(findings.contains("longer than") && !findings.contains(secret), "{findings}");
}

#[test]
fn references_are_resolved_by_the_caller() {
    let request = resource(
        r##"{"resourceType":"ServiceRequest","id":"r1","status":"active","intent":"order",
            "code":{"text":"X"},"subject":{"reference":"Patient/p1"},"requester":{"reference":"#d"},
            "contained":[{"resourceType":"Practitioner","id":"d","identifier":[{"value":"D7"}]}]}"##,
    );
    let resolve = |reference: &str| match reference {
        "Patient/p1" => Some(resource(
            r#"{"resourceType":"Patient","id":"p1","identifier":[{"value":"1"}],"name":[{"family":"A"}],
                "generalPractitioner":[{"reference":"Organization/o1"}]}"#,
        )),
        "Organization/o1" => {
            Some(resource(r#"{"resourceType":"Organization","id":"o1","name":"Practice"}"#))
        }
        _ => None,
    };
    let resources = Resources::default().with_root(&request).resolved_by(resolve);
    let written = write(Profile::default(), "ORM^O01", &resources).expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    for part in ["PID|1||1||A", "PD1|||Practice", "ORC|NW|r1", "|||D7\r"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_place_is_told_with_all_that_is_around_it() {
    let request = resource(
        r#"{"resourceType":"ServiceRequest","id":"r1","status":"active","intent":"order","code":{"text":"X"},
            "subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"}}"#,
    );
    let place = |name: &str, kind: &str, around: &str| {
        let around = match around {
            "" => String::new(),
            around => format!(r#","partOf":{{"reference":"Location/{around}"}}"#),
        };
        let kind = format!(
            r#"{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/location-physical-type","code":"{kind}"}}]}}"#
        );
        resource(&format!(
            r#"{{"resourceType":"Location","id":"{name}","identifier":[{{"value":"{name}"}}],"physicalType":{kind}{around}}}"#
        ))
    };
    let resolve = |reference: &str| match reference {
        "Patient/p1" => Some(resource(r#"{"resourceType":"Patient","id":"p1"}"#)),
        "Encounter/e1" => Some(resource(
            r#"{"resourceType":"Encounter","id":"e1","status":"in-progress","class":{"code":"IMP"},
                "location":[{"location":{"reference":"Location/BED"},"status":"active"}]}"#,
        )),
        "Location/BED" => Some(place("BED", "bd", "ROOM")),
        "Location/ROOM" => Some(place("ROOM", "ro", "WARD")),
        "Location/WARD" => Some(place("WARD", "wa", "FLOOR")),
        "Location/FLOOR" => Some(place("FLOOR", "lvl", "BUILDING")),
        "Location/BUILDING" => Some(place("BUILDING", "bu", "SITE")),
        "Location/SITE" => Some(place("SITE", "si", "")),
        _ => None,
    };
    let resources = Resources::default().with_root(&request).resolved_by(resolve);
    let written = write(Profile::default(), "ORM^O01", &resources).expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    assert!(text.contains("|WARD^ROOM^BED^SITE^^^BUILDING^FLOOR\r"), "{text}");
}

#[test]
fn a_wanted_order_control_is_written() {
    let request = resource(
        r#"{"resourceType":"ServiceRequest","id":"r1","status":"revoked","code":{"text":"X"},"subject":{}}"#,
    );
    let resources = Resources::default().with_root(&request);
    let wanted = Wanted {
        event: "OML^O21",
        version: Version::V2_5_1,
        order_control: Some("DC"),
        lineage: None,
    };
    let stamp = Stamp {
        time: "2026-05-06T08:00:00Z".parse().expect("a time"),
        offset: Offset::UTC,
        control_id: "C1",
    };
    let written = Writer::new(Profile::default()).write(&wanted, &resources, &stamp);
    let text = String::from_utf8(written.expect("a message").message).expect("UTF-8");
    assert!(text.contains("\rORC|DC|r1\r"), "{text}");
}

/// What was an order when it was told can be taken back whatever it has become; nothing else can be asked of a plan.
#[test]
fn of_a_plan_only_a_cancellation_is_written() {
    let check = |control: &'static str, status: &str, expected: bool| {
        let request = resource(&format!(
            r#"{{"resourceType":"ServiceRequest","id":"r1","status":"{status}","intent":"plan","code":{{"text":"X"}},"subject":{{}}}}"#
        ));
        let resources = Resources::default().with_root(&request);
        let wanted = Wanted {
            event: "ORM^O01",
            version: Version::V2_5_1,
            order_control: Some(control),
            lineage: None,
        };
        let stamp = Stamp {
            time: "2026-05-06T08:00:00Z".parse().expect("a time"),
            offset: Offset::UTC,
            control_id: "C1",
        };
        let written = Writer::new(Profile::default()).write(&wanted, &resources, &stamp);
        assert_eq!(written.is_ok(), expected, "{control} {status}");
    };
    check("CA", "revoked", true);
    check("CA", "entered-in-error", true);
    check("NW", "active", false);
    check("XO", "active", false);
    check("HD", "on-hold", false);
}

#[test]
fn the_time_of_the_message_is_written_as_it_was_told() {
    let patient = resource(r#"{"resourceType":"Patient","identifier":[{"value":"1"}]}"#);
    let resources = Resources::default().with_root(&patient);
    let wanted =
        Wanted { event: "ADT^A31", version: Version::V2_5_1, order_control: None, lineage: None };
    let time = "2026-05-06T10:00:00+02:00".parse().expect("a time");
    let stamp = Stamp { time, offset: Offset::constant(2), control_id: "C1" };
    let check = |profile: Profile, expected: &str| {
        let written = Writer::new(profile).write(&wanted, &resources, &stamp).expect("a message");
        let text = String::from_utf8(written.message).expect("UTF-8");
        assert!(text.contains(&format!("|{expected}||ADT^A31")), "{text}");
        assert!(text.contains(&format!("\rEVN|A31|{expected}")), "{text}");
    };
    check(Profile::default(), "20260506100000+0200");
    let zone = jiff::tz::TimeZone::get("UTC").expect("a zone");
    check(Profile { zone: Some(zone), ..Profile::default() }, "20260506080000+0000");
}

#[test]
fn times_that_are_told_without_their_offset_come_back_in_both_seasons() {
    let zone = jiff::tz::TimeZone::get("Europe/Zurich").expect("a zone");
    let profile =
        Profile { zone: Some(zone.clone()), offsets: super::Offsets::Left, ..Profile::default() };
    let settings = crate::Settings { zone: Some(zone), ..crate::Settings::default() };
    let wanted =
        Wanted { event: "ADT^A31", version: Version::V2_5_1, order_control: None, lineage: None };
    for (sent, msh_7) in [
        ("2026-11-06T09:00:00Z", "|20261106100000+0100|"),
        ("2026-07-06T08:00:00Z", "|20260706100000+0200|"),
    ] {
        for died in ["2026-01-15T09:00:00+01:00", "2026-07-01T09:00:00+02:00"] {
            let patient = resource(&format!(
                r#"{{"resourceType":"Patient","identifier":[{{"value":"1"}}],"deceasedDateTime":"{died}"}}"#
            ));
            let resources = Resources::default().with_root(&patient);
            let time = sent.parse().expect("a time");
            let stamp = Stamp { time, offset: Offset::UTC, control_id: "C1" };
            let written = Writer::new(profile.clone()).write(&wanted, &resources, &stamp);
            let written = written.expect("a message").message;
            let text = String::from_utf8_lossy(&written);
            assert!(text.contains(msh_7) && text.contains("090000|"), "{text}");
            let message = Message::parse(&written).expect("a message");
            let bundle =
                crate::Translator::new(settings.clone()).to_fhir(&message).bundle.to_json();
            assert!(bundle.contains(died), "{died} {text} {bundle}");
        }
    }
}

#[test]
fn an_order_control_that_no_table_has_is_refused() {
    let request = resource(
        r#"{"resourceType":"ServiceRequest","id":"r1","status":"active","code":{"text":"X"},"subject":{}}"#,
    );
    let resources = Resources::default().with_root(&request);
    let wanted = Wanted {
        event: "ORM^O01",
        version: Version::V2_5_1,
        order_control: Some("ZZ"),
        lineage: None,
    };
    let time = "2026-05-06T08:00:00Z".parse().expect("a time");
    let stamp = Stamp { time, offset: Offset::UTC, control_id: "C1" };
    let written = Writer::new(Profile::default()).write(&wanted, &resources, &stamp);
    assert!(matches!(written, Err(WriteError::OrderControlUnknown { .. })));
}

#[test]
fn a_discharge_to_home_has_its_code() {
    let check = |code: &str, expected: &str| {
        let visit = resource(&format!(
            r#"{{"resourceType":"Encounter","status":"finished","class":{{"code":"IMP"}},"hospitalization":{{"dischargeDisposition":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/discharge-disposition","code":"{code}"}}]}}}}}}"#
        ));
        let resources = Resources::default().with_root(&visit);
        let written = write(Profile::default(), "ADT^A03", &resources).expect("a message");
        let text = String::from_utf8(written.message.clone()).expect("UTF-8");
        let message = Message::parse(&written.message).expect("a message");
        let path = "PV1-36".parse().expect("a path");
        let found: Vec<_> = message.values(&path).map(|it| it.raw().to_vec()).collect();
        let expected: Vec<_> = [expected.as_bytes()]
            .into_iter()
            .filter(|it| !it.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        assert_eq!(found, expected, "{text}");
        let is_told = written.findings.iter().any(|own| own.path.starts_with("PV1-36"));
        assert_eq!(is_told, expected.is_empty());
    };
    check("home", "01");
    check("exp", "20");
    check("rehab", "");
}

#[test]
fn every_value_says_where_it_came_from() {
    let written = written("discharge", "ADT^A03", Version::V2_5_1);
    let lineage = written.lineage.expect("there is lineage").unpack().expect("it can be read");
    let from = |element: &str| {
        let mut sources = lineage.sources.iter();
        let source = sources.find(|source| source.element.path() == element).expect("it is there");
        let paths: Vec<_> = source.paths.iter().map(ToString::to_string).collect();
        (paths.join(" "), &*source.rule)
    };
    let patient = "Bundle.entry[0].resource";
    assert_eq!(
        from("PID-3.1"),
        (format!("{patient}.identifier[0].value"), "to_v2 CX(Identifier) 1")
    );
    assert_eq!(
        from("PID-3[2].1"),
        (format!("{patient}.identifier[1].value"), "to_v2 CX(Identifier) 1")
    );
    assert_eq!(from("PID-8"), (format!("{patient}.gender"), "to_v2 PID(Patient) 8"));
    assert_eq!(from("PV1-3.2").0, "Bundle.entry[4].resource.identifier[0].value");
}

#[test]
fn what_cant_be_written_is_refused() {
    let patient = resource(r#"{"resourceType":"Patient"}"#);
    let resources = Resources::default().with_root(&patient);
    let refused = |event: &str| write(Profile::default(), event, &resources).expect_err("refused");
    assert!(matches!(refused("ADT^A99"), WriteError::EventUnknown { .. }));
    assert!(matches!(refused("ORU^R01"), WriteError::RootMissing { .. }));
    let wanted =
        Wanted { event: "OML^O21", version: Version::V2_3, order_control: None, lineage: None };
    let stamp = Stamp {
        time: "2026-05-06T08:00:00Z".parse().expect("a time"),
        offset: Offset::UTC,
        control_id: "C1",
    };
    let written = Writer::new(Profile::default()).write(&wanted, &resources, &stamp);
    assert!(matches!(written, Err(WriteError::NotInVersion { .. })));
}

#[test]
fn a_pool_takes_so_many_resources_and_no_more() {
    let entry = r#"{"resource":{"resourceType":"Patient"}}"#;
    let entries = vec![entry; super::RESOURCES_MAX + 1].join(",");
    let bundle = resource(&format!(r#"{{"resourceType":"Bundle","entry":[{entries}]}}"#));
    let resources = Resources::of_bundle(&bundle);
    assert_eq!(resources.iter().count(), super::RESOURCES_MAX);
}

/// Puts something else where a resource has a value: the number says what and where.
fn spoil(value: &mut json::Value, places: &mut usize, seed: usize) {
    const OTHERS: [&str; 8] = [
        "null",
        "7",
        "true",
        "\"\"",
        "\"\\u0001|^~&\"",
        "[]",
        "{}",
        "[{\"reference\":\"Patient/p1\"}]",
    ];
    *places = places.wrapping_add(1);
    if (*places).wrapping_mul(2_654_435_761).wrapping_add(seed).is_multiple_of(23) {
        *value = resource(OTHERS[(*places).wrapping_add(seed) % OTHERS.len()]);
        return;
    }
    match value {
        json::Value::Object(object) => {
            for (name, inner) in object.iter_mut() {
                if name != "resourceType" && name != "entry" {
                    spoil(inner, places, seed);
                } else if let json::Value::Array(entries) = inner {
                    entries.iter_mut().for_each(|entry| spoil(entry, places, seed));
                }
            }
        }
        json::Value::Array(items) => {
            items.iter_mut().for_each(|item| spoil(item, places, seed));
        }
        _ => {}
    }
}

#[test]
fn whatever_resources_hold_there_is_a_message_or_a_refusal() {
    let cases = [
        ("discharge", "ADT^A01"),
        ("merge", "ADT^A40"),
        ("order", "OML^O21"),
        ("result", "ORU^R01"),
        ("appointment", "SIU^S12"),
        ("vaccination", "VXU^V04"),
        ("document", "MDM^T02"),
        ("charge", "DFT^P03"),
    ];
    let mut written_count = 0;
    for (name, event) in cases {
        let text = std::fs::read_to_string(golden(&format!("{name}.json"))).expect("the Bundle");
        for seed in 0..60 {
            let mut bundle = resource(&text);
            spoil(&mut bundle, &mut 1, seed);
            if let Ok(written) = write(profile(), event, &Resources::of_bundle(&bundle)) {
                let message = Message::parse(&written.message).expect("a message");
                assert!(message.segments().all(|segment| segment.segment_name().is_some()));
                written_count += 1;
            }
        }
    }
    assert!(written_count > 200, "most are messages: {written_count}");
}

#[test]
fn a_name_that_is_one_text_stands_whole() {
    let text = r#""name":[{"text":"Anna Muster","use":"usual"}]"#;
    check_patient(Profile::default(), text, "PID-5", "Anna Muster^^^^^^D");
    let both = r#""name":[{"text":"Anna Muster"},{"family":"Muster"}]"#;
    check_patient(Profile::default(), both, "PID-5", "Muster");
}

#[test]
fn a_number_of_before_is_not_sent_as_current() {
    let numbers = r#""identifier":[{"use":"old","system":"A","value":"1"},{"use":"usual","system":"A","value":"2"}]"#;
    check_patient(Profile::default(), numbers, "PID-3", "2^^^A");
}

#[test]
fn a_patient_who_cant_be_told_is_a_finding() {
    let report = resource(
        r#"{"resourceType":"DiagnosticReport","id":"d1","status":"final","code":{"text":"X"},"subject":{"reference":"Patient/p1"}}"#,
    );
    let patient = resource(r#"{"resourceType":"Patient","id":"p1","active":true}"#);
    let resources = Resources::default().with_root(&report).with(&patient);
    let written = write(Profile::default(), "ORU^R01", &resources).expect("a message");
    let found = written.findings.iter().filter(|own| own.kind == FindingKind::Incomplete);
    let places: Vec<_> = found.map(|own| own.path.as_str()).collect();
    assert!(places.contains(&"Patient/p1"), "{:?}", written.findings);
}

/// The text of a row that always writes the same.
fn constant(source: &str) -> Option<&str> {
    let text = source.strip_prefix('\'')?.strip_suffix('\'')?;
    (!text.contains('\'')).then_some(text)
}

/// Tables that others add to, whatever a version lists: data types, types and subtypes of data, coding systems.
const OPEN: [u16; 4] = [125, 191, 291, 396];

/// Codes that a version lists in its text, and its published tables leave out.
const LEFT_OUT: [(Version, u16, &[&str]); 2] =
    [(Version::V2_3, 162, &["IM", "IV"]), (Version::V2_3, 273, &["CA", "OB"])];

#[test]
fn the_tables_of_each_version_list_the_codes_that_are_written() {
    use pipehat_dictionary::{Table, TableKind};
    use pipehat_message::SegmentName;

    let tables = Tables::standard();
    let mut unlisted = std::collections::BTreeMap::<String, Vec<String>>::new();
    let mut count = 0;
    for map in &tables.maps {
        for row in &map.rows {
            let told: Vec<&str> = match row.codes.and_then(|index| tables.codes.get(index)) {
                Some(codes) => codes.told().collect(),
                None => constant(row.source.as_str()).into_iter().collect(),
            };
            for version in VERSIONS.into_iter().filter(|own| row.versions.has(*own)) {
                let place = usize::from(row.place);
                let name = <[u8; 3]>::try_from(map.target.as_bytes()).ok();
                let segment = name.and_then(SegmentName::new);
                let field = segment
                    .and_then(|name| version.segment(name))
                    .and_then(|segment| segment.field(place));
                let element = field.or_else(|| version.data_type(&map.target)?.component(place));
                let Some(element) = element else { continue };
                // A coded value names its table in its first component, where the field doesn't.
                let first = element.data_type().and_then(|own| own.component(1));
                let table = element.table().or_else(|| first?.table());
                let is_closed = |table: &Table| {
                    let number = table.number().get();
                    table.kind() == TableKind::Hl7
                        && table.code_count() > 1
                        && !OPEN.contains(&number)
                };
                let Some(table) = table.filter(is_closed) else { continue };
                for code in &told {
                    count += 1;
                    let number = table.number().get();
                    let is_left_out = |own: &(Version, u16, &[&str])| {
                        (own.0, own.1) == (version, number) && own.2.contains(code)
                    };
                    if table.code(code.as_bytes()).is_none() && !LEFT_OUT.iter().any(is_left_out) {
                        let place = format!("{}-{place} {code} table {}", map.name, table.number());
                        unlisted.entry(place).or_default().push(version.to_string());
                    }
                }
            }
        }
    }
    assert!(count > 1_000, "{count} codes");
    assert!(unlisted.is_empty(), "{unlisted:#?}");
}
