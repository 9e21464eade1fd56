//! What of two profiles was learned, and not said by a person: the evidence tells how that changed, with rates.

use std::collections::BTreeSet;

use pipehat_message::SegmentName;

use crate::element::{Cardinality, Usage};
use crate::profile::constraint::{
    ElementConstraint, Length, Profile, SegmentConstraint, Standing, UsageConstraint,
};
use crate::profile::evidence::{ElementEvidence, Evidence, SegmentEvidence};
use crate::profile::format::Format;
use crate::profile::learn::SEEN_MIN;
use crate::profile::place::Place;
use crate::profile::value_set::{ValueSet, ValueSource};

/// Both profiles without what was learned on both sides from evidence that is not the same. What stands beside the same
/// evidence, or says otherwise than its evidence, was edited, and stays.
pub(super) fn without_learned(before: &Profile, after: &Profile) -> (Profile, Profile) {
    let (mut was, mut is) = (before.clone(), after.clone());
    let (Some(was_seen), Some(is_seen)) = (&before.evidence, &after.evidence) else {
        return (was, is);
    };
    if was_seen.types != is_seen.types
        && are_learned_types(before, was_seen)
        && are_learned_types(after, is_seen)
    {
        (was.messages, is.messages) = (Vec::new(), Vec::new());
    }
    let names: BTreeSet<SegmentName> =
        was.segments.keys().chain(is.segments.keys()).copied().collect();
    for name in names {
        let was = was.segments.entry(name).or_default();
        let is = is.segments.entry(name).or_default();
        segment((was, was_seen), (is, is_seen), name);
    }
    (was, is)
}

fn are_learned_types(profile: &Profile, evidence: &Evidence) -> bool {
    let named: BTreeSet<String> = profile.messages.iter().map(ToString::to_string).collect();
    named.is_empty()
        || evidence.types.keys().all(|name| named.contains(name))
            && named.len() == evidence.types.len()
}

/// Removes what both sides say, when both have it from their evidence.
fn drop_learned<C>(was: &mut Option<C>, is: &mut Option<C>, was_learned: bool, is_learned: bool) {
    if was_learned && is_learned {
        (*was, *is) = (None, None);
    }
}

fn segment(
    (was, was_all): (&mut SegmentConstraint, &Evidence),
    (is, is_all): (&mut SegmentConstraint, &Evidence),
    name: SegmentName,
) {
    let (was_seen, is_seen) = (was_all.segments.get(&name), is_all.segments.get(&name));
    if was_seen != is_seen || was_all.messages != is_all.messages {
        let usage = |said: &SegmentConstraint, seen: Option<&SegmentEvidence>, messages| {
            is_learned_usage(
                said.usage.as_ref(),
                seen.map(|seen| (seen.messages, messages)),
                Some(Usage::RequiredOrEmpty),
            )
        };
        let learned = (usage(was, was_seen, was_all.messages), usage(is, is_seen, is_all.messages));
        drop_learned(&mut was.usage, &mut is.usage, learned.0, learned.1);
        let learned = |said: &SegmentConstraint, seen: Option<&SegmentEvidence>| {
            is_learned_cardinality(said.cardinality, seen.map(|seen| seen.most))
        };
        let learned = (learned(was, was_seen), learned(is, is_seen));
        drop_learned(&mut was.cardinality, &mut is.cardinality, learned.0, learned.1);
        let learned =
            |said: &SegmentConstraint, seen: Option<&SegmentEvidence>| match &said.standing {
                None => true,
                Some(Standing::Anywhere) => false,
                Some(Standing::After(names)) => {
                    seen.is_some_and(|seen| seen.after.keys().eq(names.iter()))
                }
            };
        let learned = (learned(was, was_seen), learned(is, is_seen));
        drop_learned(&mut was.standing, &mut is.standing, learned.0, learned.1);
    }
    let most = was.fields.len().max(is.fields.len());
    was.fields.resize_with(most, || None);
    is.fields.resize_with(most, || None);
    for (position, (was, is)) in (1_u16..).zip(was.fields.iter_mut().zip(&mut is.fields)) {
        let place = Place::field(name, position);
        if was.is_some() || is.is_some() {
            let (was, is) = (was.get_or_insert_default(), is.get_or_insert_default());
            element((was, was_all), (is, is_all), place);
        }
    }
}

