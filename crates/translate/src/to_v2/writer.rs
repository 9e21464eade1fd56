//! Messages from resources: which message is wanted, and why there is none.

use jiff::Timestamp;
use jiff::tz::Offset;
use pipehat_dictionary::{Structure, TableNumber, Version};
use pipehat_resource::json::Value;

use super::modifiers::Judged;
use super::patients;
use super::profile::Profile;
use super::resources::Resources;
use super::segments::Making;
use super::tables::{Event, Tables};
use crate::{Finding, LineageLimits, PackedLineage};

/// Writes messages for one receiver; made once, used by many threads.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    profile: Profile,
}

/// Which message is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Message code and trigger event: `ADT^A03`.
    pub event: &'a str,
    /// Of which version.
    pub version: Version,
    /// What ORC-1 says, as [`event_of`](super::event_of) proposes it; by the request's status where nothing is wanted.
    pub order_control: Option<&'a str>,
    /// How much lineage is wanted, where any is.
    pub lineage: Option<LineageLimits>,
}

/// What is the message's own and not its resources'.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// MSH-7.
    pub time: Timestamp,
    /// The offset it is written with, unless the profile names a zone.
    pub offset: Offset,
    /// MSH-10.
    pub control_id: &'a str,
}

impl Stamp<'_> {
    /// The time as FHIR writes it.
    pub(super) fn text(&self) -> String {
        self.time.display_with_offset(self.offset).to_string()
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// In UTF-8, each segment ended by CR.
    pub message: Vec<u8>,
    /// What the resources say and it doesn't, and what it should say and they don't.
    pub findings: Vec<Finding>,
    /// Where its values came from, if it was wanted and is not larger than it may be.
    pub lineage: Option<PackedLineage>,
}

/// Why there is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// No table is about this event.
    #[error("no table says how `{event}` is made; there are {known}")]
    EventUnknown {
        /// What was wanted.
        event: String,
        /// What there is.
        known: String,
    },
    /// The version doesn't have this message.
    #[error("HL7 v2 {version} has no `{event}`")]
    NotInVersion {
        /// What was wanted.
        event: String,
        /// Of which version.
        version: Version,
    },
    /// ORC-1 would hold what table 0119 doesn't.
    #[error("HL7 v2 {version} has no order control code `{code}` (table 0119)")]
    OrderControlUnknown {
        /// What was wanted.
        code: String,
        /// Of which version.
        version: Version,
    },
    /// What must not be performed would be ordered.
    #[error("{place} says doNotPerform, and `{event}` can't: it would order what is forbidden")]
    DoNotPerform {
        /// What was wanted.
        event: String,
        /// Which resource.
        place: String,
    },
    /// What the event says is not what the resource says.
    #[error("`{event}` would say that {says}, and {place} says otherwise")]
    Contradicted {
        /// What was wanted.
        event: String,
        /// What it says.
        says: String,
        /// Which resource.
        place: String,
    },
    /// What it is about says something that no message can say.
    #[error("{place} can't be told by `{event}`: {why}")]
    Unsayable {
        /// What was wanted.
        event: String,
        /// Which resource.
        place: String,
        /// What it says.
        why: String,
    },
    /// Nothing the event is about is there.
    #[error("`{event}` is about {types}, and there is none among the resources")]
    RootMissing {
        /// What was wanted.
        event: String,
        /// The types it can be about.
        types: String,
    },
}

impl Writer {
    /// One for a receiver.
    pub fn new(profile: Profile) -> Self {
        Self { profile }
    }

