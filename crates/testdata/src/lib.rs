//! Test data for HL7 v2 feeds.
//!
//! [`mask`] takes real messages and replaces what could identify a person.

pub mod mask;
