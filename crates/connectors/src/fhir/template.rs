//! Conditions with places in them: `identifier={Patient.identifier.first().value}`.

use std::sync::Arc;

use jiff::Timestamp;
use pipehat_resource::fhirpath::{Context, Expression, Item};
use pipehat_resource::json::Value;
use pipehat_resource::search::{query_pairs, query_text, query_value};

/// The longest condition: servers take URLs of some thousand bytes.
const CONDITION_BYTES_MAX: usize = 4 * 1024;

/// A condition to search by, with FHIRPath expressions in braces; or the word `identifier`.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// The first identifier that has a system and a value.
    Identifier,
    /// Texts and expressions in turn.
    Template(Arc<[Part]>),
}

/// A piece of a template.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// As it stands there, ready for a URL.
    Text(String),
    /// What this gives, of the resource.
    Place(Expression),
}

/// Why a condition can't be made of a resource. Names places, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConditionError {
    #[error("the resource has no identifier with a system and a value")]
    NoIdentifier,
    #[error("`{{{0}}}` gives nothing, and a condition without it would match too much")]
    Nothing(String),
    #[error("`{{{0}}}` gives several values")]
    Several(String),
    #[error("`{{{0}}}` gives no text, number or date")]
    NoText(String),
    #[error("`{{{0}}}` can't be evaluated on this resource")]
    Failed(String),
    #[error("the condition has more than {CONDITION_BYTES_MAX} bytes")]
    TooLong,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "identifier" {
            return Ok(Self::Identifier);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (before, behind) = rest.split_once('{').unwrap_or((rest, ""));
            if before.contains('}') {
                return Err("there is a `}` without `{` before it".to_owned());
            }
            if !before.is_empty() {
                parts.push(Part::Text(query_text(before)));
            }
            if before.len() == rest.len() {
                break;
            }
            let Some((expression, after)) = behind.split_once('}') else {
                return Err("there is a `{` without `}` behind it".to_owned());
            };
            let expression = Expression::parse(expression)
                .map_err(|error| format!("`{{{expression}}}` is no FHIRPath: {error}"))?;
            parts.push(Part::Place(expression));
            rest = after;
        }
        let asks = parts.first().is_some_and(
            |part| matches!(part, Part::Text(text) if text.find('=').is_some_and(|at| at > 0)),
        );
        if !asks {
            return Err("a condition is `identifier`, or a search such as \
                 `identifier={Patient.identifier.first().value}`"
                .to_owned());
        }
        Ok(Self::Template(parts.into()))
    }

    /// The condition for a resource, as the query of a URL.
    ///
    /// # Errors
    /// When a place in it gives not exactly one value.
    pub(super) fn query(&self, resource: &Value, now: Timestamp) -> Result<String, ConditionError> {
        let query = match self {
            Self::Identifier => identifier(resource)?,
            Self::Template(parts) => {
                let context = Context::new(now);
                let mut query = String::new();
                for part in parts.iter() {
                    match part {
                        Part::Text(text) => query.push_str(text),
                        Part::Place(place) => query.push_str(&value(place, resource, &context)?),
                    }
                }
                query
            }
        };
        if query.len() > CONDITION_BYTES_MAX {
            return Err(ConditionError::TooLong);
        }
        Ok(query)
    }
}

/// The names of the search parameters in a condition that can be read.
pub(super) fn names(text: &str) -> Vec<String> {
    if text == "identifier" {
        return Vec::new();
    }
    // Places give values, whatever stands in them.
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        plain.push_str(before);
        rest = behind.split_once('}').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    query_pairs(&plain).into_iter().map(|(name, _)| name).filter(|name| !name.is_empty()).collect()
}

fn identifier(resource: &Value) -> Result<String, ConditionError> {
    let complete = resource.items("identifier").iter().find_map(|identifier| {
        let (system, value) = (identifier.text("system")?, identifier.text("value")?);
        (!system.is_empty() && !value.is_empty()).then_some((system, value))
    });
    let (system, value) = complete.ok_or(ConditionError::NoIdentifier)?;
    Ok(format!("identifier={}%7C{}", query_value(system), query_value(value)))
}

fn value(
    place: &Expression,
    resource: &Value,
    context: &Context<'_>,
) -> Result<String, ConditionError> {
    let name = || place.as_str().to_owned();
    let items = place.evaluate(resource, context).map_err(|_| ConditionError::Failed(name()))?;
    let item = match items.as_slice() {
        [] => return Err(ConditionError::Nothing(name())),
        [item] => item,
        _ => return Err(ConditionError::Several(name())),
    };
    match text(item) {
        Some(text) if text.is_empty() => Err(ConditionError::Nothing(name())),
        Some(text) => Ok(query_value(&text)),
        None => Err(ConditionError::NoText(name())),
    }
}

/// A primitive's text, as a search has it.
fn text(item: &Item<'_>) -> Option<String> {
    if let Some(text) = item.as_str() {
        return Some(text.to_owned());
    }
    if let Some(value) = item.as_bool() {
        return Some(value.to_string());
    }
    match item {
        Item::Integer(number) => Some(number.to_string()),
        Item::Element(_) => {
            item.json().and_then(Value::as_number).map(|number| number.as_str().to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use pipehat_resource::json::parse;

    use super::*;

    const PATIENT: &str = r#"{"resourceType":"Patient","active":true,"identifier":[
        {"value":"x"},{"system":"urn:a","value":"1,2|3 ä&b"},{"system":"urn:b","value":"4"}],
        "name":[{"family":"A"},{"family":"B"}],"multipleBirthInteger":2}"#;

    fn query(condition: &str) -> Result<String, ConditionError> {
        let patient = parse(PATIENT.as_bytes()).expect("JSON");
        let condition = Condition::parse(condition).expect("a condition");
        condition.query(&patient, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn places_are_filled_and_query_value() {
        let check = |condition: &str, expected: &str| {
            assert_eq!(query(condition).as_deref(), Ok(expected), "{condition}");
        };
        check("identifier", "identifier=urn%3Aa%7C1%5C%2C2%5C%7C3%20%C3%A4%26b");
        check(
            "identifier={Patient.identifier[2].system}|{identifier[2].value}&active=true",
            "identifier=urn%3Ab%7C4&active=true",
        );
        check("active={Patient.active}&x={multipleBirth}", "active=true&x=2");
    }

    #[test]
    fn what_would_match_too_much_is_refused() {
        let nothing = |place: &str| Err(ConditionError::Nothing(place.to_owned()));
        assert_eq!(query("identifier={Patient.birthDate}"), nothing("Patient.birthDate"));
        let several = ConditionError::Several("Patient.name.family".to_owned());
        assert_eq!(query("family={Patient.name.family}"), Err(several));
        let no_text = ConditionError::NoText("Patient.name[0]".to_owned());
        assert_eq!(query("name={Patient.name[0]}"), Err(no_text));
        let nobody = parse(br#"{"resourceType":"Patient"}"#).expect("JSON");
        let condition = Condition::parse("identifier").expect("a condition");
        let query = condition.query(&nobody, Timestamp::UNIX_EPOCH);
        assert_eq!(query, Err(ConditionError::NoIdentifier));
    }

    #[test]
    fn mistakes_are_explained() {
        let check = |text: &str, expected: &str| {
            let error = Condition::parse(text).expect_err("a mistake");
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("identifer", "a condition is");
        check("{Patient.id}", "a condition is");
        check("", "a condition is");
        check("identifier={Patient.id", "without `}`");
        check("identifier=a}", "without `{`");
        check("identifier={Patient..id}", "no FHIRPath");
    }
}
