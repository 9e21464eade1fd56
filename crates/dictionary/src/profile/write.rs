//! A profile as its file, with what it was learned from as numbers.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use pipehat_message::SegmentName;

use super::constraint::{
    ElementConstraint, Length, Profile, SegmentConstraint, Standing, UsageConstraint,
};
use super::evidence::{ElementEvidence, Evidence, SegmentEvidence, shown_percent};
use super::group::GroupWay;
use super::place::Place;
use super::rule::{Demand, Rule};
use super::value_set::{ValueSet, ValueSource};
use crate::element::Cardinality;

/// Where the comments begin, unless a line is longer.
const COMMENT_COLUMN: usize = 56;

/// What so many parts of a date or time are called in the evidence, from 1 for years on.
const PRECISIONS: [&str; 10] = [
    "years",
    "months",
    "days",
    "hours",
    "minutes",
    "seconds",
    "tenths",
    "hundredths",
    "thousandths",
    "ten_thousandths",
];

/// The parts that a name in the evidence stands for.
pub(super) fn precision_of(name: &str) -> Option<u8> {
    let index = PRECISIONS.iter().position(|known| *known == name)?;
    u8::try_from(index + 1).ok()
}

impl Profile {
    /// The text of its file, which [`Profile::read`] reads again.
    pub fn write(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "profile: {}\nversion: {}", scalar(&self.name), self.version);
        if let Some(description) = &self.description {
            let _ = writeln!(text, "description: {}", scalar(description));
        }
        if !self.messages.is_empty() {
            let types: Vec<String> = self.messages.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "messages: [{}]", types.join(", "));
        }
        self.write_segments(&mut text);
        self.write_fields(&mut text);
        if !self.rules.is_empty() {
            text.push_str("\nrules:\n");
            self.rules.iter().for_each(|rule| write_rule(rule, &mut text));
        }
        if !self.accepted.is_empty() {
            text.push_str("\n# What departs from the standard and is taken.\naccept:\n");
            for accepted in &self.accepted {
                let mut parts = Parts::default();
                if let Some(place) = &accepted.at {
                    parts.add("at", place);
                }
                parts.add("rule", accepted.rule);
                if let Some(seen) = accepted.seen {
                    parts.add("seen", seen);
                }
                let _ = writeln!(text, "  - {}", parts.value());
            }
        }
        if let Some(evidence) = &self.evidence {
            write_evidence(evidence, &mut text);
        }
        text
    }

    /// The segments it speaks of, MSH first.
    fn ordered(&self) -> Vec<(SegmentName, &SegmentConstraint)> {
        let mut segments: Vec<_> =
            self.segments.iter().map(|(name, segment)| (*name, segment)).collect();
        segments.sort_by_key(|(name, _)| (*name != SegmentName::MSH, *name));
        segments
    }

    fn write_segments(&self, text: &mut String) {
        let mut is_first = true;
        for (name, segment) in self.ordered() {
            let mut parts = Parts::default();
            parts.text("name", segment.name.as_deref());
            parts.usage(segment.usage.as_ref());
            parts.cardinality(segment.cardinality);
            match &segment.standing {
                Some(Standing::Anywhere) => parts.add("after", "any"),
                Some(Standing::After(names)) => {
                    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
                    parts.add("after", format_args!("[{}]", names.join(", ")));
                }
                None => {}
            }
            if parts.is_empty() {
                continue;
            }
            if std::mem::take(&mut is_first) {
                text.push_str("\nsegments:\n");
            }
            let title = self.version.segment(name).map_or("", |definition| definition.title());
            let evidence = self.evidence.as_ref();
            let seen = evidence.and_then(|evidence| {
                let segment = evidence.segments.get(&name)?;
                let share = shown_percent(segment.messages, evidence.messages);
                let most = match segment.most {
                    1 => "once".to_owned(),
                    most => format!("up to {most} times"),
                };
                Some(format!("in {share} of messages, {most}"))
            });
            line(text, &format!("  {name}: {}", parts.value()), &comment(title, seen));
        }
        for (way, group) in &self.groups {
            for (name, segment) in &group.segments {
                let mut parts = Parts::default();
                parts.usage(segment.usage.as_ref());
                parts.cardinality(segment.cardinality);
                if parts.is_empty() {
                    continue;
                }
                if std::mem::take(&mut is_first) {
                    text.push_str("\nsegments:\n");
                }
                let title = self.version.segment(*name).map_or("", |definition| definition.title());
                line(text, &format!("  {way}/{name}: {}", parts.value()), &comment(title, None));
            }
        }
        self.write_groups(text);
    }

    fn write_groups(&self, text: &mut String) {
        let mut is_first = true;
        for (way, group) in &self.groups {
            let mut parts = Parts::default();
            parts.usage(group.usage.as_ref());
            parts.cardinality(group.cardinality);
            if parts.is_empty() {
                continue;
            }
            if std::mem::take(&mut is_first) {
                text.push_str("\ngroups:\n");
            }
            let _ = writeln!(text, "  {way}: {}", parts.value());
        }
    }

    fn write_fields(&self, text: &mut String) {
        let mut is_first = true;
        for (name, segment) in self.ordered() {
            for (position, field) in present(&segment.fields) {
                let place = Place::field(name, position);
                self.write_element(None, place, field, &mut is_first, text);
            }
        }
        for (way, group) in &self.groups {
            for (name, segment) in &group.segments {
                for (position, field) in present(&segment.fields) {
                    let place = Place::field(*name, position);
                    self.write_element(Some(way), place, field, &mut is_first, text);
                }
            }
        }
    }

    fn write_element(
        &self,
        way: Option<&GroupWay>,
        place: Place,
        element: &ElementConstraint,
        is_first: &mut bool,
        text: &mut String,
    ) {
        if !element.is_empty() {
            if std::mem::take(is_first) {
                text.push_str("\nfields:\n");
            }
            let mut parts = Parts::default();
            parts.text("name", element.name.as_deref());
            parts.text("type", element.data_type.as_deref());
            parts.usage(element.usage.as_ref());
            parts.cardinality(element.cardinality);
            if let Some(length) = element.length {
                parts.add("length", shown_length(length));
            }
            if let Some(values) = &element.values {
                parts.add("values", shown_values(values));
            }
            parts.text("constant", element.constant.as_deref());
            if let Some(format) = &element.format {
                parts.add("format", scalar(&format.to_string()));
            }
            parts.text("pattern", element.pattern.as_ref().map(|pattern| pattern.as_str()));
            let title = self.title(&place).unwrap_or_default();
            let evidence = self.evidence.as_ref().filter(|_| way.is_none());
            let seen = evidence.and_then(|evidence| evidence.elements.get(&place)).map(seen);
            let group = way.map_or(String::new(), |way| format!("{way}/"));
            line(text, &format!("  {group}{place}: {}", parts.value()), &comment(title, seen));
        }
        for (position, part) in present(&element.parts) {
            self.write_element(way, place.part(position), part, is_first, text);
        }
    }

    /// What the standard calls a place.
    pub(super) fn title(&self, place: &Place) -> Option<&'static str> {
        let field = self.version.segment(place.segment)?.field(usize::from(place.field))?;
        if place.component == 0 {
            return Some(field.name());
        }
        let component = field.data_type()?.component(usize::from(place.component))?;
        if place.subcomponent == 0 {
            return Some(component.name());
        }
        Some(component.data_type()?.component(usize::from(place.subcomponent))?.name())
    }
}

