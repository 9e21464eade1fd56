//! What the standard calls the parts of a message, by the version and the structure it is read by.

use std::str;

use pipehat_dictionary::{DataType, Element, Reading, Resolved, SegmentDefinition, resolve};
use pipehat_message::{Header, Message, Segment, Value};

/// The names of one message's parts.
pub(super) struct Names {
    resolved: Option<Resolved>,
    reading: Option<Reading>,
}

/// What the standard says about one part of a message: a field, a component or a subcomponent.
#[derive(Clone, Copy, Default)]
pub(super) struct Named {
    element: Option<Element>,
    /// Where a field's codes are the first component of its type.
    codes_of: Option<Element>,
    data_type: Option<DataType>,
}

impl Names {
    pub(super) fn of(message: &Message<'_>) -> Self {
        let resolved = Header::read(message.as_bytes()).ok().map(|header| resolve(&header));
        Self { resolved, reading: Reading::of(message) }
    }

    pub(super) fn version(&self) -> Option<&'static str> {
        self.resolved.map(|resolved| resolved.version.as_str())
    }

    pub(super) fn structure(&self) -> Option<&'static str> {
        self.resolved?.structure.map(|structure| structure.name())
    }

    /// What had to be assumed about the version and the structure.
    pub(super) fn notes(&self) -> Vec<String> {
        let Some(Resolved { version_note, structure_note, .. }) = self.resolved else {
            return Vec::new();
        };
        let version = version_note.map(|note| note.to_string());
        version.into_iter().chain(structure_note.map(|note| note.to_string())).collect()
    }

    /// The way to the group that a segment stands in, as `/PATIENT_RESULT/ORDER_OBSERVATION(2)`; empty for none.
    pub(super) fn group(&self, segment: &Segment<'_>) -> String {
        let Some(reading) = &self.reading else { return String::new() };
        let placement = reading.placements().get(segment.index());
        placement.map_or(String::new(), |it| reading.group_path(it.group()).to_string())
    }

    pub(super) fn segment(&self, segment: &Segment<'_>) -> Option<SegmentDefinition> {
        self.resolved?.version.segment(segment.segment_name()?)
    }

    /// A field by its position from 1.
    pub(super) fn field(&self, segment: &Segment<'_>, position: usize) -> Named {
        let element = self.segment(segment).and_then(|segment| segment.field(position));
        let Some(element) = element.filter(|element| !element.is_unused()) else {
            return Named::default();
        };
        Named { element: Some(element), codes_of: None, data_type: self.type_of(segment, element) }
    }

    /// The type of OBX-5 is what OBX-2 says (HL7 v2.5.1 §7.4.2.2).
    fn type_of(&self, segment: &Segment<'_>, element: Element) -> Option<DataType> {
        let is_result = segment.name() == b"OBX" && element.position() == 5;
        let declared = segment.field(2).filter(|_| is_result);
        let declared = declared.and_then(|value| {
            let name = str::from_utf8(value.raw()).ok()?;
            self.resolved?.version.data_type(name)
        });
        declared.or_else(|| element.data_type())
    }
}

impl Named {
    /// A component or subcomponent of it, by its position from 1. What has no components is its own first.
    pub(super) fn part(self, position: usize) -> Self {
        let Some(data_type) = self.data_type else { return Self::default() };
        if data_type.is_primitive() {
            return if position == 1 { self } else { Self::default() };
        }
        let element = data_type.component(position).filter(|element| !element.is_unused());
        let coded = matches!(data_type.name(), "CE" | "CF" | "CNE" | "CWE");
        Self {
            element,
            codes_of: self.element.filter(|_| coded && position == 1),
            data_type: element.and_then(Element::data_type),
        }
    }

    /// What the standard calls it.
    pub(super) fn name(self) -> Option<&'static str> {
        self.element.map(Element::name)
    }

    /// Its data type, as in `CX`.
    pub(super) fn data_type(self) -> Option<&'static str> {
        self.data_type.map(DataType::name)
    }

    /// What its code means.
    pub(super) fn meaning(self, value: &Value<'_>) -> Option<&'static str> {
        let code = value.decoded();
        let mut tables =
            [self.element, self.codes_of].into_iter().flatten().filter_map(Element::table);
        tables
            .find_map(|table| table.code(&code))
            .map(|code| code.display())
            .filter(|it| !it.is_empty())
    }
}
