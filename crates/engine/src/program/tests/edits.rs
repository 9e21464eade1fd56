//! What steps do to a message.

use super::check;

const PATIENT: &str = "PID|1||4711^^^GOOD^MR~007^^^CITY^PI||Duck^Donald||19340609|M";

#[test]
fn set_writes_text_and_escapes_delimiters() {
    check(
        "  - set: { PID-8: F }",
        PATIENT,
        &["PID|1||4711^^^GOOD^MR~007^^^CITY^PI||Duck^Donald||19340609|F"],
    );
    check("  - set: { PID-5.3: \"R&D|x\" }", "PID|1||||A^B", &["PID|1||||A^B^R\\T\\D\\F\\x"]);
    check("  - set: { PID-8: '\"\"' }", "PID|1", &["PID|1|||||||\"\""]);
    check("  - set: { PID-8: { raw: \"A^B&C\" } }", "PID|1", &["PID|1|||||||A^B&C"]);
    check("  - set: { \"PID-3[+1].1\": x, \"PID-3[last].4\": y }", "PID|1||a", &["PID|1||a~x^^^y"]);
    check("  - set: { \"PID-3[+1].1\": x }", "PID|1", &["PID|1||x"]);
}

#[test]
fn a_place_in_a_segment_that_is_absent_is_a_finding() {
    check(
        "  - set: { ZPI-1: x, PID-8: F }",
        "PID|1",
        &["PID|1|||||||F", "finding program.segment-absent ZPI-1 steps[1].set times 1"],
    );
}

#[test]
fn templates_are_filled_in() {
    let check = |template: &str, expected: &str| {
        check(
            &format!("  - set: {{ PID-9: '{template}' }}"),
            "PID|1||4711||Duck^Donald||19340609|M",
            &[&format!("PID|1||4711||Duck^Donald||19340609|M|{expected}")],
        );
    };
    check("{PID-5.1}, {PID-5.2|upper}", "Duck, DONALD");
    check("{PID-5.2|first(1)}{PID-5.1|first(1)|lower}", "Dd");
    check("{pad(PID-3.1, 6, \"0\")}", "004711");
    check("{PID-3.1|pad(6, \"0\")}", "004711");
    check("{PID-2|default(\"none\")}", "none");
    check("{PID-2|default(\"}\")}", "}");
    check("<{PID-2}>", "<>");
    check("{{{PID-8}}}", "{M}");
    check("{now}", "20240722120000+0000");
    check("{now(\"yyyy-MM-dd\")}", "2024-07-22");
    check("{control_id}/{control_id}", "NEW1/NEW2");
    check("{channel} {peer.address}", "test 10.0.0.7");
}

#[test]
fn the_time_is_written_in_the_zone_of_the_channel() {
    let rest = "time_zone: Europe/Berlin\nsteps: [ { set: { PID-9: \"{now}\" } } ]\ndestinations: { out: { mllp: { connect: 127.0.0.1:2 } } }\n";
    assert_eq!(super::outcome(rest, "PID|1"), ["PID|1||||||||20240722140000+0200"]);
}

#[test]
fn copy_and_move_take_values_as_they_stand() {
    check(
        "  - copy: { from: PID-5, to: PID-9 }",
        "PID|1||||A\\T\\B^C",
        &["PID|1||||A\\T\\B^C||||A\\T\\B^C"],
    );
    check(
        "  - copy: { from: ZPI-1.1, to: \"PID-3[+1].1\" }",
        "PID|1||a\nZPI|b",
        &["PID|1||a~b\nZPI|b"],
    );
    check("  - copy: { from: PID-2, to: PID-3 }", "PID|1||a", &["PID|1||a"]);
    check("  - copy: { from: ZZZ-2, to: PID-3 }", "PID|1||a", &["PID|1||a"]);
    check("  - move: { from: PID-2, to: PID-3 }", "PID|1|x|a", &["PID|1||x"]);
    check("  - move: { from: \"PID-3[2].1\", to: PID-2 }", "PID|1||a~b^c", &["PID|1|b|a~^c"]);
}

#[test]
fn clear_empties_and_remove_closes_up() {
    check("  - clear: PID-3[1]", "PID|1||a~b", &["PID|1||~b"]);
    check("  - clear: [PID-3, PID-5.2]", "PID|1||a~b||x^y^z", &["PID|1||||x^^z"]);
    check("  - clear: \"OBX(*)-5\"", "OBX|1||||a\nOBX|2||||b", &["OBX|1||||\nOBX|2||||"]);
    check("  - remove: PID-3[1]", "PID|1||a~b", &["PID|1||b"]);
    check("  - clear: ZZZ-1", "PID|1", &["PID|1"]);
}

