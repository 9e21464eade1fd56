//! What segments, fields, components and subcomponents are called: by the standard, and where that has nothing to say
//! by a profile.
//!
//! The standard's names are those of the version a message is read by. A profile's names of segments, fields and
//! components of the partner's own stand beside them; its data types also stand in for those of the standard, as they
//! do where the message is validated. Nothing is allocated.

use std::str;

use pipehat_message::{Segment, SegmentName, Value};

use crate::data_type::DataType;
use crate::element::Element;
use crate::profile::{ElementConstraint, Place, Profile};
use crate::segment::SegmentDefinition;
use crate::version::Version;

/// The names of one version, and perhaps of a profile on top of it.
#[derive(Clone, Copy)]
pub struct Naming<'p> {
    version: Version,
    profile: Option<&'p Profile>,
}

/// What is known about a field, a component or a subcomponent.
#[derive(Clone, Copy, Default)]
pub struct Named<'p> {
    element: Option<Element>,
    /// What the profile says about it.
    own: Option<&'p ElementConstraint>,
    /// Where a field's codes are the first component of its type: the field.
    codes_of: Option<Element>,
    data_type: Option<DataType>,
    /// By whose data types it is read.
    naming: Option<Naming<'p>>,
}

impl<'p> Naming<'p> {
    /// Those of a version, and of a profile if there is one.
    pub const fn of(version: Version, profile: Option<&'p Profile>) -> Self {
        Self { version, profile }
    }

    /// The version.
    pub const fn version(self) -> Version {
        self.version
    }

    /// What the standard says about a segment.
    pub fn definition(self, name: SegmentName) -> Option<SegmentDefinition> {
        self.version.segment(name)
    }

    /// What a segment is called.
    pub fn segment(self, name: SegmentName) -> Option<&'p str> {
        let own = || self.profile?.segment(name)?.name.as_deref();
        self.definition(name).map(SegmentDefinition::title).or_else(own)
    }

    /// A field of a segment as it stands in a message: the type of OBX-5 is what OBX-2 says (HL7 v2.5.1 §7.4.2.2).
    pub fn field_of(self, segment: &Segment<'_>, position: usize) -> Named<'p> {
        let Some(name) = segment.segment_name() else { return Named::default() };
        let is_result = name.as_bytes() == b"OBX" && position == 5;
        let declared = segment.field(2).filter(|_| is_result);
        self.field(name, position, declared.map(|value| value.raw()))
    }

    /// A field by its position from 1; `declared` is the data type that the message itself names for it.
    pub(crate) fn field(
        self,
        name: SegmentName,
        position: usize,
        declared: Option<&[u8]>,
    ) -> Named<'p> {
        let element = self.definition(name).and_then(|segment| segment.field(position));
        let element = element.filter(|element| !element.is_unused());
        let own = u16::try_from(position)
            .ok()
            .and_then(|position| self.profile?.element(&Place::field(name, position)));
        let declared = declared.and_then(|name| self.version.data_type(str::from_utf8(name).ok()?));
        let named = Named { element, own, codes_of: None, data_type: None, naming: Some(self) };
        Named { data_type: declared.or_else(|| named.usual_type()), ..named }
    }

    /// What a profile's place is called, from the field downwards, as in `Patient Name, Family Name`; of a segment its
    /// title. The flag says whether some of it is the profile's.
    pub(crate) fn place(self, place: &Place) -> Option<(String, bool)> {
        if place.field == 0 {
            let name = self.segment(place.segment).filter(|name| !name.is_empty())?;
            return Some((name.to_owned(), self.definition(place.segment).is_none()));
        }
        let mut named = self.field(place.segment, usize::from(place.field), None);
        let mut names = vec![named.name()?];
        let mut is_own = named.element.is_none();
        for position in [place.component, place.subcomponent] {
            if position == 0 {
                break;
            }
            let is_whole = named.is_its_own_part(usize::from(position));
            named = named.part(usize::from(position));
            // What has a place and no name is known by what it is in.
            let Some(name) = named.name().filter(|_| !is_whole) else { break };
            names.push(name);
            is_own |= named.element.is_none();
        }
        Some((names.join(", "), is_own))
    }
}

