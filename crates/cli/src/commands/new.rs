//! `pipehat new`: a project directory to start from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::exit::{Exit, Failure};
use crate::output_file;
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  pipehat new lab-interface
  pipehat new archive --example intake

The directory has a README.md with the next three commands, one channel, its code tables, and test
cases. It must not exist yet, or be empty.";

/// Make a project directory to start from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The directory to make
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// What to start from: relay (receive, change, send on), intake (receive and keep), strict (send on in strict order)
    #[arg(long, value_name = "EXAMPLE", default_value = "relay", hide_possible_values = true)]
    example: Example,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Example {
    /// Receive, change some fields, send on; order by patient
    Relay,
    /// Receive and keep
    Intake,
    /// Receive and send on unchanged in strict order
    Strict,
}

/// A file's place in the project, and what it holds.
type File = (&'static str, &'static str);

macro_rules! template {
    ($example:literal, $path:literal) => {
        ($path, include_str!(concat!("../../templates/", $example, "/", $path)))
    };
}

/// What every project has.
const COMMON: &[File] = &[
    template!("common", "pipehat.yaml"),
    // Packaging leaves out files that git ignores, and with them one of this name.
    (".gitignore", include_str!("../../templates/common/gitignore")),
];

const RELAY: &[File] = &[
    template!("relay", "README.md"),
    template!("relay", "channels/relay.yaml"),
    template!("relay", "tables/gender.csv"),
    template!("relay", "tests/relay/admission/in.hl7"),
    template!("relay", "tests/relay/admission/out.receiver.hl7"),
    template!("relay", "tests/relay/filtered/in.hl7"),
    template!("relay", "tests/relay/filtered/ended.txt"),
];

const INTAKE: &[File] = &[
    template!("intake", "README.md"),
    template!("intake", "channels/intake.yaml"),
    template!("intake", "tests/intake/admission/in.hl7"),
    template!("intake", "tests/intake/admission/ended.txt"),
];

const STRICT: &[File] = &[
    template!("strict", "README.md"),
    template!("strict", "channels/strict.yaml"),
    template!("strict", "tests/strict/update/in.hl7"),
    template!("strict", "tests/strict/update/out.receiver.hl7"),
];

#[derive(Debug, thiserror::Error)]
enum NewError {
    #[error("{} is not empty: name a directory that does not exist yet", directory.display())]
    NotEmpty { directory: PathBuf },
    #[error("cannot make {}", directory.display())]
    Directory {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Example {
    fn files(self) -> impl Iterator<Item = &'static File> {
        let own = match self {
            Self::Relay => RELAY,
            Self::Intake => INTAKE,
            Self::Strict => STRICT,
        };
        COMMON.iter().chain(own)
    }
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let directory = &self.directory;
        make_empty(directory).map_err(Failure::could_not)?;
        for (path, text) in self.example.files() {
            let path = directory.join(path);
            let folder = path.parent().unwrap_or(directory);
            fs::create_dir_all(folder).map_err(|source| {
                Failure::could_not(NewError::Directory { directory: folder.to_owned(), source })
            })?;
            output_file::create(&path, text.as_bytes())?;
        }
        if terminal.is_quiet() {
            return Ok(Exit::Ok);
        }
        let shown = directory.display();
        terminal.write(|output| {
            writeln!(
                output,
                "{}",
                terminal.paint(Tone::Strong, format_args!("{shown} is ready."))
            )?;
            writeln!(output, "\nNext:")?;
            for (command, what) in [
                (format!("cd {shown}"), ""),
                ("pipehat check".to_owned(), "points at mistakes in the files"),
                ("pipehat test".to_owned(), "runs the examples in tests/"),
                ("pipehat up".to_owned(), "runs the channel"),
            ] {
                writeln!(output, "{}", format!("  {command:<16}  {what}").trim_end())?;
            }
            Ok(())
        })?;
        Ok(Exit::Ok)
    }
}

/// Makes the directory; one that is there and empty will do.
fn make_empty(directory: &Path) -> Result<(), NewError> {
    let failed = |source| NewError::Directory { directory: directory.to_owned(), source };
    fs::create_dir_all(directory).map_err(failed)?;
    match fs::read_dir(directory).map_err(failed)?.next() {
        None => Ok(()),
        Some(_) => Err(NewError::NotEmpty { directory: directory.to_owned() }),
    }
}
