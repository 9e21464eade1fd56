//! What of a segment decides where it stands.

use std::hash::{DefaultHasher, Hash, Hasher};

use pipehat_message::{Segment, SegmentName};

/// A segment as [`Reading::read`](super::Reading::read) sees it: its name, of an ORC whose order it says it is, and of a PID
/// whether it is the patient of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHead {
    /// None of a line that is no segment.
    pub(super) name: Option<SegmentName>,
    /// None of other segments than ORC.
    pub(super) order: Option<OrderSaid>,
    /// Of a PID with a number: what stands for it and the name. 0 of others, which are no patient's again.
    patient: u64,
}

/// What ORC-1 says of the place of its segment. Where a structure has prior results behind an order, an ORC may begin
/// one of these or the next order, and often only this tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderSaid {
    /// Nothing, or a code that both have.
    Either,
    /// A previous result that goes with an order.
    Prior,
    /// An order of its own.
    Own,
}

impl SegmentHead {
    /// Of a segment by its name; `order_control` is asked for ORC-1, of an ORC only.
    pub fn new<'m>(name: Option<SegmentName>, order_control: impl FnOnce() -> &'m [u8]) -> Self {
        let order = match name {
            Some(own) if own.as_bytes() == b"ORC" => Some(OrderSaid::by(order_control())),
            _ => None,
        };
        Self { name, order, patient: 0 }
    }

    /// With the patient of a PID: PID-3 and PID-5.
    #[must_use]
    pub fn with_patient(mut self, identifiers: &[u8], name: &[u8]) -> Self {
        let identifiers = identifiers.trim_ascii();
        if self.is_patient() && !identifiers.is_empty() {
            let mut hasher = DefaultHasher::new();
            (identifiers, name.trim_ascii()).hash(&mut hasher);
            self.patient = hasher.finish().max(1);
        }
        self
    }

    pub(super) fn is_patient(self) -> bool {
        self.name.is_some_and(|name| name.as_bytes() == b"PID")
    }

    /// Whether it says the same patient as another PID.
    pub(super) fn is_same_patient(self, other: Self) -> bool {
        self.patient != 0 && self.patient == other.patient
    }
}

impl From<Segment<'_>> for SegmentHead {
    fn from(segment: Segment<'_>) -> Self {
        let control = || segment.field(1).map(|field| field.first_component().raw());
        let head = Self::new(segment.segment_name(), || control().unwrap_or_default());
        if !head.is_patient() {
            return head;
        }
        let field = |number| segment.field(number).map(|field| field.raw()).unwrap_or_default();
        head.with_patient(field(3), field(5))
    }
}

impl OrderSaid {
    /// By a code of table 0119: `PR` is "previous results with new order/service", so no other code names a prior one; but
    /// `RE`, "observations to follow", may stand at whatever has observations (HL7 v2.5.1 §4.5.1.1).
    fn by(code: &[u8]) -> Self {
        match code.trim_ascii() {
            b"" | b"\"\"" | b"RE" => Self::Either,
            b"PR" => Self::Prior,
            _ => Self::Own,
        }
    }
}
