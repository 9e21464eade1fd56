//! A path as a step names it: fixed, or relative to what an `each` around it is at.
//!
//! Inside `each: OBX` a path that names no occurrence of OBX (`OBX-5`) means the current one.
//! Inside `each: PID-3` a path into PID-3 that names no repetition (`PID-3.1`) means the current
//! one. Every other path means what it means outside, in conditions as well: inside `each: OBR`,
//! `PID-3` and `any(OBX-8)` are about the whole message. `OBX(1)-5` or `PID-3[1].1` still name the
//! first.
//!
//! An `each` over segments in another goes over those that follow the current one, up to the next
//! segment that an `each` around goes over: inside `each: OBR`, `each: OBX` are the results of
//! this order.

use std::borrow::Cow;
use std::cell::RefCell;
use std::num::{NonZeroU16, NonZeroU32};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use pipehat_dictionary::{GroupPathProblem, check_group_path};
use pipehat_message::{Occurrence, Path, SegmentName};

use super::SyntaxError;
use super::unknown_place::{UnknownPlace, unknown_place};

/// How deep `each` may stand in `each`: a message has segments, fields and repetitions.
pub(super) const EACH_DEPTH_MAX: usize = 4;

/// What the `each` steps around a step go over, outermost first. Known when a program is compiled.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    each: Vec<EachOver>,
    /// What was read in it that no version has; shared with the scopes inside.
    unknown: Rc<RefCell<Vec<UnknownPlace>>>,
}

/// What one `each` goes over.
#[derive(Debug, Clone)]
pub(super) enum EachOver {
    /// Every segment of a name.
    Segments(SegmentName),
    /// Every repetition of a field.
    Repetitions(Reference),
}

/// Where the `each` steps around a step are, outermost first, from 1.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Current {
    indexes: [u32; EACH_DEPTH_MAX],
    depth: usize,
}

impl Current {
    /// Inside one more `each`, at its `index`th.
    pub(super) fn within(mut self, index: u32) -> Self {
        if let Some(slot) = self.indexes.get_mut(self.depth) {
            *slot = index;
            self.depth += 1;
        }
        self
    }

    /// How many `each` steps there are around.
    pub(super) fn depth(&self) -> u8 {
        u8::try_from(self.depth).unwrap_or(u8::MAX)
    }

    /// Where the `each` at this depth is.
    pub(super) fn index(&self, depth: u8) -> u32 {
        self.indexes.get(usize::from(depth)).copied().unwrap_or(1)
    }

    fn occurrence(&self, depth: u8) -> Occurrence {
        Occurrence::At(NonZeroU32::new(self.index(depth)).unwrap_or(NonZeroU32::MIN))
    }
}

impl Scope {
    /// The scope inside one more `each`; `None` when they nest too deep.
    pub(super) fn within(&self, over: EachOver) -> Option<Self> {
        if self.each.len() >= EACH_DEPTH_MAX {
            return None;
        }
        let mut each = self.each.clone();
        each.push(over);
        Some(Self { each, unknown: Rc::clone(&self.unknown) })
    }

    /// What was read since the last time that no version has.
    pub(super) fn take_unknown(&self) -> Vec<UnknownPlace> {
        self.unknown.take()
    }

    /// Whether there is no `each` around.
    pub(super) fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// The segments that the `each` steps go over, and which of the steps do, outermost first.
    pub(super) fn segments(&self) -> Vec<(SegmentName, u8)> {
        let named = (0_u8..).zip(&self.each).filter_map(|(depth, over)| match over {
            EachOver::Segments(name) => Some((*name, depth)),
            EachOver::Repetitions(_) => None,
        });
        named.collect()
    }

    /// Whether one of the `each` steps goes over segments of this name.
    pub(super) fn goes_over(&self, name: SegmentName) -> bool {
        self.each.iter().any(|over| matches!(over, EachOver::Segments(over) if *over == name))
    }
}

