//! What is wrong with a message, and where.
//!
//! A finding never holds a value of the message: it can be logged, stored and sent. It is made only when something is
//! found, so its texts are built when they are asked for.

use std::borrow::Cow;
use std::fmt;

use pipehat_message::{ErrorCode, Message, SegmentName, Severity};

use crate::validation::Rule;
use crate::version::Version;

/// The most findings that are kept of one message. A message with more is wrong in kind, not in detail; the rest is
/// counted and said in one last finding.
pub const FINDINGS_MAX: usize = 200;

/// A place in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The segment's index, as [`Message::segments`] counts. Of a missing segment: where it should be.
    pub segment_index: u32,
    /// The segment's name; `None` for a line that is not a segment.
    pub segment: Option<SegmentName>,
    /// Which segment of that name, from 1.
    pub occurrence: u32,
    /// The field, from 1; 0 for the whole segment.
    pub field: u16,
    /// The repetition, from 1; 0 for the whole field.
    pub repetition: u32,
    /// The component, from 1; 0 for the whole repetition.
    pub component: u16,
    /// The subcomponent, from 1; 0 for the whole component.
    pub subcomponent: u16,
}

impl Location {
    /// The segment at this index of a message.
    pub fn of_segment(message: &Message<'_>, index: usize) -> Self {
        let segment = message.segment_at(index).and_then(|segment| segment.segment_name());
        let named = message.segments().take(index.saturating_add(1));
        let occurrence = named.filter(|other| other.segment_name() == segment).count();
        Self {
            segment_index: u32::try_from(index).unwrap_or(u32::MAX),
            segment,
            occurrence: u32::try_from(occurrence).unwrap_or(u32::MAX).max(1),
            field: 0,
            repetition: 0,
            component: 0,
            subcomponent: 0,
        }
    }

    /// A field of the same segment.
    pub const fn with_field(mut self, field: u16) -> Self {
        self.field = field;
        self
    }
}

/// As paths are written: `PID-3[2].1`, `OBX(3)-5`; `line 4` for a line that is not a segment.
impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(segment) = self.segment else {
            return write!(formatter, "line {}", self.segment_index.saturating_add(1));
        };
        write!(formatter, "{segment}")?;
        if self.occurrence > 1 {
            write!(formatter, "({})", self.occurrence)?;
        }
        if self.field == 0 {
            return Ok(());
        }
        write!(formatter, "-{}", self.field)?;
        if self.repetition > 1 {
            write!(formatter, "[{}]", self.repetition)?;
        }
        if self.component > 0 {
            write!(formatter, ".{}", self.component)?;
        }
        if self.subcomponent > 0 {
            write!(formatter, ".{}", self.subcomponent)?;
        }
        Ok(())
    }
}

/// One departure of a message from the standard or from a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub location: Location,
    /// Of something missing: the segment group it is missing in, as in `/PATIENT_RESULT/ORDER_OBSERVATION(2)`.
    pub group: Option<Box<str>>,
    /// The rule that the message departs from.
    pub rule: Rule,
    /// How bad, at the level it was looked for.
    pub severity: Severity,
    /// The version the message was read by.
    pub version: Version,
    /// What stands in the text beside the rule's own words.
    pub detail: Detail,
    /// What a profile calls the place, where the standard has no name for it: from the field downwards.
    pub own_name: Option<Box<str>>,
}

