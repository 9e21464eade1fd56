//! The smallest parts of a message in order, each with its treatment.

use std::ops::Range;

use pipehat_dictionary::{DataType, Table, Version};
use pipehat_message::{Delimiters, Message, SegmentName};

use super::rules::{Allowance, Rule, Rules, Treatment};

/// A part of a message that has no parts.
#[derive(Clone)]
pub(super) struct Leaf {
    /// Where it stands in the text.
    pub(super) at: Range<usize>,
    pub(super) treatment: Treatment,
    /// Whether its user lets it stay.
    pub(super) allowed: Option<usize>,
    /// The table of a code.
    pub(super) table: Option<Table>,
    /// The line it is in, from 0.
    pub(super) line: usize,
    /// From 1.
    pub(super) field: usize,
    /// What stands beside it in the same repetition.
    pub(super) beside: Beside,
}

/// The neighbours a treatment looks at.
#[derive(Clone, Default)]
pub(super) struct Beside {
    /// The code of a name, the identifier of a check digit, the country of a postal code.
    pub(super) first: Range<usize>,
    /// The scheme of a check digit.
    pub(super) second: Range<usize>,
}

/// Finds the leaves of a message whose bytes are `text`.
pub(super) fn leaves(
    text: &str,
    message: &Message<'_>,
    version: Version,
    allowed: &[Allowance],
    rules: &mut Rules,
) -> Vec<Leaf> {
    let mut walk = Walk {
        text,
        version,
        allowed,
        rules,
        delimiters: message.delimiters(),
        leaves: Vec::new(),
    };
    for (line, segment) in message.segments().enumerate() {
        // Slices of the text that was parsed: their distance is where they stand in it.
        let start = (segment.raw().as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        let at = start..start.saturating_add(segment.raw().len()).min(text.len());
        match segment.segment_name() {
            Some(name) => walk.segment(line, name, at),
            // Most likely free text with line ends of its own.
            None => walk.push(line, 0, at, (Treatment::Text, None, None), Beside::default()),
        }
    }
    walk.leaves
}

struct Walk<'a> {
    text: &'a str,
    version: Version,
    allowed: &'a [Allowance],
    rules: &'a mut Rules,
    delimiters: Delimiters,
    leaves: Vec<Leaf>,
}

/// One repetition of a field.
struct Repetition {
    line: usize,
    segment: SegmentName,
    field: usize,
    components: Vec<Range<usize>>,
}

