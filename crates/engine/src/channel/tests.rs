//! What happens to messages when things happen at the wrong moment.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pipehat_connectors::{
    Answer, Attempt, ChangeKind, Destination, LinkState, OnRefusal, ReceiptOutcome, ResourceChange,
};
use pipehat_journal::{AppendError, Journal, Position};

use crate::decisions::Deciding;
use crate::names::MessageId;
use crate::testing::{Defective, TestEngine, TestSource, destination, message, project, within};

const ONE: &str = "destinations: { out: { mllp: { connect: 127.0.0.1:1 } } }\n";

static REFUSED: Answer =
    Answer { name: "AE", class: None, default: OnRefusal::Park, doc: "It can't be taken." };

fn who() -> Deciding {
    Deciding { by: "test".to_owned(), reason: "a test".to_owned() }
}

fn park() -> Attempt {
    Attempt::Impossible { code: "test.impossible", detail: "it can't be".to_owned() }
}

/// The ids of the channel's messages in the order they were received.
fn messages(engine: &TestEngine) -> Vec<MessageId> {
    let records = engine.engine.log().heads(Position::FIRST);
    let received = records.filter_map(|entry| match entry.expect("a record") {
        (position, crate::record::Record::Received(_)) => Some(MessageId(position)),
        _ => None,
    });
    received.collect()
}

#[tokio::test]
async fn what_is_filtered_holds_no_lane_where_failures_do() {
    for on_failure in ["stop", "retry"] {
        let source = TestSource::default();
        let (out, mut calls) = destination(1, 1);
        let rest = format!("on_failure: {on_failure}\naccept: PID-3.1 = \"two\"\n{ONE}");
        let engine = TestEngine::start(&project(&rest, &source, &[("out", &out)])).await;
        source.receive(message("one")).await;
        source.receive(message("two")).await;
        calls.next().await.deliver();
        engine.until(|status| status.counters.delivered == 1).await;
        engine.until(|status| status.counters.filtered == 1 && status.blocked.is_empty()).await;
    }
}

#[tokio::test]
async fn a_delivery_released_twice_at_once_is_sent_once_more() {
    let source = TestSource::default();
    let (out, mut calls) = destination(1, 1);
    let engine = TestEngine::start(&project(ONE, &source, &[("out", &out)])).await;
    source.receive(message("one")).await;
    calls.next().await.answer(park());
    engine.until(|status| status.counters.parked == 1).await;
    let one = messages(&engine)[0];
    let who = who();
    let (first, second) =
        tokio::join!(engine.engine.release(one, &who), engine.engine.release(one, &who));
    assert_eq!([first.is_ok(), second.is_ok()].iter().filter(|done| **done).count(), 1);
    let again = calls.next().await;
    assert_eq!(again.outbound.message, one.0.get());
    again.deliver();
    engine.until(|status| status.counters.delivered == 1).await;
    assert!(calls.is_quiet().await);
    source.receive(message("two")).await;
    calls.next().await.deliver();
    engine.until(|status| status.counters.delivered == 2).await;
    assert!(engine.holds());
}

#[tokio::test]
async fn a_message_processed_again_twice_at_once_is_processed_once_more() {
    let source = TestSource::default();
    let (out, _calls) = destination(1, 1);
    let rest =
        format!("steps: [ {{ when: PID-1 exists, do: [ {{ park: look at it }} ] }} ]\n{ONE}");
    let engine = TestEngine::start(&project(&rest, &source, &[("out", &out)])).await;
    source.receive(message("one")).await;
    engine.until(|status| status.counters.parked == 1).await;
    let one = messages(&engine)[0];
    let who = who();
    let (first, second) =
        tokio::join!(engine.engine.release(one, &who), engine.engine.discard(one, &who));
    assert_eq!([first.is_ok(), second.is_ok()].iter().filter(|done| **done).count(), 1);
    engine.until(|status| status.counters.in_flight() == 0).await;
    assert!(engine.holds());
}

