//! What an expression may ask of its surroundings, and how much it may take.

use std::fmt;

use jiff::Timestamp;

use super::item::Item;
use crate::json::Value;

/// Steps an evaluation takes at most: about a fifth of a second.
pub const STEPS_MAX: u64 = 5_000_000;
/// Items in one collection at most.
pub const ITEMS_MAX: usize = 200_000;
/// Bytes of a string an expression makes.
pub const STRING_BYTES_MAX: usize = 1 << 20;

/// How much an evaluation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps: parts evaluated, items made, bytes of strings by four.
    pub steps_max: u64,
    /// Items in one collection.
    pub items_max: usize,
    /// Bytes of a string.
    pub string_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps_max: STEPS_MAX, items_max: ITEMS_MAX, string_bytes_max: STRING_BYTES_MAX }
    }
}

/// Who knows other resources and terminology. What it does not answer, an expression does not know either.
pub trait Resolver {
    /// The resource that a reference names (`Patient/17`, `urn:uuid:…`). Contained resources and entries of
    /// the same bundle are found without.
    fn resolve(&self, reference: &str) -> Option<&Value> {
        let _ = reference;
        None
    }

    /// Whether a code is in a value set.
    fn is_member(&self, system: Option<&str>, code: &str, value_set: &str) -> Option<bool> {
        let _ = (system, code, value_set);
        None
    }

    /// Whether the first code of a code system is above the second, or the same.
    fn subsumes(&self, system: Option<&str>, above: &str, below: &str) -> Option<bool> {
        let _ = (system, above, below);
        None
    }

    /// Whether a resource conforms to a profile.
    fn conforms(&self, resource: &Value, profile: &str) -> Option<bool> {
        let _ = (resource, profile);
        None
    }
}

/// The surroundings of an evaluation.
#[derive(Clone)]
pub struct Context<'a> {
    pub(super) now: Timestamp,
    pub(super) resource: Option<Item<'a>>,
    pub(super) root_resource: Option<Item<'a>>,
    pub(super) resolver: Option<&'a dyn Resolver>,
    pub(super) variables: Vec<(&'a str, Vec<Item<'a>>)>,
    pub(super) limits: Limits,
}

impl<'a> Context<'a> {
    /// Surroundings that know the time and nothing else.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            resource: None,
            root_resource: None,
            resolver: None,
            variables: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// Sets `%resource`, for expressions on an element inside it. Otherwise it is what is evaluated on.
    #[must_use]
    pub fn with_resource(mut self, resource: &'a Value) -> Self {
        self.resource = Some(Item::resource(resource));
        self
    }

    /// Sets `%rootResource`, the resource that contains `%resource`. Otherwise it is the same.
    #[must_use]
    pub fn with_root_resource(mut self, resource: &'a Value) -> Self {
        self.root_resource = Some(Item::resource(resource));
        self
    }

    /// Sets who knows other resources and terminology.
    #[must_use]
    pub fn with_resolver(mut self, resolver: &'a dyn Resolver) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Sets a variable, `%name`: `previous` and `current` for subscriptions. Without items it is empty.
    #[must_use]
    pub fn with_variable(mut self, name: &'a str, items: Vec<Item<'a>>) -> Self {
        self.variables.retain(|(own, _)| *own != name);
        self.variables.push((name, items));
        self
    }

    /// Sets how much an evaluation may take.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("now", &self.now).finish_non_exhaustive()
    }
}
