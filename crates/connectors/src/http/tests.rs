//! The HTTP connector over real connections on this machine, with partners that speak HTTP by hand.

use std::sync::Arc;

use bytes::Bytes;
use pipehat_config::Diagnostics;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::CONNECTOR;
use crate::contract::{check_descriptor, soon};
use crate::tls::testing::{Project, settings};
use crate::{Destination, Health, Source};

mod receiving;
pub(crate) mod sending;

#[test]
fn the_descriptor_is_sound() {
    check_descriptor(&CONNECTOR);
}

/// A request or response as it was on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Spoken {
    pub(crate) head: String,
    pub(crate) body: Bytes,
}

impl Spoken {
    fn status(&self) -> u16 {
        let word = self.head.split(' ').nth(1).unwrap_or_default();
        word.parse().expect("a status")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Reads a head and the body it announces; none when the other side closes before.
async fn listen_to<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Spoken> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let mut spoken = Spoken { head: String::from_utf8(head).ok()?, body: Bytes::new() };
    let length = spoken.header("content-length").unwrap_or("0").parse().expect("a length");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    spoken.body = body.into();
    Some(spoken)
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, head: &str, body: &[u8]) {
    // Whoever is gone does not hear it; what comes of that shows elsewhere.
    let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
    let _ = stream.flush().await;
}

async fn post<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    more: &str,
    body: &[u8],
) -> Option<Spoken> {
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n{more}\r\n");
    say(stream, &head, body).await;
    soon("a response", listen_to(stream)).await
}

fn acknowledgment(control_id: &str, code: &str) -> Bytes {
    format!("MSH|^~\\&|R|T|S|H|20260101||ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r").into()
}

fn source_with(project: &Project, yaml: &str) -> Result<Arc<dyn Source>, String> {
    let descriptor = CONNECTOR.source.as_ref().expect("it receives");
    let mut diagnostics = Diagnostics::new();
    (descriptor.build)(&settings(yaml, descriptor.schema), &project.context(), &mut diagnostics)
        .ok_or_else(|| diagnostics.to_string())
}

fn destination_with(
    project: &Project,
    yaml: &str,
    health: Arc<Health>,
) -> Result<(Arc<dyn Destination>, String), String> {
    let descriptor = CONNECTOR.destination.as_ref().expect("it sends");
    let mut diagnostics = Diagnostics::new();
    let settings = settings(yaml, descriptor.schema);
    (descriptor.build)(&settings, &project.context(), health, &mut diagnostics)
        .map(|destination| (destination, diagnostics.to_string()))
        .ok_or_else(|| diagnostics.to_string())
}

#[test]
fn listening_for_others_needs_tls_and_a_proof_of_who_sends() {
    let project = Project::with(&["adt"]);
    let source = |more: &str| {
        source_with(&project, &format!("{{ listen: \"0.0.0.0:0\", {more} }}")).map(|_| ())
    };
    let cert = "cert: adt.pem, key: adt.key";
    let risk = "accepted_risk: { reason: r, date: 2026-01-31 }";
    let refused = |more: &str, code: &str| {
        let text = source(more).expect_err("a mistake");
        assert!(text.contains(code), "{more}: {text}");
    };
    refused("token: secret:adt", "tls.plaintext-listener");
    refused(&format!("tls: {{ {cert} }}"), "http.no-authentication");
    refused(risk, "http.no-authentication");
    assert_eq!(source(&format!("tls: {{ {cert} }}, token: secret:adt")), Ok(()));
    assert_eq!(source(&format!("tls: {{ {cert}, client_ca: ca.pem }}")), Ok(()));
    assert_eq!(source(&format!("{risk}, token: secret:adt")), Ok(()));
}

#[test]
fn settings_that_make_no_sense_are_explained() {
    let project = Project::empty();
    project.write("lab.key", "opensesame");
    project.write("empty.key", "\n");
    let check = |made: Result<(), String>, expected: &str| {
        let text = made.expect_err("a mistake");
        assert!(text.contains(expected) && text.contains("http.setting"), "{text}");
        assert!(!text.contains("opensesame"), "{text}");
    };
    let source = |more: &str| {
        source_with(&project, &format!("{{ listen: \"127.0.0.1:0\", {more} }}")).map(|_| ())
    };
    check(source("path: hl7"), "begins with");
    check(source("path: \"/hl7?a\""), "begins with");
    check(source("token: secret:absent"), "there is no secret");
    check(source("token: secret:empty"), "is empty");
    check(source("token_header: X-Key"), "no meaning");
    check(source("headers: [Authorization]"), "signs somebody in");
    check(source("token: secret:lab, token_header: X-Key, headers: [x-key]"), "signs somebody in");
    check(source("headers: [\"a b\"]"), "name of a header");
    check(source("message_bytes_max: 0B"), "between");
    check(source("body_timeout: 0s"), "no time");

    let destination = |url: &str, more: &str| {
        let yaml = format!("{{ url: \"{url}\", {more} }}");
        destination_with(&project, &yaml, Arc::default()).map(|(_, warnings)| warnings)
    };
    let local = |more: &str| destination("http://127.0.0.1/", more).map(|_| ());
    check(destination("ftp://lab/", "").map(|_| ()), "begins with");
    check(destination("lab:8080/x", "").map(|_| ()), "begins with");
    check(destination("https://u:opensesame@lab/", "").map(|_| ()), "do not belong");
    check(destination("https://lab/#x", "").map(|_| ()), "never sent");
    check(local("tls: {}"), "https");
    check(local("content_type: hl7"), "content type");
    check(local("headers: { Content-Length: 7 }"), "by Pipehat itself");
    check(local("headers: { Authorization: Bearer }"), "must not stand in a file");
    check(local("proxy: proxy.internal"), "not a proxy");
    check(local("proxy: \"http://u:opensesame@proxy/\""), "not a proxy");
    check(local("user: us"), "belong together");
    check(local("token: secret:lab, user: us, password: secret:lab"), "either");
    check(local("timeout: 1s, connect_timeout: 2s"), "includes it");
    assert_eq!(local("timeout: 1s"), Ok(()), "connecting may take no longer");
    check(
        destination("http://lab/", "accepted_risk: { reason: r, date: soon }").map(|_| ()),
        "date",
    );
    check(
        destination("https://lab/", "tls: { server_name: 10.0.0.1 }").map(|_| ()),
        "must be a host name",
    );

    assert_eq!(destination("http://127.0.0.1:1/", ""), Ok(String::new()));
    let warned = destination("http://lab.example/", "").expect("only a warning");
    assert!(warned.contains("warning[http.plaintext-connection]"), "{warned}");
    let accepted = "accepted_risk: { reason: r, date: 2026-01-31 }";
    assert_eq!(destination("http://lab.example/", accepted), Ok(String::new()));
}
