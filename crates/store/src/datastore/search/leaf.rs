//! One criterion as conditions on the rows of an index table.

use pipehat_resource::search::{
    Comparator, Criterion, DateRange, ExactNumber, ReferenceCriterion, StringMatch, TokenCriterion,
    UriMatch,
};

use super::builder::Builder;
use crate::datastore::entries::{
    INDEXED_BYTES_MAX, WIDE_MICROS, of_type, shortened, start, storable, system_number, type_number,
};
use crate::datastore::sql::{Dialect, SqlValue};

/// How many alternatives are few: more are taken together where they can be.
const FEW: usize = 16;

/// How many conditions stand side by side; more stand in groups. SQLite takes conditions 1,000 deep, and has each of
/// those side by side stand in the one before.
const TOGETHER_MAX: usize = 16;

/// How many sets are one union; more are a union of unions. SQLite takes 500 in one.
const SETS_MAX: usize = 100;

/// A condition on rows of one table.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) table: &'static str,
    pub(super) parameter: i64,
    /// The name of the row in the conditions.
    pub(super) alias: String,
    /// What the rows of one resource are held against.
    pub(super) check: String,
    /// What finds rows among all, each by a span of an index; together they find all.
    pub(super) parts: Vec<String>,
    /// The rows come in the order of keys.
    pub(super) ordered: bool,
    /// Of a date: the condition on the only value of a resource that is no longer than a day, with bounds for the
    /// index.
    pub(super) plain: Option<String>,
    /// Finding rows reads all values of the parameter.
    pub(super) scans: bool,
}

impl Leaf {
    /// Finds the keys of resources, all of these together.
    pub(super) fn sets(&self) -> impl Iterator<Item = String> {
        let Self { table, parameter, alias, .. } = self;
        self.parts.iter().map(move |part| {
            format!(
                "SELECT {alias}.key AS key FROM {table} {alias}
                 WHERE {alias}.parameter = {parameter} AND {part}"
            )
        })
    }

    /// Whether a row of this resource meets one of these, which are of the same parameter. Many are looked for in one
    /// go through the resource's rows.
    pub(super) fn any_exists(leaves: &[Self], dialect: Dialect, key: &str) -> String {
        if leaves.len() <= FEW {
            return any(leaves.iter().map(|leaf| leaf.exists(dialect, key)).collect());
        }
        let mut tables: Vec<Self> = Vec::new();
        let mut checks: Vec<Vec<String>> = Vec::new();
        for leaf in leaves {
            let same = tables
                .iter()
                .position(|known| known.table == leaf.table && known.parameter == leaf.parameter);
            let at = same.unwrap_or_else(|| {
                tables.push(leaf.clone());
                checks.push(Vec::new());
                tables.len().saturating_sub(1)
            });
            if let (Some(known), Some(checks)) = (tables.get(at), checks.get_mut(at)) {
                let own = format!("{}.", leaf.alias);
                let check = leaf.check.replace(&own, &format!("{}.", known.alias));
                checks.push(format!("({check})"));
            }
        }
        let alternatives = tables
            .into_iter()
            .zip(checks)
            .map(|(table, checks)| Self { check: any(checks), ..table }.exists(dialect, key))
            .collect();
        any(alternatives)
    }

    /// Whether a row of this resource meets it.
    pub(super) fn exists(&self, dialect: Dialect, key: &str) -> String {
        let Self { table, parameter, alias, check, .. } = self;
        let rows = dialect.by_key(table, alias);
        dialect.exists(&format!(
            "SELECT 1 FROM {rows} WHERE {alias}.key = {key}
             AND {alias}.parameter = {parameter} AND {check}"
        ))
    }
}

