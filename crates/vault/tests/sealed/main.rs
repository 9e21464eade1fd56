//! Sealed databases as their callers see them: on real files, killed, changed, and beside ordinary ones.

mod changed;
mod clear_values;
mod concurrency;
mod crash;
mod opening;
mod refusals;
mod workload;

use std::path::{Path, PathBuf};

use pipehat_vault::Key;
use rusqlite::{Connection, OpenFlags};

fn key() -> Key {
    Key::new([0x5a; 32])
}

fn open(path: &Path) -> Connection {
    pipehat_vault::open(path, &key(), OpenFlags::default()).expect("a sealed database")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies a database and its log as they are now, as if everything had stopped.
fn copy_as_it_is(from: &Path, to: &Path) {
    std::fs::copy(from, to).expect("the database");
    let log = beside(from, "-wal");
    if log.exists() {
        std::fs::copy(log, beside(to, "-wal")).expect("the log");
    }
}

/// All that a database holds, in an order of its own.
fn content(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut names = connection.prepare(
        "SELECT name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name",
    )?;
    let schema = names
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut content = Vec::new();
    for (name, sql) in schema {
        content.push(sql.clone());
        if !sql.starts_with("CREATE TABLE") {
            continue;
        }
        let mut rows = connection.prepare(&format!("SELECT * FROM \"{name}\" ORDER BY rowid"))?;
        let columns = rows.column_count();
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let values = (0..columns)
                .map(|column| row.get_ref(column).map(|value| format!("{value:?}")))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            content.push(values.join("|").replace("48, 48, 48, 48, ", ""));
        }
    }
    Ok(content)
}

fn integrity(connection: &Connection) -> String {
    connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap_or_else(|error| format!("{error}"))
}
