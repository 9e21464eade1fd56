//! The file: what can be said, and what is told of slips.

use super::{profile, read};
use crate::element::Usage;
use crate::profile::Place;

const WHOLE: &str = "\
description: Laboratory of the General
messages: [ORU^R01, ADT]
segments:
  MSH: R
  PV1: { usage: C(R/O), when: 'MSH-9.1 = \"ADT\"' }
  ZLB: { name: Notes of the laboratory, cardinality: 0..3, after: [OBX, NTE] }
fields:
  MSH-4: { constant: LAB2 }
  PID-3: { usage: R, cardinality: 1..4 }
  PID-3.1: { length: 1..10, pattern: '^[0-9]+$' }
  PID-3.4.1: { values: [LAB, GEN] }
  PID-8: { usage: R, values: { table: 0001, with: [D], without: [A, N] } }
  PID-19: X
  PV1-3.1: { values: { codes: wards } }
  OBR-7: { format: 'YYYYMMDDHHMM[SS]' }
  OBX-6: { usage: C(R/O), when: 'OBX-2 = \"NM\"' }
  ZLB-1: { name: Set ID, type: SI, usage: R }
rules:
  - { when: 'PV1-2 = \"I\"', require: [PV1-3, PV1-7] }
  - { forbid: ZLB-9, text: the laboratory has no ninth field }
  - { then: 'OBX-11 in [\"F\", \"C\"]' }
accept:
  - { at: PID-8, rule: code-not-suggested }
  - { rule: set-id-sequence }
";

#[test]
fn all_that_can_be_said_is_read_and_written_again() {
    let read_once = profile(WHOLE);
    let written = read_once.write();
    let again = read(&written).unwrap_or_else(|mistakes| panic!("{mistakes}\n{written}"));
    assert_eq!(again.write(), written);
    let place = Place::parse("PID-3.4.1").expect("a place");
    let sets = again.element(&place).and_then(|element| element.values.clone());
    assert!(sets.is_some_and(|values| values.contains(b"GEN") && !values.contains(b"X")));
    let sex = Place::parse("PID-8").expect("a place");
    let sex = again.element(&sex).and_then(|element| element.values.clone()).expect("values");
    let codes = [b"F", b"D", b"A", b"Q"].map(|code| sex.contains(code));
    assert_eq!(codes, [true, true, false, false]);
    let units = Place::parse("OBX-6").expect("a place");
    let usage = again.element(&units).and_then(|element| element.usage.clone()).expect("a usage");
    assert_eq!((usage.usage, usage.otherwise), (Usage::Required, Usage::Optional));
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let text = format!("profile: lab2\nversion: 2.5.1\n{text}");
    let mistakes = read(&text).expect_err("mistakes");
    for part in expected {
        assert!(mistakes.contains(part), "{part:?} is missing from\n{mistakes}");
    }
}

