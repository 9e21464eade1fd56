//! What the header says about the message: delimiters, type, processing ID, version, character set (MSH, HL7 v2.5.1 §2.15.9).

use pipehat_message::{CharsetSpec, Header};

use super::rule::Rule;
use super::segment::{Checker, Place};
use crate::finding::Detail;
use crate::resolve::{Resolved, StructureNote, VersionNote};
use crate::version::Version;

impl Checker<'_, '_> {
    /// Checks the header of a message that was read by this version and structure; `is_overridden`
    /// where a person said by which version.
    pub(super) fn header(&mut self, header: &Header<'_>, resolved: &Resolved, is_overridden: bool) {
        self.at_segment(0);
        self.encoding_characters(header);
        self.message_type(header, resolved);
        let processing_id = first(header.processing_id(), header);
        if !processing_id.is_empty() && !matches!(processing_id, b"P" | b"D" | b"T") {
            self.report(Rule::ProcessingIdUnknown, Place::field(11), Detail::None);
        }
        if !is_overridden && let Some(note) = resolved.version_note {
            let rule = match note {
                VersionNote::Missing => Rule::VersionMissing,
                VersionNote::Unknown | VersionNote::Unreadable => Rule::VersionUnknown,
            };
            self.report(rule, Place::field(12), Detail::None);
        }
    }

    fn encoding_characters(&mut self, header: &Header<'_>) {
        let version = self.rules.version;
        let declared = header.encoding_characters();
        let text = match declared {
            b"^~\\&" => return,
            b"^~\\&#" if version >= Version::V2_7 => return,
            b"^~\\\\&" => "the escape character is declared twice: send MSH-2 as ^~\\&",
            _ if declared.len() < 4 => "MSH-2 has to name four encoding characters: send ^~\\&",
            _ if declared.len() > 4 && version < Version::V2_7 => {
                "the truncation character came with version 2.7: send MSH-2 as ^~\\&"
            }
            // Others are allowed, and usual with some.
            _ => return,
        };
        self.report(Rule::EncodingCharacters, Place::field(2), Detail::Text(text.into()));
    }

    fn message_type(&mut self, header: &Header<'_>, resolved: &Resolved) {
        let (code, trigger) = (header.message_code(), header.trigger_event());
        let place = Place::field(9);
        if code.is_empty() || code == b"\"\"" {
            self.report(Rule::MessageTypeMissing, place, Detail::None);
            return;
        }
        let is_local = code.first() == Some(&b'Z') || trigger.first() == Some(&b'Z');
        match resolved.structure_note {
            None => {}
            Some(_) if is_local => {}
            Some(
                note @ (StructureNote::NameUnknown(_)
                | StructureNote::NameOfOtherVersion { .. }
                | StructureNote::NotOfEvent { .. }),
            ) => {
                let text = Detail::Text(note.to_string().into());
                self.report(Rule::MessageStructureDiffers, place.component(3), text);
            }
            Some(StructureNote::OfOtherVersion) => {
                self.report(Rule::MessageTypeOfOtherVersion, place, Detail::None);
            }
            Some(StructureNote::EventUnknown) => {
                self.report(Rule::TriggerEventUnknown, place.component(2), Detail::None);
            }
            Some(StructureNote::Unknown) => {
                self.report(Rule::MessageTypeUnknown, place, Detail::None);
            }
        }
        // MSH-9.3 came with 2.3.1 and is required from 2.5 on, except of an ACK (HL7 v2.5.1 §2.15.9.9).
        if header.message_structure().is_empty()
            && self.rules.version >= Version::V2_5
            && code != b"ACK"
        {
            self.report(Rule::MessageStructureMissing, place.component(3), Detail::None);
        }
    }

    /// Checks MSH-18 against the message's bytes.
    pub(super) fn character_set(&mut self, header: &Header<'_>) {
        let declared = header.character_set();
        let is_ascii = self.message.as_bytes().is_ascii();
        if is_ascii && matches!(declared, b"" | b"ASCII" | b"UNICODE UTF-8" | b"8859/1") {
            return;
        }
        let Ok(spec) = CharsetSpec::from_msh18(declared) else {
            self.report(Rule::CharacterSetUnknown, Place::field(18), Detail::None);
            return;
        };
        if is_ascii {
            return;
        }
        if declared.is_empty() {
            self.report(Rule::CharacterSetUndeclared, Place::field(18), Detail::None);
            return;
        }
        let charset = spec.charset().of_values();
        for index in 0..self.message.segments().len() {
            let raw =
                self.message.segment_at(index).map(|segment| segment.raw()).unwrap_or_default();
            if !raw.is_ascii() && charset.decode(raw).had_errors() {
                self.undecodable(index);
                return;
            }
        }
    }
}

fn first<'h>(field: &'h [u8], header: &Header<'_>) -> &'h [u8] {
    let separator = header.delimiters().component;
    field.split(|&byte| byte == separator).next().unwrap_or_default()
}
