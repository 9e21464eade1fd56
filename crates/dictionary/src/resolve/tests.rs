use pipehat_message::Header;

use super::{Resolved, VersionNote, resolve};

fn resolved(message_type: &str, version: &str) -> Resolved {
    let header = format!("MSH|^~\\&|A|B|C|D|20260101||{message_type}|1|P|{version}\r");
    resolve(&Header::read(header.as_bytes()).expect("a header"))
}

fn check(message_type: &str, version: &str, expected: &str) {
    let found = resolved(message_type, version);
    let structure = found.structure.map_or("none".to_owned(), |structure| {
        let other = structure.version();
        let of = if other == found.version { String::new() } else { format!(" of {other}") };
        format!("{}{of}", structure.name())
    });
    assert_eq!(format!("{} {structure}", found.version), expected, "{message_type} {version}");
}

#[test]
fn versions_are_read_as_senders_write_them() {
    for (written, expected) in [
        ("2.5.1", "2.5.1 ORU_R01"),
        ("2.5.1^USA", "2.5.1 ORU_R01"),
        (" 2.3 ", "2.3 ORU_R01"),
        ("v2.4", "2.4 ORU_R01"),
        ("2.9", "2.9.1 ORU_R01-A"),
        ("2.5.2", "2.5.1 ORU_R01"),
        ("2.10", "2.9.1 ORU_R01-A"),
        ("2.3.2", "2.3.1 ORU_R01"),
        ("", "2.5.1 ORU_R01"),
        ("3.0", "2.5.1 ORU_R01"),
        ("P", "2.5.1 ORU_R01"),
        ("2", "2.5.1 ORU_R01"),
        ("2.5.1.0", "2.5.1 ORU_R01"),
    ] {
        check("ORU^R01", written, expected);
    }
    // Not in 2.5.1: the nearest version that has it.
    check("ORU^R42", "", "2.9.1 ORU_R01-C");
}

#[test]
fn what_is_assumed_about_the_version_is_said() {
    for (written, expected) in [
        ("2.5.1", None),
        ("2.9", None),
        ("V2.3", None),
        ("", Some(VersionNote::Missing)),
        ("2.5.2", Some(VersionNote::Unknown)),
        ("2.99", Some(VersionNote::Unknown)),
        ("2.0", Some(VersionNote::Unreadable)),
        ("latest", Some(VersionNote::Unreadable)),
        ("99999999999.1", Some(VersionNote::Unreadable)),
    ] {
        assert_eq!(resolved("ADT^A01", written).version_note, expected, "{written}");
    }
}

#[test]
fn structures_come_from_the_name_and_else_from_the_event() {
    check("ADT^A08^ADT_A01", "2.5.1", "2.5.1 ADT_A01");
    check("ADT^A08", "2.5.1", "2.5.1 ADT_A01");
    check("ADT^A08", "2.2", "2.2 ADT_A08");
    check("ADT^A08^ADT_A01", "2.9.1", "2.9.1 ADT_A01-C");
    check("ADT^A08", "2.9.1", "2.9.1 ADT_A01-C");
    check("ADT^A40^ADT_A39", "2.3.1", "2.3.1 ADT_A39");
    check("ADT^A40", "2.5.1", "2.5.1 ADT_A39");
    check("ACK", "2.5.1", "2.5.1 ACK");
    check("ACK^A01", "2.3", "2.3 ACK");
    check("ACK^A01^ACK", "2.9.1", "2.9.1 ACK");
    // The event repeated in MSH-9.3, which names a structure of 2.2.
    check("ADT^A08^ADT_A08", "2.5.1", "2.5.1 ADT_A01");
    check("ADT^A08^ADT_A08", "2.8", "2.8 ADT_A01");
    check("ADT^A04^ADT_A04", "2.5.1", "2.5.1 ADT_A01");
    check("ADT^A13^ADT_A13", "2.5.1", "2.5.1 ADT_A01");
    check("ADT^A28^ADT_A28", "2.5.1", "2.5.1 ADT_A05");
    check("ADT^A31^ADT_A31", "2.9.1", "2.9.1 ADT_A05-D");
    check("ADT^A08^ADT_A08", "2.2", "2.2 ADT_A08");
    check("ADT^A08^ADT_A01", "2.2", "2.2 ADT_A08");
    // A structure of the version that the event does not have, in this version or in any; and an event it does not have.
    check("ADT^A28^ADT_A01", "2.5.1", "2.5.1 ADT_A01");
    check("ADT^A01^ORU_R01", "2.5.1", "2.5.1 ADT_A01");
    check("ADT^Z99^ADT_A05", "2.5.1", "2.5.1 ADT_A05");
    check("ADR^A19^ADR_A19", "2.3", "2.3 ADR_A19");
    check("ORU^R01^WHAT", "2.5.1", "2.5.1 ORU_R01");
    check("OML^O21", "2.3", "2.3 OML_O21 of 2.4");
    check("ADT^Z99", "2.5.1", "2.5.1 ADT_A01");
    check("ORU", "2.5.1", "2.5.1 ORU_R01");
    check("ZZZ^Z01", "2.5.1", "2.5.1 none");
    check("", "2.5.1", "2.5.1 none");
}

#[test]
fn what_is_assumed_about_the_structure_is_said() {
    for (message_type, expected) in [
        ("ADT^A08^ADT_A01", ""),
        ("ADT^A08", ""),
        ("ADT^Z99^ADT_A05", ""),
        ("ADT^A08^ADT_A99", "MSH-9.3 names no structure of any version; ADT^A08 is ADT_A01"),
        ("ADT^A08^ADT_A08", "MSH-9.3 is ADT_A08, which 2.5.1 does not have; ADT^A08 is ADT_A01"),
        ("ADT^A01^ORU_R01", "MSH-9.3 is ORU_R01; in 2.5.1, ADT^A01 is ADT_A01"),
        ("ADT^A28^ADT_A01", "MSH-9.3 is ADT_A01; in 2.5.1, ADT^A28 is ADT_A05"),
        ("ACK^A01^ADT_A01", "MSH-9.3 is ADT_A01; in 2.5.1, ACK is ACK"),
        ("ORU^R42^ORU_R42", "MSH-9.3 names no structure of any version; ORU^R42 is ORU_R01"),
        ("ORU^R42", "the version does not have this message"),
        ("ADT^Z99", "the trigger event in MSH-9.2 is unknown or missing"),
        ("ZZZ^Z99", "MSH-9 names no known message"),
    ] {
        let note = resolved(message_type, "2.5.1").structure_note;
        let said = note.map_or(String::new(), |note| note.to_string());
        assert_eq!(said, expected, "{message_type}");
    }
}
