//! What every source must do.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::contract::{FakeEngine, Gate, MARKER, message, not_yet, soon};
use crate::{Descriptor, Health, Inbound, LinkState, ReceiptOutcome, Source};

/// What a partner understands from the answer it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The message is kept.
    Kept,
    /// The message is not taken.
    Refused,
    /// There was no answer, and there will be none: it must assume that nothing arrived.
    Nothing,
}

/// How a source's partner behaves.
pub(crate) trait SourceCase: Send + Sync + 'static {
    fn descriptor(&self) -> &'static Descriptor;

    /// A source at this place, or at a place of its own.
    fn source(&self, place: Option<&str>) -> Arc<dyn Source>;

    /// What the engine replies, in the protocol's words.
    fn reply(inbound: &Inbound, outcome: ReceiptOutcome) -> Option<Bytes>;

    /// Sends payloads in this order, as one partner that waits for each answer; the last payload's.
    fn send(
        &self,
        address: Option<String>,
        payloads: Vec<Bytes>,
    ) -> impl Future<Output = Heard> + Send + 'static;
}

/// A running source with its engine.
struct Running {
    engine: Arc<FakeEngine>,
    health: Arc<Health>,
    address: Option<String>,
    stop: CancellationToken,
    run: JoinHandle<()>,
}

impl Running {
    async fn start<C: SourceCase>(case: &C) -> Self {
        let engine = FakeEngine::new(C::reply).shared();
        let health = Arc::new(Health::default());
        let stop = CancellationToken::new();
        let bound = soon("bind", case.source(None).bind()).await.expect("the place is free");
        let address = bound.address();
        let run = tokio::spawn(bound.run(engine.clone(), health.clone(), stop.clone()));
        Self { engine, health, address, stop, run }
    }

    fn send<C: SourceCase>(&self, case: &C, control_ids: &[&str]) -> JoinHandle<Heard> {
        let payloads = control_ids.iter().map(|id| message(id)).collect();
        tokio::spawn(case.send(self.address.clone(), payloads))
    }

    async fn finish(self) {
        self.stop.cancel();
        soon("the source's end", self.run).await.expect("the source does not panic");
        let health = self.health.snapshot();
        assert_eq!(health.connections, 0, "nothing stays open");
        assert_eq!(health.state, LinkState::Stopped);
        if let Some(problem) = health.problem {
            assert!(!problem.detail.contains(MARKER), "{problem:?}");
        }
    }
}

async fn heard(sending: JoinHandle<Heard>) -> Heard {
    soon("the partner's end", sending).await.expect("the partner does not panic")
}

/// Runs everything below.
pub(crate) async fn check_source<C: SourceCase>(case: C) {
    payloads_arrive_unchanged_and_in_order(&case).await;
    nothing_is_received_before_run(&case).await;
    a_positive_answer_waits_for_the_receipt(&case).await;
    refusals_are_passed_on(&case).await;
    a_full_engine_is_waited_for(&case).await;
    what_is_under_way_is_finished_on_stop(&case).await;
    an_ended_channel_gets_nothing_and_confirms_nothing(&case).await;
    a_taken_place_is_an_error_at_bind(&case).await;
}

async fn payloads_arrive_unchanged_and_in_order<C: SourceCase>(case: &C) {
    let running = Running::start(case).await;
    let names: Vec<String> = (1..=20).map(|number| format!("ORDER{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(heard(running.send(case, &names)).await, Heard::Kept);
    let expected: Vec<Bytes> = names.iter().map(|name| message(name)).collect();
    assert_eq!(running.engine.payloads(), expected);
    assert_eq!(running.health.snapshot().state, LinkState::Up);
    running.finish().await;
}

async fn nothing_is_received_before_run<C: SourceCase>(case: &C) {
    let engine = FakeEngine::new(C::reply).shared();
    let bound = soon("bind", case.source(None).bind()).await.expect("the place is free");
    let sending = tokio::spawn(case.send(bound.address(), vec![message("EARLY")]));
    not_yet("a payload before run", engine.given(1)).await;
    sending.abort();
}

async fn a_positive_answer_waits_for_the_receipt<C: SourceCase>(case: &C) {
    let running = Running::start(case).await;
    running.engine.receipts(Gate::Shut);
    let mut sending = running.send(case, &["DURABLE"]);
    running.engine.given(1).await;
    not_yet("an answer", &mut sending).await;
    running.engine.receipts(Gate::Open);
    assert_eq!(heard(sending).await, Heard::Kept);
    running.finish().await;
}

async fn refusals_are_passed_on<C: SourceCase>(case: &C) {
    for outcome in [ReceiptOutcome::Rejected, ReceiptOutcome::Busy] {
        let running = Running::start(case).await;
        running.engine.outcome(outcome);
        let sending = running.send(case, &["REFUSED"]);
        running.engine.given(1).await;
        // A partner that can't be told keeps the message; what it may not hear is that it is kept.
        running.stop.cancel();
        assert_ne!(heard(sending).await, Heard::Kept, "{outcome:?}");
        running.finish().await;
    }
}

async fn a_full_engine_is_waited_for<C: SourceCase>(case: &C) {
    let running = Running::start(case).await;
    running.engine.admissions(Gate::Shut);
    let mut sending = running.send(case, &["FULL"]);
    not_yet("an answer", &mut sending).await;
    assert_eq!(running.engine.payloads(), [] as [Bytes; 0], "handed over without admission");
    running.engine.admissions(Gate::Open);
    assert_eq!(heard(sending).await, Heard::Kept);
    running.finish().await;
}

async fn what_is_under_way_is_finished_on_stop<C: SourceCase>(case: &C) {
    let running = Running::start(case).await;
    running.engine.receipts(Gate::Shut);
    let mut sending = running.send(case, &["UNDERWAY"]);
    running.engine.given(1).await;
    running.stop.cancel();
    not_yet("an answer", &mut sending).await;
    running.engine.receipts(Gate::Open);
    assert_eq!(heard(sending).await, Heard::Kept);
    running.finish().await;
}

async fn an_ended_channel_gets_nothing_and_confirms_nothing<C: SourceCase>(case: &C) {
    let running = Running::start(case).await;
    running.engine.admissions(Gate::Ended);
    let sending = running.send(case, &["ENDED"]);
    // How long a partner waits is its own affair: stopping ends the wait of those that would wait on.
    let engine = running.engine.clone();
    not_yet("a payload", engine.given(1)).await;
    running.finish().await;
    assert_ne!(heard(sending).await, Heard::Kept);
}

async fn a_taken_place_is_an_error_at_bind<C: SourceCase>(case: &C) {
    let bound = soon("bind", case.source(None).bind()).await.expect("the place is free");
    let Some(address) = bound.address() else { return };
    match soon("bind", case.source(Some(&address)).bind()).await {
        Ok(_) => panic!("{address} was taken twice"),
        Err(error) => {
            let codes = case.descriptor().codes;
            assert!(
                codes.iter().any(|known| known.code == error.code),
                "{} is not listed",
                error.code
            );
            assert!(error.message.contains(&address), "{} does not say where", error.message);
        }
    }
}
