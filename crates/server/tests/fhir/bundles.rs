//! batch and transaction.

use serde_json::{Value, json};

use crate::harness::{BASE, Server};

fn bundle(kind: &str, entries: Vec<Value>) -> Value {
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries })
}

fn entry(method: &str, url: &str, resource: Option<Value>) -> Value {
    let mut entry = json!({ "request": { "method": method, "url": url } });
    if let Some(resource) = resource {
        entry["resource"] = resource;
    }
    entry
}

fn statuses(bundle: &Value) -> Vec<&str> {
    let entries = bundle["entry"].as_array().expect("entries");
    entries.iter().map(|entry| entry["response"]["status"].as_str().expect("a status")).collect()
}

fn observation(subject: &str) -> Value {
    json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
        "subject": { "reference": subject } })
}

#[tokio::test]
async fn a_reference_to_no_entry_is_refused() {
    let server = Server::new();
    let mut mother = entry("POST", "Patient", Some(json!({ "resourceType": "Patient" })));
    mother["fullUrl"] = "urn:uuid:0d6a7d76-7a4e-4c5c-8b62-0b3e1b0a9c01".into();
    let check = async |subject: &str, status: u16| {
        let about = entry("POST", "Observation", Some(observation(subject)));
        let reply =
            server.json("POST /", &bundle("transaction", vec![mother.clone(), about])).await;
        let reply = reply.expect(status);
        if status == 400 {
            let issue = reply.value()["issue"][0].clone();
            assert_eq!(issue["expression"][0], "Bundle.entry[1].resource.subject.reference");
            assert!(!reply.text().contains(subject), "{}", reply.text());
        }
    };
    check("urn:uuid:0d6a7d76-7a4e-4c5c-8b62-0b3e1b0a9c01", 200).await;
    check("urn:uuid:0d6a7d76-7a4e-4c5c-8b62-0b3e1b0a9c01#part", 200).await;
    check("urn:uuid:0d6a7d76-7a4e-4c5c-8b62-0b3e1b0a9c02", 400).await;
    check("urn:oid:1.2.3", 400).await;
    check("Patient/elsewhere", 200).await;
    let found = server.get("/Observation?_total=accurate&_count=0").await.value();
    assert_eq!(found["total"], 3, "nothing of a refused one is stored");
}

#[tokio::test]
async fn entries_of_a_batch_stand_alone() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    let batch = bundle(
        "batch",
        vec![
            entry("POST", "Patient", Some(json!({ "resourceType": "Patient" }))),
            entry("POST", "Patient", Some(json!({ "resourceType": "Patient", "active": "yes" }))),
            entry("GET", "Patient/p", None),
            entry("GET", "Patient/never", None),
            entry("GET", "/Patient?_id=p", None),
            entry("DELETE", "Patient/p", None),
            entry("POST", "", Some(json!({ "resourceType": "Bundle", "type": "batch" }))),
            json!({ "resource": { "resourceType": "Patient" } }),
            entry("GET", "Nothing/1", None),
            entry("GET", "metadata", None),
        ],
    );
    let reply = server.json("POST /", &batch).await.expect(200).value();
    assert_eq!(reply["type"], "batch-response");
    let expected = [
        "201 Created",
        "400 Bad Request",
        "200 OK",
        "404 Not Found",
        "200 OK",
        "204 No Content",
        "400 Bad Request",
        "400 Bad Request",
        "404 Not Found",
        "200 OK",
    ];
    assert_eq!(statuses(&reply), expected);
    let first = &reply["entry"][0];
    assert_eq!(first["resource"]["resourceType"], "Patient");
    assert_eq!(first["response"]["etag"], "W/\"1\"");
    let id = first["resource"]["id"].as_str().expect("an id");
    assert_eq!(first["response"]["location"], format!("{BASE}/Patient/{id}/_history/1"));
    assert_eq!(first["fullUrl"], format!("{BASE}/Patient/{id}"));
    let refused = &reply["entry"][1]["response"]["outcome"];
    assert_eq!(refused["resourceType"], "OperationOutcome");
    assert_eq!(refused["issue"][0]["expression"][0], "Patient.active");
    assert_eq!(reply["entry"][4]["resource"]["type"], "searchset");
    assert_eq!(reply["entry"][4]["resource"]["total"], 1);
}

