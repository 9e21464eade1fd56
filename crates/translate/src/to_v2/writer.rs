//! Messages from resources.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::Offset;
use pipehat_dictionary::validation::{Level, Rule, Standard, Validator};
use pipehat_dictionary::{NodeKind, Structure, TableNumber, Version};
use pipehat_message::{Delimiters, Message, SegmentName, Severity};
use pipehat_resource::fhirpath::{Context, Item};
use pipehat_resource::json::Value;

use super::coverage::{Coverage, address};
use super::encode::SegmentFields;
use super::fields::{Run, SetIds};
use super::header::header;
use super::lineage::lineage;
use super::modifiers::{Judged, Step};
use super::profile::Profile;
use super::resources::Resources;
use super::tables::{Block, Event, Source as From, Tables};
use crate::{Finding, FindingKind, LineageLimits, PackedLineage};

/// Segments of one message at most.
const SEGMENTS_MAX: usize = 10_000;

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

/// A segment.
struct Made {
    name: SegmentName,
    fields: SegmentFields,
}

/// A message in the making.
struct Making<'r> {
    run: Run<'r>,
    /// The names of the structure's nodes.
    nodes: Vec<Option<SegmentName>>,
    structure: Structure,
    made: Vec<Made>,
    in_message: HashMap<SegmentName, u32>,
    /// Resources that would have been a segment: where each stands in memory, and in the Bundle.
    unsaid: Vec<(usize, String, SegmentName)>,
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
        let judged = tables.modifiers.judge(resources, structure.version(), &is_replaced);
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

impl<'r> Making<'r> {
    fn new(
        tables: &'static Tables,
        profile: &'r Profile,
        resources: &'r Resources<'r>,
        structure: Structure,
    ) -> Self {
        let name = |kind| match kind {
            NodeKind::Segment(name) => Some(name),
            NodeKind::Group(_) | NodeKind::Choice | NodeKind::AnySegment => None,
        };
        Self {
            run: Run {
                tables,
                profile,
                version: structure.version(),
                resources,
                coverage: Coverage::default(),
                findings: Vec::new(),
            },
            nodes: structure.nodes().map(|node| name(node.kind())).collect(),
            structure,
            made: Vec::new(),
            in_message: HashMap::new(),
            unsaid: Vec::new(),
        }
    }

    fn make(
        &mut self,
        event: &'static Event,
        wanted: &Wanted<'_>,
        (code, trigger): (&str, &str),
        root: &Value,
        roots: &[&Value],
        stamp: &Stamp<'_>,
    ) -> Result<(), WriteError> {
        let text = |text: &str| vec![Item::String(text.to_owned().into())];
        let mut context = Context::new(stamp.time)
            .with_resolver(self.run.resources)
            .with_resource(root)
            .with_variable("root", vec![Item::resource(root)])
            .with_variable("group", Vec::new())
            .with_variable("roots", roots.iter().map(|root| Item::resource(root)).collect())
            .with_variable("code", text(code))
            .with_variable("event", text(trigger))
            .with_variable("time", text(&stamp.text()))
            .with_variable("control", wanted.order_control.map(text).unwrap_or_default());
        if let Some(when) = &event.when {
            let denies =
                |root: &&&Value| when.test(&Item::resource(root), &context) != Ok(Some(true));
            if let Some(root) = roots.iter().find(denies) {
                return Err(WriteError::Contradicted {
                    event: event.name.to_string(),
                    says: event.says.to_string(),
                    place: self.run.resources.place(root).to_owned(),
                });
            }
        }
        let Some(layout) = self.run.tables.layouts.get(&event.layout) else { return Ok(()) };
        let root_item = Item::resource(root);
        for (name, source) in &layout.variables {
            let alone = context.clone();
            let found = self.items(source, &root_item, &alone);
            // Found are resources of the pool, which outlive this context.
            let resources = self.run.resources;
            let found = found.iter().filter_map(|item| item.json());
            let known = found.filter_map(|json| {
                let same = |own: &&Value| std::ptr::eq(*own, json);
                resources.iter().find(same).map(Item::resource)
            });
            let known = known.collect();
            drop(alone);
            context = context.with_variable(name, known);
        }
        self.blocks(&layout.blocks, &root_item, &context, 0, &mut HashMap::new());
        Ok(())
    }

