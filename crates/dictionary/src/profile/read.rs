//! From a profile's file to a [`Profile`]: every mistake with its place.

use std::collections::BTreeSet;

use pipehat_config::{Diagnostic, Diagnostics, Fields, Key, Node, nearest};
use pipehat_message::SegmentName;

use super::condition::{Condition, ConditionError, pattern};
use super::constraint::{
    Accepted, ElementConstraint, FIELDS_MAX, MessageType, PARTS_MAX, Profile, SegmentConstraint,
    Standing, UsageConstraint,
};
use super::group::{GroupConstraint, GroupWay};
use super::place::Place;
use super::rule::{Demand, Rule};
use crate::element::Usage;
use crate::validation::{self, CONDITIONAL_RULES};
use crate::version::Version;

mod codes;
mod element;
mod evidence;
mod usage;

pub use codes::CODES;
use usage::{cardinality_beside, usage, usage_constraint};

/// The most places a profile speaks of; the standard's own segments have some five thousand.
const PLACES_MAX: usize = 20_000;

/// The number that the standard gives elements that have no table.
const NO_TABLE: u16 = 9999;

/// What tables list that suggest no codes.
const NO_CODE: &str = "...";

/// The most rules of a profile: each costs time for every message.
const RULES_MAX: usize = 1_000;

/// Gives the code tables that a profile may name.
pub trait CodeTables {
    /// The codes of a table; none when there is no such table.
    fn codes(&self, name: &str) -> Option<BTreeSet<Box<str>>>;
    /// What tables there are.
    fn names(&self) -> Vec<String>;
}

/// There are none.
#[derive(Debug, Clone, Copy)]
pub struct NoCodeTables;

impl CodeTables for NoCodeTables {
    fn codes(&self, _: &str) -> Option<BTreeSet<Box<str>>> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Profile {
    /// Reads a profile's tree. `stem` is the file's name without `.yaml`, which is the profile's name.
    /// None when anything is wrong, which is then reported.
    pub fn read(
        node: &Node,
        stem: &str,
        tables: &dyn CodeTables,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let errors_before = diagnostics.errors();
        let mut fields = Fields::of(node, "profile", diagnostics)?;
        fields.misplaced(
            "values",
            "this belongs to a field: `fields: { PID-8: { values: [M, F] } }`",
        );
        fields.misplaced(
            "usage",
            "this belongs to a segment or a field: `fields: { PID-8: { usage: R } }`",
        );
        fields.required("profile", |node, diagnostics| name(node, stem, diagnostics));
        let version = fields.required("version", version);
        let description = fields.optional("description", |node, diagnostics| {
            node.text(diagnostics).map(Box::<str>::from)
        });
        let messages = fields
            .optional("messages", |node, diagnostics| node.list_of(diagnostics, message_type));
        let mut profile = Self::new(stem, version.unwrap_or(Version::V2_5_1));
        profile.description = description;
        profile.messages = messages.unwrap_or_default();
        let mut reader = Reader { profile, tables, places: 0, is_version_known: version.is_some() };
        if let Some(node) = fields.take("segments") {
            reader.segments(node, fields.diagnostics());
        }
        if let Some(node) = fields.take("fields") {
            reader.fields(node, fields.diagnostics());
        }
        if let Some(node) = fields.take("groups") {
            reader.groups(node, fields.diagnostics());
        }
        if let Some(node) = fields.take("rules") {
            reader.rules(node, fields.diagnostics());
        }
        let accepted =
            fields.optional("accept", |node, diagnostics| node.list_of(diagnostics, accepted));
        reader.profile.accepted = accepted.unwrap_or_default();
        if let Some(node) = fields.take("evidence") {
            reader.profile.evidence = evidence::read(node, fields.diagnostics());
        }
        fields.finish();
        (diagnostics.errors() == errors_before).then_some(reader.profile)
    }
}

fn name(node: &Node, stem: &str, diagnostics: &mut Diagnostics) -> Option<()> {
    let name = node.text_not_empty(diagnostics)?;
    if name == stem {
        return Some(());
    }
    diagnostics.push(
        Diagnostic::error(
            "profile.name",
            &node.span,
            "the profile is not called what its file is called",
        )
        .with_suggestion(format!("write `{stem}`"))
        .with_help(format!("or rename the file to `{name}.yaml`")),
    );
    None
}

fn version(node: &Node, diagnostics: &mut Diagnostics) -> Option<Version> {
    let text = node.text_not_empty(diagnostics)?;
    // 2.9 is read by the definitions of 2.9.1.
    let wanted = if text == "2.9" { "2.9.1" } else { text };
    let found = Version::named(wanted.as_bytes());
    if found.is_none() {
        let all: Vec<&str> = Version::ALL.iter().map(|version| version.as_str()).collect();
        diagnostics.push(
            Diagnostic::error("profile.version", &node.span, "there is no such version of HL7 v2")
                .with_nearest(nearest(text, all.iter().copied()))
                .with_help(format!("the versions are {}", all.join(", "))),
        );
    }
    found
}

fn message_type(node: &Node, diagnostics: &mut Diagnostics) -> Option<MessageType> {
    let text = node.text_not_empty(diagnostics)?;
    let found = MessageType::parse(text);
    if found.is_none() {
        diagnostics.push(
            Diagnostic::error("profile.message", &node.span, "this is no message type").with_help(
                "write the message code, alone or with its trigger event: `ORU` or `ORU^R01`",
            ),
        );
    }
    found
}

struct Reader<'r> {
    profile: Profile,
    tables: &'r dyn CodeTables,
    places: usize,
    /// Where it is not, a name is wrong that no version has, and nothing is said of what depends on the version.
    is_version_known: bool,
}