#[tokio::test]
async fn a_transaction_is_whole() {
    let server = Server::new();
    let patient = json!({ "resourceType": "Patient" });
    let mut broken = bundle(
        "transaction",
        vec![
            entry("POST", "Patient", Some(patient.clone())),
            entry("POST", "Patient", Some(json!({ "resourceType": "Patient", "active": 1 }))),
        ],
    );
    let refused = server.json("POST /", &broken).await.expect(400).value();
    assert_eq!(refused["issue"][0]["expression"][0], "Bundle.entry[1].resource.active");
    assert_eq!(server.get("/Patient").await.value()["total"], 0);
    broken["entry"][1] =
        entry("PUT", "Patient/p", Some(json!({ "resourceType": "Patient", "id": "p" })));
    broken["entry"][1]["request"]["ifMatch"] = "W/\"3\"".into();
    let refused = server.json("POST /", &broken).await.refused(412, "conflict").value();
    assert_eq!(refused["issue"][0]["expression"][0], "Bundle.entry[1]");
    assert_eq!(server.get("/Patient").await.value()["total"], 0);
}

#[tokio::test]
async fn entries_are_processed_in_order_and_answered_in_theirs() {
    let server = Server::new();
    server
        .put(&json!({ "resourceType": "Patient", "id": "old",
        "identifier": [{ "system": "urn:mrn", "value": "1" }] }))
        .await;
    let mut create = entry(
        "POST",
        "Patient",
        Some(json!({ "resourceType": "Patient",
        "identifier": [{ "system": "urn:mrn", "value": "1" }] })),
    );
    create["request"]["ifNoneExist"] = "identifier=urn:mrn|1".into();
    // The search sees what was put, the create no longer sees what is deleted.
    let transaction = bundle(
        "transaction",
        vec![
            entry("GET", "Patient?_sort=_id", None),
            entry("PUT", "Patient/a", Some(json!({ "resourceType": "Patient", "id": "a" }))),
            create,
            entry("DELETE", "Patient/old", None),
            entry("GET", "Patient/a", None),
            entry("GET", "Patient/never", None),
        ],
    );
    let reply = server.json("POST /", &transaction).await.expect(200).value();
    assert_eq!(reply["type"], "transaction-response");
    let expected =
        ["200 OK", "201 Created", "201 Created", "204 No Content", "200 OK", "404 Not Found"];
    assert_eq!(statuses(&reply), expected);
    assert_eq!(reply["entry"][0]["resource"]["total"], 2);
    assert_eq!(reply["entry"][4]["resource"]["id"], "a");
    assert_eq!(reply["entry"][5]["response"]["outcome"]["issue"][0]["code"], "not-found");
}

#[tokio::test]
async fn references_within_a_transaction_are_resolved() {
    let server = Server::new();
    server
        .put(&json!({ "resourceType": "Practitioner", "id": "dr",
        "identifier": [{ "system": "urn:npi", "value": "9" }] }))
        .await;
    let mut patient = entry(
        "POST",
        "Patient",
        Some(json!({ "resourceType": "Patient",
        "identifier": [{ "system": "urn:mrn", "value": "1" }] })),
    );
    patient["fullUrl"] = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a".into();
    patient["request"]["ifNoneExist"] = "identifier=urn:mrn|1".into();
    let mut resource = observation("urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a");
    resource["performer"] = json!([{ "reference": "Practitioner?identifier=urn:npi|9" }]);
    let transaction =
        bundle("transaction", vec![entry("POST", "Observation", Some(resource)), patient]);
    for turn in ["201 Created", "200 OK"] {
        let reply = server.json("POST /", &transaction).await.expect(200).value();
        assert_eq!(statuses(&reply), ["201 Created", turn]);
        let id = reply["entry"][1]["resource"]["id"].as_str().expect("an id");
        let stored = &reply["entry"][0]["resource"];
        assert_eq!(stored["subject"]["reference"], format!("Patient/{id}"));
        assert_eq!(stored["performer"][0]["reference"], "Practitioner/dr");
    }
    let mut lost = observation("Patient?identifier=urn:mrn|none");
    let transaction = |resource: &Value| {
        bundle("transaction", vec![entry("POST", "Observation", Some(resource.clone()))])
    };
    server.json("POST /", &transaction(&lost)).await.expect(412);
    lost["subject"]["reference"] = "Patient/1".into();
    server.json("POST /", &transaction(&lost)).await.expect(200);
}

