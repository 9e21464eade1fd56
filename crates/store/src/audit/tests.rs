use std::time::Instant;

use tempfile::TempDir;

use super::*;

const CHAIN_KEY: [u8; 32] = [9; 32];

fn open(folder: &TempDir) -> AuditLog {
    AuditLog::open(&folder.path().join("audit.sqlite"), BodyKey::new(1, [7; 32]), CHAIN_KEY)
        .expect("the log opens")
}

/// The file as somebody with the key would open it.
fn edited(folder: &TempDir) -> rusqlite::Connection {
    let key = BodyKey::new(1, [7; 32]).file_key();
    let path = folder.path().join("audit.sqlite");
    pipehat_vault::open(&path, &key, rusqlite::OpenFlags::default()).expect("the file opens")
}

fn record(at: i64, resource: Option<(&str, &str)>, query: Option<&str>) -> AuditRecord {
    AuditRecord {
        at,
        request_id: "r".into(),
        client: Some("c-1".into()),
        client_name: Some("lab".into()),
        address: Some("192.0.2.7".to_owned()),
        interaction: "read".to_owned(),
        resource_type: resource.map(|(name, _)| name.to_owned()),
        resource_id: resource.map(|(_, id)| id.to_owned()),
        status: 200,
        query: query.map(str::to_owned),
        used_once: None,
    }
}

/// Records durably.
async fn keep(log: &AuditLog, record: AuditRecord) -> Result<(), AuditError> {
    log.record(record).await?;
    log.flush().await
}

fn numbers(found: &[StoredRecord]) -> Vec<u64> {
    found.iter().map(|stored| stored.number).collect()
}

#[tokio::test]
async fn records_are_found_as_they_were_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    let told = [
        record(10, Some(("Patient", "a")), None),
        record(20, None, Some("family=Example")),
        record(30, Some(("Observation", "a")), None),
        record(40, Some(("Patient", "b")), None),
    ];
    for one in &told {
        log.record(one.clone()).await.unwrap();
    }
    log.flush().await.unwrap();
    let check = async |query: AuditQuery, expected: &[u64]| {
        let found = log.find(AuditQuery { limit: 10, ..query }).await.unwrap();
        assert_eq!(numbers(&found), expected);
        for stored in found {
            assert_eq!(Some(&stored.record), told.get(stored.number as usize - 1));
        }
    };
    let all = AuditQuery::default();
    check(all.clone(), &[1, 2, 3, 4]).await;
    check(AuditQuery { newest_first: true, ..all.clone() }, &[4, 3, 2, 1]).await;
    check(AuditQuery { newest_first: true, after: Some((30, 3)), ..all.clone() }, &[2, 1]).await;
    check(AuditQuery { after: Some((30, 3)), ..all.clone() }, &[4]).await;
    check(AuditQuery { from: Some(20), to: Some(30), ..all.clone() }, &[2, 3]).await;
    check(AuditQuery { resource: Some((None, "a".into())), ..all.clone() }, &[1, 3]).await;
    let patient = Some((Some("Patient".into()), "a".into()));
    check(AuditQuery { resource: patient, ..all.clone() }, &[1]).await;
    check(AuditQuery { numbers: Some(vec![2, 9]), ..all.clone() }, &[2]).await;
    let first = log.find(AuditQuery { limit: 1, ..all }).await.unwrap();
    assert_eq!(numbers(&first), [1]);
    assert_eq!(log.count().await.unwrap(), 4);
}

#[tokio::test]
async fn what_is_flushed_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    keep(&log, record(1, None, None)).await.unwrap();
    let other = open(&folder);
    assert_eq!(other.count().await.unwrap(), 1, "another connection sees it");
}

#[tokio::test]
async fn what_is_queued_is_written_when_the_log_closes() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    for at in 0..1000 {
        log.record(record(at, None, None)).await.unwrap();
    }
    drop(log);
    let log = open(&folder);
    assert_eq!(log.count().await.unwrap(), 1000);
    keep(&log, record(5, None, None)).await.unwrap();
    assert_eq!(log.verify().await.unwrap(), Verified { records: 1001, changed_from: None });
}

