//! What of a message nothing took: each populated value that no row carries over is a finding.

use std::borrow::Cow;

use super::Run;
use super::test::Here;
use super::view::Part;
use crate::finding::FindingKind;
use crate::plan::MessageMap;

impl<'a> Run<'a> {
    pub(super) fn audit(&mut self, map: Option<&'a MessageMap>) {
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
                if self.view.field(segment, field).is_empty()
                    || self.is_taken(segment, field)
                    || self.is_structural(segment, field)
                {
                    continue;
                }
                let is_undecodable = self.is_undecodable(self.view.field(segment, field));
                for repetition in self.view.repetitions(segment, field) {
                    self.audit_repetition(&repetition, map);
                    if is_undecodable && self.is_undecodable(repetition.raw) {
                        self.find(
                            FindingKind::ValueUnfit,
                            &repetition,
                            "has bytes that are no character of the message's set (MSH-18): U+FFFD stands for each",
                        );
                    }
                }
            }
        }
    }

    /// Whether all values of a field were taken, each of which can be read: most are.
    fn is_taken(&self, segment: usize, field: u16) -> bool {
        if let Some(raw) = self.view.undivided(segment, field) {
            return self.consumed.has(raw) && !self.is_undecodable(raw);
        }
        let delimiters = self.view.delimiters;
        let is_delimiter = |byte: u8| {
            byte == delimiters.component
                || byte == delimiters.repetition
                || Some(byte) == delimiters.subcomponent
        };
        let raw = self.view.field(segment, field);
        // Where delimiters are declared, they stand for themselves.
        field > 2 && self.consumed.has_each(raw, is_delimiter) && !self.is_undecodable(raw)
    }

    /// Why the tables have no home for a field: by the segment maps that ran, by its segment, by its place.
    fn reason(&mut self, map: &'a MessageMap, part: &Part<'a>) -> Option<&'a str> {
        let name = self.view.name(part.at.segment())?;
        let group = self.group_of(part.at.segment());
        let rows = map.rows_at(group, name).unwrap_or_default();
        let maps =
            rows.iter().filter_map(|row| map.rows.get(usize::from(*row))).filter_map(|row| row.map);
        let reasons = &self.plan.reasons;
        let mut maps = maps.into_iter();
        let of_field = maps
            .find_map(|map| reasons.of_maps.get(&(map, part.at.field)))
            .or_else(|| reasons.of_segments.get(&(name, part.at.field)));
        if let Some(text) = of_field {
            return Some(text);
        }
        let (condition, text) = map.reasons.get(&(group, name))?;
        let here = Here { segment: part.at.segment(), field: 0, value: None, own: None };
        condition.as_ref().is_none_or(|test| self.holds(test, &here)).then_some(text)
    }

    /// What says how the message is read, and not what it says: MSH-1, MSH-2, MSH-9, MSH-12, MSH-18, OBX-2.
    fn is_structural(&self, segment: usize, field: u16) -> bool {
        match self.view.name(segment).map(|name| name.0) {
            Some(name) if &name == b"MSH" => matches!(field, 1 | 2 | 9 | 12 | 18),
            Some(name) if &name == b"OBX" => field == 2,
            _ => false,
        }
    }

    fn audit_repetition(&mut self, repetition: &Part<'a>, map: Option<&'a MessageMap>) {
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
                    let reason = map.and_then(|map| self.reason(map, &shown));
                    let text = reason.map_or(Cow::Borrowed("no row carries it over"), |text| {
                        Cow::Owned(text.to_owned())
                    });
                    self.find(FindingKind::NotMapped, &shown, text);
                }
            }
        }
    }
}
