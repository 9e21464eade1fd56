//! Elements that can turn a resource into its opposite: `tables/to_v2/modifiers.tsv`.
//!
//! FHIR marks elements that change what the rest means (`isModifier`): a status `entered-in-error`, a `doNotPerform`, an
//! identifier of use `old`, a `modifierExtension`. Whoever doesn't understand one must not use what it belongs to (R4
//! §2.4.1). So each is decided by the table, code by code, before a message is made: it is said by a place that the
//! version has, or what it belongs to is left out and a finding says so.

use std::collections::HashMap;

use jiff::Timestamp;
use pipehat_dictionary::{Usage, Version};
use pipehat_message::SegmentName;
use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::fhirpath::{Context, Expression, Item};
use pipehat_resource::json::Value;

use super::codes::codings;
use super::resources::Resources;
use super::tables::lines;

/// What extensions are in that no rule here knows.
const UNKNOWN_RULE: &str = "a modifierExtension says something that isn't known here: left out";
const UNKNOWN_RULES: &str = "its implicitRules are not known here: left out";
/// Elements within elements, at most: a resource that is nested deeper was not read.
const DEPTH_MAX: usize = 100;

/// All decisions.
#[derive(Debug)]
pub(super) struct Modifiers {
    /// By what has the element: `Patient`, `Patient.link`, `Identifier`, `Practitioner.name`.
    by_owner: HashMap<Box<str>, Vec<Modifier>>,
    /// Elements within resources, and the codes that leave something out.
    inner: HashMap<Box<str>, Vec<Box<str>>>,
}

/// What some codes of an element mean for a message.
#[derive(Debug)]
pub(super) struct Modifier {
    pub(super) element: Box<str>,
    /// `*` is any.
    pub(super) codes: Vec<Box<str>>,
    pub(super) decision: Decision,
    pub(super) place: Option<Place>,
    text: Box<str>,
    /// What else must be true of the resource.
    pub(super) when: Option<Expression>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// It says no more than that there is what the resource tells.
    Plain,
    /// A place says it; where the version doesn't have that, what has it is left out.
    Said,
    /// What is written is true without it; a finding tells it.
    Note,
    /// What has it is left out, or the resource of this type that it stands in.
    Withhold(Option<Box<str>>),
    /// `events.tsv` says which messages it allows.
    Event,
    /// `messages.tsv` says where it is left out.
    Layout,
}

/// A field or a component.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) target: Box<str>,
    pub(super) position: usize,
}

/// Where in a resource something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'v> {
    Member(&'v str),
    Item(usize),
}

/// Something of a resource that stands in no message, or the resource itself where the path is empty.
#[derive(Debug)]
pub(super) struct LeftOut<'v> {
    pub(super) resource: usize,
    pub(super) steps: Vec<Step<'v>>,
    /// What has the element that says so: `status`.
    pub(super) text: String,
}

/// What the modifier elements of some resources mean.
#[derive(Debug, Default)]
pub(super) struct Judged<'v> {
    pub(super) left_out: Vec<LeftOut<'v>>,
    /// What says no more than the message: the resource, the element.
    pub(super) plain: Vec<(usize, &'static str)>,
    /// What is told as a finding: the resource, the element, what it says.
    pub(super) notes: Vec<(usize, &'static str, &'static str)>,
}

