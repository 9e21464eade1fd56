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
                if let Some(extensions) = self.object(child) {
                    object.set(&sibling(name), Value::Object(extensions));
                }
            } else if let Some(value) = self.object(child) {
                put(object, before, name, Value::Object(value));
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
            let own = self.object(child).map(Value::Object);
            if !is_primitive {
                if let Some(own) = own {
                    values.push(own);
                }
                continue;
            }
            let value = self.primitive(child);
            if value.is_some() || own.is_some() {
                values.push(value.unwrap_or(Value::Null));
                extensions.push(own.unwrap_or(Value::Null));
            }
        }
        if values.iter().any(|value| *value != Value::Null) {
            object.push_known(name, Value::Array(values));
        }
        if extensions.iter().any(|value| *value != Value::Null) {
            object.set(&sibling(name), Value::Array(extensions));
        }
    }

    /// An element's members as an object, if it has any.
    fn object(&mut self, id: NodeId) -> Option<Object> {
        let reference = match self.tree.leaf(id) {
            Leaf::Reference(resource) => {
                self.references.get(*resource as usize).and_then(Option::as_deref)
            }
            _ => None,
        };
        let children = self.tree.children(id).count();
        if reference.is_none() && children == 0 {
            return None;
        }
        let mut object = Object::with_capacity(children + usize::from(reference.is_some()));
        if let Some(reference) = reference {
            object.push_known("reference", Value::string(reference));
        }
        self.members(id, &mut object);
        (!object.is_empty()).then_some(object)
    }

    fn primitive(&mut self, id: NodeId) -> Option<Value> {
        match self.tree.take_leaf(id) {
            Leaf::Text(text) => Some(Value::String(Cow::into_owned(text))),
            Leaf::Number(digits) => Number::new(&digits).map(Value::Number),
            Leaf::Bool(value) => Some(Value::Bool(value)),
            Leaf::None | Leaf::Reference(_) => None,
        }
    }
}

/// Sets a member that none has the name of but perhaps one of the first `before`.
#[inline]
fn put(object: &mut Object, before: usize, name: &'static str, value: Value) {
    if before > 0 && object.iter().take(before).any(|(own, _)| own == name) {
        object.set_known(name, value);
    } else {
        object.push_known(name, value);
    }
}

/// The member that carries a primitive's extensions (R4 §2.6.2.3).
fn sibling(name: &str) -> String {
    format!("_{name}")
}
