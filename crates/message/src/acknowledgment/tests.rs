use std::path::Path;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{
    Acknowledgment, AcknowledgmentBuilder, AcknowledgmentCode, AcknowledgmentCondition,
    AcknowledgmentError, ErrorCode, ErrorDetail, Severity, unreadable_header_reply,
};
use crate::{Header, HeaderError};

const VERSIONS: &[&str] = &[
    "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1",
    "2.8.2", "2.9",
];

const MISSING: ErrorDetail<'_> = ErrorDetail {
    code: ErrorCode::RequiredFieldMissing,
    severity: Severity::Error,
    location: Some("PID-3[2].1"),
    text: "PID-3[2].1 is required",
};

const NOT_FOUND: ErrorDetail<'_> = ErrorDetail {
    code: ErrorCode::TableValueNotFound,
    severity: Severity::Warning,
    location: Some("OBX(3)-8"),
    text: "OBX(3)-8 is not in table 0078",
};

/// Compares with the file under `golden/ack`; `UPDATE_GOLDEN=1` writes it. In the file each segment has its own line.
fn check_golden(name: &str, reply: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/ack").join(name);
    let lines = String::from_utf8_lossy(reply).replace('\r', "\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &lines).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file can be read");
    assert_eq!(lines, expected, "{name}");
    assert!(reply.ends_with(b"\r") && !reply.contains(&b'\n'));
}

fn admit(version: &str) -> String {
    format!(
        "MSH|^~\\&|REG|GENERAL|LAB^1.2.3^ISO|NORTH|20240102030405||ADT^A01^ADT_A01|C-1|T|{version}^GBR|7||AL|AL|GBR|8859/1~UNICODE UTF-8\rPID|1\r"
    )
}

fn reply_to<'a>(message: &'a str) -> AcknowledgmentBuilder<'a> {
    let header = Header::read(message.as_bytes()).expect("a readable header");
    AcknowledgmentBuilder::new(&header).control_id("OWN-1").timestamp("20240102030406+0000")
}

#[test]
fn every_version_has_its_form() {
    for version in VERSIONS {
        let message = admit(version);
        check_golden(&format!("{version}-accept.hl7"), &reply_to(&message).build());
        let refused = reply_to(&message)
            .code(AcknowledgmentCode::Ae)
            .text("2 errors | see ERR")
            .error(MISSING)
            .error(NOT_FOUND)
            .build();
        check_golden(&format!("{version}-error.hl7"), &refused);
    }
}

#[test]
fn enhanced_mode_has_its_codes() {
    let message = admit("2.5.1");
    for code in [AcknowledgmentCode::Ca, AcknowledgmentCode::Ce, AcknowledgmentCode::Cr] {
        let name = format!("enhanced-{}.hl7", code.as_str().to_lowercase());
        check_golden(&name, &reply_to(&message).code(code).build());
    }
    let (accept, application) = (AcknowledgmentCondition::Always, AcknowledgmentCondition::Never);
    check_golden("enhanced-aa.hl7", &reply_to(&message).conditions(accept, application).build());
}

#[test]
fn a_text_alone_is_said_where_the_version_can() {
    for version in ["2.3", "2.6", "2.7"] {
        let message = admit(version);
        let reply = reply_to(&message).code(AcknowledgmentCode::Ar).text("not today").build();
        check_golden(&format!("{version}-text.hl7"), &reply);
    }
}

#[test]
fn a_sender_keeps_its_delimiters_and_character_set() {
    let message = "MSH#!@%*#A!B#C#D#E###ADT!A01#5%F%1#P#2.5.1######8859/1\r";
    let reply = reply_to(message)
        .code(AcknowledgmentCode::Ae)
        .text("#1 für 50% ✓")
        .error(MISSING)
        .expected_sequence_number("8")
        .build();
    let expected =
        b"MSH#!@%*#D#E#A!B#C#20240102030406+0000##ACK!A01!ACK#OWN-1#P#2.5.1######8859/1\r\
        MSA#AE#5%F%1#%F%1 f\xFCr 50%E% ?#8\r\
        ERR##PID!1!3!2!1#101!Required field missing!HL70357#E####PID-3[2].1 is required\r";
    assert_eq!(String::from_utf8_lossy(&reply), String::from_utf8_lossy(expected));
    assert_eq!(reply, expected);
}

#[test]
fn without_an_escape_character_delimiters_become_blanks() {
    let message = "MSH|^~|A\r";
    let reply = reply_to(message).text("a|b^c & d").build();
    let reply = String::from_utf8(reply).expect("ASCII");
    assert!(reply.ends_with("\rMSA|AA||a b c & d\r"), "{reply}");
}

