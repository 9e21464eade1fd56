//! The walk through a resource along the definitions of its types.

use std::collections::HashMap;
use std::ptr;

use super::binding;
use super::place::{Frame, shown};
use super::primitive;
use crate::definitions::{BindingStrength, Element, Member, TypeDefinition, TypeKind};
use crate::json::{Object, Value};
use crate::narrative;
use crate::outcome::{Issue, IssueCode, Severity};

/// So many issues are reported, and then one that says that there are more.
pub const ISSUES_MAX: usize = 100;

/// How deep elements may stand in each other.
pub const DEPTH_MAX: usize = 100;

/// A name this far from what was written (in changed letters) is worth a suggestion.
const SUGGESTION_DISTANCE_MAX: usize = 2;

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// All but the invariants.
    Structure,
    /// Everything.
    All,
}

/// What is wrong with a resource; nothing when it is valid. The order is that of the resource.
pub fn validate(resource: &Value, checks: Checks) -> Vec<Issue> {
    let mut check = Check { issues: Vec::new(), checks, errors: 0, is_full: false };
    let any = TypeDefinition::named("Resource").expect("R4 defines it");
    let name = resource
        .resource_type()
        .filter(|name| TypeDefinition::named(name).is_some())
        .unwrap_or("Resource");
    check.resource(resource, any, &Frame::root(name), None);
    check.issues
}

/// A check under way.
pub(super) struct Check {
    issues: Vec<Issue>,
    checks: Checks,
    /// How many errors were found, without broken invariants.
    errors: usize,
    /// Whether more issues would not be reported.
    is_full: bool,
}

/// The resources around an element.
#[derive(Clone, Copy)]
pub(super) struct Scope<'v> {
    /// The resource it stands in.
    pub(super) resource: &'v Value,
    /// The resource that contains this one, or itself.
    pub(super) container: &'v Value,
    /// What the container contains, by id.
    pub(super) contained: &'v HashMap<&'v str, &'v Value>,
}

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Element,
    Resource,
    Contained,
}

impl Check {
    pub(super) fn report(&mut self, place: &Frame<'_>, code: IssueCode, text: impl Into<String>) {
        self.errors += 1;
        self.push(place, Issue::error(code, text));
    }

    pub(super) fn break_rule(
        &mut self,
        place: &Frame<'_>,
        rule: &'static str,
        text: impl Into<String>,
    ) {
        self.errors += 1;
        let mut issue = Issue::error(IssueCode::Invariant, text);
        issue.rule = Some(rule);
        self.push(place, issue);
    }

    pub(super) fn push(&mut self, place: &Frame<'_>, mut issue: Issue) {
        if self.is_full {
            return;
        }
        issue.expression = Some(place.expression());
        issue.path = place.path();
        self.issues.push(issue);
        if self.issues.len() >= ISSUES_MAX {
            self.is_full = true;
            let text = format!("there may be more: only the first {ISSUES_MAX} issues are listed");
            self.issues.push(Issue::new(Severity::Information, IssueCode::TooCostly, text));
        }
    }

    /// Checks a resource of its own (`container` is `None`), or one contained in another.
    fn resource(
        &mut self,
        value: &Value,
        allowed: &'static TypeDefinition,
        place: &Frame<'_>,
        container: Option<Scope<'_>>,
    ) {
        let Some(object) = value.as_object() else {
            let text = format!("expected a resource, an object, and not {}", value.kind());
            return self.report(place, IssueCode::Structure, text);
        };
        let named = object.get("resourceType");
        let Some(name) = named.and_then(Value::as_str) else {
            let text = if named.is_some() {
                "`resourceType` must be a string"
            } else {
                "a resource must name its type: `resourceType` is missing"
            };
            return self.report(place, IssueCode::Structure, text);
        };
        let Some(definition) = TypeDefinition::named(name)
            .filter(|own| own.kind() == TypeKind::Resource && !own.is_abstract())
        else {
            let text = format!("`{}` is no resource type of FHIR R4", shown(name));
            return self.report(
                &place.member("resourceType", "resourceType"),
                IssueCode::Structure,
                text,
            );
        };
        if !definition.is_a(allowed.name()) {
            let text = format!("expected {} and not {name}", allowed.name());
            return self.report(place, IssueCode::Structure, text);
        }
        match container {
            Some(scope) => {
                let scope = Scope { resource: value, ..scope };
                self.object(value, object, definition, place, scope, Role::Contained);
            }
            None => {
                // The first of an id counts; that there are others is reported.
                let mut contained = HashMap::new();
                for own in value.items("contained") {
                    if let Some(id) = own.id() {
                        contained.entry(id).or_insert(own);
                    }
                }
                let scope = Scope { resource: value, container: value, contained: &contained };
                self.object(value, object, definition, place, scope, Role::Resource);
                self.contained(object, place);
            }
        }
    }

