//! One engine: a runtime with a script's modules in it, evaluated, ready to run the handler.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rquickjs::promise::PromiseState;
use rquickjs::{
    CatchResultExt, CaughtError, Context, Ctx, Error, Exception, Function, Module, Object,
    Persistent, Promise, Result, Runtime, String as JsString, Value,
};

use super::charset::InputCharset;
use super::modules::{self, Modules};
use super::turn::{Queued, Rejected, Spent, Turn, Waiting};
use super::{bytes, hint, hl7, native, request, stack};
use crate::compile::{self, Graph, Keep};
use crate::{
    Answer, AskError, Event, Host, Input, Limit, Limits, LogLevel, Output, RunError, RunErrorKind,
};

/// An engine with a script in it.
pub(crate) struct Engine {
    pub(crate) turn: Rc<Turn>,
    graph: Arc<Graph>,
    /// Runs the handler; none until the modules are evaluated.
    start: RefCell<Option<Persistent<Function<'static>>>>,
    keep: Keep,
    /// How often the script's own modules were evaluated.
    evaluated: Cell<usize>,
    context: Context,
    // Last: what is above belongs to it.
    runtime: Runtime,
}

/// A promise that is kept while the engine is let go of.
type Promised = Persistent<Promise<'static>>;

/// What is logged where a handler ended before what it had asked for, and one of its timers with it.
const GIVEN_UP: &str =
    "a request that a timer outlasted was given up when the handler ended: nothing waited for it";

/// How many jobs are done before the clock is looked at.
const JOBS_BETWEEN_LOOKS: usize = 256;

impl Drop for Engine {
    fn drop(&mut self) {
        // What it holds of the engine's must go before the engine.
        self.turn.end();
        self.turn.stack_as_it_runs.take();
    }
}

impl Engine {
    /// A new engine. Nothing of the script has run.
    pub(crate) fn new(graph: &Arc<Graph>, limits: &Limits) -> Result<Self> {
        let runtime = Runtime::new()?;
        runtime.set_memory_limit(limits.memory);
        runtime.set_max_stack_size(limits.stack);
        let turn = Rc::new(Turn::new(limits.clone()));
        let watched = Rc::clone(&turn);
        runtime.set_interrupt_handler(Some(Box::new(move || watched.is_over())));
        let watched = Rc::clone(&turn);
        runtime.set_host_promise_rejection_tracker(Some(Box::new(
            move |ctx, promise, reason, handled| {
                note_rejection(&watched, &ctx, promise, &reason, handled)
            },
        )));
        let graph = Arc::clone(graph);
        runtime.set_loader(Modules(Arc::clone(&graph)), Modules(Arc::clone(&graph)));
        let context = Context::full(&runtime)?;
        let (start, keep) = (RefCell::new(None), graph.keep());
        let evaluated = Cell::new(0);
        Ok(Self { turn, graph, start, keep, evaluated, context, runtime })
    }

    /// Runs the handler once. After it, [`Turn::end`] tells what was asked.
    pub(crate) fn run(
        &self,
        event: &Event,
        host: Rc<RefCell<dyn Host>>,
    ) -> std::result::Result<Output, Failure> {
        self.turn.begin(host);
        self.turn.secrets.borrow_mut().clone_from(&event.secrets);
        *self.turn.time_zone.borrow_mut() = event.headers.get("time-zone").cloned();
        self.turn.charset.set(InputCharset::of(event));
        let mut result = self.run_handler(event);
        // What the handler did not wait for is done, so that nothing of it is lost, or left for the next.
        let rest = if result.is_ok() { self.finish() } else { self.jobs() };
        for rejected in self.turn.rejected.take() {
            if result.is_ok() && rest.is_ok() {
                result = Err(self.unhandled(rejected));
            } else {
                self.turn.log(LogLevel::Warn, self.told(rejected));
            }
        }
        let ended = result
            .and_then(|output| rest.map(|()| output))
            .and_then(|output| if self.turn.is_over() { Err(self.limit()) } else { Ok(output) });
        // Its words are kept with the run.
        ended.map_err(|failure| Failure { message: self.turn.masked(failure.message), ..failure })
    }

