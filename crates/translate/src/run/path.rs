//! Paths: the elements and resources that rules write to, made on the way.

use pipehat_resource::definitions::TypeDefinition;

use super::Run;
use super::rule::Base;
use super::tree::{Child, Leaf, NONE, NodeId};
use crate::finding::FindingKind;
use crate::plan::{DatatypeMap, Link, NO_CHOICE, SegmentMap, Step};

/// What a path led to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    pub(super) node: NodeId,
    pub(super) resource: u32,
    /// A resource between the base's and this one: a role between a request and its practitioner.
    pub(super) between: Option<u32>,
    /// Its parent; of a resource, the element that refers to it.
    pub(super) above: NodeId,
    pub(super) last: Option<Child>,
}

/// Where the values of a further segment go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Apart {
    pub(super) node: NodeId,
    /// With list entries of its own, too: it tells of another event.
    pub(super) is_whole: bool,
}

/// What a further segment says of what one before it told by the same map.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToldAgain<'a> {
    pub(super) map: &'a SegmentMap,
    pub(super) stands: NodeId,
    /// The segment that told it.
    pub(super) first: usize,
    pub(super) again: NodeId,
    pub(super) segment: usize,
}

impl<'a> Run<'a> {
    /// The base of `[2].use`: another instance of the element, or of the resource.
    pub(super) fn another(
        &mut self,
        number: u16,
        reached: Reached,
        made: &mut Vec<(u16, u32)>,
        segment: usize,
    ) -> Base {
        let is_resource = self
            .resources
            .get(reached.resource as usize)
            .is_some_and(|own| own.root == reached.node);
        if is_resource {
            let known = made.iter().find(|(own, _)| *own == number).map(|(_, resource)| *resource);
            let definition =
                self.resources.get(reached.resource as usize).map(|own| own.definition);
            let resource = match (known, definition) {
                (Some(resource), _) => resource,
                (None, Some(definition)) => {
                    let resource = self.resource(definition, segment, false);
                    made.push((number, resource));
                    resource
                }
                (None, None) => reached.resource,
            };
            return Base { node: self.root(resource), resource, scope: 0, repetition: 0 };
        }
        let node = match reached.last {
            Some(last) => {
                let label = last.label ^ (u64::from(number) << 48);
                self.tree.child(reached.above, Child { label, ..last })
            }
            None => reached.node,
        };
        Base { node, resource: reached.resource, scope: 0, repetition: 0 }
    }

    /// Puts the resources that one value made together: the first is what is referred to, each is part of the next.
    pub(super) fn link(
        &mut self,
        map: &'a DatatypeMap,
        reached: Reached,
        made: &mut [(u16, u32)],
        links: &[Link],
    ) {
        made.sort_unstable();
        let exists = |number: u16| made.iter().find(|(own, _)| *own == number).map(|(_, own)| *own);
        for link in links {
            let Some(from) = exists(link.from) else { continue };
            let mut to = link.to;
            for _ in 0..=map.links.len() {
                if let Some(target) = exists(to) {
                    if target != from {
                        let child = Child {
                            name: link.name,
                            is_list: false,
                            is_primitive: false,
                            definition: link.definition,
                            choice: NO_CHOICE,
                            label: 0,
                        };
                        let root = self.root(from);
                        let node = self.tree.child(root, child);
                        self.tree.set_leaf(node, Leaf::Reference(target));
                    }
                    break;
                }
                match map.links.iter().find(|own| own.from == to && own.to != to) {
                    Some(next) => to = next.to,
                    None => break,
                }
            }
        }
        // The placeholder gives its place to the most specific one.
        let Some((_, first)) = made.first().copied() else { return };
        let placeholder = reached.node;
        let root = self.root(first);
        self.tree.merge_lists(root, placeholder);
        if let Some(own) = self.resources.get_mut(reached.resource as usize) {
            own.is_dropped = true;
        }
        self.tree.set_leaf(reached.above, Leaf::Reference(first));
    }

    /// Goes along the path of a rule. What a further segment says where another was told by the same map goes apart, but for
    /// list instances of its own.
    pub(super) fn reach_own(&mut self, path: &'a [Step], base: Base, segment: usize) -> Reached {
        let is_own =
            |step: &Step| matches!(step, Step::Child { is_list: true, takes_repetition: true, .. });
        let node = match self.apart {
            Some(apart) if base.scope > 0 && (apart.is_whole || !path.iter().any(is_own)) => {
                apart.node
            }
            _ => base.node,
        };
        self.reach(path, Base { node, ..base }, segment)
    }

