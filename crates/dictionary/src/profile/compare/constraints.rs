//! Comparing what two profiles say. What the second one sends more, or promises less, may break a receiver.

use std::collections::BTreeSet;

use pipehat_message::SegmentName;

use super::{Changes, Impact};
use crate::element::{Cardinality, Usage};
use crate::profile::constraint::{ElementConstraint, Profile, SegmentConstraint, UsageConstraint};
use crate::profile::place::Place;
use crate::profile::value_set::{ValueSet, ValueSource};
use crate::profile::write::{present, shown_cardinality, shown_length};

pub(super) fn compare(before: &Profile, after: &Profile, changes: &mut Changes) {
    let names = |profile: &Profile| -> BTreeSet<String> {
        profile.messages.iter().map(ToString::to_string).collect()
    };
    let (was, is) = (names(before), names(after));
    for name in is.difference(&was).filter(|_| !was.is_empty()) {
        changes.add(Impact::Breaking, 100.0, "messages", "new-type", format!("{name} is new"));
    }
    for name in was.difference(&is).filter(|_| !is.is_empty()) {
        changes.add(
            Impact::Breaking,
            100.0,
            "messages",
            "type-gone",
            format!("{name} comes no more"),
        );
    }
    let segments: BTreeSet<SegmentName> =
        before.segments.keys().chain(after.segments.keys()).copied().collect();
    let nothing = SegmentConstraint::default();
    for name in segments {
        let was = before.segments.get(&name).unwrap_or(&nothing);
        let is = after.segments.get(&name).unwrap_or(&nothing);
        let place = Place::segment(name);
        usage(place, was.usage.as_ref(), is.usage.as_ref(), changes);
        cardinality(place, was.cardinality, is.cardinality, changes);
        if was.standing != is.standing && was.standing.is_some() {
            let text = format!("the segment {name} may stand elsewhere than before");
            changes.add(Impact::Notable, 100.0, name, "segment-place", text);
        }
        let most = was.fields.len().max(is.fields.len());
        for position in (1_u16..).take(most) {
            let place = Place::field(name, position);
            element(place, was.field(position), is.field(position), changes);
        }
    }
    rules(before, after, changes);
}

fn element(
    place: Place,
    was: Option<&ElementConstraint>,
    is: Option<&ElementConstraint>,
    changes: &mut Changes,
) {
    let nothing = ElementConstraint::default();
    let (was, is) = (was.unwrap_or(&nothing), is.unwrap_or(&nothing));
    usage(place, was.usage.as_ref(), is.usage.as_ref(), changes);
    cardinality(place, was.cardinality, is.cardinality, changes);
    let (old, new) = (was.length.map(shown_length), is.length.map(shown_length));
    if old != new {
        let longer = was.length.is_some_and(|was| {
            is.length.is_none_or(|is| is.most.unwrap_or(u32::MAX) > was.most.unwrap_or(u32::MAX))
        });
        let impact = if longer { Impact::Notable } else { Impact::Minor };
        add(place, "length", "length", old, new, impact, changes);
    }
    values(place, was.values.as_deref(), is.values.as_deref(), changes);
    let texts = [
        (
            "constant",
            was.constant.as_deref().map(str::to_owned),
            is.constant.as_deref().map(str::to_owned),
            Impact::Breaking,
        ),
        (
            "format",
            was.format.as_ref().map(ToString::to_string),
            is.format.as_ref().map(ToString::to_string),
            Impact::Breaking,
        ),
        ("pattern", pattern(was), pattern(is), Impact::Notable),
        (
            "type",
            was.data_type.as_deref().map(str::to_owned),
            is.data_type.as_deref().map(str::to_owned),
            Impact::Breaking,
        ),
    ];
    for (what, old, new, impact) in texts {
        if old != new {
            add(place, what, what, old, new, impact, changes);
        }
    }
    let last = |element: &ElementConstraint| {
        present(&element.parts).last().map_or(0, |(position, _)| position)
    };
    for position in 1..=last(was).max(last(is)) {
        element_part(place, position, was, is, changes);
    }
}

fn element_part(
    place: Place,
    position: u16,
    was: &ElementConstraint,
    is: &ElementConstraint,
    changes: &mut Changes,
) {
    element(place.part(position), was.part(position), is.part(position), changes);
}

fn pattern(element: &ElementConstraint) -> Option<String> {
    element.pattern.as_ref().map(|pattern| pattern.as_str().to_owned())
}

