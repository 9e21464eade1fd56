//! Bots as people write them for Medplum, and as they write them for Pipehat: the files of `tests/bots`, unchanged.

use pipehat_script::{Ask, Event, Input, Output, Reuse, RunErrorKind, Script, Worker};
use serde_json::{Value, json};

use crate::host::{TestHost, event, project, run_with, tight};

const DOCUMENT: &str = include_str!("../bots/document.ts");
const ADMISSION: &str = include_str!("../bots/admission.ts");
const REPORT: &str = include_str!("../bots/report.ts");
const ONBOARDING: &str = include_str!("../bots/onboarding.ts");
const WEBHOOK: &str = include_str!("../bots/webhook.ts");
const INTAKE: &str = include_str!("../bots/intake.ts");
const RELAY: &str = include_str!("../bots/relay.ts");

/// A bot that has run for one event after another, in one datastore.
struct Bot {
    worker: Worker,
    host: TestHost,
}

impl Bot {
    #[track_caller]
    fn new(source: &str) -> Self {
        let script = match Script::load(&project(&[("bots/bot.ts", source)]), "bots/bot.ts") {
            Ok(script) => script,
            Err(error) => panic!("{error}"),
        };
        // What is documented must be quick, too.
        assert_eq!(script.reuse(), Reuse::Kept);
        Self { worker: Worker::new(&script, tight()), host: TestHost::default() }
    }

    #[track_caller]
    fn run(&mut self, event: &Event) -> Output {
        let host = std::mem::take(&mut self.host);
        let host = std::rc::Rc::new(std::cell::RefCell::new(host));
        let run = self.worker.run(event, host.clone());
        self.host = std::mem::take(&mut *host.borrow_mut());
        match run.result {
            Ok(output) => output,
            Err(error) => panic!("{error} {:?}", error.stack),
        }
    }

    /// Runs it for an HL7 message, with `|` for the segments' ends.
    #[track_caller]
    fn hl7(&mut self, message: &[&str]) -> Vec<String> {
        let mut event = event(Input::Hl7(message.join("\r").into_bytes()));
        event.content_type = "x-application/hl7-v2+er7".to_owned();
        match self.run(&event) {
            Output::Hl7(bytes) => {
                let text = String::from_utf8(bytes).expect("ASCII");
                text.split('\r').map(str::to_owned).collect()
            }
            other => panic!("{other:?} is no HL7"),
        }
    }

    #[track_caller]
    fn json(&mut self, input: Value) -> Value {
        let mut event = event(Input::Json(input.to_string()));
        event.content_type = "application/fhir+json".to_owned();
        match self.run(&event) {
            Output::Json(text) => serde_json::from_str(&text).expect("JSON"),
            Output::Nothing => Value::Null,
            other => panic!("{other:?} is no JSON"),
        }
    }

    fn resource(&self, reference: &str) -> &Value {
        self.host.datastore.resources.get(reference).unwrap_or(&Value::Null)
    }
}

const MSH: &str = "MSH|^~\\&|ADT|WEST|LAB|EAST|20240203040506||ADT^A01^ADT_A01|X17|T|2.5.1";

#[test]
fn an_admission_makes_the_patient_and_then_changes_it() {
    let mut bot = Bot::new(ADMISSION);
    let ack = bot.hl7(&[MSH, "EVN|A01", "PID|1||4711^^^WEST^MR||DOE^JANE^Q||19800506|F"]);
    assert_eq!(ack.len(), 2);
    assert!(
        ack[0].starts_with("MSH|^~\\&|LAB|EAST|ADT|WEST|20231114221320||ACK^A01^ACK|1700000000000")
    );
    assert!(ack[0].ends_with("|T|2.5.1"), "{}", ack[0]);
    assert_eq!(ack[1], "MSA|AA|X17|OK");
    assert_eq!(
        *bot.resource("Patient/1"),
        json!({
            "resourceType": "Patient", "id": "1",
            "identifier": [{ "system": "https://hospital.example/mrn", "value": "4711" }],
            "name": [{ "family": "DOE", "given": ["JANE", "Q"] }],
            "birthDate": "1980-05-06", "gender": "female",
        })
    );
    assert_eq!(bot.host.log.iter().map(|line| &*line.text).collect::<Vec<_>>(), ["stored 1"]);

    bot.hl7(&[MSH, "EVN|A08", "PID|1||4711^^^WEST^MR||ROE^JANE||19800506|F"]);
    assert_eq!(bot.host.datastore.resources.len(), 1);
    assert_eq!(bot.resource("Patient/1")["name"], json!([{ "family": "ROE", "given": ["JANE"] }]));

    let ack = bot.hl7(&[MSH, "EVN|A01"]);
    assert_eq!(ack[1], "MSA|AE|X17|Application Error");
}