impl Modifiers {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut own = Self { by_owner: HashMap::new(), inner: HashMap::new() };
        for (number, line) in lines(text) {
            let row = read_row(line).map_err(|why| format!("modifiers.tsv:{number}: {why}"))?;
            let (owner, modifier) = row;
            let is_resource = TypeDefinition::named(owner).is_some_and(is_resource);
            if !is_resource && matches!(modifier.decision, Decision::Withhold(_)) {
                let codes = own.inner.entry(modifier.element.clone()).or_default();
                codes.extend(modifier.codes.iter().cloned());
            }
            own.by_owner.entry(owner.into()).or_default().push(modifier);
        }
        Ok(own)
    }

    /// All rows.
    #[cfg(test)]
    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, &Modifier)> {
        self.by_owner.iter().flat_map(|(owner, rows)| rows.iter().map(move |row| (&**owner, row)))
    }

    /// Judges resources, but for those that a message says to be replaced.
    pub(super) fn judge<'v>(
        &'static self,
        resources: &'v Resources<'_>,
        version: Version,
        is_replaced: &dyn Fn(&Value) -> bool,
    ) -> Judged<'v> {
        let mut judged = Judged::default();
        for (index, resource) in resources.iter().enumerate() {
            if is_replaced(resource) {
                continue;
            }
            let Some(name) = resource.resource_type() else { continue };
            let mut walk = Walk { own: self, version, index, steps: Vec::new(), out: &mut judged };
            if !walk.resource(resource, name) {
                continue;
            }
            if self.wants_a_look(resource)
                && let Some(type_) = TypeDefinition::named(name)
            {
                walk.inside(resource, type_);
            }
        }
        judged
    }

    /// Whether anything within a resource may leave something out: most have nothing of the kind.
    fn wants_a_look(&self, value: &Value) -> bool {
        match value {
            Value::Object(object) => object.iter().any(|(name, inner)| match inner {
                Value::String(text) => self
                    .inner
                    .get(name)
                    .is_some_and(|codes| codes.iter().any(|code| is_code(code, text))),
                Value::Object(_) | Value::Array(_) => {
                    matches!(name, "modifierExtension" | "contained") || self.wants_a_look(inner)
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => false,
            }),
            Value::Array(items) => items.iter().any(|item| self.wants_a_look(item)),
            _ => false,
        }
    }
}

/// One resource being judged.
struct Walk<'w, 'v> {
    own: &'static Modifiers,
    version: Version,
    index: usize,
    steps: Vec<Step<'v>>,
    out: &'w mut Judged<'v>,
}

impl<'v> Walk<'_, 'v> {
    /// The elements of a resource itself; whether it is kept.
    fn resource(&mut self, resource: &'v Value, name: &str) -> bool {
        if resource.get("implicitRules").is_some() {
            self.leave_out(UNKNOWN_RULES.to_owned(), 0);
            return false;
        }
        self.object(resource, name, None)
    }

    /// Whether an object is kept.
    fn object(&mut self, object: &'v Value, type_name: &str, via: Option<&str>) -> bool {
        if !object.items("modifierExtension").is_empty() {
            self.leave_out(UNKNOWN_RULE.to_owned(), 0);
            return false;
        }
        let rows = |owner: &str| self.own.by_owner.get(owner).map(Vec::as_slice);
        let special = via.filter(|via| *via != type_name).and_then(rows).unwrap_or_default();
        let general = rows(type_name).unwrap_or_default();
        let is_special = |row: &&Modifier| special.iter().all(|other| other.element != row.element);
        for row in special.iter().chain(general.iter().filter(is_special)) {
            let Some(value) = object.get(&row.element) else { continue };
            let Some(code) =
                codes(value).find(|code| row.codes.iter().any(|own| is_code(own, code)))
            else {
                continue;
            };
            if !row.holds(object) {
                continue;
            }
            match &row.decision {
                // Further in, rows say what they read, and what none does is told as such.
                Decision::Plain if self.steps.is_empty() => {
                    self.out.plain.push((self.index, &row.element));
                }
                Decision::Note if self.steps.is_empty() => {
                    self.out.notes.push((self.index, &row.element, &row.text));
                }
                Decision::Withhold(what) => {
                    let text = format!("{} `{code}`: {}: left out", row.element, row.text);
                    let outer = what.as_ref().map_or(0, |_| self.steps.len());
                    self.leave_out(text, outer);
                    return false;
                }
                Decision::Said if !row.place.as_ref().is_none_or(|it| it.is_in(self.version)) => {
                    let version = self.version;
                    let text = format!(
                        "{} `{code}`: {version} has no field that says so: left out",
                        row.element
                    );
                    self.leave_out(text, 0);
                    return false;
                }
                _ => {}
            }
        }
        true
    }

    /// What is in an object: its elements, and the resources it contains.
    fn inside(&mut self, object: &'v Value, type_: &'static TypeDefinition) {
        let Some(members) = object.as_object() else { return };
        for (name, inner) in members.iter() {
            if self.steps.len() > DEPTH_MAX || inner.as_str().is_some() {
                continue;
            }
            let Some((element, code)) = type_.element(name) else { continue };
            let via = format!("{}.{}", type_.name(), element.name());
            self.steps.push(Step::Member(name));
            match inner {
                Value::Array(items) => {
                    for (at, item) in items.iter().enumerate() {
                        self.steps.push(Step::Item(at));
                        self.inner(item, code, &via);
                        self.steps.pop();
                    }
                }
                inner => self.inner(inner, code, &via),
            }
            self.steps.pop();
        }
    }

    fn inner(&mut self, value: &'v Value, code: &str, via: &str) {
        if value.as_object().is_none() {
            return;
        }
        if let Some(name) = value.resource_type() {
            if self.resource(value, name)
                && let Some(type_) = TypeDefinition::named(name)
            {
                self.inside(value, type_);
            }
            return;
        }
        let is_kept = self.object(value, code, Some(via));
        if is_kept && let Some(type_) = TypeDefinition::named(code) {
            self.inside(value, type_);
        }
    }

    /// Leaves out what stands here, or so many steps further out.
    fn leave_out(&mut self, text: String, outer: usize) {
        let kept = self.steps.len().saturating_sub(outer);
        let steps = self.steps.iter().take(kept).copied().collect();
        self.out.left_out.push(LeftOut { resource: self.index, steps, text });
    }
}

