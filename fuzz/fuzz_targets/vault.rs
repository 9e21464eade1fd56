//! Any bytes in the files of a sealed database: reading them must neither panic nor give other data than were sealed.
//! The input says which bytes of which file are changed, and how.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pipehat_vault::Key;
use rusqlite::{Connection, OpenFlags};

/// The files after some transactions, and what was to be read after each.
struct Sealed {
    database: Vec<u8>,
    log: Vec<u8>,
    states: Vec<Vec<i64>>,
}

static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let path = path("made");
    let connection = open(&path).expect("a database");
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (0, 0);
             PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .expect("a table");
    let mut states = vec![read(&connection).expect("rows")];
    for number in 1..4 {
        connection.execute("INSERT INTO t VALUES (?1, ?1 * 7)", [number]).expect("a row");
        states.push(read(&connection).expect("rows"));
    }
    let log = fs::read(path.with_extension("db-wal")).expect("the log");
    Sealed { database: fs::read(&path).expect("the database"), log, states }
});

fuzz_target!(|data: &[u8]| {
    let sealed = &*SEALED;
    let (mut database, mut log) = (sealed.database.clone(), sealed.log.clone());
    for change in data.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        let file = if change[2] & 1 == 0 { &mut database } else { &mut log };
        match change[2] >> 1 {
            0 => file.truncate(at),
            1 => file.extend_from_slice(&change[..2]),
            _ if !file.is_empty() => {
                let at = at % file.len();
                file[at] ^= change[3];
            }
            _ => {}
        }
    }
    let path = path("changed");
    fs::write(&path, database).expect("written");
    fs::write(path.with_extension("db-wal"), log).expect("written");
    let _ = fs::remove_file(path.with_extension("db-shm"));
    if let Some(found) = open(&path).and_then(|connection| read(&connection)) {
        // An empty file becomes an empty database, which has no table to read.
        assert!(sealed.states.contains(&found), "other data than were sealed");
    }
});

fn path(name: &str) -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(format!("pipehat-fuzz-vault-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    directory.join(name).with_extension("db")
}

fn open(path: &Path) -> Option<Connection> {
    pipehat_vault::open(path, &Key::new([7; 32]), OpenFlags::default()).ok()
}

fn read(connection: &Connection) -> Option<Vec<i64>> {
    let mut rows = connection.prepare("SELECT k * 100 + v FROM t ORDER BY k").ok()?;
    let rows = rows.query_map([], |row| row.get(0)).ok()?;
    rows.collect::<rusqlite::Result<Vec<i64>>>().ok()
}
