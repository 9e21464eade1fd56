//! A datastore in which the audit's records stand as AuditEvents.
//!
//! Everything about other types goes to the datastore behind it. AuditEvents are made from records when they are read
//! or searched: conditions on time, resource and id narrow the records down by the log's indexes, and whatever a search
//! asks is then decided on the AuditEvent itself, by the same rules as for any resource.
//!
//! Refuses what the log has no answer to: other orders than by time, what comes along (`_include`), chains, `_has`.
//! AuditEvents don't stand in searches of several types, in the history of the whole, or among changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pipehat_resource::json::Value;
use pipehat_resource::search::{
    Comparator, Criterion, DateRange, Filter, ReferenceCriterion, Search, SortBy, TokenCriterion,
    Total, extract,
};
use pipehat_store::audit::{
    Action, AuditError, AuditLog, AuditQuery, Outcome as AuditOutcome, StoredRecord,
};
use pipehat_store::datastore::{
    Answer, Applied, ChangeNumber, Datastore, DatastoreError, Group, GroupRefusal, HistoryQuery,
    HistoryScope, Interaction, Method, Outcome, Refusal, ResourceKey, Resources, Rules,
    SearchMatch, SearchPage, SearchRequest, Statistics, StoredVersion, Told, Verified,
};
use tokio::sync::watch;

use super::event::{event, number_of};
use crate::fhir::SearchParameters;

const AUDIT_EVENT: &str = "AuditEvent";

/// Records are read in pieces of this many.
const PIECE: usize = 500;

/// A page that takes longer is given as it is, with a link to go on.
const PAGE_TIME: Duration = Duration::from_secs(2);

/// A total that takes longer is refused.
const TOTAL_TIME: Duration = Duration::from_secs(20);

/// A datastore with the audit's records in it.
pub struct AuditEvents {
    inner: Arc<dyn Datastore>,
    log: Arc<AuditLog>,
    parameters: Arc<SearchParameters>,
    base_url: String,
}

impl AuditEvents {
    /// Over a datastore and a log. `base_url` is the public address of the API, where one is set.
    pub fn new(
        inner: Arc<dyn Datastore>,
        log: Arc<AuditLog>,
        parameters: Arc<SearchParameters>,
        base_url: String,
    ) -> Self {
        Self { inner, log, parameters, base_url }
    }

    async fn event(&self, id: &str) -> Result<Option<StoredVersion>, DatastoreError> {
        let Some(number) = number_of(id) else { return Ok(None) };
        self.log.flush().await.map_err(failed)?;
        let query = AuditQuery { numbers: Some(vec![number]), limit: 1, ..AuditQuery::default() };
        let found = self.log.find(query).await.map_err(failed)?;
        Ok(found.first().map(|stored| version(stored, &event(stored))))
    }

    async fn events(&self, request: &SearchRequest) -> Result<SearchPage, DatastoreError> {
        let search = &request.search;
        refuse_impossible(search)?;
        // What is recorded is found, also in its first milliseconds.
        self.log.flush().await.map_err(failed)?;
        let visible = visible(request);
        let Some(scope_filter) = visible else { return Ok(SearchPage::default()) };
        let filters: Vec<&Filter> = search.filters.iter().chain(scope_filter).collect();
        let mut query = self.narrowed(&filters);
        query.newest_first = newest_first(search)?;
        if let Some(after) = &request.after {
            query.after = Some(place(after).ok_or(DatastoreError::Page)?);
        }
        let wanted = request.limit;
        let mut page = SearchPage::default();
        if wanted > 0 {
            // One more tells whether there is a next page.
            let (mut found, goes_on) =
                self.matching(query.clone(), &filters, wanted.saturating_add(1), PAGE_TIME).await?;
            let more = found.len() > wanted;
            found.truncate(wanted);
            let last = found.last().map(|(stored, _)| (stored.record.at, stored.number));
            let end = if more { last } else { goes_on };
            page.next = end.map(|(at, number)| format!("{at}-{number}"));
            page.matches = found
                .iter()
                .map(|(stored, event)| SearchMatch {
                    version: version(stored, event),
                    matched: true,
                })
                .collect();
            if page.next.is_none() && request.after.is_none() {
                page.total = u64::try_from(page.matches.len()).ok();
            }
        }
        let exact = matches!(search.total, Total::Accurate | Total::Estimate);
        if page.total.is_none() && (exact || wanted == 0) {
            query.after = None;
            page.total = Some(self.total(query, &filters).await?);
        }
        Ok(page)
    }

