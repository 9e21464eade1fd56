//! The file connector on real folders: what is taken exactly once, where files end, and what a crash leaves.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pipehat_config::Diagnostics;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::CONNECTOR;
use crate::contract::{
    Behaviour, DestinationCase, Heard, Partner, SourceCase, check_descriptor, check_destination,
    check_source, message, outbound, soon,
};
use crate::tls::testing::{Project, settings};
use crate::{
    Admission, Attempt, Destination, FilePart, Health, Inbound, Intake, IntakeClosed, LinkState,
    Receipt, ReceiptOutcome, Source,
};

/// Quick enough for tests that wait for polls.
const QUICK: &str = "stable_for: 0s, poll: 100ms";

fn source_with(yaml: &str) -> Result<Arc<dyn Source>, String> {
    let descriptor = CONNECTOR.source.as_ref().expect("it receives");
    let mut diagnostics = Diagnostics::new();
    let project = Project::empty();
    let settings = settings(yaml, descriptor.schema);
    (descriptor.build)(&settings, &project.context(), &mut diagnostics)
        .ok_or_else(|| diagnostics.to_string())
}

fn destination_with(yaml: &str, health: Arc<Health>) -> Result<Arc<dyn Destination>, String> {
    let descriptor = CONNECTOR.destination.as_ref().expect("it sends");
    let mut diagnostics = Diagnostics::new();
    let project = Project::empty();
    let settings = settings(yaml, descriptor.schema);
    (descriptor.build)(&settings, &project.context(), health, &mut diagnostics)
        .ok_or_else(|| diagnostics.to_string())
}

/// An engine whose memory outlives the source, as a journal does. It takes the parts of a file in order and without
/// gaps: what comes out of order is answered with busy.
#[derive(Default)]
struct Journal {
    kept: Mutex<Kept>,
    changed: watch::Sender<usize>,
}

#[derive(Default)]
struct Kept {
    messages: Vec<Bytes>,
    parts: HashMap<String, u64>,
    files: Vec<Option<String>>,
    last: Vec<FilePart>,
    /// How many more are taken before the engine is busy for ever.
    room: Option<usize>,
    /// Every so many-th call is answered with busy.
    busy_every: Option<usize>,
    /// Messages with these numbers, counted from 1 in their file, are refused.
    refuse: Vec<u64>,
    calls: usize,
}

impl Journal {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no test panics while holding it")
    }

    fn messages(&self) -> Vec<String> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        self.kept().messages.iter().map(text).collect()
    }

    async fn has(&self, count: usize) {
        let mut changed = self.changed.subscribe();
        soon("messages kept", changed.wait_for(|kept| *kept >= count)).await.expect("it lives");
    }
}

impl Intake for Journal {
    fn admit(&self, _: usize) -> BoxFuture<'static, Result<Admission, IntakeClosed>> {
        async { Ok(Admission::unlimited()) }.boxed()
    }

    fn receive(&self, _: Admission, inbound: Inbound) -> BoxFuture<'static, Receipt> {
        let part = inbound.part.expect("a file's messages have a place in it");
        let mut kept = self.kept();
        kept.calls += 1;
        let expected = kept.parts.get(&part.key).copied().unwrap_or_default();
        let is_busy = part.index != expected
            || kept.room == Some(0)
            || kept.busy_every.is_some_and(|every| kept.calls.is_multiple_of(every));
        let outcome = if is_busy {
            ReceiptOutcome::Busy
        } else {
            kept.parts.insert(part.key.clone(), part.index + 1);
            kept.room = kept.room.map(|room| room - 1);
            if kept.refuse.contains(&(part.index + 1)) {
                ReceiptOutcome::Rejected
            } else {
                kept.messages.push(inbound.bytes);
                kept.files.push(inbound.peer.file.clone());
                kept.last.push(part);
                ReceiptOutcome::Kept
            }
        };
        let count = kept.messages.len();
        drop(kept);
        self.changed.send_replace(count);
        async move {
            tokio::task::yield_now().await;
            Receipt { outcome, reply: None, later: None }
        }
        .boxed()
    }

    fn parts_kept(&self, key: &str) -> u64 {
        self.kept().parts.get(key).copied().unwrap_or_default()
    }
}

