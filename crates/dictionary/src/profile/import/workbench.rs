//! The form of the Messaging Workbench: everything within one another.

use super::gather::{Around, Gathering, Tables};
use super::xml::Element as Xml;
use super::{ImportError, Imported, version};
use crate::profile::constraint::Profile;
use crate::profile::place::Place;

pub(super) fn read(name: &str, root: &Xml, tables: &Tables) -> Result<Imported, ImportError> {
    let mut left_out = Vec::new();
    let version = version(root.attribute("HL7Version"), &mut left_out);
    let mut profile = Profile::new(name, version);
    let metadata = root.find("MetaData").and_then(|metadata| metadata.attribute("Name"));
    profile.description = metadata.map(Box::from);
    let mut gathering = Gathering::new(profile, left_out, tables);
    let mut messages = Vec::new();
    if root.name == "HL7v2xStaticDef" {
        messages.push(root);
    }
    root.below("HL7v2xStaticDef", &mut messages);
    if messages.is_empty() {
        return Err(ImportError::NoMessage);
    }
    for message in messages {
        gathering.message(message.attribute("MsgType"), message.attribute("EventType"));
        segments(message, Around::NOTHING, &mut gathering);
    }
    if root.find("DynamicDef").is_some() {
        gathering.leave_out("acknowledgments (DynamicDef): set them at the channel".to_owned());
    }
    Ok(gathering.finish())
}

fn segments(parent: &Xml, around: Around, gathering: &mut Gathering<'_>) {
    for child in &parent.children {
        match child.name.as_str() {
            "SegGroup" => {
                gathering.enter(child);
                segments(child, around.within(child), gathering);
                gathering.leave();
            }
            "Segment" => {
                let Some(name) = child.attribute("Name") else { continue };
                let long_name = child.attribute("LongName");
                if let Some(segment) = gathering.segment(name, long_name, child, around) {
                    let fields = child.all("Field");
                    for (position, field) in (1_u16..).zip(fields) {
                        parts(Place::field(segment, position), field, gathering);
                    }
                }
            }
            _ => {}
        }
    }
}

/// A field, component or subcomponent, with what is in it.
fn parts(place: Place, element: &Xml, gathering: &mut Gathering<'_>) {
    gathering.element(place, element, element.attribute("Datatype"));
    let inner = if place.component == 0 { "Component" } else { "SubComponent" };
    for (position, part) in (1_u16..).zip(element.all(inner)) {
        parts(place.part(position), part, gathering);
    }
}
