//! Running a plan over one message.
//!
//! [`message`] walks the message by its map; [`rule`] runs rows; [`finish`] names the resources, drops what FHIR would
//! refuse and writes the Bundle; [`audit`] says what of the message nothing took.

mod audit;
mod called;
mod coded;
mod consumed;
mod convert;
mod diagnoses;
mod document;
mod dosages;
mod doses;
mod finish;
mod ghosts;
mod invariants;
mod json;
mod keeps;
mod lineage;
mod message;
mod naming;
mod orders;
mod parents;
mod parts;
mod path;
mod primitive;
mod ranges;
mod renumbered;
mod required;
mod rule;
mod test;
mod timings;
mod tree;
mod vaccinations;
mod view;

use std::borrow::Cow;

use hashbrown::HashMap;
use pipehat_dictionary::Reading;
use pipehat_message::{Charset, Message, unescape};
use pipehat_resource::definitions::TypeDefinition;

use crate::finding::{Finding, FindingKind};
use crate::lineage::LineageLimits;
use crate::plan::{MessageMap, Plan, WellKnown};
use crate::settings::Settings;
use crate::translator::EventKind;
use crate::value::Clock;
use consumed::Consumed;
use doses::Doses;
use lineage::Traces;
use parts::Parts;
use path::{Apart, ToldAgain};
use timings::Timings;
use tree::{NodeId, Tree};
use view::{At, Part, View};

pub(crate) use finish::Finished;
pub(crate) use message::structure;

/// More findings than this are counted only.
pub(crate) const FINDINGS_MAX: usize = 10_000;

/// Why messages of a code become no resources: `tables/uncovered.tsv`.
fn uncovered(code: &str) -> Option<&'static str> {
    let mut lines = include_str!("../../tables/uncovered.tsv").lines().skip(1);
    lines.find_map(|line| line.split_once('\t').filter(|(own, _)| *own == code)).map(|(_, why)| why)
}

/// A translation under way.
pub(crate) struct Run<'a> {
    plan: &'a Plan,
    settings: &'a Settings,
    view: View<'a>,
    charset: Charset,
    clock: Clock<'a>,
    reading: Reading,
    /// Of each group found, the map's group.
    groups: Vec<u16>,
    /// Where what is another patient's or another document's begins, beyond the structure.
    parts: Parts,
    tree: Tree<'a>,
    resources: Vec<Resource>,
    slots: Vec<Option<Filled>>,
    consumed: Consumed,
    findings: Vec<Finding>,
    findings_beyond: usize,
    /// Elements and the places they came from, where lineage is asked for.
    traces: Option<Traces>,
    /// Places that a conversion read besides its own, for the lineage.
    besides: Vec<At>,
    /// Numbers the runs of segment maps: labels of one are not those of another.
    scope: u32,
    /// Which map was applied first to which segment for an element. A map is known by where it stands.
    applied: HashMap<(usize, NodeId), usize>,
    /// What further segments say where one before them told by the same map.
    told_again: Vec<ToldAgain<'a>>,
    /// Where such a segment's values go, while its map is applied.
    apart: Option<Apart>,
    /// What was told of doses.
    doses: Doses<'a>,
    timings: Timings,
    /// The map of the message, once it is walked.
    message_map: Option<&'a MessageMap>,
    /// The segment that made the resource which is being completed.
    completing: usize,
    /// The element that was found lacking last.
    lacking: Option<&'static str>,
    /// The segments of visits and orders that were not made, as no number names them.
    unnamed: Vec<usize>,
    /// Whether an element went that may have referred to a resource.
    has_removed: bool,
    /// Whether there was a patient for whom the structure has no place.
    has_further_patient: bool,
    /// Whether the message changes numbers, and merges nobody.
    is_renumbering: bool,
    /// Numbers of a retired record that the one that goes on was told with.
    shared: Vec<NodeId>,
    names: WellKnown,
    types: Types,
    /// The system of numbers that no authority is told of.
    sender_system: Option<String>,
}

/// Types of what the interpreter itself writes.
#[derive(Debug, Clone, Copy)]
struct Types {
    string: &'static TypeDefinition,
    coding: &'static TypeDefinition,
    extension: &'static TypeDefinition,
}

impl Types {
    fn known() -> Self {
        let named = |name| TypeDefinition::named(name).expect("R4 has this type");
        Self { string: named("string"), coding: named("Coding"), extension: named("Extension") }
    }
}

