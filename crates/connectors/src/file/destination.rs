//! The file destination: each message becomes a file, or is added to one, and is never seen half written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use jiff::Zoned;

use super::appended::{self, Delivery};
use super::codes;
use super::disk::{self, Mode};
use super::template::NameTemplate;
use crate::segment_end::SegmentEnd;
use crate::{Attempt, Destination, Health, Outbound, Parallel, Problem};

/// How many names are tried for one message before it is given up for now.
const NAMES_MAX: u32 = 1_000;

/// Files that were being written when we died are removed after this long.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is done when a file of that name is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnExisting {
    /// A number is put behind the name.
    Suffix,
    /// The other file is replaced.
    Replace,
    /// The message is parked.
    Park,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One message.
    One(OnExisting),
    /// All messages for which the template makes the same name.
    Append,
}

/// How files are written.
#[derive(Debug, Clone)]
pub(super) struct DestinationOptions {
    pub(super) folder: PathBuf,
    pub(super) name: NameTemplate,
    pub(super) layout: Layout,
    pub(super) segment_end: SegmentEnd,
    pub(super) mode: Mode,
}

/// A folder that is written to.
pub(super) struct FileDestination {
    writer: Arc<Writer>,
}

impl FileDestination {
    /// A destination with these options. Nothing is touched before the first delivery.
    pub(super) fn new(options: DestinationOptions, health: Arc<Health>) -> io::Result<Self> {
        let writer =
            Writer { options, health, instance: disk::random_name()?, turn: Mutex::new(Swept::No) };
        Ok(Self { writer: Arc::new(writer) })
    }
}

impl Destination for FileDestination {
    fn parallel(&self) -> Parallel {
        Parallel { connections: 1, window: 1 }
    }

    fn deliver(&self, outbound: Outbound) -> BoxFuture<'static, Attempt> {
        let writer = self.writer.clone();
        async move {
            let writing =
                tokio::task::spawn_blocking(move || writer.deliver(&outbound, &Zoned::now()));
            match writing.await {
                Ok(attempt) => attempt,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.writer.health.stopped();
        async {}.boxed()
    }
}

/// Whether what an earlier run left behind was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Swept {
    Yes,
    No,
}

struct Writer {
    options: DestinationOptions,
    health: Arc<Health>,
    /// Keeps our unfinished files apart from those of another engine that writes to the same folder.
    instance: String,
    /// One delivery at a time, since two may want the same name; the first sweeps.
    turn: Mutex<Swept>,
}

/// Why a file is not there.
#[derive(Debug)]
enum WriteError {
    /// It certainly is not.
    NotWritten(io::Error),
    /// It may be.
    NotConfirmed(io::Error),
    /// Something else has its name.
    NameTaken,
}

impl Writer {
    fn deliver(&self, outbound: &Outbound, now: &Zoned) -> Attempt {
        let name = match self.options.name.name(outbound, now) {
            Ok(name) => name,
            Err(error) => {
                let (code, detail) = (codes::NAME_TEMPLATE.code, error.to_string());
                self.health.problem(Problem { code, detail: detail.clone() });
                return Attempt::Impossible { code, detail };
            }
        };
        let content = self.options.segment_end.apply(&outbound.bytes);
        let mut swept = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if *swept == Swept::No {
            // It is only tidiness: a failure shows itself in writing.
            let _ = sweep(&self.options.folder);
            *swept = Swept::Yes;
        }
        let folder = self.options.folder.as_path();
        let written = match self.options.layout {
            Layout::One(on_existing) => self.write(&name, &content, outbound, on_existing),
            Layout::Append => {
                let content = self.options.segment_end.terminated(content.clone());
                let delivery = Delivery { message: outbound.message, ordinal: outbound.ordinal };
                // The next append cuts off what a failed one left: nothing of it counts as written.
                appended::append(folder, &name, &content, delivery, self.options.mode)
                    .map(|_| ())
                    .map_err(WriteError::NotWritten)
            }
        };
        drop(swept);
        let folder = folder.display();
        let (code, attempt): (_, fn(_, _) -> Attempt) = match &written {
            Ok(()) => {
                self.health.up();
                self.health.sent(content.len());
                return Attempt::Delivered { reply: None };
            }
            Err(WriteError::NotWritten(_)) => {
                (codes::WRITE_FAILED.code, |code, detail| Attempt::NotSent { code, detail })
            }
            Err(WriteError::NotConfirmed(_)) => (codes::SYNC_FAILED.code, |code, detail| {
                Attempt::Interrupted { code, detail, reply: None }
            }),
            Err(WriteError::NameTaken) => {
                (codes::NAME_TAKEN.code, |code, detail| Attempt::Impossible { code, detail })
            }
        };
        let detail = match &written {
            Err(WriteError::NotWritten(error)) => {
                format!("writing to {folder} failed: {}", disk::reason(error))
            }
            Err(WriteError::NotConfirmed(error)) => {
                format!("a file written to {folder} was not confirmed: {}", disk::reason(error))
            }
            Err(WriteError::NameTaken) | Ok(()) => {
                format!("{folder} has a file of that name already")
            }
        };
        let problem = Problem { code, detail: detail.clone() };
        match written {
            Err(WriteError::NameTaken) => self.health.problem(problem),
            _ => self.health.down(problem),
        }
        attempt(code, detail)
    }

