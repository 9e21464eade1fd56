//! What comes along: `_include` and `_revinclude`, once or again and again.

use std::collections::HashSet;

use pipehat_resource::search::{Include, IncludeDirection, Search};

use super::INCLUDED_MAX;
use super::builder::{Builder, Subject};
use super::plan::Scope;
use crate::datastore::core::Catalogue;
use crate::datastore::sql::{Session, SessionError, SqlValue};

/// How often `:iterate` goes on from what it found.
const ROUNDS_MAX: usize = 10;

/// The keys of what comes along with these, and whether there was more than may.
pub(super) async fn keys<S: Session>(
    session: &mut S,
    catalogue: &Catalogue,
    search: &Search,
    scope: &Scope<'_>,
    matches: &[i64],
) -> Result<(Vec<i64>, bool), SessionError> {
    let mut seen: HashSet<i64> = matches.iter().copied().collect();
    let mut included = Vec::new();
    let mut frontier = matches.to_vec();
    for round in 0..ROUNDS_MAX {
        let mut next = Vec::new();
        for include in search.includes.iter().filter(|include| round == 0 || include.iterate) {
            for key in follow(session, catalogue, include, scope, &frontier).await? {
                if included.len() >= INCLUDED_MAX && !seen.contains(&key) {
                    return Ok((included, true));
                }
                if seen.insert(key) {
                    included.push(key);
                    next.push(key);
                }
            }
            // What the same round found may lead on: `_include` of what a `_revinclude` brought.
        }
        if next.is_empty() {
            return Ok((included, false));
        }
        frontier = next;
    }
    Ok((included, search.includes.iter().any(|include| include.iterate)))
}

async fn follow<S: Session>(
    session: &mut S,
    catalogue: &Catalogue,
    include: &Include,
    scope: &Scope<'_>,
    from: &[i64],
) -> Result<Vec<i64>, SessionError> {
    let mut builder = Builder::new(session.dialect(), catalogue);
    let numbers: Vec<String> = include
        .references
        .iter()
        .filter_map(|parameter| builder.known(*parameter))
        .map(|known| known.number.to_string())
        .collect();
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let numbers = numbers.join(", ");
    let keys = builder.bind_integers(from.to_vec());
    let limit = INCLUDED_MAX.saturating_add(from.len()).saturating_add(1);
    let target = match &include.target {
        None => String::new(),
        Some(target) => format!(" AND f.type = {}", builder.bind(SqlValue::text(target))),
    };
    let source = builder.bind(SqlValue::text(&include.source));
    let dialect = builder.dialect;
    let join = |table: &str, alias: &str, on: &str| dialect.then_join(table, alias, on);
    // What canonical addresses name, for each parameter that may have such.
    let canonicals: Vec<_> = include
        .references
        .iter()
        .filter_map(|parameter| {
            let named = builder.canonical(*parameter, include.target.as_deref())?;
            Some((builder.known(*parameter)?.number, named.meets("f", "u")))
        })
        .collect();
    let shown = match include.direction {
        IncludeDirection::Forward => "t",
        IncludeDirection::Reverse => "s",
    };
    let visible = scope.visible(&mut builder, &Subject::row(shown));
    let mut sql = match include.direction {
        IncludeDirection::Forward => {
            let referrals = join("referrals", "f", "f.key = s.key");
            let resources = join("resources", "t", "t.type = f.type AND t.id = f.target");
            format!(
                "SELECT t.key AS key FROM resources s {referrals} {resources}
                 WHERE s.key {keys} AND s.type = {source} AND f.parameter IN ({numbers}){target}
                 AND t.deleted = 0 AND {visible}"
            )
        }
        IncludeDirection::Reverse => {
            let on = format!("f.target = t.id AND f.type = t.type AND f.parameter IN ({numbers})");
            let referrals = join("referrals", "f", &on);
            let resources = join("resources", "s", "s.key = f.key");
            format!(
                "SELECT s.key AS key FROM resources t {referrals} {resources}
                 WHERE t.key {keys}{target} AND s.type = {source} AND s.deleted = 0 AND {visible}"
            )
        }
    };
    for (number, meets) in canonicals {
        sql.push_str(&match include.direction {
            IncludeDirection::Forward => {
                let referrals = join("referrals", "f", "f.key = s.key");
                let uris = join("uris", "u", &meets);
                let resources = join("resources", "t", "t.key = u.key");
                format!(
                    " UNION SELECT t.key FROM resources s {referrals} {uris} {resources}
                     WHERE s.key {keys} AND s.type = {source} AND f.parameter = {number}
                     AND t.deleted = 0 AND {visible}"
                )
            }
            IncludeDirection::Reverse => {
                let on = format!("f.parameter = {number} AND {meets}");
                let referrals = join("referrals", "f", &on);
                let resources = join("resources", "s", "s.key = f.key");
                format!(
                    " UNION SELECT s.key FROM uris u {referrals} {resources}
                     WHERE u.key {keys} AND s.type = {source} AND s.deleted = 0 AND {visible}"
                )
            }
        });
    }
    let sql = format!("SELECT DISTINCT key FROM ({sql}) found ORDER BY key LIMIT {limit}");
    let (sql, parameters) = builder.finish(&sql);
    let rows = session.query(&sql, &parameters).await?;
    rows.iter().map(|row| row.integer(0)).collect()
}
