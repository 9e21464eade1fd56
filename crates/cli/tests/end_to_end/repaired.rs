//! A journal that was damaged and repaired: what is there is accounted for, what is not is told.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Api, Link, Pipehat, Project, Sample, Sink, eventually, free_port};

fn project(lab: &str) -> Project {
    let project = Project::new();
    project.write("pipehat.yaml", "journal: { compression: none }\n");
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
destinations: {{ lab: {{ mllp: {{ connect: {} }} }} }}
",
            lab
        ),
    );
    project
}

fn only_chunk(project: &Project) -> PathBuf {
    let files = fs::read_dir(project.data().join("journal")).expect("the journal").flatten();
    let mut chunks = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "chunk"));
    let only = chunks.next().expect("a chunk");
    assert_eq!(chunks.next(), None);
    only
}

/// Damages the groups from one part of the chunk to another, of a hundred.
fn damage(project: &Project, parts: std::ops::Range<usize>) {
    let path = only_chunk(project);
    let mut bytes = fs::read(&path).expect("the chunk can be read");
    let starts = bytes.windows(4).enumerate().filter(|(_, window)| *window == b"PHGr");
    let starts: Vec<usize> = starts.map(|(at, _)| at).collect();
    let (first, last) = (starts.len() * parts.start / 100, starts.len() * parts.end / 100);
    for start in starts.get(first..last).expect("groups") {
        bytes[start + 150] ^= 0x40;
    }
    fs::write(&path, bytes).expect("the chunk can be written");
}

fn counters(api: &Api) -> Value {
    api.channel("lab")["counters"].clone()
}

#[test]
fn after_a_repair_status_and_proof_hold_over_what_is_there_and_tell_the_loss() {
    let sink = Sink::new();
    let project = project(sink.address());
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    let api = node.api();
    for number in 1..=60 {
        assert_eq!(link.ask(&Sample::new("L", 1, number).bytes()).code(), "AA");
        // All records of a message stand together: of one that has some left it is known that it
        // was received.
        if number % 3 == 0 {
            eventually("all is settled", || api.counter("lab", "delivered") == number);
        }
    }
    assert!(node.stop().success());

    damage(&project, 30..60);
    let repaired = project.run(&["journal", "repair", "--json"]);
    assert_eq!(repaired.status.code(), Some(1), "records were lost");
    let repaired: Value = serde_json::from_slice(&repaired.stdout).expect("JSON");
    let lost = repaired["lost_records"].as_u64().expect("a number");
    assert!(lost > 20, "{repaired}");

    // Without a node, from the journal alone.
    let proof = project.run(&["prove"]);
    let text = String::from_utf8(proof.stdout).expect("text");
    assert_eq!(proof.status.code(), Some(0), "{text}");
    assert!(text.contains(&format!("{lost} records lost by repair at 20")), "{text}");
    assert!(text.contains("can't be accounted for"), "{text}");
    project.prove();

    // The node goes on, and its books are those of the proof.
    let node = project.up();
    let api = node.api();
    eventually("all that is there is settled", || api.counter("lab", "in_flight") == 0);
    let status = api.get("/api/v1/status");
    assert_eq!(status["losses"][0]["records"], lost, "{status}");
    assert_eq!(status["losses"].as_array().map(Vec::len), Some(1));
    assert!(counters(&api)["received"].as_u64().expect("a number") < 60);
    let mut link = Link::open(&node.address("lab"));
    for number in 61..=65 {
        assert_eq!(link.ask(&Sample::new("L", 1, number).bytes()).code(), "AA");
    }
    eventually("the new ones are settled", || api.counter("lab", "in_flight") == 0);
    let proof = api.proof();
    assert_eq!(proof["channels"][0]["counters"], counters(&api));
    let shown = project.run(&["status"]);
    let text = String::from_utf8(shown.stdout).expect("text");
    assert!(text.contains(&format!("{lost} records lost by repair at 20")), "{text}");
    assert!(node.stop().success());

    // From the checkpoint written since, nothing changes.
    let before = proof["channels"][0]["counters"].clone();
    let node = project.up();
    assert_eq!(counters(&node.api()), before);
    node.api().proof();
}

#[test]
fn what_can_be_sent_after_a_repair_is_sent_and_the_rest_is_parked() {
    let port = free_port();
    let project = project(&format!("127.0.0.1:{port}"));
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    for number in 1..=20 {
        assert_eq!(link.ask(&Sample::new("L", 1, number).bytes()).code(), "AA");
    }
    let api = node.api();
    eventually("all is processed", || api.channel("lab")["unprocessed"] == 0);
    assert!(node.stop().success());
    // Received and Processed take turns: of some messages only the latter is left.
    damage(&project, 20..21);
    damage(&project, 40..41);
    damage(&project, 60..61);
    project.run(&["journal", "repair"]);
    let sink = Sink::on(port);
    let node = project.up();
    let api = node.api();
    eventually("nothing holds the others up", || api.counter("lab", "in_flight") == 0);
    assert_eq!(api.counter("lab", "delivered"), sink.count() as u64);
    assert!(sink.count() >= 10);
    api.proof();
}

/// What stands at a position may then be another message than the index says.
#[test]
fn an_index_that_knows_more_than_the_journal_is_written_anew() {
    let sink = Sink::new();
    let project = project(sink.address());
    let ids = |api: &Api| -> Vec<String> {
        let everything = serde_json::json!({});
        let (status, body) = api.call("POST", "/api/v1/messages/search", Some(&everything));
        if status == 503 {
            return Vec::new(); // being thrown away
        }
        let page: Value = serde_json::from_slice(&body).expect("JSON");
        let found = page["messages"].as_array().expect("a page has messages");
        found.iter().map(|message| message["control_id"].as_str().unwrap_or("").into()).collect()
    };
    let send = |node: &Pipehat, sender: &str, count: u64| {
        let mut link = Link::open(&node.address("lab"));
        for number in 1..=count {
            assert_eq!(link.ask(&Sample::new(sender, 1, number).bytes()).code(), "AA");
        }
        let api = node.api();
        eventually("all is settled", || api.counter("lab", "in_flight") == 0);
        eventually("the index has them", || {
            let mine = ids(&api).into_iter().filter(|id| id.starts_with(sender)).count();
            mine as u64 == count
        });
    };
    let node = project.up();
    send(&node, "KEPT", 3);
    assert!(node.stop().success());
    let (journal, older) = (only_chunk(&project), project.folder().join("older"));
    fs::copy(&journal, &older).expect("the chunk can be copied");
    let node = project.up();
    send(&node, "GONE", 9);
    assert!(node.stop().success());
    fs::copy(&older, &journal).expect("the older chunk can be put back");

    let node = project.up();
    send(&node, "NEW", 2);
    let mut found = ids(&node.api());
    found.sort();
    assert_eq!(found, ["KEPT-1-1", "KEPT-1-2", "KEPT-1-3", "NEW-1-1", "NEW-1-2"]);
    node.api().proof();
}
