//! `pipehat send` and `pipehat listen`, with each other and with odd peers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::Value as Json;

use crate::running::{pipehat, run};

/// A listener that is ended with the test.
pub(crate) struct Listening {
    child: Child,
    /// Reads what it says, so that it never waits for a full pipe.
    output: Option<JoinHandle<String>>,
    address: String,
}

impl Listening {
    /// Starts `pipehat listen` on a free port with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = pipehat()
            .args(["listen", "localhost:0", "--json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        let json: Json = serde_json::from_str(&line).expect("JSON");
        let address = json["listening"].as_str().expect("an address").to_owned();
        let output = thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).expect("text");
            text
        });
        Self { child, output: Some(output), address }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// All that it says until it ends by itself.
    pub(crate) fn rest(mut self) -> Vec<Json> {
        let output = self.output.take().expect("it is taken once");
        let text = output.join().expect("text");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends, and gives the exit code and the totals.
fn send(address: &str, arguments: &[&str]) -> (Option<i32>, Json) {
    let output = run(&[&["send", address, "--json"], arguments].concat(), b"");
    let error = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_slice(&output.stdout);
    (output.status.code(), json.unwrap_or_else(|_| panic!("no JSON: {error}")))
}

#[test]
fn messages_arrive_as_they_are_and_are_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let save = directory.path().to_str().unwrap();
    let listening = Listening::start(&["--count", "3", "--save", save]);
    let (code, totals) = send(&listening.address, &["admit.hl7", "batch.hl7"]);
    assert_eq!(code, Some(0), "{totals}");
    assert_eq!(totals["answers"], serde_json::json!({"AA": 3}));
    assert_eq!(totals["messages"][1]["control_id"], "B1");
    let said = listening.rest();
    assert_eq!(said.len(), 4, "three messages and the totals");
    assert_eq!(said[2]["control_id"], "B2");
    assert_eq!(said[2]["type"], "ORU^R01");
    assert!(said.iter().all(|line| line.get("text").is_none()), "no message is shown");
    let saved = std::fs::read(directory.path().join("000001-MSG1.hl7")).unwrap();
    assert_eq!(saved, std::fs::read(crate::running::golden().join("input/admit.hl7")).unwrap());
}

#[test]
fn a_negative_acknowledgment_is_an_exit_code() {
    let listening = Listening::start(&["--code", "AE", "--text", "unknown ward"]);
    let (code, totals) = send(&listening.address, &["admit.hl7"]);
    assert_eq!((code, &totals["answers"]["AE"]), (Some(1), &Json::from(1)));
    assert!(totals["messages"][0].get("text").is_none(), "text is shown only on demand");
    let (_, totals) = send(&listening.address, &["admit.hl7", "--show"]);
    assert_eq!(totals["messages"][0]["text"], "unknown ward");
}

#[test]
fn many_messages_go_over_many_connections_with_ids_of_their_own() {
    let listening = Listening::start(&["--count", "2000"]);
    let (code, totals) = send(
        &listening.address,
        &["batch.hl7", "-n", "2000", "--connections", "4", "--window", "8", "--fresh-control-ids"],
    );
    assert_eq!(code, Some(0), "{totals}");
    assert_eq!(totals["sent"], 2000);
    assert_eq!(totals["answers"], serde_json::json!({"AA": 2000}));
    assert!(totals.get("messages").is_none(), "too many to list");
    assert!(totals["latency_milliseconds"]["p99"].as_f64().is_some_and(|p99| p99 > 0.0));
    let said = listening.rest();
    let mut ids: Vec<_> = said.iter().filter_map(|line| line["control_id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2000);
    assert_eq!(said.last().unwrap()["connections"], 4);
}

#[test]
fn an_answer_that_does_not_come_is_a_timeout_and_the_rest_goes_on() {
    let listening = Listening::start(&["--drop-every", "2"]);
    let (code, totals) = send(&listening.address, &["batch.hl7", "-n", "3", "--timeout", "200ms"]);
    assert_eq!(code, Some(1));
    assert_eq!(totals["answers"], serde_json::json!({"AA": 2, "timeout": 1}));
}

#[test]
fn a_rate_is_kept() {
    let listening = Listening::start(&[]);
    let (code, totals) = send(&listening.address, &["admit.hl7", "-n", "6", "--rate", "20/s"]);
    assert_eq!(code, Some(0));
    assert!(totals["seconds"].as_f64().is_some_and(|seconds| seconds >= 0.25), "{totals}");
    let (_, totals) = send(&listening.address, &["admit.hl7", "--for", "300ms", "--rate", "20/s"]);
    let sent = totals["sent"].as_u64().unwrap();
    assert!((1..=6).contains(&sent), "{totals}");
}

#[test]
fn without_waiting_every_message_still_arrives() {
    let listening = Listening::start(&["--count", "500"]);
    let (code, totals) = send(&listening.address, &["admit.hl7", "-n", "500", "--wait", "none"]);
    assert_eq!(code, Some(0), "{totals}");
    assert_eq!(totals["answers"], serde_json::json!({"not awaited": 500}));
    assert_eq!(listening.rest().last().unwrap()["messages"], 500);
}

#[test]
fn a_peer_that_is_not_there_is_an_error() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = run(&["send", &format!("127.0.0.1:{port}"), "admit.hl7"], b"");
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("is it listening there?") && error.contains("refused"), "{error}");
}

