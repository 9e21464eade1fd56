//! Whether one resource meets a search, decided in memory: for the criteria of subscriptions, and as the measure
//! that stores are tested by.
//!
//! Chains, `_has` and whatever else needs other resources is not answered: [`Search::looks_at_others`] says so
//! beforehand.

use super::date::parse_date;
use super::entry::{IndexEntry, IndexValue, TokenValue};
use super::exact::ExactNumber;
use super::fold::words;
use super::query::{
    Comparator, Criterion, DateRange, Filter, ReferenceCriterion, Search, StringMatch,
    TokenCriterion, UriMatch,
};
use crate::json::Value;

impl Search {
    /// Whether it asks about other resources than the one that is found: by chains or `_has`.
    pub fn looks_at_others(&self) -> bool {
        self.filters.iter().any(Filter::looks_at_others)
    }

    /// Whether a resource, which is found by `entries` (as [`extract`](super::extract) gives them), meets it.
    /// `None` where that depends on other resources.
    pub fn matches(&self, resource: &Value, entries: &[IndexEntry]) -> Option<bool> {
        let resource_type = resource.resource_type().unwrap_or_default();
        let searched = self.resource_types.is_empty()
            || self.resource_types.iter().any(|name| name == resource_type);
        let met = all(self.filters.iter().map(|filter| filter.matches(resource, entries)));
        if searched { met } else { Some(false) }
    }
}

impl Filter {
    /// Whether it asks about other resources than the one that is found.
    pub fn looks_at_others(&self) -> bool {
        match self {
            Self::Chain { .. } | Self::Has { .. } => true,
            Self::All(filters) | Self::Any(filters) => filters.iter().any(Self::looks_at_others),
            Self::Not(filter) => filter.looks_at_others(),
            _ => false,
        }
    }

    /// Whether a resource meets it; `None` where that depends on other resources.
    pub fn matches(&self, resource: &Value, entries: &[IndexEntry]) -> Option<bool> {
        Some(match self {
            Self::Chain { .. } | Self::Has { .. } => return None,
            Self::All(filters) => {
                return all(filters.iter().map(|filter| filter.matches(resource, entries)));
            }
            Self::Any(filters) => {
                let negated = filters.iter().map(|filter| not(filter.matches(resource, entries)));
                return not(all(negated));
            }
            Self::Not(filter) => return not(filter.matches(resource, entries)),
            Self::Parameter { parameter, criteria } => entries
                .iter()
                .filter(|entry| entry.parameter == *parameter)
                .any(|entry| criteria.iter().any(|criterion| criterion.meets(&entry.value))),
            Self::Composite { alternatives } => alternatives.iter().any(|components| {
                let Some(((first, criterion), rest)) = components.split_first() else {
                    return false;
                };
                entries
                    .iter()
                    .filter(|entry| entry.parameter == *first && criterion.meets(&entry.value))
                    .any(|entry| {
                        rest.iter().all(|(parameter, criterion)| {
                            entries.iter().any(|other| {
                                other.parameter == *parameter
                                    && other.instance == entry.instance
                                    && criterion.meets(&other.value)
                            })
                        })
                    })
            }),
            Self::Missing { parameter, missing } => {
                entries.iter().any(|entry| entry.parameter == *parameter) != *missing
            }
            Self::Id(ids) => resource.id().is_some_and(|id| ids.iter().any(|asked| asked == id)),
            Self::LastUpdated(spans) => resource
                .get("meta")
                .and_then(|meta| meta.text("lastUpdated"))
                .and_then(parse_date)
                .is_some_and(|found| {
                    spans.iter().any(|(prefix, asked)| prefix.holds_for_dates(*asked, found))
                }),
            Self::Type(types) => {
                let own = resource.resource_type().unwrap_or_default();
                types.iter().any(|name| name == own)
            }
            Self::FullText { whole, words } => {
                let found = full_text(resource, *whole);
                words.iter().all(|word| found.iter().any(|found| found == word))
            }
            Self::Compartment { resource_type, id, parameters } => {
                let itself =
                    resource.resource_type() == Some(resource_type) && resource.id() == Some(id);
                let asked = ReferenceCriterion::Local {
                    resource_type: Some(resource_type.clone()),
                    id: id.clone(),
                };
                itself
                    || entries
                        .iter()
                        .filter(|entry| parameters.contains(&entry.parameter))
                        .any(|entry| reference(&asked, &entry.value))
            }
        })
    }
}

