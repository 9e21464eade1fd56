//! Masks file after file, message after message, in memory for one message.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use pipehat_message::{BatchError, BatchPartKind, BatchSplitter, Charset, CharsetRule};
use pipehat_testdata::mask::{MaskError, Masker};
use serde::Serialize;

use crate::exit::{Failure, OutputError};
use crate::input::{InputError, Source};
use crate::terminal::Terminal;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Messages left out that are told one by one.
const TOLD_MAX: u64 = 20;

/// How deep directories are searched for files.
const DEPTH_MAX: usize = 16;

/// What was done.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) files: u64,
    pub(super) messages: u64,
    pub(super) values: u64,
    pub(super) left_out: u64,
}

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot read the directory {}", path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} exists: name a directory without it", path.display())]
    Exists { path: PathBuf },
    #[error(
        "{} would be written to {}, as another file would: mask them into directories of their own",
        path.display(),
        target.display()
    )]
    SameName { path: PathBuf, target: PathBuf },
    #[error("{name} can't be cut into messages")]
    Cut {
        name: String,
        #[source]
        source: BatchError,
    },
    #[error("{name} is not in the character set {charset}")]
    Charset { name: String, charset: &'static str },
}

/// One run of the command.
pub(super) struct Job<'t> {
    masker: Masker,
    charset: CharsetRule,
    terminal: &'t Terminal,
    progress: ProgressBar,
    summary: Summary,
}

impl<'t> Job<'t> {
    pub(super) fn new(masker: Masker, charset: CharsetRule, terminal: &'t Terminal) -> Self {
        Self {
            masker,
            charset,
            terminal,
            progress: progress(terminal),
            summary: Summary::default(),
        }
    }

    /// What was done, and the allowances that met nothing.
    pub(super) fn finish(self) -> (Summary, Vec<usize>) {
        self.progress.finish_and_clear();
        let unused = if self.summary.messages == 0 {
            Vec::new()
        } else {
            self.masker.unused_allowances().collect()
        };
        (self.summary, unused)
    }

