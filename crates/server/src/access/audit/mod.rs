//! The audit, as the FHIR API has it: facts become records, records are shown as AuditEvent resources.

mod datastore;
mod event;
mod trail;

pub use datastore::AuditEvents;
pub(crate) use event::event_reference;
pub use trail::LogTrail;
