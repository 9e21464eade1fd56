//! What of a patient is seen from outside: in the files of the datastore in SQLite, in errors of PostgreSQL.

use std::fs;
use std::path::Path;

use super::fixture::{Fixture, create, postgres_url, rules, sqlite};
use crate::datastore::sql::SessionError;
use crate::datastore::{BodyKey, DatastoreError, SqliteDatastore};

const MARKERS: [&str; 4] = ["Markerfamily", "markerfamily", "MARKER-4711", "markerstreet"];

fn check_files(directory: &Path, when: &str) {
    let mut files = 0;
    for file in fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for marker in MARKERS {
            let found = bytes.windows(marker.len()).any(|part| part == marker.as_bytes());
            assert!(!found, "{marker} in {}, {when}", path.display());
        }
        files += 1;
    }
    assert!(files > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_value_of_a_patient_stands_in_clear() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Fixture::new(sqlite(directory.path()));
    for number in 0..50 {
        let patient = format!(
            r#"{{"resourceType":"Patient","id":"p{number}","name":[{{"family":"Markerfamily{number}"}}],
               "identifier":[{{"system":"urn:mrn","value":"MARKER-4711-{number}"}}],
               "address":[{{"line":["markerstreet {number}"]}}]}}"#
        );
        fixture.apply(vec![create(&patient)]).await;
    }
    let found =
        fixture.found("Patient?family=markerfamily7&identifier=urn:mrn|MARKER-4711-7").await;
    assert_eq!(found.len(), 1);
    check_files(directory.path(), "while open");
    drop(fixture);
    check_files(directory.path(), "closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_key_and_a_changed_file_are_told() {
    let directory = tempfile::tempdir().unwrap();
    drop(sqlite(directory.path()));
    let path = directory.path().join("datastore.db");
    let open = |byte| SqliteDatastore::open(&path, BodyKey::new(1, [byte; 32]), rules());
    let text = |error: DatastoreError| std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        open(8).err().map(text).unwrap(),
        "the datastore was written with another key than the one given"
    );
    let mut bytes = fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(open(7), Err(DatastoreError::Damaged(_))));
    fs::write(&path, b"SQLite format 3\0 and no datastore of ours").unwrap();
    assert_eq!(open(7).err().map(text).unwrap(), "the file is no datastore of Pipehat");
}

#[tokio::test]
async fn an_error_of_postgres_repeats_no_value() {
    let Some(url) = postgres_url() else { return };
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let _driver = tokio::spawn(connection);
    let refused = [
        "CREATE TEMP TABLE t (family text CHECK (family = '')); INSERT INTO t VALUES ('Markerfamily')",
        "SELECT 'Markerfamily'::int",
    ];
    for sql in refused {
        let error = client.batch_execute(sql).await.unwrap_err();
        let error = SessionError::from(error).outwards(1);
        let mut said = format!("{error:?}");
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(inner) = cause {
            said.push_str(&inner.to_string());
            cause = inner.source();
        }
        assert!(said.contains("SQLSTATE 2"), "{said}");
        assert!(!said.contains("Markerfamily"), "{said}");
    }
}
