//! Answering a search with SQL.
//!
//! # Plans
//! SQLite has no statistics of its own, and PostgreSQL's do not know which value is rare. So a search with several
//! ways to go first counts how many rows each filter's index leads to, up to [`SMALL_SET`]. The smallest such set
//! is gone through and held against the other filters. Where none is small, resources are gone through in the order
//! that is asked for, until the page is full: it fills quickly, for all filters are wide.
//!
//! # Pages
//! A page ends at a match, known by what it was sorted by and its key; the next begins behind it. Where what it is
//! sorted by may change, pages keep the order in which the first one was read ([`changed`]): what matched then and
//! still does comes once, whatever others write, up to [`CHANGED_MAX`] changed matches. Beyond that many, all stand
//! where they sort now: what is changed so that it sorts elsewhere may come on no page, or on two.

mod builder;
mod changed;
mod cursor;
mod found;
mod include;
mod leaf;
mod plan;

use std::collections::HashMap;

use pipehat_resource::search::{Search, SortBy, Summary, Total};

pub(super) use self::builder::table_of;
use self::changed::Page;
use self::cursor::PageEnd;
use self::found::{Found, Match, Wanted};
use self::plan::{Plan, Scope};
use super::core::{Catalogue, Core, VERSION_COLUMNS};
use super::interaction::{
    ChangeNumber, Refusal, ResourceKey, SearchMatch, SearchPage, SearchRequest, StoredVersion,
};
use super::read;
use super::sql::{Dialect, Session, SessionError, SqlValue};

/// Sets of fewer rows than this are gone through as a whole.
pub(super) const SMALL_SET: i64 = 4096;

/// As many resources come along with a page at most; [`SearchPage::cut`] says when there were more.
pub(super) const INCLUDED_MAX: usize = 1000;

/// As many changed matches keep the place they had: for each page, their versions of then are read and what they are
/// sorted by is taken from them.
pub(super) const CHANGED_MAX: usize = 2000;

/// As many versions written meanwhile are gone through to find what was changed. When there are more, matches are
/// held against it one by one, where there are fewer of them than [`SMALL_SET`]. Tests come past it with fewer.
pub(super) const WRITTEN_MAX: usize = if cfg!(test) { 4000 } else { 20_000 };

/// A page of a search.
pub(super) async fn page<S: Session>(
    session: &mut S,
    core: &Core,
    catalogue: &Catalogue,
    request: &SearchRequest,
) -> Result<Result<SearchPage, Refusal>, SessionError> {
    let search = &request.search;
    let scope = Scope::new(search, &request.visible);
    let of = order_of(catalogue, search);
    let after = match &request.after {
        None => None,
        Some(text) => match PageEnd::open(text, &core.seal, &of) {
            Some(end) if end.place.values.len() == search.sort.len() => Some(end),
            _ => return Ok(Err(Refusal::Page)),
        },
    };
    let only_total = search.summary == Summary::Count || search.count == Some(0);
    let limit = if only_total { 0 } else { request.limit };
    let mut page = SearchPage::default();
    let plan = Plan::choose(session, catalogue, search, &scope).await?;
    if limit > 0 {
        let wanted = limit.saturating_add(1);
        let after = after.as_ref();
        let Ordered { matches: mut found, as_of, is_loaded } =
            ordered(session, core, &plan, after, wanted).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        if more && let Some(last) = found.last() {
            let end = PageEnd { place: last.cursor.clone(), as_of };
            page.next = end.seal(&core.seal, &of);
        }
        let keys: Vec<i64> = found.iter().map(|one| one.cursor.key).collect();
        let missing: &[i64] = if is_loaded { &[] } else { &keys };
        let mut loaded = load(session, core, missing).await?;
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

/// Matches in the order of their search.
struct Ordered {
    matches: Vec<Match>,
    /// The change whose order it is, where that may change.
    as_of: Option<ChangeNumber>,
    /// Whether versions have come along; one without any has gone away.
    is_loaded: bool,
}

async fn ordered<S: Session>(
    session: &mut S,
    core: &Core,
    plan: &Plan<'_>,
    after: Option<&PageEnd>,
    wanted: usize,
) -> Result<Ordered, SessionError> {
    let place = after.map(|end| &end.place);
    let is_loaded = session.dialect() == Dialect::Postgres;
    if !may_move(plan.search()) {
        let found = plan.matches(session, place, wanted, Wanted::Versions(core)).await?;
        return Ok(Ordered { matches: found.matches, as_of: None, is_loaded });
    }
    let Found { matches, mut newest } =
        plan.matches(session, place, wanted, Wanted::VersionsAt(core)).await?;
    // Of a first page that is the last one, too, nobody asks any more.
    if newest.is_none() && (after.is_some() || matches.len() == wanted) {
        let now = read::newest(session).await?;
        newest = Some((now, now));
    }
    let Some((first, last)) = newest else {
        return Ok(Ordered { matches, as_of: None, is_loaded });
    };
    // A database that was put back has not come as far.
    let as_of = after.and_then(|end| end.as_of).map_or(first, |as_of| as_of.min(first));
    if last > as_of {
        let page = Page { plan, core, after: place, wanted, as_of };
        if let Some(matches) = page.in_order(session, matches.clone()).await? {
            return Ok(Ordered { matches, as_of: Some(as_of), is_loaded: true });
        }
    }
    Ok(Ordered { matches, as_of: Some(as_of), is_loaded })
}

/// Whether a change may move a resource in the order asked for. Its id and when it was created stay.
fn may_move(search: &Search) -> bool {
    search.sort.iter().any(|key| key.by != SortBy::Id)
}

/// What a page belongs to: the types and the order, by the lasting numbers of its parameters, which are the same after a
/// restart and on every node.
fn order_of(catalogue: &Catalogue, search: &Search) -> String {
    let keys: Vec<String> = search
        .sort
        .iter()
        .map(|key| {
            let by = match &key.by {
                SortBy::Id => "_id".to_owned(),
                SortBy::LastUpdated => "_lastUpdated".to_owned(),
                SortBy::Parameter(parameters) => {
                    let known = parameters.iter().map(|own| catalogue.numbering.known(*own));
                    let numbers: Vec<_> = known.map(|known| known.map(|own| own.number)).collect();
                    format!("{numbers:?}")
                }
            };
            format!("{}{by}", if key.descending { "-" } else { "" })
        })
        .collect();
    format!("{:?} {keys:?}", search.resource_types)
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
    let keys: Vec<i64> = found.matches.into_iter().map(|one| one.cursor.key).collect();
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
