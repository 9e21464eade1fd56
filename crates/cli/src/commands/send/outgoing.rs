//! The messages to send: read from files, batches cut, ready to be framed.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pipehat_message::{BatchPartKind, Batches, Header, Message, mllp};

use crate::exit::Failure;
use crate::input::{INPUT_BYTES_MAX, InputError, Source};

/// The most bytes of all messages together: they stay in memory while they are sent.
const OUTGOING_BYTES_MAX: usize = INPUT_BYTES_MAX as usize;
/// How deep directories are searched for files.
const DEPTH_MAX: usize = 16;

/// Why there is nothing to send.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutgoingError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("cannot read the directory {}", path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is nested deeper than {DEPTH_MAX} directories", path.display())]
    TooDeep { path: PathBuf },
    #[error("{name} holds no HL7 message: no line begins with MSH")]
    NoMessage { name: String },
    #[error("there is no file in {}", path.display())]
    NoFile { path: PathBuf },
    #[error("the messages have more than {OUTGOING_BYTES_MAX} bytes together: send them in parts")]
    TooMuch,
    #[error(
        "message {number} of {name} gets no control id of its own, since its header cannot be read: leave out --fresh-control-ids"
    )]
    HeaderUnreadable { name: String, number: usize },
    #[error(
        "message {number} of {name} holds a byte that ends an MLLP frame (FS or VT) and cannot be sent"
    )]
    NotFrameable { name: String, number: usize },
}

impl From<OutgoingError> for Failure {
    fn from(error: OutgoingError) -> Self {
        Self::could_not(error)
    }
}

/// How messages are changed before they are sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Treatment {
    /// Whether each gets a control id of its own; then it must have a place for one.
    pub(super) fresh_control_ids: bool,
    /// Whether LF and CRLF become CR.
    pub(super) to_cr: bool,
}

/// One message.
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// Where MSH-10 stands; empty where there is none.
    control_id: Range<usize>,
}

impl Outgoing {
    fn of(bytes: &[u8], treatment: Treatment) -> Option<Self> {
        let mut bytes = if treatment.to_cr { with_cr(bytes) } else { bytes.to_vec() };
        let mut control_id = control_id(&bytes);
        if treatment.fresh_control_ids && control_id.is_none() {
            let mut message = Message::parse(&bytes).ok()?;
            message.set_raw(&"MSH-10".parse().ok()?, b"0").ok()?;
            bytes = message.into_bytes().into_owned();
            control_id = self::control_id(&bytes);
        }
        let control_id = control_id.or((!treatment.fresh_control_ids).then_some(Range::default()));
        Some(Self { bytes, control_id: control_id? })
    }

    /// A message that was made for this.
    pub(super) fn made(bytes: Vec<u8>) -> Self {
        let control_id = control_id(&bytes).unwrap_or_default();
        Self { bytes, control_id }
    }