impl Reader<'_> {
    /// The versions one of which has to have what is named.
    fn versions(&self) -> &[Version] {
        if self.is_version_known {
            std::slice::from_ref(&self.profile.version)
        } else {
            &Version::ALL
        }
    }

    /// Who has not what is named.
    fn nobody(&self) -> String {
        if self.is_version_known {
            format!("version {} has no", self.profile.version)
        } else {
            "no version of HL7 v2 has a".to_owned()
        }
    }

    fn has_segment(&self, name: SegmentName) -> bool {
        self.versions().iter().any(|version| version.segment(name).is_some())
    }

    fn segments(&mut self, node: &Node, diagnostics: &mut Diagnostics) {
        let Some(map) = node.map("segments", diagnostics) else { return };
        for (key, node) in map.iter() {
            let Some((way, place)) = place(key, diagnostics) else { continue };
            if place.field != 0 {
                diagnostics.push(
                    Diagnostic::error("profile.place", &key.span, "this is a field, not a segment")
                        .with_help("fields stand under `fields`"),
                );
                continue;
            }
            let known = self.has_segment(place.segment);
            if !known
                && !place.segment.as_str().starts_with('Z')
                && node.as_map().and_then(|map| map.get("name")).is_none()
            {
                self.unknown_segment(key, place, diagnostics);
                segment(node, diagnostics);
                continue;
            }
            let is_way = self.is_way(key, way.as_ref(), Some(place.segment), diagnostics);
            let Some(constraint) = segment(node, diagnostics).filter(|_| is_way) else { continue };
            if way.is_some() && (constraint.name.is_some() || constraint.standing.is_some()) {
                self.of_all_places(key, "`name` and `after`", diagnostics);
                continue;
            }
            let own = self.profile.segment_mut(way, place.segment);
            *own = SegmentConstraint { fields: std::mem::take(&mut own.fields), ..constraint };
        }
    }

    fn unknown_segment(&self, key: &Key, place: Place, diagnostics: &mut Diagnostics) {
        let of = |version: &Version| version.segments().map(|segment| segment.name().to_string());
        let names: BTreeSet<String> = self.versions().iter().flat_map(of).collect();
        let near = nearest(place.segment.as_str(), names.iter().map(String::as_str));
        diagnostics.push(
            Diagnostic::error(
                "profile.place",
                &key.span,
                format!("{} segment {}", self.nobody(), place.segment),
            )
            .with_nearest(near)
            .with_help("for a segment of the partner's own give it a name: `{ name: … }`"),
        );
    }

    fn fields(&mut self, node: &Node, diagnostics: &mut Diagnostics) {
        let Some(map) = node.map("fields", diagnostics) else { return };
        let mut sound = Vec::new();
        let mut unsound = BTreeSet::new();
        for (key, node) in map.iter() {
            self.places += 1;
            if self.places > PLACES_MAX {
                let message = format!("a profile speaks of at most {PLACES_MAX} places");
                diagnostics.push(Diagnostic::error("profile.too-many", &key.span, message));
                return;
            }
            let Some((way, place)) = place(key, diagnostics) else { continue };
            let is_there = self.is_place(key, place, diagnostics)
                && self.is_way(key, way.as_ref(), Some(place.segment), diagnostics);
            let read = self.element(node, place, diagnostics);
            let Some(constraint) = read.filter(|_| is_there) else {
                unsound.insert(Place::field(place.segment, place.field));
                continue;
            };
            let is_forbidden =
                constraint.usage.as_ref().is_some_and(|usage| usage.usage == Usage::NotSupported);
            if !is_forbidden {
                sound.push((key, place));
            }
            if way.is_some() && (constraint.name.is_some() || constraint.data_type.is_some()) {
                self.of_all_places(key, "`name` and `type`", diagnostics);
                continue;
            }
            let own = self.profile.segment_mut(way, place.segment).element_mut(&place);
            let Some(own) = own else { continue };
            *own = ElementConstraint { parts: std::mem::take(&mut own.parts), ..constraint };
        }
        if self.is_version_known {
            // A field may be declared after its parts.
            sound.retain(|(_, place)| !unsound.contains(&Place::field(place.segment, place.field)));
            sound.iter().for_each(|(key, place)| self.declared(key, place, diagnostics));
        }
    }

    /// Tells of a place that neither the version nor the profile has: it could only be a slip.
    fn declared(&self, key: &Key, place: &Place, diagnostics: &mut Diagnostics) {
        if !self.profile.has_not(place) {
            return;
        }
        let version = self.profile.version;
        let field = Place::field(place.segment, place.field);
        let segment = version.segment(place.segment);
        let most = segment.map_or(0, |segment| segment.field_count());
        let message = if place.component == 0 || place.field > most && self.profile.has_not(&field)
        {
            format!("version {version} has {most} fields in {}, and no {field}", place.segment)
        } else {
            format!("version {version} has no {place}: {field} has fewer parts")
        };
        let help = "look at the number, or declare what is the partner's own with a `type` or a `name`, as in `{ type: ST, usage: R }`";
        diagnostics.push(Diagnostic::error("profile.place", &key.span, message).with_help(help));
    }

    fn groups(&mut self, node: &Node, diagnostics: &mut Diagnostics) {
        let Some(map) = node.map("groups", diagnostics) else { return };
        for (key, node) in map.iter() {
            let way = GroupWay::parse(&key.text).map_err(|message| {
                diagnostics.push(
                    Diagnostic::error("profile.place", &key.span, message)
                        .with_help("write groups as `/PATIENT_RESULT/ORDER_OBSERVATION`"),
                );
            });
            let Ok(way) = way else { continue };
            let is_way = self.is_way(key, Some(&way), None, diagnostics);
            let Some(read) = group(node, diagnostics).filter(|_| is_way) else { continue };
            let own = self.profile.groups.entry(way).or_default();
            *own = GroupConstraint { segments: std::mem::take(&mut own.segments), ..read };
        }
    }

    /// Whether one of the profile's messages has the group, and the segment in it; where not, that is reported.
    fn is_way(
        &self,
        key: &Key,
        way: Option<&GroupWay>,
        segment: Option<SegmentName>,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let Some(way) = way.filter(|_| self.is_version_known) else { return true };
        match way.problem(&self.profile, segment) {
            None => true,
            Some(problem) => {
                diagnostics.push(
                    Diagnostic::error("profile.place", &key.span, problem.to_string())
                        .with_nearest(problem.nearest()),
                );
                false
            }
        }
    }

    fn of_all_places(&self, key: &Key, what: &str, diagnostics: &mut Diagnostics) {
        let message = format!("{what} hold wherever a segment stands, not in one group");
        diagnostics.push(
            Diagnostic::error("profile.place", &key.span, message)
                .with_help("say it of the segment without a group, as in `OBX-5: { … }`"),
        );
    }

    /// Whether the profile can speak of the place; where not, that is reported.
    fn is_place(&self, key: &Key, place: Place, diagnostics: &mut Diagnostics) -> bool {
        let refuse = |diagnostics: &mut Diagnostics, message: String, help: &str| {
            diagnostics
                .push(Diagnostic::error("profile.place", &key.span, message).with_help(help));
            false
        };
        if place.field == 0 {
            let help = "segments stand under `segments`, or name a field: `PID-3`";
            return refuse(diagnostics, "this is a segment, not a field".to_owned(), help);
        }
        if place.field > FIELDS_MAX || place.component.max(place.subcomponent) > PARTS_MAX {
            let message = format!(
                "a profile speaks of at most {FIELDS_MAX} fields and {PARTS_MAX} parts of one"
            );
            return refuse(diagnostics, message, "look at the numbers");
        }
        // A field of the partner's own may stand behind those of the standard.
        let known = self.has_segment(place.segment)
            || self.profile.segments.contains_key(&place.segment)
            || place.segment.as_str().starts_with('Z');
        if !known {
            self.unknown_segment(key, place, diagnostics);
        }
        known
    }

    fn rules(&mut self, node: &Node, diagnostics: &mut Diagnostics) {
        let Some(nodes) = node.list(diagnostics) else { return };
        if nodes.len() > RULES_MAX {
            let message = format!("a profile has at most {RULES_MAX} rules");
            diagnostics.push(Diagnostic::error("profile.too-many", &node.span, message));
            return;
        }
        let rules: Vec<Rule> = nodes.iter().filter_map(|node| rule(node, diagnostics)).collect();
        self.profile.rules = rules;
    }
}