    fn object(
        &mut self,
        value: &Value,
        object: &Object,
        definition: &'static TypeDefinition,
        place: &Frame<'_>,
        scope: Scope<'_>,
        role: Role,
    ) {
        if self.is_full {
            return;
        }
        if place.depth > DEPTH_MAX {
            let text = format!("nested deeper than {DEPTH_MAX} elements");
            return self.report(place, IssueCode::TooCostly, text);
        }
        if object.is_empty() {
            return self.report(
                place,
                IssueCode::Structure,
                "an object must not be empty: leave the element out",
            );
        }
        let errors = self.errors;
        let mut choices: Vec<(&'static Element, &str)> = Vec::new();
        for (name, value) in object.iter() {
            if self.is_full {
                return;
            }
            let (base, sibling) = match name.strip_prefix('_') {
                Some(base) => (base, true),
                None => (name, false),
            };
            let Some(member) = definition.member(base) else {
                if name != "resourceType" || role == Role::Element {
                    self.unknown(name, definition, place);
                }
                continue;
            };
            let Member { element, element_type } = member;
            let is_primitive = element_type.definition().kind() == TypeKind::Primitive;
            if sibling && (!is_primitive || has_no_extensions(element)) {
                let text = format!("`{}` has no `_` member", shown(base));
                self.report(&place.member(name, base), IssueCode::Structure, text);
                continue;
            }
            if sibling && object.get(base).is_some() {
                continue;
            }
            if element.is_choice() {
                match choices.iter().find(|(own, _)| ptr::eq(*own, element)) {
                    Some((_, other)) => {
                        let text = format!("only one of `{other}` and `{base}` may be there");
                        self.report(
                            &place.member(name, element.name()),
                            IssueCode::Structure,
                            text,
                        );
                    }
                    None => choices.push((element, base)),
                }
            }
            let own = place.member(name, element.name());
            if sibling {
                self.member(member, None, Some(value), &own, scope, role);
            } else {
                let beside = if is_primitive { beside(object, name) } else { None };
                self.member(member, Some(value), beside, &own, scope, role);
            }
        }
        self.required(object, definition, place);
        self.rules_of_type(object, definition, place);
        if self.checks == Checks::All && self.errors == errors {
            self.invariants(value, definition, place, scope);
        }
    }

    fn unknown(&mut self, name: &str, definition: &'static TypeDefinition, place: &Frame<'_>) {
        let owner = definition.name();
        let mut text = format!("`{}` is no element of {owner}", shown(name));
        if let Some(choice) = definition.element_named(name).filter(|element| element.is_choice()) {
            let members: Vec<&str> =
                choice.types().iter().take(4).map(|own| own.member()).collect();
            let more = if choice.types().len() > 4 { "…" } else { "" };
            text = format!("`{name}` is named with its type: {}{more}", members.join(", "));
        } else if name.len() <= 64 {
            let near = definition
                .member_names()
                .map(|own| {
                    (strsim::damerau_levenshtein(&own.to_lowercase(), &name.to_lowercase()), own)
                })
                .min()
                .filter(|(distance, own)| {
                    *distance <= SUGGESTION_DISTANCE_MAX && *distance < own.len() / 2
                });
            if let Some((_, near)) = near {
                text.push_str(&format!("; `{near}` is"));
            }
        }
        self.report(&place.member(name, name), IssueCode::Structure, text);
    }

    /// Checks a member and, of a primitive, its `_` sibling; at least one of them is there.
    fn member(
        &mut self,
        member: Member,
        value: Option<&Value>,
        sibling: Option<&Value>,
        place: &Frame<'_>,
        scope: Scope<'_>,
        role: Role,
    ) {
        if !member.element.is_list() {
            for value in [value, sibling].into_iter().flatten() {
                if matches!(value, Value::Array(_)) {
                    let text = "there can only be one: this must not be an array";
                    return self.report(place, IssueCode::Structure, text);
                }
            }
            return self.item(member, value, sibling, place, scope, role);
        }
        let mut lists = [None, None];
        for (list, value) in lists.iter_mut().zip([value, sibling]) {
            match value {
                Some(Value::Array(items)) if items.is_empty() => {
                    let text = "an array must not be empty: leave the element out";
                    return self.report(place, IssueCode::Structure, text);
                }
                Some(Value::Array(items)) => *list = Some(items.as_slice()),
                Some(_) => {
                    let text = "there can be several: this must be an array";
                    return self.report(place, IssueCode::Structure, text);
                }
                None => {}
            }
        }
        let [values, siblings] = lists;
        if let (Some(values), Some(siblings)) = (values, siblings)
            && values.len() != siblings.len()
        {
            let text = format!(
                "the array and its `_` sibling must be equally long: {} and {} items",
                values.len(),
                siblings.len()
            );
            return self.report(place, IssueCode::Structure, text);
        }
        let count = values.or(siblings).map_or(0, <[Value]>::len);
        let (least, most) = (member.element.min() as usize, member.element.max());
        if count < least || most.is_some_and(|most| count > most as usize) {
            let most = most.map_or("any number".to_owned(), |most| most.to_string());
            let text = format!("there are {count}; expected {least} to {most}");
            self.report(place, IssueCode::Structure, text);
        }
        for at in 0..count {
            if self.is_full {
                return;
            }
            let value = values.and_then(|values| values.get(at));
            let sibling = siblings.and_then(|siblings| siblings.get(at));
            self.item(member, value, sibling, &place.item(at), scope, role);
        }
    }

    /// Checks one value.
    fn item(
        &mut self,
        member: Member,
        value: Option<&Value>,
        sibling: Option<&Value>,
        place: &Frame<'_>,
        scope: Scope<'_>,
        role: Role,
    ) {
        let Member { element, element_type } = member;
        let definition = element_type.definition();
        if let Some(primitive) = definition.primitive() {
            // `null` only holds the place of an item whose sibling says more (R4 §2.6.2.2).
            let in_list = element.is_list();
            let has_value = value.is_some_and(|value| !in_list || *value != Value::Null);
            let has_sibling = sibling.is_some_and(|value| !in_list || *value != Value::Null);
            if let Some(value) = value.filter(|_| has_value) {
                if let Some(problem) = primitive::problem(primitive, value) {
                    let code = match value {
                        Value::Null | Value::Array(_) | Value::Object(_) => IssueCode::Structure,
                        _ => IssueCode::Value,
                    };
                    self.report(place, code, problem);
                } else if let Some(text) = value.as_str() {
                    self.bound_text(element, text, place);
                    if text.starts_with('#') && definition.is_a("canonical") {
                        self.contained_reference(text, place, scope);
                    }
                }
            }
            if let Some(sibling) = sibling.filter(|_| has_sibling) {
                match sibling {
                    Value::Object(object) => {
                        let element = TypeDefinition::named("Element").expect("R4 defines it");
                        self.object(sibling, object, element, place, scope, Role::Element);
                    }
                    other => {
                        let text = format!(
                            "the `_` sibling must be an object with `id` or `extension`, and not {}",
                            other.kind()
                        );
                        self.report(place, IssueCode::Structure, text);
                    }
                }
            }
            if !has_value && !has_sibling {
                self.report(place, IssueCode::Structure, "`null` stands for nothing: leave it out");
            }
            return;
        }
        let Some(value) = value else { return };
        if definition.kind() == TypeKind::Resource {
            return if element.name() == "contained" {
                self.contained_resource(value, definition, place, scope, role);
            } else {
                self.resource(value, definition, place, None);
            };
        }
        let Some(object) = value.as_object() else {
            let text =
                format!("expected {}, an object, and not {}", definition.name(), value.kind());
            return self.report(place, IssueCode::Structure, text);
        };
        self.object(value, object, definition, place, scope, Role::Element);
        if element.is_simple_quantity() && object.get("comparator").is_some() {
            self.break_rule(place, "sqty-1", "this quantity has no comparator");
        }
        if definition.name() == "Reference" {
            self.reference(object, element_type.targets(), place, scope);
        } else if let Some(binding) = element.binding()
            && binding.strength == BindingStrength::Required
            && let Some(problem) = binding::problem_of_concept(binding, definition.name(), object)
        {
            self.report(place, IssueCode::CodeInvalid, problem);
        }
    }

    fn contained_resource(
        &mut self,
        value: &Value,
        definition: &'static TypeDefinition,
        place: &Frame<'_>,
        scope: Scope<'_>,
        role: Role,
    ) {
        if role == Role::Contained {
            let text = "a contained resource must not contain others";
            return self.break_rule(place, "dom-2", text);
        }
        self.resource(value, definition, place, Some(scope));
    }

    fn bound_text(&mut self, element: &'static Element, text: &str, place: &Frame<'_>) {
        if let Some(binding) = element.binding()
            && binding.strength == BindingStrength::Required
            && let Some(problem) = binding::problem_of_code(binding, text)
        {
            self.report(place, IssueCode::CodeInvalid, problem);
        }
    }

    fn required(
        &mut self,
        object: &Object,
        definition: &'static TypeDefinition,
        place: &Frame<'_>,
    ) {
        for element in definition.required_elements() {
            let is_there = element.types().iter().any(|own| {
                object.get(own.member()).is_some()
                    || (own.definition().kind() == TypeKind::Primitive
                        && beside(object, own.member()).is_some())
            });
            if !is_there {
                let text = match element.types() {
                    [own] => format!("`{}` is missing", own.member()),
                    _ => format!("`{}[x]` is missing", element.name()),
                };
                self.report(
                    &place.member(element.name(), element.name()),
                    IssueCode::Required,
                    text,
                );
            }
        }
    }

    fn rules_of_type(
        &mut self,
        object: &Object,
        definition: &'static TypeDefinition,
        place: &Frame<'_>,
    ) {
        match definition.name() {
            "Extension" => {
                let has_value = object
                    .iter()
                    .any(|(name, _)| name.trim_start_matches('_').starts_with("value"));
                if has_value == object.get("extension").is_some() {
                    let text = "an extension has either a value or extensions";
                    self.break_rule(place, "ext-1", text);
                }
            }
            "Narrative" => {
                if let Some(problem) =
                    object.get("div").and_then(Value::as_str).and_then(narrative::problem)
                {
                    let div = place.member("div", "div");
                    match problem.rule {
                        Some(rule) => self.break_rule(&div, rule, problem.text),
                        None => self.report(&div, IssueCode::Invalid, problem.text),
                    }
                }
            }
            _ => {}
        }
    }
}

/// What JSON has as an attribute is no element: it has no extensions (R4 §2.6.1).
fn has_no_extensions(element: &Element) -> bool {
    matches!(
        (element.defined_by().name(), element.name()),
        ("Element", "id") | ("Extension", "url") | ("Narrative", "div")
    )
}

/// The `_` sibling of a member.
fn beside<'v>(object: &'v Object, name: &str) -> Option<&'v Value> {
    object.iter().find(|(own, _)| own.strip_prefix('_') == Some(name)).map(|(_, value)| value)
}

pub(super) fn one_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}
