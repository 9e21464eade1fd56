//! Applying a patch: whole or not at all.

use std::cmp::Ordering;

use super::error::{PatchError, PatchProblem};
use super::operation::{Operation, Patch};
use super::pointer::{Pointer, position};
use crate::fhirpath::Decimal;
use crate::json::{DEPTH_MAX, Object, Value};

/// Bytes that a patch adds, copies and moves in all, so that copies of copies stay small.
pub const WORK_MAX: usize = 64 << 20;
/// What a value counts for, whatever its text.
const VALUE_BYTES: usize = 32;

impl Patch {
    /// Applies all operations in order. After an error the resource is as it was.
    ///
    /// # Errors
    /// The first operation that cannot be done, or a test that fails.
    pub fn apply(&self, resource: &mut Value) -> Result<(), PatchError> {
        let mut changed = resource.clone();
        let mut work = Work::new();
        for (position, operation) in self.operations.iter().enumerate() {
            apply(operation, &mut changed, &mut work)
                .map_err(|problem| PatchError { operation: Some(position + 1), problem })?;
        }
        *resource = changed;
        Ok(())
    }
}

/// Refuses what has become another resource: `resourceType` and `id` stay (R4 §3.1.0.6).
///
/// # Errors
/// Which of the two has changed.
pub fn check_identity(before: &Value, after: &Value) -> Result<(), PatchError> {
    for name in ["resourceType", "id"] {
        if before.get(name) != after.get(name) {
            return Err(PatchProblem::Identity(name).into());
        }
    }
    Ok(())
}

/// What a patch may still copy and move.
pub(super) struct Work {
    left: usize,
}

impl Work {
    pub(super) fn new() -> Self {
        Self { left: WORK_MAX }
    }

    pub(super) fn spend(&mut self, amount: usize) -> Result<(), PatchProblem> {
        self.left = self.left.checked_sub(amount).ok_or(PatchProblem::Work)?;
        Ok(())
    }

    /// Spends a value's size, and refuses one that would stand too deep.
    pub(super) fn place(&mut self, value: &Value, depth: usize) -> Result<(), PatchProblem> {
        self.measure(value, DEPTH_MAX.checked_sub(depth).ok_or(PatchProblem::Depth)?)
    }

    fn measure(&mut self, value: &Value, levels: usize) -> Result<(), PatchProblem> {
        self.spend(VALUE_BYTES)?;
        let inner = || levels.checked_sub(1).ok_or(PatchProblem::Depth);
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
            Value::String(text) => self.spend(text.len()),
            Value::Array(items) => {
                let inner = inner()?;
                items.iter().try_for_each(|item| self.measure(item, inner))
            }
            Value::Object(object) => {
                let inner = inner()?;
                object.iter().try_for_each(|(name, value)| {
                    self.spend(name.len())?;
                    self.measure(value, inner)
                })
            }
        }
    }
}

fn apply(operation: &Operation, root: &mut Value, work: &mut Work) -> Result<(), PatchProblem> {
    match operation {
        Operation::Add { path, value } => {
            work.place(value, path.depth())?;
            add(root, path, value.clone(), work)
        }
        Operation::Remove { path } => remove(root, path, work).map(drop),
        Operation::Replace { path, value } => {
            work.place(value, path.depth())?;
            *path.find_mut(root, path.depth())? = value.clone();
            Ok(())
        }
        Operation::Move { from, path } => {
            if from.is_above(path) {
                return Err(PatchProblem::IntoItself);
            }
            work.place(from.find(root)?, path.depth())?;
            if from == path {
                return Ok(());
            }
            let value = remove(root, from, work)?;
            add(root, path, value, work)
        }
        Operation::Copy { from, path } => {
            let value = from.find(root)?;
            work.place(value, path.depth())?;
            let value = value.clone();
            add(root, path, value, work)
        }
        Operation::Test { path, value } => {
            if is_same(path.find(root)?, value) {
                Ok(())
            } else {
                Err(PatchProblem::TestFailed(path.shown(path.depth())))
            }
        }
        Operation::Merge { members } => merge(root, members, 0, work),
    }
}

