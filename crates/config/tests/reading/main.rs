//! Golden diagnostics and properties of reading configuration.

mod channel;
mod golden;
mod limits;
mod places;
mod properties;
mod values;