#[tokio::test]
async fn whatever_is_changed_shows() {
    let check = async |change: &str, expected: Option<u64>| {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder);
        for at in 0..6 {
            keep(&log, record(at, Some(("Patient", "a")), Some("q"))).await.unwrap();
        }
        edited(&folder).execute_batch(change).unwrap();
        assert_eq!(log.verify().await.unwrap().changed_from, expected, "{change}");
    };
    check("SELECT 1", None).await;
    check("UPDATE records SET status = 403 WHERE number = 3", Some(3)).await;
    check("UPDATE records SET client = NULL WHERE number = 1", Some(1)).await;
    check("DELETE FROM records WHERE number = 4", Some(4)).await;
    check("DELETE FROM records WHERE number = 6", Some(6)).await;
    check("UPDATE groups SET mark = zeroblob(32) WHERE last = 2", Some(2)).await;
    let more = "INSERT INTO records (number, at, request, client, client_name, address,
        interaction, type, id, status, query) SELECT 7, at, request, client, client_name, address,
        interaction, type, id, status, query FROM records WHERE number = 1";
    check(more, Some(7)).await;
    // The end alone can't be missed: a log cut off as a whole is as one that was shorter.
    check("DELETE FROM records WHERE number > 5; DELETE FROM groups WHERE last > 5", None).await;
}

#[tokio::test]
async fn a_sealed_query_opens_in_no_other_record() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    keep(&log, record(1, None, Some("family=Marker"))).await.unwrap();
    keep(&log, record(2, None, Some("family=Other"))).await.unwrap();
    let connection = edited(&folder);
    let sealed: Vec<u8> = connection
        .query_row("SELECT query FROM records WHERE number = 1", [], |row| row.get(0))
        .unwrap();
    assert!(!sealed.windows(6).any(|window| window == b"Marker"));
    connection.execute("UPDATE records SET query = ?1 WHERE number = 2", [sealed]).unwrap();
    let found = log.find(AuditQuery { limit: 5, ..AuditQuery::default() }).await;
    assert!(matches!(found, Err(AuditError::Damaged(2))), "{found:?}");
}

#[tokio::test]
async fn texts_are_cut_at_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    for length in [DETAIL_BYTES_MAX, DETAIL_BYTES_MAX + 1] {
        let long = "x".repeat(length);
        keep(&log, record(1, None, Some(&long))).await.unwrap();
    }
    for stored in log.find(AuditQuery { limit: 5, ..AuditQuery::default() }).await.unwrap() {
        assert_eq!(stored.record.query.map(|query| query.len()), Some(DETAIL_BYTES_MAX));
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    let connection = edited(&folder);
    connection.execute_batch("ALTER TABLE records RENAME TO away").unwrap();
    let refused = keep(&log, record(1, None, None)).await;
    assert!(matches!(refused, Err(AuditError::Unavailable)), "{refused:?}");
    assert!(log.is_failing());
    let refused = log.record(record(2, None, None)).await;
    assert!(matches!(refused, Err(AuditError::Unavailable)), "{refused:?}");
    connection.execute_batch("ALTER TABLE away RENAME TO records").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while log.is_failing() {
        assert!(Instant::now() < deadline, "it is written again");
        tokio::task::yield_now().await;
    }
    keep(&log, record(3, None, None)).await.unwrap();
    let found = log.find(AuditQuery { limit: 5, ..AuditQuery::default() }).await.unwrap();
    let times: Vec<i64> = found.iter().map(|stored| stored.record.at).collect();
    assert_eq!(times, [1, 3], "the first was kept, the second refused");
}

