//! Which files of a folder are ready to be taken, and in which order.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::pattern::Pattern;
use super::workplace::Claim;

/// So many files are looked at in one go; the rest of a larger folder comes when these are taken.
pub(super) const LISTED_FILES_MAX: usize = 10_000;

/// In which order files are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By name, byte by byte.
    Name,
    /// The one changed first goes first; by name when several were changed at once.
    Modified,
}

/// How a sender says that a file is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ready {
    /// It does not: a file is complete when its size and time did not change for this long.
    Stable(Duration),
    /// By a second, empty file.
    Marker(Marker),
}

/// The name of the second file, such as `{name}.done` or `{stem}.ready`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    /// Whether the marked file's own extension is left out.
    pub(super) base: MarkerBase,
    /// What comes behind.
    pub(super) suffix: String,
}

/// What a marker's name starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkerBase {
    /// The whole name: `a.hl7.done`.
    Name,
    /// The name without its extension: `a.done`.
    Stem,
}

impl Marker {
    /// The marker of the file with this name.
    pub(super) fn of(&self, name: &OsStr) -> OsString {
        let mut marker = match self.base {
            MarkerBase::Name => name.to_owned(),
            MarkerBase::Stem => Path::new(name).file_stem().unwrap_or(name).to_owned(),
        };
        marker.push(&self.suffix);
        marker
    }

    fn is_marker(&self, name: &str) -> bool {
        name.ends_with(&self.suffix)
    }
}

/// A file as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its name.
    pub(super) name: OsString,
    /// Its size in bytes.
    pub(super) size: u64,
    /// When it was last changed.
    pub(super) modified: SystemTime,
}

impl Found {
    fn compare(&self, other: &Self, order: Order) -> Ordering {
        let by_name = self.name.as_encoded_bytes().cmp(other.name.as_encoded_bytes());
        match order {
            Order::Name => by_name,
            Order::Modified => self.modified.cmp(&other.modified).then(by_name),
        }
    }
}

/// What a folder held at one moment.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files that fit and hold something, in order.
    pub(super) files: Vec<Found>,
    /// How many that fit can't be taken: links, pipes, and names without room for a key.
    pub(super) unfit: u64,
    /// How many that fit are empty.
    pub(super) empty: u64,
}

impl Listing {
    /// Looks into a folder, not into folders within it. Links are not followed: whoever may write to the folder could
    /// otherwise have any file of the machine read.
    pub(super) fn of(
        folder: &Path,
        patterns: &[Pattern],
        ready: &Ready,
        order: Order,
        files_max: usize,
    ) -> io::Result<Self> {
        let mut listing = Self::default();
        let mut marked = HashSet::new();
        let mut files = Smallest::new(order, files_max);
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let text = name.to_string_lossy();
            if let Ready::Marker(marker) = ready
                && marker.is_marker(&text)
            {
                marked.insert(name);
                continue;
            }
            if !patterns.iter().any(|pattern| pattern.matches(&text)) {
                continue;
            }
            let metadata = match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => continue,
                Ok(metadata) => metadata,
                // Gone since, or not to be seen into.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(_) => {
                    listing.unfit += 1;
                    continue;
                }
            };
            if !metadata.is_file() || !Claim::has_room(&name) {
                listing.unfit += 1;
            } else if metadata.len() == 0 {
                listing.empty += 1;
            } else {
                let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                files.insert(Found { name, size: metadata.len(), modified });
            }
        }
        listing.files = files.into_sorted();
        if let Ready::Marker(marker) = ready {
            listing.files.retain(|file| marked.contains(&marker.of(&file.name)));
        }
        Ok(listing)
    }
}

/// The first files of an order, however many there are.
struct Smallest {
    order: Order,
    most: usize,
    files: BTreeSet<Keyed>,
}

struct Keyed(Found, Order);

impl Ord for Keyed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.compare(&other.0, self.1)
    }
}

impl PartialOrd for Keyed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Keyed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Keyed {}

impl Smallest {
    fn new(order: Order, most: usize) -> Self {
        Self { order, most, files: BTreeSet::new() }
    }

    fn insert(&mut self, file: Found) {
        self.files.insert(Keyed(file, self.order));
        if self.files.len() > self.most {
            self.files.pop_last();
        }
    }

    fn into_sorted(self) -> Vec<Found> {
        self.files.into_iter().map(|keyed| keyed.0).collect()
    }
}

/// Remembers since when each file is unchanged.
#[derive(Debug, Default)]
pub(super) struct Stability {
    seen: HashMap<OsString, Seen>,
}

#[derive(Debug)]
struct Seen {
    size: u64,
    modified: SystemTime,
    since: Instant,
}

/// What is to be taken now, and when to look again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ReadyFiles {
    /// Complete files, in order.
    pub(super) files: Vec<OsString>,
    /// When the next one may be complete.
    pub(super) due: Option<Instant>,
}

