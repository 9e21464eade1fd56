//! Translating, as its callers see it.

use std::collections::BTreeSet;
use std::sync::Arc;

use pipehat_dictionary::{Event, StructureNote, Version, resolve};
use pipehat_message::{Charset, CharsetRule, Header, Message};
use pipehat_resource::json::Value;

use crate::plan::{MessageMap, Plan};
use crate::run::Run;
use crate::{Finding, LineageLimits, Overlay, PackedLineage, Settings};

/// Messages that a later version calls by another event; until 2.3.1 every pharmacy message was O01.
const OLD_NAMES: [(&str, &str); 5] = [
    ("RDE_O01", "RDE_O11"),
    ("RDS_O01", "RDS_O13"),
    ("RGV_O01", "RGV_O15"),
    ("RAS_O01", "RAS_O17"),
    ("RRE_O02", "RRE_O12"),
];

/// Whether the event of a message (MSH-9.2) is one that HL7 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// A version has it, or a table is for it.
    Known,
    /// The message names none.
    Unnamed,
    /// No version has it for the message code.
    Unknown,
}

/// Whether a version has the event; most messages name one of their own version.
fn is_event(code: &str, event: &str, version: Version) -> bool {
    let has = |version: Version| version.event(code, event).is_some();
    has(version) || Version::ALL.into_iter().any(has)
}

/// Translates messages; made once for a feed, used by many threads.
#[derive(Debug, Clone)]
pub struct Translator {
    settings: Settings,
    plan: Arc<Plan>,
}

/// What became of a message.
#[derive(Debug)]
pub struct Translation {
    /// A Bundle of type `transaction`.
    pub bundle: Value,
    /// What it does not say.
    pub findings: Vec<Finding>,
    /// How many findings there are beyond those told.
    pub findings_beyond: usize,
    /// Where its elements came from; none unless it was asked for, and where it would be larger than its limits.
    pub lineage: Option<PackedLineage>,
}

impl Translator {
    /// By the tables as they are.
    pub fn new(settings: Settings) -> Self {
        Self { settings, plan: Plan::of_tables() }
    }

    /// By the tables and what a site adds to them.
    pub fn with_overlay(settings: Settings, overlay: &Overlay) -> Self {
        Self { settings, plan: overlay.plan() }
    }

    /// What the feed knows.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same for messages that were decoded as a whole: their bytes are UTF-8, whatever MSH-18 says.
    #[must_use]
    pub fn of_decoded(&self) -> Self {
        let mut own = self.clone();
        own.settings.charset = CharsetRule::Override(Charset::UTF_8);
        own
    }

    /// Translates a message into a Bundle of FHIR R4 resources.
    pub fn to_fhir(&self, message: &Message<'_>) -> Translation {
        self.translate(message, None)
    }

    /// The same, and where each element came from.
    pub fn to_fhir_with_lineage(
        &self,
        message: &Message<'_>,
        limits: LineageLimits,
    ) -> Translation {
        self.translate(message, Some(limits))
    }

    /// What resources of messages of this event can refer to, whatever else such a message says: pairs of resource types, what
    /// refers and to what. None where no message map is for it.
    pub fn references(&self, message: &Message<'_>) -> BTreeSet<(&'static str, &'static str)> {
        let (map, _) = self.map(message);
        map.map(|map| self.plan.references(map)).unwrap_or_default()
    }

    fn translate(&self, message: &Message<'_>, lineage: Option<LineageLimits>) -> Translation {
        let (map, event) = self.map(message);
        let run = Run::new(&self.plan, &self.settings, message, lineage);
        let finished = run.finish(map, event);
        Translation {
            bundle: finished.bundle,
            findings: finished.findings,
            findings_beyond: finished.findings_beyond,
            lineage: finished.lineage,
        }
    }

    /// The map for a message: that of its code and event, else that of its structure. None for an event that HL7 doesn't have,
    /// unless the message names its structure: what it means nobody knows.
    fn map(&self, message: &Message<'_>) -> (Option<&MessageMap>, EventKind) {
        let Ok(header) = Header::read(message.as_bytes()) else { return (None, EventKind::Known) };
        let text = |bytes| std::str::from_utf8(bytes).map(str::trim).unwrap_or_default();
        let (code, event) = (text(header.message_code()), text(header.trigger_event()));
        let name = if event.is_empty() { code.to_owned() } else { format!("{code}_{event}") };
        let name = match OLD_NAMES.iter().find(|(old, _)| *old == name) {
            Some((_, new)) => (*new).to_owned(),
            None => name,
        };
        if let Some(map) = self.plan.message(&name) {
            return (Some(map), EventKind::Known);
        }
        let resolved = resolve(&header);
        let kind = if event.is_empty() {
            EventKind::Unnamed
        } else if code == "ACK" || is_event(code, event, resolved.version) {
            EventKind::Known
        } else {
            EventKind::Unknown
        };
        let is_guessed = resolved.structure_note == Some(StructureNote::EventUnknown);
        if kind == EventKind::Unknown && is_guessed {
            return (None, kind);
        }
        let structure = resolved.structure.map(|structure| structure.base_name());
        let map = structure
            .and_then(|structure| self.plan.message(structure))
            .or_else(|| self.plan.message(text(header.message_structure())))
            .or_else(|| self.newest(code, event));
        (map, kind)
    }

    /// The map for an event whose own version calls its structure otherwise than any later one (ADT^A08 of 2.2 is no ADT_A01
    /// yet): that of the newest version which has the event.
    fn newest(&self, code: &str, event: &str) -> Option<&MessageMap> {
        let events = Version::ALL.iter().rev().filter_map(|version| version.event(code, event));
        events.filter_map(Event::structure).find_map(|it| self.plan.message(it.base_name()))
    }
}
