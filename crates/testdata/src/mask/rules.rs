//! Which treatment each place of a message gets: by its field, its data type, and what the standard calls it.

use hashbrown::HashMap;
use pipehat_dictionary::{DataType, Element, Table, Version};
use pipehat_message::{Path, PathError, SegmentName};

/// What is done with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Treatment {
    /// Says how the message is to be read, and nothing about a person.
    Structural,
    /// Kept, unless a word of it says who the message is about.
    Keep,
    /// A number: kept likewise.
    Number,
    /// An age in years: kept up to 89.
    Age,
    /// A field of which nobody can say what it holds: a date is moved, every other word becomes its pseudonym.
    Unknown,
    /// A code: kept likewise, and where it is a long number masked.
    Code,
    /// The name that goes with a code: kept likewise, free text where there is no code.
    Catalog,
    /// A number or address of somebody: every word becomes its pseudonym.
    Identifier,
    /// A part of a person's name: likewise, and its words are looked for even where they are common ones.
    Name,
    /// The check digit of the identifier before it.
    CheckDigit,
    /// A date: moved.
    Date,
    /// A birth date: moved; of those over 89 made one.
    BirthDate,
    /// A postal code: its first three digits may stay.
    PostalCode,
    /// Free text: words that are known to be common stay.
    Text,
    /// An embedded document: filled with something else.
    Document,
}

/// The rules met so far.
#[derive(Default)]
pub(super) struct Rules {
    fields: HashMap<(Version, SegmentName, usize, Option<DataType>), Rule>,
    components: HashMap<(DataType, usize), Rule>,
}

/// Rules remembered at once: the standard has some thousands for each version.
const RULES_MAX: usize = 20_000;

/// No segment has as many fields, no data type as many components: what stands behind is all alike.
const POSITION_MAX: usize = 255;

impl Rules {
    /// The treatment of a field. `value_type` is what OBX-2 says, for the fields whose type another field tells.
    pub(super) fn field(
        &mut self,
        version: Version,
        segment: SegmentName,
        position: usize,
        value_type: Option<&str>,
    ) -> Rule {
        let value_type = value_type
            .and_then(|name| nearest(version).find_map(|version| version.data_type(name)));
        let position = position.min(POSITION_MAX);
        if self.fields.len() >= RULES_MAX {
            self.fields.clear();
        }
        *self
            .fields
            .entry((version, segment, position, value_type))
            .or_insert_with(|| field_rule(version, segment, position, value_type))
    }

    /// The treatment of a component (or subcomponent) of a data type.
    pub(super) fn component(&mut self, data_type: DataType, position: usize) -> Rule {
        let position = position.min(POSITION_MAX);
        if self.components.len() >= RULES_MAX {
            self.components.clear();
        }
        *self
            .components
            .entry((data_type, position))
            .or_insert_with(|| component_rule(data_type, position))
    }
}

/// How a field or component goes on.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// All of it, down to the last subcomponent.
    Whole(Treatment),
    /// A code of this table.
    Coded(Table),
    /// By its data type.
    Typed(DataType),
}

/// A segment, field or component that is left as it is at its user's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    segment: SegmentName,
    field: Option<u16>,
    component: Option<u16>,
}

/// These characters name no segment, field or component that could be allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowanceError {
    /// Not a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A path of a group, an occurrence or a subcomponent.
    #[error("name a segment, field or component without occurrences, like ZPI, ZPI-3 or ZPI-3.1")]
    TooPrecise,
}

impl std::fmt::Display for Allowance {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.segment)?;
        match (self.field, self.component) {
            (Some(field), Some(component)) => write!(formatter, "-{field}.{component}"),
            (Some(field), None) => write!(formatter, "-{field}"),
            (None, _) => Ok(()),
        }
    }
}

impl std::str::FromStr for Allowance {
    type Err = AllowanceError;

    fn from_str(text: &str) -> Result<Self, AllowanceError> {
        let path = Path::parse(text)?;
        if path.subcomponent().is_some() || text.contains(['(', '[', '/']) {
            return Err(AllowanceError::TooPrecise);
        }
        Ok(Self {
            segment: path.segment(),
            field: path.field().map(Into::into),
            component: path.component().map(Into::into),
        })
    }
}

impl Allowance {
    pub(super) fn allows(&self, segment: SegmentName, field: usize, component: usize) -> bool {
        self.segment == segment
            && self.field.is_none_or(|allowed| usize::from(allowed) == field)
            && self.component.is_none_or(|allowed| usize::from(allowed) == component)
    }
}

