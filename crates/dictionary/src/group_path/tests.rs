use pipehat_message::{EditError, Message, Path};

use super::{STANDARD_GROUPS, check_group_path};
use crate::Version;

const RESULT: &[u8] = b"MSH|^~\\&|||||||ORU^R01^ORU_R01|1|P|2.5.1\r\
PID|1\rNTE|1||patient\r\
ORC|RE|o1\rOBR|1|a\rNTE|1||order\rOBX|1|||n|11\rNTE|1||first\rOBX|2|||n|12\r\
OBR|2|b\rOBX|1|||n|21\rZRX|own\r";

fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

fn message() -> Message<'static> {
    Message::parse(RESULT).expect("a message").read_groups_with(STANDARD_GROUPS)
}

fn check(text: &str, expected: &str) {
    let message = message();
    let found: Vec<String> = message
        .matches(&path(text))
        .map(|found| format!("{}={}", found.path, String::from_utf8_lossy(found.value.raw())))
        .collect();
    assert_eq!(found.join(" "), expected, "{text}");
    let first = message.get(&path(text)).map(|value| value.raw());
    assert_eq!(first, message.values(&path(text)).next().map(|value| value.raw()), "{text}");
}

#[test]
fn a_group_path_finds_what_is_in_the_group() {
    check(
        "/PATIENT_RESULT/ORDER_OBSERVATION(2)/OBX-5",
        "/PATIENT_RESULT/ORDER_OBSERVATION(2)/OBX-5=21",
    );
    check("/ORDER_OBSERVATION/OBX(2)-5", "/ORDER_OBSERVATION/OBX(2)-5=12");
    check("/ORDER_OBSERVATION/OBSERVATION(2)/OBX-5", "/ORDER_OBSERVATION/OBSERVATION(2)/OBX-5=12");
    check("/ORDER_OBSERVATION(last)/OBR-2", "/ORDER_OBSERVATION(2)/OBR-2=b");
    check(
        "/ORDER_OBSERVATION(*)/OBX(*)-5",
        "/ORDER_OBSERVATION/OBX-5=11 /ORDER_OBSERVATION/OBX(2)-5=12 /ORDER_OBSERVATION(2)/OBX-5=21",
    );
    check("/ORDER_OBSERVATION(2)/ZRX-1", "/ORDER_OBSERVATION(2)/ZRX-1=own");
}

#[test]
fn what_is_not_there_is_absent() {
    for absent in [
        "/ORDER_OBSERVATION(3)/OBX-5",
        "/ORDER_OBSERVATION/OBX(3)-5",
        "/SPECIMEN/SPM-1",
        "/NO_SUCH_GROUP/OBX-5",
        "/ORDER_OBSERVATION(+1)/OBX-5",
    ] {
        check(absent, "");
    }
}

#[test]
fn a_segment_of_the_group_itself_comes_before_those_within() {
    check("/ORDER_OBSERVATION/NTE(*)-3", "/ORDER_OBSERVATION/NTE-3=order");
    check("/ORDER_OBSERVATION(2)/NTE(*)-3", "");
    check("/OBSERVATION/NTE-3", "/OBSERVATION/NTE-3=first");
    check("/PATIENT/NTE-3", "/PATIENT/NTE-3=patient");
}

/// The message after setting a path, as the names of its segments with field 3 of notes and field 5 of results.
fn set(text: &str, expected: &str) {
    let mut message = message();
    message.set_text(&path(text), b"new").expect("an edit");
    let shown = String::from_utf8_lossy(message.as_bytes()).replace('\r', " ");
    let shown = shown.trim().split_once(' ').expect("a header").1.to_owned();
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn a_group_path_can_be_written() {
    set(
        "/ORDER_OBSERVATION(2)/OBX-5",
        "PID|1 NTE|1||patient ORC|RE|o1 OBR|1|a NTE|1||order OBX|1|||n|11 NTE|1||first \
         OBX|2|||n|12 OBR|2|b OBX|1|||n|new ZRX|own",
    );
    // A new segment goes where the structure has it.
    set(
        "/ORDER_OBSERVATION(2)/NTE(+1)-3",
        "PID|1 NTE|1||patient ORC|RE|o1 OBR|1|a NTE|1||order OBX|1|||n|11 NTE|1||first \
         OBX|2|||n|12 OBR|2|b NTE|||new OBX|1|||n|21 ZRX|own",
    );
    set(
        "/ORDER_OBSERVATION/OBX(+1)-5",
        "PID|1 NTE|1||patient ORC|RE|o1 OBR|1|a NTE|1||order OBX|1|||n|11 NTE|1||first \
         OBX|2|||n|12 OBX|||||new OBR|2|b OBX|1|||n|21 ZRX|own",
    );
    set(
        "/PATIENT_RESULT/ORDER_OBSERVATION(+1)/OBR-2",
        "PID|1 NTE|1||patient ORC|RE|o1 OBR|1|a NTE|1||order OBX|1|||n|11 NTE|1||first \
         OBX|2|||n|12 OBR|2|b OBX|1|||n|21 ZRX|own OBR||new",
    );
}

#[test]
fn what_can_not_be_written_is_refused() {
    let absent = path("/ORDER_OBSERVATION(7)/NTE(+1)-3");
    let refused = message().set_text(&absent, b"x");
    assert_eq!(refused, Err(EditError::SegmentAbsent(absent)));
    let unread = path("/ORDER_OBSERVATION/OBX-5");
    let refused = Message::parse(RESULT).expect("a message").set_text(&unread, b"x");
    assert_eq!(refused, Err(EditError::GroupPath(unread)));
}

#[test]
fn a_path_that_no_structure_allows_is_found_beforehand() {
    let oru = Version::V2_5_1.structure("ORU_R01");
    for (text, expected) in [
        ("/PATIENT_RESULT/ORDER_OBSERVATION(2)/OBX-5", ""),
        ("/ORDER_OBSERVATION/ZZZ-5", ""),
        (
            "/ORDER_OBSERVATOIN/OBX-5",
            "ORU_R01 of 2.5.1 has no group `ORDER_OBSERVATOIN`: ORDER_OBSERVATION",
        ),
        ("/INSURANCE/IN1-2", "ORU_R01 of 2.5.1 has no group `INSURANCE`"),
        (
            "/VISIT/ORDER_OBSERVATION/OBX",
            "ORU_R01 of 2.5.1 has no `ORDER_OBSERVATION` within `VISIT`",
        ),
        ("/ORDER_OBSERVATION/PID", "ORU_R01 of 2.5.1 has no `PID` within `ORDER_OBSERVATION`"),
    ] {
        let told =
            check_group_path(&path(text), oru).err().map(|problem| match problem.nearest() {
                Some(nearest) => format!("{problem}: {nearest}"),
                None => problem.to_string(),
            });
        assert_eq!(told.unwrap_or_default(), expected, "{text}");
    }
    assert_eq!(check_group_path(&path("/INSURANCE/IN1-2"), None), Ok(()));
    assert_eq!(
        check_group_path(&path("/INSURENCE/IN1-2"), None).map_err(|problem| problem.to_string()),
        Err("no message structure has a group `INSURENCE`".to_owned())
    );
}
