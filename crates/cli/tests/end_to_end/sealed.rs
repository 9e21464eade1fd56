//! Nothing of a patient lies open at rest, nor in what the binary prints, nor in its metrics
//! (promise 6).

use std::fs;
use std::path::Path;

use pipehat_message::AcknowledgmentCode;
use serde_json::json;

use crate::harness::{Answer, Api, Link, Project, Sample, Sink, eventually, field, until};

/// What all values begin with that stand nowhere but in messages and file names.
const MARKER: &str = "ZQXMARKER";

/// A message with all of them, of this type.
fn marked(number: u64, event: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|APP|FAC|LAB|GEN|20260102030405||{event}|ZQXMARKERCONTROL{number}|P|2.5.1\r\
         PID|1||ZQXMARKERID77^^^SITE^MR||ZQXMARKERNAME^ZQXMARKERGIVEN||19700101|M\r\
         PV1|1|I|||||||||||||||||ZQXMARKERVISIT\r\
         ORC|NW|ZQXMARKERORDER\r\
         OBX|1|TX|1||ZQXMARKERTEXT and more\r"
    )
    .into_bytes()
}

#[test]
fn no_value_lies_open_on_the_disk_in_a_log_or_in_a_metric() {
    let sink =
        Sink::deciding(0, |bytes, before| match (before, field(bytes, "MSH-9.2").as_str()) {
            (0, _) => Answer::Close,
            (1, _) => Answer::Reply(marked(0, "ACK")),
            (_, "A05") => Answer::Code(AcknowledgmentCode::Ae),
            _ => Answer::Code(AcknowledgmentCode::Aa),
        });
    let project = Project::new();
    fs::create_dir_all(project.folder().join("in")).expect("a folder can be made");
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
order: by PID-3.1
index: {{ given: PID-5.2 }}
steps:
  - park: somebody has to look at it
    when: MSH-9.2 = \"A03\"
  - reject: {{ code: AR, text: not taken here }}
    when: MSH-9.2 = \"A04\"
  - map: {{ field: PID-5.1, table: names, otherwise: park }}
    when: MSH-9.2 = \"A06\"
  - date: {{ field: PID-5.1, read: yyyyMMdd, write: yyyy }}
    when: MSH-9.2 = \"A07\"
destinations:
  lab:
    mllp: {{ connect: {}, ack_timeout: 500ms }}
    retry: {{ first: 20ms, most: 50ms }}
",
            sink.address()
        ),
    );
    // Small chunks: all of the data is looked through byte by byte.
    project.write("pipehat.yaml", "journal: { chunk: 1MiB }\n");
    project.write("tables/names.csv", "from,to\nA,B\n");
    project.write(
        "channels/files.yaml",
        "channel: files
source: { file: { folder: ../in, stable_for: 0s, poll: 100ms } }
",
    );
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    for (number, trigger) in (1..).zip(["A01", "A02", "A03", "A04", "A05", "A06", "A07"]) {
        let message = marked(number, &format!("ADT^{trigger}"));
        assert_eq!(link.ask(&message).code(), "AA");
        assert_eq!(link.ask(&message).code(), "AA");
    }
    // A control id with other bytes, an unreadable header, a broken message, one too long for a
    // record of its own, and bytes outside frames.
    link.ask(&marked(1, "ADT^A08"));
    link.send([&b"ZQXMARKERNAME is no header"[..]]).expect("sent");
    link.receive().expect("a reply");
    link.send([&b"MSH|^~\\&|ZQXMARKERNAME"[..]]).expect("sent");
    link.receive().expect("a reply");
    let mut long = Sample::new("LONG", 1, 1);
    long.filler = 100 * 1024;
    let mut long = long.bytes();
    long.extend_from_slice(b"OBX|1|TX|1||ZQXMARKERTEXT\r");
    assert_eq!(link.ask(&long).code(), "AA");
    link.send_raw(b"ZQXMARKERNAME outside\x0bMSH|^~\\&|ZQXMARKERNAME").expect("sent");
    drop(link);
    fs::write(project.folder().join("in/ZQXMARKERFILE.hl7"), marked(90, "ADT^A01"))
        .expect("written");
    fs::write(project.folder().join("in/ZQXMARKERFILE2.hl7"), b"ZQXMARKERTEXT").expect("written");

    let api = node.api();
    eventually("nothing is on its way", || {
        // The second file holds no message and is set aside.
        let files = api.channel("files");
        api.counter("lab", "in_flight") == 0
            && files["counters"]["received"] == 1
            && files["health"]["problems"] == 1
    });
    eventually("the index has it all", || api.get("/api/v1/status")["index_behind"] == 0);
    // It is found by its values all the same.
    let found = until("the index finds it", || {
        let found = api.search(&json!({ "identifier": "ZQXMARKERID77", "limit": 100 }));
        (found.len() >= 8).then_some(found)
    });
    assert!(found.iter().any(|message| message["control_id"] == "ZQXMARKERCONTROL1"));
    let named = json!({ "named": ["given", "ZQXMARKERGIVEN"] });
    assert!(!api.search(&named).is_empty());

    // A configuration with mistakes is printed, a change is journaled, a person decides.
    project.write("channels/wrong.yaml", "channel: wrong\nsuorce: 1\n");
    eventually("the change is refused", || {
        api.get("/api/v1/status")["refused_configuration"].is_string()
    });
    let parked = api.search(&json!({ "disposition": "parked" }));
    let path = format!("/api/v1/messages/{}/discard", parked[0]["id"]);
    api.post(&path, &json!({ "reason": "not needed" }));

    let metrics = api.call("GET", "/metrics", None).1;
    check_text("the metrics", &metrics);
    check_text("the status", api.get("/api/v1/status").to_string().as_bytes());
    check_text("the proof", api.proof().to_string().as_bytes());
    check_data(&project, &api);
    assert!(node.stop().success());
    check_data_of(project.data());
    check_text("what was printed", project.printed().as_bytes());
    assert!(project.printed().contains("will retry"), "there was something to print");
}

