//! Changing a resource by a patch: JSON Patch (RFC 6902) over JSON Pointers (RFC 6901), JSON Merge Patch (RFC 7396),
//! and FHIRPath Patch (a Parameters resource).
//!
//! ```
//! use pipehat_resource::json;
//! use pipehat_resource::patch::Patch;
//!
//! let mut patient = json::parse(br#"{"resourceType": "Patient", "active": true}"#).unwrap();
//! let document = json::parse(br#"[{"op": "replace", "path": "/active", "value": false}]"#).unwrap();
//! Patch::read(&document).unwrap().apply(&mut patient).unwrap();
//! assert_eq!(patient.to_json(), r#"{"resourceType":"Patient","active":false}"#);
//! ```
//!
//! What is guaranteed: a patch applies whole or not at all; what it makes can be written and read again
//! (no deeper than JSON may be here), and work and growth are bounded. Numbers keep their digits, members
//! their order. Errors name the operation and the place, never a value.
//!
//! What is not looked at: whether the result is a valid resource, and whether it still is the same one.
//! For the latter there is [`check_identity`].

mod apply;
mod element;
mod error;
mod fhirpath;
mod operation;
mod place;
mod pointer;

pub use apply::{WORK_MAX, check_identity};
pub use error::{PatchError, PatchProblem};
pub use fhirpath::FhirPathPatch;
pub use operation::{OPERATIONS_MAX, Patch};