impl Walk<'_> {
    fn push(
        &mut self,
        line: usize,
        field: usize,
        at: Range<usize>,
        (treatment, table, allowed): (Treatment, Option<Table>, Option<usize>),
        beside: Beside,
    ) {
        let present =
            self.text.get(at.clone()).is_some_and(|value| !value.is_empty() && value != "\"\"");
        if present {
            self.leaves.push(Leaf { at, treatment, allowed, table, line, field, beside });
        }
    }

    fn split(&self, at: &Range<usize>, delimiter: u8) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut start = at.start;
        let bytes = self.text.as_bytes().get(at.clone()).unwrap_or_default();
        for (offset, &byte) in bytes.iter().enumerate() {
            if byte == delimiter {
                parts.push(start..at.start + offset);
                start = at.start + offset + 1;
            }
        }
        parts.push(start..at.end);
        parts
    }

    fn segment(&mut self, line: usize, name: SegmentName, at: Range<usize>) {
        let fields = self.split(&at, self.delimiters.field);
        let declares = name.declares_delimiters();
        let value_type = (name.as_str() == "OBX")
            .then(|| fields.get(2).and_then(|at| self.text.get(at.clone())))
            .flatten()
            .map(str::to_owned);
        for (index, field) in fields.iter().cloned().enumerate().skip(1) {
            // MSH-1 is the separator itself, so that MSH-2 comes after the first one.
            let position = if declares { index + 1 } else { index };
            if declares && position == 2 {
                continue;
            }
            let value_type = value_type.as_deref().filter(|_| position == 5);
            let rule = match self.rules.field(self.version, name, position, value_type) {
                Rule::Whole(Treatment::Number) if position == 5 && self.is_age(&fields) => {
                    Rule::Whole(Treatment::Age)
                }
                rule => rule,
            };
            for repetition in self.split(&field, self.delimiters.repetition) {
                let components = self.split(&repetition, self.delimiters.component);
                self.repetition(
                    &Repetition { line, segment: name, field: position, components },
                    rule,
                );
            }
        }
    }

    /// Whether an observation is somebody's age: by its code or by its unit, years (UCUM `a`).
    fn is_age(&self, fields: &[Range<usize>]) -> bool {
        let first = |position: usize| {
            let field = fields.get(position).and_then(|at| self.text.get(at.clone()));
            field.and_then(|field| field.split(char::from(self.delimiters.component)).next())
        };
        fields.first().and_then(|at| self.text.get(at.clone())) == Some("OBX")
            && (matches!(first(3), Some("30525-0" | "21612-7" | "29553-5" | "63900-5"))
                || matches!(first(6), Some("a" | "yr" | "yrs" | "y" | "year" | "years")))
    }

    fn repetition(&mut self, repetition: &Repetition, rule: Rule) {
        let outer = match rule {
            Rule::Typed(data_type) => Some(data_type),
            Rule::Whole(_) | Rule::Coded(_) => None,
        };
        for (index, at) in repetition.components.iter().enumerate() {
            let position = index + 1;
            let rule = match rule {
                Rule::Typed(data_type) => self.rules.component(data_type, position),
                // A field without components that has some: the first is what it should be.
                other if position == 1 => other,
                Rule::Whole(treatment) => Rule::Whole(beyond(treatment)),
                Rule::Coded(_) => Rule::Whole(Treatment::Identifier),
            };
            let beside = beside(repetition, outer, position);
            self.component(repetition, position, at, rule, &beside);
        }
    }

    fn component(
        &mut self,
        repetition: &Repetition,
        position: usize,
        at: &Range<usize>,
        rule: Rule,
        beside: &Beside,
    ) {
        let allowed = self
            .allowed
            .iter()
            .position(|allowance| allowance.allows(repetition.segment, repetition.field, position));
        let parts = match self.delimiters.subcomponent {
            Some(delimiter) => self.split(at, delimiter),
            None => vec![at.clone()],
        };
        for (index, part) in parts.into_iter().enumerate() {
            let rule = match rule {
                Rule::Typed(inner) => self.rules.component(inner, index + 1),
                other => other,
            };
            let (treatment, table) = match rule {
                Rule::Whole(treatment) => (treatment, None),
                Rule::Coded(table) => (Treatment::Code, Some(table)),
                // Deeper than a message can go: by its first part.
                Rule::Typed(_) => (Treatment::Identifier, None),
            };
            let how = (treatment, table, allowed);
            self.push(repetition.line, repetition.field, part, how, beside.clone());
        }
    }
}

/// What components after the first get in a field that should have one.
fn beyond(treatment: Treatment) -> Treatment {
    match treatment {
        Treatment::Structural
        | Treatment::Text
        | Treatment::Document
        | Treatment::Name
        | Treatment::Unknown => treatment,
        _ => Treatment::Identifier,
    }
}

fn beside(repetition: &Repetition, data_type: Option<DataType>, position: usize) -> Beside {
    let component =
        |position: usize| repetition.components.get(position - 1).cloned().unwrap_or_default();
    let Some(data_type) = data_type else {
        return Beside { first: component(1), second: component(position + 1) };
    };
    let first = match (data_type.name(), position) {
        ("XON", 4) => component(3),
        ("XAD" | "AD", _) => component(6),
        ("CE" | "CWE" | "CNE" | "CF", 5) => component(4),
        ("CWE" | "CNE", 11) => component(10),
        _ => component(1),
    };
    Beside { first, second: component(position + 1) }
}
