//! Running a program on one message.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use pipehat_message::{
    AcknowledgmentCode, Charset, Delimiters, EditError, InsertAt, Message, Occurrence, Path,
};

use super::coding::{Coding, readable};
use super::facts::ProgramInput;
use super::reference::{Current, Reference};
use super::split;
use super::step::{Action, Anchor, Assignment, Otherwise, Over, Source, Split, Step, Written};
use super::verdict::{Finding, Output, StepPlace, Verdict};
use super::view::View;
use super::{Program, Tracer};
use crate::effects::Effects;

/// The most outputs of one message: their numbers have 16 bits.
pub(super) const OUTPUTS_MAX: usize = u16::MAX as usize;

/// The most bytes that the outputs of one message may hold of their own. Above it a split or a
/// fan-out of large documents would take more memory than a message is worth.
pub(super) const OUTPUT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The most that (turns of an `each`) × (bytes of the message) may come to: an edit may have to
/// move the bytes behind it, so that this bounds the time one message takes to about a second a
/// step. 50 MB documents with 400 OBX and results of 2 MB with 10,000 stay below it.
pub(super) const EACH_WORK_MAX: u64 = 20_000_000_000;

/// How a message ended before its outputs were made.
#[derive(Debug)]
pub(super) enum End {
    Filtered(StepPlace),
    Rejected { code: AcknowledgmentCode, text: Arc<str>, at: StepPlace },
    Parked { code: &'static str, reason: String, at: StepPlace },
}

/// What follows a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow<'p> {
    /// The next step.
    Next,
    /// The next turn of the `each` at this depth: what it stood at is gone.
    Gone(u8),
    /// No further step: to these destinations.
    Routed(&'p [u16]),
}

/// The steps that follow when the inner ones are through.
struct Rest<'s, 'p> {
    steps: &'p [Step],
    then: Option<&'s Rest<'s, 'p>>,
}

/// Whose steps are running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Channel,
    Destination(u16),
}

/// What is known of the message at hand as a whole.
struct Work {
    coding: Coding,
    /// It as it was made readable.
    base: Bytes,
    /// It as it was received.
    received: Bytes,
    /// The set its outputs are turned back into.
    whole: Option<Charset>,
}

