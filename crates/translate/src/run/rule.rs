//! Rows: of segment maps over segments, of datatype maps over values.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pipehat_resource::definitions::{Primitive, TypeDefinition};

use super::Run;
use super::test::Here;
use super::tree::{Child, Leaf, NONE, NodeId};
use super::view::Part;
use crate::expression::Conversion;
use crate::finding::FindingKind;
use crate::plan::{
    Action, DatatypeMap, DatatypeRule, JoinedPiece, NO_CHOICE, PrimitiveRule, Rule, SegmentMap,
    Source, Step,
};
use crate::value::{
    Authority, Moment, code_system, date, date_time, decimal, instant, is_media_type, media_type,
    time_of_day, whole,
};

/// More components than any v2 data type has; those behind are found one by one.
const COMPONENTS_MAX: usize = 32;

/// Where a rule writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    pub(super) node: NodeId,
    /// The resource it is in.
    pub(super) resource: u32,
    /// The run of the segment map; 0 within a datatype map.
    pub(super) scope: u32,
    /// The repetition of the field, from 0.
    pub(super) repetition: u16,
}

/// What a path led to.
#[derive(Debug, Clone, Copy)]
struct Reached {
    node: NodeId,
    resource: u32,
    /// A resource between the base's and this one: a role between a request and its practitioner.
    between: Option<u32>,
    /// Its parent; of a resource, the element that refers to it.
    above: NodeId,
    last: Option<Child>,
}

impl<'a> Run<'a> {
    /// Runs a segment map over a segment.
    pub(super) fn segment(
        &mut self,
        map: &'a SegmentMap,
        segment: usize,
        node: NodeId,
        resource: u32,
    ) {
        self.scope += 1;
        let base = Base { node, resource, scope: self.scope, repetition: 0 };
        for rule in &map.rules {
            self.segment_rule(rule, segment, base);
        }
    }

    fn segment_rule(&mut self, rule: &'a Rule, segment: usize, base: Base) {
        let Source::Field(field, component, subcomponent) = rule.source else {
            let here = Here { segment, field: 0, value: None, own: None };
            if rule.condition.as_ref().is_none_or(|test| self.holds(test, &here)) {
                self.apply(rule, base, &here);
            }
            return;
        };
        if self.view.field(segment, field).is_empty() {
            if rule.on_absence {
                let here = Here { segment, field, value: None, own: None };
                if rule.condition.as_ref().is_none_or(|test| self.holds(test, &here)) {
                    self.apply(rule, base, &here);
                }
            }
            return;
        }
        for (repetition, value) in (0u16..).zip(self.view.repetitions(segment, field)) {
            let own = value.part(component).part(subcomponent);
            if !own.is_valued() || own.is_null() {
                continue;
            }
            let here = Here { segment, field, value: Some(value), own: Some(own) };
            if let Some(test) = &rule.condition
                && !self.holds(test, &here)
            {
                self.take_said_twice(test, &here);
                continue;
            }
            if let Some(counted) = rule.each {
                let count = self.view.repetitions(segment, counted).count();
                for instance in 0..u16::try_from(count).unwrap_or(u16::MAX) {
                    self.apply(rule, Base { repetition: instance, ..base }, &here);
                }
            } else {
                self.apply(rule, Base { repetition, ..base }, &here);
            }
            // Where FHIR takes one value, it is the first.
            if !rule.repeats {
                break;
            }
        }
    }

