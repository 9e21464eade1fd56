//! An expression: read once, evaluated often.

use std::fmt;

use super::context::Context;
use super::error::{EvaluationError, EvaluationProblem, ParseError, column};
use super::evaluate::evaluate;
use super::item::Item;
use super::parse::parse;
use super::syntax::Node;
use crate::json::Value;

/// Bytes of an expression. FHIR's longest invariant has about 1,500.
pub const EXPRESSION_BYTES_MAX: usize = 64 * 1024;
/// Levels of parentheses, arguments and signs in each other.
pub const EXPRESSION_DEPTH_MAX: usize = 50;
/// Bytes that a compiled pattern of `matches` takes at most.
pub const PATTERN_BYTES_MAX: usize = 2 << 20;

/// An expression of FHIRPath.
#[derive(Clone)]
pub struct Expression {
    text: Box<str>,
    node: Node,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is no expression, and where.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self { text: text.into(), node: parse(text)? })
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Evaluates on a resource.
    ///
    /// # Errors
    /// What has no result by the specification, and what takes more than its limits.
    pub fn evaluate<'a>(
        &'a self,
        root: &'a Value,
        context: &'a Context<'a>,
    ) -> Result<Vec<Item<'a>>, EvaluationError> {
        self.evaluate_on(&Item::resource(root), context)
    }

    /// Evaluates on an element or any other item; `%resource` is then the context's.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_on<'a>(
        &'a self,
        item: &Item<'a>,
        context: &'a Context<'a>,
    ) -> Result<Vec<Item<'a>>, EvaluationError> {
        self.evaluate_on_all(std::slice::from_ref(item), context)
    }

    /// Evaluates on several items as one collection; `%context` is the first.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_on_all<'a>(
        &'a self,
        items: &[Item<'a>],
        context: &'a Context<'a>,
    ) -> Result<Vec<Item<'a>>, EvaluationError> {
        evaluate(&self.node, items, context)
            .map_err(|(at, problem)| EvaluationError { column: column(&self.text, at), problem })
    }

    /// Evaluates to a condition, as invariants and criteria are: nothing where the result is empty, true
    /// for one item that is no boolean (N1 §4.5).
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and more than one item.
    pub fn test<'a>(
        &'a self,
        item: &Item<'a>,
        context: &'a Context<'a>,
    ) -> Result<Option<bool>, EvaluationError> {
        let items = self.evaluate_on(item, context)?;
        match items.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.as_bool().unwrap_or(true))),
            _ => Err(EvaluationError { column: 1, problem: EvaluationProblem::NotSingle }),
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