#[test]
fn segments_come_and_go() {
    check(
        "  - add_segment: { segment: ZPI, after: PID, fields: { ZPI-1: \"{PID-3.1}\", ZPI-3.2: x } }",
        "PID|1||4711\nPV1|1",
        &["PID|1||4711\nZPI|4711||^x\nPV1|1"],
    );
    check("  - add_segment: { segment: NTE, before: OBX }", "OBX|1\nOBX|2", &["NTE\nOBX|1\nOBX|2"]);
    check(
        "  - add_segment: { segment: NTE, after: OBX }",
        "OBX|1\nOBX|2\nZZZ|1",
        &["OBX|1\nOBX|2\nNTE\nZZZ|1"],
    );
    check(
        "  - add_segment: { segment: NTE, after: [ZZ1, PID] }",
        "PID|1\nPV1|1",
        &["PID|1\nNTE\nPV1|1"],
    );
    check("  - add_segment: ZPI", "PID|1", &["PID|1\nZPI"]);
    check(
        "  - add_segment: { segment: NTE, after: ZZZ }",
        "PID|1",
        &["PID|1\nNTE", "finding program.anchor-absent ZZZ steps[1].add_segment times 1"],
    );
    check("  - remove_segment: NTE", "NTE|1\nPID|1\nNTE|2", &["PID|1"]);
    check("  - remove_segment: NTE(2)", "NTE|1\nPID|1\nNTE|2", &["NTE|1\nPID|1"]);
}

#[test]
fn each_goes_over_segments() {
    check(
        "  - each: OBX\n    when: OBX-8 = \"H\"\n    do:\n      - set: { OBX-11: C }\n      - copy: { from: OBX-3, to: OBX-4 }",
        "OBX|1||A|||||N\nOBX|2||B|||||H\nOBX|3||C|||||H",
        &["OBX|1||A|||||N\nOBX|2||B|B||||H|||C\nOBX|3||C|C||||H|||C"],
    );
    check(
        "  - each: OBX\n    do: [ { set: { OBX(1)-2: first } } ]",
        "OBX|1\nOBX|2",
        &["OBX|1|first\nOBX|2"],
    );
    check(
        "  - each: OBX\n    do:\n      - when: OBX-2 = \"x\"\n        do: [ { remove_segment: OBX } ]\n      - set: { OBX-3: seen }",
        "OBX|1|x\nOBX|2|x\nOBX|3|y\nOBX|4|x",
        &["OBX|3|y|seen"],
    );
    check(
        "  - each: OBX\n    do: [ { add_segment: { segment: NTE, after: OBX, fields: { NTE-1: \"{OBX-1}\" } } } ]",
        "OBX|1\nOBX|2",
        &["OBX|1\nNTE|1\nOBX|2\nNTE|2"],
    );
    check("  - each: ZZZ\n    do: [ { set: { ZZZ-1: x } } ]", "PID|1", &["PID|1"]);
}

#[test]
fn each_in_each_goes_over_what_follows() {
    let nested = "  - each: OBR\n    do:\n      - each: OBX\n        do: [ { copy: { from: OBR-1, to: OBX-2 } } ]";
    check(
        nested,
        "OBX|0\nOBR|a\nOBX|1\nNTE|x\nOBX|2\nOBR|b\nOBR|c\nOBX|3",
        &["OBX|0\nOBR|a\nOBX|1|a\nNTE|x\nOBX|2|a\nOBR|b\nOBR|c\nOBX|3|c"],
    );
    let removing = "  - each: OBR\n    do:\n      - each: OBX\n        do:\n          - remove_segment: OBX\n            when: OBX-2 = \"x\"\n          - set: { OBX-3: \"{OBR-1}\" }";
    check(
        removing,
        "OBR|a\nOBX|1|x\nOBX|2\nOBR|b\nOBX|3|x\nOBX|4|x\nOBX|5",
        &["OBR|a\nOBX|2||a\nOBR|b\nOBX|5||b"],
    );
    let three = "  - each: OBR\n    do:\n      - each: OBX\n        do:\n          - each: NTE\n            do: [ { set: { NTE-2: \"{OBR-1}{OBX-1}\" } } ]";
    check(
        three,
        "OBR|a\nOBX|1\nNTE|n\nOBR|b\nNTE|m\nOBX|2\nNTE|o",
        &["OBR|a\nOBX|1\nNTE|n|a1\nOBR|b\nNTE|m\nOBX|2\nNTE|o|b2"],
    );
}

