//! Filters as SQL, in two ways: as a condition on a resource at hand, and as the set of keys that meet it.
//!
//! A set begins at the index of a value; a condition looks at the few rows of one resource. A search takes the
//! smallest set among its filters, and holds what is in it against the others.

use std::collections::HashMap;

use pipehat_resource::search::{
    Chained, Comparator, Criterion, DateRange, Filter, ParameterId, ParameterKind,
};

use super::leaf::{Leaf, all, any, gathered, union};
use crate::datastore::core::{Canonical, Catalogue};
use crate::datastore::entries::{Known, words};
use crate::datastore::sql::{Dialect, SqlValue};

/// Builds one statement.
pub(super) struct Builder<'a> {
    pub(super) dialect: Dialect,
    catalogue: &'a Catalogue,
    parameters: Vec<SqlValue>,
    aliases: usize,
}

/// A resource in a statement: its key, and its row of `resources` where there is one.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) key: String,
    pub(super) row: Option<String>,
}

impl Subject {
    pub(super) fn row(alias: &str) -> Self {
        Self { key: format!("{alias}.key"), row: Some(alias.to_owned()) }
    }
}

/// A set of keys.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) sql: String,
    /// Where it is one leaf, that.
    pub(super) leaf: Option<Leaf>,
    /// All are of this type.
    pub(super) resource_type: Option<String>,
}

impl Set {
    /// Whether finding it reads all values of a parameter.
    pub(super) fn scans(&self) -> bool {
        self.leaf.as_ref().is_some_and(|leaf| leaf.scans)
    }
}

/// The resources that a canonical address may name, by the numbers of their parameters `url` and `version`.
#[derive(Debug, Clone)]
pub(super) struct NamedByCanonical {
    urls: String,
    versions: String,
}

impl NamedByCanonical {
    /// That a row of `referrals` names the resource of a row of `uris`: by its address, and by its version where one
    /// is given (FHIR R4 §2.3.0.2).
    pub(super) fn meets(&self, referral: &str, uri: &str) -> String {
        let Self { urls, versions } = self;
        format!(
            "{uri}.parameter IN ({urls}) AND {uri}.uri = {referral}.target
             AND ({referral}.version IS NULL OR EXISTS (SELECT 1 FROM tokens WHERE tokens.key = {uri}.key
             AND tokens.parameter IN ({versions}) AND tokens.code = {referral}.version))"
        )
    }
}

impl<'a> Builder<'a> {
    pub(super) fn new(dialect: Dialect, catalogue: &'a Catalogue) -> Self {
        Self { dialect, catalogue, parameters: Vec::new(), aliases: 0 }
    }

    pub(super) fn bind(&mut self, value: SqlValue) -> String {
        self.parameters.push(value);
        let place = self.parameters.len();
        let of = match (self.dialect, self.parameters.last()) {
            (Dialect::Sqlite, _) => "",
            (_, Some(SqlValue::Integer(_))) => "::bigint",
            (_, Some(SqlValue::Real(_))) => "::float8",
            (_, Some(SqlValue::Text(_))) => "::text",
            _ => "",
        };
        format!("?{place}{of}")
    }

    /// How many rows at most. PostgreSQL's planner must know whether they are few.
    pub(super) fn limit(&mut self, rows: usize) -> String {
        match self.dialect {
            Dialect::Sqlite => self.bind(SqlValue::number(rows as u64)),
            Dialect::Postgres => i64::try_from(rows).unwrap_or(i64::MAX).to_string(),
        }
    }

    /// The statement with the values it uses, and no others: databases refuse what is not used.
    pub(super) fn finish(&self, sql: &str) -> (String, Vec<SqlValue>) {
        let mut finished = String::with_capacity(sql.len());
        let mut used: Vec<usize> = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut rest = sql;
        while let Some((before, behind)) = rest.split_once('?') {
            finished.push_str(before);
            let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
            let (number, behind) = behind.split_at(digits);
            let number = number.parse().unwrap_or(0);
            let place = *places.entry(number).or_insert_with(|| {
                used.push(number);
                used.len()
            });
            finished.push('?');
            finished.push_str(&place.to_string());
            rest = behind;
        }
        finished.push_str(rest);
        let value = |number: &usize| {
            let place = number.checked_sub(1)?;
            self.parameters.get(place).cloned()
        };
        (finished, used.iter().map(|number| value(number).unwrap_or(SqlValue::Null)).collect())
    }

