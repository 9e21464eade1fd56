//! The life of a message as the index sees it: one transition function, whichever database.
//!
//! A life is a set of registers: one for the message's last step, one for each delivery. Each
//! keeps the change with the highest position, and a step wipes the deliveries that were settled
//! before it. So the same changes give the same life in any order and however often they come.

use std::collections::BTreeMap;

use crate::{DeliveryState, Disposition};

/// The number of an interned text; 0 is the empty one.
pub(crate) type NameId = i64;

/// The number of the empty text.
pub(crate) const EMPTY_NAME: NameId = 0;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) step: Step,
    /// By ordinal.
    pub(crate) deliveries: BTreeMap<u32, Leg>,
}

/// The last thing that happened to the message as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The position of its record; 0: nothing happened yet.
    pub(crate) position: u64,
    pub(crate) at_micros: i64,
    pub(crate) stage: Stage,
    pub(crate) code: NameId,
    pub(crate) revision: NameId,
}

impl Default for Step {
    fn default() -> Step {
        Step {
            position: 0,
            at_micros: 0,
            stage: Stage::Waiting,
            code: EMPTY_NAME,
            revision: EMPTY_NAME,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Received or released: to be processed.
    Waiting,
    /// Its deliveries say the rest.
    Routed,
    Ended(Disposition),
}

/// One delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    /// The position of the record that brought it here.
    pub(crate) position: u64,
    pub(crate) destination: NameId,
    pub(crate) state: DeliveryState,
    pub(crate) at_micros: i64,
    pub(crate) code: NameId,
    pub(crate) attempts: u32,
}

impl Life {
    /// The message was processed, or released to be processed again.
    pub(crate) fn step(&mut self, step: Step, outputs: impl IntoIterator<Item = (u32, NameId)>) {
        if step.position <= self.step.position {
            return;
        }
        self.step = step;
        self.deliveries.retain(|_, leg| leg.position > step.position);
        for (ordinal, destination) in outputs {
            let leg = self.deliveries.entry(ordinal).or_insert(Leg {
                position: step.position,
                destination,
                state: DeliveryState::InFlight,
                at_micros: step.at_micros,
                code: EMPTY_NAME,
                attempts: 0,
            });
            leg.destination = destination;
        }
    }

    /// A delivery settled, or was released to be sent again.
    pub(crate) fn leg(&mut self, ordinal: u32, leg: Leg) {
        if leg.position <= self.step.position {
            return;
        }
        match self.deliveries.get_mut(&ordinal) {
            None => {
                self.deliveries.insert(ordinal, leg);
            }
            Some(known) if known.position < leg.position => {
                *known = Leg { destination: known.destination, ..leg };
            }
            Some(_) => {}
        }
    }

    /// Where the message stands.
    pub(crate) fn disposition(&self, duplicate: Duplicate) -> Disposition {
        match (self.step.stage, duplicate) {
            // The step that made the deliveries is still to come.
            (Stage::Waiting | Stage::Ended(_), _) if !self.deliveries.is_empty() => {
                Disposition::InFlight
            }
            (Stage::Waiting, Duplicate::No) => Disposition::InFlight,
            (Stage::Waiting, Duplicate::Yes) => Disposition::Superseded,
            (Stage::Ended(disposition), _) => disposition,
            (Stage::Routed, _) => self.delivered_disposition(),
        }
    }

    fn delivered_disposition(&self) -> Disposition {
        let has = |state| self.deliveries.values().any(|leg| leg.state == state);
        if self.deliveries.is_empty() {
            Disposition::Filtered
        } else if has(DeliveryState::InFlight) {
            Disposition::InFlight
        } else if has(DeliveryState::Parked) {
            Disposition::Parked
        } else if has(DeliveryState::Delivered) {
            Disposition::Delivered
        } else {
            Disposition::Superseded
        }
    }
}

/// Whether the message repeats another, whose acknowledgment was given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duplicate {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::{Duplicate, Leg, Life, Stage, Step};
    use crate::{DeliveryState, Disposition};

    fn step(position: u64, stage: Stage) -> Step {
        Step { position, stage, ..Step::default() }
    }

    fn leg(position: u64, state: DeliveryState) -> Leg {
        Leg { position, destination: 1, state, at_micros: 0, code: 0, attempts: 1 }
    }

    fn check(build: impl Fn(&mut Life), expected: Disposition) {
        let mut life = Life::default();
        build(&mut life);
        assert_eq!(life.disposition(Duplicate::No), expected);
    }