fn segment(node: &Node, diagnostics: &mut Diagnostics) -> Option<SegmentConstraint> {
    if node.as_scalar().is_some() {
        let usage = Some(UsageConstraint::of(usage(node, diagnostics)?.0));
        return Some(SegmentConstraint { usage, ..SegmentConstraint::default() });
    }
    let mut fields = Fields::of(node, "segment", diagnostics)?;
    fields.misplaced("fields", "fields stand under `fields` of the profile: `ZPI-1: { … }`");
    let name = fields.optional("name", boxed_text);
    let usage = usage_constraint(&mut fields);
    let cardinality = cardinality_beside(usage.as_ref(), &mut fields);
    let standing = fields.optional("after", standing);
    fields.finish().then(|| SegmentConstraint {
        name,
        usage,
        cardinality,
        standing,
        fields: Vec::new(),
    })
}

fn standing(node: &Node, diagnostics: &mut Diagnostics) -> Option<Standing> {
    let segment = |node: &Node, diagnostics: &mut Diagnostics| {
        let text = node.text_not_empty(diagnostics)?;
        let name = text.try_into();
        if name.is_err() {
            diagnostics.push(
                Diagnostic::error("profile.place", &node.span, "this is no segment").with_help(
                    "name the segments it may follow, as in `after: [OBX, NTE]`, or write `any`",
                ),
            );
        }
        name.ok()
    };
    if node.as_list().is_some() {
        return Some(Standing::After(node.list_of(diagnostics, segment)?));
    }
    if node.as_scalar().is_some_and(|scalar| scalar.text() == "any") {
        return Some(Standing::Anywhere);
    }
    Some(Standing::After(vec![segment(node, diagnostics)?]))
}

