//! What senders are told: by the channel's reply mode, for every way a message can go, and again
//! when they repeat it (HL7 v2.5.1 §2.9.2 and §2.9.3).

use std::fs;
use std::time::Duration;

use pipehat_message::AcknowledgmentCode;
use serde_json::json;

use crate::harness::{
    Answer, Link, Pipehat, Project, Sample, Sink, eventually, field, free_port, texts, until,
};

/// Long enough that a reply which is on its way would be there.
const SILENCE: Duration = Duration::from_millis(400);

/// A channel with this reply mode: it filters A02, parks A03, rejects A04.
fn project(reply: &str, sink: &Sink) -> Project {
    let project = Project::new();
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
reply: {reply}
order: by PID-3.1
steps:
  - accept: MSH-9.2 != \"A02\"
  - park: somebody has to look at it
    when: MSH-9.2 = \"A03\"
  - reject: {{ code: AR, text: not taken here }}
    when: MSH-9.2 = \"A04\"
  - set: {{ MSH-10: OTHER }}
    when: MSH-9.2 = \"A08\"
destinations:
  lab:
    mllp: {{ connect: {}, connections: 2 }}
    retry: {{ first: 20ms, most: 100ms }}
",
            sink.address()
        ),
    );
    project
}

/// A channel that refuses what departs from the standard.
fn validating(sink: &Sink) -> Project {
    let project = Project::new();
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
reply: processed
steps:
  - validate: {{ on_error: reject }}
destinations:
  lab:
    mllp: {{ connect: {} }}
",
            sink.address()
        ),
    );
    project
}

fn sample(number: u64, trigger: &'static str) -> Sample {
    Sample { trigger, ..Sample::new("R", number, 1) }
}

fn link(node: &Pipehat) -> Link {
    Link::open(&node.address("lab"))
}

/// A message with MSH-15 and MSH-16.
fn with_conditions(sample: &Sample, accept: &str, application: &str) -> Vec<u8> {
    let text = String::from_utf8(sample.bytes()).expect("ASCII");
    text.replacen("|2.5.1\r", &format!("|2.5.1|||{accept}|{application}\r"), 1).into_bytes()
}

/// The codes that come for one message, in order, until nothing comes for a while.
fn codes(link: &mut Link, message: &[u8]) -> Vec<String> {
    link.send([message]).expect("the message can be sent");
    let mut codes = Vec::new();
    while let Some(reply) = link.receive_within(SILENCE) {
        assert_eq!(reply.control_id(), field(message, "MSH-10"));
        codes.push(reply.code());
    }
    codes
}

#[test]
fn received_answers_once_it_is_kept() {
    let dead = Sink::deciding(0, |_, _| Answer::Close);
    let project = project("received", &dead);
    let node = project.up();
    let mut link = link(&node);
    for (number, trigger) in (1..).zip(["A01", "A02", "A03", "A04"]) {
        let sample = sample(number, trigger);
        let reply = link.ask(&sample.bytes());
        assert_eq!((reply.code().as_str(), reply.control_id()), ("AA", sample.control_id()));
        assert_eq!(link.ask(&sample.bytes()), reply, "the same again");
    }
    let api = node.api();
    eventually("all but one have ended", || api.counter("lab", "in_flight") == 1);
    assert_eq!(api.counter("lab", "superseded"), 4);
    assert_eq!(api.counter("lab", "filtered"), 1);
    assert_eq!(api.counter("lab", "parked"), 1);
    assert_eq!(api.counter("lab", "rejected"), 1);
    api.proof();
}

#[test]
fn the_same_control_id_with_other_bytes_is_another_message() {
    let sink = Sink::new();
    let project = project("received", &sink);
    let node = project.up();
    let mut link = link(&node);
    let first = sample(1, "A01");
    let second = Sample { filler: 41, ..first.clone() };
    assert_eq!(first.control_id(), second.control_id());
    let replies = (link.ask(&first.bytes()), link.ask(&second.bytes()));
    assert_ne!(replies.0, replies.1);
    assert_eq!(link.ask(&second.bytes()), replies.1);
    assert_eq!(texts(&sink.wait_for(2)), texts(&[first.bytes(), second.bytes()]));
    let api = node.api();
    eventually("both are settled", || api.counter("lab", "delivered") == 2);
}

