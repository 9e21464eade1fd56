//! Filling segments and data types by their maps.

use std::borrow::Cow;

use pipehat_dictionary::{DataType, Element, SegmentDefinition, Usage, Version};
use pipehat_resource::fhirpath::{Context, Item};
use pipehat_resource::json::Value;

use super::codes::{Told, codings, table_number};
use super::coverage::{Coverage, address};
use super::encode::{Leaf, Node, SegmentFields};
use super::primitive::{Primitive, date_time, digits_of_date, text_of, time_of_day};
use super::profile::{Hierarchic, Profile};
use super::resources::Resources;
use super::tables::{Map, Row, Tables, Writer};
use crate::{Finding, FindingKind};

/// Findings of one message at most; more are counted in the last.
const FINDINGS_MAX: usize = 1_000;
/// Codings that CWE has room for (HL7 v2.7 §2.A.13); CE and older CWE have two.
const CODINGS_MAX: usize = 3;

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
struct Place {
    /// What the version says of it; `None` where a type varies.
    element: Option<Element>,
    /// The map and the place, for lineage.
    rule: (usize, u16),
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
            if !is_written(element) || !self.holds(row, item, context) {
                continue;
            }
            let place = Place { element: Some(element), rule: (map_index, row.place) };
            if let Some(number) = set_id(row.writer, numbers) {
                fields.field_mut(row.place).push(Node::text(number.to_string()));
                continue;
            }
            let items = self.evaluate(row, map, item, context);
            for value in items {
                let field = fields.field_mut(row.place);
                if element.cardinality().most.is_some_and(|most| field.len() >= usize::from(most)) {
                    // What is left over stays unread, and is told as such.
                    break;
                }
                if let Some(node) = self.value(row, place, &value, context) {
                    self.read_with(row, item, context);
                    fields.field_mut(row.place).push(node);
                    is_filled = true;
                }
            }
        }
        is_filled.then_some(fields)
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
                self.coverage.read_all(json);
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
            Primitive::SetId | Primitive::SetIdOfMessage => return None,
            Primitive::Text | Primitive::Formatted | Primitive::Number => text_of(item)?,
            Primitive::YesNo => match text_of(item)?.as_str() {
                "true" => "Y".to_owned(),
                "false" => "N".to_owned(),
                _ => return None,
            },
            Primitive::DateTime | Primitive::Date | Primitive::Time => {
                self.moment(primitive, place, item)?
            }
        };
        if text.is_empty() {
            return None;
        }
        let mut leaf = self.leaf(text, place, item.json());
        leaf.is_formatted = primitive == Primitive::Formatted;
        Some(Node::Leaf(leaf))
    }

    /// A value for a place, which it was read for.
    fn leaf(&mut self, text: String, place: Place, source: Option<&Value>) -> Leaf {
        if let Some(source) = source {
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

    fn path_of(&self, place: Place) -> String {
        let (map, position) = place.rule;
        let target = self.tables.map(map).map_or("", |map| &map.target);
        let mark =
            if target.len() == 3 && self.version.data_type(target).is_none() { '-' } else { '.' };
        format!("{target}{mark}{position}")
    }

    fn moment(&mut self, primitive: Primitive, place: Place, item: &Item<'_>) -> Option<String> {
        let text = text_of(item)?;
        let written = match primitive {
            Primitive::Time => time_of_day(text.split_once('T').map_or(&*text, |(_, time)| time)),
            Primitive::Date => {
                digits_of_date(text.split_once('T').map_or(&*text, |(date, _)| date))
            }
            _ if place.element.is_some_and(|element| element.data_type_name() == "DT") => {
                digits_of_date(text.split_once('T').map_or(&*text, |(date, _)| date))
            }
            _ => date_time(&text, self.profile, self.version),
        };
        if written.is_none() {
            let path = self.path_of(place);
            self.find(FindingKind::ValueUnfit, path, "the element holds no date or time");
        }
        written
    }

    /// A code alone: as the row's table tells it, or as it is where it is one of v2's own or FHIR has no system for it.
    fn code(&mut self, row: &'static Row, place: Place, item: &Item<'_>) -> Option<String> {
        let table = row.codes.and_then(|index| self.tables.codes.get(index));
        let Some(json) = item.json().filter(|json| json.as_object().is_some()) else {
            let text = text_of(item)?;
            let Some(table) = table else { return Some(text) };
            let told = table.tell(self.profile, None, &text);
            if told.is_none() {
                let path = self.path_of(place);
                self.find(FindingKind::CodeUnmapped, path, "the code has no counterpart");
            }
            return told.map(|told| told.code.into());
        };
        let choice = self.choices(json, row, place).into_iter().next();
        match choice {
            Some(choice) if choice.is_own() => {
                self.coverage.read_all(choice.coding);
                Some(choice.code)
            }
            _ => {
                if !codings(json).is_empty() {
                    let path = self.path_of(place);
                    self.find(FindingKind::CodeUnmapped, path, "no coding has a counterpart");
                }
                None
            }
        }
    }

    /// CE and CWE (HL7 v2.5.1 §2.A.8, §2.A.13): up to three codings and the text.
    fn concept(&mut self, row: &'static Row, place: Place, item: &Item<'_>) -> Option<Node> {
        let type_ = match place.element.and_then(type_of) {
            Some(type_) => Some(type_),
            None => self.version.data_type("CWE").or_else(|| self.version.data_type("CE")),
        };
        let json = item.json();
        let Some(json) = json.filter(|json| json.as_object().is_some()) else {
            return self.told_concept(row, place, item, type_);
        };
        if type_.is_some_and(DataType::is_primitive) {
            return self.concept_as_one(row, place, json, type_);
        }
        let count = type_.map_or(6, |type_| usize::from(type_.component_count()));
        let mut parts: Vec<Option<Node>> = vec![None; count.max(9)];
        let choices = self.choices(json, row, place);
        let fits = if count >= 12 { CODINGS_MAX } else { 2 };
        for (choice, at) in choices.iter().take(fits).zip([0, 3, 9]) {
            self.put_choice(choice, at, count, place, &mut parts);
        }
        self.put_text(json, &choices, count, place, &mut parts);
        parts.truncate(count.max(1));
        Node::parts(parts)
    }

    fn put_choice(
        &mut self,
        choice: &Choice<'_>,
        at: usize,
        count: usize,
        place: Place,
        parts: &mut Vec<Option<Node>>,
    ) {
        let coding = choice.coding;
        let version = coding.text("version").unwrap_or_default();
        let values = [
            (at, &*choice.code, "code"),
            (at + 1, &*choice.display, "display"),
            (at + 2, &*choice.system, "system"),
            (
                match at {
                    0 => 6,
                    3 => 7,
                    _ => 12,
                },
                version,
                "version",
            ),
            // From 2.7 on a system may be told by its OID (HL7 v2.7 §2.A.13.14).
            (
                match at {
                    0 => 13,
                    3 => 16,
                    _ => 19,
                },
                choice.oid,
                "system",
            ),
        ];
        for (index, text, member) in values {
            if text.is_empty() || index >= count {
                continue;
            }
            let source = coding.get(member);
            if parts.len() <= index {
                parts.resize(index + 1, None);
            }
            let leaf = self.leaf(text.to_owned(), Place { element: None, ..place }, source);
            if let Some(part) = parts.get_mut(index) {
                *part = Some(Node::Leaf(leaf));
            }
        }
        if choice.is_told {
            // What the code means is told by its counterpart.
            self.coverage.read_all(coding);
        }
        if choice.system.is_empty() && choice.oid.is_empty() && coding.get("system").is_some() {
            let path = self.path_of(place);
            self.find(FindingKind::SystemUnknown, path, "the code's system has no name in HL7 v2");
        }
    }

    /// CWE.9, or where there is none CE.2, if it holds no display.
    fn put_text(
        &mut self,
        json: &Value,
        choices: &[Choice<'_>],
        count: usize,
        place: Place,
        parts: &mut [Option<Node>],
    ) {
        let Some(source) = json.get("text") else { return };
        let Some(text) = source.as_str().filter(|text| !text.is_empty()) else { return };
        if choices.first().is_some_and(|choice| &*choice.display == text) {
            self.coverage.read(source);
            return;
        }
        let index = if count >= 9 { 8 } else { 1 };
        let leaf = |run: &mut Self| {
            run.leaf(text.to_owned(), Place { element: None, ..place }, Some(source))
        };
        if parts.get(index).is_some_and(Option::is_none) {
            let leaf = leaf(self);
            if let Some(part) = parts.get_mut(index) {
                *part = Some(Node::Leaf(leaf));
            }
        }
    }

    /// A FHIR code as a concept of v2's.
    fn told_concept(
        &mut self,
        row: &'static Row,
        place: Place,
        item: &Item<'_>,
        type_: Option<DataType>,
    ) -> Option<Node> {
        let text = text_of(item)?;
        let table = row.codes.and_then(|index| self.tables.codes.get(index));
        let Some(table) = table else {
            return Some(Node::Leaf(self.leaf(text, place, item.json())));
        };
        let Some(told) = table.tell(self.profile, None, &text) else {
            let path = self.path_of(place);
            self.find(FindingKind::CodeUnmapped, path, "the code has no counterpart");
            return None;
        };
        let first = Node::Leaf(self.leaf(told.code.into(), place, item.json()));
        if type_.is_some_and(DataType::is_primitive) {
            return Some(first);
        }
        let text = |text: Box<str>| (!text.is_empty()).then(|| Node::text(text));
        Node::parts(vec![Some(first), text(told.text), text(told.system)])
    }

    /// A concept where only one value fits: a code of v2's (IS, ID), or what a reader would see (ST).
    fn concept_as_one(
        &mut self,
        row: &'static Row,
        place: Place,
        json: &Value,
        type_: Option<DataType>,
    ) -> Option<Node> {
        let is_code = type_.is_some_and(|type_| matches!(type_.name(), "IS" | "ID"));
        if is_code {
            let text =
                self.code(row, place, &Item::element(Some(json), None, "CodeableConcept"))?;
            return Some(Node::Leaf(self.leaf(text, place, None)));
        }
        let coding = codings(json).into_iter().next();
        let source = json.get("text");
        let source = source.or_else(|| coding?.get("display")).or_else(|| coding?.get("code"))?;
        if let Some(coding) = coding.filter(|coding| coding.text("display") == source.as_str()) {
            self.coverage.read(coding);
        }
        Some(Node::Leaf(self.leaf(source.as_str()?.to_owned(), place, Some(source))))
    }

    /// The codings in the order v2 wants them: those of the field's own table, those told by the row's table, others.
    fn choices<'v>(&self, json: &'v Value, row: &'static Row, place: Place) -> Vec<Choice<'v>> {
        let table = row.codes.and_then(|index| self.tables.codes.get(index));
        let own_table =
            place.element.and_then(Element::table_number).map(|number| number.to_string());
        let mut choices: Vec<Choice<'v>> = codings(json)
            .into_iter()
            .filter_map(|coding| {
                let system = coding.text("system");
                let code = coding.text("code").unwrap_or_default();
                let number = system.and_then(table_number);
                if number.is_some() && (table.is_none() || number == own_table.as_deref()) {
                    return Some(self.choice(coding, Rank::Own));
                }
                let told = table.and_then(|table| table.tell(self.profile, system, code));
                if let Some(told) = told {
                    return Some(Choice::told(coding, told));
                }
                let says_something = !code.is_empty() || coding.text("display").is_some();
                says_something.then(|| self.choice(coding, Rank::Other))
            })
            .collect();
        choices.sort_by_key(|choice| choice.rank);
        // A code that was told by its counterpart and stands there itself is said once.
        choices.dedup_by(|next, before| next.code == before.code && next.system == before.system);
        choices
    }

    fn choice<'v>(&self, coding: &'v Value, rank: Rank) -> Choice<'v> {
        let uri = coding.text("system").unwrap_or_default();
        let system = self.tables.systems.name(self.profile, uri);
        // A system that is no URI is a name already.
        let system = system.or_else(|| (!uri.contains(':')).then(|| uri.to_owned()));
        Choice {
            coding,
            code: coding.text("code").unwrap_or_default().to_owned(),
            display: coding.text("display").unwrap_or_default().to_owned(),
            oid: if system.is_none() {
                uri.strip_prefix("urn:oid:").unwrap_or_default()
            } else {
                ""
            },
            system: system.unwrap_or_default(),
            is_told: false,
            rank,
        }
    }

    fn coding_system(&mut self, item: &Item<'_>) -> Option<String> {
        let uri = text_of(item)?;
        let name = self.tables.systems.name(self.profile, &uri);
        name.or_else(|| (!uri.contains(':')).then_some(uri))
    }

    /// The code of table 0203, or what the profile says for the identifier's system.
    fn identifier_type(&mut self, item: &Item<'_>) -> Option<String> {
        let identifier = item.json()?;
        if let Some(type_) = identifier.get("type") {
            let is_own = |coding: &&&Value| {
                coding.text("system").is_none_or(|system| table_number(system) == Some("0203"))
            };
            let codings = codings(type_);
            let own = codings.iter().find(is_own).and_then(|coding| coding.text("code"));
            if let Some(code) = own {
                self.coverage.read_all(type_);
                return Some(code.to_owned());
            }
        }
        let system = identifier.text("system")?;
        self.profile.authority_of(system)?.type_code.clone()
    }

    /// Who assigned an identifier: by the profile, by its system, and by what its assigner is called.
    fn authority(&mut self, item: &Item<'_>) -> Option<Hierarchic> {
        let identifier = item.json()?;
        let mut authority = Hierarchic::default();
        if let Some(source) = identifier.get("system") {
            let system = source.as_str().unwrap_or_default();
            self.coverage.read(source);
            if let Some(known) = self.profile.authority_of(system) {
                return Some(known.authority.clone());
            }
            authority = match self.profile.namespace_under_base(system) {
                Some(namespace) => Hierarchic::named(namespace),
                None => Hierarchic::of_uri(system).unwrap_or_else(|| Hierarchic::named(system)),
            };
        }
        if authority.namespace.is_empty()
            && let Some(assigner) = identifier.get("assigner")
        {
            authority.namespace = self.assigner(assigner).unwrap_or_default();
        }
        Some(authority)
    }

    fn assigner(&mut self, assigner: &Value) -> Option<String> {
        if let Some(display) = assigner.get("display") {
            self.coverage.read_all(assigner);
            return display.as_str().map(str::to_owned);
        }
        let identifier = assigner.get("identifier").and_then(|identifier| identifier.text("value"));
        let organization = assigner.text("reference").and_then(|it| self.resources.find(it));
        let of_organization = organization.and_then(|organization| {
            let identifiers = organization.items("identifier").iter();
            let mut values = identifiers.filter_map(|identifier| identifier.text("value"));
            values.next().or_else(|| organization.text("name"))
        });
        let name = identifier.or(of_organization)?.to_owned();
        self.coverage.read_all(assigner);
        Some(name)
    }
}

/// A coding as CE and CWE tell it.
struct Choice<'v> {
    coding: &'v Value,
    code: String,
    display: String,
    system: String,
    oid: &'v str,
    is_told: bool,
    rank: Rank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Own,
    Told,
    Other,
}

impl<'v> Choice<'v> {
    fn told(coding: &'v Value, told: Told) -> Self {
        Self {
            coding,
            code: told.code.into(),
            display: told.text.into(),
            system: told.system.into(),
            oid: "",
            is_told: true,
            rank: Rank::Told,
        }
    }

    /// Whether it is a code that a field of a table of v2's can hold without its system.
    fn is_own(&self) -> bool {
        self.rank != Rank::Other || (self.system.is_empty() && self.coding.get("system").is_none())
    }
}

/// What a field or component is, where the version says so. OBX-5 and the like are of any type.
fn type_of(element: Element) -> Option<DataType> {
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
