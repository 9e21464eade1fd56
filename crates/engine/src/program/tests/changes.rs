//! What a channel that follows changes tells of them: `translate` with `event: auto`.

use bytes::Bytes;
use jiff::Timestamp;
use pipehat_connectors::{Found, Peer, ResourceChange};
use pipehat_resource::json::{Value, parse};

use super::told;
use crate::effects::{Effects, LookupAnswer, LookupRequest};
use crate::program::ProgramInput;
use crate::project::testing::{TestEffects, files, load, peer};

/// A datastore: what stands there now, and the versions before.
struct Store {
    effects: TestEffects,
    now: Vec<Value>,
    /// The first is version 1.
    versions: Vec<Value>,
}

impl Effects for Store {
    fn now(&mut self) -> Timestamp {
        self.effects.now()
    }

    fn control_id(&mut self) -> String {
        self.effects.control_id()
    }

    fn lookup(&mut self, request: &LookupRequest) -> Option<LookupAnswer> {
        let found = match request.resource_type.split_once("/_history/") {
            Some((_, version)) => {
                let version: usize = version.parse().expect("a version");
                self.versions.get(version - 1)
            }
            None => self.now.iter().find(|own| {
                let name = own.resource_type().zip(own.id());
                name.is_some_and(|(name, id)| format!("{name}/{id}") == *request.resource_type)
            }),
        };
        let found = found.map(|own| Found::One(Bytes::from(own.to_json())));
        Some(LookupAnswer::Found(found.unwrap_or(Found::Nothing)))
    }
}

/// What becomes of the last of these versions.
fn outcome(step: &str, versions: &[String], now: &[&str]) -> String {
    let rest = format!(
        "format: json\nsteps:\n  - translate: {{ to: v2, version: \"2.5.1\", from: {{ base: \"http://127.0.0.1:2/fhir\" }}, {step} }}\n\
         destinations:\n  lab:\n    mllp: {{ connect: 127.0.0.1:3 }}\n"
    );
    let loaded = load(&files(&rest));
    let Some(project) = loaded.project else {
        panic!("{}", loaded.diagnostics.render(pipehat_config::Colour::Never))
    };
    let spec = &project.channels[0];
    let read = |text: &str| parse(text.as_bytes()).expect("JSON");
    let (last, before) = versions.split_last().expect("a version");
    let mut effects = Store {
        effects: TestEffects::default(),
        now: now.iter().map(|text| read(text)).collect(),
        versions: before.iter().map(|text| read(text)).collect(),
    };
    let bytes = Bytes::from(last.clone());
    let facts = ["update", "ServiceRequest", "s"].map(str::to_owned);
    let facts = facts.into_iter().chain([versions.len().to_string()]);
    let headers = ResourceChange::NAMES.into_iter().map(str::to_owned).zip(facts).collect();
    let peer = Peer { headers, ..peer() };
    let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &peer };
    told(spec.program.run(&input, &mut effects)).remove(0)
}

/// What is told of an order begins so, or holds this segment.
#[track_caller]
fn check(versions: &[String], now: &[&str], expected: &str) {
    check_step("event: auto", versions, now, expected);
}

#[track_caller]
fn check_step(step: &str, versions: &[String], now: &[&str], expected: &str) {
    let outcome = outcome(step, versions, now);
    assert!(outcome.contains(expected), "{outcome} has no {expected}");
    assert!(!outcome.starts_with("parked") || !outcome.contains("77"), "{outcome}");
}

const ANNA: &str =
    r#"{"resourceType":"Patient","id":"a","identifier":[{"value":"177"}],"name":[{"family":"A"}]}"#;
const BERTA: &str =
    r#"{"resourceType":"Patient","id":"b","identifier":[{"value":"277"}],"name":[{"family":"B"}]}"#;
const MERGED: &str = r#"{"resourceType":"Patient","id":"a","active":false,"link":[{"type":"replaced-by","other":{"reference":"Patient/b"}}]}"#;
const INCOMPLETE: &str =
    "parked program.translate-incomplete steps[1].translate: the message would lack";

fn order(status: &str, subject: &str, number: &str) -> String {
    format!(
        r#"{{"resourceType":"ServiceRequest","id":"s","status":"{status}","intent":"order","identifier":[{{"value":"{number}"}}],"code":{{"text":"Na"}},"subject":{{"reference":"Patient/{subject}"}}}}"#
    )
}

