//! Where a message departs from a profile.

use std::borrow::Cow;

use pipehat_message::{Delimiters, Message, Path, Segment, SegmentName, Value};

use super::condition::Condition;
use super::constraint::{ElementConstraint, Profile, SegmentConstraint, Standing, UsageConstraint};
use super::group::GroupWay;
use super::place::Place;
use super::rule::{Demand, Rule};
use super::write::{shown_cardinality, shown_length};
use crate::element::Usage;
use crate::naming::Naming;
use crate::reading::Reading;

/// One departure. No text holds a value of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFinding {
    /// The index of the segment in the message; none where something is missing as a whole.
    pub segment: Option<usize>,
    /// The segment group that the profile says it of; none where it says it wherever the segment stands.
    pub said_of: Option<GroupWay>,
    /// Of what is missing in a segment group: in which.
    pub missing: Option<Missing>,
    /// The place.
    pub place: Place,
    /// Which repetition of the field, from 1; 0 for the field as a whole.
    pub repetition: u32,
    /// What kind of departure it is.
    pub rule: ProfileRule,
    /// What is wrong, in a sentence without a full stop.
    pub text: String,
}

/// Where something is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The segment group, as in `/PATIENT_RESULT/ORDER_OBSERVATION(2)`; empty for the message.
    pub group: Box<str>,
    /// The index of the segment it should stand before.
    pub before: usize,
}

/// What kind of departure from a profile it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProfileRule {
    /// The profile does not speak of such messages.
    MessageType,
    /// What has to be there is not.
    Required,
    /// What must not be there is.
    NotSupported,
    /// Too few or too many.
    Cardinality,
    /// A segment stands where it may not.
    Standing,
    /// Too short or too long.
    Length,
    /// A code is none of those it may be.
    Values,
    /// A value is another than the one it always has.
    Constant,
    /// A date, a time or a text is written otherwise.
    Format,
    /// A rule of the profile is not kept.
    Rule,
}

impl ProfileRule {
    /// Its stable name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::MessageType => "profile-message-type",
            Self::Required => "profile-required",
            Self::NotSupported => "profile-not-supported",
            Self::Cardinality => "profile-cardinality",
            Self::Standing => "profile-standing",
            Self::Length => "profile-length",
            Self::Values => "profile-values",
            Self::Constant => "profile-constant",
            Self::Format => "profile-format",
            Self::Rule => "profile-rule",
        }
    }
}

impl ProfileFinding {
    /// The path of the place in the message.
    pub fn path(&self, message: &Message<'_>) -> String {
        let segment = self.segment.and_then(|index| message.segment_path(index));
        let of_group = |missing: &Missing| format!("{}/{}", missing.group, self.place.segment);
        let group = self.missing.as_ref().filter(|missing| !missing.group.is_empty());
        if let Some(missing) = group {
            return of_group(missing);
        }
        let mut path =
            segment.map_or_else(|| self.place.segment.to_string(), |path: Path| path.to_string());
        if self.place.field != 0 {
            path.push_str(&format!("-{}", self.place.field));
        }
        if self.repetition > 1 {
            path.push_str(&format!("[{}]", self.repetition));
        }
        for part in [self.place.component, self.place.subcomponent] {
            if part != 0 {
                path.push_str(&format!(".{part}"));
            }
        }
        path
    }
}

impl Profile {
    /// Tells every departure of a message, those of the message as a whole first.
    pub fn check(&self, message: &Message<'_>, tell: &mut dyn FnMut(ProfileFinding)) {
        let reading = if self.groups.is_empty() { None } else { Reading::of(message) };
        self.check_read(message, reading.as_ref(), tell);
    }

    /// The same of a message that has been read into its groups, if there is a structure for it.
    pub(super) fn check_read(
        &self,
        message: &Message<'_>,
        reading: Option<&Reading>,
        tell: &mut dyn FnMut(ProfileFinding),
    ) {
        let mut check = Check { profile: self, message, way: None, tell };
        check.message_type();
        check.segments();
        if let Some(reading) = reading {
            check.groups(reading);
        }
        for (index, segment) in message.segments().enumerate() {
            let Some(name) = segment.segment_name() else { continue };
            if let Some(constraint) = self.segments.get(&name) {
                check.standing(index, name, constraint);
                check.fields(index, name, segment, constraint);
            }
        }
        for rule in &self.rules {
            check.rule(rule);
        }
    }

    /// All departures of a message.
    pub fn findings(&self, message: &Message<'_>) -> Vec<ProfileFinding> {
        let mut findings = Vec::new();
        self.check(message, &mut |finding| findings.push(finding));
        findings
    }
}

