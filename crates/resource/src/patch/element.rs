//! Changing elements: a member, its list, and the `_name` beside it, together.

use super::error::PatchProblem;
use super::place::Place;
use crate::definitions::TypeDefinition;
use crate::json::{Object, Value};

/// What is put in a place.
#[derive(Debug)]
pub(super) struct New {
    value: Option<Value>,
    sibling: Option<Value>,
    /// The type as the end of a choice's name: `Boolean`.
    suffix: Option<String>,
}

/// The value of a part: `value[x]`, a resource, or parts for what has no type of its own.
pub(super) fn new_value(
    part: &Value,
    target: Option<&'static TypeDefinition>,
) -> Result<New, PatchProblem> {
    if let Some(resource) = part.get("resource") {
        return Ok(New { value: Some(resource.clone()), sibling: None, suffix: None });
    }
    let members = part.as_object().into_iter().flat_map(Object::iter);
    let suffix = members
        .filter_map(|(name, _)| name.strip_prefix('_').unwrap_or(name).strip_prefix("value"))
        .find(|suffix| !suffix.is_empty());
    if let Some(suffix) = suffix {
        let member = |prefix: &str| part.get(&format!("{prefix}value{suffix}")).cloned();
        return Ok(New {
            value: member(""),
            sibling: member("_"),
            suffix: Some(suffix.to_owned()),
        });
    }
    let owner = target.ok_or(PatchProblem::UnknownOwner)?;
    let parts = part.items("part");
    if parts.is_empty() {
        return Err(PatchProblem::Missing("value[x]"));
    }
    let mut object = Object::new();
    for part in parts {
        add(&mut object, owner, part.text("name").ok_or(PatchProblem::Missing("name"))?, part)?;
    }
    Ok(New { value: Some(object.into()), sibling: None, suffix: None })
}

/// Adds an element by its definition: at the end of a list, or where none is yet.
pub(super) fn add(
    object: &mut Object,
    owner: &'static TypeDefinition,
    name: &str,
    part: &Value,
) -> Result<(), PatchProblem> {
    let unknown = || PatchProblem::NoElement(name.to_owned());
    let element = owner.element_named(name).ok_or_else(unknown)?;
    let only = element.types().first().filter(|_| !element.is_choice());
    let new = new_value(part, only.map(|own| own.definition()))?;
    let member = match only {
        Some(own) => own.member(),
        None => {
            let wanted = format!("{name}{}", new.suffix.as_deref().unwrap_or_default());
            let mut types = element.types().iter();
            types.find(|own| own.member() == wanted).ok_or_else(unknown)?.member()
        }
    };
    if element.is_list() {
        let length = length(object, member);
        put_item(object, member, length, new);
        return Ok(());
    }
    let is_there = element.types().iter().any(|own| {
        object.get(own.member()).is_some() || object.get(&format!("_{}", own.member())).is_some()
    });
    if is_there {
        return Err(PatchProblem::Exists(name.to_owned()));
    }
    set(object, member, new);
    Ok(())
}

fn set(object: &mut Object, member: &str, new: New) {
    match new.value {
        Some(value) => drop(object.set(member, value)),
        None => drop(object.remove(member)),
    }
    let sibling = format!("_{member}");
    match new.sibling {
        Some(value) => drop(object.set(&sibling, value)),
        None => drop(object.remove(&sibling)),
    }
}

fn length(object: &Object, member: &str) -> usize {
    let of = |name: &str| object.get(name).and_then(Value::as_array).map_or(0, <[Value]>::len);
    of(member).max(of(&format!("_{member}")))
}

/// Inserts an item into a list and, where one of them has one, into the list of siblings.
fn put_item(object: &mut Object, member: &str, position: usize, new: New) {
    let sibling = format!("_{member}");
    let length = length(object, member);
    let needs_siblings = new.sibling.is_some() || object.get(&sibling).is_some();
    put(object, member, length, position, new.value.unwrap_or(Value::Null));
    if needs_siblings {
        put(object, &sibling, length, position, new.sibling.unwrap_or(Value::Null));
    }
}

fn put(object: &mut Object, name: &str, length: usize, position: usize, value: Value) {
    if object.get(name).is_none() {
        object.set(name, Value::Array(Vec::new()));
    }
    if let Some(items) = object.get_mut(name).and_then(Value::as_array_mut) {
        items.resize(length, Value::Null);
        items.insert(position.min(length), value);
    }
}

