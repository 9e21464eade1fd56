//! Which way a search goes, and its statement.

use pipehat_resource::search::{Filter, ParameterId, Search, SortBy, SortKey};

use super::SMALL_SET;
use super::builder::{Builder, Set, Subject, sort_column, table_of};
use super::cursor::{Cursor, keys_descend};
use super::found::{Found, Wanted, run};
use super::leaf::{all, any};
use crate::datastore::core::Catalogue;
use crate::datastore::entries::{GREATEST, LEAST};
use crate::datastore::interaction::ChangeNumber;
use crate::datastore::sql::{Session, SessionError, SqlValue};

/// Which resources may be shown at all.
pub(super) struct Scope<'a> {
    /// The types searched; empty for all.
    types: Vec<String>,
    visible: &'a [(String, Option<Filter>)],
    /// Of the types searched, none may be shown.
    nothing: bool,
}

impl<'a> Scope<'a> {
    pub(super) fn new(search: &Search, visible: &'a [(String, Option<Filter>)]) -> Self {
        let asked = &search.resource_types;
        let types: Vec<String> = if visible.is_empty() {
            asked.clone()
        } else {
            let shown = visible.iter().map(|(resource_type, _)| resource_type);
            shown.filter(|shown| asked.is_empty() || asked.contains(shown)).cloned().collect()
        };
        let nothing = types.is_empty() && !visible.is_empty();
        Self { types, visible, nothing }
    }

    /// That a resource may be shown to whoever asks.
    pub(super) fn visible(&self, builder: &mut Builder<'_>, of: &Subject) -> String {
        if self.visible.is_empty() {
            return "1 = 1".to_owned();
        }
        let row = of.row.as_deref().unwrap_or("r");
        let alternatives = self
            .visible
            .iter()
            .map(|(resource_type, filter)| {
                let is_type = builder.of_types(row, std::slice::from_ref(resource_type));
                match filter {
                    None => is_type,
                    Some(filter) => format!("({is_type} AND {})", builder.check(filter, of)),
                }
            })
            .collect();
        any(alternatives)
    }

    /// The conditions on a match that its filters do not say.
    fn conditions(&self, builder: &mut Builder<'_>, of: &Subject, implied: bool) -> Vec<String> {
        let row = of.row.as_deref().unwrap_or("r");
        let mut conditions = Vec::new();
        if !implied {
            if !self.types.is_empty() {
                conditions.push(builder.of_types(row, &self.types));
            }
            conditions.push(format!("{row}.deleted = 0"));
        }
        let mine = self.visible.iter().filter(|(shown, _)| self.types.contains(shown));
        if mine.clone().any(|(_, filter)| filter.is_some()) {
            let alternatives = mine
                .map(|(resource_type, filter)| {
                    let check = filter
                        .as_ref()
                        .map_or("1 = 1".to_owned(), |filter| builder.check(filter, of));
                    if implied {
                        check
                    } else {
                        let is_type = builder.of_types(row, std::slice::from_ref(resource_type));
                        format!("({is_type} AND {check})")
                    }
                })
                .collect();
            conditions.push(any(alternatives));
        }
        conditions
    }

    fn needs_row(&self) -> bool {
        self.visible.iter().any(|(_, filter)| filter.as_ref().is_some_and(Builder::needs_row))
    }

    /// Whether these are of the one type searched.
    fn implies(&self, resource_type: Option<&str>) -> bool {
        match self.types.as_slice() {
            [one] => resource_type == Some(one),
            _ => false,
        }
    }
}

/// Where a search begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// All resources of its types, in the order asked for.
    Scan,
    /// The set of this filter, as a whole.
    Set(usize),
    /// The index of this filter's value, in the order of keys.
    Ordered(usize),
    /// What several conditions on dates of one parameter leave, which are looked at all the same.
    Dates(ParameterId),
    /// The keys that [`Plan::of`] named.
    These,
}