#[test]
fn who_sends_what_departs_from_the_standard_is_told_where() {
    let sink = Sink::new();
    let project = validating(&sink);
    let node = project.up();
    let mut link = link(&node);
    for (number, version) in ["2.3", "2.5.1"].into_iter().enumerate() {
        let id = format!("BAD{number}");
        let header = format!("MSH|^~\\&|LAB|N|EHR|G|20260101||ADT^A01|{id}|P|{version}\r");
        let bad = format!("{header}EVN|A01|20260101\rPID|1||7||Doe^J||1970-01-01\rPV1|1|\r");
        let reply = link.ask(bad.as_bytes());
        assert_eq!((reply.code().as_str(), reply.control_id()), ("AE", id.clone()));
        let text = String::from_utf8_lossy(&reply.0).replace('\r', "\n");
        let told = if version == "2.3" {
            "ERR|PID^1^7^102&Data type error&HL70357~PV1^1^2^101&Required field missing&HL70357"
        } else {
            "ERR||PV1^1^2^1|101^Required field missing^HL70357|E"
        };
        assert!(text.contains(told), "{version}: {text}");
        assert!(!text.contains("1970"), "no value goes back: {text}");
        let again = link.ask(bad.as_bytes());
        assert_eq!((again.code().as_str(), again.control_id()), ("AE", id), "it was not taken");
    }
    let api = node.api();
    eventually("each is a message of its own", || api.counter("lab", "rejected") == 4);
    api.proof();
}

#[test]
fn processed_answers_what_became_of_it() {
    let sink = Sink::new();
    let project = project("processed", &sink);
    let node = project.up();
    let mut link = link(&node);
    let expected = [("A01", "AA"), ("A02", "AA"), ("A03", "AE"), ("A04", "AR")];
    let mut replies = Vec::new();
    for (number, (trigger, code)) in (1..).zip(expected) {
        let sample = sample(number, trigger);
        let reply = link.ask(&sample.bytes());
        assert_eq!((reply.code().as_str(), reply.control_id()), (code, sample.control_id()));
        replies.push((sample, reply));
    }
    assert!(String::from_utf8_lossy(&replies[3].1.0).contains("not taken here"));
    let sent_again = |link: &mut Link, when: &str| {
        for (sample, reply) in &replies {
            let again = link.ask(&sample.bytes());
            if reply.code() == "AR" {
                assert_eq!(again.code(), "AR", "{when}");
                assert_ne!(&again, reply, "{when}: it was not taken, and is a message of its own");
            } else {
                assert_eq!(&again, reply, "{when}: the same");
            }
        }
    };
    sent_again(&mut link, "again");
    // The reply does not wait for the delivery. One whose end is not on the disk yet would be sent
    // again after the kill.
    let api = node.api();
    eventually("the delivery's end is kept", || api.counter("lab", "delivered") == 1);
    node.kill();
    let node = project.up();
    let mut link = self::link(&node);
    sent_again(&mut link, "after a kill");
    let api = node.api();
    eventually("all has ended", || api.counter("lab", "in_flight") == 0);
    assert_eq!(api.counter("lab", "superseded"), 6);
    assert_eq!(api.counter("lab", "rejected"), 3);
    assert_eq!(texts(&sink.messages()), texts(&[replies[0].0.bytes()]), "sent once");
    api.proof();
}

