//! Does a message keep to the standard, and where not?
//!
//! A [`Validator`] reads a parsed message once and reports what it finds, by the rules of the message's version and what a
//! profile adds ([`Constraints`]). Where nothing is found nothing is allocated.
//!
//! How bad a departure is depends on the [`Level`]. Real feeds are never clean: [`Level::Standard`] calls an error only
//! what keeps a careful receiver from reading the message rightly. Every rule, with its severity at each level, is a row
//! of [`Rule`]; `docs/validation.md` is made from it.
//!
//! It does not look anything up outside the message, and does not judge what a value means clinically.

mod condition;
mod conditions;
mod corrections;
mod header;
mod identifier;
mod level;
mod own_types;
mod placement;
mod primitive;
mod rule;
mod rules;
mod segment;
mod sequence;
mod table;
mod validate;

#[cfg(test)]
mod tests;

pub use condition::ConditionalRule;
pub use conditions::CONDITIONAL_RULES;
pub use level::Level;
pub(crate) use own_types::is_typed;
pub use rule::Rule;
pub use rules::Rules;
pub use validate::{Constraints, Standard, TextForm, Validator};
