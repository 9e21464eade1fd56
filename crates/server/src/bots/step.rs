//! A bot as a step of a channel: run when the channel asks, told of on the thread that it ran on.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use pipehat_connectors::{
    BotFailure, BotFinding, BotOutcome, BotRequest, BotResult, BotRunner, BotTold, Prospect,
};
use pipehat_script::{Ask, Concealed, Event, Output, Recorded};
use pipehat_store::bots::RunState;

use super::deployed::{ChannelPart, Deployed};
use super::failure::{Failed, words};
use super::host::{Gathered, RunHost, Setting, bytes_of};
use super::input;
use super::pool::{Ended, Full, run_here};
use super::record;
use super::service::{Bots, Task, Waiting, event, micros};
use crate::fhir::now;

/// Runs the `bot` steps of channels.
pub(crate) struct ChannelBots(pub(crate) Arc<Bots>);

impl BotRunner for ChannelBots {
    fn run(&self, request: BotRequest, told: BotTold) {
        let set = self.0.set();
        let Some(bot) = set.bots.get(&*request.bot) else {
            let detail = format!("there is no bot `{}` any more", request.bot);
            let prospect = Prospect::NeverRan;
            return told.tell(Err(BotFailure { code: "bot.gone", detail, prospect }));
        };
        let part = set.channels.get(&*request.channel).cloned().unwrap_or_default();
        let step = Step { bot: Arc::clone(bot), part: Arc::clone(&part), request };
        let event = match step.event() {
            Ok(event) => event,
            Err(why) => {
                let failed = Failed::lasting("bot.input", why, None);
                return told.tell(Err(step.failure(&self.0, failed)));
            }
        };
        let bots = Arc::clone(&self.0);
        let setting = Setting {
            channel: Some((Arc::clone(&step.request.channel), part)),
            ..Setting::default()
        };
        // Kept aside for whom the pool refuses.
        let place = Arc::new(Mutex::new(Some(told)));
        let taken = Arc::clone(&place);
        let name = Arc::clone(&step.request.bot);
        let submitted = self.0.pool.submit(Box::new(move || {
            let told = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(told) = told else { return };
            let host = RunHost::new(Arc::clone(&bots), Arc::clone(&step.bot), setting);
            let ended = run_here(&step.bot, &event, host);
            step.end(&bots, ended, told);
        }));
        if submitted == Err(Full)
            && let Some(told) = place.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            let detail = format!("`{name}`: too many runs of bots wait already");
            let prospect = Prospect::NeverRan;
            told.tell(Err(BotFailure { code: "bot.busy", detail, prospect }));
        }
    }
}

/// A run as a step of a channel.
struct Step {
    bot: Arc<Deployed>,
    part: Arc<ChannelPart>,
    request: BotRequest,
}

