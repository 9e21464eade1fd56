//! Which part of a resource is shown, and how: `_summary`, `_elements`, `_pretty` (FHIR R4 §3.1.1.5.8, §3.1.1.5.9).

use std::borrow::Cow;

use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::json::{Object, Value, parse};
use pipehat_resource::outcome::IssueCode;
use pipehat_resource::search::Summary;

use super::problem::Problem;
use super::query_string::Query;

/// The code that marks a resource of which a part is missing.
const SUBSETTED: &str = "SUBSETTED";

/// Its code system.
const SUBSETTED_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";

/// The most names in `_elements`.
const ELEMENTS_MAX: usize = 100;

/// Members that no resource is shown without.
const ALWAYS: [&str; 3] = ["resourceType", "id", "meta"];

/// How an answer is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shape {
    /// `_pretty`.
    pub(crate) pretty: bool,
    /// `_summary`.
    pub(crate) summary: Summary,
    /// `_elements`.
    pub(crate) elements: Vec<String>,
}

impl Shape {
    /// Reads `_pretty`, `_summary` and `_elements`.
    pub(crate) fn of(query: &Query) -> Result<Self, Problem> {
        let pretty = match query.first("_pretty") {
            None | Some("false" | "") => false,
            Some("true") => true,
            Some(_) => {
                return Err(Problem::bad_request(IssueCode::Value, "_pretty is true or false")
                    .at_location("_pretty"));
            }
        };
        let summary = match query.first("_summary") {
            None | Some("false" | "") => Summary::False,
            Some("true") => Summary::True,
            Some("text") => Summary::Text,
            Some("data") => Summary::Data,
            Some("count") => Summary::Count,
            Some(_) => {
                return Err(Problem::bad_request(
                    IssueCode::Value,
                    "_summary is true, text, data, count or false",
                )
                .at_location("_summary"));
            }
        };
        let mut elements = Vec::new();
        let lists = query.pairs().iter().filter(|(name, _)| name == "_elements");
        for name in lists.flat_map(|(_, list)| list.split(',')).map(str::trim) {
            if name.is_empty() {
                continue;
            }
            if elements.len() == ELEMENTS_MAX {
                return Err(Problem::bad_request(
                    IssueCode::TooLong,
                    format!("_elements takes at most {ELEMENTS_MAX} names"),
                )
                .at_location("_elements"));
            }
            elements.push(name.to_owned());
        }
        Ok(Self { pretty, summary, elements })
    }

    /// Whether a resource is shown as it stands.
    pub(crate) fn is_whole(&self) -> bool {
        self.elements.is_empty() && matches!(self.summary, Summary::False | Summary::Count)
    }

    /// What is shown of a resource's JSON.
    pub(crate) fn shown<'b>(&self, body: &'b str) -> Cow<'b, str> {
        if self.is_whole() {
            return Cow::Borrowed(body);
        }
        match parse(body.as_bytes()) {
            Ok(resource) => Cow::Owned(self.part(resource).to_json()),
            Err(_) => Cow::Borrowed(body),
        }
    }

    /// The part of a resource that is shown, marked as one.
    fn part(&self, resource: Value) -> Value {
        let Value::Object(mut object) = resource else { return resource };
        let name = object.get("resourceType").and_then(Value::as_str).unwrap_or_default();
        let Some(definition) = TypeDefinition::named(name) else { return object.into() };
        object.retain(|member, _| self.shows(definition, member));
        if self.elements.is_empty() && self.summary == Summary::True {
            summarize(definition, &mut object);
        }
        // Marked also where nothing was left away: who reads it can't know.
        mark(&mut object);
        object.into()
    }

    fn shows(&self, definition: &'static TypeDefinition, member: &str) -> bool {
        if ALWAYS.contains(&member) {
            return true;
        }
        let plain = member.strip_prefix('_').unwrap_or(member);
        let element = definition.element(plain).map(|(element, _)| element);
        let mandatory = element.is_some_and(|element| element.min() > 0);
        let modifier = element.is_some_and(|element| element.is_modifier());
        if !self.elements.is_empty() {
            let choice = element.filter(|element| element.is_choice());
            let choice = choice.map(|element| element.name().trim_end_matches("[x]"));
            return mandatory
                || modifier
                || self.elements.iter().any(|name| {
                    let name = match name.split_once('.') {
                        Some((first, rest)) if first == definition.name() => rest,
                        _ => name.as_str(),
                    };
                    let top = name.split('.').next().unwrap_or(name);
                    top == plain
                        || choice == Some(top)
                        || choice == top.strip_suffix("[x]") && choice.is_some()
                });
        }
        match self.summary {
            Summary::True => {
                mandatory
                    || element.is_some_and(|element| element.is_summary() || element.is_modifier())
            }
            Summary::Text => mandatory || plain == "text",
            Summary::Data => plain != "text",
            Summary::Count | Summary::False => true,
        }
    }
}

