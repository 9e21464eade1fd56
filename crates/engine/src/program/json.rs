//! Messages that are JSON: they go on as they are, unless a bot or a translation makes another of them. What is asked of
//! them is what is known beside their bytes.

use bytes::Bytes;
use pipehat_connectors::PayloadFormat;
use pipehat_message::Message;

use super::bot::{BOT_RESULT, RESULT_HELP};
use super::expression::Expression;
use super::reference::Current;
use super::run::{End, Flow, Owner, Rest, Run, park, parse};
use super::step::{Action, Step};
use super::verdict::StepPlace;

/// Stands for the message in conditions, none of which looks at one: that is seen to when the channel is read.
const BLANK: &[u8] = b"MSH|^~\\&";

/// The steps that look at no message, and change none; and those that take JSON.
pub(super) const STEPS: [&str; 6] = ["accept", "filter", "park", "route", "bot", "translate"];

impl<'r> Run<'r> {
    /// To the destinations that want it, as it is.
    pub(super) fn json(&mut self, bytes: &Bytes) -> Result<(), End> {
        let program = self.program;
        if program.passes() {
            return self.pass(bytes);
        }
        // There is nothing that a step could leave.
        self.tracer = None;
        if let Some(accept) = &program.accept {
            self.step(&mut self.blank()?, accept, &Current::default())?;
        }
        self.through_json(bytes, &program.steps, None, Owner::Channel)
    }

    fn blank(&self) -> Result<Message<'static>, End> {
        parse(BLANK)
            .map_err(|error| park("program.unreadable", error.to_string(), &self.program.place))
    }

    /// Steps, and what follows them. Recursion is as deep as `when` steps with a bot or a translation in them nest.
    pub(super) fn through_json(
        &mut self,
        bytes: &Bytes,
        steps: &'r [Step],
        then: Option<&Rest<'_, 'r>>,
        owner: Owner,
    ) -> Result<(), End> {
        let mut blank = self.blank()?;
        let mut left = steps;
        while let Some((step, after)) = left.split_first() {
            left = after;
            let rest = Rest { steps: after, then };
            if self.json_of.is_some() && reads_hl7(step) {
                return Err(self.not_as_json(&format!("`{}` is for HL7 v2", step.place.step())));
            }
            match &step.action {
                Action::When { condition, then, otherwise } if step.splits() => {
                    let branch = if self.wants(&blank, Some(condition)) { then } else { otherwise };
                    return self.through_json(bytes, branch, Some(&rest), owner);
                }
                Action::Bot(bot) => {
                    return self.bot_on_json(bytes, bot, &step.place, (&rest, owner));
                }
                Action::Translate(how) => {
                    return self.translate_json(bytes, how, &step.place, (&rest, owner));
                }
                _ => match self.step(&mut blank, step, &Current::default())? {
                    Flow::Next | Flow::Gone(_) => {}
                    Flow::Routed(targets) => return self.deliver_json(bytes, Some(targets)),
                },
            }
        }
        match (then, owner) {
            (Some(rest), owner) => self.through_json(bytes, rest.steps, rest.then, owner),
            (None, Owner::Channel) => self.deliver_json(bytes, None),
            (None, Owner::Destination(destination)) => {
                self.emit_json(destination, bytes, &self.program.place)
            }
        }
    }

    /// To a destination that sends JSON: to others nothing goes but what a bot made of HL7 v2, for all else is known when
    /// the channel is read.
    fn emit_json(&mut self, index: u16, bytes: &Bytes, at: &StepPlace) -> Result<(), End> {
        let destination = self.program.destinations.get(usize::from(index));
        if let Some(destination) = destination
            && self.json_of.is_some()
            && !destination.sends.contains(&PayloadFormat::Json)
        {
            return Err(self.not_as_json(&format!("`{}` sends HL7 v2", destination.name)));
        }
        self.emit(index, bytes.clone(), at)
    }

    /// Sets aside what a bot made of HL7 v2.
    fn not_as_json(&self, why: &str) -> End {
        let (name, at) = match &self.json_of {
            Some((step, at)) => (&*step.bot, at),
            None => ("the bot", &self.program.place),
        };
        park(BOT_RESULT, format!("`{name}` returned JSON, and {why}: {RESULT_HELP}"), at)
    }

    /// The destinations that want it: all, or those a `route` names.
    fn deliver_json(&mut self, bytes: &Bytes, targets: Option<&[u16]>) -> Result<(), End> {
        let program = self.program;
        let blank = self.blank()?;
        for (index, destination) in (0_u16..).zip(program.destinations.iter()) {
            let named = targets.is_none_or(|targets| targets.contains(&index));
            if !named {
                continue;
            }
            let asks = destination.when.as_ref().is_some_and(|when| when.looks_at().message);
            if asks && self.json_of.is_some() {
                let why = format!("`when` of `{}` reads HL7 v2", destination.name);
                return Err(self.not_as_json(&why));
            }
            if !self.wants(&blank, destination.when.as_ref()) {
                continue;
            }
            let steps = &destination.steps;
            if steps.is_empty() {
                self.emit_json(index, bytes, &destination.place)?;
                continue;
            }
            match self.through_json(bytes, steps, None, Owner::Destination(index)) {
                // What one destination does not want the others may.
                Err(End::Filtered(..)) => {}
                ended => ended?,
            }
        }
        Ok(())
    }

    fn wants(&self, blank: &Message<'_>, when: Option<&Expression>) -> bool {
        when.is_none_or(|condition| condition.holds(&self.view(blank, &Current::default())))
    }
}

/// Whether a step or its condition looks into a message, or changes it. A channel whose messages are JSON has no such steps.
fn reads_hl7(step: &Step) -> bool {
    match &step.action {
        Action::Accept(condition) | Action::Filter(condition) => condition.looks_at().message,
        Action::Park { .. } | Action::Route(_) | Action::Bot(_) | Action::Translate(_) => false,
        // What stands within is looked at where it is reached.
        Action::When { condition, then, otherwise } => {
            let inner = || then.iter().chain(otherwise).any(reads_hl7);
            condition.looks_at().message || (!step.splits() && inner())
        }
        _ => true,
    }
}
