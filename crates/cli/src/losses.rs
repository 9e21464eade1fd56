//! What a repair of the journal gave up, in plain words.

use pipehat_server::LossView;

use crate::local_time::Clock;

/// A line for each repair.
pub(crate) fn lines(losses: &[LossView], clock: &Clock) -> impl Iterator<Item = String> {
    losses.iter().map(|loss| {
        let (count, plural) = (loss.records, if loss.records == 1 { "" } else { "s" });
        format!(
            "{count} record{plural} lost by repair at {}: what only they told of messages can't be \
             accounted for",
            clock.show(&loss.at)
        )
    })
}
