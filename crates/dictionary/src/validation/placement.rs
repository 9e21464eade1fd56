//! What the reading into segment groups found, as findings.

use pipehat_message::SegmentName;

use super::rule::Rule;
use super::segment::Checker;
use crate::finding::{Detail, Finding, Location};
use crate::reading::{PlacementFinding, PlacementProblem, Reading};
use crate::structure::NodeKind;

impl Checker<'_, '_> {
    /// Reports segments and groups that are missing, unexpected, out of place or too many.
    #[cold]
    pub(super) fn placements(&mut self, reading: &Reading) {
        for found in reading.findings() {
            self.placement(reading, found);
        }
    }

    fn placement(&mut self, reading: &Reading, found: &PlacementFinding) {
        let at = Location::of_segment(self.message, found.segment);
        let here = at.segment.map(|name| name.to_string()).unwrap_or_default();
        let group = reading.group_path(found.group).to_string();
        let within = if group.is_empty() { "the message".to_owned() } else { group.clone() };
        let structure =
            reading.structure().map(|structure| structure.base_name()).unwrap_or_default();
        let (rule, text) = match found.problem {
            // Its own rule tells of it.
            PlacementProblem::NotASegment => return,
            PlacementProblem::Unexpected => {
                // So it does of a segment that the version does not have.
                let is_defined = at.segment.is_some_and(|name| self.rules.segment(name).is_some());
                if !is_defined {
                    return;
                }
                let text =
                    format!("{structure} has no segment {here}: receivers will pass it over");
                (Rule::SegmentUnexpected, text)
            }
            PlacementProblem::Misplaced { home } => {
                let home = home_of(reading, home);
                let text = format!("segment {here} is out of place: {structure} has it {home}");
                (Rule::SegmentMisplaced, text)
            }
            PlacementProblem::TooMany { node } => {
                let what = self.title(reading, node);
                let text = format!("{what} occurs more often in {within} than {structure} allows");
                (Rule::SegmentRepeats, text)
            }
            PlacementProblem::Missing { node } => {
                let what = self.title(reading, node);
                let is_segment = matches!(kind(reading, node), Some(NodeKind::Segment(_)));
                let rule = if is_segment { Rule::SegmentMissing } else { Rule::GroupMissing };
                (rule, format!("{what} is required in {within} and missing: send it"))
            }
        };
        let Some(severity) = rule.severity(self.level) else { return };
        let is_missing = matches!(found.problem, PlacementProblem::Missing { .. });
        let location = match found.problem {
            PlacementProblem::Missing { node } => Location {
                segment_index: u32::try_from(found.segment).unwrap_or(u32::MAX),
                segment: first_segment(reading, node),
                occurrence: 1,
                field: 0,
                repetition: 0,
                component: 0,
                subcomponent: 0,
            },
            _ => at,
        };
        self.findings.push(Finding {
            location,
            group: Some(group)
                .filter(|group| is_missing && !group.is_empty())
                .map(String::into_boxed_str),
            rule,
            severity,
            version: self.rules.version,
            detail: Detail::Text(text.into()),
            own_name: None,
        });
    }

    /// `segment PV1 (Patient Visit)`, `segment group PATIENT_RESULT`.
    fn title(&self, reading: &Reading, node: usize) -> String {
        match kind(reading, node) {
            Some(NodeKind::Segment(name)) => {
                let title = self.rules.version.segment(name).map(|segment| segment.title());
                match title {
                    Some(title) => format!("segment {name} ({title})"),
                    None => format!("segment {name}"),
                }
            }
            Some(NodeKind::Group(name)) => format!("segment group {name}"),
            Some(NodeKind::Choice) => {
                let names: Vec<String> =
                    segments_below(reading, node).map(|name| name.to_string()).collect();
                format!("one of the segments {}", names.join(", "))
            }
            Some(NodeKind::AnySegment) | None => "a segment".to_owned(),
        }
    }
}

fn kind(reading: &Reading, node: usize) -> Option<NodeKind> {
    reading.structure()?.node(node).map(|node| node.kind())
}

/// Names of the segments at a node and below.
fn segments_below(reading: &Reading, node: usize) -> impl Iterator<Item = SegmentName> {
    let structure = reading.structure();
    let below =
        structure.and_then(|structure| structure.node(node)).map_or(0, |node| node.descendants());
    (node..=node.saturating_add(below)).filter_map(move |index| {
        match structure?.node(index)?.kind() {
            NodeKind::Segment(name) => Some(name),
            _ => None,
        }
    })
}

/// The segment a node is, or the first one within it.
fn first_segment(reading: &Reading, node: usize) -> Option<SegmentName> {
    segments_below(reading, node).next()
}

/// Where a node stands: within which group, and after what.
fn home_of(reading: &Reading, home: usize) -> String {
    let Some(structure) = reading.structure() else { return String::new() };
    let mut around = None;
    let mut before = None;
    for (index, node) in structure.nodes().enumerate().take(home) {
        match node.kind() {
            NodeKind::Group(name) if index.saturating_add(node.descendants()) >= home => {
                around = Some(name);
                before = None;
            }
            NodeKind::Segment(name) => before = Some(name),
            _ => {}
        }
    }
    match (around, before) {
        (Some(group), Some(before)) => format!("in {group} after {before}"),
        (Some(group), None) => format!("at the beginning of {group}"),
        (None, Some(before)) => format!("after {before}"),
        (None, None) => "at the beginning".to_owned(),
    }
}
