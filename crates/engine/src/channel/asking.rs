//! Messages that wait for the answer to a `lookup`.
//!
//! Such a message holds its lanes, as one does whose steps are running: it is among the [blocked](Blocked) ones, so that
//! a person can decide about it, and its question is a task of its own. The answer is added to the effects, and the
//! program runs again from the beginning with these. No answer: it is asked again by the step's `retry`. Another
//! configuration runs the program anew, at once; what failed before goes on to count, so that whoever saves files does not
//! put off the end of a message that holds its lane. A restart begins anew. Other lanes go on meanwhile.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use jiff::Timestamp;
use pipehat_connectors::{Asked, Found, Lookup, LookupAttempt, OnRefusal, Told};

use super::conductor::{Blocked, Conductor, Input, Work};
use super::processing::Ran;
use super::status::FailingBot;
use crate::effects::{Effect, LookupAnswer, LookupRequest};
use crate::lanes::Ticket;
use crate::names::MessageId;
use crate::project::{ChannelSpec, LookupSpec};

/// A question of a message, and what was answered before it.
#[derive(Debug)]
pub(super) struct Asking {
    /// The configuration it is asked under.
    spec: Arc<ChannelSpec>,
    request: LookupRequest,
    effects: Vec<Effect>,
    /// Tells its tries from earlier ones of the same message.
    number: u64,
    tries: Tries,
    /// Whether the last try did not reach the other side: then it is asked as soon as another question is answered.
    is_unreached: bool,
}

/// How a question went so far.
#[derive(Debug, Clone, Default)]
struct Tries {
    /// How often there was no answer.
    failures: u32,
    /// Since when.
    since: Option<Instant>,
    /// Whether a try failed in a way that most likely comes again.
    has_failed_for_good: bool,
    /// The operator code of the latest failure.
    code: &'static str,
}

/// A question that failed under the configuration before: the same one goes on to fail under the next.
#[derive(Debug)]
pub(super) struct FailedAt {
    whom: Whom,
    tries: Tries,
    why: String,
}

/// Who is asked. The message is the same, so two questions to one are one.
#[derive(Debug, PartialEq, Eq)]
struct Whom {
    bot: Option<Arc<str>>,
    connector: &'static str,
    resource_type: Arc<str>,
}

impl Asking {
    /// Whether there was no answer so far, so that an operator wants to know.
    pub(super) fn has_failed(&self) -> bool {
        self.tries.failures > 0
    }

    fn lookup(&self) -> Option<&LookupSpec> {
        self.spec.lookups.get(usize::from(self.request.lookup))
    }

    fn whom(&self) -> Option<Whom> {
        let lookup = self.lookup()?;
        Some(Whom {
            bot: lookup.lookup.bot().cloned(),
            connector: lookup.connector,
            resource_type: Arc::clone(&self.request.resource_type),
        })
    }
}

impl Conductor {
    /// A message can't go on without an answer.
    pub(super) fn ask(
        &mut self,
        ticket: Ticket,
        mut work: Work,
        request: LookupRequest,
        effects: Vec<Effect>,
        failures: u32,
    ) {
        let mut asking = Asking {
            spec: Arc::clone(&self.spec),
            request,
            effects,
            number: 0,
            tries: Tries::default(),
            is_unreached: false,
        };
        let mut why = String::new();
        if let Some(before) =
            work.failed_at.take_if(|failed| asking.whom().as_ref() == Some(&failed.whom))
        {
            (asking.tries, why) = (before.tries, before.why);
        }
        let blocked = Blocked {
            work,
            ticket,
            code: "program.lookup-waits".to_owned(),
            why,
            retry_at: None,
            failures,
            asking: Some(asking),
        };
        self.ask_once(blocked);
    }

    /// Asks, once more.
    pub(super) fn ask_once(&mut self, mut blocked: Blocked) {
        let Some(asking) = &mut blocked.asking else { return };
        self.questions += 1;
        asking.number = self.questions;
        blocked.retry_at = None;
        let message = blocked.work.message;
        let asked = Asked {
            channel: Arc::clone(&self.spec.name),
            resource_type: Arc::clone(&asking.request.resource_type),
            query: Arc::clone(&asking.request.query),
            body: asking.request.body.clone(),
            change: blocked.work.incoming.change.clone(),
        };
        // The number is the step's own: the program and its lookups are read together.
        let lookup = asking.lookup().map(|lookup| Arc::clone(&lookup.lookup));
        let (number, sender) = (asking.number, self.sender.clone());
        self.blocked.insert(message, blocked);
        let told = Told::new(move |attempt| {
            // A conductor that has stopped processes the message again at the next start.
            let _ = sender.send(Input::LookedUp { message, number, attempt });
        });
        // Without a task in between, where who is asked can tell by itself; a panic there has told already.
        let asked = match &lookup {
            Some(lookup) => {
                catch_unwind(AssertUnwindSafe(|| lookup.ask_and_tell(asked, told))).unwrap_or(None)
            }
            None => Some((asked, told)),
        };
        let Some((asked, told)) = asked else { return };
        // What has ended needs no owner any more.
        while self.asking.try_join_next().is_some() {}
        self.asking.spawn(async move { told.tell(attempt(lookup, asked).await) });
    }

