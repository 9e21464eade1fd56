//! What a message says, its resources say, and the message made of them says again.

use jiff::tz::{Offset, TimeZone};
use pipehat_dictionary::Version;
use pipehat_dictionary::validation::{Level, Standard, Validator};
use pipehat_message::{CharsetRule, Message, Path, Severity};
use pipehat_testdata::{Generator, Selection, Settings as Made};
use proptest::prelude::{ProptestConfig, any, proptest};

use super::{Profile, Resources, Stamp, Wanted, Writer};
use crate::{Settings, Translator};

const BASE: &str = "http://synth.example/id/";

/// Patients and their visits.
const PATIENT: &[&str] = &[
    "PID-3[*].1",
    "PID-3[*].2",
    "PID-3[*].3",
    "PID-3[*].4.1",
    "PID-3[*].5",
    "PID-5[*].1.1",
    "PID-5[*].2",
    "PID-5[*].3",
    "PID-5[*].7",
    "PID-7",
    "PID-8",
    "PID-11[*].1.1",
    "PID-11[*].3",
    "PID-11[*].4",
    "PID-11[*].5",
    "PID-11[*].6",
    "PID-11[*].7",
    "PID-13[*].2",
    "PID-13[*].3",
    "PID-13[*].4",
    "PID-13[*].5",
    "PID-13[*].6",
    "PID-13[*].7",
    "PID-14[*].2",
    "PID-14[*].7",
    "PID-15.1",
    "PID-15.3",
    "PID-16.1",
    "PID-16.3",
    "PID-25",
    "PID-29",
    "PID-30",
];
const PD1: &[&str] = &["PD1-3.1", "PD1-4.1", "PD1-4.2.1", "PD1-4.3", "PD1-4.9.1"];
const VISIT: &[&str] = &[
    "PV1-2",
    "PV1-3.1",
    "PV1-3.2",
    "PV1-3.3",
    "PV1-3.4.1",
    "PV1-4",
    "PV1-7.1",
    "PV1-7.2.1",
    "PV1-7.3",
    "PV1-7.9.1",
    "PV1-9.1",
    "PV1-10",
    "PV1-14.1",
    "PV1-17.1",
    "PV1-19.1",
    "PV1-19.4.1",
    "PV1-44",
    "PV1-45",
    "PV2-3.1",
    "PV2-3.2",
    "PV2-3.3",
    "PV2-11",
];
const CLINICAL: &[&str] = &[
    "NK1(*)-2.1.1",
    "NK1(*)-2.2",
    "NK1(*)-3.1",
    "NK1(*)-7.1",
    "NK1(*)-15",
    "AL1(*)-2.1",
    "AL1(*)-3.1",
    "AL1(*)-3.2",
    "AL1(*)-4.1",
    "AL1(*)-5",
    "DG1(*)-3.1",
    "DG1(*)-3.2",
    "DG1(*)-3.3",
    "DG1(*)-5",
    "DG1(*)-6",
    "DG1(*)-15",
    "DG1(*)-16.1",
    "DG1(*)-20.1",
    "IN1(*)-2.1",
    "IN1(*)-12",
    "IN1(*)-17.1",
    "IN1(*)-36",
];

const MERGE: &[&str] = &["MRG-1[*].1", "MRG-1[*].4.1", "MRG-1[*].5"];
const DOCUMENT: &[&str] =
    &["TXA-2", "TXA-6", "TXA-9.1", "TXA-12.1", "TXA-12.2", "TXA-17", "TXA-19", "OBX(*)-5"];
