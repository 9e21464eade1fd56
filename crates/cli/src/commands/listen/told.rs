//! What is printed about what came.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use pipehat_message::CharsetRule;
use serde_json::json;

use super::answer::Answered;
use crate::terminal::{Terminal, Tone, visible};

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing at all.
    Nothing,
    /// A line for each message, and the totals.
    Lines,
    /// JSON: the address and the totals, and an object for each message or not.
    Json { each: bool },
}

/// One message that came.
pub(super) struct Message<'a> {
    pub(super) number: u64,
    pub(super) time: &'a str,
    pub(super) peer: SocketAddr,
    pub(super) answered: &'a Answered,
    /// Whether the answer was kept back.
    pub(super) dropped: bool,
    pub(super) bytes: &'a [u8],
    pub(super) saved: Option<PathBuf>,
}

/// The sums.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) connections: u64,
    /// Bytes that were in no frame, frames without an end.
    pub(super) oddities: u64,
    pub(super) elapsed: Duration,
}

/// Prints in whole lines, as many at once as came at once.
pub(super) struct Printer {
    told: Told,
    show: bool,
    terminal: Terminal,
    lines: String,
}

impl Printer {
    pub(super) fn new(told: Told, show: bool, terminal: Terminal) -> Self {
        Self { told, show, terminal, lines: String::new() }
    }

    /// Whether [`message`](Self::message) says anything.
    pub(super) fn tells_each(&self) -> bool {
        matches!(self.told, Told::Lines | Told::Json { each: true })
    }

    /// Says where peers can connect.
    pub(super) fn listening(&mut self, address: SocketAddr) -> io::Result<()> {
        match self.told {
            Told::Nothing => {}
            Told::Lines => self.terminal.note(format_args!("listening on {address}; Ctrl-C stops")),
            Told::Json { .. } => self.push(&json!({"listening": address.to_string()}).to_string()),
        }
        self.flush()
    }

    /// Takes one message; it is printed by [`flush`](Self::flush).
    pub(super) fn message(&mut self, message: &Message<'_>) {
        match self.told {
            Told::Nothing | Told::Json { each: false } => {}
            Told::Lines => self.line(message),
            Told::Json { each: true } => self.object(message),
        }
    }

    fn line(&mut self, message: &Message<'_>) {
        let Answered { message_type, control_id, code } = message.answered;
        let tone = if code.is_positive() { Tone::Good } else { Tone::Bad };
        let answer = if message.dropped {
            self.terminal.paint(Tone::Warning, "no answer")
        } else {
            self.terminal.paint(tone, code.as_str())
        };
        let line = format!(
            "{:>6}  {}  {}  {:<16}  {:<20}  {:>8} bytes  {answer}",
            message.number,
            message.time,
            message.peer,
            visible(message_type),
            visible(control_id),
            message.bytes.len(),
        );
        self.push(&line);
        if self.show {
            let text = text(message.bytes);
            for segment in text.split(['\r', '\n']).filter(|segment| !segment.is_empty()) {
                let segment = format!("        {}", visible(segment));
                self.push(&segment);
            }
        }
    }

    fn object(&mut self, message: &Message<'_>) {
        let Answered { message_type, control_id, code } = message.answered;
        let mut object = json!({
            "message": message.number,
            "time": message.time,
            "peer": message.peer.to_string(),
            "type": message_type,
            "control_id": control_id,
            "bytes": message.bytes.len(),
            "answer": (!message.dropped).then_some(code.as_str()),
        });
        if let Some(map) = object.as_object_mut() {
            if let Some(saved) = &message.saved {
                map.insert("saved".to_owned(), json!(saved.display().to_string()));
            }
            if self.show {
                map.insert("text".to_owned(), json!(text(message.bytes)));
            }
        }
        self.push(&object.to_string());
    }

    /// Says what came in all.
    pub(super) fn totals(&mut self, totals: &Totals) -> io::Result<()> {
        let Totals { messages, bytes, connections, oddities, elapsed } = totals;
        let seconds = elapsed.as_secs_f64();
        match self.told {
            Told::Nothing => {}
            Told::Lines => {
                let line = format!(
                    "{messages} message(s), {bytes} bytes, {connections} connection(s) in {seconds:.1} s"
                );
                self.push(&line);
                if *oddities > 0 {
                    self.push(&format!("{oddities} time(s) bytes came that are no MLLP frame"));
                }
            }
            Told::Json { .. } => {
                let totals = json!({
                    "messages": messages,
                    "bytes": bytes,
                    "connections": connections,
                    "oddities": oddities,
                    "seconds": (seconds * 1000.0).round() / 1000.0,
                });
                self.push(&totals.to_string());
            }
        }
        self.flush()
    }

    fn push(&mut self, line: &str) {
        self.lines.push_str(line);
        self.lines.push('\n');
    }

    /// Prints what was taken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut output = io::stdout().lock();
        let written = output.write_all(self.lines.as_bytes()).and_then(|()| output.flush());
        self.lines.clear();
        written
    }
}

/// A message as text, by its MSH-18.
fn text(message: &[u8]) -> String {
    CharsetRule::Declared.of_message(message).decode(message).text.into_owned()
}
