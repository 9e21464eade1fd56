//! Being told of changes in a folder. Polling goes on beside it: network shares tell nothing.

use std::path::Path;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Tells of changes for as long as it lives.
#[derive(Debug)]
pub(super) struct Watch {
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Starts, unless the system can't; then polling has to do.
    pub(super) fn start(folder: &Path, changed: &Arc<Notify>) -> Option<Self> {
        let changed = changed.clone();
        let told = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| matters(event.kind)) {
                changed.notify_one();
            }
        };
        let mut watcher = notify::recommended_watcher(told).ok()?;
        watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
        Some(Self { _watcher: watcher })
    }
}

/// Whether a file may have become ready. Our own reading is told of too, and must not wake us.
fn matters(kind: EventKind) -> bool {
    match kind {
        EventKind::Create(_) => true,
        EventKind::Modify(ModifyKind::Metadata(_)) => false,
        EventKind::Modify(_) => true,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) | EventKind::Remove(_) | EventKind::Any | EventKind::Other => false,
    }
}