fn rule(node: &Node, diagnostics: &mut Diagnostics) -> Option<Rule> {
    let mut fields = Fields::of(node, "rule", diagnostics)?;
    fields.misplaced("if", "write `when`");
    let when_there = fields.contains("when");
    let when = fields.optional("when", condition);
    let text = fields.optional("text", boxed_text);
    let demand = match fields.exactly_one(&["require", "forbid", "then"]) {
        Some(("then", node)) => condition(node, fields.diagnostics()).map(Demand::Hold),
        Some((kind, node)) => places(node, fields.diagnostics()).map(|places| {
            if kind == "require" { Demand::Require(places) } else { Demand::Forbid(places) }
        }),
        None => None,
    };
    if !fields.finish() || (when_there && when.is_none()) {
        return None;
    }
    Some(Rule { when, demand: demand?, text })
}

fn accepted(node: &Node, diagnostics: &mut Diagnostics) -> Option<Accepted> {
    let mut fields = Fields::of(node, "accept", diagnostics)?;
    let at = fields.optional("at", place_in_text);
    let at_there = fields.contains("at");
    let rule = fields.required("rule", rule_name);
    let seen = fields.optional("seen", |node, diagnostics| {
        node.integer(0..=i64::MAX, diagnostics).and_then(|count| u64::try_from(count).ok())
    });
    let sound = fields.finish() && at_there == at.is_some();
    Some(Accepted { at, rule: rule?, seen }).filter(|_| sound)
}