    /// Does what the script asked of its host and did not wait for. Timers go on meanwhile, and are not waited for; nor is an
    /// ask that one of them outlasted.
    fn finish(&self) -> std::result::Result<(), Failure> {
        loop {
            self.jobs()?;
            if !self.turn.has_unfinished() {
                break;
            }
            self.context.with(|ctx| self.go_on(&ctx))?;
        }
        if self.turn.has_open() {
            self.turn.log(LogLevel::Warn, GIVEN_UP.to_owned());
        }
        Ok(())
    }

    fn run_handler(&self, event: &Event) -> std::result::Result<Output, Failure> {
        let known = self.start.borrow().clone();
        let start = match known {
            Some(start) => start,
            None => self.evaluate()?,
        };
        if self.keep == Keep::All {
            *self.start.borrow_mut() = Some(start.clone());
        }
        let promise = self.context.with(|ctx| {
            let begun = start.restore(&ctx).and_then(|start| begin(&ctx, &start, event));
            let promise = self.caught(&ctx, begun)?;
            Ok(Persistent::save(&ctx, promise))
        })?;
        let value = self.settled(promise)?;
        let output = self.context.with(|ctx| {
            let output = value.restore(&ctx).and_then(|value| self.output(&ctx, &value));
            self.caught(&ctx, output)?.map_err(Failure::character_set)
        })?;
        let size = match &output {
            Output::Nothing => 0,
            Output::Hl7(bytes) | Output::Bytes(bytes) => bytes.len(),
            Output::Text(text) | Output::Json(text) => text.len(),
        };
        let limit = self.turn.limits().output;
        if size > limit {
            let message = format!("the result has more than {}", size_text(limit));
            return Err(Failure::limit(Limit::Output, message));
        }
        Ok(output)
    }

    /// Whether it can be used for another run.
    pub(crate) fn stays(&self) -> bool {
        match self.keep {
            Keep::All => true,
            Keep::BuiltIn { runs } => self.evaluated.get() < runs,
            Keep::Nothing => false,
        }
    }

    /// Evaluates the modules, and freezes those that are kept.
    fn evaluate(&self) -> std::result::Result<Persistent<Function<'static>>, Failure> {
        let time = self.evaluated.get();
        if time == 0 {
            self.context.with(|ctx| {
                let given = stack::install(&ctx, &self.turn, &self.graph)
                    .and_then(|()| native::object(&ctx, &self.turn, &self.graph))
                    .and_then(|object| ctx.globals().set(native::GLOBAL, object));
                self.caught(&ctx, given)
            })?;
        }
        if time == 0 && self.keep != Keep::All {
            let boot = modules::boot_built_in(&self.graph);
            let space = self.import(compile::BOOT.to_owned(), boot)?;
            if matches!(self.keep, Keep::BuiltIn { .. }) {
                self.context.with(|ctx| {
                    let space = space.restore(&ctx);
                    self.freeze(&ctx, &self.caught(&ctx, space)?)
                })?;
            }
        }
        self.evaluated.set(time.saturating_add(1));
        let space = match self.keep {
            Keep::All => self.import(format!("{}#0", compile::BOOT), modules::boot(&self.graph))?,
            _ => {
                let name = format!("{}#{}", compile::BOOT, self.evaluated.get());
                self.import(name, modules::boot_own(&self.graph))?
            }
        };
        self.context.with(|ctx| {
            let space = space.restore(&ctx);
            let space = self.caught(&ctx, space)?;
            let found = space.get::<_, bool>("found");
            if !self.caught(&ctx, found)? {
                let entry = self.graph.entry();
                return Err(Failure::thrown(format!(
                    "{entry} exports no function `handler`: write `export async function handler(client, event) {{ … }}`"
                )));
            }
            if self.keep == Keep::All {
                self.freeze(&ctx, &space)?;
            }
            let start = space.get::<_, Function<'_>>("start");
            Ok(Persistent::<Function<'_>>::save(&ctx, self.caught(&ctx, start)?))
        })
    }

