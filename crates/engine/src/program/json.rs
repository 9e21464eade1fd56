//! Messages that are JSON: they go on as they are, unless a bot or a translation makes another of them. What is asked of
//! them is what is known beside their bytes.

use bytes::Bytes;
use pipehat_message::Message;

use super::expression::Expression;
use super::reference::Current;
use super::run::{End, Flow, Owner, Rest, Run, park, parse};
use super::step::{Action, Step};

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
                self.emit(destination, bytes.clone(), &self.program.place)
            }
        }
    }

    /// The destinations that want it: all, or those a `route` names.
    fn deliver_json(&mut self, bytes: &Bytes, targets: Option<&[u16]>) -> Result<(), End> {
        let program = self.program;
        let blank = self.blank()?;
        for (index, destination) in (0_u16..).zip(program.destinations.iter()) {
            let named = targets.is_none_or(|targets| targets.contains(&index));
            if !named || !self.wants(&blank, destination.when.as_ref()) {
                continue;
            }
            let steps = &destination.steps;
            if steps.is_empty() {
                self.emit(index, bytes.clone(), &destination.place)?;
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