#[test]
fn fields_that_a_message_leaves_empty_are_left_out_of_what_is_written() {
    const PERSON: &str = r#"
        export async function handler(medplum, event) {
          const pid = event.input.getSegment('PID');
          const patient = await medplum.createResource({
            resourceType: 'Patient',
            name: [{ family: pid.getComponent(5, 1), suffix: [] }],
            birthDate: pid.getField(7).toString(),
            gender: null,
            maritalStatus: {},
            telecom: [{ system: 'phone', value: pid.getComponent(13, 1) }],
          });
          await medplum.updateResource({ ...patient, birthDate: '' });
          return event.input.buildAck();
        }"#;
    let mut bot = Bot::new(PERSON);
    bot.hl7(&[MSH, "EVN|A01", "PID|1||4711^^^WEST^MR||DOE||||||||"]);
    let expected = json!({
        "resourceType": "Patient", "id": "1", "name": [{ "family": "DOE" }], "telecom": [{ "system": "phone" }],
    });
    assert_eq!(*bot.resource("Patient/1"), expected);
}

#[test]
fn a_document_is_read_by_nodes_buffer() {
    let mut bot = Bot::new(DOCUMENT);
    let message = [
        "MSH|^~\\&|LAB|EAST|EHR|WEST|2024||ORU^R01|R1|P|2.5",
        "OBX|1|ED|PDF^Report||^application^pdf^Base64^JVBERi0xLjQ=||||||F",
    ];
    let mut event = event(Input::Hl7(message.join("\r").into_bytes()));
    event.content_type = "x-application/hl7-v2+er7".to_owned();
    for id in ["1", "2"] {
        let Output::Json(given) = bot.run(&event) else { panic!("JSON") };
        let given: Value = serde_json::from_str(&given).expect("JSON");
        let expected = json!({ "id": id, "bytes": 8, "length": 8, "hex": "25504446", "again": true,
            "plain": false, "json": { "type": "Buffer", "data": [37, 80] } });
        assert_eq!(given, expected);
    }
}

#[test]
fn a_report_keeps_its_document() {
    let mut bot = Bot::new(REPORT);
    let ack = bot.hl7(&[
        "MSH|^~\\&|LAB|EAST|EHR|WEST|2024||ORU^R01|R1|P|2.5",
        "PID|1||4711^^^WEST^MR||DOE^JANE",
        "OBX|1|ED|PDF^Report||^application^pdf^Base64^JVBERi0xLjQ=||||||F",
    ]);
    assert_eq!(ack[1], "MSA|AA|R1|OK");
    assert_eq!(bot.resource("Binary/2")["size"], 8);
    let report = bot.resource("DiagnosticReport/3");
    assert_eq!(report["subject"], json!({ "reference": "Patient/1" }));
    assert_eq!(report["presentedForm"][0]["url"], "Binary/2");
    let sent = bot.host.asked.iter().find_map(|ask| match ask {
        Ask::Datastore { path, body, .. } if path == "Binary" => Some(body.as_slice()),
        _ => None,
    });
    assert_eq!(sent, Some(b"%PDF-1.4".as_slice()));

    let ack = bot.hl7(&["MSH|^~\\&|LAB|EAST|EHR|WEST|2024||ORU^R01|R2|P|2.5", "OBX|1|TX|A||text"]);
    assert_eq!(ack[1], "MSA|AE|R2|Application Error");
    assert_eq!(ack[2], "ERR||OBX^1|101^Required field missing^HL70357|E");
}