    /// The events there are tables for.
    pub fn events() -> impl Iterator<Item = &'static str> {
        Tables::standard().events.iter().map(|event| &*event.name)
    }

    /// The types of resources that the message of an event is about, one of which must be there.
    pub fn types_of(event: &str) -> impl Iterator<Item = &'static str> {
        let event = Tables::standard().event(event);
        event.into_iter().flat_map(|event| event.roots.iter().map(|name| &**name))
    }

    /// Writes a message.
    ///
    /// # Errors
    /// Why there is none: see [`WriteError`]. What a message lacks is a finding, not an error.
    pub fn write(
        &self,
        wanted: &Wanted<'_>,
        resources: &Resources<'_>,
        stamp: &Stamp<'_>,
    ) -> Result<Written, WriteError> {
        let tables = Tables::standard();
        let event = tables.event(wanted.event).ok_or_else(|| WriteError::EventUnknown {
            event: wanted.event.to_owned(),
            known: Self::events().collect::<Vec<_>>().join(", "),
        })?;
        let names = wanted.event.split_once('^').unwrap_or((wanted.event, ""));
        let structure = wanted.version.event(names.0, names.1).and_then(|event| event.structure());
        let structure = structure.ok_or_else(|| WriteError::NotInVersion {
            event: wanted.event.to_owned(),
            version: wanted.version,
        })?;
        if let Some(code) =
            wanted.order_control.filter(|code| !is_order_control(code, wanted.version))
        {
            let code = code.to_owned();
            return Err(WriteError::OrderControlUnknown { code, version: wanted.version });
        }
        let roots = resources.roots(&event.roots);
        if roots.is_empty() {
            return Err(root_missing(event));
        }
        let forbids =
            |root: &&Value| root.get("doNotPerform").and_then(Value::as_bool) == Some(true);
        if let Some(root) = roots.iter().copied().find(forbids) {
            let place = resources.place(root).to_owned();
            return Err(WriteError::DoNotPerform { event: wanted.event.to_owned(), place });
        }
        let replaced = replaced(event, resources, &roots);
        let is_replaced =
            |resource: &Value| replaced.iter().any(|own| std::ptr::eq(*own, resource));
        let mut judged = tables.modifiers.judge(resources, structure.version(), &is_replaced);
        for own in judged.left_out.iter().filter(|own| own.steps.is_empty()) {
            let resource = resources.iter().nth(own.resource);
            let is_root = |resource: &Value| roots.iter().any(|root| std::ptr::eq(*root, resource));
            if let Some(root) = resource.filter(|resource| is_root(resource)) {
                return Err(WriteError::Unsayable {
                    event: wanted.event.to_owned(),
                    place: resources.place(root).to_owned(),
                    why: own.text.trim_end_matches(": left out").to_owned(),
                });
            }
        }
        if replaced.is_empty() {
            judged.left_out.extend(patients::of_others(resources, &roots));
        }
        if judged.left_out.is_empty() {
            return self.write_judged(wanted, (event, names, structure), resources, &judged, stamp);
        }
        let kept = resources.without(&judged.left_out);
        self.write_judged(wanted, (event, names, structure), &kept, &judged, stamp)
    }

    fn write_judged(
        &self,
        wanted: &Wanted<'_>,
        (event, names, structure): (&'static Event, (&str, &str), Structure),
        resources: &Resources<'_>,
        judged: &Judged<'_>,
        stamp: &Stamp<'_>,
    ) -> Result<Written, WriteError> {
        let tables = Tables::standard();
        let roots = resources.roots(&event.roots);
        let Some(&root) = roots.first() else { return Err(root_missing(event)) };
        let mut making = Making::new(tables, &self.profile, resources, structure);
        making.make(event, wanted, names, root, &roots, stamp)?;
        making.judged(judged);
        Ok(making.finish(names, stamp, wanted.lineage))
    }
}

/// Whether table 0119 of a version has a code; one without codes refuses none.
fn is_order_control(code: &str, version: Version) -> bool {
    let table = TableNumber::new(119).and_then(|number| version.table(number));
    table
        .is_none_or(|table| table.codes().next().is_none() || table.code(code.as_bytes()).is_some())
}

/// The patients whose record another one of the message replaces: MRG says it.
fn replaced<'r>(event: &Event, resources: &'r Resources<'_>, roots: &[&Value]) -> Vec<&'r Value> {
    if &*event.name != "ADT^A40" {
        return Vec::new();
    }
    let links = roots.iter().flat_map(|root| root.items("link"));
    let replaces = links.filter(|link| link.text("type") == Some("replaces"));
    let others = replaces.filter_map(|link| link.get("other")?.text("reference"));
    others.filter_map(|reference| resources.find(reference)).collect()
}

fn root_missing(event: &Event) -> WriteError {
    WriteError::RootMissing { event: event.name.to_string(), types: event.roots.join(" or ") }
}
