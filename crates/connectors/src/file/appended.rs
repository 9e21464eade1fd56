//! Files that grow by whole messages, with a memory of how far they are whole.
//!
//! Beside `NAME` lies `.NAME.pipehat`, which says how many bytes are whole and which delivery was the last. A message
//! is appended and synced, then the new length is written there, also synced, and only then is the delivery done. What
//! stands behind the length when the file is opened again is a piece of a message: it is cut off, and the message is
//! delivered again. A delivery that is repeated although it is the last one there is not appended twice.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::disk::{self, Identity, Mode};

/// Which delivery it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) message: u64,
    pub(super) ordinal: u16,
}

/// How a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Whole {
    bytes: u64,
    file: u64,
    last: Option<Delivery>,
}

/// What appending came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    /// It stands at the end of the file.
    New,
    /// It stood there already.
    Before,
}

/// Appends a message, which ends with a segment end, to the file `name` in `folder`.
///
/// # Errors
/// As the file system says. The file may then end in a piece of the message; the next call cuts it off.
pub(super) fn append(
    folder: &Path,
    name: &str,
    content: &[u8],
    delivery: Delivery,
    mode: Mode,
) -> io::Result<Appended> {
    let memory = folder.join(format!(".{name}.pipehat"));
    let path = folder.join(name);
    let mut options = File::options();
    options.create(true).append(true);
    let mut file = mode.of_new_files(&mut options).open(&path)?;
    // Another engine may add to the same file: it reads the memory only when ours is written. It gives way when `file` is
    // closed. Shares that know no locks are for one engine.
    let _ = file.lock();
    let metadata = file.metadata()?;
    let identity = Identity::of(&metadata).number;
    let whole = match read(&memory)? {
        // Ours, and at least as long as we know it to be whole.
        Some(whole) if whole.file == identity && whole.bytes <= metadata.len() => whole,
        // New, or put there by somebody else: what is in it is theirs, and whole. That is noted before anything is
        // added, so that a first message that breaks off is known for what it is.
        _ => {
            let whole = Whole { bytes: metadata.len(), file: identity, last: None };
            write(folder, &memory, whole)?;
            whole
        }
    };
    if metadata.len() > whole.bytes {
        file.set_len(whole.bytes)?;
    }
    if whole.last == Some(delivery) && ends_with(&path, whole.bytes, content)? {
        return Ok(Appended::Before);
    }
    file.write_all(content)?;
    file.sync_data()?;
    let bytes = whole.bytes.saturating_add(content.len() as u64);
    write(folder, &memory, Whole { bytes, last: Some(delivery), ..whole })?;
    Ok(Appended::New)
}

/// Whether the first `bytes` of a file end with this content. Numbers of deliveries start again in a new installation; then
/// the same number stands for another message.
fn ends_with(path: &Path, bytes: u64, content: &[u8]) -> io::Result<bool> {
    let Some(start) = bytes.checked_sub(content.len() as u64) else { return Ok(false) };
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut there = vec![0; content.len()];
    file.read_exact(&mut there)?;
    Ok(there == content)
}

/// Replaces the memory at one stroke.
fn write(folder: &Path, memory: &Path, whole: Whole) -> io::Result<()> {
    let Whole { bytes, file, last } = whole;
    let last = match last {
        Some(Delivery { message, ordinal }) => format!("{message} {ordinal}"),
        None => "- -".to_owned(),
    };
    let fresh = with_suffix(memory, "-new");
    let mut written = File::create(&fresh)?;
    written.write_all(format!("1 {bytes} {file} {last}\n").as_bytes())?;
    written.sync_all()?;
    fs::rename(&fresh, memory)?;
    disk::sync_folder(folder)
}