#[test]
fn each_goes_over_repetitions() {
    check(
        "  - each: PID-3\n    do: [ { set: { PID-3.5: \"{PID-3.1}!\" } } ]",
        "PID|1||a~b^^^X~c",
        &["PID|1||a^^^^a!~b^^^X^b!~c^^^^c!"],
    );
    check("  - each: PID-3\n    do: [ { remove: PID-3 } ]", "PID|1||a~b~c|x", &["PID|1|||x"]);
    check(
        "  - each: PID-3\n    do:\n      - when: PID-3.1 = \"b\"\n        do: [ { remove: PID-3 } ]\n      - set: { PID-3.2: kept }",
        "PID|1||a~b~c",
        &["PID|1||a^kept~c^kept"],
    );
    check("  - each: PID-3\n    do: [ { set: { PID-8: x } } ]", "PID|1||", &["PID|1||"]);
    check(
        "  - each: OBX\n    do:\n      - each: OBX-5\n        do: [ { set: { OBX-5.2: \"{OBX-1}\" } } ]",
        "OBX|1||||a~b\nOBX|2||||c",
        &["OBX|1||||a^1~b^1\nOBX|2||||c^2"],
    );
}

#[test]
fn map_looks_codes_up() {
    let gender = |rest: &str| format!("  - map: {{ field: PID-8, table: gender{rest} }}");
    check(&gender(""), "PID|1|||||||M", &["PID|1|||||||male"]);
    check(&gender(", column: german"), "PID|1|||||||F", &["PID|1|||||||Frau"]);
    check(&gender(", to: PID-9"), "PID|1|||||||F", &["PID|1|||||||F|female"]);
    check(&gender(""), "PID|1|||||||", &["PID|1|||||||"]);
    check(&gender(""), "PID|1|||||||\"\"", &["PID|1|||||||\"\""]);
    let missed = "finding program.map-no-match PID-8 steps[1].map times 1";
    check(
        &gender(""),
        "PID|1|||||||X",
        &["parked program.map-no-match steps[1].map: the table does not have the code in PID-8"],
    );
    check(
        &gender(", otherwise: park"),
        "PID|1|||||||m",
        &["parked program.map-no-match steps[1].map: the table does not have the code in PID-8"],
    );
    check(&gender(", otherwise: keep"), "PID|1|||||||X", &["PID|1|||||||X", missed]);
    check(&gender(", otherwise: clear"), "PID|1|||||||X", &["PID|1|||||||", missed]);
    check(&gender(", otherwise: { default: U }"), "PID|1|||||||X", &["PID|1|||||||U", missed]);
}

#[test]
fn dates_are_rewritten() {
    check(
        "  - date: { field: PID-7, read: dd.MM.yyyy }",
        "PID|1||||||29.02.2024",
        &["PID|1||||||20240229"],
    );
    check(
        "  - date: { field: PID-7, write: hl7 day }",
        "PID|1||||||20240229131500",
        &["PID|1||||||20240229"],
    );
    check(
        "  - date: { field: PID-7, read_zone: Europe/Berlin, write_zone: UTC }",
        "PID|1||||||202407221400",
        &["PID|1||||||202407221200+0000"],
    );
    check(
        "  - date: { field: PID-7, read: dd.MM.yyyy }",
        "PID|1||||||20240229",
        &[
            "parked program.date-unreadable steps[1].date: there is no date in the expected form in PID-7",
        ],
    );
    check(
        "  - date: { field: PID-7, read: dd.MM.yyyy, otherwise: keep }",
        "PID|1||||||20240229",
        &["PID|1||||||20240229", "finding program.date-unreadable PID-7 steps[1].date times 1"],
    );
}

#[test]
fn join_writes_the_values_there_are() {
    check(
        "  - join: { from: [PID-5.2, PID-5.3, PID-5.1], to: PID-9 }",
        "PID|1||||Duck^Donald",
        &["PID|1||||Duck^Donald||||Donald Duck"],
    );
    check(
        "  - join: { from: \"OBX(*)-5\", with: \"|\", to: PID-9 }",
        "PID|1\nOBX|1||||a\nOBX|2\nOBX|3||||b",
        &["PID|1||||||||a\\F\\b\nOBX|1||||a\nOBX|2\nOBX|3||||b"],
    );
    check("  - join: { from: PID-5, to: PID-9 }", "PID|1||||||||x", &["PID|1||||||||x"]);
}

