//! A valid resource with one thing changed: the change is found, where it was made.

use crate::definitions::{BindingStrength, Member, TypeDefinition, TypeKind};
use crate::json::{Object, Value};
use crate::validate::{Checks, validate};

use super::{lines, valid};

/// A change to one member of an object: its new value, or `None` where it can't be made there.
struct Change {
    name: &'static str,
    make: fn(Member, &Value) -> Option<Value>,
}

const CHANGES: &[Change] = &[
    Change { name: "null", make: |_, _| Some(Value::Null) },
    Change { name: "empty string", make: |_, _| Some("".into()) },
    Change { name: "empty array", make: |_, _| Some(Value::Array(Vec::new())) },
    Change { name: "empty object", make: |_, _| Some(Object::new().into()) },
    Change {
        name: "another JSON type",
        make: |member, value| {
            let other = if matches!(value, Value::Number(_)) { true.into() } else { 12.into() };
            Some(if member.element.is_list() { Value::Array(vec![other]) } else { other })
        },
    },
    Change {
        name: "array where there is one",
        make: |member, value| {
            (!member.element.is_list()).then(|| Value::Array(vec![value.clone()]))
        },
    },
    Change {
        name: "one where there is an array",
        make: |_, value| value.as_array()?.first().cloned(),
    },
    Change {
        name: "code of another value set",
        make: |member, value| {
            let bound = member.element.binding()?.strength == BindingStrength::Required;
            (bound && value.as_str().is_some()).then(|| "no-such-code".into())
        },
    },
    Change {
        name: "reference to another type",
        make: |member, _| {
            let targets = member.element_type.targets();
            let fits = member.element_type.code() == "Reference" && !targets.is_empty();
            let reference: Object = [("reference", Value::from("Linkage/1"))].into_iter().collect();
            let reference = Value::Object(reference);
            let list = member.element.is_list();
            fits.then(|| if list { Value::Array(vec![reference]) } else { reference })
        },
    },
];

#[test]
fn every_change_is_found_where_it_was_made() {
    let mut count = 0;
    for resource in valid() {
        for place in places(&resource) {
            for change in CHANGES {
                let mut changed = resource.clone();
                let owner = object_at(&mut changed, &place.steps);
                let Some(value) = owner.get(&place.member).cloned() else { continue };
                let definition = TypeDefinition::named(place.owner).expect("it is one");
                let member = definition.member(&place.member).expect("it is valid");
                let Some(value) = (change.make)(member, &value) else { continue };
                owner.set(&place.member, value);
                let expected = format!("{}.{}", place.expression, member.element.name());
                check(&changed, change.name, &expected);
                count += 1;
            }
        }
    }
    assert!(count > 5000, "{count}");
}

#[test]
fn every_element_that_must_be_there_is_missed() {
    let mut count = 0;
    for resource in valid() {
        for place in places(&resource) {
            let definition = TypeDefinition::named(place.owner).expect("it is one");
            let member = definition.member(&place.member).expect("it is valid");
            if member.element.min() > 0 {
                let mut changed = resource.clone();
                let owner = object_at(&mut changed, &place.steps);
                owner.remove(&place.member);
                let expected = if owner.is_empty() {
                    place.expression.clone()
                } else {
                    format!("{}.{}", place.expression, member.element.name())
                };
                check(&changed, "missing", &expected);
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn unknown_members_are_found_everywhere() {
    for resource in valid() {
        for place in places(&resource) {
            let mut changed = resource.clone();
            object_at(&mut changed, &place.steps).set("unheardOf", "x".into());
            check(&changed, "unknown member", &format!("{}.unheardOf", place.expression));
        }
    }
}

#[track_caller]
fn check(changed: &Value, change: &str, expected: &str) {
    let issues = validate(changed, Checks::Structure);
    let found = issues.iter().any(|issue| {
        issue.is_error()
            && issue.expression.as_deref().is_some_and(|own| {
                // Of an array, the item, of a reference its text.
                own == expected
                    || own.strip_prefix(expected).is_some_and(|rest| rest.starts_with(['[', '.']))
            })
    });
    assert!(found, "{change} at {expected}, found:\n{}", lines(&issues));
}

/// A member of an object in a resource.
struct Place {
    /// Members and items that lead to the object.
    steps: Vec<Result<String, usize>>,
    /// The same as FHIRPath.
    expression: String,
    owner: &'static str,
    member: String,
}

fn places(resource: &Value) -> Vec<Place> {
    let name = resource.resource_type().expect("it has one");
    let definition = TypeDefinition::named(name).expect("it is known");
    let mut found = Vec::new();
    walk(resource, definition, Vec::new(), name.to_owned(), &mut found);
    found
}

fn walk(
    value: &Value,
    definition: &'static TypeDefinition,
    steps: Vec<Result<String, usize>>,
    expression: String,
    found: &mut Vec<Place>,
) {
    let definition = value.resource_type().and_then(TypeDefinition::named).unwrap_or(definition);
    let Some(object) = value.as_object() else { return };
    for (name, value) in
        object.iter().filter(|(name, _)| *name != "resourceType" && !name.starts_with('_'))
    {
        found.push(Place {
            steps: steps.clone(),
            expression: expression.clone(),
            owner: definition.name(),
            member: name.to_owned(),
        });
        let member = definition.member(name).expect("it is valid");
        if member.element_type.definition().kind() == TypeKind::Primitive {
            continue;
        }
        let mut inner = steps.clone();
        inner.push(Ok(name.to_owned()));
        let expression = format!("{expression}.{}", member.element.name());
        match value {
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    let mut inner = inner.clone();
                    inner.push(Err(at));
                    walk(
                        item,
                        member.element_type.definition(),
                        inner,
                        format!("{expression}[{at}]"),
                        found,
                    );
                }
            }
            value => walk(value, member.element_type.definition(), inner, expression, found),
        }
    }
}

fn object_at<'v>(resource: &'v mut Value, steps: &[Result<String, usize>]) -> &'v mut Object {
    let mut value = resource;
    for step in steps {
        value = match step {
            Ok(name) => value.as_object_mut().and_then(|own| own.get_mut(name)),
            Err(at) => value.as_array_mut().and_then(|own| own.get_mut(*at)),
        }
        .expect("it is there");
    }
    value.as_object_mut().expect("it is an object")
}