    /// Evaluates a module of the worker's, and gives what it exports.
    fn import(
        &self,
        name: String,
        source: String,
    ) -> std::result::Result<Persistent<Object<'static>>, Failure> {
        let (space, promise) = self.context.with(|ctx| {
            let declared = Module::declare(ctx.clone(), name, source).and_then(Module::eval);
            let (module, promise) = self.caught(&ctx, declared)?;
            let space = self.caught(&ctx, module.namespace())?;
            Ok((Persistent::save(&ctx, space), Persistent::save(&ctx, promise)))
        })?;
        self.settled(promise)?;
        Ok(space)
    }

    fn freeze<'js>(&self, ctx: &Ctx<'js>, space: &Object<'js>) -> std::result::Result<(), Failure> {
        let frozen = space.get::<_, Function<'js>>("freeze").and_then(|freeze| freeze.call(()));
        self.caught(ctx, frozen)
    }

    /// What a promise comes to, which the worker waits for.
    fn settled(
        &self,
        promise: Promised,
    ) -> std::result::Result<Persistent<Value<'static>>, Failure> {
        let settled = self.settle(&promise);
        self.context.with(|ctx| {
            let promise = promise.restore(&ctx);
            let promise = self.caught(&ctx, promise)?;
            let result = promise.result::<Value<'_>>().unwrap_or(Err(Error::WouldBlock));
            let none = Value::new_null(ctx.clone());
            note_rejection(&self.turn, &ctx, promise.into_value(), &none, true);
            settled?;
            Ok(Persistent::save(&ctx, self.caught(&ctx, result)?))
        })
    }

    /// Waits until a promise is settled: does the jobs, the asks and the timers.
    fn settle(&self, promise: &Promised) -> std::result::Result<(), Failure> {
        loop {
            self.jobs()?;
            let pending = self.context.with(|ctx| {
                let promise = self.caught(&ctx, promise.clone().restore(&ctx))?;
                let pending = promise.state() == PromiseState::Pending;
                if pending { self.go_on(&ctx).map(|()| true) } else { Ok(false) }
            })?;
            if !pending {
                return Ok(());
            }
        }
    }

    /// Does what a promise may wait for.
    fn go_on(&self, ctx: &Ctx<'_>) -> std::result::Result<(), Failure> {
        if self.turn.is_over() {
            return Err(self.limit());
        }
        let queued = std::mem::take(&mut *self.turn.queue.borrow_mut());
        if !queued.is_empty() {
            let answered = self.ask(ctx, queued);
            let answered = self.caught(ctx, answered)?;
            if self.turn.is_over() {
                return Err(self.limit());
            }
            if answered {
                return Ok(());
            }
        }
        let due = self.turn.next_timer();
        if self.turn.has_open() {
            let remaining = self.turn.remaining();
            let most = due.unwrap_or(remaining).min(remaining);
            if let Some((waiting, answer)) = self.turn.next_answer(most) {
                let done = self.answer(ctx, waiting, answer);
                self.caught(ctx, done)?;
                return Ok(());
            }
            if due.is_none() {
                self.turn.run_out_of_time();
                return Err(self.limit());
            }
        } else {
            let Some(due) = due else { return Err(Failure::never()) };
            if !due.is_zero() {
                self.turn.wait(due.min(self.turn.remaining()));
            }
        }
        // It may still not be due: a wait may be cut short.
        if self.turn.next_timer().is_some_and(|due| due.is_zero()) {
            self.turn.outlast();
            let done = self.fire(ctx);
            self.caught(ctx, done)?;
        }
        Ok(())
    }

    /// Does all jobs. The engine is let go of meanwhile, for only so does it tell where a job was when it was stopped.
    ///
    /// # Errors
    /// When the run's time is over before.
    fn jobs(&self) -> std::result::Result<(), Failure> {
        loop {
            for _ in 0..JOBS_BETWEEN_LOOKS {
                if self.turn.spent().is_some() {
                    return Err(self.limit());
                }
                match self.runtime.execute_pending_job() {
                    Ok(true) => {}
                    Ok(false) if self.turn.spent().is_some() => return Err(self.limit()),
                    Ok(false) => return Ok(()),
                    Err(thrown) => thrown.0.with(|ctx| {
                        let pending = Err::<(), _>(Error::Exception);
                        let caught = self.caught(&ctx, pending);
                        // What a job throws otherwise concerns nobody who waits.
                        caught.or_else(|failure| match self.turn.spent() {
                            Some(_) => Err(failure),
                            None => Ok(()),
                        })
                    })?,
                }
            }
            if self.turn.is_over() {
                return Err(self.limit());
            }
        }
    }

    /// Asks the host what was asked in this turn; tells whether something was answered at once.
    fn ask<'js>(&self, ctx: &Ctx<'js>, queued: Vec<Queued>) -> Result<bool> {
        let mut answered = Vec::new();
        for queued in queued {
            answered.extend(self.turn.begin_ask(queued));
        }
        let any = !answered.is_empty();
        for (waiting, answer) in answered {
            self.answer(ctx, waiting, answer)?;
        }
        Ok(any)
    }

    /// Settles the promise of an ask.
    fn answer<'js>(
        &self,
        ctx: &Ctx<'js>,
        Waiting { wanted, resolve, reject }: Waiting,
        answer: std::result::Result<Answer, AskError>,
    ) -> Result<()> {
        match answer {
            Ok(answer) => {
                let answer = request::answer(ctx, &answer, wanted)?;
                resolve.restore(ctx)?.call::<_, ()>((answer,))
            }
            Err(error) => {
                let error = request::error(ctx, &error)?;
                reject.restore(ctx)?.call::<_, ()>((error,))
            }
        }
    }

    /// Calls the next timer's function.
    fn fire<'js>(&self, ctx: &Ctx<'js>) -> Result<()> {
        match self.turn.take_timer() {
            Some(callback) => callback.restore(ctx)?.call::<_, ()>(()),
            None => Ok(()),
        }
    }

    /// What came out; or why a message has no bytes in its character set.
    fn output<'js>(
        &self,
        ctx: &Ctx<'js>,
        value: &Value<'js>,
    ) -> Result<std::result::Result<Output, String>> {
        let Some(object) = value.as_object() else { return Ok(Ok(Output::Nothing)) };
        let kind: String = object.get("kind")?;
        let value: Value<'js> = object.get("value")?;
        if kind == "bytes" {
            return bytes::bytes(ctx, &value).map(|bytes| Ok(Output::Bytes(bytes)));
        }
        let charset = self.turn.charset.get();
        let message = |text: String| Ok(charset.returned(text).map(Output::Hl7));
        if kind == "message" {
            let number = value.as_number().unwrap_or_default();
            let text = self.turn.messages.borrow_mut().text(number);
            return match text {
                Some(text) => message(text),
                None => Err(Exception::throw_message(ctx, hl7::EARLIER)),
            };
        }
        let text = bytes::text(ctx, &JsString::from_value(value)?)?;
        match kind.as_str() {
            "hl7" => message(text),
            "text" if charset.is_message(&text) => message(text),
            "json" => Ok(Ok(Output::Json(text))),
            _ => Ok(Ok(Output::Text(text))),
        }
    }

    /// What was thrown, as a failure.
    fn caught<'js, T>(&self, ctx: &Ctx<'js>, result: Result<T>) -> std::result::Result<T, Failure> {
        match result.catch(ctx) {
            Ok(value) => Ok(value),
            Err(caught) if self.turn.is_over() => {
                // Where it was when it was stopped.
                let stack = match caught {
                    CaughtError::Exception(error) => {
                        stack::as_it_runs(ctx, &self.turn, error.into_value())
                    }
                    _ => String::new(),
                };
                Err(Failure { stack: stack::stopped(&self.graph, &stack), ..self.limit() })
            }
            Err(CaughtError::Exception(exception)) => Err(self.thrown(exception.as_object())),
            Err(CaughtError::Value(value)) if value.is_null() => Err(self.threw_null()),
            Err(CaughtError::Value(value)) => Err(Failure::thrown(shown(ctx, &value))),
            Err(CaughtError::Error(error)) => Err(Failure::thrown(error.to_string())),
        }
    }

    /// What is logged of a promise that was rejected while nothing waited for it.
    fn told(&self, Rejected { reason, text, .. }: Rejected) -> String {
        let place = self.context.with(|ctx| {
            let reason = reason.restore(&ctx).ok()?;
            let stack = stack::places(reason.as_object()?)?;
            stack::first_of_the_bot(&self.graph, &stack)
        });
        let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
        format!("a promise that nothing waited for was rejected{place}: {text}")
    }

    /// The rejection of a promise that nothing waited for, as the failure of its run.
    fn unhandled(&self, Rejected { reason, text, .. }: Rejected) -> Failure {
        self.context.with(|ctx| match reason.restore(&ctx) {
            Ok(reason) => match reason.as_exception() {
                Some(error) => self.thrown(error.as_object()),
                None => Failure::thrown(text),
            },
            Err(_) => Failure::thrown(text),
        })
    }

    fn thrown(&self, error: &Object<'_>) -> Failure {
        let text = |member: &str| error.get::<_, Option<String>>(member).ok().flatten();
        let message = text("message").unwrap_or_default();
        let stack = stack::places(error).unwrap_or_default();
        let name = text("name").unwrap_or_else(|| "Error".to_owned());
        let stack = stack::mapped(&self.graph, &stack);
        let kind = match (name.as_str(), message.as_str()) {
            ("InternalError", "out of memory") => {
                return Failure { stack, ..self.out_of_memory() };
            }
            (
                "RangeError" | "InternalError",
                "Maximum call stack size exceeded" | "stack overflow",
            ) => RunErrorKind::Limit(Limit::Stack),
            _ if self.turn.was_refused(&message) => RunErrorKind::Refused,
            _ => RunErrorKind::Thrown,
        };
        let mut message = match (name.as_str(), message.as_str()) {
            (name, "") => name.to_owned(),
            ("Error", message) => message.to_owned(),
            (name, message) => format!("{name}: {message}"),
        };
        match message.as_str() {
            "TypeError: not a function" => {
                let own = error.clone().into_value();
                let stack = stack::as_it_runs(error.ctx(), &self.turn, own);
                if let Some(called) = stack::called(&self.graph, &stack) {
                    message = format!("TypeError: {called} is not a function");
                }
            }
            absent if absent.starts_with("ReferenceError: ") => {
                if let Some(hint) = hint::of_absent(absent) {
                    message = format!("{absent}: {hint}");
                }
            }
            _ => {}
        }
        Failure { kind, message, stack, spoilt: kind == RunErrorKind::Limit(Limit::Stack) }
    }

    fn out_of_memory(&self) -> Failure {
        Failure::limit(Limit::Memory, self.too_much_memory())
    }

    fn too_much_memory(&self) -> String {
        format!("it used more than {} of memory", size_text(self.turn.limits().memory))
    }

    /// The engine throws `null` where there is not even memory for an error; so may a script, which is told of where it is
    /// written there.
    fn threw_null(&self) -> Failure {
        if self.graph.throws_null() {
            return Failure::thrown(THREW_NULL.to_owned());
        }
        Failure::limit(Limit::Memory, format!("{}, or threw null", self.too_much_memory()))
    }

    /// What was used up.
    fn limit(&self) -> Failure {
        let limits = self.turn.limits();
        let seconds = |time: Duration| format!("{} s", time.as_secs_f64());
        let (limit, message) = match self.turn.spent() {
            Some(Spent::CpuTime) => {
                let most = seconds(limits.cpu_time);
                (Limit::CpuTime, format!("it used more than {most} of processor time"))
            }
            Some(Spent::Asks) => {
                (Limit::Asks, format!("it asked its host more than {} times", limits.asks))
            }
            Some(Spent::WallTime) | None => {
                (Limit::WallTime, format!("it took longer than {}", seconds(limits.wall_time)))
            }
        };
        Failure::limit(limit, message)
    }
}

