//! MSH: what the caller and the profile say (HL7 v2.5.1 §2.15.9).

use pipehat_dictionary::{SegmentDefinition, Structure, TableNumber, Version};

use super::encode::{Node, SegmentFields};
use super::primitive::date_time;
use super::profile::{Hierarchic, Offsets, Profile};
use super::writer::Stamp;

/// MSH-18 for UTF-8 (table 0211).
const UTF_8: &str = "UNICODE UTF-8";

/// The fields of MSH but for its first two.
pub(super) fn header(
    profile: &Profile,
    stamp: &Stamp<'_>,
    names: (&str, &str),
    structure: Structure,
    is_ascii: bool,
) -> SegmentFields {
    let version = structure.version();
    let definition = version.segment(pipehat_message::SegmentName::MSH);
    let mut fields = SegmentFields::default();
    let mut put = |position: u16, node: Option<Node>| {
        let element = definition.and_then(|it| it.field(usize::from(position)));
        if element.is_some() {
            fields.field_mut(position).extend(node);
        }
    };
    let parties = [
        (3, &profile.sending_application),
        (4, &profile.sending_facility),
        (5, &profile.receiving_application),
        (6, &profile.receiving_facility),
    ];
    for (position, party) in parties {
        put(position, designator(definition, position, party));
    }
    // MSH-7 says the zone of what says none (HL7 v2.5.1 §2.A.22), so it keeps its own.
    let with_zone =
        Profile { offsets: Offsets::Written, zone: profile.zone.clone(), ..Profile::default() };
    put(7, date_time(&stamp.text(), &with_zone, version).map(Node::text));
    put(9, message_type(names, structure));
    put(10, text(stamp.control_id));
    put(11, text(profile.processing_id.as_deref().unwrap_or("P")));
    put(12, text(version.as_str()));
    put(15, profile.accept_acknowledgment.as_deref().and_then(text));
    put(16, profile.application_acknowledgment.as_deref().and_then(text));
    if !is_ascii || knows_utf_8(version) {
        put(18, text(UTF_8));
    }
    put(21, profile.message_profile.as_deref().and_then(text));
    fields
}

fn text(text: &str) -> Option<Node> {
    (!text.is_empty()).then(|| Node::text(text))
}

fn designator(
    definition: Option<SegmentDefinition>,
    position: u16,
    party: &Hierarchic,
) -> Option<Node> {
    let parts = [&party.namespace, &party.universal_id, &party.universal_id_type];
    let node = Node::parts(parts.into_iter().map(|part| text(part)).collect())?;
    let element = definition?.field(usize::from(position))?;
    // Up to 2.2 these are texts (HL7 v2.2 §2.24.1).
    let is_single = element.data_type().is_some_and(|type_| type_.is_primitive());
    if is_single { node.into_first() } else { Some(node) }
}

/// MSH-9; the structure came with 2.3.1 (HL7 v2.3.1 §2.24.1.9).
fn message_type((code, trigger): (&str, &str), structure: Structure) -> Option<Node> {
    let mut parts = vec![text(code), text(trigger)];
    if structure.version() >= Version::V2_3_1 {
        parts.push(text(structure.base_name()));
    }
    Node::parts(parts)
}

fn knows_utf_8(version: Version) -> bool {
    let table = TableNumber::new(211).and_then(|number| version.table(number));
    table.is_some_and(|table| table.code(UTF_8.as_bytes()).is_some())
}
