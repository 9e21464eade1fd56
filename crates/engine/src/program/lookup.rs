//! The `lookup` step: a search in a FHIR datastore, and what its answer gives the message.
//!
//! The search is made from the message, asked for as an [effect](crate::Effects), and the values of the resource that
//! comes back are taken by FHIRPath. Without a value for a place of the search nothing is asked: what is left of the
//! search would find others. Reasons name places and expressions, never a value.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use pipehat_connectors::Found;
use pipehat_message::Message;
use pipehat_resource::fhirpath::{Context, Expression};
use pipehat_resource::json::{self, Value};

use super::apply::Miss;
use super::fhir_value::hl7_text;
use super::reference::{Current, Reference};
use super::run::{End, Run, park};
use super::search_template::{NoSearch, SearchTemplate};
use super::step::Otherwise;
use super::verdict::StepPlace;
use super::view::View;
use crate::effects::{LookupAnswer, LookupRequest};

/// The most searches for one message: each waits for the one before.
pub(super) const LOOKUPS_MAX: u32 = 100;

/// A `lookup` step.
#[derive(Debug, Clone)]
pub(super) struct LookupStep {
    /// Which of the channel's lookups it is, from 0.
    pub(super) lookup: u16,
    pub(super) resource_type: Arc<str>,
    pub(super) search: SearchTemplate,
    pub(super) into: Box<[Taken]>,
    pub(super) several: Several,
    /// Whether an expression reads the clock.
    pub(super) reads_clock: bool,
}

/// A value that is taken from what was found.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) to: Reference,
    pub(super) value: Expression,
    /// What is done where there is no value: nothing was found, or it has none.
    pub(super) otherwise: Otherwise,
}

/// What is done when several resources meet the search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Several {
    #[default]
    Park,
    /// The first is taken.
    First,
    /// As if nothing were found.
    Otherwise,
}

/// Why what was found gives no value that could be written.
enum NoValue {
    /// It has none.
    Nothing,
    Several,
    /// It is no text, number, date or truth value.
    NotSimple,
    /// The expression can't be evaluated on it.
    Failed,
}

impl<'r> Run<'r> {
    pub(super) fn look_up(
        &mut self,
        message: &mut Message<'_>,
        step: &'r LookupStep,
        at: &StepPlace,
        current: &Current,
    ) -> Result<(), End> {
        let view = View { message, current, input: self.input, coding: &self.work.coding };
        let query = match step.search.query(&view, self.effects) {
            Ok(query) => query,
            Err(NoSearch::Empty) => return self.take(message, step, None, at, current),
            Err(NoSearch::TooLong) => {
                let reason = "the search made from the message is too long".to_owned();
                return Err(park("program.lookup-search", reason, at));
            }
        };
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX {
            let reason = format!("it would take more than {LOOKUPS_MAX} searches");
            return Err(park("program.lookup-too-many", reason, at));
        }
        let request = LookupRequest {
            lookup: step.lookup,
            resource_type: Arc::clone(&step.resource_type),
            query: query.into(),
            body: Bytes::new(),
        };
        let Some(answer) = self.effects.lookup(&request) else { return Err(End::Waits(request)) };
        let resource = match (answer, step.several) {
            (LookupAnswer::Refused { detail }, _) => {
                return Err(park("program.lookup-refused", detail, at));
            }
            (LookupAnswer::Found(Found::Several(_)), Several::Park) => {
                let reason = "several resources meet the search".to_owned();
                return Err(park("program.lookup-several", reason, at));
            }
            (LookupAnswer::Found(Found::Several(_)), Several::Otherwise) => {
                self.find("program.lookup-several", None, at);
                None
            }
            (LookupAnswer::Found(Found::One(resource) | Found::Several(resource)), _) => {
                Some(resource)
            }
            (LookupAnswer::Found(Found::Nothing), _) => None,
        };
        let Some(resource) = resource else { return self.take(message, step, None, at, current) };
        match json::parse(&resource) {
            Ok(resource) => self.take(message, step, Some(&resource), at, current),
            Err(_) => {
                let reason = "the answer to the search is no JSON".to_owned();
                Err(park("program.lookup-value", reason, at))
            }
        }
    }

    /// Writes the values of what was found, or goes by `otherwise`.
    fn take(
        &mut self,
        message: &mut Message<'_>,
        step: &'r LookupStep,
        resource: Option<&Value>,
        at: &StepPlace,
        current: &Current,
    ) -> Result<(), End> {
        let now = if step.reads_clock && resource.is_some() {
            self.effects.now()
        } else {
            Timestamp::UNIX_EPOCH
        };
        let context = Context::new(now);
        for taken in &step.into {
            let value = resource
                .map_or(Err(NoValue::Nothing), |resource| value(&taken.value, resource, &context));
            let refused = |why: &str| {
                let (place, expression) = (taken.to.written(), &taken.value);
                let reason = format!("`{expression}`, for {place}, {why}");
                Err(park("program.lookup-value", reason, at))
            };
            let answer = match value {
                Ok(text) => Some(Cow::Owned(text)),
                Err(NoValue::Nothing) => None,
                Err(NoValue::Several) => return refused("gives several values"),
                Err(NoValue::NotSimple) => {
                    return refused("gives no text, number, date or truth value");
                }
                Err(NoValue::Failed) => return refused("can't be evaluated on what was found"),
            };
            let miss = Miss {
                code: "program.lookup-no-match",
                what: if resource.is_some() {
                    "what was found has no value for"
                } else {
                    "nothing was found to take a value from for"
                },
                field: &taken.to,
                to: &taken.to,
                otherwise: &taken.otherwise,
            };
            self.answer(message, answer, &miss, at, current)?;
        }
        Ok(())
    }
}

fn value(
    expression: &Expression,
    resource: &Value,
    context: &Context<'_>,
) -> Result<String, NoValue> {
    let items = expression.evaluate(resource, context).map_err(|_| NoValue::Failed)?;
    let item = match items.as_slice() {
        [] => return Err(NoValue::Nothing),
        [item] => item,
        _ => return Err(NoValue::Several),
    };
    match hl7_text(item) {
        Some(text) if text.is_empty() => Err(NoValue::Nothing),
        Some(text) => Ok(text),
        // An element of which only extensions are known (data-absent-reason).
        None if item.json().is_none() && item.sibling().is_some() => Err(NoValue::Nothing),
        None => Err(NoValue::NotSimple),
    }
}