#[test]
fn a_refused_message_is_processed_anew_when_what_refused_it_was_mended() {
    // With `stopped`, it is mended while nothing runs: the journal alone knows of the refusals.
    for (mode, stopped) in [("processed", false), ("processed", true), ("enhanced", false)] {
        let sink = Sink::new();
        let project = project(mode, &sink);
        let mut node = project.up();
        let sample = sample(1, "A04");
        let mut sender = link(&node);
        for _ in 0..2 {
            assert_eq!(sender.ask(&sample.bytes()).code(), "AR", "{mode}");
        }
        let api = node.api();
        eventually("both are refused", || api.counter("lab", "rejected") == 2);
        let before = api.channel("lab")["revision"].clone();
        let file = project.directory().join("channels/lab.yaml");
        let mended = fs::read_to_string(file).expect("the channel's file");
        let mended = mended.replace("MSH-9.2 = \"A04\"", "MSH-9.2 = \"A44\"");
        if stopped {
            node.kill();
            project.write("channels/lab.yaml", &mended);
            node = project.up();
        } else {
            project.write("channels/lab.yaml", &mended);
            eventually("the change is applied", || api.channel("lab")["revision"] != before);
        }
        let mut sender = link(&node);
        let reply = sender.ask(&sample.bytes());
        assert_eq!((reply.code().as_str(), reply.control_id()), ("AA", sample.control_id()));
        assert_eq!(sender.ask(&sample.bytes()), reply, "now it was taken");
        assert_eq!(texts(&sink.wait_for(1)), texts(&[sample.bytes()]), "{mode}");
        let api = node.api();
        eventually("all has ended", || api.counter("lab", "in_flight") == 0);
        let counters = ["delivered", "rejected", "superseded"];
        assert_eq!(counters.map(|name| api.counter("lab", name)), [1, 2, 1], "{mode}");
        api.proof();
        node.stop();
        project.prove();
    }
}

#[test]
fn delivered_passes_the_destinations_reply_on() {
    let sink = Sink::deciding(0, |bytes, _| {
        let trigger = field(bytes, "MSH-9.2");
        let id = field(bytes, "MSH-10");
        let code = if trigger == "A05" { "AE" } else { "AA" };
        Answer::Reply(
            format!(
                "MSH|^~\\&|LAB|GENERAL|R|WARD|20260101||ACK^{trigger}|LABACK{id}|P|2.5.1\r\
                 MSA|{code}|{id}|the lab says so\r"
            )
            .into_bytes(),
        )
    });
    let project = project("{ mode: delivered, from: lab, timeout: 20s }", &sink);
    let node = project.up();
    let mut link = link(&node);
    let expected =
        [("A01", "AA"), ("A02", "AA"), ("A03", "AE"), ("A04", "AR"), ("A05", "AE"), ("A08", "AA")];
    let mut replies = Vec::new();
    for (number, (trigger, code)) in (1..).zip(expected) {
        let sample = sample(number, trigger);
        let reply = link.ask(&sample.bytes());
        assert_eq!((reply.code().as_str(), reply.control_id()), (code, sample.control_id()));
        let from_lab = String::from_utf8_lossy(&reply.0).contains("the lab says so");
        assert_eq!(from_lab, ["A01", "A05", "A08"].contains(&trigger), "{reply:?}");
        replies.push((sample, reply));
    }
    // A08 left under another control id; its sender reads its own.
    let changed = String::from_utf8_lossy(&replies[5].1.0).into_owned();
    assert!(changed.contains("|LABACKOTHER|") && changed.contains("MSA|AA|R-6-1|"), "{changed}");
    for (sample, reply) in &replies {
        let again = link.ask(&sample.bytes());
        assert_eq!(again.code(), reply.code(), "{}", sample.trigger);
        assert_eq!(&again == reply, sample.trigger != "A04", "only what was taken: {again:?}");
    }
    assert_eq!(sink.count(), 3, "nothing was sent twice");
    node.api().proof();
}

#[test]
fn delivered_says_so_when_the_destination_is_too_slow() {
    let sink = Sink::deciding(0, |_, before| match before {
        0 => Answer::Silence,
        _ => Answer::Code(AcknowledgmentCode::Aa),
    });
    let project = project("{ mode: delivered, from: lab, timeout: 300ms }", &sink);
    let node = project.up();
    let mut link = link(&node);
    let sample = sample(1, "A01");
    let reply = link.ask(&sample.bytes());
    assert_eq!((reply.code().as_str(), reply.control_id()), ("AE", sample.control_id()));
    let api = node.api();
    assert_eq!(api.counter("lab", "in_flight"), 1, "the message is kept");
    assert_eq!(api.counter("lab", "parked"), 0);
    assert_eq!(link.ask(&self::sample(2, "A01").bytes()).code(), "AA", "others are not held");
}

