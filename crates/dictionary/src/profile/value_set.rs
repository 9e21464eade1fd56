//! Which codes a place may have.

use std::collections::BTreeSet;

use crate::table::{Table, TableNumber};

/// Some codes.
#[derive(Debug, Clone)]
pub struct ValueSet {
    source: ValueSource,
    /// The codes of a list or a code table, or those an HL7 table is extended by.
    with: BTreeSet<Box<str>>,
    without: BTreeSet<Box<str>>,
    table: Option<Table>,
}

/// Where the codes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// They are listed.
    Listed,
    /// The first column of a code table of the project.
    CodeTable(Box<str>),
    /// A table of the standard, perhaps with codes more or fewer.
    Standard(TableNumber),
    /// Any code is taken, whatever the standard says.
    Any,
}

/// The most codes of a value set; more are a terminology, which is for a code table.
pub(super) const CODES_MAX: usize = 100_000;

impl ValueSet {
    /// The codes of a list.
    pub fn listed<C: Into<Box<str>>>(codes: impl IntoIterator<Item = C>) -> Self {
        Self::of(ValueSource::Listed, codes.into_iter().map(Into::into).collect())
    }

    /// The codes of a code table of the project.
    pub fn code_table(name: &str, codes: BTreeSet<Box<str>>) -> Self {
        Self::of(ValueSource::CodeTable(name.into()), codes)
    }

    /// The codes of a table of the standard, some more and some fewer.
    pub fn standard(table: Table, with: BTreeSet<Box<str>>, without: BTreeSet<Box<str>>) -> Self {
        Self {
            without,
            table: Some(table),
            ..Self::of(ValueSource::Standard(table.number()), with)
        }
    }

    /// Any code.
    pub fn any() -> Self {
        Self::of(ValueSource::Any, BTreeSet::new())
    }

    fn of(source: ValueSource, with: BTreeSet<Box<str>>) -> Self {
        Self { source, with, without: BTreeSet::new(), table: None }
    }

    /// Where the codes come from.
    pub fn source(&self) -> &ValueSource {
        &self.source
    }

    /// The table of the standard that its codes come from.
    pub fn table(&self) -> Option<Table> {
        self.table
    }

    /// The codes of a list or a code table, or those an HL7 table is extended by.
    pub fn with(&self) -> &BTreeSet<Box<str>> {
        &self.with
    }

    /// The codes an HL7 table is restricted by.
    pub fn without(&self) -> &BTreeSet<Box<str>> {
        &self.without
    }

    /// Whether a code is one of them.
    pub fn contains(&self, code: &[u8]) -> bool {
        if self.source == ValueSource::Any {
            return true;
        }
        let Ok(text) = std::str::from_utf8(code) else { return false };
        self.with.contains(text)
            || self.table.is_some_and(|table| table.code(code).is_some())
                && !self.without.contains(text)
    }

    /// How many codes it has, as far as it lists them.
    pub fn len(&self) -> usize {
        let standard = self.table.map_or(0, |table| table.code_count());
        (standard + self.with.len()).saturating_sub(self.without.len())
    }

    /// Whether it lists none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
