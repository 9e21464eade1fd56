//! Results of a result: the susceptibilities of an organism, the reflex tests of a finding.
//!
//! OBR-26 says of which observation the results of its group are (HL7 v2.5.1 §7.4.1.26): by OBX-3, by OBX-4 and by what it
//! said. Each of them is derived from that observation, and bears in words what it is: one organism's susceptibility read
//! as another's leads to the wrong drug. OBR-29 says by its numbers which order they follow from (§4.5.3.29): panels of one
//! filler number that follow from two orders are two reports.

use std::borrow::Cow;

use super::Run;
use super::tree::{Leaf, NodeId};
use super::view::{At, Part};
use crate::condition::Name;
use crate::finding::FindingKind;
use crate::value::Authority;

const OBR: Name = Name(*b"OBR");
const OBX: Name = Name(*b"OBX");
const ORC: Name = Name(*b"ORC");
/// The components of OBX-5 that may be a text of its own: CWE has nine until its original text.
const COMPONENTS: u16 = 9;
/// Parent Result.
const PARENT_RESULT: u16 = 26;
/// The fields of OBR that name the parent order: Parent, and since version 2.9 Parent Order.
const PARENTS: [u16; 2] = [29, 54];
/// Parent of ORC, which is identical to OBR-29 (HL7 v2.5.1 §4.5.1.8, §4.5.3.29).
const PARENT_IN_ORC: u16 = 8;

/// A number (EI) as a message tells it.
#[derive(Debug)]
struct NumberTold<'a> {
    value: Cow<'a, str>,
    namespace: Cow<'a, str>,
    universal: Cow<'a, str>,
    kind: Cow<'a, str>,
}

impl NumberTold<'_> {
    /// Whether it may be the other: the value is, and nothing that both tell of whose it is differs.
    fn may_be(&self, other: &Self) -> bool {
        let is_alike = |one: &str, other: &str| one.is_empty() || other.is_empty() || one == other;
        self.value == other.value
            && is_alike(&self.namespace, &other.namespace)
            && is_alike(&self.universal, &other.universal)
    }
}

/// What OBR-26 names.
#[derive(Debug, Clone, Copy, Default)]
struct Parent {
    found: Option<u32>,
    /// The result that its number names does not say what it says.
    is_contradicted: bool,
}

impl<'a> Run<'a> {
    /// Relates the results below an OBR with a parent result to that.
    pub(super) fn relate_to_parents(&mut self) {
        let plan = self.plan;
        let Some(map) = plan.parent_result.and_then(|map| plan.segments.get(map as usize)) else {
            return;
        };
        let has_parent = |own: &Self, segment: usize| {
            own.view.name(segment) == Some(OBR)
                && !own.view.field(segment, PARENT_RESULT).is_empty()
        };
        if !(0..self.view.len()).any(|segment| has_parent(self, segment)) {
            return;
        }
        for index in 0..self.resources.len() {
            let Some((root, obr)) = self.result_at(index) else { continue };
            if !has_parent(self, obr) {
                continue;
            }
            let resource = u32::try_from(index).unwrap_or(u32::MAX);
            self.segment(map, obr, root, resource);
            let parent = self.parent_result(obr);
            let derived = plan.names.find("derivedFrom").and_then(|id| self.tree.find(root, id));
            let at = At::of_field(obr, PARENT_RESULT);
            if parent.is_contradicted {
                self.find_at(
                    FindingKind::Ambiguous,
                    at,
                    match parent.found {
                        Some(_) => "the result that OBR-26.2 names says something else than OBR-26.3",
                        None => {
                            "OBR-26.2 names another result than OBR-26.3: told in words, and derived from neither"
                        }
                    },
                );
            }
            match (parent.found, derived) {
                (Some(parent), Some(derived)) if parent != resource => {
                    self.tree.set_leaf(derived, Leaf::Reference(parent));
                }
                _ if parent.is_contradicted => {}
                _ => self.find_at(
                    FindingKind::NotMapped,
                    at,
                    "the result that this names is not in the message, or not the only one of its kind: told in words",
                ),
            }
        }
    }

    /// The OBR of the result at hand.
    fn result_at(&self, index: usize) -> Option<(NodeId, usize)> {
        let own = self.resources.get(index).filter(|own| own.definition.name() == "Observation")?;
        let is_result = self.view.name(own.segment) == Some(OBX);
        Some((own.root, self.nearest(OBR, own.segment).filter(|_| is_result)?))
    }

    /// The one result that OBR-26 names: of the order of OBR-29, where that is told. Not where its text is that of another.
    fn parent_result(&self, child: usize) -> Parent {
        let Some(link) = self.view.repetitions(child, PARENT_RESULT).next() else {
            return Parent::default();
        };
        let like = self.named_results(child, &link);
        let sub = link.part(2).raw.trim_ascii();
        let is_named = |segment: usize| self.view.field(segment, 4).trim_ascii() == sub;
        let mut named = like.iter().filter(|(_, segment)| is_named(*segment));
        let (Some((parent, segment)), None) = (named.next(), named.next()) else {
            return Parent::default();
        };
        let text = self.first_text(&link.part(3));
        let is_contradicted = !text.is_empty() && !self.says_text(*segment, &text);
        let is_another = is_contradicted
            && like.iter().any(|(_, other)| other != segment && self.says_text(*other, &text));
        Parent { found: (!is_another).then_some(*parent), is_contradicted }
    }

