//! Chance that can be repeated: SplitMix64, as a stream and as a hash.
//!
//! What belongs to a person, an order or a message is a hash of its own seed and of what is asked, so that it does not
//! depend on the order of the questions.

/// The increment of SplitMix64: 2⁶⁴ divided by the golden ratio.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A well mixed number of a seed and what is asked of it.
pub(crate) const fn mix(seed: u64, question: u64) -> u64 {
    let mut z = seed ^ question.wrapping_mul(STEP).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `bound`; 0 when there is none.
pub(crate) const fn below(number: u64, bound: u64) -> u64 {
    // The high half of a product: no division, and the bias is below 2⁻³² for the bounds used here.
    ((number >> 32) * bound) >> 32
}

/// One of these by a number; lists here are never empty.
pub(crate) fn pick<T: Copy>(number: u64, list: &[T]) -> T {
    let at = below(number, list.len() as u64) as usize;
    list.get(at).copied().unwrap_or_else(|| list[0])
}

/// Whether this number falls into so many of a hundred.
pub(crate) const fn percent(number: u64, share: u64) -> bool {
    below(number, 100) < share
}

/// A number around 0 with a deviation of about 1000, and never beyond 3000: the sum of three even ones.
pub(crate) fn bell(number: u64) -> i64 {
    (0..3).map(|at| below(mix(number, at), 2001) as i64 - 1000).sum()
}

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(mix(seed, 0))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0, 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        below(self.next(), bound as u64) as usize
    }

    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        least + below(self.next(), (most - least + 1).unsigned_abs()) as i64
    }

    pub(crate) fn percent(&mut self, share: u64) -> bool {
        percent(self.next(), share)
    }

    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        pick(self.next(), list)
    }
}
