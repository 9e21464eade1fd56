//! The FHIR source: what changes in the datastore of this Pipehat comes in as messages, in the order in which it changed.
//!
//! One change after the other is handed over, and the next only when the journal has the one before. Where a start goes
//! on stands in the journal itself (the number of the last change that it has), so that no change comes twice and none
//! is missed, whatever happens in between. Changes that the criteria do not take are only counted: how far that got is
//! noted beside the journal from time to time, and read again where the note is old.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::codes;
use super::criteria::Criteria;
use crate::{
    Bound, FeedError, FhirChange, FhirDatastore, FilePart, GivenChanges, Health, Inbound, Intake,
    LocalFhir, Numbering, OperatorCode, PartOrder, Peer, Problem, ReceiptOutcome, ResourceChange,
    Source, StartError,
};

/// Changes read from the datastore at a time: with resources of some kilobytes, about a megabyte.
const CHANGES_MAX: usize = 200;

/// After so many changes the position is noted: they are read again after a crash, which takes less than a second.
const NOTED_EVERY: u64 = 2_000;

/// A position that stays is noted after this.
const NOTED_AFTER: Duration = Duration::from_secs(5);

/// How long to wait before something that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a channel begins that has not run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// With the changes from now on.
    Now,
    /// With the first change there is.
    First,
}

/// What is followed.
pub(super) struct SourceOptions {
    pub(super) local: LocalFhir,
    pub(super) criteria: Criteria,
    pub(super) beginning: Beginning,
    /// The channel, by whose name its position is noted.
    pub(super) channel: String,
}

/// A datastore's changes.
pub(super) struct FhirSource {
    options: Arc<SourceOptions>,
}

impl FhirSource {
    pub(super) fn new(options: SourceOptions) -> Self {
        Self { options: Arc::new(options) }
    }
}

impl Source for FhirSource {
    fn bind(&self) -> BoxFuture<'_, Result<Box<dyn Bound>, StartError>> {
        let newest = self.options.local.get().map(|datastore| datastore.newest_change());
        let following: Box<dyn Bound> =
            Box::new(Following { options: self.options.clone(), newest });
        async move { Ok(following) }.boxed()
    }

    fn changes(&self) -> GivenChanges {
        self.options.criteria.given()
    }

    fn resource_type(&self) -> Option<&str> {
        Some(self.options.criteria.resource_type())
    }
}

struct Following {
    options: Arc<SourceOptions>,
    /// The newest change when the channel was started: what follows is there for a new one.
    newest: Option<u64>,
}

impl Bound for Following {
    fn address(&self) -> Option<String> {
        None
    }

    fn run(
        self: Box<Self>,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let Self { options, newest } = *self;
        async move {
            // Cancel-safe: nothing has begun before the datastore is open.
            let datastore = tokio::select! {
                datastore = options.local.opened() => Some(datastore),
                () = stop.cancelled() => None,
            };
            if let Some(datastore) = datastore {
                let follower = Follower {
                    options: &options,
                    datastore,
                    newest,
                    intake,
                    health: &health,
                    stop,
                };
                follower.run().await;
            }
            health.stopped();
        }
        .boxed()
    }
}

/// What became of handing a change over.
enum Handed {
    /// The engine has it, or refused it for good.
    Over,
    /// The channel takes nothing more, or we are stopping.
    Ended,
}

struct Follower<'s> {
    options: &'s SourceOptions,
    datastore: Arc<dyn FhirDatastore>,
    newest: Option<u64>,
    intake: Arc<dyn Intake>,
    health: &'s Health,
    stop: CancellationToken,
}

