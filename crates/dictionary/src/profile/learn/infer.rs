//! From counts to a profile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pipehat_message::SegmentName;

use super::tally::{Content, ElementTally, REPEATS, SegmentTally};
use super::{Learner, OTHER, SEEN_MIN, TypeTally};
use crate::element::{Cardinality, Element, Usage};
use crate::profile::condition::Condition;
use crate::profile::constraint::{
    Accepted, ElementConstraint, Length, MessageType, Profile, SegmentConstraint, Standing,
    UsageConstraint,
};
use crate::profile::constraints::overrides;
use crate::profile::evidence::{ElementEvidence, Evidence, SegmentEvidence};
use crate::profile::format::Format;
use crate::profile::place::Place;
use crate::profile::value_set::ValueSet;
use crate::structure::NodeKind;
use crate::table::Table;
use crate::version::Version;

/// So often values have to be of one length before it is said that they always are.
const LENGTHS_SEEN_MIN: u64 = 50;

/// The most repetitions that are taken to be meant; more are what there just was.
const REPETITIONS_MEANT: u64 = 5;

/// What something is called that the standard does not have.
const UNKNOWN: &str = "unknown to the standard";

/// So many components a coded element has in every version.
const CODED_COMPONENTS_MAX: usize = 6;

/// Longer texts of the partner's own are typed as text and not as a string.
const STRING_CHARACTERS_MAX: u64 = 199;

impl Learner {
    /// The profile of all that was counted.
    pub fn profile(&self, name: &str) -> Profile {
        let version = self.version.unwrap_or_else(|| self.usual_version());
        let mut profile = Profile::new(name, version);
        profile.messages = self.message_types();
        let mut evidence = Evidence {
            messages: self.messages,
            unreadable: self.unreadable,
            types: self.types.iter().filter(|tally| tally.messages > 0).map(named).collect(),
            versions: self.versions.clone(),
            charsets: self.charsets.clone(),
            not_ascii: self.not_ascii,
            not_utf8: self.not_utf8,
            ..Evidence::default()
        };
        for tally in &self.segments {
            self.infer_segment(tally, &mut profile, &mut evidence);
        }
        profile.evidence = Some(evidence);
        self.accept(&mut profile);
        profile
    }

    /// Takes the departures from the standard that the profile's own words do not cover.
    fn accept(&self, profile: &mut Profile) {
        let uncovered = self.departures.iter().filter(|one| !overrides(profile, one.rule, one.at));
        let mut accepted: Vec<Accepted> = uncovered
            .map(|one| Accepted { at: one.at, rule: one.rule.id(), seen: Some(one.seen) })
            .collect();
        accepted.sort_by_key(|one| (one.at, one.rule));
        profile.accepted = accepted;
    }

    fn usual_version(&self) -> Version {
        let known = self.versions.iter().filter_map(|(name, count)| {
            Version::named(name.as_bytes()).map(|version| (*count, version))
        });
        known.max().map_or(Version::V2_5_1, |(_, version)| version)
    }

    /// All types there were; none when some were no types, so that the profile accepts them.
    fn message_types(&self) -> Vec<MessageType> {
        let seen = self.types.iter().filter(|tally| tally.messages > 0);
        let types: Option<Vec<MessageType>> =
            seen.map(|tally| tally.message_type.clone()).collect();
        let mut types = types.unwrap_or_default();
        types.sort();
        types
    }