    /// Runs a datatype map over a value. `above` is the element's parent, or the element that refers to the resource.
    fn datatype(
        &mut self,
        map: &'a DatatypeMap,
        value: Part<'a>,
        reached: Reached,
        here: &Here<'a>,
    ) {
        let mut parts = [value.nothing(); COMPONENTS_MAX];
        for (to, from) in parts.iter_mut().zip(value.parts()) {
            *to = from;
        }
        let part = |position: u16| match usize::from(position).checked_sub(1) {
            None => value,
            Some(place) => parts.get(place).copied().unwrap_or_else(|| value.part(position)),
        };
        let mut made: Vec<(u16, u32)> = Vec::new();
        let mut links = Vec::new();
        for rule in &map.rules {
            let own = match rule.source {
                Source::Component(component, subcomponent) => part(component).part(subcomponent),
                Source::Always | Source::Whole | Source::Field(..) => value,
            };
            let is_there = own.is_valued() && !own.is_null();
            if !is_there && !rule.on_absence {
                continue;
            }
            let here = Here {
                segment: here.segment,
                field: here.field,
                value: Some(value),
                own: is_there.then_some(own),
            };
            if rule.condition.as_ref().is_some_and(|test| !self.holds(test, &here)) {
                continue;
            }
            if let Action::Link(link) = rule.action {
                links.push(link);
                continue;
            }
            let base = match rule.another {
                0 => {
                    Base { node: reached.node, resource: reached.resource, scope: 0, repetition: 0 }
                }
                number => self.another(number, reached, &mut made, here.segment),
            };
            self.apply(rule, base, &here);
        }
        if !made.is_empty() {
            self.link(map, reached, &mut made, &links);
        }
    }

    /// The base of `[2].use`: another instance of the element, or of the resource.
    fn another(
        &mut self,
        number: u16,
        reached: Reached,
        made: &mut Vec<(u16, u32)>,
        segment: usize,
    ) -> Base {
        let is_resource = self
            .resources
            .get(reached.resource as usize)
            .is_some_and(|own| own.root == reached.node);
        if is_resource {
            let known = made.iter().find(|(own, _)| *own == number).map(|(_, resource)| *resource);
            let definition =
                self.resources.get(reached.resource as usize).map(|own| own.definition);
            let resource = match (known, definition) {
                (Some(resource), _) => resource,
                (None, Some(definition)) => {
                    let resource = self.resource(definition, segment, false);
                    made.push((number, resource));
                    resource
                }
                (None, None) => reached.resource,
            };
            return Base { node: self.root(resource), resource, scope: 0, repetition: 0 };
        }
        let node = match reached.last {
            Some(last) => {
                let label = last.label ^ (u64::from(number) << 48);
                self.tree.child(reached.above, Child { label, ..last })
            }
            None => reached.node,
        };
        Base { node, resource: reached.resource, scope: 0, repetition: 0 }
    }

    /// Puts the resources that one value made together: the first is what is referred to, each is part of the next.
    fn link(
        &mut self,
        map: &'a DatatypeMap,
        reached: Reached,
        made: &mut [(u16, u32)],
        links: &[crate::plan::Link],
    ) {
        made.sort_unstable();
        let exists = |number: u16| made.iter().find(|(own, _)| *own == number).map(|(_, own)| *own);
        for link in links {
            let Some(from) = exists(link.from) else { continue };
            let mut to = link.to;
            for _ in 0..=map.links.len() {
                if let Some(target) = exists(to) {
                    if target != from {
                        let child = Child {
                            name: link.name,
                            is_list: false,
                            is_primitive: false,
                            definition: link.definition,
                            choice: NO_CHOICE,
                            label: 0,
                        };
                        let root = self.root(from);
                        let node = self.tree.child(root, child);
                        self.tree.set_leaf(node, Leaf::Reference(target));
                    }
                    break;
                }
                match map.links.iter().find(|own| own.from == to && own.to != to) {
                    Some(next) => to = next.to,
                    None => break,
                }
            }
        }
        // The placeholder gives its place to the most specific one.
        let Some((_, first)) = made.first().copied() else { return };
        let placeholder = reached.node;
        let root = self.root(first);
        self.tree.merge(root, placeholder);
        if let Some(own) = self.resources.get_mut(reached.resource as usize) {
            own.is_dropped = true;
        }
        self.tree.set_leaf(reached.above, Leaf::Reference(first));
    }