    /// A try to get an answer ended.
    pub(super) fn looked_up(&mut self, message: MessageId, number: u64, attempt: LookupAttempt) {
        let is_current = |blocked: &Blocked| {
            blocked.asking.as_ref().is_some_and(|asking| asking.number == number)
        };
        if !self.blocked.get(&message).is_some_and(is_current) {
            // Discarded meanwhile, or asked anew.
            return;
        }
        let Some(mut blocked) = self.blocked.remove(&message) else { return };
        let Some(mut asking) = blocked.asking.take() else { return };
        let answer = match attempt {
            LookupAttempt::Found(found) => {
                self.wake_those_unreached(&asking);
                LookupAnswer::Found(found)
            }
            LookupAttempt::Impossible { detail, .. } => LookupAnswer::Refused { detail },
            LookupAttempt::Failed { code, detail } => {
                match self.unanswered(blocked, asking, code, detail, true) {
                    Some((back, detail)) => {
                        return self.answered(back, LookupAnswer::Refused { detail });
                    }
                    None => return,
                }
            }
            LookupAttempt::FailedForGood { detail, .. } if asking.tries.has_failed_for_good => {
                let tries = asking.tries.failures.saturating_add(1);
                LookupAnswer::Refused { detail: given_up(tries, &detail) }
            }
            LookupAttempt::FailedForGood { code, detail } => {
                asking.tries.has_failed_for_good = true;
                match self.unanswered(blocked, asking, code, detail, false) {
                    Some((back, detail)) => {
                        return self.answered(back, LookupAnswer::Refused { detail });
                    }
                    None => return,
                }
            }
            LookupAttempt::Refused { code, answer, detail } => {
                let then =
                    asking.lookup().map_or(OnRefusal::Park, |lookup| lookup.on_refusal(answer));
                match then {
                    OnRefusal::Park => LookupAnswer::Refused { detail },
                    OnRefusal::Accept => LookupAnswer::Found(Found::Nothing),
                    OnRefusal::Retry => match self.unanswered(blocked, asking, code, detail, false)
                    {
                        Some((back, detail)) => {
                            return self.answered(back, LookupAnswer::Refused { detail });
                        }
                        None => return,
                    },
                }
            }
        };
        self.answered((blocked, asking), answer);
    }

    /// No answer: it is asked again later; given back where that is over, with the reason.
    fn unanswered(
        &mut self,
        mut blocked: Blocked,
        mut asking: Asking,
        code: &'static str,
        detail: String,
        is_unreached: bool,
    ) -> Option<((Blocked, Asking), String)> {
        let now = Instant::now();
        let since = *asking.tries.since.get_or_insert(now);
        asking.tries.failures = asking.tries.failures.saturating_add(1);
        asking.tries.code = code;
        asking.is_unreached = is_unreached;
        let failures = asking.tries.failures;
        let retry = asking.lookup().map(|lookup| lookup.retry).unwrap_or_default();
        if retry.gives_up_after(now.saturating_duration_since(since)) {
            let detail = given_up(failures, &detail);
            return Some(((blocked, asking), detail));
        }
        tracing::warn!(
            channel = &*self.spec.name,
            message_id = blocked.work.message.0.get(),
            attempt = failures,
            code,
            detail,
            "lookup failed, will retry"
        );
        blocked.retry_at = now.checked_add(retry.pause(failures, self.jitter()));
        blocked.why = format!("{code}: {detail}");
        blocked.asking = Some(asking);
        self.blocked.insert(blocked.work.message, blocked);
        None
    }

    /// The other side answers again: who waits for it need not wait longer.
    fn wake_those_unreached(&mut self, answered: &Asking) {
        let Some(lookup) = answered.lookup().map(|lookup| Arc::clone(&lookup.lookup)) else {
            return;
        };
        let now = Instant::now();
        for blocked in self.blocked.values_mut() {
            let is_same = blocked.asking.as_ref().is_some_and(|asking| {
                let same = asking.lookup().is_some_and(|own| Arc::ptr_eq(&own.lookup, &lookup));
                same && asking.is_unreached
            });
            if is_same && blocked.retry_at.is_some() {
                blocked.retry_at = Some(now);
            }
        }
    }

