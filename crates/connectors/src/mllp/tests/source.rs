//! A source and its partners.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use pipehat_message::mllp::Event;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::ReceiptOutcome;
use crate::contract::{FakeEngine, Gate, message, not_yet, soon};
use crate::mllp::codes;
use crate::mllp::config::{SOURCE, source_rules};
use crate::mllp::conversation::Conversation;
use crate::mllp::tests::{Partner, Receiver, acknowledgment, control_id, frame, problem, reply};
use crate::tls::testing::{Project, settings};

#[tokio::test]
async fn pipelined_messages_are_taken_and_answered_in_order() {
    let receiver = Receiver::start("").await;
    receiver.engine.receipts(Gate::Shut);
    let mut partner = receiver.connect().await;
    let names: Vec<String> = (1..=200).map(|number| format!("P{number}")).collect();
    let all: Vec<u8> = names.iter().flat_map(|name| frame(&message(name))).collect();
    partner.write(&all).await;
    // As many as may be under way are taken before the first is answered, and no more.
    receiver.engine.given(64).await;
    not_yet("a message beyond the limit", receiver.engine.given(65)).await;
    receiver.engine.receipts(Gate::Open);
    for name in &names {
        partner.expect("AA", name).await;
    }
    let taken: Vec<String> = receiver.engine.payloads().iter().map(|one| control_id(one)).collect();
    assert_eq!(taken, names);
    receiver.finish().await;
}

/// Counts the writes of a stream.
struct Counted {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[tokio::test]
async fn replies_that_are_ready_together_leave_in_one_write() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Counted { stream: near, writes: writes.clone() };
    let settings = settings("{ listen: 127.0.0.1:0 }", SOURCE);
    let mut diagnostics = pipehat_config::Diagnostics::new();
    let rules = source_rules(&settings, &Project::empty().context(), &mut diagnostics);
    let rules = Arc::new(rules.expect("valid settings"));
    let engine = FakeEngine::new(reply).shared();
    let (health, stop) = (Arc::default(), CancellationToken::new());
    let peer = crate::Peer::default();
    let conversation =
        Conversation::new(counted, rules, engine.clone(), health, peer, stop.clone());
    let run = tokio::spawn(conversation.run());

    engine.receipts(Gate::Shut);
    let mut partner = Partner::new(far);
    let names: Vec<String> = (1..=30).map(|number| format!("T{number}")).collect();
    for name in &names {
        partner.send(&message(name)).await;
    }
    engine.given(30).await;
    assert_eq!(writes.load(Ordering::Relaxed), 0);
    engine.receipts(Gate::Open);
    for name in &names {
        partner.expect("AA", name).await;
    }
    assert_eq!(writes.load(Ordering::Relaxed), 1);
    stop.cancel();
    drop(partner);
    soon("the end", run).await.expect("no panic");
}

#[tokio::test]
async fn however_the_bytes_are_split_the_messages_are_the_same() {
    let receiver = Receiver::start("").await;
    let mut partner = receiver.connect().await;
    let bytes = [frame(&message("S1")), frame(&message("S2"))].concat();
    for byte in bytes.chunks(1) {
        partner.write(byte).await;
        tokio::task::yield_now().await;
    }
    partner.expect("AA", "S1").await;
    partner.expect("AA", "S2").await;
    assert_eq!(receiver.engine.payloads(), [message("S1"), message("S2")]);
    receiver.finish().await;
}

#[tokio::test]
async fn a_message_at_the_limit_is_taken_and_one_past_it_is_refused() {
    let receiver = Receiver::start("message_bytes_max: 200B").await;
    let mut partner = receiver.connect().await;
    let mut longest = message("LONGEST").to_vec();
    longest.resize(200, b' ');
    partner.send(&longest).await;
    partner.expect("AA", "LONGEST").await;

    let mut too_long = message("TOOLONG").to_vec();
    too_long.resize(201, b' ');
    partner.send(&too_long).await;
    let refusal = partner.frame().await;
    let refusal = String::from_utf8(refusal.to_vec()).expect("ASCII");
    assert!(refusal.contains("MSA|AR|TOOLONG|"), "{refusal}");
    receiver.problem(codes::FRAME_TOO_LONG).await;

    partner.send(&message("AFTER")).await;
    partner.expect("AA", "AFTER").await;
    assert_eq!(receiver.engine.payloads(), [Bytes::from(longest), message("AFTER")]);
    receiver.finish().await;
}

