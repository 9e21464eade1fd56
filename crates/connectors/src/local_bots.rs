//! The bots of this installation, as channels see them: a step runs one on its message, and waits as for any lookup.
//!
//! Who runs them a node knows only after the configuration was read: [`LocalBots`] stands for it until then.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::{oneshot, watch};

use crate::{Asked, Found, Lookup, LookupAttempt, ResourceChange, Told};

/// Runs bots in this process.
pub trait BotRunner: Send + Sync + 'static {
    /// Runs a bot on a message of a channel, and tells what came of it: on a thread of the bots, so that thousands of short
    /// runs wake nobody in between.
    fn run(&self, request: BotRequest, told: BotTold);
}

/// Whom the end of a run is told to.
pub struct BotTold {
    told: Told,
    tries_again: bool,
}

impl BotTold {
    /// Tells what came of the run.
    pub fn tell(self, ended: Result<BotOutcome, BotFailure>) {
        self.told.tell(match ended {
            Ok(outcome) => LookupAttempt::Found(Found::One(outcome.to_bytes())),
            Err(BotFailure { code, detail, prospect }) => match (prospect, self.tries_again) {
                (Prospect::NeverRan, _) | (Prospect::Open, true) => {
                    LookupAttempt::Failed { code, detail }
                }
                (Prospect::Poor, true) => LookupAttempt::FailedForGood { code, detail },
                (Prospect::Barred, _) | (Prospect::Open | Prospect::Poor, false) => {
                    LookupAttempt::Impossible { code, detail }
                }
            },
        });
    }
}

/// A run that a channel asks for. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct BotRequest {
    /// The bot's name.
    pub bot: Arc<str>,
    /// The channel's name.
    pub channel: Arc<str>,
    /// The message as it stands at the step.
    pub body: Bytes,
    /// Whether that is HL7 v2; else it is JSON.
    pub is_hl7: bool,
    /// The change of a resource that the message came as, where its channel follows a datastore.
    pub change: Option<Arc<ResourceChange>>,
}

/// What came of a run. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BotOutcome {
    /// What the handler returned.
    pub result: BotResult,
    /// What it sent to destinations of the channel, in order.
    pub sent: Vec<(Arc<str>, Bytes)>,
    /// Why the message is to be set aside, where it is.
    pub park: Option<String>,
    /// How long it ran, in microseconds.
    pub took: u64,
    /// Of each translation that it asked for, in order: where what was made came from, packed; none where that is more than is
    /// kept.
    pub lineage: Vec<Option<Bytes>>,
    /// What its translations could not say.
    pub findings: Vec<BotFinding>,
}

/// What translations of a run could not say, counted; it holds no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotFinding {
    /// The operator code: `translate.not-mapped`.
    pub code: String,
    /// Where; empty for several places.
    pub path: String,
    /// How often.
    pub count: u32,
}

/// What a handler returned.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum BotResult {
    /// Nothing.
    #[default]
    Nothing,
    /// A message, or any text.
    Text(Bytes),
    /// JSON.
    Json(Bytes),
}

/// Why a run gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotFailure {
    /// The operator code: `bot.failed`, `bot.busy`.
    pub code: &'static str,
    /// Where and why, without content.
    pub detail: String,
    /// What another try may come to.
    pub prospect: Prospect,
}

/// What another try of what failed may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// It never came to a run, so that another try harms nobody.
    NeverRan,
    /// It may go well.
    Open,
    /// It most likely fails again, for what it is made of stays the same.
    Poor,
    /// It fails again until somebody gives it what it lacks: no other try is worth that others wait.
    Barred,
}

impl BotFailure {
    /// Names the run at the end of the detail.
    #[must_use]
    pub fn of_run(mut self, run: u64) -> Self {
        self.detail.push_str(&format!("{RUN}{run})"));
        self
    }

    /// The run that a detail names: who was told the detail alone can look it up.
    pub fn run_in(detail: &str) -> Option<u64> {
        let (number, place) = detail.rsplit_once(RUN)?.1.split_once(')')?;
        // Behind it the place of the step may stand.
        let is_end = place.is_empty() || (place.starts_with(" (") && place.ends_with(')'));
        is_end.then(|| number.parse().ok()).flatten()
    }
}

/// What stands before the number of a run.
const RUN: &str = " (run ";

/// What the record of an outcome begins with: the version of its form.
const FORM: u8 = 1;

/// The same, with lineage at its end.
const FORM_WITH_LINEAGE: u8 = 2;

/// The same, with two lists at its end: lineage, and the findings.
const FORM_WITH_FINDINGS: u8 = 3;

