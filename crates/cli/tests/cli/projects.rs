//! `pipehat new`: what it makes is a project that passes its own check and its own tests.

use std::path::Path;

use pipehat_config::{Colour, Environment, NoEnvironment};
use pipehat_connectors::{Secrets, UnknownSecret};
use pipehat_engine::project::{DirectoryFiles, Project, run_cases};

use crate::running::{run, stdout};

struct NoSecrets;

impl Secrets for NoSecrets {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        Err(UnknownSecret { name: name.to_owned(), remedy: "there are none".to_owned() })
    }
}

#[track_caller]
fn check(arguments: &[&str], directory: &Path) {
    let environment: &dyn Environment = &NoEnvironment;
    let loaded = Project::load(directory, environment, &NoSecrets);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.diagnostics.render(Colour::Never));
    let project = loaded.project.expect("a project");
    assert_eq!(project.channels.len(), 1, "{arguments:?}");
    let run = run_cases(&project, &DirectoryFiles::new(directory), None);
    assert!(run.diagnostics.is_empty(), "{}", run.diagnostics.render(Colour::Never));
    assert!(!run.cases.is_empty(), "{arguments:?} has cases");
    for case in &run.cases {
        assert!(case.mismatches.is_empty(), "{}: {:?}", case.case, case.mismatches);
    }
}

#[test]
fn every_example_passes_its_check_and_its_tests() {
    for example in
        [&[][..], &["--example", "relay"], &["--example", "intake"], &["--example", "strict"]]
    {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("a/project");
        let arguments: Vec<_> =
            ["new", directory.to_str().unwrap()].iter().chain(example).copied().collect();
        let said = String::from_utf8(stdout(&arguments, b"")).unwrap();
        assert!(said.contains("pipehat check") && said.contains("pipehat up"), "{said}");
        assert!(directory.join("README.md").is_file() && directory.join(".gitignore").is_file());
        check(&arguments, &directory);
    }
}

/// A channel that can't keep the sequence number protocol, and what is said about it.
#[track_caller]
fn check_mistake(source: &str, rest: &str, says: &str) {
    let directory = tempfile::tempdir().unwrap();
    let channels = directory.path().join("channels");
    std::fs::create_dir(&channels).unwrap();
    let mllp = format!("{{ listen: 127.0.0.1:2575{source} }}");
    let text = format!("channel: a\nsource:\n  mllp: {mllp}\n{rest}");
    std::fs::write(channels.join("a.yaml"), text).unwrap();
    let environment: &dyn Environment = &NoEnvironment;
    let diagnostics = Project::load(directory.path(), environment, &NoSecrets).diagnostics;
    let shown = diagnostics.render(Colour::Never);
    assert_eq!(diagnostics.errors(), usize::from(!says.is_empty()), "{shown}");
    if !says.is_empty() {
        assert!(shown.contains("channel.sequence-numbers") && shown.contains(says), "{shown}");
    }
}

#[test]
fn what_breaks_the_sequence_number_protocol_is_a_mistake() {
    let numbered = ", sequence_numbers: true";
    let to = |rest: &str| {
        let mllp = "{ connect: 127.0.0.1:2576, sequence_numbers: true }";
        format!("destinations:\n  lab:\n    mllp: {mllp}\n{rest}")
    };
    let told = "the sender is to be told";
    check_mistake(numbered, "", "");
    check_mistake(numbered, "reply: processed\n", "");
    check_mistake(numbered, "reply: none\n", told);
    let plain = "destinations: { lab: { mllp: { connect: 127.0.0.1:2576 } } }\n";
    check_mistake(numbered, &format!("reply: delivered\n{plain}"), told);
    check_mistake("", &to(""), "");
    check_mistake("", &format!("order: none\n{}", to("")), "overtake");
    check_mistake("", &format!("order: by PID-3\n{}", to("")), "overtake");
    check_mistake("", &to("    retry: { give_up: 3d }\n"), "given up");
    check_mistake("", &to("    on_interrupted: park\n"), "interrupted");
}

#[test]
fn a_directory_with_something_in_it_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    let output = run(&["new", directory.path().to_str().unwrap()], b"");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// What `check`, `up` and `test` say of a folder.
#[track_caller]
fn check_refused(directory: &Path, code: i32, wanted: &str) {
    for command in ["check", "up", "test"] {
        // What is no folder is the name of a case to `test`.
        if command == "test" && !directory.is_dir() {
            continue;
        }
        let output = run(&[command, directory.to_str().unwrap()], b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        assert!(said.contains(wanted), "{command}: {said}");
    }
}

#[test]
fn a_folder_without_a_project_is_said_to_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    check_refused(&here.join("nowhere"), 3, "there is no folder");
    check_refused(&here.join("nowhere"), 3, "pipehat new");
    check_refused(here, 3, "there is no project in");
    std::fs::write(here.join("notes.txt"), "mine").unwrap();
    check_refused(&here.join("notes.txt"), 3, "is not a folder");
    std::fs::write(here.join("pipehat.yaml"), "").unwrap();
    check_refused(here, 1, "no channel");
    std::fs::create_dir(here.join("channels")).unwrap();
    check_refused(here, 1, "channels/NAME.yaml");
}