#[tokio::test]
async fn nothing_is_changed_twice() {
    let server = Server::new();
    let patient = || Some(json!({ "resourceType": "Patient", "id": "p" }));
    let twice = bundle(
        "transaction",
        vec![entry("PUT", "Patient/p", patient()), entry("DELETE", "Patient/p", None)],
    );
    server.json("POST /", &twice).await.refused(400, "duplicate");
    let mut one = entry("POST", "Patient", patient());
    one["fullUrl"] = "urn:uuid:1".into();
    let same = bundle("transaction", vec![one.clone(), one]);
    server.json("POST /", &same).await.refused(400, "duplicate");
    server
        .put(&json!({ "resourceType": "Patient", "id": "p",
        "identifier": [{ "system": "urn:mrn", "value": "1" }] }))
        .await;
    let hidden = bundle(
        "transaction",
        vec![
            entry("PUT", "Patient/p", patient()),
            entry(
                "PUT",
                "Patient?identifier=urn:mrn|1",
                Some(json!({ "resourceType": "Patient" })),
            ),
        ],
    );
    server.json("POST /", &hidden).await.expect(400);
    // Both would create: then no later condition could be decided.
    let found = || Some(json!({ "resourceType": "Patient", "identifier": [{ "value": "7" }] }));
    let mut create = entry("POST", "Patient", found());
    create["request"]["ifNoneExist"] = "identifier=7".into();
    for other in ["Patient?identifier=7", "Patient?&identifier=7"] {
        let by_update = entry("PUT", "Patient?identifier=7", found());
        let first = if other.contains('&') { by_update } else { create.clone() };
        let both = bundle("transaction", vec![first, entry("PUT", other, found())]);
        server.json("POST /", &both).await.refused(400, "duplicate");
    }
    assert_eq!(server.get("/Patient?identifier=7").await.value()["total"], 0);
}

#[tokio::test]
async fn a_transaction_calls_no_operation_that_is_not_there() {
    let server = Server::new();
    let patient = || Some(json!({ "resourceType": "Patient" }));
    let parameters = || Some(json!({ "resourceType": "Parameters" }));
    let check = async |method: &str, url: &str, status: u16| {
        let both = bundle(
            "transaction",
            vec![entry("POST", "Patient", patient()), entry(method, url, parameters())],
        );
        let reply = server.json("POST /", &both).await.expect(status);
        let place = reply.value()["issue"][0]["expression"][0].clone();
        assert_eq!(place, "Bundle.entry[1]", "{url}");
    };
    check("POST", "Patient/$nope", 404).await;
    check("GET", "Patient/p/$nope", 404).await;
    check("GET", "Observation/o/$everything", 404).await;
    check("POST", "Patient/p/$meta-add", 400).await;
    check("POST", "$reindex", 400).await;
    assert_eq!(server.get("/Patient").await.value()["total"], 0);
}

#[tokio::test]
async fn prefer_counts_for_entries() {
    let server = Server::new();
    let bundle = bundle(
        "transaction",
        vec![entry("POST", "Patient", Some(json!({ "resourceType": "Patient" })))],
    );
    let headers = "content-type: application/fhir+json\nprefer: return=minimal";
    let reply = server.send("POST /", headers, bundle.to_string()).await.expect(200).value();
    assert!(reply["entry"][0].get("resource").is_none());
    assert!(reply["entry"][0]["response"]["location"].is_string());
}