const CHARGE: &[&str] = &[
    "FT1(*)-2",
    "FT1(*)-4",
    "FT1(*)-5",
    "FT1(*)-6.1",
    "FT1(*)-7.1",
    "FT1(*)-7.2",
    "FT1(*)-10",
    "FT1(*)-11.1.1",
    "FT1(*)-19.1",
    "FT1(*)-20.1",
];
const SCHEDULE: &[&str] = &[
    "SCH-1.1",
    "SCH-1.2",
    "SCH-2.1",
    "SCH-2.2",
    "SCH-7.1",
    "SCH-8.1",
    "SCH-9",
    "SCH-16[*].1",
    "SCH-20.1",
    "SCH-25.1",
    "AIP(*)-3.1",
    "AIS(*)-3.1",
    "AIS(*)-4",
    "AIL(*)-3.1",
    "AIL(*)-3.2",
];
/// TX and ST are both a string in FHIR: OBX-2 is not among them.
const RESULT: &[&str] = &[
    "ORC(*)-2.1",
    "ORC(*)-3.1",
    "OBR(*)-2.1",
    "OBR(*)-3.1",
    "OBR(*)-4.1",
    "OBR(*)-7",
    "OBR(*)-16.1",
    "OBR(*)-22",
    "OBR(*)-24",
    "OBR(*)-25",
    "OBX(*)-3.1",
    "OBX(*)-3.2",
    "OBX(*)-5[*].1",
    "OBX(*)-6.1",
    "OBX(*)-7",
    "OBX(*)-8.1",
    "OBX(*)-11",
    "OBX(*)-14",
    "NTE(*)-3",
    "SPM(*)-2.2.1",
    "SPM(*)-4.1",
    "SPM(*)-17.1",
    "SPM(*)-17.2",
    "SPM(*)-18",
];
const ORDER: &[&str] = &[
    "ORC(*)-1",
    "ORC(*)-2.1",
    "ORC(*)-2.2",
    "ORC(*)-9",
    "ORC(*)-12.1",
    "OBR(*)-2.1",
    "OBR(*)-4.1",
    "OBR(*)-4.2",
    "OBR(*)-31.1",
    "TQ1(*)-7",
    "TQ1(*)-9.1",
    "SPM(*)-4.1",
];
/// ORM^O01 has no SPM, and until 2.4 no TQ1.
const OLD_ORDER: &[&str] = &[
    "ORC(*)-1",
    "ORC(*)-2.1",
    "ORC(*)-2.2",
    "ORC(*)-9",
    "ORC(*)-12.1",
    "OBR(*)-2.1",
    "OBR(*)-4.1",
    "OBR(*)-4.2",
];
const SHOT: &[&str] = &[
    "ORC(*)-3.1",
    "RXA(*)-3",
    "RXA(*)-5.1",
    "RXA(*)-6",
    "RXA(*)-7.1",
    "RXA(*)-10.1",
    "RXA(*)-15",
    "RXA(*)-17.1",
    "RXA(*)-20",
    "RXA(*)-21",
    "RXR(*)-1.1",
    "RXR(*)-2.1",
];

/// The message that comes of a message's resources.
fn there_and_back(bytes: &[u8], event: &str, version: Version) -> Vec<u8> {
    let message = Message::parse(bytes).expect("a message");
    let settings = Settings {
        zone: Some(TimeZone::UTC),
        system_base: Some(BASE.to_owned()),
        ..Settings::default()
    };
    let bundle = Translator::new(settings).to_fhir(&message).bundle;
    let profile = Profile { system_base: Some(BASE.to_owned()), ..Profile::default() };
    let wanted = Wanted { event, version, order_control: None, lineage: None };
    let stamp = Stamp {
        time: "2026-05-06T08:00:00Z".parse().expect("a time"),
        offset: Offset::UTC,
        control_id: "C1",
    };
    let written = Writer::new(profile).write(&wanted, &Resources::of_bundle(&bundle), &stamp);
    written.expect("a message").message
}

