//! Translating, as its callers see it.

use pipehat_resource::json::Value;

use crate::{Finding, Lineage, Settings};

/// Translates messages; made once for a feed, used by many threads.
#[derive(Debug)]
pub struct Translator {
    settings: Settings,
}

/// What became of a message.
#[derive(Debug)]
pub struct Translation {
    /// A Bundle of type `transaction`.
    pub bundle: Value,
    /// What it does not say.
    pub findings: Vec<Finding>,
    /// Where its elements came from.
    pub lineage: Lineage,
}
