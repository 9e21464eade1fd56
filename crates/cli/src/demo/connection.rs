//! One MLLP connection of a simulated system: frames in and out.

use std::io;

use pipehat_message::mllp::{Decoder, Event, Limits, encode_frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No message of the demo comes near it.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    decoder: Decoder,
    frame: Vec<u8>,
}

impl Connection {
    /// The connection on this stream.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, decoder: Decoder::new(Limits::new(FRAME_BYTES_MAX)), frame: Vec::new() })
    }

    /// Sends one message.
    pub(super) async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        self.frame.clear();
        encode_frame(payload, &mut self.frame);
        self.stream.write_all(&self.frame).await
    }

    /// Waits for one message; none when the other side has closed. May be dropped and called
    /// again: what was read stays.
    pub(super) async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            for event in self.decoder.by_ref() {
                if let Event::Frame(payload) = event {
                    return Ok(Some(payload));
                }
            }
            let mut input = [0; 8 * 1024];
            let read = self.stream.read(&mut input).await?;
            if read == 0 {
                return Ok(None);
            }
            self.decoder.push(input.get(..read).unwrap_or_default());
        }
    }
}
