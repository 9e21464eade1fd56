//! The `validate` step: does the message keep to the standard, and what becomes of it if not.

use std::sync::Arc;

use pipehat_dictionary::profile::ProfileConstraints;
use pipehat_dictionary::validation::{Constraints, Level, Standard, TextForm, Validator};
use pipehat_dictionary::{Finding as Departure, Findings};
use pipehat_message::{AcknowledgmentCode, ErrorCode, Message, Severity};

use super::run::{End, Flow, Run};
use super::verdict::{Finding, Refused, StepPlace};

/// The most departures of one message that are kept with its record, errors first; the rest is counted.
pub(super) const RECORDED_MAX: usize = 20;

/// The most errors that a negative acknowledgment lists.
const TOLD_MAX: usize = 20;

/// How a message is validated.
#[derive(Debug, Clone)]
pub(super) struct Validation {
    pub(super) level: Level,
    /// What is asked beside the standard.
    pub(super) profile: Option<ProfileConstraints>,
    pub(super) on_error: OnError,
}

/// What becomes of a message with errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    /// The sender is refused by this code.
    Reject(AcknowledgmentCode),
    /// It waits for a person.
    Park,
    /// It goes on, and its findings are kept.
    Report,
}

impl<'r> Run<'r> {
    /// Validates the message as it now is.
    pub(super) fn validate(
        &mut self,
        message: &Message<'_>,
        how: &Validation,
        at: &StepPlace,
    ) -> Result<Flow<'r>, End> {
        let form =
            if self.work.whole.is_some() { TextForm::DecodedToUtf8 } else { TextForm::AsReceived };
        let mut validator = Validator::new(how.level).with_text_form(form);
        let constraints: &dyn Constraints = match &how.profile {
            Some(profile) => {
                validator = validator.with_version(profile.profile().version);
                profile
            }
            None => &Standard,
        };
        let findings = validator.validate(message, constraints);
        if findings.errors() == 0 && findings.warnings() == 0 {
            return Ok(Flow::Next);
        }
        self.record(findings, at);
        if findings.errors() == 0 || how.on_error == OnError::Report {
            return Ok(Flow::Next);
        }
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
        if let OnError::Reject(code) = how.on_error {
            let text: Arc<str> = summary(findings).into();
            let errors = errors.take(TOLD_MAX).map(refused).collect();
            return Err(End::Rejected { code, text, at: at.clone(), errors });
        }
        let first = errors.clone().next().map(ToString::to_string).unwrap_or_default();
        let reason = format!("{}; first {first}", summary(findings));
        Err(End::Parked { code: "validation.failed", reason, at: at.clone() })
    }

    /// Keeps what was found with the message, what is worst first.
    fn record(&mut self, findings: &Findings, at: &StepPlace) {
        let of = |severity| findings.iter().filter(move |finding| finding.severity == severity);
        let worst_first = of(Severity::Error).chain(of(Severity::Warning));
        let code = "validation.finding";
        let mut kept = 0_u32;
        for finding in worst_first.take(RECORDED_MAX) {
            let told = format!("{finding} [{}]", finding.rule_id());
            self.findings.push(Finding { code, path: Some(told.into()), at: at.clone(), count: 1 });
            kept = kept.saturating_add(1);
        }
        let left_out = findings.errors().saturating_add(findings.warnings()).saturating_sub(kept);
        if left_out > 0 {
            let path = Some("findings that are not listed".into());
            self.findings.push(Finding { code, path, at: at.clone(), count: left_out });
        }
    }
}

fn summary(findings: &Findings) -> String {
    let version = findings.iter().next().map(|finding| finding.version.to_string());
    format!(
        "the message departs from HL7 {} with {} error(s)",
        version.unwrap_or_default(),
        findings.errors()
    )
}

fn refused(finding: &Departure) -> Refused {
    let code: ErrorCode = finding.code();
    Refused { code, location: finding.location.to_string().into(), text: finding.text().into() }
}
