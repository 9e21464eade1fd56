//! Codes: what a code means by its code system map, and in which system it is where the message does not say.

use std::borrow::Cow;

use pipehat_dictionary::{TableNumber, Version};

use super::Run;
use super::tree::{Child, Leaf, NodeId};
use super::view::Part;
use crate::finding::FindingKind;
use crate::plan::{Coded, DatatypeRule, Meaning, NO_CHOICE, NameId, PrimitiveRule};

/// Versions whose tables have the codes that senders write, the likeliest first: suggested values came and went, and
/// HL7's code systems have them all.
const TABLE_VERSIONS: [Version; 3] = [Version::V2_8_2, Version::V2_5_1, Version::V2_9_1];

/// The label of the coding that a code system map made, before those of the message.
const MAPPED: u64 = u64::MAX;

impl<'a> Run<'a> {
    /// Runs a datatype map over a coded value, and adds what its codes mean.
    pub(super) fn coded(
        &mut self,
        rule: &'a DatatypeRule,
        part: Part<'a>,
        node: NodeId,
        by_map: impl FnOnce(&mut Self),
    ) {
        if rule.coded == Coded::No {
            if let Some(vocabulary) = rule.vocabulary {
                return self.coded_primitive(vocabulary, part, node, by_map);
            }
            return by_map(self);
        }
        self.coded_value(rule, part, node, by_map);
        self.only_allowed(rule, node, &part);
    }

    fn coded_value(
        &mut self,
        rule: &'a DatatypeRule,
        part: Part<'a>,
        node: NodeId,
        by_map: impl FnOnce(&mut Self),
    ) {
        let code_part = part.part(1);
        let code = self.first_text(&code_part);
        let meaning = match rule.vocabulary {
            Some(vocabulary) if !code.is_empty() => self.meaning(vocabulary, &code, &part),
            _ => None,
        };
        match (rule.coded, meaning) {
            (Coded::Coding, Some(meaning)) if meaning.code.is_some() => {
                by_map(self);
                self.put_meaning(node, meaning);
            }
            (Coded::Concept, Some(meaning)) if meaning.code.is_some() => {
                let own_system = self.own_system(&part, meaning);
                let is_same = meaning.code.as_deref() == Some(&*code)
                    && own_system
                        .as_deref()
                        .is_none_or(|own| meaning.system.as_deref() == Some(own));
                if !is_same {
                    let child = self.coding_child(MAPPED);
                    let mapped = self.tree.append(node, child);
                    self.put_meaning(mapped, meaning);
                }
                by_map(self);
                let system =
                    if is_same { meaning.system.as_deref() } else { meaning.from.as_deref() };
                if let Some(coding) = self.first_coding(node, &code) {
                    self.complete(coding, system);
                }
            }
            _ => {
                by_map(self);
                let coding = match rule.coded {
                    Coded::Coding => Some(node),
                    _ => self.first_coding(node, &code),
                };
                if let Some(coding) = coding.filter(|_| part.part(3).is_empty()) {
                    self.complete_by_table(rule, coding, &code, &code_part);
                }
            }
        }
    }