impl Stability {
    /// Compares a listing with the ones before. The clock is ours alone: a file's own time may come from another
    /// machine's, and a copying program sets it back before it is done.
    pub(super) fn ready(
        &mut self,
        listing: Vec<Found>,
        now: Instant,
        stable_for: Duration,
    ) -> ReadyFiles {
        let mut ready = ReadyFiles::default();
        let mut seen = HashMap::with_capacity(listing.len());
        for file in listing {
            let since = match self.seen.remove(&file.name) {
                Some(before) if (before.size, before.modified) == (file.size, file.modified) => {
                    before.since
                }
                _ => now,
            };
            if now.saturating_duration_since(since) >= stable_for {
                ready.files.push(file.name.clone());
            } else {
                let due = since + stable_for;
                ready.due = Some(ready.due.map_or(due, |earlier| earlier.min(due)));
            }
            seen.insert(file.name, Seen { size: file.size, modified: file.modified, since });
        }
        self.seen = seen;
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn found(name: &str, size: u64, at: u64) -> Found {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
        Found { name: name.into(), size, modified }
    }

    fn all() -> Vec<Pattern> {
        vec![Pattern::parse("*").expect("the pattern is sound")]
    }

    fn names(files: &[Found]) -> Vec<&str> {
        files.iter().filter_map(|file| file.name.to_str()).collect()
    }

    #[test]
    fn a_file_is_ready_when_it_did_not_change_for_a_while() {
        let start = Instant::now();
        let mut stability = Stability::default();
        let mut ready = |at: Duration, files: &[Found]| {
            let ready = stability.ready(files.to_vec(), start + at, 2 * SECOND);
            (ready.files, ready.due.map(|due| due - start))
        };
        let waiting = |due: Duration| (Vec::new(), Some(due));
        assert_eq!(ready(Duration::ZERO, &[found("a", 1, 9)]), waiting(2 * SECOND));
        assert_eq!(ready(SECOND, &[found("a", 2, 9)]), waiting(3 * SECOND));
        assert_eq!(ready(2 * SECOND, &[found("a", 2, 10)]), waiting(4 * SECOND));
        let just_before = 4 * SECOND - Duration::from_millis(1);
        assert_eq!(ready(just_before, &[found("a", 2, 10)]), waiting(4 * SECOND));
        assert_eq!(ready(4 * SECOND, &[found("a", 2, 10)]), (vec!["a".into()], None));
        // Gone and back: it counts from the start.
        assert_eq!(ready(5 * SECOND, &[]), (Vec::new(), None));
        assert_eq!(ready(6 * SECOND, &[found("a", 2, 10)]), waiting(8 * SECOND));
    }

    #[test]
    fn what_need_not_be_stable_is_ready_at_once() {
        let ready =
            Stability::default().ready(vec![found("a", 1, 1)], Instant::now(), Duration::ZERO);
        assert_eq!(ready, ReadyFiles { files: vec!["a".into()], due: None });
    }

    #[test]
    fn the_first_files_of_the_order_are_kept_when_there_are_too_many() {
        for (order, expected) in [(Order::Name, ["a", "b"]), (Order::Modified, ["c", "a"])] {
            let mut smallest = Smallest::new(order, 2);
            for file in [found("b", 1, 2), found("a", 1, 2), found("c", 1, 1), found("d", 1, 4)] {
                smallest.insert(file);
            }
            assert_eq!(names(&smallest.into_sorted()), expected);
        }
    }

    #[test]
    fn links_folders_and_empty_files_are_left_alone() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.hl7"), "MSH")?;
        fs::write(path("empty.hl7"), "")?;
        fs::create_dir(path("folder.hl7"))?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(path("a.hl7"), path("link.hl7"))?;
        let ready = Ready::Stable(Duration::ZERO);
        let listing = Listing::of(folder.path(), &all(), &ready, Order::Name, 10)?;
        assert_eq!(names(&listing.files), ["a.hl7"]);
        assert_eq!((listing.empty, listing.unfit), (1, u64::from(cfg!(unix))));
        Ok(())
    }

    #[test]
    fn a_marker_makes_a_file_ready() -> io::Result<()> {
        for (base, marker) in [(MarkerBase::Name, "a.hl7.done"), (MarkerBase::Stem, "a.done")] {
            let folder = tempfile::tempdir()?;
            for name in ["a.hl7", "b.hl7", marker, "c.done"] {
                fs::write(folder.path().join(name), "x")?;
            }
            let ready = Ready::Marker(Marker { base, suffix: ".done".into() });
            let listing = Listing::of(folder.path(), &all(), &ready, Order::Name, 10)?;
            assert_eq!(names(&listing.files), ["a.hl7"]);
        }
        Ok(())
    }
}
