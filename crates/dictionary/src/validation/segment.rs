//! One segment against its rules: fields, repetitions, components, subcomponents and their values.
//!
//! The bytes of a segment are looked at once; what delimiters a field has inside decides whether it is split at all.

mod special;
mod value;

use pipehat_message::{Delimiters, Message, SegmentName, Severity};

use super::condition::Fields;
use super::level::Level;
use super::primitive::Primitive;
use super::rule::Rule;
use super::rules::{
    ElementRules, FIELDS_MAX, NONE, NONE_TIMESTAMP, Rules, SegmentRules, Special, TypeRules,
};
use super::sequence::{self, SetIds};
use crate::element::Usage;
use crate::finding::{Detail, Finding, Findings, Location};

/// What bytes a field has inside.
const FIELD: u8 = 1;
const REPETITION: u8 = 2;
const COMPONENT: u8 = 4;
const SUBCOMPONENT: u8 = 8;
const ESCAPE: u8 = 16;

/// Components of one repetition that are looked at together. The standard's longest data type has 30.
const COMPONENTS_MAX: usize = 62;

/// Where the checking is: positions from 1, 0 where it has not gone so deep.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) field: u16,
    pub(super) repetition: u32,
    pub(super) component: u16,
    pub(super) subcomponent: u16,
}

impl Place {
    pub(super) const fn field(field: u16) -> Self {
        Self { field, repetition: 0, component: 0, subcomponent: 0 }
    }

    pub(super) const fn component(self, component: u16) -> Self {
        Self { component, ..self }
    }

    const fn subcomponent(self, subcomponent: u16) -> Self {
        Self { subcomponent, ..self }
    }
}

/// A message while it is checked.
pub(super) struct Checker<'v, 'm> {
    pub(super) message: &'v Message<'m>,
    pub(super) rules: &'v Rules,
    pub(super) level: Level,
    pub(super) findings: &'v mut Findings,
    /// MSH-9.1.
    pub(super) message_code: &'v [u8],
    /// MSH-9.2.
    trigger: &'v [u8],
    delimiters: Delimiters,
    classes: [u8; 256],
    set_ids: SetIds,
    /// Whether the last ORC has an order number, until its OBR is read.
    order_is_numbered: bool,
    /// Whether the last OBR says that its results are final.
    order_is_final: bool,
    /// The segment looked at.
    index: usize,
    raw: &'v [u8],
    /// Where its fields stand, by position.
    spans: [(u32, u32); FIELDS_MAX + 1],
    /// A bit for each field that has a value.
    present: u128,
}

impl<'v, 'm> Checker<'v, 'm> {
    pub(super) fn new(
        message: &'v Message<'m>,
        rules: &'v Rules,
        level: Level,
        (message_code, trigger): (&'v [u8], &'v [u8]),
        findings: &'v mut Findings,
    ) -> Self {
        let delimiters = message.delimiters();
        Self {
            message,
            rules,
            level,
            findings,
            message_code,
            trigger,
            delimiters,
            classes: classes(delimiters),
            set_ids: SetIds::default(),
            order_is_numbered: false,
            order_is_final: false,
            index: 0,
            raw: &[],
            spans: [(0, 0); FIELDS_MAX + 1],
            present: 0,
        }
    }

    /// Reports a departure, if this level looks at it.
    #[cold]
    pub(super) fn report(&mut self, rule: Rule, place: Place, detail: Detail) {
        let Some(severity) = rule.severity(self.level) else { return };
        self.report_as(rule, severity, place, detail);
    }

    #[cold]
    fn report_as(&mut self, rule: Rule, severity: Severity, place: Place, detail: Detail) {
        let mut location = Location::of_segment(self.message, self.index);
        location.field = place.field;
        location.repetition = place.repetition;
        location.component = place.component;
        location.subcomponent = place.subcomponent;
        let version = self.rules.version;
        self.findings.push(Finding {
            location,
            group: None,
            rule,
            severity,
            version,
            detail,
            own_name: None,
        });
    }

