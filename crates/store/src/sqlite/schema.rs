//! The tables.

/// Raised whenever the tables or the meaning of what stands in them change. Another version, older
/// or newer, is rebuilt, never migrated: the journal has everything.
pub(super) const FORMAT_VERSION: i64 = 3;

/// Marks the file as ours: "Phat".
pub(super) const APPLICATION_ID: i64 = 0x5068_6174;

pub(super) const TABLES: &str = "
-- One row. through: the journal position up to which changes are in; floor: messages before it are
-- forgotten; key_check: tells whether the keys are the same.
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    through INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    key_check BLOB NOT NULL
);

-- A sealing session: each has a key of its own, derived from its salt.
CREATE TABLE session (id INTEGER PRIMARY KEY, salt BLOB NOT NULL);

-- Texts that many messages share, as numbers.
CREATE TABLE name (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    hash BLOB NOT NULL,
    sealed BLOB NOT NULL
);
CREATE UNIQUE INDEX name_by_hash ON name (hash, kind);

-- channel and what describes the message are NULL until Received was applied, and so is
-- disposition: such a row holds what is known and is not shown.
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    disposition INTEGER,
    channel INTEGER,
    received_at INTEGER,
    bytes INTEGER,
    code INTEGER,
    trigger INTEGER,
    application INTEGER,
    facility INTEGER,
    structure INTEGER,
    version INTEGER,
    processing INTEGER,
    duplicate_of INTEGER,
    step_position INTEGER NOT NULL,
    step_at INTEGER NOT NULL,
    step_stage INTEGER NOT NULL,
    step_code INTEGER NOT NULL,
    step_revision INTEGER NOT NULL,
    sealed BLOB
);
-- Nearly every message is delivered (1), nearly every search by disposition is for the others.
CREATE INDEX message_by_disposition ON message (disposition, id) WHERE disposition <> 1;

CREATE TABLE delivery (
    message INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    position INTEGER NOT NULL,
    destination INTEGER NOT NULL,
    state INTEGER NOT NULL,
    at INTEGER NOT NULL,
    code INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (message, ordinal)
) WITHOUT ROWID;
-- Parked (2) and discarded (3) are rare, and looked for.
CREATE INDEX delivery_by_state ON delivery (state, message) WHERE state >= 2;

-- last is the greatest integer while the epoch is open. The times enclose those of its messages.
CREATE TABLE epoch (
    number INTEGER PRIMARY KEY,
    first INTEGER NOT NULL UNIQUE,
    last INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    from_micros INTEGER NOT NULL,
    to_micros INTEGER NOT NULL
);

-- Identifiers of the open epoch in the order they came: hashes, each followed by kind and message.
-- last is the highest message of a row.
CREATE TABLE fresh (id INTEGER PRIMARY KEY, last INTEGER NOT NULL, entries BLOB NOT NULL);

-- Identifiers of closed epochs in blocks: ascending hashes, each followed by kind and message. All
-- of one hash stand in one block, and first is the lowest. A block may name messages that are
-- forgotten: a search looks at the row.
CREATE TABLE identifier (epoch INTEGER NOT NULL, first BLOB NOT NULL, entries BLOB NOT NULL);
CREATE UNIQUE INDEX identifier_by_first ON identifier (epoch, first);

-- The messages of a closed epoch that share a name, ascending, each as the distance from the one
-- before. It may list messages that no longer match: a search looks at the row.
CREATE TABLE facet (
    epoch INTEGER NOT NULL,
    facet INTEGER NOT NULL,
    name INTEGER NOT NULL,
    messages BLOB NOT NULL
);
CREATE UNIQUE INDEX facet_by_name ON facet (epoch, facet, name);

CREATE TABLE tally (
    channel INTEGER NOT NULL,
    disposition INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (channel, disposition)
) WITHOUT ROWID;
";
