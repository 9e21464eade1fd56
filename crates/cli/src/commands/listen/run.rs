//! Accepting connections, reading frames, answering: all on one thread.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Zoned;
use pipehat_message::AcknowledgmentCode;
use pipehat_message::mllp::{Decoder, Event, Limits};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::{JoinSet, LocalSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::answer::{Wording, answer};
use super::folder::Folder;
use super::told::{Message, Printer, Told, Totals};
use crate::commands::message::now;
use crate::control_id::ControlIds;
use crate::exit::{Exit, Failure, OutputError};
use crate::output_file::OutputFileError;
use crate::peer_address::PeerAddress;
use crate::signals;
use crate::terminal::Terminal;

/// More connections wait to be accepted.
const CONNECTIONS_MAX: usize = 10_000;
/// How much room there is for one read.
const READ_BYTES: usize = 64 * 1024;
/// A peer that cannot agree on TLS within this time is let go.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long connections may take to end; then they are cut.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How to answer.
pub(super) struct Behaviour {
    pub(super) code: AcknowledgmentCode,
    pub(super) text: String,
    pub(super) delay: Duration,
    /// Every so many messages there is no answer.
    pub(super) drop_every: Option<u64>,
    /// After so many messages it is over.
    pub(super) count: Option<u64>,
    pub(super) bytes_max: usize,
    pub(super) save: Option<PathBuf>,
    pub(super) show: bool,
}

#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error("cannot listen on {address}: take another port, or stop what listens there")]
    Bind {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot use the directory {}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Save(OutputFileError),
    #[error("connections cannot be accepted any more")]
    Accept(#[source] io::Error),
}

/// What all connections share; they run on one thread.
struct Shared {
    behaviour: Behaviour,
    state: RefCell<State>,
    stop: CancellationToken,
}

struct State {
    totals: Totals,
    printer: Printer,
    folder: Option<Folder>,
    ids: ControlIds,
    failure: Option<Failure>,
}

/// Listens until it is told to stop, or enough came.
pub(super) fn listen(
    address: &PeerAddress,
    acceptor: Option<TlsAcceptor>,
    behaviour: Behaviour,
    told: Told,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let folder = behaviour.save.as_deref().map(|path| {
        Folder::open(path).map_err(|source| ListenError::Folder { path: path.to_owned(), source })
    });
    let state = State {
        totals: Totals::default(),
        printer: Printer::new(told, behaviour.show, *terminal),
        folder: folder.transpose().map_err(Failure::could_not)?,
        ids: ControlIds::new().map_err(Failure::could_not)?,
        failure: None,
    };
    let stop = CancellationToken::new();
    let shared = Rc::new(Shared { behaviour, state: RefCell::new(state), stop });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::could_not)?;
    let started = Instant::now();
    LocalSet::new().block_on(&runtime, accept(&shared, address, acceptor))?;
    let mut state = shared.state.borrow_mut();
    let State { totals, printer, failure, .. } = &mut *state;
    totals.elapsed = started.elapsed();
    printer.totals(totals).map_err(OutputError)?;
    failure.take().map_or(Ok(Exit::Ok), Err)
}

/// Accepts connections until it is over, then waits for them to end.
async fn accept(
    shared: &Rc<Shared>,
    address: &PeerAddress,
    acceptor: Option<TlsAcceptor>,
) -> Result<(), Failure> {
    let bind =
        |source| Failure::could_not(ListenError::Bind { address: address.to_string(), source });
    let listener = TcpListener::bind(address.pair()).await.map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    shared.state.borrow_mut().printer.listening(bound).map_err(OutputError)?;
    let mut tasks = JoinSet::new();
    let interrupted = signals::stop();
    tokio::pin!(interrupted);
    loop {
        // All arms are cancel-safe.
        tokio::select! {
            accepted = listener.accept(), if tasks.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, peer)) => {
                    let (shared, acceptor) = (shared.clone(), acceptor.clone());
                    tasks.spawn_local(async move { shared.serve(stream, peer, acceptor).await });
                }
                Err(error) if is_temporary(&error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(Failure::could_not(ListenError::Accept(error))),
            },
            Some(_) = tasks.join_next() => {}
            () = &mut interrupted => {
                shared.stop.cancel();
                break;
            }
            () = shared.stop.cancelled() => break,
        }
    }
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIMEOUT, all_ended).await.is_err() {
        tasks.shutdown().await;
    }
    Ok(())
}

/// The peer gave up, or there are too many files open just now.
fn is_temporary(error: &io::Error) -> bool {
    const TOO_MANY_OPEN_FILES: [i32; 2] = [23, 24];
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    ) || error.raw_os_error().is_some_and(|code| TOO_MANY_OPEN_FILES.contains(&code))
}

