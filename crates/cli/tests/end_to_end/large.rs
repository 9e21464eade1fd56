//! Large messages: what they may cost in memory beyond themselves, and that they are found.

use serde_json::json;

use crate::harness::{Link, Pipehat, Project, Sink, eventually, free_port};

/// Documents embedded in OBX-5 reach this size in practice.
const MESSAGE_BYTES: usize = 50_000_000;

/// What one such message may cost beyond itself. Of a release build 3 to 9 MB were measured; the pages of a
/// test build's binary that are touched on the way come on top. A second copy of the message, or an
/// index of every field, is far above.
const BEYOND_BYTES_MAX: u64 = 18_000_000;

/// What is left of it when it is through and the node rests.
const LEFT_BYTES_MAX: u64 = 25_000_000;

fn header(control_id: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|LAB|NORTH|X|NORTH|20260105093000||ORU^R01|{control_id}|P|2.5.1\r\
         PID|1||{control_id}-PATIENT^^^NORTH^MR\r"
    )
    .into_bytes()
}

/// One OBX with a document that does not compress.
fn document(control_id: &str) -> Vec<u8> {
    const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut message = header(control_id);
    message.extend_from_slice(b"OBX|1|ED|DOC||^^^Base64^");
    let mut state = 1_u64;
    while message.len() < MESSAGE_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        message.extend((0..10).map(|place| BASE64[(state >> (6 * place)) as usize % 64]));
    }
    message.extend_from_slice(b"||||||F\r");
    message
}

/// As many results as a message may have segments.
fn results(control_id: &str) -> Vec<u8> {
    let mut message = header(control_id);
    for number in 1..=499_998 {
        let result = format!(
            "OBX|{number}|NM|{:05}^Analyte^L||{}.5|mg/dL|10-50|N|||F|||20260105093000||lab^tech|||||||\r",
            number % 90_000,
            number % 100
        );
        message.extend_from_slice(result.as_bytes());
    }
    message
}

/// Sends a message and waits until it is through and found; then memory must be as it says.
#[track_caller]
fn check(node: &Pipehat, channel: &str, message: &[u8], control_id: &str, copies: u64) {
    let before = node.resident_bytes_most();
    let mut link = Link::open(&node.address(channel));
    assert_eq!(link.ask(message).code(), "AA");
    let api = node.api();
    let wanted = json!({ "identifier": format!("{control_id}-PATIENT") });
    eventually("the message is found and delivered", || {
        api.search(&wanted).first().is_some_and(|found| {
            found["disposition"] == "delivered" && found["bytes"] == message.len()
        })
    });
    let (Some(before), Some(most)) = (before, node.resident_bytes_most()) else { return };
    let beyond = most.saturating_sub(before + copies * message.len() as u64);
    println!("{channel} {control_id}: {before} before, {most} at most, {beyond} beyond");
    assert!(beyond <= BEYOND_BYTES_MAX, "{beyond} bytes beyond the message");
    eventually("memory is given back", || {
        node.resident_bytes().is_some_and(|bytes| bytes < before + LEFT_BYTES_MAX)
    });
}

fn project(destination: &str) -> Project {
    let project = Project::new();
    let port = free_port();
    project.write(
        "channels/large.yaml",
        &format!(
            "channel: large\nsource: {{ mllp: {{ listen: 127.0.0.1:{port} }} }}\n{destination}"
        ),
    );
    project
}

#[test]
fn a_message_that_is_kept_costs_itself_and_little_more() {
    let project = project("order: none\n");
    let node = project.up_with(&["--no-watch"]);
    check(&node, "large", &document("DOC"), "DOC", 1);
    drop(node);
    let node = project.up_with(&["--no-watch"]);
    check(&node, "large", &results("RESULTS"), "RESULTS", 1);
}

#[test]
fn a_message_that_is_changed_costs_what_came_and_what_leaves() {
    let sink = Sink::new();
    let project = project(&format!(
        "order: by PID-3.1\nsteps: [ {{ set: {{ MSH-5: THERE }} }} ]\n\
         destinations: {{ to: {{ mllp: {{ connect: {} }} }} }}\n",
        sink.address()
    ));
    let node = project.up_with(&["--no-watch"]);
    check(&node, "large", &document("DOC"), "DOC", 2);
    drop(node);
    let node = project.up_with(&["--no-watch"]);
    check(&node, "large", &results("RESULTS"), "RESULTS", 2);
}
