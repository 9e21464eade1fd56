//! What of a message nothing took: each populated value that no row carries over is a finding.

use super::Run;
use super::view::Part;
use crate::finding::FindingKind;

impl<'a> Run<'a> {
    pub(super) fn audit(&mut self) {
        for segment in 0..self.view.len() {
            if self.view.name(segment).is_none() {
                if !self.view.raw(segment).is_empty() {
                    self.find_at(
                        FindingKind::NotMapped,
                        Self::segment_at(segment),
                        "a line that is no segment",
                    );
                }
                continue;
            }
            let count = u16::try_from(self.view.field_count(segment)).unwrap_or(u16::MAX);
            for field in 1..=count {
                if self.view.field(segment, field).is_empty() || self.is_structural(segment, field)
                {
                    continue;
                }
                let repetitions: Vec<Part<'a>> = self.view.repetitions(segment, field).collect();
                for repetition in repetitions {
                    self.audit_repetition(&repetition);
                }
            }
        }
    }

    /// What says how the message is read, and not what it says: MSH-1, MSH-2, MSH-9, MSH-12, MSH-18, OBX-2.
    fn is_structural(&self, segment: usize, field: u16) -> bool {
        match self.view.name(segment).map(|name| name.0) {
            Some(name) if &name == b"MSH" => matches!(field, 1 | 2 | 9 | 12 | 18),
            Some(name) if &name == b"OBX" => field == 2,
            _ => false,
        }
    }

    fn audit_repetition(&mut self, repetition: &Part<'a>) {
        for component in repetition.parts() {
            for part in component.parts() {
                if part.is_empty() || self.consumed.has(part.raw) {
                    continue;
                }
                // The place as people name it: no more numbers than the value has parts.
                let mut shown = part;
                if component.is_single() {
                    shown.at.subcomponent = 0;
                    if repetition.is_single() {
                        shown.at.component = 0;
                    }
                }
                if part.is_null() {
                    self.find(FindingKind::Deleted, &shown, "asks to delete: left out");
                } else {
                    self.find(FindingKind::NotMapped, &shown, "no row carries it over");
                }
            }
        }
    }
}
