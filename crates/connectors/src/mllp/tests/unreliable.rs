//! Many messages at once, and a partner that does everything wrong from time to time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::stream::{StreamExt, iter};
use pipehat_message::mllp::Event;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::contract::{FakeEngine, outbound, soon};
use crate::mllp::tests::{
    Partner, Receiver, acknowledgment, build_destination, control_id, frame, reply,
};
use crate::tls::testing::Project;
use crate::{Attempt, Health};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_messages_at_once_each_gets_its_own_answer() {
    const MESSAGES: usize = 2000;
    let project = Project::empty();
    let receiver = Receiver::start_with("", &project, FakeEngine::new(reply)).await;
    let yaml = format!("{{ connect: \"{}\", connections: 4, window: 8 }}", receiver.address);
    let destination = build_destination(&yaml, &project, Arc::new(Health::default()));
    let sent = iter(0..MESSAGES).map(|number| {
        let name = format!("MANY{number}");
        let attempt = destination.deliver(outbound(&name));
        async move { (name, attempt.await) }
    });
    let attempts: Vec<_> = soon("all", sent.buffer_unordered(32).collect()).await;
    for (name, attempt) in &attempts {
        let expected = Attempt::Delivered { reply: Some(acknowledgment("AA", name)) };
        assert_eq!(*attempt, expected);
    }
    let received: HashSet<String> =
        receiver.engine.payloads().iter().map(|message| control_id(message)).collect();
    assert_eq!((attempts.len(), received.len()), (MESSAGES, MESSAGES));
    assert_eq!(receiver.health.snapshot().connections_total, 4);
    soon("close", destination.close()).await;
    receiver.finish().await;
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What the partner has said yes to.
type Accepted = Arc<Mutex<HashSet<String>>>;

/// Says something, if anybody still listens.
async fn say(partner: &mut Partner<TcpStream>, bytes: &[u8]) {
    let _ = partner.stream.write_all(bytes).await;
}

async fn moody(mut partner: Partner<TcpStream>, dice: &mut Dice, accepted: &Accepted) {
    let mut held_back: Vec<String> = Vec::new();
    let mut last = "NOBODY".to_owned();
    while let Some(Event::Frame(message)) = partner.event().await {
        let id = control_id(&message);
        match dice.roll(12) {
            0 => return,
            1 => say(&mut partner, &frame(b"ERROR: disk full")).await,
            // An answer to a message that it was never sent, or was sent long ago.
            2 => say(&mut partner, &frame(&acknowledgment("AA", "NEVERSENT"))).await,
            3 => say(&mut partner, &frame(&acknowledgment("AA", &last))).await,
            4 => say(&mut partner, b"\x0BMSH|^~\\&|half an answer").await,
            5 => held_back.push(id.clone()),
            6 => {
                say(&mut partner, &frame(&acknowledgment("AR", &id))).await;
            }
            _ => {
                accepted.lock().expect("no panic").insert(id.clone());
                say(&mut partner, &frame(&acknowledgment("AA", &id))).await;
                last = id;
            }
        }
        if dice.roll(2) == 0 {
            for id in held_back.drain(..) {
                accepted.lock().expect("no panic").insert(id.clone());
                say(&mut partner, &frame(&acknowledgment("AA", &id))).await;
            }
        }
    }
}

async fn nothing_counts_as_delivered_that_was_not_accepted(window: usize, seed: u64) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let accepted = Accepted::default();
    let seen = accepted.clone();
    let server = tokio::spawn(async move {
        let mut dice = Dice(seed);
        while let Ok((stream, _)) = listener.accept().await {
            moody(Partner::new(stream), &mut dice, &seen).await;
        }
    });
    let yaml = format!("{{ connect: \"{address}\", window: {window}, ack_timeout: 20ms }}");
    let destination = build_destination(&yaml, &Project::empty(), Arc::new(Health::default()));
    let deliveries = iter(0..150).map(|number| {
        let (destination, accepted) = (&destination, &accepted);
        async move {
            let name = format!("U{number}");
            loop {
                match destination.deliver(outbound(&name)).await {
                    Attempt::Delivered { reply } => {
                        assert_eq!(reply, Some(acknowledgment("AA", &name)));
                        assert!(accepted.lock().expect("no panic").contains(&name), "{name}");
                        return;
                    }
                    Attempt::Impossible { code, .. } => panic!("{code}"),
                    Attempt::Refused { answer, .. } => assert_eq!(answer.name, "AR"),
                    Attempt::NotSent { .. } | Attempt::Interrupted { .. } => {}
                }
            }
        }
    });
    let all = deliveries.buffer_unordered(window).collect::<Vec<()>>();
    soon(&format!("all, window {window}, seed {seed}"), all).await;
    assert_eq!(accepted.lock().expect("no panic").len(), 150);
    soon("close", destination.close()).await;
    server.abort();
}

#[tokio::test]
async fn a_moody_partner_is_credited_with_nothing_it_did_not_say() {
    for seed in 1..=3 {
        nothing_counts_as_delivered_that_was_not_accepted(1, seed).await;
        nothing_counts_as_delivered_that_was_not_accepted(4, seed).await;
    }
}
