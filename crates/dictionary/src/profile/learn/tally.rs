//! The counters of segments, fields and parts of fields.

use std::collections::BTreeMap;

use memchr::memchr;
use pipehat_message::{Delimiters, Segment, SegmentName};

use super::codes::{Codes, Still};
use super::{CODED_ELEMENTS_MAX, ELEMENTS_MAX};
use crate::data_type::DataType;
use crate::element::Element;
use crate::profile::check::characters;
use crate::profile::constraint::{FIELDS_MAX, PARTS_MAX};
use crate::profile::format;
use crate::version::Version;

/// How many counters of repetitions a field has; the last counts all that have as many or more.
pub(super) const REPEATS: usize = 6;

/// How many different segments before another are kept.
const BEFORE_MAX: usize = 32;

/// What is the same for a whole message.
pub(super) struct Context {
    pub(super) version: Version,
    pub(super) patient: u32,
    pub(super) message: u64,
    pub(super) message_type: usize,
    pub(super) delimiters: Delimiters,
}

/// A segment as it is looked at: what its bytes have at all spares looking into each value for it.
pub(super) struct Look<'c> {
    context: &'c Context,
    repetitions: bool,
    escapes: bool,
    subcomponents: bool,
    ascii: bool,
}

impl<'c> Look<'c> {
    fn at(raw: &[u8], context: &'c Context) -> Self {
        let has = |byte: u8| memchr(byte, raw).is_some();
        let Delimiters { repetition, escape, subcomponent, .. } = context.delimiters;
        Self {
            context,
            repetitions: has(repetition),
            escapes: escape.is_some_and(has),
            subcomponents: subcomponent.is_some_and(has),
            ascii: raw.is_ascii(),
        }
    }

    /// Where the first subcomponent of a value ends, if it has several.
    fn first_subcomponent(&self, raw: &[u8]) -> Option<usize> {
        let delimiter = self.context.delimiters.subcomponent.filter(|_| self.subcomponents)?;
        memchr(delimiter, raw)
    }

    fn has_escape(&self, raw: &[u8]) -> bool {
        let escape = self.context.delimiters.escape.filter(|_| self.escapes);
        escape.is_some_and(|escape| memchr(escape, raw).is_some())
    }
}

/// How many counters there are in all.
#[derive(Default)]
pub(super) struct Slots {
    elements: usize,
    coded: usize,
}

pub(super) struct SegmentTally {
    pub(super) name: SegmentName,
    pub(super) messages: u64,
    pub(super) total: u64,
    pub(super) most: u64,
    pub(super) before: BTreeMap<SegmentName, u64>,
    /// Messages of each type that have it.
    pub(super) by_type: Vec<u64>,
    pub(super) fields: Vec<ElementTally>,
    last_message: u64,
    in_message: u64,
}

/// What a value is, as far as it matters what to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// A date, perhaps with a time.
    Date,
    Time,
    Number,
    /// A code whose place may be told.
    Code,
    /// The standard does not say.
    Unknown,
    /// Nothing but its length is of interest.
    Other,
}

/// Counts of a field or a part of one.
pub(super) struct ElementTally {
    pub(super) valued: u64,
    pub(super) null: u64,
    /// How many repetitions there were, for a field; how often valued, for a part.
    pub(super) occurrences: u64,
    /// How often it had no parts, before it had any: then it was its own first part.
    wholes: u64,
    pub(super) repeats: [u64; REPEATS],
    pub(super) most: u64,
    pub(super) shortest: u64,
    pub(super) longest: u64,
    pub(super) content: Content,
    /// Whether it has components by its type.
    is_composite: bool,
    /// Whether a value had subcomponents or escape sequences, which a guessed type may not allow.
    pub(super) is_intricate: bool,
    pub(super) numbers: u64,
    pub(super) whole_numbers: u64,
    pub(super) dates: u64,
    /// By how many parts they have.
    pub(super) precisions: [u64; 11],
    pub(super) zoned: u64,
    pub(super) codes: Option<Box<Codes>>,
    pub(super) parts: Vec<ElementTally>,
}

impl SegmentTally {
    pub(super) fn new(name: SegmentName) -> Self {
        Self {
            name,
            messages: 0,
            total: 0,
            most: 0,
            before: BTreeMap::new(),
            by_type: Vec::new(),
            fields: Vec::new(),
            last_message: 0,
            in_message: 0,
        }
    }

