//! What a datastore must know about FHIR, which the pure crate `pipehat-resource` knows.

use pipehat_resource::json::Value;
use pipehat_resource::search::{IndexEntry, ParameterId, ParameterKind, Search};

use super::interaction::Refusal;

/// A search parameter, by what stays the same when the registry is made anew.
#[derive(Debug, Clone)]
pub struct ParameterNames {
    /// Its number in this registry.
    pub id: ParameterId,
    /// The resource type it belongs to; `Resource` and `DomainResource` where it belongs to all.
    pub resource_type: String,
    /// Its code; that of a component is its composite's code and its own place.
    pub code: String,
    /// Its type.
    pub kind: ParameterKind,
    /// The types that have canonical addresses (`url` and `version`), of those that a reference may lead to.
    pub canonicals: Vec<String>,
}

/// The rules a datastore keeps to: what resources are found by, and what patches make of them.
pub trait Rules: Send + Sync {
    /// All search parameters; the components of composite ones, too.
    fn parameters(&self) -> Vec<ParameterNames>;

    /// What a resource is found by.
    fn extract(&self, resource: &Value) -> Vec<IndexEntry>;

    /// A text as searches compare it: without case and accents.
    fn fold(&self, text: &str) -> String;

    /// A condition such as `Patient?identifier=…` in a reference, at a time in microseconds since 1970. `None` when it can't be read as one.
    fn condition(&self, text: &str, now: i64) -> Option<Search>;

    /// What a patch makes of a resource, validated, at a time in microseconds since 1970: a JSON Patch (an array), a
    /// JSON Merge Patch (an object), or a FHIRPath Patch (a Parameters resource).
    ///
    /// # Errors
    /// [`Refusal::Patch`] and [`Refusal::Invalid`].
    fn patch(&self, resource: &Value, patch: &Value, now: i64) -> Result<Value, Refusal>;

    /// Changes when the same resource would be found by other values: after a change of a search parameter.
    fn fingerprint(&self) -> String;
}
