//! The smallest parts of a message in order, each with its treatment, one at a time: no list of them is made, for it
//! would be many times as large as the message.

use std::ops::Range;

use memchr::memchr;
use pipehat_dictionary::{DataType, Table, Version};
use pipehat_message::{Delimiters, Message, SegmentName};

use super::rules::{Allowance, Rule, Rules, Treatment};

/// A part of a message that has no parts and holds a value.
#[derive(Clone)]
pub(super) struct Part {
    /// Where it stands in the text.
    pub(super) at: Range<usize>,
    /// The line it is in, from 0.
    pub(super) line: usize,
    /// The segment's name; `None` in a line that is no segment.
    pub(super) segment: Option<SegmentName>,
    /// From 1; 0 in a line that is no segment.
    pub(super) field: usize,
    /// From 1.
    pub(super) component: usize,
    /// From 1.
    pub(super) subcomponent: usize,
    /// Where its repetition begins.
    repetition: usize,
}

impl Part {
    /// Whether the other stands at the same place of its message.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        (self.line, self.segment, self.field) == (other.line, other.segment, other.field)
            && (self.component, self.subcomponent) == (other.component, other.subcomponent)
    }
}

/// What separates a part from the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// No delimiter: a byte of the part.
    Nothing,
    Field,
    Repetition,
    Component,
    Subcomponent,
}

/// The parts of a message.
pub(super) struct Parts<'a> {
    text: &'a str,
    message: &'a Message<'a>,
    delimiters: Delimiters,
    /// What each byte ends.
    ends: [Ends; 256],
    /// The line after the one at hand.
    next_line: usize,
    /// The line at hand.
    line: Range<usize>,
    /// The next part, as far as it is known; `None` at the end of the line.
    next: Option<Part>,
}

impl<'a> Parts<'a> {
    /// The parts of a message whose bytes are `text`.
    pub(super) fn new(text: &'a str, message: &'a Message<'a>) -> Self {
        let delimiters = message.delimiters();
        let mut ends = [Ends::Nothing; 256];
        let mut set = |byte: u8, end| ends[usize::from(byte)] = end;
        set(delimiters.field, Ends::Field);
        set(delimiters.repetition, Ends::Repetition);
        set(delimiters.component, Ends::Component);
        if let Some(subcomponent) = delimiters.subcomponent {
            set(subcomponent, Ends::Subcomponent);
        }
        Self { text, message, delimiters, ends, next_line: 0, line: 0..0, next: None }
    }

    /// What a part holds.
    pub(super) fn value(&self, part: &Part) -> &'a str {
        self.slice(part.at.clone())
    }

    fn slice(&self, at: Range<usize>) -> &'a str {
        self.text.get(at).unwrap_or_default()
    }

    fn bytes(&self, from: usize) -> &'a [u8] {
        self.text.as_bytes().get(from..self.line.end).unwrap_or_default()
    }

    /// Begins the next line, if there is one.
    fn enter_line(&mut self) -> Option<()> {
        let line = self.next_line;
        let segment = self.message.segment_at(line)?;
        self.next_line += 1;
        // Slices of the text that was parsed: their distance is where they stand in it.
        let start = (segment.raw().as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        self.line = start..start.saturating_add(segment.raw().len()).min(self.text.len());
        let segment = segment.segment_name();
        let first = match segment {
            // Most likely free text with line ends of its own.
            None => Some((start, 0)),
            Some(name) if name.declares_delimiters() => {
                // MSH-1 is the separator itself; MSH-2 holds the others.
                let declared = start.saturating_add("MSH|".len());
                memchr(self.delimiters.field, self.bytes(declared))
                    .map(|length| (declared + length + 1, 3))
            }
            Some(_) => {
                let first = start.saturating_add("PID|".len());
                (first <= self.line.end).then_some((first, 1))
            }
        };
        self.next = first.map(|(at, field)| Part {
            at: at..at,
            line,
            segment,
            field,
            component: 1,
            subcomponent: 1,
            repetition: at,
        });
        Some(())
    }

    /// Where the part ends that the next one is, and what ends it there.
    fn end_of(&self, part: &Part) -> (usize, Ends) {
        let rest = self.bytes(part.at.start);
        if part.segment.is_none() {
            return (self.line.end, Ends::Nothing);
        }
        let end = |byte: u8| self.ends[usize::from(byte)];
        let length = rest.iter().position(|&byte| end(byte) != Ends::Nothing);
        match length.and_then(|length| Some((length, *rest.get(length)?))) {
            Some((length, byte)) => (part.at.start + length, end(byte)),
            None => (self.line.end, Ends::Nothing),
        }
    }

    /// The part after one that ends there.
    fn after(part: &Part, end: usize, ends: Ends) -> Option<Part> {
        let at = end + 1;
        let mut next = Part { at: at..at, subcomponent: 1, ..part.clone() };
        match ends {
            Ends::Nothing => return None,
            Ends::Subcomponent => next.subcomponent = part.subcomponent + 1,
            Ends::Component => next.component += 1,
            Ends::Repetition | Ends::Field => {
                next.component = 1;
                next.repetition = at;
                next.field += usize::from(ends == Ends::Field);
            }
        }
        Some(next)
    }

    /// A field of the line at hand.
    fn field(&self, position: usize) -> Option<&'a str> {
        self.slice(self.line.clone()).split(char::from(self.delimiters.field)).nth(position)
    }

    /// The components of the repetition that a part stands in.
    fn components(&self, part: &Part) -> impl Iterator<Item = &'a str> + use<'a> {
        let rest = self.slice(part.repetition..self.line.end);
        let ends = [self.delimiters.field, self.delimiters.repetition].map(char::from);
        let repetition = rest.split(ends).next().unwrap_or_default();
        repetition.split(char::from(self.delimiters.component))
    }
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        loop {
            let Some(mut part) = self.next.take() else {
                self.enter_line()?;
                continue;
            };
            let (end, ends) = self.end_of(&part);
            self.next = Self::after(&part, end, ends);
            part.at.end = end;
            if !matches!(self.value(&part), "" | "\"\"") {
                return Some(part);
            }
        }
    }
}

