//! Where the definitions say more than the standard does: what is corrected when the rules of a version are made.
//!
//! The free definitions before 2.9.1 know required and optional only. What the standard calls conditional they call
//! either, so that a field of those is not required by itself; the conditions are rules of ours.

use super::rules::{ANY, ElementRules};
use crate::element::Usage;
use crate::segment::SegmentDefinition;
use crate::version::Version;

/// Fields that only one version's definitions require, though versions before and after do not.
const NOT_REQUIRED: &[(Version, &[u8; 3], usize)] = &[
    // Times and volumes that a report fills in, not a request (2.1 marks the whole column).
    (Version::V2_1, b"OBR", 8),
    (Version::V2_1, b"OBR", 9),
    (Version::V2_1, b"OBR", 14),
    // An outpatient has no bed.
    (Version::V2_1, b"PV1", 3),
    // Optional in 2.2 and 2.3.1; replies and results carry none.
    (Version::V2_3, b"ORC", 7),
    (Version::V2_3, b"OBR", 27),
    (Version::V2_3, b"RXG", 2),
];

/// Corrects what the definitions say about a field.
pub(super) fn apply(
    version: Version,
    segment: &SegmentDefinition,
    position: usize,
    field: &mut ElementRules,
) {
    let name = segment.name();
    let name = name.as_bytes();
    if field.usage == Usage::Required
        && (NOT_REQUIRED.contains(&(version, name, position)) || is_conditional(segment, position))
    {
        field.usage = Usage::Conditional;
    }
    match (name, position) {
        // Published as 7 characters, which `ADT^A01^ADT_A01` exceeds.
        (b"MSH", 9) => field.length_max = ANY,
        // Published as 2 up to 2.5.1, though table 0125 has `CWE` and `XPN`.
        (b"OBX", 2) if field.length_max == 2 => field.length_max = 3,
        _ => {}
    }
}

/// Whether 2.9.1, which tells conditional from required, calls the same data element conditional.
fn is_conditional(segment: &SegmentDefinition, position: usize) -> bool {
    let newest = Version::V2_9_1.segment(segment.name());
    let newest = newest.and_then(|newest| newest.field(position));
    let own = segment.field(position);
    match (own, newest) {
        (Some(own), Some(newest)) => {
            newest.usage() == Usage::Conditional
                && own.item().is_some()
                && own.item() == newest.item()
        }
        _ => false,
    }
}