impl Modifier {
    fn holds(&self, resource: &Value) -> bool {
        // Asked of the resource alone: what it refers to and the time of day decide nothing.
        let context = Context::new(Timestamp::UNIX_EPOCH).with_resource(resource);
        let resource = Item::resource(resource);
        self.when.as_ref().is_none_or(|when| when.test(&resource, &context) == Ok(Some(true)))
    }
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        let (target, position) = text.split_once(['-', '.'])?;
        Some(Self { target: target.into(), position: position.parse().ok()? })
    }

    /// Whether a version has it, and senders fill it.
    pub(super) fn is_in(&self, version: Version) -> bool {
        let segment = <[u8; 3]>::try_from(self.target.as_bytes()).ok().and_then(SegmentName::new);
        let field = segment.and_then(|name| version.segment(name));
        let element = match field {
            Some(definition) => definition.field(self.position),
            None => version.data_type(&self.target).and_then(|it| it.component(self.position)),
        };
        element.is_some_and(|element| {
            !element.is_unused()
                && !matches!(element.usage(), Usage::Withdrawn | Usage::NotSupported)
        })
    }
}

fn read_row(line: &str) -> Result<(&str, Modifier), String> {
    let mut columns = line.split('\t').map(str::trim);
    let mut column = || columns.next().unwrap_or_default();
    let (owner, element, codes, decision, place, text, when) =
        (column(), column(), column(), column(), column(), column(), column());
    if owner.is_empty() || element.is_empty() || codes.is_empty() || text.is_empty() {
        return Err("a column is empty".to_owned());
    }
    let decision = match decision {
        "plain" => Decision::Plain,
        "said" => Decision::Said,
        "note" => Decision::Note,
        "withhold" => Decision::Withhold((!place.is_empty()).then(|| place.into())),
        "event" => Decision::Event,
        "layout" => Decision::Layout,
        _ => return Err(format!("there is no decision {decision}")),
    };
    let place = match decision {
        Decision::Said | Decision::Event | Decision::Layout => {
            Some(Place::read(place).ok_or_else(|| format!("{place} is no place"))?)
        }
        _ => None,
    };
    let when = match when {
        "" => None,
        _ if !TypeDefinition::named(owner).is_some_and(is_resource) => {
            return Err("a condition is of a resource's own element only".to_owned());
        }
        text => Some(Expression::parse(text).map_err(|problem| format!("`{text}`: {problem}"))?),
    };
    let codes = codes.split(',').map(Into::into).collect();
    let (element, text) = (element.into(), text.into());
    Ok((owner, Modifier { element, codes, decision, place, text, when }))
}

fn is_resource(type_: &TypeDefinition) -> bool {
    type_.is_a("Resource")
}

fn is_code(own: &str, code: &str) -> bool {
    own == "*" || own == code
}

/// The codes of an element: its own, or those of its codings.
fn codes(value: &Value) -> impl Iterator<Item = &str> {
    let own = match value {
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        value => value.as_str(),
    };
    own.into_iter().chain(codings(value).into_iter().filter_map(|coding| coding.text("code")))
}