#[test]
fn branches_do_the_one_or_the_other() {
    let steps = "  - when: PID-8 = \"M\"\n    do: [ { set: { PID-9: man } } ]\n    else: [ { set: { PID-9: other } } ]\n  - set: { PID-10: x }\n    when: PID-9 = \"man\"";
    check(steps, "PID|1|||||||M", &["PID|1|||||||M|man|x"]);
    check(steps, "PID|1|||||||F", &["PID|1|||||||F|other"]);
}

#[test]
fn values_keep_the_character_set_of_the_message() {
    use bytes::Bytes;

    use crate::project::testing::{channel, run};
    let spec = channel(&format!(
        "steps: [ {{ set: {{ PID-9: \"{{PID-5.1|upper}}é\" }} }} ]\n{}",
        super::DESTINATION
    ));
    let output = |message: Vec<u8>| match run(&spec, &Bytes::from(message)) {
        crate::program::Verdict::Routed { outputs, .. } => {
            outputs.first().map(|output| output.bytes.to_vec()).expect("an output")
        }
        other => panic!("{other:?}"),
    };
    let latin =
        |middle: &[u8]| [b"MSH|^~\\&|||||||ADT^A01|1|P|2.5||||||8859/1\rPID|||||", middle].concat();
    assert_eq!(output(latin(b"M\xFCller")), latin(b"M\xFCller||||M\xDCLLER\xE9"));
    // A set in which a character holds a byte that looks like a delimiter.
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let head = "MSH|^~\\&|||||||ADT^A01|1|P|2.5||||||UNICODE UTF-16\rPID|||||";
    assert_eq!(output(wide(&format!("{head}Müller"))), wide(&format!("{head}Müller||||MÜLLERé")));
}

#[test]
fn keep_leaves_what_it_names_and_nothing_else() {
    let lines = "SCH|1^A|2^B||||^secret\nPID|1||4711^^^GOOD^MR~007^^^CITY^SS||Duck^Donald^F~Nick^N||19340609\nNTE|1||secret\nAIP|1||D1\nAIP|2||D2|x\nnonsense";
    check(
        "  - keep: [SCH-1, SCH-2.2, PID-3, PID-5.1, PID-5.3, AIP]",
        lines,
        &["SCH|1^A|^B\nPID|||4711^^^GOOD^MR~007^^^CITY^SS||Duck^^F\nAIP|1||D1\nAIP|2||D2|x"],
    );
    check("  - keep: [\"PID-3[2]\"]", lines, &["PID|||~007^^^CITY^SS"]);
    check("  - keep: [\"PID-3[*].1\", \"PID-5[2].2\"]", lines, &["PID|||4711~007||~^N"]);
    check("  - keep: [ZPI]", lines, &[""]);
    check("  - keep: [PID-9]", lines, &["PID"]);
    // What comes behind it sees what is left.
    check(
        "  - keep: [PID-3]\n  - set: { PID-8: F }\n    when: PID-5.1 not exists",
        "PID|1||a||Duck",
        &["PID|||a|||||F"],
    );
}

#[test]
fn each_goes_over_a_field_of_every_segment() {
    let lines = "PID|1||a~b\nMRG|x\nPID|2||c\nMRG|y~z\nPID|3";
    let mark = "PID-3.4: \"{PID-1}\"";
    check(
        &format!("  - each: PID(*)-3\n    do: [ {{ set: {{ {mark} }} }} ]"),
        lines,
        &["PID|1||a^^^1~b^^^1\nMRG|x\nPID|2||c^^^2\nMRG|y~z\nPID|3"],
    );
    check(
        "  - each: MRG(*)-1\n    when: MRG-1.1 != \"y\"\n    do: [ { set: { MRG-1.2: 1 } } ]",
        lines,
        &["PID|1||a~b\nMRG|x^1\nPID|2||c\nMRG|y~z^1\nPID|3"],
    );
    check(
        "  - each: PID(*)-3\n    do: [ { remove: PID-3 } ]",
        "PID|1||a~b|x\nPID|2||c|y",
        &["PID|1|||x\nPID|2|||y"],
    );
    // Within an order, the field of its own segments.
    check(
        "  - each: OBR\n    do:\n      - each: OBX(*)-5\n        do: [ { set: { OBX-5.2: \"{OBR-1}\" } } ]",
        "OBR|1\nOBX|1||||a~b\nOBR|2\nOBX|1||||c",
        &["OBR|1\nOBX|1||||a^1~b^1\nOBR|2\nOBX|1||||c^2"],
    );
}
