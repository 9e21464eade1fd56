//! The pace at which the hospital's story is told, and its way to those who send it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::peers::Conversation;
use super::sending::Sending;
use super::simulation::Shared;

/// So many messages may wait for one connection; then the whole story waits, as the slowest sender does.
const WAITING_MAX: usize = 64;

/// A story that fell behind does not make up for more than this.
const CATCH_UP_MAX: Duration = Duration::from_millis(500);

/// Where each channel's messages go.
#[derive(Debug, Default)]
pub(super) struct Outlets(HashMap<&'static str, Vec<mpsc::Sender<Sending>>>);

impl Outlets {
    /// One more connection for a channel; the messages of a channel with several take turns.
    pub(super) fn add(&mut self, channel: &'static str) -> mpsc::Receiver<Sending> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        self.0.entry(channel).or_default().push(sender);
        receiver
    }
}

/// Tells the story, so many messages in a second, until it is told to stop.
pub(super) async fn run(
    mut outlets: Outlets,
    rate: f64,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let mut conversation = Conversation::new(shared.seed);
    let pause = Duration::from_secs_f64(1.0 / rate.max(0.01));
    let mut due = Instant::now() + pause;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep_until(due) => {}
        }
        let now = Instant::now();
        due = (due + pause).max(now.checked_sub(CATCH_UP_MAX).unwrap_or(now));
        if shared.is_paused() {
            due = now + Duration::from_millis(100);
            continue;
        }
        let sending = conversation.next(&mut shared.hospital());
        // A changed project may lack the channel.
        let Some(sending) = sending else { continue };
        let Some(outlet) = outlets.0.get_mut(sending.channel) else { continue };
        outlet.rotate_left(1);
        let Some(outlet) = outlet.first() else { continue };
        tokio::select! {
            () = stop.cancelled() => return,
            _ = outlet.send(sending) => {}
        }
    }
}
