//! Which profiles, tags and security labels there are.

use pipehat_resource::search::ParameterKind;

use super::core::{Catalogue, Core, VERSION_COLUMNS};
use super::interaction::{ResourceKey, StoredVersion};
use super::search::table_of;
use super::sql::{Session, SessionError, SqlValue};

/// Resources of these types (of all, where none is named) whose meta together have every label that is in use, at
/// most `limit` of them: one for each label, the oldest that has it.
pub(super) async fn labelled<S: Session>(
    session: &mut S,
    core: &Core,
    catalogue: &Catalogue,
    types: &[String],
    limit: usize,
) -> Result<Vec<StoredVersion>, SessionError> {
    let numbers = |wanted: ParameterKind| {
        let own = catalogue.labels.iter().filter(|(name, kind, _)| {
            *kind == wanted && (types.is_empty() || types.contains(name))
        });
        own.map(|(_, _, number)| number.to_string()).collect::<Vec<_>>().join(", ")
    };
    let mut sets = Vec::new();
    for (kind, value) in [
        (ParameterKind::Token, "code, system"),
        (ParameterKind::Uri, "uri"),
        (ParameterKind::Reference, "target"),
    ] {
        let numbers = numbers(kind);
        if !numbers.is_empty() {
            sets.push(format!(
                "SELECT min(key) AS key FROM {} WHERE parameter IN ({numbers}) GROUP BY {value}",
                table_of(kind)
            ));
        }
    }
    if sets.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT r.type, r.id, {VERSION_COLUMNS} FROM resources r
         JOIN versions v ON v.key = r.key AND v.version = r.version
         WHERE r.deleted = 0 AND r.key IN (SELECT key FROM ({}) labels ORDER BY key LIMIT ?1)
         ORDER BY r.key",
        sets.join(" UNION ")
    );
    let rows = session.query(&sql, &[SqlValue::number(limit as u64)]).await?;
    rows.iter()
        .map(|row| {
            let key =
                ResourceKey { resource_type: row.text(0)?.to_owned(), id: row.text(1)?.to_owned() };
            core.stored(key, row, 2)
        })
        .collect()
}
