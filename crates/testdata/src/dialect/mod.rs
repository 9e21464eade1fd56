//! Making a message one of a partner's: what its profile says, done to it.
//!
//! A message is changed until the profile finds nothing in it any more: what has to be there is filled, what must not be
//! is taken out, codes, constants, lengths, formats and patterns are made to fit, and the partner's own segments are put
//! where they may stand. What depends on conditions that contradict each other stays as it is.

mod sample;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use pipehat_dictionary::profile::{
    Demand, ElementConstraint, Place, Profile, ProfileFinding, ProfileRule, SegmentConstraint,
    Standing,
};
use pipehat_dictionary::{Usage, Version};
use pipehat_message::{InsertAt, Message, Path, SegmentName};

use self::sample::Sample;
use crate::moment::Moment;
use crate::random::mix;

/// So often a message is looked through; each repair can make another necessary.
const PASSES_MAX: usize = 8;

/// A partner's dialect.
#[derive(Debug, Clone)]
pub(crate) struct Dialect {
    profile: Arc<Profile>,
}

/// What a dialect asks of the structure of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Must,
    Never,
}

impl Dialect {
    pub(crate) const fn new(profile: Arc<Profile>) -> Self {
        Self { profile }
    }

    /// Segments of the standard that the dialect always or never has.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (SegmentName, Wanted)> + '_ {
        self.profile.segments.iter().filter_map(|(name, constraint)| {
            let usage = constraint.usage.as_ref().filter(|usage| usage.when.is_none())?;
            match usage.usage {
                Usage::Required => Some((*name, Wanted::Must)),
                Usage::NotSupported => Some((*name, Wanted::Never)),
                _ => None,
            }
        })
    }

    /// Makes a message fit, if the profile speaks of such messages.
    pub(crate) fn apply(&self, bytes: &[u8], now: Moment, seed: u64) -> Option<Vec<u8>> {
        let mut message = Message::parse(bytes).ok()?;
        let name = |path: &str| {
            let path: Path = path.parse().ok()?;
            message.get(&path).map(|value| value.raw().to_vec())
        };
        let code = name("MSH-9.1").unwrap_or_default();
        let trigger = name("MSH-9.2").unwrap_or_default();
        if !self.profile.covers(&code, &trigger) {
            return None;
        }
        let sample = Sample { now, seed };
        self.add_own_segments(&mut message, sample);
        for pass in 0..PASSES_MAX as u64 {
            let findings = self.profile.findings(&message);
            if findings.is_empty() {
                break;
            }
            let sample = Sample { now, seed: mix(seed, pass) };
            for finding in findings {
                // Segments that come or go move the others: the rest is looked at again.
                if self.repair(&mut message, &finding, sample) == Some(Moved::Segments) {
                    break;
                }
            }
        }
        Some(message.into_bytes().into_owned())
    }

    /// Puts the segments that the dialect alone has where they may stand.
    fn add_own_segments(&self, message: &mut Message<'_>, sample: Sample) {
        for (name, constraint) in &self.profile.segments {
            let is_unwanted = constraint
                .usage
                .as_ref()
                .is_some_and(|usage| matches!(usage.usage, Usage::NotSupported | Usage::Withdrawn));
            let is_known = self.profile.version.segment(*name).is_some();
            let is_there = message.segments().any(|one| one.segment_name() == Some(*name));
            if is_unwanted || is_there || (is_known && constraint.standing.is_none()) {
                continue;
            }
            self.insert(message, *name, constraint, sample);
        }
    }

    fn insert(
        &self,
        message: &mut Message<'_>,
        name: SegmentName,
        constraint: &SegmentConstraint,
        sample: Sample,
    ) -> Option<Moved> {
        let at = match &constraint.standing {
            Some(Standing::After(allowed)) => {
                let stands = |one: SegmentName| allowed.contains(&one) || one == name;
                let named = message
                    .segments()
                    .enumerate()
                    .filter(|(_, one)| one.segment_name().is_some_and(stands));
                InsertAt::After(named.map(|(index, _)| index).next_back()?)
            }
            Some(Standing::Anywhere) | None => InsertAt::End,
        };
        // One of the first fields has something to say: a segment without fields says nothing.
        let path = message.insert_segment(at, name.as_bytes()).ok()?;
        for (position, field) in (1_u16..).zip(&constraint.fields) {
            let Some(field) = field.as_deref().filter(|field| is_sent(field)) else { continue };
            let place = Place::field(name, position);
            let path: Path = format!("{path}-{position}").parse().ok()?;
            let value = sample.value(field, self.data_type(place, field), position);
            message.set_raw(&path, &value).ok()?;
        }
        Some(Moved::Segments)
    }

    /// The name of a field's data type, as the profile or the version has it.
    fn data_type<'d>(&self, place: Place, constraint: &'d ElementConstraint) -> &'d str {
        constraint
            .data_type
            .as_deref()
            .unwrap_or_else(|| standard_type(self.profile.version, place))
    }

    /// Mends one departure.
    fn repair(
        &self,
        message: &mut Message<'_>,
        finding: &ProfileFinding,
        sample: Sample,
    ) -> Option<Moved> {
        let place = finding.place;
        if place.field == 0 {
            return self.repair_segment(message, finding, sample);
        }
        let path: Path = finding.path(message).parse().ok()?;
        let nothing = ElementConstraint::default();
        let own = self.profile.element_in(finding.said_of.as_ref(), &place);
        let constraint = own.unwrap_or(&nothing);
        let data_type = self.data_type(place, constraint);
        match finding.rule {
            ProfileRule::Required | ProfileRule::Values | ProfileRule::Constant => {
                let value = sample.value(constraint, data_type, place.field);
                message.set_raw(&path, &value).ok()?;
            }
            ProfileRule::NotSupported => message.clear(&path).ok()?,
            ProfileRule::Length | ProfileRule::Format => {
                let old = message.get(&path).map(|value| value.raw().to_vec()).unwrap_or_default();
                let value = sample.mended(constraint, data_type, &old, place.field);
                message.set_raw(&path, &value).ok()?;
            }
            ProfileRule::Cardinality => {
                let field =
                    message.segment_at(finding.segment?)?.field(usize::from(place.field))?;
                let count = field.repetitions().count();
                let whole: Path = finding.path(message).split('[').next()?.parse().ok()?;
                let numbered = |number: usize| format!("{whole}[{number}]").parse::<Path>().ok();
                let most = constraint.cardinality.and_then(|cardinality| cardinality.most);
                match most {
                    Some(most) if count > usize::from(most) => {
                        message.remove(&numbered(usize::from(most) + 1)?).ok()?;
                    }
                    _ => {
                        let first = field.repetitions().next().map(|one| one.raw().to_vec())?;
                        message.set_raw(&numbered(count + 1)?, &first).ok()?;
                    }
                }
            }
            ProfileRule::Rule => self.repair_rule(message, place, &path, sample)?,
            ProfileRule::MessageType | ProfileRule::Standing => return None,
        }
        Some(Moved::Nothing)
    }

    /// A rule between fields: what it requires is filled, what it forbids is emptied.
    fn repair_rule(
        &self,
        message: &mut Message<'_>,
        place: Place,
        path: &Path,
        sample: Sample,
    ) -> Option<()> {
        let forbids =
            self.profile.rules.iter().any(
                |rule| matches!(&rule.demand, Demand::Forbid(places) if places.contains(&place)),
            );
        let is_there = message.get(path).is_some_and(|value| !value.is_empty());
        if forbids && is_there {
            return message.clear(path).ok();
        }
        let nothing = ElementConstraint::default();
        let constraint = self.profile.element(&place).unwrap_or(&nothing);
        let value = sample.value(constraint, self.data_type(place, constraint), place.field);
        message.set_raw(path, &value).ok()
    }

    fn repair_segment(
        &self,
        message: &mut Message<'_>,
        finding: &ProfileFinding,
        sample: Sample,
    ) -> Option<Moved> {
        let name = finding.place.segment;
        match (finding.rule, finding.segment) {
            (
                ProfileRule::NotSupported | ProfileRule::Cardinality | ProfileRule::Standing,
                Some(_),
            ) => {
                let path: Path = finding.path(message).parse().ok()?;
                message.remove(&path).ok()?;
                Some(Moved::Segments)
            }
            (ProfileRule::Required | ProfileRule::Cardinality, None) => {
                let constraint = self.profile.segment(name)?;
                let own =
                    constraint.standing.is_some() || self.profile.version.segment(name).is_none();
                if own { self.insert(message, name, constraint, sample) } else { None }
            }
            _ => None,
        }
    }
}

/// What a repair did to the segments' places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Nothing,
    Segments,
}

/// Whether a field of a dialect is sent: all but what must not be.
fn is_sent(field: &ElementConstraint) -> bool {
    field
        .usage
        .as_ref()
        .is_none_or(|usage| !matches!(usage.usage, Usage::NotSupported | Usage::Withdrawn))
}

fn standard_type(version: Version, place: Place) -> &'static str {
    let field = version.segment(place.segment).and_then(|one| one.field(usize::from(place.field)));
    let Some(field) = field else { return "ST" };
    if place.component == 0 {
        return field.data_type_name();
    }
    let component = field.data_type().and_then(|one| one.component(usize::from(place.component)));
    let Some(component) = component else { return "ST" };
    if place.subcomponent == 0 {
        return component.data_type_name();
    }
    let part = component.data_type().and_then(|one| one.component(usize::from(place.subcomponent)));
    part.map_or("ST", |part| part.data_type_name())
}