/// The versions, the message's own first, then newer ones, then older ones.
fn nearest(version: Version) -> impl Iterator<Item = Version> {
    let (older, newer) = Version::ALL.split_at(version.index());
    newer.iter().copied().chain(older.iter().rev().copied())
}

fn field_rule(
    version: Version,
    segment: SegmentName,
    position: usize,
    value_type: Option<DataType>,
) -> Rule {
    let name = segment.as_str();
    let definition = nearest(version)
        .filter_map(|version| version.segment(segment)?.field(position))
        .find(|field| !field.is_unused());
    let parts = definition.and_then(|field| field.data_type());
    match (exception(name, position), parts) {
        // Systems, units and flags that have parts of their own: each by what it is.
        (Some(Treatment::Keep), Some(parts)) if matches!(parts.name(), "HD" | "CE" | "CWE") => {
            return Rule::Typed(parts);
        }
        (Some(treatment), _) => return Rule::Whole(treatment),
        (None, _) => {}
    }
    let Some(field) = definition else {
        return Rule::Whole(Treatment::Unknown);
    };
    if is_birth_date(field) {
        return Rule::Whole(Treatment::BirthDate);
    }
    let data_type = match (field.data_type_name(), value_type) {
        ("Varies", Some(told)) => Some(told),
        // A result whose sender does not say what it is: by what it holds.
        ("Varies", None) if name == "OBX" => return Rule::Whole(Treatment::Text),
        ("Varies" | "CM", _) => None,
        _ => field.data_type(),
    };
    match data_type {
        Some(data_type) if data_type.is_primitive() => primitive(data_type.name(), field),
        Some(data_type) => Rule::Typed(data_type),
        None => Rule::Whole(Treatment::Identifier),
    }
}

fn component_rule(data_type: DataType, position: usize) -> Rule {
    if let Some(treatment) = component_exception(data_type.name(), position) {
        return Rule::Whole(treatment);
    }
    let Some(component) = data_type.component(position).filter(|found| !found.is_unused()) else {
        return Rule::Whole(Treatment::Identifier);
    };
    match component.data_type() {
        Some(inner) if inner.is_primitive() => primitive(inner.name(), component),
        Some(inner) => Rule::Typed(inner),
        None => Rule::Whole(Treatment::Identifier),
    }
}

/// By primitive type, and for text by what the standard calls the place.
fn primitive(data_type: &str, element: Element) -> Rule {
    Rule::Whole(match data_type {
        "ID" | "IS" | "VH" => {
            return element.table().map_or(Rule::Whole(Treatment::Code), Rule::Coded);
        }
        "NM" | "SI" => Treatment::Number,
        "TM" => Treatment::Keep,
        "DT" | "DTM" | "TS" => Treatment::Date,
        "TN" => Treatment::Identifier,
        "TX" | "FT" | "ST" | "GTS" if names_somebody(element.name()) => Treatment::Identifier,
        "TX" | "FT" | "ST" | "GTS" => Treatment::Text,
        _ => Treatment::Identifier,
    })
}

/// Whether the name of a text field says that it holds an identifier of a person, a device or a document.
fn names_somebody(name: &str) -> bool {
    const TELLING: &[&str] = &[
        "ssn",
        "social security",
        "phone",
        "e-mail",
        "email",
        "url",
        "driver",
        "license",
        "account",
        "serial",
        "passport",
        "certificate",
        "authorization",
        "birth place",
        "maiden",
        "alias",
        "beneficiary",
        "subscriber",
        "identifier",
        "number",
        "address",
        "medicare",
        "medicaid",
        "case",
        "signature",
        "security",
        "password",
    ];
    const NAMED: &[&str] = &[
        "employer",
        "guarantor",
        "insured",
        "contact",
        "person",
        "mother",
        "father",
        "physician",
        "doctor",
        "organization",
        "patient",
        "company",
        "family",
        "given",
        "surname",
        "provider",
        "school",
        "spouse",
    ];
    const HARMLESS: &[&str] =
        &["number of", "set id", "sequence", "version", "table", "universal id type"];
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let ends_in_id = name.ends_with(" id") || name.contains(" id ") || name.starts_with("id ");
    if has(HARMLESS) {
        return false;
    }
    has(TELLING) || ends_in_id || (name.contains("name") && has(NAMED))
}

fn is_birth_date(field: Element) -> bool {
    matches!(field.data_type_name(), "DT" | "DTM" | "TS") && {
        let name = field.name().to_ascii_lowercase();
        name.contains("birth")
    }
}