#[tokio::test]
async fn what_is_no_batch_is_refused() {
    let server = Server::new();
    server.json("POST /", &json!({ "resourceType": "Patient" })).await.refused(400, "value");
    for kind in ["collection", "history", "document"] {
        server.json("POST /", &bundle(kind, Vec::new())).await.refused(400, "value");
    }
    let empty = server.json("POST /", &bundle("transaction", Vec::new())).await.expect(200).value();
    assert!(empty.get("entry").is_none());
    let many = vec![entry("GET", "Patient/p", None); 10_001];
    server.json("POST /", &bundle("batch", many)).await.refused(413, "too-long");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_transactions_are_worked_on_aside() {
    let server = Server::new();
    let patient = |number: usize| {
        let text = format!("{number} {}", "x".repeat(2000));
        entry(
            "POST",
            "Patient",
            Some(json!({ "resourceType": "Patient", "name": [{ "text": text }] })),
        )
    };
    let large = bundle("transaction", (0..500).map(patient).collect());
    assert!(large.to_string().len() > 1_000_000);
    let reply = server.json("POST /", &large).await.expect(200).value();
    assert!(statuses(&reply).iter().all(|status| *status == "201 Created"));
    assert_eq!(server.get("/Patient?_count=0").await.expect(200).value()["total"], 500);
}

#[tokio::test]
async fn patches_in_transactions_come_as_binaries() {
    use base64::Engine;
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    let patch = r#"[{"op":"add","path":"/active","value":true}]"#;
    let data = base64::engine::general_purpose::STANDARD.encode(patch);
    let binary = json!({ "resourceType": "Binary", "contentType": "application/json-patch+json", "data": data });
    let transaction = bundle("transaction", vec![entry("PATCH", "Patient/p", Some(binary))]);
    let reply = server.json("POST /", &transaction).await.expect(200).value();
    assert_eq!(reply["entry"][0]["resource"]["active"], true);
}

#[tokio::test]
async fn conditional_references_may_depend_on_each_other() {
    let server = Server::new();
    server
        .put(&json!({ "resourceType": "Patient", "id": "old",
            "identifier": [{ "system": "urn:mrn", "value": "b" }] }))
        .await;
    let patient = |own: &str, other: &str| {
        json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:mrn", "value": own }],
            "link": [{ "other": { "reference": format!("Patient?identifier=urn:mrn|{other}") },
                "type": "seealso" }] })
    };
    let mut moved = patient("c", "a");
    moved["id"] = "old".into();
    // What `old` was is no match for the condition on `b`: the transaction makes it `c`.
    let transaction = bundle(
        "transaction",
        vec![
            entry("POST", "Patient", Some(patient("a", "b"))),
            entry("POST", "Patient", Some(patient("b", "c"))),
            entry("PUT", "Patient/old", Some(moved)),
        ],
    );
    let reply = server.json("POST /", &transaction).await.expect(200).value();
    let id = |at: usize| reply["entry"][at]["resource"]["id"].as_str().expect("an id").to_owned();
    let leads = |at: usize| reply["entry"][at]["resource"]["link"][0]["other"]["reference"].clone();
    assert_eq!(leads(0), format!("Patient/{}", id(1)));
    assert_eq!(leads(1), "Patient/old");
    assert_eq!(leads(2), format!("Patient/{}", id(0)));
    let alone = bundle("transaction", vec![entry("POST", "Patient", Some(patient("x", "y")))]);
    server.json("POST /", &alone).await.expect(412);
}

#[tokio::test]
async fn what_names_an_entry_is_found_by_the_definitions() {
    const URN: &str = "urn:uuid:0c1a9a0e-5a5c-4d0f-9c0a-0d1d2f3a4b5c";
    let server = Server::new();
    let mut patient = entry("POST", "Patient", Some(json!({ "resourceType": "Patient" })));
    patient["fullUrl"] = URN.into();
    let observation = json!({ "resourceType": "Observation", "status": "final",
        "code": { "text": URN }, "subject": { "reference": URN, "display": URN },
        "note": [{ "text": format!("see [the patient]({URN})") }],
        "extension": [{ "url": "http://example.org/uri", "valueUri": URN },
            { "url": "http://example.org/canonical", "valueCanonical": URN }] });
    let transaction =
        bundle("transaction", vec![patient, entry("POST", "Observation", Some(observation))]);
    let reply = server.json("POST /", &transaction).await.expect(200).value();
    let id = reply["entry"][0]["resource"]["id"].as_str().expect("an id");
    let made = &reply["entry"][1]["resource"];
    let name = format!("Patient/{id}");
    assert_eq!(made["subject"], json!({ "reference": name, "display": URN }));
    assert_eq!(made["code"]["text"], URN);
    assert_eq!(made["note"][0]["text"], format!("see [the patient]({name})"));
    assert_eq!(made["extension"][0]["valueUri"], name);
    assert_eq!(made["extension"][1]["valueCanonical"], URN);
}