#[tokio::test]
async fn what_is_routed_to_a_destination_just_taken_away_is_parked() {
    let source = TestSource::default();
    let (out, mut calls) = destination(1, 1);
    let two = "destinations:\n  out: { mllp: { connect: 127.0.0.1:1 } }\n  gone: { mllp: { connect: 127.0.0.1:2 } }\n";
    let (gone, mut gone_calls) = destination(1, 1);
    let before = project(two, &source, &[("out", &out), ("gone", &gone)]);
    let after = project(ONE, &source, &[("out", &out)]);
    let engine = TestEngine::start(&before).await;
    source.receive(message("one")).await;
    engine.until(|status| status.counters.in_flight() == 1).await;
    gone_calls.next().await.deliver();
    calls.next().await.deliver();
    engine.until(|status| status.counters.delivered == 1).await;

    // Its outputs are known and not yet durable when the destination is taken away.
    drop(source.send(message("two")).await);
    until_durable(&engine);
    engine.journal.hold();
    engine.engine.apply(&after, "test").await.expect("it applies");
    assert!(engine.journal.waiting() > 0);
    engine.journal.release();
    calls.next().await.deliver();
    engine.until(|status| status.counters.parked == 1).await;
    assert!(engine.holds());
}

/// Waits for the journal on its own thread; nothing of the engine runs meanwhile.
fn until_durable(engine: &TestEngine) {
    while engine.journal.statistics().waiting_bytes > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The answer itself follows the release of what waited.
    std::thread::sleep(Duration::from_millis(20));
}

/// Killed between the two, the first alone would be sent again, after the second.
#[tokio::test]
async fn the_end_of_a_delivery_does_not_overtake_one_that_a_full_disk_refused() {
    let source = TestSource::default();
    let (out, mut calls) = destination(1, 1);
    let engine = TestEngine::start(&project(ONE, &source, &[("out", &out)])).await;
    source.receive(message("one")).await;
    source.receive(message("two")).await;
    let first = calls.next().await;
    // Both outcomes are in the journal: nothing but ends of deliveries is held back.
    engine.until(|status| status.counters.received == 2 && status.unprocessed == 0).await;
    engine.journal.hold();
    first.deliver();
    let second = calls.next().await;
    assert_eq!(engine.journal.waiting(), 1);
    engine.journal.memory.fail_with(Some(AppendError::DiskFull));
    engine.journal.release();
    until_durable(&engine);
    engine.journal.memory.fail_with(None);
    second.deliver();
    engine.until(|status| status.counters.delivered == 2).await;
    let settled = engine.engine.log().heads(Position::FIRST).filter_map(|entry| {
        match entry.expect("a record").1 {
            crate::record::Record::Settled(settled) => Some(settled.message),
            _ => None,
        }
    });
    assert_eq!(settled.collect::<Vec<_>>(), messages(&engine));
    assert!(engine.holds());
}

#[tokio::test]
async fn a_connector_that_panics_on_a_message_parks_it_and_sends_the_next() {
    let source = TestSource::default();
    // Position 1 is the channel's configuration.
    let out: Arc<dyn Destination> = Arc::new(Defective { message: 2, from_the_start: false });
    let engine = TestEngine::start(&project(ONE, &source, &[("out", &out)])).await;
    source.receive(message("one")).await;
    source.receive(message("two")).await;
    engine.until(|status| status.counters.parked == 1 && status.counters.delivered == 1).await;
    assert!(engine.holds());
}