    pub(super) fn count(
        &mut self,
        segment: Segment<'_>,
        before: SegmentName,
        context: &Context,
        slots: &mut Slots,
    ) {
        self.total += 1;
        if self.last_message != context.message {
            self.last_message = context.message;
            self.in_message = 0;
            self.messages += 1;
            if self.by_type.len() <= context.message_type {
                self.by_type.resize(context.message_type + 1, 0);
            }
            if let Some(count) = self.by_type.get_mut(context.message_type) {
                *count += 1;
            }
        }
        self.in_message += 1;
        self.most = self.most.max(self.in_message);
        if before != self.name
            && (self.before.len() < BEFORE_MAX || self.before.contains_key(&before))
        {
            *self.before.entry(before).or_default() += 1;
        }
        let declares = self.name.declares_delimiters();
        let look = Look::at(segment.raw(), context);
        for (index, value) in segment.fields().enumerate() {
            let raw = value.raw();
            if raw.is_empty() || (declares && index < 2) {
                continue;
            }
            if self.fields.len() <= index && !self.grow(index, context.version, slots) {
                break;
            }
            if let Some(field) = self.fields.get_mut(index) {
                field.count_field(raw, self.name, index, &look, slots);
            }
        }
    }

    fn grow(&mut self, index: usize, version: Version, slots: &mut Slots) -> bool {
        let wanted = index + 1 - self.fields.len();
        if index >= usize::from(FIELDS_MAX) || slots.elements + wanted > ELEMENTS_MAX {
            return false;
        }
        slots.elements += wanted;
        let definition = version.segment(self.name);
        for index in self.fields.len()..=index {
            let element = definition.and_then(|definition| definition.field(index + 1));
            let content = field_content(self.name, index + 1, element);
            let mut tally = ElementTally::new(content, slots);
            let data_type = element.and_then(Element::data_type);
            tally.is_composite = data_type.is_some_and(|data_type| !data_type.is_primitive());
            self.fields.push(tally);
        }
        true
    }
}

impl ElementTally {
    fn new(content: Content, slots: &mut Slots) -> Self {
        let is_coded = matches!(content, Content::Code | Content::Unknown);
        let codes = (is_coded && slots.coded < CODED_ELEMENTS_MAX).then(|| {
            slots.coded += 1;
            Box::new(Codes::new(content == Content::Unknown))
        });
        Self {
            valued: 0,
            null: 0,
            occurrences: 0,
            wholes: 0,
            repeats: [0; REPEATS],
            most: 0,
            shortest: u64::MAX,
            longest: 0,
            content,
            is_composite: false,
            is_intricate: false,
            numbers: 0,
            whole_numbers: 0,
            dates: 0,
            precisions: [0; 11],
            zoned: 0,
            codes,
            parts: Vec::new(),
        }
    }

    fn count_field(
        &mut self,
        raw: &[u8],
        name: SegmentName,
        index: usize,
        look: &Look<'_>,
        slots: &mut Slots,
    ) {
        self.valued += 1;
        if raw == b"\"\"" {
            self.null += 1;
            return;
        }
        let mut rest = raw;
        let mut count: u64 = 0;
        loop {
            let end = if look.repetitions {
                memchr(look.context.delimiters.repetition, rest)
            } else {
                None
            };
            let repetition = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
            count += 1;
            if !repetition.is_empty() {
                self.occurrences += 1;
                self.count_repetition(repetition, name, index, look, slots);
            }
            match end.and_then(|end| rest.get(end + 1..)) {
                Some(after) => rest = after,
                None => break,
            }
        }
        self.most = self.most.max(count);
        let slot = usize::try_from(count).unwrap_or(REPEATS).min(REPEATS) - 1;
        if let Some(slot) = self.repeats.get_mut(slot) {
            *slot += 1;
        }
    }

