//! A message as expressions and templates see it: values as text.

use std::borrow::Cow;

use pipehat_message::{Message, Value};

use super::coding::Coding;
use super::expression::{Operand, Quantifier};
use super::facts::ProgramInput;
use super::reference::Current;

/// What an expression is evaluated on.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub(super) message: &'v Message<'v>,
    pub(super) current: &'v Current,
    pub(super) input: &'v ProgramInput<'v>,
    pub(super) coding: &'v Coding,
}

impl<'v> View<'v> {
    /// The text of an operand; none where it has no value.
    pub(super) fn text(&self, operand: &'v Operand) -> Option<Cow<'v, str>> {
        match operand {
            Operand::Path(reference, Quantifier::First) => {
                let path = reference.at(self.current);
                self.value_text(self.message.get(&path)?)
            }
            // Only the subject of a test has a quantifier; elsewhere the first value stands for all.
            Operand::Path(reference, Quantifier::Any | Quantifier::All) => {
                let path = reference.at(self.current);
                self.message.values(&path).find_map(|value| self.value_text(value))
            }
            Operand::Text(text) | Operand::Number(text) => Some(Cow::Borrowed(text)),
            Operand::Fact(fact) => fact.text(self.input),
            Operand::Call(function, arguments) => function.call(arguments, self),
            Operand::Count(reference) => {
                let path = reference.at(self.current);
                let valued = self.message.values(&path).filter(|value| !value.is_empty());
                Some(Cow::Owned(valued.count().to_string()))
            }
        }
    }

    /// The text of what stands at a place: escape sequences and character set undone. None for
    /// what is empty or `""`.
    pub(super) fn value_text(&self, value: Value<'v>) -> Option<Cow<'v, str>> {
        if value.is_empty() || value.is_null() {
            return None;
        }
        Some(self.coding.decode(value.decoded()))
    }
}
