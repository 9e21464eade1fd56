//! Stacks in lines of what the author wrote.

use std::rc::Rc;
use std::sync::Arc;

use rquickjs::function::This;
use rquickjs::{Ctx, Function, Object, Persistent, Result, String as JsString, Value};

use super::bytes;
use super::turn::Turn;
use crate::compile::{self, Graph, Module, loop_at};

/// How many frames are told.
const FRAMES_MAX: usize = 50;

/// The stack of an error as the engine writes it, in places of the sources. The worker's own frames are left out.
pub(super) fn mapped(graph: &Graph, stack: &str) -> Vec<String> {
    let frames = stack.lines().filter_map(|line| Frame::read(graph, line));
    frames.filter_map(Frame::written).take(FRAMES_MAX).collect()
}

/// The same of a run that was stopped: the innermost function may have been in a loop, which the engine does not tell. Where
/// it had called one of the engine's own (a regular expression's `test`) it was in that call, which it does tell.
pub(super) fn stopped(graph: &Graph, stack: &str) -> Vec<String> {
    let is_called = stack.lines().next().is_some_and(|line| line.trim_end().ends_with("(native)"));
    let mut frames = stack.lines().filter_map(|line| Frame::read(graph, line));
    let innermost = frames.next().map(|it| if is_called { it } else { it.in_its_loop() });
    innermost.into_iter().chain(frames).filter_map(Frame::written).take(FRAMES_MAX).collect()
}

/// The innermost place of a stack that is in what the bot's author wrote.
pub(super) fn first_of_the_bot(graph: &Graph, stack: &str) -> Option<String> {
    let frames = stack.lines().filter_map(|line| Frame::read(graph, line));
    frames
        .filter(|frame| graph.own.iter().any(|own| own == frame.file))
        .find_map(|frame| Frame { function: "", ..frame }.written())
}

/// The longest name that is told of what was called.
const CALLED_MAX: usize = 100;

/// What the innermost frame called, as it is written: `medplum.requestSchema`. None where it called nothing by a name.
pub(super) fn called(graph: &Graph, stack: &str) -> Option<String> {
    // What a function of the engine's own calls is not written there.
    let frame = Frame::read(graph, stack.lines().next()?).filter(|frame| frame.runs)?;
    let row = usize::try_from(frame.row).ok()?.checked_sub(1)?;
    let column = usize::try_from(frame.column).ok()?.checked_sub(1)?;
    let line = frame.module.code.lines().nth(row)?;
    let at = line.char_indices().nth(column).map(|(at, _)| at)?;
    let (before, behind) = line.split_at_checked(at)?;
    let of_name = |sign: char| sign.is_alphanumeric() || matches!(sign, '_' | '$' | '#');
    let end = behind.find(|sign| !of_name(sign))?;
    let (last, rest) = behind.split_at_checked(end)?;
    if last.is_empty() || !rest.trim_start().trim_start_matches("?.").starts_with('(') {
        return None;
    }
    let of_path = |sign: char| of_name(sign) || matches!(sign, '.' | '?');
    let start = before.trim_end_matches(of_path).len();
    let path = before.get(start..)?.trim_start_matches(['.', '?']);
    let name = [path, last].concat();
    (name.len() <= CALLED_MAX).then_some(name)
}

/// A text with the frames of stacks in it (a line each), told in places of the sources. What has such places already stays
/// as it is.
pub(super) fn rewritten(graph: &Graph, text: String) -> String {
    if !text.contains('#') || !text.contains("at ") {
        return text;
    }
    let worker = format!("({}#", compile::BOOT);
    let mut lines = Vec::new();
    for line in text.split('\n') {
        match Frame::read(graph, line).filter(|frame| frame.is_marked) {
            // The worker's own call of the handler.
            None if line.contains(&worker) => {}
            None => lines.push(line.to_owned()),
            // What was added to the source has no place in it.
            Some(frame) => lines.extend(frame.written().map(|frame| format!("    at {frame}"))),
        }
    }
    lines.join("\n")
}

