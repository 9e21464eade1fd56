//! Which fields make which elements, of the types of which all stays that is not told (`*` in `tables/keeps.tsv`): by the maps
//! themselves, so that what an overlay makes is known as well.

use pipehat_resource::definitions::TypeDefinition;

use super::{Action, Keep, NO_CHOICE, NameId, Plan, Rule, SlotRef, Source, Step};
use crate::condition::Name;

/// Segments of nearly every message.
const BASES: [Name; 5] =
    [Name(*b"MSH"), Name(*b"EVN"), Name(*b"PID"), Name(*b"PV1"), Name(*b"MRG")];

/// An element and the fields that make it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) resource: &'static TypeDefinition,
    /// The element, and one within it where what is within another is told one by one.
    pub(crate) path: (NameId, Option<NameId>),
    pub(crate) text: Box<str>,
    /// Of a choice its name, as all types of it are made or none.
    pub(crate) choice: NameId,
    /// Segments and fields; 0 where it is made of the segment as such.
    pub(crate) fields: Vec<(Name, u16)>,
}

/// An extension of a resource and a field that makes it.
#[derive(Debug)]
pub(crate) struct MadeExtension {
    pub(crate) resource: &'static TypeDefinition,
    pub(crate) url: Box<str>,
    pub(crate) field: (Name, u16),
}

/// What is made of which fields.
#[derive(Debug, Default)]
pub(crate) struct MadeOf {
    pub(crate) elements: Vec<Made>,
    pub(crate) extensions: Vec<MadeExtension>,
}

impl MadeOf {
    /// By the message maps that rows with `*` are about.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut made = Self::default();
        let rows: Vec<&Keep> = plan.keeps.iter().filter(|row| row.rest().is_some()).collect();
        for map in &plan.messages {
            let is_of =
                |row: &&&Keep| row.codes().any(|code| map.name.split('_').next() == Some(code));
            let rows: Vec<&Keep> = rows.iter().filter(is_of).copied().collect();
            for row in &map.rows {
                let Some(slot) = map.slots.get(usize::from(row.slot)) else { continue };
                let parts: Vec<&str> = rows
                    .iter()
                    .filter(|own| own.resource == slot.resource)
                    .filter_map(|own| own.rest())
                    .collect();
                let own = row.map.and_then(|map| plan.segments.get(map as usize));
                if let Some(own) = own.filter(|_| !parts.is_empty()) {
                    for rule in own.runs.iter().flat_map(|run| &run.rules) {
                        made.rule(plan, (slot.resource, &parts), (own.segment, &row.path), rule);
                    }
                }
                // What a message is of says nothing of what it refers to.
                let references =
                    if BASES.contains(&row.segment) { &[][..] } else { &row.references };
                for reference in references {
                    let from = match reference.from {
                        SlotRef::Slot(slot) => {
                            map.slots.get(usize::from(slot)).map(|slot| slot.resource)
                        }
                        SlotRef::Latest(resource) => Some(resource),
                    };
                    let Some(from) = from else { continue };
                    let parts: Vec<&str> = rows
                        .iter()
                        .filter(|own| own.resource == from)
                        .filter_map(|own| own.rest())
                        .collect();
                    if !parts.is_empty() {
                        made.element(plan, (from, &parts), &reference.path, (row.segment, 0));
                    }
                }
            }
        }
        // A type of a choice is told by what tells another.
        let told: Vec<(usize, Vec<(Name, u16)>)> =
            made.elements
                .iter()
                .enumerate()
                .filter(|(_, own)| own.choice != NO_CHOICE)
                .map(|(at, own)| {
                    let others = made.elements.iter().filter(|other| {
                        other.resource == own.resource && other.choice == own.choice
                    });
                    (at, others.flat_map(|other| other.fields.iter().copied()).collect())
                })
                .collect();
        for (at, fields) in told {
            if let Some(own) = made.elements.get_mut(at) {
                own.fields = fields;
            }
        }
        made
    }

    fn rule(
        &mut self,
        plan: &Plan,
        (resource, parts): (&'static TypeDefinition, &[&str]),
        (segment, above): (Name, &[Step]),
        rule: &Rule,
    ) {
        let Source::Field(field, ..) = rule.source else { return };
        let path: Vec<Step> = above.iter().chain(rule.path.iter()).copied().collect();
        match (&rule.action, path.as_slice()) {
            (Action::Nothing, _) => {}
            (
                Action::Constant(url, _),
                [Step::Child { name, .. }, Step::Child { name: last, .. }],
            ) if *name == plan.well_known.extension && *last == plan.well_known.url => {
                let is_known = |own: &MadeExtension| {
                    own.resource == resource && own.url == *url && own.field == (segment, field)
                };
                if !self.extensions.iter().any(is_known) {
                    let field = (segment, field);
                    self.extensions.push(MadeExtension { resource, url: url.clone(), field });
                }
            }
            // What is said besides; or because of an event, and not of what the field tells.
            (Action::Constant(..), _) => {}
            _ => self.element(plan, (resource, parts), &path, (segment, field)),
        }
    }

    fn element(
        &mut self,
        plan: &Plan,
        (resource, parts): (&'static TypeDefinition, &[&str]),
        path: &[Step],
        field: (Name, u16),
    ) {
        let Some(Step::Child { name, choice, .. }) = path.first() else { return };
        let text = plan.names.text(*name);
        let is_in_parts = parts.iter().any(|own| own.strip_suffix(".*") == Some(text));
        let within = match path.get(1) {
            Some(Step::Child { name, .. }) if is_in_parts => Some(*name),
            _ => None,
        };
        let path = (*name, within);
        let known =
            self.elements.iter_mut().find(|own| own.resource == resource && own.path == path);
        match known {
            Some(own) if own.fields.contains(&field) => {}
            Some(own) => own.fields.push(field),
            None => {
                let text = match within {
                    Some(within) => format!("{text}.{}", plan.names.text(within)).into(),
                    None => text.into(),
                };
                let choice = *choice;
                self.elements.push(Made { resource, path, text, choice, fields: vec![field] });
            }
        }
    }
}
