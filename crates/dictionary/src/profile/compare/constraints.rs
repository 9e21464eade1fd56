//! Comparing what two profiles say. What the second one sends more, or promises less, may break a receiver; what the first
//! one did not promise is no change.

use std::collections::BTreeSet;
use std::fmt;

use pipehat_message::SegmentName;

use super::{Changes, Impact};
use crate::element::{Cardinality, Usage};
use crate::profile::constraint::{
    ElementConstraint, Profile, SegmentConstraint, Standing, UsageConstraint,
};
use crate::profile::format::Format;
use crate::profile::group::{GroupConstraint, GroupWay};
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
        segment(None, name, was, is, changes);
        if was.standing.as_ref().is_some_and(|was| !stands_within(is.standing.as_ref(), was)) {
            let text = format!("the segment {name} may stand elsewhere than before");
            changes.add(Impact::Notable, 100.0, name, "segment-place", text);
        }
    }
    groups(before, after, changes);
    rules(before, after, changes);
}

/// A place wherever its segment stands, or in a segment group; without a segment the group.
#[derive(Clone, Copy)]
struct At<'w> {
    way: Option<&'w GroupWay>,
    place: Option<Place>,
}

impl At<'_> {
    fn part(self, position: u16) -> Self {
        Self { place: self.place.map(|place| place.part(position)), ..self }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.way, self.place) {
            (Some(way), Some(place)) => write!(formatter, "{way}/{place}"),
            (Some(way), None) => way.fmt(formatter),
            (None, Some(place)) => place.fmt(formatter),
            (None, None) => Ok(()),
        }
    }
}

fn segment(
    way: Option<&GroupWay>,
    name: SegmentName,
    was: &SegmentConstraint,
    is: &SegmentConstraint,
    changes: &mut Changes,
) {
    let place = At { way, place: Some(Place::segment(name)) };
    usage(place, was.usage.as_ref(), is.usage.as_ref(), changes);
    cardinality(place, was.cardinality, is.cardinality, changes);
    let most = was.fields.len().max(is.fields.len());
    for position in (1_u16..).take(most) {
        let place = At { way, place: Some(Place::field(name, position)) };
        element(place, was.field(position), is.field(position), changes);
    }
}

fn groups(before: &Profile, after: &Profile, changes: &mut Changes) {
    let ways: BTreeSet<&GroupWay> = before.groups.keys().chain(after.groups.keys()).collect();
    let (no_group, no_segment) = (GroupConstraint::default(), SegmentConstraint::default());
    for way in ways {
        let was = before.groups.get(way).unwrap_or(&no_group);
        let is = after.groups.get(way).unwrap_or(&no_group);
        let place = At { way: Some(way), place: None };
        usage(place, was.usage.as_ref(), is.usage.as_ref(), changes);
        cardinality(place, was.cardinality, is.cardinality, changes);
        let names: BTreeSet<SegmentName> =
            was.segments.keys().chain(is.segments.keys()).copied().collect();
        for name in names {
            let was = was.segments.get(&name).unwrap_or(&no_segment);
            let is = is.segments.get(&name).unwrap_or(&no_segment);
            segment(Some(way), name, was, is, changes);
        }
    }
}

/// The most codes that a change names.
const CODES_NAMED_MAX: usize = 8;

/// Whether a segment stands only where it stood before.
fn stands_within(is: Option<&Standing>, was: &Standing) -> bool {
    match (is, was) {
        (_, Standing::Anywhere) => true,
        (Some(Standing::After(is)), Standing::After(was)) => is.iter().all(|one| was.contains(one)),
        (Some(Standing::Anywhere) | None, Standing::After(_)) => false,
    }
}