/// Has `stack` of errors tell what they say, and places of the sources: what a bot does with it by itself (logs it, sends it
/// to somebody) is to be right, too.
pub(super) fn install<'js>(ctx: &Ctx<'js>, turn: &Rc<Turn>, graph: &Arc<Graph>) -> Result<()> {
    let globals = ctx.globals();
    let prototype: Object<'js> = globals.get::<_, Object<'js>>("Error")?.get("prototype")?;
    let object: Object<'js> = globals.get("Object")?;
    let describe: Function<'js> = object.get("getOwnPropertyDescriptor")?;
    let property: Object<'js> = describe.call((prototype.clone(), "stack"))?;
    let known: Function<'js> = property.get("get")?;
    // A function of the host can't hold what belongs to the engine: it would never be freed.
    *turn.stack_as_it_runs.borrow_mut() = Some(Persistent::<Function<'js>>::save(ctx, known));
    let (turn, graph) = (Rc::clone(turn), Arc::clone(graph));
    let get = move |ctx: Ctx<'js>, this: This<Value<'js>>| {
        let known = turn.stack_as_it_runs.borrow().clone();
        let Some(known) = known else { return Ok(Value::new_undefined(ctx)) };
        let stack: Value<'js> = known.restore(&ctx)?.call((This(this.0.clone()),))?;
        let (Some(text), Some(error)) = (stack.as_string(), this.0.as_object()) else {
            return Ok(stack);
        };
        let text = head(error) + &rewritten(&graph, bytes::text(&ctx, text)?);
        Ok::<_, rquickjs::Error>(JsString::from_str(ctx, &text)?.into_value())
    };
    property.set("get", Function::new(ctx.clone(), get)?.with_name("get stack")?)?;
    let define: Function<'js> = object.get("defineProperty")?;
    define.call::<_, ()>((prototype, "stack", property))
}

/// The first line of an error's stack, as Node.js has it: `TypeError: the message`. The engine's own has only the places.
fn head(error: &Object<'_>) -> String {
    let ctx = error.ctx();
    let text = |member: &str| match error.get::<_, Value<'_>>(member) {
        Ok(value) => value.as_string().and_then(|text| bytes::text(ctx, text).ok()),
        Err(_) => {
            // What a getter of the bot's throws is nobody's here.
            ctx.catch();
            None
        }
    };
    let name = text("name").unwrap_or_else(|| "Error".to_owned());
    match (name.as_str(), text("message").unwrap_or_default().as_str()) {
        (name, "") => format!("{name}\n"),
        ("", message) => format!("{message}\n"),
        (name, message) => format!("{name}: {message}\n"),
    }
}

/// The places of an error's stack, without its first line: a message may have lines that look like places.
pub(super) fn places(error: &Object<'_>) -> Option<String> {
    let stack = error.get::<_, Option<String>>("stack").ok().flatten()?;
    let head = head(error);
    Some(stack.strip_prefix(&head).map_or(stack.clone(), str::to_owned))
}

/// The stack of an error in places of what runs.
pub(super) fn as_it_runs<'js>(ctx: &Ctx<'js>, turn: &Turn, error: Value<'js>) -> String {
    let known = turn.stack_as_it_runs.borrow().clone();
    let known = known.and_then(|known| known.restore(ctx).ok());
    let stack = known.and_then(|known| known.call::<_, Option<String>>((This(error),)).ok());
    stack.flatten().unwrap_or_default()
}

/// A frame of a stack: a place in the JavaScript of a module, or one that was told in the source already.
struct Frame<'s> {
    module: &'s Module,
    function: &'s str,
    file: &'s str,
    row: u32,
    column: u32,
    /// Whether its module's name has the mark of what runs (`#0`).
    is_marked: bool,
    /// Whether it is a place in what runs: what is built in has no mark.
    runs: bool,
}

impl<'s> Frame<'s> {
    fn read(graph: &'s Graph, line: &'s str) -> Option<Self> {
        let (function, file, row, column) = parts(line)?;
        let (file, time) = named(file);
        let module = graph.modules.get(file)?;
        let is_marked = time.is_some();
        let runs = is_marked || !graph.own.iter().any(|own| own == file);
        Some(Self { module, function, file, row, column, is_marked, runs })
    }

    fn in_its_loop(self) -> Self {
        let Self { row, column, .. } = self;
        if !self.runs {
            return self;
        }
        let (row, column) = loop_at(&self.module.code, row, column).unwrap_or((row, column));
        Self { row, column, ..self }
    }

    /// As it is told, in places of the sources.
    fn written(self) -> Option<String> {
        let Self { module, function, file, row, column, runs, .. } = self;
        let (row, column) = match runs {
            true => module.positions.source(row, column)?,
            false => (row, column),
        };
        Some(match function {
            "" | "<anonymous>" => format!("{file}:{row}:{column}"),
            _ => format!("{function} ({file}:{row}:{column})"),
        })
    }
}

/// The function, the file, the row and the column of a line of a stack.
fn parts(line: &str) -> Option<(&str, &str, u32, u32)> {
    let line = line.trim().strip_prefix("at ")?;
    let named = line.strip_suffix(')').and_then(|line| line.rsplit_once(" ("));
    let (function, place) = named.unwrap_or(("", line));
    let (rest, column) = place.rsplit_once(':')?;
    let (file, row) = rest.rsplit_once(':')?;
    Some((function, file, row.parse().ok()?, column.parse().ok()?))
}

/// The row and the column of a line of a stack.
pub(super) fn place(line: &str) -> Option<(u32, u32)> {
    parts(line).map(|(_, _, row, column)| (row, column))
}

/// The id of a module and which time it is evaluated, from its name in the engine: `bots/adt.ts#3`.
pub(super) fn named(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('#') {
        Some((id, time)) if time.bytes().all(|byte| byte.is_ascii_digit()) => (id, Some(time)),
        _ => (name, None),
    }
}
