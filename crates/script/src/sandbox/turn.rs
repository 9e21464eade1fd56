//! What one run has: its host, its clock, what it has used, and what it waits for.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rquickjs::{Function, Persistent, Value};
use rustix::time::{ClockId, clock_gettime};

use super::charset::InputCharset;
use super::hl7::Messages;
use super::request::Wanted;
use crate::{Answer, Ask, AskError, Begun, Host, Limits, LogLevel, LogLine, Recorded};

/// What was used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spent {
    WallTime,
    CpuTime,
    Asks,
}

/// An ask that is to be done when the script next waits.
pub(crate) struct Queued {
    pub(crate) number: u32,
    pub(crate) ask: Ask,
    pub(crate) waiting: Waiting,
}

/// What waits for an answer.
pub(crate) struct Waiting {
    pub(crate) wanted: Wanted,
    pub(crate) resolve: Persistent<Function<'static>>,
    pub(crate) reject: Persistent<Function<'static>>,
}

/// A promise that was rejected while nothing waited for it.
pub(crate) struct Rejected {
    pub(crate) promise: Persistent<Value<'static>>,
    pub(crate) reason: Persistent<Value<'static>>,
    /// What the reason said then.
    pub(crate) text: String,
}

/// An ask that the host has begun.
struct Open {
    /// Its place in the record.
    place: usize,
    waiting: Waiting,
    /// A timer was due before its answer came: the script may go on without it.
    outlasted: bool,
}

/// A timer.
pub(crate) struct Timer {
    pub(crate) callback: Persistent<Function<'static>>,
    /// Again and again after this time.
    pub(crate) every: Option<Duration>,
}

/// What one run has; shared with the functions that the engine calls.
pub(crate) struct Turn {
    limits: Limits,
    host: RefCell<Option<Rc<RefCell<dyn Host>>>>,
    recorded: RefCell<Vec<Recorded>>,
    started: Cell<Instant>,
    cpu_started: Cell<Duration>,
    /// Processor time of the host, which is not the script's.
    cpu_of_host: Cell<Duration>,
    asks: Cell<u32>,
    logged: Cell<usize>,
    spent: Cell<Option<Spent>>,
    /// How much long native calls had to go through since the clock was looked at.
    unwatched: Cell<u64>,
    /// What the refusals of asks said.
    refused: RefCell<BTreeSet<String>>,
    /// The clock stands still between two things that take time outside.
    now: Cell<Option<Timestamp>>,
    first: Cell<Option<Timestamp>>,
    seed: Cell<Option<[u64; 2]>>,
    pub(crate) queue: RefCell<Vec<Queued>>,
    /// What the host has begun, by number.
    open: RefCell<BTreeMap<u32, Open>>,
    /// By when they are due, then by number.
    pub(crate) timers: RefCell<BTreeMap<(Timestamp, u32), Timer>>,
    timer_number: Cell<u32>,
    /// Promises that were rejected while nothing waited for them.
    pub(crate) rejected: RefCell<Vec<Rejected>>,
    /// Gives the stack of an error in places of what runs; belongs to the engine.
    pub(super) stack_as_it_runs: RefCell<Option<Persistent<Function<'static>>>>,
    pub(crate) messages: RefCell<Messages>,
    /// What was granted to the run, by name.
    pub(crate) secrets: RefCell<BTreeMap<String, String>>,
    /// The zone of the channel it is a step of.
    pub(crate) time_zone: RefCell<Option<String>>,
    /// Whether a text was read whose numbers JavaScript would write otherwise.
    pub(super) has_digits: Cell<bool>,
    /// The character set of the input.
    pub(super) charset: Cell<InputCharset>,
}

/// How many timers a run may have at once.
const TIMERS_MAX: usize = 10_000;

/// How many characters or elements native calls go through before the clock is looked at: some milliseconds.
const UNWATCHED_MAX: u64 = 200_000;

/// The shortest secret that is masked: what is shorter stands in many a word, and protects nothing.
const SECRET_BYTES_MIN: usize = 4;

/// What ends a log that is cut.
const LOG_CUT: &str = "… (the log is cut here: it has reached its limit)";