fn element(
    place: At<'_>,
    was: Option<&ElementConstraint>,
    is: Option<&ElementConstraint>,
    changes: &mut Changes,
) {
    let nothing = ElementConstraint::default();
    let (was, is) = (was.unwrap_or(&nothing), is.unwrap_or(&nothing));
    usage(place, was.usage.as_ref(), is.usage.as_ref(), changes);
    cardinality(place, was.cardinality, is.cardinality, changes);
    length(place, was, is, changes);
    // What is said of the first part is said of the whole.
    let first = is.part(1);
    let is_values = is.values.as_deref().or(first.and_then(|first| first.values.as_deref()));
    let is_constant = is.constant.as_deref().or(first.and_then(|first| first.constant.as_deref()));
    match (was.values.as_deref(), is.values.is_some()) {
        (Some(was), _) => values(place, was, is_values, is_constant, changes),
        (None, true) => new_rule(place, "value set", "new-code", None, changes),
        (None, false) => {}
    }
    if let Some(before) = was.constant.as_deref() {
        let is_only = is_values.is_some_and(|values| {
            *values.source() == ValueSource::Listed
                && values.with().iter().all(|code| **code == *before)
        });
        if is_constant != Some(before) && !is_only {
            let now = is_constant.map(str::to_owned);
            add(place, "constant", "constant", before.to_owned(), now, Impact::Breaking, changes);
        }
    } else if let Some(now) = is.constant.as_deref().filter(|_| was.values.is_none()) {
        new_rule(place, "constant", "constant", Some(now.to_owned()), changes);
    }
    if let Some(before) = &was.format {
        let now = is.format.as_ref().or(first.and_then(|first| first.format.as_ref()));
        let impact = match now {
            Some(now) if now == before => None,
            Some(now) if now.is_within(before) => Some(Impact::Minor),
            _ => Some(Impact::Breaking),
        };
        if let Some(impact) = impact {
            let now = now.map(ToString::to_string);
            add(place, "format", "format", before.to_string(), now, impact, changes);
        }
    } else if let Some(now) = is.format.as_ref().filter(|_| was.length.is_none()) {
        new_rule(place, "format", "format", Some(now.to_string()), changes);
    }
    let pattern = |said: &ElementConstraint| said.pattern.as_ref().map(|it| it.as_str().to_owned());
    text(place, "pattern", (pattern(was), pattern(is)), Impact::Notable, changes);
    let data_type = |said: &ElementConstraint| said.data_type.as_deref().map(str::to_owned);
    text(place, "type", (data_type(was), data_type(is)), Impact::Breaking, changes);
    let last = |element: &ElementConstraint| present(&element.parts).last().map_or(0, |(at, _)| at);
    for position in 1..=last(was).max(last(is)) {
        element(place.part(position), was.part(position), is.part(position), changes);
    }
}

fn add(
    place: At<'_>,
    what: &str,
    kind: &'static str,
    old: String,
    new: Option<String>,
    impact: Impact,
    changes: &mut Changes,
) {
    let text = match new {
        Some(new) => format!("{what} of {place} went from {old} to {new}"),
        None => format!("{what} of {place} was {old}, and is not said any more"),
    };
    changes.add(impact, 100.0, place, kind, text);
}

/// What is said now and was not. It promises more, which breaks nobody.
fn new_rule(
    place: At<'_>,
    what: &str,
    kind: &'static str,
    now: Option<String>,
    changes: &mut Changes,
) {
    if changes.tells_new_rules {
        let now = now.map_or(String::new(), |now| format!(": {now}"));
        let text = format!("{place} has a {what} now, before none{now}");
        changes.add(Impact::Minor, 100.0, place, kind, text);
    }
}

/// Two texts that are the same or not.
fn text(
    place: At<'_>,
    what: &'static str,
    (was, is): (Option<String>, Option<String>),
    impact: Impact,
    changes: &mut Changes,
) {
    match (was, is) {
        (Some(was), Some(is)) if was != is => {
            add(place, what, what, was, Some(is), impact, changes);
        }
        (Some(was), None) if changes.tells_new_rules => {
            add(place, what, what, was, None, Impact::Notable, changes);
        }
        (None, Some(is)) => new_rule(place, what, what, Some(is), changes),
        _ => {}
    }
}

/// The length, or that of the format that is said now in its stead.
fn length(place: At<'_>, was: &ElementConstraint, is: &ElementConstraint, changes: &mut Changes) {
    let Some(before) = was.length else {
        if let Some(now) = is.length.filter(|_| was.format.is_none()) {
            new_rule(place, "length", "length", Some(shown_length(now)), changes);
        }
        return;
    };
    let first = is.part(1);
    let format = is.format.as_ref().or(first.and_then(|first| first.format.as_ref()));
    let now = is.length.or_else(|| format.map(Format::length));
    let impact = match now {
        Some(now) if now == before && is.length.is_some() => return,
        Some(now) if now.is_within(before) => Impact::Minor,
        Some(_) => Impact::Notable,
        None if changes.tells_new_rules => Impact::Notable,
        None => return,
    };
    let shown = match (is.length, format) {
        (None, Some(format)) => Some(format!("that of the format {format}")),
        _ => now.map(shown_length),
    };
    add(place, "length", "length", shown_length(before), shown, impact, changes);
}