    /// Goes along a path, making elements and resources.
    fn reach(&mut self, path: &'a [Step], base: Base, segment: usize) -> Reached {
        let mut reached = Reached {
            node: base.node,
            resource: base.resource,
            between: None,
            above: NONE,
            last: None,
        };
        for step in path {
            match *step {
                Step::Child {
                    name,
                    is_list,
                    is_primitive,
                    definition,
                    choice,
                    instance,
                    is_shared,
                    takes_repetition,
                } => {
                    let (scope, repetition) = match takes_repetition {
                        true if is_shared => (0, base.repetition),
                        true => (base.scope, base.repetition),
                        false => (0, 0),
                    };
                    let label =
                        u64::from(scope) << 32 | u64::from(instance) << 16 | u64::from(repetition);
                    let child = Child { name, is_list, is_primitive, definition, choice, label };
                    reached.above = reached.node;
                    reached.node = self.tree.child(reached.node, child);
                    reached.last = Some(child);
                }
                Step::Resource(definition) => {
                    let known = match self.tree.leaf(reached.node) {
                        Leaf::Reference(resource) => Some(*resource),
                        _ => None,
                    };
                    let is_same = known.is_none_or(|known| {
                        self.resources
                            .get(known as usize)
                            .is_some_and(|own| own.definition == definition)
                    });
                    if !is_same {
                        // Another row refers to another type here: a reference beside it, if there is room.
                        self.beside(&mut reached, definition);
                    }
                    let resource = match self.tree.leaf(reached.node) {
                        Leaf::Reference(resource) => *resource,
                        _ => {
                            let resource = self.resource(definition, segment, false);
                            self.tree.set_leaf(reached.node, Leaf::Reference(resource));
                            resource
                        }
                    };
                    if reached.resource != base.resource {
                        reached.between = Some(reached.resource);
                    }
                    reached.above = reached.node;
                    reached.node = self.root(resource);
                    reached.resource = resource;
                    reached.last = None;
                }
            }
        }
        reached
    }

    fn beside(&mut self, reached: &mut Reached, definition: &'static TypeDefinition) {
        let name: u64 = definition.name().bytes().map(u64::from).sum();
        match reached.last {
            Some(last) if last.is_list => {
                let label = last.label ^ (name << 48);
                reached.node = self.tree.child(reached.above, Child { label, ..last });
            }
            // There is none: what is written goes with a node that nothing holds.
            Some(_) | None => reached.node = self.tree.root(definition),
        }
    }

    /// Goes along a path of a message map.
    pub(super) fn path(&mut self, path: &'a [Step], base: Base, segment: usize) -> (NodeId, u32) {
        let reached = self.reach(path, base, segment);
        (reached.node, reached.resource)
    }

    /// Does what a rule says.
    fn apply(&mut self, rule: &'a Rule, base: Base, here: &Here<'a>) {
        match &rule.action {
            Action::Nothing => {
                if let Some(own) = here.own {
                    self.consumed.take_all(own.raw);
                }
            }
            Action::Link(_) => {}
            Action::Constant(text, primitive) => {
                let leaf = constant(text, *primitive);
                self.put(rule, base, here, leaf, None);
            }
            Action::Joined(pieces, primitive) => {
                let Some(leaf) = self.joined(pieces, *primitive, here) else { return };
                self.put(rule, base, here, leaf, here.own);
            }
            Action::Named(conversion, primitive, vocabulary, is_hd) => {
                let converted =
                    self.named(rule, *conversion, *primitive, *vocabulary, *is_hd, here);
                let Some(leaf) = converted else { return };
                self.put(rule, base, here, leaf, here.own);
            }
            Action::Primitive(own) => {
                let Some(part) = here.own else { return };
                let Some(leaf) = self.primitive(own, &part) else { return };
                let above = self.put(rule, base, here, leaf, Some(part));
                if own.is_coding_code {
                    self.complete_coding(own, above, &part);
                }
            }
            Action::Datatype(own) => {
                let Some(part) = here.own else { return };
                let reached = self.reach(&rule.path, base, here.segment);
                self.coded(own, part, reached.node, |run| {
                    run.by_map(own, part, reached, here);
                });
                if reached.resource != base.resource {
                    self.keep(base.resource);
                }
                if let Some(between) = reached.between {
                    self.keep(between);
                }
            }
        }
    }

    fn by_map(
        &mut self,
        rule: &'a DatatypeRule,
        part: Part<'a>,
        reached: Reached,
        here: &Here<'a>,
    ) {
        if let Some(map) = self.plan.datatypes.get(rule.map as usize) {
            self.datatype(map, part, reached, here);
        }
    }

