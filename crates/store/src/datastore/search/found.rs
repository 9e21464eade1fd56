//! What a statement of a search found.

use super::builder::Builder;
use super::cursor::Cursor;
use crate::datastore::core::{Core, VERSION_COLUMNS};
use crate::datastore::interaction::{ChangeNumber, ResourceKey, StoredVersion};
use crate::datastore::sql::{Dialect, Session, SessionError, SqlValue};

/// What is asked of a match.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Which it is.
    Keys,
    /// What it says, too, where that comes along for nothing.
    Versions(&'a Core),
    /// The same, and the newest change at that instant.
    VersionsAt(&'a Core),
}

/// A resource that matches.
#[derive(Clone)]
pub(super) struct Match {
    pub(super) cursor: Cursor,
    /// Its newest version, where that was wanted and came along.
    pub(super) version: Option<StoredVersion>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) matches: Vec<Match>,
    /// The newest change when the first statement looked and when the last one did, where that was wanted and came
    /// along: in PostgreSQL each has an instant of its own.
    pub(super) newest: Option<(ChangeNumber, ChangeNumber)>,
}

impl Found {
    pub(super) fn append(&mut self, later: Self) {
        self.matches.extend(later.matches);
        self.newest = match (self.newest, later.newest) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (first, later) => first.or(later),
        };
    }
}

/// Runs a statement that finds keys, and what they are sorted by.
pub(super) async fn run<S: Session>(
    session: &mut S,
    builder: &Builder<'_>,
    sql: &str,
    wanted: Wanted<'_>,
) -> Result<Found, SessionError> {
    let (mut sql, parameters) = builder.finish(sql);
    let (read, at) = match (wanted, session.dialect()) {
        (Wanted::Versions(core), Dialect::Postgres) => (Some(core), false),
        (Wanted::VersionsAt(core), Dialect::Postgres) => (Some(core), true),
        (_, Dialect::Sqlite) | (Wanted::Keys, _) => (None, false),
    };
    if read.is_some() {
        sql = with_versions(&sql);
    }
    if at {
        sql = with_newest(&sql);
    }
    let rows = session.query(&sql, &parameters).await?;
    let mut found = Found::default();
    let first = usize::from(at);
    for row in &rows {
        if at {
            let newest = ChangeNumber(row.unsigned(0)?);
            found.newest = Some((newest, newest));
            // Nothing was found; the row is there for the number alone.
            if row.value(first) == SqlValue::Null {
                break;
            }
        }
        let own = row.0.len().saturating_sub(if read.is_some() { VERSION_WIDTH } else { 0 });
        let values = (first.saturating_add(1)..own).map(|column| row.value(column)).collect();
        let cursor = Cursor { values, key: row.integer(first)? };
        let version = match read {
            None => None,
            Some(core) => {
                let place = own.saturating_add(1);
                let resource_type = row.text(place)?.to_owned();
                let id = row.text(place.saturating_add(1))?.to_owned();
                let key = ResourceKey { resource_type, id };
                Some(core.stored(key, row, place.saturating_add(2))?)
            }
        };
        found.matches.push(Match { cursor, version });
    }
    Ok(found)
}

/// How many columns [`with_versions`] adds.
const VERSION_WIDTH: usize = 8;

/// A statement that finds keys, with what stands under them: another way there and back costs PostgreSQL more than
/// the search itself.
fn with_versions(sql: &str) -> String {
    let join = |table: &str, alias: &str, on: &str| Dialect::Postgres.then_join(table, alias, on);
    let resources = join("resources", "r", "r.key = m.key AND r.deleted = 0");
    let versions = join("versions", "v", "v.key = r.key AND v.version = r.version");
    format!(
        "SELECT m.*, r.type, r.id, {VERSION_COLUMNS}
         FROM (SELECT s.*, row_number() OVER () AS place FROM ({sql}) s) m {resources} {versions}
         ORDER BY m.place"
    )
}

/// The same, with the newest change before it; one row of it where nothing was found.
fn with_newest(sql: &str) -> String {
    format!(
        "SELECT n.newest, f.* FROM (SELECT coalesce(max(change), 0) AS newest FROM versions) n
         LEFT JOIN ({sql}) f ON true ORDER BY f.place"
    )
}
