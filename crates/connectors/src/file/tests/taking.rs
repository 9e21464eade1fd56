//! Files are taken exactly once, in order, and end where they belong.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::journal::{Journal, Running};
use super::{CONNECTOR, appears, folder, names_in, put, source_with, until};
use crate::contract::{FakeEngine, Gate, Heard, SourceCase, check_source, not_yet, soon};
use crate::file::disk::Identity;
use crate::{Inbound, LinkState, ReceiptOutcome, Source};

/// Quick enough for tests that wait for polls.
const QUICK: &str = "stable_for: 0s, poll: 100ms";

async fn gone(path: PathBuf) {
    until(|| (!path.exists()).then_some(())).await;
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

/// Died between the last receipt and the move: the file is only put away.
#[tokio::test]
async fn a_file_that_was_kept_whole_is_not_taken_again() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    let working = folder.path().join(".pipehat");
    fs::create_dir(&working).expect("the folder is there");
    put(&working, "0123456789abcdef-a.hl7", batch(3));
    journal.kept().parts.insert("0123456789abcdef".to_owned(), 3);
    let running = Running::start(folder.path(), QUICK, &journal).await;
    appears(folder.path().join("done/a.hl7")).await;
    assert_eq!(journal.kept().calls, 0);
    running.stop().await;
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
        ("text", "hello\r\nworld\r\n".to_owned(), "file.no-message", 0),
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
async fn few_large_messages_are_under_way_at_once() {
    const MESSAGES: usize = 6;
    let folder = folder();
    let engine = FakeEngine::new(|_, _| None).shared();
    engine.receipts(Gate::Shut);
    let large: String = (1..=MESSAGES)
        .map(|number| format!("{}OBX|{}\r", short(number), "x".repeat(3 << 20)))
        .collect();
    put(folder.path(), "large.hl7", large);
    let source = source_with(&format!("{{ folder: {}, {QUICK} }}", folder.path().display()));
    let bound = soon("bind", source.expect("sound").bind()).await.expect("the folder is free");
    let stop = CancellationToken::new();
    let run = tokio::spawn(bound.run(engine.clone(), Arc::default(), stop.clone()));
    engine.given(2).await;
    not_yet("a third large message", engine.given(3)).await;
    engine.receipts(Gate::Open);
    engine.given(MESSAGES).await;
    appears(folder.path().join("done/large.hl7")).await;
    stop.cancel();
    soon("the source's end", run).await.expect("the source does not panic");
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

/// However it came into the working folder: what is no plain file is not read.
#[cfg(unix)]
#[tokio::test]
async fn a_claimed_link_is_set_aside_unread() {
    let folder = folder();
    let journal = Arc::new(Journal::default());
    let working = folder.path().join(".pipehat");
    fs::create_dir(&working).expect("the folder is there");
    put(folder.path(), "secret", short(1));
    let link = working.join("0123456789abcdef-link.hl7");
    std::os::unix::fs::symlink(folder.path().join("secret"), link).expect("a link");
    let running = Running::start(folder.path(), QUICK, &journal).await;
    let reason = appears(folder.path().join("error/link.hl7.reason")).await;
    assert!(reason.starts_with("file.unreadable"), "{reason}");
    assert_eq!(journal.messages(), [] as [String; 0]);
    running.stop().await;
}

/// Where the system has a second file system at hand: done files may go there, claimed ones not.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn other_file_systems_are_for_finished_files_only() {
    let folder = folder();
    let other = tempfile::tempdir_in("/dev/shm").expect("memory for files");
    let device = |path: &Path| Identity::of(&fs::metadata(path).expect("a folder")).device;
    if device(folder.path()) == device(other.path()) {
        return;
    }
    let journal = Arc::new(Journal::default());
    put(folder.path(), "a.hl7", short(1));
    let more = format!("{QUICK}, done: {}", other.path().join("done").display());
    let running = Running::start(folder.path(), &more, &journal).await;
    assert_eq!(appears(other.path().join("done/a.hl7")).await, short(1));
    until(|| (names_in(&folder.path().join(".pipehat")) == ["lock"]).then_some(())).await;
    assert_eq!(names_in(&other.path().join("done")), ["a.hl7"]);
    running.stop().await;

    let working = other.path().join("working");
    let yaml = format!("{{ folder: {}, working: {} }}", folder.path().display(), working.display());
    let source = source_with(&yaml).expect("the settings are sound");
    let error = soon("bind", source.bind()).await.err().expect("it can't be claimed there");
    assert_eq!(error.code, "file.other-file-system");
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
