//! A session with servers that are broken or hostile.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::time::Instant;

use super::LONG;
use super::fake::{Fake, Fault, OPEN, READ, WRITE};
use crate::sftp::packet::FileKind;
use crate::sftp::session::{Session, SessionLimits};
use crate::sftp::{SftpEntry, SftpError};

const LIMITS: SessionLimits =
    SessionLimits { timeout: LONG, file_bytes_max: 1_000_000, entries_max: 1000 };

async fn session(fake: &Arc<Fake>, limits: SessionLimits) -> Session<DuplexStream> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(Arc::clone(fake).serve(theirs));
    let deadline = Instant::now() + LONG;
    Session::open(ours, limits, deadline).await.expect("the greeting is never at fault")
}

async fn get(fault: Fault, content: &[u8]) -> Result<Vec<u8>, SftpError> {
    let fake = Fake::with(fault);
    fake.put("/home/lab/a", content);
    session(&fake, LIMITS).await.get(b"/home/lab/a").await
}

async fn list(fault: Fault) -> Result<Vec<SftpEntry>, SftpError> {
    session(&Fake::with(fault), LIMITS).await.list(b"/home/lab").await
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).expect("below 251")).collect()
}

#[tokio::test]
async fn files_of_every_length_come_whole() {
    for length in [0, 1, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 500_000, 999_999, 1_000_000] {
        assert_eq!(get(Fault::None, &content(length)).await, Ok(content(length)), "{length}");
    }
    assert_eq!(get(Fault::ShortReads, &content(70_000)).await, Ok(content(70_000)));
}

#[tokio::test]
async fn a_file_past_the_limit_is_refused() {
    let too_large = Err(SftpError::TooLarge { limit: 1_000_000 });
    assert_eq!(get(Fault::None, &content(1_000_001)).await, too_large);
    // One whose size is not told, and which never ends.
    assert_eq!(get(Fault::EndlessFiles, b"").await, too_large);
}

#[tokio::test]
async fn files_are_put_whole_and_in_place_of_others() {
    for fault in [Fault::None, Fault::Plain] {
        let fake = Fake::with(fault);
        fake.put("/home/lab/a", b"before");
        let mut session = session(&fake, LIMITS).await;
        for length in [0, 100_000, 1_000_000] {
            session.put(b"/home/lab", "a", [1; 4], &content(length)).await.expect("it is put");
            assert_eq!(fake.files.lock().expect("no panic")["/home/lab/a"], content(length));
            assert_eq!(fake.paths(), ["/home/lab/a"]);
        }
    }
}

