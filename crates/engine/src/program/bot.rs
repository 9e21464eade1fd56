//! The `bot` step: a script of the project runs on the message, and what it returns goes on in its place.
//!
//! Like a `lookup` it is asked for as an [effect](crate::Effects): the run ends while the bot runs, and begins anew with
//! its answer. So a bot runs once for a message, whatever is asked behind it, and a replay of the message needs no bot.
//! What it sent goes to destinations of the channel with the message's other outputs: kept with them, or not at all.

use std::sync::Arc;

use bytes::Bytes;
use pipehat_connectors::{BotFinding, BotOutcome, BotResult, Found, JSON};
use pipehat_message::Message;

use super::lineage::Followed;
use super::run::{End, Owner, Rest, Run, park, parse, shared};
use super::verdict::StepPlace;
use crate::effects::{LookupAnswer, LookupRequest};

/// What bots are called among the things that a step asks.
pub(crate) const BOT: &str = "bot";

/// The code of messages whose bot gave nothing.
pub(crate) const BOT_FAILED: &str = "program.bot-failed";

/// A `bot` step.
#[derive(Debug, Clone)]
pub(super) struct BotStep {
    /// Which of the channel's lookups it is, from 0.
    pub(super) lookup: u16,
    pub(super) bot: Arc<str>,
    pub(super) result: TakenResult,
}

/// What becomes of what the bot returns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum TakenResult {
    /// It goes on as the message; nothing returned leaves the message as it is.
    #[default]
    Message,
    /// It goes to the sender; the message goes on as it is.
    Reply,
    /// The message goes on as it is.
    Ignored,
}

impl<'r> Run<'r> {
    /// Runs a bot on HL7 v2.
    pub(super) fn bot_on_hl7(
        &mut self,
        message: Message<'_>,
        base: &Bytes,
        step: &'r BotStep,
        at: &StepPlace,
        (rest, owner): (&Rest<'_, 'r>, Owner),
    ) -> Result<(), End> {
        let before = self.translations.last;
        let ended = self.behind_bot_on_hl7(message, base, step, at, (rest, owner));
        self.translations.last = before;
        ended
    }

    fn behind_bot_on_hl7(
        &mut self,
        message: Message<'_>,
        base: &Bytes,
        step: &'r BotStep,
        at: &StepPlace,
        (rest, owner): (&Rest<'_, 'r>, Owner),
    ) -> Result<(), End> {
        let bytes = shared(message, base);
        let result = self.run_bot(step, &bytes, true, at)?;
        let next = match result {
            BotResult::Json(json) => return self.through_json(&json, rest.steps, rest.then, owner),
            BotResult::Text(text) => text,
            BotResult::Nothing => bytes,
        };
        let message = parse(&next).map_err(|error| {
            let reason = format!("what `{}` returned is no HL7 v2 message: {error}", step.bot);
            park("program.bot-result", reason, at)
        })?;
        self.trace(at, &message);
        self.through(message, &next, rest.steps, rest.then, owner)
    }

    /// Runs a bot on JSON.
    pub(super) fn bot_on_json(
        &mut self,
        bytes: &Bytes,
        step: &'r BotStep,
        at: &StepPlace,
        (rest, owner): (&Rest<'_, 'r>, Owner),
    ) -> Result<(), End> {
        let before = self.translations.last;
        let result = self.run_bot(step, bytes, false, at);
        let ended = result.and_then(|result| {
            let next = match result {
                BotResult::Json(json) => json,
                // A text that it wrote itself.
                BotResult::Text(text) => text,
                BotResult::Nothing => bytes.clone(),
            };
            self.through_json(&next, rest.steps, rest.then, owner)
        });
        self.translations.last = before;
        ended
    }

    /// What the bot returned for the message; what it sent is among the outputs.
    fn run_bot(
        &mut self,
        step: &'r BotStep,
        bytes: &Bytes,
        is_hl7: bool,
        at: &StepPlace,
    ) -> Result<BotResult, End> {
        let request = LookupRequest {
            lookup: step.lookup,
            resource_type: BOT.into(),
            query: if is_hl7 { Arc::clone(&step.bot) } else { JSON.into() },
            body: bytes.clone(),
        };
        let Some(answer) = self.effects.lookup(&request) else { return Err(End::Waits(request)) };
        let outcome = match answer {
            LookupAnswer::Refused { detail } => return Err(park(BOT_FAILED, detail, at)),
            LookupAnswer::Found(Found::One(bytes)) => BotOutcome::from_bytes(&bytes),
            LookupAnswer::Found(_) => Some(BotOutcome::default()),
        };
        let Some(outcome) = outcome else {
            let reason = "what the bot gave was not recorded as it should".to_owned();
            return Err(park(BOT_FAILED, reason, at));
        };
        for BotFinding { code, path, count } in outcome.findings {
            self.told_by_bot(&code, &path, count, at);
        }
        if let Some(reason) = outcome.park {
            return Err(park("program.park", reason, at));
        }
        let before = self.translations.last;
        for lineage in outcome.lineage {
            let followed = lineage.map_or(Followed::TooLarge, Followed::Kept);
            self.translated(at, Some(&step.bot), followed);
        }
        let program = self.program;
        for (name, bytes) in outcome.sent {
            let named = (0_u16..).zip(program.destinations.iter());
            let found = named.into_iter().find(|(_, destination)| destination.name == name);
            let Some((index, _)) = found else {
                let reason =
                    format!("`{}` sent to a destination that the channel has not", step.bot);
                return Err(park("program.bot-send", reason, at));
            };
            self.emit(index, bytes, at)?;
        }
        if step.result != TakenResult::Message || outcome.result == BotResult::Nothing {
            // What goes on is not what it translated.
            self.translations.last = before;
        }
        match step.result {
            TakenResult::Message => Ok(outcome.result),
            TakenResult::Ignored => Ok(BotResult::Nothing),
            TakenResult::Reply => {
                if let BotResult::Text(reply) | BotResult::Json(reply) = outcome.result {
                    self.reply = Some(reply);
                }
                Ok(BotResult::Nothing)
            }
        }
    }
}
