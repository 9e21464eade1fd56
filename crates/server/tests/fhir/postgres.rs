//! These tests over PostgreSQL: with `PIPEHAT_TEST_DATASTORE=postgres`, each folder of a test is a schema there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pipehat_store::datastore::{BodyKey, Datastore, PostgresDatastore, PostgresLocation, R4Rules};
use tokio::runtime::Runtime;

/// Where the server is; `None` where the tests are over SQLite. `PIPEHAT_TEST_POSTGRES=required` says that it must be
/// installed.
fn url() -> Option<&'static str> {
    static URL: OnceLock<Option<String>> = OnceLock::new();
    let url = URL.get_or_init(|| {
        if std::env::var("PIPEHAT_TEST_DATASTORE").is_ok_and(|of| of != "postgres") {
            panic!("PIPEHAT_TEST_DATASTORE is `postgres` or not there");
        }
        std::env::var_os("PIPEHAT_TEST_DATASTORE")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres");
        let started = Command::new(script).arg("start").output().expect("the script runs");
        if started.status.success() {
            return Some(String::from_utf8(started.stdout).expect("a URL").trim().to_owned());
        }
        let problem = String::from_utf8_lossy(&started.stderr);
        let required = std::env::var("PIPEHAT_TEST_POSTGRES").is_ok_and(|it| it == "required");
        let missing = started.status.code() == Some(3);
        assert!(missing && !required, "PostgreSQL does not start: {problem}");
        eprintln!("over SQLite: {problem}");
        None
    });
    url.as_deref()
}

/// Whether the tests are over PostgreSQL.
pub(crate) fn is_asked_for() -> bool {
    url().is_some()
}

/// Opens the datastore of a folder. A test that comes again finds its schemas empty.
pub(crate) fn open(folder: &Path, key: BodyKey, rules: Arc<R4Rules>) -> Option<Arc<dyn Datastore>> {
    let url = url()?.to_owned();
    let (schema, fresh) = schema(folder);
    let location = PostgresLocation {
        url: url.clone(),
        directory: PathBuf::new(),
        schema,
        connections_max: 6,
    };
    // Tests open stores within their own runtimes, without waiting; the tasks of a store live in this one.
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let opening = std::thread::spawn(move || {
        let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"));
        runtime.block_on(async {
            if fresh {
                let (client, connection) =
                    tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("connects");
                let driver = tokio::spawn(connection);
                let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", location.schema);
                client.batch_execute(&drop).await.expect("the schema goes");
                driver.abort();
            }
            PostgresDatastore::open(&location, key, rules).await.expect("the datastore opens")
        })
    });
    Some(Arc::new(opening.join().expect("the datastore opens")))
}

/// The schema of a folder, and whether it is new to this test.
fn schema(folder: &Path) -> (String, bool) {
    static KNOWN: Mutex<Option<HashMap<PathBuf, String>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(schema) = known.get(folder) {
        return (schema.clone(), false);
    }
    let thread = std::thread::current();
    let test = match thread.name() {
        Some(name) if name.contains("::") => name.replace("::", "_"),
        _ => format!("process_{}", std::process::id()),
    };
    let mut start = test.len().saturating_sub(32);
    while !test.is_char_boundary(start) {
        start += 1;
    }
    let of_test = test.get(start..).unwrap_or_default().to_lowercase();
    let earlier =
        known.values().filter(|schema| schema.starts_with(&format!("t{of_test}_"))).count();
    let schema = format!("t{of_test}_{earlier}");
    known.insert(folder.to_owned(), schema.clone());
    (schema, true)
}
