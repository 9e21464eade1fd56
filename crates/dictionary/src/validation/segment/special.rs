//! What some data types ask beyond their components: of codes, identifiers, numbers, amounts and ranges.

use super::{Checker, Place, component_name};
use crate::finding::Detail;
use crate::table::TableKind;
use crate::validation::primitive::is_number;
use crate::validation::rule::Rule;
use crate::validation::rules::{ElementRules, NONE, Special, TypeRules};
use crate::validation::{identifier, sequence};

impl<'v> Checker<'v, '_> {
    /// What a data type asks for beyond its components.
    pub(super) fn special(
        &mut self,
        rules: &'v ElementRules,
        data_type: &'v TypeRules,
        value: &'v [u8],
        place: Place,
    ) {
        let separator = self.delimiters.component;
        let part = |position: usize| -> &'v [u8] {
            value.split(|&byte| byte == separator).nth(position - 1).unwrap_or_default()
        };
        match data_type.special {
            Special::None => {}
            Special::Coded => {
                if rules.table == NONE {
                    return;
                }
                let code = part(1);
                if !code.is_empty() && code != b"\"\"" && self.is_of_table(rules.table, part(3)) {
                    self.in_table(rules.table, code, rules.name, place.component(1));
                }
            }
            Special::UniversalId(id_at, kind_at) => {
                let (id, kind) = (part(usize::from(id_at)), part(usize::from(kind_at)));
                self.universal_id(id, kind, place, (id_at, kind_at), rules.name);
            }
            Special::Identifier => {
                if part(1).is_empty() && data_type.required & 0b10 == 0 {
                    let name = component_name(data_type, 1);
                    self.report(Rule::ComponentMissing, place.component(1), Detail::Name(name));
                }
                let authority = part(4);
                if let Some(separator) = self.delimiters.subcomponent
                    && authority.contains(&separator)
                {
                    let mut parts = authority.split(|&byte| byte == separator).skip(1);
                    let (id, kind) =
                        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                    let place = place.component(4);
                    self.universal_id_below(id, kind, place, rules.name);
                }
            }
            Special::StructuredNumeric => {
                let comparator =
                    matches!(part(1), b"" | b">" | b"<" | b">=" | b"<=" | b"=" | b"<>" | b"\"\"");
                let separator = matches!(part(3), b"" | b"-" | b"+" | b"/" | b"." | b":" | b"\"\"");
                for (position, right) in [(1, comparator), (3, separator)] {
                    if !right {
                        let place = place.component(position);
                        self.report(
                            Rule::StructuredNumericMalformed,
                            place,
                            Detail::Name(rules.name),
                        );
                    }
                }
            }
            Special::Money => {
                let currency = part(2);
                let letters = currency.len() == 3 && currency.iter().all(u8::is_ascii_uppercase);
                if !currency.is_empty() && !letters && currency != b"\"\"" {
                    let place = place.component(2);
                    self.report(Rule::CurrencyMalformed, place, Detail::Name(rules.name));
                }
            }
            Special::Range => {
                if starts_after(part(1), part(2)) {
                    self.report(Rule::RangeReversed, place, Detail::Name(rules.name));
                }
            }
        }
    }

    /// Whether a coded value with this coding system is of the table.
    fn is_of_table(&self, table: u16, system: &[u8]) -> bool {
        if system.is_empty() {
            return true;
        }
        let Some(table) = self.rules.table_at(table) else { return false };
        system.strip_prefix(b"HL7").and_then(sequence::number) == Some(u32::from(table.number))
            && table.kind != TableKind::External
    }

    fn universal_id(
        &mut self,
        id: &[u8],
        kind: &[u8],
        place: Place,
        (id_at, kind_at): (u16, u16),
        name: &'static str,
    ) {
        if id.is_empty() != kind.is_empty() {
            let missing = if id.is_empty() { id_at } else { kind_at };
            self.report(Rule::UniversalIdIncomplete, place.component(missing), Detail::Name(name));
        } else if !identifier::is_universal_id(id, kind) {
            self.report(Rule::UniversalIdMalformed, place.component(id_at), Detail::Name(name));
        }
    }

    fn universal_id_below(&mut self, id: &[u8], kind: &[u8], place: Place, name: &'static str) {
        if id.is_empty() != kind.is_empty() {
            let missing = if id.is_empty() { 2 } else { 3 };
            let place = place.subcomponent(missing);
            self.report(Rule::UniversalIdIncomplete, place, Detail::Name(name));
        } else if !identifier::is_universal_id(id, kind) {
            self.report(Rule::UniversalIdMalformed, place.subcomponent(2), Detail::Name(name));
        }
    }
}

/// Whether a range of time is the wrong way round; only digits that both have are compared.
fn starts_after(start: &[u8], end: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let both = digits(start).min(digits(end));
    both >= 4
        && is_number(start.get(..both).unwrap_or_default())
        && start.get(..both) > end.get(..both)
}