/// A source at work on a folder.
struct Running {
    health: Arc<Health>,
    stop: CancellationToken,
    run: JoinHandle<()>,
}

impl Running {
    async fn start(folder: &Path, more: &str, journal: &Arc<Journal>) -> Self {
        let yaml = format!("{{ folder: {}, {more} }}", folder.display());
        let source = source_with(&yaml).expect("the settings are sound");
        let bound = soon("bind", source.bind()).await.expect("the folder is free");
        let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
        let run = tokio::spawn(bound.run(journal.clone(), health.clone(), stop.clone()));
        Self { health, stop, run }
    }

    async fn stop(self) {
        self.stop.cancel();
        soon("the source's end", self.run).await.expect("the source does not panic");
        assert_eq!(self.health.snapshot().state, LinkState::Stopped);
    }

    /// Ends it without letting it finish anything, as a crash does.
    async fn crash(self) {
        self.run.abort();
        let ended = soon("the source's end", self.run).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }

    async fn problem(&self, code: &str) -> String {
        until(|| {
            let problem = self.health.snapshot().problem?;
            (problem.code == code).then_some(problem.detail)
        })
        .await
    }
}

/// Looks again and again until there is something to see.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("what was waited for", looking).await
}

async fn appears(path: PathBuf) -> String {
    until(|| fs::read_to_string(&path).ok()).await
}

async fn gone(path: PathBuf) {
    until(|| (!path.exists()).then_some(())).await;
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn short(number: usize) -> String {
    format!("MSH|^~\\&|A|B|C|D|||ADT^A01|{number}|P|2.5\rPID|1||{number}\r")
}

/// Numbered messages in a batch, with its frame.
fn batch(messages: usize) -> String {
    let inner: String = (1..=messages).map(short).collect();
    format!("FHS|^~\\&\rBHS|^~\\&\r{inner}BTS|{messages}\rFTS|1\r")
}

fn numbered(messages: std::ops::RangeInclusive<usize>) -> Vec<String> {
    messages.map(short).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).expect("the folder can be written");
}

#[test]
fn the_descriptor_is_sound() {
    check_descriptor(&CONNECTOR);
}

struct SourceFolders(Mutex<Vec<TempDir>>);

impl SourceCase for SourceFolders {
    fn descriptor(&self) -> &'static crate::Descriptor {
        &CONNECTOR
    }

    fn source(&self, place: Option<&str>) -> Arc<dyn Source> {
        let place = place.map(str::to_owned).unwrap_or_else(|| {
            let folder = folder();
            let place = folder.path().display().to_string();
            self.0.lock().expect("unpoisoned").push(folder);
            place
        });
        source_with(&format!("{{ folder: {place}, {QUICK} }}")).expect("the settings are sound")
    }

    fn reply(_: &Inbound, _: ReceiptOutcome) -> Option<Bytes> {
        None
    }

    fn send(
        &self,
        address: Option<String>,
        payloads: Vec<Bytes>,
    ) -> impl Future<Output = Heard> + Send + 'static {
        let folder = PathBuf::from(address.expect("a folder has a name"));
        async move {
            let mut heard = Heard::Nothing;
            for (number, payload) in payloads.iter().enumerate() {
                let name = format!("{number:04}.hl7");
                fs::write(folder.join("unfinished"), payload).expect("the folder can be written");
                fs::rename(folder.join("unfinished"), folder.join(&name)).expect("it was written");
                // A partner that waits for ever has heard nothing.
                let looking = async {
                    loop {
                        if folder.join("done").join(&name).exists() {
                            return Heard::Kept;
                        }
                        if folder.join("error").join(&name).exists() {
                            return Heard::Refused;
                        }
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                };
                heard = tokio::time::timeout(Duration::from_secs(2), looking)
                    .await
                    .unwrap_or(Heard::Nothing);
            }
            heard
        }
    }
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    check_source(SourceFolders(Mutex::default())).await;
}

struct DestinationFolders;

