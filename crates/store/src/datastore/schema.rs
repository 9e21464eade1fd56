//! The tables, as numbered migrations, and what is inserted into them by the row.
//!
//! - `resources`: what stands now, one row each, small. Its `key` is what other tables know a resource by; keys
//!   grow in the order of creation.
//! - `versions`: every version with its body, numbered by change. A body is written once and never again.
//! - the index tables: what the current versions are found by. Rows of one resource stand together
//!   (`key, parameter, n`); an index leads from `(parameter, value)` back to keys, in the order of keys where a
//!   value is asked for exactly, so that a page is read without sorting.
//!   `ends` marks the least (1) and the greatest (2) value of a resource's parameter: sorting goes by these. Numbers
//!   stand there as the doubles next to them; `low_rest` and `high_rest` have the digits of those that are more than
//!   that, so that comparisons are exact.
//! - `words`: full text.
//! - `parameters`: the lasting numbers of search parameters. `facts`: what is true of the whole database.
//!
//! Numbers of parameters in index tables are twice those of `parameters`; the odd one behind is for a second kind
//! of value of the same parameter (types of identifiers).

use std::sync::LazyLock;

use super::sql::Dialect;

/// The version of the schema: how many migrations there are.
pub(super) const SCHEMA_VERSION: i64 = 2;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Integer,
    Real,
    Text,
    Blob,
}

/// A table that rows are inserted into.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Column)],
    insert: LazyLock<String>,
    insert_new: LazyLock<String>,
    insert_many: LazyLock<String>,
    delete: LazyLock<String>,
    delete_one: LazyLock<String>,
    delete_many: LazyLock<String>,
}

impl Table {
    /// Inserts one row (SQLite).
    pub(super) fn insert(&self) -> &str {
        &self.insert
    }

    /// Inserts one row, unless one like it is there (SQLite).
    pub(super) fn insert_new(&self) -> &str {
        &self.insert_new
    }

    /// Deletes what belongs to one key.
    pub(super) fn delete(&self) -> &str {
        &self.delete
    }

    /// Deletes a row of an index table by its key, parameter and number.
    pub(super) fn delete_one(&self) -> &str {
        &self.delete_one
    }

    /// The same, of rows given as an array for each of these (PostgreSQL).
    pub(super) fn delete_many(&self) -> &str {
        &self.delete_many
    }

    /// Inserts rows given as an array for each column (PostgreSQL).
    pub(super) fn insert_many(&self) -> &str {
        &self.insert_many
    }
}