/// What there is, with positions from 1.
pub(super) fn present(
    elements: &[Option<Box<ElementConstraint>>],
) -> impl Iterator<Item = (u16, &ElementConstraint)> {
    (1_u16..).zip(elements).filter_map(|(position, element)| Some((position, element.as_deref()?)))
}

/// What stands between the braces of a line.
#[derive(Default)]
struct Parts {
    parts: Vec<String>,
    /// The usage, when it is all there is.
    only_usage: Option<String>,
}

impl Parts {
    fn add(&mut self, key: &str, value: impl Display) {
        self.only_usage = None;
        self.parts.push(format!("{key}: {value}"));
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(key, scalar(value));
        }
    }

    fn usage(&mut self, usage: Option<&UsageConstraint>) {
        let Some(usage) = usage else { return };
        let is_only = self.parts.is_empty() && usage.when.is_none();
        self.add("usage", usage.code());
        self.only_usage = is_only.then(|| usage.code());
        if let Some(when) = &usage.when {
            self.add("when", quoted(when.text()));
        }
    }

    fn cardinality(&mut self, cardinality: Option<Cardinality>) {
        if let Some(cardinality) = cardinality {
            self.add("cardinality", shown_cardinality(cardinality));
        }
    }

    fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    fn value(&self) -> String {
        match &self.only_usage {
            Some(usage) => usage.clone(),
            None => format!("{{ {} }}", self.parts.join(", ")),
        }
    }
}