struct DestinationFolder {
    parent: TempDir,
}

impl DestinationFolder {
    fn path(&self) -> PathBuf {
        self.parent.path().join("out")
    }
}

impl Partner for DestinationFolder {
    fn got(&self) -> Vec<Bytes> {
        let mut files: Vec<_> = names_in(&self.path())
            .into_iter()
            .map(|name| {
                let path = self.path().join(name);
                let modified = fs::metadata(&path).and_then(|file| file.modified());
                (modified.expect("a time"), Bytes::from(fs::read(path).expect("a file")))
            })
            .collect();
        files.sort_by_key(|(modified, _)| *modified);
        files.into_iter().map(|(_, content)| content).collect()
    }
}

impl DestinationCase for DestinationFolders {
    type Partner = DestinationFolder;

    fn descriptor(&self) -> &'static crate::Descriptor {
        &CONNECTOR
    }

    async fn partner(&self, behaviour: Behaviour) -> Option<DestinationFolder> {
        let mut partner = DestinationFolder { parent: folder() };
        match behaviour {
            Behaviour::Accept => self.change(&mut partner, Behaviour::Accept).await,
            Behaviour::Absent => {}
            Behaviour::Refuse | Behaviour::DieBeforeAnswer => return None,
        }
        Some(partner)
    }

    async fn change(&self, partner: &mut DestinationFolder, _: Behaviour) {
        fs::create_dir(partner.path()).expect("the parent is there");
    }

    fn destination(
        &self,
        partner: &DestinationFolder,
        health: Arc<Health>,
    ) -> Arc<dyn Destination> {
        let yaml = format!("{{ folder: {} }}", partner.path().display());
        destination_with(&yaml, health).expect("the settings are sound")
    }
}

#[tokio::test]
async fn the_destination_keeps_the_contract() {
    check_destination(DestinationFolders).await;
}

#[tokio::test]
async fn files_are_taken_in_order_and_moved() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    for number in [3, 1, 2] {
        put(folder.path(), &format!("{number}.hl7"), short(number));
    }
    put(folder.path(), "4.hl7", batch(2));
    put(folder.path(), "other.txt", "not ours");
    let running = Running::start(folder.path(), QUICK, &journal).await;
    appears(folder.path().join("done/4.hl7")).await;
    let expected = [numbered(1..=3), numbered(1..=2)].concat();
    assert_eq!(journal.messages(), expected);
    let last: Vec<bool> = journal.kept().last.iter().map(|part| part.last).collect();
    assert_eq!(last, [true, true, true, false, true]);
    assert_eq!(journal.kept().files.last(), Some(&Some("4.hl7".to_owned())));
    assert_eq!(names_in(folder.path()), [".pipehat", "done", "other.txt"]);
    assert_eq!(names_in(&folder.path().join(".pipehat")), ["lock"]);
    assert_eq!(running.health.snapshot().problem, None);
    running.stop().await;
}

#[tokio::test]
async fn finished_files_can_be_deleted() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    put(folder.path(), "a.hl7", short(1));
    let more = format!("{QUICK}, when_done: delete");
    let running = Running::start(folder.path(), &more, &journal).await;
    journal.has(1).await;
    until(|| (names_in(&folder.path().join(".pipehat")) == ["lock"]).then_some(())).await;
    assert_eq!(names_in(folder.path()), [".pipehat"]);
    running.stop().await;
}