impl Builder<'_> {
    /// A criterion of the parameter numbered so.
    pub(super) fn leaf(&mut self, parameter: i64, criterion: &Criterion) -> Leaf {
        let x = self.alias();
        match criterion {
            Criterion::String { match_by, text } => self.string_leaf(x, parameter, *match_by, text),
            Criterion::Token(token) => self.token_leaf(x, parameter, token),
            Criterion::Reference(ReferenceCriterion::Identifier(token)) => {
                self.token_leaf(x, parameter, token)
            }
            Criterion::Reference(reference) => self.reference_leaf(x, parameter, reference),
            Criterion::Date { comparator, range } => {
                self.date_leaf(x, parameter, *comparator, *range)
            }
            Criterion::Number { comparator, value, low, high } => {
                let numbers = [value, low, high].map(|number| self.exact_number(number));
                let (check, parts) = number(&x, *comparator, &numbers);
                let scans = *comparator == Comparator::NotEqual;
                Leaf {
                    table: "numbers",
                    parameter,
                    alias: x,
                    check,
                    parts,
                    ordered: false,
                    plain: None,
                    scans,
                }
            }
            Criterion::Quantity { comparator, value, low, high, system, code } => {
                let numbers = [value, low, high].map(|number| self.exact_number(number));
                let (check, parts) = number(&x, *comparator, &numbers);
                let scans = *comparator == Comparator::NotEqual;
                let unit = self.unit(&x, system.as_deref(), code.as_deref());
                let check = format!("{check}{unit}");
                let parts = parts.into_iter().map(|part| format!("{part}{unit}")).collect();
                Leaf {
                    table: "quantities",
                    parameter,
                    alias: x,
                    check,
                    parts,
                    ordered: false,
                    plain: None,
                    scans,
                }
            }
            Criterion::Uri { match_by, uri } => self.uri_leaf(x, parameter, *match_by, uri),
        }
    }

    fn string_leaf(&mut self, x: String, parameter: i64, by: StringMatch, text: &str) -> Leaf {
        let text = storable(text);
        let whole = format!("coalesce({x}.rest, {x}.folded)");
        let check = match by {
            StringMatch::Start if text.len() < INDEXED_BYTES_MAX => {
                self.begins(&format!("{x}.folded"), &text)
            }
            StringMatch::Start => {
                let first = self.bind(SqlValue::text(start(&text)));
                let characters = text.chars().count();
                let text = self.bind(SqlValue::Text(text));
                format!("{x}.folded = {first} AND substr({whole}, 1, {characters}) = {text}")
            }
            StringMatch::Contains => {
                let text = self.bind(SqlValue::Text(text));
                self.dialect.contains(&whole, &text)
            }
            StringMatch::End => {
                let characters = text.chars().count();
                let text = self.bind(SqlValue::Text(text));
                match self.dialect {
                    _ if characters == 0 => "1 = 1".to_owned(),
                    Dialect::Sqlite => format!("substr({whole}, -{characters}) = {text}"),
                    Dialect::Postgres => format!("right({whole}, {characters}) = {text}"),
                }
            }
            StringMatch::Equal => {
                let first = self.bind(SqlValue::text(start(&text)));
                let text = self.bind(SqlValue::Text(text));
                format!("{x}.folded = {first} AND {whole} = {text}")
            }
            StringMatch::Exact => {
                let folded = storable(&self.fold(&text));
                let first = self.bind(SqlValue::text(start(&folded)));
                let text = self.bind(SqlValue::Text(text));
                format!("{x}.folded = {first} AND coalesce({x}.exact, {whole}) = {text}")
            }
        };
        let ordered = matches!(by, StringMatch::Exact | StringMatch::Equal);
        let scans = matches!(by, StringMatch::Contains | StringMatch::End);
        let parts = vec![check.clone()];
        Leaf { table: "strings", parameter, alias: x, parts, check, ordered, plain: None, scans }
    }

    fn token_leaf(&mut self, x: String, parameter: i64, token: &TokenCriterion) -> Leaf {
        let mut number = parameter;
        let mut ordered = true;
        let check = match token {
            TokenCriterion::Code(code) => {
                let code = self.bind(SqlValue::Text(shortened(code)));
                format!("{x}.code = {code}")
            }
            TokenCriterion::SystemCode(system, code) => {
                let code = self.bind(SqlValue::Text(shortened(code)));
                format!("{x}.code = {code} AND {x}.system = {}", system_number(Some(system)))
            }
            TokenCriterion::NoSystem(code) => {
                let code = self.bind(SqlValue::Text(shortened(code)));
                format!("{x}.code = {code} AND {x}.system = 0")
            }
            TokenCriterion::System(system) => {
                ordered = false;
                format!("{x}.code IS NOT NULL AND {x}.system = {}", system_number(Some(system)))
            }
            TokenCriterion::Text(text) => {
                return self.string_leaf(x, parameter, StringMatch::Start, text);
            }
            TokenCriterion::OfType { type_system, type_code, value } => {
                number = of_type(parameter);
                let value = self.bind(SqlValue::Text(shortened(value)));
                let kind = type_number(type_system, type_code);
                format!("{x}.code = {value} AND {x}.system = {kind}")
            }
            TokenCriterion::OneOf(codes) => {
                ordered = false;
                self.one_of(&x, codes)
            }
        };
        let parts = vec![check.clone()];
        let scans = matches!(token, TokenCriterion::System(_));
        Leaf {
            table: "tokens",
            parameter: number,
            alias: x,
            parts,
            check,
            ordered,
            plain: None,
            scans,
        }
    }

    fn one_of(&mut self, x: &str, codes: &[(Option<String>, String)]) -> String {
        let mut by_system: Vec<(Option<&str>, Vec<String>)> = Vec::new();
        for (system, code) in codes {
            let (system, code) = (system.as_deref(), shortened(code));
            match by_system.iter_mut().find(|(known, _)| *known == system) {
                Some((_, codes)) => codes.push(code),
                None => by_system.push((system, vec![code])),
            }
        }
        let alternatives: Vec<String> = by_system
            .into_iter()
            .map(|(system, codes)| {
                let codes = self.bind_texts(codes);
                let system = match system {
                    None => String::new(),
                    Some(system) => {
                        format!(" AND {x}.system = {}", system_number(Some(system)))
                    }
                };
                format!("{x}.code {codes}{system}")
            })
            .collect();
        any(alternatives)
    }

    fn reference_leaf(
        &mut self,
        x: String,
        parameter: i64,
        reference: &ReferenceCriterion,
    ) -> Leaf {
        let check = match reference {
            ReferenceCriterion::Local { resource_type, id } => {
                let id = self.bind(SqlValue::Text(shortened(id)));
                match resource_type {
                    None => format!("{x}.target = {id}"),
                    Some(resource_type) => {
                        let resource_type = self.bind(SqlValue::text(resource_type));
                        format!("{x}.target = {id} AND {x}.type = {resource_type}")
                    }
                }
            }
            ReferenceCriterion::Url { url, version } => {
                let url = self.bind(SqlValue::Text(shortened(url)));
                match version {
                    None => format!("{x}.target = {url}"),
                    Some(version) => {
                        let version = self.bind(SqlValue::text(version));
                        format!("{x}.target = {url} AND {x}.version = {version}")
                    }
                }
            }
            ReferenceCriterion::Identifier(_) => "1 = 0".to_owned(),
        };
        let parts = vec![check.clone()];
        Leaf {
            table: "referrals",
            parameter,
            alias: x,
            parts,
            check,
            ordered: true,
            plain: None,
            scans: false,
        }
    }

    /// See [`Comparator`] for what each means.
    fn date_leaf(
        &mut self,
        x: String,
        parameter: i64,
        comparator: Comparator,
        range: DateRange,
    ) -> Leaf {
        let from = self.bind(SqlValue::Integer(range.from));
        let to = self.bind(SqlValue::Integer(range.to));
        let before = |time: i64| time.saturating_sub(WIDE_MICROS);
        let (low, high) = (format!("{x}.low"), format!("{x}.high"));
        let equal = format!("{low} >= {from} AND {high} <= {to}");
        // A span of at most a day that ends behind a time begins at most a day before it; longer ones have an index
        // by their end.
        let check;
        let parts = match comparator {
            Comparator::Equal => {
                check = equal;
                vec![format!("{low} >= {from} AND {low} <= {to} AND {high} <= {to}")]
            }
            Comparator::NotEqual => {
                check = format!("({low} < {from} OR {high} > {to})");
                vec![check.clone()]
            }
            Comparator::Greater => {
                check = format!("{high} > {to}");
                let least = self.bind(SqlValue::Integer(before(range.to)));
                vec![
                    format!("{x}.wide = 0 AND {low} >= {least} AND {check}"),
                    format!("{x}.wide = 1 AND {check}"),
                ]
            }
            Comparator::GreaterOrEqual => {
                check = format!("({high} > {to} OR ({equal}))");
                let least = before(range.to).min(range.from);
                let least = self.bind(SqlValue::Integer(least));
                vec![
                    format!("{x}.wide = 0 AND {low} >= {least} AND {check}"),
                    format!("{x}.wide = 1 AND {high} >= {from} AND {check}"),
                ]
            }
            Comparator::Less => {
                check = format!("{low} < {from}");
                vec![check.clone()]
            }
            Comparator::LessOrEqual => {
                check = format!("({low} < {from} OR ({equal}))");
                vec![format!("{low} <= {to} AND {check}")]
            }
            Comparator::StartsAfter => {
                check = format!("{low} > {to}");
                vec![check.clone()]
            }
            Comparator::EndsBefore => {
                check = format!("{high} < {from}");
                vec![format!("{low} < {from} AND {check}")]
            }
            Comparator::Approximately => {
                check = format!("{low} <= {to} AND {high} >= {from}");
                let least = self.bind(SqlValue::Integer(before(range.from)));
                vec![
                    format!("{x}.wide = 0 AND {low} >= {least} AND {check}"),
                    format!("{x}.wide = 1 AND {check}"),
                ]
            }
        };
        let scans = comparator == Comparator::NotEqual;
        let plain = parts.first().cloned();
        Leaf { table: "dates", parameter, alias: x, check, parts, ordered: false, plain, scans }
    }

    fn exact_number(&mut self, number: &ExactNumber) -> BoundNumber {
        let nearest = self.bind(SqlValue::Real(number.nearest()));
        let plain = self.bind(SqlValue::text(&number.plain()));
        let digits = match number.rest() {
            Some(digits) => self.bind(SqlValue::text(digits)),
            None => plain.clone(),
        };
        BoundNumber { nearest, digits, plain }
    }

    fn unit(&mut self, x: &str, system: Option<&str>, code: Option<&str>) -> String {
        let mut condition = String::new();
        if let Some(system) = system {
            condition.push_str(&format!(" AND {x}.system = {}", system_number(Some(system))));
        }
        if let Some(code) = code {
            let code = self.bind(SqlValue::Text(shortened(code)));
            condition.push_str(&match system {
                Some(_) => format!(" AND {x}.code = {code}"),
                None => format!(" AND ({x}.code = {code} OR {x}.unit = {code})"),
            });
        }
        condition
    }

    fn uri_leaf(&mut self, x: String, parameter: i64, by: UriMatch, uri: &str) -> Leaf {
        let check = match by {
            UriMatch::Exact => {
                let uri = self.bind(SqlValue::Text(shortened(uri)));
                format!("{x}.uri = {uri}")
            }
            UriMatch::Below => self.begins(&format!("{x}.uri"), start(&storable(uri))),
            UriMatch::Above => {
                let ends = uri.char_indices().map(|(at, character)| at + character.len_utf8());
                let beginnings = ends
                    .take(INDEXED_BYTES_MAX)
                    .filter_map(|end| uri.get(..end))
                    .map(shortened)
                    .collect();
                let beginnings = self.bind_texts(beginnings);
                format!("{x}.uri {beginnings}")
            }
            UriMatch::Contains => {
                let uri = self.bind(SqlValue::Text(storable(uri)));
                self.dialect.contains(&format!("{x}.uri"), &uri)
            }
        };
        let ordered = by == UriMatch::Exact;
        let scans = by == UriMatch::Contains;
        let parts = vec![check.clone()];
        Leaf { table: "uris", parameter, alias: x, parts, check, ordered, plain: None, scans }
    }

    /// That a text begins so: a span of the index, without wildcards.
    fn begins(&mut self, column: &str, text: &str) -> String {
        let from = self.bind(SqlValue::text(text));
        match behind(text) {
            None => format!("{column} >= {from}"),
            Some(to) => {
                let to = self.bind(SqlValue::Text(to));
                format!("{column} >= {from} AND {column} < {to}")
            }
        }
    }
}

