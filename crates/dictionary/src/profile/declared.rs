//! Whether there is such a place: by the profile's version of the standard, or by the profile's own word.

use super::constraint::{ElementConstraint, Profile};
use super::place::Place;
use crate::data_type::DataType;

/// Types that say nothing of their parts: those of 2.1 to 2.4 that each field has its own of, and those that any may
/// stand for.
const OPAQUE: [&str; 6] = ["CM", "GTS", "NUL", "varies", "VARIES", "Varies"];

impl Profile {
    /// Whether neither the standard nor the profile has the place. A field or part of the partner's own is declared by
    /// its `type` or its `name`; of segments that the standard does not have any field is taken.
    pub(super) fn has_not(&self, place: &Place) -> bool {
        let Place { segment, field, component, subcomponent } = *place;
        let is_declared = |place: &Place| {
            let element = self.element(place);
            element.is_some_and(|element| element.name.is_some() || element.data_type.is_some())
        };
        let at = Place::field(segment, field);
        let segment = self.version.segment(segment);
        let defined = segment.and_then(|segment| segment.field(usize::from(field)));
        if segment.is_some() && defined.is_none() && !is_declared(&at) {
            return true;
        }
        let mut data_type =
            self.own_type(&at).or_else(|| defined.and_then(|field| field.data_type()));
        let mut at = at;
        for position in [component, subcomponent] {
            if position == 0 {
                break;
            }
            at = at.part(position);
            let Some(whole) = data_type.filter(|whole| !OPAQUE.contains(&whole.name())) else {
                return false;
            };
            let part = whole.component(usize::from(position));
            // What is primitive is its own first part.
            let is_itself = whole.is_primitive() && position == 1;
            if part.is_none() && !is_itself && !is_declared(&at) {
                return true;
            }
            let inherited = if is_itself { Some(whole) } else { None };
            data_type =
                self.own_type(&at).or_else(|| part.and_then(|part| part.data_type())).or(inherited);
        }
        false
    }

    /// The type that the profile gives a place.
    fn own_type(&self, place: &Place) -> Option<DataType> {
        let name = self
            .element(place)
            .and_then(|element: &ElementConstraint| element.data_type.as_deref())?;
        self.version.data_type(name)
    }
}