/// Whenever the source dies, each message is kept once and in order in the end: the engine's memory is what counts.
#[tokio::test]
async fn a_crash_at_any_message_loses_and_doubles_none() {
    const MESSAGES: usize = 12;
    for under_way in [1, 5] {
        for survived in 0..=MESSAGES {
            let folder = folder();
            let journal = Arc::new(Journal::default());
            let more = format!("{QUICK}, under_way: {under_way}");
            put(folder.path(), "batch.hl7", batch(MESSAGES));
            journal.kept().room = Some(survived);
            let running = Running::start(folder.path(), &more, &journal).await;
            if survived == MESSAGES {
                journal.has(MESSAGES).await;
            } else {
                running.problem("file.engine-busy").await;
            }
            running.crash().await;
            assert_eq!(journal.messages().len(), survived);

            journal.kept().room = None;
            let running = Running::start(folder.path(), &more, &journal).await;
            appears(folder.path().join("done/batch.hl7")).await;
            assert_eq!(journal.messages(), numbered(1..=MESSAGES), "{survived} had survived");
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn stopping_in_the_middle_goes_on_later() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    put(folder.path(), "batch.hl7", batch(9));
    journal.kept().room = Some(4);
    let running = Running::start(folder.path(), QUICK, &journal).await;
    running.problem("file.engine-busy").await;
    running.stop().await;
    assert_eq!(names_in(folder.path()), [".pipehat"]);
    journal.kept().room = None;
    let running = Running::start(folder.path(), QUICK, &journal).await;
    appears(folder.path().join("done/batch.hl7")).await;
    assert_eq!(journal.messages(), numbered(1..=9));
    running.stop().await;
}

#[tokio::test]
async fn a_busy_engine_changes_no_order() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    journal.kept().busy_every = Some(7);
    put(folder.path(), "batch.hl7", batch(12));
    let more = format!("{QUICK}, under_way: 3");
    let running = Running::start(folder.path(), &more, &journal).await;
    appears(folder.path().join("done/batch.hl7")).await;
    assert_eq!(journal.messages(), numbered(1..=12));
    running.stop().await;
}

#[tokio::test]
async fn a_refused_message_sends_the_file_aside_and_stops_no_other() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    journal.kept().refuse = vec![2];
    put(folder.path(), "a.hl7", batch(3));
    put(folder.path(), "b.hl7", short(9));
    let running = Running::start(folder.path(), QUICK, &journal).await;
    let reason = appears(folder.path().join("error/a.hl7.reason")).await;
    assert!(reason.starts_with("file.message-rejected: message 2 of the file"), "{reason}");
    appears(folder.path().join("done/b.hl7")).await;
    assert_eq!(journal.messages(), [short(1), short(3), short(9)]);
    running.stop().await;
}

#[tokio::test]
async fn a_refusal_is_remembered_over_a_restart() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    {
        let mut kept = journal.kept();
        (kept.refuse, kept.room) = (vec![2], Some(3));
    }
    put(folder.path(), "a.hl7", batch(5));
    let more = format!("{QUICK}, under_way: 1");
    let running = Running::start(folder.path(), &more, &journal).await;
    running.problem("file.engine-busy").await;
    running.crash().await;
    journal.kept().room = None;
    let running = Running::start(folder.path(), &more, &journal).await;
    let reason = appears(folder.path().join("error/a.hl7.reason")).await;
    assert!(reason.contains("message 2 of the file"), "{reason}");
    until(|| (names_in(&folder.path().join(".pipehat")) == ["lock"]).then_some(())).await;
    running.stop().await;
}

#[tokio::test]
async fn odd_files_go_aside_with_their_reason() {
    let large = format!("{}{}OBX|1|{}\r", short(1), short(2), "x".repeat(2_000));
    let cases: [(&str, String, &str, usize); 5] = [
        ("count", batch(3).replace("BTS|3", "BTS|4"), "file.batch-inconsistent: BTS-1", 3),
        ("cut", batch(2).replace("BTS|2\rFTS|1\r", ""), "file.batch-inconsistent", 2),
        ("large", large, "file.message-too-large", 1),
        ("text", "hello\r\nworld\r\n".to_owned(), "file.batch-inconsistent: lines", 0),
        ("blank", "\r\n\r\n".to_owned(), "file.no-message", 0),
    ];
    for (name, content, expected, messages) in cases {
        let folder = folder();
        let journal = Arc::new(Journal::default());
        put(folder.path(), &format!("{name}.hl7"), content);
        let more = format!("{QUICK}, message_bytes_max: 2000B");
        let running = Running::start(folder.path(), &more, &journal).await;
        let reason = appears(folder.path().join(format!("error/{name}.hl7.reason"))).await;
        assert!(reason.starts_with(expected), "{name}: {reason}");
        assert_eq!(journal.messages().len(), messages, "{name}");
        let detail = running.problem("file.set-aside").await;
        assert!(!detail.contains(&format!("{name}.hl7")), "{detail}");
        running.stop().await;
    }
}