/// Takes out of backbone elements what is no part of a summary. Data types stay whole: an identifier without its
/// assigner is another one.
fn summarize(definition: &'static TypeDefinition, object: &mut Object) {
    for (member, value) in object.iter_mut() {
        let Some((_, type_name)) = definition.element(member) else { continue };
        let backbone = Some(type_name).filter(|name| name.contains('.'));
        let Some(backbone) = backbone.and_then(TypeDefinition::named) else { continue };
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| summarize_one(backbone, item)),
            other => summarize_one(backbone, other),
        }
    }
}

fn summarize_one(backbone: &'static TypeDefinition, value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    object.retain(|member, _| {
        let plain = member.strip_prefix('_').unwrap_or(member);
        let element = backbone.element(plain).map(|(element, _)| element);
        plain == "id"
            || element.is_some_and(|element| {
                element.is_summary() || element.min() > 0 || element.is_modifier()
            })
    });
    summarize(backbone, object);
}

/// Adds the tag SUBSETTED.
fn mark(object: &mut Object) {
    if object.get("meta").and_then(Value::as_object).is_none() {
        let behind = object.iter().position(|(name, _)| name == "id").map_or(1, |at| at + 1);
        object.insert(behind, "meta", Object::new().into());
    }
    let Some(meta) = object.get_mut("meta").and_then(Value::as_object_mut) else { return };
    let tag: Object =
        [("system", SUBSETTED_SYSTEM.into()), ("code", SUBSETTED.into())].into_iter().collect();
    match meta.get_mut("tag").and_then(Value::as_array_mut) {
        Some(tags) => tags.push(tag.into()),
        None => {
            meta.set("tag", Value::Array(vec![tag.into()]));
        }
    }
}

/// Whether a resource is marked as a part of one: it must not take the place of the whole.
pub(crate) fn is_subsetted(resource: &Value) -> bool {
    let tags = resource.get("meta").map(|meta| meta.items("tag")).unwrap_or_default();
    tags.iter().any(|tag| {
        tag.text("code") == Some(SUBSETTED) && tag.text("system") == Some(SUBSETTED_SYSTEM)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1"},
        "text":{"status":"generated","div":"<div/>"},"active":true,"_active":{"id":"x"},
        "name":[{"family":"Chalmers"}],"deceasedBoolean":false,"maritalStatus":{"text":"m"},
        "link":[{"id":"l","other":{"reference":"Patient/b"},"type":"seealso","extension":[]}],
        "communication":[{"preferred":true}]}"#;

    fn members(query: &str, text: &str) -> String {
        let shape = Shape::of(&Query::parse(query).expect("a query")).expect("a shape");
        let shown = parse(shape.shown(text).as_bytes()).expect("JSON");
        if !shape.is_whole() {
            assert!(is_subsetted(&shown), "{query}");
        }
        let names = shown.as_object().expect("an object").iter().map(|(name, _)| name.to_owned());
        names.filter(|name| !ALWAYS.contains(&name.as_str())).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn parts_of_a_patient() {
        let check = |query, expected| assert_eq!(members(query, PATIENT), expected, "{query}");
        check("_summary=true", "active _active name deceasedBoolean link");
        check("_summary=text", "text");
        check(
            "_summary=data",
            "active _active name deceasedBoolean maritalStatus link communication",
        );
        check("_elements=name", "active _active name deceasedBoolean link");
        check("_elements=maritalStatus", "active _active deceasedBoolean maritalStatus link");
        check("_elements=Patient.deceased", "active _active deceasedBoolean link");
        check(
            "_summary=false",
            "text active _active name deceasedBoolean maritalStatus link communication",
        );
    }

    #[test]
    fn mandatory_elements_stay() {
        let observation = r#"{"resourceType":"Observation","status":"final","code":{"text":"c"},
            "valueString":"x","note":[{"text":"n"}]}"#;
        assert_eq!(members("_summary=text", observation), "status code");
        assert_eq!(members("_elements=value", observation), "status code valueString");
        assert_eq!(members("_elements=value[x]", observation), "status code valueString");
        assert_eq!(members("_summary=true", observation), "status code valueString");
    }

    #[test]
    fn backbone_elements_lose_what_is_no_summary() {
        let shape = Shape { summary: Summary::True, ..Shape::default() };
        let shown = parse(shape.shown(PATIENT).as_bytes()).expect("JSON");
        assert_eq!(
            shown.items("link")[0].to_json(),
            r#"{"id":"l","other":{"reference":"Patient/b"},"type":"seealso"}"#
        );
    }

    #[test]
    fn a_whole_resource_is_not_touched() {
        let odd = "{ \"resourceType\" : \"Patient\" }";
        assert!(matches!(Shape::default().shown(odd), Cow::Borrowed(text) if text == odd));
    }

    #[test]
    fn mistakes_are_refused() {
        for query in ["_pretty=yes", "_summary=all"] {
            assert!(Shape::of(&Query::parse(query).expect("a query")).is_err(), "{query}");
        }
    }
}
