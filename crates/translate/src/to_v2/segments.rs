//! Which segments a message has: the layout of `messages.tsv`, walked in the order of the version's structure.

use std::collections::HashMap;

use pipehat_dictionary::{NodeKind, Structure};
use pipehat_message::SegmentName;
use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::fhirpath::{Context, Item};
use pipehat_resource::json::Value;

use super::coverage::{Coverage, address};
use super::encode::SegmentFields;
use super::fields::{Run, SetIds};
use super::profile::Profile;
use super::resources::Resources;
use super::tables::{Block, Event, Source as From, Tables};
use super::writer::{Stamp, Wanted, WriteError};
use crate::FindingKind;

/// Segments of one message at most.
const SEGMENTS_MAX: usize = 10_000;

/// A segment.
pub(super) struct Made {
    pub(super) name: SegmentName,
    pub(super) fields: SegmentFields,
}

/// A message in the making.
pub(super) struct Making<'r> {
    pub(super) run: Run<'r>,
    /// The names of the structure's nodes.
    nodes: Vec<Option<SegmentName>>,
    pub(super) structure: Structure,
    pub(super) made: Vec<Made>,
    in_message: HashMap<SegmentName, u32>,
    /// Resources that would have been a segment: where each stands in memory, and in the Bundle.
    pub(super) unsaid: Vec<(usize, String, SegmentName)>,
}

impl<'r> Making<'r> {
    pub(super) fn new(
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

    pub(super) fn make(
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
            .with_variable(
                "previous",
                self.run.resources.earlier().map(Item::resource).into_iter().collect(),
            )
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
                let place = self.run.resources.place_around(json).to_owned();
                self.run.find(FindingKind::NotMapped, place, &**text);
            }
            return;
        }
        // Of a resource that isn't there, or is another patient's, only the type is known: no segment says that.
        if block.segment.is_some() && is_away(bound) {
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
}

/// Whether an item is a resource that a reference names and that isn't there.
fn is_away(item: &Item<'_>) -> bool {
    let is_resource = |name| TypeDefinition::named(name).is_some_and(|it| it.is_a("Resource"));
    item.json().is_none() && item.type_name().is_some_and(is_resource)
}
