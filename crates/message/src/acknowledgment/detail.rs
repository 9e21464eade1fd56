//! What an ERR segment says: HL7 tables 0357 (code) and 0516 (severity), and where the error is.

/// Table 0357: what kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// 0: no error, a message accepted.
    MessageAccepted,
    /// 100: segments in the wrong order or missing.
    SegmentSequenceError,
    /// 101.
    RequiredFieldMissing,
    /// 102.
    DataTypeError,
    /// 103: a value is not in its table.
    TableValueNotFound,
    /// 104.
    ValueTooLong,
    /// 200.
    UnsupportedMessageType,
    /// 201: the trigger event.
    UnsupportedEventCode,
    /// 202.
    UnsupportedProcessingId,
    /// 203.
    UnsupportedVersionId,
    /// 204: an identifier that is not on file.
    UnknownKeyIdentifier,
    /// 205: an identifier that is on file already.
    DuplicateKeyIdentifier,
    /// 206: a transaction could not be done now.
    ApplicationRecordLocked,
    /// 207: all else.
    ApplicationInternalError,
}

impl ErrorCode {
    /// The identifier in table 0357.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::MessageAccepted => 0,
            Self::SegmentSequenceError => 100,
            Self::RequiredFieldMissing => 101,
            Self::DataTypeError => 102,
            Self::TableValueNotFound => 103,
            Self::ValueTooLong => 104,
            Self::UnsupportedMessageType => 200,
            Self::UnsupportedEventCode => 201,
            Self::UnsupportedProcessingId => 202,
            Self::UnsupportedVersionId => 203,
            Self::UnknownKeyIdentifier => 204,
            Self::DuplicateKeyIdentifier => 205,
            Self::ApplicationRecordLocked => 206,
            Self::ApplicationInternalError => 207,
        }
    }

    /// The description in table 0357.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::MessageAccepted => "Message accepted",
            Self::SegmentSequenceError => "Segment sequence error",
            Self::RequiredFieldMissing => "Required field missing",
            Self::DataTypeError => "Data type error",
            Self::TableValueNotFound => "Table value not found",
            Self::ValueTooLong => "Value too long",
            Self::UnsupportedMessageType => "Unsupported message type",
            Self::UnsupportedEventCode => "Unsupported event code",
            Self::UnsupportedProcessingId => "Unsupported processing id",
            Self::UnsupportedVersionId => "Unsupported version id",
            Self::UnknownKeyIdentifier => "Unknown key identifier",
            Self::DuplicateKeyIdentifier => "Duplicate key identifier",
            Self::ApplicationRecordLocked => "Application record locked",
            Self::ApplicationInternalError => "Application internal error",
        }
    }
}

/// Table 0516: how bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// `E`.
    Error,
    /// `W`.
    Warning,
    /// `I`.
    Information,
}

impl Severity {
    /// As table 0516 prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "E",
            Self::Warning => "W",
            Self::Information => "I",
        }
    }

    /// Reads ERR-4; a fatal error (`F`, from v2.7 on) is an error.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.trim_ascii() {
            b"E" | b"F" => Some(Self::Error),
            b"W" => Some(Self::Warning),
            b"I" => Some(Self::Information),
            _ => None,
        }
    }
}

/// One error to report to a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorDetail<'a> {
    /// What kind of error.
    pub code: ErrorCode,
    /// How bad; older versions than v2.5 do not say it.
    pub severity: Severity,
    /// Where, as a path: `PID-3[2].1`, `OBX(3)-5`. What is not such a path is left out.
    pub location: Option<&'a str>,
    /// A sentence for a person; it must not hold a value of the message.
    pub text: &'a str,
}

/// Where an error is, as data types ELD (until v2.4) and ERL (from v2.5) say it; 0 where it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location<'a> {
    pub(super) segment: &'a str,
    pub(super) sequence: u32,
    pub(super) field: u32,
    pub(super) repetition: u32,
    pub(super) component: u32,
    pub(super) subcomponent: u32,
}

impl<'a> Location<'a> {
    /// Reads a path; of a path with segment groups, the segment at its end.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let path = path.rsplit('/').next()?;
        let (segment_part, field_part) = match path.split_once('-') {
            Some((segment, field)) => (segment, Some(field)),
            None => (path, None),
        };
        let (segment, sequence) = match segment_part.split_once('(') {
            Some((name, number)) => (name, position(number.strip_suffix(')')?)?),
            None => (segment_part, 1),
        };
        let named = segment.len() == 3 && segment.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !named {
            return None;
        }
        let mut location =
            Self { segment, sequence, field: 0, repetition: 0, component: 0, subcomponent: 0 };
        let Some(field_part) = field_part else { return Some(location) };
        let mut parts = field_part.split('.');
        let field = parts.next()?;
        (location.field, location.repetition) = match field.split_once('[') {
            Some((field, number)) => (position(field)?, position(number.strip_suffix(']')?)?),
            None => (position(field)?, 1),
        };
        if let Some(component) = parts.next() {
            location.component = position(component)?;
        }
        if let Some(subcomponent) = parts.next() {
            location.subcomponent = position(subcomponent)?;
        }
        parts.next().is_none().then_some(location)
    }
}

fn position(digits: &str) -> Option<u32> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|&number| number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<(&str, [u32; 5])>) {
        let location = Location::of(path).map(|found| {
            let Location { segment, sequence, field, repetition, component, subcomponent } = found;
            (segment, [sequence, field, repetition, component, subcomponent])
        });
        assert_eq!(location, expected, "{path}");
    }

    #[test]
    fn paths_become_locations() {
        check("PID", Some(("PID", [1, 0, 0, 0, 0])));
        check("PID-3", Some(("PID", [1, 3, 1, 0, 0])));
        check("PID-3[2].1", Some(("PID", [1, 3, 2, 1, 0])));
        check("OBX(3)-5.2.4", Some(("OBX", [3, 5, 1, 2, 4])));
        check("/PATIENT_RESULT/ORDER_OBSERVATION(2)/OBX(1)-5", Some(("OBX", [1, 5, 1, 0, 0])));
        for odd in
            ["", "PI", "PIDX-1", "PID-0", "PID-", "PID-3[", "PID-3[0]", "OBX(*)-5", "PID-1.2.3.4"]
        {
            check(odd, None);
        }
    }
}
