//! The walk through a resource along a profile.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::definition::{Constraint, Node, Profile, TypeRule, core_type};
use super::library::ProfileLibrary;
use super::pattern::{fits_pattern, is_fixed};
use crate::definitions::{BindingStrength, Invariant, TypeDefinition, TypeKind};
use crate::fhirpath::{Context, Item, Limits};
use crate::json::Value;
use crate::outcome::{Issue, IssueCode, Severity};
use crate::validate::place::Frame;
use crate::validate::structure::{DEPTH_MAX, ISSUES_MAX, one_of};

/// Steps that one constraint takes at most on one element.
const STEPS_MAX: u64 = 500_000;

/// Profiles that values are held against, in one resource.
const CHECKS_MAX: usize = 100_000;

/// What is wrong with a resource by a profile of a library, beyond R4's own rules; nothing where it keeps to it. What
/// can't be checked is an issue of severity `information`.
pub fn validate_profile(resource: &Value, url: &str, library: &ProfileLibrary) -> Vec<Issue> {
    let name = resource.resource_type().unwrap_or("Resource");
    let place = Frame::root(name);
    let mut check = ProfileCheck {
        library,
        resource,
        issues: Vec::new(),
        told: BTreeSet::new(),
        checks_left: CHECKS_MAX,
    };
    match library.profile(url) {
        Some(profile) => {
            let definition = TypeDefinition::named(name);
            match definition.filter(|own| own.is_a(profile.resource_type.name())) {
                Some(definition) => check.profile(profile, &Held::of(resource, definition), &place),
                None => {
                    let text = format!(
                        "the profile {} is about a {}",
                        profile.url,
                        profile.resource_type.name()
                    );
                    check.push(&place, Issue::error(IssueCode::Invalid, text));
                }
            }
        }
        None => check.unknown_profile(&place, url),
    }
    check.issues
}

/// A check under way.
pub(super) struct ProfileCheck<'l> {
    pub(super) library: &'l ProfileLibrary,
    resource: &'l Value,
    issues: Vec<Issue>,
    /// What was told to be unchecked: each once.
    told: BTreeSet<String>,
    checks_left: usize,
}

/// A value and its type.
#[derive(Clone, Copy)]
pub(super) struct Held<'v> {
    /// `None` of a primitive that has only extensions.
    pub(super) value: Option<&'v Value>,
    /// The `_` sibling of a primitive.
    pub(super) sibling: Option<&'v Value>,
    pub(super) definition: &'static TypeDefinition,
    /// The member it stands in, and which of its items.
    pub(super) member: &'v str,
    pub(super) item: Option<usize>,
}

impl<'v> Held<'v> {
    fn of(value: &'v Value, definition: &'static TypeDefinition) -> Self {
        Self { value: Some(value), sibling: None, definition, member: "", item: None }
    }

    /// The values of an element by its name; of a choice by its name without a type, or with one.
    pub(super) fn children(&self, name: &str) -> Vec<Held<'v>> {
        let Some(object) = self.object() else { return Vec::new() };
        let mut found = Vec::new();
        let members: Vec<_> = match self.definition.element_named(name) {
            Some(element) => element
                .types()
                .iter()
                .map(|own| (own.member(), own.definition(), element.is_list()))
                .collect(),
            None => match self.definition.member(name) {
                Some(member) => vec![(
                    member.element_type.member(),
                    member.element_type.definition(),
                    member.element.is_list(),
                )],
                None => Vec::new(),
            },
        };
        for (member, definition, is_list) in members {
            let value = object.get(member);
            let sibling = match definition.kind() {
                TypeKind::Primitive => object.get(&format!("_{member}")),
                _ => None,
            };
            let count = |own: Option<&Value>| own.and_then(Value::as_array).map_or(0, <[_]>::len);
            let item = |own: Option<&'v Value>, at: usize| {
                own.and_then(Value::as_array)
                    .and_then(|items| items.get(at))
                    .filter(|own| **own != Value::Null)
            };
            if is_list {
                for at in 0..count(value).max(count(sibling)) {
                    found.push(Held {
                        value: item(value, at),
                        sibling: item(sibling, at),
                        definition,
                        member,
                        item: Some(at),
                    });
                }
            } else if value.is_some() || sibling.is_some() {
                found.push(Held { value, sibling, definition, member, item: None });
            }
        }
        // What is contained, and the entries of a Bundle, say themselves what they are.
        for own in &mut found {
            if own.definition.name() == "Resource"
                && let Some(named) = own.value.and_then(Value::resource_type)
                && let Some(definition) = TypeDefinition::named(named)
            {
                own.definition = definition;
            }
        }
        found
    }

    /// The object whose members are its elements; of a primitive its sibling.
    fn object(&self) -> Option<&'v crate::json::Object> {
        match self.definition.kind() {
            TypeKind::Primitive => self.sibling.and_then(Value::as_object),
            _ => self.value.and_then(Value::as_object),
        }
    }
}