/// A resource under way.
#[derive(Debug)]
struct Resource {
    definition: &'static TypeDefinition,
    root: NodeId,
    /// Whether any value of the message stands in it.
    has_value: bool,
    is_dropped: bool,
    /// Whether it holds what the message takes out of another: it becomes no entry.
    is_taken_out: bool,
    /// Whether a row of the message map names it, or only a reference does.
    is_direct: bool,
    /// The segment it was made by.
    segment: usize,
}

/// The place of what no row may make another of.
const NO_PLACE: u16 = u16::MAX;

/// What a slot holds.
#[derive(Debug, Clone, Copy)]
struct Filled {
    resource: u32,
    /// The rows' place and the segment that made it.
    place: u16,
    segment: usize,
}

/// Whether a text has the marker of a byte that was no character.
fn has_marker(text: &str) -> bool {
    // All are of four bytes, and these begin with this one.
    text.as_bytes().contains(&0xF4)
        && text.chars().any(|sign| pipehat_message::undecodable_byte(sign).is_some())
}

/// A text without white space around it. Most have none, as their ends tell.
fn trimmed(text: &str) -> &str {
    let is_bare = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if is_bare(bytes.first()) && is_bare(bytes.last()) { text } else { text.trim() }
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        settings: &'a Settings,
        message: &'a Message<'_>,
        lineage: Option<LineageLimits>,
    ) -> Self {
        let view = View::of(message);
        let bytes = view.bytes;
        let charset = if bytes.is_ascii() {
            Charset::ASCII
        } else {
            settings.charset.of_message(bytes).of_values()
        };
        let sent = view.field(0, 7);
        let sent = sent
            .split(|byte| !byte.is_ascii_digit() && !matches!(byte, b'.' | b'+' | b'-'))
            .next()
            .unwrap_or_default();
        let clock = Clock::of(sent, settings.zone.as_ref());
        let mut run = Self {
            plan,
            settings,
            charset,
            clock,
            reading: Reading::new(),
            groups: Vec::new(),
            parts: Parts::default(),
            // A value of a few bytes makes an element, and its place some more.
            tree: Tree::with_capacity(bytes.len() / 2),
            resources: Vec::new(),
            slots: Vec::new(),
            consumed: Consumed::of(bytes),
            findings: Vec::new(),
            findings_beyond: 0,
            traces: lineage.map(|limits| Traces::new(limits, bytes.len())),
            besides: Vec::new(),
            scope: 0,
            applied: HashMap::new(),
            told_again: Vec::new(),
            apart: None,
            doses: Doses::default(),
            timings: Timings::default(),
            message_map: None,
            completing: 0,
            lacking: None,
            unnamed: Vec::new(),
            has_removed: false,
            has_further_patient: false,
            is_renumbering: false,
            shared: Vec::new(),
            names: plan.well_known,
            types: Types::known(),
            sender_system: None,
            view,
        };
        run.sender_system = run.sender_system();
        run
    }

    /// Translates by a message map, and says what came of it.
    pub(crate) fn finish(mut self, map: Option<&'a MessageMap>, event: EventKind) -> Finished {
        if event != EventKind::Known {
            self.find_event(map.is_some(), event);
        }
        match map {
            Some(map) => {
                self.message_map = Some(map);
                self.message(map);
                self.tell_dosages();
                self.relate_to_parents();
                self.find_given_without_an_order();
            }
            None if event == EventKind::Unknown => {}
            None => {
                let code = self.view.repetitions(0, 9).next().map(|event| event.part(1));
                let code = code.map(|code| self.first_text(&code)).unwrap_or_default();
                let text = uncovered(&code)
                    .map_or(Cow::Borrowed("no table covers this message structure"), |why| {
                        format!("no table covers this message structure: {why}").into()
                    });
                let at = At::of_field(0, 9);
                self.find_at(FindingKind::StructureUnknown, at, text);
            }
        }
        self.audit(map);
        self.write(map)
    }

    /// Tells how a message is read whose event says nothing.
    fn find_event(&mut self, has_map: bool, event: EventKind) {
        let at = At::of_field(0, 9);
        let text = match (event, has_map) {
            (EventKind::Unnamed, true) => {
                "MSH-9.2 names no event: read by the structure that MSH-9.3 names, else by that of another event of its code"
            }
            (EventKind::Unknown, true) => {
                "no version of HL7 has this event: read by the structure that MSH-9.3 names, and by nothing that the event may mean"
            }
            (EventKind::Unknown, false) => {
                "no version of HL7 has this event, and no table is for it: nothing is made of the message"
            }
            (EventKind::Known, _) | (EventKind::Unnamed, false) => return,
        };
        self.find_at(FindingKind::StructureUnknown, at, text);
    }

    fn find(&mut self, kind: FindingKind, part: &Part<'a>, text: impl Into<Cow<'static, str>>) {
        self.find_at(kind, part.at, text);
    }

    fn find_at(&mut self, kind: FindingKind, at: At, text: impl Into<Cow<'static, str>>) {
        if self.findings.len() >= FINDINGS_MAX {
            self.findings_beyond += 1;
            return;
        }
        let path = self.view.path(at);
        let text = text.into();
        // Two rows that read one place may meet the same; that a time has no zone is told once, whatever stays of it.
        let is_same = |own: &Finding| {
            let is_alike = own.text == text || kind == FindingKind::ZoneMissing;
            own.kind == kind && own.path == path && is_alike
        };
        if self.findings.iter().any(is_same) {
            return;
        }
        self.findings.push(Finding { kind, path, text });
    }

    /// A value as text: escape sequences replaced, decoded, without control characters that FHIR refuses.
    fn text(&self, raw: &'a [u8], is_formatted: bool) -> Cow<'a, str> {
        // Most values stand as they mean.
        if let Some(text) = self.view.plain(raw) {
            return Cow::Borrowed(text);
        }
        let delimiters = &self.view.delimiters;
        let plain = if is_formatted {
            pipehat_message::plain_text(raw, delimiters)
        } else {
            unescape(raw, delimiters)
        };
        let text = match plain {
            Cow::Borrowed(bytes) => self.decode(bytes),
            Cow::Owned(bytes) => Cow::Owned(self.decode_owned(&bytes)),
        };
        let is_refused = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
        if text.bytes().any(is_refused) {
            let kept = text.chars().filter(|sign| !u8::try_from(*sign).is_ok_and(is_refused));
            return Cow::Owned(kept.collect());
        }
        text
    }

    fn decode(&self, bytes: &'a [u8]) -> Cow<'a, str> {
        match std::str::from_utf8(bytes) {
            Ok(text) if bytes.is_ascii() => Cow::Borrowed(text),
            Ok(text) if self.charset == Charset::UTF_8 && !has_marker(text) => Cow::Borrowed(text),
            _ => Cow::Owned(self.decode_owned(bytes)),
        }
    }

    fn decode_owned(&self, bytes: &[u8]) -> String {
        // Text that a script handed over holds the markers of what was undecodable already.
        let text = match std::str::from_utf8(bytes) {
            Ok(text) if self.charset == Charset::UTF_8 => text.to_owned(),
            _ => self.charset.decode(bytes).text.into_owned(),
        };
        if !has_marker(&text) {
            return text;
        }
        let shown = text.chars().map(|sign| match pipehat_message::undecodable_byte(sign) {
            Some(_) => char::REPLACEMENT_CHARACTER,
            None => sign,
        });
        shown.collect()
    }

    /// Whether a value has bytes that are no character of the message's set.
    fn is_undecodable(&self, raw: &[u8]) -> bool {
        if self.charset == Charset::ASCII || raw.is_ascii() {
            return false;
        }
        match std::str::from_utf8(raw) {
            Ok(text) if self.charset == Charset::UTF_8 => has_marker(text),
            _ => self.charset.decode(raw).had_errors(),
        }
    }

    /// A component's text, for what is looked up.
    fn first_text(&self, part: &Part<'a>) -> Cow<'a, str> {
        self.trimmed_text(part.first().raw)
    }

    /// The text of a value without parts, without white space around it.
    fn trimmed_text(&self, raw: &'a [u8]) -> Cow<'a, str> {
        match self.text(raw, false) {
            Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }
    }

    fn trace(&mut self, node: NodeId, part: &Part<'a>, origin: u32) {
        if let Some(traces) = &mut self.traces {
            traces.push(node, part.at, origin);
        }
    }

    /// Notes a place that a conversion reads besides its own.
    fn read_besides(&mut self, part: &Part<'a>) {
        if self.traces.is_some() {
            self.besides.push(part.at);
        }
    }

    /// A new resource.
    fn resource(
        &mut self,
        definition: &'static TypeDefinition,
        segment: usize,
        is_direct: bool,
    ) -> u32 {
        let root = self.tree.root(definition);
        self.resources.push(Resource {
            definition,
            root,
            has_value: false,
            is_dropped: false,
            is_taken_out: false,
            is_direct,
            segment,
        });
        u32::try_from(self.resources.len() - 1).unwrap_or(u32::MAX)
    }

    fn root(&self, resource: u32) -> NodeId {
        self.resources.get(resource as usize).map_or(tree::NONE, |own| own.root)
    }
}
