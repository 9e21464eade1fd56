//! A profile as what validation asks for beside the standard.
//!
//! What the profile says about a place counts, and what the standard says about the same thing there does not: a
//! profile with `PV1-2: O` takes messages without a patient class, one with `values` for OBX-8 its codes and no others.
//! About everything else the standard's own findings stand. A message is read by its own version, as MSH-12 says; the
//! profile's version says what its names of types and tables mean.

use std::fmt;
use std::sync::{Arc, OnceLock};

use pipehat_message::{ErrorCode, Message, Severity};

use super::check::{ProfileFinding, ProfileRule};
use super::constraint::{Accepted, ElementConstraint, Profile, SegmentConstraint};
use super::place::Place;
use super::write::present;
use crate::finding::{Detail, Finding, Findings, Location};
use crate::naming::Naming;
use crate::reading::Reading;
use crate::validation::{Constraints, Level, Rule, Rules, is_typed};
use crate::version::Version;

/// A profile, made ready for validation.
#[derive(Clone)]
pub struct ProfileConstraints {
    profile: Arc<Profile>,
    /// The rules of each version with the profile's own segments and types, made when the first message of the version
    /// comes; none where the profile has no types of its own.
    rules: Option<Arc<[OnceLock<Rules>; Version::ALL.len()]>>,
}

impl ProfileConstraints {
    /// Makes it ready.
    pub fn new(profile: Arc<Profile>) -> Self {
        let is_typed = profile.segments.values().any(|segment| typed(segment).next().is_some());
        let rules = is_typed.then(|| Arc::new([const { OnceLock::new() }; Version::ALL.len()]));
        Self { profile, rules }
    }

    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether the profile says otherwise about what a finding of the standard is about.
    fn overrides(&self, finding: &Finding) -> bool {
        overrides(&self.profile, finding.rule, place_of(finding))
    }
}

/// The place of a finding; none of a line that is no segment.
pub(super) fn place_of(finding: &Finding) -> Option<Place> {
    let Location { segment, field, component, subcomponent, .. } = finding.location;
    Some(Place { segment: segment?, field, component, subcomponent })
}

/// Whether a profile says otherwise about what a rule of the standard says of a place, or takes the departure.
pub(super) fn overrides(profile: &Profile, rule: Rule, place: Option<Place>) -> bool {
    let is_accepted = |accepted: &Accepted| {
        accepted.rule == rule.id() && accepted.at.is_none_or(|at| Some(at) == place)
    };
    if profile.accepted.iter().any(is_accepted) {
        return true;
    }
    let Some(place) = place else { return false };
    // Nobody but the partner says what fields such a segment has.
    if rule == Rule::FieldUndefined && profile.version.segment(place.segment).is_none() {
        return true;
    }
    speaks_of(profile.segment(place.segment), rule, place)
}

/// Whether a profile says otherwise about it where it stands in a segment group.
fn overrides_in_group(profile: &Profile, finding: &Finding, reading: &Reading) -> bool {
    let Some(place) = place_of(finding) else { return false };
    let index = finding.location.segment_index as usize;
    let missing = matches!(finding.rule, Rule::SegmentMissing | Rule::GroupMissing);
    profile.groups.iter().any(|(way, constraint)| {
        let is_around = |group: &usize, name: &str| {
            // Of what is missing the finding tells the group.
            let path = finding.group.as_deref().unwrap_or_default();
            name == path && reading.groups().get(*group).is_some()
        };
        let paths = |names: &[Box<str>]| -> Vec<(usize, String)> {
            let groups = reading.groups_on_way(names).into_iter();
            groups.map(|group| (group, reading.group_path(group).to_string())).collect()
        };
        match finding.rule {
            Rule::GroupMissing => {
                constraint.usage.is_some()
                    && reading.first_segment_of_group(way.names()) == Some(place.segment)
                    && paths(way.around()).iter().any(|(group, path)| is_around(group, path))
            }
            Rule::SegmentRepeats
                if constraint.cardinality.is_some()
                    && reading.first_segment_of_group(way.names()) == Some(place.segment) =>
            {
                let groups = reading.groups_on_way(way.names()).into_iter();
                let mut starts = groups.filter_map(|group| reading.groups().get(group));
                starts.any(|group| group.segments().start == index)
            }
            rule => {
                let segment = constraint.segments.get(&place.segment);
                speaks_of(segment, rule, place)
                    && paths(way.names()).iter().any(|(group, path)| {
                        if missing {
                            is_around(group, path)
                        } else {
                            reading.segments_named_within(*group, place.segment).contains(&index)
                        }
                    })
            }
        }
    })
}

/// Whether what is said about a segment and its fields is about the same thing as a rule of the standard.
fn speaks_of(declared: Option<&SegmentConstraint>, rule: Rule, place: Place) -> bool {
    match rule {
        Rule::SegmentMissing => declared.is_some_and(|segment| segment.usage.is_some()),
        Rule::SegmentRepeats => declared.is_some_and(|segment| segment.cardinality.is_some()),
        Rule::SegmentUnexpected | Rule::SegmentMisplaced => {
            // A segment of the partner's own may stand anywhere, unless the profile says where.
            let is_local = place.segment.as_str().starts_with('Z');
            declared.is_some_and(|segment| is_local || segment.standing.is_some())
        }
        Rule::SegmentUnknown | Rule::SegmentLocal => declared.is_some(),
        Rule::Conditional(rule) => {
            let place = Place::field(place.segment, rule.field);
            says(declared, place, |element| element.usage.is_some())
        }
        rule => place.field != 0 && says(declared, place, |element| is_about(rule, element)),
    }
}

