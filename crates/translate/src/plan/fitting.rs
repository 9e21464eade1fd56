//! Whether what a row reads can become what its element takes.
//!
//! Refused is only what never fits: a value that the row itself says and its element can't hold, a date where a yes or
//! no is wanted. What depends on the message is a finding when it comes.

use pipehat_dictionary::{Element, Version};
use pipehat_message::SegmentName;
use pipehat_resource::definitions::{Primitive, TypeDefinition, ValueSet};

use super::compile::{Context, map_names};
use super::{Meaning, PrimitiveRule, Source};

/// Said of a value that never is what its element takes.
pub(crate) const NEVER: &str = " never is ";

/// Said of a text that its element can't hold; behind it stands the type.
pub(crate) const NO_VALUE: &str = "no FHIR ";

/// Of a row whose field stands elsewhere.
pub(crate) const OTHER_SEGMENT: &str = "not of the segment ";

/// Where the codes of a code system map go.
#[derive(Debug)]
pub(crate) struct CodeUse {
    pub(crate) vocabulary: u32,
    /// The element: `Patient.gender`.
    pub(crate) element: Box<str>,
    /// Of an element without parts, its type.
    pub(super) primitive: Option<Primitive>,
    /// What a required binding allows.
    pub(super) allowed: Option<&'static ValueSet>,
}

impl CodeUse {
    /// Why the element does not take what a code means.
    pub(crate) fn refusal(&self, meaning: &Meaning) -> Option<&'static str> {
        const NOT_ALLOWED: &str = "not one of the codes that FHIR allows there";
        let code = meaning.code.as_deref()?;
        match (self.primitive, self.allowed) {
            (Some(primitive), allowed) => primitive.problem_of(code).or_else(|| {
                allowed.is_some_and(|set| set.system_of(code).is_none()).then_some(NOT_ALLOWED)
            }),
            (None, Some(set)) => {
                let system = meaning.system.as_deref().unwrap_or_default();
                (!set.contains(system, code)).then_some(NOT_ALLOWED)
            }
            (None, None) => None,
        }
    }
}

/// A datatype map that makes another type than the element is of. One with more words (`EI[Device-udiCarrier]`) says
/// itself what it is for.
pub(super) fn other_type(map: &str, end: &TypeDefinition) -> Option<String> {
    let (_, to) = map_names(map).filter(|_| !map.contains('-'))?;
    let made = TypeDefinition::named(to)?;
    let fits = end.is_a(to) || made.is_a(end.name());
    (!fits).then(|| format!("{map} makes {to}, and the element is of type {}", end.name()))
}

/// A value without a code system map whose v2 type never is what the element takes, in any version that has the field.
pub(super) fn misfit(source: Source, context: Context, rule: &PrimitiveRule) -> Option<String> {
    if rule.vocabulary.is_some() {
        return None;
    }
    let mut read: Option<&'static str> = None;
    for version in Version::ALL.iter().copied() {
        let Some(own) = read_type(version, source, context) else { continue };
        if !never(own, rule) {
            return None;
        }
        read = Some(own);
    }
    read.map(|read| format!("a value of type {read}{NEVER}{}", wanted(rule)))
}

fn wanted(rule: &PrimitiveRule) -> String {
    let name = rule.primitive.name();
    match rule.codes {
        Some(_) => "a code that FHIR allows here".to_owned(),
        None => format!("a FHIR {name}"),
    }
}

/// The data type without components that is read: of one with components, that of the first.
fn read_type(version: Version, source: Source, context: Context) -> Option<&'static str> {
    let (element, component, part) = match (source, context) {
        (Source::Field(field, component, part), Context::Segment(name)) => {
            let segment = version.segment(SegmentName::new(name.0)?)?;
            (segment.field(usize::from(field))?, component, part)
        }
        (Source::Component(component, part), Context::Datatype(Some(name))) => {
            let own = version.data_type(&name.to_string())?;
            (own.component(component.into())?, part, 0)
        }
        _ => return None,
    };
    let at = |of: Element, position: u16| match position {
        0 => Some(of),
        position => match of.data_type() {
            Some(own) if !own.is_primitive() => own.component(position.into()),
            // The first component of what has none is all of it.
            _ => (position == 1).then_some(of),
        },
    };
    let mut element = at(at(element, component)?, part)?;
    // No type of the standard is nested deeper. What TS.1 is differs between versions; it is a time stamp.
    for _ in 0..4 {
        match element.data_type().and_then(|own| own.component(1)) {
            Some(first) if element.data_type_name() != "TS" => element = first,
            _ => break,
        }
    }
    Some(element.data_type_name()).filter(|name| !name.is_empty())
}

/// A narrative, which no field holds.
pub(super) fn narrative(rule: &PrimitiveRule) -> Option<String> {
    let text = "a narrative is XHTML, which no value of HL7 v2 is";
    (rule.primitive == Primitive::Xhtml).then(|| text.to_owned())
}

/// Whether no value of a v2 type is one that the element takes.
fn never(read: &str, rule: &PrimitiveRule) -> bool {
    use Primitive::{
        Base64Binary, Boolean, Canonical, Code, Date, DateTime, Decimal, Instant, Integer, Oid,
        PositiveInt, Time, UnsignedInt, Uri, Url, Uuid,
    };
    let is_date = matches!(read, "DT" | "DTM" | "TS");
    let is_time = read == "TM";
    let is_number = matches!(read, "NM" | "SI");
    match rule.primitive {
        Boolean | Oid | Uuid | Uri | Url | Canonical | Base64Binary => {
            is_date || is_time || is_number
        }
        Decimal | Integer | PositiveInt | UnsignedInt => is_date || is_time,
        Date | DateTime | Instant => is_time || is_number,
        Time => is_number || read == "DT",
        Code => (is_date || is_time) && rule.codes.is_some(),
        _ => false,
    }
}