#[tokio::test]
async fn who_what_and_how_are_asked_by_their_code() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    let told = [("read", 200), ("create", 201), ("search-type", 403), ("$export", 500)];
    for (interaction, status) in told {
        let interaction = interaction.to_owned();
        let one = AuditRecord { interaction, status, ..record(1, None, None) };
        log.record(one).await.unwrap();
    }
    let other = AuditRecord { client: Some("c-2".into()), ..record(1, None, None) };
    keep(&log, other).await.unwrap();
    let check = async |query: AuditQuery, expected: &[u64]| {
        let found = log.find(AuditQuery { limit: 10, ..query }).await.unwrap();
        assert_eq!(numbers(&found), expected);
    };
    let action = |action| AuditQuery { action: Some(action), ..AuditQuery::default() };
    check(action(Action::Read), &[1, 5]).await;
    check(action(Action::Create), &[2]).await;
    check(action(Action::Execute), &[3, 4]).await;
    check(action(Action::Delete), &[]).await;
    let outcome = |outcome| AuditQuery { outcome: Some(outcome), ..AuditQuery::default() };
    check(outcome(Outcome::Success), &[1, 2, 5]).await;
    check(outcome(Outcome::Minor), &[3]).await;
    check(outcome(Outcome::Serious), &[4]).await;
    check(AuditQuery { client: Some("c-2".into()), ..AuditQuery::default() }, &[5]).await;
}

/// What the database computes is what the code says.
#[test]
fn the_file_and_the_code_agree_about_actions_and_outcomes() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let connection = edited(&folder);
    let check = |interaction: &str, status: u16| {
        connection
            .execute(
                "INSERT INTO records (at, request, interaction, status) VALUES (0, '', ?1, ?2)",
                rusqlite::params![interaction, status],
            )
            .unwrap();
        let found: (String, String) = connection
            .query_row(
                "SELECT action, outcome FROM records ORDER BY number DESC LIMIT 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        let expected = (Action::of(interaction).code(), Outcome::of(status).code());
        assert_eq!((found.0.as_str(), found.1.as_str()), expected, "{interaction} {status}");
    };
    let named = Action::ALL.iter().flat_map(|action| action.interactions());
    for interaction in named.chain(&["search-type", "$export", "token", "batch", ""]) {
        check(interaction, 200);
    }
    for status in [200, 399, 400, 499, 500, 599] {
        check("read", status);
    }
}

/// Each usual question goes along an index, in the order it asks for.
#[test]
fn questions_go_along_an_index() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let connection = edited(&folder);
    let check = |query: AuditQuery, index: &str| {
        for newest_first in [true, false] {
            for after in [None, Some((5, 5))] {
                let query = AuditQuery { newest_first, after, limit: 500, ..query.clone() };
                let (sql, parameters) = database::question(&query);
                let mut statement =
                    connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                let plan: Vec<String> = statement
                    .query_map(rusqlite::params_from_iter(parameters), |row| row.get(3))
                    .unwrap()
                    .collect::<Result<_, _>>()
                    .unwrap();
                let [step] = plan.as_slice() else { panic!("{sql}: {plan:?}") };
                assert!(step.starts_with(index), "{sql}: {step}");
            }
        }
    };
    let all = AuditQuery::default();
    let named = |name: Option<&str>| Some((name.map(str::to_owned), "a".to_owned()));
    let resource = AuditQuery { resource: named(None), ..all.clone() };
    check(resource.clone(), "SEARCH records USING INDEX records_resource (id=?");
    let patient = AuditQuery { resource: named(Some("Patient")), ..all.clone() };
    check(patient, "SEARCH records USING INDEX records_resource (id=?");
    let client = AuditQuery { client: Some("c".into()), ..all.clone() };
    check(client, "SEARCH records USING INDEX records_client (client=?");
    let action = AuditQuery { action: Some(Action::Delete), ..all.clone() };
    check(action, "SEARCH records USING INDEX records_action (action=?");
    let outcome = AuditQuery { outcome: Some(Outcome::Minor), ..all.clone() };
    check(outcome, "SEARCH records USING INDEX records_outcome (outcome=?");
    let date = AuditQuery { from: Some(1), to: Some(9), ..all.clone() };
    check(date.clone(), "SEARCH records USING INDEX records_at (at>");
    let both = AuditQuery { from: Some(1), ..resource };
    check(both, "SEARCH records USING INDEX records_resource (id=? AND at>");
}