#[test]
fn a_subscription_makes_a_task_once() {
    let mut bot = Bot::new(ONBOARDING);
    let with_phone =
        json!({ "resourceType": "Patient", "id": "p", "telecom": [{ "system": "phone" }] });
    assert_eq!(bot.json(with_phone), Value::Null);
    let patient = json!({ "resourceType": "Patient", "id": "p", "name": [{ "family": "Doe" }] });
    let task = bot.json(patient.clone());
    assert_eq!(task["for"], json!({ "reference": "Patient/p", "display": "Doe" }));
    assert_eq!(bot.json(patient), Value::Null);
}

#[test]
fn a_webhook_checks_its_signature() {
    let mut bot = Bot::new(WEBHOOK);
    let mut reading = json!({
        "patient": "Patient/p", "at": "2024-02-03T04:05:06Z", "pulse": 61,
        "signature": "e10bfa67caba7dfc3ceb4bd1b0c3b5a3bfaebb4ac3b0ac9f5e0ee51a2e2b7d1c",
    });
    assert_eq!(bot.json(reading.clone())["ok"], false);
    reading["signature"] = json!(signature("s3cret", "Patient/p|2024-02-03T04:05:06Z|61"));
    assert_eq!(bot.json(reading), json!({ "ok": true, "id": "1" }));
    assert_eq!(bot.resource("Observation/1")["valueQuantity"]["code"], "/min");
}

fn signature(secret: &str, text: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = ring::hmac::sign(&key, text.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_questionnaires_answers_go_into_one_transaction() {
    let mut bot = Bot::new(INTAKE);
    let response = json!({
        "resourceType": "QuestionnaireResponse", "status": "completed",
        "subject": { "reference": "Patient/p" },
        "item": [
            { "linkId": "home", "item": [{ "linkId": "city", "answer": [{ "valueString": "Graz" }] }] },
            { "linkId": "smokes", "answer": [{ "valueBoolean": false }] },
        ],
    });
    let mut event = event(Input::Json(response.to_string()));
    event.content_type = "application/fhir+json".to_owned();
    let (run, _) = run_with(&mut bot.worker, &event);
    let error = run.result.expect_err("there is no such patient");
    assert_eq!((error.kind, error.message.as_str()), (RunErrorKind::Thrown, "Gone for lunch"));
    assert!(error.stack.iter().any(|line| line.contains("bots/bot.ts:10:")), "{:?}", error.stack);

    let patient = json!({ "resourceType": "Patient", "id": "p" });
    bot.host.datastore.resources.insert("Patient/p".to_owned(), patient);
    let done = bot.json(response);
    assert_eq!(done["type"], "transaction-response");
    assert_eq!(bot.resource("Patient/p")["address"][0]["city"], "Graz");
    assert_eq!(bot.resource("Observation/2")["valueBoolean"], false);
}

#[test]
fn a_message_is_changed_by_path_and_sent() {
    let mut bot = Bot::new(RELAY);
    let message = [
        MSH,
        "PID|1||4711^^^WEST^MR~12^^^EAST^PI||DOE^J\\T\\ANE||||||||||||||123",
        "PV1|1|I|W1^2",
        "OBX|1|NM|A||7.5",
        "OBX|2|NM|B||6",
    ];
    let expected = [
        MSH,
        "PID|1||4711^^^WEST^MR~12^^^EAST^PI||DOE^J\\T\\ANE||||||||||||||",
        "PV1|1|I|WARD ONE^2",
        "OBX|1|NM|A||7.5|||H \\T\\ H",
        "OBX|2|NM|B||6",
        "ZPI|1|6",
    ];
    let result = bot.hl7(&message);
    assert_eq!(result, expected);
    let sent = bot.host.asked.iter().find_map(|ask| match ask {
        Ask::Send { destination, content_type, body } => {
            Some((destination.as_str(), content_type.as_str(), String::from_utf8_lossy(body)))
        }
        _ => None,
    });
    let text = expected.join("\r");
    assert_eq!(sent, Some(("archive", "x-application/hl7-v2+er7", text.into())));
    let log: Vec<_> = bot.host.log.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(log, ["2 identifiers, 4711 12", "sent: 200"]);

    let result = bot.hl7(&[MSH, "PV1|1|I|W1"]);
    assert_eq!(result.last().map(String::as_str), Some("ZPI|2|6"));
}
