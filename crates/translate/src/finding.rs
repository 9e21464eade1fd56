//! What a translation could not say in the other standard.

use std::borrow::Cow;

/// Something a translation met that its reader should know: told, counted, never guessed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which kind.
    pub kind: FindingKind,
    /// Where: an HL7 v2 path (`PID-3[2].4`), or a FHIRPath of the Bundle where resources are read.
    pub path: String,
    /// What it means, without any value of the message.
    pub text: Cow<'static, str>,
}

/// The kinds of [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// A populated place that no row takes over.
    NotMapped,
    /// A date-time without a zone, where nothing says which: kept as a date.
    ZoneMissing,
    /// An identifier or a code whose authority or system has no known URI.
    SystemUnknown,
    /// A patient, a visit or an order that the message only refers to, by a number that nothing can look for; or what an answer
    /// says became of an order.
    LeftOut,
    /// A code that its table does not map: kept as text and with its local system, but where FHIR takes no other codes (a
    /// status is `unknown`, say, or left out).
    CodeUnmapped,
    /// A value that the other standard's type can't carry.
    ValueUnfit,
    /// A resource that would lack what FHIR requires, and was not made.
    Incomplete,
    /// A `""` (delete), which a resource can only leave out.
    Deleted,
    /// Results that nothing in the message tells apart but their order; or an order of which it isn't told what is ordered.
    Ambiguous,
    /// A message whose structure no table covers.
    StructureUnknown,
}

impl FindingKind {
    /// Its name where findings are told to programs: `not-mapped`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotMapped => "not-mapped",
            Self::ZoneMissing => "zone-missing",
            Self::SystemUnknown => "system-unknown",
            Self::LeftOut => "left-out",
            Self::CodeUnmapped => "code-unmapped",
            Self::ValueUnfit => "value-unfit",
            Self::Incomplete => "incomplete",
            Self::Deleted => "deleted",
            Self::Ambiguous => "ambiguous",
            Self::StructureUnknown => "structure-unknown",
        }
    }
}