/// And of what is known: false where one is false, else unknown where one is.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut met = Some(true);
    for part in parts {
        match part {
            Some(true) => {}
            Some(false) => return Some(false),
            None => met = None,
        }
    }
    met
}

fn not(known: Option<bool>) -> Option<bool> {
    known.map(|met| !met)
}

impl Comparator {
    /// Whether it holds between what is asked for and a date of the resource (FHIR R4 §3.1.1.4.3).
    pub fn holds_for_dates(self, asked: DateRange, found: DateRange) -> bool {
        let equal = asked.from <= found.from && found.to <= asked.to;
        match self {
            Self::Equal => equal,
            Self::NotEqual => !equal,
            Self::Greater => found.to > asked.to,
            Self::Less => found.from < asked.from,
            Self::GreaterOrEqual => found.to > asked.to || equal,
            Self::LessOrEqual => found.from < asked.from || equal,
            Self::StartsAfter => found.from > asked.to,
            Self::EndsBefore => found.to < asked.from,
            Self::Approximately => found.from <= asked.to && found.to >= asked.from,
        }
    }

    /// Whether it holds between what is asked for (`value`, meaning `low` inclusive to `high` exclusive) and a number
    /// of the resource, from `found_low` to `found_high`.
    pub fn holds_for_numbers(
        self,
        [value, low, high]: [&ExactNumber; 3],
        [found_low, found_high]: [&ExactNumber; 2],
    ) -> bool {
        let equal = || low.compare(found_low).is_le() && found_high.compare(high).is_lt();
        match self {
            Self::Equal => equal(),
            Self::NotEqual => !equal(),
            Self::Greater => found_high.compare(value).is_gt(),
            Self::Less => found_low.compare(value).is_lt(),
            Self::GreaterOrEqual => found_high.compare(value).is_ge(),
            Self::LessOrEqual => found_low.compare(value).is_le(),
            Self::StartsAfter => found_low.compare(value).is_gt(),
            Self::EndsBefore => found_high.compare(value).is_lt(),
            Self::Approximately => {
                found_low.compare(high).is_le() && found_high.compare(low).is_ge()
            }
        }
    }
}

impl Criterion {
    /// Whether a value meets it. A value of another kind does not.
    pub fn meets(&self, found: &IndexValue) -> bool {
        match (self, found) {
            (Self::String { match_by, text }, IndexValue::String { exact, folded }) => {
                match match_by {
                    StringMatch::Start => folded.starts_with(text.as_str()),
                    StringMatch::Contains => folded.contains(text.as_str()),
                    StringMatch::End => folded.ends_with(text.as_str()),
                    StringMatch::Equal => folded == text,
                    StringMatch::Exact => exact == text,
                }
            }
            (Self::Token(asked), IndexValue::Token(found)) => token(asked, found),
            (Self::Reference(asked), found) => reference(asked, found),
            (Self::Date { comparator, range }, IndexValue::Date { from, to }) => {
                comparator.holds_for_dates(*range, DateRange { from: *from, to: *to })
            }
            (
                Self::Number { comparator, value, low, high },
                IndexValue::Number { low: found_low, high: found_high, .. },
            ) => comparator.holds_for_numbers([value, low, high], [found_low, found_high]),
            (
                Self::Quantity { comparator, value, low, high, system, code },
                IndexValue::Quantity {
                    low: found_low,
                    high: found_high,
                    system: found_system,
                    code: found_code,
                    unit,
                    ..
                },
            ) => {
                let of_unit = match (system, code) {
                    (None, None) => true,
                    (Some(_), None) => system == found_system,
                    (Some(_), Some(_)) => system == found_system && code == found_code,
                    (None, Some(_)) => code == found_code || code == unit,
                };
                of_unit && comparator.holds_for_numbers([value, low, high], [found_low, found_high])
            }
            (Self::Uri { match_by, uri }, IndexValue::Uri(found)) => match match_by {
                UriMatch::Exact => found == uri,
                UriMatch::Below => found.starts_with(uri.as_str()),
                UriMatch::Above => uri.starts_with(found.as_str()),
                UriMatch::Contains => found.contains(uri.as_str()),
            },
            _ => false,
        }
    }
}