#[tokio::test]
async fn an_empty_batch_is_no_mistake() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    put(folder.path(), "nothing-today.hl7", batch(0));
    let running = Running::start(folder.path(), QUICK, &journal).await;
    appears(folder.path().join("done/nothing-today.hl7")).await;
    assert_eq!(journal.messages().len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_message_may_be_as_large_as_the_limit() {
    for (over, ends_in) in [(0, "done"), (1, "error")] {
        let folder = folder();
        let journal = Arc::new(Journal::default());
        let start = "MSH|^~\\&|";
        let content = format!("{start}{}\r", "x".repeat(1_000 - start.len() - 1 + over));
        put(folder.path(), "a.hl7", &content);
        let more = format!("{QUICK}, message_bytes_max: 1000B");
        let running = Running::start(folder.path(), &more, &journal).await;
        appears(folder.path().join(ends_in).join("a.hl7")).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_file_larger_than_any_buffer_is_streamed() {
    const MESSAGES: usize = 20_000;
    let folder = folder();
    let journal = Arc::new(Journal::default());
    put(folder.path(), "large.hl7", batch(MESSAGES));
    let running = Running::start(folder.path(), QUICK, &journal).await;
    appears(folder.path().join("done/large.hl7")).await;
    assert!(journal.messages() == numbered(1..=MESSAGES), "other messages than were in the file");
    let expected = batch(MESSAGES).len() as u64;
    assert_eq!(running.health.snapshot().bytes_in, expected);
    running.stop().await;
}

#[tokio::test]
async fn a_file_can_be_one_payload() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    put(folder.path(), "a.json", "{\"a\":\r\n1}\n");
    let more = format!("{QUICK}, split: none, pattern: [\"*.json\"]");
    let running = Running::start(folder.path(), &more, &journal).await;
    appears(folder.path().join("done/a.json")).await;
    assert_eq!(journal.messages(), ["{\"a\":\r\n1}\n"]);
    running.stop().await;
}

/// A file is taken when it rests, and one that goes on being written is not.
#[tokio::test]
async fn a_growing_file_is_waited_for() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    let running = Running::start(folder.path(), "stable_for: 400ms, poll: 100ms", &journal).await;
    let path = folder.path().join("slow.hl7");
    let mut file = fs::File::create(&path).expect("a file");
    for number in 1..=8 {
        file.write_all(short(number).as_bytes()).expect("room");
        // The point of the test is the passing of time between two writes.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(journal.messages().len(), 0, "taken while it was written");
    }
    appears(folder.path().join("done/slow.hl7")).await;
    assert_eq!(journal.messages(), numbered(1..=8));
    running.stop().await;
}

#[tokio::test]
async fn a_marker_releases_a_file_and_is_removed() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    put(folder.path(), "a.hl7", short(1));
    put(folder.path(), "b.hl7", short(2));
    put(folder.path(), "b.done", "");
    let more = "poll: 100ms, marker: \"{stem}.done\"";
    let running = Running::start(folder.path(), more, &journal).await;
    appears(folder.path().join("done/b.hl7")).await;
    gone(folder.path().join("b.done")).await;
    assert_eq!(journal.messages(), [short(2)]);
    put(folder.path(), "a.done", "");
    appears(folder.path().join("done/a.hl7")).await;
    running.stop().await;
}

#[tokio::test]
async fn two_engines_share_a_folder_and_take_each_file_once() {
    const FILES: usize = 200;
    let folder = folder();
    for number in 1..=FILES {
        put(folder.path(), &format!("{number:04}.hl7"), short(number));
    }
    let journals = [Arc::new(Journal::default()), Arc::new(Journal::default())];
    let mut running = Vec::new();
    for (number, journal) in journals.iter().enumerate() {
        let working = folder.path().join(format!("working-{number}"));
        let more = format!("{QUICK}, working: {}", working.display());
        running.push(Running::start(folder.path(), &more, journal).await);
    }
    let done = folder.path().join("done");
    until(|| (done.exists() && names_in(&done).len() == FILES).then_some(())).await;
    let mut all: Vec<String> = journals.iter().flat_map(|journal| journal.messages()).collect();
    let mut expected = numbered(1..=FILES);
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    for one in running {
        one.stop().await;
    }
}

