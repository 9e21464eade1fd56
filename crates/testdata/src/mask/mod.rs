//! De-identifies messages: the identifiers of HIPAA's Safe Harbor (45 CFR §164.514(b)(2)) in every field that can
//! hold them, free text included.
//!
//! What it guarantees:
//! - **Keyed and consistent**: the same word under the same key becomes the same pseudonym, in whatever field it
//!   stands, and two words never become the same one. Without the key nothing can be turned back.
//! - **Shape kept**: delimiters, lengths, letter case, script, escapes and the character set stay; codes, units,
//!   numbers and times of day stay.
//! - **Intervals kept**: all dates of one patient move by the same number of whole weeks, into the past.
//! - **Closed by default**: a field that the standard does not define is masked, a word of free text that is not
//!   known to be a clinical or common one is masked.
//! - **Checked**: [`Masker::mask`] looks at its own result with other code and gives an error in place of a message
//!   in which a value survived.
//! - **Bounded**: a message takes a few times its size in memory, whatever it is made of, and what is remembered from
//!   one to the next has limits.
//!
//! What it does not promise: that a person can't be told from what is left, such as a rare diagnosis. Safe Harbor
//! also asks that those who release the data know of no such way.

mod alphabet;
mod check_digit;
mod date;
mod key;
mod leaves;
mod masker;
mod permutation;
mod rules;
mod secrets;
mod text;
mod vocabulary;
mod words;

pub use key::{KEY_BYTES, Key};
pub use masker::{MaskError, Masked, Masker, Options, TextPolicy};
pub use rules::{Allowance, AllowanceError};
