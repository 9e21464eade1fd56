//! What HL7 v2 says, versions 2.1 to 2.9.1: segments, fields, data types, tables, message structures, events.
//!
//! The definitions lie in the binary as one file that is read in place: nothing happens at start, and to look
//! something up allocates nothing. [`Version`] is where every look-up begins.
//!
//! ```
//! use pipehat_dictionary::Version;
//! use pipehat_message::SegmentName;
//!
//! let pid = Version::V2_5_1.segment(SegmentName::new(*b"PID").unwrap()).unwrap();
//! let sex = pid.field(8).unwrap();
//! assert_eq!((sex.name(), sex.data_type_name()), ("Administrative Sex", "IS"));
//! assert_eq!(sex.table().unwrap().code(b"F").unwrap().display(), "Female");
//! ```
//!
//! The definitions are facts merged from sources under MIT and CC0 licences; `definitions/NOTICE` names them.
//! `cargo xtask definitions` makes the file from the tables beside it.

mod data_type;
mod element;
mod event;
mod file;
mod finding;
mod grammar;
mod group_path;
#[doc(hidden)]
pub mod layout;
mod naming;
mod path_name;
pub mod profile;
mod reading;
mod resolve;
mod segment;
mod structure;
mod subject;
mod table;
#[cfg(test)]
mod tests;
pub mod validation;
mod version;

pub use data_type::DataType;
pub use element::{Cardinality, ConformanceLength, Element, Usage};
pub use event::Event;
pub use finding::{Detail, FINDINGS_MAX, Finding, Findings, Location};
pub use group_path::{GroupPathProblem, STANDARD_GROUPS, check_group_path};
pub use naming::{Named, Naming};
pub use path_name::{path_name, path_name_in};
pub use reading::{
    GroupInstance, Placement, PlacementFinding, PlacementProblem, Reading, SegmentHead,
};
pub use resolve::{EventStructure, Resolved, StructureNote, VersionNote, resolve};
pub use segment::SegmentDefinition;
pub use structure::{Node, NodeKind, Structure};
pub use subject::{Subject, names};
pub use table::{Code, Table, TableKind, TableNumber};
pub use version::Version;
