//! Messages that are JSON: they go on as they are, and what is asked of them is what is known beside their bytes.

use bytes::Bytes;
use pipehat_message::Message;

use super::expression::Expression;
use super::reference::Current;
use super::run::{End, Flow, Run, park, parse};
use super::step::Step;

/// Stands for the message in conditions, none of which looks at one: that is seen to when the channel is read.
const BLANK: &[u8] = b"MSH|^~\\&";

/// The steps that look at no message, and change none.
pub(super) const STEPS: [&str; 4] = ["accept", "filter", "park", "route"];

impl<'r> Run<'r> {
    /// To the destinations that want it, as it is.
    pub(super) fn json(&mut self, bytes: &Bytes) -> Result<(), End> {
        let program = self.program;
        if program.passes() {
            return self.pass(bytes);
        }
        // There is nothing that a step could leave.
        self.tracer = None;
        let mut blank = parse(BLANK)
            .map_err(|error| park("program.unreadable", error.to_string(), &program.place))?;
        if let Some(accept) = &program.accept {
            self.step(&mut blank, accept, &Current::default())?;
        }
        let targets = self.steps_of_json(&mut blank, &program.steps)?;
        for (index, destination) in (0_u16..).zip(program.destinations.iter()) {
            let named = targets.is_none_or(|targets| targets.contains(&index));
            if !named || !self.wants(&blank, destination.when.as_ref()) {
                continue;
            }
            match self.steps_of_json(&mut blank, &destination.steps) {
                // What one destination does not want the others may.
                Err(End::Filtered(_)) => {}
                Err(end) => return Err(end),
                Ok(_) => self.output(index, bytes.clone(), &destination.place)?,
            }
        }
        Ok(())
    }

    fn wants(&self, blank: &Message<'_>, when: Option<&Expression>) -> bool {
        when.is_none_or(|condition| condition.holds(&self.view(blank, &Current::default())))
    }

    /// The destinations that a `route` names; none: all.
    fn steps_of_json(
        &mut self,
        blank: &mut Message<'_>,
        steps: &'r [Step],
    ) -> Result<Option<&'r [u16]>, End> {
        for step in steps {
            match self.step(blank, step, &Current::default())? {
                Flow::Next | Flow::Gone(_) => {}
                Flow::Routed(targets) => return Ok(Some(targets)),
            }
        }
        Ok(None)
    }
}
