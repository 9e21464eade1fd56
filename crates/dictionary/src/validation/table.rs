//! Codes of a table, laid out to be found fast, and which tables are open.

use crate::table::{Table, TableKind};

/// HL7 tables of which other codes than the listed ones are right, and why.
///
/// 0003, 0076, 0103, 0104 and 0354: MSH-9, MSH-11 and MSH-12 have rules of their own.
/// 0396 coding systems: `99zzz`, `HL7nnnn` and those that were registered since. 0203: identifier types are added between
/// versions. 0211: character sets have a rule of their own. 0227, 0292, 0399: lists of others that grow. 0125: new types.
/// 0440: names of types. 0070, 0163, 0487, 0371: specimen and site codes, replaced by SNOMED CT in practice.
/// 0191 and 0834, 0291: MIME types, which IANA registers. 0301: `L`, `M` and `N` as well as what users agree on is allowed.
const OPEN: &[u16] = &[
    3, 70, 76, 103, 104, 125, 163, 191, 203, 211, 227, 291, 292, 354, 371, 396, 399, 440, 487, 834,
];

/// The codes of one table.
#[derive(Debug, Clone)]
pub(crate) struct TableRules {
    pub(crate) number: u16,
    pub(crate) kind: TableKind,
    /// Nothing can be said about a code that is not listed.
    pub(crate) is_open: bool,
    /// Codes of at most eight bytes, each as a number, sorted.
    short: Vec<u64>,
    /// Longer ones, sorted.
    long: Vec<&'static [u8]>,
    /// Those for older messages only, sorted. Few.
    deprecated: Vec<&'static [u8]>,
}

/// What a table says about a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    Listed,
    Deprecated,
    NotListed,
}

impl TableRules {
    pub(super) fn of(table: Table) -> Self {
        let codes = || table.codes().map(|code| code.code());
        let number = table.number().get();
        let mut short: Vec<u64> = codes().filter_map(|code| short_key(code.as_bytes())).collect();
        short.sort_unstable();
        let mut long: Vec<&[u8]> =
            codes().map(str::as_bytes).filter(|code| short_key(code).is_none()).collect();
        long.sort_unstable();
        let deprecated =
            table.codes().filter(|code| code.is_deprecated()).map(|code| code.code().as_bytes());
        Self {
            number,
            kind: table.kind(),
            // A list of one is an example.
            is_open: OPEN.contains(&number)
                || table.kind() == TableKind::External
                || codes().len() < 2
                || codes().any(describes),
            short,
            long,
            deprecated: deprecated.collect(),
        }
    }

    #[inline]
    pub(crate) fn membership(&self, code: &[u8]) -> Membership {
        let listed = match short_key(code) {
            Some(key) => self.short.binary_search(&key).is_ok(),
            None => self.long.binary_search(&code).is_ok(),
        };
        if !listed {
            return Membership::NotListed;
        }
        if self.deprecated.is_empty() || self.deprecated.binary_search(&code).is_err() {
            Membership::Listed
        } else {
            Membership::Deprecated
        }
    }
}

/// A code as a number that differs for every code of at most eight bytes (codes hold no NUL).
#[inline]
pub(super) fn short_key(code: &[u8]) -> Option<u64> {
    if code.len() > 8 {
        return None;
    }
    Some(code.iter().fold(0, |key, &byte| key << 8 | u64::from(byte)))
}

/// Whether the list has a description, a range or an ellipsis in place of a code.
fn describes(code: &str) -> bool {
    code.is_empty()
        || code.contains("...")
        || code.contains('…')
        || (code.len() > 1 && code.contains(['<', '*', '(']))
        || (code.len() > 3 && code.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TableNumber, Version};

    #[test]
    fn codes_are_found_as_the_definitions_list_them() {
        for version in Version::ALL {
            for table in version.tables() {
                let rules = TableRules::of(table);
                for code in table.codes() {
                    let expected = if code.is_deprecated() {
                        Membership::Deprecated
                    } else {
                        Membership::Listed
                    };
                    assert_eq!(rules.membership(code.code().as_bytes()), expected, "{code:?}");
                }
                assert_eq!(rules.membership(b"\x01none"), Membership::NotListed);
            }
        }
    }

    #[test]
    fn lists_with_descriptions_are_open() {
        let is_open = |number| {
            let table = Version::V2_5_1.table(TableNumber::new(number)?)?;
            Some(TableRules::of(table).is_open)
        };
        for (number, expected) in [(1, false), (103, true), (85, false), (112, true), (396, true)] {
            assert_eq!(is_open(number), Some(expected), "{number:04}");
        }
    }
}
