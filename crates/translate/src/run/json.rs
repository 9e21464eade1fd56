//! Elements as JSON.

use std::borrow::Cow;

use pipehat_resource::json::{Number, Object, Value};

use super::tree::{Leaf, NodeId, Tree};
use crate::plan::{NameId, Names};

/// Writes elements as JSON; their values move out of the tree.
pub(super) struct Writer<'t, 'a> {
    pub(super) tree: &'t mut Tree<'a>,
    pub(super) names: &'t Names,
    /// What each resource is referred to by; none of one that is not made.
    pub(super) references: &'t [Option<String>],
}

impl Writer<'_, '_> {
    /// Adds the members of an element's children to an object.
    pub(super) fn members(&mut self, id: NodeId, object: &mut Object) {
        // Children of one name are one list, so only what stood in the object before can have a child's name.
        let before = object.len();
        let first = self.tree.first_child(id);
        let mut next = first;
        while let Some(child) = next {
            next = self.tree.next_sibling(child);
            let Some(node) = self.tree.node(child) else { break };
            let (name_id, is_primitive) = (node.name, node.is_primitive);
            let name = self.names.text(name_id);
            if node.is_list {
                // Instances of one list need not stand together: the first writes all.
                if first.is_some_and(|first| self.tree.is_first_named(first, child)) {
                    self.list(child, name_id, is_primitive, object);
                }
            } else if is_primitive {
                if let Some(value) = self.primitive(child) {
                    put(object, before, name, value);
                }
                if self.has_members(child) {
                    let mut extensions = self.room(child);
                    self.object(child, &mut extensions);
                    if !extensions.is_empty() {
                        object.set(&sibling(name), Value::Object(extensions));
                    }
                }
            } else if self.has_members(child) {
                // It is filled in its place: a copy of what was just written costs more than writing it.
                let own = put(object, before, name, Value::Object(self.room(child)));
                let Value::Object(own) = own else { continue };
                self.object(child, own);
                if own.is_empty() {
                    object.remove(name);
                }
            }
        }
    }

    /// Adds the instances of a list, of which `first` is the first.
    fn list(&mut self, first: NodeId, id: NameId, is_primitive: bool, object: &mut Object) {
        let name = self.names.text(id);
        let mut values = Vec::with_capacity(self.tree.count_from(first, id));
        let mut extensions = Vec::new();
        let mut next = Some(first);
        while let Some(child) = next {
            next = self.tree.next_sibling(child);
            if self.tree.node(child).is_none_or(|node| node.name != id) {
                continue;
            }
            let has_members = self.has_members(child);
            if !is_primitive {
                if has_members {
                    self.instance(child, &mut values);
                }
                continue;
            }
            let value = self.primitive(child);
            if value.is_some() || has_members {
                values.push(value.unwrap_or(Value::Null));
                if !has_members || !self.instance(child, &mut extensions) {
                    extensions.push(Value::Null);
                }
            }
        }
        if values.iter().any(|value| *value != Value::Null) {
            object.push_known(name, Value::Array(values));
        }
        if extensions.iter().any(|value| *value != Value::Null) {
            object.set(&sibling(name), Value::Array(extensions));
        }
    }

    /// Adds an element to a list, if it has any members.
    fn instance(&mut self, id: NodeId, values: &mut Vec<Value>) -> bool {
        let Value::Object(own) = values.push_mut(Value::Object(self.room(id))) else {
            return false;
        };
        self.object(id, own);
        let is_there = !own.is_empty();
        if !is_there {
            values.pop();
        }
        is_there
    }

    /// Whether an element may have members.
    fn has_members(&self, id: NodeId) -> bool {
        self.tree.first_child(id).is_some() || self.reference(id).is_some()
    }

    fn reference(&self, id: NodeId) -> Option<&str> {
        match self.tree.leaf(id) {
            Leaf::Reference(resource) => {
                self.references.get(*resource as usize).and_then(Option::as_deref)
            }
            _ => None,
        }
    }

    /// An object with room for an element's members.
    fn room(&self, id: NodeId) -> Object {
        let reference = usize::from(matches!(self.tree.leaf(id), Leaf::Reference(_)));
        Object::with_capacity(self.tree.children(id).count() + reference)
    }

    /// Adds an element's members to an object.
    fn object(&mut self, id: NodeId, object: &mut Object) {
        if let Some(reference) = self.reference(id) {
            object.push_known("reference", Value::string(reference));
        }
        self.members(id, object);
    }

    #[inline]
    fn primitive(&mut self, id: NodeId) -> Option<Value> {
        match self.tree.leaf_mut(id)? {
            Leaf::Text(Cow::Borrowed(text)) => Some(Value::String((*text).to_owned())),
            Leaf::Text(Cow::Owned(text)) => Some(Value::String(std::mem::take(text))),
            Leaf::Number(digits) => Number::new(digits).map(Value::Number),
            Leaf::Bool(value) => Some(Value::Bool(*value)),
            Leaf::None | Leaf::Reference(_) => None,
        }
    }
}

/// Sets a member that none has the name of but perhaps one of the first `before`. Gives the value in its place.
// Called, it would be handed the value over memory, member by member.
#[inline(always)]
fn put<'o>(
    object: &'o mut Object,
    before: usize,
    name: &'static str,
    value: Value,
) -> &'o mut Value {
    if before > 0 && object.iter().take(before).any(|(own, _)| own == name) {
        object.set_known(name, value);
        return object.get_mut(name).expect("a member that was set");
    }
    object.push_known(name, value)
}

/// The member that carries a primitive's extensions (R4 §2.6.2.3).
fn sibling(name: &str) -> String {
    format!("_{name}")
}