pub(super) fn shown_cardinality(Cardinality { least, most }: Cardinality) -> String {
    match most {
        Some(most) => format!("{least}..{most}"),
        None => format!("{least}..*"),
    }
}

pub(super) fn shown_length(Length { least, most }: Length) -> String {
    match most {
        Some(most) if most == least => least.to_string(),
        Some(most) => format!("{least}..{most}"),
        None => format!("{least}..*"),
    }
}

fn shown_values(values: &ValueSet) -> String {
    let list = |codes: &std::collections::BTreeSet<Box<str>>| {
        let codes: Vec<String> = codes.iter().map(|code| scalar(code)).collect();
        format!("[{}]", codes.join(", "))
    };
    match values.source() {
        ValueSource::Any => "any".to_owned(),
        ValueSource::Listed => list(values.with()),
        ValueSource::CodeTable(name) => format!("{{ codes: {} }}", scalar(name)),
        ValueSource::Standard(number) => {
            let mut text = format!("{{ table: {number}");
            for (key, codes) in [("with", values.with()), ("without", values.without())] {
                if !codes.is_empty() {
                    let _ = write!(text, ", {key}: {}", list(codes));
                }
            }
            text.push_str(" }");
            text
        }
    }
}

fn write_rule(rule: &Rule, text: &mut String) {
    let mut parts = Parts::default();
    if let Some(when) = &rule.when {
        parts.add("when", quoted(when.text()));
    }
    let places = |places: &[Place]| match places {
        [one] => one.to_string(),
        several => {
            let all: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!("[{}]", all.join(", "))
        }
    };
    match &rule.demand {
        Demand::Require(required) => parts.add("require", places(required)),
        Demand::Forbid(forbidden) => parts.add("forbid", places(forbidden)),
        Demand::Hold(condition) => parts.add("then", quoted(condition.text())),
    }
    parts.text("text", rule.text.as_deref());
    let _ = writeln!(text, "  - {}", parts.value());
}

fn write_evidence(evidence: &Evidence, text: &mut String) {
    let _ = writeln!(
        text,
        "\n# What it was learned from. Nothing here is checked; `pipehat profile compare` reads it."
    );
    let _ = writeln!(text, "evidence:\n  messages: {}", evidence.messages);
    for (key, count) in [
        ("unreadable", evidence.unreadable),
        ("not_ascii", evidence.not_ascii),
        ("not_utf8", evidence.not_utf8),
    ] {
        if count > 0 {
            let _ = writeln!(text, "  {key}: {count}");
        }
    }
    for (key, counts) in [
        ("types", &evidence.types),
        ("versions", &evidence.versions),
        ("charsets", &evidence.charsets),
    ] {
        if !counts.is_empty() {
            let _ = writeln!(text, "  {key}: {}", shown_counts(counts));
        }
    }
    if !evidence.segments.is_empty() {
        text.push_str("  segments:\n");
    }
    for (name, SegmentEvidence { messages, total, most, after }) in &evidence.segments {
        let mut parts = Parts::default();
        parts.add("messages", messages);
        parts.add("total", total);
        parts.add("most", most);
        if !after.is_empty() {
            parts.add("after", shown_counts(after));
        }
        let _ = writeln!(text, "    {name}: {}", parts.value());
    }
    if !evidence.elements.is_empty() {
        text.push_str("  fields:\n");
    }
    for (place, element) in &evidence.elements {
        let _ = writeln!(text, "    {place}: {}", shown_evidence(element));
    }
}

