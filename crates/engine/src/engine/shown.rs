//! The channels as others than the engine itself reach them: to look, to decide, to knock.
//!
//! What is shown here is published whenever the channels have changed, and nobody who looks waits
//! for a change that is under way: status and readiness answer at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use pipehat_connectors::{Health, Inbound, Intake, Numbering, Peer, ReceiptOutcome};
use tokio::sync::oneshot;

use super::{Engine, Running, State};
use crate::channel::{ChannelHandle, ChannelIntake, ChannelStatus, DecideError, Door, Input};
use crate::names::ChannelName;
use crate::project::ChannelSpec;
use crate::record::Decided;

/// How long a look waits for a channel that is busy; then it shows what was seen last.
const LOOK: Duration = Duration::from_secs(1);

/// The channels as they were published last.
pub(super) type ShownChannels = Arc<Mutex<BTreeMap<ChannelName, Shown>>>;

/// A channel as it was published.
#[derive(Clone)]
pub(crate) struct Shown {
    spec: Arc<ChannelSpec>,
    handle: ChannelHandle,
    intake: Arc<ChannelIntake>,
    address: Option<String>,
    source: Arc<Health>,
    /// What was seen of it last: all there is to show while it stops and once it has failed.
    seen: Arc<Mutex<Option<ChannelStatus>>>,
}

impl Shown {
    fn of(running: &Running) -> Self {
        Self {
            spec: Arc::clone(&running.spec),
            handle: running.handle.clone(),
            intake: Arc::clone(&running.intake),
            address: running.source.address.clone(),
            source: Arc::clone(&running.source.health),
            seen: Arc::clone(&running.seen),
        }
    }

    async fn status(self) -> ChannelStatus {
        let looking = ask(&self.handle, |answer| Input::Inspect { answer });
        let now = tokio::time::timeout(LOOK, looking).await.ok().flatten();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.is_some() {
            seen.clone_from(&now);
        }
        let last = seen.clone();
        drop(seen);
        let mut status = now.or(last).unwrap_or_else(|| ChannelStatus::not_seen(&self.spec));
        status.failed = self.intake.has_failed();
        status.address = self.address;
        status.source = self.source.snapshot();
        status
    }
}

impl Engine {
    pub(super) fn publish(&self, state: &State) {
        let shown = state.channels.iter();
        let shown = shown.map(|(name, running)| (Arc::clone(name), Shown::of(running))).collect();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    fn shown(&self) -> BTreeMap<ChannelName, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every channel as an operator sees it. While a configuration is applied, those of before.
    pub async fn status(&self) -> Vec<ChannelStatus> {
        join_all(self.shown().into_values().map(Shown::status)).await
    }

    /// Carries out a decision about a message.
    ///
    /// # Errors
    /// When there is no such channel or message, or the message is not in a state for it.
    pub async fn decide(&self, decided: Decided) -> Result<(), DecideError> {
        let channel = Arc::clone(&decided.channel);
        let handle = self.handle(&channel)?;
        let decided = Box::new(decided);
        ask(&handle, |answer| Input::Decide { decided, answer })
            .await
            .unwrap_or(Err(DecideError::Stopping))
    }

    /// Hands a message to a channel, as its source does; from within this process. It is kept when this returns so.
    ///
    /// # Errors
    /// There is no such channel, or it takes nothing.
    pub async fn hand_over(
        &self,
        channel: &str,
        bytes: Bytes,
        headers: Vec<(String, String)>,
    ) -> Result<(), HandOverError> {
        Doors(Arc::clone(&self.shown)).hand_over(channel, bytes, headers).await
    }

    /// Tries again at once whatever pauses in a channel.
    ///
    /// # Errors
    /// When there is no such channel.
    pub fn knock(&self, channel: &str) -> Result<(), DecideError> {
        let handle = self.handle(channel)?;
        handle.mailbox.send(Input::Knock).map_err(|_| DecideError::Stopping)
    }

    pub(crate) fn handle(&self, channel: &str) -> Result<ChannelHandle, DecideError> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = shown.get(channel).map(|shown| shown.handle.clone());
        handle.ok_or_else(|| DecideError::NoChannel { channel: channel.to_owned() })
    }

    pub(crate) fn all_handles(&self) -> impl Iterator<Item = (ChannelName, ChannelHandle)> {
        self.shown().into_iter().map(|(name, shown)| (name, shown.handle))
    }
}

/// How long a reply waits for the channel that is to take it, and between two tries.
const REPLY_WAITS: Duration = Duration::from_secs(10);
const REPLY_PAUSE: Duration = Duration::from_millis(250);

/// Where messages from within this process go into channels.
#[derive(Clone)]
pub(crate) struct Doors(pub(super) ShownChannels);

impl std::fmt::Debug for Doors {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Doors")
    }
}

impl Doors {
    async fn hand_over(
        &self,
        channel: &str,
        bytes: Bytes,
        headers: Vec<(String, String)>,
    ) -> Result<(), HandOverError> {
        let intake = {
            let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            shown.get(channel).map(|shown| Arc::clone(&shown.intake))
        };
        let intake = intake.ok_or(HandOverError::NoChannel)?;
        let intake = Door(intake);
        let admission = intake.admit(bytes.len()).await.map_err(|_| HandOverError::Stopping)?;
        let peer = Arc::new(Peer { headers, ..Peer::default() });
        let inbound = Inbound { bytes, peer, part: None, numbering: Numbering::Ignored };
        match intake.receive(admission, inbound).await.outcome {
            ReceiptOutcome::Kept => Ok(()),
            ReceiptOutcome::Rejected => Err(HandOverError::Rejected),
            ReceiptOutcome::Busy => Err(HandOverError::Busy),
        }
    }

    /// Gives a partner's reply to the channel that takes it. It waits a while for one that only starts or is busy: the
    /// reply is kept with what it answers, so that nothing is lost where this gives up.
    pub(crate) async fn pass_reply(
        &self,
        to: &str,
        reply: &Bytes,
        headers: &[(String, String)],
    ) -> Result<(), HandOverError> {
        let begun = tokio::time::Instant::now();
        loop {
            let error = match self.hand_over(to, reply.clone(), headers.to_vec()).await {
                Ok(()) => return Ok(()),
                Err(HandOverError::Rejected) => return Err(HandOverError::Rejected),
                Err(error) => error,
            };
            if begun.elapsed() >= REPLY_WAITS {
                return Err(error);
            }
            tokio::time::sleep(REPLY_PAUSE).await;
        }
    }
}

/// Why a channel did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// There is none.
    #[error("there is no such channel, or it does not run")]
    NoChannel,
    /// It stops.
    #[error("the channel is stopping")]
    Stopping,
    /// It refuses it for its content.
    #[error("the channel refused the message")]
    Rejected,
    /// It can't keep it now.
    #[error("the channel can't keep the message now")]
    Busy,
}

/// Asks a channel's task; nothing when it has ended.
pub(crate) async fn ask<T>(
    handle: &ChannelHandle,
    question: impl FnOnce(oneshot::Sender<T>) -> Input,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    handle.mailbox.send(question(answer)).ok()?;
    answered.await.ok()
}