    /// Asks at once what pauses.
    pub(super) fn knock_at_lookups(&mut self) {
        let now = Instant::now();
        let pausing = self.blocked.values_mut().filter(|blocked| blocked.asking.is_some());
        for retry_at in pausing.filter_map(|blocked| blocked.retry_at.as_mut()) {
            *retry_at = now;
        }
    }

    /// The program goes on with the answer.
    fn answered(&mut self, (blocked, asking): (Blocked, Asking), answer: LookupAnswer) {
        let Asking { spec, request, mut effects, .. } = asking;
        if Arc::ptr_eq(&spec, &self.spec) {
            effects.push(Effect::Lookup { search: request.search(), answer });
        } else {
            effects.clear();
        }
        self.go_on(blocked, effects);
    }

    /// Runs the program of a message that waited, and those that waited behind it.
    pub(super) fn go_on(&mut self, blocked: Blocked, effects: Vec<Effect>) {
        let Blocked { work, ticket, failures, .. } = blocked;
        let mut next = Vec::new();
        self.run_steps(ticket, work, effects, failures, &mut next);
        for (ticket, work) in next.into_iter().rev() {
            self.process(ticket, work);
        }
    }

    /// The configuration changed: what it asks may be another thing, of another server.
    pub(super) fn ask_anew(&mut self) {
        let is_asking = |blocked: &Blocked| blocked.asking.is_some();
        let asking = self.blocked.iter().filter(|(_, blocked)| is_asking(blocked));
        let messages: Vec<MessageId> = asking.map(|(message, _)| *message).collect();
        for message in messages {
            let Some(mut blocked) = self.blocked.remove(&message) else { continue };
            if let Some(asking) = blocked.asking.take().filter(Asking::has_failed)
                && let Some(whom) = asking.whom()
            {
                let why = std::mem::take(&mut blocked.why);
                blocked.work.failed_at =
                    Some(Box::new(FailedAt { whom, tries: asking.tries, why }));
            }
            self.go_on(blocked, Vec::new());
        }
    }

    /// The bots that fail and are run again, each once.
    pub(super) fn failing_bots(&self) -> Vec<FailingBot> {
        let mut bots: BTreeMap<Arc<str>, (FailingBot, Vec<Ticket>, Instant)> = BTreeMap::new();
        let now = Instant::now();
        for blocked in self.blocked.values() {
            let Some(asking) = blocked.asking.as_ref().filter(|asking| asking.has_failed()) else {
                continue;
            };
            let lookup = asking.lookup();
            let Some(bot) = lookup.and_then(|lookup| lookup.lookup.bot()) else { continue };
            let Tries { failures, since, code, .. } = &asking.tries;
            let since = since.unwrap_or(now);
            let (failing, tickets, first) = bots.entry(Arc::clone(bot)).or_insert_with(|| {
                let failing = FailingBot {
                    bot: Arc::clone(bot),
                    messages: 0,
                    waiting: 0,
                    since: Timestamp::UNIX_EPOCH,
                    tries: 0,
                    code,
                };
                (failing, Vec::new(), since)
            });
            failing.messages = failing.messages.saturating_add(1);
            failing.tries = failing.tries.max(*failures);
            failing.code = code;
            *first = since.min(*first);
            tickets.push(blocked.ticket);
        }
        let wall = Timestamp::now();
        let shown = bots.into_values().map(|(failing, tickets, first)| FailingBot {
            waiting: self.processing.waiting_behind(tickets) as u64,
            since: wall.checked_sub(now.saturating_duration_since(first)).unwrap_or(wall),
            ..failing
        });
        shown.collect()
    }

    /// What a run came to.
    pub(super) fn ran(
        &mut self,
        ticket: Ticket,
        work: Work,
        ran: Ran,
        failures: u32,
        next: &mut Vec<(Ticket, Work)>,
    ) {
        match ran {
            Ran::Through(record) => self.processed_again(ticket, work, *record, failures, next),
            Ran::Waits { lookup, effects } => self.ask(ticket, work, lookup, effects, failures),
        }
    }
}

fn given_up(tries: u32, detail: &str) -> String {
    format!("given up after {tries} tries: {detail}")
}

async fn attempt(lookup: Option<Arc<dyn Lookup>>, asked: Asked) -> LookupAttempt {
    let failed = || LookupAttempt::Impossible {
        code: "program.failed",
        detail: "a defect of Pipehat: the connector ended in a panic".to_owned(),
    };
    let Some(lookup) = lookup else { return failed() };
    // What a panic says is not shown: it may hold values.
    let asked = AssertUnwindSafe(async move { lookup.ask(asked).await }).catch_unwind().await;
    asked.unwrap_or_else(|_| failed())
}

#[cfg(test)]
mod tests;
