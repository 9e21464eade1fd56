//! The rules of one version, laid out so that a message can be checked against them without looking anything up.
//!
//! Made once for each version that occurs, when it first does (well under a millisecond), and kept. A profile copies
//! the rules of its version and changes them.

use std::sync::OnceLock;

use pipehat_message::SegmentName;

use super::condition::ConditionalRule;
use super::conditions::CONDITIONAL_RULES;
use super::corrections;
use super::primitive::Primitive;
use super::table::{TableRules, short_key};
use crate::element::{Element, Usage};
use crate::table::TableKind;
use crate::version::Version;

/// Fields of one segment that are looked at together. The standard's longest segment has 73.
pub(super) const FIELDS_MAX: usize = 127;

/// In place of an index: there is none.
pub(crate) const NONE: u16 = u16::MAX;

/// In place of a length or a count: any.
pub(crate) const ANY: u32 = u32::MAX;

/// The rules of one version, or of a profile on top of it.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(crate) version: Version,
    /// Sorted by name.
    pub(crate) segments: Vec<SegmentRules>,
    /// The segments' names as numbers, in the same order.
    segment_keys: Vec<u32>,
    /// In any order; a profile may add to them.
    pub(crate) types: Vec<TypeRules>,
    /// Names of data types as numbers, sorted, with their places.
    type_keys: Vec<(u64, u16)>,
    pub(crate) tables: Vec<TableRules>,
}

/// What a segment has to keep to.
#[derive(Debug, Clone)]
pub(crate) struct SegmentRules {
    pub(crate) name: [u8; 3],
    pub(crate) fields: Vec<ElementRules>,
    /// A bit for each required field: 1 << position.
    pub(crate) required: u128,
    /// The field of type Varies and the field that names its type.
    pub(crate) varies: Option<(u16, u16)>,
    /// Whether field 1 is a set ID.
    pub(crate) has_set_id: bool,
    pub(crate) conditions: Vec<&'static ConditionalRule>,
}

/// What a field or component has to keep to.
#[derive(Debug, Clone)]
pub(crate) struct ElementRules {
    pub(crate) name: &'static str,
    /// Place in [`Rules::types`]; [`NONE`] where the standard has no field.
    pub(crate) data_type: u16,
    /// Place in [`Rules::tables`].
    pub(crate) table: u16,
    pub(crate) usage: Usage,
    /// Most repetitions.
    pub(crate) most: u32,
    pub(crate) length_max: u32,
    pub(crate) conformance_length: u32,
}

/// What a data type has to keep to.
#[derive(Debug, Clone)]
pub(crate) struct TypeRules {
    pub(crate) name: &'static str,
    pub(crate) primitive: Primitive,
    pub(crate) components: Vec<ElementRules>,
    /// A bit for each required component: 1 << position.
    pub(crate) required: u64,
    pub(crate) special: Special,
}

/// What a composite data type asks for beyond its components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    None,
    /// Code, text, coding system: a table of the field is that of the code.
    Coded,
    /// Universal ID and its type, at these positions.
    UniversalId(u16, u16),
    /// An extended composite ID: with an identifier, assigned by HD at component 4.
    Identifier,
    StructuredNumeric,
    Money,
    Range,
}