/// The least text behind all that begin with this one, by bytes.
fn behind(text: &str) -> Option<String> {
    let mut characters: Vec<char> = text.chars().collect();
    while let Some(last) = characters.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            _ => u32::from(last).checked_add(1).and_then(char::from_u32),
        };
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// A number that was asked for, bound to a statement.
struct BoundNumber {
    /// The double next to it.
    nearest: String,
    /// Its digits.
    digits: String,
    /// The digits that a row of the same double has where it has none.
    plain: String,
}

impl BoundNumber {
    /// That an end of a row's number compares so with it, exactly: doubles first, digits where these are the same.
    /// Never null.
    fn compared(&self, end: &str, sign: &str) -> String {
        let Self { nearest, digits, plain } = self;
        let strictly = sign.trim_end_matches('=');
        format!(
            "({end} {strictly} {nearest}
             OR ({end} = {nearest} AND coalesce({end}_rest, {plain}) {sign} {digits}))"
        )
    }
}

/// How numbers compare, see [`Comparator`]. What is a single number is found by the index of `value`, which leads to
/// the doubles that may do; ranges have one of their own.
fn number(
    x: &str,
    comparator: Comparator,
    [value, low, high]: &[BoundNumber; 3],
) -> (String, Vec<String>) {
    let (own, from, to) = (format!("{x}.value"), format!("{x}.low"), format!("{x}.high"));
    let inside = || format!("{} AND {}", low.compared(&from, ">="), high.compared(&to, "<"));
    let at_least = |number: &BoundNumber| format!("{own} >= {}", number.nearest);
    let at_most = |number: &BoundNumber| format!("{own} <= {}", number.nearest);
    let (check, of_single) = match comparator {
        Comparator::Equal => {
            let check = inside();
            let part = format!("{} AND {} AND {check}", at_least(low), at_most(high));
            return (check, vec![part]);
        }
        Comparator::NotEqual => {
            let check = format!("NOT ({})", inside());
            return (check.clone(), vec![check]);
        }
        Comparator::Greater => (value.compared(&to, ">"), at_least(value)),
        Comparator::Less => (value.compared(&from, "<"), at_most(value)),
        Comparator::GreaterOrEqual => (value.compared(&to, ">="), at_least(value)),
        Comparator::LessOrEqual => (value.compared(&from, "<="), at_most(value)),
        Comparator::StartsAfter => (value.compared(&from, ">"), at_least(value)),
        Comparator::EndsBefore => (value.compared(&to, "<"), at_most(value)),
        Comparator::Approximately => (
            format!("{} AND {}", high.compared(&from, "<="), low.compared(&to, ">=")),
            format!("{} AND {}", at_most(high), at_least(low)),
        ),
    };
    let single = format!("{of_single} AND {check}");
    let ranges = format!("{from} < {to} AND {check}");
    (check, vec![single, ranges])
}

