//! `pipehat datastore`: what is taken out of one installation and into another, by the node that runs and without.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{Project, eventually};

const SETTINGS: &str = "datastore: { store: embedded }\n";

/// More than are read or sent at once.
const PATIENTS: usize = 450;

/// Resources that refer to each other, one of them with what R4 does not name.
fn lines() -> String {
    let mut lines = String::new();
    for number in 0..PATIENTS {
        let patient = json!({
            "resourceType": "Patient", "id": format!("p{number}"),
            "name": [{ "family": "Muster", "given": [format!("Nr{number}")] }],
            "extension": [{ "url": "https://example.org/x", "valueDecimal": 1.5 }],
        });
        let observation = json!({
            "resourceType": "Observation", "id": format!("o{number}"), "status": "final",
            "code": { "text": "weight" },
            "subject": { "reference": format!("Patient/p{number}") },
        });
        lines.push_str(&format!("{patient}\n{observation}\n"));
    }
    lines
}

/// Runs `pipehat datastore …` about the project.
fn datastore(project: &Project, arguments: &[&str]) -> Output {
    let directory = project.directory();
    let directory = directory.to_str().expect("a path");
    let mut all = vec!["datastore"];
    all.extend_from_slice(arguments);
    all.extend_from_slice(&["--project", directory]);
    project.run(&all)
}

