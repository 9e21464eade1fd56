//! Where a message departs from what a profile says of segment groups.
//!
//! Groups are those of the structure the message is read by. A message without a structure has none, and nothing is
//! said of them: that nothing is known of it is a finding of its own.

use pipehat_message::SegmentName;

use super::check::{Check, Missing, ProfileRule, Spot};
use super::constraint::{SegmentConstraint, UsageConstraint};
use super::group::{GroupConstraint, GroupWay};
use super::place::Place;
use super::write::shown_cardinality;
use crate::element::{Cardinality, Usage};
use crate::reading::Reading;

/// What occurs within a group, or the message.
struct Occurring<'o> {
    /// As in `segment group SPECIMEN`.
    what: String,
    /// The segment it is or begins with.
    place: Place,
    /// The first segments of those there are, by their indexes.
    found: &'o [usize],
    usage: Option<&'o UsageConstraint>,
    cardinality: Option<Cardinality>,
}

impl Check<'_, '_> {
    pub(super) fn groups(&mut self, reading: &Reading) {
        let profile = self.profile;
        for (way, constraint) in &profile.groups {
            self.way = Some(way);
            if constraint.usage.is_some() || constraint.cardinality.is_some() {
                self.group(reading, way, constraint);
            }
            for (name, segment) in &constraint.segments {
                for group in reading.groups_on_way(way.names()) {
                    self.in_group(reading, group, *name, segment);
                }
            }
        }
        self.way = None;
    }

    fn group(&mut self, reading: &Reading, way: &GroupWay, constraint: &GroupConstraint) {
        // Another of the profile's messages may have no such group.
        let Some(first) = reading.first_segment_of_group(way.names()) else { return };
        let place = Place::segment(first);
        for around in reading.groups_on_way(way.around()) {
            let found: Vec<usize> = reading
                .groups_named_within(around, way.name())
                .into_iter()
                .filter_map(|group| Some(reading.groups().get(group)?.segments().start))
                .collect();
            let occurring = Occurring {
                what: format!("segment group {}", way.name()),
                place,
                found: &found,
                usage: constraint.usage.as_ref(),
                cardinality: constraint.cardinality,
            };
            self.occurring(reading, around, &occurring);
        }
    }

    fn in_group(
        &mut self,
        reading: &Reading,
        group: usize,
        name: SegmentName,
        constraint: &SegmentConstraint,
    ) {
        let found = reading.segments_named_within(group, name);
        let place = Place::segment(name);
        let occurring = Occurring {
            what: format!("segment {}", self.called(&place)),
            place,
            found: &found,
            usage: constraint.usage.as_ref(),
            cardinality: constraint.cardinality,
        };
        self.occurring(reading, group, &occurring);
        for index in found {
            if let Some(segment) = self.message.segment_at(index) {
                self.fields(index, name, segment, constraint);
            }
        }
    }

    fn occurring(&mut self, reading: &Reading, around: usize, occurring: &Occurring<'_>) {
        let Occurring { what, place, found, usage, cardinality } = occurring;
        let Some(range) = reading.groups().get(around).map(|group| group.segments()) else {
            return;
        };
        let path = reading.group_path(around).to_string();
        let within = if path.is_empty() { "the message" } else { &path };
        // A condition asks what stands in the group around, up to its end.
        let usage = usage.map(|usage| self.usage(usage, range.end.checked_sub(1)));
        let least = cardinality.map_or(0, |cardinality| cardinality.least);
        let missing = Missing { group: path.clone().into(), before: range.end };
        let count = found.len();
        if count == 0 {
            let is_required = usage == Some(Usage::Required) || (usage.is_none() && least > 0);
            if is_required {
                let text = format!("the {what} is missing in {within}");
                self.say_missing(missing, *place, ProfileRule::Required, text);
            }
            return;
        }
        let at = |index: usize| Spot { segment: Some(index), place: *place, repetition: 0 };
        if usage == Some(Usage::NotSupported) {
            for &index in *found {
                let text = format!("the {what} must not be sent in {within}");
                self.say_of(at(index), ProfileRule::NotSupported, text);
            }
            return;
        }
        let Some(cardinality) = cardinality else { return };
        let text = format!(
            "there are {count} of the {what} in {within}, and {} are allowed",
            shown_cardinality(*cardinality)
        );
        if count < usize::from(cardinality.least) {
            self.say_missing(missing, *place, ProfileRule::Cardinality, text);
        } else if let Some(&index) = cardinality.most.and_then(|most| found.get(usize::from(most)))
        {
            self.say_of(at(index), ProfileRule::Cardinality, text);
        }
    }

    /// At a segment, whatever its name is: a group may begin with another than it should.
    fn say_of(&mut self, spot: Spot, rule: ProfileRule, text: String) {
        let named = spot.segment.and_then(|index| self.message.segment_at(index)?.segment_name());
        let place = named.map_or(spot.place, Place::segment);
        self.say(Spot { place, ..spot }, rule, text);
    }
}