pub(super) struct Check<'c, 'm> {
    pub(super) profile: &'c Profile,
    pub(super) message: &'c Message<'m>,
    /// The group whose constraints are looked at.
    pub(super) way: Option<&'c GroupWay>,
    tell: &'c mut dyn FnMut(ProfileFinding),
}

/// Where in a message something is looked at.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) segment: Option<usize>,
    pub(super) place: Place,
    pub(super) repetition: u32,
}

impl Spot {
    fn part(self, position: u16) -> Self {
        Self { place: self.place.part(position), ..self }
    }
}

impl Check<'_, '_> {
    pub(super) fn say(&mut self, spot: Spot, rule: ProfileRule, text: impl Into<String>) {
        let Spot { segment, place, repetition } = spot;
        let (text, said_of) = (text.into(), self.way.cloned());
        (self.tell)(ProfileFinding {
            segment,
            said_of,
            missing: None,
            place,
            repetition,
            rule,
            text,
        });
    }

    pub(super) fn say_missing(
        &mut self,
        missing: Missing,
        place: Place,
        rule: ProfileRule,
        text: String,
    ) {
        let (missing, said_of) = (Some(missing), self.way.cloned());
        (self.tell)(ProfileFinding {
            segment: None,
            said_of,
            missing,
            place,
            repetition: 0,
            rule,
            text,
        });
    }

    /// The place and what it is called, as in `ZLB-1 (Set ID)`.
    pub(super) fn called(&self, place: &Place) -> String {
        match Naming::of(self.profile.version, Some(self.profile)).place(place) {
            Some((name, _)) => format!("{place} ({name})"),
            None => place.to_string(),
        }
    }

    fn message_type(&mut self) {
        if self.profile.messages.is_empty() {
            return;
        }
        let header = self.message.segment_at(0).and_then(|header| header.field(9));
        let mut names = header.map(|field| field.components()).into_iter().flatten();
        let (code, trigger) = (names.next(), names.next());
        let raw =
            |value: Option<Value<'_>>| value.map_or(b"".as_slice(), |value| value.raw()).to_vec();
        if !self.profile.covers(&raw(code), &raw(trigger)) {
            let place = Place::field(SegmentName::MSH, 9);
            self.say(
                Spot { segment: Some(0), place, repetition: 0 },
                ProfileRule::MessageType,
                format!("the profile {} does not cover messages of this type", self.profile.name),
            );
        }
    }

    fn segments(&mut self) {
        let profile = self.profile;
        for (name, constraint) in &profile.segments {
            if constraint.usage.is_none() && constraint.cardinality.is_none() {
                continue;
            }
            let message = self.message;
            let named = || {
                message
                    .segments()
                    .enumerate()
                    .filter(|(_, segment)| segment.segment_name() == Some(*name))
                    .map(|(index, _)| index)
            };
            let count = named().count();
            let missing = Spot { segment: None, place: Place::segment(*name), repetition: 0 };
            let usage = constraint.usage.as_ref().map(|usage| self.usage(usage, None));
            match usage {
                Some(Usage::Required) if count == 0 => {
                    self.say(
                        missing,
                        ProfileRule::Required,
                        format!("the segment {} is missing", self.called(&missing.place)),
                    );
                    continue;
                }
                Some(Usage::NotSupported) => {
                    let text =
                        format!("the segment {} must not be sent", self.called(&missing.place));
                    for index in named() {
                        let spot = Spot { segment: Some(index), ..missing };
                        self.say(spot, ProfileRule::NotSupported, text.clone());
                    }
                    continue;
                }
                _ => {}
            }
            let Some(cardinality) = constraint.cardinality else { continue };
            let text = || {
                format!(
                    "there are {count} {name} segments, and {} are allowed",
                    shown_cardinality(cardinality)
                )
            };
            if count > 0 && count < usize::from(cardinality.least) {
                self.say(missing, ProfileRule::Cardinality, text());
            } else if count == 0 && cardinality.least > 0 && usage.is_none() {
                self.say(
                    missing,
                    ProfileRule::Required,
                    format!("the segment {} is missing", self.called(&missing.place)),
                );
            } else if let Some(most) = cardinality.most
                && let Some(index) = named().nth(usize::from(most))
            {
                let spot = Spot { segment: Some(index), ..missing };
                self.say(spot, ProfileRule::Cardinality, text());
            }
        }
    }

    /// The usage that counts here.
    pub(super) fn usage(&self, usage: &UsageConstraint, segment: Option<usize>) -> Usage {
        match &usage.when {
            Some(when) if !when.holds(self.message, segment) => usage.otherwise,
            Some(_) | None => usage.usage,
        }
    }

