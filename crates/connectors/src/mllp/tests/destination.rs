//! A destination and its partners.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::contract::{message, not_yet, outbound, soon};
use crate::mllp::codes;
use crate::mllp::tests::{
    Partner, acknowledgment, build_destination, control_id, eventually, frame, problem,
};
use crate::tls::testing::Project;
use crate::{Attempt, Destination, Health, LinkState, Outbound};

/// A destination and the port its partner listens on.
struct Sender {
    destination: Arc<dyn Destination>,
    health: Arc<Health>,
    listener: TcpListener,
}

impl Sender {
    async fn start(further: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let health = Arc::new(Health::default());
        let yaml = format!("{{ connect: \"{address}\", {further} }}");
        let destination = build_destination(&yaml, &Project::empty(), health.clone());
        Self { destination, health, listener }
    }

    async fn accept(&self) -> Partner<TcpStream> {
        let (stream, _) = soon("a connection", self.listener.accept()).await.expect("it listens");
        Partner::new(stream)
    }

    /// Puts a message in line now.
    fn deliver(&self, control_id: &str) -> JoinHandle<Attempt> {
        self.deliver_bytes(message(control_id))
    }

    fn deliver_bytes(&self, bytes: Bytes) -> JoinHandle<Attempt> {
        tokio::spawn(self.destination.deliver(Outbound { bytes, ..outbound("X") }))
    }

    async fn finish(self) {
        soon("close", self.destination.close()).await;
        let health = self.health.snapshot();
        assert_eq!((health.connections, health.state), (0, LinkState::Stopped));
    }
}

async fn attempt(delivery: JoinHandle<Attempt>) -> Attempt {
    soon("an attempt", delivery).await.expect("no panic")
}

fn delivered(code: &str, control_id: &str) -> Attempt {
    Attempt::Delivered { reply: Some(acknowledgment(code, control_id)) }
}

/// The code of an attempt that was interrupted.
async fn interrupted(delivery: JoinHandle<Attempt>) -> (&'static str, Option<Bytes>) {
    match attempt(delivery).await {
        Attempt::Interrupted { code, detail, reply } => {
            assert!(detail.contains("127.0.0.1"), "{detail}");
            (code, reply)
        }
        other => panic!("it was interrupted: {other:?}"),
    }
}

#[tokio::test]
async fn one_connection_serves_one_message_after_another() {
    let sender = Sender::start("").await;
    let first = sender.deliver("ONE");
    let mut partner = sender.accept().await;
    assert_eq!(partner.frame().await, message("ONE"));
    partner.send(&acknowledgment("AA", "ONE")).await;
    assert_eq!(attempt(first).await, delivered("AA", "ONE"));
    let second = sender.deliver("TWO");
    assert_eq!(partner.frame().await, message("TWO"));
    partner.send(&acknowledgment("CA", "TWO")).await;
    assert_eq!(attempt(second).await, delivered("CA", "TWO"));
    assert_eq!(sender.health.snapshot().connections_total, 1);
    sender.finish().await;
    partner.expect_end().await;
}

#[tokio::test]
async fn segments_end_as_the_standard_wants_where_that_is_configured() {
    let with_lf = || {
        let text = String::from_utf8(message("ONE").to_vec()).expect("it is ASCII");
        Bytes::from(text.replace('\r', "\n"))
    };
    for (further, expected) in [("", with_lf()), ("segment_end: cr", message("ONE"))] {
        let sender = Sender::start(further).await;
        let delivery = sender.deliver_bytes(with_lf());
        let mut partner = sender.accept().await;
        assert_eq!(partner.frame().await, expected);
        partner.send(&acknowledgment("AA", "ONE")).await;
        assert_eq!(attempt(delivery).await, delivered("AA", "ONE"));
        sender.finish().await;
    }
}

#[tokio::test]
async fn each_negative_code_has_its_answer() {
    let sender = Sender::start("").await;
    let mut partner = None;
    for code in ["AE", "AR", "CE", "CR"] {
        let delivery = sender.deliver(code);
        if partner.is_none() {
            partner = Some(sender.accept().await);
        }
        let partner = partner.as_mut().expect("it is connected");
        partner.frame().await;
        partner.send(&acknowledgment(code, code)).await;
        match attempt(delivery).await {
            Attempt::Refused { code: codes::REFUSED, answer, reply } => {
                assert_eq!((answer.name, reply), (code, Some(acknowledgment(code, code))));
            }
            other => panic!("{code} is a refusal: {other:?}"),
        }
    }
    sender.finish().await;
}

