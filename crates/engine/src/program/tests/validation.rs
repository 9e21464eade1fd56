//! The `validate` step: what becomes of messages with errors.

use super::{message, outcome, told};
use crate::program::Verdict;
use crate::project::testing::{channel, files, load, run};

const DESTINATION: &str = "destinations:\n  out:\n    mllp: { connect: 127.0.0.1:2 }\n";
const GOOD: &str = "EVN||20240722\nPID|1||7^^^G^MR||Doe^J\nPV1|1|I";
const BAD: &str = "EVN||20240722\nPID|1||7^^^G^MR||Doe^J||1970-01-01\nPV1|1|";

fn validated(step: &str, lines: &str) -> Vec<String> {
    outcome(&format!("steps:\n  - validate: {step}\n{DESTINATION}"), lines)
}

#[test]
fn a_message_without_errors_goes_on() {
    for step in ["{}", "{ on_error: reject }", "{ on_error: report }", "{ level: lenient }"] {
        assert_eq!(validated(step, GOOD), [GOOD], "{step}");
    }
}

#[test]
fn one_with_errors_is_parked_reported_or_refused() {
    let first = "PID-7.1: Date/Time of Birth, Time is no DTM value: write an existing date or time as YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]";
    assert_eq!(
        validated("{}", BAD),
        [format!(
            "parked validation.failed steps[1].validate: the message departs from HL7 2.5.1 with 2 error(s); first {first}"
        )]
    );
    assert_eq!(
        validated("{ on_error: report }", BAD),
        [
            BAD.to_owned(),
            format!("finding validation.finding {first} [date-malformed] steps[1].validate times 1"),
            "finding validation.finding PV1-2: Patient Class is required and empty: send a value [required-field-missing] steps[1].validate times 1".to_owned(),
        ]
    );
    assert_eq!(
        validated("{ on_error: reject, code: AR }", BAD),
        ["rejected AR the message departs from HL7 2.5.1 with 2 error(s)"]
    );
    // What is an error depends on the level.
    assert_eq!(
        validated("{ level: lenient, on_error: reject }", BAD).first().map(String::as_str),
        Some(BAD)
    );
}

#[test]
fn the_errors_are_at_hand_for_the_sender_and_the_record() {
    let steps = format!("steps:\n  - validate: {{ on_error: reject }}\n{DESTINATION}");
    let Verdict::Rejected { errors, findings, .. } = run(&channel(&steps), &message(BAD)) else {
        panic!("it is rejected");
    };
    let errors: Vec<_> =
        errors.iter().map(|error| (error.code.number(), &*error.location)).collect();
    assert_eq!(errors, [(102, "PID-7.1"), (101, "PV1-2")]);
    assert_eq!(findings.len(), 2);
}

#[test]
fn it_sees_the_message_as_the_steps_left_it() {
    let steps = format!(
        "steps:\n  - set: {{ PID-7: \"19700101\", PV1-2: I }}\n  - validate: {{ on_error: reject }}\n{DESTINATION}"
    );
    let outputs = told(run(&channel(&steps), &message(BAD)));
    assert_eq!(outputs, ["EVN||20240722\nPID|1||7^^^G^MR||Doe^J||19700101\nPV1|1|I"]);
}

#[test]
fn mistakes_are_pointed_at() {
    for (step, expected) in [
        ("{ level: strikt }", "strict"),
        ("{ on_eror: park }", "unknown key `on_eror` in `validate`"),
        ("{ on_error: rejct }", "reject"),
        ("{ on_error: park, code: AE }", "on_error: reject"),
        ("{ on_error: reject, code: AA }", "AE"),
    ] {
        let loaded = load(&files(&format!("steps:\n  - validate: {step}\n{DESTINATION}")));
        let mistake = loaded.diagnostics.iter().next().expect("a mistake");
        let help = mistake.help.as_deref().unwrap_or_default();
        let told = format!("{} {help}", mistake.message);
        assert!(told.contains(expected), "{step}: {told}");
    }
}

const PROFILE: &str = "profile: ward\nversion: 2.5.1\nmessages: [ADT]\nfields:\n  PID-7: R\n  \
    PV1-3: { values: { codes: wards } }\n";

#[test]
fn a_profile_is_asked_beside_the_standard() {
    let project = |profile: &str, wards: &str| {
        let step =
            format!("steps:\n  - validate: {{ profile: ward, on_error: reject }}\n{DESTINATION}");
        let files = files(&step)
            .with("profiles/ward.yaml", profile)
            .with("tables/wards.csv", format!("code,name\n{wards},North\n"));
        let loaded = load(&files);
        let spec = loaded.project.map(|project| project.channels[0].clone());
        spec.unwrap_or_else(|| {
            panic!("{}", loaded.diagnostics.render(pipehat_config::Colour::Never))
        })
    };
    let spec = project(PROFILE, "N1");
    let check = |lines: &str, expected: &[&str]| {
        assert_eq!(told(run(&spec, &message(lines))), expected);
    };
    let good = "EVN||20240722\nPID|1||7^^^G^MR||Doe^J||19700101\nPV1|1|I|N1";
    check(good, &[good]);
    let errors = "rejected AE the message departs from HL7 2.5.1 with";
    check(&good.replace("19700101", ""), &[&format!("{errors} 1 error(s)")]);
    check(&good.replace("N1", "N2").replace("19700101", ""), &[&format!("{errors} 2 error(s)")]);
    // The profile and the tables it names are parts of the revision.
    let same = project(PROFILE, "N1").revision;
    assert_eq!(same, spec.revision);
    assert_ne!(project(&PROFILE.replace("PID-7", "PID-8"), "N1").revision, spec.revision);
    assert_ne!(project(PROFILE, "N9").revision, spec.revision);
}

#[test]
fn a_profile_that_is_not_there_or_has_mistakes_is_told() {
    let check = |profile: &str, expected: &[&str]| {
        let step = format!("steps:\n  - validate: {{ profile: {profile} }}\n{DESTINATION}");
        let files = files(&step).with("profiles/ward.yaml", "profile: ward\nversion: 2.5.2\n");
        let loaded = load(&files);
        assert!(loaded.project.is_none());
        let shown: Vec<String> =
            loaded.diagnostics.iter().map(|one| format!("{} {}", one.file(), one.code)).collect();
        assert_eq!(shown, expected);
    };
    check("ward", &["profiles/ward.yaml profile.version"]);
    check("wart", &["channels/test.yaml channel.profile", "profiles/ward.yaml profile.version"]);
}
