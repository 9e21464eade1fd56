//! Paths through segment groups in steps and conditions.

use super::check;
use crate::program::reference::{Reference, Scope, Use};

const RESULT: &str = "ORC|RE|o1\nOBR|1|a\nNTE|1||note\nOBX|1|NM|K||4|||N\nNTE|1||high\nOBX|2|NM|NA||140|||H\nORC|RE|o2\nOBR|2|b\nOBX|1|NM|CL||100|||N\nNTE|1||low";

/// Steps on a result; of its segments from ORC on, those expected to be changed.
fn result(steps: &str, changes: &[(usize, &str)]) {
    let header = "MSH-9: { raw: \"ORU^R01^ORU_R01\" }";
    let steps =
        format!("  - set: {{ {header} }}\n{steps}\n  - set: {{ MSH-9: {{ raw: \"ADT^A01\" }} }}");
    let mut lines: Vec<String> = RESULT.lines().map(str::to_owned).collect();
    for (index, line) in changes {
        lines[*index] = (*line).to_owned();
    }
    check(&steps, RESULT, &[&lines.join("\n")]);
}

#[test]
fn steps_read_and_write_through_groups() {
    result("  - set: { \"/ORDER_OBSERVATION(2)/OBX-5\": 101 }", &[(8, "OBX|1|NM|CL||101|||N")]);
    result(
        "  - copy: { from: /ORDER_OBSERVATION(2)/OBR-2, to: /PATIENT_RESULT/ORDER_OBSERVATION/OBR-3 }",
        &[(1, "OBR|1|a|b")],
    );
    result(
        "  - clear: \"/ORDER_OBSERVATION(*)/OBX(*)-8\"",
        &[(3, "OBX|1|NM|K||4|||"), (5, "OBX|2|NM|NA||140|||"), (8, "OBX|1|NM|CL||100|||")],
    );
    // The order has no note of its own; the one that follows belongs to its result.
    result("  - clear: /ORDER_OBSERVATION(2)/NTE-3", &[]);
    result("  - set: { \"/ORDER_OBSERVATION/NTE-3\": x }", &[(2, "NTE|1||x")]);
    result("  - set: { \"/OBSERVATION(3)/NTE-3\": x }", &[(9, "NTE|1||x")]);
}

#[test]
fn a_new_segment_goes_into_its_group() {
    result("  - set: { \"/ORDER_OBSERVATION(2)/NTE(+1)-3\": new }", &[(7, "OBR|2|b\nNTE|||new")]);
}

#[test]
fn conditions_ask_through_groups() {
    let when = |condition: &str, changes: &[(usize, &str)]| {
        result(
            &format!("  - when: {condition}\n    do: [ {{ set: {{ OBR(1)-2: x }} }} ]"),
            changes,
        );
    };
    let holds: &[(usize, &str)] = &[(1, "OBR|1|x")];
    when("/ORDER_OBSERVATION(2)/OBX-3 = 'CL'", holds);
    when("/ORDER_OBSERVATION(3)/OBX-3 exists", &[]);
    when("any(/ORDER_OBSERVATION/OBX-8) = 'H'", holds);
    when("any(/ORDER_OBSERVATION(2)/OBX-8) = 'H'", &[]);
    when("all(/ORDER_OBSERVATION(2)/OBX-8) = 'N'", holds);
    when("not (/ORDER_OBSERVATION(2)/NTE exists)", holds);
}

#[test]
fn each_goes_over_the_segments_of_groups() {
    result(
        "  - each: /OBSERVATION/NTE\n    do: [ { set: { NTE-4: x } } ]",
        &[(4, "NTE|1||high|x"), (9, "NTE|1||low|x")],
    );
    let steps = "  - set: { MSH-9: { raw: \"ORU^R01^ORU_R01\" } }\n  - each: /OBSERVATION/NTE\n    do: [ { remove_segment: NTE } ]\n  - set: { MSH-9: { raw: \"ADT^A01\" } }";
    let left: Vec<&str> =
        RESULT.lines().filter(|line| !line.ends_with("high") && !line.ends_with("low")).collect();
    check(steps, RESULT, &[&left.join("\n")]);
}

#[test]
fn a_message_is_split_into_its_groups() {
    let header =
        |id: &str| format!("MSH|^~\\&|ADT1|GOOD|LAB|CITY|202407221200||ORU^R01|{id}|P|2.5.1");
    let message =
        "PID|1||a\nORC|RE\nOBR|1\nOBX|1\nNTE|1\nOBR|2\nOBX|1\nPID|2||b\nNTE|1\nOBR|3\nOBX|1\nDSC|x";
    let steps = |each: &str| {
        format!(
            "  - set: {{ MSH-9: {{ raw: \"ORU^R01\" }} }}\n  - split: {{ each: {each}, control_ids: numbered }}"
        )
    };
    check(
        &steps("/PATIENT_RESULT/ORDER_OBSERVATION/OBR"),
        message,
        &[
            &format!("{}\nPID|1||a\nORC|RE\nOBR|1\nOBX|1\nNTE|1", header("C1.1")),
            &format!("{}\nPID|1||a\nOBR|2\nOBX|1", header("C1.2")),
            &format!("{}\nPID|2||b\nNTE|1\nOBR|3\nOBX|1\nDSC|x", header("C1.3")),
        ],
    );
    check(
        &steps("/PATIENT_RESULT/PID"),
        message,
        &[
            &format!("{}\nPID|1||a\nORC|RE\nOBR|1\nOBX|1\nNTE|1\nOBR|2\nOBX|1", header("C1.1")),
            &format!("{}\nPID|2||b\nNTE|1\nOBR|3\nOBX|1\nDSC|x", header("C1.2")),
        ],
    );
}

#[test]
fn a_group_that_no_message_has_is_a_mistake() {
    let told = |path: &str| {
        let error = plain_path(path).expect_err("a mistake");
        format!("{}: {}", error.message, error.help.unwrap_or_default())
    };
    assert_eq!(
        told("/ORDER_OBSERVATOIN/OBX-5"),
        "no message structure has a group `ORDER_OBSERVATOIN`: write `ORDER_OBSERVATION`"
    );
    assert_eq!(
        told("/TIMING_QTY/PID-2"),
        "no message structure has `PID` within `TIMING_QTY`: \
         `pipehat dictionary ORU_R01` shows the groups of a message"
    );
    assert!(plain_path("/PATIENT_RESULT/ORDER_OBSERVATION(*)/OBX(*)-5").is_ok());
}

/// Reads a path as an order or an index does.
fn plain_path(text: &str) -> Result<Reference, crate::program::SyntaxError> {
    Reference::parse(text, &Scope::default(), Use::ReadEach)
}
