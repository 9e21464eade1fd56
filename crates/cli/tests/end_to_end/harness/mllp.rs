//! A sender's connection, without any manners beyond MLLP.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pipehat_message::Acknowledgment;
use pipehat_message::mllp::{Decoder, Event, Limits, encode_frame};

use super::wait::{DEADLINE, until};

/// Large enough for everything tests send.
pub(crate) const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One connection to a source.
pub(crate) struct Link {
    stream: TcpStream,
    decoder: Decoder,
}

impl Link {
    /// Connects; gives up at once when nobody listens.
    pub(crate) fn try_open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream, decoder: Decoder::new(Limits::new(FRAME_BYTES_MAX)) })
    }

    /// Connects as soon as somebody listens.
    pub(crate) fn open(address: &str) -> Self {
        until("somebody listens", || Self::try_open(address).ok())
    }

    /// Sends messages in one write, without waiting for anything.
    pub(crate) fn send<'m>(
        &mut self,
        messages: impl IntoIterator<Item = &'m [u8]>,
    ) -> io::Result<()> {
        let mut frames = Vec::new();
        for message in messages {
            encode_frame(message, &mut frames);
        }
        self.stream.write_all(&frames)
    }

    /// Sends bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next reply; an error when the connection ends or nothing comes.
    pub(crate) fn receive(&mut self) -> io::Result<Reply> {
        loop {
            if let Some(event) = self.decoder.next() {
                match event {
                    Event::Frame(bytes) => return Ok(Reply(bytes)),
                    other => panic!("the reply is no frame: {other:?}"),
                }
            }
            let mut input = [0; 16 * 1024];
            let read = self.stream.read(&mut input)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.decoder.push(&input[..read]);
        }
    }

    /// Sends a message and waits for its reply.
    pub(crate) fn ask(&mut self, message: &[u8]) -> Reply {
        self.send([message]).expect("the message can be sent");
        self.receive().expect("there is a reply")
    }

    /// The next reply, if one comes within that time and the connection stays.
    pub(crate) fn receive_within(&mut self, time: Duration) -> Option<Reply> {
        self.stream.set_read_timeout(Some(time)).expect("a timeout can be set");
        let reply = self.receive();
        self.stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        match reply {
            Ok(reply) => Some(reply),
            Err(error) => {
                let kind = error.kind();
                let nothing = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&kind);
                assert!(nothing, "the connection ended: {error}");
                None
            }
        }
    }

    /// Whether nothing comes for so long.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        self.receive_within(time).is_none()
    }
}

/// An acknowledgment as it came.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reply(pub(crate) Vec<u8>);

impl Reply {
    fn read(&self) -> Acknowledgment<'_> {
        Acknowledgment::read(&self.0).expect("the reply is an acknowledgment")
    }

    /// MSA-1.
    pub(crate) fn code(&self) -> String {
        self.read().code().as_str().to_owned()
    }

    /// MSA-2.
    pub(crate) fn control_id(&self) -> String {
        String::from_utf8_lossy(self.read().control_id()).into_owned()
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.0).replace('\r', "\\r"))
    }
}