#[tokio::test]
async fn a_missing_folder_is_waited_for() {
    let parent = folder();
    let share = parent.path().join("share");
    let journal = Arc::new(Journal::default());
    let running = Running::start(&share, QUICK, &journal).await;
    running.problem("file.folder-unreadable").await;
    assert_eq!(running.health.snapshot().state, LinkState::Down);
    fs::create_dir(&share).expect("the parent is there");
    put(&share, "a.hl7", short(1));
    appears(share.join("done/a.hl7")).await;

    // Unmounted in the middle, and mounted again.
    fs::rename(&share, parent.path().join("away")).expect("both are there");
    running.problem("file.folder-unreadable").await;
    fs::rename(parent.path().join("away"), &share).expect("both are there");
    put(&share, "b.hl7", short(2));
    appears(share.join("done/b.hl7")).await;
    assert_eq!(journal.messages(), numbered(1..=2));
    running.stop().await;
}

#[tokio::test]
async fn empty_files_and_links_are_left_and_told() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    put(folder.path(), "empty.hl7", "");
    let running = Running::start(folder.path(), QUICK, &journal).await;
    assert!(running.problem("file.empty").await.starts_with("1 files"));
    put(folder.path(), "empty.hl7", short(1));
    appears(folder.path().join("done/empty.hl7")).await;
    #[cfg(unix)]
    {
        let secret = folder.path().join("secret");
        fs::write(&secret, short(2)).expect("the folder can be written");
        std::os::unix::fs::symlink(&secret, folder.path().join("link.hl7")).expect("a link");
        running.problem("file.unfit").await;
        assert_eq!(journal.messages(), [short(1)]);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_name_that_is_taken_in_done_gets_a_number() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    let running = Running::start(folder.path(), QUICK, &journal).await;
    for (number, name) in [(1, "a.hl7"), (2, "a-2.hl7")] {
        put(folder.path(), "a.hl7", short(number));
        assert_eq!(appears(folder.path().join("done").join(name)).await, short(number));
    }
    // The same file once more is a new file: somebody put it there to be taken.
    fs::rename(folder.path().join("done/a.hl7"), folder.path().join("a.hl7")).expect("a file");
    journal.has(3).await;
    assert_eq!(journal.messages(), [short(1), short(2), short(1)]);
    running.stop().await;
}

#[tokio::test]
async fn settings_that_make_no_sense_are_explained() {
    let check = |made: Result<(), String>, expected: &str| {
        let text = made.expect_err("a mistake");
        assert!(text.contains(expected) && text.contains("file.setting"), "{text}");
    };
    let source = |more: &str| source_with(&format!("{{ folder: in, {more} }}")).map(|_| ());
    check(source("pattern: []"), "without a pattern");
    check(source("pattern: [\"a/b\"]"), "names");
    check(source("poll: 99ms"), "100ms");
    assert_eq!(source("poll: 100ms"), Ok(()));
    check(source("marker: done"), "{name}");
    check(source("marker: \"{name}.done\", stable_for: 1s"), "not both");
    check(source("when_done: delete, done: gone"), "deleted");
    check(source("done: in"), "taken from");
    check(source("error: in/.pipehat"), "working folder");
    check(source("message_bytes_max: 0B"), "between");
    check(source("message_bytes_max: 4GiB"), "between");

    let destination = |more: &str| {
        let yaml = format!("{{ folder: out, {more} }}");
        destination_with(&yaml, Arc::default()).map(|_| ())
    };
    check(destination("name: \"../{message}\""), "can't contain");
    check(destination("append: true, on_existing: park"), "added to");
    assert_eq!(destination("append: true"), Ok(()));
}

