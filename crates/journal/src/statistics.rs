//! What a journal counts.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The upper bounds of [`Statistics::sync_times`]' buckets; one more bucket holds the rest.
pub const SYNC_TIME_BOUNDS: [Duration; 12] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// Counters since a journal was opened, and its size now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Writes, each with one sync.
    pub groups: u64,
    /// Records that became durable.
    pub records: u64,
    /// Bytes of their heads and bodies.
    pub payload_bytes: u64,
    /// Bytes handed to the system for all purposes: framing and zero-filling included.
    pub bytes_written: u64,
    /// Syncs that appends waited for.
    pub syncs: u64,
    /// How long these took together.
    pub sync_time: Duration,
    /// The longest of them.
    pub sync_time_max: Duration,
    /// How many took up to each of [`SYNC_TIME_BOUNDS`], and more.
    pub sync_times: [u64; SYNC_TIME_BOUNDS.len() + 1],
    /// Chunks now.
    pub chunks: u64,
    /// Their bytes on disk now, a prepared one included.
    pub disk_bytes: u64,
    /// Bytes now waiting to be written.
    pub waiting_bytes: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    groups: AtomicU64,
    records: AtomicU64,
    payload_bytes: AtomicU64,
    bytes_written: AtomicU64,
    syncs: AtomicU64,
    sync_nanoseconds: AtomicU64,
    sync_nanoseconds_max: AtomicU64,
    sync_times: [AtomicU64; SYNC_TIME_BOUNDS.len() + 1],
}

impl Counters {
    pub(crate) fn bytes_written(&self, bytes: u64) {
        self.bytes_written.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn synced(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.syncs.fetch_add(1, Relaxed);
        self.sync_nanoseconds.fetch_add(nanoseconds, Relaxed);
        self.sync_nanoseconds_max.fetch_max(nanoseconds, Relaxed);
        let bucket = SYNC_TIME_BOUNDS.partition_point(|bound| *bound < took);
        if let Some(bucket) = self.sync_times.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn committed(&self, records: u64, payload_bytes: u64) {
        self.groups.fetch_add(1, Relaxed);
        self.records.fetch_add(records, Relaxed);
        self.payload_bytes.fetch_add(payload_bytes, Relaxed);
    }

    /// The counters; what is now (chunks, bytes) is for the caller to fill in.
    pub(crate) fn read(&self) -> Statistics {
        Statistics {
            groups: self.groups.load(Relaxed),
            records: self.records.load(Relaxed),
            payload_bytes: self.payload_bytes.load(Relaxed),
            bytes_written: self.bytes_written.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            sync_time: Duration::from_nanos(self.sync_nanoseconds.load(Relaxed)),
            sync_time_max: Duration::from_nanos(self.sync_nanoseconds_max.load(Relaxed)),
            sync_times: self.sync_times.each_ref().map(|count| count.load(Relaxed)),
            ..Statistics::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Counters;

    #[test]
    fn a_sync_time_on_a_bound_counts_below_it() {
        let counters = Counters::default();
        counters.synced(Duration::from_micros(50));
        counters.synced(Duration::from_micros(51));
        counters.synced(Duration::from_secs(2));
        let statistics = counters.read();
        assert_eq!(statistics.sync_times[..2], [1, 1]);
        assert_eq!(statistics.sync_times.last(), Some(&1));
        assert_eq!((statistics.syncs, statistics.sync_time_max), (3, Duration::from_secs(2)));
    }
}
