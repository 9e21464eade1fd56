//! Scripts from source to result, as an engine would run them.

mod host;
mod isolation;
mod limits;
mod run;
mod web;
