//! The contract of a journal: one suite, every implementation.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use bytes::Bytes;
use pipehat_journal::{
    AppendError, Body, FileJournal, Flush, HEAD_BYTES_MAX, INLINE_BODY_BYTES_MAX, Journal, KeyRing,
    MemoryJournal, NewRecord, OpenOptions, Position, ReadError,
};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn record(kind: u8, head: &[u8], bodies: &[&[u8]]) -> NewRecord {
    let bodies = bodies.iter().map(|body| Bytes::copy_from_slice(body)).collect();
    NewRecord { kind, head: head.to_vec(), bodies }
}

pub(crate) fn position(number: u64) -> Position {
    Position::new(number).expect("positions start at 1")
}

/// Appends and waits for the answer.
pub(crate) fn append(
    journal: &dyn Journal,
    records: Vec<NewRecord>,
) -> Result<Position, AppendError> {
    let (sender, receiver) = mpsc::channel();
    let done = Box::new(move |answer| sender.send(answer).expect("the test waits"));
    journal.append(records, Flush::Now, done);
    receiver.recv_timeout(DEADLINE).expect("an answer")
}

/// A directory that goes away: in memory where the system has that, because most tests are about
/// bytes and not about the disk.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a temporary directory")
}

/// Bytes that compress badly and differ by seed.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

trait Subject {
    fn open(&self) -> Box<dyn Journal>;
}

struct InMemory;

impl Subject for InMemory {
    fn open(&self) -> Box<dyn Journal> {
        Box::new(MemoryJournal::with_waiting_bytes_max(WAITING_BYTES_MAX))
    }
}

struct OnDisk {
    directory: TempDir,
    keys: Option<KeyRing>,
    chunk_bytes: u64,
}

impl OnDisk {
    fn new(sealed: bool, chunk_bytes: u64) -> OnDisk {
        let directory = TempDir::new().expect("a temporary directory");
        let key_path = directory.path().join("test.key");
        let keys = sealed.then(|| KeyRing::create(&key_path).expect("a key"));
        OnDisk { directory, keys, chunk_bytes }
    }
}

impl Subject for OnDisk {
    fn open(&self) -> Box<dyn Journal> {
        let options = OpenOptions {
            key: self.keys.clone(),
            chunk_bytes: self.chunk_bytes,
            waiting_bytes_max: WAITING_BYTES_MAX,
            ..OpenOptions::new(self.directory.path().join("journal"))
        };
        Box::new(FileJournal::open(options).expect("opens").0)
    }
}

const WAITING_BYTES_MAX: usize = 40 * 1024 * 1024;

fn check(test: impl Fn(&dyn Journal)) {
    test(&*InMemory.open());
    for (sealed, chunk_bytes) in [(false, 4096), (true, 4096), (true, 1024 * 1024)] {
        let subject = OnDisk::new(sealed, chunk_bytes);
        test(&*subject.open());
    }
}

fn read_all(journal: &dyn Journal, from: u64) -> Vec<(u64, u8, Vec<u8>)> {
    journal
        .read(position(from))
        .map(|entry| entry.expect("reads"))
        .map(|entry| (entry.position.get(), entry.kind, entry.head.to_vec()))
        .collect()
}

#[test]
fn what_is_appended_reads_back() {
    check(|journal| {
        assert_eq!(journal.next_position(), Position::FIRST);
        assert_eq!(journal.first_position(), Position::FIRST);
        assert_eq!(read_all(journal, 1), []);
        assert_eq!(append(journal, vec![record(1, b"one", &[])]).expect("appends"), position(1));
        let two = vec![record(2, b"", &[b"body", b""]), record(255, b"three", &[])];
        assert_eq!(append(journal, two).expect("appends"), position(2));
        assert_eq!(journal.next_position(), position(4));
        let expected = [(1, 1, b"one".to_vec()), (2, 2, b"".to_vec()), (3, 255, b"three".to_vec())];
        assert_eq!(read_all(journal, 1), expected);
        assert_eq!(read_all(journal, 3), expected[2..]);
        assert_eq!(read_all(journal, 4), []);
        let entry = journal.fetch(position(2)).expect("fetches");
        let bodies: Vec<Bytes> =
            entry.bodies.iter().map(|body| journal.load(body).expect("loads")).collect();
        assert_eq!(bodies, [&b"body"[..], b""]);
        let missing = journal.fetch(position(4));
        assert!(matches!(missing, Err(ReadError::NotWritten { position: at }) if at.get() == 4));
    });
}

