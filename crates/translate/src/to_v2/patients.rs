//! Whose the resources are: what is another patient's stands in no message about this one.

use pipehat_resource::json::Value;

use super::modifiers::LeftOut;
use super::resources::Resources;

/// The elements that say whose a resource is.
const OWNERS: [&str; 3] = ["subject", "patient", "beneficiary"];

/// Who a reference names, as far as it can be told.
#[derive(Debug)]
enum Who<'r> {
    /// A patient that is there.
    Known(&'r Value),
    /// One that isn't, by type and id.
    Named(&'r str),
}

impl Who<'_> {
    fn is(&self, other: &Who<'_>) -> bool {
        match (self, other) {
            (Self::Known(one), Who::Known(other)) => std::ptr::eq(*one, *other),
            (Self::Named(one), Who::Named(other)) => one == other,
            _ => false,
        }
    }
}

/// What belongs to other patients than those that the message is about.
pub(super) fn of_others<'v>(resources: &'v Resources<'_>, roots: &[&'v Value]) -> Vec<LeftOut<'v>> {
    let own = roots.iter().flat_map(|root| told_of(resources, root)).collect::<Vec<_>>();
    if own.is_empty() {
        return Vec::new();
    }
    let numbered = resources.iter().enumerate();
    let others = numbered.filter_map(|(resource, value)| {
        let (element, owner) = owner(value)?;
        let is_other = match who(resources, owner) {
            Some(who) => !own.iter().any(|known| known.is(&who)),
            None => has_other_number(owner, &own),
        };
        is_other.then(|| LeftOut {
            resource,
            steps: Vec::new(),
            text: format!("{element} is not the patient of the message: left out"),
        })
    });
    others.collect()
}

/// The patients that a root is about; of an appointment all who take part.
fn told_of<'r>(resources: &'r Resources<'_>, root: &'r Value) -> Vec<Who<'r>> {
    if root.resource_type() == Some("Patient") {
        return vec![Who::Known(root)];
    }
    let actors = root.items("participant").iter().filter_map(|own| own.get("actor"));
    let owner = owner(root).map(|(_, owner)| owner);
    owner.into_iter().chain(actors).filter_map(|reference| who(resources, reference)).collect()
}

fn owner(resource: &Value) -> Option<(&'static str, &Value)> {
    OWNERS.iter().find_map(|name| {
        let reference = resource.items(name).first()?;
        Some((*name, reference))
    })
}

/// Nothing where it names no patient.
fn who<'r>(resources: &'r Resources<'_>, reference: &'r Value) -> Option<Who<'r>> {
    let text = reference.text("reference")?;
    let text = text.split_once("/_history/").map_or(text, |(it, _)| it);
    // A server's address before it tells nothing of who it is here.
    let tail = text.rfind("Patient/").map_or(text, |at| text.get(at..).unwrap_or(text));
    match resources.find(text).or_else(|| resources.find(tail)) {
        Some(known) => (known.resource_type() == Some("Patient")).then_some(Who::Known(known)),
        None => tail.starts_with("Patient/").then_some(Who::Named(tail)),
    }
}

/// Whether a reference by a number alone names none of these patients, whose numbers are all known.
fn has_other_number(reference: &Value, own: &[Who<'_>]) -> bool {
    let Some(number) = reference.get("identifier") else { return false };
    let Some(value) = number.text("value") else { return false };
    own.iter().all(|who| match who {
        Who::Named(_) => false,
        Who::Known(patient) => !patient.items("identifier").iter().any(|own| {
            let systems = (own.text("system"), number.text("system"));
            own.text("value") == Some(value)
                && (systems.0 == systems.1 || systems.0.is_none() || systems.1.is_none())
        }),
    })
}