fn out(folder: &Path, more: &str) -> Arc<dyn Destination> {
    let yaml = format!("{{ folder: {}, {more} }}", folder.display());
    destination_with(&yaml, Arc::default()).expect("the settings are sound")
}

async fn deliver(destination: &Arc<dyn Destination>, number: u64, control_id: &str) -> Attempt {
    let delivery = crate::Outbound { message: number, ..outbound(control_id) };
    soon("an attempt", destination.deliver(delivery)).await
}

const DELIVERED: Attempt = Attempt::Delivered { reply: None };

#[tokio::test]
async fn a_repeated_delivery_makes_no_second_file() {
    let folder = folder();
    let first = out(folder.path(), "segment_end: lf");
    assert_eq!(deliver(&first, 7, "A").await, DELIVERED);
    // After a crash, by another instance.
    let second = out(folder.path(), "segment_end: lf");
    assert_eq!(deliver(&second, 7, "A").await, DELIVERED);
    assert_eq!(names_in(folder.path()), ["contract-7-1.hl7"]);
    let written = fs::read(folder.path().join("contract-7-1.hl7")).expect("a file");
    assert!(!written.contains(&b'\r') && written.ends_with(b"\n"));
    // Another message under the number of an older installation is no repetition, but its repetition is.
    assert_eq!(deliver(&second, 7, "B").await, DELIVERED);
    assert_eq!(deliver(&second, 7, "B").await, DELIVERED);
    assert_eq!(names_in(folder.path()), ["contract-7-1-2.hl7", "contract-7-1.hl7"]);
}

#[tokio::test]
async fn existing_files_are_kept_replaced_or_park() {
    let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (on_existing, second, expected) in [
        ("suffix", DELIVERED, files(&["X-2.hl7", "X.hl7"])),
        ("replace", DELIVERED, files(&["X.hl7"])),
        (
            "park",
            Attempt::Impossible { code: "file.name-taken", detail: String::new() },
            files(&["X.hl7"]),
        ),
    ] {
        let folder = folder();
        put(folder.path(), "X.hl7", "older");
        let yaml = format!("name: \"{{MSH-10}}.hl7\", on_existing: {on_existing}");
        let attempt = deliver(&out(folder.path(), &yaml), 1, "X").await;
        let attempt = match attempt {
            Attempt::Impossible { code, .. } => Attempt::Impossible { code, detail: String::new() },
            other => other,
        };
        assert_eq!(attempt, second, "{on_existing}");
        assert_eq!(names_in(folder.path()), expected, "{on_existing}");
        let content = fs::read(folder.path().join("X.hl7")).expect("a file");
        assert_eq!(content == b"older", on_existing != "replace", "{on_existing}");
    }
}

#[tokio::test]
async fn a_name_that_can_t_be_made_parks() {
    let folder = folder();
    let destination = out(folder.path(), "name: \"{source_file}\"");
    let attempt = deliver(&destination, 1, "X").await;
    assert!(matches!(attempt, Attempt::Impossible { code: "file.name-template", .. }));
    assert_eq!(names_in(folder.path()), [] as [String; 0]);
}

#[tokio::test]
async fn messages_are_appended_whole_and_once() {
    let folder = folder();
    let first = out(folder.path(), "append: true, name: all.hl7, segment_end: crlf");
    assert_eq!(deliver(&first, 1, "A").await, DELIVERED);
    assert_eq!(deliver(&first, 2, "B").await, DELIVERED);
    let second = out(folder.path(), "append: true, name: all.hl7, segment_end: crlf");
    assert_eq!(deliver(&second, 2, "B").await, DELIVERED);
    let written = fs::read_to_string(folder.path().join("all.hl7")).expect("a file");
    let expected = [message("A"), message("B")].concat();
    assert_eq!(written, String::from_utf8_lossy(&expected).replace('\r', "\r\n"));
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_and_says_so() {
    let parent = folder();
    let missing = parent.path().join("missing");
    let attempt = deliver(&out(&missing, "on_existing: suffix"), 1, "A").await;
    match attempt {
        Attempt::NotSent { code: "file.write-failed", detail } => {
            assert!(detail.contains("missing") && detail.contains("not found"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}
