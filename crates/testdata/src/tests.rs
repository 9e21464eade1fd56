//! Streams as a whole: valid, the same for the same seed, and true to themselves.

use std::collections::{HashMap, HashSet};
use std::path::Path as FilePath;

use pipehat_dictionary::validation::{Level, Standard, Validator};
use pipehat_dictionary::{Reading, Version, resolve};
use pipehat_message::{Charset, Header, Message, Path};
use proptest::prelude::*;

use crate::{Generator, Selection, Settings, SettingsError};

fn generator(version: Version, seed: u64) -> Generator {
    Generator::new(Settings { seed, ..Settings::new(version) }).expect("settings that work")
}

fn selection(text: &str, version: Version) -> Selection {
    Selection::parse(text, version).expect("a type of the version")
}

fn stream(generator: &mut Generator, selection: &Selection, count: usize) -> Vec<Vec<u8>> {
    let one = |_| {
        let mut bytes = Vec::new();
        generator.append(selection, &mut bytes);
        bytes
    };
    (0..count).map(one).collect()
}

fn value(message: &Message<'_>, path: &str) -> String {
    let path: Path = path.parse().expect("a path");
    message
        .get(&path)
        .map(|value| String::from_utf8_lossy(value.raw()).into_owned())
        .unwrap_or_default()
}

/// Whether one message is valid, fits its structure, and encodes to itself.
#[track_caller]
fn check(generator: &mut Generator, validator: &mut Validator, selection: &Selection) {
    let mut bytes = Vec::new();
    let made = generator.append(selection, &mut bytes);
    let what = format!("{} {}^{}", generator.version(), made.message_code, made.trigger_event);
    let message = Message::parse(&bytes).expect("a message");
    assert_eq!(message.as_bytes(), bytes, "{what}");
    assert_eq!(value(&message, "MSH-9.1"), made.message_code, "{what}");
    let findings: Vec<String> =
        validator.validate(&message, &Standard).iter().map(ToString::to_string).collect();
    assert_eq!(findings, Vec::<String>::new(), "{what}");
    let resolved = resolve(&Header::read(&bytes).expect("a header"));
    let mut reading = Reading::new();
    let structure = resolved.structure.expect("a structure of the version");
    reading.read(structure, message.segments());
    assert!(reading.findings().is_empty(), "{what}: {:?}", reading.findings());
}

