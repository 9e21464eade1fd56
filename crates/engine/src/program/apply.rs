//! Doing one step to one message.

use std::borrow::Cow;
use std::sync::Arc;

use pipehat_message::{Delimiters, EditError, InsertAt, Message, Occurrence, Path, SegmentName};

use super::keep::kept;
use super::reference::{Current, Reference};
use super::run::{End, Flow, Run, park};
use super::step::{Action, Anchor, Assignment, Otherwise, Over, Source, Step, Within, Written};
use super::verdict::{Finding, StepPlace};
use super::view::View;

impl<'r> Run<'r> {
    /// One step that leaves one message.
    pub(super) fn step(
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
            Action::Accept(_) => return Err(End::Filtered(at.clone(), None)),
            Action::Filter(condition) if condition.holds(&self.view(message, current)) => {
                return Err(End::Filtered(at.clone(), None));
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
            Action::Keep(places) => {
                let kept = message.rewrite(kept(message, places));
                kept.map_err(|error| park("program.edit-refused", error.to_string(), at))?;
                Flow::Next
            }
            Action::Each { over, steps } => self.each(message, over, steps, at, current)?,
            Action::Map { field, to, table, column, otherwise } => {
                let view = self.view(message, current);
                let path = field.at(current);
                if let Some(value) = message.get(&path).and_then(|value| view.value_text(value)) {
                    let answer = table.look_up(&value, *column);
                    let answer = answer.map(Cow::Borrowed);
                    let miss = Miss {
                        code: "program.map-no-match",
                        what: "the table does not have the code in",
                        field,
                        to,
                        otherwise,
                    };
                    self.answer(message, answer, &miss, at, current)?;
                }
                Flow::Next
            }
            Action::Date { field, to, form, otherwise } => {
                let view = self.view(message, current);
                let path = field.at(current);
                if let Some(value) = message.get(&path).and_then(|value| view.value_text(value)) {
                    let answer = form.change(&value).map(Cow::Owned);
                    let miss = Miss {
                        code: "program.date-unreadable",
                        what: "there is no date in the expected form in",
                        field,
                        to,
                        otherwise,
                    };
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
                let errors = Box::default();
                return Err(End::Rejected {
                    code: *code,
                    text: Arc::clone(text),
                    at: at.clone(),
                    errors,
                });
            }
            Action::Validate(how) => self.validate(message, how, at)?,
            Action::Route(targets) => Flow::Routed(targets),
            Action::When { condition, then, otherwise } => {
                let holds = condition.holds(&self.view(message, current));
                self.steps(message, if holds { then } else { otherwise }, current)?
            }
            // These are taken by `divide`, which the steps' reader makes sure of.
            Action::Split(_) | Action::Bot(_) | Action::Translate(_) => Flow::Next,
            Action::Lookup(step) => {
                self.look_up(message, step, at, current)?;
                Flow::Next
            }
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
        if let Over::Grouped(segments) = over {
            return self.each_of_group(message, segments, steps, at, current);
        }
        let (before, turns) = turns(message, over, current);
        let work = u64::from(turns).saturating_mul(message.as_bytes().len() as u64);
        if turns > 1 && work > self.program.limits.each_work_max {
            let reason = format!("`each` would go over {turns} places of a message this large");
            return Err(park("program.each-too-large", reason, at));
        }
        let mut index = before.saturating_add(1);
        for _ in 0..turns {
            match self.steps(message, steps, &current.within(index))? {
                Flow::Next => index = index.saturating_add(1),
                Flow::Gone(depth) if depth == current.depth() => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    /// The same where the segments do not follow one another: they are found before the first turn.
    fn each_of_group(
        &mut self,
        message: &mut Message<'_>,
        segments: &Reference,
        steps: &'r [Step],
        at: &StepPlace,
        current: &Current,
    ) -> Result<Flow<'r>, End> {
        let numbers = grouped(message, &segments.at(current));
        let work = (numbers.len() as u64).saturating_mul(message.as_bytes().len() as u64);
        if numbers.len() > 1 && work > self.program.limits.each_work_max {
            let turns = numbers.len();
            let reason = format!("`each` would go over {turns} places of a message this large");
            return Err(park("program.each-too-large", reason, at));
        }
        let mut gone = 0_u32;
        for number in numbers {
            let index = number.saturating_sub(gone);
            match self.steps(message, steps, &current.within(index))? {
                Flow::Next => {}
                Flow::Gone(depth) if depth == current.depth() => gone = gone.saturating_add(1),
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
            if !path.groups().is_empty() {
                let found = message.segment_indexes(&path);
                if let Some(index) = if after { found.last() } else { found.min() } {
                    return if after { InsertAt::After(index) } else { InsertAt::Before(index) };
                }
                continue;
            }
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

    /// Writes what a table, a date or a lookup gave, or goes by `otherwise`.
    pub(super) fn answer(
        &mut self,
        message: &mut Message<'_>,
        answer: Option<Cow<'_, str>>,
        miss: &Miss<'_>,
        at: &StepPlace,
        current: &Current,
    ) -> Result<(), End> {
        let Miss { code, what, field, to, otherwise } = miss;
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
            Otherwise::Park => Err(park(code, format!("{what} {}", field.written()), at)),
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
        let Some(bytes) = self.work.encode(text) else {
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
    pub(super) fn edited<T>(
        &mut self,
        edit: Result<T, EditError>,
        place: Option<&Reference>,
        at: &StepPlace,
    ) -> Result<Option<T>, End> {
        match edit {
            Ok(done) => {
                self.work.declared |= place.is_some_and(|place| place.is_character_set());
                Ok(Some(done))
            }
            Err(EditError::SegmentAbsent(_)) => {
                self.find("program.segment-absent", place, at);
                Ok(None)
            }
            Err(error) => Err(park("program.edit-refused", error.to_string(), at)),
        }
    }

    pub(super) fn find(&mut self, code: &'static str, place: Option<&Reference>, at: &StepPlace) {
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
}

/// What is done when there is no answer.
pub(super) struct Miss<'m> {
    pub(super) code: &'static str,
    /// What is the matter, before the name of the field.
    pub(super) what: &'static str,
    pub(super) field: &'m Reference,
    pub(super) to: &'m Reference,
    pub(super) otherwise: &'m Otherwise,
}

/// How many of its places an `each` leaves out at the beginning, and how many it goes over.
fn turns(message: &Message<'_>, over: &Over, current: &Current) -> (u32, u32) {
    let (before, turns) = match over {
        Over::Segments { name, within } => segments(message, *name, within, current),
        // Taken by `each_of_group`.
        Over::Grouped(_) => (0, 0),
        Over::Repetitions(field) => {
            let path = field.at(current).into_owned().with_repetition(Occurrence::All);
            let mut repetitions = message.values(&path);
            match repetitions.next() {
                None => (0, 0),
                Some(only) => {
                    let more = repetitions.count();
                    (0, if more == 0 && only.is_empty() { 0 } else { more + 1 })
                }
            }
        }
    };
    (u32::try_from(before).unwrap_or(u32::MAX), u32::try_from(turns).unwrap_or(u32::MAX))
}

/// The segments that a path through groups names: which of their name in the message each is, from 1.
fn grouped(message: &Message<'_>, path: &Path) -> Vec<u32> {
    let mut wanted = message.segment_indexes(path).peekable();
    let mut numbers = Vec::new();
    let of_name =
        message.segments().filter(|segment| segment.segment_name() == Some(path.segment()));
    for (number, segment) in (1_u32..).zip(of_name) {
        if wanted.next_if_eq(&segment.index()).is_some() {
            numbers.push(number);
        }
    }
    numbers
}

/// The segments of a name: how many stand before those meant, and how many are meant.
fn segments(
    message: &Message<'_>,
    name: SegmentName,
    within: &Within,
    current: &Current,
) -> (usize, usize) {
    let mut names = message.segments().map(|segment| segment.segment_name());
    let mut before = 0;
    if let Some((outer, depth)) = within.0.last() {
        let mut left = current.index(*depth);
        for own in names.by_ref().flatten() {
            if own == name {
                before += 1;
            } else if own == *outer {
                left = left.saturating_sub(1);
                if left == 0 {
                    break;
                }
            }
        }
    }
    let ends = |own: SegmentName| within.0.iter().any(|(outer, _)| *outer == own);
    let following = names.flatten().take_while(|own| !ends(*own));
    (before, following.filter(|own| *own == name).count())
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
