//! Filling segments and data types by their maps.

use std::borrow::Cow;

use pipehat_dictionary::{DataType, Element, SegmentDefinition, Usage, Version};
use pipehat_resource::fhirpath::{Context, Item};
use pipehat_resource::json::Value;

use super::coverage::{Coverage, address};
use super::encode::{Leaf, Node, SegmentFields};
use super::primitive::{Primitive, date_time, decoded, digits_of_date, text_of, time_of_day};
use super::profile::Profile;
use super::resources::Resources;
use super::tables::{Map, Row, Tables, Writer};
use crate::{Finding, FindingKind};

/// Findings of one message at most; more are counted in the last.
const FINDINGS_MAX: usize = 1_000;

/// One message being written.
#[derive(Debug)]
pub(super) struct Run<'r> {
    pub(super) tables: &'static Tables,
    pub(super) profile: &'r Profile,
    pub(super) version: Version,
    pub(super) resources: &'r Resources<'r>,
    pub(super) coverage: Coverage,
    pub(super) findings: Vec<Finding>,
}

/// What a value is written into.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// What the version says of it; `None` where a type varies.
    pub(super) element: Option<Element>,
    /// The map and the place, for lineage.
    pub(super) rule: (usize, u16),
}

/// The numbers of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetIds {
    pub(super) in_group: u32,
    pub(super) in_message: u32,
}

