//! Comparing what was seen.

use std::collections::BTreeMap;

use pipehat_message::SegmentName;

use super::{Changes, Impact};
use crate::element::Usage;
use crate::profile::constraint::{Profile, UsageConstraint};
use crate::profile::evidence::{ElementEvidence, Evidence, percent, shown_percent};
use crate::profile::format::precision_name;
use crate::profile::learn::SEEN_MIN;
use crate::profile::place::Place;

/// A rate that moved by fewer points is taken for the same.
const POINTS_MIN: f64 = 5.0;

/// From this rate on a receiver has come to rely on a value.
const RELIED_ON: f64 = 90.0;

/// How many standard errors a rate has to move, so that chance does not look like a change.
const STANDARD_ERRORS: f64 = 3.0;

/// The same for what was always there: there chance alone makes no gap.
const STANDARD_ERRORS_OF_ALWAYS: f64 = 2.0;

/// Compares what the profiles were learned from; `was` and `profile` are those of before and after.
pub(super) fn compare(
    (before, was): (&Evidence, &Profile),
    (after, profile): (&Evidence, &Profile),
    changes: &mut Changes,
) {
    types(before, after, changes);
    whole(before, after, changes);
    segments((before, was), (after, profile), changes);
    for (place, was) in &before.elements {
        if !after.segments.contains_key(&place.segment) || parent_is_gone(*place, after) {
            continue;
        }
        match after.elements.get(place) {
            Some(is) => {
                // The lengths of a whole follow from those of its parts.
                let is_whole = after.elements.contains_key(&place.part(1));
                element(*place, was, is, is_whole, profile, changes);
            }
            None => gone(*place, was, after, profile, changes),
        }
    }
    for (place, is) in &after.elements {
        let has_parent =
            before.segments.contains_key(&place.segment) && !parent_is_gone(*place, before);
        if before.elements.contains_key(place) || !has_parent {
            continue;
        }
        let share = is.percent();
        let impact = if share >= POINTS_MIN { Impact::Notable } else { Impact::Minor };
        let text = format!(
            "{}{} is new: valued in {}",
            place,
            named(*place, profile),
            shown_percent(is.valued, is.of)
        );
        changes.add(impact, share, place, "new-field", text);
    }
}

/// Whether what a part belongs to was never valued: then that is told, and not each part.
fn parent_is_gone(place: Place, evidence: &Evidence) -> bool {
    let parent = match place {
        Place { subcomponent: 1.., .. } => Place { subcomponent: 0, ..place },
        Place { component: 1.., .. } => Place { component: 0, ..place },
        _ => return false,
    };
    !evidence.elements.contains_key(&parent)
}

fn named(place: Place, profile: &Profile) -> String {
    match profile.title(&place) {
        Some(title) if !title.is_empty() => format!(" ({title})"),
        _ => String::new(),
    }
}

/// How likely it breaks a receiver that one rate became another; none when it may be chance. Who relies on what was there
/// misses it; what was always there is required by a profile that was learned from it, so that a gap is never passed over.
fn impact_of_rate(was: (u64, u64), is: (u64, u64), relied: bool) -> Option<Impact> {
    let less = percent(is.0, is.1) < percent(was.0, was.1);
    if moved(was, is) {
        let relied = relied || percent(was.0, was.1) >= RELIED_ON;
        return Some(if less && relied { Impact::Breaking } else { Impact::Notable });
    }
    let was_always = was.0 == was.1 && was.1 >= SEEN_MIN;
    if !was_always || !less || is.1 == 0 {
        return None;
    }
    let is_sure = moved_by(was, is, STANDARD_ERRORS_OF_ALWAYS);
    Some(if is_sure { Impact::Breaking } else { Impact::Notable })
}

/// Whether two rates differ by more than chance, and enough to matter.
fn moved(was: (u64, u64), is: (u64, u64)) -> bool {
    moved_by(was, is, STANDARD_ERRORS)
}

fn moved_by(was: (u64, u64), is: (u64, u64), standard_errors: f64) -> bool {
    let points = (percent(was.0, was.1) - percent(is.0, is.1)).abs();
    if was.1 == 0 || is.1 == 0 || points < POINTS_MIN {
        return false;
    }
    let pooled = (was.0 + is.0) as f64 / (was.1 + is.1) as f64;
    let error = (pooled * (1.0 - pooled) * (1.0 / was.1 as f64 + 1.0 / is.1 as f64)).sqrt() * 100.0;
    points > standard_errors * error
}