fn insert(name: &str, columns: &[(&str, Column)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let places: Vec<String> = (1..=columns.len()).map(|place| format!("?{place}")).collect();
    format!("INSERT INTO {name} ({}) VALUES ({})", names.join(", "), places.join(", "))
}

fn insert_many(name: &str, columns: &[(&str, Column)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let arrays: Vec<String> = columns
        .iter()
        .zip(1..)
        .map(|((_, column), place)| {
            let of = match column {
                Column::Integer => "bigint",
                Column::Real => "float8",
                Column::Text => "text",
                Column::Blob => "bytea",
            };
            format!("?{place}::{of}[]")
        })
        .collect();
    format!("INSERT INTO {name} ({}) SELECT * FROM unnest({})", names.join(", "), arrays.join(", "))
}

macro_rules! tables {
    ($($constant:ident = $name:literal ( $($column:literal $of:ident),* );)*) => {
        $(pub(super) static $constant: Table = Table {
            name: $name,
            columns: &[$(($column, Column::$of)),*],
            insert: LazyLock::new(|| insert($name, &[$(($column, Column::$of)),*])),
            insert_new: LazyLock::new(|| {
                insert($name, &[$(($column, Column::$of)),*]) + " ON CONFLICT DO NOTHING"
            }),
            delete: LazyLock::new(|| format!("DELETE FROM {} WHERE key = ?1", $name)),
            delete_one: LazyLock::new(|| {
                format!("DELETE FROM {} WHERE key = ?1 AND parameter = ?2 AND n = ?3", $name)
            }),
            delete_many: LazyLock::new(|| {
                format!(
                    "DELETE FROM {0} WHERE ctid IN (SELECT own.ctid
                     FROM unnest(?1::bigint[], ?2::bigint[], ?3::bigint[]) AS gone (key, parameter, n)
                     JOIN LATERAL (SELECT ctid FROM {0} o WHERE o.key = gone.key
                     AND o.parameter = gone.parameter AND o.n = gone.n OFFSET 0) own ON true)",
                    $name
                )
            }),
            insert_many: LazyLock::new(|| insert_many($name, &[$(($column, Column::$of)),*])),
        };)*
    };
}

tables! {
    RESOURCES = "resources" ("key" Integer, "type" Text, "id" Text, "version" Integer,
        "last_updated" Integer, "deleted" Integer);
    VERSIONS = "versions" ("change" Integer, "key" Integer, "type" Text, "version" Integer,
        "last_updated" Integer, "method" Integer, "body" Blob);
    STRINGS = "strings" ("key" Integer, "parameter" Integer, "n" Integer, "instance" Integer,
        "folded" Text, "rest" Text, "exact" Text, "ends" Integer);
    TOKENS = "tokens" ("key" Integer, "parameter" Integer, "n" Integer, "instance" Integer,
        "code" Text, "system" Integer, "ends" Integer);
    REFERRALS = "referrals" ("key" Integer, "parameter" Integer, "n" Integer, "instance" Integer,
        "target" Text, "type" Text, "version" Text, "ends" Integer);
    DATES = "dates" ("key" Integer, "parameter" Integer, "n" Integer, "instance" Integer,
        "low" Integer, "high" Integer, "wide" Integer, "ends" Integer);
    NUMBERS = "numbers" ("key" Integer, "parameter" Integer, "n" Integer, "instance" Integer,
        "value" Real, "low" Real, "high" Real, "low_rest" Text, "high_rest" Text, "ends" Integer);
    QUANTITIES = "quantities" ("key" Integer, "parameter" Integer, "n" Integer, "instance" Integer,
        "value" Real, "low" Real, "high" Real, "low_rest" Text, "high_rest" Text, "system" Integer,
        "code" Text, "unit" Text, "ends" Integer);
    URIS = "uris" ("key" Integer, "parameter" Integer, "n" Integer, "instance" Integer,
        "uri" Text, "ends" Integer);
}

/// The tables of what resources are found by.
pub(super) static INDEX_TABLES: [&Table; 7] =
    [&STRINGS, &TOKENS, &REFERRALS, &DATES, &NUMBERS, &QUANTITIES, &URIS];

/// The columns that the second migration adds.
const RESTS: [&str; 2] = ["low_rest", "high_rest"];

/// The fact that says up to which resource those that an older release indexed were looked at since.
pub(super) const CAUGHT_UP_TO: &str = "caught_up_to";

/// The statements that lead from the schema version before to `version`.
pub(super) fn migration(dialect: Dialect, version: i64) -> Option<String> {
    match version {
        1 => Some(first(dialect)),
        2 => Some(second(dialect)),
        _ => None,
    }
}

fn first(dialect: Dialect) -> String {
    let (rowid, text, integer, real, blob, clustered) = match dialect {
        Dialect::Sqlite => {
            ("INTEGER PRIMARY KEY", "TEXT", "INTEGER", "REAL", "BLOB", " WITHOUT ROWID")
        }
        Dialect::Postgres => {
            ("bigint PRIMARY KEY", "text COLLATE \"C\"", "bigint", "float8", "bytea", "")
        }
    };
    let mut sql = format!(
        "CREATE TABLE facts (name {text} PRIMARY KEY, value {text} NOT NULL){clustered};
         CREATE TABLE parameters (number {rowid}, type {text} NOT NULL, code {text} NOT NULL,
             UNIQUE (type, code));
         CREATE TABLE resources (key {rowid}, type {text} NOT NULL, id {text} NOT NULL,
             version {integer} NOT NULL, last_updated {integer} NOT NULL,
             deleted {integer} NOT NULL, UNIQUE (type, id));
         CREATE INDEX resources_by_key ON resources (type, key) WHERE deleted = 0;
         CREATE INDEX resources_by_time ON resources (type, last_updated, key) WHERE deleted = 0;
         CREATE TABLE versions (change {rowid}, key {integer} NOT NULL, type {text} NOT NULL,
             version {integer} NOT NULL, last_updated {integer} NOT NULL,
             method {integer} NOT NULL, body {blob});
         CREATE UNIQUE INDEX versions_by_key ON versions (key, version);
         CREATE INDEX versions_by_type ON versions (type, change);"
    );
    for table in INDEX_TABLES {
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(|(name, _)| !RESTS.contains(name))
            .map(|(name, column)| match column {
                Column::Integer => {
                    let null = if *name == "system" { "" } else { " NOT NULL" };
                    format!("{name} {integer}{null}")
                }
                Column::Real => format!("{name} {real} NOT NULL"),
                Column::Text => format!("{name} {text}"),
                Column::Blob => format!("{name} {blob}"),
            })
            .collect();
        sql.push_str(&format!(
            "CREATE TABLE {} ({}, PRIMARY KEY (key, parameter, n)){clustered};",
            table.name,
            columns.join(", ")
        ));
    }
    sql.push_str(
        "CREATE INDEX strings_by_value ON strings (parameter, folded, key, ends);
         CREATE INDEX tokens_by_value ON tokens (parameter, code, key, system, ends);
         CREATE INDEX referrals_by_value ON referrals (parameter, target, key, type, ends);
         CREATE INDEX dates_by_low ON dates (parameter, low, key, high, wide, ends);
         CREATE INDEX dates_odd ON dates (parameter, low, key, high, wide, ends)
             WHERE wide = 1 OR ends <> 3;
         CREATE INDEX dates_by_high ON dates (parameter, high, key, low) WHERE wide = 1;
         CREATE INDEX numbers_by_value ON numbers (parameter, value, key, ends);
         CREATE INDEX numbers_ranges ON numbers (parameter, key) WHERE low < high;
         CREATE INDEX quantities_by_value ON quantities (parameter, value, key, ends);
         CREATE INDEX quantities_ranges ON quantities (parameter, key) WHERE low < high;
         CREATE INDEX uris_by_value ON uris (parameter, uri, key, ends);",
    );
    sql.push_str(match dialect {
        Dialect::Sqlite => {
            "CREATE VIRTUAL TABLE words USING fts5(narrative, whole, content='',
                 contentless_delete=1, detail=column,
                 tokenize='unicode61 remove_diacritics 0');"
        }
        Dialect::Postgres => {
            "CREATE TABLE words (key bigint PRIMARY KEY, narrative tsvector NOT NULL,
                 whole tsvector NOT NULL);
             CREATE INDEX words_narrative ON words USING gin (narrative);
             CREATE INDEX words_whole ON words USING gin (whole);
             CREATE TABLE counter (newest bigint NOT NULL);
             INSERT INTO counter VALUES (0);
             CREATE SEQUENCE resource_keys INCREMENT BY 64 START WITH 1;"
        }
    });
    sql
}

/// Room for the digits of numbers that doubles can't hold. Rows written before have none, which is right for all others;
/// the resources are looked at behind this, see [`maintenance`](super::maintenance).
fn second(dialect: Dialect) -> String {
    let text = match dialect {
        Dialect::Sqlite => "TEXT",
        Dialect::Postgres => "text COLLATE \"C\"",
    };
    let mut sql = String::new();
    for table in ["numbers", "quantities"] {
        for column in RESTS {
            sql.push_str(&format!("ALTER TABLE {table} ADD COLUMN {column} {text};"));
        }
    }
    sql.push_str(&format!(
        "INSERT INTO facts (name, value)
             SELECT '{CAUGHT_UP_TO}', '0' WHERE EXISTS (SELECT 1 FROM resources);"
    ));
    sql
}