#[tokio::test]
async fn a_refusal_keeps_its_place_among_the_replies() {
    let receiver = Receiver::start("message_bytes_max: 200B").await;
    receiver.engine.receipts(Gate::Shut);
    let mut partner = receiver.connect().await;
    let too_long = [&message("BIG")[..], &[b' '; 300]].concat();
    partner.write(&[frame(&message("A")), frame(&too_long), frame(&message("B"))].concat()).await;
    receiver.engine.given(2).await;
    receiver.engine.receipts(Gate::Open);
    partner.expect("AA", "A").await;
    assert!(partner.frame().await.windows(9).any(|part| part == b"MSA|AR|BI"));
    partner.expect("AA", "B").await;
    receiver.finish().await;
}

#[tokio::test]
async fn garbage_is_skipped_and_reported() {
    let receiver = Receiver::start("").await;
    let mut partner = receiver.connect().await;
    partner.write(b"GET / HTTP/1.1\r\n\r\n").await;
    partner.send(&message("G")).await;
    partner.expect("AA", "G").await;
    let problems = receiver.health.snapshot().problems;
    assert_eq!(problems, 1);
    receiver.finish().await;
}

#[tokio::test]
async fn a_partner_that_sends_nothing_but_garbage_is_closed() {
    let receiver = Receiver::start("").await;
    let mut partner = receiver.connect().await;
    // It may be closed before all is written.
    let _ = partner.stream.write_all(&vec![b'x'; 64 * 1024]).await;
    partner.expect_end().await;
    receiver.problem(codes::GARBAGE_RECEIVED).await;

    // One byte less, and it is not.
    let mut partner = receiver.connect().await;
    partner.write(&vec![b'x'; 64 * 1024 - 1]).await;
    partner.send(&message("G")).await;
    partner.expect("AA", "G").await;
    receiver.finish().await;
}

#[tokio::test]
async fn a_message_that_is_not_ended_is_dropped_for_the_next() {
    let receiver = Receiver::start("").await;
    let mut partner = receiver.connect().await;
    let unterminated = [&[0x0B][..], &message("LOST")].concat();
    partner.write(&unterminated).await;
    partner.send(&message("NEXT")).await;
    partner.expect("AA", "NEXT").await;
    assert_eq!(receiver.engine.payloads(), [message("NEXT")]);
    // A lone start block inside a message is data.
    let with_block = [&message("DATA")[..], b"NTE|1||page\x0Bbreak\r"].concat();
    partner.send(&with_block).await;
    partner.expect("AA", "DATA").await;
    assert_eq!(receiver.engine.payloads(), [message("NEXT"), with_block.into()]);
    receiver.finish().await;
}

#[tokio::test]
async fn half_a_message_is_reported_and_never_kept() {
    let receiver = Receiver::start("").await;
    let mut partner = receiver.connect().await;
    partner.send(&message("WHOLE")).await;
    let half = frame(&message("HALF"));
    partner.write(half.get(..half.len() - 2).expect("it is longer")).await;
    partner.stream.shutdown().await.expect("it is open");
    // The input is closed; the reply still comes.
    partner.expect("AA", "WHOLE").await;
    partner.expect_end().await;
    receiver.problem(codes::FRAME_INCOMPLETE).await;
    assert_eq!(receiver.engine.payloads(), [message("WHOLE")]);
    receiver.finish().await;
}

#[tokio::test]
async fn a_partner_that_has_closed_its_side_gets_its_replies() {
    let receiver = Receiver::start("").await;
    receiver.engine.receipts(Gate::Shut);
    let mut partner = receiver.connect().await;
    partner.write(&[frame(&message("H1")), frame(&message("H2"))].concat()).await;
    partner.stream.shutdown().await.expect("it is open");
    receiver.engine.given(2).await;
    receiver.engine.receipts(Gate::Open);
    partner.expect("AA", "H1").await;
    partner.expect("AA", "H2").await;
    partner.expect_end().await;
    receiver.finish().await;
}

