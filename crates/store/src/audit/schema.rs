//! The tables of the audit log.

use super::record::{Action, Outcome};

/// Says of a file that it is an audit log.
pub(super) const APPLICATION_ID: i64 = 0x5048_4155;

/// Version 1 stood in the clear and had fewer indexes.
pub(super) const SCHEMA_VERSION: i64 = 2;

/// The tables.
///
/// Action and outcome are not kept but computed, here and in [`Action::of`] and [`Outcome::of`]: so that nobody can change
/// by what a record is found and leave the record. Each index ends with the time, and a record's number comes along: what
/// it finds is in the order that searches give.
pub(super) fn tables() -> String {
    let actions: String = Action::ALL
        .iter()
        .filter_map(|action| {
            let names: Vec<String> =
                action.interactions().iter().map(|name| format!("'{name}'")).collect();
            (!names.is_empty()).then(|| {
                format!("WHEN interaction IN ({}) THEN '{}' ", names.join(", "), action.code())
            })
        })
        .collect();
    let (good, minor, serious) =
        (Outcome::Success.code(), Outcome::Minor.code(), Outcome::Serious.code());
    format!(
        "CREATE TABLE records (
            number INTEGER PRIMARY KEY,
            at INTEGER NOT NULL,
            request TEXT NOT NULL,
            client TEXT,
            client_name TEXT,
            address TEXT,
            interaction TEXT NOT NULL,
            type TEXT,
            id TEXT,
            status INTEGER NOT NULL,
            query BLOB,
            action TEXT GENERATED ALWAYS AS (CASE {actions}ELSE '{other}' END) VIRTUAL,
            outcome TEXT GENERATED ALWAYS AS
                (CASE WHEN status < 400 THEN '{good}' WHEN status < 500 THEN '{minor}' ELSE '{serious}' END) VIRTUAL
        ) STRICT;
        CREATE INDEX records_at ON records (at);
        CREATE INDEX records_resource ON records (id, at) WHERE id IS NOT NULL;
        CREATE INDEX records_client ON records (client, at) WHERE client IS NOT NULL;
        CREATE INDEX records_action ON records (action, at);
        CREATE INDEX records_outcome ON records (outcome, at);
        CREATE TABLE groups (
            last INTEGER PRIMARY KEY,
            mark BLOB NOT NULL
        ) STRICT;
        CREATE TABLE used_once (
            hash BLOB PRIMARY KEY,
            until INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX used_once_until ON used_once (until);",
        other = Action::Execute.code(),
    )
}