/// Which resources a plan leaves, by their newest version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// Those that stand as they stood at this change.
    Untouched(ChangeNumber),
    /// Those of which a version came behind this change.
    Touched(ChangeNumber),
}

/// Which rows of an index of dates are gone along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All.
    Any,
    /// The only date of a resource, of a day or less.
    Plain,
    /// The only date of a resource, longer.
    Wide,
    /// One of several of a resource.
    Several,
}

impl Way {
    /// As the partial index has it, where there is one.
    fn condition(self) -> Option<String> {
        let condition = match self {
            Self::Any => return None,
            Self::Plain => "o.wide = 0 AND o.ends = 3",
            Self::Wide => "(o.wide = 1 OR o.ends <> 3) AND o.wide = 1 AND o.ends = 3",
            Self::Several => "(o.wide = 1 OR o.ends <> 3) AND o.ends <> 3",
        };
        Some(condition.to_owned())
    }
}

/// How a search goes.
#[derive(Clone)]
pub(super) struct Plan<'a> {
    catalogue: &'a Catalogue,
    search: &'a Search,
    scope: &'a Scope<'a>,
    filters: Vec<&'a Filter>,
    start: Start,
    /// Where counting begins.
    count_from: Start,
    these: Vec<i64>,
    since: Option<Since>,
}

/// A column that a search is sorted by.
struct Column {
    expression: String,
    descending: bool,
}

/// A statement in the making: where rows come from, and what holds for them.
struct Source {
    from: String,
    conditions: Vec<String>,
    subject: Subject,
}

impl<'a> Plan<'a> {
    pub(super) async fn choose<S: Session>(
        session: &mut S,
        catalogue: &'a Catalogue,
        search: &'a Search,
        scope: &'a Scope<'a>,
    ) -> Result<Self, SessionError> {
        let mut filters = Vec::new();
        flatten(&search.filters, &mut filters);
        let mut plan = Self {
            catalogue,
            search,
            scope,
            filters,
            start: Start::Scan,
            count_from: Start::Scan,
            these: Vec::new(),
            since: None,
        };
        if plan.scope.nothing {
            return Ok(plan);
        }
        let mut builder = Builder::new(session.dialect(), catalogue);
        if let Some(count_from) = plan.walks_between(&mut builder) {
            plan.count_from = count_from;
            return Ok(plan);
        }
        let mut sets: Vec<(Start, Set)> = Vec::new();
        for (at, filter) in plan.filters.iter().enumerate() {
            if let Some(set) = builder.set(filter, &scope.types) {
                sets.push((Start::Set(at), set));
            }
        }
        for filter in &plan.filters {
            if let Filter::Parameter { parameter, .. } = filter
                && !sets.iter().any(|(start, _)| *start == Start::Dates(*parameter))
                && let Some(set) = builder.dates_set(*parameter, &plan.filters)
            {
                // Each condition alone leads to more than all of them together: how many need not be counted.
                sets.retain(|(start, _)| match start {
                    Start::Set(at) => plan.filters.get(*at).is_none_or(|filter| {
                        builder.dates(*parameter, std::slice::from_ref(filter)).is_empty()
                    }),
                    _ => true,
                });
                sets.push((Start::Dates(*parameter), set));
            }
        }
        // What reads an index from end to end is only gone through where nothing else leads there.
        if sets.iter().any(|(_, set)| !set.scans()) {
            sets.retain(|(_, set)| !set.scans());
        }
        let ordered = |set: &Set| set.leaf.as_ref().is_some_and(|leaf| leaf.ordered);
        match sets.as_slice() {
            [] => {}
            [(start @ Start::Set(at), set)] if search.sort.is_empty() && ordered(set) => {
                plan.start = Start::Ordered(*at);
                plan.count_from = *start;
            }
            _ => {
                // Binds of what was left out stay away.
                let mut builder = Builder::new(session.dialect(), catalogue);
                let probes: Vec<String> = sets
                    .iter()
                    .filter_map(|(start, _)| plan.set(&mut builder, *start))
                    .map(|set| {
                        format!(
                            "(SELECT count(*) FROM (SELECT 1 FROM ({}) a LIMIT {SMALL_SET}) b)",
                            set.sql
                        )
                    })
                    .collect();
                let sql = format!("SELECT {}", probes.join(", "));
                let (sql, parameters) = builder.finish(&sql);
                let rows = session.query(&sql, &parameters).await?;
                let row = rows.first();
                let mut least: Option<(i64, Start)> = None;
                for (column, (start, _)) in sets.iter().enumerate() {
                    let found = row.map_or(Ok(SMALL_SET), |row| row.integer(column))?;
                    if least.is_none_or(|(other, _)| found < other) {
                        least = Some((found, *start));
                    }
                }
                if let Some((found, start)) = least {
                    plan.count_from = start;
                    if found < SMALL_SET {
                        plan.start = match start {
                            // In the order of these dates themselves, the index leads from one to the next.
                            Start::Dates(parameter) if plan.sorts_by(parameter) => Start::Scan,
                            start => start,
                        };
                    } else if search.sort.is_empty()
                        && let Some((Start::Set(at), _)) = sets.iter().find(|(_, set)| ordered(set))
                    {
                        plan.start = Start::Ordered(*at);
                    }
                }
            }
        }
        Ok(plan)
    }

