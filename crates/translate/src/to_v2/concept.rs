//! Codes and concepts: ID and IS, CE and CWE.

use pipehat_dictionary::{DataType, Element, Version};
use pipehat_resource::fhirpath::Item;
use pipehat_resource::json::Value;

use super::codes::{Told, codings, table_number};
use super::encode::Node;
use super::fields::{Place, Run, type_of};
use super::primitive::text_of;
use super::tables::Row;
use crate::FindingKind;

/// Codings that CWE has room for (HL7 v2.7 §2.A.13); CE and older CWE have two.
const CODINGS_MAX: usize = 3;

impl Run<'_> {
    /// A code alone: as the row's table tells it, or as it is where it is one of v2's own or FHIR has no system for it.
    pub(super) fn code(
        &mut self,
        row: &'static Row,
        place: Place,
        item: &Item<'_>,
    ) -> Option<String> {
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
                self.coverage.read_coding(choice.coding, &choice.display);
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
    pub(super) fn concept(
        &mut self,
        row: &'static Row,
        place: Place,
        item: &Item<'_>,
    ) -> Option<Node> {
        let type_ = match place.element.and_then(type_of) {
            Some(type_) => Some(type_),
            // OBX-5 is what OBX-2 says: CE, until 2.6 withdrew it.
            None if self.version < Version::V2_6 => self.version.data_type("CE"),
            None => self.version.data_type("CWE"),
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
            // The counterpart's display is another text.
            let source = coding
                .get(member)
                .filter(|own| !choice.is_told || member != "display" || own.as_str() == Some(text));
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
            self.coverage.read_coding(coding, &choice.display);
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
            return Some(Node::Leaf(self.leaf(text, place, Some(json))));
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
    fn choices<'v>(&mut self, json: &'v Value, row: &'static Row, place: Place) -> Vec<Choice<'v>> {
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
        // A code that stands there as itself and as its counterpart is said once.
        let mut said: Vec<Choice<'v>> = Vec::with_capacity(choices.len());
        for choice in choices {
            let is_same = |own: &Choice<'_>| own.code == choice.code && own.system == choice.system;
            if said.iter().any(is_same) {
                self.coverage.read_coding(choice.coding, &choice.display);
            } else {
                said.push(choice);
            }
        }
        said
    }

    fn choice<'v>(&self, coding: &'v Value, rank: Rank) -> Choice<'v> {
        let uri = coding.text("system").unwrap_or_default();
        let version = coding.text("version").unwrap_or_default();
        let system = self.tables.systems.name_of(self.profile, uri, version);
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