    /// Masks a file to standard output.
    pub(super) fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let mut output = BufWriter::new(io::stdout().lock());
        let written = |error| Failure::from(OutputError(error));
        self.one(&Source::from(path.to_owned()), &mut output, written)?;
        output.flush().map_err(|error| OutputError(error).into())
    }

    /// Masks files, and all files below directories, each under its own name; hidden ones are left out. Nothing is
    /// written before it is clear that all of them have a place.
    pub(super) fn files(&mut self, paths: &[PathBuf], into: &Path) -> Result<(), Failure> {
        let mut pairs = Vec::new();
        for path in paths {
            targets(path, into, 0, &mut pairs)?;
        }
        let mut taken = HashSet::new();
        for (path, target) in &pairs {
            if !taken.insert(target) {
                let (path, target) = (path.clone(), target.clone());
                return Err(Failure::usage(FileError::SameName { path, target }));
            }
            if target.exists() {
                return Err(Failure::could_not(FileError::Exists { path: target.clone() }));
            }
        }
        pairs.iter().try_for_each(|(path, target)| self.into(path, target))
    }

    fn into(&mut self, path: &Path, target: &Path) -> Result<(), Failure> {
        let failed =
            |source| Failure::could_not(FileError::Write { path: target.to_owned(), source });
        let into = target.parent().unwrap_or(Path::new("."));
        let name = target.file_name().unwrap_or_default();
        fs::create_dir_all(into).map_err(failed)?;
        // Under another name until it is whole, so that half a file is never taken for one.
        let unfinished = into.join(format!(".{}.{}.tmp", name.display(), std::process::id()));
        let file = File::create_new(&unfinished).map_err(failed)?;
        let mut output = BufWriter::with_capacity(CHUNK_BYTES, file);
        let result = self
            .one(&Source::from(path.to_owned()), &mut output, failed)
            .and_then(|()| output.flush().map_err(failed))
            .and_then(|()| fs::rename(&unfinished, target).map_err(failed));
        if result.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(&unfinished);
        }
        result
    }

    fn one(
        &mut self,
        source: &Source,
        output: &mut impl Write,
        failed: impl Fn(io::Error) -> Failure,
    ) -> Result<(), Failure> {
        self.summary.files += 1;
        let name = source.name();
        let mut input: Box<dyn Read> = match source {
            Source::StandardInput => Box::new(io::stdin().lock()),
            Source::File(path) => Box::new(File::open(path).map_err(|error| {
                Failure::from(InputError::Read { name: name.clone(), source: error })
            })?),
        };
        let unreadable = |source| Failure::from(InputError::Read { name: name.clone(), source });
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut splitter = BatchSplitter::default();
        let mut number = 0;
        let mut first = true;
        loop {
            let length = read_full(&mut input, &mut chunk).map_err(unreadable)?;
            let bytes = chunk.get(..length).unwrap_or_default();
            if first && let Some(wide) = self.wide(bytes) {
                let mut whole = bytes.to_vec();
                input.read_to_end(&mut whole).map_err(unreadable)?;
                return self.whole(&name, &whole, wide, output, failed);
            }
            first = false;
            if length == 0 {
                splitter.finish();
            } else {
                splitter.push(bytes);
            }
            loop {
                let part = splitter.next_part().map_err(|source| {
                    Failure::could_not(FileError::Cut { name: name.clone(), source })
                })?;
                let Some(part) = part else { break };
                let masked = self.part(&name, part.kind, part.bytes, &mut number);
                output.write_all(&masked).map_err(&failed)?;
            }
            if length == 0 {
                self.warn_without(&name, number);
                return Ok(());
            }
        }
    }

    fn warn_without(&self, name: &str, messages: u64) {
        if messages == 0 {
            self.progress.suspend(|| {
                let text = "holds no HL7 message; what it holds was masked as free text";
                self.terminal.warn(format_args!("{name} {text}"));
            });
        }
    }

    /// The character set in which a file has to be decoded before it is cut.
    fn wide(&self, start: &[u8]) -> Option<Charset> {
        match self.charset {
            CharsetRule::Override(charset) => Some(charset).filter(Charset::hides_delimiters),
            CharsetRule::Declared => Charset::detect_wide(start),
        }
    }

    /// A file that has to be decoded as a whole.
    fn whole(
        &mut self,
        name: &str,
        bytes: &[u8],
        charset: Charset,
        output: &mut impl Write,
        failed: impl Fn(io::Error) -> Failure,
    ) -> Result<(), Failure> {
        let text = charset.transcode(bytes).text;
        let mut splitter = BatchSplitter::default();
        splitter.push(text.as_bytes());
        splitter.finish();
        let (mut whole, mut number) = (Vec::new(), 0);
        while let Some(part) = splitter.next_part().map_err(|source| {
            Failure::could_not(FileError::Cut { name: name.to_owned(), source })
        })? {
            whole.extend_from_slice(&self.part(name, part.kind, part.bytes, &mut number));
        }
        let text = String::from_utf8_lossy(&whole);
        let encoded = charset.encode(&text).map_err(|_| {
            let charset = charset.name();
            Failure::could_not(FileError::Charset { name: name.to_owned(), charset })
        })?;
        output.write_all(&encoded).map_err(failed)
    }

    /// Masks one part; what can't be masked leaves nothing.
    fn part(&mut self, name: &str, kind: BatchPartKind, bytes: &[u8], number: &mut u64) -> Vec<u8> {
        let is_message = kind == BatchPartKind::Message;
        let result = if is_message {
            *number += 1;
            self.masker.mask(bytes)
        } else {
            self.masker.mask_envelope(bytes)
        };
        self.progress.inc(1);
        match result {
            Ok(result) => {
                self.summary.messages += u64::from(is_message);
                self.summary.values += result.changed as u64;
                result.bytes
            }
            Err(error) => {
                self.left_out(name, is_message.then_some(*number), &error);
                Vec::new()
            }
        }
    }

    fn left_out(&mut self, name: &str, number: Option<u64>, error: &MaskError) {
        self.summary.left_out += 1;
        let what = number.map_or_else(
            || "lines around the messages".to_owned(),
            |number| format!("message {number}"),
        );
        if self.summary.left_out <= TOLD_MAX {
            self.progress.suspend(|| {
                self.terminal.error(format_args!("{name}: {what} left out: {error}"));
            });
        } else if self.summary.left_out == TOLD_MAX + 1 {
            self.progress
                .suspend(|| self.terminal.error("more are left out; the end tells how many"));
        }
    }
}

/// Where each file goes; hidden ones are left out.
fn targets(
    path: &Path,
    into: &Path,
    depth: usize,
    pairs: &mut Vec<(PathBuf, PathBuf)>,
) -> Result<(), Failure> {
    if !path.is_dir() || depth >= DEPTH_MAX {
        let name = path.file_name().filter(|name| *name != "-");
        let name = name.unwrap_or("standard-input.hl7".as_ref());
        pairs.push((path.to_owned(), into.join(name)));
        return Ok(());
    }
    let unreadable =
        |source| Failure::could_not(FileError::Directory { path: path.to_owned(), source });
    let entries = fs::read_dir(path).map_err(unreadable)?;
    let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let is_directory = entry.path().is_dir();
        let below = if is_directory { into.join(name) } else { into.to_owned() };
        targets(&entry.path(), &below, depth + 1, pairs)?;
    }
    Ok(())
}

/// Fills the chunk as far as there is input.
fn read_full(input: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = chunk.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

fn progress(terminal: &Terminal) -> ProgressBar {
    if !terminal.shows_progress() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{spinner} {human_pos} messages  {per_sec}  {elapsed}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
