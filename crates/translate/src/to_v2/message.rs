//! The message that segments make: its bytes, and what it doesn't say.

use pipehat_dictionary::validation::{Level, Rule, Standard, Validator};
use pipehat_message::{Delimiters, Message, Severity};
use pipehat_resource::json::Value;

use super::header::header;
use super::lineage::lineage;
use super::modifiers::{Judged, Step};
use super::segments::Making;
use super::sub_ids::number_results;
use super::writer::{Stamp, Written};
use crate::{FindingKind, LineageLimits};

impl Making<'_> {
    /// Tells what modifier elements left out, and what the message is true without.
    pub(super) fn judged(&mut self, judged: &Judged<'_>) {
        let resources = self.run.resources;
        for &(index, element) in &judged.plain {
            let value = resources.iter().nth(index).and_then(|resource| resource.get(element));
            if let Some(value) = value {
                self.run.coverage.read_all(value);
            }
        }
        for own in &judged.left_out {
            let place = resources.placed().nth(own.resource);
            let Some((place, resource)) = place else { continue };
            if own.steps.is_empty() || self.run.coverage.is_used(resource) {
                self.run.find(FindingKind::NotMapped, path_at(place, &own.steps), &*own.text);
            }
        }
        for &(index, element, text) in &judged.notes {
            let Some((place, resource)) = resources.placed().nth(index) else { continue };
            if let Some(value) = resource.get(element)
                && self.run.coverage.is_used(resource)
            {
                self.run.coverage.read_all(value);
                self.run.find(FindingKind::NotMapped, format!("{place}.{element}"), text);
            }
        }
    }

    pub(super) fn finish(
        mut self,
        names: (&str, &str),
        stamp: &Stamp<'_>,
        limits: Option<LineageLimits>,
    ) -> Written {
        for (address, place, name) in std::mem::take(&mut self.unsaid) {
            if !self.run.coverage.is_bound_at(address) {
                let text = format!("nothing of it stands in {}", name.as_str());
                self.run.find(FindingKind::NotMapped, place, text);
            }
        }
        self.find_unused();
        number_results(&mut self.made);
        let mut unread = Vec::new();
        self.run.coverage.unread(self.run.resources, &mut |path| unread.push(path.to_owned()));
        for path in unread {
            self.run.find(FindingKind::NotMapped, path, "no row takes it over");
        }
        let delimiters = Delimiters::STANDARD;
        let mut body = Vec::with_capacity(2_048);
        for made in &self.made {
            body.extend_from_slice(made.name.as_bytes());
            made.fields.write(&mut body, 1, &delimiters);
            body.push(b'\r');
        }
        let header = header(self.run.profile, stamp, names, self.structure, body.is_ascii());
        let mut message = b"MSH|^~\\&".to_vec();
        header.write(&mut message, 3, &delimiters);
        message.push(b'\r');
        message.append(&mut body);
        self.find_errors(&message);
        let made = self.made.iter().map(|made| (made.name, &made.fields));
        let lineage =
            limits.and_then(|limits| lineage(made, self.run.tables, self.run.resources, limits));
        Written { message, findings: self.run.findings, lineage }
    }

    /// Tells the Bundle's resources of which nothing stands in the message: headers, provenance, and what nothing leads to.
    fn find_unused(&mut self) {
        let resources = self.run.resources;
        let entries = resources.numbered().zip(resources.placed());
        for ((entry, resource), (place, _)) in entries {
            let is_told = self.run.findings.iter().any(|own| own.path == place);
            let is_out = *resource == Value::Null || entry.is_none() || is_told;
            if !is_out && !self.run.coverage.is_told(resource, resources) {
                let text = "nothing of it stands in the message";
                self.run.find(FindingKind::NotMapped, place.to_owned(), text);
            }
        }
    }

    /// What the standard has against the message: what it requires and the resources lack, most of all.
    fn find_errors(&mut self, message: &[u8]) {
        let Ok(message) = Message::parse(message) else { return };
        let mut validator = Validator::new(Level::Standard);
        let findings = validator.validate(&message, &Standard);
        for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
            let kind = match finding.rule {
                Rule::SegmentMissing
                | Rule::GroupMissing
                | Rule::FieldMissing
                | Rule::ComponentMissing => FindingKind::Incomplete,
                _ => FindingKind::ValueUnfit,
            };
            self.run.find(kind, finding.path(), finding.text());
        }
    }
}

fn path_at(place: &str, steps: &[Step<'_>]) -> String {
    use std::fmt::Write as _;
    let mut path = place.to_owned();
    for step in steps {
        let _ = match step {
            Step::Member(name) => write!(path, ".{name}"),
            Step::Item(index) => write!(path, "[{index}]"),
        };
    }
    path
}
