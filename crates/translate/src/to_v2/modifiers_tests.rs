//! Every modifier element is decided, and what is decided is done.

use std::collections::BTreeSet;

use pipehat_dictionary::Version;
use pipehat_resource::definitions::{TypeDefinition, ValueSet};
use pipehat_resource::json::{self, Value};

use super::modifiers::{Decision, Modifier};
use super::tables::Tables;
use super::{Profile, Resources, Stamp, Wanted, WriteError, Writer, Written};

/// What the code decides of every type: see `Modifiers::judge`.
const DECIDED_FOR_ALL: [&str; 2] = ["implicitRules", "modifierExtension"];
/// What is named like a status and is none of the record.
const NO_STATUS: [&str; 2] = ["maritalStatus", "fastingStatus"];

/// What URLs in the tables name.
const NO_SOURCES: [&str; 3] = ["StructureDefinition", "CodeSystem", "ValueSet"];

/// The types that messages are made from, and the data types of their elements.
fn types() -> Vec<&'static TypeDefinition> {
    let named = Tables::words().filter(|word| !NO_SOURCES.contains(word));
    let named = named.filter_map(TypeDefinition::named);
    let mut wanted: Vec<_> = named.filter(|it| it.is_a("DomainResource")).collect();
    let mut known = BTreeSet::new();
    let mut types = Vec::new();
    while let Some(type_) = wanted.pop() {
        if type_.is_abstract() || !known.insert(type_.name()) {
            continue;
        }
        types.push(type_);
        for element in type_.elements() {
            let codes = element.types().iter().map(|it| it.code());
            let inner = codes.filter(|code| !matches!(*code, "Extension" | "Meta" | "Narrative"));
            let inner = inner.filter_map(TypeDefinition::named);
            wanted.extend(inner.filter(|it| it.primitive().is_none() && !it.is_a("Resource")));
        }
    }
    types
}

/// The codes of an element that need a decision; `*` where it has none.
fn codes_of(element: &pipehat_resource::definitions::Element) -> Vec<&'static str> {
    if element.types().iter().any(|it| it.code() == "boolean") && !element.is_choice() {
        return vec!["true", "false"];
    }
    let set = element.binding().and_then(|binding| ValueSet::named(binding.value_set));
    set.map_or_else(|| vec!["*"], |set| set.codes().map(|(_, code)| code).collect())
}

#[test]
fn every_modifier_of_what_messages_are_made_from_is_decided() {
    let modifiers = &Tables::standard().modifiers;
    let rows: Vec<(&str, &Modifier)> = modifiers.rows().collect();
    let types = types();
    assert!(types.len() > 60, "{}", types.len());
    let mut open = Vec::new();
    for type_ in &types {
        for element in type_.elements() {
            let name = element.name();
            let is_status = (name == "active" || name.to_lowercase().ends_with("status"))
                && !NO_STATUS.contains(&name);
            if !(element.is_modifier() || is_status) || DECIDED_FOR_ALL.contains(&name) {
                continue;
            }
            // A group of elements is decided by those in it.
            let group = format!("{}.{name}", type_.name());
            if rows.iter().any(|(owner, _)| *owner == group) {
                continue;
            }
            let is_own = |owner: &str| type_.is_a(owner);
            for code in codes_of(element) {
                let decides = |(owner, row): &(&str, &Modifier)| {
                    is_own(owner)
                        && *row.element == *name
                        && row.codes.iter().any(|own| **own == *code || **own == *"*")
                };
                if !rows.iter().any(decides) {
                    open.push(format!("{group} {code}"));
                }
            }
        }
    }
    assert!(open.is_empty(), "modifiers.tsv decides nothing of {open:#?}");
}

