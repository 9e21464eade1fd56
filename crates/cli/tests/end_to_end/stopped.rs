//! The messages of a Pipehat that does not run: found and shown from its files.

use std::fs;

use serde_json::Value;

use crate::harness::{Link, Project, Sample, Sink, eventually};

#[test]
fn messages_are_found_and_shown_when_nothing_runs_and_the_lock_is_respected() {
    let sink = Sink::new();
    let project = Project::new();
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
destinations: {{ lab: {{ mllp: {{ connect: {} }} }} }}
",
            sink.address()
        ),
    );
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    let samples: Vec<Sample> = (1..=3).map(|number| Sample::new("S", 1, number)).collect();
    for sample in &samples {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
    }
    let api = node.api();
    eventually("all is settled", || api.counter("lab", "delivered") == 3);
    eventually("all is in the index", || api.get("/api/v1/status")["index_behind"] == 0);
    let find = ["messages", "find", "--json", "--control-id", &samples[1].control_id()];
    let running = project.run(&find);
    assert_eq!(running.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&running.stderr), "");

    // Whoever can't find a Pipehat that runs does not read its files behind its back.
    let admin = project.data().join("admin.json");
    let access = fs::read(&admin).expect("the access file");
    fs::remove_file(&admin).expect("it can be removed");
    let refused = project.run(&find);
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("a Pipehat runs on it"), "{said}");
    fs::write(&admin, access).expect("it can be written");

    // Killed it leaves its address behind, in good order it does not: both are read.
    node.kill();
    let killed = project.run(&find);
    assert_eq!(killed.status.code(), Some(0), "{}", String::from_utf8_lossy(&killed.stderr));
    let status = project.run(&["status"]);
    assert_eq!(status.status.code(), Some(3));
    let said = String::from_utf8_lossy(&status.stderr).into_owned();
    assert!(said.contains("no Pipehat runs on"), "{said}");
    assert!(project.up().stop().success());
    let stopped = project.run(&find);
    let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert!(said.contains("no Pipehat runs on"), "{said}");
    for output in [&killed, &stopped] {
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
        assert_eq!(json(&output.stdout), json(&running.stdout));
    }
    let found: Value = serde_json::from_slice(&stopped.stdout).expect("JSON");
    let id = found[0]["id"].to_string();
    let shown = project.run(&["messages", "show", &id, "--bodies", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let stages: Vec<&str> = shown["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .filter_map(|stage| stage["stage"].as_str())
        .collect();
    assert_eq!(stages, ["received", "processed", "settled"]);
    let bytes = project.run(&["messages", "bytes", &id]);
    assert_eq!(bytes.stdout, samples[1].bytes());
    project.prove();

    let key = project.data().with_file_name("key");
    fs::rename(&key, key.with_extension("elsewhere")).expect("the key can be moved");
    for command in [&["prove"][..], &find] {
        let refused = project.run(command);
        assert_eq!(refused.status.code(), Some(3));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("is missing; restore the key file"), "{said}");
    }
}