/// Codes and addresses that are many are looked for as one list.
pub(super) fn gathered(criteria: &[Criterion]) -> Vec<Criterion> {
    if criteria.len() <= FEW {
        return criteria.to_vec();
    }
    let mut codes = Vec::new();
    let mut others = Vec::new();
    for criterion in criteria {
        match criterion {
            Criterion::Token(TokenCriterion::Code(code)) => codes.push((None, code.clone())),
            Criterion::Token(TokenCriterion::SystemCode(system, code)) => {
                codes.push((Some(system.clone()), code.clone()));
            }
            other => others.push(other.clone()),
        }
    }
    if !codes.is_empty() {
        others.push(Criterion::Token(TokenCriterion::OneOf(codes)));
    }
    others
}

/// One of these.
pub(super) fn any(alternatives: Vec<String>) -> String {
    match alternatives.as_slice() {
        [] => "1 = 0".to_owned(),
        [one] => one.clone(),
        few if few.len() <= TOGETHER_MAX => format!("({})", few.join(" OR ")),
        many => any(many.chunks(group(many.len())).map(|some| any(some.to_vec())).collect()),
    }
}

/// All of these.
pub(super) fn all(conditions: Vec<String>) -> String {
    match conditions.as_slice() {
        [] => "1 = 1".to_owned(),
        few if few.len() <= TOGETHER_MAX => few.join(" AND "),
        many => {
            let groups = many.chunks(group(many.len()));
            all(groups.map(|some| format!("({})", all(some.to_vec()))).collect())
        }
    }
}

/// All keys of these sets.
pub(super) fn union(sets: Vec<String>) -> String {
    match sets.as_slice() {
        [] => "SELECT key FROM resources WHERE 1 = 0".to_owned(),
        few if few.len() <= SETS_MAX => few.join(" UNION ALL "),
        // `DISTINCT` keeps SQLite from making one long union of them again.
        many => {
            let groups = many.chunks(SETS_MAX).enumerate();
            let named = |(at, some): (usize, &[String])| {
                format!("SELECT DISTINCT key FROM ({}) g{at}", union(some.to_vec()))
            };
            union(groups.map(named).collect())
        }
    }
}

/// How many of so many stand in one group, so that there are few groups.
fn group(all: usize) -> usize {
    all.div_ceil(TOGETHER_MAX).max(2)
}