/// Whether something is said about the place; of the first part of something also where it is said of the whole.
fn says(
    segment: Option<&SegmentConstraint>,
    mut place: Place,
    what: impl Fn(&ElementConstraint) -> bool,
) -> bool {
    let Some(segment) = segment else { return false };
    loop {
        if segment.element(&place).is_some_and(&what) {
            return true;
        }
        match place {
            Place { subcomponent: 1, .. } => place.subcomponent = 0,
            Place { component: 1, subcomponent: 0, .. } => place.component = 0,
            _ => return false,
        }
    }
}

/// Whether what is said about an element is about the same thing as the rule.
fn is_about(rule: Rule, element: &ElementConstraint) -> bool {
    match rule {
        Rule::FieldMissing
        | Rule::ComponentMissing
        | Rule::RequiredDeleted
        | Rule::FieldNotSupported => element.usage.is_some(),
        Rule::FieldUndefined | Rule::ComponentUndefined | Rule::SubcomponentUndefined => {
            !element.is_empty()
        }
        Rule::FieldRepeats => element.cardinality.is_some(),
        Rule::ValueTooLong | Rule::FieldTooLong | Rule::ConformanceLength => {
            element.length.is_some()
        }
        Rule::CodeUnknown | Rule::CodeNotSuggested | Rule::CodeDeprecated => {
            element.values.is_some() || element.constant.is_some()
        }
        Rule::NumberMalformed | Rule::SequenceIdMalformed | Rule::TelephoneMalformed => {
            element.pattern.is_some()
        }
        Rule::DateMalformed => element.format.is_some() || element.pattern.is_some(),
        _ => false,
    }
}

impl Constraints for ProfileConstraints {
    fn rules(&self, version: Version) -> &Rules {
        let own = self.rules.as_ref().and_then(|rules| rules.get(version.index()));
        own.map_or_else(
            || Rules::of(version),
            |own| own.get_or_init(|| own_rules(&self.profile, version)),
        )
    }

    fn check(
        &self,
        message: &Message<'_>,
        reading: &Reading,
        version: Version,
        level: Level,
        findings: &mut Findings,
    ) {
        if !findings.is_empty() {
            findings.retain(|finding| {
                !self.overrides(finding) && !overrides_in_group(&self.profile, finding, reading)
            });
        }
        let read = reading.structure().map(|_| reading);
        self.profile.check_read(message, read, &mut |found| {
            let rule = Rule::Profile { id: found.rule.id(), code: code(found.rule) };
            let severity = rule.severity(level).unwrap_or(Severity::Warning);
            let location = location(&found, message);
            let detail = Detail::Text(found.text.into());
            let group = found.missing.map(|missing| missing.group);
            let group = group.filter(|group| !group.is_empty());
            let own_name = None;
            findings.push(Finding { location, group, rule, severity, version, detail, own_name });
        });
        if !findings.is_empty() {
            let naming = Naming::of(version, Some(&self.profile));
            findings.name(|finding| {
                let (name, is_own) = naming.place(&place_of(finding)?)?;
                is_own.then(|| name.into_boxed_str())
            });
        }
    }
}

/// Shows which one it is.
impl fmt::Debug for ProfileConstraints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ProfileConstraints")
            .field("profile", &self.profile.name)
            .finish_non_exhaustive()
    }
}

/// The condition in table 0357.
const fn code(rule: ProfileRule) -> ErrorCode {
    match rule {
        ProfileRule::MessageType => ErrorCode::UnsupportedMessageType,
        ProfileRule::Standing => ErrorCode::SegmentSequenceError,
        ProfileRule::Required => ErrorCode::RequiredFieldMissing,
        ProfileRule::Length => ErrorCode::ValueTooLong,
        ProfileRule::Values | ProfileRule::Constant => ErrorCode::TableValueNotFound,
        ProfileRule::NotSupported
        | ProfileRule::Cardinality
        | ProfileRule::Format
        | ProfileRule::Rule => ErrorCode::DataTypeError,
    }
}

fn location(found: &ProfileFinding, message: &Message<'_>) -> Location {
    let Place { segment, field, component, subcomponent } = found.place;
    let at = match found.segment {
        Some(index) => Location::of_segment(message, index),
        // Of what is missing as a whole: behind all there is.
        None => Location {
            segment_index: found
                .missing
                .as_ref()
                .map_or_else(|| message.segments().len(), |missing| missing.before)
                .try_into()
                .unwrap_or(u32::MAX),
            segment: Some(segment),
            occurrence: 1,
            field: 0,
            repetition: 0,
            component: 0,
            subcomponent: 0,
        },
    };
    Location { field, repetition: found.repetition, component, subcomponent, ..at }
}

/// The fields of a segment that the profile gives a data type, or a part of which.
fn typed(segment: &SegmentConstraint) -> impl Iterator<Item = (u16, &ElementConstraint)> {
    present(&segment.fields).filter(|(_, field)| is_typed(field))
}

/// The rules of a version with the profile's own segments and types.
fn own_rules(profile: &Profile, version: Version) -> Rules {
    let mut rules = Rules::of(version).clone();
    for (name, segment) in &profile.segments {
        for (position, field) in typed(segment) {
            rules.give_types(*name, position, field);
        }
    }
    rules
}