fn types(before: &Evidence, after: &Evidence, changes: &mut Changes) {
    for (name, count) in &before.types {
        if !after.types.contains_key(name) {
            let share = percent(*count, before.messages);
            let text = format!(
                "{name} was {} of messages, and comes no more",
                shown_percent(*count, before.messages)
            );
            // A rare type may just not have come.
            let impact = if *count >= 10 { Impact::Breaking } else { Impact::Minor };
            changes.add(impact, share, "messages", "type-gone", text);
        }
    }
    for (name, count) in &after.types {
        if !before.types.contains_key(name) {
            let share = percent(*count, after.messages);
            let text =
                format!("{name} is new: {} of messages", shown_percent(*count, after.messages));
            changes.add(Impact::Breaking, share, "messages", "new-type", text);
        }
    }
}

fn whole(before: &Evidence, after: &Evidence, changes: &mut Changes) {
    let new_names =
        |was: &BTreeMap<String, u64>, is: &BTreeMap<String, u64>| -> Vec<(String, u64)> {
            is.iter()
                .filter(|(name, _)| !was.contains_key(*name))
                .map(|(name, count)| (name.clone(), *count))
                .collect()
        };
    for (name, count) in new_names(&before.charsets, &after.charsets) {
        let text = format!(
            "MSH-18 says `{name}` in {} of messages, before never",
            shown_percent(count, after.messages)
        );
        changes.add(Impact::Breaking, percent(count, after.messages), "MSH-18", "charset", text);
    }
    for (name, count) in new_names(&before.versions, &after.versions) {
        let text = format!(
            "MSH-12 says `{name}` in {} of messages, before never",
            shown_percent(count, after.messages)
        );
        changes.add(Impact::Notable, percent(count, after.messages), "MSH-12", "version", text);
    }
    let pairs = [
        (before.not_ascii, after.not_ascii, Impact::Notable, "not-ascii", "letters beyond ASCII"),
        (
            before.not_utf8,
            after.not_utf8,
            Impact::Breaking,
            "not-utf8",
            "bytes that are not the UTF-8 they name",
        ),
        (
            before.unreadable,
            after.unreadable,
            Impact::Breaking,
            "unreadable",
            "parts that can't be read as a message",
        ),
    ];
    for (was, is, impact, kind, what) in pairs {
        if was == 0 && is > 0 {
            let share = percent(is, after.messages);
            let text = format!(
                "{} of messages have {what}, before none",
                shown_percent(is, after.messages.max(is))
            );
            changes.add(impact, share, "messages", kind, text);
        }
    }
}

/// Whether a segment was required of some messages, and is not any more.
fn is_relied_on(name: SegmentName, was: &Profile, is: &Profile) -> bool {
    let usage = |profile: &Profile| {
        let usage = profile.segment(name)?.usage.as_ref();
        usage.filter(|usage| usage.usage == Usage::Required).cloned()
    };
    let Some(was) = usage(was) else { return false };
    let text = |usage: &UsageConstraint| usage.when.as_ref().map(|when| when.text().to_owned());
    usage(is).is_none_or(|is| is.when.is_some() && text(&is) != text(&was))
}