#[test]
fn every_decision_is_of_an_element_and_a_code_that_there_are() {
    for (owner, row) in Tables::standard().modifiers.rows() {
        // `Practitioner.name` is the HumanName that stands there.
        let type_ = TypeDefinition::named(owner).or_else(|| {
            let (outer, name) = owner.rsplit_once('.')?;
            let element = TypeDefinition::named(outer)?.element_named(name)?;
            let codes = element.types().iter().map(|it| it.code());
            codes
                .filter_map(TypeDefinition::named)
                .find(|it| it.element_named(&row.element).is_some())
        });
        let type_ = type_.unwrap_or_else(|| panic!("there is no {owner}"));
        let element = type_.element_named(&row.element);
        let element = element.unwrap_or_else(|| panic!("{owner} has no {}", row.element));
        let known = codes_of(element);
        for code in &row.codes {
            let is_known = **code == *"*" || known == ["*"] || known.contains(&&**code);
            assert!(is_known, "{owner}.{} has no {code}", row.element);
        }
        // Within a resource nothing asks the version.
        if row.decision == Decision::Said && !type_.is_a("Resource") {
            let place = row.place.as_ref().expect("read so");
            let all = Version::ALL.into_iter().filter(|version| *version >= Version::V2_3);
            for version in all {
                assert!(place.is_in(version), "{} of {version}", place.target);
            }
        }
    }
}

pub(super) fn write(
    event: &str,
    version: Version,
    resources: &[&str],
) -> Result<Written, WriteError> {
    let read: Vec<Value> =
        resources.iter().map(|text| json::parse(text.as_bytes()).expect("it is JSON")).collect();
    let (root, others) = read.split_first().expect("one at least");
    let pool = others.iter().fold(Resources::default().with_root(root), Resources::with);
    let wanted = Wanted { event, version, order_control: None, lineage: None };
    let stamp = Stamp {
        time: "2026-05-06T08:00:00Z".parse().expect("a time"),
        offset: jiff::tz::Offset::UTC,
        control_id: "C1",
    };
    Writer::new(Profile::default()).write(&wanted, &pool, &stamp)
}

const PATIENT: &str =
    r#"{"resourceType":"Patient","id":"p","identifier":[{"value":"1"}],"name":[{"family":"A"}]}"#;

/// A visit of the patient in a state.
fn visit(status: &str) -> String {
    format!(
        r#"{{"resourceType":"Encounter","id":"e","status":"{status}","class":{{"code":"IMP"}},"subject":{{"reference":"Patient/p"}},"identifier":[{{"value":"V1"}}]}}"#
    )
}

/// Whether a segment is in the message that an admission becomes with one more resource, which a finding tells or not.
#[track_caller]
fn check(resource: &str, segment: &str, is_there: bool, finding: &str) {
    let written = write("ADT^A01", Version::V2_5_1, &[&visit("in-progress"), PATIENT, resource]);
    let written = written.expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    assert_eq!(text.contains(&format!("\r{segment}")), is_there, "{text}");
    let findings: Vec<_> =
        written.findings.iter().map(|it| format!("{}: {}", it.path, it.text)).collect();
    let tells = findings.iter().any(|it| it.contains(finding));
    assert!(tells || finding.is_empty(), "{findings:#?}");
    if finding.is_empty() {
        let own = findings.iter().filter(|it| it.contains("tatus") || it.contains("active"));
        assert_eq!(own.count(), 0, "{findings:#?}");
    }
}