#[test]
fn every_type_of_every_version_is_valid() {
    for version in Version::ALL {
        let mut generator = generator(version, 1);
        let mut validator = Validator::new(Level::Standard);
        for event in Selection::all(version) {
            check(&mut generator, &mut validator, &Selection::Event(event));
        }
        for _ in 0..40 {
            check(&mut generator, &mut validator, &Selection::Acknowledgment);
            check(&mut generator, &mut validator, &Selection::Hospital);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_seed_makes_valid_messages(seed: u64, version in 0..Version::ALL.len(), at: prop::sample::Index) {
        let version = Version::ALL[version];
        let events: Vec<_> = Selection::all(version).collect();
        let event = *at.get(&events);
        let mut generator = generator(version, seed);
        let mut validator = Validator::new(Level::Standard);
        for _ in 0..3 {
            check(&mut generator, &mut validator, &Selection::Event(event));
            check(&mut generator, &mut validator, &Selection::Hospital);
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    for text in ["hospital", "ADT", "ORU^R01"] {
        let version = Version::V2_5_1;
        let selection = selection(text, version);
        let of = |seed| stream(&mut generator(version, seed), &selection, 300);
        assert_eq!(of(5), of(5), "{text}");
        assert_ne!(of(5), of(6), "{text}");
    }
}

/// Every event refers to what was told before, or to those who were in when the stream began.
#[test]
fn a_hospital_s_stream_is_true_to_itself() {
    let version = Version::V2_5_1;
    let mut generator = generator(version, 11);
    let mut orders: HashMap<String, String> = HashMap::new();
    let mut visits: HashMap<String, String> = HashMap::new();
    let mut born: HashMap<String, String> = HashMap::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut given_up = HashSet::new();
    let mut control_ids = HashSet::new();
    let mut time = String::new();
    for bytes in stream(&mut generator, &Selection::Hospital, 6000) {
        let message = Message::parse(&bytes).expect("a message");
        let event = value(&message, "MSH-9.2");
        let patient = value(&message, "PID-3.1");
        let visit = value(&message, "PV1-19.1");
        let now = value(&message, "MSH-7");
        assert!(now >= time, "{now} after {time}");
        time = now;
        assert!(control_ids.insert(value(&message, "MSH-10")));
        *seen.entry(event.clone()).or_default() += 1;
        assert!(!given_up.contains(&patient), "{event} of a number that was merged");
        let birth = value(&message, "PID-7");
        assert_eq!(born.entry(patient.clone()).or_insert(birth.clone()), &birth, "{event}");
        match (value(&message, "MSH-9.1").as_str(), event.as_str()) {
            ("ADT", "A01" | "A04") => assert!(visits.insert(visit, patient).is_none()),
            ("ADT", "A02" | "A03" | "A11") => {
                let known = visits.get(&visit);
                assert_eq!(known, Some(&patient), "{event}");
                let is_over = !value(&message, "PV1-45").is_empty();
                assert_eq!(is_over, event == "A03");
            }
            ("ADT", "A40") => {
                let gone = value(&message, "MRG-1.1");
                assert_ne!(gone, patient);
                given_up.insert(gone);
            }
            ("ORM" | "RDE", _) => {
                let order = value(&message, "ORC-2.1");
                match value(&message, "ORC-1").as_str() {
                    "NW" => assert!(orders.insert(order, patient).is_none()),
                    _ => assert_eq!(orders.get(&order), Some(&patient)),
                }
                for at in 2..=3 {
                    let order = value(&message, &format!("ORC({at})-2.1"));
                    if !order.is_empty() {
                        orders.insert(order, value(&message, "PID-3.1"));
                    }
                }
            }
            ("ORU" | "RDS", _) => {
                assert_eq!(orders.get(&value(&message, "ORC-2.1")), Some(&patient), "{event}");
            }
            _ => {}
        }
    }
    for event in [
        "A01", "A02", "A03", "A04", "A08", "A11", "A40", "O01", "O11", "O13", "R01", "P03", "T02",
        "V04", "S12", "S15",
    ] {
        assert!(seen.contains_key(event), "none of {event}: {seen:?}");
    }
}

#[test]
fn flags_agree_with_reference_ranges() {
    let version = Version::V2_5_1;
    let mut flags: HashMap<String, usize> = HashMap::new();
    for bytes in stream(&mut generator(version, 3), &selection("ORU^R01", version), 2000) {
        let message = Message::parse(&bytes).expect("a message");
        for obx in message.segments().filter(|segment| segment.name() == b"OBX") {
            let field = |position| {
                obx.field(position)
                    .map(|value| String::from_utf8_lossy(value.raw()).into_owned())
                    .unwrap_or_default()
            };
            let (found, range, flag) = (field(5), field(7), field(8));
            let bounds = range.split_once('-').and_then(|(low, high)| {
                Some((low.parse::<f64>().ok()?, high.parse::<f64>().ok()?))
            });
            let (Ok(found), Some((low, high)), "NM") =
                (found.parse::<f64>(), bounds, field(2).as_str())
            else {
                continue;
            };
            let expected: &[&str] = if found < low {
                &["L", "LL"]
            } else if found > high {
                &["H", "HH"]
            } else {
                &["N"]
            };
            assert!(expected.contains(&flag.as_str()), "{found} in {range} is {flag}");
            *flags.entry(flag).or_default() += 1;
        }
    }
    for flag in ["N", "L", "H", "HH"] {
        assert!(flags.get(flag).is_some_and(|count| *count > 5), "{flags:?}");
    }
}

#[test]
fn what_is_examined_can_be_taken_from_a_patient() {
    for version in [Version::V2_5, Version::V2_5_1, Version::V2_6, Version::V2_9_1] {
        for bytes in stream(&mut generator(version, 1), &selection("ORU^R01", version), 500) {
            let message = Message::parse(&bytes).expect("a message");
            let specimen = value(&message, "SPM-4.1");
            let usual = ["", "WB", "BLD", "SER", "PLAS", "UR", "RES", "THRT"];
            assert!(usual.contains(&specimen.as_str()), "{version}: {specimen}");
        }
    }
}

#[test]
fn a_character_set_is_declared_and_kept_to() {
    let version = Version::V2_5_1;
    for (charset, declared) in [
        (None, "UNICODE UTF-8"),
        (Some("8859/1"), "8859/1"),
        (Some("latin1"), "8859/1"),
        (Some("8859/2"), "8859/2"),
        (Some("ascii"), ""),
    ] {
        let settings = Settings { charset: charset.map(str::to_owned), ..Settings::new(version) };
        let mut generator = Generator::new(settings).expect("settings that work");
        let mut has_letters = false;
        for bytes in stream(&mut generator, &selection("ADT", version), 300) {
            let message = Message::parse(&bytes).expect("a message");
            assert_eq!(value(&message, "MSH-18"), declared);
            has_letters |= !bytes.is_ascii();
            match declared {
                "UNICODE UTF-8" => assert!(std::str::from_utf8(&bytes).is_ok()),
                "" => assert!(bytes.is_ascii()),
                _ => {
                    let name = declared.replace("8859/", "iso-8859-");
                    let charset = Charset::from_name(&name).expect("a character set");
                    assert!(charset.round_trips(&bytes));
                    assert!(std::str::from_utf8(&bytes).is_err() || bytes.is_ascii());
                }
            }
        }
        assert_eq!(has_letters, !declared.is_empty(), "{charset:?}");
    }
    for version in [Version::V2_1, Version::V2_2] {
        let bytes = stream(&mut generator(version, 1), &selection("ADT", version), 100).concat();
        assert!(bytes.is_ascii());
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |settings: Settings| Generator::new(settings).err();
    let usual = Settings::new(Version::V2_2);
    let charset = Some("UTF-8".to_owned());
    assert_eq!(
        refused(Settings { charset, ..usual.clone() }),
        Some(SettingsError::NoCharsetField(Version::V2_2))
    );
    let modern = Settings::new(Version::V2_5_1);
    let unknown = SettingsError::UnknownCharset("klingon".to_owned(), Version::V2_5_1);
    assert_eq!(
        refused(Settings { charset: Some("klingon".to_owned()), ..modern.clone() }),
        Some(unknown)
    );
    assert_eq!(refused(Settings { start: -1, ..modern.clone() }), Some(SettingsError::Start));
    assert_eq!(
        refused(Settings { zone_minutes: 14 * 60 + 1, ..modern.clone() }),
        Some(SettingsError::Zone)
    );
    assert_eq!(refused(Settings { zone_minutes: 14 * 60, ..modern }), None);
}

#[test]
fn selections_are_read_in_several_spellings() {
    let version = Version::V2_5_1;
    let event = |code, trigger| Selection::Event(version.event(code, trigger).expect("an event"));
    for text in ["ADT^A01", "adt_a01", "ADT-A01", "ADT^A01^ADT_A01"] {
        assert_eq!(selection(text, version), event("ADT", "A01"));
    }
    assert_eq!(selection("mix", version), Selection::Hospital);
    assert!(matches!(selection("SIU", version), Selection::Family(events) if events.len() == 14));
    let error = |text| Selection::parse(text, version).expect_err("no such type").to_string();
    assert_eq!(error("XYZ"), "version 2.5.1 has no messages of type XYZ");
    assert_eq!(error("ORU^R99"), "version 2.5.1 has no ORU^R99; it has R01, R30, R31, R32");
}

#[test]
fn golden() {
    for (name, version, text, seed) in [
        ("admit-2.1", Version::V2_1, "ADT^A01", 1),
        ("result-2.3", Version::V2_3, "ORU^R01", 2),
        ("merge-2.5.1", Version::V2_5_1, "ADT^A40", 3),
        ("prescription-2.5.1", Version::V2_5_1, "RDE^O11", 4),
        ("appointment-2.6", Version::V2_6, "SIU^S12", 5),
        ("admit-2.9.1", Version::V2_9_1, "ADT^A01", 6),
    ] {
        let settings =
            Settings { seed, charset: Some("ascii".to_owned()), ..Settings::new(version) };
        let mut generator = Generator::new(settings).expect("settings that work");
        let bytes = stream(&mut generator, &selection(text, version), 2).concat();
        let found = String::from_utf8(bytes).expect("ASCII").replace('\r', "\n");
        let path =
            FilePath::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &found).expect("the golden file can be written");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, expected, "{name}: UPDATE_GOLDEN=1 rewrites it");
    }
}
