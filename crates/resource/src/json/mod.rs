//! JSON as FHIR needs it: nothing that was written is changed by reading it.
//!
//! Numbers keep their digits (`1.50` stays `1.50`: FHIR R4 §2.24.0.1, decimals have a precision), members
//! keep their order, unknown members are kept. What RFC 8259 forbids is refused with its line and column;
//! so is a member that comes twice, for receivers disagree about which one counts.

mod parse;
mod place;
mod value;
mod write;

pub use parse::{DEPTH_MAX, JsonError, JsonProblem, parse};
pub use place::{Place, Step, place_of};
pub use value::{Number, Object, Value};