fn check_data(project: &Project, api: &Api) {
    assert!(api.get("/api/v1/status")["journal"]["records"].as_u64() > Some(20));
    check_data_of(project.data());
}

fn check_data_of(data: &Path) {
    let (mut files, mut bytes) = (0, 0);
    visit(data, &mut |path, content| {
        files += 1;
        bytes += content.len();
        check_text(&path.display().to_string(), path.as_os_str().as_encoded_bytes());
        check_text(&path.display().to_string(), content);
    });
    assert!(files >= 4 && bytes > 100_000, "{files} files, {bytes} bytes: is this the data?");
}

fn visit(folder: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            visit(&path, look);
        } else if let Ok(content) = fs::read(&path) {
            look(&path, &content);
        }
    }
}

fn check_text(what: &str, content: &[u8]) {
    assert!(!holds_a_value(content), "{what} holds a value of a message");
}

/// Looks for the marker in UTF-8, in UTF-16 and in hexadecimal digits.
fn holds_a_value(content: &[u8]) -> bool {
    let wide: Vec<u8> = MARKER.bytes().flat_map(|byte| [byte, 0]).collect();
    let digits: String = MARKER.bytes().map(|byte| format!("{byte:02x}")).collect();
    [MARKER.as_bytes(), &wide, digits.as_bytes()]
        .into_iter()
        .any(|form| content.windows(form.len()).any(|window| window.eq_ignore_ascii_case(form)))
}

#[test]
fn a_value_in_any_form_is_seen() {
    for text in ["a zqxmarker", "Z\0Q\0X\0M\0A\0R\0K\0E\0R\0", "005a51584D41524b4552"] {
        assert!(holds_a_value(text.as_bytes()), "{text:?}");
    }
    assert!(!holds_a_value(b"ZQXMARKE"));
}
