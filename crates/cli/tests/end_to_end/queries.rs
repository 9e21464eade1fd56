//! Queries: asked of a destination, answered on the asker's own connection, and refused in the
//! query's own form when there is no answer (HL7 v2.5.1 §5.3 to §5.5).

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    Answer, Link, Pipehat, Project, Reply, Sink, eventually, field, free_port, texts, until,
};

/// The example's own channel, between these two addresses.
fn example(target: &str) -> Project {
    let channel = include_str!("../../../../examples/query/channels/demographics.yaml")
        .replace("\"${PIPEHAT_LISTEN:-127.0.0.1:2575}\"", "127.0.0.1:0")
        .replace("${PIPEHAT_TARGET:-127.0.0.1:2576}", target);
    let project = Project::new();
    project.write("channels/demographics.yaml", &channel);
    project
}

/// A channel with these settings of `reply` and of the destination.
fn project(target: &str, reply: &str, destination: &str) -> Project {
    let project = Project::new();
    project.write(
        "channels/demographics.yaml",
        &format!(
            "channel: demographics
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
reply: {{ mode: delivered, from: index{reply} }}
accept: MSH-9.2 != \"Q25\"
order: none
destinations:
  index:
    mllp: {{ connect: \"{target}\", connections: 1, ack_timeout: 20s }}
    retry: {{ first: 20ms, most: 50ms }}
{destination}
"
        ),
    );
    project
}

fn query(tag: &str) -> Vec<u8> {
    query_of("QBP^Q22^QBP_Q21", tag)
}

fn query_of(kind: &str, tag: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|HIS|WEST|INDEX|GENERAL|20260102||{kind}|C{tag}|P|2.5.1\r\
         QPD|Q22^Find Candidates^HL7|{tag}|@PID.5.1.1^SAMPLE\r\
         RCP|I|10^RD\r"
    )
    .into_bytes()
}

/// What the index says to a query: a patient whose number is the query's tag.
fn found(query: &[u8]) -> Vec<u8> {
    let (id, tag) = (field(query, "MSH-10"), field(query, "QPD-2"));
    format!(
        "MSH|^~\\&|INDEX|GENERAL|HIS|WEST|20260102||RSP^K22^RSP_K21|R{id}|P|2.5.1\r\
         MSA|AA|{id}\r\
         QAK|{tag}|OK|Q22^Find Candidates^HL7|1\r\
         QPD|Q22^Find Candidates^HL7|{tag}|@PID.5.1.1^SAMPLE\r\
         PID|1||{tag}^^^GENERAL^MR||SAMPLE^PERSON\r\r"
    )
    .into_bytes()
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.0).replace('\r', "\n")
}

/// Checks that this is the response that refuses the query with this tag.
#[track_caller]
fn check_refused(reply: &Reply, code: &str, tag: &str, says: &str) {
    let shown = text(reply);
    assert_eq!(field(&reply.0, "MSH-9"), "RSP^K22^RSP_K21", "{shown}");
    let id = format!("C{tag}");
    assert_eq!((reply.code().as_str(), reply.control_id()), (code, id), "{shown}");
    assert_eq!(field(&reply.0, "QAK-1"), tag, "{shown}");
    assert_eq!(field(&reply.0, "QAK-2"), code, "{shown}");
    assert_eq!(field(&reply.0, "QPD-3"), "@PID.5.1.1^SAMPLE", "{shown}");
    assert!(field(&reply.0, "ERR-8").contains(says), "{shown}");
}

fn link(node: &Pipehat) -> Link {
    Link::open(&node.address("demographics"))
}

fn ended(node: &Pipehat) -> (u64, u64, u64, u64) {
    let api = node.api();
    let counter = |name| api.counter("demographics", name);
    (counter("delivered"), counter("superseded"), counter("parked"), counter("in_flight"))
}