    /// Whether the order asked for is that of this parameter alone, and its index leads along it.
    fn sorts_by(&self, parameter: ParameterId) -> bool {
        matches!(
            self.search.sort.as_slice(),
            [SortKey { by: SortBy::Parameter(parameters), .. }] if parameters.as_slice() == [parameter]
        ) && self.scope.types.len() == 1
    }

    /// Where all that is asked for is dates, and in their order, the index leads from one match to the next; where
    /// counting begins then.
    fn walks_between(&self, builder: &mut Builder<'_>) -> Option<Start> {
        let Some(Filter::Parameter { parameter, .. }) = self.filters.first() else { return None };
        let dates = builder.dates(*parameter, &self.filters).len();
        let all = dates > 0 && dates == self.filters.len() && self.sorts_by(*parameter);
        all.then_some(if dates == 1 { Start::Set(0) } else { Start::Dates(*parameter) })
    }

    /// The same search among these resources.
    pub(super) fn of(&self, keys: Vec<i64>) -> Self {
        Self { start: Start::These, these: keys, ..self.clone() }
    }

    /// The same search among resources by their newest version.
    pub(super) fn since(&self, since: Since) -> Self {
        Self { since: Some(since), ..self.clone() }
    }

    pub(super) fn search(&self) -> &'a Search {
        self.search
    }

    pub(super) fn catalogue(&self) -> &'a Catalogue {
        self.catalogue
    }

    /// The types searched; empty for all.
    pub(super) fn types(&self) -> &'a [String] {
        &self.scope.types
    }

    /// Whether a small set leads to all matches.
    pub(super) fn is_small(&self) -> bool {
        matches!(self.start, Start::Set(_) | Start::Dates(_) | Start::These)
    }

    /// Matches in no order, and without what they are sorted by.
    pub(super) async fn unsorted<S: Session>(
        &self,
        session: &mut S,
        limit: usize,
        wanted: Wanted<'_>,
    ) -> Result<Found, SessionError> {
        if self.scope.nothing {
            return Ok(Found::default());
        }
        let mut builder = Builder::new(session.dialect(), self.catalogue);
        let source = self.source(&mut builder, self.start, false);
        let (from, conditions, key) = (source.from, all(source.conditions), source.subject.key);
        let limit = builder.limit(limit);
        let sql = format!("SELECT {key} FROM {from} WHERE {conditions} LIMIT {limit}");
        run(session, &builder, &sql, wanted).await
    }

    /// The matches behind `after`, in order.
    pub(super) async fn matches<S: Session>(
        &self,
        session: &mut S,
        after: Option<&Cursor>,
        limit: usize,
        wanted: Wanted<'_>,
    ) -> Result<Found, SessionError> {
        if self.scope.nothing {
            return Ok(Found::default());
        }
        if let (Start::Scan, [SortKey { by: SortBy::Parameter(parameters), descending }]) =
            (self.start, self.search.sort.as_slice())
            && let [parameter] = parameters.as_slice()
            && let [_] = self.scope.types.as_slice()
        {
            return self.walk(session, *parameter, *descending, after, limit, wanted).await;
        }
        let mut builder = Builder::new(session.dialect(), self.catalogue);
        let sql = self.statement(&mut builder, after, limit);
        run(session, &builder, &sql, wanted).await
    }

    /// How many match.
    pub(super) async fn count<S: Session>(&self, session: &mut S) -> Result<u64, SessionError> {
        if self.scope.nothing {
            return Ok(0);
        }
        let mut builder = Builder::new(session.dialect(), self.catalogue);
        let source = self.source(&mut builder, self.count_from, false);
        let (from, conditions, key) = (source.from, all(source.conditions), source.subject.key);
        let sql = match self.count_from {
            Start::Scan => format!("SELECT count(*) FROM {from} WHERE {conditions}"),
            _ => format!("SELECT count(DISTINCT {key}) FROM {from} WHERE {conditions}"),
        };
        let (sql, parameters) = builder.finish(&sql);
        let rows = session.query(&sql, &parameters).await?;
        rows.first().map_or(Ok(0), |row| row.unsigned(0))
    }

    /// The set that a search begins with.
    fn set(&self, builder: &mut Builder<'_>, start: Start) -> Option<Set> {
        match start {
            Start::Scan => None,
            Start::Set(at) | Start::Ordered(at) => {
                builder.set(self.filters.get(at)?, &self.scope.types)
            }
            Start::Dates(parameter) => builder.dates_set(parameter, &self.filters),
            Start::These => {
                let sql = builder.keys(self.these.clone());
                Some(Set { sql, leaf: None, resource_type: None })
            }
        }
    }

    /// What [`Plan::since`] asks for, of a key.
    fn since_condition(&self, builder: &mut Builder<'_>, key: &str) -> Option<String> {
        let (sign, ChangeNumber(change)) = match self.since? {
            Since::Untouched(change) => ("<=", change),
            Since::Touched(change) => (">", change),
        };
        let (w, change) = (builder.alias(), builder.bind(SqlValue::number(change)));
        Some(format!(
            "(SELECT {w}.change FROM versions {w} WHERE {w}.key = {key}
             ORDER BY {w}.version DESC LIMIT 1) {sign} {change}"
        ))
    }

    /// Where rows come from. `row` where the resource's own row is needed for more than the filters.
    fn source(&self, builder: &mut Builder<'_>, start: Start, row: bool) -> Source {
        let own = match start {
            Start::Scan | Start::Dates(_) | Start::These => None,
            Start::Set(at) | Start::Ordered(at) => Some(at),
        };
        let rest = |own: Option<usize>| {
            self.filters.iter().enumerate().filter(move |(at, _)| Some(*at) != own)
        };
        let Some(set) = self.set(builder, start) else {
            let subject = Subject::row("r");
            let mut conditions = self.scope.conditions(builder, &subject, false);
            conditions.extend(rest(None).map(|(_, filter)| builder.check(filter, &subject)));
            conditions.extend(self.since_condition(builder, &subject.key));
            return Source { from: "resources r".to_owned(), conditions, subject };
        };
        let implied = self.scope.implies(set.resource_type.as_deref());
        let row = row
            || !implied
            || self.scope.needs_row()
            || rest(own).any(|(_, filter)| Builder::needs_row(filter));
        let (mut from, mut conditions, key) = match (start, &set.leaf) {
            (Start::Ordered(_), Some(leaf)) => {
                let x = &leaf.alias;
                let parameter = format!("{x}.parameter = {}", leaf.parameter);
                let conditions = vec![parameter, leaf.parts.join(" AND ")];
                (format!("{} {x}", leaf.table), conditions, format!("{x}.key"))
            }
            _ => {
                let from = format!("(SELECT DISTINCT key FROM ({}) e) d", set.sql);
                (from, Vec::new(), "d.key".to_owned())
            }
        };
        let subject = Subject { key: key.clone(), row: row.then(|| "r".to_owned()) };
        if row {
            from.push(' ');
            let on = format!("r.key = {key}");
            from.push_str(&builder.dialect.then_join("resources", "r", &on));
        }
        conditions.extend(self.scope.conditions(builder, &subject, implied));
        conditions.extend(rest(own).map(|(_, filter)| builder.check(filter, &subject)));
        conditions.extend(self.since_condition(builder, &subject.key));
        Source { from, conditions, subject }
    }

    fn statement(&self, builder: &mut Builder<'_>, after: Option<&Cursor>, limit: usize) -> String {
        let by_row = self.search.sort.iter().any(|key| !matches!(key.by, SortBy::Parameter(_)));
        let source = self.source(builder, self.start, by_row);
        let limit = builder.limit(limit);
        let key = source.subject.key.clone();
        let mut conditions = source.conditions;
        let from = source.from;
        if self.search.sort.is_empty() {
            if let Some(after) = after {
                conditions.push(format!("{key} > {}", builder.bind(SqlValue::Integer(after.key))));
            }
            let conditions = all(conditions);
            let group = match self.start {
                Start::Ordered(_) => format!(" GROUP BY {key}"),
                _ => String::new(),
            };
            return format!(
                "SELECT {key} FROM {from} WHERE {conditions}{group} ORDER BY {key} LIMIT {limit}"
            );
        }
        let columns: Vec<Column> = self
            .search
            .sort
            .iter()
            .map(|sort| Column {
                expression: self.sort_value(builder, sort, &key),
                descending: sort.descending,
            })
            .collect();
        if let [only] = columns.as_slice()
            && by_row
        {
            let column =
                Column { expression: only.expression.clone(), descending: only.descending };
            if let Some(after) = after {
                let columns = std::slice::from_ref(&column);
                conditions.push(behind(builder, columns, &key, after, only.descending));
                // For the index: a bound that stands by itself.
                if let Some(value) = after.values.first() {
                    let sign = if only.descending { "<=" } else { ">=" };
                    let value = builder.bind(value.clone());
                    conditions.push(format!("{} {sign} {value}", only.expression));
                }
            }
            let order = if only.descending { " DESC" } else { "" };
            let expression = &only.expression;
            return format!(
                "SELECT {key}, {expression} FROM {from} WHERE {}
                 ORDER BY {expression}{order}, {key}{order} LIMIT {limit}",
                all(conditions)
            );
        }
        let named: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| format!("{} AS s{at}", column.expression))
            .collect();
        let inner = format!(
            "SELECT {key} AS key, {} FROM {from} WHERE {}",
            named.join(", "),
            all(conditions)
        );
        let columns: Vec<Column> = columns
            .into_iter()
            .enumerate()
            .map(|(at, column)| Column {
                expression: format!("q.s{at}"),
                descending: column.descending,
            })
            .collect();
        let condition = match after {
            None => "1 = 1".to_owned(),
            Some(after) => {
                let keys_descend = keys_descend(&self.search.sort, &after.values);
                behind(builder, &columns, "q.key", after, keys_descend)
            }
        };
        let names: Vec<&str> = columns.iter().map(|column| column.expression.as_str()).collect();
        let mut order: Vec<String> = columns
            .iter()
            .map(|column| {
                let (expression, descending) = (&column.expression, column.descending);
                let direction = if descending { " DESC" } else { "" };
                format!("({expression} IS NULL), {expression}{direction}")
            })
            .collect();
        // Another page may go another way, along an index: those alike must stand in one order.
        order.push(match columns.as_slice() {
            [only] if only.descending => {
                format!("CASE WHEN {} IS NULL THEN q.key ELSE -q.key END", only.expression)
            }
            _ => "q.key".to_owned(),
        });
        format!(
            "SELECT q.key, {} FROM ({inner}) q WHERE {condition} ORDER BY {} LIMIT {limit}",
            names.join(", "),
            order.join(", ")
        )
    }

    fn sort_value(&self, builder: &mut Builder<'_>, sort: &SortKey, key: &str) -> String {
        match &sort.by {
            SortBy::Id => "r.id".to_owned(),
            SortBy::LastUpdated => "r.last_updated".to_owned(),
            SortBy::Parameter(parameters) => {
                let end = if sort.descending { "max" } else { "min" };
                let values: Vec<String> = parameters
                    .iter()
                    .filter_map(|parameter| builder.known(*parameter))
                    .map(|known| {
                        let (table, column) = (table_of(known.kind), sort_column(known.kind));
                        let rows = builder.dialect.by_key(table, "o");
                        format!(
                            "(SELECT {end}(o.{column}) FROM {rows}
                             WHERE o.key = {key} AND o.parameter = {})",
                            known.number
                        )
                    })
                    .collect();
                match values.as_slice() {
                    [] => "NULL".to_owned(),
                    [one] => one.clone(),
                    _ => format!("coalesce({})", values.join(", ")),
                }
            }
        }
    }

    /// Goes along the index of what is sorted by; then come those that have no value.
    async fn walk<S: Session>(
        &self,
        session: &mut S,
        parameter: ParameterId,
        descending: bool,
        after: Option<&Cursor>,
        limit: usize,
        wanted: Wanted<'_>,
    ) -> Result<Found, SessionError> {
        let Some(known) = self.catalogue.numbering.known(parameter) else {
            return Ok(Found::default());
        };
        let (table, column) = (table_of(known.kind), sort_column(known.kind));
        let implied = self.scope.implies(Some(&known.resource_type));
        let mut found = Found::default();
        let mut bounded = false;
        let without = after.is_some_and(|after| after.values.first() == Some(&SqlValue::Null));
        if !without {
            let mut builder = Builder::new(session.dialect(), self.catalogue);
            let row = !implied
                || self.scope.needs_row()
                || self.filters.iter().any(|filter| Builder::needs_row(filter));
            let subject = Subject { key: "o.key".to_owned(), row: row.then(|| "r".to_owned()) };
            let join = match row {
                true => {
                    format!(" {}", builder.dialect.then_join("resources", "r", "r.key = o.key"))
                }
                false => String::new(),
            };
            let end = if descending { GREATEST } else { LEAST };
            let order = if descending { " DESC" } else { "" };
            let bound = builder.limit(limit);
            let dates = builder.dates(parameter, &self.filters);
            bounded = !dates.is_empty();
            let mut branches = Vec::new();
            // Most have one date, of a day or less: the index leads to those between bounds. A longer one is held
            // against them as it is; where there are several, any may meet a bound.
            let ways: &[Way] =
                if dates.is_empty() { &[Way::Any] } else { &[Way::Plain, Way::Wide, Way::Several] };
            for way in ways {
                let mut conditions = vec![
                    format!("o.parameter = {}", known.number),
                    format!("o.ends IN ({end}, {})", LEAST | GREATEST),
                    format!("o.{column} IS NOT NULL"),
                ];
                let direct = matches!(way, Way::Plain | Way::Wide);
                conditions.extend(way.condition());
                if direct {
                    conditions.extend(dates.iter().filter_map(|leaf| {
                        let own = match way {
                            Way::Plain => leaf.plain.as_ref()?,
                            _ => &leaf.check,
                        };
                        Some(own.replace(&format!("{}.", leaf.alias), "o."))
                    }));
                }
                conditions.extend(self.scope.conditions(&mut builder, &subject, implied));
                for filter in &self.filters {
                    let is_direct = direct
                        && !builder.dates(parameter, std::slice::from_ref(filter)).is_empty();
                    if !is_direct {
                        conditions.push(builder.check(filter, &subject));
                    }
                }
                conditions.extend(self.since_condition(&mut builder, "o.key"));
                if let Some(after) = after {
                    let columns = [Column { expression: format!("o.{column}"), descending }];
                    conditions.push(behind(&mut builder, &columns, "o.key", after, descending));
                    if let Some(value) = after.values.first() {
                        let sign = if descending { "<=" } else { ">=" };
                        let value = builder.bind(value.clone());
                        conditions.push(format!("o.{column} {sign} {value}"));
                    }
                }
                branches.push(format!(
                    "SELECT o.key AS key, o.{column} AS ranked FROM {table} o{join} WHERE {}
                     ORDER BY o.{column}{order}, o.key{order} LIMIT {bound}",
                    all(conditions)
                ));
            }
            let sql = match branches.as_slice() {
                [one] => one.clone(),
                _ => {
                    let parts: Vec<String> = branches
                        .iter()
                        .zip(["q0", "q1", "q2"])
                        .map(|(branch, name)| format!("SELECT key, ranked FROM ({branch}) {name}"))
                        .collect();
                    format!(
                        "SELECT key, ranked FROM ({}) q ORDER BY ranked{order}, key{order} LIMIT {bound}",
                        parts.join(" UNION ALL ")
                    )
                }
            };
            found = run(session, &builder, &sql, wanted).await?;
        }
        // What has no date meets no condition on it.
        if found.matches.len() < limit && !bounded {
            let mut builder = Builder::new(session.dialect(), self.catalogue);
            let source = self.source(&mut builder, Start::Scan, true);
            let mut conditions = source.conditions;
            let rows = builder.dialect.by_key(table, "o");
            let has_one = builder.dialect.exists(&format!(
                "SELECT 1 FROM {rows} WHERE o.key = r.key
                 AND o.parameter = {} AND o.{column} IS NOT NULL",
                known.number
            ));
            conditions.push(format!("NOT {has_one}"));
            if let Some(after) = after.filter(|_| without) {
                conditions.push(format!("r.key > {}", builder.bind(SqlValue::Integer(after.key))));
            }
            let limit = limit.saturating_sub(found.matches.len());
            let limit = builder.limit(limit);
            let sql = format!(
                "SELECT r.key, NULL FROM {} WHERE {} ORDER BY r.key LIMIT {limit}",
                source.from,
                all(conditions)
            );
            found.append(run(session, &builder, &sql, wanted).await?);
        }
        Ok(found)
    }
}