/// What a finding is about: names and numbers of the standard, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more to say.
    None,
    /// The name of a segment, field or component.
    Name(&'static str),
    /// A name, and how many are allowed.
    Most(&'static str, u32),
    /// A name, and the table its codes come from.
    Table(&'static str, u16),
    /// A name, and its data type.
    DataType(&'static str, &'static str),
    /// How many more findings there are.
    More(u32),
    /// Words of whoever made the rule.
    Text(Cow<'static, str>),
}

impl Finding {
    /// The condition in HL7 table 0357.
    pub fn code(&self) -> ErrorCode {
        self.rule.code()
    }

    /// The rule's stable name, as in `required-field-missing`.
    pub fn rule_id(&self) -> &'static str {
        self.rule.id()
    }

    /// Where the standard says so.
    pub fn clause(&self) -> Cow<'static, str> {
        self.rule.clause(&self.detail)
    }

    /// What the standard, or else the profile, calls the segment, field or component; empty for what has no name.
    pub fn name(&self) -> &str {
        if let Some(name) = &self.own_name {
            return name;
        }
        match &self.detail {
            Detail::Name(name)
            | Detail::Most(name, _)
            | Detail::Table(name, _)
            | Detail::DataType(name, _) => name,
            Detail::None | Detail::More(_) | Detail::Text(_) => self.standard_name(),
        }
    }

    fn standard_name(&self) -> &'static str {
        let segment = self.location.segment.and_then(|name| self.version.segment(name));
        let Some(segment) = segment else { return "" };
        if self.location.field == 0 {
            return segment.title();
        }
        segment.field(usize::from(self.location.field)).map_or("", |field| field.name())
    }

    /// What is wrong and what to do, in a sentence without values.
    pub fn text(&self) -> String {
        let field = self.standard_name();
        let text = self.rule.text(&self.detail, self.version, self.own_name.as_deref());
        // `Patient Identifier List, ID Number is …`: a component's name says little by itself.
        let of_component = match &self.detail {
            Detail::Name(name)
            | Detail::Most(name, _)
            | Detail::Table(name, _)
            | Detail::DataType(name, _) => *name != field && !name.is_empty(),
            Detail::None | Detail::More(_) | Detail::Text(_) => false,
        };
        if of_component
            && self.own_name.is_none()
            && self.location.component > 0
            && !field.is_empty()
        {
            format!("{field}, {text}")
        } else {
            text
        }
    }

    /// The path with its segment groups, where they are known.
    pub fn path(&self) -> String {
        match &self.group {
            Some(group) => format!("{group}/{}", self.location),
            None => self.location.to_string(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path(), self.text())
    }
}

/// The findings of one message: at most [`FINDINGS_MAX`], and how many of each severity there are in all.
///
/// Can be used for message after message; it allocates only when something is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    list: Vec<Finding>,
    errors: u32,
    warnings: u32,
    information: u32,
}

impl Findings {
    /// None yet.
    pub const fn new() -> Self {
        Self { list: Vec::new(), errors: 0, warnings: 0, information: 0 }
    }

    /// Forgets all, and keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        (self.errors, self.warnings, self.information) = (0, 0, 0);
    }

    /// Adds one. Beyond the limit an error still takes the place of something lesser, so that what matters is seen.
    pub fn push(&mut self, finding: Finding) {
        let count = match finding.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
            Severity::Information => &mut self.information,
        };
        *count = count.saturating_add(1);
        if self.list.len() < FINDINGS_MAX {
            self.list.push(finding);
        } else if finding.severity == Severity::Error
            && let Some(lesser) =
                self.list.iter_mut().rev().find(|kept| kept.severity != Severity::Error)
        {
            *lesser = finding;
        }
    }

    /// Takes out those that do not count after all, as a profile says.
    pub fn retain(&mut self, mut counts: impl FnMut(&Finding) -> bool) {
        let (errors, warnings, information) =
            (&mut self.errors, &mut self.warnings, &mut self.information);
        self.list.retain(|finding| {
            let stays = counts(finding);
            if !stays {
                let count = match finding.severity {
                    Severity::Error => &mut *errors,
                    Severity::Warning => &mut *warnings,
                    Severity::Information => &mut *information,
                };
                *count = count.saturating_sub(1);
            }
            stays
        });
    }

    /// Gives those a name that a profile has one for.
    pub(crate) fn name(&mut self, name: impl Fn(&Finding) -> Option<Box<str>>) {
        for finding in &mut self.list {
            finding.own_name = name(finding);
        }
    }

    /// Puts them in the order of the message, and says in a last one how many were left out.
    pub fn finish(&mut self, version: Version) {
        self.list.sort_by_key(|finding| finding.location);
        let left_out = self.count().saturating_sub(u32::try_from(self.list.len()).unwrap_or(0));
        if left_out > 0 {
            let last = self.list.last().map(|finding| finding.location);
            let Some(location) = last else { return };
            self.list.push(Finding {
                location,
                group: None,
                rule: Rule::MoreFindings,
                severity: Severity::Information,
                version,
                detail: Detail::More(left_out),
                own_name: None,
            });
        }
    }

    /// In the order of the message.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.list.iter()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many errors, those left out included.
    pub const fn errors(&self) -> u32 {
        self.errors
    }

    /// How many warnings, those left out included.
    pub const fn warnings(&self) -> u32 {
        self.warnings
    }

    /// How many are mere information, those left out included.
    pub const fn information(&self) -> u32 {
        self.information
    }

    fn count(&self) -> u32 {
        self.errors.saturating_add(self.warnings).saturating_add(self.information)
    }
}

impl<'f> IntoIterator for &'f Findings {
    type Item = &'f Finding;
    type IntoIter = std::slice::Iter<'f, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
