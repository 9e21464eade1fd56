//! A resource of every type, made from its definition: every element, each type of every choice.

use crate::definitions::{
    BindingStrength, Element, ElementType, Primitive, TypeDefinition, ValueSet, resource_types,
};
use crate::json::{Number, Object, Value};
use crate::outcome::IssueCode;
use crate::validate::{Checks, validate};

use super::lines;

/// How deep elements are filled in; below, only those that must be there are.
const FILLED_DEPTH: usize = 4;

#[test]
fn a_resource_of_every_type_is_valid() {
    for definition in resource_types() {
        for turn in 0..3 {
            let resource = filled(definition, turn, 0);
            let issues = validate(&resource, Checks::Structure);
            assert!(issues.is_empty(), "{}:\n{}", definition.name(), lines(&issues));
            assert!(resource.to_json().len() > 100);
        }
    }
}

/// A value of a type. `turn` chooses among choices.
pub(crate) fn filled(definition: &'static TypeDefinition, turn: usize, depth: usize) -> Value {
    let mut object = Object::new();
    if definition.is_a("Resource") {
        object.set("resourceType", definition.name().into());
    }
    for element in definition.elements() {
        let is_wanted = element.min() > 0
            || (depth < FILLED_DEPTH
                && !matches!(element.name(), "contained" | "extension" | "modifierExtension"));
        // A resource in a resource, and an element in itself, would not end.
        if !is_wanted || element.min() == 0 && depth > 0 && element.is_content_reference() {
            continue;
        }
        let own = &element.types()[turn % element.types().len()];
        let value = value_of(element, own, turn, depth);
        let value = if element.is_list() { Value::Array(vec![value]) } else { value };
        object.set(own.member(), value);
    }
    match definition.name() {
        "Extension" if object.get("valueBoolean").is_none() => {
            object.retain(|name, _| !name.starts_with("value"));
            object.set("valueBoolean", true.into());
        }
        "Reference" => object.retain(|name, _| name != "type"),
        _ => {}
    }
    object.into()
}

fn value_of(element: &Element, own: &ElementType, turn: usize, depth: usize) -> Value {
    let definition = own.definition();
    let bound = element.binding().filter(|own| own.strength == BindingStrength::Required);
    if let Some(primitive) = definition.primitive() {
        if let Some(set) = bound.and_then(|own| ValueSet::named(own.value_set)) {
            let codes: Vec<_> = set.codes().collect();
            return codes[turn % codes.len()].1.into();
        }
        if let Some(bound) = bound {
            return if bound.value_set.ends_with("currencies") { "EUR" } else { "text/plain" }
                .into();
        }
        return sample(primitive);
    }
    match definition.name() {
        "Resource" => {
            let patient = TypeDefinition::named("Patient").expect("it is one");
            let mut object = Object::new();
            object.set("resourceType", patient.name().into());
            object.set("active", true.into());
            object.into()
        }
        "Reference" => {
            let target = own.targets().first().unwrap_or(&"Patient");
            Value::Object([("reference", Value::from(format!("{target}/1")))].into_iter().collect())
        }
        "CodeableConcept" | "Coding" => {
            let (system, code) = bound
                .and_then(|own| ValueSet::named(own.value_set))
                .and_then(|set| set.codes().nth(turn).or(set.codes().next()))
                .unwrap_or(("http://example.org", "x"));
            let coding: Object =
                [("system", Value::from(system)), ("code", code.into())].into_iter().collect();
            if definition.name() == "Coding" {
                return coding.into();
            }
            Value::Object([("coding", Value::Array(vec![coding.into()]))].into_iter().collect())
        }
        _ => {
            let mut value = filled(definition, turn, depth + 1);
            if let Some(object) = value.as_object_mut() {
                if element.is_simple_quantity() {
                    object.remove("comparator");
                }
                if object.is_empty() {
                    object.set("id", "x".into());
                }
            }
            value
        }
    }
}

fn sample(primitive: Primitive) -> Value {
    let text = match primitive {
        Primitive::Boolean => return true.into(),
        Primitive::Integer | Primitive::UnsignedInt | Primitive::PositiveInt => return 1.into(),
        Primitive::Decimal => return Value::Number(Number::new("1.50").expect("it is a number")),
        Primitive::Base64Binary => "QUJD",
        Primitive::Date => "2024-05-17",
        Primitive::DateTime => "2024-05",
        Primitive::Instant => "2024-05-17T08:30:00Z",
        Primitive::Time => "08:30:00",
        Primitive::Oid => "urn:oid:1.2.3",
        Primitive::Uuid => "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        Primitive::Uri | Primitive::Url | Primitive::Canonical => "http://example.org/x",
        Primitive::Xhtml => "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>",
        Primitive::Code | Primitive::Id | Primitive::Markdown | Primitive::String => "x",
    };
    text.into()
}

#[test]
fn every_rule_can_be_decided() {
    for definition in resource_types() {
        for (turn, depth) in [(0, 0), (1, 0), (2, FILLED_DEPTH), (3, FILLED_DEPTH)] {
            for issue in validate(&filled(definition, turn, depth), Checks::All) {
                assert_ne!(
                    issue.code,
                    IssueCode::Incomplete,
                    "{}: {}",
                    definition.name(),
                    issue.text
                );
            }
        }
    }
}