/// The processor time of this thread.
fn cpu_now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl Turn {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            host: RefCell::new(None),
            recorded: RefCell::default(),
            started: Cell::new(Instant::now()),
            cpu_started: Cell::default(),
            cpu_of_host: Cell::default(),
            asks: Cell::default(),
            logged: Cell::default(),
            spent: Cell::default(),
            unwatched: Cell::default(),
            refused: RefCell::default(),
            now: Cell::default(),
            first: Cell::default(),
            seed: Cell::default(),
            queue: RefCell::default(),
            open: RefCell::default(),
            timers: RefCell::default(),
            timer_number: Cell::default(),
            rejected: RefCell::default(),
            stack_as_it_runs: RefCell::default(),
            messages: RefCell::default(),
            has_digits: Cell::default(),
            secrets: RefCell::default(),
            time_zone: RefCell::default(),
            charset: Cell::default(),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Begins a run.
    pub(crate) fn begin(&self, host: Rc<RefCell<dyn Host>>) {
        self.end();
        *self.host.borrow_mut() = Some(host);
        self.started.set(Instant::now());
        self.cpu_started.set(cpu_now());
        self.cpu_of_host.set(Duration::ZERO);
        self.asks.set(0);
        self.logged.set(0);
        self.spent.set(None);
        self.refused.borrow_mut().clear();
        self.now.set(None);
        self.first.set(None);
        self.seed.set(None);
        self.timer_number.set(0);
        self.has_digits.set(false);
    }

    /// Ends it: lets go of all it had, and tells what was asked.
    pub(crate) fn end(&self) -> Vec<Recorded> {
        for (number, open) in std::mem::take(&mut *self.open.borrow_mut()) {
            self.with_host(|host| host.give_up(number));
            if self.spent.get() == Some(Spent::WallTime) {
                self.note_answer(open.place, Err(AskError::TimedOut));
            }
        }
        self.host.borrow_mut().take();
        self.queue.borrow_mut().clear();
        self.timers.borrow_mut().clear();
        self.rejected.borrow_mut().clear();
        self.messages.borrow_mut().clear();
        self.secrets.borrow_mut().clear();
        self.time_zone.borrow_mut().take();
        std::mem::take(&mut *self.recorded.borrow_mut())
    }

    pub(crate) fn took(&self) -> Duration {
        self.started.get().elapsed()
    }

    pub(crate) fn cpu(&self) -> Duration {
        let whole = cpu_now().saturating_sub(self.cpu_started.get());
        whole.saturating_sub(self.cpu_of_host.get())
    }

    /// How much time is left for what is waited for.
    pub(crate) fn remaining(&self) -> Duration {
        self.limits.wall_time.saturating_sub(self.took())
    }

    /// Whether the run is over its time; the engine asks now and then.
    pub(crate) fn is_over(&self) -> bool {
        if self.spent.get().is_some() {
            return true;
        }
        let took = self.took();
        if took >= self.limits.wall_time {
            self.spent.set(Some(Spent::WallTime));
        } else if took >= self.limits.cpu_time && self.cpu() >= self.limits.cpu_time {
            // No thread uses more processor time than passes: only then the system is asked.
            self.spent.set(Some(Spent::CpuTime));
        }
        self.spent.get().is_some()
    }

    /// A native call goes through so many characters or elements, in which the engine does not look at the clock: it is
    /// looked at here, after each [`UNWATCHED_MAX`]. False once the time is over.
    pub(crate) fn spend(&self, size: u64) -> bool {
        let unwatched = self.unwatched.get().saturating_add(size);
        if unwatched < UNWATCHED_MAX {
            self.unwatched.set(unwatched);
            return self.spent.get().is_none();
        }
        self.unwatched.set(0);
        !self.is_over()
    }

    pub(crate) fn spent(&self) -> Option<Spent> {
        self.spent.get()
    }

    /// Whether an error with this text is the refusal of an ask.
    pub(crate) fn was_refused(&self, message: &str) -> bool {
        self.refused.borrow().contains(message)
    }

    fn with_host<T>(&self, call: impl FnOnce(&mut dyn Host) -> T) -> Option<T> {
        let host = self.host.borrow().clone()?;
        let before = cpu_now();
        let result = call(&mut *host.borrow_mut());
        let used = cpu_now().saturating_sub(before);
        self.cpu_of_host.set(self.cpu_of_host.get().saturating_add(used));
        Some(result)
    }

    fn record(&self, recorded: Recorded) {
        self.recorded.borrow_mut().push(recorded);
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        if let Some(now) = self.now.get() {
            return now;
        }
        let now = self.with_host(|host| host.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        self.record(Recorded::Time(now));
        self.now.set(Some(now));
        if self.first.get().is_none() {
            self.first.set(Some(now));
        }
        now
    }

    /// The time since the run first asked for it.
    pub(crate) fn since_first(&self) -> Duration {
        let now = self.now();
        let first = self.first.get().unwrap_or(now);
        now.duration_since(first).unsigned_abs()
    }

    /// Random bytes.
    pub(crate) fn random(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.with_host(|host| host.random(&mut bytes));
        self.record(Recorded::Random(bytes.clone()));
        bytes
    }

    /// A number from 0 to 1 for `Math.random`: xoroshiro128+ from a seed of the host's.
    pub(crate) fn random_number(&self) -> f64 {
        let [first, mut second] = self.seed.get().unwrap_or_else(|| {
            let bytes = self.random(16);
            let half = |range: std::ops::Range<usize>| {
                let part = bytes.get(range).and_then(|part| part.try_into().ok());
                u64::from_le_bytes(part.unwrap_or_default())
            };
            [half(0..8) | 1, half(8..16)]
        });
        let sum = first.wrapping_add(second);
        second ^= first;
        self.seed
            .set(Some([first.rotate_left(24) ^ second ^ (second << 16), second.rotate_left(37)]));
        // 53 bits: all that a number holds.
        (sum >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Counts an ask, and gives its number; none if that is one more than is allowed.
    pub(crate) fn count_ask(&self) -> Result<u32, Spent> {
        if self.asks.get() >= self.limits.asks {
            self.spent.set(Some(Spent::Asks));
            return Err(Spent::Asks);
        }
        self.asks.set(self.asks.get().saturating_add(1));
        Ok(self.asks.get())
    }

    /// Asks the host.
    pub(crate) fn ask(&self, ask: Ask) -> Result<Answer, AskError> {
        let remaining = self.remaining();
        let answer = self.with_host(|host| host.ask(&ask, remaining));
        self.answered(ask, answer.unwrap_or(Err(AskError::TimedOut)))
    }

    /// Begins what is asked for: gives the answer where it came at once.
    pub(crate) fn begin_ask(
        &self,
        Queued { number, ask, waiting }: Queued,
    ) -> Option<(Waiting, Result<Answer, AskError>)> {
        let remaining = self.remaining();
        let begun = self.with_host(|host| host.begin(number, &ask, remaining));
        match begun.unwrap_or(Begun::Answered(Err(AskError::TimedOut))) {
            Begun::Answered(answer) => Some((waiting, self.answered(ask, answer))),
            Begun::Open => {
                let place = self.recorded.borrow().len();
                self.record(Recorded::Asked { ask, answer: Err(AskError::GivenUp) });
                self.open.borrow_mut().insert(number, Open { place, waiting, outlasted: false });
                None
            }
        }
    }

    /// Whether an answer is to come.
    pub(crate) fn has_open(&self) -> bool {
        !self.open.borrow().is_empty()
    }

    /// Whether something was asked that is not done, and that no timer has outlasted.
    pub(crate) fn has_unfinished(&self) -> bool {
        !self.queue.borrow().is_empty() || self.open.borrow().values().any(|open| !open.outlasted)
    }

    /// Notes that a timer was due before what is open was answered.
    pub(crate) fn outlast(&self) {
        self.open.borrow_mut().values_mut().for_each(|open| open.outlasted = true);
    }

    /// Waits so long for the next answer.
    pub(crate) fn next_answer(
        &self,
        most: Duration,
    ) -> Option<(Waiting, Result<Answer, AskError>)> {
        let came = loop {
            let came = self.with_host(|host| host.next_answer(most)).flatten();
            let Some((number, answer)) = came else { break None };
            // What was given up is not waited for.
            if let Some(open) = self.open.borrow_mut().remove(&number) {
                break Some((open, answer));
            }
        };
        self.now.set(None);
        let (Open { place, waiting, .. }, answer) = came?;
        self.note_refusal(&answer);
        self.note_answer(place, answer.clone());
        self.record(Recorded::Came(place));
        Some((waiting, answer))
    }

    /// Lets go of what was asked under this number: its promise is never settled.
    pub(crate) fn give_up(&self, number: u32) {
        self.queue.borrow_mut().retain(|queued| queued.number != number);
        if self.open.borrow_mut().remove(&number).is_some() {
            self.with_host(|host| host.give_up(number));
        }
    }

    /// The run's time is over: what it waits for did not come in it.
    pub(crate) fn run_out_of_time(&self) {
        self.spent.set(Some(Spent::WallTime));
    }

    fn answered(&self, ask: Ask, answer: Result<Answer, AskError>) -> Result<Answer, AskError> {
        self.now.set(None);
        self.note_refusal(&answer);
        self.record(Recorded::Asked { ask, answer: answer.clone() });
        answer
    }

    fn note_refusal(&self, answer: &Result<Answer, AskError>) {
        if let Err(AskError::Refused(text)) = answer {
            self.refused.borrow_mut().insert(text.clone());
        }
    }

    /// Writes an answer into the record, where it was asked for.
    fn note_answer(&self, place: usize, came: Result<Answer, AskError>) {
        if let Some(Recorded::Asked { answer, .. }) = self.recorded.borrow_mut().get_mut(place) {
            *answer = came;
        }
    }

    /// Waits.
    pub(crate) fn wait(&self, duration: Duration) {
        self.with_host(|host| host.wait(duration));
        self.now.set(None);
    }

    /// A text without the values of the secrets that were granted: the name of each stands in its place.
    pub(crate) fn masked(&self, mut text: String) -> String {
        let secrets = self.secrets.borrow();
        let mut known: Vec<_> =
            secrets.iter().filter(|(_, value)| value.len() >= SECRET_BYTES_MIN).collect();
        // One may be a part of another.
        known.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        for (name, value) in known {
            let quoted = serde_json::Value::from(value.as_str()).to_string();
            let within = quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"'));
            let within = within.unwrap_or_default();
            for value in [value.as_str(), within] {
                if !value.is_empty() && text.contains(value) {
                    text = text.replace(value, &format!("[secret {name}]"));
                }
            }
        }
        text
    }

    /// Writes a line of the log, as far as there is room.
    pub(crate) fn log(&self, level: LogLevel, text: String) {
        let mut text = self.masked(text);
        let room = self.limits.log.saturating_sub(self.logged.get());
        if self.logged.get() > self.limits.log {
            return;
        }
        self.logged.set(self.logged.get().saturating_add(text.len()).saturating_add(1));
        if text.len() > room {
            text.truncate(text.floor_char_boundary(room));
            text.push_str(LOG_CUT);
            self.logged.set(self.limits.log.saturating_add(1));
        }
        let at = self.now();
        self.with_host(|host| host.log(LogLine { level, at, text }));
    }

    /// Sets a timer; none if there are too many.
    pub(crate) fn set_timer(&self, after: Duration, timer: Timer) -> Option<u32> {
        let number = self.timer_number.get().checked_add(1)?;
        self.timer_number.set(number);
        self.put_timer(number, after, timer).then_some(number)
    }

    fn put_timer(&self, number: u32, after: Duration, timer: Timer) -> bool {
        let due = self.now().checked_add(after).unwrap_or(Timestamp::MAX);
        let mut timers = self.timers.borrow_mut();
        let room = timers.len() < TIMERS_MAX;
        if room {
            timers.insert((due, number), timer);
        }
        room
    }

    pub(crate) fn clear_timer(&self, number: u32) {
        self.timers.borrow_mut().retain(|(_, known), _| *known != number);
    }

    /// When the next timer is due, from now.
    pub(crate) fn next_timer(&self) -> Option<Duration> {
        let (due, _) = *self.timers.borrow().first_key_value()?.0;
        let now = self.now();
        Some(due.duration_since(now).try_into().unwrap_or(Duration::ZERO))
    }

    /// Takes the next timer; one that repeats is set again.
    pub(crate) fn take_timer(&self) -> Option<Persistent<Function<'static>>> {
        let ((_, number), timer) = self.timers.borrow_mut().pop_first()?;
        let callback = timer.callback.clone();
        if let Some(every) = timer.every {
            self.put_timer(number, every, timer);
        }
        Some(callback)
    }
}
