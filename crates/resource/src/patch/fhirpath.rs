//! FHIRPath Patch (R4 §3.1.0.6.2): operations in a Parameters resource, places by FHIRPath.

use jiff::Timestamp;

use super::apply::Work;
use super::element::{New, add, delete, insert, move_item, new_value, replace};
use super::error::{PatchError, PatchProblem};
use super::operation::OPERATIONS_MAX;
use super::place::Place;
use crate::fhirpath::{Context, Expression, Item, Limits, STEPS_MAX};
use crate::json::Value;

/// A FHIRPath Patch.
#[derive(Debug, Clone)]
pub struct FhirPathPatch {
    operations: Vec<Operation>,
}

#[derive(Debug, Clone)]
struct Operation {
    path: Expression,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Add { name: String, value: Value },
    Insert { index: usize, value: Value },
    Delete,
    Replace { value: Value },
    Move { source: usize, destination: usize },
}

impl FhirPathPatch {
    /// Reads the operations of a Parameters resource.
    ///
    /// # Errors
    /// What is no such patch, and which operation is none.
    pub fn read(parameters: &Value) -> Result<Self, PatchError> {
        if parameters.resource_type() != Some("Parameters") {
            return Err(PatchProblem::NotParameters.into());
        }
        let operations = parameters.items("parameter");
        if operations.len() > OPERATIONS_MAX {
            return Err(PatchProblem::TooManyOperations.into());
        }
        let operations = operations.iter().enumerate().map(|(position, operation)| {
            read(operation).map_err(|problem| PatchError { operation: Some(position + 1), problem })
        });
        Ok(Self { operations: operations.collect::<Result<_, _>>()? })
    }

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Applies all operations in order. After an error the resource is as it was. A path may ask for the time.
    ///
    /// # Errors
    /// The first operation that cannot be done.
    pub fn apply(&self, resource: &mut Value, now: Timestamp) -> Result<(), PatchError> {
        let mut changed = resource.clone();
        let mut work = Work::new();
        let steps_max = STEPS_MAX / self.operations.len().max(1) as u64;
        let limits = Limits { steps_max, ..Limits::default() };
        for (position, operation) in self.operations.iter().enumerate() {
            operation
                .apply(&mut changed, now, limits, &mut work)
                .map_err(|problem| PatchError { operation: Some(position + 1), problem })?;
        }
        *resource = changed;
        Ok(())
    }
}

fn part<'v>(operation: &'v Value, name: &str) -> Option<&'v Value> {
    operation.items("part").iter().find(|part| part.text("name") == Some(name))
}

fn read(operation: &Value) -> Result<Operation, PatchProblem> {
    if operation.text("name") != Some("operation") {
        return Err(PatchProblem::NotAnOperation);
    }
    let text = |name: &'static str, members: [&str; 2]| {
        let part = part(operation, name).ok_or(PatchProblem::Missing(name))?;
        members.iter().find_map(|member| part.text(member)).ok_or(PatchProblem::NotAString(name))
    };
    let position = |name: &'static str| {
        let part = part(operation, name).ok_or(PatchProblem::Missing(name))?;
        let number = part.get("valueInteger").and_then(Value::as_number);
        let position = number.and_then(|number| usize::try_from(number.as_i64()?).ok());
        position.ok_or(PatchProblem::NotAPosition(name))
    };
    let value = || part(operation, "value").cloned().ok_or(PatchProblem::Missing("value"));
    let kind = match text("type", ["valueCode", "valueString"])? {
        "add" => Kind::Add {
            name: text("name", ["valueString", "valueCode"])?.to_owned(),
            value: value()?,
        },
        "insert" => Kind::Insert { index: position("index")?, value: value()? },
        "delete" => Kind::Delete,
        "replace" => Kind::Replace { value: value()? },
        "move" => Kind::Move { source: position("source")?, destination: position("destination")? },
        _ => return Err(PatchProblem::UnknownType),
    };
    let path = Expression::parse(text("path", ["valueString", "valueCode"])?)?;
    Ok(Operation { path, kind })
}