impl Rules {
    /// The rules of a version.
    pub fn of(version: Version) -> &'static Self {
        static ALL: [OnceLock<Rules>; Version::ALL.len()] =
            [const { OnceLock::new() }; Version::ALL.len()];
        ALL[version.index()].get_or_init(|| Self::compile(version))
    }

    /// The version they are about.
    pub const fn version(&self) -> Version {
        self.version
    }

    #[inline]
    pub(crate) fn segment(&self, name: SegmentName) -> Option<&SegmentRules> {
        let at = self.segment_keys.binary_search(&segment_key(*name.as_bytes())).ok()?;
        self.segments.get(at)
    }

    /// The data type of this name.
    pub(crate) fn type_named(&self, name: &[u8]) -> Option<&TypeRules> {
        let key = short_key(name)?;
        let at = self.type_keys.binary_search_by_key(&key, |&(key, _)| key).ok()?;
        self.type_keys.get(at).and_then(|&(_, index)| self.type_at(index))
    }

    #[inline]
    pub(crate) fn type_at(&self, index: u16) -> Option<&TypeRules> {
        self.types.get(usize::from(index))
    }

    #[inline]
    pub(crate) fn table_at(&self, index: u16) -> Option<&TableRules> {
        self.tables.get(usize::from(index))
    }

    /// The rules of a segment, made when the version has none.
    pub(super) fn declare(&mut self, name: SegmentName) -> Option<&mut SegmentRules> {
        let name = *name.as_bytes();
        let at = match self.segments.binary_search_by(|rules| rules.name.cmp(&name)) {
            Ok(at) => at,
            Err(at) => {
                let segment = SegmentRules {
                    name,
                    fields: Vec::new(),
                    required: 0,
                    varies: None,
                    has_set_id: false,
                    conditions: Vec::new(),
                };
                self.segments.insert(at, segment);
                self.segment_keys.insert(at, segment_key(name));
                at
            }
        };
        self.segments.get_mut(at)
    }

    fn compile(version: Version) -> Self {
        let tables: Vec<TableRules> = version.tables().map(TableRules::of).collect();
        let mut types: Vec<TypeRules> =
            version.data_types().map(|data_type| TypeRules::named(data_type.name())).collect();
        types.sort_by_key(|rules| rules.name);
        let compiler = Compiler { version, names: types.iter().map(|rules| rules.name).collect() };
        for rules in &mut types {
            compiler.fill(rules, &tables);
        }
        let mut segments: Vec<SegmentRules> =
            version.segments().map(|segment| compiler.segment(segment, &tables)).collect();
        segments.sort_by_key(|rules| rules.name);
        let segment_keys = segments.iter().map(|rules| segment_key(rules.name)).collect();
        let keys = types
            .iter()
            .zip(0_u16..)
            .filter_map(|(rules, index)| short_key(rules.name.as_bytes()).map(|key| (key, index)));
        let mut type_keys: Vec<_> = keys.collect();
        type_keys.sort_unstable();
        Self { version, segments, segment_keys, types, type_keys, tables }
    }
}

impl ElementRules {
    /// One of which nothing is asked but its data type.
    pub(super) const fn free(data_type: u16) -> Self {
        Self {
            name: "",
            data_type,
            table: NONE,
            usage: Usage::Optional,
            most: ANY,
            length_max: ANY,
            conformance_length: ANY,
        }
    }
}

/// A segment's name as a number; numbers have the order of names.
#[inline]
const fn segment_key(name: [u8; 3]) -> u32 {
    let [first, second, third] = name;
    u32::from_be_bytes([0, first, second, third])
}

/// What is needed while the rules of a version are made.
struct Compiler {
    version: Version,
    /// Of all data types, sorted.
    names: Vec<&'static str>,
}

impl Compiler {
    fn element(&self, element: Element, tables: &[TableRules]) -> ElementRules {
        let data_type = match element.data_type_name() {
            "" => NONE,
            name => self
                .names
                .binary_search(&name)
                .ok()
                .and_then(|at| u16::try_from(at).ok())
                .unwrap_or(NONE),
        };
        let table = element
            .table_number()
            .and_then(|number| {
                tables.binary_search_by_key(&number.get(), |table| table.number).ok()
            })
            .and_then(|at| u16::try_from(at).ok())
            .unwrap_or(NONE);
        ElementRules {
            name: element.name(),
            data_type,
            table,
            usage: element.usage(),
            most: element.cardinality().most.map_or(ANY, u32::from),
            length_max: element.length_max().filter(|&length| !is_unlimited(length)).unwrap_or(ANY),
            conformance_length: element
                .conformance_length()
                .map_or(ANY, |length| length.characters)
                .max(1),
        }
    }

