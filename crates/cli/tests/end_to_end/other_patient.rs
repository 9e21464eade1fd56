//! A number that is told of another patient takes nothing away: through a channel into the datastore, and to another server.

use serde_json::{Value, json};

use crate::harness::{Api, Link, eventually, until};
use crate::kept::{Feed, one};

const VISIT: &str = "PV1|1|I|W1||||||||||||||||V1^^^GOOD|||||||||||||||||||||||||20260310";

/// Messages about numbers of their own, and what finds what they make.
const MESSAGES: [(&str, &str, &[&str]); 6] = [
    (
        "ORU^R01^ORU_R01",
        "DiagnosticReport?identifier=F1",
        &["OBR|1|O1^HIS|F1^LAB|T^Test^L|||20260315", "OBX|1|NM|T^Test^L||1||||||F"],
    ),
    (
        "OML^O21^OML_O21",
        "ServiceRequest?identifier=O2",
        &["ORC|NW|O2^HIS", "OBR|1|O2^HIS||T^Test^L"],
    ),
    (
        "RDE^O11^RDE_O11",
        "MedicationRequest?identifier=O3",
        &["ORC|NW|O3^HIS", "RXE|1^^^20260315|D^Drug^L|1||mg", "RXR|PO"],
    ),
    (
        "VXU^V04^VXU_V04",
        "Immunization?identifier=I1",
        &["ORC|RE||I1^HIS", "RXA|0|1|20260315|20260315|08^Hep B^CVX|1"],
    ),
    (
        "MDM^T02^MDM_T02",
        "DocumentReference?identifier=D1",
        &[
            "EVN||20260315",
            "TXA|1|CN|TX|20260315||||||||D1^HIS|||||LA",
            "OBX|1|TX|T^Text^L||x||||||F",
        ],
    ),
    ("ADT^A01^ADT_A01", "Encounter?identifier=V1", &["EVN||20260315", VISIT]),
];

struct Sender {
    link: Link,
    sent: u32,
}

impl Sender {
    fn send(&mut self, event: &str, patient: &str, lines: &[&str]) -> String {
        self.sent += 1;
        let control = format!("C{}", self.sent);
        let header = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|{control}|P|2.5.1");
        let patient = format!("PID|1||{patient}^^^GOOD^MR||Muster^Maria");
        let at = usize::from(lines.first().is_some_and(|line| line.starts_with("EVN")));
        let (first, rest) = lines.split_at(at);
        let text =
            [&[header.as_str()], first, &[patient.as_str()], rest, &[""]].concat().join("\r");
        assert_eq!(self.link.ask(text.as_bytes()).code(), "AA");
        control
    }
}

fn stands(api: &Api) -> Vec<Value> {
    MESSAGES.iter().map(|(_, search, _)| one(api, search)).collect()
}

/// The number of the patient whose a resource is.
fn whose(api: &Api, resource: &Value) -> String {
    let subject = resource.get("subject").or_else(|| resource.get("patient")).expect("a subject");
    let reference = subject["reference"].as_str().expect("a reference");
    let patient = api.get(&format!("/fhir/R4/{reference}"));
    patient["identifier"][0]["value"].as_str().expect("a number").to_owned()
}

fn settled(api: &Api, delivered: u64, parked: u64) {
    eventually("all is settled", || {
        let count = |name: &str| api.counter("feed", name);
        (count("in_flight"), count("delivered"), count("parked")) == (0, delivered, parked)
    });
}

fn release(api: &Api, control: &str) {
    let message = until("the index has it", || {
        api.search(&json!({ "control_id": control })).into_iter().next()
    });
    let path = format!("/api/v1/messages/{}/release", message["id"]);
    let answer =
        api.post(&path, &json!({ "reason": "somebody has seen whose it is", "by": "a.tester" }));
    assert_eq!(answer["count"], 2, "of either destination: {answer}");
}

#[test]
fn what_stands_of_one_patient_is_not_told_of_another() {
    let feed = Feed::new();
    let (other, node) = (feed.other.up(), feed.project.up());
    let (there, here) = (other.api(), node.api());
    let mut sender = Sender { link: Link::open(&node.address("feed")), sent: 0 };
    let count = MESSAGES.len() as u64;
    for (event, _, lines) in MESSAGES {
        sender.send(event, "4711", lines);
    }
    settled(&here, count, 0);
    let (before, before_there) = (stands(&here), stands(&there));
    // The same numbers, of another.
    let parked: Vec<String> =
        MESSAGES.iter().map(|(event, _, lines)| sender.send(event, "4712", lines)).collect();
    settled(&here, count, count);
    assert_eq!(stands(&here), before);
    assert_eq!(stands(&there), before_there);
    let found = until("the index knows them", || {
        let found =
            here.search(&json!({ "disposition": "parked", "limit": 100, "oldest_first": true }));
        (found.len() as u64 == count).then_some(found)
    });
    for (message, (_, search, _)) in found.iter().zip(MESSAGES) {
        let shown = here.get(&format!("/api/v1/messages/{}", message["id"])).to_string();
        let (resource_type, _) = search.split_once('?').expect("a search");
        assert!(shown.contains("fhir.other-patient"), "{shown}");
        assert!(shown.contains(&format!("the {resource_type} with this number")), "{shown}");
        assert!(shown.contains("Bundle.entry["), "{shown}");
    }
    // The one who sends on is not held up, and the first patient's own messages go through.
    let (event, search, lines) = MESSAGES[0];
    sender.send(event, "4711", &[lines[0], "OBX|1|NM|T^Test^L||2||||||C"]);
    settled(&here, count + 1, count);
    // The two are one: what waited is taken, and what uses either number.
    let merge = ["EVN||20260316", "MRG|4711^^^GOOD^MR"];
    sender.send("ADT^A40^ADT_A39", "4712", &merge);
    settled(&here, count + 2, count);
    parked.iter().for_each(|control| release(&here, control));
    settled(&here, 2 * count + 2, 0);
    for api in [&here, &there] {
        for resource in stands(api) {
            assert_eq!(whose(api, &resource), "4712", "{}", resource["resourceType"]);
        }
    }
    sender.send(event, "4711", &[lines[0], "OBX|1|NM|T^Test^L||3||||||C"]);
    settled(&here, 2 * count + 3, 0);
    // Of a third it is told; a person corrects what stands, and releases it.
    let third = sender.send(event, "4713", lines);
    settled(&here, 2 * count + 3, 1);
    sender.send("ADT^A28^ADT_A05", "4713", &["EVN||20260316", "PV1|1|N"]);
    settled(&here, 2 * count + 4, 1);
    for api in [&here, &there] {
        let patient = one(api, "Patient?identifier=4713");
        for search in [search, "Observation?code=T"] {
            let mut resource = one(api, search);
            resource["subject"] = json!({ "reference": format!("Patient/{}", patient["id"].as_str().expect("an id")) });
            let path = format!(
                "/fhir/R4/{}/{}",
                resource["resourceType"].as_str().expect("a type"),
                resource["id"].as_str().expect("an id")
            );
            let (status, _) = api.call("PUT", &path, Some(&resource));
            assert_eq!(status, 200);
        }
    }
    release(&here, &third);
    settled(&here, 2 * count + 5, 0);
    for api in [&here, &there] {
        assert_eq!(whose(api, &one(api, search)), "4713");
    }
    assert!(node.stop().success());
    feed.project.prove();
}
