//! How long answers took: a histogram that is exact to two percent and as large for ten answers as for a billion.

use std::time::Duration;

/// Each doubling has so many buckets.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Nanoseconds below this have a bucket each; above, each power of two has [`STEPS`].
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS as usize;

/// Durations, counted.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    sum: Duration,
    longest: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        let zero = Duration::ZERO;
        Self { buckets: vec![0; BUCKETS], count: 0, sum: zero, longest: zero }
    }
}

impl Latencies {
    /// Counts one.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(bucket(nanoseconds)) {
            *bucket = bucket.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(latency);
        self.longest = self.longest.max(latency);
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// The mean; zero if none was counted.
    pub(crate) fn mean(&self) -> Duration {
        if self.count == 0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(self.sum.as_secs_f64() / self.count as f64)
    }

    /// What so many of a thousand do not exceed: 500 is the median.
    pub(crate) fn per_mille(&self, share: u64) -> Duration {
        let wanted = u128::from(self.count) * u128::from(share);
        let mut passed = 0_u128;
        for (index, &count) in self.buckets.iter().enumerate() {
            passed += u128::from(count);
            if count > 0 && passed * 1000 >= wanted {
                return Duration::from_nanos(highest(index)).min(self.longest);
            }
        }
        self.longest
    }
}

/// The bucket of a number: its highest bits, and how many lower ones there are.
fn bucket(nanoseconds: u64) -> usize {
    let bits = u64::BITS - nanoseconds.leading_zeros();
    let dropped = bits.saturating_sub(STEP_BITS + 1);
    let index = u64::from(dropped) * STEPS + (nanoseconds >> dropped);
    usize::try_from(index).unwrap_or(BUCKETS)
}

/// The highest number in a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let dropped = (bucket / STEPS).saturating_sub(1);
    let lowest = u128::from(bucket - dropped * STEPS) << dropped;
    u64::try_from(lowest + (1_u128 << dropped) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_a_bucket_that_is_two_percent_wide() {
        let numbers = (0..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + power / 3, power | (power - 1)]
        });
        for number in numbers.chain([u64::MAX]) {
            let index = bucket(number);
            assert!(index < BUCKETS, "{number} is in bucket {index}");
            let top = highest(index);
            assert!(top >= number && bucket(top) == index, "{number}: {index} ends at {top}");
            assert!((top - number) as f64 <= number as f64 * 0.02, "{number} is told as {top}");
        }
    }

    #[test]
    fn percentiles_are_those_of_what_was_counted() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.per_mille(500), Duration::ZERO);
        (1..=1000).for_each(|number| latencies.record(Duration::from_micros(number)));
        let close = |found: Duration, wanted: u64| {
            let wanted = Duration::from_micros(wanted);
            assert!(found >= wanted && found <= wanted.mul_f64(1.02), "{found:?} for {wanted:?}");
        };
        close(latencies.per_mille(500), 500);
        close(latencies.per_mille(990), 990);
        close(latencies.per_mille(999), 999);
        assert_eq!(latencies.per_mille(1000), Duration::from_millis(1));
        assert_eq!(latencies.longest(), Duration::from_millis(1));
        close(latencies.mean(), 500);
    }
}