    /// Puts a leaf where the rule's path leads. Only a value of the message makes its resource worth keeping.
    fn put(
        &mut self,
        rule: &'a Rule,
        base: Base,
        here: &Here<'a>,
        leaf: Leaf<'a>,
        value: Option<Part<'a>>,
    ) -> NodeId {
        let reached = self.reach(&rule.path, base, here.segment);
        self.tree.set_leaf(reached.node, leaf);
        let is_datatype = rule.path.iter().any(|step| matches!(step, Step::Resource(_)));
        if value.is_some() {
            self.keep(reached.resource);
            if is_datatype {
                self.keep(base.resource);
            }
            if let Some(between) = reached.between {
                self.keep(between);
            }
        }
        if let Some(part) = here.own {
            self.trace(reached.node, &part, rule.origin);
        }
        reached.above
    }

    /// Marks a resource as one that holds a value of the message.
    pub(super) fn keep(&mut self, resource: u32) {
        if let Some(own) = self.resources.get_mut(resource as usize) {
            own.has_value = true;
        }
    }

    fn joined(
        &mut self,
        pieces: &'a [JoinedPiece],
        primitive: Primitive,
        here: &Here<'a>,
    ) -> Option<Leaf<'a>> {
        let mut text = String::new();
        let mut has_value = false;
        for piece in pieces {
            match piece {
                JoinedPiece::Text(own) => text.push_str(own),
                JoinedPiece::Place(place) => {
                    if let Some(part) = self.part_at(*place, here)
                        && !part.is_null()
                    {
                        has_value = true;
                        self.consumed.take(part.first().raw);
                        text.push_str(&self.first_text(&part));
                    }
                }
            }
        }
        let text = text.trim();
        if !has_value || text.is_empty() {
            return None;
        }
        match primitive {
            // Of the codes that are joined, all are media types (RP).
            Primitive::Code => {
                let text = text.to_ascii_lowercase();
                is_media_type(&text).then_some(Leaf::Text(Cow::Owned(text)))
            }
            Primitive::Uri | Primitive::Url | Primitive::Canonical
                if text.contains(char::is_whitespace) =>
            {
                None
            }
            _ => Some(Leaf::Text(Cow::Owned(text.to_owned()))),
        }
    }

    fn named(
        &mut self,
        rule: &'a Rule,
        conversion: Conversion,
        primitive: Primitive,
        vocabulary: Option<u32>,
        is_hd: bool,
        here: &Here<'a>,
    ) -> Option<Leaf<'a>> {
        let text = |text: String| Some(Leaf::Text(Cow::Owned(text)));
        match conversion {
            Conversion::Authority => {
                let parts = self.authority_parts(rule, is_hd, here)?;
                let [namespace, universal, kind] =
                    parts.map(|part| part.map(|part| self.first_text(&part)).unwrap_or_default());
                let authority =
                    Authority { namespace: &namespace, universal: &universal, kind: &kind };
                match authority.uri(self.plan, self.settings) {
                    Some(uri) => {
                        for part in parts.into_iter().flatten() {
                            self.consumed.take(part.first().raw);
                        }
                        text(uri)
                    }
                    None => {
                        let own = here.own?;
                        // One finding for it is enough.
                        self.consumed.take_all(own.raw);
                        self.find(
                            FindingKind::SystemUnknown,
                            &own,
                            "the authority has no known URI",
                        );
                        None
                    }
                }
            }
            Conversion::CodeSystem => {
                let own = here.own?;
                self.system_of(&own).and_then(text)
            }
            Conversion::Base64 => {
                let own = here.own?;
                self.base64(&own, here)
            }
            Conversion::Plain => {
                let own = here.own?;
                self.consumed.take_all(own.raw);
                Some(Leaf::Text(self.text(own.raw, true))).filter(|_| primitive != Primitive::Code)
            }
            Conversion::Now => self.message_time(primitive).and_then(text),
            Conversion::Event => {
                let event = self.view.repetitions(0, 9).next()?.part(2);
                let code = self.first_text(&event);
                let meaning = self.plan.vocabularies.get(vocabulary? as usize)?.meaning(&code)?;
                self.consumed.take(event.raw);
                meaning.code.as_deref().map(|code| Leaf::Text(Cow::Borrowed(code)))
            }
            Conversion::Minutes => {
                let own = here.own?;
                let minutes = self.minutes(&own, here)?;
                Some(Leaf::Number(Cow::Owned(minutes.to_string())))
            }
            Conversion::Until => {
                let end = self.until(here)?;
                text(end)
            }
            Conversion::Media => self.media(here).and_then(text),
            Conversion::Message => {
                let bytes = self.view.bytes;
                text(STANDARD.encode(bytes))
            }
        }
    }

    /// The namespace, universal id and type of an authority: the components of an HD, or those of an EI from the
    /// rule's own on.
    fn authority_parts(
        &self,
        rule: &Rule,
        is_hd: bool,
        here: &Here<'a>,
    ) -> Option<[Option<Part<'a>>; 3]> {
        let there = |part: Part<'a>| Some(part).filter(|part| !part.is_empty() && !part.is_null());
        if is_hd {
            let own = here.own?;
            return Some([there(own.part(1)), there(own.part(2)), there(own.part(3))]);
        }
        let value = here.value?;
        let Source::Component(component, subcomponent) = rule.source else {
            return Some([here.own, None, None]);
        };
        // `EI.2`, or `EIP.1.2`: an EI within.
        let (value, first) = match subcomponent {
            0 => (value, component),
            first => (value.part(component), first),
        };
        let part = |offset: u16| there(value.part(first + offset));
        Some(match first {
            3 => [None, part(0), part(1)],
            _ => [part(0), part(1), part(2)],
        })
    }

    /// MSH-7 as FHIR writes it.
    pub(super) fn message_time(&mut self, primitive: Primitive) -> Option<String> {
        let sent = self.view.repetitions(0, 7).next()?.first();
        let moment = match primitive {
            Primitive::Instant => instant(sent.raw, self.clock),
            _ => date_time(sent.raw, self.clock),
        };
        match moment {
            Moment::Known(text) => {
                self.consumed.take(sent.raw);
                Some(text)
            }
            Moment::Cut(text) => Some(text),
            _ => None,
        }
    }

    /// Minutes of a duration: a number and the unit in the component or the field behind it.
    fn minutes(&mut self, own: &Part<'a>, here: &Here<'a>) -> Option<i64> {
        let number: i64 = whole(&self.first_text(own), 0)?.parse().ok()?;
        let unit = if own.at.component > 1 {
            here.value?.part(own.at.component + 1)
        } else if here.value.is_some_and(|value| value.is_single()) {
            self.view.repetitions(here.segment, here.field + 1).next()?
        } else {
            here.value?.part(2)
        };
        let factor = match &*self.first_text(&unit).to_ascii_lowercase() {
            "" | "m" | "min" | "mins" | "minute" | "minutes" => 1,
            "h" | "hr" | "hour" | "hours" => 60,
            "d" | "day" | "days" => 24 * 60,
            "s" | "sec" | "second" | "seconds" if number % 60 == 0 => {
                return self.took_minutes(own, &unit, number / 60);
            }
            _ => return None,
        };
        self.took_minutes(own, &unit, number.checked_mul(factor)?)
    }

    fn took_minutes(&mut self, own: &Part<'a>, unit: &Part<'a>, minutes: i64) -> Option<i64> {
        self.consumed.take(own.first().raw);
        self.consumed.take(unit.first().raw);
        Some(minutes)
    }

    /// A start (the nearest time before this field in the segment) and this duration: the end.
    fn until(&mut self, here: &Here<'a>) -> Option<String> {
        let own = here.own?;
        let minutes = self.minutes(&own, here)?;
        let start = (1..here.field).rev().find_map(|field| {
            let part = self.view.repetitions(here.segment, field).next()?;
            let is_time = part.first().raw.len() >= 12
                && part.first().raw.iter().take(12).all(u8::is_ascii_digit);
            is_time.then_some(part.first())
        })?;
        let Moment::Known(start) = date_time(start.raw, self.clock) else { return None };
        crate::value::later(&start, minutes)
    }

    /// The media type of an ED (ED.2 and ED.3), an RP (RP.3 and RP.4) or a code by itself.
    fn media(&mut self, here: &Here<'a>) -> Option<String> {
        let own = here.own?;
        let (kind, subtype) = match (here.value, own.at.component) {
            (Some(value), position @ 3..) if own.at.field == value.at.field && position <= 4 => {
                let before = value.part(position - 1);
                let pair = if position == 3 { before } else { value.part(3) };
                (Some(pair), own)
            }
            _ => (Some(own), own.nothing()),
        };
        let first = kind.map(|part| self.first_text(&part)).unwrap_or_default();
        let found = media_type(&first, &self.first_text(&subtype));
        for part in kind.into_iter().chain([subtype]) {
            self.consumed.take(part.first().raw);
        }
        if found.is_none() {
            self.find(FindingKind::ValueUnfit, &own, "no media type follows from it");
        }
        found
    }

    fn base64(&mut self, own: &Part<'a>, here: &Here<'a>) -> Option<Leaf<'a>> {
        let encoding = here.value.map(|value| value.part(4)).filter(|_| own.at.component == 5);
        let name = encoding.map(|part| self.first_text(&part)).unwrap_or_default();
        if let Some(part) = encoding {
            self.consumed.take(part.first().raw);
        }
        self.consumed.take_all(own.raw);
        let data = if name.eq_ignore_ascii_case("base64") {
            let text = self.text(own.raw, false);
            let digits: String = text.chars().filter(|sign| !sign.is_ascii_whitespace()).collect();
            STANDARD.decode(&digits).ok().map(|_| digits)
        } else if name.eq_ignore_ascii_case("hex") {
            let text = self.text(own.raw, false);
            hex(&text).map(|bytes| STANDARD.encode(bytes))
        } else {
            let text = self.text(own.raw, own.at.component == 0);
            Some(STANDARD.encode(text.as_bytes()))
        };
        if data.is_none() {
            self.find(FindingKind::ValueUnfit, own, "the data are not in the encoding they name");
        }
        Some(Leaf::Text(Cow::Owned(data.filter(|data| !data.is_empty())?)))
    }

    /// The URI of a coding system that a component names.
    pub(super) fn system_of(&mut self, part: &Part<'a>) -> Option<String> {
        let name = self.first_text(part);
        let found = code_system(&name, self.plan, self.settings);
        match found {
            Some(uri) => {
                self.consumed.take(part.first().raw);
                Some(uri)
            }
            None => {
                self.consumed.take(part.first().raw);
                self.find(FindingKind::SystemUnknown, part, "the coding system has no known URI");
                None
            }
        }
    }

    /// A primitive value; a finding where the type can't carry it.
    pub(super) fn primitive(&mut self, rule: &PrimitiveRule, part: &Part<'a>) -> Option<Leaf<'a>> {
        let first = part.first();
        if rule.is_code_system {
            return self.system_of(part).map(|uri| Leaf::Text(Cow::Owned(uri)));
        }
        if let Some(vocabulary) = rule.vocabulary {
            return self.translated(rule, vocabulary, part);
        }
        let unfit = match rule.primitive {
            Primitive::String | Primitive::Markdown | Primitive::Xhtml => {
                let raw = if rule.is_whole { part.raw } else { first.raw };
                let text = self.text(raw, rule.is_formatted);
                if rule.primitive == Primitive::Xhtml || text.trim().is_empty() {
                    "the element takes no such text"
                } else {
                    self.consumed.take_all(raw);
                    return Some(Leaf::Text(text));
                }
            }
            Primitive::Boolean => match &*self.first_text(&first) {
                "Y" | "true" => return self.took(&first, Leaf::Bool(true)),
                "N" | "false" => return self.took(&first, Leaf::Bool(false)),
                _ => "neither yes nor no",
            },
            Primitive::Date => match date(first.raw) {
                Some(text) => return self.took(&first, Leaf::Text(Cow::Owned(text))),
                None => "not a date",
            },
            Primitive::DateTime | Primitive::Instant => {
                let moment = match rule.primitive {
                    Primitive::Instant => instant(first.raw, self.clock),
                    _ => date_time(first.raw, self.clock),
                };
                match moment {
                    Moment::Known(text) => return self.took(&first, Leaf::Text(Cow::Owned(text))),
                    Moment::Cut(text) => {
                        self.find(
                            FindingKind::ZoneMissing,
                            &first,
                            "no time zone: only the date is kept",
                        );
                        return self.took(&first, Leaf::Text(Cow::Owned(text)));
                    }
                    Moment::ZoneMissing => {
                        self.find(FindingKind::ZoneMissing, &first, "no time zone: left out");
                        self.consumed.take(first.raw);
                        return None;
                    }
                    Moment::Unfit => "not a date and time",
                }
            }
            Primitive::Time => match time_of_day(first.raw) {
                Some(text) => return self.took(&first, Leaf::Text(Cow::Owned(text))),
                None => "not a time of day",
            },
            Primitive::Decimal => {
                let digits = self.first_text(&first);
                match borrowed(&digits, decimal) {
                    Some(digits) => return self.took(&first, Leaf::Number(Cow::Owned(digits))),
                    None => "not a number",
                }
            }
            Primitive::Integer | Primitive::UnsignedInt | Primitive::PositiveInt => {
                let least = match rule.primitive {
                    Primitive::Integer => i32::MIN,
                    Primitive::UnsignedInt => 0,
                    _ => 1,
                };
                match whole(&self.first_text(&first), least) {
                    Some(digits) => return self.took(&first, Leaf::Number(digits)),
                    None => "not a whole number that the element takes",
                }
            }
            Primitive::Code => {
                let text = self.first_text(&first);
                if rule.codes.is_some_and(|codes| codes.system_of(&text).is_none()) {
                    "not a code that FHIR takes here"
                } else if is_code(&text) {
                    return self.took(&first, Leaf::Text(text));
                } else {
                    "not a code"
                }
            }
            Primitive::Uri
            | Primitive::Url
            | Primitive::Canonical
            | Primitive::Oid
            | Primitive::Uuid => {
                let text = self.first_text(&first);
                if !text.is_empty() && !text.contains(char::is_whitespace) {
                    return self.took(&first, Leaf::Text(text));
                }
                "not a URI"
            }
            Primitive::Base64Binary => {
                let raw = if rule.is_whole { part.raw } else { first.raw };
                let text = self.text(raw, rule.is_formatted);
                self.consumed.take_all(raw);
                return Some(Leaf::Text(Cow::Owned(STANDARD.encode(text.as_bytes()))));
            }
            Primitive::Id => {
                let text = self.first_text(&first);
                let is_part =
                    |sign: u8| sign.is_ascii_alphanumeric() || matches!(sign, b'-' | b'.');
                if (1..=64).contains(&text.len()) && text.bytes().all(is_part) {
                    return self.took(&first, Leaf::Text(text));
                }
                "not an id"
            }
        };
        self.consumed.take(first.raw);
        self.find(FindingKind::ValueUnfit, &first, unfit);
        None
    }

    fn took(&mut self, part: &Part<'a>, leaf: Leaf<'a>) -> Option<Leaf<'a>> {
        self.consumed.take(part.raw);
        Some(leaf)
    }
}

/// `decimal` of a text that is dropped.
fn borrowed(text: &str, convert: impl Fn(&str) -> Option<Cow<'_, str>>) -> Option<String> {
    convert(text).map(Cow::into_owned)
}

/// `[^\s]+(\s[^\s]+)*`
pub(super) fn is_code(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.split(char::is_whitespace).any(str::is_empty)
}

fn constant(text: &str, primitive: Primitive) -> Leaf<'_> {
    match primitive {
        Primitive::Boolean => Leaf::Bool(text == "true"),
        Primitive::Decimal
        | Primitive::Integer
        | Primitive::PositiveInt
        | Primitive::UnsignedInt => Leaf::Number(Cow::Borrowed(text)),
        _ => Leaf::Text(Cow::Borrowed(text)),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16)
                .ok()
        })
        .collect()
}
