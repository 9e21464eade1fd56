//! How states are written down. These numbers stand in files: they never change their meaning
//! within a format version.

use crate::{DeliveryState, Disposition, IndexError, life::Stage};

/// Ends the stages: one is 2 more than the disposition it ended with.
const WAITING: i64 = 0;
const ROUTED: i64 = 1;
const ENDED: i64 = 2;

pub(super) fn disposition_number(disposition: Disposition) -> i64 {
    match disposition {
        Disposition::InFlight => 0,
        Disposition::Delivered => 1,
        Disposition::Filtered => 2,
        Disposition::Parked => 3,
        Disposition::Rejected => 4,
        Disposition::Superseded => 5,
    }
}

pub(super) fn disposition(number: i64) -> Result<Disposition, IndexError> {
    Disposition::ALL
        .into_iter()
        .find(|disposition| disposition_number(*disposition) == number)
        .ok_or(IndexError::Damaged(None))
}

pub(super) fn state_number(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::InFlight => 0,
        DeliveryState::Delivered => 1,
        DeliveryState::Parked => 2,
        DeliveryState::Discarded => 3,
    }
}

pub(super) fn state(number: i64) -> Result<DeliveryState, IndexError> {
    match number {
        0 => Ok(DeliveryState::InFlight),
        1 => Ok(DeliveryState::Delivered),
        2 => Ok(DeliveryState::Parked),
        3 => Ok(DeliveryState::Discarded),
        _ => Err(IndexError::Damaged(None)),
    }
}

pub(super) fn stage_number(stage: Stage) -> i64 {
    match stage {
        Stage::Waiting => WAITING,
        Stage::Routed => ROUTED,
        Stage::Ended(disposition) => disposition_number(disposition).saturating_add(ENDED),
    }
}

pub(super) fn stage(number: i64) -> Result<Stage, IndexError> {
    match number {
        WAITING => Ok(Stage::Waiting),
        ROUTED => Ok(Stage::Routed),
        ended => disposition(ended.saturating_sub(ENDED)).map(Stage::Ended),
    }
}

/// A position, back from SQLite's signed number.
pub(super) fn unsigned(number: i64) -> Result<u64, IndexError> {
    u64::try_from(number).map_err(|_| IndexError::Damaged(None))
}

/// A small number, back from SQLite's.
pub(super) fn small(number: i64) -> Result<u32, IndexError> {
    u32::try_from(number).map_err(|_| IndexError::Damaged(None))
}

#[cfg(test)]
mod tests {
    use super::{disposition, disposition_number, stage, stage_number, state, state_number};
    use crate::{DeliveryState, Disposition, life::Stage};

    #[test]
    fn every_state_comes_back_and_no_other() {
        for value in Disposition::ALL {
            assert_eq!(disposition(disposition_number(value)).ok(), Some(value));
            assert_eq!(stage(stage_number(Stage::Ended(value))).ok(), Some(Stage::Ended(value)));
        }
        for value in [Stage::Waiting, Stage::Routed] {
            assert_eq!(stage(stage_number(value)).ok(), Some(value));
        }
        use DeliveryState::{Delivered, Discarded, InFlight, Parked};
        for value in [InFlight, Delivered, Parked, Discarded] {
            assert_eq!(state(state_number(value)).ok(), Some(value));
        }
        assert!(disposition(6).is_err() && disposition(-1).is_err());
        assert!(stage(8).is_err() && stage(-1).is_err());
        assert!(state(4).is_err() && state(-1).is_err());
    }
}