/// Sets the members that have a value and removes those that are null (RFC 7396 §2).
fn merge(
    target: &mut Value,
    members: &Object,
    depth: usize,
    work: &mut Work,
) -> Result<(), PatchProblem> {
    let depth = depth + 1;
    if depth > DEPTH_MAX {
        return Err(PatchProblem::Depth);
    }
    if target.as_object().is_none() {
        *target = Object::new().into();
    }
    let Value::Object(target) = target else { return Ok(()) };
    for (name, value) in members.iter() {
        work.spend(VALUE_BYTES + name.len() + target.len() / 2)?;
        match value {
            Value::Null => drop(target.remove(name)),
            // What is merged into nothing loses its nulls too.
            Value::Object(members) => {
                if target.get(name).is_none() {
                    target.set(name, Object::new().into());
                }
                if let Some(inner) = target.get_mut(name) {
                    merge(inner, members, depth, work)?;
                }
            }
            _ => {
                work.place(value, depth)?;
                target.set(name, value.clone());
            }
        }
    }
    Ok(())
}

/// Sets a member, or inserts an item (RFC 6902 §4.1).
fn add(
    root: &mut Value,
    path: &Pointer,
    value: Value,
    work: &mut Work,
) -> Result<(), PatchProblem> {
    let Some((parents, last)) = path.split() else {
        *root = value;
        return Ok(());
    };
    match path.find_mut(root, parents.len())? {
        Value::Object(object) => {
            work.spend(object.len() / 2)?;
            object.set(last, value);
            Ok(())
        }
        Value::Array(items) => {
            let place = match last {
                "-" => items.len(),
                digits => position(digits)
                    .ok_or_else(|| PatchProblem::Position(path.shown(path.depth())))?,
            };
            if place > items.len() {
                return Err(PatchProblem::BehindEnd(path.shown(path.depth())));
            }
            work.spend((items.len() - place) / 2)?;
            items.insert(place, value);
            Ok(())
        }
        _ => Err(PatchProblem::NoContainer(path.shown(parents.len()))),
    }
}

/// Takes a value out; it must be there (RFC 6902 §4.2).
fn remove(root: &mut Value, path: &Pointer, work: &mut Work) -> Result<Value, PatchProblem> {
    path.find(root)?;
    let Some((parents, last)) = path.split() else { return Err(PatchProblem::WholeRemoved) };
    let missing = || PatchProblem::NotFound(path.shown(path.depth()));
    match path.find_mut(root, parents.len())? {
        Value::Object(object) => {
            work.spend(object.len() / 2)?;
            object.remove(last).ok_or_else(missing)
        }
        Value::Array(items) => {
            work.spend(items.len() / 2)?;
            let place = position(last).filter(|place| *place < items.len()).ok_or_else(missing)?;
            Ok(items.remove(place))
        }
        _ => Err(PatchProblem::NoContainer(path.shown(parents.len()))),
    }
}