/// A path, and which of its parts are filled in at run time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reference {
    path: Path,
    written: Arc<str>,
    occurrence_of: Option<u8>,
    repetition_of: Option<u8>,
    occurrence_written: bool,
    repetition_written: bool,
}

/// What a step does with a path: not every path can be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// One value, or a segment, is read.
    Read,
    /// Every place is read: what the path does not number means every one.
    ReadAll,
    /// Every place is read that the path matches as it is written.
    ReadEach,
    /// One place is written.
    Write,
    /// Every place is written that the path matches as it is written.
    WriteEach,
}

impl Reference {
    /// Reads a path.
    pub(super) fn parse(text: &str, scope: &Scope, wanted: Use) -> Result<Self, SyntaxError> {
        let path = Path::parse(text).map_err(|error| wrong_path(text, &error))?;
        let whole = 0..text.len();
        if let Err(problem) = check_group_path(&path, None) {
            return Err(wrong_group(&problem, whole));
        }
        scope.unknown.borrow_mut().extend(unknown_place(&path, text));
        let segment = text.get(text.rfind('/').map_or(0, |at| at + 1)..).unwrap_or(text);
        let name_end = segment.find(['(', '-']).unwrap_or(segment.len());
        let occurrence_written = segment.get(name_end..).is_some_and(|rest| rest.starts_with('('));
        let repetition_written = text.contains('[');
        let mut reference = Self {
            path,
            written: text.into(),
            occurrence_of: None,
            repetition_of: None,
            occurrence_written,
            repetition_written,
        };
        reference.resolve_in(scope);
        reference.check(&whole, wanted)?;
        Ok(reference)
    }

    /// Ties the parts that are not written to the innermost `each` that goes over them.
    fn resolve_in(&mut self, scope: &Scope) {
        for (depth, over) in scope.each.iter().enumerate().rev() {
            let Ok(depth) = u8::try_from(depth) else { continue };
            match over {
                EachOver::Segments(name)
                    if *name == self.path.segment()
                        && !self.occurrence_written
                        && self.path.groups().is_empty()
                        && self.occurrence_of.is_none() =>
                {
                    self.occurrence_of = Some(depth);
                }
                EachOver::Repetitions(field)
                    if field.path.segment() == self.path.segment()
                        && self.path.groups().is_empty()
                        && field.path.field() == self.path.field()
                        && !self.occurrence_written
                        && !self.repetition_written
                        && self.repetition_of.is_none() =>
                {
                    self.repetition_of = Some(depth);
                    self.occurrence_of = field.occurrence_of;
                    let groups = field.path.groups().to_vec();
                    let occurrence = field.path.occurrence();
                    self.path = self.path.clone().with_groups(groups).with_occurrence(occurrence);
                    // The rest was settled where the `each` stands.
                    self.occurrence_written = true;
                }
                EachOver::Segments(_) | EachOver::Repetitions(_) => {}
            }
        }
    }

    fn check(&mut self, whole: &Range<usize>, wanted: Use) -> Result<(), SyntaxError> {
        let several = self.path.has_wildcard();
        let appends =
            self.path.adds_segment() || matches!(self.path.repetition(), Some(Occurrence::Next));
        match wanted {
            Use::Read | Use::ReadAll | Use::ReadEach if appends => {
                Err(SyntaxError::new(whole.clone(), "`+` names a place that does not exist yet")
                    .help("`[+1]` is for writing; to read the last one, write `[last]`"))
            }
            Use::Read if several => {
                Err(SyntaxError::new(whole.clone(), "`*` names several values where one is needed")
                    .help(format!("write `any({})` or `all({})`", self.written, self.written)))
            }
            Use::Write if several => {
                Err(SyntaxError::new(whole.clone(), "`*` names several places where one is needed")
                    .help("use `each` to change every one of them"))
            }
            Use::ReadAll => {
                self.widen();
                Ok(())
            }
            Use::Read | Use::ReadEach | Use::Write | Use::WriteEach => Ok(()),
        }
    }

