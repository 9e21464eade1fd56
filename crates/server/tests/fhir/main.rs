//! The FHIR API, driven by HTTP requests through its real routes over a real datastore.

mod access;
mod binary;
mod bundles;
mod conditions;
mod failures;
mod forms;
mod harness;
mod history;
mod operations;
mod resources;
mod searches;
mod sturdy;
mod subscriptions;
