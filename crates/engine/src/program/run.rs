//! Running a program on one message.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use pipehat_connectors::PayloadFormat;
use pipehat_dictionary::STANDARD_GROUPS;
use pipehat_message::{
    AcknowledgmentCode, Charset, CharsetRule, Limits, Message, ParseError, SegmentName,
};

use super::bot::BotStep;
use super::coding::{Coding, Readable, Unencodable, readable};
use super::facts::ProgramInput;
use super::lineage::Translations;
use super::reference::Current;
use super::split;
use super::step::{Action, Split, Step};
use super::verdict::{Finding, Output, Refused, StepPlace, Verdict};
use super::view::View;
use super::{Program, Tracer};
use crate::effects::{Effects, LookupRequest};

/// What one message may become, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunLimits {
    /// The most outputs: their numbers have 16 bits.
    pub(super) outputs_max: usize,
    /// The most bytes that the outputs may hold of their own. Above it a split or a fan-out of
    /// large documents would take more memory than a message is worth.
    pub(super) output_bytes_max: usize,
    /// The most that (turns of an `each`) × (bytes of the message) may come to. An edit may have
    /// to move the bytes behind it, so that this bounds the time one message takes to about a
    /// second a step. 50 MB documents with 400 OBX and results of 2 MB with 10,000 stay below it.
    pub(super) each_work_max: u64,
}

impl RunLimits {
    pub(super) const DEFAULT: Self = Self {
        outputs_max: u16::MAX as usize,
        output_bytes_max: 256 * 1024 * 1024,
        each_work_max: 20_000_000_000,
    };
}

/// From this size on a message that no step looks into is not indexed.
const PASSED_BYTES_MIN: usize = 256 * 1024;

/// A message may grow to twice of what was received: steps write texts, not documents.
fn limits(received: &[u8]) -> Limits {
    let message_bytes_max = Limits::MESSAGE_BYTES_MAX.max(received.len().saturating_mul(2));
    Limits { message_bytes_max, ..Limits::DEFAULT }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Message<'_>, ParseError> {
    let message = Message::parse_with(bytes, &limits(bytes))?;
    Ok(message.read_groups_with(STANDARD_GROUPS))
}

/// How a message ended before its outputs were made.
#[derive(Debug)]
pub(super) enum End {
    /// A step didn't want it, and why, where its condition doesn't say.
    Filtered(StepPlace, Option<&'static str>),
    Rejected {
        code: AcknowledgmentCode,
        text: Arc<str>,
        at: StepPlace,
        errors: Box<[Refused]>,
    },
    Parked {
        code: &'static str,
        reason: String,
        at: StepPlace,
    },
    /// It goes on when the answer to this is there.
    Waits(LookupRequest),
}

/// What follows a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow<'p> {
    /// The next step.
    Next,
    /// The next turn of the `each` at this depth: what it stood at is gone.
    Gone(u8),
    /// No further step: to these destinations.
    Routed(&'p [u16]),
}

/// The steps that follow when the inner ones are through.
pub(super) struct Rest<'s, 'p> {
    pub(super) steps: &'p [Step],
    pub(super) then: Option<&'s Rest<'s, 'p>>,
}

/// Whose steps are running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Channel,
    Destination(u16),
}

/// What is known of the message at hand as a whole.
pub(super) struct Work {
    pub(super) coding: Coding,
    /// It as it was made readable.
    pub(super) base: Bytes,
    /// It as it was received.
    pub(super) received: Bytes,
    /// The set its outputs are turned back into.
    pub(super) whole: Option<Charset>,
    /// A step wrote MSH-18: it goes out in that set, also where it named the same before.
    pub(super) declared: bool,
}

impl Work {
    /// On a message that was made readable.
    pub(super) fn of(readable: &Readable, received: &Bytes) -> Self {
        Self {
            coding: readable.coding.clone(),
            base: readable.bytes.clone(),
            received: received.clone(),
            whole: readable.whole,
            declared: false,
        }
    }

    /// The bytes of a text that is written into the message; none when its set lacks a character of it.
    pub(super) fn encode<'t>(&mut self, text: &'t str) -> Option<Cow<'t, [u8]>> {
        if text.is_ascii() {
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        let hiding = self.coding.settle(&self.base)?;
        self.whole = self.whole.or(hiding);
        self.coding.encode(text)
    }
}

