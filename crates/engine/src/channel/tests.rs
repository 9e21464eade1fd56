//! What happens to messages when things happen at the wrong moment.

use std::time::Duration;

use pipehat_connectors::Attempt;
use pipehat_journal::{Journal, Position};

use crate::decisions::Deciding;
use crate::names::MessageId;
use crate::testing::{TestEngine, TestSource, destination, message, project};

const ONE: &str = "destinations: { out: { mllp: { connect: 127.0.0.1:1 } } }\n";

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
