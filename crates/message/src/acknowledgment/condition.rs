//! Which acknowledgments a sender wants: MSH-15 and MSH-16, HL7 table 0155 (HL7 v2.5.1 §2.9.2, §2.9.3).

use crate::Header;

/// Table 0155: when an acknowledgment is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcknowledgmentCondition {
    /// `AL`: always.
    Always,
    /// `NE`: never.
    Never,
    /// `ER`: on error or reject only.
    ErrorReject,
    /// `SU`: on success only.
    Success,
}

impl AcknowledgmentCondition {
    /// Reads MSH-15 or MSH-16; `None` for what table 0155 does not hold.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.trim_ascii() {
            b"AL" => Some(Self::Always),
            b"NE" => Some(Self::Never),
            b"ER" => Some(Self::ErrorReject),
            b"SU" => Some(Self::Success),
            _ => None,
        }
    }

    /// As table 0155 prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "AL",
            Self::Never => "NE",
            Self::ErrorReject => "ER",
            Self::Success => "SU",
        }
    }

    /// Whether an acknowledgment of this outcome is wanted.
    #[must_use]
    pub fn applies_to(self, outcome: Outcome) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::ErrorReject => outcome == Outcome::Failure,
            Self::Success => outcome == Outcome::Success,
        }
    }
}

/// How it went, for the decision whether to say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A code that ends in `A`.
    Success,
    /// A code that ends in `E` or `R`.
    Failure,
}

/// The acknowledgment mode a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcknowledgmentMode {
    /// MSH-15 and MSH-16 are both empty: one application acknowledgment, always.
    Original,
    /// At least one of them is valued: accept and application acknowledgment apart.
    Enhanced,
}

/// The mode a message asks for.
#[must_use]
pub fn acknowledgment_mode(header: &Header<'_>) -> AcknowledgmentMode {
    let empty = is_empty(header.accept_acknowledgment_type())
        && is_empty(header.application_acknowledgment_type());
    if empty { AcknowledgmentMode::Original } else { AcknowledgmentMode::Enhanced }
}

/// Whether the sender wants an accept acknowledgment (CA, CE, CR) of this outcome.
///
/// Never in original mode, nor in enhanced mode when MSH-15 is empty. A value outside table 0155 counts as `AL`:
/// an acknowledgment too many is ignored, one too few blocks the sender.
#[must_use]
pub fn wants_accept_acknowledgment(header: &Header<'_>, outcome: Outcome) -> bool {
    wants(header.accept_acknowledgment_type(), outcome)
}

/// Whether the sender wants an application acknowledgment (AA, AE, AR) of this outcome.
///
/// Always in original mode; in enhanced mode as MSH-16 says, never when it is empty, and always for a value outside
/// table 0155.
#[must_use]
pub fn wants_application_acknowledgment(header: &Header<'_>, outcome: Outcome) -> bool {
    match acknowledgment_mode(header) {
        AcknowledgmentMode::Original => true,
        AcknowledgmentMode::Enhanced => wants(header.application_acknowledgment_type(), outcome),
    }
}

fn wants(field: &[u8], outcome: Outcome) -> bool {
    !is_empty(field)
        && AcknowledgmentCondition::from_bytes(field)
            .unwrap_or(AcknowledgmentCondition::Always)
            .applies_to(outcome)
}

fn is_empty(field: &[u8]) -> bool {
    matches!(field.trim_ascii(), b"" | b"\"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_decides_which_acknowledgments_are_wanted() {
        use AcknowledgmentMode::{Enhanced, Original};
        // MSH-15 and MSH-16; mode; accept wanted on success, on failure; application wanted on success, on failure.
        for (fields, mode, accept, application) in [
            ("|", Original, [false, false], [true, true]),
            ("\"\"|\"\"", Original, [false, false], [true, true]),
            ("AL|NE", Enhanced, [true, true], [false, false]),
            ("NE|AL", Enhanced, [false, false], [true, true]),
            ("ER|SU", Enhanced, [false, true], [true, false]),
            ("SU|ER", Enhanced, [true, false], [false, true]),
            ("AL|", Enhanced, [true, true], [false, false]),
            ("|AL", Enhanced, [false, false], [true, true]),
            ("XX|YY", Enhanced, [true, true], [true, true]),
            ("NE|NE", Enhanced, [false, false], [false, false]),
        ] {
            let message = format!("MSH|^~\\&||||||||||2.5|||{fields}|\r");
            let header = Header::read(message.as_bytes()).expect("a readable header");
            assert_eq!(acknowledgment_mode(&header), mode, "{fields}");
            let both = [Outcome::Success, Outcome::Failure];
            let wanted = both.map(|outcome| wants_accept_acknowledgment(&header, outcome));
            assert_eq!(wanted, accept, "accept of {fields}");
            let wanted = both.map(|outcome| wants_application_acknowledgment(&header, outcome));
            assert_eq!(wanted, application, "application of {fields}");
        }
    }

    #[test]
    fn conditions_are_read_as_they_are_written() {
        for text in ["AL", "NE", "ER", "SU"] {
            let condition = AcknowledgmentCondition::from_bytes(text.as_bytes());
            assert_eq!(condition.map(AcknowledgmentCondition::as_str), Some(text));
        }
        assert_eq!(AcknowledgmentCondition::from_bytes(b"al?"), None);
    }
}