impl Follower<'_> {
    async fn run(&self) {
        let Some(mut position) = self.beginning().await else { return };
        let mut noted = position;
        let mut is_ahead = false;
        loop {
            let newest = self.datastore.newest_change();
            if newest < position && !is_ahead {
                is_ahead = true;
                self.ahead(position, newest);
            }
            if newest <= position && !self.is_changed(position, &mut noted).await {
                return;
            }
            let changes = match self.datastore.changes(position, CHANGES_MAX).await {
                Ok(changes) => changes,
                Err(error) => {
                    self.down(&codes::FEED_FAILED, &error);
                    if self.pause().await {
                        continue;
                    }
                    return;
                }
            };
            self.health.up();
            for change in changes {
                let number = change.number;
                if let Handed::Ended = self.take(change).await {
                    self.note(position).await;
                    return;
                }
                position = number;
            }
            if position.saturating_sub(noted) >= NOTED_EVERY && self.note(position).await {
                noted = position;
            }
        }
    }

    /// Waits for a change behind `position`; not when we are to stop. A position that stays is noted.
    async fn is_changed(&self, position: u64, noted: &mut u64) -> bool {
        let changed = self.datastore.changed(position);
        tokio::pin!(changed);
        loop {
            let rest = async {
                if *noted == position {
                    std::future::pending().await
                } else {
                    sleep(NOTED_AFTER).await
                }
            };
            // Cancel-safe: nothing is taken by waiting.
            tokio::select! {
                () = &mut changed => return true,
                () = rest => {}
                () = self.stop.cancelled() => {
                    if *noted != position {
                        self.note(position).await;
                    }
                    return false;
                }
            }
            // One that can't be noted is read again after a start.
            self.note(position).await;
            *noted = position;
        }
    }

    /// The last change that is behind us; none when we are to stop before that is known.
    async fn beginning(&self) -> Option<u64> {
        // The journal names the next change; the note may be behind it, or before it where nothing was taken.
        let kept = self.intake.parts_kept(ResourceChange::PART_KEY).saturating_sub(1);
        loop {
            let position = match self.datastore.position(&self.options.channel).await {
                Ok(Some(noted)) => noted.max(kept),
                Ok(None) if kept > 0 => kept,
                Ok(None) => {
                    let begin = match self.options.beginning {
                        Beginning::Now => {
                            self.newest.unwrap_or_else(|| self.datastore.newest_change())
                        }
                        Beginning::First => 0,
                    };
                    // What changes from now on must be found after a crash, too.
                    if !self.note(begin).await {
                        if self.pause().await { continue } else { return None }
                    }
                    begin
                }
                Err(error) => {
                    self.down(&codes::FEED_FAILED, &error);
                    if self.pause().await { continue } else { return None }
                }
            };
            self.health.up();
            return Some(position);
        }
    }

    /// Hands a change over, if it is one of ours; waits as long as the engine has no room.
    async fn take(&self, change: FhirChange) -> Handed {
        let criteria = &self.options.criteria;
        if !criteria.may_take(change.kind, &change.resource_type) {
            return Handed::Over;
        }
        let resource = match self.resource(&change).await {
            Ok(Some(resource)) => resource,
            Ok(None) => return Handed::Over,
            Err(Handed::Over | Handed::Ended) => return Handed::Ended,
        };
        match self.meets(&resource).await {
            Ok(true) => {}
            Ok(false) => return Handed::Over,
            Err(handed) => return handed,
        }
        let bytes = Bytes::from(resource.as_bytes().to_vec());
        let peer = Arc::new(Peer { headers: headers(&change), ..Peer::default() });
        loop {
            let admission = tokio::select! {
                admission = self.intake.admit(bytes.len()) => admission,
                () = self.stop.cancelled() => return Handed::Ended,
            };
            let Ok(admission) = admission else { return Handed::Ended };
            let inbound = Inbound {
                bytes: bytes.clone(),
                peer: peer.clone(),
                part: Some(FilePart {
                    key: ResourceChange::PART_KEY.to_owned(),
                    index: change.number,
                    last: false,
                    order: PartOrder::Later,
                }),
                numbering: Numbering::Ignored,
            };
            // Not given up on stop: what the journal has we must know of.
            let receipt = self.intake.receive(admission, inbound).await;
            match receipt.outcome {
                ReceiptOutcome::Kept => {
                    self.health.received(bytes.len());
                    self.health.up();
                    return Handed::Over;
                }
                ReceiptOutcome::Rejected => {
                    let detail = format!(
                        "version {} of a {} was refused",
                        change.version, change.resource_type
                    );
                    self.health.problem(Problem { code: codes::FEED_REFUSED.code, detail });
                    return Handed::Over;
                }
                ReceiptOutcome::Busy => {
                    let detail = "a change could not be kept, and is handed over again".to_owned();
                    self.health.problem(Problem { code: codes::BUSY.code, detail });
                    if !self.pause().await {
                        return Handed::Ended;
                    }
                }
            }
        }
    }

    /// Whether a resource meets the criteria; waits until the parameters they ask by are defined.
    async fn meets(&self, resource: &str) -> Result<bool, Handed> {
        loop {
            match self.options.criteria.meets(resource, &self.datastore.registry()) {
                Ok(meets) => return Ok(meets),
                Err(undefined) => {
                    let code = codes::FEED_PARAMETER.code;
                    self.health.down(Problem { code, detail: undefined.to_string() });
                    if !self.pause().await {
                        return Err(Handed::Ended);
                    }
                }
            }
        }
    }

    /// The resource as it was written; of a deletion, as it was before. None where that can't be told any more.
    async fn resource(&self, change: &FhirChange) -> Result<Option<Arc<str>>, Handed> {
        if let Some(resource) = &change.resource {
            return Ok(Some(resource.clone()));
        }
        let (name, id) = (&change.resource_type, &change.id);
        let Some(before) = change.version.checked_sub(1) else { return Ok(None) };
        loop {
            match self.datastore.version(name, id, before).await {
                Ok(resource) => return Ok(resource),
                Err(error) => {
                    self.down(&codes::FEED_FAILED, &error);
                    if !self.pause().await {
                        return Err(Handed::Ended);
                    }
                }
            }
        }
    }

    /// The datastore is older than what we know of it.
    fn ahead(&self, position: u64, newest: u64) {
        let code = codes::FEED_AHEAD.code;
        let detail = format!(
            "the channel has got to change {position}, and the datastore only to {newest}: an older copy was restored"
        );
        tracing::error!(channel = self.options.channel, code, detail, "fhir source takes nothing");
        self.health.down(Problem { code, detail });
    }

    async fn note(&self, position: u64) -> bool {
        match self.datastore.keep_position(&self.options.channel, position).await {
            Ok(()) => true,
            Err(error) => {
                self.down(&codes::FEED_FAILED, &error);
                false
            }
        }
    }

    fn down(&self, code: &OperatorCode, error: &FeedError) {
        self.health.down(Problem { code: code.code, detail: error.to_string() });
    }

    /// Waits a while; whether to go on.
    async fn pause(&self) -> bool {
        tokio::select! {
            () = sleep(PAUSE) => true,
            () = self.stop.cancelled() => false,
        }
    }
}

/// What is kept beside the resource: what happened to which.
fn headers(change: &FhirChange) -> Vec<(String, String)> {
    let named = ResourceChange::from(change).named();
    named.map(|(name, value)| (name.to_owned(), value)).into()
}