#[test]
fn many_askers_at_once_have_each_their_own_answer() {
    let sink = Sink::deciding(0, |query, _| Answer::Reply(found(query)));
    let project = example(sink.address());
    let node = project.up();
    let askers = (0..12).map(|asker| {
        let mut link = link(&node);
        thread::spawn(move || {
            // One after another, and several before the first is answered.
            for round in 0..10 {
                let tags: Vec<String> =
                    (0..4).map(|one| format!("{asker}-{round}-{one}")).collect();
                let queries: Vec<Vec<u8>> = tags.iter().map(|tag| query(tag)).collect();
                link.send(queries.iter().map(Vec::as_slice)).expect("sent");
                for query in &queries {
                    let reply = link.receive().expect("an answer");
                    assert_eq!(texts(&[reply.0]), texts(&[found(query)]), "unchanged");
                }
            }
        })
    });
    askers.collect::<Vec<_>>().into_iter().for_each(|asker| asker.join().expect("all answered"));
    eventually("all are settled", || ended(&node) == (480, 0, 0, 0));
    assert_eq!(field(&sink.messages()[0], "MSH-5"), "INDEX");
    node.api().proof();
}

#[test]
fn a_query_of_an_index_that_is_down_is_refused_at_once_and_asked_anew() {
    let port = free_port();
    let project = example(&format!("127.0.0.1:{port}"));
    let node = project.up();
    let mut link = link(&node);
    let began = Instant::now();
    for number in 1..=3 {
        let reply = link.ask(&query(&format!("T{number}")));
        check_refused(&reply, "AE", &format!("T{number}"), "mllp.connect-failed");
    }
    assert!(began.elapsed() < Duration::from_secs(9), "nobody waits for the time-out");
    eventually("they are given up", || ended(&node) == (0, 3, 0, 0));
    let sink = Sink::deciding(port, |query, _| Answer::Reply(found(query)));
    let reply = link.ask(&query("T1"));
    assert_eq!(texts(&[reply.0]), texts(&[found(&query("T1"))]), "the same bytes, asked anew");
    assert_eq!(sink.count(), 1, "the others are not sent any more");
    let api = node.api();
    until("the index shows why", || {
        let shown = api.search(&serde_json::json!({ "disposition": "superseded" }));
        (shown.len() == 3).then_some(())
    });
    node.api().proof();
}

#[test]
fn a_query_whose_answer_is_too_late_is_not_asked_again() {
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let sink = Sink::deciding(0, move |query, before| {
        if before == 0 {
            // Until the test lets it go, or has ended.
            let _ = held.lock().expect("nobody panicked").recv_timeout(Duration::from_secs(60));
        }
        Answer::Reply(found(query))
    });
    let project = project(sink.address(), ", timeout: 300ms", "");
    let node = project.up();
    let (mut first, mut second) = (link(&node), link(&node));
    // The second waits behind the first, and neither is answered in time.
    first.send([&*query("T1")]).expect("sent");
    second.send([&*query("T2")]).expect("sent");
    check_refused(&first.receive().expect("a reply"), "AE", "T1", "in time");
    check_refused(&second.receive().expect("a reply"), "AE", "T2", "in time");
    release.send(()).expect("the sink waits");
    eventually("one was answered too late, one not asked", || ended(&node) == (1, 1, 0, 0));
    assert_eq!(sink.count(), 1);
    assert!(first.is_silent_for(Duration::from_millis(100)), "a late answer goes to nobody");
    let reply = second.ask(&query("T2"));
    assert_eq!(texts(&[reply.0]), texts(&[found(&query("T2"))]));
    node.api().proof();
}

#[test]
fn what_an_index_says_becomes_a_response_to_the_query() {
    let sink = Sink::deciding(0, |query, _| {
        let (id, tag) = (field(query, "MSH-10"), field(query, "QPD-2"));
        let ack = |code: &str, id: &str| {
            format!("MSH|^~\\&|INDEX||HIS||20260102||ACK|A{id}|P|2.5.1\rMSA|{code}|{id}|no such\r")
        };
        Answer::Reply(match &*tag {
            "GARBAGE" => b"this is no acknowledgment of PATIENT^SECRET".to_vec(),
            "OTHER" => ack("AA", "somebody-elses").into_bytes(),
            "AE" | "AR" => ack(&tag, &id).into_bytes(),
            "OWN" => {
                let found = String::from_utf8(found(query)).expect("ASCII");
                found.replace("MSA|AA", "MSA|AE").replace("|OK|", "|AE|").into_bytes()
            }
            _ => ack("AA", &id).into_bytes(),
        })
    });
    let project = project(sink.address(), "", "");
    let node = project.up();
    let mut link = link(&node);
    check_refused(&link.ask(&query("GARBAGE")), "AE", "GARBAGE", "unreadable");
    check_refused(&link.ask(&query("OTHER")), "AE", "OTHER", "unmatched");
    check_refused(&link.ask(&query("AE")), "AE", "AE", "no such");
    check_refused(&link.ask(&query("AR")), "AR", "AR", "no such");
    let own = link.ask(&query("OWN"));
    assert!(own.code() == "AE" && text(&own).contains("PID|1||OWN^^^"), "unchanged: {own:?}");
    eventually("none is tried again", || ended(&node) == (0, 5, 0, 0));
    assert_eq!(sink.count(), 5);
    // Nobody asked the index: the channel does not take it.
    let reply = link.ask(&query_of("QBP^Q25^QBP_Q21", "T6"));
    assert_eq!(field(&reply.0, "MSH-9"), "RSP^K25^RSP_K25");
    assert_eq!((reply.code().as_str(), &*field(&reply.0, "QAK-2")), ("AR", "AR"));
    node.api().proof();
}