/// The values at a path, with date-times as if they said their zone.
fn values(message: &Message<'_>, path: &str) -> Vec<String> {
    // The text of a document is one, whether its lines stand in one OBX or in several.
    if path == "OBX(*)-5" && plain(message, "MSH-9.1") == ["MDM"] {
        return vec![plain(message, path).join(r"\.br\")];
    }
    // ED.1 says which application made a document, and no Attachment does.
    if let Some(rest) = path.strip_prefix("OBX(*)-5") {
        let types: Path = "OBX(*)-2".parse().expect("a path");
        let numbers = (1..).zip(message.values(&types)).filter(|(_, it)| it.raw() != b"ED");
        let each =
            numbers.flat_map(|(number, _)| plain(message, &format!("OBX({number})-5{rest}")));
        return each.collect();
    }
    plain(message, path)
}

fn plain(message: &Message<'_>, path: &str) -> Vec<String> {
    let path: Path = path.parse().expect("a path");
    let values =
        message.values(&path).map(|value| String::from_utf8_lossy(value.raw()).into_owned());
    let plain = values.map(|value| value.strip_suffix("+0000").unwrap_or(&value).to_owned());
    plain.filter(|value| !value.is_empty()).collect()
}

/// What stands at these paths is there again, and the message is a valid one.
#[track_caller]
fn check(seed: u64, event: &str, version: Version, paths: &[&[&str]]) {
    let mut generator = Generator::new(Made { seed, ..Made::new(version) }).expect("settings");
    let selection = Selection::parse(event, version).expect("an event");
    let mut bytes = Vec::new();
    generator.append(&selection, &mut bytes);
    let again = there_and_back(&bytes, event, version);
    let decoded = CharsetRule::default().of_message(&bytes).transcode(&bytes).text.into_owned();
    let before = Message::parse(decoded.as_bytes()).expect("a message");
    let after = Message::parse(&again).expect("a message");
    for path in paths.iter().copied().flatten() {
        let (before, after) = (values(&before, path), values(&after, path));
        // Whoever subscribes to an insurance is an associated party as well; OBR-13 is a note too.
        let is_kept = if path.starts_with("NK1") || path.starts_with("NTE") {
            before.iter().all(|value| after.contains(value))
        } else {
            before == after
        };
        let again = String::from_utf8_lossy(&again);
        assert!(
            is_kept,
            "{path} of {event} {version}, seed {seed}: {before:?} {after:?}\n{}\n{}",
            decoded.replace('\r', "\n"),
            again.replace('\r', "\n")
        );
    }
    let mut validator = Validator::new(Level::Standard);
    let findings = validator.validate(&after, &Standard);
    // Of which kind a diagnosis is, a visit says: without one, the required DG1-6 is empty rather than made up.
    let is_kind = |path: &str| path.starts_with("DG1") && path.ends_with("-6");
    let errors = findings.iter().filter(|it| it.severity == Severity::Error);
    let errors: Vec<_> = errors.filter(|it| !is_kind(&it.path())).collect();
    assert!(errors.is_empty(), "{event} {version}, seed {seed}: {errors:#?}");
}

/// The same in these versions.
#[track_caller]
fn check_each(seed: u64, event: &str, versions: &[Version], paths: &[&[&str]]) {
    for &version in versions {
        check(seed, event, version, paths);
    }
}

const OLD: &[Version] = &[Version::V2_3, Version::V2_3_1, Version::V2_4];
const USUAL: &[Version] = &[Version::V2_5_1, Version::V2_6];
const NEW: &[Version] = &[Version::V2_7, Version::V2_8_2, Version::V2_9_1];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn an_admission_is_kept(seed in any::<u64>()) {
        let paths = [PATIENT, PD1, VISIT, CLINICAL];
        check_each(seed, "ADT^A01", &[OLD, USUAL, NEW].concat(), &paths);
    }

    #[test]
    fn other_events_of_a_visit_are_kept(seed in any::<u64>()) {
        for event in ["ADT^A03", "ADT^A04", "ADT^A08", "ADT^A11", "ADT^A13"] {
            check_each(seed, event, USUAL, &[PATIENT, VISIT]);
        }
    }

    #[test]
    fn what_is_told_of_a_person_is_kept(seed in any::<u64>()) {
        for event in ["ADT^A28", "ADT^A31"] {
            check_each(seed, event, &[USUAL, NEW].concat(), &[PATIENT, PD1]);
        }
        check_each(seed, "ADT^A40", USUAL, &[PATIENT, MERGE]);
    }

    #[test]
    fn an_order_is_kept(seed in any::<u64>()) {
        check_each(seed, "OML^O21", &[USUAL, NEW].concat(), &[PATIENT, PD1, VISIT, ORDER]);
        check_each(seed, "ORM^O01", &[OLD, USUAL].concat(), &[PATIENT, PD1, VISIT, OLD_ORDER]);
    }

    #[test]
    fn a_result_is_kept(seed in any::<u64>()) {
        check_each(seed, "ORU^R01", &[OLD, USUAL].concat(), &[PATIENT, PD1, VISIT, RESULT]);
    }

    #[test]
    fn an_appointment_is_kept(seed in any::<u64>()) {
        check_each(seed, "SIU^S12", &[OLD, USUAL, NEW].concat(), &[PATIENT, SCHEDULE]);
    }

    #[test]
    fn a_vaccination_is_kept(seed in any::<u64>()) {
        check_each(seed, "VXU^V04", &[OLD, USUAL, NEW].concat(), &[PATIENT, PD1, SHOT]);
    }

    #[test]
    fn a_document_is_kept(seed in any::<u64>()) {
        check_each(seed, "MDM^T02", &[OLD, USUAL, NEW].concat(), &[PATIENT, VISIT, DOCUMENT]);
    }

    #[test]
    fn a_charge_is_kept(seed in any::<u64>()) {
        let paths = [PATIENT, PD1, VISIT, CHARGE];
        check_each(seed, "DFT^P03", &[OLD, USUAL, NEW].concat(), &paths);
    }
}
