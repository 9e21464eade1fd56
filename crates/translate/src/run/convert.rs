//! Values that several places make together, and the named conversions.

use std::borrow::Cow;

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine};
use pipehat_resource::definitions::Primitive;

use super::Run;
use super::test::Here;
use super::tree::Leaf;
use super::view::Part;
use crate::expression::Conversion;
use crate::finding::FindingKind;
use crate::plan::{JoinedPiece, Rule, Source};
use crate::value::{
    Authority, Moment, compared, date_time, decimal, edition, instant, is_media_type, is_oid,
    media_type, whole,
};

impl<'a> Run<'a> {
    pub(super) fn joined(
        &mut self,
        pieces: &'a [JoinedPiece],
        primitive: Primitive,
        here: &Here<'a>,
    ) -> Option<Leaf<'a>> {
        let mut text = String::new();
        let mut has_value = false;
        // What only parts values stands between two that are there.
        let mut between: Option<&str> = None;
        for piece in pieces {
            match piece {
                JoinedPiece::Text(own) if own.trim_matches([' ', ',', ';']).is_empty() => {
                    if !text.is_empty() {
                        between.get_or_insert(own);
                    }
                }
                JoinedPiece::Text(own) => {
                    text.push_str(between.take().unwrap_or_default());
                    text.push_str(own);
                }
                JoinedPiece::Place(place) => {
                    if let Some(part) = self.part_at(*place, here)
                        && !part.is_null()
                    {
                        has_value = true;
                        self.consumed.take(part.first().raw);
                        text.push_str(between.take().unwrap_or_default());
                        text.push_str(&self.first_text(&part));
                    }
                }
            }
        }
        let text = text.trim();
        if !has_value || text.is_empty() {
            return None;
        }
        if text.strip_prefix("urn:oid:").is_some_and(|oid| !is_oid(oid)) {
            let own = here.own?;
            self.find(FindingKind::ValueUnfit, &own, "not an OID, though it says so");
            return None;
        }
        match primitive {
            // Of the codes that are joined, all are media types (RP).
            Primitive::Code => {
                let text = text.to_ascii_lowercase();
                is_media_type(&text).then_some(Leaf::Text(Cow::Owned(text)))
            }
            Primitive::Uri | Primitive::Url | Primitive::Canonical
                if text.contains(char::is_whitespace) =>
            {
                None
            }
            _ => Some(Leaf::Text(Cow::Owned(text.to_owned()))),
        }
    }

    pub(super) fn named(
        &mut self,
        rule: &'a Rule,
        conversion: Conversion,
        primitive: Primitive,
        vocabulary: Option<u32>,
        is_hd: bool,
        here: &Here<'a>,
    ) -> Option<Leaf<'a>> {
        let text = |text: String| Some(Leaf::Text(Cow::Owned(text)));
        match conversion {
            Conversion::Authority => {
                let parts = self.authority_parts(rule, is_hd, here)?;
                let [namespace, universal, kind] =
                    parts.map(|part| part.map(|part| self.first_text(&part)).unwrap_or_default());
                let authority =
                    Authority { namespace: &namespace, universal: &universal, kind: &kind };
                match authority.uri(self.plan, self.settings) {
                    Some(uri) => {
                        let told = if authority.is_one() { 3 } else { 1 };
                        for part in parts.into_iter().take(told).flatten() {
                            self.consumed.take(part.first().raw);
                        }
                        text(uri)
                    }
                    None => {
                        let own = here.own?;
                        // One finding for it is enough.
                        self.consumed.take_all(own.raw);
                        self.find(
                            FindingKind::SystemUnknown,
                            &own,
                            "the authority has no known URI",
                        );
                        None
                    }
                }
            }
            Conversion::Sender => {
                let own = here.own?;
                let known = self.system_of_sender(own.at);
                let words = match known {
                    Some(_) => "no assigning authority: taken as a number of the sender's",
                    None => "no assigning authority: nothing finds it again by this number",
                };
                self.find(FindingKind::SystemUnknown, &own, words);
                known.and_then(text)
            }
            Conversion::CodeSystem => {
                let own = here.own?;
                self.system_of(&own).and_then(text)
            }
            Conversion::Base64 => {
                let own = here.own?;
                self.base64(&own, here)
            }
            Conversion::Plain => {
                let own = here.own?;
                self.consumed.take_all(own.raw);
                Some(Leaf::Text(self.text(own.raw, true))).filter(|_| primitive != Primitive::Code)
            }
            Conversion::Now => self.message_time(primitive).and_then(text),
            Conversion::Event => {
                let event = self.view.repetitions(0, 9).next()?.part(2);
                let code = self.first_text(&event);
                let meaning = self.plan.vocabularies.get(vocabulary? as usize)?.meaning(&code)?;
                self.consumed.take(event.raw);
                meaning.code.as_deref().map(|code| Leaf::Text(Cow::Borrowed(code)))
            }
            Conversion::Minutes => {
                let own = here.own?;
                let (minutes, unit) = self.minutes(&own, here)?;
                self.take_duration(&own, &unit);
                Some(Leaf::Number(Cow::Owned(minutes.to_string())))
            }
            Conversion::Until => {
                let end = self.until(here)?;
                text(end)
            }
            Conversion::Media => self.media(here).and_then(text),
            Conversion::Lines => self.lines(here).and_then(text),
            Conversion::Document => self.document(primitive, here).and_then(text),
            Conversion::Edition => {
                let name = self.first_text(&here.own?);
                edition(&name).and_then(|(_, year)| text(year.to_owned()))
            }
            Conversion::Street => self.street(here).and_then(text),
            Conversion::Further => {
                let own = here.own?.first();
                let words = "no first given name is told, and R4 tells them by their order: this one stands first";
                self.find(FindingKind::ValueUnfit, &own, words);
                self.consumed.take(own.raw);
                Some(Leaf::Text(self.text(own.raw, false)))
            }
            Conversion::Samples => self.samples(here).and_then(text),
            Conversion::Comparator | Conversion::Compared => {
                let own = here.own?;
                let written = self.first_text(&own);
                let (sign, number) = compared(&written)?;
                self.consumed.take(own.first().raw);
                Some(if conversion == Conversion::Comparator {
                    Leaf::Text(Cow::Borrowed(sign))
                } else {
                    Leaf::Number(Cow::Owned(number.into_owned()))
                })
            }
            Conversion::Message => {
                let bytes = self.view.bytes;
                text(STANDARD.encode(bytes))
            }
        }
    }

    /// The namespace, universal id and type of an authority: the components of an HD, or those of an EI from the
    /// rule's own on.
    fn authority_parts(
        &self,
        rule: &Rule,
        is_hd: bool,
        here: &Here<'a>,
    ) -> Option<[Option<Part<'a>>; 3]> {
        let there = |part: Part<'a>| Some(part).filter(|part| !part.is_empty() && !part.is_null());
        if is_hd {
            let own = here.own?;
            return Some([there(own.part(1)), there(own.part(2)), there(own.part(3))]);
        }
        let value = here.value?;
        let Source::Component(component, subcomponent) = rule.source else {
            return Some([here.own, None, None]);
        };
        // `EI.2`, or `EIP.1.2`: an EI within.
        let (value, first) = match subcomponent {
            0 => (value, component),
            first => (value.part(component), first),
        };
        let part = |offset: u16| there(value.part(first + offset));
        Some(match first {
            3 => [None, part(0), part(1)],
            _ => [part(0), part(1), part(2)],
        })
    }

    /// MSH-7 as FHIR writes it.
    pub(super) fn message_time(&mut self, primitive: Primitive) -> Option<String> {
        let sent = self.view.repetitions(0, 7).next()?.first();
        let moment = match primitive {
            Primitive::Instant => instant(sent.raw, self.clock),
            _ => date_time(sent.raw, self.clock),
        };
        match moment {
            Moment::Known(text) => {
                self.consumed.take(sent.raw);
                Some(text)
            }
            Moment::Cut(text, _) => Some(text),
            _ => None,
        }
    }

    /// Minutes of a duration, a number and the unit in the component or the field behind it, and that unit.
    fn minutes(&self, own: &Part<'a>, here: &Here<'a>) -> Option<(i64, Part<'a>)> {
        let number: i64 = whole(&self.first_text(own), 0)?.parse().ok()?;
        let unit = if own.at.component > 1 {
            here.value?.part(own.at.component + 1)
        } else if here.value.is_some_and(|value| value.is_single()) {
            self.view.repetitions(here.segment, here.field + 1).next()?
        } else {
            here.value?.part(2)
        };
        let factor = match &*self.first_text(&unit).to_ascii_lowercase() {
            "" | "m" | "min" | "mins" | "minute" | "minutes" => 1,
            "h" | "hr" | "hour" | "hours" => 60,
            "d" | "day" | "days" => 24 * 60,
            "wk" | "week" | "weeks" => 7 * 24 * 60,
            "s" | "sec" | "second" | "seconds" if number % 60 == 0 => {
                return Some((number / 60, unit));
            }
            _ => return None,
        };
        Some((number.checked_mul(factor)?, unit))
    }

    fn take_duration(&mut self, own: &Part<'a>, unit: &Part<'a>) {
        self.consumed.take(own.first().raw);
        self.consumed.take(unit.first().raw);
    }

    /// A start (the nearest time before this field in the segment, else in the field behind it) and this duration: the
    /// end. Of a start that is a date none is told: whether its day counts, nobody says.
    fn until(&mut self, here: &Here<'a>) -> Option<String> {
        let own = here.own?;
        let (minutes, unit) = self.minutes(&own, here)?;
        let start = (1..here.field).rev().chain([here.field + 1]).find_map(|field| {
            let part = self.view.repetitions(here.segment, field).next()?;
            let is_time = part.first().raw.len() >= 12
                && part.first().raw.iter().take(12).all(u8::is_ascii_digit);
            is_time.then_some(part.first())
        })?;
        let Moment::Known(start) = date_time(start.raw, self.clock) else { return None };
        let end = crate::value::later(&start, minutes)?;
        self.take_duration(&own, &unit);
        Some(end)
    }

    /// All repetitions of the field at hand as lines of one text (FT and TX).
    fn lines(&mut self, here: &Here<'a>) -> Option<String> {
        let mut lines = Vec::new();
        for repetition in self.view.repetitions(here.segment, here.field) {
            // An empty repetition is an empty line.
            let is_null = repetition.is_null();
            let line = if is_null { Cow::Borrowed("") } else { self.text(repetition.raw, true) };
            if !is_null {
                self.consumed.take_all(repetition.raw);
            }
            lines.push(line);
        }
        let text = lines.join("\n");
        let text = text.trim_end();
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    /// A street address (SAD, HL7 v2.5.1 §2.A.66) as one line: as it is written, else its street and its number. Parts
    /// that the line doesn't say stand behind it.
    fn street(&mut self, here: &Here<'a>) -> Option<String> {
        let value = here.value?;
        let text = |own: &Self, number: u16| {
            let part = value.part(number);
            if part.is_null() { String::new() } else { own.first_text(&part).trim().to_owned() }
        };
        let (line, street, number) = (text(self, 1), text(self, 2), text(self, 3));
        for number in 1..=3 {
            self.consumed.take_all(value.part(number).raw);
        }
        let says = |part: &str| line.to_lowercase().contains(&part.to_lowercase());
        let parts = match (says(&street), says(&number)) {
            // A number stands in many a line: beside a street that it doesn't say, it is said with that.
            (false, _) => [street.as_str(), number.as_str()],
            (true, false) => [number.as_str(), ""],
            (true, true) => ["", ""],
        };
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let separator = if line.is_empty() || parts.is_empty() { "" } else { ", " };
        let line = [line.as_str(), separator, &parts.join(" ")].concat();
        (!line.is_empty()).then_some(line)
    }

    /// A numeric array (NA) as SampledData.data: decimals, a blank between each. One that lacks a value, or has
    /// something else among them, is left.
    fn samples(&mut self, here: &Here<'a>) -> Option<String> {
        let value = here.value?;
        let mut samples = Vec::new();
        for part in value.parts() {
            samples.push(decimal(&self.first_text(&part))?.into_owned());
        }
        for part in value.parts() {
            self.consumed.take(part.first().raw);
        }
        Some(samples.join(" "))
    }

    /// The media type of an ED (ED.2 and ED.3), an RP (RP.3 and RP.4) or a code by itself.
    fn media(&mut self, here: &Here<'a>) -> Option<String> {
        let own = here.own?;
        let (kind, subtype) = match (here.value, own.at.component) {
            (Some(value), position @ 3..) if own.at.field == value.at.field && position <= 4 => {
                let before = value.part(position - 1);
                let pair = if position == 3 { before } else { value.part(3) };
                (Some(pair), own)
            }
            _ => (Some(own), own.nothing()),
        };
        let first = kind.map(|part| self.first_text(&part)).unwrap_or_default();
        let mut found = media_type(&first, &self.first_text(&subtype));
        // ED.4 A: the data are text (HL7 v2.5.1 §2.A.24.4, table 0299).
        let encoding = here.value.filter(|_| own.at.component > 0).map(|value| value.part(4));
        if found.is_none() && encoding.is_some_and(|part| part.first().raw == b"A") {
            found = Some("text/plain".to_owned());
        }
        for part in kind.into_iter().chain([subtype]) {
            self.consumed.take(part.first().raw);
        }
        if found.is_none() {
            self.find(FindingKind::ValueUnfit, &own, "no media type follows from it");
        }
        found
    }

    fn base64(&mut self, own: &Part<'a>, here: &Here<'a>) -> Option<Leaf<'a>> {
        let encoding = here.value.map(|value| value.part(4)).filter(|_| own.at.component == 5);
        let name = encoding.map(|part| self.first_text(&part)).unwrap_or_default();
        if let Some(part) = encoding {
            self.consumed.take(part.first().raw);
        }
        self.consumed.take_all(own.raw);
        let data = if name.eq_ignore_ascii_case("base64") {
            // Senders wrap it by `\.br\`.
            let text = self.text(own.raw, true);
            base64_of(&text)
        } else if name.eq_ignore_ascii_case("hex") {
            let text = self.text(own.raw, false);
            hex(&text).map(|bytes| STANDARD.encode(bytes))
        } else {
            let text = self.text(own.raw, own.at.component == 0);
            Some(STANDARD.encode(text.as_bytes()))
        };
        if data.is_none() {
            self.find(FindingKind::ValueUnfit, own, "the data are not in the encoding they name");
        }
        Some(Leaf::Text(Cow::Owned(data.filter(|data| !data.is_empty())?)))
    }
}

/// Base64 as R4 has it, of what senders write: with line breaks, without the padding, or in the alphabet for URLs (RFC 4648
/// §5). Whatever more than one text could be meant by is none: bits that are left over tell of one that was cut off.
fn base64_of(text: &str) -> Option<String> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let digits: String = text.chars().filter(|sign| !sign.is_ascii_whitespace()).collect();
    let alphabet = match digits.contains(['-', '_']) {
        true => alphabet::URL_SAFE,
        false => alphabet::STANDARD,
    };
    let bytes = GeneralPurpose::new(&alphabet, LENIENT).decode(&digits).ok()?;
    Some(STANDARD.encode(bytes))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16)
                .ok()
        })
        .collect()
}