impl BotOutcome {
    /// As it is recorded with the message: the form, how long it took, the result's kind and bytes, what was sent, why it is set
    /// aside. Numbers are little-endian; texts and bytes stand behind their length. They stand as they are, so that a record
    /// that holds the same message twice is compressed well.
    pub fn to_bytes(&self) -> Bytes {
        let (kind, result): (u8, &[u8]) = match &self.result {
            BotResult::Nothing => (0, &[]),
            BotResult::Text(bytes) => (1, bytes),
            BotResult::Json(bytes) => (2, bytes),
        };
        let mut out = BytesMut::with_capacity(result.len().saturating_add(64));
        out.put_u8(match (self.lineage.is_empty(), self.findings.is_empty()) {
            (true, true) => FORM,
            (false, true) => FORM_WITH_LINEAGE,
            (_, false) => FORM_WITH_FINDINGS,
        });
        out.put_u64_le(self.took);
        out.put_u8(kind);
        put(&mut out, result);
        out.put_u32_le(u32::try_from(self.sent.len()).unwrap_or(u32::MAX));
        for (destination, bytes) in &self.sent {
            put(&mut out, destination.as_bytes());
            put(&mut out, bytes);
        }
        out.put_u8(u8::from(self.park.is_some()));
        put(&mut out, self.park.as_deref().unwrap_or_default().as_bytes());
        if !self.lineage.is_empty() || !self.findings.is_empty() {
            out.put_u32_le(u32::try_from(self.lineage.len()).unwrap_or(u32::MAX));
            for lineage in &self.lineage {
                out.put_u8(u8::from(lineage.is_some()));
                put(&mut out, lineage.as_deref().unwrap_or_default());
            }
        }
        if !self.findings.is_empty() {
            out.put_u32_le(u32::try_from(self.findings.len()).unwrap_or(u32::MAX));
            for BotFinding { code, path, count } in &self.findings {
                put(&mut out, code.as_bytes());
                put(&mut out, path.as_bytes());
                out.put_u32_le(*count);
            }
        }
        out.freeze()
    }

    /// What was recorded; none where it is no such record.
    pub fn from_bytes(bytes: &Bytes) -> Option<Self> {
        let mut rest = bytes.clone();
        let form = rest.try_get_u8().ok()?;
        if !matches!(form, FORM | FORM_WITH_LINEAGE | FORM_WITH_FINDINGS) {
            return None;
        }
        let took = rest.try_get_u64_le().ok()?;
        let kind = rest.try_get_u8().ok()?;
        let bytes = take(&mut rest)?;
        let result = match kind {
            0 => BotResult::Nothing,
            1 => BotResult::Text(bytes),
            2 => BotResult::Json(bytes),
            _ => return None,
        };
        let mut sent = Vec::new();
        for _ in 0..rest.try_get_u32_le().ok()? {
            sent.push((Arc::from(text(&mut rest)?), take(&mut rest)?));
        }
        let parks = rest.try_get_u8().ok()? == 1;
        let reason = text(&mut rest)?;
        let mut lineage = Vec::new();
        if form != FORM {
            for _ in 0..rest.try_get_u32_le().ok()? {
                let is_kept = rest.try_get_u8().ok()? == 1;
                lineage.push(Some(take(&mut rest)?).filter(|_| is_kept));
            }
        }
        let mut findings = Vec::new();
        if form == FORM_WITH_FINDINGS {
            for _ in 0..rest.try_get_u32_le().ok()? {
                let (code, path) = (text(&mut rest)?, text(&mut rest)?);
                findings.push(BotFinding { code, path, count: rest.try_get_u32_le().ok()? });
            }
        }
        let park = parks.then_some(reason);
        let whole = rest.is_empty();
        whole.then_some(Self { result, sent, park, took, lineage, findings })
    }
}

fn put(out: &mut BytesMut, bytes: &[u8]) {
    // What a run gives is limited far below.
    out.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

fn take(rest: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
    (length <= rest.len()).then(|| rest.split_to(length))
}

fn text(rest: &mut Bytes) -> Option<String> {
    String::from_utf8(take(rest)?.to_vec()).ok()
}

/// The bots of this installation: they can be run once a node has opened them.
#[derive(Clone)]
pub struct LocalBots(Arc<watch::Sender<Option<Arc<dyn BotRunner>>>>);

impl Default for LocalBots {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl LocalBots {
    /// From now on this runs them.
    pub fn open(&self, runner: Arc<dyn BotRunner>) {
        self.0.send_replace(Some(runner));
    }

    async fn opened(&self) -> Arc<dyn BotRunner> {
        let mut receiver = self.0.subscribe();
        loop {
            if let Some(runner) = receiver.borrow_and_update().clone() {
                return runner;
            }
            // We hold the sender.
            let _ = receiver.changed().await;
        }
    }
}

impl fmt::Debug for LocalBots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.0.borrow().is_some();
        formatter.debug_struct("LocalBots").field("is_open", &is_open).finish()
    }
}

