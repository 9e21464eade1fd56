//! Books of journals that lost any of their records.

use std::collections::BTreeSet;
use std::sync::Arc;

use pipehat_journal::{Loss, Position};
use proptest::prelude::{any, prop_assert_eq, proptest};

use super::{DESTINATIONS, Model};
use crate::ledger::{Ledger, Lost};
use crate::names::MessageId;

fn position(number: usize) -> Position {
    Position::new(number as u64).expect("positions start at 1")
}

fn lost(positions: impl IntoIterator<Item = Position>) -> Arc<Lost> {
    let losses = positions.into_iter().map(|at| Loss { at: 0, positions: at..=at });
    Arc::new(Lost::of(&losses.collect::<Vec<_>>()))
}

proptest! {
    #[test]
    fn over_what_is_there_every_message_is_accounted_for(
        open_max in 1_usize..6,
        steps in proptest::collection::vec((0_u8..8, any::<u16>()), 0..120),
        gone in proptest::collection::btree_set(0_usize..80, 0..20),
        baseline in proptest::option::of(0_usize..40),
    ) {
        let mut model = Model::default();
        for (kind, choice) in steps {
            model.step(kind, usize::from(choice));
        }
        let lost_positions: BTreeSet<Position> =
            gone.into_iter().map(|index| position(index + 1)).collect();
        // A baseline knows of what was lost after it was written.
        let baseline = baseline.unwrap_or(0).min(model.history.len());
        let since = model.history.split_off(baseline);
        let before = model.history.clone();
        let mut all = Ledger::tracking_all();
        for (position, record) in &before {
            all.apply(*position, record);
        }
        model.history.extend(since.iter().cloned());
        model.history.retain(|(position, _)| !lost_positions.contains(position));
        all.lose(
            &lost(lost_positions.iter().copied()),
            &Lost::default(),
            Position::new(baseline as u64),
        );
        let mut few = Ledger { open_max, ..all.clone() };
        for (position, record) in since_kept(&since, &lost_positions) {
            all.apply(*position, record);
            few.apply(*position, record);
        }
        prop_assert_eq!((all.anomalies, few.anomalies), (0, 0));
        prop_assert_eq!(all.in_flight_counted(), all.counters.in_flight());
        prop_assert_eq!(few.counters, all.counters);
        prop_assert_eq!(&few.unprocessed, &all.unprocessed);
        let unreadable = |message: &MessageId| lost_positions.contains(&message.0);
        prop_assert_eq!(all.unprocessed.iter().find(|message| unreadable(message)), None);
        // Read to the end, nothing is left beyond.
        for destination in DESTINATIONS {
            let Some(queue) = few.queues.get_mut(destination) else { continue };
            if let Some(frontier) = queue.frontier {
                let settled = queue.settled_beyond.clone();
                let (found, next) = model.read(destination, frontier, usize::MAX, &settled);
                queue.advance(&found, Some(next));
            }
            prop_assert_eq!((queue.frontier, queue.beyond), (None, 0));
            prop_assert_eq!(&queue.open, &all.queues[destination].open);
        }
    }
}

fn since_kept<'r>(
    since: &'r [(Position, crate::record::Record)],
    lost: &'r BTreeSet<Position>,
) -> impl Iterator<Item = &'r (Position, crate::record::Record)> {
    since.iter().filter(|(position, _)| !lost.contains(position))
}

#[test]
fn a_record_that_no_loss_explains_is_an_anomaly_still() {
    let mut model = Model::default();
    for _ in 0..2 {
        model.receive(1);
        model.process(1);
        model.settle(1);
    }
    let mut ledger = Ledger::default();
    // The second message is gone; the first is processed and settled twice.
    ledger.lose(&lost([position(4), position(5)]), &Lost::default(), None);
    for (number, (position, record)) in (1..4).zip(&model.history) {
        ledger.apply(*position, record);
        assert_eq!(ledger.anomalies, 0, "record {number}");
    }
    let before = ledger.counters;
    for (position, record) in &model.history[1..3] {
        ledger.apply(*position, record);
    }
    assert_eq!((ledger.anomalies, ledger.counters), (2, before));
}