    fn standing(&mut self, index: usize, name: SegmentName, constraint: &SegmentConstraint) {
        let Some(Standing::After(allowed)) = &constraint.standing else { return };
        let before = (0..index)
            .rev()
            .filter_map(|index| self.message.segment_at(index)?.segment_name())
            .find(|before| *before != name);
        if before.is_some_and(|before| allowed.contains(&before)) {
            return;
        }
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        let spot = Spot { segment: Some(index), place: Place::segment(name), repetition: 0 };
        let text = format!(
            "the segment {} may stand only after {}",
            self.called(&spot.place),
            allowed.join(", ")
        );
        self.say(spot, ProfileRule::Standing, text);
    }

    pub(super) fn fields(
        &mut self,
        index: usize,
        name: SegmentName,
        segment: Segment<'_>,
        constraint: &SegmentConstraint,
    ) {
        let mut values = segment.fields();
        for (position, constraint) in (1_u16..).zip(&constraint.fields) {
            let value = values.next();
            let Some(constraint) = constraint.as_deref() else { continue };
            let place = Place::field(name, position);
            let spot = Spot { segment: Some(index), place, repetition: 0 };
            let value = value.filter(|value| !value.is_empty());
            self.presence(spot, constraint, value.is_some());
            let Some(value) = value.filter(|value| !value.is_null()) else { continue };
            if name.declares_delimiters() && position <= 2 {
                continue;
            }
            if let Some(cardinality) = constraint.cardinality {
                let delimiter = self.message.delimiters().repetition;
                let count = memchr::memchr_iter(delimiter, value.raw()).count() + 1;
                if count < usize::from(cardinality.least)
                    || cardinality.most.is_some_and(|most| count > usize::from(most))
                {
                    let text = format!(
                        "there are {count} repetitions, and {} are allowed",
                        shown_cardinality(cardinality)
                    );
                    self.say(spot, ProfileRule::Cardinality, text);
                }
            }
            if !constraint.looks_at_values() {
                continue;
            }
            for (number, repetition) in (1_u32..).zip(value.repetitions()) {
                let spot = Spot { repetition: number, ..spot };
                self.value(spot, constraint, repetition);
            }
        }
    }

    fn presence(&mut self, spot: Spot, constraint: &ElementConstraint, is_there: bool) {
        let Some(usage) = &constraint.usage else { return };
        match self.usage(usage, spot.segment) {
            Usage::Required if !is_there => {
                self.say(
                    spot,
                    ProfileRule::Required,
                    format!("{} is missing", self.called(&spot.place)),
                );
            }
            Usage::NotSupported if is_there => {
                self.say(
                    spot,
                    ProfileRule::NotSupported,
                    format!("{} must not be sent", self.called(&spot.place)),
                );
            }
            _ => {}
        }
    }

    /// A repetition, a component or a subcomponent.
    fn value(&mut self, spot: Spot, constraint: &ElementConstraint, value: Value<'_>) {
        if value.is_empty() || value.is_null() {
            return;
        }
        if let Some(length) = constraint.length {
            let characters = characters(&value.decoded());
            if characters < u64::from(length.least)
                || length.most.is_some_and(|most| characters > u64::from(most))
            {
                let text = format!(
                    "it has {characters} characters, and {} are allowed",
                    shown_length(length)
                );
                self.say(spot, ProfileRule::Length, text);
            }
        }
        self.text(spot, constraint, value);
        if constraint.parts.is_empty() {
            return;
        }
        let (mut components, mut subcomponents) = (None, None);
        if spot.place.component == 0 {
            components = Some(value.components());
        } else {
            subcomponents = Some(value.subcomponents());
        }
        for (position, constraint) in (1_u16..).zip(&constraint.parts) {
            let part = match (&mut components, &mut subcomponents) {
                (Some(components), _) => components.next(),
                (None, Some(subcomponents)) => subcomponents.next(),
                (None, None) => None,
            };
            let Some(constraint) = constraint.as_deref() else { continue };
            let spot = spot.part(position);
            let part = part.filter(|part| !part.is_empty());
            self.presence(spot, constraint, part.is_some());
            if let Some(part) = part {
                self.value(spot, constraint, part);
            }
        }
    }

