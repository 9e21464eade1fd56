//! Real processes: killed in the middle of appending, and watched for the memory they take.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use bytes::Bytes;
use pipehat_journal::{FileJournal, Flush, Journal, KeyRing, NewRecord, OpenOptions, Position};
use tempfile::TempDir;

use crate::contract::{append, noise, position, record};

/// Set for a child: the directory it works in.
const DIRECTORY: &str = "PIPEHAT_JOURNAL_TEST_DIRECTORY";

fn child(test: &str, directory: &Path) -> Child {
    Command::new(env::current_exe().expect("this test's binary"))
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts")
}

fn options(directory: &Path) -> OpenOptions {
    let path = directory.join("key");
    let keys = KeyRing::load(&path).or_else(|_| KeyRing::create(&path)).expect("a key");
    OpenOptions {
        key: Some(keys),
        chunk_bytes: 256 * 1024,
        ..OpenOptions::new(directory.join("journal"))
    }
}

fn body(number: u64) -> Vec<u8> {
    let length = if number.is_multiple_of(17) { 150_000 } else { 700 };
    noise(length, number)
}

/// Not a test of its own: appends until it is killed, and says what has been answered.
#[test]
#[ignore = "a child of `what_was_answered_survives_a_kill`"]
fn appends_until_killed() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let (journal, _) = FileJournal::open(options(Path::new(&directory))).expect("opens");
    let (answered, answers) = mpsc::channel();
    let mut number = journal.next_position().get();
    let mut waiting = 0;
    loop {
        while waiting < 8 {
            let records: Vec<NewRecord> = (number..number + 3)
                .map(|number| record(1, &number.to_le_bytes(), &[&body(number)]))
                .collect();
            number += 3;
            waiting += 1;
            let answered = answered.clone();
            let done = Box::new(move |answer: Result<Position, _>| {
                let _ = answered.send(answer.expect("appends"));
            });
            journal.append(records, Flush::Now, done);
        }
        let first = answers.recv().expect("an answer");
        waiting -= 1;
        let mut output = std::io::stdout().lock();
        if writeln!(output, "answered {}", first.get() + 2).and_then(|()| output.flush()).is_err() {
            return; // the parent is gone
        }
    }
}

#[test]
fn what_was_answered_survives_a_kill() {
    let directory = TempDir::new().expect("a temporary directory");
    let mut answered = 0;
    for round in 0..6_u64 {
        let mut child = child("crash::appends_until_killed", directory.path());
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut left = 5 + 23 * round;
        for line in output.lines() {
            // The test harness prints before, on the same line.
            let line = line.expect("text");
            let Some((_, number)) = line.split_once("answered ") else { continue };
            answered = number.parse::<u64>().expect("a number").max(answered);
            left -= 1;
            if left == 0 {
                child.kill().expect("kills");
                break;
            }
        }
        child.wait().expect("ends");

        let (journal, recovery) = FileJournal::open(options(directory.path())).expect("opens");
        let next = recovery.next_position.get();
        assert!(next > answered, "answered up to {answered}, kept up to {next}");
        assert_eq!(next % 3, 1, "units are whole");
        let mut number = 0;
        for entry in journal.read(Position::FIRST) {
            let entry = entry.expect("reads");
            number += 1;
            assert_eq!(entry.position, position(number));
            assert_eq!(journal.load(&entry.bodies[0]).expect("loads"), body(number));
        }
        assert_eq!(number + 1, next);
    }
}

/// The bytes before a chunk's first group.
const CHUNK_HEADER_BYTES: usize = 256;

