//! Resources while they are made: elements with labels, in one arena.

use std::borrow::Cow;

use pipehat_resource::definitions::TypeDefinition;

use crate::plan::{NO_CHOICE, NameId};
use crate::value::is_same_instant;

/// An element's place in the arena.
pub(crate) type NodeId = u32;
/// No element.
pub(crate) const NONE: NodeId = NodeId::MAX;

/// What an element holds itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leaf<'a> {
    None,
    Text(Cow<'a, str>),
    Number(Cow<'a, str>),
    Bool(bool),
    /// A resource of the Bundle, by its index.
    Reference(u32),
}

/// An element. Without its value, it is copied into the arena at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) name: NameId,
    pub(crate) is_list: bool,
    pub(crate) is_primitive: bool,
    pub(crate) definition: &'static TypeDefinition,
    pub(crate) choice: NameId,
    /// Which of a list's instances it is.
    pub(crate) label: u64,
    first: NodeId,
    last: NodeId,
    next: NodeId,
}

/// What a child of an element is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Child {
    pub(crate) name: NameId,
    pub(crate) is_list: bool,
    pub(crate) is_primitive: bool,
    pub(crate) definition: &'static TypeDefinition,
    pub(crate) choice: NameId,
    pub(crate) label: u64,
}

/// The elements of all resources of a translation.
#[derive(Debug, Default)]
pub(crate) struct Tree<'a> {
    nodes: Vec<Node>,
    /// Their values by the same numbers, with room for more.
    leaves: Vec<Leaf<'a>>,
}