impl Operation {
    fn apply(
        &self,
        root: &mut Value,
        now: Timestamp,
        limits: Limits,
        work: &mut Work,
    ) -> Result<(), PatchProblem> {
        let context = Context::new(now).with_limits(limits);
        let items = self.path.evaluate(root, &context)?;
        match &self.kind {
            Kind::Add { name, value } => {
                let place = Place::of_object(root, one(&items)?, work)?;
                let owner = place.type_().ok_or(PatchProblem::UnknownOwner)?;
                work.place(value, place.depth())?;
                let object = place.object_mut(root)?;
                add(object, owner, name, value)
            }
            Kind::Replace { value } => {
                let place = Place::of(root, one(&items)?, work)?;
                let new = new_at(value, &place, work)?;
                replace(place.object_mut(root)?, &place, new)
            }
            Kind::Delete => match items.as_slice() {
                [] => Ok(()),
                items => {
                    let place = Place::of(root, one(items)?, work)?;
                    delete(place.object_mut(root)?, &place);
                    Ok(())
                }
            },
            Kind::Insert { index, value } => {
                let place = list(root, &items, work)?;
                let new = new_at(value, &place, work)?;
                insert(place.object_mut(root)?, &place, *index, new)
            }
            Kind::Move { source, destination } => {
                let place = list(root, &items, work)?;
                move_item(place.object_mut(root)?, &place, *source, *destination)
            }
        }
    }
}

/// What an operation puts in a place.
fn new_at(value: &Value, place: &Place, work: &mut Work) -> Result<New, PatchProblem> {
    work.place(value, place.depth())?;
    new_value(value, place.member_type())
}

fn one<'s, 'a>(items: &'s [Item<'a>]) -> Result<&'s Item<'a>, PatchProblem> {
    match items {
        [item] => Ok(item),
        items => Err(PatchProblem::NotOne(items.len())),
    }
}