impl Shared {
    /// Serves one connection to its end. What goes wrong with it concerns nobody else.
    async fn serve(
        &self,
        stream: tokio::net::TcpStream,
        peer: SocketAddr,
        acceptor: Option<TlsAcceptor>,
    ) {
        self.count(|totals| &mut totals.connections);
        // Only a matter of speed.
        let _ = stream.set_nodelay(true);
        let served = match acceptor {
            None => {
                let (reader, writer) = stream.into_split();
                self.answer_all(reader, writer, peer).await
            }
            Some(acceptor) => {
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let (reader, writer) = tokio::io::split(stream);
                        self.answer_all(reader, writer, peer).await
                    }
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                }
            }
        };
        // Many peers just close; between messages that is no loss.
        if let Err(error) = served
            && error.kind() != io::ErrorKind::UnexpectedEof
        {
            tracing::warn!(%peer, %error, "a connection ended with an error");
        }
    }

    async fn answer_all(
        &self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
        peer: SocketAddr,
    ) -> io::Result<()> {
        let mut decoder = Decoder::new(Limits::new(self.behaviour.bytes_max));
        let mut output = Vec::new();
        loop {
            let read = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                read = reader.read_buf(decoder.buffer_mut(READ_BYTES)) => read?,
            };
            if read == 0 {
                break;
            }
            let time = Zoned::now();
            let timestamp = now();
            let time = time.strftime("%H:%M:%S%.3f").to_string();
            for event in decoder.by_ref() {
                let (bytes, code) = match event {
                    Event::Frame(bytes) => (bytes, self.behaviour.code),
                    Event::Oversized { head } => (head, AcknowledgmentCode::Ar),
                    Event::CommitAck | Event::CommitNak => continue,
                    Event::Garbage { .. } | Event::Unterminated { .. } => {
                        self.count(|totals| &mut totals.oddities);
                        continue;
                    }
                };
                if self.stop.is_cancelled() {
                    break;
                }
                self.take(&bytes, code, peer, [&timestamp, &time], &mut output);
                if !self.behaviour.delay.is_zero() {
                    tokio::time::sleep(self.behaviour.delay).await;
                    writer.write_all(&output).await?;
                    writer.flush().await?;
                    output.clear();
                }
            }
            self.print();
            // Whatever was taken is answered, even when it was the last.
            writer.write_all(&output).await?;
            writer.flush().await?;
            output.clear();
        }
        // A peer that is gone already needs no goodbye.
        let _ = writer.shutdown().await;
        Ok(())
    }

    /// Counts, keeps, tells and answers one message.
    fn take(
        &self,
        bytes: &[u8],
        code: AcknowledgmentCode,
        peer: SocketAddr,
        [timestamp, time]: [&str; 2],
        output: &mut Vec<u8>,
    ) {
        let mut state = self.state.borrow_mut();
        let State { totals, printer, folder, ids, failure } = &mut *state;
        totals.messages = totals.messages.saturating_add(1);
        totals.bytes = totals.bytes.saturating_add(bytes.len() as u64);
        let number = totals.messages;
        let is_nth = |every: u64| number.checked_rem(every) == Some(0);
        let dropped = self.behaviour.drop_every.is_some_and(is_nth);
        if self.behaviour.count.is_some_and(|count| number >= count) {
            self.stop.cancel();
        }
        let before = output.len();
        let wording = Wording { code, text: &self.behaviour.text, timestamp };
        let answered = answer(bytes, &wording, ids, output);
        let saved = folder.as_mut().map(|folder| folder.keep(&answered.control_id, bytes));
        let saved = match saved.transpose() {
            Ok(saved) => saved,
            Err(error) => {
                // What is not kept is not acknowledged.
                output.truncate(before);
                failure.get_or_insert(Failure::could_not(ListenError::Save(error)));
                self.stop.cancel();
                return;
            }
        };
        if dropped {
            output.truncate(before);
        }
        if printer.tells_each() {
            let answered = &answered;
            printer.message(&Message { number, time, peer, answered, dropped, bytes, saved });
        }
    }

    fn count(&self, which: impl FnOnce(&mut Totals) -> &mut u64) {
        let mut state = self.state.borrow_mut();
        let number = which(&mut state.totals);
        *number = number.saturating_add(1);
    }

    fn print(&self) {
        let mut state = self.state.borrow_mut();
        if let Err(error) = state.printer.flush() {
            state.failure.get_or_insert(OutputError(error).into());
            self.stop.cancel();
        }
    }
}