fn add(
    place: Place,
    what: &str,
    kind: &'static str,
    old: Option<String>,
    new: Option<String>,
    impact: Impact,
    changes: &mut Changes,
) {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "not said".to_owned());
    let text = format!("{what} of {place} went from {} to {}", shown(old), shown(new));
    changes.add(impact, 100.0, place, kind, text);
}

fn usage(
    place: Place,
    was: Option<&UsageConstraint>,
    is: Option<&UsageConstraint>,
    changes: &mut Changes,
) {
    let shown = |usage: Option<&UsageConstraint>| {
        usage.map(|usage| match &usage.when {
            Some(when) => format!("{} when {}", usage.code(), when.text()),
            None => usage.code(),
        })
    };
    let (old, new) = (shown(was), shown(is));
    if old == new {
        return;
    }
    let least = |usage: Option<&UsageConstraint>| {
        usage.map_or(Usage::Optional, |usage| match usage.when {
            Some(_) if usage.usage == Usage::Required => Usage::Conditional,
            _ => usage.usage,
        })
    };
    let impact = match (least(was), least(is)) {
        // What was always there may be missing, or what never was may come.
        (Usage::Required, _) | (_, Usage::NotSupported) | (Usage::NotSupported, _) => {
            Impact::Breaking
        }
        (Usage::Conditional, _) | (_, Usage::Conditional) => Impact::Notable,
        _ => Impact::Minor,
    };
    add(place, "usage", "usage", old, new, impact, changes);
}

fn cardinality(
    place: Place,
    was: Option<Cardinality>,
    is: Option<Cardinality>,
    changes: &mut Changes,
) {
    if was == is {
        return;
    }
    let most =
        |cardinality: Option<Cardinality>| cardinality.map(|one| one.most.unwrap_or(u16::MAX));
    let more = most(was).is_some_and(|was| most(is).is_none_or(|is| is > was));
    let impact = if more { Impact::Breaking } else { Impact::Minor };
    let (old, new) = (was.map(shown_cardinality), is.map(shown_cardinality));
    add(place, "cardinality", "repeats", old, new, impact, changes);
}

fn values(place: Place, was: Option<&ValueSet>, is: Option<&ValueSet>, changes: &mut Changes) {
    let Some(was) = was else { return };
    let Some(is) = is else {
        changes.add(
            Impact::Breaking,
            100.0,
            place,
            "new-code",
            format!("{place} may have any code, before only some"),
        );
        return;
    };
    let listed = |values: &ValueSet| {
        matches!(values.source(), ValueSource::Listed | ValueSource::CodeTable(_))
    };
    if !listed(was) || !listed(is) {
        if was.source() != is.source() || was.with() != is.with() || was.without() != is.without() {
            changes.add(
                Impact::Notable,
                100.0,
                place,
                "new-code",
                format!("the value set of {place} is another"),
            );
        }
        return;
    }
    let shown = |codes: Vec<&Box<str>>| {
        let codes: Vec<String> =
            codes.into_iter().take(8).map(|code| format!("`{code}`")).collect();
        codes.join(", ")
    };
    let new: Vec<_> = is.with().difference(was.with()).collect();
    if !new.is_empty() {
        changes.add(
            Impact::Breaking,
            100.0,
            place,
            "new-code",
            format!("new codes in {place}: {}", shown(new)),
        );
    }
    let gone: Vec<_> = was.with().difference(is.with()).collect();
    if !gone.is_empty() {
        changes.add(
            Impact::Minor,
            100.0,
            place,
            "code-gone",
            format!("{place} is never {} any more", shown(gone)),
        );
    }
}

fn rules(before: &Profile, after: &Profile, changes: &mut Changes) {
    let texts = |profile: &Profile| -> BTreeSet<String> {
        profile
            .rules
            .iter()
            .map(|rule| {
                let when = rule.when.as_ref().map_or("always", |when| when.text());
                format!("when {when}: {:?}", rule.demand)
            })
            .collect()
    };
    let (was, is) = (texts(before), texts(after));
    let gone = was.difference(&is).count();
    let new = is.difference(&was).count();
    if gone > 0 {
        changes.add(
            Impact::Notable,
            100.0,
            "rules",
            "rules",
            format!("{gone} rule(s) hold no more"),
        );
    }
    if new > 0 {
        changes.add(Impact::Minor, 100.0, "rules", "rules", format!("{new} rule(s) are new"));
    }
}