#[tokio::test]
async fn a_read_of_what_the_transaction_deletes_finds_it_gone() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    server.audited();
    let entry = |method: &str, url: &str| json!({ "request": { "method": method, "url": url } });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        entry("GET", "Patient/p"), entry("HEAD", "Patient/p"), entry("GET", "Patient/never"),
        entry("GET", "Patient/p/_history/1"), entry("GET", "Patient/p/_history/2"),
        entry("GET", "Patient/p/_history/3"), entry("DELETE", "Patient/p") ] });
    let answer = server.json("POST /", &bundle).await.expect(200).value();
    let entries = answer["entry"].as_array().expect("entries");
    let statuses: Vec<_> =
        entries.iter().map(|entry| entry["response"]["status"].as_str().unwrap_or("")).collect();
    let (gone, never) = ("410 Gone", "404 Not Found");
    assert_eq!(statuses, [gone, gone, never, "200 OK", gone, never, "204 No Content"]);
    let outcome = &entries[0]["response"]["outcome"];
    assert_eq!(outcome["issue"][0]["code"], "deleted", "{answer}");
    assert_eq!(entries[0]["response"]["etag"], "W/\"2\"");
    let told = server.audited();
    let told: Vec<u16> = told.iter().map(|fact| fact.status.as_u16()).collect();
    assert_eq!(told, [410, 410, 404, 200, 410, 404, 204, 200], "each is told");
}

#[tokio::test]
async fn a_conditional_reference_that_can_t_be_asked_is_refused_as_such() {
    let server = Server::new();
    let observation = |reference: &str| {
        json!({ "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "x" },
            "subject": { "reference": reference } })
    };
    for reference in [
        "Patient?foo=1",
        "Patient?birthdate=xx",
        "Patient?name:foo=1",
        "Patient?_sort=name",
        "Patient?",
        "Patent?name=x",
    ] {
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "request": { "method": "PUT", "url": "Observation/o" }, "resource": observation(reference) } ] });
        let refused = server.json("POST /", &bundle).await.expect(400);
        assert!(!refused.text().contains("matches 0"), "{reference}: {}", refused.text());
        server.json("PUT /Observation/o", &observation(reference)).await.expect(400);
    }
    // A patch brings them, too.
    server.put(&observation("Patient/p")).await;
    for reference in ["Patient?foo=1", "Patient?"] {
        let patch = json!([{ "op": "replace", "path": "/subject/reference", "value": reference }]);
        let headers = "content-type: application/json-patch+json";
        server.send("PATCH /Observation/o", headers, patch.to_string()).await.refused(400, "value");
    }
}

#[tokio::test]
async fn items_that_an_entry_does_not_name_stay() {
    let server = Server::new();
    let person = |number: u32| {
        let system = json!([{ "system": "urn:staff", "value": number.to_string() }]);
        json!({ "resourceType": "Practitioner", "identifier": system })
    };
    let part = |url: &str, text: &str| json!({ "url": url, "valueString": text });
    let named = |mut entry: Value, name: &str| {
        entry["fullUrl"] = name.into();
        entry
    };
    // Of these persons, who take part, and who do not any more.
    let booking = |number: &str, people: &[u32], told: &[&str], gone: &[&str]| {
        let found_by = |number: &u32| format!("Practitioner?identifier=urn:staff|{number}");
        let mut entries: Vec<Value> = people
            .iter()
            .map(|own| {
                named(entry("PUT", &found_by(own), Some(person(*own))), &format!("urn:uuid:{own}"))
            })
            .collect();
        let participants: Vec<Value> = told
            .iter()
            .map(|own| json!({ "actor": { "reference": own }, "status": "accepted" }))
            .collect();
        let resource = json!({ "resourceType": "Appointment", "status": "proposed",
            "identifier": [{ "system": "urn:booking", "value": number }], "participant": participants });
        let url = format!("Appointment?identifier=urn:booking|{number}");
        let mut appointment = entry("PUT", &url, Some(resource));
        let mut parts = vec![
            part("element", "participant"),
            part("by", "actor.reference"),
            part("others", "*"),
        ];
        parts.extend(gone.iter().map(|own| part("without", own)));
        appointment["request"]["extension"] = json!([{ "url": "urn:pipehat:keeps",
            "extension": [{ "url": "items", "extension": parts }] }]);
        entries.insert(0, appointment);
        bundle("transaction", entries)
    };
    let take_part = async |number: &str, asked: Value| {
        server.json("POST /", &asked).await.expect(200);
        let found = server
            .get(&format!("/Appointment?identifier={number}&_include=Appointment:practitioner"))
            .await;
        let found = found.value();
        let resources: Vec<&Value> = found["entry"]
            .as_array()
            .expect("entries")
            .iter()
            .map(|own| &own["resource"])
            .collect();
        let number_of = |reference: &Value| {
            let id = reference.as_str().and_then(|own| own.strip_prefix("Practitioner/"));
            let own = resources.iter().find(|own| own["id"].as_str() == id).expect("a person");
            own["identifier"][0]["value"].as_str().expect("a number").to_owned()
        };
        let participants = resources[0]["participant"].as_array().expect("participants");
        let numbers: Vec<String> =
            participants.iter().map(|own| number_of(&own["actor"]["reference"])).collect();
        (numbers.join(" "), resources[0]["meta"]["versionId"].as_str().expect("one").to_owned())
    };
    let check = async |number: &str, asked: Value, expected: (&str, &str)| {
        for _ in 0..2 {
            let (numbers, version) = take_part(number, asked.clone()).await;
            assert_eq!((numbers.as_str(), version.as_str()), expected);
        }
    };
    check("a", booking("a", &[1, 2], &["urn:uuid:1", "urn:uuid:2"], &[]), ("1 2", "1")).await;
    check("a", booking("a", &[2], &["urn:uuid:2"], &[]), ("1 2", "1")).await;
    check("a", booking("a", &[3], &["urn:uuid:3"], &[]), ("1 2 3", "2")).await;
    check("a", booking("a", &[4, 1], &["urn:uuid:4"], &["urn:uuid:1"]), ("2 3 4", "3")).await;
    // A condition means one that stands.
    let by_condition = "Practitioner?identifier=urn:staff|3";
    check("a", booking("a", &[2], &[by_condition], &["urn:uuid:2"]), ("4 3", "4")).await;
}

