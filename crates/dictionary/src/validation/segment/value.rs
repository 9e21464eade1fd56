//! One value that has no parts: its data type, table, length and escape sequences.

use pipehat_message::{Delimiters, Meaning, Piece, sequences};

use super::{Checker, ESCAPE, Place};
use crate::finding::Detail;
use crate::validation::primitive::Primitive;
use crate::validation::rule::Rule;
use crate::validation::rules::{ANY, ElementRules, NONE};
use crate::validation::table::Membership;

impl<'v> Checker<'v, '_> {
    /// A value that has no further parts.
    #[inline]
    pub(super) fn leaf(
        &mut self,
        rules: &'v ElementRules,
        primitive: Primitive,
        value: &'v [u8],
        flags: u8,
        place: Place,
    ) {
        if value == b"\"\"" {
            return;
        }
        if flags & ESCAPE != 0 {
            self.escapes(value, place, rules);
        }
        if value.len() > rules.length_max as usize {
            self.length(rules, value, place, Rule::ValueTooLong);
        }
        if value.len() > rules.conformance_length as usize {
            self.conformance_length(rules, value, place);
        }
        if let Some(fault) = primitive.fault(value) {
            let kind = match primitive {
                Primitive::Number => "NM",
                Primitive::SequenceId => "SI",
                Primitive::Date => "DT",
                Primitive::Time => "TM",
                Primitive::Timestamp => "DTM",
                Primitive::Telephone => "TN",
                _ => "ID",
            };
            self.report(fault, place, Detail::DataType(rules.name, kind));
        }
        if primitive == Primitive::Code && rules.table != NONE {
            self.in_table(rules.table, value, rules.name, place);
        }
    }

    /// A code against its table.
    #[inline]
    pub(super) fn in_table(&mut self, table: u16, value: &[u8], name: &'static str, place: Place) {
        let Some(table) = self.rules.table_at(table) else { return };
        if table.is_open {
            return;
        }
        let rule = match table.membership(value) {
            Membership::Listed => return,
            Membership::Deprecated => Rule::CodeDeprecated,
            Membership::NotListed if table.is_closed() => Rule::CodeUnknown,
            Membership::NotListed => Rule::CodeNotSuggested,
        };
        let number = table.number;
        self.report(rule, place, Detail::Table(name, number));
    }

    #[cold]
    pub(super) fn length(&mut self, rules: &ElementRules, value: &[u8], place: Place, rule: Rule) {
        if characters(value, &self.delimiters) > rules.length_max as usize {
            self.report(rule, place, Detail::Most(rules.name, rules.length_max));
        }
    }

    #[cold]
    fn conformance_length(&mut self, rules: &ElementRules, value: &[u8], place: Place) {
        if rules.conformance_length != ANY
            && characters(value, &self.delimiters) > rules.conformance_length as usize
        {
            let detail = Detail::Most(rules.name, rules.conformance_length);
            self.report(Rule::ConformanceLength, place, detail);
        }
    }

    #[cold]
    fn escapes(&mut self, value: &[u8], place: Place, rules: &ElementRules) {
        let Some(escape) = self.delimiters.escape else { return };
        let (mut unknown, mut malformed) = (false, false);
        for piece in sequences(value, &self.delimiters) {
            match piece {
                Piece::Text(text) => malformed |= text.contains(&escape),
                Piece::Sequence(sequence) => unknown |= sequence.meaning == Meaning::Unknown,
            }
        }
        if unknown {
            self.report(Rule::EscapeUnknown, place, Detail::Name(rules.name));
        }
        if malformed {
            self.report(Rule::EscapeMalformed, place, Detail::Name(rules.name));
        }
    }
}

/// Characters of a value: UTF-8 continuation bytes are none, and an escape sequence counts as one (HL7 v2.5.1 §2.5.3.2:
/// the length of the value, not of its encoding).
fn characters(value: &[u8], delimiters: &Delimiters) -> usize {
    let of_text = |text: &[u8]| text.iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
    match delimiters.escape {
        Some(escape) if value.contains(&escape) => sequences(value, delimiters)
            .map(|piece| match piece {
                Piece::Text(text) => of_text(text),
                Piece::Sequence(_) => 1,
            })
            .sum(),
        _ => of_text(value),
    }
}