#[tokio::test]
async fn a_channel_that_fails_refuses_and_is_seen_and_goes_on_at_the_next_start() {
    let source = TestSource::default();
    let (out, mut calls) = destination(1, 1);
    let waits = format!("reply: processed\n{ONE}");
    let sound = project(&waits, &source, &[("out", &out)]);
    let defective: Arc<dyn Destination> = Arc::new(Defective { message: 0, from_the_start: true });
    let other = "reply: processed\ndestinations: { out: { mllp: { connect: 127.0.0.1:3 } } }\n";
    let broken = project(other, &source, &[("out", &defective)]);
    let engine = TestEngine::start(&sound).await;
    source.receive(message("one")).await;
    let _unanswered = calls.next().await;
    engine.engine.checkpoint().await.expect("it is written");
    // A sender waits for the outcome when its channel fails.
    let receipt = source.send(message("two")).await;
    until_durable(&engine);
    engine.journal.hold();
    engine.engine.apply(&broken, "test").await.expect("it applies");
    engine.journal.release();
    let told = within(receipt).await;
    assert_eq!(told.outcome, ReceiptOutcome::Busy);
    assert!(told.reply.is_some_and(|reply| reply.windows(7).any(|found| found == b"MSA|AR|")));
    engine.until(|status| status.failed).await;
    let refused = source.receive(message("three")).await;
    assert_eq!(refused.outcome, ReceiptOutcome::Busy);
    assert!(refused.reply.is_some_and(|reply| reply.windows(7).any(|found| found == b"MSA|AR|")));
    // The books of the others are written, and its own from where the next start goes on.
    engine.engine.checkpoint().await.expect("it is written");

    let engine = engine.start_again(&sound).await;
    let mut delivered = 0;
    while delivered < 2 {
        calls.next().await.deliver();
        delivered += 1;
    }
    engine.until(|status| status.counters.delivered == 2 && !status.failed).await;
    assert!(engine.holds());
}

#[tokio::test]
async fn who_waits_gets_the_answer_of_the_reply_mode_it_came_under() {
    let source = TestSource::default();
    let (out, mut calls) = destination(1, 1);
    let delivered = format!("reply: {{ mode: delivered, from: out }}\n{ONE}");
    let before = project(&delivered, &source, &[("out", &out)]);
    let after = project(ONE, &source, &[("out", &out)]);
    let engine = TestEngine::start(&before).await;
    let receipt = source.send(message("one")).await;
    let call = calls.next().await;
    engine.engine.apply(&after, "test").await.expect("it applies");
    call.deliver();
    let receipt = within(receipt).await;
    assert_eq!(receipt.outcome, ReceiptOutcome::Kept);
    assert!(receipt.reply.is_some());
}

