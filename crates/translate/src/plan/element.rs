//! Targets against R4's definitions.

use pipehat_resource::definitions::{Element, TypeDefinition, TypeKind};

use super::{NameId, Names, Step};
use crate::target::{Instance, TargetStep};

/// A label of an `[each]` instance: no table numbers so far.
pub(super) const EACH: u16 = u16::MAX;

/// Of an element that is no choice.
pub(crate) const NO_CHOICE: NameId = NameId::MAX;

/// A path that leads somewhere.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) steps: Vec<Step>,
    /// The type at its end.
    pub(super) end: &'static TypeDefinition,
    /// The element at its end, and the type that has it.
    pub(super) element: Option<(&'static Element, &'static TypeDefinition)>,
    pub(super) has_each: bool,
    pub(super) repeats: bool,
}

/// Finds the elements of a path in a type.
pub(super) fn resolve(
    names: &mut Names,
    root: &'static TypeDefinition,
    steps: &[TargetStep],
) -> Result<Resolved, String> {
    let mut resolved =
        Resolved { steps: Vec::new(), end: root, element: None, has_each: false, repeats: false };
    for (at, step) in steps.iter().enumerate() {
        match step {
            TargetStep::Element(name, instance) => {
                // `Quantity.code` in a map for Quantity.
                if at == 0 && **name == *root.name() {
                    continue;
                }
                resolved.element(names, name, *instance)?;
            }
            TargetStep::Resource(name, _) => {
                let own = TypeDefinition::named(name).ok_or_else(|| format!("no type {name}"))?;
                resolved.resource(own)?;
            }
            TargetStep::Another(_) => return Err("an instance without an element".into()),
        }
    }
    Ok(resolved)
}

impl Resolved {
    fn element(&mut self, names: &mut Names, name: &str, instance: Instance) -> Result<(), String> {
        let owner = self.end;
        let member =
            owner.member(name).ok_or_else(|| format!("{} has no element {name}", owner.name()))?;
        let element = member.element;
        let is_list = element.is_list();
        let number = match instance {
            Instance::Plain => 0,
            Instance::Numbered(number) | Instance::Shared(number) => number,
            Instance::Each => EACH,
            Instance::Range(..) => return Err("a range of instances".into()),
        };
        if !is_list && number > 1 && number != EACH {
            return Err(format!("{}.{name} is no list", owner.name()));
        }
        let json = if element.is_choice() { member.element_type.member() } else { element.name() };
        self.has_each |= number == EACH && is_list;
        // A shared instance is one for the whole resource: what repeats makes instances in it.
        let is_shared = matches!(instance, Instance::Shared(_));
        self.steps.push(Step::Child {
            name: names.id(json),
            is_list,
            is_primitive: member.element_type.definition().primitive().is_some(),
            definition: member.element_type.definition(),
            choice: if element.is_choice() { names.id(element.name()) } else { NO_CHOICE },
            instance: if is_list { number } else { 0 },
            takes_repetition: is_list && !is_shared && !self.repeats,
        });
        self.repeats |= is_list && !is_shared;
        self.end = member.element_type.definition();
        self.element = Some((element, owner));
        Ok(())
    }

    /// Goes on in the resource that the element refers to.
    pub(super) fn resource(&mut self, own: &'static TypeDefinition) -> Result<(), String> {
        // `note(Annotation.text)`: no resource, the element itself.
        if own == self.end {
            return Ok(());
        }
        if own.kind() != TypeKind::Resource {
            return Err(format!("{} is no resource", own.name()));
        }
        if self.end.name() != "Reference" {
            return Err(format!("a resource where {} stands", self.end.name()));
        }
        let mut targets = self.element.into_iter().flat_map(|(element, _)| element.targets());
        let is_free = self.element.is_some_and(|(element, _)| element.targets().next().is_none());
        if !is_free && !targets.any(|target| target == own.name() || target == "Resource") {
            return Err(format!("a reference that may not lead to {}", own.name()));
        }
        self.steps.push(Step::Resource(own));
        self.end = own;
        self.element = None;
        Ok(())
    }
}
