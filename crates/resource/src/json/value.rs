//! A JSON value, and the members and digits it is made of.

use std::borrow::Cow;
use std::fmt;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, by its digits.
    Number(Number),
    /// A string, decoded.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Object),
}

/// A number as it was written: `1.50`, `-3`, `2e10`.
///
/// Two are equal when their digits are; compare [`Number::as_f64`] for their value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Box<str>);

/// The members of an object, in the order they were written. No name comes twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object(Vec<(Name, Value)>);

/// A member's name. Most that the program writes are in it already, and are not copied.
type Name = Cow<'static, str>;

impl Value {
    /// A string.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The items of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The items of an array, to change.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The object, to change.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The member of an object; nothing of other values.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }

    /// The text of a member that is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The items of a member: those of an array, or the one value that stands there.
    pub fn items(&self, name: &str) -> &[Value] {
        match self.get(name) {
            Some(Self::Array(items)) => items,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        }
    }

    /// The `resourceType` of a resource.
    pub fn resource_type(&self) -> Option<&str> {
        self.text("resourceType")
    }

    /// The `id` of a resource.
    pub fn id(&self) -> Option<&str> {
        self.text("id")
    }

    /// What kind of value it is, for people: `a string`, `an object`…
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl Number {
    /// A number by its text. `None` when the text is no JSON number.
    pub fn new(text: &str) -> Option<Self> {
        super::parse::is_number(text.as_bytes()).then(|| Self(text.into()))
    }

    pub(super) fn of_checked(text: &str) -> Self {
        Self(text.into())
    }

    /// The digits as they were written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest double.
    pub fn as_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// The integer, where it is written as one and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(value.to_string().into())
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Object {
    /// An object without members.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// An object without members that has room for some.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| **own == *name).map(|(_, value)| value)
    }

    /// The member of this name, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|(own, _)| **own == *name).map(|(_, value)| value)
    }

    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> + DoubleEndedIterator {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The members in order, to change their values.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut Value)> {
        self.0.iter_mut().map(|(name, value)| (&**name, value))
    }

    /// Sets a member: in its place where it stands, at the end where it is new. Gives back what stood there.
    pub fn set(&mut self, name: &str, value: Value) -> Option<Value> {
        match self.get_mut(name) {
            Some(own) => Some(std::mem::replace(own, value)),
            None => {
                self.0.push((Name::Owned(name.to_owned()), value));
                None
            }
        }
    }

    /// [`Object::set`] of a name that the program has itself: it is not copied.
    pub fn set_known(&mut self, name: &'static str, value: Value) -> Option<Value> {
        match self.get_mut(name) {
            Some(own) => Some(std::mem::replace(own, value)),
            None => {
                self.0.push((Name::Borrowed(name), value));
                None
            }
        }
    }

    /// Adds a member at the end, of a name that the program has itself and that the object does not have yet: that it is
    /// new is not looked up. Gives the value in its place.
    #[inline]
    pub fn push_known(&mut self, name: &'static str, value: Value) -> &mut Value {
        debug_assert!(self.get(name).is_none(), "{name} is there already");
        &mut self.0.push_mut((Name::Borrowed(name), value)).1
    }

    /// Puts a member before the one at `position` (from 0; behind the last where there are fewer); one of
    /// that name leaves its place.
    pub fn insert(&mut self, position: usize, name: &str, value: Value) {
        self.remove(name);
        self.0.insert(position.min(self.0.len()), (Name::Owned(name.to_owned()), value));
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let position = self.0.iter().position(|(own, _)| **own == *name)?;
        Some(self.0.remove(position).1)
    }

    /// Keeps the members for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Value) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// Appends a member known to be new.
    pub(super) fn push(&mut self, name: Box<str>, value: Value) {
        self.0.push((Name::Owned(name.into()), value));
    }
}

impl<N: Into<Box<str>>> FromIterator<(N, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(members: I) -> Self {
        let mut object = Self::new();
        for (name, value) in members {
            object.set(&name.into(), value);
        }
        object
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Array(items)
    }
}
