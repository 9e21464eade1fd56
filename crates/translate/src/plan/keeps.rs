//! What messages do not speak of: `tables/keeps.tsv`; and whose the resources are that they tell of.

use std::collections::HashMap;

use pipehat_resource::definitions::{TypeDefinition, resource_types};
use pipehat_resource::json::Value;
use pipehat_resource::kept::{At, Follows, Items, Keeps, Others};

use super::Test;
use super::compile::Compiler;
use crate::condition::{Name, parse_condition};
use crate::identity::{KeyElement, keys_of};

const TABLE: &str = include_str!("../../tables/keeps.tsv");

/// One row.
#[derive(Debug)]
pub(crate) struct Keep {
    /// Message codes and trigger events; none: all of the code.
    messages: Vec<(&'static str, Option<&'static str>)>,
    pub(crate) resource: &'static TypeDefinition,
    /// An element that has to have a value in what the message makes, or none, or `unknown`: a primitive, or the content of a
    /// document.
    pub(crate) told: Option<(&'static str, Is)>,
    /// Fields of which any has a value in the message, or none is asked for.
    pub(crate) any: Vec<(Name, u16)>,
    pub(crate) condition: Option<Test>,
    /// Of a list fields that have their items go where they are not told: `""`.
    pub(crate) gone: Vec<(Name, u16, &'static str)>,
    what: What,
}

/// What an element is in what a message makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    Told,
    Absent,
    /// The code `unknown`.
    Unknown,
}

/// What else than the elements that are made counts as told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToldBy {
    /// Fields that have a value, or are `""`.
    Fields,
    Nothing,
}

#[derive(Debug)]
enum What {
    Element(&'static str),
    /// All that is not told, of the resource (`*`) or within an element.
    Rest(&'static str, ToldBy),
    /// The element goes, where it is not told.
    Goes(&'static str),
    Items(Items),
    Follows(Follows),
}

impl Keep {
    /// Whether the row is about messages of this code and event.
    pub(crate) fn is_of(&self, code: &str, event: &str) -> bool {
        self.messages
            .iter()
            .any(|(own, only)| *own == code && only.is_none_or(|only| only == event))
    }

    /// The message codes that it is about.
    pub(super) fn codes(&self) -> impl Iterator<Item = &'static str> {
        self.messages.iter().map(|(code, _)| *code)
    }

    /// The list that it is about.
    pub(crate) fn list(&self) -> Option<&str> {
        match &self.what {
            What::Items(items) => Some(&items.element),
            _ => None,
        }
    }

    /// `*` or `hospitalization.*`, where it is about all that is not told by fields.
    pub(crate) fn rest(&self) -> Option<&'static str> {
        match self.what {
            What::Rest(rest, ToldBy::Fields) => Some(rest),
            _ => None,
        }
    }

    /// Adds what it says.
    pub(crate) fn add(&self, keeps: &mut Keeps) {
        match &self.what {
            What::Element(element) | What::Rest(element, _) => keeps.keep(*element),
            What::Goes(element) => keeps.tell(*element),
            What::Items(items) => keeps.keep_items(items.clone()),
            What::Follows(follows) => keeps.follow(follows.clone()),
        }
    }
}

/// Whose the resources of a type are.
#[derive(Debug)]
pub(crate) struct Whose {
    pub(crate) resource: &'static str,
    /// The reference that says so: `subject`.
    pub(crate) element: &'static str,
    /// The mark of a request of which nothing else stays, made once.
    pub(crate) mark: Value,
}

/// The elements that say whose a resource is, the first that a type has. Lists (`Account.subject`: a family's) have room for more
/// than one, and who takes part in an appointment may change.
const WHOSE: [&str; 4] = ["subject", "patient", "beneficiary", "deliverTo"];

/// An instrument is lent to one patient after the other.
const LENT: &str = "Device";

/// Whose resources are, of all types that say so, by their names.
pub(super) fn whose() -> Vec<Whose> {
    let of = |definition: &'static TypeDefinition| {
        let resource = definition.name();
        let is_whose = |element: &&str| {
            definition.element(element).is_some_and(|(element, _)| {
                !element.is_list() && element.targets().any(|name| name == "Patient")
            })
        };
        let element = WHOSE.into_iter().find(is_whose).filter(|_| resource != LENT)?;
        // What is known by whose it is is another's where that is another.
        let keys = keys_of(resource);
        let is_of_key = |key: &Vec<KeyElement>| key.iter().any(|own| own.name == element);
        if !keys.is_empty() && keys.iter().all(is_of_key) {
            return None;
        }
        let mut keeps = Keeps::default();
        keeps.hold(element);
        Some(Whose { resource, element, mark: keeps.mark() })
    };
    let mut whose: Vec<Whose> = resource_types().filter_map(of).collect();
    whose.sort_unstable_by_key(|own| own.resource);
    whose
}

