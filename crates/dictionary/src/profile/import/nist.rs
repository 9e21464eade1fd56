//! The form of NIST's tools: messages refer to segments, and fields to data types.

use std::collections::HashMap;

use super::gather::{Around, Gathering, Tables};
use super::xml::Element as Xml;
use super::{ImportError, Imported, version};
use crate::profile::constraint::Profile;
use crate::profile::place::Place;

/// Segments and data types by their ID.
struct Definitions<'d> {
    segments: HashMap<&'d str, &'d Xml>,
    data_types: HashMap<&'d str, &'d Xml>,
}

/// What stands in documents of this form and is not carried over.
const OTHER: [(&str, &str); 4] = [
    ("Constraints", "conformance statements"),
    ("Predicates", "predicates of conditional usage"),
    ("CoConstraints", "co-constraints: write them as `rules`"),
    ("DynamicMapping", "data types that depend on another field"),
];

pub(super) fn read(name: &str, root: &Xml, tables: &Tables) -> Result<Imported, ImportError> {
    let mut left_out = Vec::new();
    let version = version(root.attribute("HL7Version"), &mut left_out);
    let mut profile = Profile::new(name, version);
    let metadata = root.find("MetaData").and_then(|metadata| metadata.attribute("Name"));
    profile.description = metadata.map(Box::from);
    let definitions = Definitions {
        segments: by_id(root, "Segments", "Segment"),
        data_types: by_id(root, "Datatypes", "Datatype"),
    };
    let mut gathering = Gathering::new(profile, left_out, tables);
    let messages = root.all("Messages").flat_map(|messages| messages.all("Message"));
    let mut count = 0;
    for message in messages {
        count += 1;
        gathering.message(message.attribute("Type"), message.attribute("Event"));
        segments(message, Around::NOTHING, &definitions, &mut gathering);
    }
    if count == 0 {
        return Err(ImportError::NoMessage);
    }
    for (element, what) in OTHER {
        if root.find(element).is_some() {
            gathering.leave_out(format!("{what} ({element})"));
        }
    }
    Ok(gathering.finish())
}

fn by_id<'d>(root: &'d Xml, list: &'d str, element: &'d str) -> HashMap<&'d str, &'d Xml> {
    root.all(list)
        .flat_map(|list| list.all(element))
        .filter_map(|element| Some((element.attribute("ID")?, element)))
        .collect()
}

fn segments(
    parent: &Xml,
    around: Around,
    definitions: &Definitions<'_>,
    gathering: &mut Gathering<'_>,
) {
    for child in &parent.children {
        match child.name.as_str() {
            "Group" => {
                gathering.enter(child);
                segments(child, around.within(child), definitions, gathering);
                gathering.leave();
            }
            "Segment" => {
                let Some(id) = child.attribute("Ref") else { continue };
                let Some(definition) = definitions.segments.get(id) else {
                    gathering.leave_out(format!("the segment `{id}` is not defined"));
                    continue;
                };
                let name = definition.attribute("Name").unwrap_or(id);
                let long_name = definition.attribute("Description");
                if let Some(segment) = gathering.segment(name, long_name, child, around) {
                    for (position, field) in (1_u16..).zip(definition.all("Field")) {
                        let place = Place::field(segment, position);
                        parts(place, field, definitions, gathering);
                    }
                }
            }
            _ => {}
        }
    }
}

/// A field or component, with what its data type says of its parts.
fn parts(
    place: Place,
    element: &Xml,
    definitions: &Definitions<'_>,
    gathering: &mut Gathering<'_>,
) {
    let reference = element.attribute("Datatype");
    let data_type = reference.and_then(|id| definitions.data_types.get(id));
    let name = data_type.and_then(|data_type| data_type.attribute("Name")).or(reference);
    gathering.element(place, element, name);
    // A data type that holds itself ends at the subcomponents.
    let Some(data_type) = data_type.filter(|_| place.subcomponent == 0) else { return };
    for (position, part) in (1_u16..).zip(data_type.all("Component")) {
        parts(place.part(position), part, definitions, gathering);
    }
}
