//! How long things took: a histogram of fixed size, whatever the number of measurements.

use std::time::Duration;

/// Each power of two is divided into so many buckets: quantiles are off by 3% at most.
const BUCKETS_PER_OCTAVE: usize = 32;

/// Up to 2^36 µs, which is 19 hours.
const OCTAVES: usize = 37;

/// Durations, counted by size.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    counts: Vec<u64>,
    count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; OCTAVES * BUCKETS_PER_OCTAVE], count: 0 }
    }
}

impl Latencies {
    /// Counts one.
    pub(crate) fn record(&mut self, duration: Duration) {
        if let Some(count) = self.counts.get_mut(bucket(duration)) {
            *count += 1;
            self.count += 1;
        }
    }

    /// The duration that this share (0 to 1) of them did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let wanted = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(middle(at))
    }
}

fn bucket(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1);
    let octave = micros.ilog2() as usize;
    let base = 1_u64 << octave;
    let within = (micros - base) as u128 * BUCKETS_PER_OCTAVE as u128 / u128::from(base);
    let last = OCTAVES * BUCKETS_PER_OCTAVE - 1;
    (octave * BUCKETS_PER_OCTAVE + usize::try_from(within).unwrap_or(0)).min(last)
}

fn middle(bucket: usize) -> Duration {
    let (octave, within) = (bucket / BUCKETS_PER_OCTAVE, bucket % BUCKETS_PER_OCTAVE);
    let base = (1_u64 << octave) as f64;
    let micros = base * (1.0 + (within as f64 + 0.5) / BUCKETS_PER_OCTAVE as f64);
    Duration::from_secs_f64(micros / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close_to_what_was_measured() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        for millis in 1..=1000 {
            latencies.record(Duration::from_millis(millis));
        }
        for (share, expected) in [(0.5, 0.5), (0.99, 0.99), (1.0, 1.0)] {
            let seconds = latencies.quantile(share).expect("measured").as_secs_f64();
            assert!((seconds / expected - 1.0).abs() < 0.04, "{share}: {seconds}");
        }
    }

    #[test]
    fn the_shortest_and_the_longest_have_a_place() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::ZERO);
        assert!(latencies.quantile(1.0).expect("measured") < Duration::from_micros(3));
        latencies.record(Duration::MAX);
        assert!(latencies.quantile(1.0).expect("measured") > Duration::from_secs(3600));
    }
}
