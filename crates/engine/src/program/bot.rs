//! The `bot` step: a script of the project runs on the message, and what it returns goes on in its place.
//!
//! Like a `lookup` it is asked for as an [effect](crate::Effects): the run ends while the bot runs, and begins anew with
//! its answer. So a bot runs once for a message, whatever is asked behind it, and a replay of the message needs no bot.
//! What it sent goes to destinations of the channel with the message's other outputs: kept with them, or not at all.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use pipehat_connectors::{BotFinding, BotOutcome, BotResult, Found, JSON, PayloadFormat};
use pipehat_message::{CharsetRule, Message};
use serde::de::IgnoredAny;

use super::DestinationProgram;
use super::coding::readable;
use super::lineage::Followed;
use super::run::{End, Owner, Rest, Run, Work, park, parse, shared};
use super::split;
use super::verdict::StepPlace;
use crate::effects::{LookupAnswer, LookupRequest};

/// What bots are called among the things that a step asks.
pub(crate) const BOT: &str = "bot";

/// The code of messages whose bot gave nothing.
pub(crate) const BOT_FAILED: &str = "program.bot-failed";

/// The code of messages of which a bot made what can't go on.
pub(super) const BOT_RESULT: &str = "program.bot-result";

/// What to do about it.
pub(super) const RESULT_HELP: &str =
    "return an Hl7Message, or nothing (the message goes on as it is), or say `result: ignored`";

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
    /// As [`TakenResult::Message`], but for what answers the message: the file doesn't say that this goes on.
    #[default]
    Unsaid,
    /// It goes on as the message; nothing returned leaves the message as it is.
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
        let control_id = text_at(&message, "MSH", 10);
        let bytes = shared(message, base);
        let given = self.as_given(bytes.clone(), at)?;
        let next = match self.run_bot(step, &given, true, at)? {
            BotResult::Json(json) => {
                let before = self.json_of.replace((step, at.clone()));
                let ended = self.through_json(&json, rest.steps, rest.then, owner);
                self.json_of = before;
                return ended;
            }
            BotResult::Text(text) => {
                let readable = readable(&text, self.program.charset);
                let mut work = Work::of(&readable, &text);
                // It is in the channel's set still, and goes out in that of MSH-18.
                work.declared =
                    self.work.declared && matches!(self.program.charset, CharsetRule::Override(_));
                let before = mem::replace(&mut self.work, work);
                let returned = (step, at, control_id.as_str());
                let ended = self.behind_bot(&readable.bytes, returned, rest, owner);
                self.work = before;
                return ended;
            }
            BotResult::Nothing => bytes,
        };
        self.behind_bot(&next, (step, at, &control_id), rest, owner)
    }

    /// With what a bot returned for the message with this control id, or left as it is.
    fn behind_bot(
        &mut self,
        next: &Bytes,
        returned: (&BotStep, &StepPlace, &str),
        rest: &Rest<'_, 'r>,
        owner: Owner,
    ) -> Result<(), End> {
        let parts = split::batch(next, self.program.limits.outputs_max);
        let parts = match parts.filter(|_| self.program.batches.is_some()) {
            Some(parts) => parts.map_err(|reason| park(BOT_RESULT, reason, returned.1))?,
            None => return self.with_returned(next, returned, rest, owner),
        };
        for part in parts {
            self.part(|run| run.with_returned(&part, returned, rest, owner))?;
        }
        Ok(())
    }

    /// With a message that a bot returned for the one with this control id.
    fn with_returned(
        &mut self,
        bytes: &Bytes,
        (step, at, control_id): (&BotStep, &StepPlace, &str),
        rest: &Rest<'_, 'r>,
        owner: Owner,
    ) -> Result<(), End> {
        let bot = &step.bot;
        let message = parse(bytes).map_err(|error| {
            let reason =
                format!("what `{bot}` returned is no HL7 v2 message ({error}): {RESULT_HELP}");
            park(BOT_RESULT, reason, at)
        })?;
        if message.segment("MSH", 2).is_some() {
            // Receivers would take the first for the whole.
            let reason = format!(
                "`{bot}` returned several messages in one text: `send` each, or have `split: batch` as the first step"
            );
            return Err(park(BOT_RESULT, reason, at));
        }
        if step.result == TakenResult::Unsaid
            && !control_id.is_empty()
            && text_at(&message, "MSA", 2) == control_id
        {
            let reason = format!(
                "what `{bot}` returned answers the message itself (MSA-2): `result: reply` gives it to the sender, \
                 `result: message` sends it on in the message's place"
            );
            return Err(park(BOT_RESULT, reason, at));
        }
        self.trace(at, &message);
        self.through(message, bytes, rest.steps, rest.then, owner)
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
        let ended = self.behind_bot_on_its_json(bytes, step, at, (rest, owner));
        self.translations.last = before;
        ended
    }

    fn behind_bot_on_its_json(
        &mut self,
        bytes: &Bytes,
        step: &'r BotStep,
        at: &StepPlace,
        (rest, owner): (&Rest<'_, 'r>, Owner),
    ) -> Result<(), End> {
        let next = match self.run_bot(step, bytes, false, at)? {
            BotResult::Json(json) => json,
            // A text that it wrote itself.
            BotResult::Text(text) => match serde_json::from_slice::<IgnoredAny>(&text) {
                Ok(_) => text,
                Err(_) => {
                    let reason = format!(
                        "what `{}` returned is no JSON, and the messages here are: return a value, or nothing (the \
                         message goes on as it is), or say `result: ignored`",
                        step.bot
                    );
                    return Err(park(BOT_RESULT, reason, at));
                }
            },
            BotResult::Nothing => bytes.clone(),
        };
        self.through_json(&next, rest.steps, rest.then, owner)
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
            if let Some(what) = unfit(&bytes, program.destinations.get(usize::from(index))) {
                let reason = format!("`{}` sent {what} to `{name}`, which sends HL7 v2", step.bot);
                return Err(park("program.bot-send", reason, at));
            }
            self.emit(index, bytes, at)?;
        }
        let goes_on = match step.result {
            TakenResult::Message => outcome.result != BotResult::Nothing,
            TakenResult::Unsaid => {
                outcome.result != BotResult::Nothing && !is_true(&outcome.result)
            }
            TakenResult::Ignored | TakenResult::Reply => false,
        };
        if !goes_on {
            // What goes on is not what it translated.
            self.translations.last = before;
        }
        match step.result {
            // `return true` says no more than that it is done.
            TakenResult::Unsaid if is_true(&outcome.result) => Ok(BotResult::Nothing),
            // Who returns `false` means something by it, and not that all is well.
            TakenResult::Unsaid if is_bare(&outcome.result) => {
                let reason = format!(
                    "`{}` returned a value that is no message (`false`, a number): return a message, nothing or `true` (the \
                     message goes on as it is), `park` it with a reason, or say `result: ignored`",
                    step.bot
                );
                Err(park(BOT_RESULT, reason, at))
            }
            TakenResult::Message | TakenResult::Unsaid => Ok(outcome.result),
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

/// What is wrong with what a bot sends to a destination that sends HL7 v2 alone.
fn unfit(bytes: &[u8], destination: Option<&DestinationProgram>) -> Option<&'static str> {
    let sends = destination?.sends;
    if sends.contains(&PayloadFormat::Json) {
        return None;
    }
    match parse(bytes) {
        Err(_) => Some("what is no HL7 v2 message"),
        Ok(message) => message.segment("MSH", 2).map(|_| "several messages in one text"),
    }
}

/// Whether it says that all is done.
fn is_true(result: &BotResult) -> bool {
    matches!(result, BotResult::Json(json) if json.trim_ascii() == b"true")
}

/// Whether it is JSON, and neither an object nor a list.
fn is_bare(result: &BotResult) -> bool {
    let BotResult::Json(json) = result else { return false };
    !json.trim_ascii_start().starts_with(b"{") && !json.trim_ascii_start().starts_with(b"[")
}

/// The text of a field; empty where it isn't there.
fn text_at(message: &Message<'_>, segment: &str, field: usize) -> String {
    let found = message.segment(segment, 1).and_then(|segment| segment.field(field));
    let text = found.map(|field| String::from_utf8_lossy(&field.decoded()).into_owned());
    text.unwrap_or_default()
}