    /// Whether the value of a result (OBX-5) is a text, in any of its components.
    fn says_text(&self, segment: usize, text: &str) -> bool {
        let words =
            |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let wanted = words(text);
        self.view.repetitions(segment, 5).any(|value| {
            (1..=COMPONENTS).any(|part| words(&self.first_text(&value.part(part))) == wanted)
        })
    }

    /// The order that an OBR follows from (EIP): by OBR, else by its ORC.
    fn parent_order(&self, obr: usize) -> Option<Part<'a>> {
        let told = |segment: usize, field: u16| {
            let first = self.view.repetitions(segment, field).next();
            first.filter(|parent| {
                [1, 2].iter().any(|at| self.number_told(parent.part(*at)).is_some())
            })
        };
        let of_order = || told(self.nearest(ORC, obr)?, PARENT_IN_ORC);
        PARENTS.iter().find_map(|field| told(obr, *field)).or_else(of_order)
    }

    /// An EI, where it has a value.
    fn number_told(&self, part: Part<'a>) -> Option<NumberTold<'a>> {
        let [value, namespace, universal, kind] =
            [1, 2, 3, 4].map(|at| self.first_text(&part.part(at)));
        let is_told = !value.is_empty() && value != "\"\"";
        is_told.then_some(NumberTold { value, namespace, universal, kind })
    }

    /// The number that OBR, else its ORC has in a field.
    fn order_number_told(&self, obr: usize, field: u16) -> Option<NumberTold<'a>> {
        let own = [Some(obr), self.nearest(ORC, obr)].into_iter().flatten();
        own.filter_map(|segment| self.view.repetitions(segment, field).next())
            .find_map(|part| self.number_told(part))
    }

    /// What tells an OBR from others of its number that follow from other orders: the parent's numbers. Its own, by which it is
    /// known anyway (`kind`: `filler` or `placer`), tell nothing more.
    pub(super) fn parent_key(&self, obr: usize, kind: &str) -> Option<String> {
        let parent = self.parent_order(obr)?;
        let mut key = String::new();
        for (position, of, field) in [(1, "placer", 2), (2, "filler", 3)] {
            let Some(number) = self.number_told(parent.part(position)) else { continue };
            let own = if of == kind { self.order_number_told(obr, field) } else { None };
            if own.is_some_and(|own| own.may_be(&number)) {
                continue;
            }
            let NumberTold { value, namespace, universal, kind } = &number;
            let authority = Authority { namespace, universal, kind };
            let whose = authority
                .uri(self.plan, self.settings)
                .unwrap_or_else(|| [&**namespace, universal, kind].join("&"));
            key.extend([of, "\u{1}", &whose, "\u{1}", value, "\u{1}"]);
        }
        (!key.is_empty()).then_some(key)
    }

    /// Whether an OBR is the order that another follows from, by what both tell of its numbers.
    fn is_parent(&self, obr: usize, parent: &Part<'a>) -> bool {
        let mut is_told = false;
        for (position, field) in [(1, 2), (2, 3)] {
            let wanted = self.number_told(parent.part(position));
            let (Some(wanted), Some(own)) = (wanted, self.order_number_told(obr, field)) else {
                continue;
            };
            if !own.may_be(&wanted) {
                return false;
            }
            is_told = true;
        }
        is_told
    }

    /// The results of the code and the order that OBR-26 and OBR-29 name, with their segments.
    fn named_results(&self, child: usize, link: &Part<'a>) -> Vec<(u32, usize)> {
        let observation = link.part(1);
        let parent = self.parent_order(child);
        let mut found = Vec::new();
        for (index, own) in self.resources.iter().enumerate() {
            let Some((_, obr)) = self.result_at(index).filter(|(_, obr)| *obr != child) else {
                continue;
            };
            let segment = own.segment;
            let is_of_order = parent.as_ref().is_none_or(|parent| self.is_parent(obr, parent));
            let is_named = |field: u16, wanted: [Part<'a>; 2]| {
                let own = self.view.repetitions(segment, field).next();
                let own = own.map(|own| [own.part(1), own.part(2)]);
                let by_code = usize::from(wanted.first().is_some_and(Part::is_empty));
                match (own.as_ref().and_then(|own| own.get(by_code)), wanted.get(by_code)) {
                    (Some(own), Some(wanted)) => self.first_text(own) == self.first_text(wanted),
                    (None, Some(wanted)) => wanted.is_empty(),
                    _ => false,
                }
            };
            if is_of_order && is_named(3, [observation.part(1), observation.part(2)]) {
                found.extend(u32::try_from(index).ok().map(|index| (index, segment)));
            }
        }
        found
    }
}