/// The list that all items are in: a path that leads to some of its items is none.
fn list(root: &Value, items: &[Item<'_>], work: &mut Work) -> Result<Place, PatchProblem> {
    let first = items.first().ok_or(PatchProblem::NotOne(0))?;
    let place = Place::of(root, first, work)?;
    if place.item() != Some(0) || place.list_length(root) != items.len() {
        return Err(PatchProblem::NotAList);
    }
    for (position, item) in items.iter().enumerate().skip(1) {
        if !place.is_item(root, item, position) {
            return Err(PatchProblem::NotAList);
        }
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn read_json(text: &str) -> Value {
        json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// An operation by its type, its path, and its other parts: a name and JSON members.
    type Written<'t> = (&'t str, &'t str, &'t [(&'t str, &'t str)]);

    fn patch(operations: &[Written<'_>]) -> Value {
        let operations = operations.iter().map(|(kind, path, parts)| {
            let mut all = format!(
                r#"{{"name":"type","valueCode":"{kind}"}},{{"name":"path","valueString":"{path}"}}"#
            );
            for (name, members) in *parts {
                all.push_str(&format!(r#",{{"name":"{name}",{members}}}"#));
            }
            format!(r#"{{"name":"operation","part":[{all}]}}"#)
        });
        let operations = operations.collect::<Vec<_>>().join(",");
        read_json(&format!(r#"{{"resourceType":"Parameters","parameter":[{operations}]}}"#))
    }

    fn patched(members: &str, operations: &[Written<'_>]) -> Result<String, String> {
        let mut resource = read_json(&format!(r#"{{"resourceType":"Patient",{members}}}"#));
        let before = resource.clone();
        let applied = FhirPathPatch::read(&patch(operations))
            .and_then(|patch| patch.apply(&mut resource, Timestamp::UNIX_EPOCH));
        if applied.is_err() {
            assert_eq!(resource, before, "a patch that fails changes nothing");
        }
        let text = resource.to_json();
        let members = text.strip_prefix(r#"{"resourceType":"Patient","#).unwrap_or("}");
        applied
            .map(|()| members.strip_suffix('}').unwrap_or(members).to_owned())
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(before: &str, operation: Written<'_>, after: &str) {
        assert_eq!(patched(before, &[operation]).as_deref(), Ok(after), "{operation:?}");
    }

    #[track_caller]
    fn refuse(before: &str, operation: Written<'_>, expected: &str) {
        let expected = format!("operation 1: {expected}");
        assert_eq!(patched(before, &[operation]), Err(expected), "{operation:?}");
    }

    #[test]
    fn elements_are_added() {
        let add = |name: &'static str| ("name", name);
        check(
            r#""id":"a""#,
            (
                "add",
                "Patient",
                &[add(r#""valueString":"birthDate""#), ("value", r#""valueDate":"1930-01-01""#)],
            ),
            r#""id":"a","birthDate":"1930-01-01""#,
        );
        check(
            r#""name":[{"family":"A"}]"#,
            (
                "add",
                "Patient",
                &[add(r#""valueString":"name""#), ("value", r#""valueHumanName":{"family":"B"}"#)],
            ),
            r#""name":[{"family":"A"},{"family":"B"}]"#,
        );
        check(
            r#""name":[{"family":"A"}]"#,
            (
                "add",
                "Patient.name[0]",
                &[add(r#""valueString":"given""#), ("value", r#""valueString":"G""#)],
            ),
            r#""name":[{"family":"A","given":["G"]}]"#,
        );
        check(
            r#""id":"a""#,
            (
                "add",
                "Patient",
                &[add(r#""valueString":"deceased""#), ("value", r#""valueBoolean":true"#)],
            ),
            r#""id":"a","deceasedBoolean":true"#,
        );
        check(
            r#""id":"a""#,
            (
                "add",
                "Patient",
                &[
                    add(r#""valueString":"contact""#),
                    (
                        "value",
                        r#""part":[{"name":"name","valueHumanName":{"text":"a name"}},{"name":"gender","valueCode":"male"}]"#,
                    ),
                ],
            ),
            r#""id":"a","contact":[{"name":{"text":"a name"},"gender":"male"}]"#,
        );
        refuse(
            r#""birthDate":"1930""#,
            (
                "add",
                "Patient",
                &[add(r#""valueString":"birthDate""#), ("value", r#""valueDate":"1931""#)],
            ),
            "`birthDate` is there already and does not repeat",
        );
        refuse(
            r#""deceasedDateTime":"1930""#,
            (
                "add",
                "Patient",
                &[add(r#""valueString":"deceased""#), ("value", r#""valueBoolean":true"#)],
            ),
            "`deceased` is there already and does not repeat",
        );
        refuse(
            r#""id":"a""#,
            (
                "add",
                "Patient",
                &[add(r#""valueString":"foo""#), ("value", r#""valueDate":"1931""#)],
            ),
            "the definitions have no element `foo` there that takes such a value",
        );
        refuse(
            r#""id":"a""#,
            (
                "add",
                "Patient.name",
                &[add(r#""valueString":"given""#), ("value", r#""valueString":"x""#)],
            ),
            "the path leads to 0 elements, expected one",
        );
    }

    #[test]
    fn elements_are_replaced_and_deleted() {
        check(
            r#""birthDate":"1920","_birthDate":{"id":"x"},"active":true"#,
            ("replace", "Patient.birthDate", &[("value", r#""valueDate":"1930""#)]),
            r#""birthDate":"1930","active":true"#,
        );
        check(
            r#""deceasedBoolean":true,"active":true"#,
            ("replace", "Patient.deceased", &[("value", r#""valueDateTime":"2020""#)]),
            r#""deceasedDateTime":"2020","active":true"#,
        );
        check(
            r#""contact":[{"name":{"text":"a"}},{"name":{"text":"b"}}]"#,
            (
                "replace",
                "Patient.contact.name.where(text = 'b').text",
                &[("value", r#""valueString":"c""#)],
            ),
            r#""contact":[{"name":{"text":"a"}},{"name":{"text":"c"}}]"#,
        );
        check(
            r#""identifier":[{"value":"1"},{"value":"2"}]"#,
            ("delete", "Patient.identifier.where(value = '1')", &[]),
            r#""identifier":[{"value":"2"}]"#,
        );
        check(
            r#""identifier":[{"value":"1"}],"active":true"#,
            ("delete", "Patient.identifier", &[]),
            r#""active":true"#,
        );
        check(r#""active":true"#, ("delete", "Patient.birthDate", &[]), r#""active":true"#);
        check(
            r#""name":[{"given":["a","b",null],"_given":[null,{"id":"x"},{"id":"y"}]}]"#,
            ("delete", "Patient.name.given[1]", &[]),
            r#""name":[{"given":["a",null],"_given":[null,{"id":"y"}]}]"#,
        );
        refuse(
            r#""active":true"#,
            ("replace", "Patient.birthDate", &[("value", r#""valueDate":"1930""#)]),
            "the path leads to 0 elements, expected one",
        );
        refuse(
            r#""name":[{"family":"secret"},{"family":"b"}]"#,
            ("delete", "Patient.name", &[]),
            "the path leads to 2 elements, expected one",
        );
        refuse(
            r#""active":true"#,
            ("delete", "Patient", &[]),
            "the whole resource cannot be removed by a patch",
        );
        refuse(
            r#""active":true"#,
            ("delete", "1 + 1", &[]),
            "the path leads to a value that is not in the resource",
        );
        refuse(
            r#""active":true"#,
            ("delete", "Patient.foo(", &[]),
            "`path`: column 9: there is no function `foo`",
        );
        refuse(
            r#""active":true"#,
            ("delete", "%x", &[]),
            "`path`: column 1: there is no variable `%x`",
        );
        refuse(
            r#""active":true"#,
            ("spam", "Patient", &[]),
            "`type` is none of add, insert, delete, replace, move",
        );
    }

    #[test]
    fn lists_are_changed_in_place() {
        let identifiers = r#""identifier":[{"value":"1"},{"value":"2"},{"value":"3"}]"#;
        let index = |text: &'static str| ("index", text);
        let three = ("value", r#""valueIdentifier":{"value":"x"}"#);
        check(
            identifiers,
            ("insert", "Patient.identifier", &[index(r#""valueInteger":0"#), three]),
            r#""identifier":[{"value":"x"},{"value":"1"},{"value":"2"},{"value":"3"}]"#,
        );
        check(
            identifiers,
            ("insert", "Patient.identifier", &[index(r#""valueInteger":3"#), three]),
            r#""identifier":[{"value":"1"},{"value":"2"},{"value":"3"},{"value":"x"}]"#,
        );
        let to = |source: &'static str, destination: &'static str| {
            [("source", source), ("destination", destination)]
        };
        check(
            identifiers,
            ("move", "Patient.identifier", &to(r#""valueInteger":2"#, r#""valueInteger":0"#)),
            r#""identifier":[{"value":"3"},{"value":"1"},{"value":"2"}]"#,
        );
        refuse(
            identifiers,
            ("insert", "Patient.identifier", &[index(r#""valueInteger":4"#), three]),
            "a position is behind the end of the list",
        );
        refuse(
            identifiers,
            ("move", "Patient.identifier", &to(r#""valueInteger":3"#, r#""valueInteger":0"#)),
            "a position is behind the end of the list",
        );
        refuse(
            identifiers,
            (
                "insert",
                "Patient.identifier.where(value = '1')",
                &[index(r#""valueInteger":0"#), three],
            ),
            "the path does not lead to a whole list",
        );
        refuse(
            identifiers,
            ("insert", "Patient.identifier", &[index(r#""valueInteger":-1"#), three]),
            "`index` is not a position from 0",
        );
    }
}
