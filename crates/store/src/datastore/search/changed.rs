//! What was changed while a search is read page by page.
//!
//! A search sorted by what may change keeps the order in which its first page was read, at a change that all its links
//! carry. What has no version since stands where it sorts. What has is left out there, and held against the filters
//! apart: what still matches stands where its version of then sorts, and shows what stands now. So each page is a piece
//! of one order that no change moves. What was created since has no place in it.
//!
//! On SQLite all statements of a page see one state. On PostgreSQL each sees a later one than the one before, so what
//! sorts is asked first and what was changed afterwards: of both lists, what was changed in between is in the second.

use std::collections::{HashMap, HashSet};

use pipehat_resource::json::parse;
use pipehat_resource::search::SortBy;

use super::builder::{Builder, sort_column, table_of};
use super::cursor::Cursor;
use super::found::{Match, Wanted};
use super::leaf::all;
use super::plan::{Plan, Since};
use super::{CHANGED_MAX, WRITTEN_MAX, load};
use crate::datastore::core::{Catalogue, Core, VERSION_COLUMNS};
use crate::datastore::entries::IndexRows;
use crate::datastore::interaction::{ChangeNumber, Method, ResourceKey, StoredVersion};
use crate::datastore::sql::{Dialect, Session, SessionError, SqlValue};

/// As many versions are read at once to see where they sorted.
const VERSIONS_AT_ONCE: usize = 100;

/// From this many changed resources on, it is the matches that are asked whether they were changed, where a small set
/// leads to them.
const WRITTEN_FEW: usize = 1000;

/// How often what sorts on a page was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Once,
    Again,
}

/// A page of a search: what is asked of it.
pub(super) struct Page<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) core: &'a Core,
    /// Where it begins.
    pub(super) after: Option<&'a Cursor>,
    /// How many matches.
    pub(super) wanted: usize,
    /// The change whose order it keeps.
    pub(super) as_of: ChangeNumber,
}

