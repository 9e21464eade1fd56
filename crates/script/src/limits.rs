//! What a run may use.

use std::time::Duration;

/// What a run may use; each has a default, and each is configured by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long it may last, waiting included.
    pub wall_time: Duration,
    /// How much processor time it may use.
    pub cpu_time: Duration,
    /// How much memory its runtime may hold, in bytes.
    pub memory: usize,
    /// How deep its stack may be, in bytes.
    pub stack: usize,
    /// How often it may ask its host.
    pub asks: u32,
    /// How large its result may be, in bytes.
    pub output: usize,
    /// How much it may log, in bytes; what is beyond is cut, and told.
    pub log: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_time: Duration::from_secs(30),
            cpu_time: Duration::from_secs(5),
            memory: 64 << 20,
            stack: 512 << 10,
            asks: 1_000,
            output: 16 << 20,
            log: 64 << 10,
        }
    }
}