/// A part with its treatment.
pub(super) struct Leaf<'a> {
    pub(super) part: Part,
    pub(super) value: &'a str,
    pub(super) treatment: Treatment,
    /// Whether its user lets it stay.
    pub(super) allowed: Option<usize>,
    /// The table of a code.
    pub(super) table: Option<Table>,
    /// What stands beside it in the same repetition.
    pub(super) beside: Beside<'a>,
}

/// The neighbours a treatment looks at.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// The code of a name, the identifier of a check digit, the country of a postal code.
    pub(super) first: &'a str,
    /// The scheme of a check digit.
    pub(super) second: &'a str,
}

/// The leaves of a message.
pub(super) struct Leaves<'a> {
    parts: Parts<'a>,
    version: Version,
    allowed: &'a [Allowance],
    rules: &'a mut Rules,
    /// The rule of a field, by line and field.
    field: Option<(usize, usize, Rule)>,
    /// What stands beside a component, by where its repetition begins and its position.
    beside: Option<(usize, usize, Beside<'a>)>,
}

impl<'a> Leaves<'a> {
    /// The leaves of a message whose bytes are `text`.
    pub(super) fn new(
        text: &'a str,
        message: &'a Message<'a>,
        version: Version,
        allowed: &'a [Allowance],
        rules: &'a mut Rules,
    ) -> Self {
        let parts = Parts::new(text, message);
        Self { parts, version, allowed, rules, field: None, beside: None }
    }

    fn field_rule(&mut self, part: &Part, name: SegmentName) -> Rule {
        if let Some((line, field, rule)) = self.field
            && (line, field) == (part.line, part.field)
        {
            return rule;
        }
        let is_value = name.as_str() == "OBX" && part.field == 5;
        let value_type = if is_value { self.parts.field(2) } else { None };
        let rule = match self.rules.field(self.version, name, part.field, value_type) {
            Rule::Whole(Treatment::Number) if is_value && self.is_age() => {
                Rule::Whole(Treatment::Age)
            }
            rule => rule,
        };
        self.field = Some((part.line, part.field, rule));
        rule
    }

    /// Whether an observation is somebody's age: by its code or by its unit, years (UCUM `a`).
    fn is_age(&self) -> bool {
        let first = |position: usize| {
            let field = self.parts.field(position);
            field.and_then(|field| field.split(char::from(self.parts.delimiters.component)).next())
        };
        matches!(first(3), Some("30525-0" | "21612-7" | "29553-5" | "63900-5"))
            || matches!(first(6), Some("a" | "yr" | "yrs" | "y" | "year" | "years"))
    }

    fn leaf(&mut self, part: Part) -> Leaf<'a> {
        let value = self.parts.value(&part);
        let Some(name) = part.segment else {
            let beside = Beside::default();
            let treatment = Treatment::Text;
            return Leaf { part, value, treatment, allowed: None, table: None, beside };
        };
        let rule = self.field_rule(&part, name);
        let outer = match rule {
            Rule::Typed(data_type) => Some(data_type),
            Rule::Whole(_) | Rule::Coded(_) => None,
        };
        let rule = match rule {
            Rule::Typed(data_type) => self.rules.component(data_type, part.component),
            // A field without components that has some: the first is what it should be.
            other if part.component == 1 => other,
            Rule::Whole(treatment) => Rule::Whole(beyond(treatment)),
            Rule::Coded(_) => Rule::Whole(Treatment::Identifier),
        };
        let rule = match rule {
            Rule::Typed(inner) => self.rules.component(inner, part.subcomponent),
            other => other,
        };
        let (treatment, table) = match rule {
            Rule::Whole(treatment) => (treatment, None),
            Rule::Coded(table) => (Treatment::Code, Some(table)),
            // Deeper than a message can go: by its first part.
            Rule::Typed(_) => (Treatment::Identifier, None),
        };
        let allowed = self
            .allowed
            .iter()
            .position(|allowance| allowance.allows(name, part.field, part.component));
        let beside = match treatment {
            Treatment::CheckDigit | Treatment::PostalCode | Treatment::Catalog => {
                self.beside(&part, outer)
            }
            _ => Beside::default(),
        };
        Leaf { part, value, treatment, allowed, table, beside }
    }

    fn beside(&mut self, part: &Part, data_type: Option<DataType>) -> Beside<'a> {
        if let Some((repetition, component, beside)) = self.beside
            && (repetition, component) == (part.repetition, part.component)
        {
            return beside;
        }
        let first = match (data_type.map(|data_type| data_type.name()), part.component) {
            (Some("XON"), 4) => 3,
            (Some("XAD" | "AD"), _) => 6,
            (Some("CE" | "CWE" | "CNE" | "CF"), 5) => 4,
            (Some("CWE" | "CNE"), 11) => 10,
            _ => 1,
        };
        let component =
            |position: usize| self.parts.components(part).nth(position - 1).unwrap_or_default();
        let beside = Beside { first: component(first), second: component(part.component + 1) };
        self.beside = Some((part.repetition, part.component, beside));
        beside
    }
}

impl<'a> Iterator for Leaves<'a> {
    type Item = Leaf<'a>;

    fn next(&mut self) -> Option<Leaf<'a>> {
        let part = self.parts.next()?;
        Some(self.leaf(part))
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
