//! From what a resource is found by to rows of the index tables.

use std::collections::HashMap;

use pipehat_resource::json::Value;
use pipehat_resource::search::{
    ExactNumber, IndexEntry, IndexValue, ParameterId, ParameterKind, TokenValue,
};
use sha2::{Digest, Sha256};

use super::rules::Rules;
use super::schema::{
    DATES, INDEX_TABLES, NUMBERS, QUANTITIES, REFERRALS, STRINGS, TOKENS, Table, URIS,
};
use super::sql::{Pending, Rows, SqlValue};

/// As many bytes of a text stand in an index; databases bound what a key may have.
pub(super) const INDEXED_BYTES_MAX: usize = 500;

/// Spans of time longer than a day are found by their ends apart.
pub(super) const WIDE_MICROS: i64 = 86_400_000_000;

/// As many values of one resource are indexed; what is behind that is not found.
pub(super) const ENTRIES_MAX: usize = 10_000;

/// As many bytes of text of one resource are found by their words.
const WORDS_BYTES_MAX: usize = 256 * 1024;

/// The least value of its resource and parameter.
pub(super) const LEAST: i64 = 1;
/// The greatest.
pub(super) const GREATEST: i64 = 2;

/// What is known of a search parameter.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Its number in index tables.
    pub(super) number: i64,
    pub(super) kind: ParameterKind,
    /// The only type of resource it is of.
    pub(super) resource_type: String,
    /// Of a reference, the types that it may lead to by a canonical address.
    pub(super) canonicals: Vec<String>,
}

/// The lasting numbers of search parameters.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    known: HashMap<ParameterId, Known>,
}

impl Numbering {
    pub(super) fn new(known: HashMap<ParameterId, Known>) -> Self {
        Self { known }
    }

    pub(super) fn known(&self, parameter: ParameterId) -> Option<&Known> {
        self.known.get(&parameter)
    }

    /// The number in index tables.
    pub(super) fn of(&self, parameter: ParameterId) -> Option<i64> {
        self.known.get(&parameter).map(|known| known.number)
    }
}

/// Where the types of identifiers of a token parameter stand.
pub(super) fn of_type(parameter: i64) -> i64 {
    parameter.saturating_add(1)
}

/// The parameter and the number of a row.
fn place(row: &[SqlValue]) -> Option<(i64, i64)> {
    match row {
        [_, SqlValue::Integer(parameter), SqlValue::Integer(n), ..] => Some((*parameter, *n)),
        _ => None,
    }
}

/// The rows of one resource, their key still to be set.
#[derive(Debug, Default, Clone)]
pub(super) struct IndexRows {
    rows: Vec<(&'static Table, Vec<SqlValue>)>,
    pub(super) narrative: String,
    pub(super) whole: String,
}

impl IndexRows {
    /// The rows of what `rules` find in a resource, but for its words.
    pub(super) fn values_of(resource: &Value, rules: &dyn Rules, numbering: &Numbering) -> Self {
        let mut rows = Builder::default();
        for entry in rules.extract(resource).into_iter().take(ENTRIES_MAX) {
            if let Some(parameter) = numbering.of(entry.parameter) {
                rows.entry(parameter, entry);
            }
        }
        rows.finish()
    }

    /// The rows of what `rules` find in a resource.
    pub(super) fn of(resource: &Value, rules: &dyn Rules, numbering: &Numbering) -> Self {
        let mut rows = Self::values_of(resource, rules, numbering);
        let mut text = String::new();
        narrative(resource, &mut text);
        rows.narrative = words(&rules.fold(&text));
        text.clear();
        whole(resource, &mut text);
        rows.whole = words(&rules.fold(&text));
        rows
    }

    /// Adds the rows to `tables`, one of [`INDEX_TABLES`](super::schema::INDEX_TABLES) each.
    pub(super) fn append(mut self, key: i64, tables: &mut Vec<Rows>) {
        for (table, row) in &mut self.rows {
            if let Some(first) = row.first_mut() {
                *first = SqlValue::Integer(key);
            }
            let row = std::mem::take(row);
            match tables.iter_mut().find(|rows| std::ptr::eq(rows.table, *table)) {
                Some(rows) => rows.rows.push(row),
                None => tables.push(Rows { table, rows: vec![row] }),
            }
        }
    }