#[test]
fn the_token_of_a_pipehat_that_does_not_run_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let output = run(&["token", "--data", data], b"");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no Pipehat runs on"));
    let admin = r#"{ "url": "http://127.0.0.1:1", "token": "a-token", "process": 1 }"#;
    std::fs::write(directory.path().join("admin.json"), admin).unwrap();
    for arguments in [&["token", "--data", data][..], &["token", "--url", "--data", data]] {
        let output = run(arguments, b"");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "it was killed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("ended without a word"), "{said}");
    }
}

#[test]
fn check_finds_what_up_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let check = |settings: &str, says: &[&str]| {
        std::fs::write(directory.path().join("pipehat.yaml"), settings).unwrap();
        for command in ["check", "up"] {
            let output = run(&[command, directory.path().to_str().unwrap()], b"");
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{command}: {said}");
            assert!(says.iter().all(|says| said.contains(says)), "{command}: {said}");
        }
    };
    check("http: { listen: 0.0.0.0:8972 }\ndatastore:\n", &["project.listen", "127.0.0.1:8972"]);
    check("http: { listen: \"[::]:1\" }\ndatastore:\n", &["project.listen"]);
    check("http: { listen: localhost:8972 }\ndatastore:\n", &["project.listen", "not on a name"]);
    check("datastore: { store: sqlite }\n", &["sqlite", "`embedded`", "secret:NAME"]);
    check("datastore: { origins: \"*\" }\n", &["`[\"*\"]`"]);
}

#[test]
fn check_needs_no_secrets_and_up_does() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::create_dir(here.join("channels")).unwrap();
    std::fs::write(here.join("pipehat.yaml"), "datastore: { store: secret:NOPE }\n").unwrap();
    let channel = "channel: in\n\
                   source: { mllp: { listen: \"127.0.0.1:0\", tls: { cert: secret:CERT, key: secret:KEY } } }\n\
                   destinations:\n  lab:\n    http: { url: \"https://lab.example/hl7\", token: secret:TOKEN }\n";
    std::fs::write(here.join("channels/in.yaml"), channel).unwrap();
    for (command, code, severity) in [("check", 0, "warning"), ("up", 1, "error")] {
        let output = run(&[command, here.to_str().unwrap()], b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        for secret in ["NOPE", "CERT", "KEY", "TOKEN"] {
            let told = said.split("\n\n").any(|one| {
                one.starts_with(severity) && one.contains(&format!("no secret `{secret}`"))
            });
            assert!(told, "{command}: {severity} of {secret}: {said}");
        }
    }
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().to_str().unwrap();
    let check = |arguments: &[&str], code: i32, says: &str| {
        let output = run(arguments, b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        let last = said.lines().last().unwrap_or_default();
        let read: serde_json::Value = serde_json::from_str(last).expect(&said);
        let message = read["error"]["message"].as_str().expect(&said);
        assert!(message.contains(says), "{arguments:?}: {said}");
        read
    };
    let import = check(&["datastore", "import", "--json", "nofile", "--data", here], 3, "nofile");
    assert_eq!(import["error"]["exit"], 3);
    check(&["client", "list", "--json", "--data", here], 3, "no data directory");
    check(&["status", "--json", "--data", here], 3, "no Pipehat runs");
    check(&["check", "--json", "nowhere"], 3, "no folder nowhere");
    let usage = check(&["client", "add", "--json", "--wrong"], 2, "--wrong");
    assert_eq!(usage["error"]["exit"], 2);
    check(&["client", "add", "x", "--json", "--scope", "system/Patnt.rs"], 2, "Patnt");
    std::fs::write(directory.path().join("pipehat.yaml"), "datastore: { sore: embedded }\n")
        .unwrap();
    let mistakes = check(&["up", "--json", here], 1, "1 mistake");
    assert_eq!(mistakes["error"]["diagnostics"][0]["line"], 1);
}

#[test]
fn a_variable_is_not_shown_as_a_part_of_the_usage() {
    let output = crate::running::pipehat()
        .args(["client", "add", "x"])
        .env("PIPEHAT_DATA", "/somewhere")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Usage:") && !said.contains("--data"), "{said}");
}
