//! What the system says about the machine and about this process. Where it says nothing, so do we.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// The machine a bench ran on.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    pub(super) processor: Option<String>,
    pub(super) cores: usize,
    pub(super) memory_bytes: Option<u64>,
    pub(super) system: Option<String>,
    /// The kind of the file system measured.
    pub(super) file_system: Option<String>,
    /// Processes that wanted to run in the last minute, before the bench began.
    pub(super) load_before: Option<f64>,
}

impl Machine {
    pub(super) fn look(directory: &Path) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        Self {
            processor: line_value("/proc/cpuinfo", "model name"),
            cores,
            memory_bytes: kilobytes("/proc/meminfo", "MemTotal"),
            system: release.map(|release| format!("Linux {}", release.trim())),
            file_system: file_system(directory),
            load_before: fs::read_to_string("/proc/loadavg")
                .ok()
                .and_then(|text| text.split(' ').next()?.parse().ok()),
        }
    }
}

/// The value after `name:` in a file of the kernel.
fn line_value(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn kilobytes(path: &str, name: &str) -> Option<u64> {
    let value = line_value(path, name)?;
    Some(value.split(' ').next()?.parse::<u64>().ok()? * 1024)
}

/// The mount that holds a directory is the longest that its path begins with.
fn file_system(directory: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut parts = line.split(' ').skip(1);
        Some((parts.next()?, parts.next()?))
    });
    let holding = mounts.filter(|(place, _)| directory.starts_with(place));
    holding.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind.to_owned())
}

/// Counters of this process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Bytes passed to the system's `write`, in whatever way: what goes to files and, in part, to sockets.
    pub(super) written: u64,
    /// Processor time, in seconds.
    pub(super) processor: f64,
}

impl Usage {
    pub(super) fn now() -> Self {
        let written = line_value("/proc/self/io", "wchar");
        Self {
            written: written.and_then(|value| value.parse().ok()).unwrap_or(0),
            processor: processor_seconds().unwrap_or(0.0),
        }
    }
}

fn processor_seconds() -> Option<f64> {
    /// Linux counts this in hundredths on every machine we build for.
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// Memory of this process now.
pub(super) fn resident_bytes() -> u64 {
    kilobytes("/proc/self/status", "VmRSS").unwrap_or(0)
}