/// A crash right after a chunk was begun leaves it empty, and the next closing writes its mark there:
/// a first append that does not fit must not begin another chunk of the same name.
#[test]
fn a_large_first_append_into_an_empty_chunk_keeps_it() {
    let directory = TempDir::new().expect("a temporary directory");
    let options = || OpenOptions { chunk_bytes: 16 * 1024, ..options(directory.path()) };
    let (journal, _) = FileJournal::open(options()).expect("opens");
    for number in 0..2 {
        append(&journal, vec![record(1, b"", &[&noise(10_000, number)])]).expect("appends");
    }
    journal.close();
    drop(journal);
    let newest = directory.path().join("journal/00000000000000000002.chunk");
    let mut bytes = std::fs::read(&newest).expect("the second record begins a chunk");
    bytes.iter_mut().skip(CHUNK_HEADER_BYTES).for_each(|byte| *byte = 0);
    std::fs::write(&newest, bytes).expect("writes");
    let (journal, recovery) = FileJournal::open(options()).expect("opens");
    assert_eq!(recovery.records(), 1);
    journal.close();
    drop(journal);
    let (journal, _) = FileJournal::open(options()).expect("opens");
    append(&journal, vec![record(1, b"", &[&noise(20_000, 1)])]).expect("appends");
    journal.close();
    drop(journal);
    let (journal, recovery) = FileJournal::open(options()).expect("opens");
    assert_eq!((recovery.records(), journal.read(Position::FIRST).count()), (2, 2));
}

/// The most memory this process has ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
    kilobytes * 1024
}

const LARGE_BYTES: usize = 50 * 1024 * 1024;

/// Not a test of its own: says how much memory a large body takes beyond itself.
#[test]
#[ignore = "a child of `a_large_body_costs_little_beyond_itself`"]
fn appends_a_large_body() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let options = OpenOptions { chunk_bytes: 64 << 20, ..options(Path::new(&directory)) };
    let (journal, _) = FileJournal::open(options).expect("opens");
    append(&journal, vec![record(1, b"", &[&noise(2_000_000, 1)])]).expect("appends");
    let body = Bytes::from(noise(LARGE_BYTES, 3));
    let before = peak();
    let records = vec![NewRecord { kind: 1, head: Vec::new(), bodies: vec![body] }];
    append(&journal, records).expect("appends");
    let appended = peak().saturating_sub(before);
    let entry = journal.fetch(position(2)).expect("fetches");
    let loaded = journal.load(&entry.bodies[0]).expect("loads");
    assert_eq!(loaded.len(), LARGE_BYTES);
    println!("memory {appended} {}", peak().saturating_sub(before));
}

#[test]
#[cfg(target_os = "linux")]
fn a_large_body_costs_little_beyond_itself() {
    let directory = TempDir::new().expect("a temporary directory");
    let child = child("crash::appends_a_large_body", directory.path());
    let output = child.wait_with_output().expect("ends");
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<u64> = text
        .lines()
        .find_map(|line| line.split_once("memory "))
        .map(|(_, figures)| figures.split_whitespace().flat_map(str::parse).collect())
        .unwrap_or_default();
    let &[appended, loaded] = &figures[..] else { panic!("no figures in: {text}") };
    const BEYOND_MAX: u64 = 8 * 1024 * 1024;
    assert!(appended <= BEYOND_MAX, "appending took {appended} bytes more");
    // When it is loaded, the appended one is gone, or not: at most one body and a little.
    assert!(loaded <= LARGE_BYTES as u64 + BEYOND_MAX, "loading took {loaded} bytes more");
}

#[test]
fn later_appends_are_not_left_behind_by_a_crash_for_long() {
    let directory = TempDir::new().expect("a temporary directory");
    let options = OpenOptions { later_max: Duration::from_millis(5), ..options(directory.path()) };
    let (journal, _) = FileJournal::open(options).expect("opens");
    let (answered, answers) = mpsc::channel();
    let done = Box::new(move |answer| answered.send(answer).expect("waited for"));
    journal.append(vec![record(1, b"x", &[])], Flush::Later, done);
    let answer = answers.recv_timeout(Duration::from_secs(20)).expect("in time");
    assert_eq!(answer.expect("appends"), Position::FIRST);
    assert_eq!(journal.statistics().syncs, 1);
}