    /// Takes out codings that a required binding does not allow.
    fn only_allowed(&mut self, rule: &DatatypeRule, node: NodeId, part: &Part<'a>) {
        let Some(allowed) = rule.codings else { return };
        let text_at = |run: &Self, coding: NodeId, name: NameId| match run
            .tree
            .find(coding, name)
            .map(|own| run.tree.leaf(own))
        {
            Some(Leaf::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let codings: Vec<NodeId> = self
            .tree
            .children(node)
            .filter(|child| self.tree.node(*child).is_some_and(|own| own.name == self.names.coding))
            .collect();
        let mut removed = 0;
        for coding in &codings {
            let code = text_at(self, *coding, self.names.code);
            let system = text_at(self, *coding, self.names.system);
            let is_allowed = match (&system, &code) {
                (Some(system), Some(code)) => allowed.contains(system, code),
                _ => false,
            };
            if !is_allowed {
                removed += 1;
                self.tree.remove(node, *coding);
            }
        }
        // A required binding is not met by a text alone (R4 §4.1.5.1).
        if removed == codings.len() {
            let rest: Vec<NodeId> = self.tree.children(node).collect();
            rest.into_iter().for_each(|child| self.tree.remove(node, child));
            if removed > 0 {
                self.find(FindingKind::CodeUnmapped, part, "FHIR takes other codes here");
            }
        }
    }

    /// A primitive by a datatype map (`CWE[code]`): its code is translated.
    fn coded_primitive(
        &mut self,
        vocabulary: u32,
        part: Part<'a>,
        node: NodeId,
        by_map: impl FnOnce(&mut Self),
    ) {
        by_map(self);
        let Leaf::Text(code) = self.tree.leaf(node) else { return };
        let code = code.clone();
        let found = self.meaning(vocabulary, &code, &part);
        match found.and_then(|meaning| meaning.code.as_deref()) {
            Some(mapped) => self.tree.set_leaf(node, Leaf::Text(Cow::Borrowed(mapped))),
            None => {
                self.find(FindingKind::CodeUnmapped, &part.part(1), "the code has no counterpart");
                self.tree.set_leaf(node, Leaf::None);
            }
        }
    }

    /// A code of a code system map as a primitive.
    pub(super) fn translated(
        &mut self,
        rule: &PrimitiveRule,
        vocabulary: u32,
        part: &Part<'a>,
    ) -> Option<Leaf<'a>> {
        use pipehat_resource::definitions::Primitive;
        let first = part.first();
        let code = self.first_text(&first);
        self.consumed.take(first.raw);
        let meaning = self.meaning(vocabulary, &code, part).and_then(|own| own.code.as_deref());
        let is_allowed =
            |text: &str| rule.codes.is_none_or(|codes| codes.system_of(text).is_some());
        match (rule.primitive, meaning) {
            (Primitive::Boolean, Some("true")) => Some(Leaf::Bool(true)),
            (Primitive::Boolean, Some("false")) => Some(Leaf::Bool(false)),
            (Primitive::Code, Some(code)) if is_allowed(code) => {
                Some(Leaf::Text(Cow::Borrowed(code)))
            }
            (Primitive::Code, None) if rule.codes.is_none() && super::primitive::is_code(&code) => {
                self.find(
                    FindingKind::CodeUnmapped,
                    &first,
                    "the code has no counterpart: kept as it is",
                );
                Some(Leaf::Text(code))
            }
            (Primitive::Boolean | Primitive::Code, _) => {
                self.find(FindingKind::CodeUnmapped, &first, "the code has no counterpart");
                None
            }
            (_, Some(text)) => Some(Leaf::Text(Cow::Borrowed(text))),
            (_, None) => Some(Leaf::Text(code)),
        }
    }

    /// The system and the display of a code that was put by itself.
    pub(super) fn complete_coding(
        &mut self,
        rule: &PrimitiveRule,
        coding: NodeId,
        part: &Part<'a>,
    ) {
        let Some(vocabulary) = rule.vocabulary else { return };
        let code = self.first_text(&part.first());
        if let Some(meaning) = self.meaning(vocabulary, &code, part)
            && meaning.code.is_some()
        {
            self.complete(coding, meaning.system.as_deref());
        }
    }

    /// What a code means, unless it names another system than the map's.
    fn meaning(&self, vocabulary: u32, code: &str, part: &Part<'a>) -> Option<&'a Meaning> {
        let meaning = self.plan.vocabularies.get(vocabulary as usize)?.meaning(code)?;
        let system = part.part(3);
        let is_other =
            system.is_valued() && system.at.component == 3 && !system.raw.starts_with(b"HL7") && {
                let name = self.first_text(&system);
                let uri = crate::value::code_system(&name, self.plan, self.settings);
                uri.is_none()
                    || (uri.as_deref() != meaning.from.as_deref()
                        && uri.as_deref() != meaning.system.as_deref())
            };
        (!is_other).then_some(meaning)
    }

    fn own_system(&self, part: &Part<'a>, meaning: &Meaning) -> Option<String> {
        let system = part.part(3);
        if system.is_valued() && system.at.component == 3 {
            return crate::value::code_system(&self.first_text(&system), self.plan, self.settings);
        }
        meaning.from.as_deref().map(str::to_owned)
    }

    /// A member that is a text.
    pub(super) fn text_child(&self, name: NameId) -> Child {
        Child {
            name,
            is_list: false,
            is_primitive: true,
            definition: self.types.string,
            choice: NO_CHOICE,
            label: 0,
        }
    }

    pub(super) fn coding_child(&self, label: u64) -> Child {
        Child {
            name: self.names.coding,
            is_list: true,
            is_primitive: false,
            definition: self.types.coding,
            choice: NO_CHOICE,
            label,
        }
    }

    fn put_meaning(&mut self, coding: NodeId, meaning: &'a Meaning) {
        let members = [
            (self.names.system, &meaning.system),
            (self.names.code, &meaning.code),
            (self.names.display, &meaning.display),
        ];
        for (name, text) in members {
            let child = self.text_child(name);
            match text {
                Some(text) => {
                    let node = self.tree.child(coding, child);
                    self.tree.set_leaf(node, Leaf::Text(Cow::Borrowed(text)));
                }
                // The message's own display is of its own code.
                None => {
                    if let Some(node) = self.tree.find(coding, name) {
                        self.tree.set_leaf(node, Leaf::None);
                    }
                }
            }
        }
    }

    /// The coding with this code, of those the message gave.
    fn first_coding(&self, node: NodeId, code: &str) -> Option<NodeId> {
        let has_code = |coding: &NodeId| {
            self.tree.find(*coding, self.names.code).is_some_and(
                |own| matches!(self.tree.leaf(own), Leaf::Text(text) if **text == *code),
            )
        };
        let is_coding = |child: &NodeId| {
            self.tree.node(*child).is_some_and(|own| own.name == self.names.coding)
        };
        self.tree.children(node).filter(is_coding).filter(has_code).last()
    }

    fn complete(&mut self, coding: NodeId, system: Option<&'a str>) {
        let Some(system) = system else { return };
        let child = self.text_child(self.names.system);
        let node = self.tree.child(coding, child);
        if *self.tree.leaf(node) == Leaf::None {
            self.tree.set_leaf(node, Leaf::Text(Cow::Borrowed(system)));
        }
    }

    /// Whether the field before names the system: the coding method of DG1-3 and PR1-3, until 2.3.1 (HL7 v2.3 §6.4.2.2). It
    /// has a row of its own.
    fn has_method(&self, part: &Part<'a>) -> bool {
        let name = self.view.name(part.at.segment()).map(|name| name.0);
        part.at.field == 3
            && matches!(name.as_ref(), Some(b"DG1" | b"PR1"))
            && !self.view.field(part.at.segment(), 2).is_empty()
    }

    /// The field's HL7 table as the system of a code that names none.
    fn complete_by_table(
        &mut self,
        rule: &DatatypeRule,
        coding: NodeId,
        code: &str,
        part: &Part<'a>,
    ) {
        if code.is_empty() {
            return;
        }
        let is_known = TableNumber::new(rule.hl7_table).is_some_and(|number| {
            TABLE_VERSIONS.iter().any(|version| {
                version.table(number).is_some_and(|table| table.code(code.as_bytes()).is_some())
            })
        });
        if is_known {
            let uri = format!("http://terminology.hl7.org/CodeSystem/v2-{:04}", rule.hl7_table);
            let child = self.text_child(self.names.system);
            let node = self.tree.child(coding, child);
            if *self.tree.leaf(node) == Leaf::None {
                self.tree.set_leaf(node, Leaf::Text(Cow::Owned(uri)));
            }
        } else if (rule.vocabulary.is_some() || rule.hl7_table != 0) && !self.has_method(part) {
            self.find(
                FindingKind::CodeUnmapped,
                part,
                "a code of no known system: kept without one",
            );
        }
    }
}
