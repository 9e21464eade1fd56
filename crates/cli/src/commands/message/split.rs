//! `pipehat message split`: a file of messages into files of one message.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pipehat_message::{BatchPartKind, Batches};

use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::output_file;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pipehat message split batch.hl7 --into messages/
  pipehat send localhost:2575 messages/

The files are called 00001.hl7, 00002.hl7 and so on, in the order of the messages, with the bytes as
they stand in the file. File and batch headers and trailers are left out; their counts are checked.
No file is ever overwritten.";

/// Cut a batch or a file of messages into files of one message each
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file; standard input if it is left out or `-`
    file: Option<PathBuf>,

    /// The directory for the messages; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum SplitError {
    #[error("cannot make the directory {}", path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{name} holds no HL7 message: no line begins with MSH")]
    NoMessage { name: String },
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let source = Source::from(self.file);
        let bytes = source.read()?;
        let parts: Vec<_> = Batches::new(&bytes).collect();
        let findings = parts.iter().flat_map(|part| &part.findings);
        let mut exit = Exit::Ok;
        for finding in findings {
            terminal.warn(format_args!("{}: {finding}", source.name()));
            exit = Exit::NotSo;
        }
        let messages: Vec<_> = parts
            .iter()
            .filter(|part| part.kind == BatchPartKind::Message)
            .map(|part| part.content())
            .collect();
        if messages.is_empty() {
            return Err(Failure::could_not(SplitError::NoMessage { name: source.name() }));
        }
        write_all(&self.into, &messages)?;
        terminal.write(|output| {
            writeln!(output, "{} message(s) written to {}", messages.len(), self.into.display())
        })?;
        Ok(exit)
    }
}

fn write_all(directory: &Path, messages: &[&[u8]]) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(|source| {
        Failure::could_not(SplitError::Directory { path: directory.to_owned(), source })
    })?;
    for (index, message) in messages.iter().enumerate() {
        let name = format!("{:05}.hl7", index.saturating_add(1));
        output_file::create(&directory.join(name), message)?;
    }
    Ok(())
}