/// An entry that says which elements it doesn't speak of.
fn keeping(mut entry: Value, elements: &[&str]) -> Value {
    let parts: Vec<Value> = elements
        .iter()
        .map(|element| json!({ "url": "element", "valueString": element }))
        .collect();
    entry["request"]["extension"] = json!([{ "url": "urn:pipehat:keeps", "extension": parts }]);
    entry
}

#[tokio::test]
async fn what_an_entry_does_not_speak_of_stays_as_it_stands() {
    let server = Server::new();
    let patient = |gender: &str| {
        json!({ "resourceType": "Patient", "gender": gender,
            "identifier": [{ "system": "urn:mrn", "value": "1" }] })
    };
    let update = |gender: &str| entry("PUT", "Patient?identifier=urn:mrn|1", Some(patient(gender)));
    let mut create = keeping(entry("POST", "Patient", Some(patient("other"))), &["gender"]);
    create["request"]["ifNoneExist"] = "identifier=urn:mrn|1".into();
    for kind in ["transaction", "batch"] {
        let post = async |entry: Value, status: u16| {
            let asked = bundle(kind, vec![entry]);
            server.json("POST /", &asked).await.expect(status).value()
        };
        let reply = post(update("male"), 200).await;
        let stored = &reply["entry"][0]["resource"];
        let by_id = format!("Patient/{}", stored["id"].as_str().expect("an id"));
        let mut named = patient("other");
        named["id"] = stored["id"].clone();
        let by_id = entry("PUT", &by_id, Some(named));
        let kept =
            [keeping(update("other"), &["gender"]), keeping(by_id, &["gender"]), create.clone()];
        for kept in kept {
            let reply = post(kept, 200).await;
            assert_eq!(statuses(&reply), ["200 OK"], "{kind}");
            assert_eq!(reply["entry"][0]["resource"]["gender"], "male", "{kind}");
        }
        for path in ["a..b", "sex", "gender.x", "name.family", "contact.name.family"] {
            let unreadable = keeping(update("other"), &[path]);
            let reply = post(unreadable, if kind == "transaction" { 400 } else { 200 }).await;
            if kind == "batch" {
                assert_eq!(statuses(&reply), ["400 Bad Request"], "{path}");
            }
        }
    }
    let part = |url: &str, text: &str| json!({ "url": url, "valueString": text });
    for (element, by, kept) in [
        ("gender", "system", "value"),
        ("names", "family", "text"),
        ("name", "sex", "text"),
        ("name", "family", "sex"),
        ("contact.telecom", "system", "value"),
        ("contact", "relationship.text", "relationship.text"),
    ] {
        let mut unreadable = update("other");
        let parts = [part("element", element), part("by", by), part("keeps", kept)];
        unreadable["request"]["extension"] = json!([{ "url": "urn:pipehat:keeps",
            "extension": [{ "url": "items", "extension": parts }] }]);
        let asked = bundle("transaction", vec![unreadable]);
        server.json("POST /", &asked).await.refused(400, "value");
    }
    // What is made where nothing stands may well be told as it is.
    create["request"]["ifNoneExist"] = "identifier=urn:mrn|2".into();
    create["resource"]["identifier"][0]["value"] = "2".into();
    let reply = server.json("POST /", &bundle("transaction", vec![create])).await.expect(200);
    assert_eq!(statuses(&reply.value()), ["201 Created"]);
}