/// Why a run gave no result.
pub(crate) struct Failure {
    pub(crate) kind: RunErrorKind,
    pub(crate) message: String,
    pub(crate) stack: Vec<String>,
    /// Whether the engine may be left in a state that nothing is known of.
    pub(crate) spoilt: bool,
}

impl Failure {
    pub(crate) fn limit(limit: Limit, message: String) -> Self {
        Self { kind: RunErrorKind::Limit(limit), message, stack: Vec::new(), spoilt: true }
    }

    pub(crate) fn thrown(message: String) -> Self {
        Self { kind: RunErrorKind::Thrown, message, stack: Vec::new(), spoilt: false }
    }

    fn character_set(message: String) -> Self {
        let kind = RunErrorKind::CharacterSet;
        Self { kind, message, stack: Vec::new(), spoilt: false }
    }

    fn never() -> Self {
        let message = "it waits for a promise that nothing will settle".to_owned();
        Self { kind: RunErrorKind::NeverSettled, message, stack: Vec::new(), spoilt: true }
    }
}

impl From<Failure> for RunError {
    fn from(Failure { kind, message, stack, .. }: Failure) -> Self {
        Self { kind, message, stack }
    }
}

/// A size as limits are written: `64 MiB`; one that is no whole number of any unit in bytes.
fn size_text(bytes: usize) -> String {
    const UNITS: [(usize, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let whole = |(size, _): &(usize, &str)| bytes >= *size && bytes.is_multiple_of(*size);
    match UNITS.into_iter().find(whole) {
        Some((size, unit)) => format!("{} {unit}", bytes / size),
        None => format!("{bytes} bytes"),
    }
}

const THREW_NULL: &str = "it threw null";

/// Something that was thrown and is no error.
fn shown<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> String {
    if value.is_null() {
        return THREW_NULL.to_owned();
    }
    if let Some(string) = value.as_string() {
        let text = bytes::text(ctx, string).unwrap_or_default();
        return if text.is_empty() { "it threw an empty text".to_owned() } else { text };
    }
    let json = ctx.json_stringify(value.clone()).ok().flatten();
    let json = json.and_then(|json| bytes::text(ctx, &json).ok());
    json.unwrap_or_else(|| format!("it threw {}", a_kind(value)))
}

/// What a value is that JSON has not.
fn a_kind(value: &Value<'_>) -> &'static str {
    match value {
        value if value.is_undefined() => "undefined",
        value if value.is_function() => "a function",
        value if value.is_symbol() => "a symbol",
        _ => "what can't be shown",
    }
}

/// How many promises that were rejected, and that nothing waits for yet, are kept.
const REJECTED_MAX: usize = 256;

/// Notes that a promise was rejected and nothing waits for it, or that something does now.
fn note_rejection<'js>(
    turn: &Turn,
    ctx: &Ctx<'js>,
    promise: Value<'js>,
    reason: &Value<'js>,
    handled: bool,
) {
    let mut rejected = turn.rejected.borrow_mut();
    if handled {
        rejected
            .retain(|known| known.promise.clone().restore(ctx).is_ok_and(|known| known != promise));
    } else if rejected.len() < REJECTED_MAX {
        let text = match reason.as_exception() {
            Some(error) => error.message().unwrap_or_default(),
            None => shown(ctx, reason),
        };
        let (promise, reason) =
            (Persistent::save(ctx, promise), Persistent::save(ctx, reason.clone()));
        rejected.push(Rejected { promise, reason, text });
    }
}

/// Calls the function that runs the handler.
fn begin<'js>(ctx: &Ctx<'js>, start: &Function<'js>, event: &Event) -> Result<Promise<'js>> {
    let (kind, input) = match &event.input {
        Input::Hl7(bytes) => {
            let text = InputCharset::of(event).text(bytes);
            ("hl7", JsString::from_str(ctx.clone(), &with_plain_ends(&text))?.into_value())
        }
        Input::Json(text) => ("json", JsString::from_str(ctx.clone(), text)?.into_value()),
        Input::Text(text) => ("text", JsString::from_str(ctx.clone(), text)?.into_value()),
        Input::Bytes(bytes) => ("bytes", bytes::array(ctx, bytes)?),
    };
    let table = |entries: &std::collections::BTreeMap<String, String>| {
        let object = Object::new(ctx.clone())?;
        for (name, value) in entries {
            object.set(name.as_str(), value.as_str())?;
        }
        Ok::<_, Error>(object)
    };
    let (secrets, headers) = (table(&event.secrets)?, table(&event.headers)?);
    start.call((kind, input, event.content_type.as_str(), secrets, headers, event.bot.as_str()))
}

/// The text of a message with one CR at the end of each segment, whatever ended it (`Hl7Message.parse` reads others so, too).
fn with_plain_ends(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if memchr::memchr(b'\n', bytes).is_none() && memchr::memmem::find(bytes, b"\r\r").is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut ended = false;
    for character in text.chars() {
        let ends = matches!(character, '\r' | '\n');
        match (ends, ended) {
            (true, true) => {}
            (true, false) => plain.push('\r'),
            (false, _) => plain.push(character),
        }
        ended = ends;
    }
    Cow::Owned(plain)
}