    #[test]
    fn each_disposition_has_its_way() {
        check(|_| {}, Disposition::InFlight);
        check(|life| life.step(step(2, Stage::Routed), []), Disposition::Filtered);
        for disposition in Disposition::ALL {
            check(|life| life.step(step(2, Stage::Ended(disposition)), []), disposition);
        }
        let routed = |life: &mut Life| life.step(step(2, Stage::Routed), [(0, 1), (1, 2)]);
        check(routed, Disposition::InFlight);
        check(|life| life.leg(0, leg(3, DeliveryState::Parked)), Disposition::InFlight);
        let ended = |first, second| {
            move |life: &mut Life| {
                routed(life);
                life.leg(0, leg(3, first));
                life.leg(1, leg(4, second));
            }
        };
        use DeliveryState::{Delivered, Discarded, InFlight, Parked};
        check(ended(Delivered, Delivered), Disposition::Delivered);
        check(ended(Delivered, Parked), Disposition::Parked);
        check(ended(Parked, InFlight), Disposition::InFlight);
        check(ended(Discarded, Delivered), Disposition::Delivered);
        check(ended(Discarded, Parked), Disposition::Parked);
        check(ended(Discarded, Discarded), Disposition::Superseded);
    }

    #[test]
    fn a_duplicate_is_superseded_unless_processed() {
        let mut life = Life::default();
        assert_eq!(life.disposition(Duplicate::Yes), Disposition::Superseded);
        life.step(step(2, Stage::Routed), [(0, 1)]);
        assert_eq!(life.disposition(Duplicate::Yes), Disposition::InFlight);
    }

    #[test]
    fn processing_again_starts_the_deliveries_anew() {
        let mut life = Life::default();
        life.step(step(2, Stage::Routed), [(0, 1), (1, 2)]);
        life.leg(0, leg(3, DeliveryState::Delivered));
        life.step(step(5, Stage::Waiting), []);
        assert!(life.deliveries.is_empty());
        life.step(step(7, Stage::Routed), [(0, 1)]);
        life.leg(0, leg(3, DeliveryState::Delivered));
        assert_eq!(life.disposition(Duplicate::No), Disposition::InFlight);
        life.leg(0, leg(8, DeliveryState::Delivered));
        assert_eq!(life.disposition(Duplicate::No), Disposition::Delivered);
    }

    #[derive(Clone, Debug)]
    enum Act {
        Step(Stage, u32),
        Leg(u32, DeliveryState),
    }

    fn act() -> impl Strategy<Value = Act> {
        let stage = prop_oneof![
            Just(Stage::Waiting),
            Just(Stage::Routed),
            Just(Stage::Ended(Disposition::Parked))
        ];
        let state = prop_oneof![
            Just(DeliveryState::InFlight),
            Just(DeliveryState::Delivered),
            Just(DeliveryState::Parked),
            Just(DeliveryState::Discarded)
        ];
        prop_oneof![
            (stage, 0..4_u32).prop_map(|(stage, outputs)| Act::Step(stage, outputs)),
            (0..4_u32, state).prop_map(|(ordinal, state)| Act::Leg(ordinal, state)),
        ]
    }

    fn live(life: &mut Life, position: usize, act: &Act) {
        let position = position as u64 + 1;
        match *act {
            Act::Step(stage, outputs) => {
                let outputs = if stage == Stage::Routed { 0..outputs } else { 0..0 };
                life.step(step(position, stage), outputs.map(|ordinal| (ordinal, 1)));
            }
            Act::Leg(ordinal, state) => life.leg(ordinal, leg(position, state)),
        }
    }

    proptest! {
        #[test]
        fn the_order_of_changes_and_repeats_do_not_matter(
            acts in proptest::collection::vec(act(), 1..12),
            shuffle in proptest::collection::vec(any::<proptest::sample::Index>(), 0..40),
        ) {
            let mut in_order = Life::default();
            for (position, act) in acts.iter().enumerate() {
                live(&mut in_order, position, act);
            }
            let mut shuffled = Life::default();
            let anyhow = shuffle.iter().map(|index| index.index(acts.len()));
            for position in anyhow.chain((0..acts.len()).rev()) {
                live(&mut shuffled, position, &acts[position]);
            }
            proptest::prop_assert_eq!(in_order, shuffled);
        }
    }
}