impl<'r> Run<'r> {
    pub(super) fn find(
        &mut self,
        kind: FindingKind,
        path: impl Into<String>,
        text: impl Into<String>,
    ) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { kind, path: path.into(), text: Cow::Owned(text.into()) });
        }
    }

    /// The fields of a segment; `None` where nothing but its number would be in it.
    pub(super) fn segment<'s>(
        &mut self,
        map_index: usize,
        item: &Item<'s>,
        context: &'s Context<'s>,
        definition: SegmentDefinition,
        numbers: SetIds,
    ) -> Option<SegmentFields> {
        let map = self.tables.map(map_index)?;
        let mut fields = SegmentFields::default();
        let mut is_filled = false;
        for row in &map.rows {
            let Some(element) = definition.field(usize::from(row.place)) else { continue };
            if !is_written(element)
                || (row.is_else && !fields.field_mut(row.place).is_empty())
                || !self.holds(row, item, context)
            {
                continue;
            }
            let place = Place { element: Some(element), rule: (map_index, row.place) };
            if let Some(number) = set_id(row.writer, numbers) {
                fields.field_mut(row.place).push(Node::text(number.to_string()));
                continue;
            }
            let items = self.evaluate(row, map, item, context);
            if row.writer == Writer::Primitive(Primitive::Nothing) {
                self.left_out(row, &items);
                continue;
            }
            for value in items {
                let field = fields.field_mut(row.place);
                if element.cardinality().most.is_some_and(|most| field.len() >= usize::from(most)) {
                    // What is left over stays unread, and is told as such.
                    break;
                }
                if let Some(node) = self.value(row, place, &value, context) {
                    self.read_with(row, item, context);
                    if let Some(text) = &row.told {
                        let path = format!("{}-{}", definition.name().as_str(), row.place);
                        self.find(FindingKind::ValueUnfit, path, &**text);
                    }
                    fields.field_mut(row.place).push(node);
                    is_filled = true;
                }
            }
        }
        is_filled.then_some(fields)
    }

    /// Tells what stands nowhere, each by its path, and why.
    fn left_out(&mut self, row: &'static Row, items: &[Item<'_>]) {
        for json in items.iter().filter_map(Item::json) {
            self.coverage.read_all(json);
            let path = self.resources.path_of(json);
            self.find(FindingKind::NotMapped, path, row.told.as_deref().unwrap_or_default());
        }
    }

    /// Whether a row holds for this version and item.
    fn holds<'s>(&mut self, row: &'static Row, item: &Item<'s>, context: &'s Context<'s>) -> bool {
        row.versions.has(self.version)
            && row.when.as_ref().is_none_or(|when| when.test(item, context) == Ok(Some(true)))
    }

    fn evaluate<'s>(
        &mut self,
        row: &'static Row,
        map: &Map,
        item: &Item<'s>,
        context: &'s Context<'s>,
    ) -> Vec<Item<'s>> {
        row.source.evaluate_on(item, context).unwrap_or_else(|problem| {
            let path = format!("{}-{}", map.name, row.place);
            self.find(FindingKind::ValueUnfit, path, format!("can't be evaluated: {problem}"));
            Vec::new()
        })
    }

    /// Notes what a row says something about without writing it.
    fn read_with<'s>(&mut self, row: &'static Row, item: &Item<'s>, context: &'s Context<'s>) {
        let Some(reads) = &row.reads else { return };
        for read in reads.evaluate_on(item, context).unwrap_or_default() {
            if let Some(json) = read.json() {
                self.coverage.read_words(json);
            }
        }
    }

    fn value<'s>(
        &mut self,
        row: &'static Row,
        place: Place,
        item: &Item<'s>,
        context: &'s Context<'s>,
    ) -> Option<Node> {
        let node = match row.writer {
            Writer::Map(map) => self.parts(map, place.element, item, context),
            Writer::Primitive(primitive) => self.primitive(primitive, row, place, item),
        }?;
        let is_single = place.element.and_then(type_of).is_some_and(DataType::is_primitive);
        if is_single { node.into_first() } else { Some(node) }
    }

    /// The components of a data type, or its subcomponents.
    fn parts<'s>(
        &mut self,
        map_index: usize,
        element: Option<Element>,
        item: &Item<'s>,
        context: &'s Context<'s>,
    ) -> Option<Node> {
        let map = self.tables.map(map_index)?;
        let type_ = element.and_then(type_of).or_else(|| self.version.data_type(&map.target));
        let is_single = type_.is_some_and(DataType::is_primitive);
        let mut parts: Vec<Option<Node>> = Vec::new();
        for row in &map.rows {
            let index = usize::from(row.place.max(1)) - 1;
            if parts.get(index).is_some_and(Option::is_some) || (is_single && row.place > 1) {
                continue;
            }
            let component = match type_ {
                Some(type_) if !is_single => match type_.component(usize::from(row.place)) {
                    Some(component) if is_written(component) => Some(component),
                    _ => continue,
                },
                _ => None,
            };
            if !self.holds(row, item, context) {
                continue;
            }
            let place = Place { element: component, rule: (map_index, row.place) };
            let items = self.evaluate(row, map, item, context);
            let found = items.into_iter().find_map(|value| self.value(row, place, &value, context));
            if let Some(node) = found {
                self.read_with(row, item, context);
                if let Some(text) = &row.told {
                    let path = self.path_of(place);
                    self.find(FindingKind::ValueUnfit, path, &**text);
                }
                if parts.len() <= index {
                    parts.resize(index + 1, None);
                }
                if let Some(part) = parts.get_mut(index) {
                    *part = Some(node);
                }
            }
        }
        Node::parts(parts)
    }

    fn primitive(
        &mut self,
        primitive: Primitive,
        row: &'static Row,
        place: Place,
        item: &Item<'_>,
    ) -> Option<Node> {
        let text = match primitive {
            Primitive::Concept => return self.concept(row, place, item),
            Primitive::Code => self.code(row, place, item)?,
            Primitive::Namespace => self.authority(item)?.namespace,
            Primitive::UniversalId => self.authority(item)?.universal_id,
            Primitive::UniversalIdType => self.authority(item)?.universal_id_type,
            Primitive::CodingSystem => self.coding_system(item)?,
            Primitive::IdentifierType => self.identifier_type(item)?,
            Primitive::SetId | Primitive::SetIdOfMessage | Primitive::Nothing => return None,
            Primitive::Decoded => {
                let text = decoded(&text_of(item)?);
                if text.is_none() {
                    let path = self.path_of(place);
                    self.find(FindingKind::ValueUnfit, path, "the text is not UTF-8: left out");
                }
                text?
            }
            Primitive::Text | Primitive::Formatted | Primitive::Number => {
                let text = text_of(item);
                if text.is_none() && matches!(item.json(), Some(Value::Number(_))) {
                    let path = self.path_of(place);
                    self.find(
                        FindingKind::ValueUnfit,
                        path,
                        "the number has too many digits: left out",
                    );
                }
                text?
            }
            Primitive::YesNo => match text_of(item)?.as_str() {
                "true" => "Y".to_owned(),
                "false" => "N".to_owned(),
                _ => return None,
            },
            Primitive::DateTime | Primitive::OwnDateTime | Primitive::Date | Primitive::Time => {
                self.moment(primitive, place, item)?
            }
        };
        if text.is_empty() {
            return None;
        }
        let mut leaf = self.leaf(text, place, item.json());
        leaf.is_formatted = matches!(primitive, Primitive::Formatted | Primitive::Decoded);
        Some(Node::Leaf(leaf))
    }

    /// A value for a place, which it was read for.
    pub(super) fn leaf(&mut self, text: String, place: Place, source: Option<&Value>) -> Leaf {
        // Of a larger element only what was looked at is read.
        if let Some(source) =
            source.filter(|it| it.as_object().is_none() && it.as_array().is_none())
        {
            self.coverage.read(source);
        }
        let most = place.element.and_then(|element| element.length_max());
        if most.is_some_and(|most| text.chars().count() > most as usize) {
            let path = self.path_of(place);
            let version = self.version;
            self.find(
                FindingKind::ValueUnfit,
                path,
                format!("is longer than {version} allows, and written whole"),
            );
        }
        Leaf {
            text,
            is_formatted: false,
            sources: source.map(address).into_iter().collect(),
            rule: place.rule,
        }
    }

    pub(super) fn path_of(&self, place: Place) -> String {
        let (map, position) = place.rule;
        let target = self.tables.map(map).map_or("", |map| &map.target);
        let mark =
            if target.len() == 3 && self.version.data_type(target).is_none() { '-' } else { '.' };
        format!("{target}{mark}{position}")
    }

    /// The date of a date or a point in time, where the receiver is.
    fn date(&self, text: &str) -> Option<String> {
        match text.split_once('T') {
            None => digits_of_date(text),
            Some(_) => date_time(text, self.profile, self.version)?.get(..8).map(str::to_owned),
        }
    }

    fn moment(&mut self, primitive: Primitive, place: Place, item: &Item<'_>) -> Option<String> {
        let text = text_of(item)?;
        let written = match primitive {
            Primitive::Time => time_of_day(text.split_once('T').map_or(&*text, |(_, time)| time)),
            Primitive::Date => self.date(&text),
            _ if place.element.is_some_and(|element| element.data_type_name() == "DT") => {
                self.date(&text)
            }
            Primitive::OwnDateTime => {
                let own = Profile { offsets: self.profile.offsets, ..Profile::default() };
                date_time(&text, &own, self.version)
            }
            _ => date_time(&text, self.profile, self.version),
        };
        if written.is_none() {
            let path = self.path_of(place);
            self.find(FindingKind::ValueUnfit, path, "the element holds no date or time");
        }
        written
    }
}

/// What a field or component is, where the version says so. OBX-5 and the like are of any type.
pub(super) fn type_of(element: Element) -> Option<DataType> {
    let is_any = matches!(element.data_type_name(), "varies" | "Varies" | "*" | "any" | "ANY");
    if is_any { None } else { element.data_type() }
}

/// Whether a sender of the version fills it.
fn is_written(element: Element) -> bool {
    !element.is_unused() && !matches!(element.usage(), Usage::Withdrawn | Usage::NotSupported)
}

fn set_id(writer: Writer, numbers: SetIds) -> Option<u32> {
    match writer {
        Writer::Primitive(Primitive::SetId) => Some(numbers.in_group),
        Writer::Primitive(Primitive::SetIdOfMessage) => Some(numbers.in_message),
        _ => None,
    }
}
