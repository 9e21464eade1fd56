//! A whole message against its version and structure.

use pipehat_message::{Header, Message};

use super::level::Level;
use super::rules::Rules;
use super::segment::Checker;
use crate::finding::{Finding, Findings};
use crate::reading::Reading;
use crate::resolve::{Resolved, resolve, resolve_as};
use crate::version::Version;

/// What a message has to keep to: the standard, or a profile on top of it.
pub trait Constraints: Send + Sync {
    /// The rules of segments, fields, data types and tables for a message of this version.
    fn rules(&self, version: Version) -> &Rules {
        Rules::of(version)
    }

    /// What reaches past those rules: anything about several segments, or under conditions of its own.
    fn check(
        &self,
        message: &Message<'_>,
        reading: &Reading,
        version: Version,
        level: Level,
        findings: &mut Findings,
    ) {
        let _ = (message, reading, version, level, findings);
    }
}

/// The standard, and nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standard;

impl Constraints for Standard {}

/// What the bytes of a message are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextForm {
    /// In the character set that MSH-18 names.
    #[default]
    AsReceived,
    /// Decoded as a whole, as sets have to be that hide delimiters: MSH-18 says nothing about them.
    DecodedToUtf8,
}

/// Validates message after message. Keeps its memory, so that a message without findings allocates nothing.
#[derive(Debug, Default)]
pub struct Validator {
    level: Level,
    version: Option<Version>,
    form: TextForm,
    resolved: Option<Resolved>,
    reading: Reading,
    findings: Findings,
}

impl Validator {
    /// One that looks as strictly as this.
    pub fn new(level: Level) -> Self {
        Self { level, ..Self::default() }
    }

    /// Reads every message by this version, whatever MSH-12 says.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Takes the bytes of messages for this.
    #[must_use]
    pub fn with_text_form(mut self, form: TextForm) -> Self {
        self.form = form;
        self
    }

    /// Takes the bytes of the messages that follow for this.
    pub fn set_text_form(&mut self, form: TextForm) {
        self.form = form;
    }

    /// Finds where a message departs from the standard and from `constraints`.
    pub fn validate(&mut self, message: &Message<'_>, constraints: &dyn Constraints) -> &Findings {
        self.findings.clear();
        self.resolved = None;
        let header_segment = message.segment_at(0);
        let Some(header) = header_segment.and_then(|header| Header::read(header.raw()).ok()) else {
            // A parsed message begins with a header that can be read.
            return &self.findings;
        };
        let resolved = match self.version {
            Some(version) => resolve_as(&header, version),
            None => resolve(&header),
        };
        self.resolved = Some(resolved);
        self.validate_resolved(message, &header, &resolved, constraints);
        &self.findings
    }

    fn validate_resolved(
        &mut self,
        message: &Message<'_>,
        header: &Header<'_>,
        resolved: &Resolved,
        constraints: &dyn Constraints,
    ) {
        let version = resolved.version;
        let rules = constraints.rules(version);
        let kind = (header.message_code(), header.trigger_event());
        let mut checker = Checker::new(message, rules, self.level, kind, &mut self.findings);
        for segment in message.segments() {
            checker.segment(segment.index(), segment.segment_name(), segment.raw());
        }
        checker.header(header, resolved, self.version.is_some());
        if self.form == TextForm::AsReceived {
            checker.character_set(header);
        }
        if let Some(structure) = resolved.structure {
            self.reading.read(structure, message.segments());
            if !self.reading.findings().is_empty() {
                checker.placements(&self.reading);
            }
        } else {
            self.reading.clear();
        }
        constraints.check(message, &self.reading, version, self.level, &mut self.findings);
        if !self.findings.is_empty() {
            self.findings.finish(version);
        }
    }

    /// What the last message was read by.
    pub const fn resolved(&self) -> Option<&Resolved> {
        self.resolved.as_ref()
    }

    /// The segment group that a finding of the last message is in, as in `/PATIENT_RESULT/ORDER_OBSERVATION(2)`; empty
    /// for one that is in none.
    pub fn group_of(&self, finding: &Finding) -> String {
        if let Some(group) = &finding.group {
            return group.to_string();
        }
        if self.resolved.and_then(|resolved| resolved.structure).is_none() {
            return String::new();
        }
        let index = finding.location.segment_index as usize;
        let placement = self.reading.placements().get(index);
        placement.map_or_else(String::new, |placement| {
            self.reading.group_path(placement.group()).to_string()
        })
    }

    /// The last message's segment groups; none of a message without a structure.
    pub const fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The last message's findings.
    pub const fn findings(&self) -> &Findings {
        &self.findings
    }
}
