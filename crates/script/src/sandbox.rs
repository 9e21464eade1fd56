//! Where scripts run: an engine of their own, limits, and nothing of the outside but what the host answers.

mod bytes;
mod charset;
mod digits;
mod engine;
mod fhir;
mod hint;
mod hl7;
mod modules;
mod native;
mod platform;
mod readable;
mod request;
mod stack;
mod turn;

pub(crate) use engine::{Engine, Failure};
pub(crate) use readable::check_readable;
