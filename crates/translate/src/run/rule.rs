//! Rows: of segment maps over segments, of datatype maps over values.

use std::borrow::Cow;

use pipehat_resource::definitions::Primitive;

use super::Run;
use super::path::{Apart, Reached, ToldAgain};
use super::test::Here;
use super::tree::{Child, Leaf, NodeId};
use super::view::Part;
use crate::expression::Conversion;
use crate::plan::{Action, DatatypeMap, DatatypeRule, NO_CHOICE, Rule, SegmentMap, Source};

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
        let is_outranked = self.rank_timings(map, segment, (node, resource));
        let place = std::ptr::from_ref(map).addr();
        let first = match is_outranked {
            // What stands is another place's.
            true => segment,
            false => *self.applied.entry((place, node)).or_insert(segment),
        };
        self.apart = (first != segment).then(|| {
            self.has_removed = true;
            let again = self.tree.root(map.root);
            self.told_again.push(ToldAgain { map, stands: node, first, again, segment });
            // Who gave another dose, and why another was refused, says nothing of the first.
            let is_whole = matches!(&map.segment.0, b"RXA" | b"RXD" | b"RXG" | b"RXR" | b"TQ1");
            Apart { node: again, is_whole }
        });
        self.apply_map(map, segment, node, resource);
        self.apart = None;
        self.end_timings();
    }

    /// Runs the rules of a segment map.
    pub(super) fn apply_map(
        &mut self,
        map: &'a SegmentMap,
        segment: usize,
        node: NodeId,
        resource: u32,
    ) {
        let base = Base { node, resource, scope: self.scope, repetition: 0 };
        let filled = self.view.filled(segment);
        for (reads, run) in map.reads.iter().zip(&map.runs) {
            // Most fields that a map reads a segment doesn't fill.
            if !reads.meets(filled) {
                continue;
            }
            let mut values = self.view.repetitions(segment, run.field);
            let first = values.next().map(|first| (first, values.next().is_some()));
            match run.choice.as_ref().and_then(|choice| self.chosen(choice, segment)) {
                Some(chosen) => {
                    for index in chosen {
                        if let Some(rule) = run.rules.get(usize::from(*index)) {
                            self.segment_rule(rule, segment, base, first);
                        }
                    }
                }
                None => {
                    for rule in &run.rules {
                        self.segment_rule(rule, segment, base, first);
                    }
                }
            }
        }
    }

    /// Runs a rule over its field, of which `first` is the first repetition, and whether others are behind it.
    fn segment_rule(
        &mut self,
        rule: &'a Rule,
        segment: usize,
        base: Base,
        first: Option<(Part<'a>, bool)>,
    ) {
        let Source::Field(field, ..) = rule.source else {
            return self.rule_without_value(rule, segment, 0, base);
        };
        let Some((first, has_more)) = first else {
            if rule.on_absence {
                self.rule_without_value(rule, segment, field, base);
            }
            return;
        };
        // Where FHIR takes one value, it is the first; where one is made of all, it is whole.
        let is_done = self.rule_of_repetition(rule, segment, base, (0, first)) && !rule.repeats;
        if !has_more || is_done {
            return;
        }
        for further in (0u16..).zip(self.view.repetitions(segment, field)).skip(1) {
            if self.rule_of_repetition(rule, segment, base, further) && !rule.repeats {
                break;
            }
        }
    }

    fn rule_without_value(&mut self, rule: &'a Rule, segment: usize, field: u16, base: Base) {
        let here = Here { segment, field, value: None, own: None };
        if rule.condition.as_ref().is_none_or(|test| self.holds(test, &here)) {
            self.apply_ranked(rule, base, &here);
        }
    }

    /// Runs a rule over a repetition of its field; whether it had a value there that meets its condition.
    fn rule_of_repetition(
        &mut self,
        rule: &'a Rule,
        segment: usize,
        base: Base,
        (repetition, value): (u16, Part<'a>),
    ) -> bool {
        let Source::Field(field, component, subcomponent) = rule.source else { return false };
        let own = value.part(component).part(subcomponent);
        if !own.is_valued() || own.is_null() {
            return false;
        }
        let here = Here { segment, field, value: Some(value), own: Some(own) };
        if let Some(test) = &rule.condition
            && !self.holds(test, &here)
        {
            self.take_said_twice(test, &here);
            return false;
        }
        if let Some(counted) = rule.each {
            let count = self.view.repetitions(segment, counted).count();
            for instance in 0..u16::try_from(count).unwrap_or(u16::MAX) {
                self.apply_ranked(rule, Base { repetition: instance, ..base }, &here);
            }
        } else {
            let repetition = if rule.repeats { repetition } else { 0 };
            self.apply_ranked(rule, Base { repetition, ..base }, &here);
        }
        true
    }

    /// Runs a datatype map over a value. `above` is the element's parent, or the element that refers to the resource.
    fn datatype(
        &mut self,
        map: &'a DatatypeMap,
        value: Part<'a>,
        reached: Reached,
        here: &Here<'a>,
    ) {
        let facet = self.timings.facet.take();
        let split = value.split();
        let mut made: Vec<(u16, u32)> = Vec::new();
        let mut links = Vec::new();
        for (reads, rule) in map.reads.iter().zip(&map.rules) {
            // Most rules of a map read components that a value doesn't fill.
            if !reads.meets(split.filled) {
                continue;
            }
            if facet.is_some_and(|facet| self.facet_of(rule) != facet) {
                continue;
            }
            let own = match rule.source {
                Source::Component(component, subcomponent) => {
                    split.part(component).part(subcomponent)
                }
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

    /// Does what a rule says.
    pub(super) fn apply(&mut self, rule: &'a Rule, base: Base, here: &Here<'a>) {
        match &rule.action {
            Action::Nothing => {
                // Which value is nothing a condition says, with its words; else it is one without parts: a count.
                match (here.own, &rule.condition) {
                    (Some(own), Some(_)) => self.consumed.take_all(own.raw),
                    (Some(own), None) => self.consumed.take(own.first().raw),
                    (None, _) => {}
                }
            }
            Action::Link(_) => {}
            Action::Constant(text, primitive) => {
                let leaf = constant(text, *primitive);
                self.put(rule, base, here, leaf, false);
            }
            Action::Joined(pieces, primitive) => {
                let Some(leaf) = self.joined(pieces, *primitive, here) else { return };
                self.put(rule, base, here, leaf, here.own.is_some());
            }
            Action::Named(conversion, primitive, vocabulary, is_hd) => {
                let converted =
                    self.named(rule, *conversion, *primitive, *vocabulary, *is_hd, here);
                let Some(leaf) = converted else {
                    if *conversion == Conversion::Authority && !is_hd {
                        self.name_assigner(rule, base, here);
                    }
                    return;
                };
                self.put(rule, base, here, leaf, here.own.is_some());
            }
            Action::Primitive(own) => {
                let Some(part) = &here.own else { return };
                if own.primitive == Primitive::Time && self.is_time_again(part) {
                    return;
                }
                let Some(leaf) = self.primitive(own, part) else { return };
                let above = self.put(rule, base, here, leaf, true);
                if own.is_coding_code {
                    self.complete_coding(own, above, part);
                }
            }
            Action::Datatype(own) => {
                let Some(part) = here.own else { return };
                let reached = self.reach_own(&rule.path, base, here.segment);
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

    /// The assigner of a number whose authority has no URI, in words: two laboratories' F900 are not one. An authority of
    /// type HD has an Organization of its own.
    fn name_assigner(&mut self, rule: &'a Rule, base: Base, here: &Here<'a>) {
        let (Some(own), Some(name)) = (here.own, self.plan.names.find("assigner")) else { return };
        let identifier = self.reach_own(&rule.path, base, here.segment).above;
        let Some(node) = self.tree.node(identifier) else { return };
        let Some(member) = node.definition.member("assigner") else { return };
        if self.tree.find(identifier, name).is_some() {
            return;
        }
        let child = Child {
            name,
            is_list: false,
            is_primitive: false,
            definition: member.element_type.definition(),
            choice: NO_CHOICE,
            label: 0,
        };
        let assigner = self.tree.child(identifier, child);
        let display = self.text_child(self.names.display);
        let display = self.tree.child(assigner, display);
        let text = self.first_text(&own);
        self.tree.set_leaf(display, Leaf::Text(text));
        self.trace(display, &own, rule.origin);
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

    /// Puts a leaf where the rule's path leads. Only a value of the message (`is_value`) makes its resource worth keeping.
    fn put(
        &mut self,
        rule: &'a Rule,
        base: Base,
        here: &Here<'a>,
        leaf: Leaf<'a>,
        is_value: bool,
    ) -> NodeId {
        let reached = self.reach_own(&rule.path, base, here.segment);
        if *self.tree.leaf(reached.node) != Leaf::None {
            self.replaced(reached.node, &leaf);
        }
        self.tree.set_leaf(reached.node, leaf);
        if is_value {
            self.keep(reached.resource);
            if reached.resource != base.resource {
                self.keep(base.resource);
            }
            if let Some(between) = reached.between {
                self.keep(between);
            }
        }
        if let Some(part) = &here.own {
            self.trace(reached.node, part, rule.origin);
            if let Some(traces) = &mut self.traces {
                for at in self.besides.drain(..) {
                    traces.push(reached.node, at, rule.origin);
                }
            }
        }
        reached.above
    }

    /// A value that gives its place to another is told nowhere. One that was converted can't be found again.
    #[cold]
    fn replaced(&mut self, node: NodeId, by: &Leaf<'a>) {
        let before = self.tree.leaf(node);
        if let Leaf::Text(Cow::Borrowed(text)) | Leaf::Number(Cow::Borrowed(text)) = before
            && before != by
        {
            self.consumed.give_back(text.as_bytes());
        }
    }

    /// Marks a resource as one that holds a value of the message.
    pub(super) fn keep(&mut self, resource: u32) {
        if let Some(own) = self.resources.get_mut(resource as usize) {
            own.has_value = true;
        }
    }
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
