//! A whole message against its rules.

use pipehat_message::{Header, Message};

use super::level::Level;
use super::rules::Rules;
use super::segment::Checker;
use crate::finding::Findings;
use crate::structure::Structure;
use crate::version::Version;

/// What a message has to keep to: the standard, or a profile on top of it.
pub trait Constraints: Sync {
    /// The rules of segments, fields, data types and tables for a message of this version.
    fn rules(&self, version: Version) -> &Rules {
        Rules::of(version)
    }

    /// What reaches past the rules: anything about several segments, or under conditions.
    fn check(
        &self,
        message: &Message<'_>,
        version: Version,
        level: Level,
        findings: &mut Findings,
    ) {
        let _ = (message, version, level, findings);
    }
}

/// The standard, and nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standard;

impl Constraints for Standard {}

/// Finds where a message departs from its version and from `constraints`.
///
/// `findings` is emptied first. Nothing is allocated when nothing is found.
pub fn validate(
    message: &Message<'_>,
    version: Version,
    structure: Option<Structure>,
    constraints: &dyn Constraints,
    level: Level,
    findings: &mut Findings,
) {
    findings.clear();
    let header = message.segment_at(0).and_then(|header| Header::read(header.raw()).ok());
    let kind = header
        .as_ref()
        .map(|header| (header.message_code(), header.trigger_event()))
        .unwrap_or_default();
    let rules = constraints.rules(version);
    let mut checker = Checker::new(message, rules, level, kind, findings);
    for segment in message.segments() {
        checker.segment(segment.index(), segment.segment_name(), segment.raw());
    }
    if let Some(header) = &header {
        checker.at_segment(0);
        checker.header(header, structure.map(Structure::name));
    }
    constraints.check(message, version, level, findings);
    findings.finish(version);
}