    /// Writes under a name of its own, syncs, and renames: whoever looks sees the whole file or none.
    fn write(
        &self,
        name: &str,
        content: &Bytes,
        outbound: &Outbound,
        on_existing: OnExisting,
    ) -> Result<(), WriteError> {
        let folder = self.options.folder.as_path();
        let may_be_repeated = self.options.name.names_the_delivery() || outbound.attempt > 1;
        if may_be_repeated && self.is_there(name, content)? {
            return sync_folder(folder);
        }
        if on_existing == OnExisting::Park && exists(&folder.join(name))? {
            return Err(WriteError::NameTaken);
        }
        let Outbound { channel, message, ordinal, .. } = outbound;
        let unfinished = format!(".{channel}-{message}-{ordinal}-{}.pipehat", self.instance);
        let unfinished = folder.join(unfinished);
        let written = write_synced(&unfinished, content, self.options.mode)
            .map_err(WriteError::NotWritten)
            .and_then(|()| give_name(&unfinished, folder, name, on_existing));
        if written.is_err() {
            // Often it is not there, or can't be removed for the same reason.
            let _ = fs::remove_file(&unfinished);
        }
        written?;
        sync_folder(folder)
    }

    /// Whether this delivery was made before, and only its record was lost: the same bytes under its name, or under
    /// the numbered one it got then.
    fn is_there(&self, name: &str, content: &Bytes) -> Result<bool, WriteError> {
        for attempt in 1..=NAMES_MAX {
            let name = disk::nth_name(name.as_ref(), attempt).map_err(WriteError::NotWritten)?;
            match fs::symlink_metadata(self.options.folder.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(WriteError::NotWritten(error)),
                Ok(found) if !found.is_file() || found.len() != content.len() as u64 => {}
                Ok(_) => {
                    let there = fs::read(self.options.folder.join(&name));
                    if there.is_ok_and(|there| there == *content) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

fn exists(path: &Path) -> Result<bool, WriteError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(WriteError::NotWritten(error)),
    }
}

fn write_synced(path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let mut options = File::options();
    options.create(true).truncate(true).write(true);
    let mut file = mode.of_new_files(&mut options).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn give_name(
    unfinished: &Path,
    folder: &Path,
    name: &str,
    on_existing: OnExisting,
) -> Result<(), WriteError> {
    if on_existing == OnExisting::Replace {
        return fs::rename(unfinished, folder.join(name)).map_err(WriteError::NotWritten);
    }
    for attempt in 1..=NAMES_MAX {
        let name = disk::nth_name(name.as_ref(), attempt).map_err(WriteError::NotWritten)?;
        match disk::rename_new(unfinished, &folder.join(name)) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(WriteError::NotWritten(error));
            }
            Err(_) if on_existing == OnExisting::Park => return Err(WriteError::NameTaken),
            Err(_) => {}
        }
    }
    Err(WriteError::NotWritten(io::Error::from(io::ErrorKind::AlreadyExists)))
}

fn sync_folder(folder: &Path) -> Result<(), WriteError> {
    disk::sync_folder(folder).map_err(WriteError::NotConfirmed)
}

/// Removes unfinished files of runs that died. Young ones may be another engine's, at work.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !is_unfinished(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let modified = entry.metadata()?.modified()?;
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        if age > LEFTOVER_AGE {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// `.channel-message-ordinal-instance.pipehat`; the memory of an appended file ends the same way and is kept.
fn is_unfinished(name: &str) -> bool {
    let Some(inner) = name.strip_prefix('.').and_then(|name| name.strip_suffix(".pipehat")) else {
        return false;
    };
    let mut parts = inner.rsplit('-');
    let instance = parts.next().unwrap_or_default();
    let is_number = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    instance.len() == 16
        && instance.bytes().all(|byte| byte.is_ascii_hexdigit())
        && is_number(parts.next())
        && is_number(parts.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unfinished_files_are_swept() {
        assert!(is_unfinished(".adt-out-4711-1-0123456789abcdef.pipehat"));
        for kept in [
            ".day-4711-1.hl7.pipehat",
            "adt-4711-1-0123456789abcdef.pipehat",
            ".adt-x-1-0123456789abcdef.pipehat",
            ".0123456789abcdef.pipehat",
        ] {
            assert!(!is_unfinished(kept), "{kept}");
        }
    }
}