    /// Checks the segment at this index.
    pub(super) fn segment(&mut self, index: usize, name: Option<SegmentName>, raw: &'v [u8]) {
        self.index = index;
        self.raw = raw;
        let Some(name) = name else {
            self.report(Rule::LineNotSegment, Place::default(), Detail::None);
            return;
        };
        let rules: &'v Rules = self.rules;
        let Some(segment) = rules.segment(name) else {
            let is_local = name.as_bytes().first() == Some(&b'Z');
            let rule = if is_local { Rule::SegmentLocal } else { Rule::SegmentUnknown };
            self.report(rule, Place::default(), Detail::None);
            return;
        };
        self.present = 0;
        let header = name.declares_delimiters();
        // MSH-1 and MSH-2 are what the message was read with.
        let (mut position, mut at) = if header { (2_u16, 4) } else { (1, 4) };
        if header {
            self.present = 0b110;
        }
        while at <= raw.len() {
            let (length, flags) = self.scan(raw.get(at..).unwrap_or_default());
            if length > 0 && !(header && position == 2) {
                self.field(segment, position, at, length, flags);
            }
            at += length + 1;
            position = position.saturating_add(1);
        }
        self.varying(segment);
        self.absent(segment);
        if segment.has_set_id && self.present & 0b10 != 0 {
            self.set_id(segment);
        }
        for rule in &segment.conditions {
            if let Some(severity) = rule.severity_at(self.level)
                && rule.is_about(self.message_code)
                && rule.when.holds(self)
                && !rule.then.is_met(self)
            {
                let place = Place::field(rule.field);
                self.report_as(Rule::Conditional(rule), severity, place, Detail::None);
            }
        }
        match &segment.name {
            b"ORC" => self.order_is_numbered = self.has_value(2) || self.has_value(3),
            b"OBR" => {
                self.order_is_numbered = false;
                self.order_is_final = self.code(25) == b"F";
            }
            _ => {}
        }
    }

    /// Goes back to a segment, to report something about it.
    pub(super) fn at_segment(&mut self, index: usize) {
        self.index = index;
    }

    /// Reports a segment with bytes that its character set does not have.
    #[cold]
    pub(super) fn undecodable(&mut self, index: usize) {
        let header = std::mem::replace(&mut self.index, index);
        self.report(Rule::CharacterSetUndecodable, Place::default(), Detail::None);
        self.index = header;
    }

