//! Which element each value of a message was read from.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use pipehat_message::SegmentName;
use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::json::Value;

use super::coverage::address;
use super::encode::SegmentFields;
use super::resources::Resources;
use super::tables::Tables;
use crate::lineage::{
    Direction, FieldPlace, LineageLimits, PackedLineage, Packer, Step, Texts, pack_rule, pack_word,
};

/// What stands for a name that FHIR has not: it could be anything.
const UNKNOWN: &str = "unknown";

/// A row of the tables: a map and a position in it.
type Rule = (usize, u16);

/// Values whose elements are looked for, by where they stand in memory.
struct Elements<'r> {
    wanted: HashSet<usize>,
    names: HashMap<&'r str, u32>,
    texts: Vec<&'r str>,
    /// Of each found, its steps' place in `steps`.
    found: HashMap<usize, Range<usize>>,
    steps: Vec<Step>,
    /// The way to the value at hand.
    path: Vec<(&'r str, Option<u32>)>,
}

/// The lineage of a message's segments; none where there is more than may be.
pub(super) fn lineage<'s>(
    segments: impl Iterator<Item = (SegmentName, &'s SegmentFields)> + Clone,
    tables: &'static Tables,
    resources: &Resources<'_>,
    limits: LineageLimits,
) -> Option<PackedLineage> {
    let mut wanted = HashSet::new();
    let mut values = 0_usize;
    for (_, fields) in segments.clone() {
        fields.values(&mut |leaf, _| {
            values = values.saturating_add(1);
            wanted.extend(leaf.sources.iter().copied());
        });
    }
    if values > limits.values_max {
        return None;
    }
    let mut packer = Packer::new(Direction::ToV2, resources.are_entries(), limits);
    let mut elements = Elements::new(wanted);
    elements.find(resources);
    let mut rules: Vec<Rule> = Vec::new();
    let mut numbers: HashMap<Rule, u32> = HashMap::new();
    let mut names: HashMap<SegmentName, (u32, u32)> = HashMap::new();
    for (name, fields) in segments {
        let own = names.entry(name).or_insert_with(|| (packer.segment(name.as_str()), 0));
        own.1 = own.1.saturating_add(1);
        let (segment, occurrence) = *own;
        fields.values(&mut |leaf, at| {
            let part = |index: usize| at.place.get(index).copied().unwrap_or(0).into();
            let place = FieldPlace {
                segment,
                occurrence,
                field: at.field.into(),
                repetition: if at.repetition > 1 { at.repetition } else { 0 },
                component: part(0),
                subcomponent: part(1),
            };
            let sources = leaf.sources.iter().filter_map(|source| elements.of(*source));
            let sources: Vec<&[Step]> = sources.collect();
            let rule = *numbers.entry(leaf.rule).or_insert_with(|| {
                rules.push(leaf.rule);
                u32::try_from(rules.len() - 1).unwrap_or(u32::MAX)
            });
            if packer.has_room() {
                packer.field(place, &sources, rule);
            }
        });
    }
    packer.finish(&Named { names: &elements.texts, rules: &rules, tables })
}

/// Names of elements, and rows of the tables.
struct Named<'n> {
    names: &'n [&'n str],
    rules: &'n [Rule],
    tables: &'static Tables,
}

impl Texts for Named<'_> {
    fn name(&self, name: u32, out: &mut Vec<u8>) {
        pack_word(self.names.get(name as usize).copied().unwrap_or(UNKNOWN), out);
    }

    fn rule(&self, rule: u32, out: &mut Vec<u8>) {
        let (map, position) = self.rules.get(rule as usize).copied().unwrap_or_default();
        let text = match self.tables.map(map) {
            Some(map) if position > 0 => format!("to_v2 {} {position}", map.name),
            _ => "to_v2".to_owned(),
        };
        pack_rule(&text, out);
    }
}

impl<'r> Elements<'r> {
    fn new(wanted: HashSet<usize>) -> Self {
        Self {
            wanted,
            names: HashMap::new(),
            texts: Vec::new(),
            found: HashMap::new(),
            steps: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Goes through all resources.
    fn find(&mut self, resources: &'r Resources<'_>) {
        let mut of_type: HashMap<&str, u32> = HashMap::new();
        for (entry, resource) in resources.numbered() {
            // Only types that FHIR has: another name could be anything.
            let known = resource.resource_type().and_then(TypeDefinition::named);
            let name = known.map_or(UNKNOWN, TypeDefinition::name);
            let before = of_type.entry(name).or_insert(0);
            // Without a Bundle, all but the first of a type are numbered.
            let index = if resources.are_entries() { entry } else { Some(*before) };
            *before = before.saturating_add(1);
            self.path.push((name, index.filter(|index| *index > 0 || resources.are_entries())));
            self.walk(resource);
            self.path.pop();
        }
    }

    fn walk(&mut self, value: &'r Value) {
        if self.wanted.contains(&address(value)) {
            let from = self.steps.len();
            for (name, index) in &self.path {
                let name = *self.names.entry(name).or_insert_with(|| {
                    self.texts.push(name);
                    u32::try_from(self.texts.len() - 1).unwrap_or(u32::MAX)
                });
                self.steps.push(Step { name, index: *index });
            }
            self.found.insert(address(value), from..self.steps.len());
        }
        match value {
            Value::Object(object) => {
                for (name, inner) in object.iter() {
                    let name = member(name);
                    match inner {
                        Value::Array(items) => {
                            for (index, item) in (0..).zip(items) {
                                self.path.push((name, Some(index)));
                                self.walk(item);
                                self.path.pop();
                            }
                        }
                        _ => {
                            self.path.push((name, None));
                            self.walk(inner);
                            self.path.pop();
                        }
                    }
                }
            }
            // None of FHIR stands in a list directly.
            Value::Array(_) => {}
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn of(&self, address: usize) -> Option<&[Step]> {
        self.steps.get(self.found.get(&address)?.clone())
    }
}

/// A member's name, where it is one that FHIR could have.
fn member(name: &str) -> &str {
    let is_name = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name { name } else { UNKNOWN }
}