impl Page<'_> {
    /// From what is found in the order of now, what stands here in the order of then. What has no version went away
    /// in between, or matches no more. `None` where more was changed than is looked at.
    pub(super) async fn in_order<S: Session>(
        &self,
        session: &mut S,
        now: Vec<Match>,
    ) -> Result<Option<Vec<Match>>, SessionError> {
        let written = self.written(session).await?;
        if written.is_none() && !self.plan.is_small() {
            return Ok(None);
        }
        let (untouched, asked) = self.untouched(session, now).await?;
        // What was asked behind the list of what was written may know of more.
        let written = match (asked, session.dialect()) {
            (Asked::Again, Dialect::Postgres) => self.written(session).await?,
            _ => written,
        };
        let Some(changed) = self.changed(session, written).await? else { return Ok(None) };
        let mut changed = self.places(session, &changed).await?;
        let sort = &self.plan.search().sort;
        changed.retain(|place| self.after.is_none_or(|after| place.order(after, sort).is_gt()));
        let moved: HashSet<i64> = changed.iter().map(|place| place.key).collect();
        let mut ordered: Vec<Match> =
            untouched.into_iter().filter(|one| !moved.contains(&one.cursor.key)).collect();
        ordered.extend(changed.into_iter().map(|cursor| Match { cursor, version: None }));
        ordered.sort_by(|one, other| one.cursor.order(&other.cursor, sort));
        ordered.truncate(self.wanted);
        let shown = ordered.iter().map(|one| one.cursor.key).filter(|key| moved.contains(key));
        let mut versions = self.versions(session, shown.collect()).await?;
        for one in &mut ordered {
            if moved.contains(&one.cursor.key) {
                one.version = versions.remove(&one.cursor.key);
            }
        }
        Ok(Some(ordered))
    }

    /// Of what sorts here now, what has no version since, and more of it until there is enough.
    async fn untouched<S: Session>(
        &self,
        session: &mut S,
        now: Vec<Match>,
    ) -> Result<(Vec<Match>, Asked), SessionError> {
        let mut kept = Vec::with_capacity(now.len());
        let (mut round, mut asked, mut times) = (now, self.wanted, Asked::Once);
        loop {
            let end = round.last().map(|last| last.cursor.clone());
            let is_last = round.len() < asked;
            kept.extend(self.loaded(session, round).await?.into_iter().filter(|one| {
                one.version.as_ref().is_some_and(|version| version.change <= self.as_of)
            }));
            let Some(end) = end.filter(|_| !is_last && kept.len() < self.wanted) else {
                return Ok((kept, times));
            };
            times = Asked::Again;
            asked = self.wanted.saturating_sub(kept.len());
            let plan = self.plan.since(Since::Untouched(self.as_of));
            let wanted = Wanted::Versions(self.core);
            round = plan.matches(session, Some(&end), asked, wanted).await?.matches;
        }
    }

    /// With their newest versions.
    async fn loaded<S: Session>(
        &self,
        session: &mut S,
        mut matches: Vec<Match>,
    ) -> Result<Vec<Match>, SessionError> {
        let missing = matches.iter().filter(|one| one.version.is_none());
        let missing: Vec<i64> = missing.map(|one| one.cursor.key).collect();
        let mut loaded = load(session, self.core, &missing).await?;
        for one in &mut matches {
            if one.version.is_none() {
                one.version = loaded.remove(&one.cursor.key);
            }
        }
        Ok(matches)
    }

    /// The keys of what matches now and has both versions of then and versions since. `None` where there are too many.
    async fn changed<S: Session>(
        &self,
        session: &mut S,
        written: Option<Vec<i64>>,
    ) -> Result<Option<Vec<i64>>, SessionError> {
        let few = |written: &[i64]| !self.plan.is_small() || written.len() < WRITTEN_FEW;
        let plan = match written {
            Some(written) if written.is_empty() => return Ok(Some(Vec::new())),
            Some(written) if few(&written) => self.plan.of(written),
            _ if self.plan.is_small() => self.plan.since(Since::Touched(self.as_of)),
            _ => return Ok(None),
        };
        let found = plan.unsorted(session, CHANGED_MAX.saturating_add(1), Wanted::Keys).await?;
        let mut keys: Vec<i64> = found.matches.iter().map(|one| one.cursor.key).collect();
        keys.sort_unstable();
        keys.dedup();
        Ok((keys.len() <= CHANGED_MAX).then_some(keys))
    }

    /// The keys of resources that have both; where one type is searched, of that one. `None` where more was written than is gone
    /// through.
    async fn written<S: Session>(&self, session: &mut S) -> Result<Option<Vec<i64>>, SessionError> {
        let mut builder = Builder::new(session.dialect(), self.plan.catalogue());
        let mut conditions =
            vec![format!("w.change > {}", builder.bind(SqlValue::number(self.as_of.0)))];
        // Of several, the index leads to none.
        if let [one] = self.plan.types() {
            conditions.push(builder.of_types("w", std::slice::from_ref(one)));
        }
        let limit = builder.limit(WRITTEN_MAX.saturating_add(1));
        // In order, so that PostgreSQL goes along an index and not through the table to its end.
        let sql = format!(
            "SELECT b.key, min(b.version), count(*) FROM (SELECT w.key, w.version FROM versions w
             WHERE {} ORDER BY w.change LIMIT {limit}) b GROUP BY b.key",
            all(conditions)
        );
        let (sql, parameters) = builder.finish(&sql);
        let (mut keys, mut written) = (Vec::new(), 0_u64);
        for row in session.query(&sql, &parameters).await? {
            written = written.saturating_add(row.unsigned(2)?);
            // What has its first version there was created since.
            if row.unsigned(1)? > 1 {
                keys.push(row.integer(0)?);
            }
        }
        Ok((written <= WRITTEN_MAX as u64).then_some(keys))
    }

    /// Where these stood; what was not there then has no place.
    async fn places<S: Session>(
        &self,
        session: &mut S,
        keys: &[i64],
    ) -> Result<Vec<Cursor>, SessionError> {
        let sort = &self.plan.search().sort;
        let by_body = sort.iter().any(|key| matches!(key.by, SortBy::Parameter(_)));
        let columns = match by_body {
            true => VERSION_COLUMNS,
            false => "v.version, v.last_updated, v.change, v.method, NULL",
        };
        let of_then = "v.change = (SELECT w.change FROM versions w WHERE w.key = r.key
             AND w.change <= ?2 ORDER BY w.version DESC LIMIT 1)";
        let versions = session.dialect().then_join("versions", "v", of_then);
        let set = session.dialect().in_integers(1);
        let sql = format!(
            "SELECT r.key, r.type, r.id, {columns} FROM resources r {versions} WHERE r.key {set}"
        );
        let mut places = Vec::with_capacity(keys.len());
        for keys in keys.chunks(VERSIONS_AT_ONCE) {
            let parameters = [SqlValue::Integers(keys.to_vec()), SqlValue::number(self.as_of.0)];
            for row in session.query(&sql, &parameters).await? {
                session.in_time()?;
                let resource_type = row.text(1)?.to_owned();
                let key = ResourceKey { resource_type, id: row.text(2)?.to_owned() };
                let version = self.core.stored(key, &row, 3)?;
                if let Some(values) = self.values(&version)? {
                    places.push(Cursor { values, key: row.integer(0)? });
                }
            }
        }
        Ok(places)
    }

    /// What a version sorts by. `None` of a deletion.
    fn values(&self, version: &StoredVersion) -> Result<Option<Vec<SqlValue>>, SessionError> {
        if version.method == Method::Delete {
            return Ok(None);
        }
        let Catalogue { rules, numbering, .. } = self.plan.catalogue();
        let rows = match &version.body {
            None => IndexRows::default(),
            Some(body) => {
                let resource = parse(body.as_bytes())
                    .map_err(|error| SessionError::Damaged(Box::new(error)))?;
                IndexRows::values_of(&resource, rules.as_ref(), numbering)
            }
        };
        let values = self.plan.search().sort.iter().map(|key| match &key.by {
            SortBy::Id => SqlValue::text(&version.key.id),
            SortBy::LastUpdated => SqlValue::Integer(version.last_updated),
            SortBy::Parameter(parameters) => {
                let known = parameters.iter().filter_map(|one| numbering.known(*one));
                let mut ends = known.filter_map(|known| {
                    let (table, column) = (table_of(known.kind), sort_column(known.kind));
                    rows.end(table, known.number, column, key.descending)
                });
                ends.next().unwrap_or(SqlValue::Null)
            }
        });
        Ok(Some(values.collect()))
    }

    /// What stands there now, of those that still match.
    async fn versions<S: Session>(
        &self,
        session: &mut S,
        keys: Vec<i64>,
    ) -> Result<HashMap<i64, StoredVersion>, SessionError> {
        if session.dialect() == Dialect::Sqlite {
            return load(session, self.core, &keys).await;
        }
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let (limit, wanted) = (keys.len(), Wanted::Versions(self.core));
        let found = self.plan.of(keys).unsorted(session, limit, wanted).await?;
        let versions = found.matches.into_iter();
        Ok(versions.filter_map(|one| Some((one.cursor.key, one.version?))).collect())
    }
}