#[tokio::test]
async fn an_acknowledgment_of_another_message_is_never_credited() {
    let sender = Sender::start("").await;
    let delivery = sender.deliver("MINE");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.send(&acknowledgment("AA", "OTHER")).await;
    let expected = (codes::ACKNOWLEDGMENT_UNMATCHED, Some(acknowledgment("AA", "OTHER")));
    assert_eq!(interrupted(delivery).await, expected);
    partner.expect_end().await;
    problem(&sender.health, codes::ACKNOWLEDGMENT_UNMATCHED).await;
    assert_eq!(sender.health.snapshot().state, LinkState::Down);

    // The next try has a connection of its own.
    let delivery = sender.deliver("MINE");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.send(&acknowledgment("AA", "MINE")).await;
    assert_eq!(attempt(delivery).await, delivered("AA", "MINE"));
    sender.finish().await;
}

#[tokio::test]
async fn what_is_no_acknowledgment_interrupts() {
    let garbled: [&[u8]; 4] = [
        b"OK",
        b"",
        b"MSH|^~\\&|||||||ACK|1|P|2.5\rNTE|1||MSA\r",
        b"MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|OK|MINE\r",
    ];
    for garbled in garbled {
        let sender = Sender::start("").await;
        let delivery = sender.deliver("MINE");
        let mut partner = sender.accept().await;
        partner.frame().await;
        partner.send(garbled).await;
        let expected = (codes::ACKNOWLEDGMENT_UNREADABLE, Some(Bytes::from(garbled)));
        assert_eq!(interrupted(delivery).await, expected);
        partner.expect_end().await;
        sender.finish().await;
    }
}

#[tokio::test]
async fn commit_bytes_from_a_partner_that_should_not_send_them_interrupt() {
    let sender = Sender::start("").await;
    let delivery = sender.deliver("MINE");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.write(&[0x0B, 0x15, 0x1C, 0x0D]).await;
    assert_eq!(interrupted(delivery).await, (codes::ACKNOWLEDGMENT_UNREADABLE, None));
    sender.finish().await;
}

#[tokio::test]
async fn an_endless_answer_is_not_kept() {
    let sender = Sender::start("message_bytes_max: 1KiB").await;
    let delivery = sender.deliver("MINE");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.write(&[&b"\x0B"[..], &acknowledgment("AA", "MINE"), &[b'x'; 1024]].concat()).await;
    assert_eq!(interrupted(delivery).await, (codes::ACKNOWLEDGMENT_UNREADABLE, None));
    sender.finish().await;
}

#[tokio::test]
async fn rubbish_between_frames_does_not_matter() {
    let sender = Sender::start("").await;
    let delivery = sender.deliver("MINE");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.write(&[b"\r\n \0", &frame(&acknowledgment("AA", "MINE"))[..], b"\n\n"].concat()).await;
    assert_eq!(attempt(delivery).await, delivered("AA", "MINE"));
    sender.finish().await;
}