/// Fields whose data type says too little.
fn exception(segment: &str, position: usize) -> Option<Treatment> {
    use Treatment::{BirthDate, Code, Identifier, Keep, Structural, Text};
    Some(match (segment, position) {
        ("MSH", 1 | 2 | 9 | 11 | 12 | 15..=21)
        | ("FHS" | "BHS", 1 | 2)
        | ("MSA", 1)
        | ("ERR", 2..=4)
        | ("OBX", 2 | 11)
        | ("EVN", 1)
        | ("QAK", 2) => Structural,
        ("MSH" | "BHS" | "FHS", 3..=6) | ("MSH", 13) => Keep,
        ("MSH" | "BHS" | "FHS", 8)
        | ("MSH", 10 | 14)
        | ("MSA", 2)
        | ("BHS" | "FHS", 9 | 11 | 12) => Identifier,
        ("MSA", 3) | ("ERR", 6..=8) | ("NTE", 3) | ("DSP", 3) => Text,
        ("BTS" | "FTS", 1) | ("OBX", 4 | 6 | 7 | 8) => Keep,
        ("PID", 7) | ("IN1", 18) | ("NK1", 16) | ("GT1", 8) => BirthDate,
        // County: smaller than a state.
        ("PID", 12) | ("PID", 23) => Identifier,
        ("QAK", 1)
        | ("QPD", 2..)
        | ("QRD", 4 | 8)
        | ("QRF", 1)
        | ("ERQ", 3)
        | ("SPR" | "VTQ", 1 | 4) => Identifier,
        ("QRD", 9 | 10) => Code,
        ("URS" | "QRF", 5..) => Text,
        _ => return None,
    })
}

