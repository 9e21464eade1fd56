//! Sets of fields or components by their positions: rules that read none of what is filled are passed over without a look.

/// Positions from 1. What it can't tell apart is always in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Positions(u64);

/// The highest that is told apart.
const APART_MAX: u16 = 63;

impl Positions {
    /// What every other set meets.
    pub(crate) const ALWAYS: Self = Self(1);

    /// One position. That of no position, 0, and of those that are not told apart is met by every set.
    pub(crate) const fn of(position: u16) -> Self {
        if position > APART_MAX { Self::ALWAYS } else { Self(1 << position) }
    }

    /// All above one.
    pub(crate) const fn above(position: u16) -> Self {
        if position >= APART_MAX { Self::ALWAYS } else { Self(u64::MAX << (position + 1) | 1) }
    }

    /// Those of either.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one is in both.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_met_where_it_is_in_the_set() {
        let filled = Positions::ALWAYS.and(Positions::of(3)).and(Positions::of(63));
        let met: Vec<u16> =
            (0..70).filter(|position| Positions::of(*position).meets(filled)).collect();
        assert_eq!(met, [0, 3, 63, 64, 65, 66, 67, 68, 69]);
    }

    #[test]
    fn those_above_one_are_met() {
        let met = |above: u16| {
            let meets =
                move |position: &u16| Positions::of(*position).meets(Positions::above(above));
            (0..66).filter(meets).collect::<Vec<u16>>()
        };
        assert_eq!(met(61), [0, 62, 63, 64, 65]);
        assert_eq!(met(63), [0, 64, 65]);
    }
}