    /// That what stands before is one of these texts.
    pub(super) fn bind_texts(&mut self, texts: Vec<String>) -> String {
        self.parameters.push(SqlValue::Texts(texts));
        self.dialect.in_texts(self.parameters.len())
    }

    /// That what stands before is one of these integers.
    pub(super) fn bind_integers(&mut self, integers: Vec<i64>) -> String {
        self.parameters.push(SqlValue::Integers(integers));
        self.dialect.in_integers(self.parameters.len())
    }

    /// A set of these keys.
    pub(super) fn keys(&mut self, keys: Vec<i64>) -> String {
        self.parameters.push(SqlValue::Integers(keys));
        let place = self.parameters.len();
        match self.dialect {
            Dialect::Sqlite => format!("SELECT value AS key FROM json_each(?{place})"),
            Dialect::Postgres => format!("SELECT unnest(?{place}::bigint[]) AS key"),
        }
    }

    pub(super) fn alias(&mut self) -> String {
        self.aliases = self.aliases.saturating_add(1);
        format!("x{}", self.aliases)
    }

    pub(super) fn fold(&self, text: &str) -> String {
        self.catalogue.rules.fold(text)
    }

    pub(super) fn known(&self, parameter: ParameterId) -> Option<&'a Known> {
        self.catalogue.numbering.known(parameter)
    }

    fn number(&self, parameter: ParameterId) -> i64 {
        // One that the registry does not know finds nothing.
        self.known(parameter).map_or(-1, |known| known.number)
    }

    /// That the resource is of one of these types.
    pub(super) fn of_types(&mut self, row: &str, types: &[String]) -> String {
        match types {
            [] => "1 = 1".to_owned(),
            [one] => format!("{row}.type = {}", self.bind(SqlValue::text(one))),
            _ => format!("{row}.type {}", self.bind_texts(types.to_vec())),
        }
    }

    /// Whether a filter asks for more than the key of a resource.
    pub(super) fn needs_row(filter: &Filter) -> bool {
        match filter {
            Filter::Id(_)
            | Filter::LastUpdated(_)
            | Filter::Type(_)
            | Filter::Has { .. }
            | Filter::Compartment { .. } => true,
            Filter::Parameter { .. }
            | Filter::Composite { .. }
            | Filter::Missing { .. }
            | Filter::Chain { .. }
            | Filter::FullText { .. } => false,
            Filter::All(filters) | Filter::Any(filters) => filters.iter().any(Self::needs_row),
            Filter::Not(filter) => Self::needs_row(filter),
        }
    }

    /// A filter as a condition on a resource, which has a row where [`Builder::needs_row`] says so.
    pub(super) fn check(&mut self, filter: &Filter, of: &Subject) -> String {
        let row = of.row.as_deref().unwrap_or("r");
        let key = &of.key;
        match filter {
            Filter::Parameter { parameter, criteria } => {
                let parameter = self.number(*parameter);
                let leaves: Vec<Leaf> = gathered(criteria)
                    .iter()
                    .map(|criterion| self.leaf(parameter, criterion))
                    .collect();
                Leaf::any_exists(&leaves, self.dialect, key)
            }
            Filter::Composite { alternatives } => {
                let alternatives = alternatives
                    .iter()
                    .map(|components| {
                        let joined = self.composite(components, Some(key));
                        self.dialect.exists(&joined)
                    })
                    .collect();
                any(alternatives)
            }
            Filter::Missing { parameter, missing } => {
                let not = if *missing { "NOT " } else { "" };
                match self.known(*parameter) {
                    None => (if *missing { "1 = 1" } else { "1 = 0" }).to_owned(),
                    Some(known) => {
                        let (x, number) = (self.alias(), known.number);
                        let rows = self.dialect.by_key(table_of(known.kind), &x);
                        let exists = self.dialect.exists(&format!(
                            "SELECT 1 FROM {rows} WHERE {x}.key = {key}
                             AND {x}.parameter = {number}"
                        ));
                        format!("{not}{exists}")
                    }
                }
            }
            Filter::Id(ids) => {
                let ids = self.bind_texts(ids.clone());
                format!("{row}.id {ids}")
            }
            Filter::LastUpdated(times) => {
                let alternatives = times
                    .iter()
                    .map(|(comparator, range)| self.last_updated(row, *comparator, *range))
                    .collect();
                any(alternatives)
            }
            Filter::Type(types) if types.is_empty() => "1 = 0".to_owned(),
            Filter::Type(types) => self.of_types(row, types),
            Filter::Chain { reference, targets } => {
                let number = self.number(*reference);
                let mut alternatives = Vec::with_capacity(targets.len());
                for target in targets {
                    let (f, t) = (self.alias(), self.alias());
                    let of = self.bind(SqlValue::text(&target.resource_type));
                    let check = self.check(&target.filter, &Subject::row(&t));
                    let on =
                        format!("{t}.type = {f}.type AND {t}.id = {f}.target AND {t}.deleted = 0");
                    let join = self.dialect.then_join("resources", &t, &on);
                    let rows = self.dialect.by_key("referrals", &f);
                    alternatives.push(self.dialect.exists(&format!(
                        "SELECT 1 FROM {rows} {join}
                         WHERE {f}.key = {key} AND {f}.parameter = {number}
                         AND {f}.type = {of} AND {check}"
                    )));
                    if let Some(named) = self.canonical(*reference, Some(&target.resource_type)) {
                        let u = self.alias();
                        let (f, t) = (self.alias(), self.alias());
                        let check = self.check(&target.filter, &Subject::row(&t));
                        let uris = self.dialect.then_join("uris", &u, &named.meets(&f, &u));
                        let on = format!("{t}.key = {u}.key AND {t}.deleted = 0");
                        let resources = self.dialect.then_join("resources", &t, &on);
                        let rows = self.dialect.by_key("referrals", &f);
                        alternatives.push(self.dialect.exists(&format!(
                            "SELECT 1 FROM {rows} {uris} {resources}
                             WHERE {f}.key = {key} AND {f}.parameter = {number} AND {check}"
                        )));
                    }
                }
                any(alternatives)
            }
            Filter::Has { resource_type: _, reference, filter } => {
                let (f, s) = (self.alias(), self.alias());
                let number = self.number(*reference);
                let check = self.check(filter, &Subject::row(&s));
                let join = self.dialect.then_join("resources", &s, &format!("{s}.key = {f}.key"));
                let mut alternatives = vec![self.dialect.exists(&format!(
                    "SELECT 1 FROM referrals {f} {join} WHERE {f}.parameter = {number}
                     AND {f}.target = {row}.id AND {f}.type = {row}.type AND {check}"
                ))];
                if let Some(named) = self.canonical(*reference, None) {
                    let (u, f, s) = (self.alias(), self.alias(), self.alias());
                    let check = self.check(filter, &Subject::row(&s));
                    let on = format!("{f}.parameter = {number} AND {}", named.meets(&f, &u));
                    let referrals = self.dialect.then_join("referrals", &f, &on);
                    let on = format!("{s}.key = {f}.key");
                    let resources = self.dialect.then_join("resources", &s, &on);
                    let rows = self.dialect.by_key("uris", &u);
                    alternatives.push(self.dialect.exists(&format!(
                        "SELECT 1 FROM {rows} {referrals} {resources}
                         WHERE {u}.key = {key} AND {check}"
                    )));
                }
                any(alternatives)
            }
            Filter::FullText { whole, words } => {
                let x = self.alias();
                let text = self.words(*whole, words);
                match (self.dialect, text) {
                    (_, None) => "1 = 1".to_owned(),
                    (Dialect::Sqlite, Some(text)) => {
                        format!("{key} IN (SELECT rowid FROM words WHERE words MATCH {text})")
                    }
                    (Dialect::Postgres, Some(text)) => {
                        let query =
                            format!("SELECT 1 FROM words {x} WHERE {x}.key = {key} AND {text}");
                        self.dialect.exists(&query)
                    }
                }
            }
            Filter::Compartment { resource_type, id, parameters } => {
                let (of, id) =
                    (self.bind(SqlValue::text(resource_type)), self.bind(SqlValue::text(id)));
                let x = self.alias();
                let numbers = self.numbers_of(parameters);
                let rows = self.dialect.by_key("referrals", &x);
                let refers = self.dialect.exists(&format!(
                    "SELECT 1 FROM {rows} WHERE {x}.key = {key}
                     AND {x}.parameter IN ({numbers}) AND {x}.target = {id} AND {x}.type = {of}"
                ));
                format!("(({row}.type = {of} AND {row}.id = {id}) OR {refers})")
            }
            Filter::All(filters) => {
                let conditions =
                    filters.iter().map(|filter| self.check(filter, of)).collect::<Vec<_>>();
                format!("({})", all(conditions))
            }
            Filter::Any(filters) => any(filters.iter().map(|f| self.check(f, of)).collect()),
            Filter::Not(filter) => format!("NOT ({})", self.check(filter, of)),
        }
    }

    /// What the canonical addresses of a reference parameter may name: resources of one type, or of all it leads to.
    /// `None` where it has none of them.
    pub(super) fn canonical(
        &self,
        reference: ParameterId,
        resource_type: Option<&str>,
    ) -> Option<NamedByCanonical> {
        let types = self.known(reference)?.canonicals.iter();
        let numbers: Vec<Canonical> = types
            .filter(|name| resource_type.is_none_or(|only| only == name.as_str()))
            .filter_map(|name| self.catalogue.canonicals.get(name).copied())
            .collect();
        let list = |number: fn(&Canonical) -> i64| {
            numbers.iter().map(|own| number(own).to_string()).collect::<Vec<_>>().join(", ")
        };
        let named =
            NamedByCanonical { urls: list(|own| own.url), versions: list(|own| own.version) };
        (!numbers.is_empty()).then_some(named)
    }

    fn numbers_of(&self, parameters: &[ParameterId]) -> String {
        let numbers: Vec<String> = parameters
            .iter()
            .filter_map(|parameter| self.known(*parameter))
            .map(|known| known.number.to_string())
            .collect();
        if numbers.is_empty() { "-1".to_owned() } else { numbers.join(", ") }
    }

    /// The rows of the components of one instance.
    fn composite(&mut self, components: &[(ParameterId, Criterion)], key: Option<&str>) -> String {
        let leaves: Vec<Leaf> = components
            .iter()
            .map(|(parameter, criterion)| {
                let parameter = self.number(*parameter);
                self.leaf(parameter, criterion)
            })
            .collect();
        let Some((first, others)) = leaves.split_first() else {
            return "SELECT NULL AS key WHERE 1 = 0".to_owned();
        };
        let a = &first.alias;
        let rows = match key {
            Some(_) => self.dialect.by_key(first.table, a),
            None => format!("{} {a}", first.table),
        };
        let mut sql = format!("SELECT {a}.key AS key FROM {rows}");
        for leaf in others {
            let x = &leaf.alias;
            let on = format!(
                "{x}.key = {a}.key AND {x}.instance = {a}.instance AND {x}.parameter = {} AND {}",
                leaf.parameter, leaf.check
            );
            sql.push(' ');
            sql.push_str(&self.dialect.then_join(leaf.table, x, &on));
        }
        sql.push_str(&format!(" WHERE {a}.parameter = {} AND {}", first.parameter, first.check));
        if let Some(key) = key {
            sql.push_str(&format!(" AND {a}.key = {key}"));
        }
        sql
    }

    fn last_updated(&mut self, row: &str, comparator: Comparator, range: DateRange) -> String {
        let time = format!("{row}.last_updated");
        let from = self.bind(SqlValue::Integer(range.from));
        let to = self.bind(SqlValue::Integer(range.to));
        match comparator {
            Comparator::Equal | Comparator::Approximately => {
                format!("({time} >= {from} AND {time} <= {to})")
            }
            Comparator::NotEqual => format!("({time} < {from} OR {time} > {to})"),
            Comparator::Greater | Comparator::StartsAfter => format!("{time} > {to}"),
            Comparator::Less | Comparator::EndsBefore => format!("{time} < {from}"),
            Comparator::GreaterOrEqual => format!("{time} >= {from}"),
            Comparator::LessOrEqual => format!("{time} <= {to}"),
        }
    }

    /// What finds words: a text for FTS5, or a condition on a row of `words`. `None` without words.
    fn words(&mut self, whole: bool, asked: &[String]) -> Option<String> {
        let asked = words(&asked.join(" "));
        if asked.is_empty() {
            return None;
        }
        let column = if whole { "whole" } else { "narrative" };
        Some(match self.dialect {
            Dialect::Sqlite => {
                let each: Vec<String> =
                    asked.split(' ').map(|word| format!("{column} : \"{word}\"")).collect();
                self.bind(SqlValue::Text(each.join(" AND ")))
            }
            Dialect::Postgres => {
                let each: Vec<String> = asked.split(' ').map(|word| format!("'{word}'")).collect();
                let text = self.bind(SqlValue::Text(each.join(" & ")));
                format!("{column} @@ ({text})::tsquery")
            }
        })
    }

    /// The set of keys that meet a filter, where an index leads to them. `types` are those searched.
    pub(super) fn set(&mut self, filter: &Filter, types: &[String]) -> Option<Set> {
        let of = |sql: String| Some(Set { sql, leaf: None, resource_type: None });
        match filter {
            Filter::Parameter { parameter, criteria } => {
                let known = self.known(*parameter)?;
                let mut leaves: Vec<Leaf> = gathered(criteria)
                    .iter()
                    .map(|criterion| self.leaf(known.number, criterion))
                    .collect();
                let sql = union(leaves.iter().flat_map(Leaf::sets).collect());
                let leaf = if leaves.len() == 1 { leaves.pop() } else { None };
                Some(Set { sql, leaf, resource_type: Some(known.resource_type.clone()) })
            }
            Filter::Composite { alternatives } => {
                let sets = alternatives.iter().map(|one| self.composite(one, None)).collect();
                of(union(sets))
            }
            Filter::Missing { parameter, missing: false } => {
                let known = self.known(*parameter)?;
                of(format!(
                    "SELECT key FROM {} WHERE parameter = {}",
                    table_of(known.kind),
                    known.number
                ))
            }
            Filter::Id(ids) => {
                let ids = self.bind_texts(ids.clone());
                if types.is_empty() {
                    return None;
                }
                let condition = self.of_types("r", types);
                of(format!("SELECT r.key AS key FROM resources r WHERE {condition} AND r.id {ids}"))
            }
            Filter::LastUpdated(times) => {
                let [(comparator, range)] = times.as_slice() else { return None };
                let [_] = types else { return None };
                if *comparator == Comparator::NotEqual {
                    return None;
                }
                let time = self.last_updated("r", *comparator, *range);
                let condition = self.of_types("r", types);
                of(format!(
                    "SELECT r.key AS key FROM resources r WHERE {condition} AND r.deleted = 0 AND {time}"
                ))
            }
            Filter::Chain { reference, targets } => {
                let known = self.known(*reference)?;
                let mut sets = Vec::with_capacity(targets.len());
                for target in targets {
                    sets.push(self.chain_set(known.number, target)?);
                    if let Some(named) = self.canonical(*reference, Some(&target.resource_type)) {
                        sets.push(self.canonical_chain_set(known.number, target, &named)?);
                    }
                }
                let resource_type = Some(known.resource_type.clone());
                Some(Set { sql: union(sets), leaf: None, resource_type })
            }
            Filter::Has { resource_type, reference, filter } => {
                let known = self.known(*reference)?;
                let inner = self.set(filter, std::slice::from_ref(resource_type))?;
                let (i, f, t) = (self.alias(), self.alias(), self.alias());
                let on = format!("{f}.key = {i}.key AND {f}.parameter = {}", known.number);
                let referrals = self.dialect.then_join("referrals", &f, &on);
                let on = format!("{t}.type = {f}.type AND {t}.id = {f}.target");
                let resources = self.dialect.then_join("resources", &t, &on);
                let mut sets = vec![format!(
                    "SELECT {t}.key AS key FROM ({}) {i} {referrals} {resources}",
                    inner.sql
                )];
                if let Some(named) = self.canonical(*reference, None) {
                    let inner = self.set(filter, std::slice::from_ref(resource_type))?;
                    let (i, f, u) = (self.alias(), self.alias(), self.alias());
                    let on = format!("{f}.key = {i}.key AND {f}.parameter = {}", known.number);
                    let referrals = self.dialect.then_join("referrals", &f, &on);
                    let uris = self.dialect.then_join("uris", &u, &named.meets(&f, &u));
                    sets.push(format!(
                        "SELECT {u}.key AS key FROM ({}) {i} {referrals} {uris}",
                        inner.sql
                    ));
                }
                of(union(sets))
            }
            Filter::FullText { whole, words } => {
                let text = self.words(*whole, words)?;
                of(match self.dialect {
                    Dialect::Sqlite => {
                        format!("SELECT rowid AS key FROM words WHERE words MATCH {text}")
                    }
                    Dialect::Postgres => format!("SELECT key FROM words WHERE {text}"),
                })
            }
            Filter::Compartment { resource_type, id, parameters } => {
                let (own, id) =
                    (self.bind(SqlValue::text(resource_type)), self.bind(SqlValue::text(id)));
                let numbers = self.numbers_of(parameters);
                of(format!(
                    "SELECT key FROM resources WHERE type = {own} AND id = {id} UNION ALL
                     SELECT key FROM referrals WHERE parameter IN ({numbers})
                     AND target = {id} AND type = {own}"
                ))
            }
            Filter::Any(filters) => {
                let sets = filters
                    .iter()
                    .map(|filter| self.set(filter, types).map(|set| set.sql))
                    .collect::<Option<Vec<_>>>()?;
                (!sets.is_empty()).then(|| union(sets)).and_then(of)
            }
            Filter::All(_)
            | Filter::Not(_)
            | Filter::Type(_)
            | Filter::Missing { missing: true, .. } => None,
        }
    }

    /// The conditions on one parameter's dates, where a search has such.
    pub(super) fn dates(&mut self, parameter: ParameterId, filters: &[&Filter]) -> Vec<Leaf> {
        let Some(known) = self.known(parameter) else { return Vec::new() };
        filters
            .iter()
            .filter_map(|filter| match filter {
                Filter::Parameter { parameter: of, criteria } if *of == parameter => {
                    match criteria.as_slice() {
                        [criterion @ Criterion::Date { .. }] => {
                            Some(self.leaf(known.number, criterion))
                        }
                        _ => None,
                    }
                }
                _ => None,
            })
            .collect()
    }

    /// All resources that may meet several conditions on dates of one parameter: those with one value that meets
    /// all, and those with several or long ones, that meet the first.
    pub(super) fn dates_set(&mut self, parameter: ParameterId, filters: &[&Filter]) -> Option<Set> {
        let leaves = self.dates(parameter, filters);
        let (first, others) = leaves.split_first()?;
        let x = &first.alias;
        let plain: Vec<String> = leaves
            .iter()
            .filter_map(|leaf| {
                Some(leaf.plain.as_ref()?.replace(&format!("{}.", leaf.alias), &format!("{x}.")))
            })
            .collect();
        if others.is_empty() {
            return None;
        }
        let number = first.parameter;
        let sql = format!(
            "SELECT {x}.key AS key FROM dates {x} WHERE {x}.parameter = {number}
             AND {x}.wide = 0 AND {x}.ends = 3 AND {}
             UNION ALL SELECT {x}.key AS key FROM dates {x} WHERE {x}.parameter = {number}
             AND ({x}.wide = 1 OR {x}.ends <> 3) AND {}",
            all(plain),
            first.check
        );
        let resource_type = self.known(parameter).map(|known| known.resource_type.clone());
        Some(Set { sql, leaf: None, resource_type })
    }

    fn canonical_chain_set(
        &mut self,
        reference: i64,
        target: &Chained,
        named: &NamedByCanonical,
    ) -> Option<String> {
        let inner = self.set(&target.filter, std::slice::from_ref(&target.resource_type))?;
        let (i, u, f) = (self.alias(), self.alias(), self.alias());
        let uris = self.dialect.then_join("uris", &u, &format!("{u}.key = {i}.key"));
        let on = format!("{f}.parameter = {reference} AND {}", named.meets(&f, &u));
        let referrals = self.dialect.then_join("referrals", &f, &on);
        Some(format!("SELECT {f}.key AS key FROM ({}) {i} {uris} {referrals}", inner.sql))
    }

    fn chain_set(&mut self, reference: i64, target: &Chained) -> Option<String> {
        let inner = self.set(&target.filter, std::slice::from_ref(&target.resource_type))?;
        let (i, t, f) = (self.alias(), self.alias(), self.alias());
        let of = self.bind(SqlValue::text(&target.resource_type));
        let on = format!("{t}.key = {i}.key AND {t}.type = {of} AND {t}.deleted = 0");
        let resources = self.dialect.then_join("resources", &t, &on);
        let on =
            format!("{f}.parameter = {reference} AND {f}.target = {t}.id AND {f}.type = {t}.type");
        let referrals = self.dialect.then_join("referrals", &f, &on);
        Some(format!("SELECT {f}.key AS key FROM ({}) {i} {resources} {referrals}", inner.sql))
    }
}

/// The table of a parameter's values.
pub(in crate::datastore) fn table_of(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::Number => "numbers",
        ParameterKind::Date => "dates",
        ParameterKind::String => "strings",
        ParameterKind::Token | ParameterKind::Composite | ParameterKind::Special => "tokens",
        ParameterKind::Reference => "referrals",
        ParameterKind::Quantity => "quantities",
        ParameterKind::Uri => "uris",
    }
}

/// The column that a parameter is put in order by.
pub(super) fn sort_column(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::Number | ParameterKind::Quantity => "value",
        ParameterKind::Date => "low",
        ParameterKind::String => "folded",
        ParameterKind::Token | ParameterKind::Composite | ParameterKind::Special => "code",
        ParameterKind::Reference => "target",
        ParameterKind::Uri => "uri",
    }
}
