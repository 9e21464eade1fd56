//! The number of a record.

use std::{fmt, num::NonZeroU64};

/// The number of a record in its journal: 1 for the first ever, one more for each after it, never
/// used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(NonZeroU64);

impl Position {
    /// The position of the first record of a new journal.
    pub const FIRST: Position = Position(NonZeroU64::MIN);

    /// The position with this number; `None` for 0, which no record has.
    pub const fn new(number: u64) -> Option<Position> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Position(number)),
            None => None,
        }
    }

    /// The number itself, from 1.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Position {
        Position(self.0.saturating_add(1))
    }

    /// The position `records` after this one.
    #[must_use]
    pub const fn after(self, records: u64) -> Position {
        Position(self.0.saturating_add(records))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn positions_start_at_one_and_increase() {
        assert_eq!(Position::new(0), None);
        assert_eq!(Position::new(1), Some(Position::FIRST));
        assert_eq!(Position::FIRST.next().get(), 2);
        assert!(Position::FIRST < Position::FIRST.next());
        assert_eq!(Position::FIRST.after(9).to_string(), "10");
    }
}
