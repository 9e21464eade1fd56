//! Scripts from source to result, as an engine would run them.

mod bots;
mod datastore;
mod host;
mod isolation;
mod limits;
mod modules;
mod run;
mod web;
