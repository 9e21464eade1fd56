//! The smallest parts of a message in order, each with its treatment, one at a time: no list of them is made, for it
//! would be many times as large as the message.

use memchr::memchr;
use pipehat_dictionary::{DataType, Table, Version};
use pipehat_message::{Delimiters, Message, SegmentName};

use super::rules::{Allowance, Rule, Rules, Treatment};

/// A part of a message that has no parts and holds a value.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// Where it begins in the text.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// The line it is in, from 0.
    pub(super) line: usize,
    /// The segment's name; `None` in a line that is no segment.
    pub(super) segment: Option<SegmentName>,
    /// From 1; 0 in a line that is no segment.
    pub(super) field: usize,
    /// From 1.
    component: usize,
    /// From 1.
    subcomponent: usize,
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
#[derive(Clone)]
pub(super) struct Parts<'a> {
    text: &'a str,
    message: &'a Message<'a>,
    delimiters: Delimiters,
    /// What each byte ends.
    ends: [Ends; 256],
    /// The line after the one at hand.
    next_line: usize,
    /// Where the line at hand begins and ends.
    line: (usize, usize),
    /// The next part but for its end; `None` at the end of the line.
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
        Self { text, message, delimiters, ends, next_line: 0, line: (0, 0), next: None }
    }

    /// What a part holds.
    pub(super) fn value(&self, part: &Part) -> &'a str {
        self.text.get(part.start..part.end).unwrap_or_default()
    }

    /// The bytes of the line at hand from there on.
    fn bytes(&self, from: usize) -> &'a [u8] {
        self.text.as_bytes().get(from..self.line.1).unwrap_or_default()
    }

    fn ends(&self, byte: u8) -> Ends {
        self.ends[usize::from(byte)]
    }

    /// Begins the next line, if there is one.
    fn enter_line(&mut self) -> Option<()> {
        let line = self.next_line;
        let segment = self.message.segment_at(line)?;
        self.next_line += 1;
        // Slices of the text that was parsed: their distance is where they stand in it.
        let start = (segment.raw().as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        self.line = (start, start.saturating_add(segment.raw().len()).min(self.text.len()));
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
                (first <= self.line.1).then_some((first, 1))
            }
        };
        self.next = first.map(|(start, field)| Part {
            start,
            end: start,
            line,
            segment,
            field,
            component: 1,
            subcomponent: 1,
            repetition: start,
        });
        Some(())
    }

    /// The next part of the line at hand that holds a value; `None` at the line's end.
    fn next_of_line(&mut self) -> Option<Part> {
        let mut next = self.next.take()?;
        let mut bytes = self.bytes(next.start);
        if next.segment.is_none() {
            next.end = self.line.1;
            return Some(next).filter(|_| is_value(bytes));
        }
        loop {
            let length = bytes.iter().position(|&byte| self.ends(byte) != Ends::Nothing);
            let (value, rest) = bytes.split_at_checked(length.unwrap_or(bytes.len()))?;
            next.end = next.start + value.len();
            let part = next;
            let Some((&delimiter, after)) = rest.split_first() else {
                return Some(part).filter(|_| is_value(value));
            };
            bytes = after;
            next.start = next.end + 1;
            match self.ends(delimiter) {
                Ends::Nothing | Ends::Subcomponent => next.subcomponent += 1,
                Ends::Component => {
                    next.component += 1;
                    next.subcomponent = 1;
                }
                ends @ (Ends::Field | Ends::Repetition) => {
                    next.field += usize::from(ends == Ends::Field);
                    next.repetition = next.start;
                    (next.component, next.subcomponent) = (1, 1);
                }
            }
            if is_value(value) {
                self.next = Some(next);
                return Some(part);
            }
        }
    }

    /// A field of the line at hand.
    fn field(&self, position: usize) -> Option<&'a str> {
        let line = self.text.get(self.line.0..self.line.1)?;
        line.split(char::from(self.delimiters.field)).nth(position)
    }

    /// A component of the repetition that a part stands in; empty where there is none.
    fn component(&self, part: &Part, position: usize) -> &'a str {
        let bytes = self.bytes(part.repetition);
        let (mut at, mut start, mut end) = (1, 0, bytes.len());
        for (offset, &byte) in bytes.iter().enumerate() {
            let ends = self.ends(byte);
            if matches!(ends, Ends::Nothing | Ends::Subcomponent) {
                continue;
            }
            if at == position || ends != Ends::Component {
                end = offset;
                break;
            }
            at += 1;
            start = offset + 1;
        }
        if at != position {
            return "";
        }
        self.text.get(part.repetition + start..part.repetition + end).unwrap_or_default()
    }
}

/// Absent and null values are none.
fn is_value(bytes: &[u8]) -> bool {
    !matches!(bytes, b"" | b"\"\"")
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        loop {
            if let Some(part) = self.next_of_line() {
                return Some(part);
            }
            self.enter_line()?;
        }
    }
}

/// A part with its treatment.
#[derive(Clone, Copy)]
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
pub(super) struct Leaves<'a, 'r> {
    parts: Parts<'a>,
    version: Version,
    allowed: &'a [Allowance],
    rules: &'r mut Rules,
    /// The rule of a field, by line and field.
    field: Option<(usize, usize, Rule)>,
    /// What stands beside a component, by where its repetition begins and its position.
    beside: Option<(usize, usize, Beside<'a>)>,
}

impl<'a, 'r> Leaves<'a, 'r> {
    /// The leaves that these parts are.
    pub(super) fn new(
        parts: Parts<'a>,
        version: Version,
        allowed: &'a [Allowance],
        rules: &'r mut Rules,
    ) -> Self {
        Self { parts, version, allowed, rules, field: None, beside: None }
    }

    /// The parts that are not leaves yet.
    pub(super) fn rest(&self) -> Parts<'a> {
        self.parts.clone()
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
        let beside = Beside {
            first: self.parts.component(part, first),
            second: self.parts.component(part, part.component + 1),
        };
        self.beside = Some((part.repetition, part.component, beside));
        beside
    }
}

impl<'a> Iterator for Leaves<'a, '_> {
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
