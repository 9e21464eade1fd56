//! What a message says of who cares for a patient, of what for, and of how the patient is called: what is so now.

use pipehat_dictionary::Version;

use super::modifiers_tests::write;

const D1: &str = r#"{"resourceType":"Practitioner","id":"d1","name":[{"family":"Was"}]}"#;
const D2: &str = r#"{"resourceType":"Practitioner","id":"d2","name":[{"family":"Is"}]}"#;

/// PV1-7 of a visit with these participants, and where findings stand that its participants make.
#[track_caller]
fn check_attending(status: &str, participants: &str, expected: &str, told: &[&str]) {
    let visit = format!(
        r#"{{"resourceType":"Encounter","id":"e","status":"{status}","class":{{"code":"IMP"}},"subject":{{"reference":"Patient/p"}},
            "period":{{"start":"2026-04-10T08:00:00Z"{}}},"participant":[{participants}]}}"#,
        if status == "finished" { r#","end":"2026-04-15T09:00:00Z""# } else { "" }
    );
    // The patient's own doctor is the one whose part is over: that PD1-4 has it tells nothing of the visit.
    let patient = r#"{"resourceType":"Patient","id":"p","identifier":[{"value":"1"}],"name":[{"family":"A"}],"generalPractitioner":[{"reference":"Practitioner/d1"}]}"#;
    let event = if status == "finished" { "ADT^A03" } else { "ADT^A01" };
    let written = write(event, Version::V2_5_1, &[&visit, patient, D1, D2]).expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    let visit = text.split('\r').find(|it| it.starts_with("PV1")).expect("a visit");
    assert_eq!(visit.split('|').nth(7), Some(expected), "{text}");
    let paths = written.findings.iter().map(|it| it.path.as_str());
    let paths: Vec<_> = paths.filter(|it| it.contains(".participant[")).collect();
    assert_eq!(paths, told, "{text}");
}

fn part(doctor: &str, type_: &str, more: &str) -> String {
    format!(
        r#"{{"type":[{{"coding":[{{"code":"{type_}"}}]}}],"individual":{{"reference":"Practitioner/{doctor}"}}{more}}}"#
    )
}

#[test]
fn who_attended_before_is_not_told_as_attending() {
    let over = part("d1", "ATND", r#","period":{"end":"2026-04-11"}"#);
    let to_be = part("d1", "ATND", r#","period":{"start":"2127-01-01"}"#);
    let to_the_end = part("d1", "ATND", r#","period":{"end":"2026-04-15T09:00:00Z"}"#);
    let now = part("d2", "ATND", "");
    for status in ["in-progress", "finished"] {
        let left_out = ["Encounter/e.participant[0]"];
        check_attending(status, &format!("{over},{now}"), "^Is", &left_out);
        check_attending(status, &format!("{to_be},{now}"), "^Is", &left_out);
        check_attending(status, &format!("{now},{over}"), "^Is", &["Encounter/e.participant[1]"]);
        // Who alone is named stays: that it is over is told.
        check_attending(status, &over, "^Was", &["Encounter/e.participant[0].period.end"]);
    }
    let told = ["Encounter/e.participant[0].period.end"];
    check_attending("finished", &format!("{to_the_end},{now}"), "^Was~^Is", &told);
}

#[test]
fn whose_part_in_a_visit_is_not_said_is_found() {
    let bare = r#"{"individual":{"reference":"Practitioner/d1"}}"#;
    let now = part("d2", "ATND", "");
    check_attending(
        "in-progress",
        &format!("{bare},{now}"),
        "^Is",
        &["Encounter/e.participant[0]"],
    );
    check_attending("in-progress", bare, "", &["Encounter/e.participant[0]"]);
}

#[test]
fn the_current_name_stands_first() {
    let check = |names: &str, expected: &str| {
        let patient = format!(
            r#"{{"resourceType":"Patient","id":"p","identifier":[{{"value":"1"}}],"name":[{names}]}}"#
        );
        let written = write("ADT^A31", Version::V2_5_1, &[&patient]).expect("a message");
        let text = String::from_utf8(written.message).expect("UTF-8");
        let field = text.split('|').skip_while(|it| !it.ends_with("PID")).nth(5).expect("PID-5");
        let names: Vec<_> = field.split('~').filter_map(|it| it.split('^').next()).collect();
        assert_eq!(names.join(" "), expected, "{text}");
    };
    let was = r#"{"use":"official","family":"Was","period":{"end":"2020-01-01"}}"#;
    let is = r#"{"use":"official","family":"Is"}"#;
    let usual = r#"{"use":"usual","family":"Usual"}"#;
    let will = r#"{"use":"official","family":"Will","period":{"end":"2127-01-01"}}"#;
    check(&format!("{was},{is}"), "Is Was");
    check(&format!("{was},{usual},{is}"), "Is Usual Was");
    check(&format!("{was},{usual}"), "Usual Was");
    check(&format!("{will},{is}"), "Will Is");
    check(was, "Was");
}
