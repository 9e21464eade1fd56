//! Enhanced mode over two connections (HL7 v2.5.1 §2.9.3): the accept acknowledgment at once, the
//! application acknowledgment later, as a message of its own; in both directions.

use std::thread;
use std::time::Duration;

use crate::harness::{
    Answer, Link, Pipehat, Project, Sample, Sink, eventually, field, free_port, until,
};
use pipehat_message::AcknowledgmentCode;

/// A channel that parks A03, rejects A04, and sends application acknowledgments to `answers`.
fn project(sink: &Sink, answers: &str) -> Project {
    let project = Project::new();
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
reply: {{ mode: enhanced, application: answers }}
steps:
  - filter: {{ when: MSH-9.2 = \"A02\" }}
  - park: somebody has to look at it
    when: MSH-9.2 = \"A03\"
  - reject: {{ code: AR, text: not taken here }}
    when: MSH-9.2 = \"A04\"
destinations:
  lab: {{ mllp: {{ connect: \"{}\" }} }}
  answers:
    mllp: {{ connect: \"{answers}\" }}
    retry: {{ first: 20ms, most: 50ms }}
",
            sink.address()
        ),
    );
    project
}

fn message(number: u64, trigger: &'static str, accept: &str, application: &str) -> Vec<u8> {
    let sample = Sample { trigger, ..Sample::new("E", number, 1) };
    let text = String::from_utf8(sample.bytes()).expect("ASCII");
    text.replacen("|2.5.1\r", &format!("|2.5.1|||{accept}|{application}\r"), 1).into_bytes()
}

fn link(node: &Pipehat) -> Link {
    Link::open(&node.address("lab"))
}

/// MSA-1, MSA-2, MSH-15 and MSH-16 of what came.
fn said(message: &[u8]) -> [String; 4] {
    ["MSA-1", "MSA-2", "MSH-15", "MSH-16"].map(|path| field(message, path))
}

#[test]
fn application_acknowledgments_are_messages_of_their_own_and_survive_a_kill() {
    let port = free_port();
    let lab = Sink::new();
    let project = project(&lab, &format!("127.0.0.1:{port}"));
    let node = project.up();
    // The sender leaves as soon as it has its accept acknowledgment, and listens later.
    let sent = [
        (1, "A01", "AL", "AL", Some("AA")),
        (2, "A02", "AL", "AL", Some("AA")),
        (3, "A03", "AL", "AL", Some("AE")),
        (4, "A04", "AL", "AL", Some("AR")),
        (5, "A01", "AL", "NE", None),
        (6, "A01", "AL", "ER", None),
        (7, "A04", "NE", "ER", Some("AR")),
        (8, "A04", "NE", "SU", None),
    ];
    for (number, trigger, accept, application, _) in sent {
        let mut link = link(&node);
        let message = message(number, trigger, accept, application);
        if accept == "AL" {
            let reply = link.ask(&message);
            assert_eq!(
                (reply.code(), reply.control_id()),
                ("CA".to_owned(), field(&message, "MSH-10"))
            );
        } else {
            link.send([&*message]).expect("sent");
            assert!(link.is_silent_for(Duration::from_millis(200)));
        }
    }
    let api = node.api();
    eventually("the acknowledgments wait", || api.counter("lab", "in_flight") == 5);
    node.kill();
    let node = project.up();
    let partner = Sink::deciding(port, |_, _| Answer::Code(AcknowledgmentCode::Ca));
    let expected: Vec<[String; 4]> = sent
        .iter()
        .filter_map(|(number, _, _, _, code)| Some((number, (*code)?)))
        .map(|(number, code)| [code, &format!("E-{number}-1"), "AL", "NE"].map(str::to_owned))
        .collect();
    let came: Vec<[String; 4]> = partner.wait_for(5).iter().map(|one| said(one)).collect();
    assert_eq!(came, expected);
    let ids: std::collections::HashSet<String> =
        partner.messages().iter().map(|one| field(one, "MSH-10")).collect();
    assert_eq!(ids.len(), 5, "each has a control id of its own");
    let api = node.api();
    eventually("all are settled", || api.counter("lab", "in_flight") == 0);
    assert_eq!(lab.count(), 3, "an acknowledgment goes to nobody else");
    assert_eq!(partner.count(), 5, "and nothing else to the sender");
    let counter = |name| api.counter("lab", name);
    assert_eq!(
        (counter("received"), counter("delivered")),
        (13, 8),
        "8 and their 5 acknowledgments"
    );
    assert_eq!((counter("parked"), counter("rejected"), counter("filtered")), (1, 3, 1));
    api.proof();
}

#[test]
fn who_asks_for_neither_has_its_answer_on_the_spot() {
    let lab = Sink::new();
    let partner = Sink::new();
    let project = project(&lab, partner.address());
    let node = project.up();
    assert_eq!(link(&node).ask(&message(1, "A04", "", "")).code(), "AR");
    let again = link(&node).ask(&message(2, "A01", "AL", "AL"));
    assert_eq!(again.code(), "CA");
    assert_eq!(said(&partner.wait_for(1)[0])[1], "E-2-1");
    // Sent again, it is neither processed nor acknowledged a second time.
    assert_eq!(link(&node).ask(&message(2, "A01", "AL", "AL")), again);
    let api = node.api();
    eventually("all have ended", || api.counter("lab", "in_flight") == 0);
    assert_eq!((lab.count(), partner.count()), (1, 1));
    api.proof();
}

/// A channel that waits for application acknowledgments, which the partner brings to this port.
fn sending(sink: &Sink, port: u16, further: &str) -> Project {
    let project = Project::new();
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
destinations:
  out:
    mllp:
      connect: \"{}\"
      window: 8
      await_application: true
      application_listen: 127.0.0.1:{port}
      application_timeout: {further}
",
            sink.address()
        ),
    );
    project
}

/// The partner's application acknowledgment.
fn acknowledgment(code: &str, message: &[u8]) -> Vec<u8> {
    let id = field(message, "MSH-10");
    format!("MSH|^~\\&|LAB||E||20260102||ACK|B{id}|P|2.5.1|||AL|NE\rMSA|{code}|{id}\r").into_bytes()
}

#[test]
fn an_application_acknowledgment_comes_by_another_connection_and_in_any_order() {
    let port = free_port();
    let sink = Sink::deciding(0, |_, _| Answer::Code(AcknowledgmentCode::Ca));
    let project = sending(&sink, port, "1m");
    let node = project.up();
    let mut sender = link(&node);
    for number in 1..=4 {
        assert_eq!(sender.ask(&message(number, "A01", "", "")).code(), "AA");
    }
    let taken = sink.wait_for(4);
    let api = node.api();
    assert_eq!(api.counter("lab", "in_flight"), 4, "kept, and not yet taken by the application");
    let mut back = Link::open(&format!("127.0.0.1:{port}"));
    for (message, code) in
        [(&taken[3], "AA"), (&taken[1], "AE"), (&taken[0], "AA"), (&taken[2], "AA")]
    {
        let accepted = back.ask(&acknowledgment(code, message));
        let expected = ("CA".to_owned(), format!("B{}", field(message, "MSH-10")));
        assert_eq!((accepted.code(), accepted.control_id()), expected);
    }
    eventually("each ended by its own code", || {
        (api.counter("lab", "delivered"), api.counter("lab", "parked")) == (3, 1)
    });
    // One that nobody waits for is accepted, and told to the operator.
    assert_eq!(back.ask(&acknowledgment("AA", &taken[0])).code(), "CA");
    until("it is told", || {
        let shown = api.channel("lab")["destinations"][0].to_string();
        shown.contains("mllp.acknowledgment-late").then_some(())
    });
    assert_eq!(sink.count(), 4);
    api.proof();
}

#[test]
fn a_delivery_whose_application_says_nothing_is_not_forgotten() {
    let port = free_port();
    let sink = Sink::deciding(0, |_, before| match before {
        0 => Answer::Code(AcknowledgmentCode::Ca),
        _ => Answer::Code(AcknowledgmentCode::Aa),
    });
    let project = sending(&sink, port, "300ms");
    let node = project.up();
    assert_eq!(link(&node).ask(&message(1, "A01", "", "")).code(), "AA");
    // It is sent again, and this time answered on the spot.
    let api = node.api();
    eventually("it is delivered", || api.counter("lab", "delivered") == 1);
    assert_eq!(sink.count(), 2);
    thread::yield_now();
    api.proof();
}