/// One run.
pub(super) struct Run<'r> {
    pub(super) program: &'r Program,
    pub(super) input: &'r ProgramInput<'r>,
    pub(super) work: Work,
    pub(super) effects: &'r mut dyn Effects,
    pub(super) tracer: Option<&'r mut dyn Tracer>,
    outputs: Vec<Output>,
    output_bytes: usize,
    pub(super) findings: Vec<Finding>,
    pub(super) translations: Translations,
    /// How many searches it took.
    pub(super) lookups: u32,
    filtered: Option<(StepPlace, Option<&'static str>)>,
    /// What a bot wants the sender to be told.
    pub(super) reply: Option<Bytes>,
    /// The bot that made JSON of HL7 v2, where the message is that now.
    pub(super) json_of: Option<(&'r BotStep, StepPlace)>,
}

impl<'r> Run<'r> {
    pub(super) fn new(
        program: &'r Program,
        input: &'r ProgramInput<'r>,
        effects: &'r mut dyn Effects,
        tracer: Option<&'r mut dyn Tracer>,
    ) -> Self {
        Self {
            program,
            input,
            work: Work {
                coding: Coding::ASCII,
                base: Bytes::new(),
                received: Bytes::new(),
                whole: None,
                declared: false,
            },
            effects,
            tracer,
            outputs: Vec::new(),
            output_bytes: 0,
            findings: Vec::new(),
            translations: Translations::default(),
            lookups: 0,
            filtered: None,
            reply: None,
            json_of: None,
        }
    }

    /// The whole program on the whole input.
    pub(super) fn verdict(mut self) -> Verdict {
        match self.received() {
            Err(End::Filtered(by, why)) => Verdict::Filtered { by, why },
            Err(End::Rejected { code, text, at, errors }) => {
                Verdict::Rejected { code, text, at, errors, findings: self.findings }
            }
            Err(End::Parked { code, reason, at }) => {
                Verdict::Parked { code, reason, at, findings: self.findings }
            }
            Err(End::Waits(lookup)) => Verdict::Waits { lookup },
            Ok(()) => match self.filtered.take() {
                Some((by, why)) if self.outputs.is_empty() => Verdict::Filtered { by, why },
                _ => Verdict::Routed {
                    translations: self.translations_of_outputs(),
                    outputs: self.outputs,
                    findings: self.findings,
                    reply: self.reply,
                },
            },
        }
    }

    fn received(&mut self) -> Result<(), End> {
        let bytes = self.input.bytes;
        if self.program.format == PayloadFormat::Json {
            return self.json(bytes);
        }
        let Some(at) = &self.program.batches else { return self.message(bytes) };
        let Some(parts) = split::batch(bytes, self.program.limits.outputs_max) else {
            return self.message(bytes);
        };
        let parts = parts.map_err(|reason| park("program.batch", reason, at))?;
        for part in parts {
            self.part(|run| run.message(&part))?;
        }
        Ok(())
    }

    /// One of the messages that a message was split into: filtered, it leaves the others alone.
    pub(super) fn part(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<(), End>,
    ) -> Result<(), End> {
        let declared = self.work.declared;
        let ended = run(self);
        self.work.declared = declared;
        match ended {
            Err(End::Filtered(by, why)) => {
                self.filtered.get_or_insert((by, why));
                Ok(())
            }
            ended => ended,
        }
    }

    fn message(&mut self, received: &Bytes) -> Result<(), End> {
        let program = self.program;
        let readable = readable(received, program.charset);
        if readable.unknown {
            self.find("program.character-set-unknown", None, &program.place);
        }
        let bytes = &readable.bytes;
        self.work = Work::of(&readable, received);
        let unreadable =
            |error: ParseError| park("program.unreadable", error.to_string(), &program.place);
        if bytes.len() >= PASSED_BYTES_MIN && program.passes() {
            let headers = Message::count_segments(bytes, SegmentName::MSH, &limits(bytes));
            self.refuse_several(headers.map_err(unreadable)?)?;
            return self.pass(bytes);
        }
        let mut message = parse(bytes).map_err(unreadable)?;
        self.refuse_several(1 + usize::from(message.segment("MSH", 2).is_some()))?;
        if let Some(accept) = &program.accept {
            self.step(&mut message, accept, &Current::default())?;
        }
        self.through(message, bytes, &program.steps, None, Owner::Channel)
    }

    fn refuse_several(&self, headers: usize) -> Result<(), End> {
        if headers < 2 {
            return Ok(());
        }
        // Steps would read one patient and send two.
        let reason = "it holds several messages; `split: batch` as the first step takes them apart";
        Err(park("program.unreadable", reason.to_owned(), &self.program.place))
    }

    /// To every destination as it is: of a message with a great many segments that nobody looks
    /// into no index is made.
    pub(super) fn pass(&mut self, bytes: &Bytes) -> Result<(), End> {
        let program = self.program;
        for (index, destination) in (0_u16..).zip(program.destinations.iter()) {
            self.output(index, bytes.clone(), &destination.place)?;
        }
        Ok(())
    }

    /// Steps, and what follows them. Recursion is as deep as `when` steps with a split in them
    /// nest.
    pub(super) fn through(
        &mut self,
        mut message: Message<'_>,
        base: &Bytes,
        steps: &'r [Step],
        then: Option<&Rest<'_, 'r>>,
        owner: Owner,
    ) -> Result<(), End> {
        let current = Current::default();
        let mut left = steps;
        while let Some((step, after)) = left.split_first() {
            left = after;
            if step.splits() {
                return self.divide(message, base, step, &Rest { steps: after, then }, owner);
            }
            match self.step(&mut message, step, &current)? {
                Flow::Next | Flow::Gone(_) => {}
                Flow::Routed(targets) => return self.deliver(message, base, Some(targets)),
            }
        }
        match (then, owner) {
            (Some(rest), owner) => self.through(message, base, rest.steps, rest.then, owner),
            (None, Owner::Channel) => self.deliver(message, base, None),
            (None, Owner::Destination(destination)) => {
                let shared = shared(message, base);
                self.output(destination, shared, &self.program.place)
            }
        }
    }

    /// A step in which a message may become several, or another.
    fn divide(
        &mut self,
        message: Message<'_>,
        base: &Bytes,
        step: &'r Step,
        rest: &Rest<'_, 'r>,
        owner: Owner,
    ) -> Result<(), End> {
        match &step.action {
            Action::When { condition, then, otherwise } => {
                let holds = condition.holds(&self.view(&message, &Current::default()));
                let branch = if holds { then } else { otherwise };
                self.through(message, base, branch, Some(rest), owner)
            }
            Action::Split(how) => self.split(message, base, how, &step.place, rest, owner),
            Action::Bot(bot) => self.bot_on_hl7(message, base, bot, &step.place, (rest, owner)),
            Action::Translate(how) => self.translate_hl7(&message, how, &step.place, (rest, owner)),
            // Only these split.
            _ => self.through(message, base, rest.steps, rest.then, owner),
        }
    }

    fn split(
        &mut self,
        message: Message<'_>,
        base: &Bytes,
        how: &Split,
        at: &StepPlace,
        rest: &Rest<'_, 'r>,
        owner: Owner,
    ) -> Result<(), End> {
        let groups = split::groups(&message, &how.each);
        if groups.len() < 2 {
            return self.through(message, base, rest.steps, rest.then, owner);
        }
        if groups.len() > self.program.limits.outputs_max {
            return Err(park("program.too-many-outputs", self.too_many_outputs(), at));
        }
        for (index, group) in groups.iter().enumerate() {
            let bytes = Bytes::from(group.bytes(&message));
            let mut part =
                parse(&bytes).map_err(|error| park("program.split", error.to_string(), at))?;
            let id = split::control_id(&message, how.control_ids, index, self.effects);
            self.edited(part.set_text(&self.program.control_id_path, &id), None, at)?;
            self.trace(at, &part);
            let base = bytes.clone();
            self.part(|run| run.through(part, &base, rest.steps, rest.then, owner))?;
        }
        Ok(())
    }

    /// The destinations that want the message as it now is: all, or those a `route` names.
    fn deliver(
        &mut self,
        message: Message<'_>,
        base: &Bytes,
        targets: Option<&[u16]>,
    ) -> Result<(), End> {
        let program = self.program;
        let mut wanted = Vec::with_capacity(program.destinations.len());
        for (index, destination) in (0_u16..).zip(program.destinations.iter()) {
            if targets.is_some_and(|targets| !targets.contains(&index)) {
                continue;
            }
            let holds = destination
                .when
                .as_ref()
                .is_none_or(|condition| condition.holds(&self.view(&message, &Current::default())));
            if holds {
                wanted.push((index, destination));
            }
        }
        let shared = shared(message, base);
        for (index, destination) in wanted {
            if destination.steps.is_empty() {
                self.output(index, shared.clone(), &destination.place)?;
                continue;
            }
            let message = parse(&shared).map_err(|error| {
                park("program.unreadable", error.to_string(), &destination.place)
            })?;
            let declared = self.work.declared;
            let owner = Owner::Destination(index);
            let ended = self.through(message, &shared, &destination.steps, None, owner);
            self.work.declared = declared;
            match ended {
                // What one destination does not want the others may.
                Err(End::Filtered(..)) => {}
                ended => ended?,
            }
        }
        Ok(())
    }

    pub(super) fn output(
        &mut self,
        destination: u16,
        bytes: Bytes,
        at: &StepPlace,
    ) -> Result<(), End> {
        let bytes = self.as_sent(bytes, at)?;
        self.emit(destination, bytes, at)
    }

    /// An output that is in the form in which it is sent.
    pub(super) fn emit(
        &mut self,
        destination: u16,
        bytes: Bytes,
        at: &StepPlace,
    ) -> Result<(), End> {
        if self.outputs.len() >= self.program.limits.outputs_max {
            return Err(park("program.too-many-outputs", self.too_many_outputs(), at));
        }
        let shares = |other: &Output| other.bytes.as_ptr() == bytes.as_ptr();
        if !self.outputs.last().is_some_and(shares) {
            self.output_bytes = self.output_bytes.saturating_add(bytes.len());
        }
        let most = self.program.limits.output_bytes_max.max(self.input.bytes.len());
        if self.output_bytes > most {
            let reason = format!("its outputs have more than {most} bytes together");
            return Err(park("program.outputs-too-large", reason, at));
        }
        let translation = self.translations.last;
        self.outputs.push(Output { destination, bytes, translation });
        Ok(())
    }

    pub(super) fn outputs_mut(&mut self) -> &mut [Output] {
        &mut self.outputs
    }

    /// In the character set the message came in, or the one that a step wrote into MSH-18.
    pub(super) fn as_sent(&self, bytes: Bytes, at: &StepPlace) -> Result<Bytes, End> {
        let work = &self.work;
        let is_base = bytes.as_ptr() == work.base.as_ptr() && bytes.len() == work.base.len();
        if is_base && !work.declared {
            return Ok(work.received.clone());
        }
        let anew = work.coding.declared_anew(&work.base, &bytes, work.declared);
        match anew.map_err(|why| unencodable(why, at))? {
            Some(encoded) => Ok(encoded),
            None => self.as_received(bytes, at),
        }
    }

    /// For a bot, which reads it by its MSH-18, or by the channel's `charset`, whatever MSH-18 says.
    pub(super) fn as_given(&self, bytes: Bytes, at: &StepPlace) -> Result<Bytes, End> {
        match self.program.charset {
            CharsetRule::Declared => self.as_sent(bytes, at),
            CharsetRule::Override(_) => self.as_received(bytes, at),
        }
    }

    /// In the character set the message came in.
    fn as_received(&self, bytes: Bytes, at: &StepPlace) -> Result<Bytes, End> {
        let work = &self.work;
        if bytes.as_ptr() == work.base.as_ptr() && bytes.len() == work.base.len() {
            return Ok(work.received.clone());
        }
        let Some(charset) = work.whole else { return Ok(bytes) };
        let encoded = std::str::from_utf8(&bytes).ok().and_then(|text| charset.encode(text).ok());
        encoded
            .map(|encoded| Bytes::from(encoded.into_owned()))
            .ok_or_else(|| unencodable(Unencodable::Lacks, at))
    }

    fn too_many_outputs(&self) -> String {
        format!("it would become more than {} messages", self.program.limits.outputs_max)
    }

    pub(super) fn view<'v>(&'v self, message: &'v Message<'_>, current: &'v Current) -> View<'v> {
        View { message, current, input: self.input, coding: &self.work.coding }
    }

    pub(super) fn trace(&mut self, at: &StepPlace, message: &Message<'_>) {
        if let Some(tracer) = &mut self.tracer {
            let bytes = message.as_bytes();
            // Whoever looks at it reads it by its MSH-18.
            let sent = self.work.whole.and_then(|charset| {
                let text = std::str::from_utf8(bytes).ok()?;
                charset.encode(text).ok()
            });
            tracer.step(at, sent.as_deref().unwrap_or(bytes));
        }
    }
}

pub(super) fn park(code: &'static str, reason: String, at: &StepPlace) -> End {
    End::Parked { code, reason, at: at.clone() }
}

fn unencodable(why: Unencodable, at: &StepPlace) -> End {
    park("program.not-in-character-set", why.reason().to_owned(), at)
}

/// The message's bytes: the ones it was read from where nothing was edited.
pub(super) fn shared(message: Message<'_>, base: &Bytes) -> Bytes {
    if !message.is_edited() {
        return base.clone();
    }
    match message.into_bytes() {
        Cow::Owned(bytes) => Bytes::from(bytes),
        Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
    }
}
