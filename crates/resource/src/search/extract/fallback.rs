//! Expressions that only FHIRPath can evaluate.

use super::Surroundings;
use super::path::Found;

#[derive(Debug, Clone)]
pub(in crate::search) struct Fallback {}

impl Fallback {
    pub(super) fn of(_expression: &str) -> Self {
        Self {}
    }

    pub(super) fn values<'a>(
        &self,
        _surroundings: &Surroundings<'a>,
        _at: Found<'a>,
        _found: &mut dyn FnMut(Found<'_>),
    ) {
    }
}
