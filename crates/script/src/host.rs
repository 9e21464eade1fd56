//! What a script may ask of the outside.

use std::time::Duration;

use jiff::Timestamp;

/// The outside of a run. Its methods block: a worker has a thread of its own.
pub trait Host {
    /// The time. It is asked for once, and again after each thing that takes time outside: while a script computes, its
    /// clock stands still.
    fn now(&mut self) -> Timestamp;

    /// Fills in random bytes.
    fn random(&mut self, bytes: &mut [u8]);

    /// Does or refuses what the script asks for. The run records it.
    ///
    /// It must come back within `remaining`, with [`AskError::TimedOut`] if need be: nothing can take the thread from
    /// it. The run ends when its time is over, whatever is answered then.
    fn ask(&mut self, ask: &Ask, remaining: Duration) -> Result<Answer, AskError>;

    /// Begins what the script asks for and need not wait for: its timers go on, and it may ask for more. What the host
    /// leaves open is answered by [`next_answer`](Self::next_answer), under this number.
    fn begin(&mut self, number: u32, ask: &Ask, remaining: Duration) -> Begun {
        let _ = number;
        Begun::Answered(self.ask(ask, remaining))
    }

    /// Waits for the next answer to what is open, with its number; none once `most` has passed, and not before.
    fn next_answer(&mut self, most: Duration) -> Option<(u32, Result<Answer, AskError>)> {
        self.wait(most);
        None
    }

    /// Nothing waits for what is open under this number any more.
    fn give_up(&mut self, number: u32) {
        let _ = number;
    }

    /// Waits for a timer of the script.
    fn wait(&mut self, duration: Duration) {
        std::thread::sleep(duration);
    }

    /// Takes a line of the script's log (`console.log` and the like).
    fn log(&mut self, line: LogLine);
}

/// How far an ask is.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// It is done, or refused.
    Answered(Result<Answer, AskError>),
    /// It is on its way.
    Open,
}

/// Something a script asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// `fetch`: an HTTP request to a host that was granted.
    Fetch {
        /// `GET`, `POST` …
        method: String,
        /// The whole URL.
        url: String,
        /// The headers, names in lower case.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// A request to the datastore in this process, as over HTTP. Done with the bot's own identity and scopes.
    Datastore {
        /// `GET`, `POST` …
        method: String,
        /// Relative to the base: `Patient/1`, `Patient?name=…`, empty for a Bundle.
        path: String,
        /// The headers, names in lower case.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// A code table of the project: what `key` maps to.
    Table {
        /// Its name.
        table: String,
        /// The code.
        key: String,
    },
    /// Reads a value that the channel or bot keeps.
    StateGet {
        /// Its name.
        key: String,
    },
    /// Keeps a value.
    StateSet {
        /// Its name.
        key: String,
        /// The value; none forgets it.
        value: Option<String>,
    },
    /// Sends to a destination of the channel, or to a channel by name.
    Send {
        /// Its name.
        destination: String,
        /// What the body is.
        content_type: String,
        /// What is sent.
        body: Vec<u8>,
    },
    /// Sets the message aside.
    Park {
        /// Why.
        reason: String,
    },
    /// HL7 v2 to a FHIR Bundle.
    ToFhir {
        /// The message as text: whatever its MSH-18 says, it is decoded.
        message: String,
    },
    /// A FHIR Bundle to HL7 v2.
    ToV2 {
        /// The Bundle, as JSON.
        bundle: String,
        /// What is wanted: `ADT^A03`.
        wanted: String,
        /// The version of HL7: `2.5.1`.
        version: String,
    },
    /// SFTP on a server that was granted by name.
    Sftp {
        /// The server's name.
        server: String,
        /// `list`, `get`, `put`, `rename`, `remove`; `renameWhenSent`, `removeWhenSent` once the run has succeeded and what
        /// it sent is kept.
        operation: String,
        /// The file or folder.
        path: String,
        /// The new path of a renamed file.
        argument: Option<String>,
        /// The content for `put`.
        body: Vec<u8>,
    },
    /// Runs another bot.
    ExecuteBot {
        /// Its id.
        bot: String,
        /// What the body is.
        content_type: String,
        /// Its input.
        body: Vec<u8>,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The HTTP status, where there is one; else 200 (404 where a table or the state has nothing).
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body: bytes, text or JSON as the request has it.
    pub body: Vec<u8>,
}

/// Why it was not done. The script sees an `Error` with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It was not granted: what to write into the configuration is told.
    #[error("{0}")]
    Refused(String),
    /// It was tried and failed; another try may succeed.
    #[error("{0}")]
    Failed(String),
    /// It took longer than the run may last.
    #[error("no answer in time")]
    TimedOut,
    /// The script gave it up, or ended without waiting for it: whether it was done is not known. No script sees this.
    #[error("given up before the answer came")]
    GivenUp,
}

/// How loud a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `console.debug`.
    Debug,
    /// `console.log` and `console.info`.
    Info,
    /// `console.warn`.
    Warn,
    /// `console.error`.
    Error,
}

/// A line of a script's log. It may hold patient data: it is kept with the run, and never in the program's own log.
#[derive(Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How loud.
    pub level: LogLevel,
    /// When.
    pub at: Timestamp,
    /// What was said.
    pub text: String,
}