    /// Goes along a path, making elements and resources.
    pub(super) fn reach(&mut self, path: &'a [Step], base: Base, segment: usize) -> Reached {
        let mut reached = Reached {
            node: base.node,
            resource: base.resource,
            between: None,
            above: NONE,
            last: None,
        };
        for step in path {
            match *step {
                Step::Child {
                    name,
                    is_list,
                    is_primitive,
                    definition,
                    choice,
                    instance,
                    takes_repetition,
                    ..
                } => {
                    let (scope, repetition) = match takes_repetition {
                        true => (base.scope, base.repetition),
                        false => (0, 0),
                    };
                    let label =
                        u64::from(scope) << 32 | u64::from(instance) << 16 | u64::from(repetition);
                    let child = Child { name, is_list, is_primitive, definition, choice, label };
                    reached.above = reached.node;
                    reached.node = self.tree.child(reached.node, child);
                    reached.last = Some(child);
                }
                Step::Resource(definition) => {
                    let known = match self.tree.leaf(reached.node) {
                        Leaf::Reference(resource) => Some(*resource),
                        _ => None,
                    };
                    let is_same = known.is_none_or(|known| {
                        self.resources
                            .get(known as usize)
                            .is_some_and(|own| own.definition == definition)
                    });
                    if !is_same {
                        // Another row refers to another type here: a reference beside it, if there is room.
                        self.beside(&mut reached, definition);
                    }
                    let resource = match self.tree.leaf(reached.node) {
                        Leaf::Reference(resource) => *resource,
                        _ => {
                            let resource = self.resource(definition, segment, false);
                            self.tree.set_leaf(reached.node, Leaf::Reference(resource));
                            resource
                        }
                    };
                    if reached.resource != base.resource {
                        reached.between = Some(reached.resource);
                    }
                    reached.above = reached.node;
                    reached.node = self.root(resource);
                    reached.resource = resource;
                    reached.last = None;
                }
            }
        }
        reached
    }

    /// Tells what several segments tell by one map, and not the same.
    pub(super) fn find_told_again(&mut self) {
        for ToldAgain { stands, again, segment, .. } in std::mem::take(&mut self.told_again) {
            let mut differing = Vec::new();
            self.differing(stands, again, "", &mut differing);
            for path in differing {
                let text = format!(
                    "`{path}` is told by another segment before: what that one says counts, as a whole"
                );
                self.find_at(FindingKind::ValueUnfit, Self::segment_at(segment), text);
            }
        }
    }

    /// The elements of one that another does not say; of groups, those within.
    pub(super) fn differing(
        &self,
        stands: NodeId,
        again: NodeId,
        above: &str,
        differing: &mut Vec<String>,
    ) {
        for own in self.tree.children(again) {
            let Some(node) = self.tree.node(own).filter(|_| !self.tree.is_empty(own)) else {
                continue;
            };
            if self.tree.children(stands).any(|one| self.tree.says_all_of(one, own)) {
                continue;
            }
            let path = format!("{above}{}", self.plan.names.text(node.name));
            match self.tree.find(stands, node.name) {
                Some(group) if node.definition.is_a("BackboneElement") => {
                    self.differing(group, own, &format!("{path}."), differing);
                }
                _ => differing.push(path),
            }
        }
    }

    fn beside(&mut self, reached: &mut Reached, definition: &'static TypeDefinition) {
        let name: u64 = definition.name().bytes().map(u64::from).sum();
        match reached.last {
            Some(last) if last.is_list => {
                let label = last.label ^ (name << 48);
                reached.node = self.tree.child(reached.above, Child { label, ..last });
            }
            // There is none: what is written goes with a node that nothing holds.
            Some(_) | None => {
                self.has_removed = true;
                reached.node = self.tree.root(definition);
            }
        }
    }

    /// Goes along a path of a message map.
    pub(super) fn path(&mut self, path: &'a [Step], base: Base, segment: usize) -> (NodeId, u32) {
        let reached = self.reach(path, base, segment);
        (reached.node, reached.resource)
    }
}
