//! The tables of the book of bots.

/// Says of a file that it is a book of bots.
pub(super) const APPLICATION_ID: i64 = 0x5048_424f;

pub(super) const SCHEMA_VERSION: i64 = 1;

pub(super) const TABLES: &str = "
    CREATE TABLE runs (id INTEGER PRIMARY KEY, bot TEXT NOT NULL, revision TEXT NOT NULL, trigger TEXT NOT NULL,
        source TEXT NOT NULL, state INTEGER NOT NULL, queued INTEGER NOT NULL, started INTEGER, ended INTEGER,
        due INTEGER NOT NULL, attempts INTEGER NOT NULL, content_type TEXT NOT NULL, input BLOB NOT NULL,
        headers TEXT NOT NULL, result_type TEXT, result BLOB NOT NULL, why TEXT, error TEXT, log TEXT NOT NULL,
        effects TEXT NOT NULL, took INTEGER NOT NULL, cpu INTEGER NOT NULL);
    CREATE INDEX runs_of_bot ON runs (bot, id);
    CREATE INDEX runs_due ON runs (due, id) WHERE state = 0;
    CREATE INDEX runs_open ON runs (state, id) WHERE state <> 2;
    CREATE INDEX runs_ended ON runs (bot, ended) WHERE ended IS NOT NULL;
    CREATE TABLE state (owner TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (owner, key))
        WITHOUT ROWID;
    CREATE TABLE cron (bot TEXT NOT NULL, times TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (bot, times))
        WITHOUT ROWID;";

pub(super) const COLUMNS: &str = "id, bot, revision, trigger, source, state, queued, started, ended, due, attempts, content_type, input, headers, \
     result_type, result, why, error, log, effects, took, cpu";

pub(super) const SUMMARY: &str =
    "id, bot, trigger, source, state, queued, ended, due, attempts, why, took";
