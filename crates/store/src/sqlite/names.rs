//! Texts that many messages share (channels, types, senders…), kept once and numbered.
//!
//! They stand hashed and sealed like identifiers: a garbled header can have anything in MSH-3.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension, params};

use super::seal::{Opener, Place, Sealer};
use crate::{
    IdentifierKind, IndexError,
    keys::{Hash, Hasher, Role},
    life::{EMPTY_NAME, NameId},
};

/// Of a longer text only this much is kept for display; it is found by the whole.
pub const TEXT_BYTES_MAX: usize = 512;

/// How many names of a kind the writer keeps at hand, so that garbled headers can't fill memory.
const WRITER_NAMES_MAX: usize = 2048;

/// How many names a reader keeps at hand.
const READER_NAMES_MAX: usize = 8192;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    Channel = 1,
    Destination = 2,
    Code = 3,
    Trigger = 4,
    Structure = 5,
    Version = 6,
    Application = 7,
    Facility = 8,
    Processing = 9,
    OperatorCode = 10,
    Revision = 11,
    Custom = 12,
}

impl NameKind {
    const COUNT: usize = 13;

    fn number(self) -> u8 {
        self as u8
    }
}

/// The text as far as it is kept.
pub(super) fn kept(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// So many names of a kind are looked at one by one before they are looked up: the types and
/// senders of nearly all messages.
const RECENT_NAMES: usize = 8;

/// Numbers names, for the writer.
pub(super) struct WriterNames {
    known: [Known; NameKind::COUNT],
}

/// What is known of one kind.
#[derive(Default)]
struct Known {
    all: HashMap<Box<str>, NameId>,
    recent: Vec<(Box<str>, NameId)>,
}

impl Known {
    fn number(&mut self, text: &str) -> Option<NameId> {
        if let Some(place) = self.recent.iter().position(|(known, _)| **known == *text) {
            let number = self.recent.get(place).map(|(_, number)| *number);
            // What comes often comes to stand in front.
            self.recent.swap(place, place.saturating_sub(1));
            return number;
        }
        let number = *self.all.get(text)?;
        self.recent.truncate(RECENT_NAMES.saturating_sub(1));
        self.recent.push((text.into(), number));
        Some(number)
    }

    fn insert(&mut self, text: &str, number: NameId) {
        if self.all.len() >= WRITER_NAMES_MAX {
            self.all.clear();
            self.recent.clear();
        }
        if text.len() <= TEXT_BYTES_MAX {
            self.all.insert(text.into(), number);
        }
    }
}

impl WriterNames {
    pub(super) fn new() -> WriterNames {
        WriterNames { known: Default::default() }
    }

    pub(super) fn number(
        &mut self,
        connection: &Connection,
        hasher: &Hasher,
        sealer: &mut Sealer,
        kind: NameKind,
        text: &str,
    ) -> Result<NameId, IndexError> {
        if text.is_empty() {
            return Ok(EMPTY_NAME);
        }
        let known = self.known.get_mut(usize::from(kind.number())).expect("a kind below COUNT");
        if let Some(id) = known.number(text) {
            return Ok(id);
        }
        let hash = hasher.hash(Role::Name(kind.number()), text);
        let id = match stored(connection, kind, &hash)? {
            Some(id) => id,
            None => {
                let place = Place::Name { kind: kind.number(), hash };
                let sealed = sealer.seal(&place, kept(text).as_bytes());
                connection
                    .prepare_cached("INSERT INTO name (kind, hash, sealed) VALUES (?1, ?2, ?3)")?
                    .execute(params![kind.number(), hash, sealed])?;
                connection.last_insert_rowid()
            }
        };
        known.insert(text, id);
        Ok(id)
    }
}

/// The number of a name, for a search; `None` when no message has it.
pub(super) fn look_up(
    connection: &Connection,
    hasher: &Hasher,
    kind: NameKind,
    text: &str,
) -> Result<Option<NameId>, IndexError> {
    if text.is_empty() {
        return Ok(Some(EMPTY_NAME));
    }
    stored(connection, kind, &hasher.hash(Role::Name(kind.number()), text))
}

fn stored(
    connection: &Connection,
    kind: NameKind,
    hash: &Hash,
) -> Result<Option<NameId>, IndexError> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM name WHERE hash = ?1 AND kind = ?2")?;
    Ok(statement.query_row(params![hash, kind.number()], |row| row.get(0)).optional()?)
}