impl<'a> Tree<'a> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let mut tree = Self { nodes: Vec::with_capacity(capacity), leaves: Vec::new() };
        tree.make_room(capacity);
        tree
    }

    /// A resource's root.
    pub(crate) fn root(&mut self, definition: &'static TypeDefinition) -> NodeId {
        self.add(Child {
            name: 0,
            is_list: false,
            is_primitive: false,
            definition,
            choice: NO_CHOICE,
            label: 0,
        })
    }

    #[cold]
    fn make_room(&mut self, count: usize) {
        self.leaves.resize_with(count, || Leaf::None);
    }

    #[inline]
    fn add(&mut self, child: Child) -> NodeId {
        let Child { name, is_list, is_primitive, definition, choice, label } = child;
        let node = Node {
            name,
            is_list,
            is_primitive,
            definition,
            choice,
            label,
            first: NONE,
            last: NONE,
            next: NONE,
        };
        self.nodes.push(node);
        if self.leaves.len() < self.nodes.len() {
            self.make_room(self.nodes.len() * 2);
        }
        // Limits of `message` keep elements far below this.
        NodeId::try_from(self.nodes.len() - 1).unwrap_or(NONE)
    }

    /// How many elements there are, with those that were taken out.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    pub(crate) fn leaf(&self, id: NodeId) -> &Leaf<'a> {
        self.leaves.get(id as usize).unwrap_or(&Leaf::None)
    }

    pub(crate) fn set_leaf(&mut self, id: NodeId, leaf: Leaf<'a>) {
        if let Some(own) = self.leaves.get_mut(id as usize) {
            *own = leaf;
        }
    }

    pub(crate) fn leaf_mut(&mut self, id: NodeId) -> Option<&mut Leaf<'a>> {
        self.leaves.get_mut(id as usize)
    }

    /// The children in their order.
    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let mut next = self.node(id).map_or(NONE, |node| node.first);
        std::iter::from_fn(move || {
            let own = next;
            next = self.node(own)?.next;
            Some(own)
        })
    }

    pub(crate) fn first_child(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).map(|node| node.first).filter(|first| *first != NONE)
    }

    pub(crate) fn next_sibling(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).map(|node| node.next).filter(|next| *next != NONE)
    }

    /// The first child of a name.
    pub(crate) fn find(&self, id: NodeId, name: NameId) -> Option<NodeId> {
        let mut at = self.node(id)?.first;
        while let Some(node) = self.node(at) {
            if node.name == name {
                return Some(at);
            }
            at = node.next;
        }
        None
    }

    /// How many of a name there are from one child on.
    pub(crate) fn count_from(&self, first: NodeId, name: NameId) -> usize {
        let mut count = 0;
        let mut at = first;
        while let Some(node) = self.node(at) {
            count += usize::from(node.name == name);
            at = node.next;
        }
        count
    }

    /// Whether no sibling from `first` to `child` has the name of `child`.
    pub(crate) fn is_first_named(&self, first: NodeId, child: NodeId) -> bool {
        let name = self.node(child).map(|node| node.name);
        let mut at = first;
        while at != child {
            let Some(node) = self.node(at) else { break };
            if Some(node.name) == name {
                return false;
            }
            at = node.next;
        }
        true
    }

    /// The child with this name and label, made where there is none.
    #[inline]
    pub(crate) fn child(&mut self, parent: NodeId, child: Child) -> NodeId {
        let mut at = self.node(parent).map_or(NONE, |node| node.first);
        while let Some(node) = self.node(at) {
            if node.name == child.name && (!child.is_list || node.label == child.label) {
                return at;
            }
            at = node.next;
        }
        self.append(parent, child)
    }

    /// A new child.
    #[inline]
    pub(crate) fn append(&mut self, parent: NodeId, child: Child) -> NodeId {
        let id = self.add(child);
        self.link(parent, id);
        id
    }

    /// Makes an element that was taken out the last child of another.
    pub(crate) fn adopt(&mut self, parent: NodeId, child: NodeId) {
        if let Some(node) = self.nodes.get_mut(child as usize) {
            node.next = NONE;
        }
        self.link(parent, child);
    }

    /// Puts an element behind the last child of another.
    #[inline]
    fn link(&mut self, parent: NodeId, child: NodeId) {
        let last = self.node(parent).map_or(NONE, |node| node.last);
        if let Some(before) = self.nodes.get_mut(last as usize) {
            before.next = child;
        }
        if let Some(node) = self.nodes.get_mut(parent as usize) {
            node.last = child;
            if node.first == NONE {
                node.first = child;
            }
        }
    }

    /// Copies an element with all that is in it into another; what it came from is the same.
    pub(crate) fn copy(&mut self, parent: NodeId, from: NodeId) -> Vec<(NodeId, NodeId)> {
        let mut copied = Vec::new();
        let mut open = vec![(parent, from)];
        while let Some((parent, from)) = open.pop() {
            let Some(Node { name, is_list, is_primitive, definition, choice, label, .. }) =
                self.node(from).copied()
            else {
                continue;
            };
            let child = Child { name, is_list, is_primitive, definition, choice, label };
            let own = self.append(parent, child);
            self.set_leaf(own, self.leaf(from).clone());
            copied.push((from, own));
            let children: Vec<_> = self.children(from).collect();
            open.extend(children.into_iter().rev().map(|child| (own, child)));
        }
        copied
    }

    /// Takes a child out.
    pub(crate) fn remove(&mut self, parent: NodeId, child: NodeId) {
        let children: Vec<_> = self.children(parent).filter(|own| *own != child).collect();
        self.set_children(parent, &children);
    }

    fn set_children(&mut self, parent: NodeId, children: &[NodeId]) {
        for (at, id) in children.iter().enumerate() {
            let next = children.get(at + 1).copied().unwrap_or(NONE);
            if let Some(node) = self.nodes.get_mut(*id as usize) {
                node.next = next;
            }
        }
        if let Some(node) = self.nodes.get_mut(parent as usize) {
            node.first = children.first().copied().unwrap_or(NONE);
            node.last = children.last().copied().unwrap_or(NONE);
        }
    }

    /// Moves the children of one element behind those of another, without those of names it has already.
    pub(crate) fn merge(&mut self, into: NodeId, from: NodeId) {
        self.move_into(into, from, false);
    }

    /// The same, but for lists, which have room for both.
    pub(crate) fn merge_lists(&mut self, into: NodeId, from: NodeId) {
        self.move_into(into, from, true);
    }

    fn move_into(&mut self, into: NodeId, from: NodeId, with_lists: bool) {
        let mut children: Vec<_> = self.children(into).collect();
        let known: Vec<NameId> =
            children.iter().filter_map(|id| self.node(*id)).map(|node| node.name).collect();
        let new = self.children(from).filter(|id| {
            let is_new = |node: &Node| !known.contains(&node.name);
            self.node(*id).is_some_and(|node| with_lists && node.is_list || is_new(node))
        });
        children.extend(new);
        self.set_children(from, &[]);
        self.set_children(into, &children);
    }

    /// Takes over what another element says: elements of lists that are not there yet, and others that are not there at
    /// all. Whether something is said otherwise, and stays behind.
    pub(crate) fn unite(
        &mut self,
        into: NodeId,
        from: NodeId,
        is_one: &impl Fn(u32, u32) -> bool,
    ) -> bool {
        let mut differs = false;
        let mut children: Vec<_> = self.children(into).filter(|id| !self.is_empty(*id)).collect();
        let others: Vec<_> = self.children(from).filter(|id| !self.is_empty(*id)).collect();
        for other in others {
            let Some((name, is_list)) = self.node(other).map(|node| (node.name, node.is_list))
            else {
                continue;
            };
            let is_alike = |id: &NodeId| self.node(*id).is_some_and(|node| node.name == name);
            let alike: Vec<NodeId> = children.iter().copied().filter(is_alike).collect();
            if alike.iter().copied().any(|own| self.covers(own, other, is_one)) {
                continue;
            }
            // One that says the same and more takes the place.
            let shorter = alike.iter().copied().find(|own| self.covers(other, *own, is_one));
            if let Some(place) = children.iter_mut().find(|own| Some(**own) == shorter) {
                *place = other;
            } else if is_list || alike.is_empty() {
                children.push(other);
            } else {
                differs = true;
            }
        }
        self.set_children(from, &[]);
        self.set_children(into, &children);
        differs
    }

    /// Whether an element says all that another says; references are told apart by their resources' numbers.
    pub(crate) fn says_all_of(&self, one: NodeId, other: NodeId) -> bool {
        self.covers(one, other, &|left, right| left == right)
    }

    /// Whether an element says all that another says; `is_one` knows which resources are the same.
    fn covers(&self, one: NodeId, other: NodeId, is_one: &impl Fn(u32, u32) -> bool) -> bool {
        let (Some(own), Some(node)) = (self.node(one), self.node(other)) else { return false };
        let leaves = match (self.leaf(one), self.leaf(other)) {
            (Leaf::Reference(left), Leaf::Reference(right)) => is_one(*left, *right),
            (_, Leaf::None) => true,
            (Leaf::Text(left), Leaf::Text(right)) => left == right || is_same_instant(left, right),
            (left, right) => left == right,
        };
        own.name == node.name
            && leaves
            && self
                .children(other)
                .filter(|child| !self.is_empty(*child))
                .all(|child| self.children(one).any(|own| self.covers(own, child, is_one)))
    }

    /// Whether two elements say the same.
    pub(crate) fn says_the_same(
        &self,
        one: NodeId,
        other: NodeId,
        is_one: &impl Fn(u32, u32) -> bool,
    ) -> bool {
        self.covers(one, other, is_one) && self.covers(other, one, is_one)
    }

    /// Takes out elements of lists that say what one before them says; `is_one` knows which resources are the same.
    pub(crate) fn unite_same(&mut self, parent: NodeId, is_one: &impl Fn(u32, u32) -> bool) {
        let is_list = |id: &NodeId| self.node(*id).is_some_and(|node| node.is_list);
        if self.children(parent).filter(is_list).nth(1).is_none() {
            return;
        }
        let mut kept: Vec<NodeId> = Vec::new();
        for child in self.children(parent) {
            let is_again =
                is_list(&child) && kept.iter().any(|own| self.says_the_same(*own, child, is_one));
            if !is_again {
                kept.push(child);
            }
        }
        self.set_children(parent, &kept);
    }

    /// Whether nothing stands in an element.
    pub(crate) fn is_empty(&self, id: NodeId) -> bool {
        *self.leaf(id) == Leaf::None && self.children(id).all(|child| self.is_empty(child))
    }
}