    /// How long the field is that begins here, and what it has inside.
    #[inline]
    fn scan(&self, bytes: &[u8]) -> (usize, u8) {
        let mut flags = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let class = self.classes[usize::from(byte)];
            if class == FIELD {
                return (at, flags);
            }
            flags |= class;
        }
        (bytes.len(), flags)
    }

    #[inline]
    fn flags(&self, bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |flags, &byte| flags | self.classes[usize::from(byte)])
    }

    #[inline]
    fn field(
        &mut self,
        segment: &'v SegmentRules,
        position: u16,
        at: usize,
        length: usize,
        flags: u8,
    ) {
        let raw: &'v [u8] = self.raw;
        let Some(value) = raw.get(at..at + length) else { return };
        let index = usize::from(position);
        let Some(rules) = segment.fields.get(index - 1).filter(|_| index <= FIELDS_MAX) else {
            self.report(Rule::FieldUndefined, Place::field(position), Detail::None);
            return;
        };
        self.present |= 1 << position;
        if let Some(span) = self.spans.get_mut(index) {
            *span = (u32::try_from(at).unwrap_or(0), u32::try_from(length).unwrap_or(0));
        }
        if rules.data_type == NONE || matches!(rules.usage, Usage::Withdrawn | Usage::NotSupported)
        {
            self.report(Rule::FieldNotSupported, Place::field(position), Detail::Name(rules.name));
            return;
        }
        let Some(data_type) = self.rules.type_at(rules.data_type) else { return };
        if data_type.primitive == Primitive::Varies {
            return;
        }
        self.repetitions(rules, data_type, value, flags, position);
    }

    /// The repetitions of a field.
    #[inline]
    fn repetitions(
        &mut self,
        rules: &'v ElementRules,
        data_type: &'v TypeRules,
        value: &'v [u8],
        flags: u8,
        position: u16,
    ) {
        let place = Place::field(position);
        if flags & REPETITION == 0 {
            self.repetition(rules, data_type, value, flags, Place { repetition: 1, ..place });
            return;
        }
        let mut count = 0_u32;
        let separator = self.delimiters.repetition;
        for part in value.split(|&byte| byte == separator) {
            count = count.saturating_add(1);
            if !part.is_empty() {
                let place = Place { repetition: count, ..place };
                let flags = if flags == REPETITION { 0 } else { self.flags(part) };
                self.repetition(rules, data_type, part, flags, place);
            }
        }
        if count > rules.most {
            let place = Place { repetition: rules.most.saturating_add(1), ..place };
            self.report(Rule::FieldRepeats, place, Detail::Most(rules.name, rules.most));
        }
    }

    #[inline]
    fn repetition(
        &mut self,
        rules: &'v ElementRules,
        data_type: &'v TypeRules,
        value: &'v [u8],
        flags: u8,
        place: Place,
    ) {
        if value == b"\"\"" {
            if rules.usage == Usage::Required {
                self.report(Rule::RequiredDeleted, place, Detail::Name(rules.name));
            }
            return;
        }
        if data_type.primitive == Primitive::Composite {
            if value.len() > rules.length_max as usize {
                self.length(rules, value, place, Rule::FieldTooLong);
            }
            self.components(rules, data_type, value, flags, place);
            return;
        }
        let mut value = value;
        if flags & (COMPONENT | SUBCOMPONENT) != 0 && data_type.primitive != Primitive::Opaque {
            self.extra_parts(rules, data_type, value, flags, place);
            value = self.first_part(value);
        }
        self.leaf(rules, data_type.primitive, value, flags, place);
    }

    /// A value up to what separates it from further parts.
    fn first_part(&self, value: &'v [u8]) -> &'v [u8] {
        let ends = |byte: &u8| {
            matches!(self.classes[usize::from(*byte)], REPETITION | COMPONENT | SUBCOMPONENT)
        };
        value.split(ends).next().unwrap_or_default()
    }

    /// Components in a data type that has none.
    #[cold]
    fn extra_parts(
        &mut self,
        rules: &'v ElementRules,
        data_type: &'v TypeRules,
        value: &'v [u8],
        flags: u8,
        place: Place,
    ) {
        let detail = Detail::DataType(rules.name, data_type.name);
        if flags & COMPONENT != 0 {
            // Empty ones behind the value are harmless.
            let separator = self.delimiters.component;
            let mut parts = value.split(|&byte| byte == separator);
            if parts.by_ref().skip(1).any(|part| !part.is_empty()) {
                self.report(Rule::ComponentUndefined, place.component(2), detail);
            }
        } else {
            let place = place.component(place.component.max(1)).subcomponent(2);
            self.report(Rule::SubcomponentUndefined, place, detail);
        }
    }

    /// The components of one repetition.
    fn components(
        &mut self,
        rules: &'v ElementRules,
        data_type: &'v TypeRules,
        value: &'v [u8],
        flags: u8,
        place: Place,
    ) {
        let separator = self.delimiters.component;
        let mut present = 0_u64;
        let mut rest = Some(value);
        let mut position = 0_u16;
        while let Some(bytes) = rest {
            position = position.saturating_add(1);
            // Most repetitions have one component; the flags say so without looking.
            let end = if flags & COMPONENT == 0 {
                None
            } else {
                bytes.iter().position(|&byte| byte == separator)
            };
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            rest = end.and_then(|end| bytes.get(end + 1..));
            if part.is_empty() {
                continue;
            }
            let index = usize::from(position);
            let Some(component) = data_type.components.get(index - 1) else {
                let detail = Detail::DataType(rules.name, data_type.name);
                self.report(Rule::ComponentUndefined, place.component(position), detail);
                break;
            };
            if index <= COMPONENTS_MAX {
                present |= 1 << position;
            }
            let flags = if flags & (SUBCOMPONENT | ESCAPE) == 0 { 0 } else { self.flags(part) };
            self.component(component, part, flags, place.component(position));
        }
        let missing = data_type.required & !present;
        if missing != 0 {
            self.missing_components(data_type, missing, place);
        }
        if data_type.special != Special::None {
            self.special(rules, data_type, value, place);
        }
    }

    #[cold]
    fn missing_components(&mut self, data_type: &'v TypeRules, missing: u64, place: Place) {
        for position in 1..=u16::try_from(COMPONENTS_MAX).unwrap_or(0) {
            if missing & 1 << position == 0 {
                continue;
            }
            let name = component_name(data_type, position);
            self.report(Rule::ComponentMissing, place.component(position), Detail::Name(name));
        }
    }

    fn component(&mut self, rules: &'v ElementRules, value: &'v [u8], flags: u8, place: Place) {
        if rules.data_type == NONE_TIMESTAMP {
            self.leaf(rules, Primitive::Timestamp, value, flags, place);
            return;
        }
        if rules.data_type == NONE {
            return;
        }
        let Some(data_type) = self.rules.type_at(rules.data_type) else { return };
        if data_type.primitive != Primitive::Composite {
            if flags & SUBCOMPONENT != 0 && data_type.primitive != Primitive::Opaque {
                self.extra_parts(rules, data_type, value, flags & !COMPONENT, place);
                return;
            }
            self.leaf(rules, data_type.primitive, value, flags, place);
            return;
        }
        if value == b"\"\"" {
            return;
        }
        let separator = self.delimiters.subcomponent;
        let mut position = 0_u16;
        for part in value.split(|&byte| Some(byte) == separator) {
            position = position.saturating_add(1);
            if part.is_empty() {
                continue;
            }
            let Some(sub) = data_type.components.get(usize::from(position) - 1) else {
                let detail = Detail::DataType(rules.name, data_type.name);
                let place = place.subcomponent(position);
                self.report(Rule::SubcomponentUndefined, place, detail);
                break;
            };
            let primitive = if sub.data_type == NONE_TIMESTAMP {
                Primitive::Timestamp
            } else {
                self.rules.type_at(sub.data_type).map_or(Primitive::Opaque, |kind| kind.primitive)
            };
            let place =
                if flags & SUBCOMPONENT == 0 { place } else { place.subcomponent(position) };
            // TS within a component: its time stands there without a level of its own.
            let primitive = match primitive {
                Primitive::Composite if self.is_timestamp(sub.data_type) => Primitive::Timestamp,
                other => other,
            };
            self.leaf(sub, primitive, part, flags, place);
        }
    }

    fn is_timestamp(&self, data_type: u16) -> bool {
        self.rules.type_at(data_type).is_some_and(|kind| kind.name == "TS")
    }

    /// The field whose data type another field names.
    fn varying(&mut self, segment: &'v SegmentRules) {
        let Some((value_at, type_at)) = segment.varies else { return };
        if self.present & 1 << value_at == 0 {
            return;
        }
        let Some(rules) = segment.fields.get(usize::from(value_at) - 1) else { return };
        let value = self.value(value_at);
        if self.present & 1 << type_at == 0 {
            self.report(Rule::ValueTypeMissing, Place::field(type_at), Detail::None);
            return;
        }
        let kind = self.value(type_at);
        let known: &'v Rules = self.rules;
        let Some(data_type) = known.type_named(kind) else {
            if kind != b"\"\"" {
                self.report(Rule::ValueTypeUnknown, Place::field(type_at), Detail::None);
            }
            return;
        };
        let flags = self.flags(value);
        self.repetitions(rules, data_type, value, flags, value_at);
    }

    /// Required fields without a value.
    #[inline]
    fn absent(&mut self, segment: &'v SegmentRules) {
        let mut missing = segment.required & !self.present;
        while missing != 0 {
            let position = u16::try_from(missing.trailing_zeros()).unwrap_or(0);
            missing &= missing - 1;
            // The header's own rules are about these.
            let own = &segment.name == b"MSH" && matches!(position, 9 | 12);
            if own {
                continue;
            }
            let name = segment
                .fields
                .get(usize::from(position).saturating_sub(1))
                .map_or("", |field| field.name);
            self.report(Rule::FieldMissing, Place::field(position), Detail::Name(name));
        }
    }

    fn set_id(&mut self, segment: &'v SegmentRules) {
        if let Some(number) = sequence::number(self.value(1))
            && !self.set_ids.follows(segment.name, number)
        {
            self.report(Rule::SetIdSequence, Place::field(1), Detail::None);
        }
    }

    /// The field of the segment looked at that has a value.
    fn value(&self, position: u16) -> &'v [u8] {
        let Some(&(at, length)) = self.spans.get(usize::from(position)) else { return &[] };
        let raw: &'v [u8] = self.raw;
        raw.get(at as usize..(at as usize).saturating_add(length as usize)).unwrap_or_default()
    }
}

