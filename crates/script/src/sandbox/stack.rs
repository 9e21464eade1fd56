//! Stacks in lines of what the author wrote.

use crate::compile::Graph;

/// How many frames are told.
const FRAMES_MAX: usize = 50;

/// The stack of an error as the engine writes it, in places of the sources. The worker's own frames are left out.
pub(super) fn mapped(graph: &Graph, stack: &str) -> Vec<String> {
    stack.lines().filter_map(|line| frame(graph, line)).take(FRAMES_MAX).collect()
}

fn frame(graph: &Graph, line: &str) -> Option<String> {
    let line = line.trim().strip_prefix("at ")?;
    let (function, place) = match line.strip_suffix(')').and_then(|line| line.rsplit_once(" (")) {
        Some((function, place)) => (function, place),
        None => ("", line),
    };
    let (rest, column) = place.rsplit_once(':')?;
    let (file, row) = rest.rsplit_once(':')?;
    let (row, column) = (row.parse().ok()?, column.parse().ok()?);
    let file = named(file).0;
    let module = graph.modules.get(file)?;
    let (row, column) = module.positions.source(row, column)?;
    Some(match function {
        "" | "<anonymous>" => format!("{file}:{row}:{column}"),
        _ => format!("{function} ({file}:{row}:{column})"),
    })
}

/// The id of a module and which time it is evaluated, from its name in the engine: `bots/adt.ts#3`.
pub(super) fn named(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('#') {
        Some((id, time)) if time.bytes().all(|byte| byte.is_ascii_digit()) => (id, Some(time)),
        _ => (name, None),
    }
}