fn segments(
    (before, was_said): (&Evidence, &Profile),
    (after, is_said): (&Evidence, &Profile),
    changes: &mut Changes,
) {
    for (name, was) in &before.segments {
        let rate_before = shown_percent(was.messages, before.messages);
        let Some(is) = after.segments.get(name) else {
            let share = percent(was.messages, before.messages);
            let impact = if share >= 1.0 { Impact::Breaking } else { Impact::Notable };
            let text =
                format!("the segment {name} was in {rate_before} of messages, and comes no more");
            changes.add(impact, share, name, "segment-gone", text);
            continue;
        };
        let (was_rate, is_rate) = ((was.messages, before.messages), (is.messages, after.messages));
        let relied = is_relied_on(*name, was_said, is_said);
        if let Some(impact) = impact_of_rate(was_rate, is_rate, relied) {
            let less =
                percent(is.messages, after.messages) < percent(was.messages, before.messages);
            let share = (percent(was.messages, before.messages)
                - percent(is.messages, after.messages))
            .abs();
            let text = format!(
                "the segment {name} was in {rate_before} of messages, now in {}",
                shown_percent(is.messages, after.messages)
            );
            changes.add(
                impact,
                share,
                name,
                if less { "segment-less" } else { "segment-more" },
                text,
            );
        }
        if was.most == 1 && is.most > 1 {
            let text = format!(
                "the segment {name} comes up to {} times in a message, before once",
                is.most
            );
            changes.add(
                Impact::Breaking,
                percent(is.messages, after.messages),
                name,
                "segment-repeats",
                text,
            );
        } else if is.most > was.most.saturating_mul(2) {
            let text = format!(
                "the segment {name} comes up to {} times in a message, before {}",
                is.most, was.most
            );
            changes.add(
                Impact::Minor,
                percent(is.messages, after.messages),
                name,
                "segment-repeats",
                text,
            );
        }
        let new_places: Vec<String> = is
            .after
            .keys()
            .filter(|place| !was.after.contains_key(place) && !was.after.is_empty())
            .map(SegmentName::to_string)
            .collect();
        if !new_places.is_empty() {
            let text =
                format!("the segment {name} stands after {}, before never", new_places.join(", "));
            changes.add(
                Impact::Notable,
                percent(is.messages, after.messages),
                name,
                "segment-place",
                text,
            );
        }
    }
    for (name, is) in &after.segments {
        if !before.segments.contains_key(name) {
            let share = percent(is.messages, after.messages);
            let text = format!(
                "the segment {name} is new: in {} of messages",
                shown_percent(is.messages, after.messages)
            );
            changes.add(Impact::Notable, share, name, "new-segment", text);
        }
    }
}

fn gone(
    place: Place,
    was: &ElementEvidence,
    after: &Evidence,
    profile: &Profile,
    changes: &mut Changes,
) {
    let of = after.segments.get(&place.segment).map_or(0, |segment| segment.total);
    let share = was.percent();
    // A rare value may just not have come.
    let expected = share / 100.0 * of as f64;
    let impact = match share {
        _ if expected < 10.0 => Impact::Minor,
        share if share >= POINTS_MIN => Impact::Breaking,
        _ => Impact::Notable,
    };
    let text = format!(
        "{place}{} was valued in {}, now never",
        named(place, profile),
        shown_percent(was.valued, was.of)
    );
    changes.add(impact, share, place, "field-gone", text);
}

fn element(
    place: Place,
    was: &ElementEvidence,
    is: &ElementEvidence,
    is_whole: bool,
    profile: &Profile,
    changes: &mut Changes,
) {
    let share = is.percent();
    if let Some(impact) = impact_of_rate((was.valued, was.of), (is.valued, is.of), false) {
        let less = is.percent() < was.percent();
        let text = format!(
            "{place}{} was valued in {}, now in {}",
            named(place, profile),
            shown_percent(was.valued, was.of),
            shown_percent(is.valued, is.of)
        );
        let points = (was.percent() - is.percent()).abs();
        changes.add(impact, points, place, if less { "valued-less" } else { "valued-more" }, text);
    }
    if is.most > was.most && was.most > 0 {
        let impact = if was.most == 1 { Impact::Breaking } else { Impact::Notable };
        let before = if was.most == 1 { "once".to_owned() } else { was.most.to_string() };
        let text = format!("{place} repeats up to {}, before {before}", is.most);
        changes.add(impact, share, place, "repeats", text);
    }
    codes(place, was, is, changes);
    dates(place, was, is, changes);
    if !is_whole {
        lengths(place, was, is, changes);
    }
    if was.null == 0 && is.null > 0 {
        let text =
            format!("{place} is `\"\"` in {}, before never", shown_percent(is.null, is.valued));
        changes.add(Impact::Notable, percent(is.null, is.of), place, "null", text);
    }
    let values = |evidence: &ElementEvidence| evidence.valued - evidence.null;
    let all_numbers = was.numbers > 0 && was.numbers >= values(was);
    if all_numbers && is.numbers < values(is) {
        let others = values(is) - is.numbers;
        let text =
            format!("{place} was always a number, now not in {}", shown_percent(others, is.valued));
        changes.add(Impact::Breaking, percent(others, is.of), place, "no-number", text);
    }
}

/// The most codes that a change names.
const CODES_NAMED_MAX: usize = 8;