impl Fields for Checker<'_, '_> {
    fn has_value(&self, position: u16) -> bool {
        position < 128 && self.present & 1 << position != 0 && self.value(position) != b"\"\""
    }

    fn code(&self, position: u16) -> &[u8] {
        if !self.has_value(position) {
            return &[];
        }
        self.first_part(self.value(position))
    }

    fn trigger(&self) -> &[u8] {
        self.trigger
    }

    fn order_is_numbered(&self) -> bool {
        self.order_is_numbered
    }

    fn order_is_final(&self) -> bool {
        self.order_is_final
    }
}

fn component_name(data_type: &TypeRules, position: u16) -> &'static str {
    let index = usize::from(position).saturating_sub(1);
    data_type.components.get(index).map_or("", |component| component.name)
}

fn classes(delimiters: Delimiters) -> [u8; 256] {
    let mut classes = [0; 256];
    for (byte, class) in [
        (delimiters.escape, ESCAPE),
        (delimiters.subcomponent, SUBCOMPONENT),
        (Some(delimiters.component), COMPONENT),
        (Some(delimiters.repetition), REPETITION),
        (Some(delimiters.field), FIELD),
    ] {
        if let Some(byte) = byte {
            classes[usize::from(byte)] = class;
        }
    }
    classes
}