fn take(object: &mut Object, member: &str, position: usize) -> New {
    let mut out = |name: &str| {
        let items = object.get_mut(name).and_then(Value::as_array_mut)?;
        let value = if position < items.len() { items.remove(position) } else { Value::Null };
        if items.iter().all(|item| *item == Value::Null) && name.starts_with('_') {
            object.remove(name);
        }
        Some(value).filter(|value| *value != Value::Null)
    };
    New { sibling: out(&format!("_{member}")), value: out(member), suffix: None }
}

/// Takes an element out; a list without items goes with its last.
pub(super) fn delete(object: &mut Object, place: &Place) {
    match place.item() {
        Some(position) => {
            take(object, place.member(), position);
            let siblings = object.get(&format!("_{}", place.member())).is_some();
            let is_empty =
                object.get(place.member()).and_then(Value::as_array).is_some_and(|items| {
                    items.is_empty() || (!siblings && items.iter().all(|item| *item == Value::Null))
                });
            if is_empty {
                object.remove(place.member());
            }
        }
        None => set(object, place.member(), New { value: None, sibling: None, suffix: None }),
    }
}

/// Puts another value in an element's place; a choice changes its name with its type.
pub(super) fn replace(object: &mut Object, place: &Place, new: New) -> Result<(), PatchProblem> {
    if let Some(position) = place.item() {
        let length = length(object, place.member());
        if position < length {
            take_without_trimming(object, place.member(), position);
            put_back(object, place.member(), length, position, new);
        }
        return Ok(());
    }
    let element = place.type_().and_then(|owner| owner.member(place.member()));
    let choice = element.map(|member| member.element).filter(|element| element.is_choice());
    let (Some(element), Some(suffix)) = (choice, &new.suffix) else {
        set(object, place.member(), new);
        return Ok(());
    };
    let wanted = format!("{}{suffix}", element.name());
    let Some(own) = element.types().iter().find(|own| own.member() == wanted) else {
        return Err(PatchProblem::NoElement(element.name().to_owned()));
    };
    if own.member() == place.member() {
        set(object, place.member(), new);
        return Ok(());
    }
    let position = object
        .iter()
        .position(|(name, _)| name.strip_prefix('_').unwrap_or(name) == place.member());
    set(object, place.member(), New { value: None, sibling: None, suffix: None });
    let position = position.unwrap_or(usize::MAX);
    if let Some(sibling) = new.sibling {
        object.insert(position, &format!("_{}", own.member()), sibling);
    }
    if let Some(value) = new.value {
        object.insert(position, own.member(), value);
    }
    Ok(())
}

fn take_without_trimming(object: &mut Object, member: &str, position: usize) {
    for name in [member, &format!("_{member}")] {
        if let Some(items) = object.get_mut(name).and_then(Value::as_array_mut)
            && position < items.len()
        {
            items.remove(position);
        }
    }
}

fn put_back(object: &mut Object, member: &str, length: usize, position: usize, new: New) {
    let sibling = format!("_{member}");
    let needs_siblings = new.sibling.is_some() || object.get(&sibling).is_some();
    put(object, member, length - 1, position, new.value.unwrap_or(Value::Null));
    if needs_siblings {
        put(object, &sibling, length - 1, position, new.sibling.unwrap_or(Value::Null));
        let siblings = object.get(&sibling).and_then(Value::as_array).unwrap_or_default();
        if siblings.iter().all(|item| *item == Value::Null) {
            object.remove(&sibling);
        }
    }
}

/// Inserts an item into the list of a place.
pub(super) fn insert(
    object: &mut Object,
    place: &Place,
    index: usize,
    new: New,
) -> Result<(), PatchProblem> {
    if index > length(object, place.member()) {
        return Err(PatchProblem::BehindList);
    }
    put_item(object, place.member(), index, new);
    Ok(())
}

/// Moves an item of the list of a place.
pub(super) fn move_item(
    object: &mut Object,
    place: &Place,
    source: usize,
    destination: usize,
) -> Result<(), PatchProblem> {
    let length = length(object, place.member());
    if source >= length || destination >= length {
        return Err(PatchProblem::BehindList);
    }
    let new = take(object, place.member(), source);
    put_item(object, place.member(), destination, new);
    Ok(())
}