/// Components whose own data type says too little.
fn component_exception(data_type: &str, position: usize) -> Option<Treatment> {
    use Treatment::{
        Catalog, CheckDigit, Code, Date, Document, Identifier, Keep, Name, PostalCode, Structural,
        Text,
    };
    Some(match (data_type, position) {
        // Identifiers.
        ("CX" | "CK" | "CK_ACCOUNT_NO" | "CK_PAT_ID" | "CM_PAT_ID" | "CM_PAT_ID_0192", 1) => {
            Identifier
        }
        ("CX" | "CK" | "CK_ACCOUNT_NO" | "CK_PAT_ID" | "CM_PAT_ID" | "CM_PAT_ID_0192", 2) => {
            CheckDigit
        }
        ("EI" | "CM_PLACER" | "CM_FILLER" | "CM_GROUP_ID" | "CM_EIP" | "CM_AUI" | "AUI", 1) => {
            Identifier
        }
        ("CM_EIP", 2) | ("DLN" | "PLN" | "CM_LICENSE_NO" | "CM_PLN", 1) => Identifier,
        // Persons: identifier, name parts; prefix, suffix and degree are of many.
        ("XCN" | "CN" | "CNN" | "PPN" | "CN_PERSON" | "CN_PHYSICIAN" | "CN_STAFF", 1) => Identifier,
        ("XCN" | "CN" | "CNN" | "PPN" | "CN_PERSON" | "CN_PHYSICIAN" | "CN_STAFF", 2..=4) => Name,
        ("XCN" | "CN" | "CNN" | "PPN" | "CN_PERSON" | "CN_PHYSICIAN" | "CN_STAFF", 5..=7) => Keep,
        ("XCN" | "PPN", 11) => CheckDigit,
        ("XPN" | "PN", 1..=3) => Name,
        ("XPN" | "PN", 4..=6) => Keep,
        ("NDL", 1) | ("CM_NDL", 1) => Identifier,
        ("FN", _) => Name,
        // Addresses: the state and the country may stay.
        ("XAD" | "AD" | "CM_ABS_ADDRESS", 1..=3 | 8..=10 | 17..=23) => Identifier,
        ("XAD" | "AD", 4) => Keep,
        ("XAD" | "AD", 5) => PostalCode,
        ("XAD" | "AD", 6) => Code,
        ("SAD", _) => Identifier,
        // Telecommunication.
        ("XTN", 1 | 4 | 6..=9 | 11 | 12) => Identifier,
        ("XTN", 2 | 3 | 5 | 10) => Code,
        // Organisations: employers are in it.
        ("XON", 1 | 3 | 10) => Identifier,
        ("XON", 4) => CheckDigit,
        // Codes with their names.
        ("CE" | "CWE" | "CNE" | "CF" | "CSU", 1 | 4 | 10) => Code,
        ("CE" | "CWE" | "CNE" | "CF", 2 | 5 | 11) => Catalog,
        ("CE" | "CWE" | "CNE" | "CF", 3 | 6..=8 | 12..) => Keep,
        ("CWE" | "CNE", 9) => Text,
        // Hierarchic designators name systems and authorities.
        ("HD", _) => Keep,
        ("EI", 2..=4) => Keep,
        ("PL" | "CM_INTERNAL_LOCATION" | "LA1" | "LA2" | "NDL", 2..)
        | ("PL" | "LA1" | "LA2", 1) => Keep,
        ("MSG" | "VID" | "PT" | "ELD" | "ERL", _) => Structural,
        // Documents.
        ("ED", 5) => Document,
        ("ED", 1) => Keep,
        ("RP", 1) => Identifier,
        ("QIP" | "QSC", 2..) => Identifier,
        ("TS", 1) => Date,
        ("DR", _) => Date,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The treatment of a component's first subcomponent; component 0 is a field without components.
    #[track_caller]
    fn check(version: Version, segment: &str, field: usize, expected: &[(usize, Treatment)]) {
        for &(component, treatment) in expected {
            let mut rule = field_rule(version, segment.parse().expect("a segment"), field, None);
            let mut position = component;
            let found = loop {
                rule = match rule {
                    Rule::Whole(treatment) => break treatment,
                    Rule::Coded(_) => break Treatment::Code,
                    Rule::Typed(data_type) => {
                        assert_ne!(position, 0, "{version} {segment}-{field} has components");
                        component_rule(data_type, std::mem::replace(&mut position, 1))
                    }
                };
            };
            assert_eq!(found, treatment, "{version} {segment}-{field}.{component}");
        }
    }

    #[test]
    fn what_safe_harbor_lists_is_masked_in_every_version() {
        for version in Version::ALL {
            check(version, "PID", 5, &[(1, Treatment::Name), (2, Treatment::Name)]);
            check(version, "PID", 3, &[(1, Treatment::Identifier)]);
            check(version, "PID", 11, &[(1, Treatment::Identifier), (5, Treatment::PostalCode)]);
            check(version, "PID", 7, &[(0, Treatment::BirthDate)]);
            check(version, "PID", 19, &[(0, Treatment::Identifier)]);
            check(version, "PV1", 7, &[(1, Treatment::Identifier), (2, Treatment::Name)]);
            check(version, "PID", 13, &[(1, Treatment::Identifier)]);
            check(version, "NTE", 3, &[(0, Treatment::Text)]);
        }
        check(Version::V2_5_1, "IN1", 36, &[(0, Treatment::Identifier)]);
        check(Version::V2_5_1, "PV1", 44, &[(1, Treatment::Date)]);
        check(Version::V2_5_1, "ZPI", 1, &[(0, Treatment::Unknown)]);
        check(Version::V2_5_1, "PID", 90, &[(0, Treatment::Unknown)]);
    }

    #[test]
    fn what_tells_nobody_stays() {
        check(Version::V2_5_1, "PID", 8, &[(0, Treatment::Code)]);
        check(Version::V2_5_1, "OBR", 4, &[(1, Treatment::Code), (2, Treatment::Catalog)]);
        check(Version::V2_5_1, "MSH", 9, &[(0, Treatment::Structural)]);
        check(Version::V2_5_1, "OBX", 7, &[(0, Treatment::Keep)]);
        let units = [(1, Treatment::Code), (2, Treatment::Catalog), (3, Treatment::Keep)];
        check(Version::V2_5_1, "OBX", 6, &units);
        for position in 3..=6 {
            check(Version::V2_1, "MSH", position, &[(0, Treatment::Keep)]);
            let system = [1, 2, 3].map(|component| (component, Treatment::Keep));
            check(Version::V2_5_1, "MSH", position, &system);
        }
    }

    #[test]
    fn an_allowance_names_a_place() {
        let allowance: Allowance = "ZPI-3.1".parse().expect("an allowance");
        let zpi = "ZPI".parse().expect("a segment");
        assert!(
            allowance.allows(zpi, 3, 1)
                && !allowance.allows(zpi, 3, 2)
                && !allowance.allows(zpi, 2, 1)
        );
        assert!("ZPI".parse::<Allowance>().is_ok_and(|all| all.allows(zpi, 9, 9)));
        assert_eq!("ZPI(2)-3".parse::<Allowance>(), Err(AllowanceError::TooPrecise));
        assert!("zp".parse::<Allowance>().is_err());
    }
}
