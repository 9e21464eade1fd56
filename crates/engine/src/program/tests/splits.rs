//! One message into several.

use bytes::Bytes;

use super::{check, told};
use crate::program::Verdict;
use crate::project::testing::{channel, run};

const HEAD: &str = "MSH|^~\\&|ADT1|GOOD|LAB|CITY|202407221200||ADT^A01";

#[test]
fn result_groups_become_messages_with_the_common_head() {
    let message = "PID|1||4711\nNTE|1||head\nPV1|1|I\nORC|RE|A\nOBR|1|A\nOBX|1\nNTE|1\nOBR|2|B\nOBX|1\nORC|RE|C\nOBR|3|C";
    check(
        "  - split: { each: OBR }",
        message,
        &[
            &format!(
                "{HEAD}|NEW1|P|2.5.1\nPID|1||4711\nNTE|1||head\nPV1|1|I\nORC|RE|A\nOBR|1|A\nOBX|1\nNTE|1"
            ),
            &format!("{HEAD}|NEW2|P|2.5.1\nPID|1||4711\nNTE|1||head\nPV1|1|I\nOBR|2|B\nOBX|1"),
            &format!("{HEAD}|NEW3|P|2.5.1\nPID|1||4711\nNTE|1||head\nPV1|1|I\nORC|RE|C\nOBR|3|C"),
        ],
    );
}

#[test]
fn a_later_patient_begins_a_new_head() {
    check(
        "  - split: { each: OBR, control_ids: numbered }",
        "PID|1||a\nPV1|1\nOBR|1\nPID|2||b\nOBR|2\nOBR|3",
        &[
            &format!("{HEAD}|C1.1|P|2.5.1\nPID|1||a\nPV1|1\nOBR|1"),
            &format!("{HEAD}|C1.2|P|2.5.1\nPID|2||b\nOBR|2"),
            &format!("{HEAD}|C1.3|P|2.5.1\nPID|2||b\nOBR|3"),
        ],
    );
}

#[test]
fn one_group_or_none_stays_as_it_is() {
    check("  - split: { each: OBR }", "PID|1\nOBR|1\nOBX|1", &["PID|1\nOBR|1\nOBX|1"]);
    check("  - split: { each: OBR }", "PID|1", &["PID|1"]);
}

#[test]
fn what_follows_a_split_is_done_to_each_part() {
    let steps = "  - when: PID exists\n    do:\n      - split: { each: FT1 }\n      - set: { FT1-2: x }\n  - filter: { when: FT1-1 = \"2\" }\n  - set: { PID-2: y }";
    check(
        steps,
        "PID|1\nFT1|1\nFT1|2\nFT1|3",
        &[
            &format!("{HEAD}|NEW1|P|2.5.1\nPID|1|y\nFT1|1|x"),
            &format!("{HEAD}|NEW3|P|2.5.1\nPID|1|y\nFT1|3|x"),
        ],
    );
    check(steps, "PID|1\nFT1|2\nFT1|2", &["filtered by steps[2].filter"]);
}

#[test]
fn one_parked_part_parks_all() {
    check(
        "  - split: { each: FT1 }\n  - map: { field: FT1-2, table: gender }",
        "FT1|1|M\nFT1|2|X",
        &["parked program.map-no-match steps[2].map: the table does not have the code in FT1-2"],
    );
}

fn batch(text: &str) -> Vec<String> {
    let spec = channel(&format!(
        "accept: MSH-9.1 = \"ADT\"\nsteps:\n  - split: batch\n  - set: {{ MSH-4: X }}\n    when: MSH-10 = \"2\"\n{}",
        super::DESTINATION
    ));
    told(run(&spec, &Bytes::from(text.replace('\n', "\r"))))
}

#[test]
fn the_messages_of_a_batch_are_handled_one_by_one() {
    let one = "MSH|^~\\&|a|b|||||ADT^A01|1|P|2.5\nPID|1";
    let two = "MSH|^~\\&|a|b|||||ADT^A01|2|P|2.5\nPID|2";
    let other = "MSH|^~\\&|a|b|||||ORU^R01|3|P|2.5\nPID|3";
    let two_set = "MSH|^~\\&|a|X|||||ADT^A01|2|P|2.5\nPID|2";
    let whole = format!("FHS|^~\\&\nBHS|^~\\&\n{one}\n{two}\n{other}\nBTS|3\nFTS|1\n");
    assert_eq!(batch(&whole), [one, two_set]);
    assert_eq!(batch(&format!("{one}\n{two}\n")), [one, two_set]);
    assert_eq!(batch(one), [one]);
    assert_eq!(batch(other), ["filtered by accept"]);
    assert_eq!(
        batch("FHS|^~\\&\nFTS|0\n"),
        ["parked program.batch steps[1].split: the batch has no message in it"]
    );
}

#[test]
fn an_unsplit_batch_is_parked_with_a_reason() {
    let spec = channel(super::DESTINATION);
    let told = told(run(&spec, &Bytes::from_static(b"BHS|^~\\&\rMSH|^~\\&|a\rBTS|1\r")));
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert!(told.starts_with("parked program.unreadable channel: "), "{told}");
}

#[test]
fn messages_of_a_batch_share_its_bytes() {
    let spec = channel(&format!("steps: [ {{ split: batch }} ]\n{}", super::DESTINATION));
    let bytes = Bytes::from_static(b"BHS|^~\\&\rMSH|^~\\&|a\rMSH|^~\\&|b\rBTS|2\r");
    let Verdict::Routed { outputs, .. } = run(&spec, &bytes) else { panic!("routed") };
    let range = bytes.as_ptr_range();
    assert!(outputs.iter().all(|output| range.contains(&output.bytes.as_ptr())));
    assert_eq!(outputs.len(), 2);
}