#[tokio::test]
async fn a_late_acknowledgment_is_ignored_and_counted() {
    let sender = Sender::start("ack_timeout: 50ms").await;
    let delivery = sender.deliver("SLOW");
    let mut partner = sender.accept().await;
    partner.frame().await;
    assert_eq!(interrupted(delivery).await, (codes::ACKNOWLEDGMENT_TIMEOUT, None));
    partner.expect_end().await;

    // The partner answers the first message on the second connection.
    let delivery = sender.deliver("NEXT");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.send(&acknowledgment("AA", "SLOW")).await;
    problem(&sender.health, codes::ACKNOWLEDGMENT_LATE).await;
    partner.send(&acknowledgment("AE", "NEXT")).await;
    assert!(matches!(attempt(delivery).await, Attempt::Refused { .. }), "the answer of its own");
    // And once more the one it had before.
    let delivery = sender.deliver("THIRD");
    partner.frame().await;
    partner
        .write(
            &[frame(&acknowledgment("AA", "NEXT")), frame(&acknowledgment("AA", "THIRD"))].concat(),
        )
        .await;
    assert_eq!(attempt(delivery).await, delivered("AA", "THIRD"));
    sender.finish().await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_given_up_after_the_time_out() {
    let sender = Sender::start("ack_timeout: 30s").await;
    let delivery = sender.deliver("SILENCE");
    let mut partner = sender.accept().await;
    partner.frame().await;
    let written = tokio::time::Instant::now();
    assert_eq!(
        delivery
            .await
            .map(|attempt| matches!(
                attempt,
                Attempt::Interrupted { code: codes::ACKNOWLEDGMENT_TIMEOUT, .. }
            ))
            .ok(),
        Some(true)
    );
    let waited = written.elapsed().as_secs_f64();
    assert!((29.0..31.0).contains(&waited), "{waited} s");
    sender.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_unused_connection_is_closed_when_that_is_wanted() {
    let sender = Sender::start("idle_timeout: 10s").await;
    let delivery = sender.deliver("USED");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.send(&acknowledgment("AA", "USED")).await;
    assert_eq!(attempt(delivery).await, delivered("AA", "USED"));
    let before = tokio::time::Instant::now();
    partner.expect_end().await;
    let waited = before.elapsed().as_secs_f64();
    assert!((9.0..12.0).contains(&waited), "{waited} s");
    assert_eq!(sender.health.snapshot().problems, 0);
    let delivery = sender.deliver("AGAIN");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.send(&acknowledgment("AA", "AGAIN")).await;
    assert_eq!(attempt(delivery).await, delivered("AA", "AGAIN"));
    sender.finish().await;
}

#[tokio::test]
async fn a_connection_that_the_partner_closed_is_not_used_again() {
    let sender = Sender::start("").await;
    for name in ["K1", "K2", "K3"] {
        let delivery = sender.deliver(name);
        let mut partner = sender.accept().await;
        assert_eq!(partner.frame().await, message(name));
        partner.send(&acknowledgment("AA", name)).await;
        assert_eq!(attempt(delivery).await, delivered("AA", name));
        drop(partner);
        let closed = eventually(|| (sender.health.snapshot().connections == 0).then_some(()));
        soon("the end of the connection", closed).await;
    }
    assert_eq!(sender.health.snapshot().problems, 0);
    sender.finish().await;
}

#[tokio::test]
async fn a_restarted_partner_is_found_again() {
    let sender = Sender::start("").await;
    let address = sender.listener.local_addr().expect("it is bound");
    let Sender { destination, health, listener } = sender;
    drop(listener);
    for _ in 0..2 {
        let absent = soon("an attempt", destination.deliver(outbound("GONE"))).await;
        assert!(
            matches!(absent, Attempt::NotSent { code: codes::CONNECT_FAILED, .. }),
            "{absent:?}"
        );
    }
    assert_eq!(health.snapshot().state, LinkState::Down);
    let listener = TcpListener::bind(address).await.expect("the port is free");
    let sender = Sender { destination, health, listener };
    let delivery = sender.deliver("BACK");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.send(&acknowledgment("AA", "BACK")).await;
    assert_eq!(attempt(delivery).await, delivered("AA", "BACK"));
    let health = sender.health.snapshot();
    assert_eq!((health.state, health.problem), (LinkState::Up, None));
    sender.finish().await;
}

#[tokio::test]
async fn a_window_keeps_the_order_of_the_calls() {
    let sender = Sender::start("window: 16").await;
    assert_eq!(sender.destination.parallel().window, 16);
    let names: Vec<String> = (1..=16).map(|number| format!("W{number}")).collect();
    // The calls alone decide: the futures are polled in the opposite order.
    let calls: Vec<_> =
        names.iter().map(|name| sender.destination.deliver(outbound(name))).collect();
    let deliveries = tokio::spawn(join_all(calls.into_iter().rev()));
    let mut partner = sender.accept().await;
    for name in &names {
        assert_eq!(partner.frame().await, message(name));
    }
    // And answers may come in any order.
    for name in names.iter().rev() {
        partner.send(&acknowledgment("AA", name)).await;
    }
    let attempts = soon("the attempts", deliveries).await.expect("no panic");
    let expected: Vec<_> = names.iter().rev().map(|name| delivered("AA", name)).collect();
    assert_eq!(attempts, expected);
    sender.finish().await;
}

#[tokio::test]
async fn more_than_the_window_is_not_taken() {
    let sender = Sender::start("window: 2").await;
    let taken =
        [sender.destination.deliver(outbound("T1")), sender.destination.deliver(outbound("T2"))];
    let refused = soon("an attempt", sender.destination.deliver(outbound("T3"))).await;
    assert!(matches!(refused, Attempt::NotSent { code: codes::QUEUE_FULL, .. }), "{refused:?}");
    let taken = tokio::spawn(join_all(taken));
    let mut partner = sender.accept().await;
    for name in ["T1", "T2"] {
        partner.frame().await;
        partner.send(&acknowledgment("AA", name)).await;
    }
    soon("the attempts", taken).await.expect("no panic");
    sender.finish().await;
}

#[tokio::test]
async fn what_waits_behind_a_lost_message_does_not_overtake_it() {
    let sender = Sender::start("window: 3").await;
    let deliveries = ["L1", "L2", "L3"].map(|name| sender.destination.deliver(outbound(name)));
    let deliveries = tokio::spawn(join_all(deliveries));
    let mut partner = sender.accept().await;
    for _ in 0..3 {
        partner.frame().await;
    }
    partner.send(&acknowledgment("AA", "L2")).await;
    drop(partner);
    let attempts = soon("the attempts", deliveries).await.expect("no panic");
    match attempts.as_slice() {
        [
            Attempt::Interrupted { code: codes::CONNECTION_LOST, .. },
            second,
            Attempt::Interrupted { code: codes::CONNECTION_LOST, .. },
        ] => assert_eq!(*second, delivered("AA", "L2")),
        other => panic!("{other:?}"),
    }
    sender.finish().await;
}

#[tokio::test]
async fn connections_work_side_by_side() {
    let sender = Sender::start("connections: 3").await;
    let deliveries: Vec<_> = ["A", "B", "C"].map(|name| sender.deliver(name)).into();
    let mut partners = Vec::new();
    for _ in 0..3 {
        partners.push(sender.accept().await);
    }
    for mut partner in partners {
        let id = control_id(&partner.frame().await);
        partner.send(&acknowledgment("AA", &id)).await;
    }
    for delivery in deliveries {
        assert!(matches!(attempt(delivery).await, Attempt::Delivered { .. }));
    }
    sender.finish().await;
}

#[tokio::test]
async fn a_partner_that_never_answers_needs_none() {
    let sender = Sender::start("acknowledgment: none").await;
    let first = sender.deliver("QUIET");
    let mut partner = sender.accept().await;
    assert_eq!(attempt(first).await, Attempt::Delivered { reply: None });
    // What it says nevertheless is not heard.
    partner.send(b"thanks").await;
    assert_eq!(
        attempt(sender.deliver_bytes("no HL7".into())).await,
        Attempt::Delivered { reply: None }
    );
    assert_eq!(partner.frame().await, message("QUIET"));
    assert_eq!(partner.frame().await, "no HL7");
    sender.finish().await;
}

#[tokio::test]
async fn any_answer_will_do_where_that_is_configured() {
    let sender = Sender::start("acknowledgment: any").await;
    let delivery = sender.deliver("MINE");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.send(&acknowledgment("AA", "1")).await;
    assert_eq!(attempt(delivery).await, delivered("AA", "1"));
    sender.finish().await;
}

#[tokio::test]
async fn the_application_acknowledgment_is_waited_for() {
    let sender = Sender::start("await_application: true, window: 2").await;
    let deliveries = ["E1", "E2"].map(|name| sender.destination.deliver(outbound(name)));
    let mut deliveries = tokio::spawn(join_all(deliveries));
    let mut partner = sender.accept().await;
    for name in ["E1", "E2"] {
        partner.frame().await;
        partner.send(&acknowledgment("CA", name)).await;
    }
    not_yet("an attempt", &mut deliveries).await;
    partner.send(&acknowledgment("AE", "E2")).await;
    partner.send(&acknowledgment("AA", "E1")).await;
    let attempts = soon("the attempts", deliveries).await.expect("no panic");
    assert_eq!(attempts.first(), Some(&delivered("AA", "E1")));
    assert!(
        matches!(attempts.get(1), Some(Attempt::Refused { answer, .. }) if answer.name == "AE")
    );
    sender.finish().await;
}

#[tokio::test]
async fn an_application_that_refuses_what_was_committed_is_shown() {
    let sender = Sender::start("").await;
    let mut partner = None;
    for name in ["TAKEN", "REFUSED"] {
        let delivery = sender.deliver(name);
        if partner.is_none() {
            partner = Some(sender.accept().await);
        }
        let partner = partner.as_mut().expect("it is connected");
        partner.frame().await;
        partner.send(&acknowledgment("CA", name)).await;
        assert_eq!(attempt(delivery).await, delivered("CA", name));
    }
    let mut partner = partner.expect("it is connected");
    partner.send(&acknowledgment("AA", "TAKEN")).await;
    partner.send(&acknowledgment("AE", "REFUSED")).await;
    problem(&sender.health, codes::APPLICATION_REFUSED).await;
    assert_eq!(sender.health.snapshot().connections_total, 1);
    sender.finish().await;
}

#[tokio::test]
async fn a_partner_out_of_step_is_told_to_begin_anew_once() {
    let numbered = |number| Outbound { number: Some(number), ..outbound("ONE") };
    let sequence = |frame: &[u8]| {
        let header = pipehat_message::Header::read(frame).expect("a header");
        String::from_utf8_lossy(header.sequence_number()).into_owned()
    };
    let answer = |code: &str, id: &str, number: &str| {
        Bytes::from(format!("MSH|^~\\&|||||||ACK|R|P|2.5.1\rMSA|{code}|{id}||{number}\r"))
    };
    let sender = Sender::start("sequence_numbers: true, out_of_step: resynchronize").await;
    assert!(sender.destination.is_numbered());
    let delivery = tokio::spawn(sender.destination.deliver(numbered(5)));
    let mut partner = sender.accept().await;
    assert_eq!(sequence(&partner.frame().await), "5");
    partner.send(&answer("AR", "ONE", "9")).await;
    let told = partner.frame().await;
    assert_eq!((sequence(&told), control_id(&told)), ("-1".to_owned(), "ONE-R".to_owned()));
    partner.send(&answer("AA", "ONE-R", "-1")).await;
    assert_eq!(sequence(&partner.frame().await), "5", "the same message again");
    // A partner that does not follow is not told again and again.
    partner.send(&answer("AR", "ONE", "9")).await;
    match attempt(delivery).await {
        Attempt::NotSent { code, detail } => {
            assert_eq!(code, codes::OUT_OF_STEP);
            assert!(detail.contains("expects 9") && detail.contains("the next is 5"), "{detail}");
        }
        other => panic!("nothing more is sent: {other:?}"),
    }
    let delivery = tokio::spawn(sender.destination.deliver(numbered(5)));
    assert_eq!(sequence(&partner.frame().await), "5");
    partner.send(&answer("AA", "ONE", "5")).await;
    assert!(matches!(attempt(delivery).await, Attempt::Delivered { .. }));
    sender.finish().await;
}

#[tokio::test]
async fn commit_bytes_decide_where_they_are_configured() {
    let sender = Sender::start("commit_bytes: true, acknowledgment: none").await;
    let mut delivery = sender.deliver("KEPT");
    let mut partner = sender.accept().await;
    partner.frame().await;
    not_yet("an attempt", &mut delivery).await;
    partner.write(&[0x0B, 0x06, 0x1C, 0x0D]).await;
    assert_eq!(attempt(delivery).await, Attempt::Delivered { reply: None });
    let delivery = sender.deliver("NOT");
    partner.frame().await;
    partner.write(&[0x0B, 0x15, 0x1C, 0x0D]).await;
    let refused = attempt(delivery).await;
    assert!(matches!(refused, Attempt::Refused { answer, .. } if answer.name == "NAK"), "a NAK");
    sender.finish().await;

    let sender = Sender::start("commit_bytes: true").await;
    let delivery = sender.deliver("BOTH");
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.write(&[0x0B, 0x06, 0x1C, 0x0D]).await;
    partner.send(&acknowledgment("AA", "BOTH")).await;
    assert_eq!(attempt(delivery).await, delivered("AA", "BOTH"));
    // The acknowledgment itself is confirmed.
    assert_eq!(partner.event().await, Some(pipehat_message::mllp::Event::CommitAck));
    sender.finish().await;
}

#[tokio::test]
async fn what_can_never_be_sent_is_said_at_once() {
    let sender = Sender::start("message_bytes_max: 1KiB").await;
    let header = "MSH|^~\\&|A|B|C|D|2026||ADT^A01|";
    let at_limit = format!("{header}ID|P|2.5\r{}", "x".repeat(1024 - header.len() - 9));
    assert_eq!(at_limit.len(), 1024);
    for (bytes, expected) in [
        (format!("{at_limit}x"), codes::FRAME_TOO_LONG),
        (format!("{header}ID|P|2.5\rNTE|1||a\x1Cb\r"), codes::NOT_FRAMEABLE),
        (format!("{header}|P|2.5\r"), codes::CONTROL_ID_MISSING),
        ("no HL7".to_owned(), codes::CONTROL_ID_MISSING),
    ] {
        match attempt(sender.deliver_bytes(bytes.into())).await {
            Attempt::Impossible { code, .. } => assert_eq!(code, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    let delivery = sender.deliver_bytes(at_limit.into());
    let mut partner = sender.accept().await;
    partner.frame().await;
    partner.send(&acknowledgment("AA", "ID")).await;
    assert_eq!(attempt(delivery).await, delivered("AA", "ID"));
    sender.finish().await;
}

#[tokio::test]
async fn a_long_message_arrives_whole_and_is_not_timed_while_it_is_written() {
    let sender = Sender::start("ack_timeout: 1s").await;
    let long = Bytes::from([&message("LONG")[..], &vec![b'x'; 20_000_000]].concat());
    let delivery = sender.deliver_bytes(long.clone());
    let mut partner = sender.accept().await;
    assert_eq!(partner.frame().await, long);
    partner.send(&acknowledgment("AA", "LONG")).await;
    assert_eq!(attempt(delivery).await, delivered("AA", "LONG"));
    sender.finish().await;
}

#[tokio::test]
async fn a_partner_that_takes_no_bytes_is_given_up() {
    let sender = Sender::start("write_timeout: 50ms").await;
    let delivery =
        sender.deliver_bytes([&message("STUCK")[..], &vec![b'x'; 40_000_000]].concat().into());
    let partner = sender.accept().await;
    assert_eq!(interrupted(delivery).await, (codes::PEER_NOT_READING, None));
    drop(partner);
    sender.finish().await;
}

#[tokio::test]
async fn an_attempt_that_nobody_waits_for_harms_no_other() {
    let sender = Sender::start("").await;
    let abandoned = sender.deliver("ABANDONED");
    let mut partner = sender.accept().await;
    partner.frame().await;
    abandoned.abort();
    let _ = abandoned.await;
    partner.send(&acknowledgment("AA", "ABANDONED")).await;
    // Its place in the window is free when its answer has come.
    let read = eventually(|| (sender.health.snapshot().bytes_in > 0).then_some(()));
    soon("the answer", read).await;
    let next = sender.deliver("NEXT");
    assert_eq!(partner.frame().await, message("NEXT"));
    partner.send(&acknowledgment("AA", "NEXT")).await;
    assert_eq!(attempt(next).await, delivered("AA", "NEXT"));
    sender.finish().await;
}

#[tokio::test]
async fn a_closed_destination_sends_nothing() {
    let sender = Sender::start("").await;
    soon("close", sender.destination.close()).await;
    let refused = attempt(sender.deliver("LATE")).await;
    assert!(matches!(refused, Attempt::NotSent { code: codes::CLOSED, .. }), "{refused:?}");
    soon("close again", sender.destination.close()).await;
}