    fn infer_segment(&self, tally: &SegmentTally, profile: &mut Profile, evidence: &mut Evidence) {
        let name = tally.name;
        let definition = profile.version.segment(name);
        let is_own = definition.is_none() || !self.structures_have(name, profile.version);
        let mut constraint =
            SegmentConstraint { usage: self.segment_usage(tally), ..SegmentConstraint::default() };
        if definition.is_none() && !name.as_str().starts_with('Z') {
            constraint.name = Some(UNKNOWN.into());
        }
        if tally.most == 1 && tally.messages >= SEEN_MIN {
            let is_required =
                |usage: &UsageConstraint| usage.when.is_none() && usage.usage == Usage::Required;
            let least = u16::from(constraint.usage.as_ref().is_some_and(is_required));
            constraint.cardinality = Some(Cardinality { least, most: Some(1) });
        }
        if is_own && name != SegmentName::MSH {
            constraint.standing = Some(Standing::After(tally.before.keys().copied().collect()));
        }
        evidence.segments.insert(
            name,
            SegmentEvidence {
                messages: tally.messages,
                total: tally.total,
                most: tally.most,
                after: if is_own { tally.before.clone() } else { BTreeMap::new() },
            },
        );
        profile.segments.insert(name, constraint);
        for (position, field) in (1_u16..).zip(&tally.fields) {
            if field.valued == 0 {
                continue;
            }
            let place = Place::field(name, position);
            let defined = definition.and_then(|definition| definition.field(usize::from(position)));
            let only = only_part(field);
            let mut learned = constraint_of(field, defined, tally.total, Depth::Field);
            if let Some(only) = only {
                let part =
                    constraint_of(only, table_holder(defined), field.occurrences, Depth::Part);
                (learned.values, learned.format) = (part.values, part.format);
                // Separators without anything behind them count as characters of the field.
                let is_bare = (field.shortest, field.longest) == (only.shortest, only.longest);
                learned.length = part.length.filter(|_| is_bare);
            }
            if definition.is_none() || defined.is_none() {
                learned.data_type = guessed_type(field, position, profile.version);
            }
            if definition.is_some() && defined.is_none() && learned.data_type.is_none() {
                learned.name = Some(UNKNOWN.into());
            }
            put(profile, place, learned);
            let mut seen = evidence_of(field, tally.total, defined);
            if let Some(part) = only {
                let part = evidence_of(part, field.occurrences, table_holder(defined));
                (seen.codes, seen.other_codes) = (part.codes, part.other_codes);
                (seen.precisions, seen.zoned, seen.numbers) =
                    (part.precisions, part.zoned, part.numbers);
            }
            evidence.elements.insert(place, seen);
            if only.is_some() {
                continue;
            }
            let data_type = defined.and_then(Element::data_type);
            for (position, part) in (1_u16..).zip(&field.parts) {
                if part.valued == 0 {
                    continue;
                }
                let place = place.part(position);
                let component =
                    data_type.and_then(|data_type| data_type.component(usize::from(position)));
                let holder = table_holder(defined).filter(|_| position == 1);
                let defined = component
                    .filter(|component| component.table().is_some())
                    .or(holder)
                    .or(component);
                let mut learned = constraint_of(part, defined, field.occurrences, Depth::Part);
                if !learned.is_empty() && profile.has_not(&place) {
                    learned.name = Some(UNKNOWN.into());
                }
                put(profile, place, learned);
                evidence.elements.insert(place, evidence_of(part, field.occurrences, defined));
                for (position, subpart) in
                    (1_u16..).zip(&part.parts).filter(|(_, part)| part.valued > 0)
                {
                    evidence
                        .elements
                        .insert(place.part(position), evidence_of(subpart, part.occurrences, None));
                }
            }
        }
    }

    /// Whether the structure of one of the messages that have it has the segment.
    fn structures_have(&self, name: SegmentName, version: Version) -> bool {
        let has = |message_type: &MessageType| {
            let event =
                version.event(&message_type.code, message_type.trigger.as_deref().unwrap_or(""));
            let structure = event.and_then(|event| event.structure());
            // Without a structure nothing is out of place.
            structure.is_none_or(|structure| {
                structure.nodes().any(|node| node.kind() == NodeKind::Segment(name))
            })
        };
        let tally = self.by_name.get(&name).and_then(|&index| self.segments.get(index));
        let by_type = tally.map(|tally| tally.by_type.as_slice()).unwrap_or_default();
        let with_it = self.types.iter().zip(by_type).filter(|(_, count)| **count > 0);
        with_it.into_iter().all(|(tally, _)| tally.message_type.as_ref().is_none_or(has))
    }

    fn segment_usage(&self, tally: &SegmentTally) -> Option<UsageConstraint> {
        if tally.messages < SEEN_MIN {
            return Some(UsageConstraint::of(Usage::RequiredOrEmpty));
        }
        if tally.messages == self.messages {
            return Some(UsageConstraint::of(Usage::Required));
        }
        let mut types = BTreeSet::new();
        for (number, of_type) in self.types.iter().enumerate() {
            let with_it = tally.by_type.get(number).copied().unwrap_or(0);
            if of_type.messages >= SEEN_MIN && with_it == of_type.messages {
                types.extend(of_type.message_type.as_ref());
            }
        }
        match self.condition(&types) {
            Some(when) => Some(UsageConstraint {
                usage: Usage::Required,
                otherwise: Usage::Optional,
                when: Some(when),
            }),
            None => Some(UsageConstraint::of(Usage::RequiredOrEmpty)),
        }
    }