impl Step {
    fn content_type(&self) -> &'static str {
        if self.request.is_hl7 { "x-application/hl7-v2+er7" } else { "application/fhir+json" }
    }

    fn headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![("channel".to_owned(), self.request.channel.to_string())];
        let (own, channel) = (&self.bot.translation.to_fhir, &self.part.translation.to_fhir);
        if let Some(zone) = own.zone.as_ref().or(channel.zone.as_ref())
            && let Some(name) = zone.iana_name()
        {
            headers.push(("time-zone".to_owned(), name.to_owned()));
        }
        let change = self.request.change.iter().flat_map(|change| change.named());
        headers.extend(change.map(|(name, value)| (name.to_owned(), value)));
        headers
    }

    fn event(&self) -> Result<Event, &'static str> {
        let (body, headers) = (self.request.body.to_vec(), self.headers());
        let event = event(&self.bot, self.content_type(), body, headers)?;
        Ok(Event { charset: self.part.translation.to_fhir.charset, ..event })
    }

    /// What becomes of a run, on the thread that it ran on.
    fn end(self, bots: &Arc<Bots>, ended: Ended, told: BotTold) {
        if ended.gathered.handed_over.is_empty() {
            return self.told(bots, ended, Ok(()), told);
        }
        let bots = Arc::clone(bots);
        let handle = bots.handle.clone();
        handle.spawn(async move {
            let mut ended = ended;
            let handed = match &ended.run.result {
                Ok(_) => bots.hand_over(&self.bot, &mut ended.gathered).await,
                Err(_) => Ok(()),
            };
            self.told(&bots, ended, handed, told);
        });
    }

    fn told(self, bots: &Bots, ended: Ended, handed: Result<(), String>, told: BotTold) {
        let took = micros(ended.run.took);
        let is_silent = ended.log.is_empty() && ended.run.recorded.iter().all(of_the_project);
        if let (Ok(_), Ok(()), true) = (&ended.run.result, &handed, is_silent) {
            // All of such a run stands in the journal, with its message.
            bots.failing_steps.succeeded(&self.request.bot, &self.request.channel);
            if let Ok(output) = ended.run.result {
                let findings = record::findings(&ended.run.recorded);
                told.tell(Ok(outcome(output, ended.gathered, findings, took)));
            }
            return;
        }
        let task = Task {
            bot: Arc::clone(&self.bot),
            trigger: "channel",
            source: format!("channel {}", self.request.channel),
            content_type: self.content_type().to_owned(),
            body: self.request.body.to_vec(),
            headers: self.headers(),
        };
        let mut run = bots.begun(&task);
        let id = run.id;
        let Ended { run: ran, log, gathered } = ended;
        let findings = record::findings(&ran.recorded);
        run.input = task.body;
        let concealed = Concealed::of(&self.bot.secrets);
        run.effects = record::effects(&ran.recorded, &concealed);
        run.log = record::log(&log, &concealed);
        (run.took, run.cpu, run.attempts) = (took, micros(ran.cpu), 1);
        run.started = Some(run.queued.saturating_sub(i64::try_from(took).unwrap_or(0)));
        let output = match (ran.result, handed) {
            (Ok(output), Ok(())) => output,
            (Ok(_), Err(why)) => {
                let failed = Failed::new("bot.send-failed", why, Some(id));
                bots.keep_failed(run, &self.bot, &failed, Waiting::Somebody);
                return told.tell(Err(self.failure(bots, failed)));
            }
            (Err(error), _) => {
                let failed = Failed::of_run(&error, &gathered.refused, id);
                run.error = Some(concealed.text(&words(error)).into_owned());
                bots.keep_failed(run, &self.bot, &failed, Waiting::Somebody);
                return told.tell(Err(self.failure(bots, failed)));
            }
        };
        if !matches!(output, Output::Nothing) {
            let (result_type, result) =
                input::output(output.clone(), &run.content_type, &run.input, Timestamp::now());
            run.result_type = Some(result_type).filter(|name| !name.is_empty());
            run.result = result;
        }
        run.state = RunState::Done;
        run.ended = Some(now());
        bots.keep(run, Waiting::Somebody);
        bots.failing_steps.succeeded(&self.request.bot, &self.request.channel);
        told.tell(Ok(outcome(output, gathered, findings, took)));
    }

    fn failure(&self, bots: &Bots, failed: Failed) -> BotFailure {
        let Failed { code, why, run, prospect } = failed;
        let (bot, channel) = (&*self.request.bot, &*self.request.channel);
        let first = bots.failing_steps.failed(bot, channel, code, now());
        // Each message is parked with its reason; the log is told once.
        if first && code == "bot.not-granted" {
            tracing::warn!(
                bot,
                channel,
                run,
                code,
                why,
                "a step of a channel asked for what its bot is not granted; its messages are parked"
            );
        }
        let detail = format!("`{}`: {why}", self.request.bot);
        let failure = BotFailure { code, detail, prospect };
        match run {
            Some(run) => failure.of_run(run),
            None => failure,
        }
    }
}

/// Whether what came from the host was no more than the project itself says, the time, or a random number.
fn of_the_project(recorded: &Recorded) -> bool {
    match recorded {
        Recorded::Asked { ask, answer } => {
            answer.is_ok()
                && matches!(
                    ask,
                    Ask::Table { .. } | Ask::ToFhir { .. } | Ask::ToV2 { .. } | Ask::Park { .. }
                )
        }
        Recorded::Time(_) | Recorded::Random(_) | Recorded::Came(_) => true,
    }
}

fn outcome(output: Output, gathered: Gathered, findings: Vec<BotFinding>, took: u64) -> BotOutcome {
    let result = match bytes_of(output) {
        (_, None) => BotResult::Nothing,
        (true, Some(bytes)) => BotResult::Json(bytes),
        (false, Some(bytes)) => BotResult::Text(bytes),
    };
    let Gathered { outputs: sent, park, lineage, .. } = gathered;
    BotOutcome { result, sent, park, took, lineage, findings }
}