#[tokio::test]
async fn what_an_entry_does_not_tell_stays() {
    let server = Server::new();
    let number = |system: &str, value: &str| json!({ "system": system, "value": value });
    let found_by = "Patient?identifier=urn:mrn|1";
    let standing = json!({ "resourceType": "Patient", "active": true, "gender": "male", "birthDate": "1980-01-01",
        "identifier": [number("urn:mrn", "1"), number("urn:mpi", "2"), number("urn:old", "3")],
        "contact": [{ "name": { "text": "Max" } }] });
    let first = bundle("transaction", vec![entry("PUT", found_by, Some(standing))]);
    server.json("POST /", &first).await.expect(200);
    let part = |url: &str, text: &str| json!({ "url": url, "valueString": text });
    let told = json!({ "resourceType": "Patient", "birthDate": "1981-01-01",
        "identifier": [number("urn:mrn", "1")] });
    let update = |parts: Value| {
        let mut update = entry("PUT", found_by, Some(told.clone()));
        update["request"]["extension"] =
            json!([{ "url": "urn:pipehat:keeps", "extension": parts }]);
        bundle("transaction", vec![update])
    };
    let items = |by: &str| {
        let parts = [
            part("element", "identifier"),
            part("by", "system+type.coding"),
            part("by", by),
            part("others", "*"),
            part("without", "system=urn:old"),
        ];
        json!({ "url": "items", "extension": parts })
    };
    let asked =
        update(json!([part("element", "*"), part("told", "contact"), items("system+value")]));
    for _ in 0..2 {
        let reply = server.json("POST /", &asked).await.expect(200).value();
        let stored = &reply["entry"][0]["resource"];
        assert_eq!(stored["meta"]["versionId"], "2");
        assert_eq!((&stored["active"], &stored["gender"]), (&json!(true), &json!("male")));
        assert_eq!(stored["birthDate"], "1981-01-01");
        assert_eq!(stored["contact"], Value::Null);
        let numbers = json!([number("urn:mpi", "2"), number("urn:mrn", "1")]);
        assert_eq!(stored["identifier"], numbers);
    }
    for unreadable in [
        json!([part("element", "names.*")]),
        json!([part("element", "contact.name.*")]),
        json!([part("element", "**")]),
        json!([part("told", "*")]),
        json!([part("told", "names")]),
        json!([items("system+names")]),
        json!([items("system+type+value")]),
    ] {
        server.json("POST /", &update(unreadable)).await.refused(400, "value");
    }
}

#[tokio::test]
async fn a_patch_of_what_is_found_does_nothing_where_nothing_is() {
    let server = Server::new();
    let patient = json!({ "resourceType": "Patient", "identifier": [{ "value": "1" }] });
    let created = entry("POST", "Patient", Some(patient));
    server.json("POST /", &bundle("transaction", vec![created])).await.expect(200);
    let patch = |number: &str, mark: bool| {
        let operation = json!({ "name": "operation", "part": [
            { "name": "type", "valueCode": "add" },
            { "name": "path", "valueString": "Patient" },
            { "name": "name", "valueString": "active" },
            { "name": "value", "valueBoolean": true } ] });
        let patch = json!({ "resourceType": "Parameters", "parameter": [operation] });
        let mut entry = entry("PATCH", &format!("Patient?identifier={number}"), Some(patch));
        if mark {
            let mark = json!({ "url": "urn:pipehat:if-found", "valueBoolean": true });
            entry["request"]["extension"] = json!([mark]);
        }
        entry
    };
    let more = || entry("POST", "Patient", Some(json!({ "resourceType": "Patient" })));
    let both = vec![more(), patch("1", true), patch("2", true)];
    let reply = server.json("POST /", &bundle("transaction", both)).await.expect(200).value();
    assert_eq!(statuses(&reply), ["201 Created", "200 OK", "200 OK"]);
    assert_eq!(reply["entry"][1]["resource"]["active"], true);
    assert_eq!(reply["entry"][2].get("resource"), None);
    // Without the mark it is refused, and all that is in the Bundle with it.
    server
        .json("POST /", &bundle("transaction", vec![more(), patch("2", false)]))
        .await
        .expect(404);
}

