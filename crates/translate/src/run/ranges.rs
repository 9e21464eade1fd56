//! Numbers that one sender counts apart. Of a number without an authority nothing says whose it is but the field that it stands
//! in, so one field's never finds what is known by another's: PID-2 was somebody else's number of the patient, PID-4 an
//! alternate one (HL7 v2.3 §3.3.2.2, §3.3.2.4), PV1-50 is a visit's alternate number (v2.5.1 §3.4.3.50), and a filler's number
//! is not the placer's (§4.5.1.3).

use super::Run;
use super::tree::NodeId;
use super::view::At;
use crate::value::on_base;

/// Fields whose numbers are counted apart, and those that name a prior one of them (MRG: §3.4.10).
const FIELDS: [(&[u8; 3], u16, &str); 6] = [
    (b"PID", 2, EXTERNAL),
    (b"MRG", 4, EXTERNAL),
    (b"PID", 4, ALTERNATE),
    (b"MRG", 2, ALTERNATE),
    (b"PV1", 50, ALTERNATE_VISIT),
    (b"MRG", 6, ALTERNATE_VISIT),
];
const EXTERNAL: &str = "PID-2";
const ALTERNATE: &str = "PID-4";
const ALTERNATE_VISIT: &str = "PV1-50";
const FILLER: &str = "filler";

impl<'a> Run<'a> {
    /// The system of a number that no authority is told of.
    pub(super) fn system_of_sender(&self, at: At) -> Option<String> {
        let system = self.sender_system.as_deref()?;
        let segment = self.view.name(at.segment())?;
        let is_it = |own: &&(&[u8; 3], u16, &str)| *own.0 == segment.0 && own.1 == at.field;
        Some(match FIELDS.iter().find(is_it) {
            Some((_, _, range)) => on_base(system, range),
            None => system.to_owned(),
        })
    }

    /// Whether a system is that of numbers that no authority is told of.
    pub(super) fn is_senders(&self, system: &str) -> bool {
        let Some(own) = self.sender_system.as_deref() else { return false };
        let Some(range) = system.strip_prefix(own) else { return false };
        let range = range.strip_prefix('/').unwrap_or(range);
        range.is_empty() || FIELDS.iter().any(|(_, _, own)| *own == range)
    }

    /// Which range a number is of, where it isn't the one by which its resource is known first.
    pub(super) fn range_of(&self, name: &str, identifier: NodeId) -> Option<&'static str> {
        match (name, self.instance(identifier)) {
            ("Patient", 1 | 23) => Some(EXTERNAL),
            ("Patient", 3 | 22) => Some(ALTERNATE),
            ("Encounter", 2 | 22) => Some(ALTERNATE_VISIT),
            ("Patient" | "Encounter", _) => None,
            ("Appointment", 2) => Some(FILLER),
            ("DocumentReference", _) => {
                let known = &self.plan.well_known;
                let is_further = self.tree.node(identifier)?.name == known.identifier;
                is_further.then_some("TXA-16")
            }
            _ => {
                let kind = self.type_of_identifier(identifier)?;
                matches!(&*kind, "FILL" | "FGN").then_some(FILLER)
            }
        }
    }

    /// The number in the brackets of the row that makes an identifier: `identifier[2]`.
    pub(super) fn instance(&self, identifier: NodeId) -> u64 {
        self.tree.node(identifier).map_or(0, |node| node.label >> 16 & 0xFFFF)
    }
}