#[test]
fn delivered_answers_a_repetition_while_the_first_is_on_its_way() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let sink = Sink::deciding(0, move |_, _| {
        let held = held.lock().expect("nobody panicked");
        // Until the test lets it go, or has ended.
        let _ = held.recv_timeout(Duration::from_secs(60));
        Answer::Code(AcknowledgmentCode::Aa)
    });
    let project = project("{ mode: delivered, from: lab, timeout: 60s }", &sink);
    let node = project.up();
    let (mut first, mut second) = (link(&node), link(&node));
    let sample = sample(1, "A01");
    let bytes = sample.bytes();
    first.send([&*bytes]).expect("sent");
    let api = node.api();
    eventually("it is being sent", || api.channel("lab")["destinations"][0]["sending"] == 1);
    second.send([&*bytes]).expect("sent");
    eventually("the repetition is kept", || api.counter("lab", "received") == 2);
    assert!(second.is_silent_for(Duration::from_millis(100)));
    release.send(()).expect("the sink waits");
    let replies = (first.receive().expect("a reply"), second.receive().expect("a reply"));
    assert_eq!(replies.0.code(), "AA");
    assert_eq!(replies.0, replies.1);

    // The same, with a kill between the first and its repetition.
    let sample = self::sample(2, "A01");
    first.send([&*sample.bytes()]).expect("sent");
    eventually("it is being sent", || api.channel("lab")["destinations"][0]["sending"] == 1);
    node.kill();
    release.send(()).expect("the sink waits");
    sink.wait_disconnected();
    let node = project.up();
    let api = node.api();
    eventually("it is sent again", || api.channel("lab")["destinations"][0]["sending"] == 1);
    let mut again = link(&node);
    again.send([&*sample.bytes()]).expect("sent");
    eventually("the repetition is kept", || api.counter("lab", "received") == 4);
    assert!(again.is_silent_for(Duration::from_millis(100)));
    release.send(()).expect("the sink waits");
    let reply = again.receive().expect("a reply");
    assert_eq!((reply.code().as_str(), reply.control_id()), ("AA", sample.control_id()));
    api.proof();
}

#[test]
fn enhanced_mode_answers_as_the_sender_asks() {
    let sink = Sink::new();
    let project = project("enhanced", &sink);
    let node = project.up();
    let mut link = link(&node);
    // MSH-15, MSH-16, and what comes for a message that is taken, parked, rejected.
    let table: [(&str, &str, [&[&str]; 3]); 12] = [
        ("", "", [&["AA"], &["AE"], &["AR"]]),
        ("AL", "AL", [&["CA", "AA"], &["CA", "AE"], &["CA", "AR"]]),
        ("AL", "NE", [&["CA"], &["CA"], &["CA"]]),
        ("AL", "SU", [&["CA", "AA"], &["CA"], &["CA"]]),
        ("AL", "ER", [&["CA"], &["CA", "AE"], &["CA", "AR"]]),
        ("NE", "AL", [&["AA"], &["AE"], &["AR"]]),
        ("NE", "NE", [&[], &[], &[]]),
        ("ER", "AL", [&["AA"], &["AE"], &["AR"]]),
        ("ER", "ER", [&[], &["AE"], &["AR"]]),
        ("SU", "SU", [&["CA", "AA"], &["CA"], &["CA"]]),
        ("SU", "NE", [&["CA"], &["CA"], &["CA"]]),
        ("AL", "", [&["CA"], &["CA"], &["CA"]]),
    ];
    let mut links: Vec<std::thread::JoinHandle<()>> = Vec::new();
    let address = node.address("lab");
    for (row, (accept, application, expected)) in (0..).zip(table) {
        let address = address.clone();
        links.push(std::thread::spawn(move || {
            let mut link = Link::open(&address);
            for (column, (trigger, expected)) in
                (0..).zip(["A01", "A03", "A04"].into_iter().zip(expected))
            {
                let sample = sample(10 * row + column, trigger);
                let message = with_conditions(&sample, accept, application);
                let what = format!("MSH-15 `{accept}`, MSH-16 `{application}`, {trigger}");
                assert_eq!(codes(&mut link, &message), expected, "{what}");
                assert_eq!(codes(&mut link, &message), expected, "{what}, sent again");
            }
        }));
    }
    for link in links {
        link.join().expect("every sender got what it asked for");
    }
    // A header that can't be read asks for nothing: it is refused in the accept level.
    link.send([&b"nothing of HL7"[..]]).expect("sent");
    assert!(["AR", "CR"].contains(&link.receive().expect("a reply").code().as_str()));
    assert_eq!(sink.wait_for(12).len(), 12);
    node.api().proof();
}