fn token(asked: &TokenCriterion, found: &TokenValue) -> bool {
    let code = |asked: &String| found.code.as_ref() == Some(asked);
    let system = |asked: &String| found.system.as_ref() == Some(asked);
    match asked {
        TokenCriterion::Code(asked) => code(asked),
        TokenCriterion::SystemCode(of, asked) => system(of) && code(asked),
        TokenCriterion::NoSystem(asked) => found.system.is_none() && code(asked),
        TokenCriterion::System(of) => system(of),
        TokenCriterion::Text(asked) => {
            found.text.as_ref().is_some_and(|text| text.starts_with(asked.as_str()))
        }
        TokenCriterion::OfType { type_system, type_code, value } => {
            code(value)
                && found.of_type.iter().any(|(of, own)| of == type_system && own == type_code)
        }
        TokenCriterion::OneOf(codes) => {
            codes.iter().any(|(of, asked)| of.as_ref().is_none_or(system) && code(asked))
        }
    }
}

fn reference(asked: &ReferenceCriterion, found: &IndexValue) -> bool {
    let IndexValue::Reference { resource_type, id, url, version, identifier } = found else {
        return false;
    };
    match asked {
        ReferenceCriterion::Local { resource_type: of, id: asked } => {
            id.as_ref() == Some(asked) && (of.is_none() || of == resource_type)
        }
        ReferenceCriterion::Url { url: asked, version: of } => {
            url.as_ref() == Some(asked) && (of.is_none() || of == version)
        }
        ReferenceCriterion::Identifier(asked) => {
            identifier.as_ref().is_some_and(|identifier| token(asked, identifier))
        }
    }
}

/// The words of the narrative, or of all texts of a resource, folded; as often as they come.
pub fn full_text(resource: &Value, whole: bool) -> Vec<String> {
    let mut found = Vec::new();
    let narrative = resource.get("text").and_then(|text| text.text("div"));
    if let Some(narrative) = narrative {
        found.extend(words(&without_tags(narrative)));
    }
    if whole && let Some(members) = resource.as_object() {
        for (name, value) in members.iter().filter(|(name, _)| *name != "text") {
            if name != "resourceType" {
                texts(value, &mut found);
            }
        }
    }
    found
}

