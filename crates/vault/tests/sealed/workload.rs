//! Any SQL leaves in a sealed database what it leaves in an ordinary one.

use std::path::Path;

use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rusqlite::Connection;

use super::{content, copy_as_it_is, integrity, open};

#[derive(Debug, Clone)]
enum Action {
    Insert {
        key: u16,
        bytes: u16,
    },
    Many {
        from: u16,
        count: u8,
        bytes: u16,
    },
    Update {
        modulus: u8,
        bytes: u16,
    },
    Delete {
        modulus: u8,
    },
    Begin,
    Savepoint,
    RollBackTo,
    Commit,
    RollBack,
    Checkpoint(&'static str),
    Vacuum,
    Cache(u8),
    Reopen,
    /// Goes on with a copy of the files, as after a crash.
    Crash,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0_u16..300, 0_u16..20_000).prop_map(|(key, bytes)| Action::Insert { key, bytes }),
        4 => (0_u16..300, any::<u8>(), 0_u16..900)
            .prop_map(|(from, count, bytes)| Action::Many { from, count, bytes }),
        4 => (1_u8..9, 0_u16..5000).prop_map(|(modulus, bytes)| Action::Update { modulus, bytes }),
        2 => (2_u8..9).prop_map(|modulus| Action::Delete { modulus }),
        4 => prop_oneof![Just(Action::Begin), Just(Action::Savepoint), Just(Action::RollBackTo)],
        4 => prop_oneof![Just(Action::Commit), Just(Action::RollBack)],
        2 => prop_oneof![Just("PASSIVE"), Just("FULL"), Just("RESTART"), Just("TRUNCATE")]
            .prop_map(Action::Checkpoint),
        1 => Just(Action::Vacuum),
        1 => (1_u8..30).prop_map(Action::Cache),
        1 => Just(Action::Reopen),
        1 => Just(Action::Crash),
    ]
}

use proptest::prelude::Just;

fn start(connection: &Connection) {
    connection
        .execute_batch(
            "PRAGMA wal_autocheckpoint = 30; PRAGMA synchronous = OFF; PRAGMA cache_size = 8",
        )
        .expect("set");
}

fn apply(connection: &Connection, action: &Action) -> Result<(), String> {
    let text = |bytes: u16| "payload ".repeat(usize::from(bytes) / 8);
    let done = match action {
        Action::Insert { key, bytes } => connection
            .execute("INSERT OR REPLACE INTO t VALUES (?1, ?2, ?3)", (key, key % 17, text(*bytes)))
            .map(drop),
        Action::Many { from, count, bytes } => connection
            .execute(
                "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + ?2)
                 INSERT OR REPLACE INTO t SELECT i, i % 23, ?3 || i FROM n",
                (from, count, text(*bytes)),
            )
            .map(drop),
        Action::Update { modulus, bytes } => connection
            .execute(
                "UPDATE t SET v = ?2 || k, g = g + 1 WHERE k % ?1 = 0",
                (modulus, text(*bytes)),
            )
            .map(drop),
        Action::Delete { modulus } => {
            connection.execute("DELETE FROM t WHERE k % ?1 = 1", [modulus]).map(drop)
        }
        Action::Begin => connection.execute_batch("BEGIN"),
        Action::Savepoint => connection.execute_batch("SAVEPOINT s"),
        Action::RollBackTo => connection.execute_batch("ROLLBACK TO s"),
        Action::Commit => connection.execute_batch("COMMIT"),
        Action::RollBack => connection.execute_batch("ROLLBACK"),
        Action::Checkpoint(how) => {
            connection.execute_batch(&format!("PRAGMA wal_checkpoint({how})"))
        }
        Action::Vacuum => connection.execute_batch("VACUUM"),
        Action::Cache(pages) => connection.execute_batch(&format!("PRAGMA cache_size = {pages}")),
        Action::Reopen | Action::Crash => Ok(()),
    };
    done.map_err(|error| error.to_string())
}

fn plain(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("an ordinary database");
    connection.execute_batch("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL").expect("set");
    connection
}

fn check(actions: &[Action]) -> Result<(), TestCaseError> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str, number: usize| directory.path().join(format!("{name}{number}.db"));
    let mut number = 0;
    let mut sealed = open(&path("sealed", 0));
    let mut ordinary = plain(&path("plain", 0));
    for connection in [&sealed, &ordinary] {
        start(connection);
        connection
            .execute_batch(
                "CREATE TABLE t (k INTEGER PRIMARY KEY, g, v); CREATE INDEX by_v ON t (v, g)",
            )
            .expect("a table");
    }
    for action in actions {
        match action {
            Action::Reopen => {
                drop((sealed, ordinary));
                sealed = open(&path("sealed", number));
                ordinary = plain(&path("plain", number));
                start(&sealed);
                start(&ordinary);
            }
            Action::Crash => {
                let next = number + 1;
                copy_as_it_is(&path("sealed", number), &path("sealed", next));
                copy_as_it_is(&path("plain", number), &path("plain", next));
                number = next;
                sealed = open(&path("sealed", number));
                ordinary = plain(&path("plain", number));
                start(&sealed);
                start(&ordinary);
            }
            action => {
                let (of_sealed, of_ordinary) = (apply(&sealed, action), apply(&ordinary, action));
                proptest::prop_assert_eq!(of_sealed, of_ordinary, "{:?}", action);
            }
        }
    }
    let (of_sealed, of_ordinary) = (content(&sealed), content(&ordinary));
    proptest::prop_assert_eq!(of_sealed.expect("content"), of_ordinary.expect("content"));
    proptest::prop_assert_eq!(integrity(&sealed), "ok");
    proptest::prop_assert_eq!(pipehat_vault::failure(&sealed), None);
    Ok(())
}

#[test]
fn it_holds_what_an_ordinary_one_holds() {
    let mut runner =
        TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    runner
        .run(&prop::collection::vec(action(), 1..60), |actions| check(&actions))
        .unwrap_or_else(|failed| panic!("{failed}"));
}