#[test]
fn none_answers_nothing_and_delivers_once() {
    let sink = Sink::new();
    let project = project("none", &sink);
    let node = project.up();
    let mut link = link(&node);
    let sample = sample(1, "A01");
    assert_eq!(codes(&mut link, &sample.bytes()), Vec::<String>::new());
    assert_eq!(codes(&mut link, &sample.bytes()), Vec::<String>::new());
    let api = node.api();
    eventually("both are settled", || {
        (api.counter("lab", "delivered"), api.counter("lab", "superseded")) == (1, 1)
    });
    assert_eq!(texts(&sink.messages()), texts(&[sample.bytes()]));
}

#[test]
fn an_unreadable_header_is_refused_and_kept() {
    let sink = Sink::new();
    let project = project("received", &sink);
    let node = project.up();
    let mut link = link(&node);
    for unreadable in
        [&b"nothing of HL7"[..], b"", b"\r\n", b"MSH", b"MSH|^^\\&|A|B\r", b"BHS|^~\\&|\r"]
    {
        link.send([unreadable]).expect("sent");
        assert_eq!(link.receive().expect("a reply").code(), "AR", "{unreadable:?}");
    }
    // The connection is as good as before.
    assert_eq!(link.ask(&sample(1, "A01").bytes()).code(), "AA");
    let api = node.api();
    eventually("the good one is delivered", || api.counter("lab", "delivered") == 1);
    assert_eq!(api.counter("lab", "rejected"), 6);
    let rejected = until("the index has them", || {
        let found = api.search(&json!({ "disposition": "rejected" }));
        (found.len() == 6).then_some(found)
    });
    let first = rejected.last().expect("six");
    let (status, bytes) = api.call("GET", &format!("/api/v1/messages/{}/bytes", first["id"]), None);
    assert_eq!((status, bytes.as_slice()), (200, &b"nothing of HL7"[..]));
    api.proof();
}

#[test]
fn files_travel_through_two_channels_into_files() {
    let project = Project::new();
    let port = free_port();
    for folder in ["in", "out"] {
        fs::create_dir_all(project.folder().join(folder)).expect("a folder can be made");
    }
    project.write(
        "channels/reading.yaml",
        &format!(
            "channel: reading
source: {{ file: {{ folder: ../in, stable_for: 0s, poll: 100ms }} }}
destinations:
  next: {{ mllp: {{ connect: 127.0.0.1:{port} }}, retry: {{ first: 20ms, most: 100ms }} }}
"
        ),
    );
    project.write(
        "channels/writing.yaml",
        &format!(
            "channel: writing
source: {{ mllp: {{ listen: 127.0.0.1:{port} }} }}
destinations:
  folder: {{ file: {{ folder: ../out, name: \"{{MSH-10}}.hl7\", on_existing: park }} }}
"
        ),
    );
    let node = project.up();
    let samples: Vec<Sample> = (1..=30).map(|number| Sample::new("FILE", 1, number)).collect();
    for (number, three) in (1..).zip(samples.chunks(3)) {
        let bytes: Vec<u8> = three.iter().flat_map(Sample::bytes).collect();
        let hidden = project.folder().join("in/.unfinished");
        fs::write(&hidden, bytes).expect("a file can be written");
        fs::rename(&hidden, project.folder().join(format!("in/{number:02}.hl7"))).expect("renamed");
    }
    let api = node.api();
    eventually("all are delivered", || api.counter("writing", "delivered") == 30);
    for sample in &samples {
        let path = project.folder().join(format!("out/{}.hl7", sample.control_id()));
        let written = fs::read(&path).expect("the message became a file");
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&sample.bytes()));
    }
    eventually("the files are done", || {
        fs::read_dir(project.folder().join("in/done")).is_ok_and(|done| done.count() == 10)
    });
    api.proof();
}
