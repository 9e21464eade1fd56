//! Reading versions: one, the history of one or many, what changed.

use std::collections::HashMap;

use super::core::{Core, VERSION_COLUMNS};
use super::interaction::{ChangeNumber, HistoryQuery, HistoryScope, ResourceKey, StoredVersion};
use super::sql::{Dialect, Session, SessionError, SqlValue};

/// What stands under an id now, also where that is a deletion.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) row: i64,
    pub(super) version: StoredVersion,
}

impl Current {
    pub(super) fn is_deleted(&self) -> bool {
        self.version.body.is_none()
    }
}

/// The newest version.
pub(super) async fn current<S: Session>(
    session: &mut S,
    core: &Core,
    key: &ResourceKey,
) -> Result<Option<Current>, SessionError> {
    let sql = "SELECT r.key, v.version, v.last_updated, v.change, v.method, v.body
               FROM resources r JOIN versions v ON v.key = r.key AND v.version = r.version
               WHERE r.type = ?1 AND r.id = ?2";
    let parameters = [SqlValue::text(&key.resource_type), SqlValue::text(&key.id)];
    let rows = session.query(sql, &parameters).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Current { row: row.integer(0)?, version: core.stored(key.clone(), row, 1)? }))
}

/// The newest versions of several (PostgreSQL).
pub(super) async fn currents<S: Session>(
    session: &mut S,
    core: &Core,
    keys: &[ResourceKey],
) -> Result<HashMap<ResourceKey, Option<Current>>, SessionError> {
    let sql = format!(
        "SELECT r.type, r.id, r.key, {VERSION_COLUMNS}
         FROM unnest(?1::text[], ?2::text[]) AS k (type, id) {} {}",
        Dialect::Postgres.then_join("resources", "r", "r.type = k.type AND r.id = k.id"),
        Dialect::Postgres.then_join("versions", "v", "v.key = r.key AND v.version = r.version"),
    );
    let types = keys.iter().map(|key| key.resource_type.clone()).collect();
    let ids = keys.iter().map(|key| key.id.clone()).collect();
    let rows = session.query(&sql, &[SqlValue::Texts(types), SqlValue::Texts(ids)]).await?;
    let mut found: HashMap<ResourceKey, Option<Current>> =
        keys.iter().map(|key| (key.clone(), None)).collect();
    for row in rows {
        let key =
            ResourceKey { resource_type: row.text(0)?.to_owned(), id: row.text(1)?.to_owned() };
        let version = core.stored(key.clone(), &row, 3)?;
        found.insert(key, Some(Current { row: row.integer(2)?, version }));
    }
    Ok(found)
}

/// The key of the row of a resource.
pub(super) async fn row_key<S: Session>(
    session: &mut S,
    key: &ResourceKey,
) -> Result<Option<i64>, SessionError> {
    let sql = "SELECT key FROM resources WHERE type = ?1 AND id = ?2";
    let parameters = [SqlValue::text(&key.resource_type), SqlValue::text(&key.id)];
    let rows = session.query(sql, &parameters).await?;
    rows.first().map(|row| row.integer(0)).transpose()
}

/// One version.
pub(super) async fn version<S: Session>(
    session: &mut S,
    core: &Core,
    key: &ResourceKey,
    version: u64,
) -> Result<Option<StoredVersion>, SessionError> {
    let sql = format!(
        "SELECT {VERSION_COLUMNS} FROM resources r JOIN versions v ON v.key = r.key
         WHERE r.type = ?1 AND r.id = ?2 AND v.version = ?3"
    );
    let parameters =
        [SqlValue::text(&key.resource_type), SqlValue::text(&key.id), SqlValue::number(version)];
    let rows = session.query(&sql, &parameters).await?;
    rows.first().map(|row| core.stored(key.clone(), row, 0)).transpose()
}

/// Versions, newest first.
pub(super) async fn history<S: Session>(
    session: &mut S,
    core: &Core,
    query: &HistoryQuery,
) -> Result<Vec<StoredVersion>, SessionError> {
    let mut parameters = Vec::new();
    let mut bind = |value: SqlValue| {
        parameters.push(value);
        parameters.len()
    };
    let mut conditions = Vec::new();
    match &query.scope {
        HistoryScope::All => {}
        HistoryScope::Type(resource_type) => {
            conditions.push(format!("v.type = ?{}", bind(SqlValue::text(resource_type))));
        }
        HistoryScope::Resource(key) => {
            let (of, id) =
                (bind(SqlValue::text(&key.resource_type)), bind(SqlValue::text(&key.id)));
            conditions.push(format!("r.type = ?{of} AND r.id = ?{id}"));
        }
    }
    if let Some(since) = query.since {
        conditions.push(format!("v.last_updated >= ?{}", bind(SqlValue::Integer(since))));
    }
    if let Some((from, to)) = query.at {
        let (from, to) = (bind(SqlValue::Integer(from)), bind(SqlValue::Integer(to)));
        conditions.push(format!(
            "v.last_updated <= ?{to} AND NOT EXISTS (SELECT 1 FROM versions later
             WHERE later.key = v.key AND later.version = v.version + 1
             AND later.last_updated <= ?{from})"
        ));
    }
    if let Some(before) = query.before {
        conditions.push(format!("v.change < ?{}", bind(SqlValue::number(before.0))));
    }
    let limit = bind(SqlValue::number(query.limit as u64));
    let conditions =
        if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") };
    // The versions of one resource are numbered as they are written: their order is that of changes.
    let order = match query.scope {
        HistoryScope::Resource(_) => "v.version",
        HistoryScope::All | HistoryScope::Type(_) => "v.change",
    };
    let sql = format!(
        "SELECT r.type, r.id, {VERSION_COLUMNS} FROM versions v
         JOIN resources r ON r.key = v.key WHERE {conditions}
         ORDER BY {order} DESC LIMIT ?{limit}"
    );
    let rows = session.query(&sql, &parameters).await?;
    rows.iter()
        .map(|row| {
            let key =
                ResourceKey { resource_type: row.text(0)?.to_owned(), id: row.text(1)?.to_owned() };
            core.stored(key, row, 2)
        })
        .collect()
}

/// What was written behind a change, oldest first.
pub(super) async fn changes<S: Session>(
    session: &mut S,
    core: &Core,
    after: ChangeNumber,
    limit: usize,
) -> Result<Vec<StoredVersion>, SessionError> {
    let sql = format!(
        "SELECT r.type, r.id, {VERSION_COLUMNS} FROM versions v
         JOIN resources r ON r.key = v.key WHERE v.change > ?1 ORDER BY v.change LIMIT ?2"
    );
    let parameters = [SqlValue::number(after.0), SqlValue::number(limit as u64)];
    let rows = session.query(&sql, &parameters).await?;
    rows.iter()
        .map(|row| {
            let key =
                ResourceKey { resource_type: row.text(0)?.to_owned(), id: row.text(1)?.to_owned() };
            core.stored(key, row, 2)
        })
        .collect()
}

/// The newest change; 0 before the first.
pub(super) async fn newest<S: Session>(session: &mut S) -> Result<ChangeNumber, SessionError> {
    let rows = session.query("SELECT coalesce(max(change), 0) FROM versions", &[]).await?;
    rows.first().map_or(Ok(ChangeNumber(0)), |row| row.unsigned(0).map(ChangeNumber))
}
