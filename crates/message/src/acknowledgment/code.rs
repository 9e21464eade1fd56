//! Acknowledgment codes, HL7 table 0008.

/// MSA-1: what became of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcknowledgmentCode {
    /// `AA`: application accept.
    Aa,
    /// `AE`: application error; the content was refused.
    Ae,
    /// `AR`: application reject; refused for reasons apart from its content.
    Ar,
    /// `CA`: commit accept, in enhanced mode: it is kept safely.
    Ca,
    /// `CE`: commit error.
    Ce,
    /// `CR`: commit reject.
    Cr,
}

impl AcknowledgmentCode {
    /// Reads MSA-1. Blanks around it and lower case are tolerated, since peers send both.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, second) = match *bytes.trim_ascii() {
            [first, second] => (first.to_ascii_uppercase(), second.to_ascii_uppercase()),
            _ => return None,
        };
        match (first, second) {
            (b'A', b'A') => Some(Self::Aa),
            (b'A', b'E') => Some(Self::Ae),
            (b'A', b'R') => Some(Self::Ar),
            (b'C', b'A') => Some(Self::Ca),
            (b'C', b'E') => Some(Self::Ce),
            (b'C', b'R') => Some(Self::Cr),
            _ => None,
        }
    }

    /// As table 0008 prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aa => "AA",
            Self::Ae => "AE",
            Self::Ar => "AR",
            Self::Ca => "CA",
            Self::Ce => "CE",
            Self::Cr => "CR",
        }
    }

    /// `AA` or `CA`.
    #[must_use]
    pub fn is_positive(self) -> bool {
        match self {
            Self::Aa | Self::Ca => true,
            Self::Ae | Self::Ar | Self::Ce | Self::Cr => false,
        }
    }

    /// `CA`, `CE` or `CR`: an accept acknowledgment of enhanced mode.
    #[must_use]
    pub fn is_accept(self) -> bool {
        match self {
            Self::Ca | Self::Ce | Self::Cr => true,
            Self::Aa | Self::Ae | Self::Ar => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_they_are_written() {
        use AcknowledgmentCode::{Aa, Ae, Ar, Ca, Ce, Cr};
        for (code, positive, accept) in [
            (Aa, true, false),
            (Ae, false, false),
            (Ar, false, false),
            (Ca, true, true),
            (Ce, false, true),
            (Cr, false, true),
        ] {
            let text = code.as_str();
            assert_eq!(AcknowledgmentCode::from_bytes(text.as_bytes()), Some(code));
            let padded = format!(" {} ", text.to_lowercase());
            assert_eq!(AcknowledgmentCode::from_bytes(padded.as_bytes()), Some(code));
            assert_eq!((code.is_positive(), code.is_accept()), (positive, accept));
        }
        for unknown in [&b""[..], b"A", b"AAA", b"OK", b"CB"] {
            assert_eq!(AcknowledgmentCode::from_bytes(unknown), None);
        }
    }
}