#[test]
fn an_unreadable_header_is_still_answered() {
    let reply =
        |bytes: &[u8]| unreadable_header_reply(bytes, "OWN-1", "20240102030406", "no header");
    check_golden("unreadable.hl7", &reply(b"PID|1\r"));
    for bytes in [
        &b""[..],
        b"\x0B",
        b"MSH",
        b"MSH|",
        b"MSHA",
        b"MSH^~\\&|A",
        b"FHS|^~\\&|A|B\r",
        b"\xFF\xFE",
    ] {
        assert_eq!(reply(bytes), reply(b"PID|1\r"), "{bytes:?}");
    }
    // MSH-2 names nothing, yet MSH-10 can be found.
    let damaged = b"MSH||REG|GENERAL|LAB|NORTH|20240102||ADT^A01|C-1|P|2.3\rPID|1\r";
    check_golden("unreadable-encoding-characters.hl7", &reply(damaged));
    let long = [b"MSH||", &b"A".repeat(100_000)[..]].concat();
    assert!(reply(&long).len() < 8_000, "what is echoed is bounded");
}

#[test]
fn nothing_of_a_header_breaks_the_frame() {
    let message = "MSH|^~\\&|A\x1CB\x0B|||||||C\x1C\x0B\r";
    assert!(crate::mllp::is_frameable(&reply_to(message).build()));
}

#[test]
fn acknowledgments_are_read_in_old_and_new_form() {
    for version in VERSIONS {
        let message = admit(version);
        let reply = reply_to(&message)
            .code(AcknowledgmentCode::Ae)
            .text("refused")
            .error(MISSING)
            .error(NOT_FOUND)
            .expected_sequence_number("8")
            .build();
        let read = Acknowledgment::read(&reply).expect("an acknowledgment");
        assert_eq!(read.code(), AcknowledgmentCode::Ae);
        assert_eq!(read.control_id(), b"C-1");
        assert_eq!(read.expected_sequence_number(), b"8");
        assert_eq!(read.header().control_id(), b"OWN-1");
        let minor = version.split('.').nth(1);
        assert_eq!(read.text(), if minor < Some("7") { &b"refused"[..] } else { b"" });
        let codes: Vec<_> = read.errors().map(|error| error.code).collect();
        assert_eq!(codes, [b"101", b"103"], "{version}");
        let old = minor < Some("5");
        let locations: Vec<_> = read.errors().filter_map(|error| error.location()).collect();
        let expected = if old { ["PID-3", "OBX(3)-8"] } else { ["PID-3[2].1", "OBX(3)-8"] };
        assert_eq!(locations, expected, "{version}");
        let severities: Vec<_> = read.errors().map(|error| error.severity).collect();
        let expected = [Some(Severity::Error), Some(Severity::Warning)];
        assert_eq!(severities, if old { [None; 2] } else { expected });
        if !old {
            assert!(
                read.errors()
                    .all(|error| error.text.starts_with(b"PID") || error.text.starts_with(b"OBX"))
            );
        }
        assert!(!format!("{read:?} {:?}", read.errors().collect::<Vec<_>>()).contains("refused"));
    }
}

#[test]
fn replies_of_odd_peers_are_read() {
    let read = |reply: &'static str| {
        Acknowledgment::read(reply.as_bytes()).map(|read| (read.code(), read.control_id()))
    };
    let accepted = Ok((AcknowledgmentCode::Aa, &b"C"[..]));
    assert_eq!(read("MSH|^~\\&|\rMSA|AA|C\r"), accepted);
    assert_eq!(read("MSH|^~\\&|\nMSA|AA|C"), accepted);
    assert_eq!(read("\r\nMSH|^~\\&|\r\n\r\nSFT|x\r\nMSA|aa |C|\r\n"), accepted);
    assert_eq!(read("MSH|^~\\&|\rMSA|AA\r"), Ok((AcknowledgmentCode::Aa, &b""[..])));
    assert_eq!(read("MSH|^~\\&|\rMSA|OK|C\r"), Err(AcknowledgmentError::Code));
    assert_eq!(read("MSH|^~\\&|\rMSA\r"), Err(AcknowledgmentError::Code));
    assert_eq!(read("MSH|^~\\&|\rMSAX|AA|C\r"), Err(AcknowledgmentError::Missing));
    assert_eq!(read("MSH|^~\\&|\r"), Err(AcknowledgmentError::Missing));
    assert_eq!(read("OK"), Err(AcknowledgmentError::Header(HeaderError::NotHeader)));
    let no_location = "MSH|^~\\&|\rMSA|AE|C\rERR||^^|207\rERR\rERR|\r";
    let read = Acknowledgment::read(no_location.as_bytes()).expect("an acknowledgment");
    let errors: Vec<_> = read.errors().map(|error| (error.code, error.location())).collect();
    assert_eq!(errors, [(&b"207"[..], None)]);
}