    fn fill(&self, rules: &mut TypeRules, tables: &[TableRules]) {
        let Some(data_type) = self.version.data_type(rules.name) else { return };
        rules.components =
            data_type.components().map(|component| self.element(component, tables)).collect();
        rules.primitive = Primitive::of(rules.name, data_type.is_primitive());
        if rules.name == "TS"
            && let Some(time) = rules.components.first_mut()
        {
            // Called ST before 2.5, with the form of a timestamp (HL7 v2.3 §2.8.40).
            time.data_type = NONE_TIMESTAMP;
        }
        for (index, component) in rules.components.iter().enumerate().take(62) {
            if component.usage == Usage::Required {
                rules.required |= 1 << (index + 1);
            }
        }
        rules.special = special(rules.name, rules.components.len());
    }

    fn segment(&self, segment: crate::SegmentDefinition, tables: &[TableRules]) -> SegmentRules {
        let name = *segment.name().as_bytes();
        let mut fields: Vec<ElementRules> =
            segment.fields().take(FIELDS_MAX).map(|field| self.element(field, tables)).collect();
        for (index, field) in fields.iter_mut().enumerate() {
            corrections::apply(self.version, &segment, index + 1, field);
        }
        if &name == b"MSH"
            && let Some(message_type) = fields.get_mut(8)
        {
            // Published for 2.1 as one code; its own examples have the trigger event as well.
            let names = &self.names;
            if names.get(usize::from(message_type.data_type)) == Some(&"ID")
                && let Ok(at) = names.binary_search(&"CM_MSG")
            {
                message_type.data_type = u16::try_from(at).unwrap_or(NONE);
                message_type.table = NONE;
            }
        }
        let mut required = 0;
        for (index, field) in fields.iter().enumerate() {
            if field.usage == Usage::Required {
                required |= 1 << (index + 1);
            }
        }
        let varies = match &name {
            b"OBX" => Some((5, 2)),
            b"MFE" => Some((4, 5)),
            b"MFA" => Some((5, 6)),
            _ => None,
        };
        // Before 2.3.1 a master file's key has one type, and no field names it.
        let varies = varies.filter(|(_, naming)| usize::from(*naming) <= fields.len());
        let has_set_id = fields.first().is_some_and(|field| {
            field.name.to_ascii_lowercase().starts_with("set id")
                && self.names.get(usize::from(field.data_type)) == Some(&"SI")
        });
        let conditions = CONDITIONAL_RULES
            .iter()
            .filter(|rule| rule.segment == &name && rule.since <= self.version)
            .collect();
        SegmentRules { name, fields, required, varies, has_set_id, conditions }
    }
}

/// In place of a data type's index: a timestamp, whatever the definitions call it.
pub(super) const NONE_TIMESTAMP: u16 = u16::MAX - 1;

/// In place of a data type's index: there is a field, and nothing is known of it.
pub(super) const NONE_OPAQUE: u16 = u16::MAX - 2;

/// Lengths that the standard prints where it means that there is none.
const fn is_unlimited(length: u32) -> bool {
    matches!(length, 0 | 9_999..)
}

fn special(name: &str, components: usize) -> Special {
    match name {
        "CE" | "CWE" | "CNE" | "CF" | "CSU" => Special::Coded,
        "HD" if components >= 3 => Special::UniversalId(2, 3),
        "EI" if components >= 4 => Special::UniversalId(3, 4),
        "CX" => Special::Identifier,
        "SN" => Special::StructuredNumeric,
        "MO" => Special::Money,
        "DR" => Special::Range,
        _ => Special::None,
    }
}

impl TypeRules {
    pub(super) fn named(name: &'static str) -> Self {
        Self {
            name,
            primitive: Primitive::Opaque,
            components: Vec::new(),
            required: 0,
            special: Special::None,
        }
    }
}

impl TableRules {
    /// Whether other codes than the listed ones are wrong.
    pub(crate) fn is_closed(&self) -> bool {
        self.kind == TableKind::Hl7
    }
}
