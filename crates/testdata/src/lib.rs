//! Test data for HL7 v2: messages that a hospital could have sent, and real ones without what tells whose they are.
//!
//! [`mask`] takes real messages and replaces what could identify a person. [`Generator`] makes them up. It has a small
//! world of people who do not exist: they come, are moved and leave, things are ordered for them and found. A message
//! of any type in the event table of any version tells about them in that version's structure and data types.
//! [`Hospital`] lets several systems tell of one such world, each of its own business and in its own way.
//!
//! - The same [`Settings`] make the same bytes. Time is simulated from a start that is given; there is no clock.
//! - What is told fits together: a result follows an order for somebody who was admitted, a cancel what it cancels.
//! - Memory is bounded, however long the stream is; in the steady state nothing is allocated for a message.
//! - Nothing refers to real people: names and streets are combined at random, telephone numbers, mail domains and
//!   social security numbers are from ranges kept for fiction.
//!
//! It does not make faulty messages, and what it says of medicine is for looks only.
//!
//! ```
//! use pipehat_dictionary::Version;
//! use pipehat_testdata::{Generator, Selection, Settings};
//!
//! let mut generator = Generator::new(Settings { seed: 7, ..Settings::new(Version::V2_5_1) }).unwrap();
//! let selection = Selection::parse("ADT^A01", Version::V2_5_1).unwrap();
//! let mut bytes = Vec::new();
//! let made = generator.append(&selection, &mut bytes);
//! assert_eq!((made.message_code, made.trigger_event), ("ADT", "A01"));
//! assert!(bytes.starts_with(b"MSH|^~\\&|REGISTRATION|"));
//! ```

mod agenda;
mod assemble;
mod catalogue;
mod charset;
mod component;
mod content;
mod dialect;
mod form;
mod generator;
mod hospital;
mod identifier;
pub mod mask;
mod moment;
mod orders;
mod people;
mod perform;
mod plan;
mod random;
pub mod resources;
pub mod samples;
mod scene;
mod selection;
mod system;
mod value;
mod voice;
mod world;

#[cfg(test)]
mod tests;

pub use generator::{Generator, Made, Settings, SettingsError};
pub use hospital::{Hospital, HospitalSettings, Told};
pub use selection::{Selection, SelectionError};
pub use system::{SegmentEnd, System, Topic};