    /// Tells what modifier elements left out, and what the message is true without.
    fn judged(&mut self, judged: &Judged<'_>) {
        let resources = self.run.resources;
        for &(index, element) in &judged.plain {
            let value = resources.iter().nth(index).and_then(|resource| resource.get(element));
            if let Some(value) = value {
                self.run.coverage.read_all(value);
            }
        }
        for own in &judged.left_out {
            let place = resources.placed().nth(own.resource);
            let Some((place, resource)) = place else { continue };
            if own.steps.is_empty() || self.run.coverage.is_used(resource) {
                self.run.find(FindingKind::NotMapped, path_at(place, &own.steps), &*own.text);
            }
        }
        for &(index, element, text) in &judged.notes {
            let Some((place, resource)) = resources.placed().nth(index) else { continue };
            if let Some(value) = resource.get(element)
                && self.run.coverage.is_used(resource)
            {
                self.run.coverage.read_all(value);
                self.run.find(FindingKind::NotMapped, format!("{place}.{element}"), text);
            }
        }
    }

    /// The segments of some blocks, in the order of the structure.
    fn blocks<'s>(
        &mut self,
        blocks: &'static [Block],
        item: &Item<'s>,
        context: &'s Context<'s>,
        from: usize,
        numbers: &mut HashMap<SegmentName, u32>,
    ) {
        let mut last = from;
        let mut ranked: Vec<(usize, &'static Block)> = Vec::with_capacity(blocks.len());
        for block in blocks {
            // The tables have the usual order; a segment that a structure has earlier stands there.
            let behind = self.rank(block, last);
            last = behind.unwrap_or(last);
            let rank = behind.or_else(|| self.rank(block, from));
            ranked.push((rank.unwrap_or(usize::MAX), block));
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        for (rank, block) in ranked {
            if block.versions.has(self.run.version) {
                self.block(block, (rank != usize::MAX).then_some(rank), item, context, numbers);
            }
        }
    }

    /// Where in the structure a block's first segment stands, behind `from`.
    fn rank(&self, block: &Block, from: usize) -> Option<usize> {
        match block.segment {
            Some(name) => {
                let behind = self.nodes.iter().enumerate().skip(from);
                behind.into_iter().find(|(_, node)| **node == Some(name)).map(|(at, _)| at)
            }
            // What begins a group says where it is: other segments of it stand elsewhere too, as NTE does.
            None => block.inner.iter().find_map(|inner| self.rank(inner, from)),
        }
    }

    fn block<'s>(
        &mut self,
        block: &'static Block,
        rank: Option<usize>,
        item: &Item<'s>,
        context: &'s Context<'s>,
        numbers: &mut HashMap<SegmentName, u32>,
    ) {
        let mut known: Vec<*const Value> = Vec::new();
        for source in &block.sources {
            for bound in self.items(source, item, context) {
                if self.made.len() >= SEGMENTS_MAX {
                    return;
                }
                let resource = bound.json().filter(|json| json.resource_type().is_some());
                // What a report and one of its panels name both is told once.
                let address = resource.map(std::ptr::from_ref);
                if address.is_some_and(|address| known.contains(&address)) {
                    continue;
                }
                known.extend(address);
                match resource {
                    Some(resource) => {
                        let mut own = context.clone().with_resource(resource);
                        if block.segment.is_none() && !block.is_numbered_with_outer {
                            own = own.with_variable("group", vec![Item::resource(resource)]);
                        }
                        self.bound(block, rank, &bound, &own, numbers);
                    }
                    None => self.bound(block, rank, &bound, context, numbers),
                }
            }
        }
    }

    fn bound<'s>(
        &mut self,
        block: &'static Block,
        rank: Option<usize>,
        bound: &Item<'s>,
        context: &'s Context<'s>,
        numbers: &mut HashMap<SegmentName, u32>,
    ) {
        if block.when.as_ref().is_some_and(|when| when.test(bound, context) != Ok(Some(true))) {
            if let (Some(text), Some(json)) = (&block.otherwise, bound.json()) {
                let place = self.run.resources.place(json).to_owned();
                self.run.find(FindingKind::NotMapped, place, &**text);
            }
            return;
        }
        let Some(rank) = rank else {
            self.absent(block);
            return;
        };
        if let (Some(name), Some(map)) = (block.segment, block.map) {
            let Some(definition) = self.run.version.segment(name) else { return };
            let in_group = numbers.get(&name).map_or(1, |number| number.saturating_add(1));
            let in_message =
                self.in_message.get(&name).map_or(1, |number| number.saturating_add(1));
            let set_ids = SetIds { in_group, in_message };
            let Some(fields) = self.run.segment(map, bound, context, definition, set_ids) else {
                if let Some(json) = bound.json() {
                    let place = self.run.resources.place(json).to_owned();
                    if name.as_str() == "PID" {
                        let text = "nothing of it stands in PID";
                        self.run.find(FindingKind::Incomplete, place, text);
                    } else if json.resource_type().is_some() {
                        self.unsaid.push((address(json), place, name));
                    }
                }
                return;
            };
            if block.is_once && self.is_said(name, &fields) {
                return;
            }
            numbers.insert(name, in_group);
            self.in_message.insert(name, in_message);
            if let Some(json) = bound.json() {
                self.run.coverage.bind(json);
            }
            self.made.push(Made { name, fields });
            self.blocks(&block.inner, bound, context, rank + 1, &mut HashMap::new());
        } else if block.is_numbered_with_outer {
            self.blocks(&block.inner, bound, context, rank, numbers);
        } else {
            self.blocks(&block.inner, bound, context, rank, &mut HashMap::new());
        }
    }

    fn is_said(&self, name: SegmentName, fields: &SegmentFields) -> bool {
        self.made.iter().any(|made| made.name == name && fields.is_said_by(&made.fields))
    }

    fn items<'s>(
        &self,
        source: &'static From,
        item: &Item<'s>,
        context: &'s Context<'s>,
    ) -> Vec<Item<'s>>
    where
        'r: 's,
    {
        match source {
            From::Forward(expression) => expression.evaluate_on(item, context).unwrap_or_default(),
            From::Reverse { target, name, element } => {
                let targets = target.evaluate_on(item, context).unwrap_or_default();
                let resources = self.run.resources;
                let referring = targets.iter().filter_map(|target| target.json());
                let referring =
                    referring.flat_map(|target| resources.referring(name, element, target));
                let mut found: Vec<&Value> = Vec::new();
                for resource in referring {
                    if !found.iter().any(|own| std::ptr::eq(*own, resource)) {
                        found.push(resource);
                    }
                }
                found.into_iter().map(Item::resource).collect()
            }
        }
    }

    /// A segment that the version's structure doesn't have.
    fn absent(&mut self, block: &Block) {
        let Some(name) = block.segment else { return };
        let structure = self.structure.base_name();
        let text = format!("{structure} of {} has no {}", self.run.version, name.as_str());
        // Once, however many there would be.
        if self.run.findings.iter().all(|finding| finding.text != text) {
            self.run.find(FindingKind::ValueUnfit, name.as_str(), text);
        }
    }

    fn finish(
        mut self,
        names: (&str, &str),
        stamp: &Stamp<'_>,
        limits: Option<LineageLimits>,
    ) -> Written {
        for (address, place, name) in std::mem::take(&mut self.unsaid) {
            if !self.run.coverage.is_bound_at(address) {
                let text = format!("nothing of it stands in {}", name.as_str());
                self.run.find(FindingKind::NotMapped, place, text);
            }
        }
        let mut unread = Vec::new();
        self.run.coverage.unread(self.run.resources, &mut |path| unread.push(path.to_owned()));
        for path in unread {
            self.run.find(FindingKind::NotMapped, path, "no row takes it over");
        }
        let delimiters = Delimiters::STANDARD;
        let mut body = Vec::with_capacity(2_048);
        for made in &self.made {
            body.extend_from_slice(made.name.as_bytes());
            made.fields.write(&mut body, 1, &delimiters);
            body.push(b'\r');
        }
        let header = header(self.run.profile, stamp, names, self.structure, body.is_ascii());
        let mut message = b"MSH|^~\\&".to_vec();
        header.write(&mut message, 3, &delimiters);
        message.push(b'\r');
        message.append(&mut body);
        self.find_errors(&message);
        let made = self.made.iter().map(|made| (made.name, &made.fields));
        let lineage =
            limits.and_then(|limits| lineage(made, self.run.tables, self.run.resources, limits));
        Written { message, findings: self.run.findings, lineage }
    }

    /// What the standard has against the message: what it requires and the resources lack, most of all.
    fn find_errors(&mut self, message: &[u8]) {
        let Ok(message) = Message::parse(message) else { return };
        let mut validator = Validator::new(Level::Standard);
        let findings = validator.validate(&message, &Standard);
        for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
            let kind = match finding.rule {
                Rule::SegmentMissing
                | Rule::GroupMissing
                | Rule::FieldMissing
                | Rule::ComponentMissing => FindingKind::Incomplete,
                _ => FindingKind::ValueUnfit,
            };
            self.run.find(kind, finding.path(), finding.text());
        }
    }
}

fn path_at(place: &str, steps: &[Step<'_>]) -> String {
    use std::fmt::Write as _;
    let mut path = place.to_owned();
    for step in steps {
        let _ = match step {
            Step::Member(name) => write!(path, ".{name}"),
            Step::Item(index) => write!(path, "[{index}]"),
        };
    }
    path
}