/// A bot as a step asks it.
#[derive(Debug, Clone)]
pub struct BotLookup {
    /// Who runs it.
    pub bots: LocalBots,
    /// Its name.
    pub bot: Arc<str>,
    /// Whether a run that failed is tried again; else the message is set aside at once, and its sender is told.
    pub tries_again: bool,
}

impl Lookup for BotLookup {
    fn ask(&self, asked: Asked) -> BoxFuture<'static, LookupAttempt> {
        let own = self.clone();
        async move {
            let runner = own.bots.opened().await;
            let (sender, answer) = oneshot::channel();
            let told = Told::new(move |attempt| {
                // Who asked may have gone.
                let _ = sender.send(attempt);
            });
            own.run(&runner, asked, told);
            answer.await.unwrap_or_else(|_| LookupAttempt::Failed {
                code: "program.stopped",
                detail: "the bots stop".to_owned(),
            })
        }
        .boxed()
    }

    fn ask_and_tell(&self, asked: Asked, told: Told) -> Option<(Asked, Told)> {
        let Some(runner) = self.bots.0.borrow().clone() else { return Some((asked, told)) };
        self.run(&runner, asked, told);
        None
    }

    fn bot(&self) -> Option<&Arc<str>> {
        Some(&self.bot)
    }
}

impl BotLookup {
    fn run(&self, runner: &Arc<dyn BotRunner>, asked: Asked, told: Told) {
        let request = BotRequest {
            bot: Arc::clone(&self.bot),
            channel: asked.channel,
            is_hl7: &*asked.query != JSON,
            body: asked.body,
            change: asked.change,
        };
        runner.run(request, BotTold { told, tries_again: self.tries_again });
    }
}

/// What a step says of a message that is JSON.
pub const JSON: &str = "json";

impl fmt::Debug for BotRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BotRequest")
            .field("bot", &self.bot)
            .field("channel", &self.channel)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BotOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BotOutcome")
            .field("result", &self.result)
            .field("sent", &self.sent.len())
            .field("parks", &self.park.is_some())
            .finish()
    }
}

impl fmt::Debug for BotResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("Nothing"),
            Self::Text(bytes) => formatter.debug_tuple("Text").field(&bytes.len()).finish(),
            Self::Json(bytes) => formatter.debug_tuple("Json").field(&bytes.len()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: &BotOutcome) {
        assert_eq!(BotOutcome::from_bytes(&outcome.to_bytes()).as_ref(), Some(outcome));
    }

    #[test]
    fn the_run_stands_in_the_detail() {
        let detail = "`a`: it threw an error at bots/a.ts:2:3".to_owned();
        let failure = BotFailure { code: "bot.threw", detail, prospect: Prospect::Open };
        assert_eq!(BotFailure::run_in(&failure.detail), None);
        let told = failure.of_run(4711).detail;
        assert_eq!(BotFailure::run_in(&told), Some(4711));
        let placed = format!("{told} (steps[1].bot, channels/adt.yaml:6:5)");
        assert_eq!(BotFailure::run_in(&placed), Some(4711));
        assert_eq!(BotFailure::run_in("it said (run 1) and went on"), None);
    }

    #[test]
    fn outcomes_are_read_as_they_were_written() {
        check(&BotOutcome::default());
        check(&BotOutcome {
            result: BotResult::Text(Bytes::from_static(b"MSH|^~\\&|\r\xff")),
            sent: vec![("lab".into(), Bytes::from_static(b"a")), ("x".into(), Bytes::new())],
            park: Some("ask \"them\"".to_owned()),
            took: 85,
            ..BotOutcome::default()
        });
        let finding = |path: &str| BotFinding {
            code: "translate.not-mapped".to_owned(),
            path: path.to_owned(),
            count: 2,
        };
        let findings = vec![finding("PID-9"), finding("")];
        let lineage = vec![Some(Bytes::from_static(b"\x01\x01\x01")), None];
        let followed = BotOutcome { lineage, ..BotOutcome::default() };
        let found = BotOutcome { findings, ..BotOutcome::default() };
        let both = BotOutcome { findings: found.findings.clone(), ..followed.clone() };
        [&followed, &found, &both].into_iter().for_each(check);
        let plain = BotOutcome { took: 7, ..BotOutcome::default() };
        assert_eq!(plain.to_bytes().first(), Some(&1), "as it was before there were either");
        for whole in [plain, followed, found, both].map(|outcome| outcome.to_bytes()) {
            for length in 0..whole.len() {
                assert_eq!(BotOutcome::from_bytes(&whole.slice(..length)), None, "{length}");
            }
        }
        assert_eq!(BotOutcome::from_bytes(&Bytes::from_static(b"MSH|")), None);
    }
}
