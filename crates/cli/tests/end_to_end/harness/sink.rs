//! A destination's partner: takes messages down, and answers as the test wants.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pipehat_message::mllp::{Decoder, Event, Limits, encode_frame};
use pipehat_message::{AcknowledgmentBuilder, AcknowledgmentCode, Header};

use super::mllp::FRAME_BYTES_MAX;
use super::wait::eventually;

/// What a sink does with a message it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// An acknowledgment with this code.
    Code(AcknowledgmentCode),
    /// These bytes, in a frame.
    Reply(Vec<u8>),
    /// The connection is closed at once.
    Close,
    /// The acknowledgment AA up to this byte of its frame, then the connection is closed.
    CloseWithin(usize),
    /// The acknowledgment AA, then the connection is closed.
    CloseAfter,
    /// Nothing.
    Silence,
}

/// A message as a sink received it.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) bytes: Vec<u8>,
    /// How often the node had been started then, as the test counts it.
    pub(crate) run: u64,
}

type Decide = dyn Fn(&[u8], usize) -> Answer + Send + Sync;

struct Shared {
    decide: Box<Decide>,
    received: Mutex<Vec<Delivery>>,
    count: AtomicUsize,
    run: AtomicU64,
    open: AtomicUsize,
    stop: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

/// A partner that listens.
pub(crate) struct Sink {
    address: String,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Sink {
    /// A partner that takes everything.
    pub(crate) fn new() -> Self {
        Self::deciding(0, |_, _| Answer::Code(AcknowledgmentCode::Aa))
    }

    /// A partner that takes everything, on this port.
    pub(crate) fn on(port: u16) -> Self {
        Self::deciding(port, |_, _| Answer::Code(AcknowledgmentCode::Aa))
    }

    /// A partner that answers as it is told to: by the message and how many came before it.
    pub(crate) fn deciding(
        port: u16,
        decide: impl Fn(&[u8], usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the sink can listen");
        let address = listener.local_addr().expect("the sink has an address").to_string();
        let shared = Arc::new(Shared {
            decide: Box::new(decide),
            received: Mutex::default(),
            count: AtomicUsize::new(0),
            run: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            streams: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        let accepting = thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many messages came.
    pub(crate) fn count(&self) -> usize {
        self.shared.count.load(Ordering::Acquire)
    }

    /// What came so far, in the order it came.
    pub(crate) fn received(&self) -> Vec<Delivery> {
        self.shared.received.lock().expect("no sink thread panicked").clone()
    }

    /// The bytes of what came.
    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        self.received().into_iter().map(|delivery| delivery.bytes).collect()
    }

    /// Waits for so many messages, and gives them.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Vec<u8>> {
        eventually("the sink has its messages", || self.count() >= count);
        self.messages()
    }

    /// What comes from now on belongs to the next run.
    pub(crate) fn next_run(&self) {
        self.shared.run.fetch_add(1, Ordering::AcqRel);
    }

    /// Waits until no connection is open: what a killed process had sent is all taken down.
    pub(crate) fn wait_disconnected(&self) {
        eventually("no connection to the sink is open", || {
            self.shared.open.load(Ordering::Acquire) == 0
        });
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(&self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        if let Ok(streams) = self.shared.streams.lock() {
            for stream in &*streams {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        if let (Ok(copy), Ok(mut streams)) = (stream.try_clone(), shared.streams.lock()) {
            streams.push(copy);
        }
        shared.open.fetch_add(1, Ordering::AcqRel);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // However a connection ends, it has ended.
            let _ = serve(stream, &shared);
            shared.open.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut decoder = Decoder::new(Limits::new(FRAME_BYTES_MAX));
    let mut input = vec![0; 64 * 1024];
    loop {
        let mut output = Vec::new();
        for event in decoder.by_ref() {
            let Event::Frame(bytes) = event else { continue };
            let answer = take_down(&bytes, shared);
            match answer {
                Answer::Code(code) => encode_frame(&acknowledgment(&bytes, code), &mut output),
                Answer::Reply(reply) => encode_frame(&reply, &mut output),
                Answer::Silence => {}
                Answer::Close => {
                    stream.write_all(&output)?;
                    return stream.shutdown(Shutdown::Both);
                }
                Answer::CloseWithin(_) | Answer::CloseAfter => {
                    let mut frame = Vec::new();
                    encode_frame(&acknowledgment(&bytes, AcknowledgmentCode::Aa), &mut frame);
                    if let Answer::CloseWithin(kept) = answer {
                        // At least the end of the frame is missing.
                        frame.truncate(kept.min(frame.len() - 2));
                    }
                    output.extend_from_slice(&frame);
                    stream.write_all(&output)?;
                    // In good order, so that what was written arrives.
                    stream.shutdown(Shutdown::Write)?;
                    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                    while stream.read(&mut input)? > 0 {}
                    return Ok(());
                }
            }
        }
        if !output.is_empty() {
            stream.write_all(&output)?;
        }
        let read = stream.read(&mut input)?;
        if read == 0 {
            return Ok(());
        }
        decoder.push(&input[..read]);
    }
}

fn take_down(bytes: &[u8], shared: &Shared) -> Answer {
    let mut received = shared.received.lock().expect("no sink thread panicked");
    let answer = (shared.decide)(bytes, received.len());
    let run = shared.run.load(Ordering::Acquire);
    received.push(Delivery { bytes: bytes.to_vec(), run });
    shared.count.store(received.len(), Ordering::Release);
    answer
}

fn acknowledgment(message: &[u8], code: AcknowledgmentCode) -> Vec<u8> {
    let header = Header::read(message).expect("the engine sends messages with a header");
    AcknowledgmentBuilder::new(&header)
        .code(code)
        .control_id("SINK1")
        .timestamp("20260101000000")
        .build()
}