    /// What is said about the text: of a field or component with parts that is the first one.
    fn text(&mut self, spot: Spot, constraint: &ElementConstraint, value: Value<'_>) {
        if constraint.values.is_none()
            && constraint.constant.is_none()
            && constraint.format.is_none()
            && constraint.pattern.is_none()
        {
            return;
        }
        let text = first_part(value);
        if let Some(constant) = &constraint.constant
            && *text != *constant.as_bytes()
            && value.raw() != constant.as_bytes()
        {
            self.say(
                spot,
                ProfileRule::Constant,
                format!(
                    "{} has another value than the one it always has",
                    self.called(&spot.place)
                ),
            );
        }
        if text.is_empty() {
            return;
        }
        if let Some(values) = &constraint.values
            && !values.contains(&text)
        {
            self.say(
                spot,
                ProfileRule::Values,
                format!("the code in {} is none of its value set", self.called(&spot.place)),
            );
        }
        if let Some(format) = &constraint.format
            && !format.fits(&text)
        {
            self.say(
                spot,
                ProfileRule::Format,
                format!("{} is not written as {format}", self.called(&spot.place)),
            );
        }
        if let Some(pattern) = &constraint.pattern
            && !pattern.is_match(&text)
        {
            self.say(
                spot,
                ProfileRule::Format,
                format!("{} does not look as its pattern says", self.called(&spot.place)),
            );
        }
    }

    fn rule(&mut self, rule: &Rule) {
        let Some(subject) = rule.subject() else {
            self.rule_at(rule, None);
            return;
        };
        for index in 0..self.message.segments().len() {
            let segment = self.message.segment_at(index);
            if segment.and_then(|segment| segment.segment_name()) == Some(subject) {
                self.rule_at(rule, Some(index));
            }
        }
    }

    fn rule_at(&mut self, rule: &Rule, segment: Option<usize>) {
        let applies = |condition: &Condition| condition.holds(self.message, segment);
        if !rule.when.as_ref().is_none_or(applies) {
            return;
        }
        let why = rule.when.as_ref().map_or(String::new(), |when| format!(" when {}", when.text()));
        match &rule.demand {
            Demand::Require(places) => {
                self.demanded(rule, places, segment, false, |place| {
                    format!("{place} is missing, and is required{why}")
                });
            }
            Demand::Forbid(places) => {
                self.demanded(rule, places, segment, true, |place| {
                    format!("{place} must not be sent{why}")
                });
            }
            Demand::Hold(condition) => {
                if condition.holds(self.message, segment) {
                    return;
                }
                let index = segment.unwrap_or(0);
                let name =
                    self.message.segment_at(index).and_then(|segment| segment.segment_name());
                let place = Place::segment(name.unwrap_or(SegmentName::MSH));
                let text = rule.text.as_deref().map(str::to_owned);
                let text = text
                    .unwrap_or_else(|| format!("it does not hold that {}{why}", condition.text()));
                self.say(
                    Spot { segment: Some(index), place, repetition: 0 },
                    ProfileRule::Rule,
                    text,
                );
            }
        }
    }

    /// Tells of the places that are valued, or that are not, as it is wrong.
    fn demanded(
        &mut self,
        rule: &Rule,
        places: &[Place],
        segment: Option<usize>,
        wrong: bool,
        text: impl Fn(&str) -> String,
    ) {
        for place in places {
            if self.is_valued(place, segment) != wrong {
                continue;
            }
            let segment = segment.filter(|_| place.field != 0);
            let spot = Spot { segment, place: *place, repetition: 0 };
            let text =
                rule.text.as_deref().map_or_else(|| text(&self.called(place)), str::to_owned);
            self.say(spot, ProfileRule::Rule, text);
        }
    }

    fn is_valued(&self, place: &Place, segment: Option<usize>) -> bool {
        if place.field == 0 {
            return self.message.segment(place.segment, 1).is_some();
        }
        let at = segment.and_then(|index| self.message.segment_at(index));
        let Some(field) = at.and_then(|segment| segment.field(usize::from(place.field))) else {
            return false;
        };
        let mut value = Some(field);
        if let Some(component) = usize::from(place.component).checked_sub(1) {
            value = value.and_then(|value| value.components().nth(component));
        }
        if let Some(subcomponent) = usize::from(place.subcomponent).checked_sub(1) {
            value = value.and_then(|value| value.subcomponents().nth(subcomponent));
        }
        value.is_some_and(|value| !value.is_empty())
    }
}

/// The first component of a repetition, or the first subcomponent of a component, as text.
fn first_part<'m>(value: Value<'m>) -> Cow<'m, [u8]> {
    let Delimiters { component, subcomponent, escape, .. } = value.delimiters();
    let raw = value.raw();
    let ends = |byte: &u8| *byte == component || Some(*byte) == subcomponent;
    let end = raw.iter().position(ends).unwrap_or(raw.len());
    let first = raw.get(..end).unwrap_or(raw);
    match escape {
        Some(escape) if first.contains(&escape) => {
            pipehat_message::unescape(first, &value.delimiters())
        }
        _ => Cow::Borrowed(first),
    }
}

/// How many characters some bytes are, in UTF-8 or in an eight-bit set.
pub(super) fn characters(bytes: &[u8]) -> u64 {
    let count = match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_ascii() => text.chars().count(),
        _ => bytes.len(),
    };
    count as u64
}
