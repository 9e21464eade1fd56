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

/// What belongs to other patients than those that the message is about. PID tells the patient of the first root; so what
/// else it was to be about may be another's too.
pub(super) fn of_others<'v>(resources: &'v Resources<'_>, roots: &[&'v Value]) -> Vec<LeftOut<'v>> {
    let mut own = roots.first().map_or_else(Vec::new, |root| told_of(resources, root));
    if own.is_empty() {
        return Vec::new();
    }
    let replaced: Vec<Who<'_>> = own.iter().flat_map(|who| replaced_by(resources, who)).collect();
    own.extend(replaced);
    own.extend(retired_for(resources, &own));
    let numbered = resources.iter().enumerate();
    let others = numbered.filter_map(|(resource, value)| {
        let (element, owners) = owners(value)?;
        let is_other = |owner: &Value| match who(resources, owner) {
            Some(who) => !own.iter().any(|known| known.is(&who)),
            None => has_other_number(value, owner, &own),
        };
        owners.iter().all(is_other).then(|| LeftOut {
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
    let owners = owners(root).map_or(&[][..], |(_, owners)| owners);
    owners.iter().chain(actors).filter_map(|reference| who(resources, reference)).collect()
}

/// Whose a resource is: one, or all who share an account.
fn owners(resource: &Value) -> Option<(&'static str, &[Value])> {
    OWNERS.iter().find_map(|name| {
        let owners = resource.items(name);
        (!owners.is_empty()).then_some((*name, owners))
    })
}

/// The records that a patient's stands for: what is said of them is said of the same person.
fn replaced_by<'r>(
    resources: &'r Resources<'_>,
    who_replaces: &Who<'r>,
) -> impl Iterator<Item = Who<'r>> {
    let links = match who_replaces {
        Who::Known(patient) => patient.items("link"),
        Who::Named(_) => &[],
    };
    let replaces = links.iter().filter(|link| link.text("type") == Some("replaces"));
    replaces.filter_map(|link| who(resources, link.get("other")?))
}

/// The records that say themselves that one of these stands for them, be it by way of another.
fn retired_for<'r>(resources: &'r Resources<'_>, own: &[Who<'r>]) -> Vec<Who<'r>> {
    let mut retired: Vec<Who<'r>> = Vec::new();
    let mut rest: Vec<&Value> = resources.of_type("Patient").collect();
    loop {
        let before = rest.len();
        rest.retain(|patient| {
            let links = patient.items("link").iter();
            let mut others = links
                .filter(|link| link.text("type") == Some("replaced-by"))
                .filter_map(|link| who(resources, link.get("other")?));
            let is_own =
                others.any(|other| own.iter().chain(retired.iter()).any(|known| known.is(&other)));
            if is_own {
                retired.push(Who::Known(patient));
            }
            !is_own
        });
        if rest.len() == before {
            return retired;
        }
    }
}

/// Nothing where it names no patient.
fn who<'r>(resources: &'r Resources<'_>, reference: &'r Value) -> Option<Who<'r>> {
    let text = reference.text("reference")?;
    let text = text.split_once("/_history/").map_or(text, |(it, _)| it);
    if let Some(known) = resources.find(text) {
        return (known.resource_type() == Some("Patient")).then_some(Who::Known(known));
    }
    let tail = text.rfind("Patient/").map_or(text, |at| text.get(at..).unwrap_or(text));
    if !tail.starts_with("Patient/") {
        return None;
    }
    // A server's address before it tells nothing of who it is here, unless this one is known to be at another.
    if tail != text && resources.is_elsewhere(tail) {
        return Some(Who::Named(text));
    }
    Some(resources.find(tail).map_or(Who::Named(tail), Who::Known))
}

/// Whether a reference by a number alone, or to a patient within the resource, names none of these patients, whose numbers
/// are all known.
fn has_other_number(resource: &Value, reference: &Value, own: &[Who<'_>]) -> bool {
    let within = reference.text("reference").and_then(|text| text.strip_prefix('#'));
    let within =
        resource.items("contained").iter().find(|it| within.is_some() && it.id() == within);
    let numbers = match within.filter(|it| it.resource_type() == Some("Patient")) {
        Some(patient) => patient.items("identifier"),
        None => reference.items("identifier"),
    };
    let mut numbers = numbers.iter().filter(|number| number.text("value").is_some()).peekable();
    if numbers.peek().is_none() {
        return false;
    }
    numbers.all(|number| {
        own.iter().all(|who| match who {
            Who::Named(_) => false,
            Who::Known(patient) => !patient.items("identifier").iter().any(|own| {
                let systems = (own.text("system"), number.text("system"));
                own.text("value") == number.text("value")
                    && (systems.0 == systems.1 || systems.0.is_none() || systems.1.is_none())
            }),
        })
    })
}