proptest! {
    #[test]
    fn any_header_gets_a_readable_reply(fields in r"[A-Z0-9.^~\\&|#\x0B\x1C]{0,80}", text: String) {
        let message = format!("MSH|^~\\&|{fields}\r");
        let header = Header::read(message.as_bytes()).expect("a readable header");
        let reply = AcknowledgmentBuilder::new(&header)
            .code(AcknowledgmentCode::Ae)
            .control_id("OWN")
            .text(&text)
            .error(ErrorDetail { text: &text, location: Some(&text), ..MISSING })
            .build();
        let read = Acknowledgment::read(&reply).expect("an acknowledgment");
        prop_assert_eq!(read.code(), AcknowledgmentCode::Ae);
        prop_assert_eq!(read.header().control_id(), b"OWN");
        prop_assert!(crate::mllp::is_frameable(&reply));
        let segments = reply.split(|&byte| byte == b'\r').count();
        prop_assert_eq!(segments, 4, "three segments and the end");
    }

    #[test]
    fn no_input_panics(bytes: Vec<u8>) {
        let reply = unreadable_header_reply(&bytes, "OWN", "", "text");
        prop_assert!(Acknowledgment::read(&reply).is_ok());
        let headed = [b"MSH|^~\\&|\rMSA|AE|1\rERR|", &bytes[..]].concat();
        for message in [&bytes, &headed] {
            if let Ok(read) = Acknowledgment::read(message) {
                read.errors().for_each(|error| drop(error.location()));
            }
        }
    }
}

/// A query refused, as golden file `name`.
#[track_caller]
fn check_query(name: &str, message: &str) {
    let reply = reply_to(message)
        .code(AcknowledgmentCode::Ae)
        .text("no answer in time")
        .error(ErrorDetail { text: "no answer in time", location: None, ..MISSING })
        .in_response_to(message.as_bytes())
        .build();
    check_golden(&format!("query-{name}.hl7"), &reply);
    let read = Acknowledgment::read(&reply).expect("an acknowledgment");
    assert_eq!((read.code(), read.control_id()), (AcknowledgmentCode::Ae, &b"Q-1"[..]));
}

fn query(kind: &str, version: &str, definition: &str) -> String {
    format!("MSH|^~\\&|HIS|WARD|MPI|CENTRAL|20240102||{kind}|Q-1|P|{version}\r{definition}\r")
}

#[test]
fn a_query_is_refused_in_its_own_form() {
    let qpd = "QPD|IHE PDQ Query^^IHE|TAG-7|@PID.5.1^DOE~@PID.8^F\rRCP|I|10^RD";
    for (name, kind, version) in [
        ("q11", "QBP^Q11^QBP_Q11", "2.5.1"),
        ("q13", "QBP^Q13^QBP_Q13", "2.5"),
        ("q15", "QBP^Q15^QBP_Q15", "2.5"),
        ("q21", "QBP^Q21^QBP_Q21", "2.4"),
        ("q22", "QBP^Q22^QBP_Q21", "2.5"),
        ("q22-2.4", "QBP^Q22^QBP_Q21", "2.4"),
        ("q22-2.8", "QBP^Q22^QBP_Q21", "2.8"),
        ("q24", "QBP^Q24^QBP_Q21", "2.5.1"),
        ("z81", "QBP^Z81^QBP_Q11", "2.5.1"),
        ("z79", "QBP^Z79^QBP_Q15", "2.5.1"),
        ("zv1", "QBP^ZV1^QBP_Q21", "2.5"),
    ] {
        check_query(name, &query(kind, version, qpd));
    }
    check_query("without-definition", &query("QBP^Q22^QBP_Q21", "2.5", "RCP|I"));
    let qrd = "QRD|20240102|R|I|QID-3|||5^RD|1234|DEM\rQRF|MPI";
    for (name, kind, version) in [
        ("a19", "QRY^A19", "2.3"),
        ("a19-2.2", "QRY^A19", "2.2"),
        ("q01", "QRY^Q01^QRY_Q01", "2.5.1"),
        ("q02", "QRY^Q02", "2.3"),
        ("r02", "QRY^R02", "2.4"),
        ("t12", "QRY^T12", "2.4"),
        ("s25", "SQM^S25", "2.4"),
        ("q06", "OSQ^Q06", "2.4"),
        ("unknown", "QRY^PC4", "2.4"),
    ] {
        check_query(name, &query(kind, version, qrd));
    }
}

#[test]
fn what_is_no_query_is_refused_as_ever() {
    let message = admit("2.5.1");
    let plain = reply_to(&message).code(AcknowledgmentCode::Ae).error(MISSING);
    assert_eq!(plain.clone().in_response_to(message.as_bytes()).build(), plain.build());
    let is_query = |code: &str| {
        let message = format!("MSH|^~\\&|||||||{code}|1|P|2.5\r");
        crate::is_query(&Header::read(message.as_bytes()).expect("a header"))
    };
    for code in ["QBP^Q22", "QRY^A19", "VXQ^V01", "SQM^S25"] {
        assert!(is_query(code), "{code}");
    }
    for code in ["ADT^A01", "QCK^Q02", "RSP^K22", "ACK", "", "Q"] {
        assert!(!is_query(code), "{code}");
    }
}

#[test]
fn what_a_query_repeats_does_not_break_the_frame() {
    let message = query("QBP^Q22", "2.5", "QPD|A\x1C\x0BB|TAG\x0B");
    let reply = reply_to(&message).in_response_to(message.as_bytes()).build();
    assert!(crate::mllp::is_frameable(&reply));
}