#[tokio::test]
async fn messages_of_a_partner_that_never_reads_are_kept() {
    let receiver = Receiver::start("").await;
    let mut partner = receiver.connect().await;
    for name in ["N1", "N2", "N3"] {
        partner.send(&message(name)).await;
    }
    drop(partner);
    receiver.engine.given(3).await;
    receiver.finish().await;
}

#[tokio::test]
async fn bytes_are_not_read_while_the_engine_is_full() {
    let receiver = Receiver::start("").await;
    receiver.engine.admissions(Gate::Shut);
    let mut partner = receiver.connect().await;
    partner.stream.set_nodelay(true).expect("an option");
    // Far more than the buffers of the system hold.
    let flood = frame(&message("F")).repeat(200_000);
    not_yet("all of it", partner.stream.write_all(&flood)).await;
    let read = receiver.health.snapshot().bytes_in;
    assert!(read <= 1024 * 1024, "{read} bytes were read");
    assert!(receiver.engine.payloads().is_empty());
    receiver.finish().await;
}

#[tokio::test]
async fn a_long_message_asks_for_room_before_it_is_all_read() {
    let receiver = Receiver::start("message_bytes_max: 8MiB").await;
    receiver.engine.admissions(Gate::Shut);
    let partner = receiver.connect().await;
    let long = [&message("LONG")[..], &vec![b'x'; 8_000_000]].concat();
    let (reading, mut writing) = tokio::io::split(partner.stream);
    let framed = frame(&long);
    let writer = tokio::spawn(async move { writing.write_all(&framed).await });
    not_yet("the message", receiver.engine.given(1)).await;
    let read = receiver.health.snapshot().bytes_in;
    assert!(read < 1024 * 1024, "{read} bytes were read");
    receiver.engine.admissions(Gate::Open);
    let inbound = receiver.engine.given(1).await;
    assert!(inbound.iter().all(|one| one.bytes == long));
    soon("the write", writer).await.expect("no panic").expect("the connection is open");
    drop(reading);
    receiver.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_when_that_is_wanted() {
    let receiver = Receiver::start("idle_timeout: 10s").await;
    let mut partner = receiver.connect().await;
    partner.send(&message("I")).await;
    partner.expect("AA", "I").await;
    let before = tokio::time::Instant::now();
    assert_eq!(partner.decoder.next(), None);
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut partner.stream, &mut byte).await;
    assert_eq!(read.expect("a clean end"), 0);
    assert!(before.elapsed().as_secs() >= 9, "{:?}", before.elapsed());
    receiver.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_must_come_in_its_time() {
    let receiver = Receiver::start("frame_timeout: 10s").await;
    let mut partner = receiver.connect().await;
    // Time before the first byte does not count.
    tokio::time::advance(std::time::Duration::from_secs(100)).await;
    partner.write(b"\x0BMSH|^~\\&|").await;
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut partner.stream, &mut byte).await;
    assert!(matches!(read, Ok(0) | Err(_)), "closed");
    problem(&receiver.health, codes::FRAME_INCOMPLETE).await;
    assert!(receiver.engine.payloads().is_empty());
    receiver.finish().await;
}

#[tokio::test]
async fn a_partner_that_does_not_read_is_closed() {
    let big = Bytes::from(vec![b'x'; 4 * 1024 * 1024]);
    let engine = FakeEngine::new(move |_, _| Some(big.clone()));
    let receiver = Receiver::start_with("write_timeout: 50ms", &Project::empty(), engine).await;
    let mut partner = receiver.connect().await;
    for name in ["R1", "R2", "R3", "R4"] {
        partner.send(&message(name)).await;
    }
    receiver.problem(codes::PEER_NOT_READING).await;
    receiver.finish().await;
}

