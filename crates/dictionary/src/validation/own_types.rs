//! The data types that a profile gives: to fields and their parts, of its own segments and of those of the standard.
//!
//! A field with parts of other types than its data type has gets a data type of its own, which is that one changed; the
//! data type itself, and other fields of it, stay as they are. Types that a version does not define are passed over.

use pipehat_message::SegmentName;

use super::primitive::Primitive;
use super::rules::{ANY, ElementRules, FIELDS_MAX, NONE, NONE_OPAQUE, Rules, Special, TypeRules};
use crate::element::Usage;
use crate::profile::ElementConstraint;

/// Components of a data type of which nothing is known: as many as are looked at.
const COMPONENTS_MAX: usize = 62;

impl Rules {
    /// A field that a profile gives a data type, or its parts: one of its own segments, one behind those of the
    /// standard, or one that has another type than the standard says. Of a field with another type nothing else is
    /// asked.
    pub(crate) fn give_types(
        &mut self,
        segment: SegmentName,
        position: u16,
        own: &ElementConstraint,
    ) {
        let index = usize::from(position);
        if index == 0 || index > FIELDS_MAX {
            return;
        }
        let standard = self.segment(segment).and_then(|rules| rules.fields.get(index - 1));
        let standard = standard.map_or(NONE_OPAQUE, |field| field.data_type);
        let named = own.data_type.as_deref().and_then(|name| self.type_index(name));
        let with_parts = self.with_parts(named.unwrap_or(standard), &own.parts);
        if with_parts == standard {
            return;
        }
        let Some(segment) = self.declare(segment) else { return };
        while segment.fields.len() < index {
            segment.fields.push(ElementRules::free(NONE_OPAQUE));
        }
        let Some(field) = segment.fields.get_mut(index - 1) else { return };
        *field = if named.is_some() || field.data_type == NONE {
            ElementRules { name: field.name, ..ElementRules::free(with_parts) }
        } else {
            ElementRules { data_type: with_parts, ..field.clone() }
        };
    }

    fn type_index(&self, name: &str) -> Option<u16> {
        let found = self.types.iter().position(|rules| rules.name == name)?;
        u16::try_from(found).ok()
    }

    /// A data type with what a profile says about its parts: the type itself where that is nothing new.
    fn with_parts(&mut self, base: u16, parts: &[Option<Box<ElementConstraint>>]) -> u16 {
        if !parts.iter().flatten().any(|part| is_typed(part)) {
            return base;
        }
        let mut rules = match self.type_at(base) {
            Some(rules) => rules.clone(),
            None => TypeRules::named(""),
        };
        match rules.primitive {
            Primitive::Composite => {}
            Primitive::Opaque | Primitive::Varies => {
                rules.components = vec![ElementRules::free(NONE); COMPONENTS_MAX];
            }
            // A value without parts is the first part.
            _ => rules.components = vec![ElementRules::free(base)],
        }
        rules.primitive = Primitive::Composite;
        if rules.components.len() < parts.len() {
            rules.components.resize(parts.len(), ElementRules::free(NONE));
        }
        for (index, part) in parts.iter().enumerate() {
            let Some(part) = part.as_deref() else { continue };
            let Some(before) = rules.components.get(index).map(|component| component.data_type)
            else {
                continue;
            };
            let named = part.data_type.as_deref().and_then(|name| self.type_index(name));
            let data_type = self.with_parts(named.unwrap_or(before), &part.parts);
            let Some(component) = rules.components.get_mut(index) else { continue };
            if data_type == before {
                continue;
            }
            component.data_type = data_type;
            if named.is_some() {
                // Its codes and lengths are those of the type it had.
                (component.table, component.length_max) = (NONE, ANY);
                component.conformance_length = ANY;
                // What its components are to one another need not hold any more.
                if rules.special != Special::Coded {
                    rules.special = Special::None;
                }
            }
            if component.usage == Usage::Withdrawn {
                component.usage = Usage::Optional;
            }
        }
        let Ok(at) = u16::try_from(self.types.len()) else { return base };
        // Past these are marks and no indexes; a profile speaks of fewer places than there are.
        if at >= NONE_OPAQUE {
            return base;
        }
        self.types.push(rules);
        at
    }
}

/// Whether a data type is given to the element or to a part of it.
pub(crate) fn is_typed(element: &ElementConstraint) -> bool {
    element.data_type.is_some() || element.parts.iter().flatten().any(|part| is_typed(part))
}