    fn count_repetition(
        &mut self,
        raw: &[u8],
        name: SegmentName,
        index: usize,
        look: &Look<'_>,
        slots: &mut Slots,
    ) {
        let delimiter = look.context.delimiters.component;
        self.length(raw, look);
        if self.content == Content::Unknown {
            self.is_intricate |= look.has_escape(raw) || look.first_subcomponent(raw).is_some();
        }
        let is_whole = self.parts.is_empty() && memchr(delimiter, raw).is_none();
        if is_whole && !self.is_composite {
            // What is said of a field is said of its first subcomponent.
            self.wholes += 1;
            let end = look.first_subcomponent(raw);
            self.leaf(end.and_then(|end| raw.get(..end)).unwrap_or(raw), look, slots);
            return;
        }
        if self.parts.is_empty() {
            self.drop_codes(slots);
        }
        let mut rest = raw;
        let mut at = 0;
        loop {
            let end = memchr(delimiter, rest);
            let part = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
            if !part.is_empty() {
                if self.parts.len() <= at {
                    let made = self.grow(at, slots, |at, slots| {
                        let defined = look
                            .context
                            .version
                            .segment(name)
                            .and_then(|segment| segment.field(index + 1));
                        let content = component_content(name, index + 1, defined, at + 1);
                        Self::new(content, slots)
                    });
                    if !made {
                        return;
                    }
                }
                if let Some(tally) = self.parts.get_mut(at) {
                    tally.component(part, look, slots);
                }
            }
            match end.and_then(|end| rest.get(end + 1..)) {
                Some(after) => (rest, at) = (after, at + 1),
                None => return,
            }
        }
    }

    fn component(&mut self, raw: &[u8], look: &Look<'_>, slots: &mut Slots) {
        self.valued += 1;
        self.occurrences += 1;
        if raw == b"\"\"" {
            self.null += 1;
            return;
        }
        self.length(raw, look);
        let delimiter = look.context.delimiters.subcomponent;
        let end = look.first_subcomponent(raw);
        if end.is_none() && self.parts.is_empty() {
            self.wholes += 1;
            self.leaf(raw, look, slots);
            return;
        }
        let Some(delimiter) = delimiter else { return };
        for (at, part) in raw.split(|&byte| byte == delimiter).enumerate() {
            if at == 0 {
                // What is said of a component with parts is said of its first one.
                let end = end.unwrap_or(raw.len());
                self.leaf(raw.get(..end).unwrap_or(raw), look, slots);
            }
            if part.is_empty() {
                continue;
            }
            if self.parts.len() <= at
                && !self.grow(at, slots, |_, slots| Self::new(Content::Other, slots))
            {
                return;
            }
            if let Some(tally) = self.parts.get_mut(at) {
                tally.valued += 1;
                tally.occurrences += 1;
                tally.length(part, look);
            }
        }
    }

    fn grow(
        &mut self,
        at: usize,
        slots: &mut Slots,
        make: impl Fn(usize, &mut Slots) -> Self,
    ) -> bool {
        let wanted = at + 1 - self.parts.len();
        if at >= usize::from(PARTS_MAX) || slots.elements + wanted > ELEMENTS_MAX {
            return false;
        }
        slots.elements += wanted;
        let begins = self.parts.is_empty();
        for at in self.parts.len()..=at {
            self.parts.push(make(at, slots));
        }
        if begins && let Some(first) = self.parts.first_mut() {
            // Until now there was only the first part, and it was counted as the whole.
            first.valued = self.wholes;
            first.occurrences = first.valued;
            // What it was then is not known any more.
            if first.valued > 0 {
                (first.shortest, first.longest) = (self.shortest, self.longest);
                first.drop_codes(slots);
                first.content = Content::Other;
            }
        }
        true
    }

    fn length(&mut self, raw: &[u8], look: &Look<'_>) {
        let length = if look.has_escape(raw) {
            characters(&pipehat_message::unescape(raw, &look.context.delimiters))
        } else if look.ascii {
            raw.len() as u64
        } else {
            characters(raw)
        };
        self.shortest = self.shortest.min(length);
        self.longest = self.longest.max(length);
    }

    fn leaf(&mut self, raw: &[u8], look: &Look<'_>, slots: &mut Slots) {
        if raw.is_empty() {
            return;
        }
        match self.content {
            Content::Date => self.date(raw, false),
            Content::Time => self.date(raw, true),
            Content::Number => self.number(raw),
            Content::Code => self.code(raw, look, slots),
            Content::Unknown => {
                self.number(raw);
                if matches!(raw.len(), 8 | 12 | 14 | 17 | 19)
                    && matches!(raw, [b'1', b'9', ..] | [b'2', b'0', ..])
                {
                    self.date(raw, false);
                }
                self.code(raw, look, slots);
            }
            Content::Other => {}
        }
    }