fn codes(place: Place, was: &ElementEvidence, is: &ElementEvidence, changes: &mut Changes) {
    // Message types, versions and character sets are told for themselves.
    let is_told = place.segment == SegmentName::MSH && matches!(place.field, 9 | 12 | 18);
    if is_told || was.codes.is_empty() || is.codes.is_empty() {
        return;
    }
    let new: Vec<(&String, u64)> = is
        .codes
        .iter()
        .filter(|(code, _)| !was.codes.contains_key(*code))
        .map(|(code, count)| (code, *count))
        .collect();
    let named = |codes: &[(&String, u64)]| {
        let shown: Vec<String> =
            codes.iter().take(CODES_NAMED_MAX).map(|(code, _)| format!("`{code}`")).collect();
        let more = codes.len().saturating_sub(CODES_NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", shown.join(", "))
    };
    if !new.is_empty() {
        let count = new.iter().map(|(_, count)| count).sum();
        let plural = if new.len() == 1 { "code" } else { "codes" };
        let text = format!(
            "new {plural} in {place}: {} ({} of its values)",
            named(&new),
            shown_percent(count, is.valued)
        );
        changes.add(Impact::Breaking, percent(count, is.valued), place, "new-code", text);
    }
    let gone: Vec<(&String, u64)> = was
        .codes
        .iter()
        .filter(|(code, count)| {
            let expected = percent(**count, was.valued) / 100.0 * is.valued as f64;
            !is.codes.contains_key(*code) && expected >= 10.0
        })
        .map(|(code, count)| (code, *count))
        .collect();
    if !gone.is_empty() {
        let count = gone.iter().map(|(_, count)| count).sum();
        let text = format!(
            "{place} is never {} any more ({} of its values before)",
            named(&gone),
            shown_percent(count, was.valued)
        );
        changes.add(Impact::Notable, percent(count, was.valued), place, "code-gone", text);
    }
}

fn dates(place: Place, was: &ElementEvidence, is: &ElementEvidence, changes: &mut Changes) {
    let usual = |evidence: &ElementEvidence| {
        evidence.precisions.iter().max_by_key(|(_, count)| **count).map(|(parts, _)| *parts)
    };
    let (Some(before), Some(after)) = (usual(was), usual(is)) else { return };
    let share = is.percent();
    if before != after {
        // What is less precise cannot be made up for.
        let impact = if after < before { Impact::Breaking } else { Impact::Notable };
        let text = format!(
            "date precision of {place} went from {} to {}",
            precision_name(before),
            precision_name(after)
        );
        changes.add(impact, share, place, "date-precision", text);
    } else {
        let new: Vec<&str> = is
            .precisions
            .keys()
            .filter(|parts| !was.precisions.contains_key(parts))
            .map(|parts| precision_name(*parts))
            .collect();
        if !new.is_empty() {
            let text = format!("{place} is sometimes precise to {}, before never", new.join(", "));
            changes.add(Impact::Notable, share, place, "date-precision", text);
        }
    }
    let dated = |evidence: &ElementEvidence| evidence.precisions.values().sum::<u64>();
    if moved((was.zoned, dated(was)), (is.zoned, dated(is))) {
        let text = format!(
            "{place} has an offset from UTC in {}, before in {}",
            shown_percent(is.zoned, dated(is)),
            shown_percent(was.zoned, dated(was))
        );
        changes.add(Impact::Breaking, share, place, "date-offset", text);
    }
}

fn lengths(place: Place, was: &ElementEvidence, is: &ElementEvidence, changes: &mut Changes) {
    let (Some((was_least, was_most)), Some((is_least, is_most))) = (was.length, is.length) else {
        return;
    };
    // What is told of codes or dates says this, too, where both sides have them.
    let both_coded = !was.codes.is_empty() && !is.codes.is_empty();
    let both_dated = !was.precisions.is_empty() && !is.precisions.is_empty();
    if both_coded || both_dated {
        return;
    }
    let share = is.percent();
    if was_least == was_most && (is_least, is_most) != (was_least, was_most) && was.valued >= 20 {
        let now = if is_least == is_most {
            is_least.to_string()
        } else {
            format!("{is_least} to {is_most}")
        };
        let text = format!("{place} always had {was_least} characters, now {now}");
        changes.add(Impact::Breaking, share, place, "length", text);
    } else if is_most > was_most.saturating_mul(2) && is_most > 20 {
        let text = format!("{place} has up to {is_most} characters, before {was_most}");
        changes.add(Impact::Notable, share, place, "length", text);
    } else if is_most > was_most {
        let text = format!("{place} has up to {is_most} characters, before {was_most}");
        changes.add(Impact::Minor, share, place, "length", text);
    }
}
