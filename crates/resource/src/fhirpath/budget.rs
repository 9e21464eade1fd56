//! What an evaluation has left to spend.

use std::cell::Cell;

use super::context::Limits;
use super::error::EvaluationProblem;

#[derive(Debug)]
pub(super) struct Budget {
    steps: Cell<u64>,
    limits: Limits,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self { steps: Cell::new(0), limits }
    }

    /// Spends steps.
    pub(super) fn spend(&self, steps: usize) -> Result<(), EvaluationProblem> {
        let spent = self.steps.get().saturating_add(steps as u64);
        self.steps.set(spent);
        if spent > self.limits.steps_max {
            return Err(EvaluationProblem::Steps(self.limits.steps_max));
        }
        Ok(())
    }

    /// Checks a collection's size.
    pub(super) fn hold<T>(&self, items: &[T]) -> Result<(), EvaluationProblem> {
        if items.len() > self.limits.items_max {
            return Err(EvaluationProblem::Items(self.limits.items_max));
        }
        Ok(())
    }

    /// Spends what making or reading a string of so many bytes takes.
    pub(super) fn text(&self, bytes: usize) -> Result<(), EvaluationProblem> {
        if bytes > self.limits.string_bytes_max {
            return Err(EvaluationProblem::StringBytes(self.limits.string_bytes_max));
        }
        self.spend(bytes / 4 + 1)
    }
}