impl<'p> Named<'p> {
    /// A component or subcomponent of it, by its position from 1. What has no components is its own first.
    #[must_use]
    pub fn part(self, position: usize) -> Self {
        if self.is_its_own_part(position) {
            return self;
        }
        let own = u16::try_from(position).ok().and_then(|position| self.own?.part(position));
        let element = self.data_type.and_then(|data_type| data_type.component(position));
        let element = element.filter(|element| !element.is_unused());
        let coded = self
            .data_type
            .is_some_and(|data_type| matches!(data_type.name(), "CE" | "CF" | "CNE" | "CWE"));
        let codes_of = self.element.filter(|_| coded && position == 1);
        let named = Self { element, own, codes_of, data_type: None, naming: self.naming };
        Self { data_type: named.usual_type(), ..named }
    }

    /// Whether its part at this position is the whole of it.
    pub(crate) fn is_its_own_part(self, position: usize) -> bool {
        let is_primitive = self.data_type.is_some_and(DataType::is_primitive);
        is_primitive && position == 1 && self.own.is_none_or(|own| own.part(1).is_none())
    }

    /// The data type it has unless the message says otherwise: the profile's, and else the standard's.
    fn usual_type(self) -> Option<DataType> {
        let own = || {
            let Naming { version, profile } = self.naming?;
            let name = self.own?.data_type.as_deref()?;
            version.data_type(name).or_else(|| profile?.version.data_type(name))
        };
        own().or_else(|| self.element?.data_type())
    }

    /// What it is called.
    pub fn name(self) -> Option<&'p str> {
        let own = || self.own?.name.as_deref();
        self.element.map(Element::name).or_else(own)
    }

    /// Its data type.
    pub const fn data_type(self) -> Option<DataType> {
        self.data_type
    }

    /// What its code means.
    pub fn meaning(self, value: &Value<'_>) -> Option<&'static str> {
        let code = value.decoded();
        let own = self.own.and_then(|own| own.values.as_deref()?.table());
        let standard = [self.element, self.codes_of].into_iter().flatten();
        let mut tables = own.into_iter().chain(standard.filter_map(Element::table));
        tables
            .find_map(|table| table.code(&code))
            .map(|code| code.display())
            .filter(|it| !it.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::NoCodeTables;

    fn profile() -> Profile {
        let text = "profile: lab2\nversion: 2.5.1\n\
            segments: { ZLB: { name: Notes of the laboratory } }\n\
            fields:\n  ZLB-1: { name: Author, type: XCN }\n  ZLB-2: { name: Shelf }\n  \
            ZLB-2.1: { name: Row }\n  ZLB-2.2: { name: Keeper, type: HD }\n  PID-60: { name: Tribe }\n  \
            PID-8: { name: Other }\n";
        let mut diagnostics = pipehat_config::Diagnostics::new();
        let file = pipehat_config::SourceFile::new("profiles/lab2.yaml", text);
        let node = pipehat_config::Node::parse(&file, &mut diagnostics).expect("a tree");
        Profile::read(&node, "lab2", &NoCodeTables, &mut diagnostics).expect("a profile")
    }

    #[track_caller]
    fn check(place: &str, expected: Option<(&str, bool)>) {
        let profile = profile();
        let naming = Naming::of(Version::V2_5_1, Some(&profile));
        let found = naming.place(&Place::parse(place).expect("a place"));
        assert_eq!(found.as_ref().map(|(name, own)| (name.as_str(), *own)), expected, "{place}");
    }

    #[test]
    fn the_partners_own_has_the_profiles_names() {
        check("ZLB", Some(("Notes of the laboratory", true)));
        check("ZLB-1", Some(("Author", true)));
        check("ZLB-1.2.1", Some(("Author, Family Name, Surname", true)));
        check("ZLB-2.1", Some(("Shelf, Row", true)));
        check("ZLB-2.2.1", Some(("Shelf, Keeper, Namespace ID", true)));
        check("ZLB-3", None);
        check("PID-60", Some(("Tribe", true)));
    }

    #[test]
    fn the_standards_names_go_before() {
        check("PID", Some(("Patient Identification", false)));
        check("PID-8", Some(("Administrative Sex", false)));
        check("PID-8.1", Some(("Administrative Sex", false)));
        check(
            "PID-3.4.1",
            Some(("Patient Identifier List, Assigning Authority, Namespace ID", false)),
        );
    }
}