fn shown_evidence(element: &ElementEvidence) -> String {
    let mut parts = Parts::default();
    parts.add("valued", element.valued);
    parts.add("of", element.of);
    if element.null > 0 {
        parts.add("null", element.null);
    }
    if element.most > 1 {
        parts.add("most", element.most);
        parts.add("repeats", shown_counts(&element.repeats));
    }
    if let Some((least, most)) = element.length {
        parts.add("length", format_args!("{least}..{most}"));
    }
    if !element.codes.is_empty() {
        parts.add("codes", shown_counts(&element.codes));
    }
    if element.other_codes > 0 {
        parts.add("other_codes", element.other_codes);
    }
    if !element.precisions.is_empty() {
        let named: BTreeMap<&str, u64> = element
            .precisions
            .iter()
            .filter_map(|(parts, count)| {
                Some((*PRECISIONS.get(usize::from(*parts).checked_sub(1)?)?, *count))
            })
            .collect();
        parts.add("precision", shown_counts(&named));
    }
    if element.zoned > 0 {
        parts.add("with_offset", element.zoned);
    }
    if element.numbers > 0 {
        parts.add("numbers", element.numbers);
    }
    parts.value()
}

fn shown_counts<K: ToString>(counts: &BTreeMap<K, u64>) -> String {
    let shown: Vec<String> = counts
        .iter()
        .map(|(key, count)| format!("{}: {count}", scalar(&key.to_string())))
        .collect();
    format!("{{ {} }}", shown.join(", "))
}

/// What was seen of a field, for its comment.
fn seen(element: &ElementEvidence) -> String {
    let mut seen = shown_percent(element.valued, element.of);
    if element.most > 1 {
        let _ = write!(seen, ", up to {} times", element.most);
    }
    match element.length {
        Some((1, 1)) => seen.push_str(", 1 character"),
        Some((least, most)) if least == most => {
            let _ = write!(seen, ", {least} characters");
        }
        Some((least, most)) => {
            let _ = write!(seen, ", {least} to {most} characters");
        }
        None => {}
    }
    seen
}

fn comment(title: &str, seen: Option<String>) -> String {
    match seen {
        Some(seen) if title.is_empty() => seen,
        Some(seen) => format!("{title}: {seen}"),
        None => title.to_owned(),
    }
}

fn line(text: &mut String, line: &str, comment: &str) {
    if comment.is_empty() {
        let _ = writeln!(text, "{line}");
    } else {
        let _ = writeln!(text, "{line:COMMENT_COLUMN$}  # {comment}");
    }
}

/// A text as YAML: plain where it can't be mistaken, quoted elsewhere.
pub(super) fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '^' | '/' | '-');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_null = text.eq_ignore_ascii_case("null");
    if begins && !is_null && text.chars().all(|c| plain(c) || c == ' ') && !text.ends_with(' ') {
        return text.to_owned();
    }
    if begins
        && text.chars().all(|c| plain(c) || matches!(c, '[' | ']' | '+'))
        && !text.contains("null")
        && !text.contains('[')
    {
        return text.to_owned();
    }
    quoted(text)
}

/// A text between quotes.
fn quoted(text: &str) -> String {
    if !text.contains(char::is_control) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut written = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => written.extend(['\\', character]),
            character if character.is_control() => {
                let _ = write!(written, "\\u{:04X}", u32::from(character));
            }
            character => written.push(character),
        }
    }
    written.push('"');
    written
}