#[tokio::test]
async fn a_put_that_fails_leaves_what_was_there() {
    for (fault, expected) in [
        (Fault::Full, SftpError::Failed { code: 4, told: "in the server's words".to_owned() }),
        (Fault::KeepsLess, SftpError::Incomplete { kept: 32 * 1024, sent: 100_000 }),
    ] {
        let fake = Fake::with(fault);
        fake.put("/home/lab/a", b"before");
        let mut session = session(&fake, LIMITS).await;
        let put = session.put(b"/home/lab", "a", [1; 4], &content(100_000)).await;
        assert_eq!(put, Err(expected));
        assert_eq!(fake.files.lock().expect("no panic")["/home/lab/a"], b"before");
        assert_eq!(fake.paths(), ["/home/lab/a"]);
        // The session goes on.
        assert_eq!(session.get(b"/home/lab/a").await, Ok(b"before".to_vec()));
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_in_the_midst_of_a_put_has_nothing_under_the_name() {
    for nth in [1, 2, 17] {
        let fake = Fake::with(Fault::HangsUpOn(WRITE, nth));
        let mut session = session(&fake, LIMITS).await;
        let put = session.put(b"/home/lab", "a.hl7", [1; 4], &content(900_000)).await;
        assert_eq!(put, Err(SftpError::Disconnected));
        assert_eq!(fake.paths(), ["/home/lab/.a.hl7.01010101.partial"]);
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_not_written_over() {
    let fake = Fake::with(Fault::None);
    fake.put("/home/lab/a", b"a");
    fake.put("/home/lab/b", b"b");
    let mut session = session(&fake, LIMITS).await;
    assert_eq!(session.rename(b"/home/lab/a", b"/home/lab/b").await, Err(SftpError::Exists));
    assert_eq!(session.rename(b"/home/lab/x", b"/home/lab/y").await, Err(SftpError::NotFound));
    assert_eq!(session.rename(b"/home/lab/a", b"/home/lab/c").await, Ok(()));
    assert_eq!(fake.paths(), ["/home/lab/b", "/home/lab/c"]);
    assert_eq!(session.remove(b"/home/lab/c").await, Ok(()));
    assert_eq!(session.remove(b"/home/lab/c").await, Err(SftpError::NotFound));
}

#[tokio::test]
async fn names_are_listed_with_what_is_known_of_them() {
    let names = [b"a.hl7".to_vec(), b".".to_vec(), b"..".to_vec(), b"M\xFCller".to_vec()];
    let listed = list(Fault::Lists(names.to_vec())).await.expect("it is listed");
    let entry = |name: &str| SftpEntry {
        name: name.to_owned(),
        kind: FileKind::File,
        size: Some(5),
        modified: Some(1_767_225_600),
    };
    assert_eq!(listed, [entry("a.hl7"), entry("M\u{FFFD}ller")]);
}

#[tokio::test]
async fn hostile_listings_are_refused() {
    for name in [&b"../../etc/passwd"[..], b"/etc/passwd", b"a/b", b"a\0b", b"", &[b'x'; 1025]] {
        let listed = list(Fault::Lists(vec![name.to_vec()])).await;
        assert!(matches!(listed, Err(SftpError::Protocol(_))), "{name:?}: {listed:?}");
    }
    assert_eq!(list(Fault::ListsForEver).await, Err(SftpError::TooMany { limit: 1000 }));
    assert!(matches!(list(Fault::ListsNothing).await, Err(SftpError::Protocol(_))));
    let at_limit = list(Fault::Lists(vec![b"a".to_vec(); 1000])).await.expect("just as many");
    assert_eq!(at_limit.len(), 1000);
    assert!(list(Fault::Lists(vec![b"a".to_vec(); 1001])).await.is_err());
}

#[tokio::test]
async fn packets_that_are_none_end_the_session() {
    for fault in [Fault::HugePacket, Fault::WrongId] {
        let found = get(fault.clone(), b"x").await;
        assert!(matches!(found, Err(SftpError::Protocol(_))), "{fault:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_path_is_not_resolved_to_nonsense() {
    for nonsense in ["", "relative", "/home/lab/../../etc"] {
        let fake = Fake::with(Fault::ResolvesTo(nonsense));
        let resolved = session(&fake, LIMITS).await.real_path(b"/home/lab/a").await;
        assert!(matches!(resolved, Err(SftpError::Protocol(_))), "{nonsense}: {resolved:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_given_up() {
    for kind in [OPEN, READ, WRITE] {
        let fake = Fake::with(Fault::HangsOn(kind));
        fake.put("/home/lab/a", b"x");
        let limits = SessionLimits { timeout: Duration::from_secs(2), ..LIMITS };
        let begun = Instant::now();
        let mut session = session(&fake, limits).await;
        let outcome = match kind {
            WRITE => session.put(b"/home/lab", "b", [1; 4], b"x").await,
            _ => session.get(b"/home/lab/a").await.map(drop),
        };
        assert_eq!(outcome, Err(SftpError::TimedOut));
        assert_eq!(begun.elapsed().as_secs(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_what_the_timeout_would_not() {
    let fake = Fake::with(Fault::HangsOn(OPEN));
    fake.put("/home/lab/a", b"x");
    let mut session = session(&fake, LIMITS).await;
    session.deadline = Instant::now() + Duration::from_secs(1);
    let begun = Instant::now();
    assert_eq!(session.get(b"/home/lab/a").await, Err(SftpError::TimedOut));
    assert_eq!(begun.elapsed().as_secs(), 1);
}
