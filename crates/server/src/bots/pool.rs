//! The threads that scripts run on.
//!
//! So many runs go side by side, and so many wait; what comes beyond is refused. Each thread keeps engines warm for the
//! bots it ran last. A run that another one asks for goes on the same thread: so no number of bots that wait for bots can
//! take all threads.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use pipehat_script::{Event, Host, LogLine, Run, RunError, RunErrorKind, Worker};

use super::deployed::Deployed;
use super::host::{Gathered, RunHost};

/// How many runs may wait for a thread.
const WAITING_MAX: usize = 1024;

/// How many engines a thread keeps warm. Each holds some megabytes.
const WARM_MAX: usize = 16;

/// A thread's stack: an engine's own limit is below it, and a bot may run a bot.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// What a run left behind.
pub(super) struct Ended {
    pub(super) run: Run,
    pub(super) log: Vec<LogLine>,
    pub(super) gathered: Gathered,
}

type Job = Box<dyn FnOnce() + Send>;

/// The threads.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
    /// Threads that sleep.
    idle: usize,
    /// Whether one was woken that has not come for its job yet. Short runs come faster than a thread wakes: who is about
    /// to end one takes the next, and each that was woken wakes another where there is more to do.
    coming: bool,
}

impl Waiting {
    /// Whether a thread is to be woken now.
    fn calls(&mut self) -> bool {
        let calls = !self.coming && self.idle > 0 && !self.jobs.is_empty();
        self.coming |= calls;
        calls
    }
}

/// Too much waits already, or the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Pool {
    /// So many threads.
    pub(super) fn start(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { waiting: Mutex::default(), wake: Condvar::new() });
        let mut all = Vec::new();
        for number in 1..=threads.max(1) {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("bot-{number}"));
            all.push(thread.stack_size(STACK_BYTES).spawn(move || work(&shared))?);
        }
        Ok(Self { shared, threads: Mutex::new(all) })
    }

    /// Has something done on one of them.
    pub(super) fn submit(&self, job: Job) -> Result<(), Full> {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.closed || waiting.jobs.len() >= WAITING_MAX {
            return Err(Full);
        }
        waiting.jobs.push_back(job);
        let calls = waiting.calls();
        drop(waiting);
        if calls {
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    /// Takes nothing more, and waits for what runs. What waits is not run: whoever asked for it is told so.
    pub(super) fn close(&self) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.closed = true;
        waiting.jobs.clear();
        drop(waiting);
        self.shared.wake.notify_all();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // Its runs are caught: it ends by itself.
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared) {
    loop {
        let mut waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let job = loop {
            if let Some(job) = waiting.jobs.pop_front() {
                break job;
            }
            if waiting.closed {
                return;
            }
            waiting.idle = waiting.idle.saturating_add(1);
            waiting = shared.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.idle = waiting.idle.saturating_sub(1);
            waiting.coming = false;
        };
        let calls = waiting.calls();
        drop(waiting);
        if calls {
            shared.wake.notify_one();
        }
        // Whoever waits for it finds its end of the channel closed.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

thread_local! {
    /// The engines of this thread, the one that ran last at the end.
    static WARM: RefCell<Vec<(String, Worker)>> = const { RefCell::new(Vec::new()) };
}

/// Runs a bot on this thread.
pub(super) fn run_here(deployed: &Deployed, event: &Event, host: RunHost) -> Ended {
    let key = format!("{} {}", deployed.id, deployed.revision);
    let known = WARM.with_borrow_mut(|warm| {
        let at = warm.iter().position(|(own, _)| *own == key)?;
        Some(warm.remove(at).1)
    });
    let mut worker =
        known.unwrap_or_else(|| Worker::new(&deployed.script, deployed.limits.clone()));
    let host = Rc::new(RefCell::new(host));
    let given: Rc<RefCell<dyn Host>> = host.clone();
    let ran = catch_unwind(AssertUnwindSafe(|| worker.run(event, given)));
    let run = match ran {
        Ok(run) => {
            WARM.with_borrow_mut(|warm| {
                if warm.len() >= WARM_MAX {
                    warm.remove(0);
                }
                warm.push((key, worker));
            });
            run
        }
        // What a panic says is not shown: it may hold values.
        Err(_) => Run {
            result: Err(RunError {
                kind: RunErrorKind::Defect,
                message: "the run ended in a panic".to_owned(),
                stack: Vec::new(),
            }),
            recorded: Vec::new(),
            took: std::time::Duration::ZERO,
            cpu: std::time::Duration::ZERO,
        },
    };
    let (log, gathered) = host.borrow_mut().take();
    Ended { run, log, gathered }
}