/// The list of messages in the table that take things from one patient to another.
const MOVES: &str = "= moves-on-purpose\t";

pub(super) fn moves() -> Vec<(&'static str, Option<&'static str>)> {
    let list = TABLE.lines().find_map(|line| line.strip_prefix(MOVES));
    list.map(messages).unwrap_or_default()
}

/// All rows; those that can't be read are told as problems.
pub(super) fn keeps(compiler: &Compiler<'_>) -> (Vec<Keep>, Vec<String>) {
    let mut lists = HashMap::new();
    let (mut keeps, mut problems) = (Vec::new(), Vec::new());
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        match *cells.as_slice() {
            [list, messages] if list.starts_with("= ") => {
                lists.insert(list.trim_start_matches("= "), messages);
            }
            [of, resources, element, condition, follows, _] => {
                for resource in resources.split(' ') {
                    let messages = messages(lists.get(of).copied().unwrap_or(of));
                    match keep(compiler, messages, [resource, element, condition, follows]) {
                        Some(keep) => keeps.push(keep),
                        None => problems.push(line.to_owned()),
                    }
                }
            }
            _ => problems.push(line.to_owned()),
        }
    }
    (keeps, problems)
}

fn messages(text: &'static str) -> Vec<(&'static str, Option<&'static str>)> {
    let read = |one: &'static str| match one.split_once('^') {
        Some((code, event)) => (code, Some(event)),
        None => (one, None),
    };
    text.split(' ').map(read).collect()
}