/// One run.
pub(super) struct Run<'r> {
    program: &'r Program,
    input: &'r ProgramInput<'r>,
    work: Work,
    effects: &'r mut dyn Effects,
    tracer: Option<&'r mut dyn Tracer>,
    outputs: Vec<Output>,
    output_bytes: usize,
    findings: Vec<Finding>,
    filtered: Option<StepPlace>,
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
            },
            effects,
            tracer,
            outputs: Vec::new(),
            output_bytes: 0,
            findings: Vec::new(),
            filtered: None,
        }
    }

    /// The whole program on the whole input.
    pub(super) fn verdict(mut self) -> Verdict {
        match self.received() {
            Err(End::Filtered(by)) => Verdict::Filtered { by },
            Err(End::Rejected { code, text, at }) => Verdict::Rejected { code, text, at },
            Err(End::Parked { code, reason, at }) => Verdict::Parked { code, reason, at },
            Ok(()) => match self.filtered.take() {
                Some(by) if self.outputs.is_empty() => Verdict::Filtered { by },
                _ => Verdict::Routed { outputs: self.outputs, findings: self.findings },
            },
        }
    }

    fn received(&mut self) -> Result<(), End> {
        let bytes = self.input.bytes;
        let Some(at) = &self.program.batches else { return self.message(bytes) };
        let Some(parts) = split::batch(bytes) else { return self.message(bytes) };
        let parts = parts.map_err(|reason| park("program.batch", reason, at))?;
        for part in parts {
            self.part(|run| run.message(&part))?;
        }
        Ok(())
    }

    /// One of the messages that a message was split into: filtered, it leaves the others alone.
    fn part(&mut self, run: impl FnOnce(&mut Self) -> Result<(), End>) -> Result<(), End> {
        match run(self) {
            Err(End::Filtered(by)) => {
                self.filtered.get_or_insert(by);
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
        self.work = Work {
            coding: readable.coding,
            base: bytes.clone(),
            received: received.clone(),
            whole: readable.whole,
        };
        let message = Message::parse(bytes)
            .map_err(|error| park("program.unreadable", error.to_string(), &program.place))?;
        if let Some(accept) = &program.accept {
            self.step(&mut message.clone(), accept, &Current::default())?;
        }
        self.through(message, bytes, &program.steps, None, Owner::Channel)
    }

    /// Steps, and what follows them. Recursion is as deep as `when` steps with a split in them
    /// nest.
    fn through(
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

    /// A step in which a message may become several.
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
            // Only these two split.
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
        let groups = split::groups(&message, how.each);
        if groups.len() < 2 {
            return self.through(message, base, rest.steps, rest.then, owner);
        }
        if groups.len() > OUTPUTS_MAX {
            return Err(park("program.too-many-outputs", too_many_outputs(), at));
        }
        for (index, group) in groups.iter().enumerate() {
            let bytes = Bytes::from(group.bytes(&message));
            let mut part = Message::parse(&bytes)
                .map_err(|error| park("program.split", error.to_string(), at))?;
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
            let message = Message::parse(&shared).map_err(|error| {
                park("program.unreadable", error.to_string(), &destination.place)
            })?;
            match self.through(
                message,
                &shared,
                &destination.steps,
                None,
                Owner::Destination(index),
            ) {
                // What one destination does not want the others may.
                Err(End::Filtered(_)) => {}
                ended => ended?,
            }
        }
        Ok(())
    }

    fn output(&mut self, destination: u16, bytes: Bytes, at: &StepPlace) -> Result<(), End> {
        let bytes = self.as_sent(bytes, at)?;
        if self.outputs.len() >= OUTPUTS_MAX {
            return Err(park("program.too-many-outputs", too_many_outputs(), at));
        }
        let shares = |other: &Output| other.bytes.as_ptr() == bytes.as_ptr();
        if !self.outputs.last().is_some_and(shares) {
            self.output_bytes = self.output_bytes.saturating_add(bytes.len());
        }
        if self.output_bytes > OUTPUT_BYTES_MAX.max(self.input.bytes.len()) {
            let reason = format!("its outputs have more than {OUTPUT_BYTES_MAX} bytes together");
            return Err(park("program.outputs-too-large", reason, at));
        }
        self.outputs.push(Output { destination, bytes });
        Ok(())
    }

    /// In the character set the message came in.
    fn as_sent(&self, bytes: Bytes, at: &StepPlace) -> Result<Bytes, End> {
        let Some(charset) = self.work.whole else { return Ok(bytes) };
        if bytes.as_ptr() == self.work.base.as_ptr() && bytes.len() == self.work.base.len() {
            return Ok(self.work.received.clone());
        }
        let encoded = std::str::from_utf8(&bytes).ok().and_then(|text| charset.encode(text).ok());
        match encoded {
            Some(encoded) => Ok(Bytes::from(encoded.into_owned())),
            None => Err(park(
                "program.not-in-character-set",
                "the message's character set lacks a character that a step wrote".to_owned(),
                at,
            )),
        }
    }

    /// One step that leaves one message.
    fn step(
        &mut self,
        message: &mut Message<'_>,
        step: &'r Step,
        current: &Current,
    ) -> Result<Flow<'r>, End> {
        let at = &step.place;
        let flow = match &step.action {
            Action::Accept(condition) if condition.holds(&self.view(message, current)) => {
                Flow::Next
            }
            Action::Accept(_) => return Err(End::Filtered(at.clone())),
            Action::Filter(condition) if condition.holds(&self.view(message, current)) => {
                return Err(End::Filtered(at.clone()));
            }
            Action::Filter(_) => Flow::Next,
            Action::Set(assignments) => {
                for assignment in assignments {
                    let path = assignment.to.at(current);
                    self.assign(message, assignment, &path, at, current)?;
                }
                Flow::Next
            }
            Action::Copy { from, to, source } => {
                self.copy(message, from, to, *source, at, current)?;
                Flow::Next
            }
            Action::Clear(places) => {
                for place in places {
                    let cleared = message.clear(&place.at(current));
                    self.edited(cleared, Some(place), at)?;
                }
                Flow::Next
            }
            Action::Remove(places) => self.remove(message, places, at, current)?,
            Action::AddSegment { name, at: anchor, fields } => {
                let place = self.anchor(message, anchor, at, current);
                let added = message.insert_segment(place, name.as_bytes());
                if let Some(path) = self.edited(added, None, at)? {
                    for field in fields {
                        let own = field.to.at(current).into_owned();
                        let own = own.with_occurrence(path.occurrence());
                        self.assign(message, field, &own, at, current)?;
                    }
                }
                Flow::Next
            }
            Action::RemoveSegment(place) => {
                let removed = message.remove(&place.at(current));
                self.edited(removed, Some(place), at)?;
                place.occurrence_of().map_or(Flow::Next, Flow::Gone)
            }
            Action::Each { over, steps } => self.each(message, over, steps, at, current)?,
            Action::Map { field, to, table, column, otherwise } => {
                let view = self.view(message, current);
                let path = field.at(current);
                if let Some(value) = message.get(&path).and_then(|value| view.value_text(value)) {
                    let answer = table.look_up(&value, *column);
                    let answer = answer.map(Cow::Borrowed);
                    let miss = Miss { code: "program.map-no-match", field, to, otherwise };
                    self.answer(message, answer, &miss, at, current)?;
                }
                Flow::Next
            }
            Action::Date { field, to, form, otherwise } => {
                let view = self.view(message, current);
                let path = field.at(current);
                if let Some(value) = message.get(&path).and_then(|value| view.value_text(value)) {
                    let answer = form.change(&value).map(Cow::Owned);
                    let miss = Miss { code: "program.date-unreadable", field, to, otherwise };
                    self.answer(message, answer, &miss, at, current)?;
                }
                Flow::Next
            }
            Action::Join { from, with, to } => {
                let joined = self.join(message, from, with, current);
                if !joined.is_empty() {
                    self.write(message, to, &to.at(current), &joined, at)?;
                }
                Flow::Next
            }
            Action::Park { reason } => {
                return Err(park("program.park", reason.to_string(), at));
            }
            Action::Reject { code, text } => {
                return Err(End::Rejected { code: *code, text: Arc::clone(text), at: at.clone() });
            }
            Action::Route(targets) => Flow::Routed(targets),
            Action::When { condition, then, otherwise } => {
                let holds = condition.holds(&self.view(message, current));
                self.steps(message, if holds { then } else { otherwise }, current)?
            }
            // Splitting steps are taken by `divide`, which the steps' reader makes sure of.
            Action::Split(_) => Flow::Next,
        };
        if !matches!(step.action, Action::When { .. } | Action::Each { .. }) {
            self.trace(at, message);
        }
        Ok(flow)
    }

    fn steps(
        &mut self,
        message: &mut Message<'_>,
        steps: &'r [Step],
        current: &Current,
    ) -> Result<Flow<'r>, End> {
        for step in steps {
            match self.step(message, step, current)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn each(
        &mut self,
        message: &mut Message<'_>,
        over: &'r Over,
        steps: &'r [Step],
        at: &StepPlace,
        current: &Current,
    ) -> Result<Flow<'r>, End> {
        let turns = count(message, over, current);
        let work = u64::from(turns).saturating_mul(message.as_bytes().len() as u64);
        if turns > 1 && work > EACH_WORK_MAX {
            let reason = format!("`each` would go over {turns} places of a message this large");
            return Err(park("program.each-too-large", reason, at));
        }
        let mut index = 1;
        for _ in 0..turns {
            match self.steps(message, steps, &current.within(index))? {
                Flow::Next => index += 1,
                Flow::Gone(depth) if depth == current.depth() => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn copy(
        &mut self,
        message: &mut Message<'_>,
        from: &Reference,
        to: &Reference,
        source: Source,
        at: &StepPlace,
        current: &Current,
    ) -> Result<(), End> {
        let source_path = from.at(current);
        let Some(value) = message.get(&source_path).filter(|value| !value.is_empty()) else {
            return Ok(());
        };
        let raw = value.raw().to_vec();
        if source == Source::IsCleared {
            let cleared = message.clear(&source_path);
            self.edited(cleared, Some(from), at)?;
        }
        let copied = message.set_raw(&to.at(current), &raw);
        self.edited(copied, Some(to), at)?;
        Ok(())
    }

    fn remove(
        &mut self,
        message: &mut Message<'_>,
        places: &[Reference],
        at: &StepPlace,
        current: &Current,
    ) -> Result<Flow<'r>, End> {
        let mut gone = Flow::Next;
        for place in places {
            let removed = message.remove(&place.at(current));
            self.edited(removed, Some(place), at)?;
            if let (Some(depth), true) = (place.repetition_of(), place.depth() == 1) {
                gone = Flow::Gone(depth);
            }
        }
        Ok(gone)
    }

    fn anchor(
        &mut self,
        message: &Message<'_>,
        anchor: &Anchor,
        at: &StepPlace,
        current: &Current,
    ) -> InsertAt {
        let (places, after) = match anchor {
            Anchor::End => return InsertAt::End,
            Anchor::After(places) => (places, true),
            Anchor::Before(places) => (places, false),
        };
        for place in places {
            let path = place.at(current);
            let mut found =
                message.segments().filter(|segment| segment.segment_name() == Some(path.segment()));
            let segment = match path.occurrence() {
                Occurrence::At(number) if place.is_numbered() => {
                    found.nth(number.get() as usize - 1)
                }
                _ if after => found.next_back(),
                _ => found.next(),
            };
            if let Some(segment) = segment {
                let index = segment.index();
                return if after { InsertAt::After(index) } else { InsertAt::Before(index) };
            }
        }
        self.find("program.anchor-absent", places.first(), at);
        InsertAt::End
    }

    fn join(
        &self,
        message: &Message<'_>,
        from: &[Reference],
        with: &str,
        current: &Current,
    ) -> String {
        let view = self.view(message, current);
        let mut joined = String::new();
        for reference in from {
            let path = reference.at(current);
            for text in message.values(&path).filter_map(|value| view.value_text(value)) {
                if !joined.is_empty() {
                    joined.push_str(with);
                }
                joined.push_str(&text);
            }
        }
        joined
    }

    /// Writes what a table or a date gave, or goes by `otherwise`.
    fn answer(
        &mut self,
        message: &mut Message<'_>,
        answer: Option<Cow<'_, str>>,
        miss: &Miss<'_>,
        at: &StepPlace,
        current: &Current,
    ) -> Result<(), End> {
        let Miss { code, field, to, otherwise } = miss;
        let path = to.at(current);
        if let Some(answer) = answer {
            return self.write(message, to, &path, &answer, at);
        }
        if **otherwise != Otherwise::Park {
            self.find(code, Some(field), at);
        }
        match otherwise {
            Otherwise::Keep => Ok(()),
            Otherwise::Clear => {
                let cleared = message.clear(&path);
                self.edited(cleared, Some(to), at)?;
                Ok(())
            }
            Otherwise::Default(text) => self.write(message, to, &path, text, at),
            Otherwise::Park => {
                let what = if *code == "program.map-no-match" {
                    "the table does not have the code in"
                } else {
                    "there is no date in the expected form in"
                };
                Err(park(code, format!("{what} {}", field.written()), at))
            }
        }
    }

    fn assign(
        &mut self,
        message: &mut Message<'_>,
        assignment: &'r Assignment,
        path: &Path,
        at: &StepPlace,
        current: &Current,
    ) -> Result<(), End> {
        match &assignment.value {
            Written::Raw(raw) => {
                let delimiters = message.delimiters();
                let raw = in_delimiters(raw.as_bytes(), &delimiters);
                let set = message.set_raw(path, &raw);
                self.edited(set, Some(&assignment.to), at)?;
                Ok(())
            }
            Written::Text(template) => {
                if let Some(text) = template.literal() {
                    return self.write(message, &assignment.to, path, text, at);
                }
                let view = View { message, current, input: self.input, coding: &self.work.coding };
                let text = template.text(&view, self.effects).into_owned();
                self.write(message, &assignment.to, path, &text, at)
            }
        }
    }

    fn write(
        &mut self,
        message: &mut Message<'_>,
        to: &Reference,
        path: &Path,
        text: &str,
        at: &StepPlace,
    ) -> Result<(), End> {
        let Some(bytes) = self.work.coding.encode(&self.work.base, text) else {
            let reason = format!(
                "the message's character set lacks a character of the text for {} \
                 (the channel's `charset` says which set a partner uses)",
                to.written()
            );
            return Err(park("program.not-in-character-set", reason, at));
        };
        let set = message.set_text(path, &bytes);
        self.edited(set, Some(to), at)?;
        Ok(())
    }

    /// What came of an edit: a place in a segment that is not there is a finding, what can't be
    /// done parks the message.
    fn edited<T>(
        &mut self,
        edit: Result<T, EditError>,
        place: Option<&Reference>,
        at: &StepPlace,
    ) -> Result<Option<T>, End> {
        match edit {
            Ok(done) => Ok(Some(done)),
            Err(EditError::SegmentAbsent(_)) => {
                self.find("program.segment-absent", place, at);
                Ok(None)
            }
            Err(error) => Err(park("program.edit-refused", error.to_string(), at)),
        }
    }

    fn find(&mut self, code: &'static str, place: Option<&Reference>, at: &StepPlace) {
        let path = place.map(Reference::written);
        let known = self.findings.iter_mut().find(|finding| {
            finding.code == code && finding.at == *at && finding.path.as_ref() == path
        });
        match known {
            Some(finding) => finding.count = finding.count.saturating_add(1),
            None => {
                self.findings.push(Finding { code, path: path.cloned(), at: at.clone(), count: 1 })
            }
        }
    }

    fn view<'v>(&'v self, message: &'v Message<'_>, current: &'v Current) -> View<'v> {
        View { message, current, input: self.input, coding: &self.work.coding }
    }

    fn trace(&mut self, at: &StepPlace, message: &Message<'_>) {
        if let Some(tracer) = &mut self.tracer {
            tracer.step(at, message.as_bytes());
        }
    }
}

/// What is done when there is no answer.
struct Miss<'m> {
    code: &'static str,
    field: &'m Reference,
    to: &'m Reference,
    otherwise: &'m Otherwise,
}

fn park(code: &'static str, reason: String, at: &StepPlace) -> End {
    End::Parked { code, reason, at: at.clone() }
}

fn too_many_outputs() -> String {
    format!("it would become more than {OUTPUTS_MAX} messages")
}

/// The message's bytes: the ones it was read from where nothing was edited.
fn shared(message: Message<'_>, base: &Bytes) -> Bytes {
    if !message.is_edited() {
        return base.clone();
    }
    match message.into_bytes() {
        Cow::Owned(bytes) => Bytes::from(bytes),
        Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
    }
}

fn count(message: &Message<'_>, over: &Over, current: &Current) -> u32 {
    let count = match over {
        Over::Segments(name) => {
            message.segments().filter(|segment| segment.segment_name() == Some(*name)).count()
        }
        Over::Repetitions(field) => {
            let path = field.at(current).into_owned().with_repetition(Occurrence::All);
            let mut repetitions = message.values(&path);
            match repetitions.next() {
                None => 0,
                Some(only) => {
                    let more = repetitions.count();
                    if more == 0 && only.is_empty() { 0 } else { more + 1 }
                }
            }
        }
    };
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A value written with `|^~\&` in the delimiters of a message.
fn in_delimiters<'w>(written: &'w [u8], own: &Delimiters) -> Cow<'w, [u8]> {
    let standard = Delimiters::STANDARD;
    let same = own.component == standard.component
        && own.repetition == standard.repetition
        && own.escape == standard.escape
        && own.subcomponent == standard.subcomponent;
    if same {
        return Cow::Borrowed(written);
    }
    let translated = written.iter().map(|&byte| {
        if byte == standard.component {
            own.component
        } else if byte == standard.repetition {
            own.repetition
        } else if Some(byte) == standard.escape {
            own.escape.unwrap_or(byte)
        } else if Some(byte) == standard.subcomponent {
            own.subcomponent.unwrap_or(byte)
        } else {
            byte
        }
    });
    Cow::Owned(translated.collect())
}