#[tokio::test]
async fn what_may_be_used_once_is_known_behind_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    let used = |byte, until| Some(UsedOnce { hash: [byte; 32], until });
    let one = AuditRecord { used_once: used(1, 100), ..record(50, None, None) };
    let two = AuditRecord { used_once: used(2, 300), ..record(60, None, None) };
    log.record(one).await.unwrap();
    keep(&log, two).await.unwrap();
    let other = open(&folder);
    let known = |now| other.used_once(now).unwrap().len();
    assert_eq!((known(60), known(100), known(300)), (2, 1, 0));
    let later = AuditRecord { used_once: used(3, 900), ..record(400, None, None) };
    keep(&log, later).await.unwrap();
    assert_eq!(known(0), 1, "what has run out is forgotten");
}

/// Makes of a log one of the release that wrote in the clear.
fn in_the_clear(folder: &TempDir) {
    let path = folder.path().join("audit.sqlite");
    let sealed = edited(folder);
    let clear_path = folder.path().join("clear");
    let clear = rusqlite::Connection::open(&clear_path).unwrap();
    clear
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE records (number INTEGER PRIMARY KEY, at INTEGER NOT NULL,
                request TEXT NOT NULL, client TEXT, client_name TEXT, address TEXT,
                interaction TEXT NOT NULL, type TEXT, id TEXT, status INTEGER NOT NULL,
                query BLOB) STRICT;
             CREATE INDEX records_at ON records (at);
             CREATE INDEX records_resource ON records (id, type) WHERE id IS NOT NULL;
             CREATE TABLE groups (last INTEGER PRIMARY KEY, mark BLOB NOT NULL) STRICT;
             PRAGMA application_id = 0x50484155; PRAGMA user_version = 1;",
        )
        .unwrap();
    open::copy(&sealed, &clear).unwrap();
    drop((sealed, clear));
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.path().join(format!("audit.sqlite{suffix}")));
    }
    std::fs::rename(clear_path, path).unwrap();
}

#[tokio::test]
async fn a_log_in_the_clear_is_sealed_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    for at in 0..40 {
        keep(&log, record(at, Some(("Patient", "marker-id")), Some("q"))).await.unwrap();
    }
    let all = AuditQuery { limit: 100, ..AuditQuery::default() };
    let before = log.find(all.clone()).await.unwrap();
    drop(log);
    in_the_clear(&folder);
    let path = folder.path().join("audit.sqlite");
    let shows = || {
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(9).any(|window| window == b"marker-id")
    };
    assert!(shows(), "it stands in the clear");
    // A check does not change it.
    let verified = AuditLog::verify_file(&path, BodyKey::new(1, [7; 32]), CHAIN_KEY).unwrap();
    assert_eq!(verified, Verified { records: 40, changed_from: None });
    assert!(shows(), "it stands in the clear still");
    // A sealing that was broken off is in nobody's way.
    std::fs::write(folder.path().join("audit.sqlite-sealed"), b"half").unwrap();
    let log = open(&folder);
    assert!(!shows());
    assert_eq!(log.find(all.clone()).await.unwrap(), before);
    keep(&log, record(99, None, None)).await.unwrap();
    assert_eq!(log.verify().await.unwrap(), Verified { records: 41, changed_from: None });
    drop(log);
    assert_eq!(open(&folder).count().await.unwrap(), 41);
}

#[tokio::test]
async fn nothing_stands_in_the_clear_and_no_other_key_opens_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    keep(&log, record(1, Some(("Patient", "marker-id")), Some("marker-query"))).await.unwrap();
    let look = || {
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"marker"));
        }
    };
    look();
    drop(log);
    look();
    let log = folder.path().join("audit.sqlite-wal");
    assert_eq!(std::fs::metadata(log).map_or(0, |log| log.len()), 0, "all is in the one file");
    let path = folder.path().join("audit.sqlite");
    let other = AuditLog::open(&path, BodyKey::new(1, [8; 32]), CHAIN_KEY);
    assert!(matches!(other, Err(AuditError::Foreign)), "{other:?}");
    std::fs::write(&path, vec![0x5A; 100_000]).unwrap();
    let strange = AuditLog::open(&path, BodyKey::new(1, [7; 32]), CHAIN_KEY);
    assert!(matches!(strange, Err(AuditError::Foreign)), "{strange:?}");
}
