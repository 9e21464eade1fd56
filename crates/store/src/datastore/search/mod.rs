//! Answering a search with SQL.
//!
//! # Plans
//! SQLite has no statistics of its own, and PostgreSQL's do not know which value is rare. So a search with several
//! ways to go first counts how many rows each filter's index leads to, up to [`SMALL_SET`]. The smallest such set
//! is gone through and held against the other filters. Where none is small, resources are gone through in the order
//! that is asked for, until the page is full: it fills quickly, for all filters are wide.
//!
//! # Pages
//! A page ends at a match, known by what it was sorted by and its key; the next begins behind it. What others
//! write meanwhile neither repeats nor hides what stood there before.

mod builder;
mod cursor;
mod include;
mod leaf;
mod plan;

use std::collections::HashMap;

use pipehat_resource::search::{Search, Summary, Total};

pub(super) use self::builder::table_of;
use self::cursor::Cursor;
use self::plan::{Plan, Scope, Wanted};
use super::core::{Catalogue, Core, VERSION_COLUMNS};
use super::interaction::{
    Refusal, ResourceKey, SearchMatch, SearchPage, SearchRequest, StoredVersion,
};
use super::sql::{Session, SessionError, SqlValue};

/// Sets of fewer rows than this are gone through as a whole.
pub(super) const SMALL_SET: i64 = 4096;

/// As many resources come along with a page at most; [`SearchPage::cut`] says when there were more.
pub(super) const INCLUDED_MAX: usize = 1000;

/// A page of a search.
pub(super) async fn page<S: Session>(
    session: &mut S,
    core: &Core,
    catalogue: &Catalogue,
    request: &SearchRequest,
) -> Result<Result<SearchPage, Refusal>, SessionError> {
    let search = &request.search;
    let scope = Scope::new(search, &request.visible);
    let of = format!("{:?} {:?}", search.resource_types, search.sort);
    let after = match &request.after {
        None => None,
        Some(text) => match Cursor::open(text, &core.seal, &of) {
            Some(cursor) if cursor.values.len() == search.sort.len() => Some(cursor),
            _ => return Ok(Err(Refusal::Page)),
        },
    };
    let only_total = search.summary == Summary::Count || search.count == Some(0);
    let limit = if only_total { 0 } else { request.limit };
    let mut page = SearchPage::default();
    let plan = Plan::choose(session, catalogue, search, &scope).await?;
    if limit > 0 {
        let (after, wanted) = (after.as_ref(), Wanted::Versions(core));
        let mut found = plan.matches(session, after, limit.saturating_add(1), wanted).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        if more && let Some(last) = found.last() {
            page.next = last.cursor.seal(&core.seal, &of);
        }
        let keys: Vec<i64> = found.iter().map(|one| one.cursor.key).collect();
        let missing: Vec<i64> =
            found.iter().filter(|one| one.version.is_none()).map(|one| one.cursor.key).collect();
        let mut loaded = load(session, core, &missing).await?;
        let matches =
            found.into_iter().filter_map(|one| one.version.or(loaded.remove(&one.cursor.key)));
        page.matches = matches.map(|version| SearchMatch { version, matched: true }).collect();
        if !search.includes.is_empty() && !page.matches.is_empty() {
            let (included, cut) = include::keys(session, catalogue, search, &scope, &keys).await?;
            let mut loaded = load(session, core, &included).await?;
            let included = included.iter().filter_map(|key| loaded.remove(key));
            page.matches.extend(included.map(|version| SearchMatch { version, matched: false }));
            page.cut = cut;
        }
        if after.is_none() && !more {
            page.total = Some(keys.len() as u64);
        }
    }
    let wanted = match search.total {
        Total::Accurate | Total::Estimate => true,
        Total::IfKnown | Total::None => only_total,
    };
    if page.total.is_none() && wanted {
        page.total = Some(plan.count(session).await?);
    }
    Ok(Ok(page))
}

/// What a condition finds, at most `limit`.
pub(super) async fn keys<S: Session>(
    session: &mut S,
    catalogue: &Catalogue,
    search: &Search,
    limit: usize,
) -> Result<Vec<ResourceKey>, SessionError> {
    let scope = Scope::new(search, &[]);
    let plan = Plan::choose(session, catalogue, search, &scope).await?;
    let found = plan.matches(session, None, limit, Wanted::Keys).await?;
    let keys: Vec<i64> = found.into_iter().map(|one| one.cursor.key).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let set = session.dialect().in_integers(1);
    let sql = format!("SELECT type, id FROM resources WHERE key {set} ORDER BY key");
    let rows = session.query(&sql, &[SqlValue::Integers(keys)]).await?;
    rows.iter()
        .map(|row| {
            Ok(ResourceKey { resource_type: row.text(0)?.to_owned(), id: row.text(1)?.to_owned() })
        })
        .collect()
}

/// How many match.
pub(super) async fn count<S: Session>(
    session: &mut S,
    catalogue: &Catalogue,
    search: &Search,
) -> Result<u64, SessionError> {
    let scope = Scope::new(search, &[]);
    Plan::choose(session, catalogue, search, &scope).await?.count(session).await
}

/// The current versions of these rows.
async fn load<S: Session>(
    session: &mut S,
    core: &Core,
    keys: &[i64],
) -> Result<HashMap<i64, StoredVersion>, SessionError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let set = session.dialect().in_integers(1);
    let sql = format!(
        "SELECT r.key, r.type, r.id, {VERSION_COLUMNS} FROM resources r
         JOIN versions v ON v.key = r.key AND v.version = r.version
         WHERE r.key {set} AND r.deleted = 0"
    );
    let rows = session.query(&sql, &[SqlValue::Integers(keys.to_vec())]).await?;
    let mut loaded = HashMap::with_capacity(rows.len());
    for row in rows {
        let key =
            ResourceKey { resource_type: row.text(1)?.to_owned(), id: row.text(2)?.to_owned() };
        loaded.insert(row.integer(0)?, core.stored(key, &row, 3)?);
    }
    Ok(loaded)
}
