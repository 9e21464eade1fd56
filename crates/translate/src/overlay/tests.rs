use pipehat_config::{Colour, Diagnostics, Node, SourceFile};
use pipehat_message::Message;

use super::Overlay;
use crate::{Settings, Translator};

fn read(text: &str) -> Result<Overlay, String> {
    let file = SourceFile::new("mappings/site.yaml", text);
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics);
    let overlay = node.and_then(|node| Overlay::read(&node, &mut diagnostics));
    overlay.ok_or_else(|| {
        let lines = diagnostics.iter().map(|one| {
            let place = one
                .line_column()
                .map_or_else(String::new, |at| format!("{}:{}", at.line, at.column));
            format!("{} {place} {}", one.code, one.message)
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn a_site_adds_systems_codes_and_segments() {
    let overlay = read(
        r#"
systems: { GOOD: https://good.example/mrn }
codes:
  AdministrativeSex: { W: female }
segments:
  ZPD[Patient]:
    - { field: ZPD-2, to: "extension[1].url", assign: '"https://good.example/ward"' }
    - { field: ZPD-2, to: "extension[1].valueString", when: ZPD-2 VALUED }
messages:
  ADT_A01:
    - { segment: ZPD, resource: "Patient[1]", map: "ZPD[Patient]" }
drop:
  - { map: "PID[Patient]", field: PID-23 }
"#,
    )
    .expect("it has no mistake");
    let bytes = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01^ADT_A01|1|P|2.5.1\rPID|1||47^^^GOOD||Muster^Maria|||W|||||||||||||||Ort\rZPD|1|north\r";
    let message = Message::parse(bytes).expect("a message");
    let translation = Translator::with_overlay(Settings::default(), &overlay).to_fhir(&message);
    let entries = translation.bundle.items("entry").iter();
    let patient = entries
        .filter_map(|entry| entry.get("resource"))
        .find(|resource| resource.resource_type() == Some("Patient"))
        .expect("a patient");
    assert_eq!(patient.text("gender"), Some("female"));
    let identifier = patient.items("identifier").first().expect("an identifier");
    assert_eq!(identifier.text("system"), Some("https://good.example/mrn"));
    let extensions = patient.items("extension");
    assert_eq!(extensions.len(), 1, "{extensions:?}");
    assert_eq!(extensions.first().and_then(|own| own.text("valueString")), Some("north"));
}

#[test]
fn mistakes_are_told_at_their_place() {
    let check = |text: &str, expected: &str| {
        assert_eq!(read(text).map(|_| ()).expect_err("a mistake"), expected);
    };
    check("systems: { GOOD: not a uri }", "overlay.uri 1:18 this is no URI");
    check(
        "segments:\n  ZPD[Patient]:\n    - { field: ZPD-2, to: nowhere }\n",
        "overlay.row 3:27 Patient has no element nowhere",
    );
    check(
        "segments:\n  ZPD[Patient]:\n    - { field: ZPD-2, to: gender, when: IF what }\n",
        "overlay.row 3:41 the condition can't be read",
    );
    check(
        "messages:\n  ADTA01:\n    - { segment: ZPD, resource: \"Patient[1]\" }\n",
        "overlay.message 2:3 this is no message structure",
    );
    check(
        "codes:\n  AdministrativeSx: { W: female }\n",
        "overlay.codes 2:3 no row translates by `AdministrativeSx`",
    );
    check(
        "codes:\n  AdministrativeSex: { W: femal }\n",
        "overlay.code 2:27 FHIR's code system has no such code",
    );
    check(
        "segments:\n  ZPD[Patient]:\n    - { field: ZPD-2, to: gender, assign: https://x }\n",
        "overlay.row 3:43 neither a text in quotes, nor joined fields, nor a conversion",
    );
    check(
        "messages:\n  ADT_A01:\n    - { segment: PATIENT.ZPD, resource: \"Patient[1]\", map: \"PID[Patient]\" }\n",
        "overlay.row 3:18 ADT_A01 has no group `PATIENT`",
    );
    check(
        "drop:\n  - { map: \"PID[Patient]\", field: PID-99 }\n",
        "overlay.nothing-dropped 2:5 `PID[Patient]` has no row of `PID-99`",
    );
    const ROW: &str = "messages:\n  ADT_A01:\n    - { segment: ZPD, resource: \"Patient[1]\", map: \"ZPD[Patient]\" }\nsegments:\n  ZPD[Patient]:\n";
    check(
        &format!("{ROW}    - {{ field: ZPD-2, to: \"extension[1].valueString\" }}\n"),
        "overlay.row 6:27 no row of `ZPD[Patient]` tells the URL of this extension",
    );
    check(
        &format!("{ROW}    - {{ field: ZPD-2, to: gender, when: 'ZPD-2 === \"X\"' }}\n"),
        "overlay.row 6:41 the condition can't be read",
    );
    check(
        &format!("{ROW}    - {{ field: ZPD-2, to: gender }}\n").replace("ADT_A01", "ADT_A99"),
        "overlay.message 3:7 no version of HL7 v2 has the message structure `ADT_A99`",
    );
    check(
        &format!("{ROW}    - {{ field: PID-7, to: birthDate }}\n"),
        "overlay.row 6:16 `PID-7` is not of the segment ZPD, which its map reads",
    );
    check(
        &format!("{ROW}    - {{ field: seven, to: birthDate }}\n"),
        "overlay.row 6:16 `seven` is no field",
    );
    // All mistakes of a file are told at once.
    check(
        "systems: { GOOD: not a uri }\ndrop:\n  - { map: \"PID[Patiend]\", field: PID-3 }\n",
        "overlay.uri 1:18 this is no URI\noverlay.nothing-dropped 3:5 the tables have no map `PID[Patiend]`",
    );
    check("sistems: {}", "config.unknown-key 1:1 unknown key `sistems` in `overlay`");
}

#[test]
fn what_its_element_never_takes_is_told() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(read(text).map(|_| ()).err().unwrap_or_default(), expected);
    }
    let row = |row: &str| format!("segments:\n  'PID[Patient]':\n    - {{ {row} }}\n");
    // What the row itself says.
    check(
        &row(r#"field: PID-8, to: birthDate, assign: '"gestern"'"#),
        "overlay.row 3:46 no FHIR date: expected a date as in 2024, 2024-05 or 2024-05-17",
    );
    check(&row(r#"field: PID-8, to: birthDate, assign: '"1970-01"'"#), "");
    check(
        &row(r#"field: PID-8, to: active, assign: '"yes"'"#),
        "overlay.row 3:43 no FHIR boolean: expected true or false",
    );
    check(&row(r#"field: PID-8, to: active, assign: '"true"'"#), "");
    check(
        &row(r#"field: PID-8, to: gender, assign: '"femal"'"#),
        "overlay.row 3:43 a code that FHIR does not allow here",
    );
    check(
        &row(r#"field: PID-25, to: multipleBirthInteger, assign: '"second"'"#),
        "overlay.row 3:58 no FHIR integer: expected a whole number, not in quotes",
    );
    // What the field is in every version.
    check(
        &row("field: PID-7, to: active"),
        "overlay.row 3:27 a value of type DTM never is a FHIR boolean",
    );
    check(
        &row("field: PID-7, to: gender"),
        "overlay.row 3:27 a value of type DTM never is a code that FHIR allows here",
    );
    check(
        &row("field: PID-25, to: birthDate"),
        "overlay.row 3:28 a value of type NM never is a FHIR date",
    );
    check(
        &row("field: PID-3.1, to: text.div"),
        "overlay.row 3:29 a narrative is XHTML, which no value of HL7 v2 is",
    );
    check(&row("field: PID-29, to: birthDate"), "");
    check(&row("field: PID-30, to: active"), "");
    check(&row("field: PID-7, to: active, codes: YesNoIndicator"), "");
    check(
        "datatypes:\n  'XPN[HumanName]':\n    - { field: XPN.12, to: family }\n    - { field: XPN.12, to: period.start }\n",
        "",
    );
    check(
        "datatypes:\n  'CX[Identifier]':\n    - { field: CX.7, to: use }\n",
        "overlay.row 3:26 a value of type DT never is a code that FHIR allows here",
    );
    // A map for another type.
    check(
        &row("field: PID-5, to: 'identifier[1]', datatype: 'XPN[HumanName]'"),
        "overlay.row 3:54 XPN[HumanName] makes HumanName, and the element is of type Identifier",
    );
    check(&row("field: PID-2, to: 'identifier[1]', datatype: 'CX[Identifier]'"), "");
}

#[test]
fn what_to_do_is_told_beside() {
    #[track_caller]
    fn check(row: &str, expected: &str) {
        let text = format!("segments:\n  'PID[Patient]':\n    - {{ {row} }}\n");
        let file = SourceFile::new("mappings/site.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let node = Node::parse(&file, &mut diagnostics).expect("it is YAML");
        assert!(Overlay::read(&node, &mut diagnostics).is_none());
        let shown = diagnostics.render(Colour::Never);
        assert!(shown.contains(&format!("= help: {expected}")), "{shown}");
    }
    check(r#"field: PID-8, to: birthDate, assign: '"gestern"'"#, "write a value of this form");
    check("field: PID-7, to: active", "read another field, write another element, or name");
    check(
        "field: PID-5, to: 'identifier[1]', datatype: 'XPN[HumanName]'",
        "name a map whose name ends with the element's type",
    );
    check("field: PID-5, to: nowhere", "write the element with its path");
}

#[test]
fn codes_that_no_element_of_their_table_takes_are_told() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(read(text).map(|_| ()).err().unwrap_or_default(), expected);
    }
    let own = |field: &str, code: &str| {
        format!(
            "codes:\n  Ours: {{ W: {code} }}\nsegments:\n  'PID[Patient]':\n    - {{ {field}, codes: Ours }}\n"
        )
    };
    check(
        &own("field: PID-8, to: gender", "femal"),
        "overlay.code 2:14 `Ours` is for Patient.gender, and this is no value of it: not one of the codes that FHIR allows there",
    );
    check(&own("field: PID-8, to: gender", "female"), "");
    check(
        &own("field: PID-8, to: active", "ja"),
        "overlay.code 2:14 `Ours` is for Patient.active, and this is no value of it: expected true or false",
    );
    check(&own("field: PID-8, to: active", "'true'"), "");
    check(
        "codes:\n  AdministrativeSex: { W: { code: femal, system: https://good.example/sex } }\n",
        "overlay.code 2:35 `AdministrativeSex` is for Patient.gender, and this is no value of it: not one of the codes that FHIR allows there",
    );
    check("codes:\n  AdministrativeSex: { W: female }\n", "");
}

#[test]
fn a_table_of_codes_may_be_written_with_other_capitals() {
    let overlay = read("codes:\n  administrativesex: { W: female }\n").expect("no mistake");
    let bytes = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01^ADT_A01|1|P|2.5.1\rPID|1||47^^^GOOD||Muster^Maria|||W\r";
    let message = Message::parse(bytes).expect("a message");
    let translation = Translator::with_overlay(Settings::default(), &overlay).to_fhir(&message);
    let mut resources =
        translation.bundle.items("entry").iter().filter_map(|entry| entry.get("resource"));
    let patient = resources.find(|resource| resource.resource_type() == Some("Patient"));
    assert_eq!(patient.and_then(|own| own.text("gender")), Some("female"));
}

#[test]
fn rows_that_no_message_uses_are_warned_of() {
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let file = SourceFile::new("mappings/site.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let node = Node::parse(&file, &mut diagnostics).expect("it is YAML");
        assert!(Overlay::read(&node, &mut diagnostics).is_some());
        let told: Vec<&str> = diagnostics.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(told, expected);
    }
    let rows = "segments:\n  ZPD[Patient]:\n    - { field: ZPD-2, to: gender }\n";
    check(rows, &["no row of `messages` uses `ZPD[Patient]`: this row is never run"]);
    let uses = |structure: &str| {
        format!(
            "{rows}messages:\n  {structure}:\n    - {{ segment: ZPD, resource: \"Patient[1]\", map: \"ZPD[Patient]\" }}\n"
        )
    };
    check(&uses("ADT_A01"), &[]);
    // A site's own structure is no mistake.
    check(&uses("ADT_Z01"), &[]);
    check("segments:\n  PID[Patient]:\n    - { field: PID-40, to: \"telecom[3].value\" }\n", &[]);
}

#[test]
fn what_a_segment_of_a_sites_own_makes_of_nobody_is_found() {
    #[track_caller]
    fn check(row: &str, results: usize, expected: &[&str]) {
        let overlay = read(&format!(
            "segments:\n  ZOB[Observation]:\n    - {{ field: ZOB-1, to: method.text }}\nmessages:\n  ORU_R01:\n    - {{ {row}, map: \"ZOB[Observation]\" }}\n"
        ));
        let result = "OBX|1|NM|2823-3^K^LN||6.9|mmol/l|||||F\rZOB|M1\rOBX|2|NM|2951-2^Na^LN||140|mmol/l|||||F\rZOB|M2\r";
        let text = format!(
            "MSH|^~\\&|A|B|C|D|20260101||ORU^R01^ORU_R01|1|P|2.5.1\rPID|1||47^^^GOOD||Muster\rOBR|1|P1^K|F1^L|1^B^L|||20260412\r{result}"
        );
        let message = Message::parse(text.as_bytes()).expect("a message");
        let overlay = overlay.expect("no mistake");
        let own = Translator::with_overlay(Settings::default(), &overlay).to_fhir(&message);
        let entries = own.bundle.items("entry").iter().filter_map(|entry| entry.get("resource"));
        let found = entries.filter(|it| it.resource_type() == Some("Observation")).count();
        assert_eq!(found, results, "{row}");
        let findings = own.findings.iter().filter(|it| it.text.starts_with("this segment alone"));
        let paths: Vec<_> = findings.map(|it| it.path.as_str()).collect();
        assert_eq!(paths, expected, "{row}: {:?}", own.findings);
    }
    check("segment: ZOB, resource: \"Observation[1]\"", 4, &["ZOB", "ZOB(2)"]);
    check("segment: ZOB, resource: \"Observation[2]\"", 2, &[]);
    check(
        "segment: PATIENT_RESULT.ORDER_OBSERVATION.OBSERVATION.ZOB, resource: \"Observation[2]\"",
        2,
        &[],
    );
    // One of the site's own says whose it is.
    let own = "segment: ZOB, resource: \"Observation[9]\", references: \"Observation[9].subject.reference=Patient[1].id\"";
    check(own, 4, &[]);
}

#[test]
fn of_two_segments_that_write_one_element_the_first_counts() {
    let overlay = read(
        "segments:\n  ZPV[Encounter]:\n    - { field: ZPV-1, to: priority.text }\nmessages:\n  ADT_A01:\n    - { segment: ZPV, resource: \"Encounter[1]\", map: \"ZPV[Encounter]\" }\n",
    );
    let bytes = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01^ADT_A01|1|P|2.5.1\rEVN||20260101\rPID|1||47^^^GOOD||Muster\rPV1|1|I|||||||||||||||||V1\rZPV|one\rZPV|two\r";
    let message = Message::parse(bytes).expect("a message");
    let overlay = overlay.expect("no mistake");
    let own = Translator::with_overlay(Settings::default(), &overlay).to_fhir(&message);
    let text = own.bundle.to_json();
    assert!(text.contains("\"one\"") && !text.contains("\"two\""), "{text}");
    assert!(
        own.findings.iter().any(|it| it.text.contains("`priority` is told by another")),
        "{:?}",
        own.findings
    );
}

#[test]
fn what_is_named_wrongly_is_told_with_the_names_there_are() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let file = SourceFile::new("mappings/site.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let node = Node::parse(&file, &mut diagnostics).expect("a tree");
        assert!(Overlay::read(&node, &mut diagnostics).is_none());
        let one = diagnostics.iter().next().expect("a mistake");
        let (near, help) = (one.suggestion.as_deref(), one.help.as_deref());
        let told = format!("{}: {} {}", one.message, near.unwrap_or("-"), help.unwrap_or("-"));
        assert!(told.contains(expected), "{told}");
    }
    let row = |row: &str| format!("segments:\n  ZPD[Patient]:\n    - {row}\n");
    check(
        &row("{ field: ZPD-2, to: name.foo }"),
        "HumanName has no element foo: - write the element with its path, such as `name[1].family` or `extension[1].url`; HumanName has `extension`, `family`, `given`",
    );
    check(
        &row("{ field: ZPD-2, to: identifier, datatype: \"CX[Xyz]\" }"),
        "of `CX` there are `CX[Identifier]`, ",
    );
    check(
        "codes:\n  AdministrativeSex: { W: weiblich }\n",
        "FHIR's code system has no such code: - it has `female`, `male`, `other`, `unknown`",
    );
    check("drop:\n  - { map: \"PID[Xyz]\", field: PID-1 }\n", "there are `PID[");
    check(
        "drop:\n  - { map: \"PID[Patient]\", field: PID-5, to: foo }\n",
        "writes to `foo`: - there are `",
    );
    check(
        "segments:\n  ZPD[Patint]:\n    - { field: ZPD-2, to: gender }\n",
        "did you mean `Patient`?",
    );
}