#[tokio::test]
async fn only_allowed_addresses_get_in() {
    let receiver = Receiver::start("allow: [10.0.0.0/8, 192.168.1.7]").await;
    receiver.connect().await.expect_end().await;
    receiver.problem(codes::PEER_NOT_ALLOWED).await;
    receiver.finish().await;

    let receiver = Receiver::start("allow: [10.0.0.0/8, 127.0.0.1]").await;
    let mut partner = receiver.connect().await;
    partner.send(&message("ALLOWED")).await;
    partner.expect("AA", "ALLOWED").await;
    receiver.finish().await;
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away() {
    let receiver = Receiver::start("connections_max: 2").await;
    let mut partners = Vec::new();
    for name in ["C1", "C2"] {
        let mut partner = receiver.connect().await;
        partner.send(&message(name)).await;
        partner.expect("AA", name).await;
        partners.push(partner);
    }
    receiver.connect().await.expect_end().await;
    receiver.problem(codes::CONNECTIONS_EXCEEDED).await;
    // When one leaves, another may come.
    drop(partners.pop());
    let there_is_room =
        super::eventually(|| (receiver.health.snapshot().connections < 2).then_some(()));
    soon("room", there_is_room).await;
    let mut partner = receiver.connect().await;
    partner.send(&message("C3")).await;
    partner.expect("AA", "C3").await;
    receiver.finish().await;
}

#[tokio::test]
async fn the_same_port_is_taken_again_at_once() {
    let receiver = Receiver::start("").await;
    let address = receiver.address.clone();
    let mut partner = receiver.connect().await;
    partner.send(&message("BEFORE")).await;
    partner.expect("AA", "BEFORE").await;
    receiver.finish().await;
    // The connection of the former run is still in its last wait.
    let source = super::build_source(&format!("{{ listen: \"{address}\" }}"), &Project::empty());
    let bound = soon("bind", source.bind()).await.map(|bound| bound.address());
    assert_eq!(bound.map_err(|error| error.message), Ok(Some(address)));
    drop(partner);
}

#[tokio::test]
async fn two_hundred_connections_are_served() {
    let receiver = Receiver::start("").await;
    let mut partners = Vec::new();
    for _ in 0..200 {
        partners.push(receiver.connect().await);
    }
    for round in 0..3 {
        for (number, partner) in partners.iter_mut().enumerate() {
            partner.send(&message(&format!("M{round}-{number}"))).await;
        }
        for (number, partner) in partners.iter_mut().enumerate() {
            partner.expect("AA", &format!("M{round}-{number}")).await;
        }
    }
    assert_eq!(receiver.engine.payloads().len(), 600);
    assert_eq!(receiver.health.snapshot().connections, 200);
    receiver.finish().await;
}

#[tokio::test]
async fn stopping_answers_what_is_under_way_and_takes_nothing_more() {
    let receiver = Receiver::start("").await;
    receiver.engine.receipts(Gate::Shut);
    let mut partners = Vec::new();
    for number in 0..20 {
        let mut partner = receiver.connect().await;
        partner.send(&message(&format!("BEFORE{number}"))).await;
        partners.push(partner);
    }
    receiver.engine.given(20).await;
    receiver.stop.cancel();
    // The listener is closed first.
    let refused = super::eventually(|| {
        let connected = std::net::TcpStream::connect(&receiver.address);
        connected.is_err().then_some(())
    });
    soon("refusal", refused).await;
    for partner in &mut partners {
        let _ = partner.stream.write_all(&frame(&message("AFTER"))).await;
    }
    receiver.engine.receipts(Gate::Open);
    for (number, partner) in partners.iter_mut().enumerate() {
        partner.expect("AA", &format!("BEFORE{number}")).await;
        partner.expect_end().await;
    }
    assert_eq!(receiver.engine.payloads().len(), 20);
    receiver.finish().await;
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    let receiver = Receiver::start("").await;
    receiver.engine.receipts(Gate::Shut);
    let mut partner = receiver.connect().await;
    partner.send(&message("STUCK")).await;
    receiver.engine.given(1).await;
    receiver.stop.cancel();
    partner.expect_end().await;
    receiver.problem(codes::REPLY_UNDELIVERED).await;
    receiver.finish().await;
}

#[tokio::test]
async fn application_acknowledgments_follow_on_the_same_connection() {
    let release = Arc::new(Semaphore::new(0));
    let gate = release.clone();
    let engine =
        FakeEngine::new(|inbound, _| Some(acknowledgment("CA", &control_id(&inbound.bytes))))
            .with_later(move |inbound| {
                let (gate, id) = (gate.clone(), control_id(&inbound.bytes));
                let later = async move {
                    gate.acquire().await.expect("it is never closed").forget();
                    (id != "E2").then(|| acknowledgment("AA", &id))
                };
                Some(later.boxed())
            });
    let receiver = Receiver::start_with("", &Project::empty(), engine).await;
    let mut partner = receiver.connect().await;
    for name in ["E1", "E2", "E3"] {
        partner.send(&message(name)).await;
        partner.expect("CA", name).await;
    }
    release.add_permits(3);
    let mut later = [partner.frame().await, partner.frame().await];
    later.sort();
    assert_eq!(later, [acknowledgment("AA", "E1"), acknowledgment("AA", "E3")]);
    receiver.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_partner_that_has_closed_is_not_held_for_an_application_acknowledgment() {
    let engine =
        FakeEngine::new(reply).with_later(|_| Some(futures_util::future::pending().boxed()));
    let receiver = Receiver::start_with("", &Project::empty(), engine).await;
    let mut partner = receiver.connect().await;
    partner.send(&message("GONE")).await;
    partner.stream.shutdown().await.expect("it is open");
    partner.expect("AA", "GONE").await;
    partner.expect_end().await;
    receiver.finish().await;
}

#[tokio::test]
async fn commit_bytes_say_what_became_of_each_message() {
    let receiver = Receiver::start("commit_bytes: true, message_bytes_max: 300B").await;
    let mut partner = receiver.connect().await;
    partner.send(&message("KEPT")).await;
    assert_eq!(partner.event().await, Some(Event::CommitAck));
    partner.expect("AA", "KEPT").await;
    // The partner keeps our reply, and says so.
    partner.write(&[0x0B, 0x06, 0x1C, 0x0D]).await;
    receiver.engine.outcome(ReceiptOutcome::Busy);
    partner.send(&message("BUSY")).await;
    assert_eq!(partner.event().await, Some(Event::CommitNak));
    partner.send(&[b'x'; 301]).await;
    assert_eq!(partner.event().await, Some(Event::CommitNak));
    receiver.engine.outcome(ReceiptOutcome::Kept);
    partner.send(&message("AGAIN")).await;
    assert_eq!(partner.event().await, Some(Event::CommitAck));
    partner.expect("AA", "AGAIN").await;
    receiver.finish().await;
}

#[tokio::test]
async fn without_replies_nothing_is_written() {
    let engine = FakeEngine::new(|_, _| None);
    let receiver = Receiver::start_with("", &Project::empty(), engine).await;
    let mut partner = receiver.connect().await;
    partner.send(&message("SILENT")).await;
    receiver.engine.given(1).await;
    partner.stream.shutdown().await.expect("it is open");
    partner.expect_end().await;
    assert_eq!(receiver.health.snapshot().bytes_out, 0);
    receiver.finish().await;
}

#[tokio::test]
async fn a_long_reply_arrives_whole() {
    let long = Bytes::from([&acknowledgment("AA", "Q")[..], &vec![b'y'; 3_000_000]].concat());
    let expected = long.clone();
    let engine = FakeEngine::new(move |inbound, outcome| {
        if control_id(&inbound.bytes) == "Q" { Some(long.clone()) } else { reply(inbound, outcome) }
    });
    let receiver = Receiver::start_with("", &Project::empty(), engine).await;
    let mut partner = receiver.connect().await;
    partner.write(&[frame(&message("Q")), frame(&message("SHORT"))].concat()).await;
    assert_eq!(partner.frame().await, expected);
    partner.expect("AA", "SHORT").await;
    receiver.finish().await;
}

#[tokio::test]
async fn the_peer_is_known_by_its_address() {
    let receiver = Receiver::start("").await;
    let mut partner = receiver.connect().await;
    let own = partner.stream.local_addr().expect("it is connected");
    partner.send(&message("WHO")).await;
    let inbound = receiver.engine.given(1).await;
    let peer = inbound.first().map(|inbound| inbound.peer.as_ref().clone()).expect("one");
    assert_eq!((peer.address, peer.identity), (Some(own), None));
    drop::<Partner<_>>(partner);
    receiver.finish().await;
}