    /// Leaves out the rows that stand in the index already, as most do after an update, and says which leave it.
    ///
    /// What is to be written is removed first, too: while the index is built anew by other rules, its place may be
    /// taken by what `before` does not know of.
    pub(super) fn replace(&mut self, key: i64, before: &Self, pending: &mut Pending) {
        // A row's number is its place.
        let stays = |at: usize| match (self.rows.get(at), before.rows.get(at)) {
            (Some((table, row)), Some((other, stands))) => {
                std::ptr::eq(*table, *other) && row == stands
            }
            _ => false,
        };
        let stay: Vec<bool> = (0..self.rows.len().max(before.rows.len())).map(stays).collect();
        for table in INDEX_TABLES {
            let places = |rows: &[(&'static Table, Vec<SqlValue>)], staying: bool| {
                let of_table = rows
                    .iter()
                    .zip(&stay)
                    .filter(|((own, _), stays)| std::ptr::eq(*own, table) && **stays == staying);
                of_table.filter_map(|((_, row), _)| place(row)).collect::<Vec<_>>()
            };
            let mut leave = places(&before.rows, false);
            if !leave.is_empty() && places(&before.rows, true).is_empty() {
                pending.unindex(table, key);
                continue;
            }
            leave.extend(places(&self.rows, false));
            leave.sort_unstable();
            leave.dedup();
            for (parameter, n) in leave {
                pending.remove(table, [key, parameter, n]);
            }
        }
        let mut stay = stay.iter();
        self.rows.retain(|_| !stay.next().copied().unwrap_or(false));
    }

    /// The codes it has under these parameters.
    pub(super) fn codes_of<'a>(&'a self, parameters: &'a [i64]) -> impl Iterator<Item = &'a str> {
        self.rows.iter().filter_map(|(table, row)| match row.as_slice() {
            [_, SqlValue::Integer(parameter), _, _, SqlValue::Text(code), ..]
                if std::ptr::eq(*table, &TOKENS) && parameters.contains(parameter) =>
            {
                Some(code.as_str())
            }
            _ => None,
        })
    }

    /// Of the values in a column of a parameter's rows, the least or the greatest.
    pub(super) fn end(
        &self,
        table: &str,
        parameter: i64,
        column: &str,
        greatest: bool,
    ) -> Option<SqlValue> {
        let end = if greatest { GREATEST } else { LEAST };
        let (table, row) = self.rows.iter().find(|(own, row)| {
            let of_parameter = row.get(1) == Some(&SqlValue::Integer(parameter));
            let is_end = matches!(row.last(), Some(SqlValue::Integer(ends)) if ends & end != 0);
            own.name == table && of_parameter && is_end
        })?;
        let at = table.columns.iter().position(|(name, _)| *name == column)?;
        row.get(at).filter(|value| **value != SqlValue::Null).cloned()
    }

    /// The rows as the database gives them back, sorted: for comparison.
    pub(super) fn comparable(self, key: i64) -> Vec<(&'static str, Vec<SqlValue>)> {
        let mut tables = Vec::new();
        self.append(key, &mut tables);
        tables
            .into_iter()
            .flat_map(|rows| rows.rows.into_iter().map(move |row| (rows.table.name, row)))
            .collect()
    }
}

/// A system as index tables have it: its hash, so that no dictionary is needed. 0 stands for none.
pub(super) fn system_number(system: Option<&str>) -> i64 {
    let Some(system) = system.filter(|system| !system.is_empty()) else { return 0 };
    let hash: [u8; 32] = Sha256::digest(system.as_bytes()).into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    match i64::from_le_bytes([a, b, c, d, e, f, g, h]) {
        0 => 1,
        number => number,
    }
}

/// The system of the row that an identifier's type stands in.
pub(super) fn type_number(system: &str, code: &str) -> i64 {
    system_number(Some(&format!("{system}|{code}")))
}

/// A text as it stands in an index where equality is asked for: a long one by its start and its hash.
pub(super) fn shortened(text: &str) -> String {
    if text.len() <= INDEXED_BYTES_MAX {
        return storable(text);
    }
    let hash: String =
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}#{hash}", storable(start(text)))
}

/// As much of a text as stands in an index where its start is asked for.
pub(super) fn start(text: &str) -> &str {
    let mut end = text.len().min(INDEXED_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A text without what PostgreSQL can't keep.
pub(super) fn storable(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() }
}

/// What two values of a parameter are put in order by.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Rank {
    Number(f64),
    Integer(i64),
    Text(String),
}

#[derive(Default)]
struct Builder {
    rows: Vec<(&'static Table, Vec<SqlValue>, Option<Rank>)>,
}

impl Builder {
    fn entry(&mut self, parameter: i64, entry: IndexEntry) {
        let instance = entry.instance;
        match entry.value {
            IndexValue::String { exact, folded } => {
                self.string(parameter, instance, &exact, &folded)
            }
            IndexValue::Token(token) => self.token(parameter, instance, token),
            IndexValue::Reference { resource_type, id, url, version, identifier } => {
                let target = id.or(url).map(|target| shortened(&target));
                let values = vec![
                    target.clone().map_or(SqlValue::Null, SqlValue::Text),
                    SqlValue::optional(resource_type.as_deref()),
                    SqlValue::optional(version.as_deref().map(storable).as_deref()),
                ];
                self.push(&REFERRALS, parameter, instance, values, target.map(Rank::Text));
                if let Some(identifier) = identifier {
                    self.token(parameter, instance, identifier);
                }
            }
            IndexValue::Date { from, to } => {
                let wide = to.saturating_sub(from) > WIDE_MICROS;
                let values = vec![
                    SqlValue::Integer(from),
                    SqlValue::Integer(to),
                    SqlValue::Integer(i64::from(wide)),
                ];
                self.push(&DATES, parameter, instance, values, Some(Rank::Integer(from)));
            }
            IndexValue::Number { value, low, high } => {
                let values = numbers(value, &low, &high);
                self.push(&NUMBERS, parameter, instance, values, Some(Rank::Number(value)));
            }
            IndexValue::Quantity { value, low, high, system, code, unit } => {
                let mut values = numbers(value, &low, &high);
                values.push(SqlValue::Integer(system_number(system.as_deref())));
                values.push(SqlValue::optional(code.as_deref().map(shortened).as_deref()));
                values.push(SqlValue::optional(unit.as_deref().map(shortened).as_deref()));
                self.push(&QUANTITIES, parameter, instance, values, Some(Rank::Number(value)));
            }
            IndexValue::Uri(uri) => {
                let uri = shortened(&uri);
                let values = vec![SqlValue::text(&uri)];
                self.push(&URIS, parameter, instance, values, Some(Rank::Text(uri)));
            }
        }
    }

