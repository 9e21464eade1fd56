//! The FHIR API, driven by HTTP requests through its real routes over a real datastore.

mod access;
mod audit_events;
mod binary;
mod bundles;
mod conditions;
mod facilities;
mod failures;
mod forms;
mod harness;
mod history;
mod operations;
mod patches;
mod postgres;
mod prefixes;
mod resources;
mod searches;
mod secured;
mod signing_in;
mod sturdy;
mod subscriptions;
mod unread;
