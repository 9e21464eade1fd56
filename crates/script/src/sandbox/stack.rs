//! Stacks in lines of what the author wrote.

use crate::compile::{Graph, Module, loop_at};

/// How many frames are told.
const FRAMES_MAX: usize = 50;

/// The stack of an error as the engine writes it, in places of the sources. The worker's own frames are left out.
pub(super) fn mapped(graph: &Graph, stack: &str) -> Vec<String> {
    let frames = stack.lines().filter_map(|line| Frame::read(graph, line));
    frames.filter_map(Frame::written).take(FRAMES_MAX).collect()
}

/// The same of a run that was stopped: the innermost function may have been in a loop, which the engine does not tell.
pub(super) fn stopped(graph: &Graph, stack: &str) -> Vec<String> {
    let mut frames = stack.lines().filter_map(|line| Frame::read(graph, line));
    let innermost = frames.next().map(Frame::in_its_loop);
    innermost.into_iter().chain(frames).filter_map(Frame::written).take(FRAMES_MAX).collect()
}

/// A frame of a stack: a place in the JavaScript of a module.
struct Frame<'s> {
    module: &'s Module,
    function: &'s str,
    file: &'s str,
    row: u32,
    column: u32,
}

impl<'s> Frame<'s> {
    fn read(graph: &'s Graph, line: &'s str) -> Option<Self> {
        let line = line.trim().strip_prefix("at ")?;
        let (function, place) = match line.strip_suffix(')').and_then(|line| line.rsplit_once(" ("))
        {
            Some((function, place)) => (function, place),
            None => ("", line),
        };
        let (rest, column) = place.rsplit_once(':')?;
        let (file, row) = rest.rsplit_once(':')?;
        let (row, column) = (row.parse().ok()?, column.parse().ok()?);
        let file = named(file).0;
        let module = graph.modules.get(file)?;
        Some(Self { module, function, file, row, column })
    }

    fn in_its_loop(self) -> Self {
        let Self { row, column, .. } = self;
        let (row, column) = loop_at(&self.module.code, row, column).unwrap_or((row, column));
        Self { row, column, ..self }
    }

    /// As it is told, in places of the sources.
    fn written(self) -> Option<String> {
        let Self { module, function, file, row, column } = self;
        let (row, column) = module.positions.source(row, column)?;
        Some(match function {
            "" | "<anonymous>" => format!("{file}:{row}:{column}"),
            _ => format!("{function} ({file}:{row}:{column})"),
        })
    }
}

/// The id of a module and which time it is evaluated, from its name in the engine: `bots/adt.ts#3`.
pub(super) fn named(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('#') {
        Some((id, time)) if time.bytes().all(|byte| byte.is_ascii_digit()) => (id, Some(time)),
        _ => (name, None),
    }
}