    async fn total(&self, query: AuditQuery, filters: &[&Filter]) -> Result<u64, DatastoreError> {
        if filters.is_empty() {
            return self.log.count().await.map_err(failed);
        }
        let (found, goes_on) = self.matching(query, filters, usize::MAX, TOTAL_TIME).await?;
        if goes_on.is_some() {
            return Err(DatastoreError::SearchTooLong { seconds: TOTAL_TIME.as_secs() });
        }
        Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
    }

    /// The records that meet the filters, at most `limit`; and where to go on, where time ran out.
    async fn matching(
        &self,
        mut query: AuditQuery,
        filters: &[&Filter],
        limit: usize,
        time: Duration,
    ) -> Result<(Vec<(StoredRecord, Value)>, Option<(i64, u64)>), DatastoreError> {
        let started = Instant::now();
        let registry = self.parameters.registry();
        let mut found = Vec::new();
        query.limit = PIECE;
        loop {
            let records = self.log.find(query.clone()).await.map_err(failed)?;
            let is_last = records.len() < PIECE;
            for stored in records {
                query.after = Some((stored.record.at, stored.number));
                let event = event(&stored);
                let entries = if filters.is_empty() {
                    Vec::new()
                } else {
                    extract(&event, &registry, &self.base_url, stored.record.at)
                };
                if filters.iter().all(|filter| filter.matches(&event, &entries) == Some(true)) {
                    found.push((stored, event));
                    if found.len() >= limit {
                        return Ok((found, None));
                    }
                }
            }
            if is_last {
                return Ok((found, None));
            }
            if started.elapsed() >= time {
                return Ok((found, query.after));
            }
            // Others have their turn between two pieces.
            tokio::task::yield_now().await;
        }
    }

    /// What the log's indexes can do for these filters. It leaves out nothing that meets them.
    fn narrowed(&self, filters: &[&Filter]) -> AuditQuery {
        let registry = self.parameters.registry();
        let mut query = AuditQuery::default();
        let mut queue: Vec<&Filter> = filters.to_vec();
        while let Some(filter) = queue.pop() {
            match filter {
                Filter::All(all) => queue.extend(all),
                Filter::Id(ids) => {
                    query.numbers = Some(ids.iter().filter_map(|id| number_of(id)).collect());
                }
                Filter::LastUpdated(spans) => {
                    if let [(comparator, range)] = spans.as_slice() {
                        narrow_time(&mut query, *comparator, *range);
                    }
                }
                Filter::Parameter { parameter, criteria } => {
                    let code = registry.names(*parameter).map(|names| names.code);
                    match (code.as_deref(), criteria.as_slice()) {
                        (Some("date"), [Criterion::Date { comparator, range }]) => {
                            narrow_time(&mut query, *comparator, *range);
                        }
                        (
                            Some("entity" | "patient"),
                            [
                                Criterion::Reference(ReferenceCriterion::Local {
                                    resource_type,
                                    id,
                                }),
                            ],
                        ) => query.resource = Some((resource_type.clone(), id.clone())),
                        (Some("altid"), [Criterion::Token(TokenCriterion::Code(client))])
                        | (
                            Some("agent"),
                            [
                                Criterion::Reference(ReferenceCriterion::Identifier(
                                    TokenCriterion::Code(client),
                                )),
                            ],
                        ) => query.client = Some(client.clone()),
                        (Some("action"), [Criterion::Token(criterion)]) => {
                            query.action = asked_code(criterion).and_then(Action::with_code);
                        }
                        (Some("outcome"), [Criterion::Token(criterion)]) => {
                            query.outcome = asked_code(criterion).and_then(AuditOutcome::with_code);
                        }
                        _ => {}
                    }
                }
                Filter::Compartment { resource_type, id, .. } if resource_type == "Patient" => {
                    query.resource = Some((Some(resource_type.clone()), id.clone()));
                }
                _ => {}
            }
        }
        query
    }