#[track_caller]
fn check(output: &Output, exit: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{errors}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[track_caller]
fn asked(project: &Project, arguments: &[&str]) -> Value {
    serde_json::from_str(&check(&datastore(project, arguments), 0)).expect("JSON")
}

/// What the resources say apart from where and when they were written.
fn contents(ndjson: &str) -> Vec<Value> {
    let resource = |line: &str| {
        let mut resource: Value = serde_json::from_str(line).expect("a line is JSON");
        resource.as_object_mut().expect("an object").remove("meta");
        resource
    };
    ndjson.lines().map(resource).collect()
}

#[test]
fn resources_go_from_a_running_datastore_into_a_stopped_one_and_back() {
    let first = Project::new();
    first.write("pipehat.yaml", SETTINGS);
    let file = first.folder().join("in.ndjson");
    fs::write(&file, lines()).expect("a file can be written");
    let node = first.up();
    let file = file.to_str().expect("a path");
    let all = PATIENTS * 2;
    let report = asked(&first, &["import", "--validate", "--json", file]);
    assert_eq!((&report["created"], &report["left_out"]), (&json!(all), &json!(0)));
    let report = asked(&first, &["import", "--json", file]);
    assert_eq!((&report["created"], &report["unchanged"]), (&json!(0), &json!(all)));
    let found = node.api().get("/fhir/R4/Observation?subject=Patient/p7&_summary=count");
    assert_eq!(found["total"], 1);

    let taken_out = first.folder().join("out.ndjson");
    let path = taken_out.to_str().expect("a path");
    check(&datastore(&first, &["export", path]), 0);
    let exported = fs::read_to_string(&taken_out).expect("the export");
    assert_eq!(contents(&exported), contents(&lines()), "all, in their order, losslessly");
    let verified = asked(&first, &["verify", "--json"]);
    assert_eq!((&verified["sound"], &verified["resources"]), (&json!(true), &json!(all)));
    assert_eq!(asked(&first, &["reindex", "--json"])["resources"], json!(all));
    let running = asked(&first, &["stats", "--json"]);
    let events = node.api().get("/fhir/R4/AuditEvent?_count=200").to_string();
    for operation in ["$export", "$import", "$reindex"] {
        assert!(events.contains(operation), "{operation} is in no audit event");
    }
    assert!(node.stop().success());

    let second = Project::new();
    second.write("pipehat.yaml", SETTINGS);
    check(&datastore(&second, &["stats"]), 3);
    let report = asked(&second, &["import", "--json", path]);
    assert_eq!(report["created"], json!(all));
    for project in [&first, &second] {
        let statistics = asked(project, &["stats", "--json"]);
        assert_eq!(statistics["types"], running["types"]);
        assert_eq!(statistics["indexed"], true);
        let verified = asked(project, &["verify", "--json"]);
        assert_eq!(verified["sound"], true);
        for count in ["resources", "deleted", "versions"] {
            assert_eq!(verified[count], statistics[count], "{count}");
        }
        let patients = check(&datastore(project, &["export", "--type", "Patient"]), 0);
        assert_eq!(patients.lines().count(), PATIENTS);
        assert!(patients.lines().all(|line| line.contains(r#""resourceType":"Patient""#)));
    }
    let node = second.up();
    assert_eq!(node.api().get("/fhir/R4/Patient?given=Nr7")["entry"][0]["resource"]["id"], "p7");
    let back = check(&datastore(&second, &["export", "-"]), 0);
    assert_eq!(contents(&back), contents(&exported));
    assert!(node.stop().success());
    second.prove();
}

#[test]
fn lines_that_break_a_rule_are_left_out_or_stop_the_import() {
    let project = Project::new();
    project.write("pipehat.yaml", SETTINGS);
    let file = project.folder().join("in.ndjson");
    let text = "{\"resourceType\":\"Patient\",\"id\":\"a\"}\n\n\
                {\"resourceType\":\"Patient\",\"id\":\"b\",\"birthDate\":\"SECRET\"}\n\
                {\"resourceType\":\"Patient\",\"id\":\"c\"}\n{\"SECRET\n";
    fs::write(&file, text).expect("a file can be written");
    let file = file.to_str().expect("a path");
    for running in [false, true] {
        let node = running.then(|| project.up());
        let left_out = datastore(&project, &["import", "--validate", "--json", file]);
        let report: Value = serde_json::from_str(&check(&left_out, 1)).expect("JSON");
        assert_eq!(report["left_out"], 2);
        let lines: Vec<&Value> =
            report["findings"].as_array().expect("a list").iter().map(|one| &one["line"]).collect();
        assert_eq!(lines, [3, 5]);
        assert_eq!(report["findings"][0]["expression"], "Patient.birthDate");

        let stopped = datastore(&project, &["import", file]);
        check(&stopped, 3);
        let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
        assert!(said.contains("in.ndjson: line 5 is not JSON"), "{said}");
        let all = format!("{report}{said}");
        assert!(!all.contains("SECRET"), "{all}");
        assert_eq!(asked(&project, &["stats", "--json"])["resources"], 2);
        // What could not be taken out again by the API does not come in, whether or not it is checked.
        for (line, why) in [
            (r#"{"resourceType":"Foo","id":"1"}"#, "the resourceType is none of FHIR R4"),
            (r#"{"resourceType":"Patient","id":"SECRET x"}"#, "the id is not 1 to 64"),
            (r#"{"resourceType":"AuditEvent","id":"forged"}"#, "AuditEvents are the server's own"),
        ] {
            let unfit = project.folder().join("unfit.ndjson");
            fs::write(&unfit, format!("\n{line}\n")).expect("a file can be written");
            let unfit = unfit.to_str().expect("a path");
            let stopped = datastore(&project, &["import", unfit]);
            check(&stopped, 3);
            let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
            assert!(said.contains(&format!("unfit.ndjson: line 2: {why}")), "{said}");
            assert!(!said.contains("SECRET"), "{said}");
            check(&datastore(&project, &["import", "--validate", unfit]), 1);
        }
        assert_eq!(asked(&project, &["stats", "--json"])["resources"], 2);
        drop(node);
    }
}

#[test]
fn verification_finds_what_does_not_agree() {
    let project = Project::new();
    project.write("pipehat.yaml", SETTINGS);
    let file = project.folder().join("in.ndjson");
    let refers = json!({
        "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "weight" },
        "subject": { "reference": "https://fhir.example.org/fhir/R4/Patient/p" },
    });
    let plain = json!({ "resourceType": "Patient", "id": "p" });
    fs::write(&file, format!("{plain}\n{refers}\n")).expect("a file can be written");
    check(&datastore(&project, &["import", file.to_str().expect("a path")]), 0);
    assert_eq!(asked(&project, &["verify", "--json"])["sound"], true);

    // From now on the reference is to a resource that stands here, and the index says otherwise.
    project.write(
        "pipehat.yaml",
        "datastore: { store: embedded, base: 'https://fhir.example.org/fhir/R4' }\n",
    );
    let output = datastore(&project, &["verify", "--json"]);
    let verified: Value = serde_json::from_str(&check(&output, 1)).expect("JSON");
    assert_eq!((&verified["sound"], &verified["faults"]), (&json!(false), &json!(1)));
    assert_eq!(verified["found"][0]["resource"], "Observation/o");
    assert_eq!(verified["found"][0]["fault"], "index");
    let shown = check(&datastore(&project, &["verify"]), 1);
    assert!(shown.contains("Observation/o: it is not found by the values it has"), "{shown}");
    check(&datastore(&project, &["reindex", "--type", "Patient"]), 0);
    check(&datastore(&project, &["verify"]), 1);
    check(&datastore(&project, &["reindex", "--type", "Observation"]), 0);
    // Nothing is wrong now, but that other types were not gone through.
    let shown = check(&datastore(&project, &["verify"]), 1);
    assert!(shown.contains("not indexed") && !shown.contains("Observation/o"), "{shown}");
    check(&datastore(&project, &["reindex"]), 0);
    assert_eq!(asked(&project, &["verify", "--json"])["sound"], true);

    // One that runs has the index follow by itself.
    project.write("pipehat.yaml", SETTINGS);
    check(&datastore(&project, &["verify"]), 1);
    let node = project.up();
    eventually("the index follows", || datastore(&project, &["verify"]).status.code() == Some(0));
    assert!(node.stop().success());
}

#[test]
fn one_that_runs_keeps_its_data_to_itself() {
    let project = Project::new();
    project.write("pipehat.yaml", SETTINGS);
    let node = project.up();
    let admin = project.data().join("admin.json");
    let access = fs::read(&admin).expect("the access file");
    fs::remove_file(&admin).expect("it can be removed");
    for arguments in [&["stats"][..], &["verify"], &["export"], &["reindex"]] {
        let output = datastore(&project, arguments);
        check(&output, 3);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("a Pipehat runs on it"), "{said}");
    }
    fs::write(&admin, access).expect("it can be written");
    node.kill();
    assert_eq!(asked(&project, &["verify", "--json"])["sound"], true);

    project.write("pipehat.yaml", "");
    project.write("channels/in.yaml", "channel: in\nsource: { mllp: { listen: 127.0.0.1:0 } }\n");
    let without = datastore(&project, &["stats"]);
    check(&without, 3);
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(said.contains("no section `datastore:`"), "{said}");
    let node = project.up();
    let without = datastore(&project, &["stats"]);
    check(&without, 3);
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(said.contains("there is no FHIR datastore"), "{said}");
    assert!(node.stop().success());
}

/// All bytes of the data, by file: but of what SQLite keeps beside a database to share with others, and logs without content.
fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(bytes_of(&path));
            continue;
        }
        let bytes = fs::read(&path).expect("a file can be read");
        let name = path.to_string_lossy();
        let is_shared = name.ends_with("-shm");
        let is_empty_log = name.ends_with("-wal") && bytes.is_empty();
        if !is_shared && !is_empty_log {
            all.insert(path, bytes);
        }
    }
    all
}

#[test]
fn what_only_reads_changes_nothing() {
    let project = Project::new();
    project.write("pipehat.yaml", SETTINGS);
    let node = project.up();
    for number in 0..20 {
        let patient = json!({ "resourceType": "Patient", "name": [{ "family": "Muster" }],
            "multipleBirthInteger": number });
        let (status, _) = node.api().call("POST", "/fhir/R4/Patient", Some(&patient));
        assert_eq!(status, 201);
    }
    node.kill();
    let looks = || {
        let before = bytes_of(project.data());
        let verified = asked(&project, &["verify", "--json"]);
        assert_eq!((&verified["sound"], &verified["resources"]), (&json!(true), &json!(20)));
        assert_eq!(asked(&project, &["stats", "--json"])["resources"], 20);
        let after = bytes_of(project.data());
        let changed: Vec<&PathBuf> =
            before.keys().filter(|path| before.get(*path) != after.get(*path)).collect();
        assert!(changed.is_empty() && before.len() == after.len(), "{changed:?}");
        verified["audit_records"].as_u64().expect("a count")
    };
    // As the kill left it: what was answered stands in logs.
    let records = looks();
    let log = |name: &str| fs::metadata(project.data().join(name)).map_or(0, |log| log.len());
    assert!(log("datastore.sqlite-wal") > 0 && records >= 20);
    // An export is told in the audit, and changes nothing else.
    let before = bytes_of(project.data());
    check(&datastore(&project, &["export", "-"]), 0);
    for (path, bytes) in bytes_of(project.data()) {
        let is_audit = path.to_string_lossy().contains("audit.sqlite");
        assert!(is_audit || before.get(&path) == Some(&bytes), "{}", path.display());
    }
    assert_eq!(looks(), records + 1);
    // Stopped in good order, each database is whole in its one file.
    let node = project.up();
    assert!(node.stop().success());
    assert_eq!((log("datastore.sqlite-wal"), log("audit.sqlite-wal")), (0, 0));
    looks();
}
