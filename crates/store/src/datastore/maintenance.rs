//! Looking after a datastore: indexing anew, statistics, and whether all that stands there agrees.
//!
//! All of it goes through resources in batches, each a transaction of its own, so that others read and write
//! meanwhile.

use std::collections::BTreeMap;

use pipehat_resource::json::{Value, parse};
use pipehat_resource::search::has_long_number;

use super::core::{Catalogue, Core, VERSION_COLUMNS, fact, set_fact};
use super::entries::IndexRows;
use super::interaction::{ChangeNumber, ResourceKey, StoredVersion};
use super::schema::{CAUGHT_UP_TO, INDEX_TABLES};
use super::sql::{Dialect, Pending, Session, SessionError, SqlValue};

/// How many resources are gone through at once.
pub(super) const BATCH: usize = 100;

/// How many resources are looked at together where few are changed.
const LOOK: usize = 500;

/// How many problems a verification tells one by one; the others are counted.
pub const PROBLEMS_MAX: usize = 100;

/// How far something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// How many resources are done.
    pub done: u64,
    /// How many there are, as far as is known.
    pub all: u64,
}

/// Told as something goes on.
pub type Told<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// What a datastore holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// By resource type.
    pub types: BTreeMap<String, TypeStatistics>,
    /// How much room it takes, in bytes.
    pub bytes: u64,
    /// The newest change.
    pub newest: ChangeNumber,
}

