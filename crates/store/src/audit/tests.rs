use std::time::Instant;

use tempfile::TempDir;

use super::*;

const CHAIN_KEY: [u8; 32] = [9; 32];

fn open(folder: &TempDir) -> AuditLog {
    AuditLog::open(&folder.path().join("audit.sqlite"), BodyKey::new(1, [7; 32]), CHAIN_KEY)
        .expect("the log opens")
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
        let path = folder.path().join("audit.sqlite");
        rusqlite::Connection::open(path).unwrap().execute_batch(change).unwrap();
        assert_eq!(log.verify().await.unwrap().changed_from, expected, "{change}");
    };
    check("SELECT 1", None).await;
    check("UPDATE records SET status = 403 WHERE number = 3", Some(3)).await;
    check("UPDATE records SET client = NULL WHERE number = 1", Some(1)).await;
    check("DELETE FROM records WHERE number = 4", Some(4)).await;
    check("DELETE FROM records WHERE number = 6", Some(6)).await;
    check("UPDATE groups SET mark = zeroblob(32) WHERE last = 2", Some(2)).await;
    let more = "INSERT INTO records SELECT 7, at, request, client, client_name, address,
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
    let path = folder.path().join("audit.sqlite");
    let connection = rusqlite::Connection::open(path).unwrap();
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
    let path = folder.path().join("audit.sqlite");
    let connection = rusqlite::Connection::open(path).unwrap();
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