#[test]
fn an_original_mode_query_and_other_messages_have_their_own_forms() {
    let port = free_port();
    let project = project(&format!("127.0.0.1:{port}"), ", timeout: 500ms", "");
    let node = project.up();
    let mut link = link(&node);
    let old =
        b"MSH|^~\\&|HIS|WEST|||20260102||QRY^A19|C1|P|2.4\rQRD|20260102|R|I|T1|||1^RD|17|DEM\r";
    let reply = link.ask(old);
    let shown = text(&reply);
    assert_eq!(field(&reply.0, "MSH-9"), "ADR^A19^ADR_A19", "{shown}");
    assert_eq!((reply.code(), reply.control_id()), ("AE".to_owned(), "C1".to_owned()));
    assert!(shown.contains("\nQAK|T1|AE\nQRD|20260102|R|I|T1|||1^RD|17|DEM\n"), "{shown}");
    let reply = link.ask(b"MSH|^~\\&|HIS|WEST|||20260102||ADT^A01|C2|P|2.5.1\rPID|1\r");
    assert_eq!(
        (reply.code(), field(&reply.0, "MSH-9")),
        ("AE".to_owned(), "ACK^A01^ACK".to_owned())
    );
    eventually("the query is given up, the admission waits", || ended(&node) == (0, 1, 0, 1));
    let sink = Sink::on(port);
    eventually("the admission is delivered", || ended(&node) == (1, 1, 0, 0));
    assert_eq!(sink.count(), 1);
    node.api().proof();
}

#[test]
fn what_becomes_of_an_unanswered_query_can_be_chosen() {
    let port = free_port();
    let target = format!("127.0.0.1:{port}");
    let parking_project = project(&target, ", unanswered: park", "");
    let parking = parking_project.up();
    check_refused(&link(&parking).ask(&query("T1")), "AE", "T1", "mllp.connect-failed");
    eventually("it waits for a person", || ended(&parking) == (0, 0, 1, 0));
    let retrying_project = project(&target, ", timeout: 300ms, unanswered: retry", "");
    let retrying = retrying_project.up();
    check_refused(&link(&retrying).ask(&query("T1")), "AE", "T1", "in time");
    let sink = Sink::deciding(port, |query, _| Answer::Reply(found(query)));
    eventually("it is delivered", || ended(&retrying) == (1, 0, 0, 0));
    assert_eq!(sink.count(), 1);
    // What the file says of an answer holds for queries too.
    let busy = Sink::deciding(0, |query, before| match before {
        0 => Answer::Code(pipehat_message::AcknowledgmentCode::Ar),
        _ => Answer::Reply(found(query)),
    });
    let patient_project = project(busy.address(), "", "    on: { AR: retry }");
    let patient = patient_project.up();
    assert_eq!(link(&patient).ask(&query("T1")).code(), "AA");
    assert_eq!(busy.count(), 2);
}

#[test]
fn a_query_open_at_a_kill_is_asked_once_more_and_no_more() {
    let sink = Sink::deciding(0, |_, _| Answer::Silence);
    let project = project(sink.address(), "", "");
    let node = project.up();
    link(&node).send([&*query("T1")]).expect("sent");
    sink.wait_for(1);
    node.kill();
    drop(sink);
    let node = project.up();
    eventually("it is given up", || ended(&node) == (0, 1, 0, 0));
    node.api().proof();
}