fn keep(
    compiler: &Compiler<'_>,
    messages: Vec<(&'static str, Option<&'static str>)>,
    [resource, element, condition, follows]: [&'static str; 4],
) -> Option<Keep> {
    let resource = TypeDefinition::named(resource)?;
    let is_element = |path: &str| {
        let mut own = Some(resource);
        path.split('.').all(|name| {
            own = own.and_then(|own| own.member(name)).map(|own| own.element_type.definition());
            own.is_some()
        })
    };
    let (any, condition) = any(condition)?;
    let (told, condition) = told(condition);
    if told.is_some_and(|(element, _)| !is_element(element)) {
        return None;
    }
    let condition = match condition {
        "" => None,
        condition => Some(compiler.test_anywhere(&parse_condition(condition)?)?),
    };
    let mut gone = Vec::new();
    let what = match follows {
        "" if element.ends_with('*') => What::Rest(element, ToldBy::Fields),
        "made" if element.ends_with('*') => What::Rest(element, ToldBy::Nothing),
        "" => What::Element(element),
        "goes" => What::Goes(element),
        items if items.starts_with("by ") => What::Items(items_of(element, items, &mut gone)?),
        follows => What::Follows(follow(element, follows)?),
    };
    let element = element.strip_suffix('*').map_or(element, |above| above.trim_end_matches('.'));
    (element.is_empty() || is_element(element)).then_some(Keep {
        messages,
        resource,
        told,
        any,
        condition,
        gone,
        what,
    })
}

/// The fields of `ANY AIS-2 AIP-2 AND …`, and what is asked besides.
fn any(condition: &'static str) -> Option<(Vec<(Name, u16)>, &'static str)> {
    let Some(rest) = condition.strip_prefix("ANY ") else { return Some((Vec::new(), condition)) };
    let (fields, rest) = rest.split_once(" AND ").unwrap_or((rest, ""));
    let fields: Option<Vec<_>> = fields.split(' ').map(field).collect();
    Some((fields?, rest))
}

/// `PID-3`
fn field(text: &str) -> Option<(Name, u16)> {
    let (segment, field) = text.split_once('-')?;
    Some((Name::parse(segment)?, field.parse().ok()?))
}

/// `by type.text=placer contact; by actor.reference; keeps period.end; others *; gone PV1-7=type.text=attender`
fn items_of(
    element: &str,
    text: &'static str,
    gone: &mut Vec<(Name, u16, &'static str)>,
) -> Option<Items> {
    let mut items = Items { element: element.into(), ..Items::default() };
    for part in text.split("; ") {
        match part.split_once(' ')? {
            ("by", place) => items.by.push(At::of(place)?),
            ("keeps", element) => items.keeps.push(element.into()),
            ("gone", own) => {
                let (own, key) = own.split_once('=')?;
                let (segment, field) = field(own)?;
                gone.push((segment, field, key));
            }
            ("others", "*") => items.others = Others::All,
            ("others", place) => items.others = Others::Which(At::of(place)?),
            _ => return None,
        }
    }
    Some(items)
}

/// The element, and what it has to be, of `status ABSENT AND SCH-25 VALUED`, and what is asked besides.
fn told(condition: &'static str) -> (Option<(&'static str, Is)>, &'static str) {
    let own = condition.split_once(' ').and_then(|(element, rest)| {
        let (word, rest) = rest.split_once(" AND ").unwrap_or((rest, ""));
        let is = match word {
            "TOLD" => Is::Told,
            "ABSENT" => Is::Absent,
            "UNKNOWN" => Is::Unknown,
            _ => return None,
        };
        Some((Some((element, is)), rest))
    });
    own.unwrap_or((None, condition))
}

/// `status: active planned: planned=planned in-progress=active`
fn follow(element: &str, text: &str) -> Option<Follows> {
    let mut parts = text.splitn(3, ": ");
    let (of, instead_of, codes) = (parts.next()?, parts.next()?, parts.next()?);
    let codes: Option<Vec<_>> = codes
        .split(' ')
        .map(|pair| pair.split_once('=').map(|(of, code)| (of.into(), code.into())))
        .collect();
    let instead_of = instead_of.split(' ').map(Box::from).collect();
    Some(Follows { element: element.into(), of: of.into(), instead_of, codes: codes? })
}

#[cfg(test)]
mod tests {
    use super::Keep;
    use crate::plan::Plan;

    #[test]
    fn every_row_is_read() {
        let plan = Plan::of_tables();
        assert!(!plan.keeps.is_empty());
        assert_eq!(plan.unread_keeps, [""; 0]);
    }

    #[test]
    fn whose_a_resource_is_is_known() {
        let plan = Plan::of_tables();
        let element = |name: &str| {
            let mut whose = plan.whose.iter();
            whose.find(|own| own.resource == name).map(|own| own.element)
        };
        let subject = [
            "DiagnosticReport",
            "Observation",
            "Specimen",
            "ServiceRequest",
            "MedicationRequest",
            "MedicationDispense",
            "MedicationAdministration",
            "Encounter",
            "DocumentReference",
            "Condition",
            "Procedure",
            "ChargeItem",
            "Goal",
        ];
        for name in subject {
            assert_eq!(element(name), Some("subject"), "{name}");
        }
        for name in ["Immunization", "AllergyIntolerance", "EpisodeOfCare", "NutritionOrder"] {
            assert_eq!(element(name), Some("patient"), "{name}");
        }
        assert_eq!(element("SupplyRequest"), Some("deliverTo"));
        let others = ["Patient", "Appointment", "Account", "Device", "Practitioner", "Provenance"];
        // Known by the patient.
        for name in others.into_iter().chain(["Coverage", "RelatedPerson", "CareTeam"]) {
            assert_eq!(element(name), None, "{name}");
        }
        assert!(plan.moves.contains(&("ADT", Some("A44"))) && plan.moves.contains(&("SIU", None)));
    }

    #[test]
    fn rows_are_of_the_messages_that_they_name() {
        let plan = Plan::of_tables();
        let is_patient = |keep: &&Keep| keep.resource.name() == "Patient";
        let of = |code, event| {
            plan.keeps.iter().filter(|keep| keep.is_of(code, event) && !is_patient(keep)).count()
        };
        assert_eq!(of("ADT", "A08"), of("BAR", "P05"));
        assert!(of("ADT", "A08") > 0 && of("MDM", "T03") > 0 && of("SIU", "S14") > 0);
        // Of a visit that begins the numbers of before stay, and nothing else.
        assert_eq!((of("ADT", "A01"), of("SIU", "S12"), of("DFT", "P03")), (1, 0, 0));
        assert!(of("ORM", "O01") > 0 && of("ORU", "R01") > 0);
    }
}