fn read(memory: &Path) -> io::Result<Option<Whole>> {
    let text = match fs::read_to_string(memory) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let ["1", bytes, file, message, ordinal] = fields.as_slice() else {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    };
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
    let last = match (message.parse(), ordinal.parse()) {
        (Ok(message), Ok(ordinal)) => Some(Delivery { message, ordinal }),
        _ => None,
    };
    let bytes = bytes.parse().map_err(invalid)?;
    let file = file.parse().map_err(invalid)?;
    Ok(Some(Whole { bytes, file, last }))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(message: u64) -> Delivery {
        Delivery { message, ordinal: 1 }
    }

    fn add(folder: &Path, content: &str, message: u64) -> io::Result<Appended> {
        let mode = Mode::parse("640").expect("a mode");
        append(folder, "day.hl7", content.as_bytes(), delivery(message), mode)
    }

    fn content(folder: &Path) -> io::Result<String> {
        fs::read_to_string(folder.join("day.hl7"))
    }

    #[test]
    fn messages_stand_one_after_another_and_none_twice() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        assert_eq!(add(folder, "MSH|1\r", 1)?, Appended::New);
        assert_eq!(add(folder, "MSH|2\r", 2)?, Appended::New);
        assert_eq!(add(folder, "MSH|2\r", 2)?, Appended::Before);
        assert_eq!(content(folder)?, "MSH|1\rMSH|2\r");
        // Another message under that number, of a newer installation.
        assert_eq!(add(folder, "MSH|3\r", 2)?, Appended::New);
        assert_eq!(content(folder)?, "MSH|1\rMSH|2\rMSH|3\r");
        Ok(())
    }

    /// Dying at any byte of the appended message leaves, after the next delivery, whole messages only.
    #[test]
    fn a_message_that_broke_off_is_cut_away() -> io::Result<()> {
        for survived in 0.."MSH|2\r".len() + 1 {
            let folder = tempfile::tempdir()?;
            let folder = folder.path();
            add(folder, "MSH|1\r", 1)?;
            let piece = "MSH|2\r".get(..survived).unwrap_or_default();
            File::options()
                .append(true)
                .open(folder.join("day.hl7"))?
                .write_all(piece.as_bytes())?;
            add(folder, "MSH|2\r", 2)?;
            assert_eq!(content(folder)?, "MSH|1\rMSH|2\r", "{survived} bytes survived");
        }
        Ok(())
    }

    /// The very first message too: the length is noted before it.
    #[test]
    fn a_first_message_that_broke_off_is_cut_away() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        fs::write(folder.join("day.hl7"), "")?;
        let file = Identity::of(&fs::metadata(folder.join("day.hl7"))?).number;
        let none = Whole { bytes: 0, file, last: None };
        write(folder, &folder.join(".day.hl7.pipehat"), none)?;
        fs::write(folder.join("day.hl7"), "MS")?;
        add(folder, "MSH|1\r", 1)?;
        assert_eq!(content(folder)?, "MSH|1\r");
        Ok(())
    }

    #[test]
    fn what_somebody_else_wrote_stays() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        fs::write(folder.join("day.hl7"), "theirs\r")?;
        add(folder, "MSH|1\r", 1)?;
        assert_eq!(content(folder)?, "theirs\rMSH|1\r");
        // Fetched by the consumer: a new file begins, and the same delivery is not thought to be in it.
        fs::rename(folder.join("day.hl7"), folder.join("fetched"))?;
        fs::write(folder.join("day.hl7"), "theirs, and longer than before\r")?;
        assert_eq!(add(folder, "MSH|1\r", 1)?, Appended::New);
        assert_eq!(content(folder)?, "theirs, and longer than before\rMSH|1\r");
        Ok(())
    }

    #[test]
    fn several_writers_take_turns() -> io::Result<()> {
        const MESSAGES: u64 = 25;
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        std::thread::scope(|scope| {
            let write = |writer: u64| {
                move || {
                    (0..MESSAGES).all(|number| add(folder, "MSH|12345|\r", writer + number).is_ok())
                }
            };
            let writers = [scope.spawn(write(1_000)), scope.spawn(write(2_000))];
            assert!(writers.into_iter().all(|writer| writer.join().is_ok_and(|written| written)));
        });
        assert_eq!(content(folder)?.matches("MSH|12345|\r").count(), 2 * MESSAGES as usize);
        Ok(())
    }

    #[test]
    fn a_damaged_memory_is_an_error_and_changes_nothing() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        add(folder, "MSH|1\r", 1)?;
        fs::write(folder.join(".day.hl7.pipehat"), "1 x y - -\n")?;
        assert!(add(folder, "MSH|2\r", 2).is_err());
        assert_eq!(content(folder)?, "MSH|1\r");
        Ok(())
    }
}
