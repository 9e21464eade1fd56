//! Where in a resource an element stands that FHIRPath found.

use super::apply::Work;
use super::error::PatchProblem;
use crate::definitions::TypeDefinition;
use crate::fhirpath::Item;
use crate::json::{Object, Value};

/// A member of an object in a resource, or one item of it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// What leads to the object.
    steps: Vec<Step>,
    /// The object's type.
    owner: Option<&'static TypeDefinition>,
    member: String,
    item: Option<usize>,
}

#[derive(Debug, Clone)]
enum Step {
    Member(String),
    Item(usize),
}

impl Place {
    /// The place of an element, found by its identity.
    pub(super) fn of(root: &Value, item: &Item<'_>, work: &mut Work) -> Result<Self, PatchProblem> {
        let target = item.json().or(item.sibling()).ok_or(PatchProblem::NotInResource)?;
        if std::ptr::eq(root, target) {
            return Err(PatchProblem::WholeRemoved);
        }
        let mut seeker = Seeker { target, steps: Vec::new(), work };
        seeker.seek(root, type_of(root))?.ok_or(PatchProblem::NotInResource)
    }

    /// The place inside an element that is an object; of no member yet.
    pub(super) fn of_object(
        root: &Value,
        item: &Item<'_>,
        work: &mut Work,
    ) -> Result<Self, PatchProblem> {
        let target = item.json().ok_or(PatchProblem::NotInResource)?;
        if target.as_object().is_none() {
            return Err(PatchProblem::UnknownOwner);
        }
        if std::ptr::eq(root, target) {
            let (owner, member) = (type_of(root), String::new());
            return Ok(Self { steps: Vec::new(), owner, member, item: None });
        }
        let place = Self::of(root, item, work)?;
        let owner = item.type_name().and_then(TypeDefinition::named);
        let mut steps = place.steps;
        steps.push(Step::Member(place.member));
        steps.extend(place.item.map(Step::Item));
        Ok(Self { steps, owner, member: String::new(), item: None })
    }

    /// The type of the object it is in.
    pub(super) fn type_(&self) -> Option<&'static TypeDefinition> {
        self.owner
    }

    /// The type of the member.
    pub(super) fn member_type(&self) -> Option<&'static TypeDefinition> {
        Some(self.owner?.member(&self.member)?.element_type.definition())
    }

    /// The name of the member.
    pub(super) fn member(&self) -> &str {
        &self.member
    }

    /// Which item of the member, where it is a list.
    pub(super) fn item(&self) -> Option<usize> {
        self.item
    }

    /// How deep it stands.
    pub(super) fn depth(&self) -> usize {
        self.steps.len() + 2
    }

    /// The object it is in.
    pub(super) fn object_mut<'v>(
        &self,
        root: &'v mut Value,
    ) -> Result<&'v mut Object, PatchProblem> {
        let mut value = root;
        for step in &self.steps {
            value = match (step, value) {
                (Step::Member(name), Value::Object(object)) => object.get_mut(name),
                (Step::Item(position), Value::Array(items)) => items.get_mut(*position),
                _ => None,
            }
            .ok_or(PatchProblem::NotInResource)?;
        }
        value.as_object_mut().ok_or(PatchProblem::NotInResource)
    }

    fn list<'v>(&self, root: &'v Value) -> Option<(&'v [Value], &'v [Value])> {
        let mut value = root;
        for step in &self.steps {
            value = match step {
                Step::Member(name) => value.get(name)?,
                Step::Item(position) => value.as_array()?.get(*position)?,
            };
        }
        Some((value.items(&self.member), value.items(&format!("_{}", self.member))))
    }

    /// How many items the list has.
    pub(super) fn list_length(&self, root: &Value) -> usize {
        self.list(root).map_or(0, |(items, siblings)| items.len().max(siblings.len()))
    }

    /// Whether an element is the item of the list at a position.
    pub(super) fn is_item(&self, root: &Value, item: &Item<'_>, position: usize) -> bool {
        let is = |own: Option<&Value>, other: Option<&Value>| {
            own.zip(other).is_some_and(|(own, other)| std::ptr::eq(own, other))
        };
        self.list(root).is_some_and(|(items, siblings)| {
            is(items.get(position), item.json()) || is(siblings.get(position), item.sibling())
        })
    }
}

fn type_of(resource: &Value) -> Option<&'static TypeDefinition> {
    resource.resource_type().and_then(TypeDefinition::named)
}

struct Seeker<'t, 'w> {
    target: &'t Value,
    steps: Vec<Step>,
    work: &'w mut Work,
}

impl Seeker<'_, '_> {
    fn seek(
        &mut self,
        value: &Value,
        owner: Option<&'static TypeDefinition>,
    ) -> Result<Option<Place>, PatchProblem> {
        let Value::Object(object) = value else { return Ok(None) };
        for (name, value) in object.iter() {
            self.work.spend(1)?;
            if std::ptr::eq(value, self.target) {
                return Ok(Some(self.found(owner, name, None)));
            }
            let type_ = owner.and_then(|owner| owner.member(name));
            let type_ = type_.map(|member| member.element_type.definition());
            self.steps.push(Step::Member(name.to_owned()));
            for (position, item) in value.as_array().unwrap_or_default().iter().enumerate() {
                self.work.spend(1)?;
                if std::ptr::eq(item, self.target) {
                    self.steps.pop();
                    return Ok(Some(self.found(owner, name, Some(position))));
                }
                self.steps.push(Step::Item(position));
                if let Some(place) = self.seek(item, type_of(item).or(type_))? {
                    return Ok(Some(place));
                }
                self.steps.pop();
            }
            if let Some(place) = self.seek(value, type_of(value).or(type_))? {
                return Ok(Some(place));
            }
            self.steps.pop();
        }
        Ok(None)
    }

    fn found(
        &self,
        owner: Option<&'static TypeDefinition>,
        name: &str,
        item: Option<usize>,
    ) -> Place {
        let member = name.strip_prefix('_').unwrap_or(name).to_owned();
        Place { steps: self.steps.clone(), owner, member, item }
    }
}
