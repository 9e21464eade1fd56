//! One connection: bytes read straight into the frame decoder, frames gathered into few writes.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use pipehat_message::mllp::{
    CARRIAGE_RETURN, Decoder, END_BLOCK, Event, Limits, Remainder, START_BLOCK, encode_frame,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Instant;

/// Room for one read: some messages of a usual size.
const READ_BYTES: usize = 32 * 1024;

/// Payloads from this size on are written from where they stand, smaller ones are copied together.
const SHARED_BYTES_MIN: usize = 64 * 1024;

/// The room that is kept for writing when nothing is waiting.
const TAIL_BYTES_KEPT: usize = 128 * 1024;

/// A framed connection.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    decoder: Decoder,
    outbox: Outbox,
    unflushed: bool,
    stalled_since: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, message_bytes_max: usize) -> Self {
        let decoder = Decoder::new(Limits::new(message_bytes_max));
        let outbox = Outbox::default();
        Self { stream, decoder, outbox, unflushed: false, stalled_since: None }
    }

    /// The next thing that was read, none when more must be read first.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.decoder.next()
    }

    /// Reads once; 0 at the end of the input. Take all events before, so that the buffer does not grow.
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let buffer = self.decoder.buffer_mut(READ_BYTES);
        pin!(self.stream.read_buf(buffer)).poll(context)
    }

    /// Whether a frame has begun and not ended.
    pub(super) fn is_inside_frame(&self) -> bool {
        self.decoder.is_inside_frame()
    }

    /// How many bytes of an unfinished frame are held.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.decoder.buffered_bytes()
    }

    /// What was left unfinished when the input ended. The connection reads no more after this.
    pub(super) fn finish_input(&mut self) -> Remainder {
        std::mem::replace(&mut self.decoder, Decoder::new(Limits::new(0))).finish()
    }

    /// Puts a payload in line as a frame.
    pub(super) fn queue_frame(&mut self, payload: Bytes) {
        self.outbox.push_frame(payload);
    }

    /// Puts bytes in line that are framed already.
    pub(super) fn queue_raw(&mut self, bytes: &[u8]) {
        self.outbox.push_raw(bytes);
    }

    /// Writes what is in line; ready when all of it is on its way.
    pub(super) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        now: Instant,
    ) -> Poll<io::Result<()>> {
        while let Some(chunk) = self.outbox.front() {
            self.stalled_since.get_or_insert(now);
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, chunk))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outbox.advance(written);
            self.unflushed = true;
            self.stalled_since = Some(now);
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.unflushed = false;
        }
        self.stalled_since = None;
        Poll::Ready(Ok(()))
    }

    /// Since when the other side has taken no bytes, while there were some.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.stalled_since
    }

    /// Whether something is still to be written.
    pub(super) fn has_output(&self) -> bool {
        self.outbox.waiting() > 0 || self.unflushed
    }

    /// How many bytes are still to be written.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.outbox.waiting()
    }

    /// How many bytes were put in line since the connection began.
    pub(super) fn queued_total(&self) -> u64 {
        self.outbox.queued
    }

    /// How many bytes were written since the connection began.
    pub(super) fn written_total(&self) -> u64 {
        self.outbox.written
    }

    /// Forgets what is in line: the other side takes nothing more.
    pub(super) fn discard_output(&mut self) {
        self.outbox = Outbox {
            written: self.outbox.written,
            queued: self.outbox.written,
            ..Outbox::default()
        };
        self.unflushed = false;
        self.stalled_since = None;
    }

    /// Says that nothing more will be written.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    /// Reads and throws away; ready when the input has ended.
    pub(super) fn poll_discard_input(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut scratch = Vec::with_capacity(READ_BYTES);
        loop {
            scratch.clear();
            match ready!(pin!(self.stream.read_buf(&mut scratch)).poll(context)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }
}

/// What is to be written: whole chunks first, then the tail that small frames are gathered in.
#[derive(Debug, Default)]
struct Outbox {
    chunks: VecDeque<Bytes>,
    tail: Vec<u8>,
    tail_written: usize,
    queued: u64,
    written: u64,
}

impl Outbox {
    fn push_frame(&mut self, payload: Bytes) {
        if payload.len() < SHARED_BYTES_MIN {
            let before = self.tail.len();
            encode_frame(&payload, &mut self.tail);
            self.count(self.tail.len().saturating_sub(before));
            return;
        }
        self.tail.push(START_BLOCK);
        let mut tail = Bytes::from(std::mem::take(&mut self.tail));
        tail.advance(std::mem::take(&mut self.tail_written));
        self.chunks.push_back(tail);
        self.count(payload.len().saturating_add(3));
        self.chunks.push_back(payload);
        self.tail.extend_from_slice(&[END_BLOCK, CARRIAGE_RETURN]);
    }

    fn push_raw(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.count(bytes.len());
    }

    fn count(&mut self, bytes: usize) {
        self.queued = self.queued.saturating_add(bytes as u64);
    }

    fn waiting(&self) -> u64 {
        self.queued.saturating_sub(self.written)
    }

    fn front(&self) -> Option<&[u8]> {
        match self.chunks.front() {
            Some(chunk) => Some(chunk),
            None => self.tail.get(self.tail_written..).filter(|rest| !rest.is_empty()),
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes as u64);
        if let Some(chunk) = self.chunks.front_mut() {
            chunk.advance(bytes.min(chunk.len()));
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
            return;
        }
        self.tail_written = self.tail_written.saturating_add(bytes);
        if self.tail_written >= self.tail.len() {
            self.tail.clear();
            self.tail_written = 0;
            self.tail.shrink_to(TAIL_BYTES_KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    fn payload() -> impl Strategy<Value = usize> {
        prop_oneof![
            0..20usize,
            Just(SHARED_BYTES_MIN - 1),
            Just(SHARED_BYTES_MIN),
            Just(SHARED_BYTES_MIN + 1)
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_written_at_a_time_the_frames_are_the_same(
            sizes in proptest::collection::vec((payload(), any::<bool>()), 0..6),
            step in 1..100_000usize,
        ) {
            let mut outbox = Outbox::default();
            let (mut expected, mut written) = (Vec::new(), Vec::new());
            let take = |outbox: &mut Outbox, written: &mut Vec<u8>| {
                let Some(chunk) = outbox.front() else { return false };
                let part = chunk.get(..step).unwrap_or(chunk);
                written.extend_from_slice(part);
                let taken = part.len();
                outbox.advance(taken);
                true
            };
            for (number, (size, write_between)) in sizes.into_iter().enumerate() {
                let payload = Bytes::from(vec![number as u8 + b'a'; size]);
                encode_frame(&payload, &mut expected);
                outbox.push_frame(payload);
                if write_between {
                    take(&mut outbox, &mut written);
                }
                prop_assert_eq!(outbox.queued, expected.len() as u64);
            }
            while take(&mut outbox, &mut written) {}
            prop_assert_eq!(outbox.waiting(), 0);
            prop_assert_eq!(written, expected);
        }
    }
}
