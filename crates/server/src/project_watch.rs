//! Being told that a file of the project directory has changed. Polling goes on beside it: network
//! shares and some mounted volumes tell nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// What of a project directory has a part in the configuration. The data directory may be inside
/// of it, too, and is busy.
pub(crate) const PARTS: [&str; 7] =
    ["pipehat.yaml", "channels", "tables", "mappings", "receivers", "profiles", "bots"];

/// Tells of changes for as long as it lives.
pub(crate) struct ProjectWatch {
    project: PathBuf,
    changed: Arc<Notify>,
    /// None where the system has no such thing.
    watcher: Option<RecommendedWatcher>,
    followed: BTreeSet<&'static str>,
}

impl ProjectWatch {
    /// Follows the project in a directory, as far as the system can.
    pub(crate) fn start(project: &Path) -> Self {
        let changed = Arc::new(Notify::new());
        let (tell, root) = (Arc::clone(&changed), project.to_owned());
        let told = move |event: notify::Result<notify::Event>| {
            let part = |path: &PathBuf| path.strip_prefix(&root).is_ok_and(is_part);
            if event.is_ok_and(|event| is_complete(event.kind) && event.paths.iter().any(part)) {
                tell.notify_one();
            }
        };
        let mut watcher = notify::recommended_watcher(told).ok();
        if let Some(own) = &mut watcher
            && own.watch(project, RecursiveMode::NonRecursive).is_err()
        {
            watcher = None;
        }
        let mut watch =
            Self { project: project.to_owned(), changed, watcher, followed: BTreeSet::new() };
        watch.follow();
        watch
    }

    /// Takes hold of folders that were not there before.
    pub(crate) fn follow(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for part in PARTS {
            let path = self.project.join(part);
            if !path.is_dir() {
                self.followed.remove(part);
            } else if !self.followed.contains(part)
                && watcher.watch(&path, RecursiveMode::Recursive).is_ok()
            {
                self.followed.insert(part);
            }
        }
    }

    /// Waits for a change.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

fn is_part(inside: &Path) -> bool {
    inside
        .components()
        .next()
        .is_some_and(|first| PARTS.iter().any(|part| first.as_os_str() == *part))
}

/// Whether what changed has its new content. Of a file that is being written it is told again when
/// its writer closes it.
fn is_complete(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Create(CreateKind::Folder)
        | EventKind::Modify(ModifyKind::Name(_))
        | EventKind::Remove(_) => true,
        EventKind::Access(_)
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Any
        | EventKind::Other => false,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    async fn is_told(watch: &ProjectWatch, time: Duration) -> bool {
        timeout(time, watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn finished_changes_of_the_project_are_told_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("channels")).expect("a folder");
        fs::create_dir_all(path("data")).expect("a folder");
        let mut watch = ProjectWatch::start(folder.path());

        fs::write(path("channels/a.yaml"), "a").expect("writes");
        assert!(is_told(&watch, DEADLINE).await, "a file that was written and closed");
        fs::write(path("new"), "b").expect("writes");
        fs::rename(path("new"), path("channels/a.yaml")).expect("renames");
        assert!(is_told(&watch, DEADLINE).await, "a file that took another's place");
        fs::create_dir(path("tables")).expect("a folder");
        assert!(is_told(&watch, DEADLINE).await, "a new folder");
        watch.follow();
        fs::write(path("tables/t.csv"), "t").expect("writes");
        assert!(is_told(&watch, DEADLINE).await, "a file in it");
        fs::remove_file(path("channels/a.yaml")).expect("removes");
        assert!(is_told(&watch, DEADLINE).await, "a file that is gone");
        while is_told(&watch, Duration::from_millis(50)).await {}

        fs::write(path("data/journal"), "j").expect("writes");
        fs::write(path("notes.txt"), "n").expect("writes");
        let unfinished = fs::File::create(path("channels/b.yaml")).expect("a file");
        assert!(!is_told(&watch, Duration::from_millis(50)).await);
        drop(unfinished);
        assert!(is_told(&watch, DEADLINE).await, "closed at last");
    }
}
