//! What a channel does with a message: conditions, steps, destinations. Pure and synchronous.
//!
//! A program is compiled once from a channel's file and then run on every message. Running is a
//! function of the bytes, the program and the [effects](crate::Effects) it asks for: no clock, no
//! randomness, no I/O. It never fails and never panics: every message gets a [`Verdict`].
//!
//! * What no step touches stays byte for byte; a message that no step changed leaves as the very
//!   bytes that came in, shared and not copied.
//! * A message that is split is still one message: when one of its parts is parked or rejected,
//!   all of it is, and nothing is sent.
//! * Codes, places and reasons name paths and steps, never a value.
//!
//! # The language
//! [Expressions](expression), [functions](function), [templates](template), [paths inside
//! `each`](reference), [dates](date) and [code tables](table) are described in their modules, the
//! steps in [`read`].

mod apply;
mod bot;
mod coding;
mod date;
mod date_pattern;
mod decimal;
mod expression;
mod facts;
mod fhir_value;
mod function;
mod grammar;
mod json;
mod keep;
mod lane;
mod lineage;
mod lookup;
mod operand;
mod read;
mod reference;
mod run;
mod search_template;
mod split;
mod step;
mod syntax;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod token;
mod translate;
mod unknown_place;
mod validation;
mod verdict;
mod view;

use pipehat_config::{Diagnostics, Node};
use pipehat_connectors::PayloadFormat;
use pipehat_message::{CharsetRule, Path};

pub(crate) use bot::{BOT, BOT_FAILED};
pub use facts::ProgramInput;
pub(crate) use lane::Lanes;
pub use lineage::{Followed, KeepsLineage};
pub(crate) use read::{
    Asked, DestinationSource, LookupNode, ProgramSource, Tables, report, time_zone, translation,
};
pub use syntax::SyntaxError;
pub use table::{Table, TableMistake};
pub use translate::{
    Made, Told, ToldFinding, TranslationSettings, translate_to_fhir, translate_to_v2,
};
pub use verdict::{Finding, Output, Refused, StepPlace, Translation, Verdict};

use expression::Expression;
use reference::{Reference, Scope, Use};
use run::{Run, RunLimits};
use step::Step;

use crate::effects::Effects;

/// A channel's steps and destinations, compiled.
#[derive(Debug, Clone)]
pub struct Program {
    /// The channel's own place, for what concerns no step.
    place: StepPlace,
    /// The `split: batch` at the head of the steps.
    batches: Option<StepPlace>,
    accept: Option<Step>,
    steps: Box<[Step]>,
    destinations: Box<[DestinationProgram]>,
    lanes: Lanes,
    charset: CharsetRule,
    format: PayloadFormat,
    limits: RunLimits,
    control_id_path: Path,
}

/// What a destination wants, and what is done for it alone.
#[derive(Debug, Clone)]
struct DestinationProgram {
    name: std::sync::Arc<str>,
    place: StepPlace,
    when: Option<Expression>,
    steps: Box<[Step]>,
    /// What its connector sends.
    sends: &'static [PayloadFormat],
}

/// Is told of every step of a run, for showing how a message came to be what it is.
pub trait Tracer {
    /// A step at this place is through, and left these bytes.
    fn step(&mut self, at: &StepPlace, bytes: &[u8]);
}

impl Program {
    /// What becomes of a message.
    pub fn run(&self, input: &ProgramInput<'_>, effects: &mut dyn Effects) -> Verdict {
        Run::new(self, input, effects, None).verdict()
    }

    /// Whether it looks into no message: every destination gets each as it is.
    pub(crate) fn passes(&self) -> bool {
        let plain = |one: &DestinationProgram| one.when.is_none() && one.steps.is_empty();
        self.accept.is_none() && self.steps.is_empty() && self.destinations.iter().all(plain)
    }

    /// As [`Program::run`], and tells `tracer` of every step.
    pub fn trace(
        &self,
        input: &ProgramInput<'_>,
        effects: &mut dyn Effects,
        tracer: &mut dyn Tracer,
    ) -> Verdict {
        Run::new(self, input, effects, Some(tracer)).verdict()
    }
}

/// Whether a message parked with this code was parked because its program could not do what it
/// says, and not because the program says so.
pub fn is_failure(code: &str) -> bool {
    code.starts_with("program.") && code != "program.park"
}

/// Reads a path outside of any step: one that can be read. What stands before it in the value is `start` bytes long.
pub(crate) fn plain_path(
    node: &Node,
    text: &str,
    start: usize,
    diagnostics: &mut Diagnostics,
) -> Result<Path, SyntaxError> {
    let scope = Scope::default();
    let reference = Reference::parse(text, &scope, Use::ReadEach).map_err(|it| it.moved(start))?;
    read::warn_of_unknown(node, &scope, diagnostics);
    Ok(reference.path().clone())
}