/// Gives names back, for a reader.
pub(super) struct ReaderNames {
    known: HashMap<NameId, Arc<str>>,
    empty: Arc<str>,
}

impl ReaderNames {
    pub(super) fn new() -> ReaderNames {
        ReaderNames { known: HashMap::new(), empty: Arc::from("") }
    }

    pub(super) fn text(
        &mut self,
        connection: &Connection,
        opener: &mut Opener,
        id: NameId,
    ) -> Result<Arc<str>, IndexError> {
        if id == EMPTY_NAME {
            return Ok(Arc::clone(&self.empty));
        }
        if let Some(text) = self.known.get(&id) {
            return Ok(Arc::clone(text));
        }
        let row: Option<(u8, Hash, Vec<u8>)> = connection
            .prepare_cached("SELECT kind, hash, sealed FROM name WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let (kind, hash, sealed) = row.ok_or(IndexError::Damaged(None))?;
        let bytes = opener.open(connection, &Place::Name { kind, hash }, &sealed)?;
        let text = String::from_utf8(bytes).map_err(|_| IndexError::Damaged(None))?;
        if self.known.len() >= READER_NAMES_MAX {
            self.known.clear();
        }
        let text: Arc<str> = text.into();
        self.known.insert(id, Arc::clone(&text));
        Ok(text)
    }
}

/// How the kinds of identifiers are written down. A channel's own kinds follow from this number on
/// by the number of their name.
const CUSTOM_FROM: i64 = 16;

/// MSH-10 is looked up like an identifier.
pub(super) const CONTROL_ID_KIND: i64 = 0;

/// The number of the kind, given that of its name when it is a channel's own.
pub(super) fn kind_number(kind: &IdentifierKind, custom: NameId) -> i64 {
    match kind {
        IdentifierKind::Patient => 1,
        IdentifierKind::Visit => 2,
        IdentifierKind::Order => 3,
        IdentifierKind::Accession => 4,
        IdentifierKind::Custom(_) => custom.saturating_add(CUSTOM_FROM),
    }
}

/// The kind of this number; the closure gives the text of a name.
pub(super) fn kind(
    number: i64,
    name: impl FnOnce(NameId) -> Result<Arc<str>, IndexError>,
) -> Result<IdentifierKind, IndexError> {
    match number {
        1 => Ok(IdentifierKind::Patient),
        2 => Ok(IdentifierKind::Visit),
        3 => Ok(IdentifierKind::Order),
        4 => Ok(IdentifierKind::Accession),
        CUSTOM_FROM.. => name(number.saturating_sub(CUSTOM_FROM)).map(IdentifierKind::Custom),
        _ => Err(IndexError::Damaged(None)),
    }
}

#[cfg(test)]
mod tests {
    use super::{TEXT_BYTES_MAX, kept};

    #[test]
    fn a_text_is_kept_up_to_its_limit_and_whole_characters() {
        let at_limit = "x".repeat(TEXT_BYTES_MAX);
        assert_eq!(kept(&at_limit), at_limit);
        assert_eq!(kept(&format!("{at_limit}x")), at_limit);
        let umlaut_across = format!("{}ü", "x".repeat(TEXT_BYTES_MAX - 1));
        assert_eq!(kept(&umlaut_across), "x".repeat(TEXT_BYTES_MAX - 1));
        assert_eq!(kept(""), "");
    }
}
