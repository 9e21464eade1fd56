//! Running the plan: connections on one thread, progress, the end and what is said about it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Write as _};
use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value as Json;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use super::exchange::{End, Exchange, Messages, Plan, Shared, Wait};
use super::outgoing::Outgoing;
use super::rate::Rate;
use super::report::{self, Outcome};
use crate::control_id::ControlIds;
use crate::exit::{Exit, Failure, OutputError};
use crate::peer_address::PeerAddress;
use crate::signals;
use crate::terminal::{Terminal, Tone, visible};
use crate::tls;

/// How often the progress bar moves.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// What is done sooner needs no progress bar.
const PROGRESS_AFTER: Duration = Duration::from_millis(500);
/// A connection on which nothing could be sent is not tried again at once.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// How messages that are made on the way are sent.
pub(crate) struct Sending {
    /// How many in all.
    pub(crate) count: u64,
    pub(crate) rate: Option<Rate>,
    pub(crate) duration: Option<Duration>,
    pub(crate) connections: u64,
    pub(crate) window: u64,
    pub(crate) timeout: Duration,
    /// Whether the totals are printed as one JSON object.
    pub(crate) json: bool,
}

/// Sends messages that are made one by one, and tells how it went.
pub(crate) fn send_made(
    target: &PeerAddress,
    tls: Option<&tls::Client>,
    mut make: impl FnMut() -> Vec<u8> + 'static,
    sending: &Sending,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let plan = Plan {
        messages: Messages::Made(RefCell::new(Box::new(move || Outgoing::made(make())))),
        count: sending.count,
        rate: sending.rate,
        duration: sending.duration,
        window: usize::try_from(sending.window).unwrap_or(usize::MAX),
        timeout: sending.timeout,
        wait: Wait::Ack,
        fresh_control_ids: false,
        show: false,
    };
    let connections = sending.connections.min(sending.count);
    let connections = usize::try_from(connections).unwrap_or(usize::MAX);
    let told = if sending.json { Told::Json { each: false } } else { Told::Totals };
    send(target, tls, plan, connections, told, terminal)
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The totals.
    Totals,
    /// Each acknowledgment and the totals.
    Each,
    /// One JSON object, with each acknowledgment or without.
    Json { each: bool },
}

#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("cannot connect to {target} (is it listening there?)")]
    Connect {
        target: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot connect to {target}: no answer within {}", report::duration(*timeout))]
    NoAnswer { target: String, timeout: Duration },
    #[error("{target} does not speak TLS as we do")]
    Tls {
        target: String,
        #[source]
        source: io::Error,
    },
}

/// What was printed so far, and whether that failed.
#[derive(Default)]
struct Printed {
    list: Vec<Json>,
    error: Option<io::Error>,
}

/// Sends all, and tells how it went.
pub(super) fn send(
    target: &PeerAddress,
    tls: Option<&tls::Client>,
    plan: Plan,
    connections: usize,
    told: Told,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::could_not)?;
    let printed = Rc::new(RefCell::new(Printed::default()));
    let tell = teller(told, *terminal, printed.clone());
    let shared = Rc::new(Shared::new(plan, tell));
    let tasks = LocalSet::new();
    let ended =
        tasks.block_on(&runtime, drive(&shared, target, tls, connections, terminal, &printed));
    let mut report = shared.report.take();
    report.elapsed = shared.started.elapsed();
    let Printed { list, error } = printed.take();
    if let Some(error) = error {
        return Err(OutputError(error).into());
    }
    if let Told::Json { each } = told {
        let mut json = report.json();
        if let Some(map) = json.as_object_mut().filter(|_| each) {
            map.insert("messages".to_owned(), Json::Array(list));
        }
        terminal.write(|output| writeln!(output, "{json}"))?;
    } else if report.sent > 0 {
        terminal.write(|output| {
            report.lines().into_iter().try_for_each(|line| writeln!(output, "{line}"))
        })?;
    }
    let complete = ended?;
    Ok(if complete && report.all_positive() { Exit::Ok } else { Exit::NotSo })
}

/// Takes outcomes one by one, if anybody wants them.
fn teller(
    told: Told,
    terminal: Terminal,
    printed: Rc<RefCell<Printed>>,
) -> Option<Box<dyn Fn(Outcome)>> {
    match told {
        Told::Totals | Told::Json { each: false } => None,
        Told::Json { each: true } => {
            Some(Box::new(move |outcome| printed.borrow_mut().list.push(outcome.json())))
        }
        Told::Each => Some(Box::new(move |outcome| {
            let result = writeln!(io::stdout(), "{}", line(&outcome, &terminal));
            if let Err(error) = result {
                printed.borrow_mut().error.get_or_insert(error);
            }
        })),
    }
}

