//! A partner that dies in the middle of an acknowledgment: what it may have got is sent again,
//! or set aside, as the channel file says (promises 3 to 5).

use std::collections::HashMap;
use std::sync::Mutex;

use pipehat_message::AcknowledgmentCode;
use serde_json::json;

use crate::harness::{
    Answer, Api, Link, Project, Sample, Sink, eventually, field, free_port, texts,
};

/// Ways to die; each message meets the next of them the first time it comes.
const DEATHS: [Answer; 5] = [
    Answer::Close,
    Answer::CloseWithin(1),
    Answer::CloseWithin(40),
    // All but the two bytes that end the frame.
    Answer::CloseWithin(usize::MAX),
    Answer::CloseAfter,
];

const MESSAGES: u64 = 25;

/// The death of the n-th message, from 0.
fn death(number: u64) -> Answer {
    DEATHS[(number % DEATHS.len() as u64) as usize].clone()
}

/// Whether what came back was a whole acknowledgment.
fn is_acknowledged(answer: &Answer) -> bool {
    *answer == Answer::CloseAfter
}

/// A sink that dies once on each message, and takes it the second time.
fn mortal() -> Sink {
    let met = Mutex::new(HashMap::<String, usize>::new());
    Sink::deciding(0, move |bytes, _| {
        let control_id = field(bytes, "MSH-10");
        let mut met = met.lock().expect("nobody panicked");
        let times = met.entry(control_id).or_default();
        *times += 1;
        if *times > 1 {
            return Answer::Code(AcknowledgmentCode::Aa);
        }
        let number: u64 = field(bytes, "ZCN-1").parse().expect("a number");
        death(number - 1)
    })
}

fn project(sink: &Sink, on_interrupted: &str) -> Project {
    let project = Project::new();
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
destinations:
  lab:
    mllp: {{ connect: {} }}
    retry: {{ first: 10ms, most: 20ms }}
    on_interrupted: {on_interrupted}
",
            sink.address()
        ),
    );
    project
}

fn samples() -> Vec<Sample> {
    (1..=MESSAGES).map(|number| Sample::new("LAB", 1, number)).collect()
}

/// Sends the messages; behind an acknowledgment that is followed by the end of the connection,
/// only when the end was seen: what is written into a connection that just ends is interrupted.
fn send_all(link: &mut Link, api: &Api) {
    for (number, sample) in (0..).zip(samples()) {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
        if death(number) == Answer::CloseAfter {
            eventually("the end is seen", || {
                let lab = api.channel("lab");
                lab["counters"]["in_flight"] == 0
                    && lab["destinations"][0]["health"]["connections"] == 0
            });
        }
    }
}

#[test]
fn an_interrupted_delivery_is_sent_again_before_the_next() {
    let sink = mortal();
    let project = project(&sink, "resend");
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    send_all(&mut link, &node.api());
    let mut expected = Vec::new();
    for (number, sample) in (0..).zip(samples()) {
        expected.push(sample.bytes());
        if !is_acknowledged(&death(number)) {
            expected.push(sample.bytes());
        }
    }
    let api = node.api();
    eventually("all is delivered", || api.counter("lab", "delivered") == MESSAGES);
    assert_eq!(texts(&sink.messages()), texts(&expected));
    assert_eq!(api.proof()["channels"][0]["counters"]["in_flight"], 0);
}

#[test]
fn an_interrupted_delivery_is_parked_and_sent_when_a_person_says_so() {
    let sink = mortal();
    let project = project(&sink, "park");
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    send_all(&mut link, &node.api());
    let api = node.api();
    let interrupted = (0..MESSAGES).filter(|number| !is_acknowledged(&death(*number))).count();
    eventually("all is settled", || api.counter("lab", "in_flight") == 0);
    assert_eq!(api.counter("lab", "parked"), interrupted as u64);
    let once: Vec<Vec<u8>> = samples().iter().map(Sample::bytes).collect();
    assert_eq!(texts(&sink.messages()), texts(&once), "nothing is sent twice by itself");
    api.proof();

    eventually("the index knows the parked ones", || {
        api.search(&json!({ "disposition": "parked", "limit": 100 })).len() == interrupted
    });
    let parked =
        api.search(&json!({ "disposition": "parked", "limit": 100, "oldest_first": true }));
    for message in &parked {
        let path = format!("/api/v1/messages/{}/release", message["id"]);
        let released = api.post(&path, &json!({ "reason": "the lab says it does not have it" }));
        assert_eq!(released["count"], 1);
    }
    eventually("all is delivered", || api.counter("lab", "delivered") == MESSAGES);
    let again: Vec<Vec<u8>> = sink.messages().split_off(once.len());
    let expected: Vec<Vec<u8>> = (0..)
        .zip(samples())
        .filter(|(number, _)| !is_acknowledged(&death(*number)))
        .map(|(_, sample)| sample.bytes())
        .collect();
    assert_eq!(texts(&again), texts(&expected), "the same bytes, the same control ids");
    api.proof();
}

#[test]
fn a_delivery_that_never_left_is_not_interrupted() {
    let port = free_port();
    let project = Project::new();
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
destinations:
  lab:
    mllp: {{ connect: 127.0.0.1:{port} }}
    retry: {{ first: 10ms, most: 20ms }}
    on_interrupted: park
"
        ),
    );
    let node = project.up();
    let sample = Sample::new("LAB", 1, 1);
    let mut link = Link::open(&node.address("lab"));
    assert_eq!(link.ask(&sample.bytes()).code(), "AA");
    let api = node.api();
    eventually("it was tried in vain", || {
        api.channel("lab")["destinations"][0]["failures"].as_u64() >= Some(3)
    });
    assert_eq!(api.counter("lab", "parked"), 0);
    let sink = Sink::on(port);
    assert_eq!(texts(&sink.wait_for(1)), texts(&[sample.bytes()]));
}
