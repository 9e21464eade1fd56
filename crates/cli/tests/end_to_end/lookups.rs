//! Steps that search in a FHIR datastore: here, on another server, and one that does not answer.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{
    Api, Link, Pipehat, Project, Sample, Sink, eventually, field, free_port, until,
};

/// Fills PID-2 with the number of the patient that PID-3.1 is found by.
fn channel(project: &Project, fhir: &str, sink: &Sink, more: &str) {
    project.write(
        "channels/adt.yaml",
        &format!(
            "channel: adt
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
order: by PID-3.1
steps:
  - lookup:
      fhir: {fhir}
      search: \"Patient?identifier=urn:test:ward|{{PID-3.1}}\"
      into: {{ PID-2.1: \"identifier.where(system = 'urn:test:mrn').value\" }}
      retry: {{ first: 20ms, most: 100ms }}
{more}
destinations:
  lab:
    mllp: {{ connect: {}, connections: 4 }}
    retry: {{ first: 20ms, most: 100ms }}
",
            sink.address()
        ),
    );
}

/// Puts the patient of a sample in; the number found is that of the ward with `MRN-` before it.
fn put(api: &Api, sample: &Sample) {
    let ward = sample.patient_id();
    let patient = json!({
        "resourceType": "Patient", "id": ward,
        "identifier": [
            { "system": "urn:test:ward", "value": ward },
            { "system": "urn:test:mrn", "value": format!("MRN-{ward}") },
        ],
    });
    let (status, _) = api.call("PUT", &format!("/fhir/R4/Patient/{ward}"), Some(&patient));
    assert_eq!(status, 201);
}

fn found_in_index(api: &Api, sample: &Sample) -> Value {
    until("the index has the message", || {
        api.search(&json!({ "control_id": sample.control_id() })).into_iter().next()
    })
}

fn filled_in(message: &[u8]) -> String {
    field(message, "PID-2.1")
}

#[test]
fn what_is_found_here_goes_into_the_message() {
    let sink = Sink::new();
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    channel(&project, "local", &sink, "");
    let node = project.up();
    let api = node.api();
    let (known, unknown) = (Sample::new("L", 1, 1), Sample::new("L", 2, 1));
    put(&api, &known);
    let mut link = Link::open(&node.address("adt"));
    assert_eq!(link.ask(&known.bytes()).code(), "AA");
    let arrived = sink.wait_for(1);
    assert_eq!(filled_in(&arrived[0]), "MRN-LP1");

    // Nobody is found: it waits for a person, and is searched for anew when it is released.
    assert_eq!(link.ask(&unknown.bytes()).code(), "AA");
    eventually("it is parked", || api.counter("adt", "parked") == 1);
    let message = found_in_index(&api, &unknown);
    put(&api, &unknown);
    let path = format!("/api/v1/messages/{}/release", message["id"]);
    api.post(&path, &json!({ "reason": "the patient is there now", "by": "a.tester" }));
    let arrived = sink.wait_for(2);
    assert_eq!(filled_in(&arrived[1]), "MRN-LP2");

    // Every search is an access, named as the channel's.
    until("the accesses are audited", || {
        let audit = api.get("/fhir/R4/AuditEvent?altid=channel%20adt&_count=50");
        let entries = audit["entry"].as_array()?;
        (entries.len() >= 3).then_some(())
    });
    eventually("all is delivered", || api.counter("adt", "delivered") == 2);
    api.proof();
    assert!(node.stop().success());
    project.prove();
    let printed = project.printed();
    assert!(!printed.contains("LP1") && !printed.contains("MRN-"), "{printed}");
}

/// A node with a datastore alone, at this port, and the client that may read patients there.
struct Datastore {
    project: Project,
    port: u16,
    client: Value,
}

impl Datastore {
    fn new() -> Self {
        let (project, port) = (Project::new(), free_port());
        let yaml = format!("http: {{ listen: 127.0.0.1:{port} }}\ndatastore:\n");
        project.write("pipehat.yaml", &yaml);
        let Output { stdout, status, stderr } =
            project.run(&["client", "add", "lookups", "--scope", "system/Patient.rs", "--json"]);
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        let client = serde_json::from_slice(&stdout).expect("the client is JSON");
        Self { project, port, client }
    }

    fn up(&self) -> Pipehat {
        self.project.up_with(&["--http", &format!("127.0.0.1:{}", self.port)])
    }

    /// How a channel reaches it, its secret in the file that the variable names.
    fn settings(&self) -> String {
        let base = format!("http://127.0.0.1:{}", self.port);
        let id = self.client["client_id"].as_str().expect("an id");
        format!(
            "{{ base: \"{base}/fhir/R4\", connect_timeout: 1s, timeout: 5s, client: {{ token_url: \"{base}/oauth2/token\", \
             id: \"{id}\", secret: secret:lookups }} }}"
        )
    }

    fn secret(&self) -> &str {
        self.client["client_secret"].as_str().expect("a secret")
    }
}

/// Puts patients in and ends.
fn with_patients(datastore: &Datastore, samples: &[Sample]) {
    let node = datastore.up();
    let api = node.api();
    samples.iter().for_each(|sample| put(&api, sample));
    assert!(node.stop().success());
}

#[test]
fn a_lookup_waits_for_another_server_and_holds_its_lane_alone() {
    const PATIENTS: u64 = 6;
    let samples: Vec<Sample> = (1..=3)
        .flat_map(|number| (1..=PATIENTS).map(move |patient| Sample::new("R", patient, number)))
        .collect();
    let datastore = Datastore::new();
    with_patients(&datastore, &samples[..PATIENTS as usize]);

    let sink = Sink::new();
    let project = Project::new();
    project.write_secret("lookups", datastore.secret());
    // Those of nobody go past.
    channel(&project, &datastore.settings(), &sink, "    when: PID-3.1 != \"RP0\"");
    let node = project.up();
    let mut link = Link::open(&node.address("adt"));
    let half = samples.len() / 2;
    for sample in &samples[..half] {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
    }
    let past = Sample::new("R", 0, 1);
    assert_eq!(link.ask(&past.bytes()).code(), "AA");
    let arrived = sink.wait_for(1);
    assert_eq!(filled_in(&arrived[0]), "", "one that asks for nothing overtakes those that wait");
    let api = node.api();
    let blocked = until("those that wait are shown", || {
        let blocked = api.channel("adt")["blocked"].as_array().cloned()?;
        (blocked.len() == PATIENTS as usize).then_some(blocked)
    });
    assert!(blocked[0][1].as_str().is_some_and(|why| why.starts_with("program.lookup-waits")));
    eventually("one is delivered", || api.counter("adt", "delivered") == 1);

    // Killed while they wait: nothing is lost, and no message overtakes one of its lane.
    node.kill();
    let node = project.up();
    let mut link = Link::open(&node.address("adt"));
    for sample in &samples[half..] {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
    }
    // The one that asked for nothing may come again after the kill.
    let looked_up = || -> Vec<Vec<u8>> {
        sink.messages().into_iter().filter(|message| !filled_in(message).is_empty()).collect()
    };
    assert_eq!(looked_up().len(), 0);
    let answering = datastore.up();
    let arrived = until("all of them arrive", || {
        let arrived = looked_up();
        (arrived.len() >= samples.len()).then_some(arrived)
    });
    for message in &arrived {
        assert_eq!(filled_in(message), format!("MRN-{}", field(message, "PID-3.1")));
    }
    for patient in 1..=PATIENTS {
        let of_patient = |message: &&Vec<u8>| field(message, "PID-3.1") == format!("RP{patient}");
        let numbers: Vec<String> =
            arrived.iter().filter(of_patient).map(|message| field(message, "ZCN-1")).collect();
        assert_eq!(numbers, ["1", "2", "3"], "RP{patient}");
    }
    let api = node.api();
    eventually("all is delivered", || api.counter("adt", "delivered") == samples.len() as u64 + 1);
    api.proof();
    assert!(node.stop().success());
    assert!(answering.stop().success());
    project.prove();

    // Neither says whom it was about, and the secret stays where it is.
    for printed in [project.printed(), datastore.project.printed()] {
        assert!(!printed.contains("RP1") && !printed.contains("MRN-"), "{printed}");
        assert!(!printed.contains(datastore.secret()));
    }
}

#[test]
fn messages_that_wait_are_decided_about_and_follow_a_changed_configuration() {
    let sink = Sink::new();
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    let nobody = format!("{{ base: \"http://127.0.0.1:{}\" }}", free_port());
    channel(&project, &nobody, &sink, "");
    let node = project.up();
    let api = node.api();
    let (first, second) = (Sample::new("D", 1, 1), Sample::new("D", 2, 1));
    put(&api, &second);
    let mut link = Link::open(&node.address("adt"));
    for sample in [&first, &second] {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
    }
    eventually("both wait", || {
        api.channel("adt")["blocked"].as_array().is_some_and(|blocked| blocked.len() == 2)
    });
    let message = found_in_index(&api, &first);
    let path = format!("/api/v1/messages/{}/discard", message["id"]);
    api.post(&path, &json!({ "reason": "a test", "by": "a.tester" }));
    eventually("it is given up", || api.counter("adt", "superseded") == 1);

    // The right server: the other goes on by itself.
    channel(&project, "local", &sink, "");
    api.post("/api/v1/apply", &Value::Null);
    let arrived = sink.wait_for(1);
    assert_eq!(filled_in(&arrived[0]), "MRN-DP2");
    eventually("it is delivered", || api.counter("adt", "delivered") == 1);
    api.proof();
    assert!(node.stop().success());
    project.prove();
}
