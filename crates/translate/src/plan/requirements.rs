//! What each type requires, by the members' numbers.

use pipehat_resource::definitions::{Element, TypeDefinition, all_types};

use super::{NameId, Names};

/// The required elements of all types, by the type's index.
#[derive(Debug, Default)]
pub(crate) struct Requirements(Vec<Vec<Required>>);

/// An element that must be there.
#[derive(Debug)]
pub(crate) struct Required {
    pub(crate) element: &'static Element,
    /// The members that it may stand in, one for each type of a choice. What no table writes has no number.
    pub(crate) members: Vec<NameId>,
}

impl Requirements {
    /// Those of R4, once all names have their numbers.
    pub(super) fn of_types(names: &Names) -> Self {
        let of_element = |element: &'static Element| {
            let members: Vec<NameId> = if element.is_choice() {
                element.types().iter().filter_map(|own| names.find(own.member())).collect()
            } else {
                names.find(element.name()).into_iter().collect()
            };
            Required { element, members }
        };
        let of_type = |own: &TypeDefinition| own.required_elements().map(of_element).collect();
        Self(all_types().iter().map(of_type).collect())
    }

    /// What a type requires.
    pub(crate) fn of(&self, definition: &TypeDefinition) -> &[Required] {
        self.0.get(definition.index()).map(Vec::as_slice).unwrap_or_default()
    }
}
