//! An engine for tests: it remembers what it was given, and answers as and when it is told.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::contract::soon;
use crate::{Admission, Inbound, Intake, IntakeClosed, Receipt, ReceiptOutcome};

/// Whether something passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    Shut,
    /// For admissions: the channel has ended.
    Ended,
}

type Reply = dyn Fn(&Inbound, ReceiptOutcome) -> Option<Bytes> + Send + Sync;
type Later = dyn Fn(&Inbound) -> Option<BoxFuture<'static, Option<Bytes>>> + Send + Sync;

/// A channel's engine, as a source sees it.
pub(crate) struct FakeEngine {
    received: watch::Sender<Vec<Inbound>>,
    admissions: watch::Sender<Gate>,
    receipts: watch::Sender<Gate>,
    outcome: Mutex<ReceiptOutcome>,
    reply: Box<Reply>,
    later: Option<Box<Later>>,
    parts_kept: Mutex<u64>,
}

impl FakeEngine {
    /// An engine that takes everything and replies with what this makes of it.
    pub(crate) fn new(
        reply: impl Fn(&Inbound, ReceiptOutcome) -> Option<Bytes> + Send + Sync + 'static,
    ) -> Self {
        Self {
            received: watch::Sender::new(Vec::new()),
            admissions: watch::Sender::new(Gate::Open),
            receipts: watch::Sender::new(Gate::Open),
            outcome: Mutex::new(ReceiptOutcome::Kept),
            reply: Box::new(reply),
            later: None,
            parts_kept: Mutex::new(0),
        }
    }

    /// Also gives application acknowledgments, later.
    pub(crate) fn with_later(
        mut self,
        later: impl Fn(&Inbound) -> Option<BoxFuture<'static, Option<Bytes>>> + Send + Sync + 'static,
    ) -> Self {
        self.later = Some(Box::new(later));
        self
    }

    /// Whether it has room.
    pub(crate) fn admissions(&self, gate: Gate) {
        self.admissions.send_replace(gate);
    }

    /// Whether what was received becomes durable, and so is answered.
    pub(crate) fn receipts(&self, gate: Gate) {
        self.receipts.send_replace(gate);
    }

    /// What becomes of the payloads received from now on.
    pub(crate) fn outcome(&self, outcome: ReceiptOutcome) {
        *lock(&self.outcome) = outcome;
    }

    /// What [`Intake::parts_kept`] says.
    pub(crate) fn parts(&self, kept: u64) {
        *lock(&self.parts_kept) = kept;
    }

    /// What it was given so far, in order.
    pub(crate) fn received(&self) -> Vec<Inbound> {
        self.received.borrow().clone()
    }

    /// The payloads of what it was given so far.
    pub(crate) fn payloads(&self) -> Vec<Bytes> {
        self.received.borrow().iter().map(|inbound| inbound.bytes.clone()).collect()
    }

    /// Waits until it was given so many.
    pub(crate) async fn given(&self, count: usize) -> Vec<Inbound> {
        let mut received = self.received.subscribe();
        let enough = received.wait_for(|received| received.len() >= count);
        let what = format!("{count} payloads handed over");
        soon(&what, enough).await.expect("the sender lives in `self`").clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while holding it")
}

impl Intake for FakeEngine {
    fn admit(&self, _bytes: usize) -> BoxFuture<'static, Result<Admission, IntakeClosed>> {
        let mut gate = self.admissions.subscribe();
        async move {
            let gate = gate.wait_for(|gate| *gate != Gate::Shut).await.map(|gate| *gate);
            match gate {
                Ok(Gate::Open | Gate::Shut) => Ok(Admission::unlimited()),
                Ok(Gate::Ended) | Err(_) => Err(IntakeClosed),
            }
        }
        .boxed()
    }

    fn receive(&self, admission: Admission, inbound: Inbound) -> BoxFuture<'static, Receipt> {
        let outcome = *lock(&self.outcome);
        let reply = (self.reply)(&inbound, outcome);
        let later = self.later.as_ref().and_then(|later| later(&inbound));
        self.received.send_modify(|received| received.push(inbound));
        let mut gate = self.receipts.subscribe();
        async move {
            let _admission = admission;
            // An engine that is gone answers nothing more.
            if gate.wait_for(|gate| *gate == Gate::Open).await.is_err() {
                std::future::pending::<()>().await;
            }
            Receipt { outcome, reply, later }
        }
        .boxed()
    }

    fn parts_kept(&self, _key: &str) -> u64 {
        *lock(&self.parts_kept)
    }
}

/// Shared, as sources take it.
impl FakeEngine {
    pub(crate) fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }
}