/// What a datastore holds of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TypeStatistics {
    /// Resources that are there.
    pub resources: u64,
    /// Resources that were deleted.
    pub deleted: u64,
    /// Versions of all of them.
    pub versions: u64,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How many resources that are there were looked at.
    pub resources: u64,
    /// How many that were deleted.
    pub deleted: u64,
    /// How many versions.
    pub versions: u64,
    /// What is wrong, up to [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// How much is wrong.
    pub problems_all: u64,
}

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` where no resource is known.
    pub key: Option<ResourceKey>,
    /// What.
    pub fault: Fault,
}

/// What may not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A version can't be opened or read.
    #[error("a version can't be opened")]
    Body,
    /// Versions are missing, or there are more than the newest says.
    #[error("its versions are not all there")]
    Versions,
    /// What it says of itself is not where it stands.
    #[error("the version that stands there is another")]
    Identity,
    /// It is found by other values than it has.
    #[error("it is not found by the values it has")]
    Index,
    /// Something is found that is not there.
    #[error("the index leads to what is not there")]
    Orphan,
}

impl Verified {
    pub(super) fn add(&mut self, other: Verified) {
        self.resources = self.resources.saturating_add(other.resources);
        self.deleted = self.deleted.saturating_add(other.deleted);
        self.versions = self.versions.saturating_add(other.versions);
        self.problems_all = self.problems_all.saturating_add(other.problems_all);
        self.problems.extend(other.problems);
        self.problems.truncate(PROBLEMS_MAX);
    }

    /// How many resources were looked at.
    pub(super) fn done(&self) -> u64 {
        self.resources.saturating_add(self.deleted)
    }

    fn found(&mut self, key: Option<&ResourceKey>, fault: Fault) {
        self.problems_all = self.problems_all.saturating_add(1);
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { key: key.cloned(), fault });
        }
    }
}

/// Some resources in the order in which they were created.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// Their newest versions; deleted ones are passed over.
    pub versions: Vec<StoredVersion>,
    /// Where the next ones begin; `None` behind the last.
    pub next: Option<u64>,
}

/// A batch of resources behind a key: theirs, and of what type and version.
struct Batch {
    rows: Vec<(i64, ResourceKey, u64, bool)>,
}

async fn batch<S: Session>(
    session: &mut S,
    types: &[String],
    after: u64,
    limit: usize,
) -> Result<Batch, SessionError> {
    let mut parameters = vec![SqlValue::number(after), SqlValue::number(limit as u64)];
    let of_types = if types.is_empty() {
        String::new()
    } else {
        parameters.push(SqlValue::Texts(types.to_vec()));
        format!(" AND type {}", session.dialect().in_texts(3))
    };
    let sql = format!(
        "SELECT key, type, id, version, deleted FROM resources
         WHERE key > ?1{of_types} ORDER BY key LIMIT ?2"
    );
    let mut rows = Vec::new();
    for row in session.query(&sql, &parameters).await? {
        let key =
            ResourceKey { resource_type: row.text(1)?.to_owned(), id: row.text(2)?.to_owned() };
        rows.push((row.integer(0)?, key, row.unsigned(3)?, row.integer(4)? != 0));
    }
    Ok(Batch { rows })
}

impl Batch {
    fn keys(&self) -> Vec<i64> {
        self.rows.iter().map(|(key, ..)| *key).collect()
    }

    /// Where the next batch begins.
    fn next(&self, limit: usize) -> Option<u64> {
        let (last, ..) = self.rows.last()?;
        (self.rows.len() >= limit).then(|| u64::try_from(*last).unwrap_or(u64::MAX))
    }

    /// Indexes them anew, as they stand when nobody changes them any more.
    async fn index<S: Session>(
        &self,
        session: &mut S,
        core: &Core,
        catalogue: &Catalogue,
    ) -> Result<(), SessionError> {
        let locks = super::apply::locks_of(self.rows.iter().map(|(_, key, ..)| key));
        session.lock(&locks).await?;
        let mut pending = Pending::default();
        for key in self.keys() {
            pending.unindex_all(key);
        }
        for (number, version) in self.load(session, core).await? {
            let Some(version) = version else {
                return Err(SessionError::Damaged("a version can't be opened".into()));
            };
            let Some(resource) = resource(&version)? else { continue };
            let index = IndexRows::of(&resource, catalogue.rules.as_ref(), &catalogue.numbering);
            pending.words.push((number, index.narrative.clone(), index.whole.clone()));
            index.append(number, &mut pending.rows);
        }
        session.flush(pending).await?;
        Ok(())
    }

    /// The newest versions of those that are there. One that can't be opened is `None`.
    async fn load<S: Session>(
        &self,
        session: &mut S,
        core: &Core,
    ) -> Result<BTreeMap<i64, Option<StoredVersion>>, SessionError> {
        let set = session.dialect().in_integers(1);
        let sql = format!(
            "SELECT r.key, {VERSION_COLUMNS} FROM resources r
             JOIN versions v ON v.key = r.key AND v.version = r.version WHERE r.key {set}"
        );
        let read = session.query(&sql, &[SqlValue::Integers(self.keys())]).await?;
        let mut loaded = BTreeMap::new();
        for row in read {
            let number = row.integer(0)?;
            let known = self.rows.iter().find(|(own, ..)| *own == number);
            if let Some((_, key, ..)) = known {
                loaded.insert(number, core.stored(key.clone(), &row, 1).ok());
            }
        }
        Ok(loaded)
    }
}

/// Resources behind `after`.
pub(super) async fn resources<S: Session>(
    session: &mut S,
    core: &Core,
    types: &[String],
    after: u64,
    limit: usize,
) -> Result<Resources, SessionError> {
    let batch = batch(session, types, after, limit).await?;
    let mut loaded = batch.load(session, core).await?;
    let mut versions = Vec::with_capacity(batch.rows.len());
    for (number, key, _, deleted) in &batch.rows {
        if *deleted {
            continue;
        }
        match loaded.remove(number).flatten() {
            Some(version) => versions.push(version),
            None => {
                let text = format!("{}/{} can't be read", key.resource_type, key.id);
                return Err(SessionError::Damaged(text.into()));
            }
        }
    }
    Ok(Resources { versions, next: batch.next(limit) })
}

/// How many resources of a batch were gone through, and how many of them are there and were indexed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    pub(super) all: u64,
    pub(super) indexed: u64,
}

/// Indexes the resources of one batch anew: how many, and where the next begins.
pub(super) async fn reindex<S: Session>(
    session: &mut S,
    core: &Core,
    catalogue: &Catalogue,
    types: &[String],
    after: u64,
) -> Result<(Passed, Option<u64>), SessionError> {
    let batch = batch(session, types, after, BATCH).await?;
    batch.index(session, core, catalogue).await?;
    let indexed = batch.rows.iter().filter(|(.., deleted)| !deleted).count() as u64;
    Ok((Passed { all: batch.rows.len() as u64, indexed }, batch.next(BATCH)))
}

/// Looks at some resources behind `after` that an older release may have indexed otherwise: those with numbers of which
/// it had the doubles alone. How many were indexed anew, and where the next begin.
pub(super) async fn catch_up<S: Session>(
    session: &mut S,
    core: &Core,
    catalogue: &Catalogue,
    after: u64,
) -> Result<(u64, Option<u64>), SessionError> {
    let mut batch = batch(session, &[], after, LOOK).await?;
    let next = batch.next(LOOK);
    let loaded = batch.load(session, core).await?;
    // What can't be opened, a verification tells.
    let is_long = |version: &StoredVersion| version.body.as_deref().is_some_and(has_long_number);
    batch
        .rows
        .retain(|(number, ..)| loaded.get(number).and_then(Option::as_ref).is_some_and(is_long));
    if !batch.rows.is_empty() {
        batch.index(session, core, catalogue).await?;
    }
    set_fact(session, CAUGHT_UP_TO, &next.map_or(String::new(), |next| next.to_string())).await?;
    Ok((batch.rows.len() as u64, next))
}

/// Where catching up begins or goes on; `None` where it is done.
pub(super) async fn caught_up_to<S: Session>(session: &mut S) -> Result<Option<u64>, SessionError> {
    let reached = fact(session, CAUGHT_UP_TO).await?;
    Ok(reached.filter(|reached| !reached.is_empty()).map(|reached| reached.parse().unwrap_or(0)))
}

fn resource(version: &StoredVersion) -> Result<Option<Value>, SessionError> {
    let Some(body) = &version.body else { return Ok(None) };
    let parsed = parse(body.as_bytes()).map_err(|error| SessionError::Damaged(Box::new(error)))?;
    Ok(Some(parsed))
}

/// By which rules everything was indexed; `None` where that is not known.
pub(super) async fn indexed_by<S: Session>(
    session: &mut S,
) -> Result<Option<String>, SessionError> {
    fact(session, "indexed_by").await
}

/// Says by which rules everything is indexed.
pub(super) async fn set_indexed_by<S: Session>(
    session: &mut S,
    fingerprint: &str,
) -> Result<(), SessionError> {
    set_fact(session, "indexed_by", fingerprint).await
}

/// Says that all was gone through: by which rules, and that there is nothing to catch up with.
pub(super) async fn set_indexed_whole<S: Session>(
    session: &mut S,
    fingerprint: &str,
) -> Result<(), SessionError> {
    set_indexed_by(session, fingerprint).await?;
    set_fact(session, CAUGHT_UP_TO, "").await
}

/// Where an indexing that was broken off goes on; 0 where it begins.
pub(super) async fn reindexed_to<S: Session>(
    session: &mut S,
    fingerprint: &str,
) -> Result<u64, SessionError> {
    let reached = fact(session, "reindexed_to").await?;
    let reached = reached.as_deref().and_then(|reached| reached.split_once(' '));
    Ok(match reached {
        Some((key, by)) if by == fingerprint => key.parse().unwrap_or(0),
        _ => 0,
    })
}

/// Remembers how far an indexing is.
pub(super) async fn set_reindexed_to<S: Session>(
    session: &mut S,
    fingerprint: &str,
    reached: u64,
) -> Result<(), SessionError> {
    set_fact(session, "reindexed_to", &format!("{reached} {fingerprint}")).await
}

/// How many resources there are, deleted ones too.
pub(super) async fn resources_all<S: Session>(
    session: &mut S,
    types: &[String],
) -> Result<u64, SessionError> {
    let rows = if types.is_empty() {
        session.query("SELECT count(*) FROM resources", &[]).await?
    } else {
        let set = session.dialect().in_texts(1);
        let sql = format!("SELECT count(*) FROM resources WHERE type {set}");
        session.query(&sql, &[SqlValue::Texts(types.to_vec())]).await?
    };
    rows.first().map_or(Ok(0), |row| row.unsigned(0))
}

pub(super) async fn statistics<S: Session>(session: &mut S) -> Result<Statistics, SessionError> {
    let mut statistics = Statistics::default();
    let sql = "SELECT type, deleted, count(*) FROM resources GROUP BY type, deleted";
    for row in session.query(sql, &[]).await? {
        let of = statistics.types.entry(row.text(0)?.to_owned()).or_default();
        match row.integer(1)? {
            0 => of.resources = row.unsigned(2)?,
            _ => of.deleted = row.unsigned(2)?,
        }
    }
    for row in session.query("SELECT type, count(*) FROM versions GROUP BY type", &[]).await? {
        let of = statistics.types.entry(row.text(0)?.to_owned()).or_default();
        of.versions = row.unsigned(1)?;
    }
    let sql = match session.dialect() {
        Dialect::Sqlite => {
            "SELECT p.page_count * s.page_size FROM pragma_page_count p, pragma_page_size s"
        }
        Dialect::Postgres => {
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
             WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
        }
    };
    let rows = session.query(sql, &[]).await?;
    statistics.bytes = rows.first().map_or(Ok(0), |row| row.unsigned(0))?;
    statistics.newest = super::read::newest(session).await?;
    Ok(statistics)
}

/// Whether the resources of one batch agree with what is said of them; and where the next begins.
pub(super) async fn verify<S: Session>(
    session: &mut S,
    core: &Core,
    catalogue: &Catalogue,
    after: u64,
) -> Result<(Verified, Option<u64>), SessionError> {
    let mut verified = Verified::default();
    let batch = batch(session, &[], after, BATCH).await?;
    let keys = batch.keys();
    let newest = batch.load(session, core).await?;
    let mut counted = versions(session, core, &batch, &mut verified).await?;
    let mut indexed = index_rows(session, &keys).await?;
    let worded = words(session, &keys).await?;
    for (number, key, version, deleted) in &batch.rows {
        let kind = if *deleted { &mut verified.deleted } else { &mut verified.resources };
        *kind = kind.saturating_add(1);
        if counted.remove(number) != Some(*version) {
            verified.found(Some(key), Fault::Versions);
        }
        let mut expected = Vec::new();
        match newest.get(number) {
            None => verified.found(Some(key), Fault::Versions),
            // It has been told already.
            Some(None) => continue,
            Some(Some(stored)) => match resource(stored) {
                Err(_) => verified.found(Some(key), Fault::Body),
                Ok(None) if !deleted => verified.found(Some(key), Fault::Identity),
                Ok(None) => {}
                Ok(Some(resource)) => {
                    let says = resource.get("meta").and_then(|meta| meta.text("versionId"));
                    let is_it = super::stamp::key_of(&resource).as_ref() == Some(key)
                        && says == Some(version.to_string().as_str())
                        && !deleted;
                    if !is_it {
                        verified.found(Some(key), Fault::Identity);
                    }
                    let rules = catalogue.rules.as_ref();
                    expected =
                        IndexRows::of(&resource, rules, &catalogue.numbering).comparable(*number);
                }
            },
        }
        let mut found = indexed.remove(number).unwrap_or_default();
        let order = |(table, row): &(&'static str, Vec<SqlValue>)| format!("{table} {row:?}");
        expected.sort_by_cached_key(order);
        found.sort_by_cached_key(order);
        if expected != found || worded.contains(number) == *deleted {
            verified.found(Some(key), Fault::Index);
        }
    }
    Ok((verified, batch.next(BATCH)))
}

/// How many versions each has, which must be those from 1 on; all are opened.
async fn versions<S: Session>(
    session: &mut S,
    core: &Core,
    batch: &Batch,
    verified: &mut Verified,
) -> Result<BTreeMap<i64, u64>, SessionError> {
    let set = session.dialect().in_integers(1);
    let sql = format!(
        "SELECT v.key, {VERSION_COLUMNS} FROM versions v WHERE v.key {set}
         ORDER BY v.key, v.version"
    );
    let mut counted: BTreeMap<i64, u64> = BTreeMap::new();
    for row in session.query(&sql, &[SqlValue::Integers(batch.keys())]).await? {
        verified.versions = verified.versions.saturating_add(1);
        let number = row.integer(0)?;
        let Some((_, key, ..)) = batch.rows.iter().find(|(own, ..)| *own == number) else {
            continue;
        };
        if core.stored(key.clone(), &row, 1).is_err() {
            verified.found(Some(key), Fault::Body);
        }
        let count = counted.entry(number).or_default();
        *count = count.saturating_add(1);
        if row.unsigned(1)? != *count {
            verified.found(Some(key), Fault::Versions);
        }
    }
    Ok(counted)
}

type Indexed = BTreeMap<i64, Vec<(&'static str, Vec<SqlValue>)>>;

async fn index_rows<S: Session>(session: &mut S, keys: &[i64]) -> Result<Indexed, SessionError> {
    let set = session.dialect().in_integers(1);
    let mut indexed = Indexed::new();
    for table in INDEX_TABLES {
        let columns: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let sql = format!("SELECT {} FROM {} WHERE key {set}", columns.join(", "), table.name);
        for row in session.query(&sql, &[SqlValue::Integers(keys.to_vec())]).await? {
            indexed.entry(row.integer(0)?).or_default().push((table.name, row.0));
        }
    }
    Ok(indexed)
}

async fn words<S: Session>(session: &mut S, keys: &[i64]) -> Result<Vec<i64>, SessionError> {
    let (set, column) = match session.dialect() {
        Dialect::Sqlite => (session.dialect().in_integers(1), "rowid"),
        Dialect::Postgres => (session.dialect().in_integers(1), "key"),
    };
    let sql = format!("SELECT {column} FROM words WHERE {column} {set}");
    let rows = session.query(&sql, &[SqlValue::Integers(keys.to_vec())]).await?;
    rows.iter().map(|row| row.integer(0)).collect()
}

/// What the index leads to although no resource is there, and versions of none.
pub(super) async fn orphans<S: Session>(session: &mut S) -> Result<Verified, SessionError> {
    let mut verified = Verified::default();
    for name in INDEX_TABLES.iter().map(|table| table.name).chain(["versions"]) {
        let sql = format!(
            "SELECT count(*) FROM {name} x
             WHERE NOT EXISTS (SELECT 1 FROM resources r WHERE r.key = x.key)"
        );
        let rows = session.query(&sql, &[]).await?;
        for _ in 0..rows.first().map_or(Ok(0), |row| row.unsigned(0))? {
            verified.found(None, Fault::Orphan);
        }
    }
    Ok(verified)
}
