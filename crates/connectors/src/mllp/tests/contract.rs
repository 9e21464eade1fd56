//! The suite of all connectors, on this one.

use std::future::Future;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pipehat_message::mllp::Event;
use pipehat_message::{Acknowledgment, AcknowledgmentCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::contract::{
    Behaviour, DestinationCase, Heard, Partner as ContractPartner, SourceCase, check_descriptor,
    check_destination, check_source,
};
use crate::mllp::CONNECTOR;
use crate::mllp::tests::{
    Partner, acknowledgment, build_destination, build_source, control_id, reply,
};
use crate::tls::testing::Project;
use crate::{Descriptor, Destination, Health, Inbound, ReceiptOutcome, Source};

#[test]
fn the_descriptor_is_complete() {
    check_descriptor(&CONNECTOR);
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    check_source(Mllp).await;
}

#[tokio::test]
async fn the_destination_keeps_the_contract() {
    check_destination(Mllp).await;
}

struct Mllp;

impl SourceCase for Mllp {
    fn descriptor(&self) -> &'static Descriptor {
        &CONNECTOR
    }

    fn source(&self, place: Option<&str>) -> Arc<dyn Source> {
        let listen = place.unwrap_or("127.0.0.1:0");
        build_source(&format!("{{ listen: \"{listen}\" }}"), &Project::empty())
    }

    fn reply(inbound: &Inbound, outcome: ReceiptOutcome) -> Option<Bytes> {
        reply(inbound, outcome)
    }

    fn send(
        &self,
        address: Option<String>,
        payloads: Vec<Bytes>,
    ) -> impl Future<Output = Heard> + Send + 'static {
        send(address.expect("a listener has an address"), payloads)
    }
}

async fn send(address: String, payloads: Vec<Bytes>) -> Heard {
    let Ok(stream) = TcpStream::connect(address).await else { return Heard::Nothing };
    let mut partner = Partner::new(stream);
    let mut heard = Heard::Nothing;
    for payload in payloads {
        partner.send(&payload).await;
        let Some(Event::Frame(reply)) = partner.event().await else { return Heard::Nothing };
        let reply = Acknowledgment::read(&reply).expect("an acknowledgment");
        assert_eq!(reply.control_id(), control_id(&payload).as_bytes());
        heard = match reply.code() {
            AcknowledgmentCode::Aa | AcknowledgmentCode::Ca => Heard::Kept,
            _ => Heard::Refused,
        };
    }
    heard
}

/// A partner that treats every message alike.
struct Server {
    address: String,
    got: Arc<Mutex<Vec<Bytes>>>,
    task: Option<JoinHandle<()>>,
}

impl ContractPartner for Server {
    fn got(&self) -> Vec<Bytes> {
        self.got.lock().expect("no panic").clone()
    }
}

impl Server {
    async fn behave(&mut self, behaviour: Behaviour) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
        if behaviour == Behaviour::Absent {
            return;
        }
        let listener = TcpListener::bind(&self.address).await.expect("the port is free again");
        let got = self.got.clone();
        self.task = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(Partner::new(stream), behaviour, &got).await;
            }
        }));
    }
}

async fn serve(mut partner: Partner<TcpStream>, behaviour: Behaviour, got: &Mutex<Vec<Bytes>>) {
    while let Some(Event::Frame(message)) = partner.event().await {
        let id = control_id(&message);
        got.lock().expect("no panic").push(message.into());
        match behaviour {
            Behaviour::Accept => partner.send(&acknowledgment("AA", &id)).await,
            Behaviour::Refuse => partner.send(&acknowledgment("AE", &id)).await,
            Behaviour::DieBeforeAnswer | Behaviour::Absent => return,
        }
    }
}

impl DestinationCase for Mllp {
    type Partner = Server;

    fn descriptor(&self) -> &'static Descriptor {
        &CONNECTOR
    }

    async fn partner(&self, behaviour: Behaviour) -> Option<Server> {
        let reserved = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = reserved.local_addr().expect("it is bound").to_string();
        drop(reserved);
        let mut server = Server { address, got: Arc::default(), task: None };
        server.behave(behaviour).await;
        Some(server)
    }

    async fn change(&self, partner: &mut Server, behaviour: Behaviour) {
        partner.behave(behaviour).await;
    }

    fn destination(&self, partner: &Server, health: Arc<Health>) -> Arc<dyn Destination> {
        let yaml = format!("{{ connect: \"{}\" }}", partner.address);
        build_destination(&yaml, &Project::empty(), health)
    }
}
