//! Subscriptions of the real binary: through a kill, and what a person does about dead letters.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::harness::{Project, eventually};

/// An endpoint that answers everything with one status.
pub(crate) struct Hook {
    address: String,
    status: Arc<AtomicU16>,
    /// The versions told, each with the status it was answered with.
    told: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Hook {
    pub(crate) fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let status = Arc::new(AtomicU16::new(status));
        let told = Arc::new(Mutex::new(Vec::new()));
        let (answer, record) = (Arc::clone(&status), Arc::clone(&told));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let (mut length, mut what) = (0, String::new());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    let (name, value) = line.split_once(':').unwrap_or_default();
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.trim().parse().unwrap_or(0),
                        "x-pipehat-resource" => what = value.trim().to_owned(),
                        _ => {}
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                // A peer that was killed has sent only a part.
                if reader.read_exact(&mut body).is_err() {
                    continue;
                }
                let status = answer.load(Ordering::SeqCst);
                record.lock().unwrap_or_else(PoisonError::into_inner).push((what, status));
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = reader.get_mut().write_all(head.as_bytes());
            }
        });
        Self { address, status, told }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn told(&self) -> Vec<(String, u16)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        self.told().into_iter().filter(|(_, status)| *status == 200).map(|(what, _)| what).collect()
    }

    pub(crate) fn subscription(&self) -> Value {
        json!({ "resourceType": "Subscription", "id": "s", "status": "requested", "reason": "a test",
            "criteria": "Patient", "channel": { "type": "rest-hook",
                "endpoint": format!("http://{}/hook", self.address), "payload": "application/fhir+json" } })
    }
}

fn patient(family: &str) -> Value {
    json!({ "resourceType": "Patient", "id": "p", "name": [{ "family": family }] })
}

#[test]
fn what_is_to_be_told_survives_a_kill() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore: { store: embedded }\n");
    let hook = Hook::start(503);
    let node = project.up();
    let put = |path: &str, resource: &Value| {
        let (status, body) = node.api().call("PUT", path, Some(resource));
        assert!(matches!(status, 200 | 201), "{}", String::from_utf8_lossy(&body));
    };
    put("/fhir/R4/Subscription/s", &hook.subscription());
    for family in ["Adams", "Brown", "Clark"] {
        put("/fhir/R4/Patient/p", &patient(family));
    }
    eventually("the endpoint is called", || !hook.told().is_empty());
    node.kill();
    hook.answers(200);
    let node = project.up();
    let version = |version: u64| format!("Patient/p/_history/{version}");
    eventually("all are told", || hook.taken().len() >= 3);
    assert_eq!(hook.taken(), [version(1), version(2), version(3)]);
    assert!(node.stop().success());
}

#[test]
fn a_person_redelivers_dead_letters() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore: { store: embedded }\n");
    let hook = Hook::start(500);
    let node = project.up();
    let api = node.api();
    let mut subscription = hook.subscription();
    subscription["extension"] = json!([{ "valueInteger": 1,
        "url": "https://medplum.com/fhir/StructureDefinition/subscription-max-attempts" }]);
    api.call("PUT", "/fhir/R4/Subscription/s", Some(&subscription));
    api.call("PUT", "/fhir/R4/Patient/p", Some(&patient("Adams")));
    let letters = || api.get("/api/v1/subscriptions/dead-letters")["dead_letters"].clone();
    eventually("it is given up", || letters().as_array().is_some_and(|all| all.len() == 1));
    let metrics = api.call("GET", "/metrics", None).1;
    let metrics = String::from_utf8_lossy(&metrics).into_owned();
    assert!(metrics.contains("\npipehat_subscription_dead_letters 1\n"), "{metrics}");

    let check = |arguments: &[&str], code: i32, expected: &str| {
        let arguments = [&["subscriptions"], arguments].concat();
        let output = project.run(&arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}{wrong}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    };
    check(&["list"], 1, "0 waiting, 1 given up");
    let change = letters()[0]["change"].to_string();
    check(&["dead-letters"], 0, &format!("change {change}  Subscription/s  create of Patient/p"));
    check(&["dead-letters", "--json"], 0, "\"why\": \"HTTP 500\"");
    check(&["dead-letters", "--subscription", "other"], 0, "nothing was given up");
    check(&["redeliver", "--change", "999999"], 1, "no such dead letter");
    check(&["redeliver"], 2, "");
    hook.answers(200);
    check(&["redeliver", "--subscription", "s", "--change", &change], 0, "1 notification");
    eventually("it is told", || hook.taken().len() == 1);
    eventually("nothing is left", || letters().as_array().is_some_and(Vec::is_empty));
    check(&["list"], 0, "0 waiting, 0 given up");
    assert!(node.stop().success());
}