/// An update of the report F1, which has to stay whose it is.
fn report(url: &str, status: &str, subject: &str, path: &str) -> Value {
    let resource = json!({ "resourceType": "DiagnosticReport", "status": status, "code": { "text": "x" },
        "identifier": [{ "system": "urn:f", "value": "F1" }], "subject": { "reference": subject } });
    let mut entry = entry("PUT", url, Some(resource));
    entry["request"]["extension"] = json!([{ "url": "urn:pipehat:keeps",
        "extension": [{ "url": "same", "valueString": path }] }]);
    entry
}

#[tokio::test]
async fn what_stands_of_one_patient_is_not_told_of_another() {
    let server = Server::new();
    let url = "DiagnosticReport?identifier=urn:f|F1";
    let patient = |number: &str| {
        let resource = json!({ "resourceType": "Patient",
            "identifier": [{ "system": "urn:mrn", "value": number }] });
        let mut patient =
            entry("PUT", &format!("Patient?identifier=urn:mrn|{number}"), Some(resource));
        patient["fullUrl"] = format!("urn:uuid:0d6a7d76-7a4e-4c5c-8b62-0b3e1b0a9c0{number}").into();
        patient
    };
    let message = |number: &str, status: &str| {
        let patient = patient(number);
        let subject = patient["fullUrl"].as_str().expect("a name").to_owned();
        vec![patient, report(url, status, &subject, "subject")]
    };
    let post =
        async |kind: &str, entries: Vec<Value>| server.json("POST /", &bundle(kind, entries)).await;
    let first = post("transaction", message("1", "partial")).await.expect(200).value();
    let id = first["entry"][1]["resource"]["id"].as_str().expect("an id").to_owned();
    let refused = post("transaction", message("2", "final")).await.expect(422);
    let issue = refused.value()["issue"][0].clone();
    assert_eq!(issue["code"], "business-rule");
    assert_eq!(issue["details"]["coding"][0]["code"], "pipehat-same");
    assert_eq!(issue["expression"][0], "Bundle.entry[1].resource.subject");
    let text = issue["details"]["text"].as_str().expect("a text");
    assert!(text.contains("DiagnosticReport") && text.contains("subject"), "{text}");
    assert!(!refused.text().contains(&id) && !refused.text().contains("F1"), "{}", refused.text());
    let found = server.get("/Patient?_total=accurate&_count=0").await.value();
    assert_eq!(found["total"], 1, "nothing of a refused one is stored");
    post("transaction", message("1", "final")).await.expect(200);
    // Alone in a batch.
    post("transaction", vec![patient("2")]).await.expect(200);
    let other = report(url, "amended", "Patient?identifier=urn:mrn|2", "subject");
    let reply = post("batch", vec![other]).await.expect(200).value();
    assert_eq!(statuses(&reply), ["422 Unprocessable Entity"]);
    for path in ["sobject", "status", "result", "code", "result.reference", "subject.reference"] {
        let unreadable = report(url, "final", "Patient?identifier=urn:mrn|1", path);
        post("transaction", vec![unreadable]).await.expect(400);
    }
    // A create by a condition that has nothing but this mark stays one: what it finds is not changed.
    let mut create =
        report("DiagnosticReport", "amended", "Patient?identifier=urn:mrn|2", "subject");
    create["request"]["method"] = "POST".into();
    create["request"]["ifNoneExist"] = "identifier=urn:f|F1".into();
    let reply = post("transaction", vec![create]).await.expect(200).value();
    assert_eq!(reply["entry"][0]["resource"]["status"], "final");
}
