//! The sequence number protocol (HL7 v2.5.1 §2.10.1), as receiver and as initiating system, across
//! kills.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use crate::harness::{
    Answer, Link, Pipehat, Project, Reply, Sample, Sink, eventually, field, free_port, until,
};

/// A message with MSH-13.
fn numbered(sample: &Sample, number: &str) -> Vec<u8> {
    let text = String::from_utf8(sample.bytes()).expect("ASCII");
    text.replacen("|2.5.1\r", &format!("|2.5.1|{number}\r"), 1).into_bytes()
}

fn sample(number: u64) -> Sample {
    Sample::new("S", number, 1)
}

/// A message without content, by which a sender starts the link or begins to count anew.
fn control(id: &str, number: &str) -> Vec<u8> {
    format!("MSH|^~\\&|S|WARD|||20260102||^|{id}|P|2.5.1|{number}\r").into_bytes()
}

fn receiving(reply: &str) -> Project {
    let project = Project::new();
    project.write(
        "channels/in.yaml",
        &format!(
            "channel: in
source: {{ mllp: {{ listen: 127.0.0.1:0, sequence_numbers: true }} }}
reply: {reply}
steps:
  - {{ park: look at it, when: MSH-9.2 = \"A03\" }}
  - {{ reject: {{ code: AR, text: not taken here }}, when: MSH-9.2 = \"A04\" }}
"
        ),
    );
    project
}

fn link(node: &Pipehat) -> Link {
    Link::open(&node.address("in"))
}

/// MSA-1 and MSA-4.
fn said(reply: &Reply) -> (String, String) {
    (reply.code(), field(&reply.0, "MSA-4"))
}

#[track_caller]
fn check(link: &mut Link, message: &[u8], code: &str, expected: &str) {
    let reply = link.ask(message);
    assert_eq!(said(&reply), (code.to_owned(), expected.to_owned()), "{reply:?}");
    assert_eq!(reply.control_id(), field(message, "MSH-10"));
}

#[test]
fn a_receiver_takes_each_number_once_and_in_its_turn() {
    let project = receiving("received");
    let node = project.up();
    let mut sender = link(&node);
    check(&mut sender, &control("START1", "0"), "AA", "-1");
    check(&mut sender, &numbered(&sample(5), "5"), "AA", "5");
    check(&mut sender, &numbered(&sample(6), "6"), "AA", "6");
    let first = sender.ask(&numbered(&sample(6), "6"));
    assert_eq!(sender.ask(&numbered(&sample(6), "6")), first, "the same acknowledgment again");
    assert_eq!(said(&first), ("AA".to_owned(), "6".to_owned()));
    check(&mut sender, &numbered(&sample(9), "9"), "AR", "7");
    // Another message with a number that was used: nobody may take it for the one before.
    check(&mut sender, &numbered(&sample(60), "6"), "AR", "7");
    check(&mut sender, &sample(61).bytes(), "AR", "7");
    check(&mut sender, &numbered(&sample(62), "six"), "AR", "7");
    // Another sender has numbers of its own.
    let other = Sample::new("OTHER", 1, 1);
    check(&mut sender, &numbered(&other, "1"), "AA", "1");

    node.kill();
    let node = project.up();
    let mut sender = link(&node);
    check(&mut sender, &control("START2", "0"), "AA", "7");
    check(&mut sender, &numbered(&sample(6), "6"), "AA", "6");
    check(&mut sender, &numbered(&sample(8), "8"), "AR", "7");
    check(&mut sender, &numbered(&sample(7), "7"), "AA", "7");
    check(&mut sender, &control("ANEW", "-1"), "AA", "-1");
    assert!(node.stop().success());
    let node = project.up();
    let mut sender = link(&node);
    check(&mut sender, &numbered(&sample(1), "1"), "AA", "1");
    check(&mut sender, &numbered(&sample(3), "3"), "AR", "2");
    check(&mut sender, &numbered(&sample(2), "2"), "AA", "2");
    let api = node.api();
    eventually("all have ended", || api.counter("in", "in_flight") == 0);
    let counter = |name| api.counter("in", name);
    assert_eq!(counter("delivered"), 6, "5, 6, the other's 1, 7, 1, 2");
    assert_eq!((counter("superseded"), counter("filtered")), (3, 3));
    assert_eq!(counter("rejected"), 6);
    api.proof();
}

#[test]
fn several_numbers_in_one_write_are_taken_in_a_row() {
    let project = receiving("processed");
    let node = project.up();
    let mut sender = link(&node);
    let mut messages: Vec<Vec<u8>> =
        (1..=20).map(|number| numbered(&sample(number), &number.to_string())).collect();
    messages.push(numbered(&Sample { trigger: "A03", ..sample(21) }, "21"));
    messages.push(numbered(&sample(22), "22"));
    sender.send(messages.iter().map(Vec::as_slice)).expect("sent");
    for number in 1..=20 {
        let reply = sender.receive().expect("a reply");
        assert_eq!(said(&reply), ("AA".to_owned(), number.to_string()));
    }
    // It is parked, and its number used up.
    assert_eq!(said(&sender.receive().expect("a reply")), ("AE".to_owned(), "22".to_owned()));
    assert_eq!(said(&sender.receive().expect("a reply")), ("AA".to_owned(), "22".to_owned()));
    node.api().proof();
}

#[test]
fn the_number_of_a_refused_message_stays_used_up() {
    let project = receiving("processed");
    let node = project.up();
    let refused = numbered(&Sample { trigger: "A04", ..sample(1) }, "1");
    let first = link(&node).ask(&refused);
    assert_eq!(said(&first), ("AR".to_owned(), "2".to_owned()));
    assert_eq!(link(&node).ask(&refused), first, "the same number is the same message");
    node.kill();
    let node = project.up();
    let mut sender = link(&node);
    assert_eq!(sender.ask(&refused), first, "after a kill");
    check(&mut sender, &numbered(&sample(2), "2"), "AA", "2");
    let api = node.api();
    eventually("all have ended", || api.counter("in", "in_flight") == 0);
    assert_eq!((api.counter("in", "rejected"), api.counter("in", "superseded")), (1, 2));
    api.proof();
}

/// A partner that follows the protocol: `expected` is the number it takes next; below 0 any.
fn partner(
    port: u16,
    expected: &Arc<AtomicI64>,
    once: impl Fn(i64) -> Odd + Send + Sync + 'static,
) -> Sink {
    let expected = Arc::clone(expected);
    let done = Mutex::new(Vec::new());
    Sink::deciding(port, move |message, _| {
        let id = field(message, "MSH-10");
        let number: i64 = field(message, "MSH-13").parse().expect("every message has a number");
        let answer = |code: &str, number: i64| {
            let text = format!(
                "MSH|^~\\&|LAB||S||20260102||ACK|A{id}|P|2.5.1\rMSA|{code}|{id}||{number}\r"
            );
            Answer::Reply(text.into_bytes())
        };
        let next = expected.load(Ordering::SeqCst);
        if number == -1 {
            expected.store(-1, Ordering::SeqCst);
            return answer("AA", -1);
        }
        if next >= 0 && number != next {
            return answer("AR", next);
        }
        let mut done = done.lock().expect("nobody panicked");
        let odd = if done.contains(&number) { Odd::Nothing } else { once(number) };
        done.push(number);
        match odd {
            Odd::Refuse => return answer("AE", number),
            Odd::Lose => {
                expected.store(number + 1, Ordering::SeqCst);
                return Answer::Close;
            }
            Odd::Nothing => {}
        }
        expected.store(number + 1, Ordering::SeqCst);
        answer("AA", number)
    })
}

/// What a partner does once, when it first sees a number.
enum Odd {
    Nothing,
    /// It refuses the content, and still expects the number.
    Refuse,
    /// It takes the message, and its acknowledgment is lost.
    Lose,
}

fn sending(target: &str, further: &str) -> Project {
    let project = Project::new();
    write_sending(&project, target, further);
    project
}

fn write_sending(project: &Project, target: &str, further: &str) {
    project.write(
        "channels/in.yaml",
        &format!(
            "channel: in
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
destinations:
  out:
    mllp: {{ connect: \"{target}\", sequence_numbers: true{further} }}
    retry: {{ first: 20ms, most: 50ms }}
"
        ),
    );
}

/// Patient and MSH-13 of what a sink took.
fn took(sink: &Sink) -> Vec<(String, String)> {
    let of = |message: &Vec<u8>| (field(message, "PID-3.1"), field(message, "MSH-13"));
    sink.messages().iter().map(of).collect()
}

fn expect(pairs: &[(u64, u64)]) -> Vec<(String, String)> {
    pairs.iter().map(|(patient, number)| (format!("SP{patient}"), number.to_string())).collect()
}

#[test]
fn a_number_belongs_to_one_message_whatever_happens_to_it() {
    let expected = Arc::new(AtomicI64::new(-1));
    let sink = partner(0, &expected, |number| match number {
        2 => Odd::Refuse,
        3 => Odd::Lose,
        _ => Odd::Nothing,
    });
    let project = sending(sink.address(), "");
    let node = project.up();
    let mut sender = link(&node);
    for number in 1..=5 {
        assert_eq!(sender.ask(&sample(number).bytes()).code(), "AA");
    }
    let api = node.api();
    eventually("one is parked, the others delivered", || {
        (api.counter("in", "delivered"), api.counter("in", "parked")) == (4, 1)
    });
    // 2 was refused and is still expected: the next message has it. 3 was taken, its
    // acknowledgment lost: it is sent again, and the partner says that it expects 4.
    let so_far = [(1, 1), (2, 2), (3, 2), (4, 3), (4, 3), (5, 4)];
    assert_eq!(took(&sink), expect(&so_far));
    node.kill();
    let node = project.up();
    assert_eq!(link(&node).ask(&sample(6).bytes()).code(), "AA");
    let api = node.api();
    eventually("it is delivered", || api.counter("in", "delivered") == 5);
    assert_eq!(took(&sink)[6..], expect(&[(6, 5)]));
    // What was parked has the number of its turn when a person releases it.
    let parked = until("the index has it", || {
        api.search(&serde_json::json!({ "disposition": "parked" })).first().cloned()
    });
    api.post(
        &format!("/api/v1/messages/{}/release", parked["id"]),
        &serde_json::json!({ "reason": "a test" }),
    );
    eventually("it is delivered", || api.counter("in", "delivered") == 6);
    assert_eq!(took(&sink)[7..], expect(&[(2, 6)]));
    api.proof();
}

#[test]
fn out_of_step_nothing_is_sent_until_a_person_says_so() {
    // The partner has lost its count.
    let expected = Arc::new(AtomicI64::new(40));
    let sink = partner(0, &expected, |_| Odd::Nothing);
    let project = sending(sink.address(), "");
    let node = project.up();
    for number in 1..=2 {
        assert_eq!(link(&node).ask(&sample(number).bytes()).code(), "AA");
    }
    let api = node.api();
    until("the operator sees why", || {
        let problem = api.channel("in")["destinations"][0].to_string();
        problem.contains("mllp.sequence-out-of-step").then_some(())
    });
    assert_eq!(api.counter("in", "in_flight"), 2);
    assert!(took(&sink).iter().all(|(_, number)| number == "1"));
    write_sending(&project, sink.address(), ", out_of_step: resynchronize");
    eventually("both are delivered", || api.counter("in", "delivered") == 2);
    let took = took(&sink);
    let last: Vec<_> = took.iter().skip(took.len() - 3).cloned().collect();
    assert_eq!(last[0].1, "-1");
    assert_eq!(last[1..], expect(&[(1, 1), (2, 2)]));
    api.proof();
}

#[test]
fn two_of_us_lose_and_double_nothing_whoever_is_killed() {
    let port = free_port();
    let sending = sending(&format!("127.0.0.1:{port}"), "");
    let receiving = Project::new();
    receiving.write(
        "channels/in.yaml",
        &format!(
            "channel: in
source: {{ mllp: {{ listen: 127.0.0.1:{port}, sequence_numbers: true }} }}
"
        ),
    );
    let (mut ours, mut theirs) = (sending.up(), receiving.up());
    for round in 0..6 {
        let mut sender = link(&ours);
        for number in 1..=15 {
            assert_eq!(sender.ask(&sample(100 * round + number).bytes()).code(), "AA");
        }
        if round % 2 == 0 {
            ours.kill();
            ours = sending.up();
        } else {
            theirs.kill();
            theirs = receiving.up();
        }
    }
    let api = theirs.api();
    eventually("all have arrived", || api.counter("in", "delivered") == 90);
    eventually("all are settled", || ours.api().counter("in", "delivered") == 90);
    assert_eq!((api.counter("in", "parked"), api.counter("in", "in_flight")), (0, 0));
    api.proof();
    ours.api().proof();
}
