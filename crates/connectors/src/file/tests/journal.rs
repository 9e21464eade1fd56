//! An engine for the file source, and a source at work with it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{source_with, until};
use crate::contract::soon;
use crate::{
    Admission, FilePart, Health, Inbound, Intake, IntakeClosed, LinkState, Receipt, ReceiptOutcome,
};

/// An engine whose memory outlives the source, as a journal does. It takes the parts of a file in order and without
/// gaps: what comes out of order is answered with busy.
#[derive(Default)]
pub(super) struct Journal {
    pub(super) kept: Mutex<Kept>,
    pub(super) changed: watch::Sender<usize>,
}

#[derive(Default)]
pub(super) struct Kept {
    pub(super) messages: Vec<Bytes>,
    pub(super) parts: HashMap<String, u64>,
    pub(super) files: Vec<Option<String>>,
    pub(super) last: Vec<FilePart>,
    /// How many more are taken before the engine is busy for ever.
    pub(super) room: Option<usize>,
    /// Every so many-th call is answered with busy.
    pub(super) busy_every: Option<usize>,
    /// Messages with these numbers, counted from 1 in their file, are refused.
    pub(super) refuse: Vec<u64>,
    pub(super) calls: usize,
}

impl Journal {
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no test panics while holding it")
    }

    pub(super) fn messages(&self) -> Vec<String> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        self.kept().messages.iter().map(text).collect()
    }

    pub(super) async fn has(&self, count: usize) {
        let mut changed = self.changed.subscribe();
        soon("messages kept", changed.wait_for(|kept| *kept >= count)).await.expect("it lives");
    }
}

impl Intake for Journal {
    fn admit(&self, _: usize) -> BoxFuture<'static, Result<Admission, IntakeClosed>> {
        async { Ok(Admission::unlimited()) }.boxed()
    }

    fn receive(&self, _: Admission, inbound: Inbound) -> BoxFuture<'static, Receipt> {
        let part = inbound.part.expect("a file's messages have a place in it");
        let mut kept = self.kept();
        kept.calls += 1;
        let expected = kept.parts.get(&part.key).copied().unwrap_or_default();
        let is_busy = part.index != expected
            || kept.room == Some(0)
            || kept.busy_every.is_some_and(|every| kept.calls.is_multiple_of(every));
        let outcome = if is_busy {
            ReceiptOutcome::Busy
        } else {
            kept.parts.insert(part.key.clone(), part.index + 1);
            kept.room = kept.room.map(|room| room - 1);
            if kept.refuse.contains(&(part.index + 1)) {
                ReceiptOutcome::Rejected
            } else {
                kept.messages.push(inbound.bytes);
                kept.files.push(inbound.peer.file.clone());
                kept.last.push(part);
                ReceiptOutcome::Kept
            }
        };
        let count = kept.messages.len();
        drop(kept);
        self.changed.send_replace(count);
        async move {
            tokio::task::yield_now().await;
            Receipt { outcome, reply: None, later: None }
        }
        .boxed()
    }

    fn parts_kept(&self, key: &str) -> u64 {
        self.kept().parts.get(key).copied().unwrap_or_default()
    }
}

/// A source at work on a folder.
pub(super) struct Running {
    pub(super) health: Arc<Health>,
    pub(super) stop: CancellationToken,
    pub(super) run: JoinHandle<()>,
}

impl Running {
    pub(super) async fn start(folder: &Path, more: &str, journal: &Arc<Journal>) -> Self {
        let yaml = format!("{{ folder: {}, {more} }}", folder.display());
        let source = source_with(&yaml).expect("the settings are sound");
        let bound = soon("bind", source.bind()).await.expect("the folder is free");
        let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
        let run = tokio::spawn(bound.run(journal.clone(), health.clone(), stop.clone()));
        Self { health, stop, run }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        soon("the source's end", self.run).await.expect("the source does not panic");
        assert_eq!(self.health.snapshot().state, LinkState::Stopped);
    }

    /// Ends it without letting it finish anything, as a crash does.
    pub(super) async fn crash(self) {
        self.run.abort();
        let ended = soon("the source's end", self.run).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }

    pub(super) async fn problem(&self, code: &str) -> String {
        until(|| {
            let problem = self.health.snapshot().problem?;
            (problem.code == code).then_some(problem.detail)
        })
        .await
    }
}