fn concept(code: &str) -> String {
    format!(r#"{{"coding":[{{"code":"{code}"}}]}}"#)
}

#[test]
fn a_diagnosis_that_was_none_or_is_over_is_left_out() {
    let condition = |more: &str| {
        format!(
            r#"{{"resourceType":"Condition","id":"c","subject":{{"reference":"Patient/p"}},"code":{{"text":"X"}},{more}}}"#
        )
    };
    let verified = |code: &str| condition(&format!(r#""verificationStatus":{}"#, concept(code)));
    let clinical = |code: &str| condition(&format!(r#""clinicalStatus":{}"#, concept(code)));
    check(&verified("refuted"), "DG1", false, "Condition/c: verificationStatus `refuted`");
    check(&verified("entered-in-error"), "DG1", false, "Condition/c: verificationStatus");
    for code in ["unconfirmed", "provisional", "differential"] {
        check(&verified(code), "DG1|1||^X|X||W", true, "");
    }
    check(&verified("confirmed"), "DG1|1||^X|X||F", true, "");
    check(&clinical("active"), "DG1|1||^X|X", true, "");
    for code in ["inactive", "remission", "resolved"] {
        check(&clinical(code), "DG1", false, "Condition/c: DG1 can't say");
    }
    let of_visit = |code: &str| {
        let status = concept(code);
        condition(&format!(
            r#""clinicalStatus":{status},"encounter":{{"reference":"Encounter/e"}}"#
        ))
    };
    check(&of_visit("resolved"), "DG1|1||^X|X", true, "clinicalStatus");
}

#[test]
fn every_diagnosis_says_of_which_kind_it_is() {
    let kind_of = |verified: &str, used: &str| {
        let verified = match verified {
            "" => String::new(),
            code => format!(r#","verificationStatus":{}"#, concept(code)),
        };
        let condition = format!(
            r#"{{"resourceType":"Condition","id":"c","subject":{{"reference":"Patient/p"}},"code":{{"text":"X"}}{verified}}}"#
        );
        let used = format!(
            r#""status":"finished","diagnosis":[{{"condition":{{"reference":"Condition/c"}}{used}}}]"#
        );
        let visit = visit("finished").replace(r#""status":"finished""#, &used);
        let written = write("ADT^A03", Version::V2_5_1, &[&visit, PATIENT, &condition]);
        let text = String::from_utf8(written.expect("a message").message).expect("UTF-8");
        let segment = text.split('\r').find(|it| it.starts_with("DG1|")).expect("a diagnosis");
        segment.split('|').nth(6).unwrap_or_default().to_owned()
    };
    let used = |code: &str| {
        format!(
            r#","use":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/diagnosis-role","code":"{code}"}}]}}"#
        )
    };
    let check = |verified: &str, used: &str, expected: &str| {
        assert_eq!(kind_of(verified, used), expected, "{verified} {used}");
    };
    check("", "", "");
    check("confirmed", "", "F");
    check("confirmed", &used("AD"), "A");
    check("", &used("AD"), "A");
    check("provisional", &used("AD"), "W");
    check("confirmed", &used("DD"), "F");
    check("", &used("DD"), "F");
    check("provisional", &used("DD"), "W");
    // Table 0052 has no code for these; that the field is required and empty is found (HL7 v2.5.1 §6.5.2.6).
    for other in ["CC", "CM", "pre-op", "post-op", "billing"] {
        check("confirmed", &used(other), "F");
        check("", &used(other), "");
    }
    check("", r#","use":{"text":"comorbidity"}"#, "");
}

#[test]
fn what_was_not_done_is_not_told_as_done() {
    let procedure = |status: &str| {
        format!(
            r#"{{"resourceType":"Procedure","id":"x","status":"{status}","subject":{{"reference":"Patient/p"}},"code":{{"text":"X"}}}}"#
        )
    };
    check(&procedure("completed"), "PR1|1||^X", true, "");
    check(&procedure("in-progress"), "PR1|1||^X", true, "Procedure/x.status");
    for status in ["not-done", "entered-in-error", "preparation", "on-hold", "stopped"] {
        check(&procedure(status), "PR1", false, &format!("Procedure/x: status `{status}`"));
    }
}

#[test]
fn an_insurance_that_is_not_in_force_is_left_out() {
    let coverage = |status: &str| {
        format!(
            r#"{{"resourceType":"Coverage","id":"x","status":"{status}","beneficiary":{{"reference":"Patient/p"}},"subscriberId":"S1"}}"#
        )
    };
    check(&coverage("active"), "IN1|1", true, "");
    for status in ["cancelled", "draft", "entered-in-error"] {
        check(&coverage(status), "IN1", false, &format!("Coverage/x: status `{status}`"));
    }
}

#[test]
fn who_is_related_no_more_is_no_next_of_kin() {
    let related = |active: bool| {
        format!(
            r#"{{"resourceType":"RelatedPerson","id":"x","active":{active},"patient":{{"reference":"Patient/p"}},"name":[{{"family":"B"}}]}}"#
        )
    };
    check(&related(true), "NK1|1|B", true, "");
    check(&related(false), "NK1", false, "RelatedPerson/x: active `false`");
}

#[test]
fn what_nobody_here_understands_is_left_out() {
    let unknown = r#""modifierExtension":[{"url":"http://synth.example/not","valueBoolean":true}]"#;
    let condition = format!(
        r#"{{"resourceType":"Condition","id":"c","subject":{{"reference":"Patient/p"}},"code":{{"text":"X"}},{unknown}}}"#
    );
    check(&condition, "DG1", false, "");
    let rules = condition.replace(unknown, r#""implicitRules":"http://synth.example/rules""#);
    check(&rules, "DG1", false, "");
    let contact = format!(
        r#"{{"resourceType":"Patient","id":"p","identifier":[{{"value":"1"}}],"contact":[{{"name":{{"family":"B"}},{unknown}}},{{"name":{{"family":"C"}}}}]}}"#
    );
    let written = write("ADT^A31", Version::V2_5_1, &[&contact]).expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    assert!(text.contains("\rNK1|1|C") && !text.contains("|B"), "{text}");
    let told = written.findings.iter().any(|it| it.path == "Patient/p.contact[0]");
    assert!(told, "{:#?}", written.findings);
}

/// What the event and the status of what it is about make: a part of the message, or why it is refused.
#[track_caller]
fn check_event(event: &str, resource: &str, expected: &str) {
    check_event_of(event, Version::V2_5_1, resource, expected);
}

#[track_caller]
fn check_event_of(event: &str, version: Version, resource: &str, expected: &str) {
    let told = match write(event, version, &[resource, PATIENT]) {
        Ok(written) => String::from_utf8(written.message).expect("UTF-8").replace('\r', "\n"),
        Err(error) => format!("refused: {error}"),
    };
    assert!(told.contains(expected), "{event}: {resource}: {told}");
}

#[test]
fn no_event_says_what_the_visit_denies() {
    for event in ["ADT^A01", "ADT^A04", "ADT^A03", "ADT^A13"] {
        for status in ["planned", "cancelled", "entered-in-error"] {
            check_event(event, &visit(status), "refused: ");
        }
    }
    for status in ["cancelled", "entered-in-error"] {
        check_event("ADT^A08", &visit(status), "Encounter/e says otherwise");
        check_event("ADT^A11", &visit(status), "ADT^A11");
    }
    check_event("ADT^A03", &visit("in-progress"), "that the visit has ended, and Encounter/e");
    check_event("ADT^A03", &visit("finished"), "ADT^A03");
    check_event("ADT^A11", &visit("in-progress"), "refused: ");
    check_event("ADT^A13", &visit("finished"), "refused: ");
    check_event("ADT^A01", &visit("in-progress"), "ADT^A01");
}

#[test]
fn no_event_says_what_an_order_or_an_appointment_denies() {
    let order = |more: &str| {
        format!(
            r#"{{"resourceType":"ServiceRequest","id":"r","code":{{"text":"X"}},"subject":{{"reference":"Patient/p"}},{more}}}"#
        )
    };
    check_event("ORM^O01", &order(r#""status":"active","intent":"order""#), "ORC|NW|r");
    check_event("ORM^O01", &order(r#""status":"entered-in-error","intent":"order""#), "ORC|CA|r");
    check_event("ORM^O01", &order(r#""status":"draft","intent":"order""#), "refused: ");
    check_event("ORM^O01", &order(r#""status":"active","intent":"proposal""#), "refused: ");
    let appointment = |status: &str| {
        format!(
            r#"{{"resourceType":"Appointment","id":"a","status":"{status}","participant":[{{"actor":{{"reference":"Patient/p"}},"status":"accepted"}}]}}"#
        )
    };
    check_event("SIU^S12", &appointment("booked"), "SIU^S12");
    check_event("SIU^S12", &appointment("cancelled"), "refused: ");
    check_event("SIU^S15", &appointment("booked"), "refused: ");
    check_event("SIU^S15", &appointment("cancelled"), "Cancelled");
    check_event("SIU^S26", &appointment("noshow"), "SIU^S26");
}

#[test]
fn what_is_withdrawn_is_told_as_withdrawn_or_refused() {
    let shot = |more: &str| {
        format!(
            r#"{{"resourceType":"Immunization","id":"i","patient":{{"reference":"Patient/p"}},"occurrenceDateTime":"2026-05-06","vaccineCode":{{"text":"X"}},{more}}}"#
        )
    };
    check_event("VXU^V04", &shot(r#""status":"entered-in-error""#), "|D");
    check_event_of("VXU^V04", Version::V2_3, &shot(r#""status":"entered-in-error""#), "|D");
    check_event("VXU^V04", &shot(r#""status":"not-done""#), "|NA");
    check_event("VXU^V04", &shot(r#""status":"completed","isSubpotent":true"#), "refused: ");
    check_event("VXU^V04", &shot(r#""status":"completed","isSubpotent":false"#), "|CP");
    let subpotent = |codes: &[&str]| {
        let reasons: Vec<_> =
            codes.iter().map(|code| format!(r#"{{"coding":[{{"code":"{code}"}}]}}"#)).collect();
        let reasons = reasons.join(",");
        shot(&format!(r#""status":"completed","isSubpotent":true,"subpotentReason":[{reasons}]"#))
    };
    check_event("VXU^V04", &subpotent(&["partial"]), "|PA");
    check_event("VXU^V04", &subpotent(&["coldchainbreak"]), "refused: ");
    check_event("VXU^V04", &subpotent(&["partial", "recall"]), "refused: ");
    let local = subpotent(&["partial"]).replace(r#"{"code"#, r#"{"system":"urn:x","code"#);
    check_event("VXU^V04", &local, "refused: ");
    let charge = |status: &str| {
        format!(
            r#"{{"resourceType":"ChargeItem","id":"c","status":"{status}","code":{{"text":"X"}},"subject":{{"reference":"Patient/p"}}}}"#
        )
    };
    check_event("DFT^P03", &charge("billable"), "|CG|");
    check_event("DFT^P03", &charge("entered-in-error"), "|CD|");
    check_event("DFT^P03", &charge("not-billable"), "refused: ");
    let document = |status: &str| {
        format!(
            r#"{{"resourceType":"DocumentReference","id":"d","status":"{status}","subject":{{"reference":"Patient/p"}},"content":[]}}"#
        )
    };
    check_event("MDM^T03", &document("entered-in-error"), "||CA");
    let patient = PATIENT.replace(r#""id":"p""#, r#""id":"q","active":false"#);
    check_event("ADT^A31", &patient, "refused: Patient/q can't be told by `ADT^A31`");
    let replaced = PATIENT.replace(
        r#""id":"p""#,
        r#""id":"q","link":[{"type":"replaced-by","other":{"reference":"Patient/p"}}]"#,
    );
    check_event("ADT^A31", &replaced, "refused: ");
}

#[test]
fn a_report_that_is_withdrawn_takes_its_results_back() {
    let report = |status: &str| {
        format!(
            r#"{{"resourceType":"DiagnosticReport","id":"d","status":"{status}","code":{{"text":"X"}},"subject":{{"reference":"Patient/p"}},"result":[{{"reference":"Observation/o"}}]}}"#
        )
    };
    let result = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"G"},"valueString":"v"}"#;
    for (status, of_report, of_result) in
        [("final", "|F", "|F"), ("entered-in-error", "|X", "|W"), ("cancelled", "|X", "|D")]
    {
        let written = write("ORU^R01", Version::V2_5_1, &[&report(status), result, PATIENT]);
        let text = String::from_utf8(written.expect("a message").message).expect("UTF-8");
        let line =
            |name: &str| text.split('\r').find(|it| it.starts_with(name)).unwrap_or_default();
        assert!(line("OBR").ends_with(of_report), "{status}: {text}");
        assert!(line("OBX").ends_with(of_result), "{status}: {text}");
    }
}

#[test]
fn what_is_not_in_use_any_more_is_not_told_as_current() {
    let patient = r#"{"resourceType":"Patient","id":"p","identifier":[{"value":"1"}],"name":[{"family":"A"}],
        "telecom":[{"system":"phone","use":"old","value":"111"},{"system":"phone","value":"222"}],
        "communication":[{"language":{"text":"x"}},{"language":{"text":"y"}}]}"#;
    let written = write("ADT^A31", Version::V2_5_1, &[patient]).expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    assert!(text.contains("222") && !text.contains("111"), "{text}");
    let paths: Vec<_> = written.findings.iter().map(|it| it.path.as_str()).collect();
    assert!(paths.contains(&"Patient/p.telecom[0]"), "{paths:?}");
    assert!(paths.contains(&"Patient/p.communication[1].language.text"), "{paths:?}");
    let visit = r#"{"resourceType":"Encounter","id":"e","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"Patient/p"},
        "participant":[{"type":[{"coding":[{"code":"ATND"}]}],"individual":{"reference":"Practitioner/d"}}]}"#;
    let doctor = r#"{"resourceType":"Practitioner","id":"d","identifier":[{"use":"old","value":"D0"},{"value":"D1"}],"name":[{"use":"old","family":"Was"},{"family":"Is"}]}"#;
    let written = write("ADT^A01", Version::V2_5_1, &[visit, PATIENT, doctor]).expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    assert!(text.contains("D1^Is") && !text.contains("D0"), "{text}");
}

#[test]
fn a_number_with_a_comparator_is_not_told_as_that_number() {
    let shot = r#"{"resourceType":"Immunization","id":"i","status":"completed","patient":{"reference":"Patient/p"},"occurrenceDateTime":"2026-05-06","vaccineCode":{"text":"X"},"doseQuantity":{"value":5,"comparator":"<","unit":"mL"}}"#;
    check_event("VXU^V04", shot, "|^X|999|");
    let result = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"G"},"subject":{"reference":"Patient/p"},"valueQuantity":{"value":5,"comparator":"<"}}"#;
    check(result, "OBX|1|SN|^G||<^5", true, "");
}

#[test]
fn who_declined_is_not_told_as_taking_part() {
    let appointment = r#"{"resourceType":"Appointment","id":"a","status":"booked","participant":[
        {"actor":{"reference":"Patient/p"},"status":"accepted"},{"actor":{"reference":"Location/l"},"status":"declined"}]}"#;
    let room = r#"{"resourceType":"Location","id":"l","name":"R7"}"#;
    let written = write("SIU^S12", Version::V2_5_1, &[appointment, PATIENT, room]).expect("one");
    let text = String::from_utf8(written.message).expect("UTF-8");
    assert!(!text.contains("\rAIL"), "{text}");
    let told = written.findings.iter().any(|it| it.path == "Appointment/a.participant[1]");
    assert!(told, "{:#?}", written.findings);
}

#[test]
fn what_a_panel_names_as_well_is_told_once() {
    let report = r#"{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{"text":"X"},"subject":{"reference":"Patient/p"},"result":[{"reference":"Observation/a"},{"reference":"Observation/b"}]}"#;
    let panel = r#"{"resourceType":"Observation","id":"a","status":"final","code":{"text":"A"},"hasMember":[{"reference":"Observation/b"},{"reference":"Observation/c"}]}"#;
    let of_panel = r#"{"resourceType":"Observation","id":"c","status":"final","code":{"text":"C"},"hasMember":[{"reference":"Observation/e"}]}"#;
    let leaf = |id: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"{id}"}},"valueString":"v"}}"#
        )
    };
    let resources = [report, PATIENT, panel, &leaf("b"), of_panel, &leaf("e")];
    let written = write("ORU^R01", Version::V2_5_1, &resources).expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    let codes: Vec<_> = text
        .split('\r')
        .filter(|it| it.starts_with("OBX"))
        .filter_map(|it| it.split('|').nth(3))
        .collect();
    assert_eq!(codes, ["^A", "^b", "^C", "^e"], "{text}");
}

#[test]
fn how_a_patient_left_is_told_by_the_receivers_table() {
    let visit = |code: &str| {
        format!(
            r#"{{"resourceType":"Encounter","id":"e","status":"finished","class":{{"code":"IMP"}},"subject":{{"reference":"Patient/p"}},
            "hospitalization":{{"dischargeDisposition":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/discharge-disposition","code":"{code}"}}]}}}}}}"#
        )
    };
    for (code, told) in
        [("home", "01"), ("snf", "03"), ("aadvice", "07"), ("exp", "20"), ("oth", "")]
    {
        let written = write("ADT^A03", Version::V2_5_1, &[&visit(code), PATIENT]).expect("one");
        let text = String::from_utf8(written.message).expect("UTF-8");
        let visit = text.split('\r').find(|it| it.starts_with("PV1")).expect("it is there");
        assert_eq!(visit.split('|').nth(36).unwrap_or_default(), told, "{code}: {text}");
    }
}