    fn string(&mut self, parameter: i64, instance: u32, exact: &str, folded: &str) {
        let (exact, folded) = (storable(exact), storable(folded));
        let indexed = start(&folded).to_owned();
        let values = vec![
            SqlValue::text(&indexed),
            if indexed.len() < folded.len() { SqlValue::text(&folded) } else { SqlValue::Null },
            if exact == folded { SqlValue::Null } else { SqlValue::Text(exact) },
        ];
        self.push(&STRINGS, parameter, instance, values, Some(Rank::Text(indexed)));
    }

    fn token(&mut self, parameter: i64, instance: u32, token: TokenValue) {
        let code = token.code.as_deref().map(shortened);
        let system = SqlValue::Integer(system_number(token.system.as_deref()));
        for (type_system, type_code) in &token.of_type {
            let values = vec![
                SqlValue::optional(code.as_deref()),
                SqlValue::Integer(type_number(type_system, type_code)),
            ];
            self.push(&TOKENS, of_type(parameter), instance, values, None);
        }
        if let Some(text) = &token.text {
            self.string(parameter, instance, text, text);
        }
        let values = vec![SqlValue::optional(code.as_deref()), system];
        self.push(&TOKENS, parameter, instance, values, code.map(Rank::Text));
    }

    fn push(
        &mut self,
        table: &'static Table,
        parameter: i64,
        instance: u32,
        values: Vec<SqlValue>,
        rank: Option<Rank>,
    ) {
        let mut row = Vec::with_capacity(values.len() + 5);
        row.push(SqlValue::Null);
        row.push(SqlValue::Integer(parameter));
        row.push(SqlValue::Integer(0));
        row.push(SqlValue::Integer(i64::from(instance)));
        row.extend(values);
        row.push(SqlValue::Integer(0));
        // Among very many values, finding doubles would take longer than keeping them.
        let twice = self.rows.len() < 512
            && self.rows.iter().any(|(other, own, _)| std::ptr::eq(*other, table) && *own == row);
        if !twice {
            self.rows.push((table, row, rank));
        }
    }