    /// What is not written and not the current one of an `each` becomes every one.
    fn widen(&mut self) {
        self.every_group();
        if !self.occurrence_written && self.occurrence_of.is_none() {
            self.path = self.path.clone().with_occurrence(Occurrence::All);
        }
        if !self.repetition_written && self.repetition_of.is_none() && self.path.field().is_some() {
            self.path = self.path.clone().with_repetition(Occurrence::All);
        }
    }

    /// The path to ask a message for, where the `each` steps around are at `current`.
    pub(super) fn at(&self, current: &Current) -> Cow<'_, Path> {
        if self.occurrence_of.is_none() && self.repetition_of.is_none() {
            return Cow::Borrowed(&self.path);
        }
        let mut path = self.path.clone();
        if let Some(depth) = self.occurrence_of {
            path = path.with_occurrence(current.occurrence(depth));
        }
        if let Some(depth) = self.repetition_of {
            path = path.with_repetition(current.occurrence(depth));
        }
        Cow::Owned(path)
    }

    /// The path as it is written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is MSH-18, or within it.
    pub(super) fn is_character_set(&self) -> bool {
        let field = self.path.field().map(NonZeroU16::get);
        field == Some(18) && SegmentName::try_from("MSH") == Ok(self.path.segment())
    }

    /// The text as it is written.
    pub(super) fn written(&self) -> &Arc<str> {
        &self.written
    }

    /// How deep it names: 0 a segment, 1 a field, 2 a component, 3 a subcomponent. A repetition
    /// counts as a field.
    pub(super) fn depth(&self) -> u8 {
        let path = &self.path;
        u8::from(path.field().is_some())
            + u8::from(path.component().is_some())
            + u8::from(path.subcomponent().is_some())
    }

    /// Groups that are not numbered become every one of their name.
    fn every_group(&mut self) {
        let written = Arc::clone(&self.written);
        let numbered = written.split('/').skip(1).map(|step| step.contains('('));
        let mut groups = self.path.groups().to_vec();
        for (group, numbered) in groups.iter_mut().zip(numbered) {
            if !numbered {
                group.occurrence = Occurrence::All;
            }
        }
        self.path = self.path.clone().with_groups(groups);
    }

    /// A segment that is not numbered becomes every one of its name, in every group on the way that is not.
    pub(super) fn every_segment(&mut self) {
        self.every_group();
        if !self.is_numbered() {
            self.path = self.path.clone().with_occurrence(Occurrence::All);
        }
    }

    /// Which `each` around gives its occurrence, counted from the outermost.
    pub(super) fn occurrence_of(&self) -> Option<u8> {
        self.occurrence_of
    }

    /// Which `each` around gives its repetition, counted from the outermost.
    pub(super) fn repetition_of(&self) -> Option<u8> {
        self.repetition_of
    }

    /// Whether it says which of the segments of its name is meant.
    pub(super) fn is_numbered(&self) -> bool {
        self.occurrence_written || self.occurrence_of.is_some()
    }

    /// Whether it names one repetition and not the whole field.
    pub(super) fn names_repetition(&self) -> bool {
        self.repetition_of.is_some() || self.path.repetition().is_some()
    }
}

/// A group that no message has.
fn wrong_group(problem: &GroupPathProblem, whole: Range<usize>) -> SyntaxError {
    let error = SyntaxError::new(whole, problem.to_string());
    match problem.nearest() {
        Some(nearest) => error.help(format!("write `{nearest}`")),
        None => error.help("`pipehat dictionary ORU_R01` shows the groups of a message"),
    }
}

/// A path's mistake: what is wrong, and after the colon what to write.
fn wrong_path(text: &str, error: &pipehat_message::PathError) -> SyntaxError {
    let end = text.len();
    let (start, length) = text
        .char_indices()
        .nth(error.at)
        .map_or((end, 0), |(start, character)| (start, character.len_utf8()));
    let told = error.kind.to_string();
    let at = start..start + length;
    match told.split_once(": ") {
        Some((message, help)) => SyntaxError::new(at, message).help(help),
        None => SyntaxError::new(at, told),
    }
}
