//! `pipehat generate`: files, directories, peers, and what it says about them.

use std::fs;

use serde_json::Value as Json;

use crate::peers::Listening;
use crate::running::run;

/// Runs it and gives what it says as JSON.
#[track_caller]
fn generate(arguments: &[&str]) -> Json {
    let output = run(&[&["generate", "--json"], arguments].concat(), b"");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {error}"))
}

#[test]
fn a_file_holds_valid_messages_and_is_the_same_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (first, second, other) = (path("a.hl7"), path("b.hl7"), path("c.hl7"));
    let said = generate(&["hospital", "-n", "300", "--seed", "7", "-o", &first]);
    assert_eq!(said["messages"], 300);
    let types = said["types"].as_object().unwrap();
    assert_eq!(types.values().filter_map(Json::as_u64).sum::<u64>(), 300);
    assert!(types.contains_key("ADT^A01") && types.contains_key("ORU^R01"), "{said}");
    generate(&["hospital", "-n", "300", "--seed", "7", "-o", &second]);
    generate(&["hospital", "-n", "300", "--seed", "8", "-o", &other]);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    assert_ne!(fs::read(&first).unwrap(), fs::read(&other).unwrap());
    let validated = run(&["message", "validate", &first], b"");
    assert_eq!(validated.status.code(), Some(0));
}

#[test]
fn a_directory_gets_a_file_for_each_message() {
    let directory = tempfile::tempdir().unwrap();
    let name = format!("{}/new/", directory.path().display());
    generate(&["SIU^S12", "-n", "12", "--version", "2.3.1", "--charset", "8859/1", "-o", &name]);
    let mut names: Vec<String> = fs::read_dir(&name)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 12);
    assert_eq!(names[0], "01.hl7");
    let bytes = fs::read(format!("{name}01.hl7")).unwrap();
    let header = bytes.split(|byte| *byte == b'\r').next().unwrap();
    let header = String::from_utf8_lossy(header);
    assert!(header.ends_with("|P|2.3.1||||||8859/1"), "{header}");
}

#[test]
fn a_directory_with_files_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().to_str().unwrap();
    fs::write(directory.path().join("1.hl7"), "kept").unwrap();
    let output = run(&["generate", "ADT^A01", "-o", name], b"");
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("is not empty: name an empty directory or a new one"), "{said}");
    assert_eq!(fs::read(directory.path().join("1.hl7")).unwrap(), b"kept");
}

#[test]
fn version_2_9_is_what_its_messages_say() {
    for (version, expected) in [("2.9", "|P|2.9|"), ("2.9.1", "|P|2.9.1|")] {
        let output = run(&["generate", "ADT^A01", "--version", version], b"");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(expected), "{text}");
        let validated = run(&["message", "validate", "-"], text.as_bytes());
        assert_eq!(validated.status.code(), Some(0), "{version}");
    }
    assert_eq!(generate(&["--list", "--version", "2.9"])["version"], "2.9");
    let output = run(&["generate", "XYZ", "--version", "2.9"], b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("version 2.9 has no messages of type XYZ"), "{said}");
}

#[test]
fn another_version_than_the_profile_s_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("lab2.yaml");
    fs::write(&profile, "profile: lab2\nversion: 2.4\nmessages: [ORU^R01]\n").unwrap();
    let profile = profile.to_str().unwrap();
    let output = run(&["generate", "ORU^R01", "--profile", profile, "--version", "2.3"], b"");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("the profile lab2 is of version 2.4: leave out `--version 2.3`"),
        "{said}"
    );
    let output = run(&["generate", "ORU^R01", "--profile", profile, "--version", "2.4"], b"");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_pipe_gets_the_bytes_alone() {
    let output = run(&["generate", "ACK", "-n", "2"], b"");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("MSH|^~\\&|").count(), 2);
    assert!(!text.contains('\n'));
}

#[test]
fn a_peer_gets_messages_and_its_acknowledgments_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let save = directory.path().to_str().unwrap();
    let listening = Listening::start(&["--count", "40", "--save", save]);
    let address = listening.address().to_owned();
    let said = generate(&["hospital", "-n", "40", "--to", &address, "--window", "4"]);
    assert_eq!(said["sent"], 40);
    assert_eq!(said["answers"], serde_json::json!({"AA": 40}));
    listening.rest();
    let first = fs::read(directory.path().join("000001-G1000001.hl7")).unwrap();
    let stream = run(&["generate", "hospital", "-n", "1"], b"");
    assert_eq!(first, stream.stdout);
}

#[test]
fn a_peer_that_refuses_is_told_by_the_exit_code() {
    let listening = Listening::start(&["--count", "3", "--code", "AR"]);
    let address = listening.address().to_owned();
    let output = run(&["generate", "ADT^A04", "-n", "3", "--to", &address, "--json"], b"");
    assert_eq!(output.status.code(), Some(1));
    listening.rest();
}

#[test]
fn every_type_of_the_list_can_be_made() {
    let list = generate(&["--list", "--version", "2.9.1"]);
    let types = list["types"].as_array().unwrap();
    assert!(types.len() > 250, "{}", types.len());
    for one in types.iter().step_by(40) {
        let name = one["type"].as_str().unwrap();
        let output = run(&["generate", name, "--version", "2.9.1"], b"");
        assert_eq!(output.status.code(), Some(0), "{name}");
    }
}

#[test]
fn a_profile_s_messages_are_valid_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (profile, messages) = (path("lab2.yaml"), path("lab2.hl7"));
    let text = "profile: lab2
version: 2.4
messages: [ORU^R01]
segments:
  ZLB: { name: Laboratory notes, usage: R, after: [OBX, NTE] }
fields:
  MSH-4: { constant: LAB2 }
  PID-8: { usage: R, values: [M, F] }
  ZLB-1: { name: Set ID, type: SI, usage: R }
";
    fs::write(&profile, text).unwrap();
    let said = generate(&["ORU^R01", "--profile", &profile, "-n", "50", "-o", &messages]);
    assert_eq!(said["version"], "2.4");
    let validated = run(&["message", "validate", &messages, "--profile", &profile], b"");
    let shown = String::from_utf8_lossy(&validated.stdout).into_owned();
    assert_eq!(validated.status.code(), Some(0), "{shown}");
    let bytes = fs::read(&messages).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(text.matches("\rZLB|1").count(), 50);
    let refused = run(&["generate", "ADT^A01", "--profile", &profile], b"");
    assert_eq!(refused.status.code(), Some(2));
}