    /// Numbers the rows and marks the ends.
    fn finish(self) -> IndexRows {
        let mut rows = self.rows;
        let mut ends: HashMap<(&'static str, i64), (usize, usize)> = HashMap::new();
        for at in 0..rows.len() {
            let Some((table, row, Some(rank))) = rows.get(at) else { continue };
            let Some(SqlValue::Integer(parameter)) = row.get(1) else { continue };
            let ranked = |at: usize| rows.get(at).and_then(|(_, _, rank)| rank.as_ref());
            let (least, greatest) = ends.entry((table.name, *parameter)).or_insert((at, at));
            if ranked(*least).is_some_and(|other| rank < other) {
                *least = at;
            }
            // Of equal ones the last, so that only a value that stands alone is both.
            if ranked(*greatest).is_some_and(|other| rank >= other) {
                *greatest = at;
            }
        }
        for (at, (_, row, _)) in rows.iter_mut().enumerate() {
            if let Some(n) = row.get_mut(2) {
                *n = SqlValue::number(at as u64);
            }
        }
        for (least, greatest) in ends.into_values() {
            for (at, end) in [(least, LEAST), (greatest, GREATEST)] {
                let row = rows.get_mut(at).and_then(|(_, row, _)| row.last_mut());
                if let Some(SqlValue::Integer(ends)) = row {
                    *ends |= end;
                }
            }
        }
        let rows = rows.into_iter().map(|(table, row, _)| (table, row)).collect();
        IndexRows { rows, ..IndexRows::default() }
    }
}

/// A number as index tables have it.
fn numbers(value: f64, low: &ExactNumber, high: &ExactNumber) -> Vec<SqlValue> {
    vec![
        SqlValue::Real(value),
        SqlValue::Real(low.nearest()),
        SqlValue::Real(high.nearest()),
        SqlValue::optional(low.rest()),
        SqlValue::optional(high.rest()),
    ]
}

/// The texts of the narrative, without its tags.
fn narrative(resource: &Value, out: &mut String) {
    if let Some(div) = resource.get("text").and_then(|text| text.text("div")) {
        without_tags(div, out);
    }
}

fn without_tags(html: &str, out: &mut String) {
    for piece in html.split('<') {
        let text = match piece.split_once('>') {
            Some((_, text)) => text,
            None => piece,
        };
        out.push(' ');
        out.push_str(&text.replace("&amp;", "&").replace("&nbsp;", " "));
    }
}

/// All texts of a resource.
fn whole(value: &Value, out: &mut String) {
    match value {
        Value::String(text) if out.len().saturating_add(text.len()) < WORDS_BYTES_MAX => {
            out.push(' ');
            out.push_str(text);
        }
        Value::Array(items) => items.iter().for_each(|item| whole(item, out)),
        Value::Object(object) => {
            for (name, value) in object.iter() {
                match (name, value) {
                    // Not words: what base64 says nobody looks for.
                    ("data" | "resourceType", Value::String(_)) => {}
                    ("div", Value::String(div)) => without_tags(div, out),
                    _ => whole(value, out),
                }
            }
        }
        _ => {}
    }
}

/// The words of a folded text: what stands between anything but letters and digits, each once.
pub(super) fn words(folded: &str) -> String {
    let mut seen = std::collections::HashSet::new();
    let mut out = String::new();
    for word in folded.split(|character: char| !character.is_alphanumeric()) {
        if !word.is_empty() && word.len() <= 64 && seen.insert(word) {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(word);
        }
    }
    out
}
