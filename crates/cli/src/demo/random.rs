//! Repeatable randomness: the same seed makes the same slips and outages.

/// A generator of numbers that look random (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator of its own, set apart by `name`: what one system does does not change what
    /// another one makes.
    pub(crate) fn of(seed: u64, name: &str) -> Self {
        let mut mixed = Self(seed);
        for byte in name.bytes() {
            mixed.0 ^= u64::from(byte);
            mixed.next();
        }
        Self(mixed.next())
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    /// A number from `first` to `last`.
    pub(crate) fn between(&mut self, first: u32, last: u32) -> u32 {
        let width = u64::from(last.saturating_sub(first)) + 1;
        first + u32::try_from(self.next() % width).unwrap_or(0)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let numbers = |mut random: Random| [random.next(), random.next(), random.next()];
        assert_eq!(numbers(Random::of(7, "a")), numbers(Random::of(7, "a")));
        assert_ne!(numbers(Random::of(7, "a")), numbers(Random::of(8, "a")));
        assert_ne!(numbers(Random::of(7, "ward")), numbers(Random::of(7, "laboratory")));
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut random = Random::of(1, "a");
        let mut seen = [false; 3];
        for _ in 0..200 {
            let number = random.between(5, 7);
            assert!((5..=7).contains(&number));
            if let Some(seen) = seen.get_mut(number as usize - 5) {
                *seen = true;
            }
            assert!(random.below(4) < 4);
        }
        assert_eq!(seen, [true; 3]);
    }
}