#[test]
fn an_order_that_would_be_another_patients_is_for_a_person() {
    let (first, other) = (order("active", "a", "1"), order("active", "b", "1"));
    let parked = "parked program.translate steps[1].translate: the receiver has this order as another patient's (subject)";
    check(&[first.clone(), other.clone()], &[ANNA, BERTA], parked);
    check(&[first.clone(), order("revoked", "b", "1")], &[ANNA, BERTA], parked);
    check(&[order("draft", "a", "1"), other.clone()], &[ANNA, BERTA], "ORC|NW|1");
    // A person puts it right: what the laboratory has is cancelled as whose it has it.
    let revoked = order("revoked", "a", "1");
    check(&[first.clone(), other.clone(), revoked], &[ANNA, BERTA], "ORC|CA|1");
    check(&[first, other], &[MERGED, BERTA], "ORC|XO|1");
}

#[test]
fn an_order_that_would_have_another_number_is_for_a_person() {
    let parked = "parked program.translate steps[1].translate: the receiver has this order under another placer's number (ORC-2)";
    check(&[order("active", "a", "1"), order("active", "a", "2")], &[ANNA], parked);
    let filled =
        r#","identifier":[{"value":"9","type":{"coding":[{"code":"FILL"}]}},{"value":"1"}],"#;
    let filled = order("active", "a", "1").replace(r#","identifier":[{"value":"1"}],"#, filled);
    check(&[order("active", "a", "1"), filled], &[ANNA], "ORC|XO|1|9");
}

#[test]
fn what_says_nothing_is_not_sent() {
    let order = order("active", "a", "1");
    let nothing = order.replace(r#""code":{"text":"Na"},"#, "");
    let lacks = format!("{INCOMPLETE} OBR-4");
    check(std::slice::from_ref(&nothing), &[ANNA], &lacks);
    check_step("event: \"OML^O21\"", std::slice::from_ref(&nothing), &[ANNA], &lacks);
    check_step(
        "event: auto, incomplete: keep",
        std::slice::from_ref(&nothing),
        &[ANNA],
        "ORC|NW|1",
    );
    // It was not told: what says it is new.
    check(&[nothing.clone(), order.clone()], &[ANNA], "ORC|NW|1");
    // What is cancelled is found by its number.
    check(&[order, nothing.replace("active", "revoked")], &[ANNA], "ORC|CA|1");
    let shot = r#"{"resourceType":"Immunization","id":"s","status":"completed","patient":{"reference":"Patient/a"},"occurrenceDateTime":"2026-01-01"}"#;
    check(&[shot.to_owned()], &[ANNA], &format!("{INCOMPLETE} RXA-5"));
    let report = r#"{"resourceType":"DiagnosticReport","id":"s","status":"final","subject":{"reference":"Patient/a"},"conclusion":"x"}"#;
    check(&[report.to_owned()], &[ANNA], &lacks);
    let document = r#"{"resourceType":"DocumentReference","id":"s","status":"current","subject":{"reference":"Patient/a"},"content":[{"attachment":{"contentType":"text/plain","data":"eA=="}}]}"#;
    check(&[document.to_owned()], &[ANNA], "TXA|");
}

#[test]
fn why_there_is_no_patient_is_told() {
    let order = [order("active", "a", "1")];
    let unused = ANNA.replace(r#""id":"a""#, r#""id":"a","active":false"#);
    for (now, why) in [
        (vec![], "the patient is not in the datastore"),
        (vec![unused.as_str()], "the patient's record is not in use"),
        (
            vec![MERGED],
            "the patient's record was merged into another, which is not in the datastore",
        ),
    ] {
        let expected = format!("PID: {why}");
        check(&order, &now, &expected);
        assert!(outcome("event: auto", &order, &now).ends_with(&expected));
    }
}

#[test]
fn visits_and_appointments_stay_whose_they_were() {
    let visit = |subject: &str| {
        format!(
            r#"{{"resourceType":"Encounter","id":"s","status":"in-progress","class":{{"code":"IMP"}},"subject":{{"reference":"Patient/{subject}"}}}}"#
        )
    };
    check(
        &[visit("a"), visit("b")],
        &[ANNA, BERTA],
        "parked program.translate steps[1].translate: the receiver has this visit as another patient's (subject)",
    );
    check(&[visit("a"), visit("b")], &[MERGED, BERTA], "|277");
    let booked = |number: &str| {
        format!(
            r#"{{"resourceType":"Appointment","id":"s","status":"booked","identifier":[{{"value":"{number}"}}],"participant":[{{"actor":{{"reference":"Patient/a"}},"status":"accepted"}}]}}"#
        )
    };
    check(
        &[booked("1"), booked("2")],
        &[ANNA],
        "parked program.translate steps[1].translate: the receiver has this appointment under another number (SCH-1, SCH-2)",
    );
}
