//! What a step may ask of the outside, and the record of what it was told.
//!
//! Processing is a function of (bytes, revision, effects): the clock, randomness and every
//! look-up come in through [`Effects`] and nowhere else. Live, an effect is performed and
//! recorded; replayed, it is answered from the record.

use jiff::Timestamp;

/// What steps ask of the outside.
pub trait Effects {
    /// The time, for steps that write it.
    fn now(&mut self) -> Timestamp;

    /// A control id (MSH-10) no other message of this installation carries.
    fn control_id(&mut self) -> String;
}

/// One effect as it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The clock was read.
    Now(Timestamp),
    /// A control id was made.
    ControlId(String),
}

/// Performs effects and keeps what was answered.
#[derive(Debug)]
pub struct Recording<E> {
    inner: E,
    effects: Vec<Effect>,
}

impl<E: Effects> Recording<E> {
    /// Performs by `inner`, and records.
    pub fn new(inner: E) -> Self {
        Self { inner, effects: Vec::new() }
    }

    /// What was asked and answered, in order.
    pub fn into_effects(self) -> Vec<Effect> {
        self.effects
    }
}

impl<E: Effects> Effects for Recording<E> {
    fn now(&mut self) -> Timestamp {
        let now = self.inner.now();
        self.effects.push(Effect::Now(now));
        now
    }

    fn control_id(&mut self) -> String {
        let id = self.inner.control_id();
        self.effects.push(Effect::ControlId(id.clone()));
        id
    }
}