    /// That a message is one of these types.
    fn condition(&self, types: &BTreeSet<&MessageType>) -> Option<Condition> {
        let mut by_code: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for message_type in types {
            let trigger = message_type.trigger.as_deref().unwrap_or("");
            by_code.entry(&message_type.code).or_default().push(trigger);
        }
        let of_code = |(code, triggers): (&str, Vec<&str>)| {
            let seen = self.types.iter().filter_map(|tally| tally.message_type.as_ref());
            let all = seen.filter(|message_type| &*message_type.code == code).count();
            if all == triggers.len() || triggers.contains(&"") {
                return format!("MSH-9.1 = \"{code}\"");
            }
            let triggers: Vec<String> =
                triggers.iter().map(|trigger| format!("\"{trigger}\"")).collect();
            match triggers.as_slice() {
                [only] => format!("(MSH-9.1 = \"{code}\" and MSH-9.2 = {only})"),
                several => {
                    format!("(MSH-9.1 = \"{code}\" and MSH-9.2 in [{}])", several.join(", "))
                }
            }
        };
        let conditions: Vec<String> = by_code.into_iter().map(of_code).collect();
        let text = conditions.join(" or ");
        let text = match conditions.as_slice() {
            [only] => only.trim_start_matches('(').trim_end_matches(')'),
            _ => &text,
        };
        Condition::parse(text).ok()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Field,
    Part,
}

fn named(tally: &TypeTally) -> (String, u64) {
    let name = tally.message_type.as_ref().map_or(OTHER.to_owned(), ToString::to_string);
    (name, tally.messages)
}

/// The first component of a field that never had another: then the field says all.
fn only_part(field: &ElementTally) -> Option<&ElementTally> {
    match field.parts.as_slice() {
        [only] if only.parts.is_empty() && only.null == 0 => Some(only),
        _ => None,
    }
}

/// The element that names the table: of a coded field the field, of others their first component.
fn table_holder(defined: Option<Element>) -> Option<Element> {
    defined.filter(|element| element.table().is_some()).or_else(|| first_of(defined))
}

fn first_of(defined: Option<Element>) -> Option<Element> {
    defined.and_then(|element| element.data_type()?.component(1))
}

fn put(profile: &mut Profile, place: Place, learned: ElementConstraint) {
    if learned.is_empty() {
        return;
    }
    if let Some(element) = profile.element_mut(&place) {
        *element = ElementConstraint { parts: std::mem::take(&mut element.parts), ..learned };
    }
}

fn constraint_of(
    tally: &ElementTally,
    defined: Option<Element>,
    of: u64,
    depth: Depth,
) -> ElementConstraint {
    let is_always = tally.valued == of && of >= SEEN_MIN;
    let usage = match depth {
        _ if is_always => Some(Usage::Required),
        Depth::Field => Some(Usage::RequiredOrEmpty),
        Depth::Part => None,
    };
    let values = tally.valued - tally.null;
    let mut cardinality = None;
    if depth == Depth::Field && values >= SEEN_MIN {
        let repeats = defined.is_none_or(|element| element.cardinality().repeats());
        let most = u16::try_from(tally.most).ok().filter(|_| tally.most <= REPETITIONS_MEANT);
        cardinality = most
            .filter(|&most| most > 1 || (repeats && most == 1))
            .map(|most| Cardinality { least: u16::from(is_always), most: Some(most) });
    }
    let is_fixed = tally.shortest == tally.longest && tally.occurrences >= LENGTHS_SEEN_MIN;
    let is_measured = !matches!(tally.content, Content::Date | Content::Time | Content::Number);
    let is_simple = tally.parts.is_empty();
    let length = u32::try_from(tally.longest)
        .ok()
        .filter(|&longest| is_fixed && longest > 0 && is_simple && is_measured && tally.null == 0)
        .map(|longest| Length { least: longest, most: Some(longest) });
    let values = value_set(tally, defined);
    ElementConstraint {
        usage: usage.map(UsageConstraint::of),
        cardinality,
        // A value set says as much.
        length: length.filter(|_| values.is_none()),
        values: values.map(Arc::new),
        format: format(tally),
        ..ElementConstraint::default()
    }
}

/// The table of the place's codes.
fn table(defined: Option<Element>) -> Option<Table> {
    defined.and_then(|element| element.table().or_else(|| first_of(Some(element))?.table()))
}

/// The codes, when all of them may be told.
fn value_set(tally: &ElementTally, defined: Option<Element>) -> Option<ValueSet> {
    let codes = tally.codes.as_ref()?;
    if tally.content == Content::Unknown && tally.numbers == tally.occurrences {
        return None;
    }
    let table = table(defined);
    let mut told = Vec::new();
    let mut count = 0;
    for code in codes.iter() {
        let text = std::str::from_utf8(&code.code).ok().filter(|_| code.may_be_told(table))?;
        told.push(text);
        count += code.count;
    }
    // As many codes as values are no set.
    let repeat = count >= 2 * told.len() as u64 && count >= SEEN_MIN;
    let is_complete = count == tally.occurrences.saturating_sub(inner_null(tally));
    (repeat && is_complete && !told.is_empty()).then(|| ValueSet::listed(told))
}

/// Components that are `""` are valued and have no code.
fn inner_null(tally: &ElementTally) -> u64 {
    if tally.repeats.iter().all(|&count| count == 0) { tally.null } else { 0 }
}

fn format(tally: &ElementTally) -> Option<Format> {
    let time_only = match tally.content {
        Content::Date => false,
        Content::Time => true,
        _ => return None,
    };
    let values = tally.occurrences.saturating_sub(inner_null(tally));
    if tally.dates != values || values < SEEN_MIN {
        return None;
    }
    let mut seen =
        (0_u8..).zip(&tally.precisions).filter(|(_, count)| **count > 0).map(|(parts, _)| parts);
    let least = seen.next()?;
    let most = seen.last().unwrap_or(least);
    Format::of(time_only, least, most, tally.zoned > 0, tally.zoned < tally.dates)
}

/// What a field of the partner's own seems to be.
fn guessed_type(tally: &ElementTally, position: u16, version: Version) -> Option<Box<str>> {
    let values = tally.occurrences;
    if tally.is_intricate || tally.parts.len() > CODED_COMPONENTS_MAX {
        return None;
    }
    let guess = if tally.parts.len() > 1 {
        if version >= Version::V2_6 { "CWE" } else { "CE" }
    } else if values == 0 {
        return None;
    } else if tally.dates == values {
        if tally.longest <= 8 {
            "DT"
        } else if version >= Version::V2_6 {
            "DTM"
        } else {
            "TS"
        }
    } else if position == 1 && tally.whole_numbers == values {
        "SI"
    } else if tally.numbers == values {
        "NM"
    } else if value_set(tally, None).is_some() {
        "ID"
    } else if tally.longest > STRING_CHARACTERS_MAX {
        "TX"
    } else {
        "ST"
    };
    version.data_type(guess).map(|data_type| data_type.name().into())
}

fn evidence_of(tally: &ElementTally, of: u64, defined: Option<Element>) -> ElementEvidence {
    let mut evidence = ElementEvidence {
        valued: tally.valued,
        of,
        null: tally.null,
        most: tally.most.max(u64::from(tally.valued > 0)),
        zoned: tally.zoned,
        numbers: tally.numbers,
        ..ElementEvidence::default()
    };
    if tally.most > 1 {
        for (number, count) in
            (1_u64..).zip(tally.repeats).take(REPEATS).filter(|(_, count)| *count > 0)
        {
            evidence.repeats.insert(number, count);
        }
    }
    if tally.longest > 0 {
        evidence.length = Some((tally.shortest, tally.longest));
    }
    for (parts, count) in (0_u8..).zip(tally.precisions).filter(|(_, count)| *count > 0) {
        evidence.precisions.insert(parts, count);
    }
    if let Some(codes) = &tally.codes {
        // In a place that the standard does not type all codes are told or none, for what one is shows by the others.
        let table = table(defined);
        let is_told = tally.content == Content::Code || value_set(tally, defined).is_some();
        for code in codes.iter() {
            let text = std::str::from_utf8(&code.code).ok();
            match text.filter(|_| is_told && code.may_be_told(table)) {
                Some(text) => {
                    evidence.codes.insert(text.to_owned(), code.count);
                }
                None => evidence.other_codes += code.count,
            }
        }
    }
    evidence
}
