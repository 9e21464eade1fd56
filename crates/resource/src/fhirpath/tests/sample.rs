//! A resource with something in every element, made from the definitions: for expressions to find.

use crate::definitions::{TypeDefinition, TypeKind};
use crate::json::{Number, Object, Value};

const DEPTH_MAX: usize = 4;

/// A resource of a type; of a choice, the type with this number.
pub(super) fn resource(type_name: &str, choice: usize) -> Value {
    let definition = TypeDefinition::named(type_name).expect(type_name);
    let Value::Object(mut object) = value(definition, choice, 0) else {
        panic!("{type_name} is no resource")
    };
    object.insert(0, "resourceType", type_name.into());
    object.into()
}

fn value(definition: &'static TypeDefinition, choice: usize, depth: usize) -> Value {
    if definition.kind() == TypeKind::Primitive {
        return primitive(definition.name(), choice);
    }
    if definition.name() == "Resource" {
        return [("resourceType", "Basic".into()), ("id", "basic".into())]
            .into_iter()
            .collect::<Object>()
            .into();
    }
    let mut object = Object::new();
    for element in definition.elements() {
        let is_too_deep = depth >= DEPTH_MAX && element.min() == 0;
        if is_too_deep || ["extension", "modifierExtension"].contains(&element.name()) {
            continue;
        }
        let types = element.types();
        let Some(own) = types.get(choice % types.len().max(1)) else { continue };
        let one = match (definition.name(), element.name()) {
            ("Reference", "reference") => reference(choice),
            // A group of elements that repeats itself ends somewhere.
            _ if depth > DEPTH_MAX + 2 => continue,
            _ => value(own.definition(), choice, depth + 1),
        };
        let one = if element.is_list() { Value::Array(vec![one]) } else { one };
        object.set(own.member(), one);
    }
    object.into()
}

fn reference(choice: usize) -> Value {
    const TYPES: [&str; 10] = [
        "Patient",
        "Practitioner",
        "Group",
        "Encounter",
        "Medication",
        "Condition",
        "Procedure",
        "Organization",
        "Location",
        "RelatedPerson",
    ];
    format!("{}/1", TYPES[choice % TYPES.len()]).into()
}

fn primitive(name: &str, choice: usize) -> Value {
    let text = match name {
        "boolean" => return true.into(),
        "integer" | "positiveInt" | "unsignedInt" => return 1.into(),
        "decimal" => return Value::Number(Number::new("1.50").expect("a number")),
        "date" => "2024-01-02",
        "dateTime" | "instant" => "2024-01-02T03:04:05Z",
        "time" => "03:04:05",
        "uri" | "url" | "canonical" => "https://example.org/fhir/ValueSet/1",
        "code" => [
            "phone",
            "email",
            "derived-from",
            "depends-on",
            "composed-of",
            "predecessor",
            "successor",
        ][choice % 7],
        "base64Binary" => "AAAA",
        "xhtml" => "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>",
        _ => "text",
    };
    text.into()
}
