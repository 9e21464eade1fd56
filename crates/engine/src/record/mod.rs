//! What the path writes into the journal: one record for each thing that happened.
//!
//! These are stored types: their bytes carry a kind and a format version and must still be read
//! by every later release. The rest of the engine works on them as they are here, decoded.

mod encoding;
mod format;
mod life;

pub use encoding::RecordError;
pub use life::{
    Applied, Attempted, BodyRef, Decided, Decision, DeliveryRef, Disposition, Ended, OutputRecord,
    PeerRecord, Processed, ProcessedOutcome, Received, Record, Settled, SettledOutcome, Sibling,
    TranslationRecord,
};

#[cfg(test)]
mod tests;