/// That a row stands behind a page's end. Those without a value stand last.
fn behind(
    builder: &mut Builder<'_>,
    columns: &[Column],
    key: &str,
    after: &Cursor,
    keys_descend: bool,
) -> String {
    let mut alternatives = Vec::new();
    let mut same: Vec<String> = Vec::new();
    for (column, value) in columns.iter().zip(&after.values) {
        let expression = &column.expression;
        if *value == SqlValue::Null {
            same.push(format!("{expression} IS NULL"));
            continue;
        }
        let sign = if column.descending { "<" } else { ">" };
        let value = builder.bind(value.clone());
        let mut further = same.clone();
        further.push(format!("({expression} {sign} {value} OR {expression} IS NULL)"));
        alternatives.push(format!("({})", all(further)));
        same.push(format!("{expression} = {value}"));
    }
    let sign = if keys_descend { "<" } else { ">" };
    same.push(format!("{key} {sign} {}", builder.bind(SqlValue::Integer(after.key))));
    alternatives.push(format!("({})", all(same)));
    any(alternatives)
}

fn flatten<'a>(filters: &'a [Filter], flat: &mut Vec<&'a Filter>) {
    for filter in filters {
        match filter {
            Filter::All(filters) => flatten(filters, flat),
            filter => flat.push(filter),
        }
    }
}