    async fn history_of(
        &self,
        query: &HistoryQuery,
    ) -> Result<Option<Vec<StoredVersion>>, DatastoreError> {
        let numbers = match &query.scope {
            HistoryScope::Type(name) if name == AUDIT_EVENT => None,
            HistoryScope::Resource(key) if key.resource_type == AUDIT_EVENT => {
                Some(number_of(&key.id).into_iter().collect())
            }
            _ => return Ok(None),
        };
        self.log.flush().await.map_err(failed)?;
        // Each has one version, which is current from its time on.
        let asked = AuditQuery {
            numbers,
            from: query.since,
            to: query.at.map(|(_, to)| to),
            newest_first: true,
            limit: query.limit,
            ..AuditQuery::default()
        };
        let asked = match query.before {
            None => asked,
            Some(ChangeNumber(number)) => {
                let last =
                    AuditQuery { numbers: Some(vec![number]), limit: 1, ..AuditQuery::default() };
                let found = self.log.find(last).await.map_err(failed)?;
                let Some(last) = found.first() else { return Err(DatastoreError::Page) };
                AuditQuery { after: Some((last.record.at, number)), ..asked }
            }
        };
        let found = self.log.find(asked).await.map_err(failed)?;
        Ok(Some(found.iter().map(|stored| version(stored, &event(stored))).collect()))
    }

    /// Applies a group. Reads and searches of AuditEvents in it are answered beside it: nothing of the group can
    /// change them.
    async fn applied(&self, group: Group) -> Result<Applied, DatastoreError> {
        if !group.interactions.iter().any(is_ours) {
            return self.inner.apply(group).await;
        }
        let mut ours = Vec::new();
        let mut others = Vec::new();
        let mut positions = Vec::new();
        for (position, interaction) in group.interactions.into_iter().enumerate() {
            if is_ours(&interaction) {
                ours.push((position, interaction));
            } else {
                others.push(interaction);
                positions.push(position);
            }
        }
        let applied = if others.is_empty() {
            Applied::Done(Vec::new())
        } else {
            self.inner.apply(Group { interactions: others, now: group.now }).await?
        };
        let outcomes = match applied {
            Applied::Done(outcomes) => outcomes,
            Applied::Refused(GroupRefusal { interaction, refusal }) => {
                let interaction = positions.get(interaction).copied().unwrap_or_default();
                return Ok(Applied::Refused(GroupRefusal { interaction, refusal }));
            }
        };
        let mut answers: Vec<(usize, Outcome)> = positions.into_iter().zip(outcomes).collect();
        for (position, interaction) in ours {
            let outcome = match interaction {
                Interaction::Read { key, version }
                    if version.is_none_or(|version| version == 1) =>
                {
                    Outcome::Read(self.event(&key.id).await?)
                }
                Interaction::Search(request) => Outcome::Found(self.events(&request).await?),
                Interaction::Read { .. } => Outcome::Read(None),
                _ => {
                    let key = ResourceKey { resource_type: AUDIT_EVENT.into(), id: String::new() };
                    let refusal = Refusal::NotFound(key);
                    return Ok(Applied::Refused(GroupRefusal { interaction: position, refusal }));
                }
            };
            answers.push((position, outcome));
        }
        answers.sort_by_key(|(position, _)| *position);
        Ok(Applied::Done(answers.into_iter().map(|(_, outcome)| outcome).collect()))
    }
}

impl Datastore for AuditEvents {
    fn read<'a>(&'a self, key: &'a ResourceKey) -> Answer<'a, Option<StoredVersion>> {
        if key.resource_type == AUDIT_EVENT {
            return Box::pin(self.event(&key.id));
        }
        self.inner.read(key)
    }

