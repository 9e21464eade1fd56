//! Processor time and memory of other processes, with their children.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often memory is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Linux counts processor time in hundredths of a second on every machine we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// What was seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Watched {
    pub(super) processor_s: f64,
    /// At its highest.
    pub(super) memory_bytes: u64,
}

/// Looks at processes until it is stopped.
pub(super) struct Watch {
    roots: Vec<u32>,
    before: f64,
    stop: Arc<AtomicBool>,
    highest: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(roots: &[u32]) -> Self {
        let (stop, highest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, kept, watched) = (Arc::clone(&stop), Arc::clone(&highest), roots.to_vec());
        let watch = move || {
            while !until.load(Ordering::Relaxed) {
                kept.fetch_max(memory(&family(&watched)), Ordering::Relaxed);
                std::thread::sleep(INTERVAL);
            }
        };
        let thread = if roots.is_empty() {
            None
        } else {
            // Without a thread there is only the figure at the end.
            std::thread::Builder::new().name("memory".to_owned()).spawn(watch).ok()
        };
        let before = processor(&family(roots));
        Self { roots: roots.to_vec(), before, stop, highest, thread }
    }

    pub(super) fn stop(mut self) -> Watched {
        let family = family(&self.roots);
        let processor_s = processor(&family) - self.before;
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let memory_bytes = self.highest.load(Ordering::Relaxed).max(memory(&family));
        Watched { processor_s, memory_bytes }
    }
}

/// Processes and all that descend from them.
fn family(roots: &[u32]) -> Vec<u32> {
    let mut family = roots.to_vec();
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(parent) = fields(pid).and_then(|fields| fields.first()?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut at = 0;
    while let Some(pid) = family.get(at).copied() {
        let new = children.remove(&pid).unwrap_or_default();
        family.extend(new.into_iter().filter(|pid| !roots.contains(pid)));
        at += 1;
    }
    family
}

/// The fields of `/proc/PID/stat` from the parent on.
fn fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces.
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().skip(1).map(str::to_owned).collect())
}

fn processor(family: &[u32]) -> f64 {
    let ticks = family.iter().filter_map(|pid| {
        let fields = fields(*pid)?;
        let (user, system): (f64, f64) =
            (fields.get(10)?.parse().ok()?, fields.get(11)?.parse().ok()?);
        Some(user + system)
    });
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// Memory; what several of them share is counted once.
fn memory(family: &[u32]) -> u64 {
    let (file, name) = match family {
        [_] => ("status", "VmRSS:"),
        _ => ("smaps_rollup", "Pss:"),
    };
    let kilobytes = family.iter().filter_map(|pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    kilobytes.sum::<u64>().saturating_mul(1024)
}