fn element(
    (was, was_all): (&mut ElementConstraint, &Evidence),
    (is, is_all): (&mut ElementConstraint, &Evidence),
    place: Place,
) {
    let (was_seen, is_seen) = (was_all.elements.get(&place), is_all.elements.get(&place));
    if was_seen != is_seen {
        let otherwise = if place.component == 0 { Some(Usage::RequiredOrEmpty) } else { None };
        let learned = |said: &ElementConstraint, seen: Option<&ElementEvidence>| Learned {
            usage: is_learned_usage(
                said.usage.as_ref(),
                seen.map(|seen| (seen.valued, seen.of)),
                otherwise,
            ),
            cardinality: is_learned_cardinality(said.cardinality, seen.map(|seen| seen.most)),
            length: is_learned_length(said.length, seen),
            values: said.values.as_deref().is_none_or(|values| are_learned_values(values, seen)),
            format: said.format.as_ref().is_none_or(|format| is_learned_format(format, seen)),
        };
        let (one, other) = (learned(was, was_seen), learned(is, is_seen));
        drop_learned(&mut was.usage, &mut is.usage, one.usage, other.usage);
        drop_learned(&mut was.cardinality, &mut is.cardinality, one.cardinality, other.cardinality);
        drop_learned(&mut was.length, &mut is.length, one.length, other.length);
        drop_learned(&mut was.values, &mut is.values, one.values, other.values);
        drop_learned(&mut was.format, &mut is.format, one.format, other.format);
        // A type is guessed from the same numbers.
        drop_learned(&mut was.data_type, &mut is.data_type, true, true);
    }
    let most = was.parts.len().max(is.parts.len());
    was.parts.resize_with(most, || None);
    is.parts.resize_with(most, || None);
    for (position, (was, is)) in (1_u16..).zip(was.parts.iter_mut().zip(&mut is.parts)) {
        if was.is_some() || is.is_some() {
            let (was, is) = (was.get_or_insert_default(), is.get_or_insert_default());
            element((was, was_all), (is, is_all), place.part(position));
        }
    }
}

/// Whether the evidence yields what is said.
struct Learned {
    usage: bool,
    cardinality: bool,
    length: bool,
    values: bool,
    format: bool,
}

/// `rate`: how often there, of how often it could be.
fn is_learned_usage(
    said: Option<&UsageConstraint>,
    rate: Option<(u64, u64)>,
    otherwise: Option<Usage>,
) -> bool {
    let Some((there, of)) = rate else { return said.is_none() };
    let usual = if there == of && of >= SEEN_MIN { Some(Usage::Required) } else { otherwise };
    match said {
        // One that depends on the message type.
        Some(UsageConstraint { when: Some(when), usage, otherwise }) => {
            let by_type = when.text().trim_start_matches('(').starts_with("MSH-9.1 = ");
            by_type && (*usage, *otherwise) == (Usage::Required, Usage::Optional) && there < of
        }
        said => said.map(|said| said.usage) == usual,
    }
}

fn is_learned_cardinality(said: Option<Cardinality>, most: Option<u64>) -> bool {
    said.is_none_or(|said| said.least <= 1 && said.most.map(u64::from) == most)
}

fn is_learned_length(said: Option<Length>, seen: Option<&ElementEvidence>) -> bool {
    let Some(Length { least, most }) = said else { return true };
    let length = seen.and_then(|seen| seen.length);
    length == most.map(|most| (u64::from(least), u64::from(most)))
}

fn are_learned_values(said: &ValueSet, seen: Option<&ElementEvidence>) -> bool {
    let Some(seen) = seen else { return false };
    *said.source() == ValueSource::Listed
        && said.with().iter().map(|code| &**code).eq(seen.codes.keys().map(String::as_str))
}

fn is_learned_format(said: &Format, seen: Option<&ElementEvidence>) -> bool {
    let Some(seen) = seen else { return false };
    let (Some((least, _)), Some((most, _))) =
        (seen.precisions.first_key_value(), seen.precisions.last_key_value())
    else {
        return false;
    };
    let dates: u64 = seen.precisions.values().sum();
    [false, true].into_iter().any(|time_only| {
        let of = Format::of(time_only, *least, *most, seen.zoned > 0, seen.zoned < dates);
        of.is_some_and(|of| of == *said)
    })
}