    fn version<'a>(
        &'a self,
        key: &'a ResourceKey,
        version: u64,
    ) -> Answer<'a, Option<StoredVersion>> {
        if key.resource_type == AUDIT_EVENT {
            return Box::pin(async move {
                if version == 1 { self.event(&key.id).await } else { Ok(None) }
            });
        }
        self.inner.version(key, version)
    }

    fn history<'a>(&'a self, query: &'a HistoryQuery) -> Answer<'a, Vec<StoredVersion>> {
        Box::pin(async move {
            match self.history_of(query).await? {
                Some(versions) => Ok(versions),
                None => self.inner.history(query).await,
            }
        })
    }

    fn search<'a>(&'a self, request: &'a SearchRequest) -> Answer<'a, SearchPage> {
        if is_of_events(&request.search) {
            return Box::pin(self.events(request));
        }
        Box::pin(async move {
            refuse_events_elsewhere(&request.search)?;
            self.inner.search(request).await
        })
    }

    fn apply(&self, group: Group) -> Answer<'_, Applied> {
        Box::pin(self.applied(group))
    }

    fn changes(&self, after: ChangeNumber, limit: usize) -> Answer<'_, Vec<StoredVersion>> {
        self.inner.changes(after, limit)
    }

    fn newest_change(&self) -> watch::Receiver<ChangeNumber> {
        self.inner.newest_change()
    }

    fn count<'a>(&'a self, search: &'a Search) -> Answer<'a, u64> {
        if !is_of_events(search) {
            return self.inner.count(search);
        }
        Box::pin(async move {
            refuse_impossible(search)?;
            self.log.flush().await.map_err(failed)?;
            let filters: Vec<&Filter> = search.filters.iter().collect();
            self.total(self.narrowed(&filters), &filters).await
        })
    }

    fn use_rules(&self, rules: Arc<dyn Rules>) -> Answer<'_, ()> {
        self.inner.use_rules(rules)
    }

    fn is_indexed(&self) -> Answer<'_, bool> {
        self.inner.is_indexed()
    }

    fn reindex<'a>(&'a self, types: &'a [String], told: Told<'a>) -> Answer<'a, u64> {
        self.inner.reindex(types, told)
    }

    fn set_indexed(&self) -> Answer<'_, ()> {
        self.inner.set_indexed()
    }

    fn catch_up(&self) -> Answer<'_, u64> {
        self.inner.catch_up()
    }

    fn labelled<'a>(&'a self, types: &'a [String], limit: usize) -> Answer<'a, Vec<StoredVersion>> {
        self.inner.labelled(types, limit)
    }

    fn statistics(&self) -> Answer<'_, Statistics> {
        self.inner.statistics()
    }

    fn verify<'a>(&'a self, told: Told<'a>) -> Answer<'a, Verified> {
        self.inner.verify(told)
    }

    fn resources<'a>(
        &'a self,
        types: &'a [String],
        after: u64,
        limit: usize,
    ) -> Answer<'a, Resources> {
        self.inner.resources(types, after, limit)
    }
}

/// Whether an interaction of a group is about AuditEvents.
fn is_ours(interaction: &Interaction) -> bool {
    match interaction {
        Interaction::Read { key, .. }
        | Interaction::Delete { key, .. }
        | Interaction::Patch { key, .. } => key.resource_type == AUDIT_EVENT,
        Interaction::Search(request) => is_of_events(&request.search),
        Interaction::Create { resource, .. }
        | Interaction::Update { resource, .. }
        | Interaction::ConditionalUpdate { resource, .. } => {
            resource.resource_type() == Some(AUDIT_EVENT)
        }
        Interaction::ConditionalPatch { search, .. }
        | Interaction::ConditionalDelete { search, .. } => is_of_events(search),
    }
}

fn is_of_events(search: &Search) -> bool {
    matches!(search.resource_types.as_slice(), [name] if name == AUDIT_EVENT)
}

/// The scope's filter on AuditEvents, if any; `None` where they are not visible at all.
fn visible(request: &SearchRequest) -> Option<Option<&Filter>> {
    if request.visible.is_empty() {
        return Some(None);
    }
    request.visible.iter().find(|(name, _)| name == AUDIT_EVENT).map(|(_, filter)| filter.as_ref())
}

fn refuse_impossible(search: &Search) -> Result<(), DatastoreError> {
    if !search.includes.is_empty() {
        return Err(DatastoreError::NotSupported(
            "a search of AuditEvent brings nothing along: leave _include and _revinclude out",
        ));
    }
    if search.looks_at_others() {
        return Err(DatastoreError::NotSupported(
            "a search of AuditEvent has no chains and no _has: search for the resources first",
        ));
    }
    newest_first(search).map(drop)
}