/// The name of a rule of the standard.
fn rule_name(node: &Node, diagnostics: &mut Diagnostics) -> Option<&'static str> {
    let text = node.text_not_empty(diagnostics)?;
    let names = || {
        let conditional = CONDITIONAL_RULES.iter().map(|rule| rule.id);
        validation::Rule::ALL.into_iter().map(|rule| rule.id()).chain(conditional)
    };
    let found = names().find(|name| *name == text);
    if found.is_none() {
        diagnostics.push(
            Diagnostic::error("profile.accept", &node.span, "validation has no rule of this name")
                .with_nearest(nearest(text, names()))
                .with_help("a finding tells its rule's name: `pipehat message validate` shows it"),
        );
    }
    found
}

fn place_in_text(node: &Node, diagnostics: &mut Diagnostics) -> Option<Place> {
    let text = node.text_not_empty(diagnostics)?;
    Place::parse(text)
        .map_err(|message| {
            diagnostics.push(Diagnostic::error("profile.place", &node.span, message));
        })
        .ok()
}

fn places(node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<Place>> {
    let places = match node.as_list() {
        Some(_) => node.list_of(diagnostics, place_in_text)?,
        None => vec![place_in_text(node, diagnostics)?],
    };
    let first = places.first().map(|place| (place.segment, place.field == 0));
    if first.is_none()
        || places
            .iter()
            .any(|place| Some((place.segment, place.field == 0)) != first && place.field != 0)
    {
        diagnostics.push(
            Diagnostic::error(
                "profile.rule",
                &node.span,
                "a rule speaks of the fields of one segment",
            )
            .with_help("write one rule for each segment"),
        );
        return None;
    }
    Some(places)
}

fn group(node: &Node, diagnostics: &mut Diagnostics) -> Option<GroupConstraint> {
    if node.as_scalar().is_some() {
        let usage = Some(UsageConstraint::of(usage(node, diagnostics)?.0));
        return Some(GroupConstraint { usage, ..GroupConstraint::default() });
    }
    let mut fields = Fields::of(node, "group", diagnostics)?;
    let usage = usage_constraint(&mut fields);
    let cardinality = cardinality_beside(usage.as_ref(), &mut fields);
    fields.finish().then(|| GroupConstraint { usage, cardinality, ..GroupConstraint::default() })
}

fn place(key: &Key, diagnostics: &mut Diagnostics) -> Option<(Option<GroupWay>, Place)> {
    Place::parse_in_group(&key.text)
        .map_err(|message| {
            diagnostics.push(Diagnostic::error("profile.place", &key.span, message).with_help(
                "write segments as `PID`, and fields as `PID-3`, `PID-3.4` or `PID-3.4.1`",
            ));
        })
        .ok()
}

fn boxed_text(node: &Node, diagnostics: &mut Diagnostics) -> Option<Box<str>> {
    node.text(diagnostics).map(Box::from)
}

fn condition(node: &Node, diagnostics: &mut Diagnostics) -> Option<Condition> {
    let text = node.text_not_empty(diagnostics)?;
    let ConditionError { at, message, help } = match Condition::parse(text) {
        Ok(condition) => return Some(condition),
        Err(error) => error,
    };
    let end = if at.end > at.start { at.end } else { at.start + 1 };
    let start = at.start.min(text.len().saturating_sub(1));
    let span = node.sub_span_of_bytes(start, end.max(start + 1));
    let error = Diagnostic::error("profile.condition", &span, message);
    diagnostics.push(match help {
        Some(help) => error.with_help(help),
        None => error,
    });
    None
}