#[tokio::test]
async fn what_is_no_hl7_becomes_an_acknowledgment_of_the_outcome() {
    let source = TestSource::default();
    let (out, mut calls) = destination(1, 1);
    let delivered = format!("reply: {{ mode: delivered, from: out }}\n{ONE}");
    let _engine = TestEngine::start(&project(&delivered, &source, &[("out", &out)])).await;
    let json = Some(Bytes::from_static(br#"{"resourceType":"Bundle"}"#));
    let outcome = br#"{"resourceType":"OperationOutcome"}"#;
    let answer = &REFUSED;
    let refused =
        Attempt::Refused { code: "test.refused", answer, reply: Some(Bytes::from_static(outcome)) };
    let ack = Some(Bytes::from_static(b"MSH|^~\\&|||||||ACK|9|P|2.5.1\rMSA|AA|three|theirs\r"));
    for (name, attempt, said) in [
        ("one", Attempt::Delivered { reply: json }, "MSA|AA|one"),
        ("two", refused, "MSA|AE|two"),
        ("three", Attempt::Delivered { reply: ack }, "MSA|AA|three|theirs"),
    ] {
        let receipt = source.send(message(name)).await;
        calls.next().await.answer(attempt);
        let reply = within(receipt).await.reply.expect("an acknowledgment");
        let reply = String::from_utf8_lossy(&reply).into_owned();
        assert!(reply.starts_with("MSH|") && reply.contains(said), "{reply}");
        assert!(!reply.contains("resourceType"), "{reply}");
    }
}

#[tokio::test]
async fn a_source_that_panics_is_seen_and_starts_again_with_the_next_configuration() {
    let source = TestSource::default();
    let (out, mut calls) = destination(1, 1);
    let only = project(ONE, &source, &[("out", &out)]);
    let engine = TestEngine::start(&only).await;
    engine.until(|status| status.source.state != LinkState::Down).await;
    source.receive(message("one")).await;
    source.defect.notify_one();
    engine.until(|status| status.source.state == LinkState::Down).await;
    engine.engine.apply(&only, "test").await.expect("it applies");
    engine.until(|status| status.source.state != LinkState::Down).await;
    source.receive(message("two")).await;
    calls.next().await.deliver();
    calls.next().await.deliver();
    engine.until(|status| status.counters.delivered == 2).await;
}

/// The outcomes of processing, in order.
fn outcomes(engine: &TestEngine) -> Vec<Position> {
    let records = engine.engine.log().heads(Position::FIRST);
    let outcomes = records.filter_map(|entry| match entry.expect("a record") {
        (position, crate::record::Record::Processed(_)) => Some(position),
        _ => None,
    });
    outcomes.collect()
}

#[tokio::test]
async fn a_delivery_that_cant_be_read_is_parked_and_the_others_go_on() {
    // The outcome itself, or the message that is sent as it was received.
    for what in [outcomes, |engine: &TestEngine| messages(engine).iter().map(|id| id.0).collect()] {
        let source = TestSource::default();
        let (out, mut calls) = destination(1, 1);
        let project = project(ONE, &source, &[("out", &out)]);
        let engine = TestEngine::start(&project).await;
        for name in ["one", "two", "three"] {
            source.receive(message(name)).await;
        }
        engine.until(|status| status.counters.received == 3 && status.unprocessed == 0).await;
        drop(calls.next().await);
        engine.journal.damage(what(&engine)[1]);

        let engine = engine.start_again(&project).await;
        let ids = messages(&engine);
        for id in [ids[0], ids[2]] {
            let call = calls.next().await;
            assert_eq!(call.outbound.message, id.0.get());
            call.deliver();
        }
        engine.until(|status| status.counters.delivered == 2 && status.counters.parked == 1).await;
        assert!(engine.holds());
        let released = engine.engine.release(ids[1], &who()).await;
        assert_eq!(released, Ok(1), "a person may try");
        engine.until(|status| status.counters.in_flight() == 0).await;
        assert_eq!(engine.engine.discard(ids[1], &who()).await, Ok(1));
        engine.until(|status| status.counters.superseded == 1).await;
        assert!(engine.holds());
    }
}

#[tokio::test]
async fn status_answers_at_once_while_a_configuration_is_applied() {
    let source = TestSource::default();
    let (out, mut calls) = destination(1, 1);
    let before = project(ONE, &source, &[("out", &out)]);
    let mut none = project(ONE, &source, &[("out", &out)]);
    none.channels.clear();
    let engine = TestEngine::start(&before).await;
    source.receive(message("one")).await;
    let call = calls.next().await;
    // The channel can't go before its send under way has ended.
    let running = Arc::clone(&engine.engine);
    let applying = tokio::spawn(async move { running.apply(&none, "test").await });
    engine.until(|status| status.source.state == LinkState::Stopped).await;
    let look = Duration::from_millis(500);
    let seen = tokio::time::timeout(look, engine.engine.status()).await.expect("at once");
    assert!(!applying.is_finished());
    assert_eq!(seen.len(), 1);
    assert!(seen.iter().all(|status| status.counters.received == 1 && !status.failed));
    call.deliver();
    within(applying).await.expect("no panic").expect("it applies");
    assert!(engine.engine.status().await.is_empty());
}

#[tokio::test]
async fn a_channel_that_comes_back_knows_what_is_sent_again() {
    let source = TestSource::default();
    let (out, mut calls) = destination(1, 1);
    let with = project(ONE, &source, &[("out", &out)]);
    let mut without = project(ONE, &source, &[("out", &out)]);
    without.channels.clear();
    let engine = TestEngine::start(&with).await;
    let first = source.receive(message("one")).await;
    calls.next().await.deliver();
    engine.until(|status| status.counters.delivered == 1).await;
    engine.engine.apply(&without, "test").await.expect("it applies");
    engine.engine.apply(&with, "test").await.expect("it applies");
    let second = source.receive(message("one")).await;
    assert_eq!(first.reply, second.reply, "the first one's acknowledgment");
    engine.until(|status| status.counters.superseded == 1).await;
    // Also when Pipehat was started without the channel meanwhile.
    let engine = engine.start_again(&without).await;
    engine.engine.apply(&with, "test").await.expect("it applies");
    assert_eq!(source.receive(message("one")).await.reply, first.reply);
    engine.until(|status| status.counters.superseded == 2).await;
    assert!(calls.is_quiet().await && engine.holds());
}

#[tokio::test]
async fn a_sender_does_not_wait_for_ever_on_a_lane_that_is_held() {
    for mode in ["processed", "enhanced", "delivered"] {
        let source = TestSource::default();
        let (out, mut calls) = destination(1, 1);
        let rest = format!(
            "reply: {{ mode: {mode}, timeout: 100ms }}\non_failure: stop\n\
             steps: [ {{ date: {{ field: PID-7, read: yyyyMMdd, write: yyyy }} }} ]\n{ONE}"
        );
        let engine = TestEngine::start(&project(&rest, &source, &[("out", &out)])).await;
        let bad = [&message("one")[..], b"PV1|1\r"].concat();
        let bad = String::from_utf8(bad).expect("text").replace("^^^A", "^^^A||||x");
        let receipt = source.receive(bad).await;
        engine.until(|status| !status.blocked.is_empty()).await;
        assert_eq!(receipt.outcome, ReceiptOutcome::Kept, "{mode}");
        let reply = receipt.reply.expect("an answer");
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.contains("\rMSA|AE|one"), "{mode}: {reply}");
        // HL7 v2.5.1 §2.15.5: ERR-3 the code, ERR-4 the severity.
        assert!(reply.contains("\rERR|||207^") && reply.contains("|E|"), "{mode}: {reply}");
        assert!(reply.contains("the message is kept and goes on"), "{mode}: {reply}");
        assert!(calls.is_quiet().await);
        let one = messages(&engine)[0];
        engine.engine.discard(one, &who()).await.expect("it was kept");
        engine.until(|status| status.counters.superseded == 1).await;
        assert!(engine.holds());
    }
}

/// What the next delivery tells of a change.
async fn change_of(
    calls: &mut crate::testing::Calls,
) -> (Option<ResourceChange>, crate::testing::Call) {
    let call = calls.next().await;
    (call.outbound.change.as_deref().cloned(), call)
}

#[tokio::test]
async fn a_deletion_is_told_as_one_also_after_a_death_and_when_it_is_sent_again() {
    let source = TestSource::default();
    let (out, mut calls) = destination(1, 1);
    let json = format!("format: json\n{ONE}");
    let project = project(&json, &source, &[("out", &out)]);
    let engine = TestEngine::start(&project).await;
    let deleted = ResourceChange {
        kind: ChangeKind::Delete,
        resource_type: "Patient".to_owned(),
        id: "p1".to_owned(),
        version: 2,
    };
    let created = ResourceChange { kind: ChangeKind::Create, version: 1, ..deleted.clone() };
    let resource = r#"{"resourceType":"Patient","id":"p1"}"#;
    // A deletion has the bytes of what was written before, and repeats it no more for that.
    within(source.send_change(resource, &created, 1).await).await;
    within(source.send_change(resource, &deleted, 2).await).await;
    let (change, call) = change_of(&mut calls).await;
    assert_eq!(change.as_ref(), Some(&created));
    call.deliver();
    let (change, call) = change_of(&mut calls).await;
    assert_eq!(change.as_ref(), Some(&deleted));
    engine.until(|status| status.counters.delivered == 1).await;
    // It dies before the answer: the delivery is read back from the journal.
    let engine = engine.start_again(&project).await;
    drop(call);
    let (change, call) = change_of(&mut calls).await;
    assert_eq!(change.as_ref(), Some(&deleted));
    call.answer(park());
    engine.until(|status| status.counters.parked == 1).await;
    let message = messages(&engine)[1];
    engine.engine.release(message, &who()).await.expect("it is released");
    let (change, call) = change_of(&mut calls).await;
    assert_eq!((change.as_ref(), call.outbound.attempt), (Some(&deleted), 1));
    call.deliver();
    engine.until(|status| status.counters.delivered == 2).await;
}