#[test]
fn slips_are_told_with_place_and_remedy() {
    check("fields: { PID-8: { usge: R } }", &["lab2.yaml:3:20", "did you mean `usage`?"]);
    check("fields: { NKI-8: R }", &["lab2.yaml:3:11", "no segment NKI", "did you mean `NK1`?"]);
    check("fields: { PID-8: Q }", &["lab2.yaml:3:18", "no usage"]);
    check("fields: { PID.8: R }", &["lab2.yaml:3:11"]);
    check("fields: { PID: R }", &["segments stand under `segments`"]);
    check("fields: { 'PID-3[2]': R }", &["speaks of all of them"]);
    check("fields: { PID-3.1: { cardinality: 1..2 } }", &["only segments and fields"]);
    check("fields: { PID-8: { usage: C(R/O) } }", &["needs its condition"]);
    check("fields: { PID-8: { usage: R, when: 'PID-8 exists' } }", &["does not depend"]);
    check("fields: { PID-8: { values: { codes: ward } } }", &["did you mean `wards`?"]);
    check("fields: { PID-8: { values: { table: 8888 } } }", &["no such table"]);
    check("fields: { PID-8: { values: [] } }", &["this list is empty"]);
    check("fields: { PID-3: { cardinality: 4..1 } }", &["no range"]);
    check("fields: { PID-3: { length: a } }", &["no range"]);
    check("fields: { PID-7: { format: yyyymmdd } }", &["YYYYMMDDHHMM[SS]"]);
    check("fields: { PID-7: { pattern: '(' } }", &["pattern"]);
    check("fields: { ZPI-1: { type: CXX } }", &["no data type", "did you mean `CX`?"]);
    check("segments: { PID-3: R }", &["fields stand under `fields`"]);
    check("segments: { ABC: R }", &["no segment ABC", "give it a name"]);
    check("segments: { ZPI: { after: pid } }", &["no segment"]);
    check("rules: [{ when: 'PV1-2 = \"I' , require: PV1-3 }]", &["no closing quote", ":3:"]);
    check("rules: [{ when: 'PV1-2 exists' }]", &["needs one of the keys"]);
    check("rules: [{ require: [PV1-3, PID-3] }]", &["one rule for each segment"]);
    check("accept: [{ rule: code-not-sugested }]", &["did you mean `code-not-suggested`?"]);
    check("fields: { PID-99: R }", &["lab2.yaml:3:11", "and no PID-99", "a `type` or a `name`"]);
    check("fields: { PID-99.2: { length: 3 } }", &["lab2.yaml:3:11", "and no PID-99"]);
    check("fields: { MSH-9.7: R }", &["lab2.yaml:3:11", "no MSH-9.7: MSH-9 has fewer parts"]);
    check("fields: { PID-3.4.9: R }", &["no PID-3.4.9"]);
    check("fields: { PID-8.2: R }", &["no PID-8.2"]);
    check("fields: { ZPI-1: { type: SI }, ZPI-1.3: R }", &["no ZPI-1.3"]);
    check("fields: { PID-8: { values: { table: 9999 } } }", &["lab2.yaml:3:37", "no such table"]);
    check("fields: { PV1-3: { values: { table: 0302 } } }", &["lists no codes", "with: "]);
    check(
        "fields: { PV1-2: { values: [I], constant: O } }",
        &["lab2.yaml:3:43", "none of the `values`", "remove one"],
    );
    check(
        "segments: { PID: { usage: X, cardinality: 1..1 } }",
        &["lab2.yaml:3:43", "never there", "remove the cardinality"],
    );
    check(
        "segments: { PID: { usage: R, cardinality: 0..1 } }",
        &["lab2.yaml:3:43", "write `1..1`"],
    );
    check("fields: { PID-3: { usage: R, cardinality: 0..* } }", &["write `1..*`"]);
    check("messages: [adt]", &["no message type"]);
    let mistakes = read("profile: lab3\nversion: 2.5.2\n").expect_err("mistakes");
    assert!(
        mistakes.contains("write `lab2`") && mistakes.contains("did you mean `2.5"),
        "{mistakes}"
    );
}

#[test]
fn what_is_declared_or_may_have_any_parts_is_taken() {
    for said in [
        "PID-99: { type: CX, usage: R }, PID-99.4.1: R",
        "PID-99.2: R, PID-99: { name: of the partner }",
        "PID-99: X",
        "PID-8.2: { name: of the partner, usage: R }",
        "OBX-5.9: R, ZPI-7.3: R, PID-8.1: R, PID-7.1: R",
        "PV1-2: { values: [I], constant: I }",
        "PV1-3: { values: { table: 0302, with: [N1] } }",
        "PID-3: { usage: 'C(R/O)', when: PID-2 exists, cardinality: 0..2 }",
    ] {
        profile(&format!("fields: {{ {said} }}"));
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mistakes = read(
        "profile: lab2\nversion: 2.99\nsegments: { PV9: { usage: Q } }\n\
        fields: { NKI-2: { length: a }, PID-8: { type: CXX, values: { table: 8888 } }, PID-99: R, ARV-1: R }\n\
        rules: [{ require: [PV1-3, PID-3] }]\naccept: [{ rule: none }]\n",
    )
    .expect_err("mistakes");
    for place in [":2:10", ":3:13", ":3:27", ":4:11", ":4:28", ":4:48", ":4:70", ":5:20", ":6:18"] {
        assert!(mistakes.contains(&format!("lab2.yaml{place}")), "{place}\n{mistakes}");
    }
    // What a version may have is no mistake while the version is unknown.
    assert!(!mistakes.contains("PID-99: R\n") || !mistakes.contains("no PID-99"), "{mistakes}");
    assert!(mistakes.contains("no version of HL7 v2 has a segment PV9"), "{mistakes}");
    assert!(!mistakes.contains("ARV, "), "{mistakes}");
}