    /// MSH-10, or nothing.
    pub(super) fn control_id(&self) -> &[u8] {
        self.bytes.get(self.control_id.clone()).unwrap_or_default()
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends its frame, with this control id in the place of its own if there is one.
    pub(super) fn frame(&self, fresh: Option<&[u8]>, output: &mut Vec<u8>) {
        let Some(fresh) = fresh else { return mllp::encode_frame(&self.bytes, output) };
        let Range { start, end } = self.control_id;
        output.reserve(self.bytes.len().saturating_add(fresh.len()).saturating_add(3));
        output.push(mllp::START_BLOCK);
        output.extend_from_slice(self.bytes.get(..start).unwrap_or_default());
        output.extend_from_slice(fresh);
        output.extend_from_slice(self.bytes.get(end..).unwrap_or_default());
        output.extend_from_slice(&[mllp::END_BLOCK, mllp::CARRIAGE_RETURN]);
    }
}

/// Where MSH-10 stands, if the header can be read and holds one.
fn control_id(bytes: &[u8]) -> Option<Range<usize>> {
    let header = Header::read(bytes).ok()?;
    let control_id = Some(header.control_id()).filter(|control_id| !control_id.is_empty())?;
    // It is a view into `bytes`.
    let start = control_id.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
    Some(start..start.saturating_add(control_id.len()))
}

fn with_cr(bytes: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(bytes.len());
    let mut before = 0;
    for &byte in bytes {
        match byte {
            b'\n' if before == b'\r' => {}
            b'\n' => output.push(b'\r'),
            byte => output.push(byte),
        }
        before = byte;
    }
    output
}

/// All messages to send.
pub(super) struct Load {
    pub(super) messages: Vec<Outgoing>,
    /// Whether some end their segments with LF, which strict receivers refuse.
    pub(super) has_lf: bool,
}

/// Reads the messages of files, of all files below directories, and of standard input for `-`.
pub(super) fn load(files: &[PathBuf], treatment: Treatment) -> Result<Load, OutgoingError> {
    let mut load = Load { messages: Vec::new(), has_lf: false };
    let mut bytes_left = OUTGOING_BYTES_MAX;
    for file in files {
        for source in sources(file)? {
            let bytes = source.read()?;
            bytes_left = bytes_left.checked_sub(bytes.len()).ok_or(OutgoingError::TooMuch)?;
            add(&source.name(), &bytes, treatment, &mut load)?;
        }
    }
    Ok(load)
}

fn add(
    name: &str,
    bytes: &[u8],
    treatment: Treatment,
    load: &mut Load,
) -> Result<(), OutgoingError> {
    let name = || name.to_owned();
    let parts = Batches::new(bytes).filter(|part| part.kind == BatchPartKind::Message);
    let mut count = 0;
    for (part, number) in parts.zip(1..) {
        let content = part.content();
        if !mllp::is_frameable(content) {
            return Err(OutgoingError::NotFrameable { name: name(), number });
        }
        load.has_lf |= content.contains(&b'\n') && !treatment.to_cr;
        let outgoing = Outgoing::of(content, treatment);
        let unreadable = || OutgoingError::HeaderUnreadable { name: name(), number };
        load.messages.push(outgoing.ok_or_else(unreadable)?);
        count = number;
    }
    if count == 0 { Err(OutgoingError::NoMessage { name: name() }) } else { Ok(()) }
}

/// A file itself, or the files below a directory in the order of their names; hidden ones are left out.
fn sources(file: &Path) -> Result<Vec<Source>, OutgoingError> {
    if !file.is_dir() {
        return Ok(vec![Source::from(file.to_owned())]);
    }
    let mut sources = Vec::new();
    collect(file, 1, &mut sources)?;
    if sources.is_empty() {
        return Err(OutgoingError::NoFile { path: file.to_owned() });
    }
    Ok(sources)
}

fn collect(directory: &Path, depth: usize, sources: &mut Vec<Source>) -> Result<(), OutgoingError> {
    if depth > DEPTH_MAX {
        return Err(OutgoingError::TooDeep { path: directory.to_owned() });
    }
    let unreadable = |source| OutgoingError::Directory { path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).map_err(unreadable)?;
    let entries = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    paths.retain(|path| {
        !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    });
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, depth.saturating_add(1), sources)?;
        } else {
            sources.push(Source::File(path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Treatment = Treatment { fresh_control_ids: false, to_cr: false };
    const FRESH: Treatment = Treatment { fresh_control_ids: true, to_cr: false };

    fn framed(bytes: &[u8], treatment: Treatment, fresh: Option<&[u8]>) -> Vec<u8> {
        let mut output = Vec::new();
        Outgoing::of(bytes, treatment).expect("a header").frame(fresh, &mut output);
        output
    }

    #[test]
    fn a_fresh_control_id_replaces_its_own_bytes_only() {
        let message = b"MSH|^~\\&|A||||||ADT|OLD|P|2.3\rPID|1\r";
        assert_eq!(framed(message, PLAIN, None), [b"\x0b", &message[..], b"\x1c\r"].concat());
        assert_eq!(
            framed(message, FRESH, Some(b"NEW1")),
            b"\x0bMSH|^~\\&|A||||||ADT|NEW1|P|2.3\rPID|1\r\x1c\r"
        );
    }

    #[test]
    fn a_missing_control_id_gets_its_place() {
        for (header, expected) in [
            ("MSH|^~\\&|A\r", "MSH|^~\\&|A|||||||N\r"),
            ("MSH|^~\\&|A||||||ADT||P\r", "MSH|^~\\&|A||||||ADT|N|P\r"),
        ] {
            let framed = framed(header.as_bytes(), FRESH, Some(b"N"));
            assert_eq!(framed, format!("\u{b}{expected}\u{1c}\r").as_bytes());
        }
        let plain = Outgoing::of(b"MSH|^~\\&|A\r", PLAIN).expect("a message");
        assert_eq!(plain.control_id(), b"");
    }

    #[test]
    fn line_ends_become_cr_where_asked() {
        assert_eq!(with_cr(b"MSH|\nPID|\r\nEVN|\r\r\n"), b"MSH|\rPID|\rEVN|\r\r");
    }

    #[test]
    fn directories_are_read_in_the_order_of_names() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let message = |id: &str| format!("MSH|^~\\&|A||||||ADT|{id}\r");
        write("b.hl7", &message("3"));
        write("a/z.hl7", &format!("BHS|^~\\&\r{}{}BTS|2\r", message("1"), message("2")));
        write(".hidden", "not HL7");
        let load = load(&[directory.path().to_owned()], PLAIN).unwrap();
        let ids: Vec<_> = load.messages.iter().map(Outgoing::control_id).collect();
        assert_eq!(ids, [b"1", b"2", b"3"]);
    }

    #[test]
    fn what_would_end_a_frame_is_refused() {
        let mut load = Load { messages: Vec::new(), has_lf: false };
        let result = add("a.hl7", b"MSH|^~\\&|A\x1cB\r", PLAIN, &mut load);
        assert!(matches!(result, Err(OutgoingError::NotFrameable { number: 1, .. })));
    }
}