/// Whether two values are equal: numbers by their value, members in any order (RFC 6902 §4.6).
fn is_same(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => {
            let values = Decimal::parse(one.as_str()).zip(Decimal::parse(two.as_str()));
            one == two || values.is_some_and(|(one, two)| one.compare(two) == Ordering::Equal)
        }
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| is_same(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len()
                && one
                    .iter()
                    .all(|(name, value)| two.get(name).is_some_and(|other| is_same(value, other)))
        }
        _ => one == two,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

    use super::*;
    use crate::json;
    use crate::patch::OPERATIONS_MAX;

    fn read(text: &str) -> Value {
        json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn patched(resource: &str, patch: &str) -> Result<String, String> {
        let mut resource = read(resource);
        let before = resource.clone();
        let applied = Patch::read(&read(patch)).and_then(|patch| patch.apply(&mut resource));
        if applied.is_err() {
            assert_eq!(resource, before, "a patch that fails changes nothing");
        }
        applied.map(|()| resource.to_json()).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(resource: &str, patch: &str, expected: &str) {
        let expected = read(expected).to_json();
        assert_eq!(patched(resource, patch), Ok(expected), "{patch}");
    }

    #[track_caller]
    fn refuse(resource: &str, patch: &str, expected: &str) {
        assert_eq!(patched(resource, patch), Err(expected.to_owned()), "{patch}");
    }

    /// RFC 7396, appendix A, as far as a resource is an object.
    #[test]
    fn the_examples_of_rfc_7396() {
        check(r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"a":null}"#, "{}");
        check(r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#);
        check(r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#);
        check(r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#);
        check(r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#);
        check(r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#);
        check("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#);
        check(r#"{"a":"b"}"#, r#"{"a":{"c":[null,1.50]}}"#, r#"{"a":{"c":[null,1.50]}}"#);
    }

    /// RFC 6902, appendix A.
    #[test]
    fn the_examples_of_rfc_6902() {
        check(
            r#"{"foo":"bar"}"#,
            r#"[{"op":"add","path":"/baz","value":"qux"}]"#,
            r#"{"foo":"bar","baz":"qux"}"#,
        );
        check(
            r#"{"foo":["bar","baz"]}"#,
            r#"[{"op":"add","path":"/foo/1","value":"qux"}]"#,
            r#"{"foo":["bar","qux","baz"]}"#,
        );
        check(
            r#"{"baz":"qux","foo":"bar"}"#,
            r#"[{"op":"remove","path":"/baz"}]"#,
            r#"{"foo":"bar"}"#,
        );
        check(
            r#"{"foo":["bar","qux","baz"]}"#,
            r#"[{"op":"remove","path":"/foo/1"}]"#,
            r#"{"foo":["bar","baz"]}"#,
        );
        check(
            r#"{"baz":"qux","foo":"bar"}"#,
            r#"[{"op":"replace","path":"/baz","value":"boo"}]"#,
            r#"{"baz":"boo","foo":"bar"}"#,
        );
        check(
            r#"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#,
            r#"[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]"#,
            r#"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#,
        );
        check(
            r#"{"foo":["all","grass","cows","eat"]}"#,
            r#"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#,
            r#"{"foo":["all","cows","eat","grass"]}"#,
        );
        check(
            r#"{"baz":"qux","foo":["a",2,"c"]}"#,
            r#"[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]"#,
            r#"{"baz":"qux","foo":["a",2,"c"]}"#,
        );
        refuse(
            r#"{"baz":"qux"}"#,
            r#"[{"op":"test","path":"/baz","value":"bar"}]"#,
            "operation 1: the test at /baz failed: another value stands there",
        );
        check(
            r#"{"foo":"bar"}"#,
            r#"[{"op":"add","path":"/child","value":{"grandchild":{}}}]"#,
            r#"{"foo":"bar","child":{"grandchild":{}}}"#,
        );
        check(
            r#"{"foo":"bar"}"#,
            r#"[{"op":"add","path":"/baz","value":"qux","xyz":123}]"#,
            r#"{"foo":"bar","baz":"qux"}"#,
        );
        refuse(
            r#"{"foo":"bar"}"#,
            r#"[{"op":"add","path":"/baz/bat","value":"qux"}]"#,
            "operation 1: nothing stands at /baz",
        );
        check(
            r#"{"/":9,"~1":10}"#,
            r#"[{"op":"test","path":"/~01","value":10}]"#,
            r#"{"/":9,"~1":10}"#,
        );
        refuse(
            r#"{"/":9,"~1":10}"#,
            r#"[{"op":"test","path":"/~01","value":"10"}]"#,
            "operation 1: the test at /~01 failed: another value stands there",
        );
        check(
            r#"{"foo":["bar"]}"#,
            r#"[{"op":"add","path":"/foo/-","value":["abc","def"]}]"#,
            r#"{"foo":["bar",["abc","def"]]}"#,
        );
    }

    #[test]
    fn what_is_not_touched_stays_as_it_is() {
        check(
            r#"{"value":1.50,"b":null,"c":[],"é":{"z":1,"a":2}}"#,
            r#"[{"op":"copy","from":"/value","path":"/copy"},{"op":"add","path":"/b","value":1e2}]"#,
            r#"{"value":1.50,"b":1e2,"c":[],"é":{"z":1,"a":2},"copy":1.50}"#,
        );
        check(r#"{"a":1}"#, r#"[{"op":"test","path":"","value":{"a":1.0}}]"#, r#"{"a":1}"#);
        check(
            r#"{"a":{"b":1,"c":2}}"#,
            r#"[{"op":"test","path":"/a","value":{"c":2,"b":1}}]"#,
            r#"{"a":{"b":1,"c":2}}"#,
        );
        check(r#"{"a":1}"#, r#"[{"op":"add","path":"","value":{"b":2}}]"#, r#"{"b":2}"#);
        check(r#"{"a":1}"#, r#"[{"op":"move","from":"/a","path":"/a"}]"#, r#"{"a":1}"#);
        check(r#"{"a":1}"#, "[]", r#"{"a":1}"#);
        check(
            r#"{"a":{"b":1}}"#,
            r#"[{"op":"copy","from":"/a","path":"/a/c"}]"#,
            r#"{"a":{"b":1,"c":{"b":1}}}"#,
        );
        check(r#"{"a":{"b":1}}"#, r#"[{"op":"move","from":"/a/b","path":"/a"}]"#, r#"{"a":1}"#);
    }

    #[test]
    fn refusals_say_which_operation_and_where() {
        let resource = r#"{"a":[1,2],"b":{"c":"secret"}}"#;
        let remove = r#"{"op":"remove","path":"/a/0"}"#;
        for (operation, expected) in [
            (r#"{"op":"remove","path":"/x"}"#, "nothing stands at /x"),
            (r#"{"op":"remove","path":"/a/1"}"#, "nothing stands at /a/1"),
            (
                r#"{"op":"remove","path":"/a/-"}"#,
                "/a/- is not the position of an item: digits without a leading zero, or `-` for the end of an `add`",
            ),
            (r#"{"op":"add","path":"/a/3","value":1}"#, "/a/3 is behind the end of the array"),
            (
                r#"{"op":"add","path":"/a/01","value":1}"#,
                "/a/01 is not the position of an item: digits without a leading zero, or `-` for the end of an `add`",
            ),
            (r#"{"op":"add","path":"/b/c/d","value":1}"#, "/b/c is neither an object nor an array"),
            (r#"{"op":"replace","path":"/x","value":1}"#, "nothing stands at /x"),
            (
                r#"{"op":"replace","path":"/b/c/d/e","value":1}"#,
                "/b/c is neither an object nor an array",
            ),
            (r#"{"op":"remove","path":""}"#, "the whole resource cannot be removed by a patch"),
            (r#"{"op":"move","from":"/b","path":"/b/c"}"#, "a value cannot be moved into itself"),
            (r#"{"op":"move","from":"/x","path":"/b"}"#, "nothing stands at /x"),
            (r#"{"op":"copy","from":"/x","path":"/b"}"#, "nothing stands at /x"),
            (
                r#"{"op":"test","path":"/b/c","value":"other"}"#,
                "the test at /b/c failed: another value stands there",
            ),
            (
                r#"{"op":"test","path":"","value":1}"#,
                "the test at the whole resource failed: another value stands there",
            ),
            (r#"{"op":"add","path":"/b"}"#, "`value` is missing"),
            (r#"{"op":"add","value":1}"#, "`path` is missing"),
            (r#"{"op":"move","path":"/b"}"#, "`from` is missing"),
            (r#"{"path":"/b"}"#, "`op` is missing"),
            (
                r#"{"op":"spam","path":"/b"}"#,
                "`op` is none of add, remove, replace, move, copy, test",
            ),
            (r#"{"op":1,"path":"/b"}"#, "`op` is not a string"),
            (
                r#"{"op":"remove","path":"b"}"#,
                "`path` is not a JSON Pointer: it is empty or begins with `/`, and `~` is written `~0`, `/` in a name `~1`",
            ),
            ("7", "an operation is an object"),
        ] {
            refuse(
                resource,
                &format!("[{remove},{operation}]"),
                &format!("operation 2: {expected}"),
            );
        }
        let neither =
            "a patch is an array of operations (RFC 6902 §3) or an object to merge (RFC 7396 §2)";
        refuse(resource, "7", neither);
        let long = format!(r#"[{{"op":"remove","path":"/{}"}}]"#, "x".repeat(200));
        refuse(resource, &long, &format!("operation 1: nothing stands at /{}…", "x".repeat(99)));
    }

    #[test]
    fn growth_and_work_are_limited() {
        let operations =
            |count: usize, operation: &str| format!("[{}]", vec![operation; count].join(","));
        let test = r#"{"op":"test","path":"/a","value":1}"#;
        check(r#"{"a":1}"#, &operations(OPERATIONS_MAX, test), r#"{"a":1}"#);
        refuse(
            r#"{"a":1}"#,
            &operations(OPERATIONS_MAX + 1, test),
            "the patch has more than 1000 operations",
        );
        // Each copy doubles the array.
        let double = r#"{"op":"copy","from":"/a","path":"/a/-"}"#;
        refuse(
            r#"{"a":[]}"#,
            &operations(200, double),
            "operation 22: the patch adds, copies and moves more than 67108864 bytes",
        );
        // Each copy makes it deeper.
        let deepen = format!(r#"{{"op":"copy","from":"/a","path":"/a{}"}}"#, "/0".repeat(20));
        let resource = format!(r#"{{"a":{}{}}}"#, "[".repeat(21), "]".repeat(21));
        refuse(
            &resource,
            &operations(9, &deepen),
            "operation 4: the result is nested deeper than 100 levels",
        );
    }

    #[test]
    fn a_resource_stays_itself() {
        let before = read(r#"{"resourceType":"Patient","id":"a","active":true}"#);
        let check = |after: &str, expected: Result<(), &str>| {
            let checked = check_identity(&before, &read(after)).map_err(|error| error.to_string());
            assert_eq!(checked, expected.map_err(str::to_owned));
        };
        check(r#"{"id":"a","resourceType":"Patient"}"#, Ok(()));
        check(r#"{"id":"b","resourceType":"Patient"}"#, Err("a patch cannot change `id`"));
        check(r#"{"resourceType":"Patient"}"#, Err("a patch cannot change `id`"));
        check(r#"{"id":"a","resourceType":"Group"}"#, Err("a patch cannot change `resourceType`"));
    }

    fn operations() -> impl Strategy<Value = String> {
        let pointers = || {
            proptest::sample::select(vec![
                "", "/a", "/a/0", "/a/1", "/a/-", "/b", "/b/c", "/b/c/d", "/x", "/a/0/e", "/~",
                "b", "/b/~1",
            ])
        };
        let names =
            proptest::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]);
        let values = prop_oneof![Just("1"), Just("null"), Just("[]"), Just(r#"{"c":{"d":1.0}}"#)];
        let one = (names, pointers(), pointers(), values).prop_map(|(name, path, from, value)| {
            format!(r#"{{"op":"{name}","path":"{path}","from":"{from}","value":{value}}}"#)
        });
        proptest::collection::vec(one, 0..8)
            .prop_map(|operations| format!("[{}]", operations.join(",")))
    }

    proptest! {
        #[test]
        fn patches_apply_whole_or_not_at_all(patch in operations()) {
            let resource = r#"{"a":[{"e":1},2],"b":{"c":{"d":1}}}"#;
            if let Ok(text) = patched(resource, &patch) {
                assert_eq!(read(&text).to_json(), text);
            }
        }
    }
}