fn usage(
    place: At<'_>,
    was: Option<&UsageConstraint>,
    is: Option<&UsageConstraint>,
    changes: &mut Changes,
) {
    let shown = |usage: &UsageConstraint| match &usage.when {
        Some(when) => format!("{} when {}", usage.code(), when.text()),
        None => usage.code(),
    };
    let is_now = |usage: Usage| is.is_some_and(|is| is.when.is_none() && is.usage == usage);
    let Some(was) = was else {
        if is_now(Usage::NotSupported) {
            let text = format!("{place} is not sent any more");
            changes.add(Impact::Notable, 100.0, place, "usage", text);
        } else if let Some(is) = is {
            new_rule(place, "usage", "usage", Some(shown(is)), changes);
        }
        return;
    };
    if is.map(shown) == Some(shown(was)) {
        return;
    }
    let impact = match was.usage {
        // Whoever is always sent what was sent sometimes is not worse off.
        _ if was.usage != Usage::NotSupported && is_now(Usage::Required) => Impact::Minor,
        Usage::Required if was.when.is_some() => Impact::Notable,
        // What was always there may be missing, what never was may come.
        Usage::Required | Usage::NotSupported => Impact::Breaking,
        _ if is_now(Usage::NotSupported) => Impact::Breaking,
        _ => Impact::Minor,
    };
    add(place, "usage", "usage", shown(was), is.map(shown), impact, changes);
}

fn cardinality(
    place: At<'_>,
    was: Option<Cardinality>,
    is: Option<Cardinality>,
    changes: &mut Changes,
) {
    let Some(was) = was else {
        if let Some(is) = is {
            let now = Some(shown_cardinality(is));
            new_rule(place, "cardinality", "repeats", now, changes);
        }
        return;
    };
    let most = |cardinality: Cardinality| cardinality.most.unwrap_or(u16::MAX);
    let impact = match is {
        Some(is) if is == was => return,
        Some(is) if most(is) > most(was) => Impact::Breaking,
        Some(is) if is.least < was.least => Impact::Notable,
        Some(_) => Impact::Minor,
        None if changes.tells_new_rules => Impact::Notable,
        None => return,
    };
    let now = is.map(shown_cardinality);
    add(place, "cardinality", "repeats", shown_cardinality(was), now, impact, changes);
}

fn values(
    place: At<'_>,
    was: &ValueSet,
    is: Option<&ValueSet>,
    constant: Option<&str>,
    changes: &mut Changes,
) {
    if let Some(constant) = constant.filter(|constant| was.contains(constant.as_bytes())) {
        if is.is_none() {
            let text = format!("{place} is always `{constant}` now, before one of some codes");
            changes.add(Impact::Minor, 100.0, place, "code-gone", text);
        }
        return;
    }
    let Some(is) = is else {
        let text = format!("{place} may have any code, before only some");
        changes.add(Impact::Notable, 100.0, place, "new-code", text);
        return;
    };
    let is_listed = matches!(is.source(), ValueSource::Listed | ValueSource::CodeTable(_));
    if !is_listed {
        let is_same =
            was.source() == is.source() && was.with() == is.with() && was.without() == is.without();
        if !is_same {
            let text = format!("the value set of {place} is another");
            changes.add(Impact::Notable, 100.0, place, "new-code", text);
        }
        return;
    }
    let shown = |codes: Vec<&Box<str>>| {
        let codes: Vec<String> =
            codes.into_iter().take(CODES_NAMED_MAX).map(|code| format!("`{code}`")).collect();
        codes.join(", ")
    };
    let new: Vec<_> = is.with().iter().filter(|code| !was.contains(code.as_bytes())).collect();
    if !new.is_empty() {
        let text = format!("new codes in {place}: {}", shown(new));
        changes.add(Impact::Breaking, 100.0, place, "new-code", text);
    }
    let gone: Vec<_> = was.with().iter().filter(|code| !is.contains(code.as_bytes())).collect();
    if !gone.is_empty() {
        let text = format!("{place} is never {} any more", shown(gone));
        changes.add(Impact::Minor, 100.0, place, "code-gone", text);
    } else if is.source() != was.source()
        && is.with().iter().all(|code| was.contains(code.as_bytes()))
    {
        let text = format!("{place} has fewer codes than before");
        changes.add(Impact::Minor, 100.0, place, "code-gone", text);
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