fn line(outcome: &Outcome, terminal: &Terminal) -> String {
    let tone = if outcome.answer.is_positive() { Tone::Good } else { Tone::Bad };
    let mut line = format!(
        "{:>5}  {:<20}  {}",
        outcome.number,
        visible(&outcome.control_id),
        terminal.paint(tone, outcome.answer.as_str())
    );
    if let Some(latency) = outcome.latency {
        line.push_str(&format!("  {}", report::duration(latency)));
    }
    for error in &outcome.errors {
        line.push_str(&format!("  {}", visible(&placed(error))));
    }
    if let Some(text) = outcome.text.as_deref().filter(|text| !text.is_empty()) {
        line.push_str(&format!("  {}", visible(text)));
    }
    line
}

/// An error of an acknowledgment, `101 at PID-3`; of one without a place it is said.
fn placed(error: &str) -> Cow<'_, str> {
    if error.contains(" at ") { error.into() } else { format!("{error} (no place)").into() }
}

/// Runs all connections to their end; says whether all that was planned was sent.
async fn drive(
    shared: &Rc<Shared>,
    target: &PeerAddress,
    tls: Option<&tls::Client>,
    connections: usize,
    terminal: &Terminal,
    printed: &RefCell<Printed>,
) -> Result<bool, Failure> {
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let ids = ControlIds::new().map_err(Failure::could_not)?;
        tasks.spawn_local(keep_connected(shared.clone(), target.clone(), tls.cloned(), ids));
    }
    let bar = progress(&shared.plan);
    let draws = terminal.shows_progress() && shared.tell.is_none();
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    let interrupted = signals::stop();
    tokio::pin!(interrupted);
    let mut was_interrupted = false;
    let mut failure = None;
    loop {
        tokio::select! {
            joined = tasks.join_next() => match joined {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => {
                    failure.get_or_insert(Failure::could_not(error));
                    shared.stop.cancel();
                }
                // A panic is ours; it was printed where it happened.
                Some(Err(error)) => {
                    failure.get_or_insert(Failure::could_not(error));
                    shared.stop.cancel();
                }
            },
            _ = ticks.tick() => {
                if draws && bar.is_hidden() && shared.started.elapsed() >= PROGRESS_AFTER {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                }
                bar.set_position(shared.report.borrow().ended());
                bar.set_message(format!("{:.0}/s", bar.per_sec()));
                if printed.borrow().error.is_some() {
                    shared.stop.cancel();
                }
            }
            () = &mut interrupted, if !was_interrupted => {
                was_interrupted = true;
                shared.stop.cancel();
            }
        }
    }
    bar.finish_and_clear();
    match failure {
        Some(failure) => Err(failure),
        // Without an end of its own, an interruption is the way to end it.
        None => Ok(!was_interrupted || shared.plan.count == u64::MAX),
    }
}

/// One connection after another, until nothing is left to send.
async fn keep_connected(
    shared: Rc<Shared>,
    target: PeerAddress,
    tls: Option<tls::Client>,
    mut ids: ControlIds,
) -> Result<(), ConnectError> {
    while !shared.is_exhausted(Instant::now()) {
        let stream = tokio::select! {
            stream = connect(&target, shared.plan.timeout) => stream?,
            () = shared.stop.cancelled() => return Ok(()),
        };
        let exchange = Exchange::new(&shared, &mut ids);
        let end = match &tls {
            None => {
                let (reader, writer) = stream.into_split();
                exchange.run(reader, writer).await
            }
            Some(tls::Client { connector, name }) => {
                let stream = connector.connect(name.clone(), stream).await;
                let stream = stream
                    .map_err(|source| ConnectError::Tls { target: target.to_string(), source })?;
                let (reader, writer) = tokio::io::split(stream);
                exchange.run(reader, writer).await
            }
        };
        match end {
            End::Done | End::Stopped => return Ok(()),
            End::Broken { sent: true } => {}
            End::Broken { sent: false } => tokio::time::sleep(RECONNECT_PAUSE).await,
        }
    }
    Ok(())
}

async fn connect(target: &PeerAddress, timeout: Duration) -> Result<TcpStream, ConnectError> {
    let name = || target.to_string();
    match tokio::time::timeout(timeout, TcpStream::connect(target.pair())).await {
        Err(_) => Err(ConnectError::NoAnswer { target: name(), timeout }),
        Ok(Err(source)) => Err(ConnectError::Connect { target: name(), source }),
        Ok(Ok(stream)) => {
            // Only a matter of speed.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
    }
}

/// Hidden until it is worth showing.
fn progress(plan: &Plan) -> ProgressBar {
    let (bar, template) = if plan.count == u64::MAX {
        (ProgressBar::no_length(), "{spinner} {human_pos} messages, {msg}, {elapsed}")
    } else {
        let template = "{bar:30} {human_pos}/{human_len}, {msg}, {eta} left";
        (ProgressBar::new(plan.count), template)
    };
    bar.set_draw_target(ProgressDrawTarget::hidden());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::placed;

    #[test]
    fn errors_without_a_place_say_so() {
        assert_eq!(placed("203 at MSH-12"), "203 at MSH-12");
        assert_eq!(placed("100"), "100 (no place)");
    }
}
