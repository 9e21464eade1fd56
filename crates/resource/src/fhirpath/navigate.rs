//! From an element to those inside it: members of its JSON, whatever their names there.

use std::borrow::Cow;

use super::item::{Element, Item, TypeInfo};
use super::model::Type;
use crate::json::{Object, Value};

/// Appends the elements of this name. A choice is found by its name without its type (`value` for
/// `valueQuantity`, R4 §2.9.1.2); the name JSON has for it is taken too.
pub(super) fn members<'a>(item: &Item<'a>, name: &str, out: &mut Vec<Item<'a>>) {
    match item {
        Item::Element(element) => match element.value() {
            Some(Value::Object(object)) => object_members(element, object, name, out),
            _ => primitive_members(element, name, out),
        },
        Item::Quantity(quantity) => match name {
            "value" => out.push(Item::Decimal(quantity.value())),
            "unit" | "code" => out.push(Item::string(quantity.unit().to_owned())),
            _ => {}
        },
        Item::Type(TypeInfo { namespace, name: own }) => match name {
            "namespace" => out.push(Item::String(Cow::Borrowed(*namespace))),
            "name" => out.push(Item::String(own.clone())),
            _ => {}
        },
        _ => {}
    }
}

fn object_members<'a>(
    element: &Element<'a>,
    object: &'a Object,
    name: &str,
    out: &mut Vec<Item<'a>>,
) {
    let owner = element.type_();
    let value = object.get(name);
    let type_ = owner.and_then(|owner| owner.member(name));
    if value.is_some() || type_.is_some() {
        let type_ = type_.map(|member| Type::of(member.element_type.definition()));
        // Only a primitive has a sibling.
        let is_primitive =
            type_.is_none_or(|type_| type_.system().is_some_and(|_| !is_object_like(value)));
        let sibling = if is_primitive { sibling(object, name) } else { None };
        push(value, sibling, type_, out);
        return;
    }
    if let Some((member, type_)) = chosen(owner, object, name) {
        push(object.get(member), sibling(object, member), type_, out);
    }
}

fn is_object_like(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(_)) => true,
        Some(Value::Array(items)) => matches!(items.first(), Some(Value::Object(_))),
        _ => false,
    }
}

/// The `_name` beside a primitive.
fn sibling<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object
        .iter()
        .find(|(own, _)| own.strip_prefix('_').is_some_and(|own| own == name))
        .map(|(_, value)| value)
}

/// The member that holds a choice, and its type.
fn chosen<'o>(
    owner: Option<Type>,
    object: &'o Object,
    name: &str,
) -> Option<(&'o str, Option<Type>)> {
    object.iter().find_map(|(own, _)| {
        let member = own.strip_prefix('_').unwrap_or(own);
        let suffix = member.strip_prefix(name)?;
        if !suffix.starts_with(|first: char| first.is_ascii_uppercase()) {
            return None;
        }
        match owner {
            Some(owner) => {
                let found = owner.member(member)?;
                let is_choice = found.element.is_choice() && found.element.name() == name;
                is_choice.then(|| (member, Some(Type::of(found.element_type.definition()))))
            }
            None => suffix_type(suffix).map(|type_| (member, Some(type_))),
        }
    })
}

/// The type that the end of a choice's name says, where no definition does.
fn suffix_type(suffix: &str) -> Option<Type> {
    Type::named(suffix).or_else(|| {
        let mut lower = suffix.to_owned();
        lower.get_mut(..1)?.make_ascii_lowercase();
        Type::named(&lower)
    })
}

/// The id and the extensions of a primitive.
fn primitive_members<'a>(element: &Element<'a>, name: &str, out: &mut Vec<Item<'a>>) {
    let Some(Value::Object(sibling)) = element.sibling() else { return };
    let type_ = match name {
        "extension" => Type::named("Extension"),
        "id" => Type::named("string"),
        _ => return,
    };
    push(sibling.get(name), None, type_, out);
}

/// Appends a member's value: the items of an array, each with the `_name` beside it.
fn push<'a>(
    value: Option<&'a Value>,
    sibling: Option<&'a Value>,
    type_: Option<Type>,
    out: &mut Vec<Item<'a>>,
) {
    let present = |value: Option<&'a Value>| value.filter(|value| **value != Value::Null);
    let mut one = |value: Option<&'a Value>, sibling: Option<&'a Value>| {
        let (value, sibling) = (present(value), present(sibling));
        if value.is_none() && sibling.is_none() {
            return;
        }
        let type_ = match (type_, value) {
            (None, Some(value)) => value.resource_type().and_then(Type::named),
            (Some(type_), Some(value)) if type_.is_any_resource() => {
                value.resource_type().and_then(Type::named)
            }
            _ => type_,
        };
        out.push(Item::Element(Element::new(value, sibling, type_)));
    };
    match (value, sibling) {
        (Some(Value::Array(values)), Some(Value::Array(siblings))) => {
            for position in 0..values.len().max(siblings.len()) {
                one(values.get(position), siblings.get(position));
            }
        }
        (Some(Value::Array(values)), _) => values.iter().for_each(|value| one(Some(value), None)),
        (None, Some(Value::Array(siblings))) => {
            siblings.iter().for_each(|sibling| one(None, Some(sibling)));
        }
        (value, sibling) => one(value, sibling),
    }
}

/// Appends all elements directly inside, in the order of the JSON.
pub(super) fn children<'a>(item: &Item<'a>, out: &mut Vec<Item<'a>>) {
    let Item::Element(element) = item else { return };
    let Some(Value::Object(object)) = element.value() else {
        primitive_members(element, "id", out);
        primitive_members(element, "extension", out);
        return;
    };
    let owner = element.type_();
    for (name, value) in object.iter() {
        if name == "resourceType" {
            continue;
        }
        let type_of = |name: &str| {
            owner
                .and_then(|owner| owner.member(name))
                .map(|member| Type::of(member.element_type.definition()))
        };
        match name.strip_prefix('_') {
            Some(plain) if object.get(plain).is_some() => {}
            Some(plain) => push(None, Some(value), type_of(plain), out),
            None if is_object_like(Some(value)) => push(Some(value), None, type_of(name), out),
            None => push(Some(value), sibling(object, name), type_of(name), out),
        }
    }
}
