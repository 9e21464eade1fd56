//! Both directions with TLS and mutual TLS.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use crate::contract::{FakeEngine, message, outbound, soon};
use crate::mllp::codes;
use crate::mllp::tests::{Receiver, build_destination, eventually, problem, reply};
use crate::tls::testing::Project;
use crate::{Attempt, Destination, Health};

const MUTUAL: &str = "tls: { cert: adt.pem, key: secret:adt, client_ca: ca.pem }";

fn sender(project: &Project, address: &str, tls: &str) -> (Arc<dyn Destination>, Arc<Health>) {
    let health = Arc::new(Health::default());
    let port = address.rsplit_once(':').map(|(_, port)| port).expect("a port");
    let yaml = format!("{{ connect: \"localhost:{port}\", connect_timeout: 5s, {tls} }}");
    (build_destination(&yaml, project, health.clone()), health)
}

async fn deliver(destination: &Arc<dyn Destination>, control_id: &str) -> Attempt {
    soon("an attempt", destination.deliver(outbound(control_id))).await
}

#[tokio::test]
async fn a_partner_is_known_by_its_certificate() {
    let project = Project::with(&["adt", "lab"]);
    let receiver = Receiver::start_with(MUTUAL, &project, FakeEngine::new(reply)).await;
    let ours = "tls: { ca: ca.pem, cert: lab.pem, key: lab.key }";
    let (destination, _) = sender(&project, &receiver.address, ours);
    for name in ["T1", "T2"] {
        let attempt = deliver(&destination, name).await;
        assert!(matches!(attempt, Attempt::Delivered { .. }), "{attempt:?}");
    }
    let received = receiver.engine.given(2).await;
    assert!(received.iter().all(|one| one.peer.identity.as_deref() == Some("CN=lab")));
    assert_eq!(receiver.engine.payloads(), [message("T1"), message("T2")]);
    assert_eq!(receiver.health.snapshot().connections_total, 1);
    soon("close", destination.close()).await;
    receiver.finish().await;
}

#[tokio::test]
async fn a_stranger_delivers_nothing() {
    let project = Project::with(&["adt"]);
    project.write_self_signed("stranger");
    let receiver = Receiver::start_with(MUTUAL, &project, FakeEngine::new(reply)).await;
    for tls in ["tls: { ca: ca.pem }", "tls: { ca: ca.pem, cert: stranger.pem, key: stranger.key }"]
    {
        let (destination, _) = sender(&project, &receiver.address, tls);
        let attempt = deliver(&destination, "STRANGER").await;
        // In TLS 1.3 the server judges after the client may write: what was written was not read.
        assert!(
            matches!(attempt, Attempt::NotSent { .. } | Attempt::Interrupted { .. }),
            "{attempt:?}"
        );
        receiver.problem(codes::HANDSHAKE_FAILED).await;
        soon("close", destination.close()).await;
    }
    assert!(receiver.engine.payloads().is_empty());
    receiver.finish().await;
}

#[tokio::test]
async fn an_untrusted_server_gets_nothing() {
    let project = Project::with(&["adt"]);
    project.write_self_signed("other");
    let open = "tls: { cert: adt.pem, key: adt.key }";
    let receiver = Receiver::start_with(open, &project, FakeEngine::new(reply)).await;
    for tls in
        ["tls: {}", "tls: { ca: other.pem }", "tls: { ca: ca.pem, server_name: lab.example.org }"]
    {
        let (destination, health) = sender(&project, &receiver.address, tls);
        let attempt = deliver(&destination, "UNTRUSTED").await;
        assert!(
            matches!(attempt, Attempt::NotSent { code: codes::SECURE_FAILED, .. }),
            "{attempt:?}"
        );
        problem(&health, codes::SECURE_FAILED).await;
        soon("close", destination.close()).await;
    }
    receiver.finish().await;
}

#[tokio::test]
async fn plaintext_to_a_tls_port_is_refused() {
    let project = Project::with(&["adt"]);
    let open = "tls: { cert: adt.pem, key: adt.key }";
    let receiver = Receiver::start_with(open, &project, FakeEngine::new(reply)).await;
    let mut partner = receiver.connect().await;
    partner.send(&message("CLEAR")).await;
    receiver.problem(codes::HANDSHAKE_FAILED).await;
    assert!(receiver.engine.payloads().is_empty());
    receiver.finish().await;
}

#[tokio::test]
async fn a_look_at_the_port_is_no_problem() {
    let project = Project::with(&["adt"]);
    let open = "tls: { cert: adt.pem, key: adt.key }";
    let receiver = Receiver::start_with(open, &project, FakeEngine::new(reply)).await;
    drop(receiver.connect().await);
    let gone = eventually(|| {
        let health = receiver.health.snapshot();
        (health.connections_total == 1 && health.connections == 0).then_some(health.problems)
    });
    assert_eq!(soon("the end of the connection", gone).await, 0);
    receiver.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_go_on_is_given_up() {
    let project = Project::with(&["adt"]);
    let open = "tls: { cert: adt.pem, key: adt.key }";
    let receiver = Receiver::start_with(open, &project, FakeEngine::new(reply)).await;
    let silent = TcpStream::connect(&receiver.address).await.expect("it listens");
    receiver.problem(codes::HANDSHAKE_FAILED).await;
    drop(silent);
    receiver.finish().await;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let (destination, _) = sender(&project, &address, "tls: {}");
    let attempt = destination.deliver(outbound("SILENT")).await;
    assert!(
        matches!(attempt, Attempt::NotSent { code: codes::CONNECT_TIMEOUT, .. }),
        "{attempt:?}"
    );
    destination.close().await;
}

#[tokio::test]
async fn long_messages_pass_through_tls() {
    let project = Project::with(&["adt"]);
    let open = "tls: { cert: adt.pem, key: adt.key }";
    let receiver = Receiver::start_with(open, &project, FakeEngine::new(reply)).await;
    let (destination, _) = sender(&project, &receiver.address, "tls: { ca: ca.pem }");
    let long = [&message("LONG")[..], &vec![b'x'; 3_000_000]].concat();
    let outbound = crate::Outbound { bytes: long.clone().into(), ..outbound("LONG") };
    let attempt = soon("an attempt", destination.deliver(outbound)).await;
    assert!(matches!(attempt, Attempt::Delivered { .. }), "{attempt:?}");
    assert!(receiver.engine.payloads().iter().all(|payload| *payload == long));
    soon("close", destination.close()).await;
    receiver.finish().await;
}