impl ProfileCheck<'_> {
    pub(super) fn push(&mut self, place: &Frame<'_>, mut issue: Issue) {
        if self.issues.len() > ISSUES_MAX {
            return;
        }
        if self.issues.len() == ISSUES_MAX {
            let text = format!("there may be more: only the first {ISSUES_MAX} issues are listed");
            self.issues.push(Issue::new(Severity::Information, IssueCode::TooCostly, text));
            return;
        }
        issue.expression = Some(place.expression());
        issue.path = place.path();
        self.issues.push(issue);
    }

    fn report(&mut self, place: &Frame<'_>, code: IssueCode, url: &str, text: &str) {
        self.push(place, Issue::error(code, format!("{text} (profile {url})")));
    }

    /// Tells once that something is not checked.
    pub(super) fn unchecked(&mut self, place: &Frame<'_>, text: String) {
        if self.told.insert(text.clone()) {
            self.push(place, Issue::new(Severity::Information, IssueCode::NotSupported, text));
        }
    }

    fn unknown_profile(&mut self, place: &Frame<'_>, url: &str) {
        self.unchecked(
            place,
            format!(
                "not checked: the profile {url} is not known here, or is none that can be checked"
            ),
        );
    }

    /// Holds a value against a profile and those it is based on.
    fn profile(&mut self, profile: &Profile, held: &Held<'_>, place: &Frame<'_>) {
        let mut profile = profile;
        let mut seen = BTreeSet::new();
        while seen.insert(profile.url.as_str()) {
            let walk = Walk { url: &profile.url, root: &profile.root };
            self.value(&walk, &profile.root, held, place);
            let Some(base) = &profile.base else { return };
            match self.library.profile(base) {
                Some(next) => profile = next,
                None => return self.unknown_profile(place, base),
            }
        }
    }

    /// Holds a value against what its element says.
    fn value(&mut self, walk: &Walk<'_>, node: &Node, held: &Held<'_>, place: &Frame<'_>) {
        match self.checks_left.checked_sub(1) {
            Some(left) if place.depth < DEPTH_MAX => self.checks_left = left,
            _ => {
                let text = "not checked: there is too much to look at".to_owned();
                return self.unchecked(place, text);
            }
        }
        self.types(walk, node, held, place);
        if let Some(value) = held.value {
            if node.fixed.as_ref().is_some_and(|fixed| !is_fixed(fixed, value)) {
                self.report(place, IssueCode::Value, walk.url, "this is not the fixed value");
            }
            if node.pattern.as_ref().is_some_and(|pattern| !fits_pattern(pattern, value)) {
                self.report(place, IssueCode::Value, walk.url, "this does not fit the pattern");
            }
            let length = value.as_str().map_or(0, |text| text.chars().count() as u64);
            if let Some(most) = node.length_max.filter(|most| length > *most) {
                let text = format!("expected at most {most} characters");
                self.report(place, IssueCode::TooLong, walk.url, &text);
            }
            self.binding(walk, node, held, value, place);
            for constraint in &node.constraints {
                self.constraint(walk, constraint, held, place);
            }
        }
        for name in &node.unchecked {
            self.unchecked(place, format!("not checked: {name} (profile {})", walk.url));
        }
        self.children(walk, node, held, place);
        if let Some(content) = &node.content
            && let Some(same) = walk.root.at(content.split('.').skip(1))
        {
            self.children(walk, same, held, place);
        }
    }

    fn children(&mut self, walk: &Walk<'_>, node: &Node, held: &Held<'_>, place: &Frame<'_>) {
        for child in &node.children {
            let values = held.children(&child.name);
            let of_type = held.definition;
            if values.is_empty()
                && of_type.element_named(&child.name).is_none()
                && of_type.member(&child.name).is_none()
            {
                // The value is of another type than the one that has this element.
                continue;
            }
            let own = place.member(&child.name, &child.name);
            self.count(walk, child, None, values.len(), &own);
            for value in &values {
                let own = placed(place, &child.name, value);
                self.value(walk, child, value, &own);
            }
            self.slices(walk, child, &values, place);
        }
    }

    pub(super) fn count(
        &mut self,
        walk: &Walk<'_>,
        node: &Node,
        slice: Option<&str>,
        count: usize,
        place: &Frame<'_>,
    ) {
        let of = slice.map(|name| format!(" of the slice {name}")).unwrap_or_default();
        if count < node.min as usize {
            let text = format!("expected at least {}{of}, found {count}", node.min);
            self.report(place, IssueCode::Required, walk.url, &text);
        }
        if let Some(most) = node.max.filter(|most| count > *most as usize) {
            let text = format!("expected at most {most}{of}, found {count}");
            self.report(place, IssueCode::Structure, walk.url, &text);
        }
    }

    /// Holds the values of an element against its slices.
    fn slices(&mut self, walk: &Walk<'_>, node: &Node, values: &[Held<'_>], around: &Frame<'_>) {
        if node.slices.is_empty() {
            return;
        }
        let own = around.member(&node.name, &node.name);
        let Some(rules) = self.slice_rules(walk, node, &own) else { return };
        let mut counts = vec![0_usize; node.slices.len()];
        let mut others = 0;
        for value in values {
            let place = placed(around, &node.name, value);
            let found = rules.iter().position(|rule| rule.takes(value, self.library));
            let slice = found.and_then(|at| Some((counts.get_mut(at)?, node.slices.get(at)?)));
            match slice {
                Some((count, (_, slice))) => {
                    *count += 1;
                    self.value(walk, slice, value, &place);
                }
                None => {
                    others += 1;
                    if node.is_closed() {
                        let text = "this is of no slice, and no others may stand here";
                        self.report(&place, IssueCode::Structure, walk.url, text);
                    }
                }
            }
        }
        if node.slicing.as_ref().is_some_and(|own| own.is_ordered) && values.len() > others {
            let text = format!("not checked: the order of slices (profile {})", walk.url);
            self.unchecked(&own, text);
        }
        for ((name, slice), count) in node.slices.iter().zip(counts) {
            self.count(walk, slice, Some(name), count, &own);
        }
    }

    fn types(&mut self, walk: &Walk<'_>, node: &Node, held: &Held<'_>, place: &Frame<'_>) {
        let code = held.definition.name();
        // A group of elements, and what FHIRPath calls a string, are of no type that could be another.
        let named = |rule: &&TypeRule| {
            TypeDefinition::named(&rule.code).is_some_and(|own| held.definition.is_a(own.name()))
        };
        let rules: Vec<&TypeRule> = node.types.iter().filter(named).collect();
        let can_differ = held.definition.kind() != TypeKind::Backbone
            && node.types.iter().all(|rule| TypeDefinition::named(&rule.code).is_some());
        if !node.types.is_empty() && rules.is_empty() && can_differ && place.depth > 0 {
            let codes: Vec<&str> = node.types.iter().map(|rule| rule.code.as_str()).collect();
            let text = format!("the type {code} does not fit: expected {}", one_of(&codes));
            return self.report(place, IssueCode::Structure, walk.url, &text);
        }
        for rule in rules {
            self.target(walk, rule, held, place);
            self.profiles(rule, held, place);
        }
    }

    /// The profiles of a type: the value keeps to one of them.
    fn profiles(&mut self, rule: &TypeRule, held: &Held<'_>, place: &Frame<'_>) {
        let mut first = None;
        for url in rule.profiles.iter().filter(|url| core_type(url).is_none()) {
            let Some(profile) = self.library.profile(url) else {
                return self.unknown_profile(place, url);
            };
            let before = self.issues.len();
            self.profile(profile, held, place);
            let found: Vec<Issue> = self.issues.drain(before.min(self.issues.len())..).collect();
            let fits = !found.iter().any(Issue::is_error);
            if fits {
                self.issues.extend(found);
                return;
            }
            first = first.or(Some(found));
        }
        self.issues.extend(first.unwrap_or_default());
    }

    /// The type of what a reference leads to, as far as its text tells.
    fn target(&mut self, walk: &Walk<'_>, rule: &TypeRule, held: &Held<'_>, place: &Frame<'_>) {
        if rule.targets.is_empty() || held.definition.name() != "Reference" {
            return;
        }
        let Some(value) = held.value else { return };
        let named = value.text("type").and_then(TypeDefinition::named);
        let text = value.text("reference").unwrap_or_default();
        let led = crate::validate::reference::target(text).ok().flatten();
        let inner = text.strip_prefix('#').and_then(|id| {
            let contained = self.resource.items("contained").iter();
            contained.clone().find(|own| own.id() == Some(id))?.resource_type()
        });
        let inner = inner.and_then(TypeDefinition::named);
        let Some(found) = inner.or(led).or(named) else { return };
        let mut expected = Vec::new();
        for url in &rule.targets {
            match core_type(url) {
                Some(own) => expected.push(own.name()),
                None => match self.library.profile(url) {
                    Some(profile) => expected.push(profile.resource_type.name()),
                    None => return self.unknown_profile(place, url),
                },
            }
        }
        if !expected.iter().any(|name| found.is_a(name)) {
            expected.sort_unstable();
            expected.dedup();
            let text = format!(
                "a reference to {} does not fit: expected {}",
                found.name(),
                one_of(&expected)
            );
            self.report(place, IssueCode::Structure, walk.url, &text);
        }
    }

    fn binding(
        &mut self,
        walk: &Walk<'_>,
        node: &Node,
        held: &Held<'_>,
        value: &Value,
        place: &Frame<'_>,
    ) {
        let Some(bound) =
            node.binding.as_ref().filter(|own| own.strength == BindingStrength::Required)
        else {
            return;
        };
        let codings: Vec<(Option<&str>, &str)> = match (held.definition.name(), value) {
            (_, Value::String(code)) => vec![(None, code.as_str())],
            ("CodeableConcept", concept) => {
                concept.items("coding").iter().filter_map(coding).collect()
            }
            (_, coded) => coding(coded).into_iter().collect(),
        };
        let known: Option<Vec<bool>> = codings
            .iter()
            .map(|(system, code)| self.library.has_code(&bound.value_set, *system, code))
            .collect();
        match known {
            None => self.unchecked(
                place,
                format!(
                    "not checked: the codes of the value set {} are not known here",
                    bound.value_set
                ),
            ),
            Some(found) if found.contains(&true) => {}
            Some(_) => {
                let text = format!("expected a code of the value set {}", bound.value_set);
                self.report(place, IssueCode::CodeInvalid, walk.url, &text);
            }
        }
    }

    fn constraint(
        &mut self,
        walk: &Walk<'_>,
        constraint: &Constraint,
        held: &Held<'_>,
        place: &Frame<'_>,
    ) {
        let Constraint { key, severity, human, expression } = constraint;
        if is_of_r4(held.definition, key) {
            return;
        }
        let undecided =
            || format!("not checked: the constraint {key} can't be decided (profile {})", walk.url);
        let Some(expression) = expression else { return self.unchecked(place, undecided()) };
        let context = Context::new(Timestamp::UNIX_EPOCH)
            .with_resource(self.resource)
            .with_root_resource(self.resource)
            .with_limits(Limits { steps_max: STEPS_MAX, ..Limits::default() });
        let item = Item::element(held.value, held.sibling, held.definition.name());
        match expression.test(&item, &context) {
            Ok(Some(true)) => {}
            Ok(Some(false) | None) => {
                let text = format!("{key}: {human} (profile {})", walk.url);
                self.push(place, Issue::new(*severity, IssueCode::Invariant, text));
            }
            Err(_) => self.unchecked(place, undecided()),
        }
    }
}

/// Where a profile is walked: its address, for what is told, and its root, for content references.
#[derive(Clone, Copy)]
pub(super) struct Walk<'p> {
    pub(super) url: &'p str,
    pub(super) root: &'p Node,
}

fn placed<'a>(around: &'a Frame<'a>, name: &'a str, value: &Held<'a>) -> Frame<'a> {
    let own = around.member(value.member, name);
    match value.item {
        Some(at) => own.item(at),
        None => own,
    }
}

/// The system and code of a Coding or a Quantity.
fn coding(coded: &Value) -> Option<(Option<&str>, &str)> {
    Some((coded.text("system"), coded.text("code")?))
}

/// Whether R4 itself has a constraint, which its own check looks at.
fn is_of_r4(definition: &'static TypeDefinition, key: &str) -> bool {
    let mut next = Some(definition);
    while let Some(own) = next {
        if Invariant::of(own.name()).iter().any(|invariant| invariant.key == key) {
            return true;
        }
        next = own.base();
    }
    // What every element and resource keeps to.
    key.starts_with("ele-") || key.starts_with("ext-") || key.starts_with("dom-")
}
