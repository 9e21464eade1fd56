//! What a script may ask of the outside.

use jiff::Timestamp;

/// The outside of a run. Its methods block: a worker has a thread of its own.
pub trait Host {
    /// The time.
    fn now(&mut self) -> Timestamp;

    /// Fills in random bytes.
    fn random(&mut self, bytes: &mut [u8]);

    /// Does or refuses what the script asks for. Recorded by the run; what is asked before it is answered is known to
    /// have been tried.
    fn ask(&mut self, ask: &Ask) -> Result<Answer, AskError>;

    /// Takes a line of the script's log (`console.log` and the like).
    fn log(&mut self, line: LogLine);
}

/// Something a script asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// `fetch`: an HTTP request to a host that was granted.
    Fetch { method: String, url: String, headers: Vec<(String, String)>, body: Vec<u8> },
    /// A request to the datastore in this process, as over HTTP: `path` is relative to the base (`Patient/1`, `Patient?name=…`, empty
    /// for a Bundle). Done with the bot's own identity and scopes.
    Datastore { method: String, path: String, headers: Vec<(String, String)>, body: Vec<u8> },
    /// A code table of the project: what `key` maps to.
    Table { table: String, key: String },
    /// Reads a value that the channel or bot keeps.
    StateGet { key: String },
    /// Keeps a value; none forgets it.
    StateSet { key: String, value: Option<String> },
    /// Sends to a destination of the channel, or to a channel by name.
    Send { destination: String, content_type: String, body: Vec<u8> },
    /// Sets the message aside with a reason.
    Park { reason: String },
    /// HL7 v2 to a FHIR Bundle, or a Bundle to HL7 v2 (`wanted`: `ADT^A03`, with a version).
    ToFhir { message: Vec<u8> },
    /// See [`Ask::ToFhir`].
    ToV2 { bundle: String, wanted: String, version: String },
    /// SFTP on a server that was granted by name: `list`, `get`, `put`, `rename`, `remove`.
    Sftp {
        server: String,
        operation: String,
        path: String,
        argument: Option<String>,
        body: Vec<u8>,
    },
    /// Runs another bot.
    ExecuteBot { bot: String, content_type: String, body: Vec<u8> },
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