/// AuditEvents are not in the tables that other searches look at: better a refusal than nothing found.
fn refuse_events_elsewhere(search: &Search) -> Result<(), DatastoreError> {
    let brought = search.includes.iter().any(|include| include.source == AUDIT_EVENT);
    if brought || search.filters.iter().any(asks_events) {
        return Err(DatastoreError::NotSupported(
            "AuditEvents are found by a search of AuditEvent alone, such as AuditEvent?entity=Patient/1",
        ));
    }
    Ok(())
}

fn asks_events(filter: &Filter) -> bool {
    match filter {
        Filter::Has { resource_type, filter, .. } => {
            resource_type == AUDIT_EVENT || asks_events(filter)
        }
        Filter::Chain { targets, .. } => targets.iter().any(|target| asks_events(&target.filter)),
        Filter::All(filters) | Filter::Any(filters) => filters.iter().any(asks_events),
        Filter::Not(filter) => asks_events(filter),
        _ => false,
    }
}

/// By time, oldest first where no order is asked for: the order of creation.
fn newest_first(search: &Search) -> Result<bool, DatastoreError> {
    let refusal = DatastoreError::NotSupported(
        "a search of AuditEvent is sorted by date or _lastUpdated, or as they came",
    );
    match search.sort.as_slice() {
        [] => Ok(false),
        [first, ..] => match &first.by {
            SortBy::LastUpdated => Ok(first.descending),
            SortBy::Parameter(_) if sorts_by_date(search) => Ok(first.descending),
            SortBy::Id | SortBy::Parameter(_) => Err(refusal),
        },
    }
}

fn sorts_by_date(search: &Search) -> bool {
    use std::sync::LazyLock;

    use pipehat_resource::search::{ParameterId, Registry};

    // Numbers of R4's own parameters are the same in every registry.
    static DATE: LazyLock<Option<ParameterId>> = LazyLock::new(|| {
        Registry::standard().find(AUDIT_EVENT, "date").map(|parameter| parameter.id())
    });
    match search.sort.first().map(|key| &key.by) {
        Some(SortBy::Parameter(parameters)) => {
            DATE.is_some() && parameters.first().copied() == *DATE
        }
        _ => false,
    }
}

/// The code that a token asks for; where it is none that we know, nothing is narrowed down.
fn asked_code(criterion: &TokenCriterion) -> Option<&str> {
    match criterion {
        TokenCriterion::Code(code)
        | TokenCriterion::SystemCode(_, code)
        | TokenCriterion::NoSystem(code) => Some(code),
        _ => None,
    }
}

/// Times are shown to the millisecond: whatever is found within one may be before or behind a microsecond of it.
const MILLISECOND: i64 = 1_000;

fn narrow_time(query: &mut AuditQuery, comparator: Comparator, range: DateRange) {
    let (from, to) = match comparator {
        Comparator::Equal | Comparator::Approximately => (Some(range.from), Some(range.to)),
        Comparator::Greater | Comparator::GreaterOrEqual | Comparator::StartsAfter => {
            (Some(range.from), None)
        }
        Comparator::Less | Comparator::LessOrEqual | Comparator::EndsBefore => {
            (None, Some(range.to))
        }
        Comparator::NotEqual => (None, None),
    };
    if let Some(from) = from.map(|from| from.saturating_sub(MILLISECOND)) {
        query.from = Some(query.from.map_or(from, |other| other.max(from)));
    }
    if let Some(to) = to.map(|to| to.saturating_add(MILLISECOND)) {
        query.to = Some(query.to.map_or(to, |other| other.min(to)));
    }
}

fn place(text: &str) -> Option<(i64, u64)> {
    let (at, number) = text.split_once('-')?;
    Some((at.parse().ok()?, number.parse().ok()?))
}

fn version(stored: &StoredRecord, event: &Value) -> StoredVersion {
    StoredVersion {
        key: ResourceKey {
            resource_type: AUDIT_EVENT.to_owned(),
            id: event.id().unwrap_or_default().to_owned(),
        },
        version: 1,
        last_updated: stored.record.at,
        change: ChangeNumber(stored.number),
        method: Method::Post,
        body: Some(event.to_json().into()),
    }
}

fn failed(error: AuditError) -> DatastoreError {
    match error {
        AuditError::Damaged(_) => DatastoreError::Damaged(Box::new(error)),
        other => DatastoreError::Database(Box::new(other)),
    }
}
