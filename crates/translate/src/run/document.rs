//! The text of a document that several OBX carry (MDM^T02): one text, its lines in their order. Of several documents in a message,
//! each has the text behind its TXA.
//!
//! R4's `DocumentReference.content` is the same document in other formats, so lines are no contents of their own. Where the
//! segments are called differently (OBX-3), the names are headings.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pipehat_resource::definitions::Primitive;

use super::Run;
use super::test::Here;
use super::view::Part;
use crate::condition::Name;

/// The types of OBX-5 that are text.
const TEXTS: [&[u8]; 3] = [b"TX", b"FT", b"ST"];

impl<'a> Run<'a> {
    /// All of the text (in base64 where that is asked for), or what all of it is called; at the first segment that has
    /// text, which stands for the others.
    pub(super) fn document(&mut self, primitive: Primitive, here: &Here<'a>) -> Option<String> {
        let own = self.parts.document(here.segment, self.view.len());
        let is_first = (own.start..here.segment).rev().all(|segment| !self.has_text(segment));
        if !is_first || here.own.is_none_or(|own| own.at.repetition > 1) {
            return None;
        }
        let name = self.view.name(here.segment);
        let segments: Vec<usize> = own
            .filter(|segment| self.view.name(*segment) == name && self.is_text(*segment))
            .collect();
        let names: Vec<Option<Part<'a>>> =
            segments.iter().map(|segment| self.name_of_text(*segment)).collect();
        let texts: Vec<Cow<'a, str>> = names
            .iter()
            .map(|name| name.map(|name| self.first_text(&name)).unwrap_or_default())
            .collect();
        let is_one = texts.windows(2).all(|pair| pair.first() == pair.last());
        if primitive != Primitive::Base64Binary {
            return texts.first().filter(|_| is_one).map(|name| name.to_string());
        }
        for name in names.into_iter().flatten() {
            self.consumed.take(name.raw);
            self.read_besides(&name);
        }
        let mut lines = Vec::new();
        let mut heading = None;
        for (segment, name) in segments.iter().zip(&texts) {
            if !is_one && heading != Some(name) && !name.is_empty() {
                if !lines.is_empty() {
                    lines.push(Cow::Borrowed(""));
                }
                lines.push(name.clone());
                heading = Some(name);
            }
            self.lines_of(*segment, &mut lines);
        }
        let text = lines.join("\n");
        let text = text.trim_end();
        (!text.trim().is_empty()).then(|| STANDARD.encode(text))
    }

    fn is_text(&self, segment: usize) -> bool {
        TEXTS.contains(&self.view.field(segment, 2))
    }

    /// Whether it is an OBX that has text.
    fn has_text(&self, segment: usize) -> bool {
        self.view.name(segment) == Some(Name(*b"OBX"))
            && self.is_text(segment)
            && !self.view.field(segment, 5).is_empty()
    }

    /// OBX-3.2, else OBX-3.1.
    fn name_of_text(&self, segment: usize) -> Option<Part<'a>> {
        let value = self.view.repetitions(segment, 3).next()?;
        [value.part(2).first(), value.part(1).first()]
            .into_iter()
            .find(|part| part.is_valued() && !part.is_null())
    }

    fn lines_of(&mut self, segment: usize, lines: &mut Vec<Cow<'a, str>>) {
        if self.view.field(segment, 5).is_empty() {
            lines.push(Cow::Borrowed(""));
        }
        for repetition in self.view.repetitions(segment, 5) {
            if repetition.is_null() {
                continue;
            }
            self.consumed.take_all(repetition.raw);
            self.read_besides(&repetition);
            let text = self.text(repetition.raw, true);
            lines.push(text);
        }
    }
}
