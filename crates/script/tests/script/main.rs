//! Scripts from source to result, as an engine would run them.

mod bots;
mod buffer;
mod datastore;
mod digits;
mod fhir;
mod host;
mod imports;
mod isolation;
mod limits;
mod modules;
mod nonsense;
mod replay;
mod run;
mod web;