    fn number(&mut self, raw: &[u8]) {
        let digits = raw.strip_prefix(b"-").or_else(|| raw.strip_prefix(b"+")).unwrap_or(raw);
        let mut points = 0;
        let all = digits.iter().all(|byte| {
            points += u32::from(*byte == b'.');
            byte.is_ascii_digit() || *byte == b'.'
        });
        let ends = digits.first().is_some_and(u8::is_ascii_digit)
            && digits.last().is_some_and(u8::is_ascii_digit);
        self.numbers += u64::from(all && ends && points <= 1);
        self.whole_numbers +=
            u64::from(all && points == 0 && raw.len() <= 4 && digits.len() == raw.len());
    }

    fn date(&mut self, raw: &[u8], time_only: bool) {
        let Some((parts, has_zone)) = format::parts(raw, time_only) else { return };
        self.dates += 1;
        self.zoned += u64::from(has_zone);
        if let Some(count) = self.precisions.get_mut(usize::from(parts)) {
            *count += 1;
        }
    }

    fn code(&mut self, raw: &[u8], look: &Look<'_>, slots: &mut Slots) {
        let Some(codes) = &mut self.codes else { return };
        if look.has_escape(raw) || codes.count(raw, look.context.patient) == Still::NoCodes {
            self.drop_codes(slots);
        }
    }

    fn drop_codes(&mut self, slots: &mut Slots) {
        if self.codes.take().is_some() {
            slots.coded -= 1;
        }
    }
}

/// Data types whose parts name, number or place a person, or hold text.
const PERSONAL: [&str; 14] =
    ["XPN", "PN", "PPN", "XCN", "CN", "CNN", "XAD", "AD", "SAD", "XTN", "TN", "NDL", "DLN", "FC"];

/// Segments that are text.
const TEXTS: [&[u8; 3]; 2] = [b"NTE", b"DSP"];

/// Fields that hold what they please, the filler's own, or a small place on the map.
fn is_free(name: SegmentName, position: usize) -> bool {
    let name = name.as_bytes();
    TEXTS.contains(&name)
        || matches!((name, position), (b"OBX", 5) | (b"OBR", 18..=21) | (b"PID", 12 | 23))
}

pub(super) fn field_content(
    name: SegmentName,
    position: usize,
    element: Option<Element>,
) -> Content {
    if is_free(name, position) {
        return Content::Other;
    }
    match element {
        None => Content::Unknown,
        Some(element) => leaf_content(element),
    }
}

/// What a primitive element holds; of a composite one its first part.
fn leaf_content(element: Element) -> Content {
    match element.data_type_name() {
        "DT" | "TS" | "DTM" => Content::Date,
        "TM" => Content::Time,
        "NM" | "SI" => Content::Number,
        "ID" | "IS" => Content::Code,
        "CE" | "CWE" | "CNE" | "CF" | "HD" => Content::Code,
        _ => Content::Other,
    }
}

pub(super) fn component_content(
    name: SegmentName,
    position: usize,
    field: Option<Element>,
    component: usize,
) -> Content {
    if is_free(name, position) {
        return Content::Other;
    }
    let Some(field) = field else { return Content::Unknown };
    let type_name = field.data_type_name();
    let Some(data_type) = field.data_type() else { return Content::Other };
    if data_type.is_primitive() {
        return if component == 1 { leaf_content(field) } else { Content::Other };
    }
    if PERSONAL.contains(&type_name) {
        return personal_content(type_name, data_type, component);
    }
    match (type_name, component) {
        ("CE" | "CWE" | "CNE" | "CF", 1 | 3 | 4 | 6) => return Content::Code,
        ("CE" | "CWE" | "CNE" | "CF", _) | ("CX" | "CK", 1) => return Content::Other,
        ("EI", 2) | ("HD", 1) => return Content::Code,
        // Before 2.5 the standard types it ST, and says in prose how it is written (HL7 v2.4 §2.9.47).
        ("TS", 1) => return Content::Date,
        _ => {}
    }
    match data_type.component(component) {
        Some(component) => leaf_content(component),
        None => Content::Unknown,
    }
}

/// Of names, addresses and telephone numbers only what kind they are.
fn personal_content(type_name: &str, data_type: DataType, component: usize) -> Content {
    let told = match type_name {
        "XPN" => component == 7,
        "XAD" | "AD" => matches!(component, 6 | 7),
        "XTN" => matches!(component, 2 | 3),
        "XCN" => matches!(component, 9 | 10 | 13 | 14),
        _ => false,
    };
    match data_type.component(component) {
        Some(component) if told => leaf_content(component),
        _ => Content::Other,
    }
}
