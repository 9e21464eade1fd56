//! How a run ends: the exit code and, when it did not go well, what to say about it.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

/// The exit codes of every command, as `pipehat --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done, and what was asked about is so.
    Ok = 0,
    /// It was done, and what was asked about is not so: a difference, a failed test, a negative acknowledgment.
    NotSo = 1,
    /// The command line asks for something that makes no sense.
    Usage = 2,
    /// It could not be done: a file, the network, input that is not what it should be.
    CouldNot = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command stopped before its end.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// The user has to write the command differently.
    pub(crate) fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit: Exit::Usage, error: error.into() }
    }

    /// The command was understood and could not be carried out.
    pub(crate) fn could_not(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit: Exit::CouldNot, error: error.into() }
    }

    /// The code to exit with.
    pub(crate) fn exit(&self) -> Exit {
        if self.is_closed_output() { Exit::Ok } else { self.exit }
    }

    /// The error itself, where it is one of these.
    pub(crate) fn cause<E: Error + 'static>(&self) -> Option<&E> {
        self.error.downcast_ref()
    }

    /// The error and its causes as one sentence; `None` where nobody is left to read it.
    pub(crate) fn message(&self) -> Option<String> {
        if self.is_closed_output() {
            return None;
        }
        let mut message = self.error.to_string();
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let _ = write!(message, ": {error}");
            cause = error.source();
        }
        Some(message)
    }

    /// Whether whoever read our output has gone, as `head` does when it has seen enough.
    fn is_closed_output(&self) -> bool {
        self.error
            .downcast_ref::<OutputError>()
            .is_some_and(|OutputError(error)| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Standard output took no more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(crate) struct OutputError(#[source] pub(crate) io::Error);

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        Self::could_not(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_its_causes_in_one_sentence() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let failure = Failure::from(OutputError(full));
        assert_eq!(
            failure.message().as_deref(),
            Some("cannot write to standard output: no storage space")
        );
        assert_eq!(failure.exit(), Exit::CouldNot);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::from(OutputError(io::ErrorKind::BrokenPipe.into()));
        assert_eq!((failure.exit(), failure.message()), (Exit::Ok, None));
    }
}