#[test]
fn a_peer_that_hangs_up_or_talks_rubbish_loses_messages_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let peer = thread::spawn(move || {
        // The first connection is closed without an answer, the second gets one that is none.
        let receive = |stream: &mut TcpStream| {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\x1c\r") {
                let mut some = [0; 1024];
                let count = stream.read(&mut some).unwrap();
                bytes.extend_from_slice(&some[..count]);
            }
        };
        let mut first = listener.accept().unwrap().0;
        receive(&mut first);
        drop(first);
        let mut second = listener.accept().unwrap().0;
        receive(&mut second);
        second.write_all(b"\x0bhello\x1c\r").unwrap();
        receive(&mut second);
        second.write_all(b"\x0bMSH|^~\\&\rMSA|AA|other\r\x1c\r").unwrap();
        second.write_all(b"\x0bMSH|^~\\&\rMSA|AA|B1\r\x1c\r").unwrap();
        let _ = second.read(&mut [0; 16]);
    });
    let (code, totals) = send(&address, &["batch.hl7", "-n", "3"]);
    assert_eq!(code, Some(1));
    assert_eq!(totals["answers"], serde_json::json!({"lost": 1, "unreadable": 1, "AA": 1}));
    assert_eq!(totals["unexpected"], 1);
    peer.join().unwrap();
}

#[test]
fn an_oversized_message_and_rubbish_are_answered_as_such() {
    let listening = Listening::start(&["--max-bytes", "100", "--count", "1"]);
    let mut stream = TcpStream::connect(&listening.address).unwrap();
    stream.write_all(b"hello\x0bMSH|^~\\&|A||||||ADT^A01|BIG|P|2.3\rPID|").unwrap();
    stream.write_all(&[b'x'; 200]).unwrap();
    stream.write_all(b"\r\x1c\r").unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let payload =
        reply.strip_prefix(b"\x0b").and_then(|rest| rest.strip_suffix(b"\x1c\r")).unwrap();
    let acknowledgment = pipehat_message::Acknowledgment::read(payload).unwrap();
    assert_eq!(acknowledgment.code(), pipehat_message::AcknowledgmentCode::Ar);
    assert_eq!(acknowledgment.control_id(), b"BIG");
    assert_eq!(listening.rest().last().unwrap()["oddities"], 1);
}

#[test]
fn tls_is_spoken_with_those_who_are_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("ca.pem"), authority_certificate.pem()).unwrap();
    for name in ["localhost", "client"] {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        std::fs::write(path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    let [ca, cert, key] = ["ca.pem", "localhost.pem", "localhost.key"].map(path);
    let [client_cert, client_key] = ["client.pem", "client.key"].map(path);

    let listening = Listening::start(&["--cert", &cert, "--key", &key]);
    let port = listening.address.rsplit(':').next().unwrap();
    let named = format!("localhost:{port}");
    let (code, totals) =
        send(&named, &["admit.hl7", "-n", "200", "--window", "10", "--tls", "--ca", &ca]);
    assert_eq!((code, &totals["answers"]["AA"]), (Some(0), &Json::from(200)));
    // Another name than the certificate has.
    let (code, _) = send(&named, &["admit.hl7", "--ca", &ca, "--server-name", "elsewhere"]);
    assert_eq!(code, Some(3));
    // Somebody else's authority.
    let (code, _) = send(&named, &["admit.hl7", "--ca", &client_cert]);
    assert_eq!(code, Some(3));

    let listening = Listening::start(&["--cert", &cert, "--key", &key, "--ca", &ca]);
    let port = listening.address.rsplit(':').next().unwrap();
    let named = format!("localhost:{port}");
    let mutual = ["admit.hl7", "--ca", &ca, "--cert", &client_cert, "--key", &client_key];
    assert_eq!(send(&named, &mutual).0, Some(0));
    assert_ne!(send(&named, &["admit.hl7", "--ca", &ca, "--timeout", "2s"]).0, Some(0));
}