#[test]
fn large_bodies_are_stored_aside_and_small_ones_are_not() {
    check(|journal| {
        let at_limit = noise(INLINE_BODY_BYTES_MAX, 1);
        let past = noise(INLINE_BODY_BYTES_MAX + 1, 2);
        let large = noise(3_000_000, 3);
        let records = vec![
            record(1, b"a", &[&at_limit, &past, b"small", &large]),
            record(1, b"b", &[&large]),
        ];
        append(journal, records).expect("appends");
        let entry = journal.fetch(position(1)).expect("fetches");
        let stored: Vec<bool> =
            entry.bodies.iter().map(|body| matches!(body, Body::Stored(_))).collect();
        assert_eq!(stored, [false, true, false, true]);
        for (body, expected) in
            entry.bodies.iter().zip([&at_limit[..], &past[..], b"small", &large[..]])
        {
            assert_eq!(body.len(), expected.len() as u64);
            assert_eq!(journal.load(body).expect("loads"), expected);
        }
        let second = journal.fetch(position(2)).expect("fetches");
        assert_eq!(journal.load(&second.bodies[0]).expect("loads"), large);
        assert_eq!(read_all(journal, 1).len(), 2);
    });
}

#[test]
fn a_body_can_be_read_in_pieces_as_far_as_it_is_wanted() {
    check(|journal| {
        let bodies = [noise(10, 1), noise(INLINE_BODY_BYTES_MAX + 1, 2), noise(3_000_000, 3)];
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        append(journal, vec![record(1, b"a", &bodies)]).expect("appends");
        let entry = journal.fetch(position(1)).expect("fetches");
        for (body, expected) in entry.bodies.iter().zip(&bodies) {
            for pieces_wanted in [1, 2, usize::MAX] {
                let (mut read, mut pieces, mut longest) = (Vec::new(), 0, 0);
                let mut take = |piece: &[u8]| {
                    read.extend_from_slice(piece);
                    longest = longest.max(piece.len());
                    pieces += 1;
                    if pieces == pieces_wanted {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                };
                journal.load_pieces(body, &mut take).expect("loads");
                assert!(expected.starts_with(&read) && longest <= 256 * 1024);
                assert!(pieces == pieces_wanted || read.len() == expected.len());
            }
        }
    });
}

#[test]
fn many_inline_bodies_do_not_make_a_record_huge() {
    check(|journal| {
        let body = noise(60_000, 1);
        let bodies: Vec<&[u8]> = std::iter::repeat_n(&body[..], 40).collect();
        append(journal, vec![record(1, b"", &bodies)]).expect("appends");
        let entry = journal.fetch(position(1)).expect("fetches");
        assert!(matches!(entry.bodies[0], Body::Inline(_)));
        assert!(matches!(entry.bodies[39], Body::Stored(_)));
        for stored in &entry.bodies {
            assert_eq!(journal.load(stored).expect("loads"), body);
        }
    });
}

#[test]
fn completions_run_in_order_and_once() {
    check(|journal| {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let (sender, receiver) = mpsc::channel::<()>();
        for index in 0..500_u64 {
            let (answers, sender) = (Arc::clone(&answers), sender.clone());
            let flush = if index % 3 == 0 { Flush::Later } else { Flush::Now };
            let done = Box::new(move |answer: Result<Position, AppendError>| {
                answers.lock().expect("no panic").push(answer.expect("appends").get());
                drop(sender);
            });
            let records = (0..=index % 2).map(|_| record(1, b"x", &[])).collect();
            journal.append(records, flush, done);
        }
        drop(sender);
        assert!(
            receiver
                .recv_timeout(DEADLINE)
                .is_err_and(|error| { error == mpsc::RecvTimeoutError::Disconnected })
        );
        let mut expected = Vec::new();
        let mut next = 1;
        for index in 0..500 {
            expected.push(next);
            next += 1 + index % 2;
        }
        assert_eq!(*answers.lock().expect("no panic"), expected);
        assert_eq!(journal.next_position().get(), next);
    });
}

#[test]
fn a_lone_append_that_may_wait_is_written_soon() {
    check(|journal| {
        let (sender, receiver) = mpsc::channel();
        let done = Box::new(move |answer| sender.send(answer).expect("the test waits"));
        journal.append(vec![record(1, b"x", &[])], Flush::Later, done);
        let answer = receiver.recv_timeout(DEADLINE).expect("an answer");
        assert_eq!(answer.expect("appends"), Position::FIRST);
    });
}

#[test]
fn a_panicking_completion_hurts_nobody_else() {
    check(|journal| {
        journal.append(
            vec![record(1, b"x", &[])],
            Flush::Now,
            Box::new(|_| std::panic::resume_unwind(Box::new(()))),
        );
        assert_eq!(append(journal, vec![record(1, b"y", &[])]).expect("appends"), position(2));
    });
}

#[test]
fn appends_past_a_limit_are_refused_and_leave_nothing() {
    check(|journal| {
        let empty = append(journal, Vec::new());
        assert!(matches!(empty, Err(AppendError::Empty)));
        let head = vec![0; HEAD_BYTES_MAX];
        assert_eq!(append(journal, vec![record(1, &head, &[])]).expect("fits"), position(1));
        let longer = vec![0; HEAD_BYTES_MAX + 1];
        let refused = append(journal, vec![record(1, &longer, &[])]);
        assert!(matches!(refused, Err(AppendError::TooLarge { .. })));
        let many = NewRecord { kind: 1, head: Vec::new(), bodies: vec![Bytes::new(); 65_535] };
        assert_eq!(append(journal, vec![many]).expect("fits"), position(2));
        let more = NewRecord { kind: 1, head: Vec::new(), bodies: vec![Bytes::new(); 65_536] };
        assert!(matches!(append(journal, vec![more]), Err(AppendError::TooManyBodies)));
        let body = vec![0; WAITING_BYTES_MAX];
        let refused = append(journal, vec![record(1, &[], &[&body])]);
        assert!(matches!(refused, Err(AppendError::TooLarge { .. })));
        let fits = vec![0; WAITING_BYTES_MAX - 128];
        assert_eq!(append(journal, vec![record(1, &[], &[&fits])]).expect("fits"), position(3));
        assert_eq!(journal.next_position(), position(4));
        assert_eq!(read_all(journal, 1).len(), 3);
    });
}

#[test]
fn too_many_waiting_bytes_are_refused_in_turn() {
    check(|journal| {
        // The first completion holds the writer up, so that the others must wait.
        let (release, held) = mpsc::channel::<()>();
        let (entered, inside) = mpsc::channel();
        let hold = Box::new(move |_| {
            entered.send(()).expect("the test waits");
            held.recv_timeout(DEADLINE).expect("released");
        });
        journal.append(vec![record(1, b"", &[])], Flush::Now, hold);
        inside.recv_timeout(DEADLINE).expect("the writer is held up");
        let (sender, answers) = mpsc::channel();
        let body = vec![0; WAITING_BYTES_MAX / 2 - 1024];
        for index in 0..4 {
            let sender = sender.clone();
            let done = Box::new(move |answer: Result<Position, AppendError>| {
                let full = matches!(answer, Err(AppendError::Full));
                sender.send((index, answer.is_ok(), full)).expect("the test waits");
            });
            journal.append(vec![record(1, b"", &[&body])], Flush::Now, done);
        }
        release.send(()).expect("the completion waits");
        let answers: Vec<_> =
            (0..4).map(|_| answers.recv_timeout(DEADLINE).expect("an answer")).collect();
        let expected = [(0, true, false), (1, true, false), (2, false, true), (3, false, true)];
        assert_eq!(answers, expected);
        assert_eq!(append(journal, vec![record(1, b"", &[&body])]).expect("room"), position(4));
    });
}

#[test]
fn a_reader_goes_on_where_the_end_was() {
    check(|journal| {
        append(journal, vec![record(1, b"1", &[])]).expect("appends");
        let mut records = journal.read(Position::FIRST);
        assert_eq!(records.next().expect("one").expect("reads").head, &b"1"[..]);
        assert!(records.next().is_none());
        for number in 2..200_u64 {
            let head = number.to_string();
            let appended = vec![record(1, head.as_bytes(), &[&noise(300, number)])];
            append(journal, appended).expect("appends");
            let entry = records.next().expect("the new one").expect("reads");
            assert_eq!((entry.position.get(), &entry.head[..]), (number, head.as_bytes()));
            assert!(records.next().is_none());
        }
    });
}

#[test]
fn trimming_forgets_only_what_lies_before() {
    check(|journal| {
        for number in 1..=300_u64 {
            let appended = vec![record(1, &number.to_le_bytes(), &[&noise(200, number)])];
            append(journal, appended).expect("appends");
        }
        let trimmed = journal.trim(position(150)).expect("trims");
        assert!(trimmed.first_position <= position(150));
        assert_eq!(trimmed.first_position, journal.first_position());
        let first = journal.first_position().get();
        let entries = read_all(journal, first);
        assert_eq!(entries.len() as u64, 301 - first);
        if first > 1 {
            let gone = journal.fetch(position(first - 1));
            assert!(matches!(gone, Err(ReadError::Trimmed { .. })));
            let mut records = journal.read(position(1));
            assert!(matches!(records.next(), Some(Err(ReadError::Trimmed { .. }))));
            assert!(records.next().is_none());
        }
        journal.trim(position(10_000)).expect("trims");
        assert_eq!(journal.next_position(), position(301));
        assert!(journal.first_position() <= position(301));
        assert_eq!(append(journal, vec![record(1, b"", &[])]).expect("appends"), position(301));
        assert_eq!(journal.fetch(position(301)).expect("fetches").position, position(301));
    });
}

#[test]
fn a_closed_journal_takes_no_more_but_reads() {
    check(|journal| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..20 {
            let sender = sender.clone();
            let done = Box::new(move |answer| sender.send(answer).expect("the test waits"));
            journal.append(vec![record(1, b"x", &[])], Flush::Later, done);
        }
        journal.close();
        let answered: Vec<_> = receiver.try_iter().collect();
        assert_eq!(answered.len(), 20);
        assert!(answered.iter().all(Result::is_ok));
        let late = append(journal, vec![record(1, b"x", &[])]);
        assert!(matches!(late, Err(AppendError::Closed)));
        journal.close();
        assert_eq!(read_all(journal, 1).len(), 20);
    });
}

#[test]
fn readers_see_what_is_durable_while_others_append() {
    check(|journal| {
        std::thread::scope(|scope| {
            for writer in 0..4_u64 {
                scope.spawn(move || {
                    for index in 0..200_u64 {
                        let body = noise(100, index);
                        let head = writer.to_le_bytes();
                        let at = append(journal, vec![record(1, &head, &[&body])]);
                        let entry = journal.fetch(at.expect("appends")).expect("fetches");
                        assert_eq!(journal.load(&entry.bodies[0]).expect("loads"), body);
                    }
                });
            }
            scope.spawn(|| {
                let mut records = journal.read(Position::FIRST);
                let mut next = 1;
                while next <= 800 {
                    match records.next() {
                        Some(entry) => {
                            assert_eq!(entry.expect("reads").position.get(), next);
                            next += 1;
                        }
                        None => std::thread::yield_now(),
                    }
                }
            });
        });
        let statistics = journal.statistics();
        assert_eq!((statistics.records, statistics.payload_bytes), (800, 800 * 108));
        assert_eq!(statistics.waiting_bytes, 0);
    });
}
