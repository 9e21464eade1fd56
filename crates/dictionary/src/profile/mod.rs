//! A partner's dialect, on top of a version of the standard.
//!
//! A [`Profile`] says what one sender's messages are like: what is there and how often, which codes, which formats, which
//! segments of its own, and which departures from the standard are taken. It is written as a small YAML file
//! ([`Profile::read`], [`Profile::write`]), learned from traffic ([`Learner`]), or imported from a conformance profile
//! in XML ([`import`]). [`Profile::check`] says where a message departs from it; [`compare`] what changed between two.
//!
//! ```yaml
//! profile: lab2
//! version: 2.5.1
//! messages: [ORU^R01]
//! segments:
//!   PV1: R
//!   ZLB: { name: Laboratory notes, cardinality: 0..3, after: [OBX, NTE] }
//! groups:
//!   /PATIENT_RESULT/ORDER_OBSERVATION/SPECIMEN: { usage: R, cardinality: 1..1 }
//! fields:
//!   MSH-4: { constant: LAB2 }
//!   PID-3: { usage: R, cardinality: 1..4 }
//!   PID-3.1: { length: 1..10, pattern: "^[0-9]+$" }
//!   PID-8: { usage: R, values: [M, F, U] }
//!   OBX-6: { usage: C(R/O), when: OBX-2 = "NM" }
//!   ZLB-1: { name: Set ID, type: SI, usage: R }
//! rules:
//!   - { when: PV1-2 = "I", require: PV1-3 }
//! ```
//!
//! It guarantees: no text of a finding or of a change holds a value of a message; a learned profile holds no value but
//! codes that its [rule](learn) allows; memory is bounded whatever the messages are. It refuses to read files: texts come
//! in, and code tables by way of [`CodeTables`].

mod check;
mod check_groups;
mod compare;
mod condition;
mod constraint;
mod constraints;
mod decimal;
mod declared;
mod evidence;
mod format;
mod group;
mod import;
pub mod learn;
mod place;
mod read;
mod rule;
#[cfg(test)]
mod tests;
mod value_set;
mod write;

pub use check::{Missing, ProfileFinding, ProfileRule};
pub use compare::{Change, Impact, compare};
pub use condition::{Condition, ConditionError};
pub use constraint::{
    Accepted, ElementConstraint, Length, MessageType, Profile, SegmentConstraint, Standing,
    UsageConstraint,
};
pub use constraints::ProfileConstraints;
pub use evidence::{ElementEvidence, Evidence, SegmentEvidence};
pub use format::Format;
pub use group::{GroupConstraint, GroupWay};
pub use import::{ImportError, Imported, XmlError, import};
pub use learn::Learner;
pub use place::Place;
pub use read::{CODES, CodeTables, NoCodeTables};
pub use rule::{Demand, Rule};
pub use value_set::{ValueSet, ValueSource};