/// JSON is only so deep (`json::DEPTH_MAX`).
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.extend(words(text)),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.iter().for_each(|(_, value)| texts(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text of XHTML: tags are white space, character references what they stand for.
fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let (end, replacement) = if from.starts_with('<') {
            (from.find('>'), Some(' '))
        } else {
            let end = from.find(';').filter(|end| *end <= 10);
            (end, end.and_then(|end| from.get(1..end)).and_then(character))
        };
        match (end, replacement) {
            (Some(end), Some(replacement)) => {
                text.push(replacement);
                rest = from.get(end + 1..).unwrap_or_default();
            }
            _ => {
                text.push(' ');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    text.push_str(rest);
    text
}

fn character(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let code = name.strip_prefix('#')?;
            let code = match code.strip_prefix(['x', 'X']) {
                Some(code) => u32::from_str_radix(code, 16),
                None => code.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    use crate::search::{Registry, SearchOptions, extract, query_pairs};

    fn golden(name: &str) -> Value {
        let path = format!("{}/golden/search/{name}.json", env!("CARGO_MANIFEST_DIR"));
        parse(&std::fs::read(path).unwrap()).unwrap()
    }

    #[track_caller]
    fn check(name: &str, query: &str, expected: Option<bool>) {
        let resource = golden(name);
        let registry = Registry::standard();
        let options = SearchOptions {
            base_url: "http://here.example/fhir/R4",
            now: 1_704_067_200_000_000,
            ..SearchOptions::default()
        };
        let types = [resource.resource_type().unwrap()];
        let parsed = Search::parse(&types, &query_pairs(query), &registry, &options).unwrap();
        assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
        let entries = extract(&resource, &registry, options.base_url, options.now);
        assert_eq!(parsed.search.matches(&resource, &entries), expected, "{name}?{query}");
        assert_eq!(parsed.search.looks_at_others(), expected.is_none(), "{name}?{query}");
    }

    #[track_caller]
    fn finds(name: &str, queries: &[&str]) {
        for query in queries {
            check(name, query, Some(true));
        }
    }

    #[track_caller]
    fn passes(name: &str, queries: &[&str]) {
        for query in queries {
            check(name, query, Some(false));
        }
    }

    #[test]
    fn patients() {
        finds(
            "patient",
            &[
                "",
                "family=oneill",
                "family=O'NEILL-luk",
                "family:exact=Straße",
                "name:contains=ukas",
                "given=z,q",
                "given=zoe&given=anna",
                "name=dr",
                "address=sao p",
                "address-city=S%C3%83O",
                "identifier=http://example.org/mrn|0017",
                "identifier=0017",
                "identifier=|no-system",
                "identifier=http://example.org/only-system|",
                "identifier:not=0018",
                "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|0017",
                "identifier:text=record",
                "gender=female",
                "gender=http://hl7.org/fhir/administrative-gender|female",
                "gender:in=http://hl7.org/fhir/ValueSet/administrative-gender",
                "active=true",
                "birthdate=1980",
                "birthdate=1980-02",
                "birthdate=ge1980-02",
                "birthdate=le1980",
                "birthdate=lt1980-02-15",
                "birthdate=ne1979",
                "birthdate=ap1980-03-01",
                "death-date=sa2023-05-06T05:07",
                "deceased=true",
                "death-date=2023-05-06T05:08:09Z",
                "general-practitioner=Practitioner/d1",
                "general-practitioner=d1",
                "general-practitioner:Practitioner=d1",
                "general-practitioner:identifier=http://example.org/npi|9",
                "organization=http://here.example/fhir/R4/Organization/o1",
                "organization=o1",
                "link=http://there.example/fhir/Patient/p9",
                "_profile=http://example.org/StructureDefinition/p",
                "_profile=http://example.org/StructureDefinition/p|1.2",
                "_profile:below=http://example.org/",
                "_source=urn:feed:adt",
                "_profile:above=http://example.org/StructureDefinition/p/q",
                "_tag=demo",
                "_tag:text=demo",
                "_security=R",
                "_id=p1,p2",
                "_lastUpdated=2024-01-01",
                "_lastUpdated=gt2023",
                "_text=zoe",
                "_content=main%20straße",
                "email=zoe@example.org",
                "phone=%2B1 555 0100",
                "address:missing=false",
                "language=pt",
                "_filter=given eq zoe and not (family eq oneill) and birthdate po 1980",
                "_filter=gender eq male or family ew łukasz",
                "_filter=active pr true",
            ],
        );
        passes(
            "patient",
            &[
                "family=neill",
                "family:exact=straße",
                "given=zoe&given=q",
                "identifier=http://example.org/mrn|0018",
                "identifier=|0017",
                "identifier=http://example.org/other|",
                "identifier:not=0017",
                "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|SS|0017",
                "gender=male",
                "gender=http://example.org|female",
                "birthdate=1980-02-15",
                "birthdate=gt1980",
                "birthdate=eb1980-02",
                "birthdate=ne1980-02",
                "death-date=2023-05-06T07:08:09Z",
                "general-practitioner=Organization/d1",
                "general-practitioner=inner",
                "organization=Organization/o2",
                "link=Patient/p9",
                "_profile=http://example.org/StructureDefinition/p|1.3",
                "_id=p2",
                "_lastUpdated=lt2024",
                "_text=anna",
                "_content=zoe nowhere",
                "address:missing=true",
                "name=%25",
                "name=_",
                "name:contains=%25",
                "_filter=active pr false",
                "_filter=family eq oneill",
            ],
        );
        for query in ["organization.name=x", "_has:Observation:patient:code=x"] {
            check("patient", query, None);
        }
    }

    #[test]
    fn observations() {
        finds(
            "observation",
            &[
                "value-quantity=6.3",
                "value-quantity=6.30",
                "value-quantity=6",
                "value-quantity=gt6.29",
                "value-quantity=le6.3|http://unitsofmeasure.org|mmol/L",
                "value-quantity=6.3||mmol/L",
                "value-quantity=ap6.5",
                "code=http://loinc.org|2339-0",
                "code:text=glucose mass",
                "code-value-quantity=http://loinc.org|2339-0$6.3",
                "code-value-quantity=GLU$lt7,x$1",
                "subject=Patient/p1",
                "patient=p1",
                "date=2024-03-09",
                "date=ge2024-03-09T10:20",
                "performer=urn:uuid:5b1f7a04-0f2b-4e0e-9c84-2b6f5a1a9f10",
                "code-value-concept:missing=true",
            ],
        );
        passes(
            "observation",
            &[
                "value-quantity=6.31",
                "value-quantity=7",
                "value-quantity=gt6.3",
                "value-quantity=6.3|http://unitsofmeasure.org|mg/dL",
                "value-quantity=6.3||mg/dL",
                "code-value-quantity=GLU$gt7",
                "code-value-quantity=x$6.3",
                "patient=p2",
                "date=2024-03-09T10:20:30",
                "code-value-quantity:missing=true",
            ],
        );
    }

    #[test]
    fn instances_of_composites_are_not_mixed() {
        finds(
            "observation_components",
            &[
                "component-code-value-quantity=8480-6$lt140",
                "combo-code-value-quantity=8462-4$-5",
                "date=sa2023",
                "date=gt2030",
            ],
        );
        passes(
            "observation_components",
            &[
                "component-code-value-quantity=8480-6$-5",
                "combo-code-value-quantity=85354-9$-5",
                "component-code-value-quantity=8462-4$gt100",
                "date=2024-06",
                "date=lt2023",
            ],
        );
    }

    #[test]
    fn compartments() {
        let resource = golden("observation");
        let registry = Registry::standard();
        let entries = extract(&resource, &registry, "", 0);
        for (compartment, expected) in [
            (("Patient", "p1"), true),
            (("Patient", "p2"), false),
            (("Practitioner", "d1"), true),
            (("Encounter", "e1"), true),
        ] {
            let options =
                SearchOptions { compartment: Some(compartment), ..SearchOptions::default() };
            let parsed = Search::parse(&["Observation"], &[], &registry, &options).unwrap();
            assert_eq!(
                parsed.search.matches(&resource, &entries),
                Some(expected),
                "{compartment:?}"
            );
        }
    }

    #[test]
    fn the_narrative_is_read_as_text() {
        assert_eq!(
            without_tags("<div a=\"b\">x&amp;y<br/>&#233;&#x41;&bogus; z < w</div>").trim(),
            "x&y éA bogus; z"
        );
    }
}
