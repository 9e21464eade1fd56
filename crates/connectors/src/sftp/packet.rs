//! The packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), as bytes and as values.
//!
//! Decoding never allocates more than what came, and never trusts a count.

use std::collections::BTreeMap;

const INIT: u8 = 1;
const VERSION: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const LSTAT: u8 = 7;
const FSTAT: u8 = 8;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const REMOVE: u8 = 13;
const REALPATH: u8 = 16;
const STAT: u8 = 17;
const RENAME: u8 = 18;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED: u8 = 200;

/// The version that is spoken.
const SFTP_VERSION: u32 = 3;

/// §6.3: how a file is opened.
pub(super) const OPEN_READ: u32 = 0x01;
/// For a new file: write, create, and fail where it is there.
pub(super) const OPEN_NEW: u32 = 0x02 | 0x08 | 0x20;

/// §7: the codes of a status.
pub(super) const STATUS_OK: u32 = 0;
pub(super) const STATUS_EOF: u32 = 1;
pub(super) const STATUS_NO_SUCH_FILE: u32 = 2;
pub(super) const STATUS_PERMISSION_DENIED: u32 = 3;
pub(super) const STATUS_FAILURE: u32 = 4;
pub(super) const STATUS_OP_UNSUPPORTED: u32 = 8;

/// The longest handle (§6.2).
const HANDLE_BYTES_MAX: usize = 256;

/// What is asked of a server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'r> {
    Open {
        path: &'r [u8],
        flags: u32,
    },
    Close {
        handle: &'r [u8],
    },
    Read {
        handle: &'r [u8],
        offset: u64,
        length: u32,
    },
    Write {
        handle: &'r [u8],
        offset: u64,
        data: &'r [u8],
    },
    /// Of the link itself.
    LinkStat {
        path: &'r [u8],
    },
    HandleStat {
        handle: &'r [u8],
    },
    Stat {
        path: &'r [u8],
    },
    OpenFolder {
        path: &'r [u8],
    },
    ReadFolder {
        handle: &'r [u8],
    },
    Remove {
        path: &'r [u8],
    },
    RealPath {
        path: &'r [u8],
    },
    Rename {
        from: &'r [u8],
        to: &'r [u8],
    },
    /// `posix-rename@openssh.com`
    RenameOver {
        from: &'r [u8],
        to: &'r [u8],
    },
    /// `fsync@openssh.com`
    Sync {
        handle: &'r [u8],
    },
}

pub(super) const RENAME_OVER: &str = "posix-rename@openssh.com";
pub(super) const SYNC: &str = "fsync@openssh.com";

/// The packet that a session begins with, with its length before it.
pub(super) fn hello() -> Vec<u8> {
    let mut packet = Packet::new(INIT);
    packet.number(SFTP_VERSION);
    packet.finish()
}

impl Request<'_> {
    /// The packet with its length before it.
    pub(super) fn encode(&self, id: u32) -> Vec<u8> {
        let mut packet = Packet::new(self.kind());
        packet.number(id);
        match *self {
            Self::Open { path, flags } => {
                packet.string(path);
                packet.number(flags);
                // No attributes: the server's defaults.
                packet.number(0);
            }
            Self::Close { handle } | Self::HandleStat { handle } | Self::ReadFolder { handle } => {
                packet.string(handle)
            }
            Self::Read { handle, offset, length } => {
                packet.string(handle);
                packet.long(offset);
                packet.number(length);
            }
            Self::Write { handle, offset, data } => {
                packet.string(handle);
                packet.long(offset);
                packet.string(data);
            }
            Self::LinkStat { path }
            | Self::Stat { path }
            | Self::OpenFolder { path }
            | Self::Remove { path }
            | Self::RealPath { path } => packet.string(path),
            Self::Rename { from, to } => {
                packet.string(from);
                packet.string(to);
            }
            Self::RenameOver { from, to } => {
                packet.string(RENAME_OVER.as_bytes());
                packet.string(from);
                packet.string(to);
            }
            Self::Sync { handle } => {
                packet.string(SYNC.as_bytes());
                packet.string(handle);
            }
        }
        packet.finish()
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Open { .. } => OPEN,
            Self::Close { .. } => CLOSE,
            Self::Read { .. } => READ,
            Self::Write { .. } => WRITE,
            Self::LinkStat { .. } => LSTAT,
            Self::HandleStat { .. } => FSTAT,
            Self::Stat { .. } => STAT,
            Self::OpenFolder { .. } => OPENDIR,
            Self::ReadFolder { .. } => READDIR,
            Self::Remove { .. } => REMOVE,
            Self::RealPath { .. } => REALPATH,
            Self::Rename { .. } => RENAME,
            Self::RenameOver { .. } | Self::Sync { .. } => EXTENDED,
        }
    }
}

/// A packet that is written. Its parts are ours and far below 4 GiB.
struct Packet(Vec<u8>);

impl Packet {
    fn new(kind: u8) -> Self {
        Self(vec![0, 0, 0, 0, kind])
    }

    fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn long(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn string(&mut self, bytes: &[u8]) {
        self.number(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(bytes);
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len().saturating_sub(4)).unwrap_or(u32::MAX);
        if let Some(place) = self.0.get_mut(..4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        self.0
    }
}

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status { code: u32, told: String },
    Handle(Vec<u8>),
    Data(Vec<u8>),
    Names(Vec<Named>),
    Attributes(Attributes),
}

/// One of the names of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: Vec<u8>,
    pub(super) attributes: Attributes,
}

/// What stands somewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link to something else.
    Link,
    /// A device, a pipe; or the server does not tell.
    #[default]
    Other,
}

impl FileKind {
    /// Its name for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::Link => "link",
            Self::Other => "other",
        }
    }
}

/// What a server tells of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) size: Option<u64>,
    /// Seconds since 1970.
    pub(super) modified: Option<u32>,
    /// None where the server does not tell.
    pub(super) kind: Option<FileKind>,
}

/// A packet that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The extensions that a server offers, of its first packet.
pub(super) fn decode_version(packet: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Malformed> {
    let mut bytes = Bytes(packet);
    if bytes.byte()? != VERSION || bytes.number()? < SFTP_VERSION {
        return Err(Malformed);
    }
    let mut extensions = BTreeMap::new();
    while !bytes.0.is_empty() {
        let name = bytes.string()?;
        extensions.insert(name.to_vec(), bytes.string()?.to_vec());
    }
    Ok(extensions)
}

/// An answer, and the request that it is for.
pub(super) fn decode(packet: &[u8]) -> Result<(u32, Reply), Malformed> {
    let mut bytes = Bytes(packet);
    let (kind, id) = (bytes.byte()?, bytes.number()?);
    let reply = match kind {
        STATUS => {
            let code = bytes.number()?;
            // Old servers leave the words out.
            let told = bytes.string().map(told).unwrap_or_default();
            Reply::Status { code, told }
        }
        HANDLE => {
            let handle = bytes.string()?;
            if handle.len() > HANDLE_BYTES_MAX {
                return Err(Malformed);
            }
            Reply::Handle(handle.to_vec())
        }
        DATA => Reply::Data(bytes.string()?.to_vec()),
        NAME => {
            let count = bytes.number()?;
            let mut names = Vec::new();
            for _ in 0..count {
                let name = bytes.string()?.to_vec();
                let long = bytes.string()?;
                let mut attributes = attributes(&mut bytes)?;
                attributes.kind = attributes.kind.or_else(|| kind_of_listing(long));
                names.push(Named { name, attributes });
            }
            Reply::Names(names)
        }
        ATTRS => Reply::Attributes(attributes(&mut bytes)?),
        _ => return Err(Malformed),
    };
    Ok((id, reply))
}

/// §5: file attributes.
fn attributes(bytes: &mut Bytes<'_>) -> Result<Attributes, Malformed> {
    const SIZE: u32 = 0x1;
    const OWNER: u32 = 0x2;
    const PERMISSIONS: u32 = 0x4;
    const TIMES: u32 = 0x8;
    const EXTENDED_ATTRIBUTES: u32 = 0x8000_0000;
    let flags = bytes.number()?;
    let mut attributes = Attributes::default();
    if flags & SIZE != 0 {
        attributes.size = Some(bytes.long()?);
    }
    if flags & OWNER != 0 {
        let _ = (bytes.number()?, bytes.number()?);
    }
    if flags & PERMISSIONS != 0 {
        attributes.kind = kind_of_mode(bytes.number()?);
    }
    if flags & TIMES != 0 {
        let _ = bytes.number()?;
        attributes.modified = Some(bytes.number()?);
    }
    if flags & EXTENDED_ATTRIBUTES != 0 {
        for _ in 0..bytes.number()? {
            let _ = (bytes.string()?, bytes.string()?);
        }
    }
    Ok(attributes)
}

/// The kind by the mode, as POSIX has it; none where the server leaves it out.
fn kind_of_mode(mode: u32) -> Option<FileKind> {
    match mode & 0o170_000 {
        0o100_000 => Some(FileKind::File),
        0o040_000 => Some(FileKind::Folder),
        0o120_000 => Some(FileKind::Link),
        0 => None,
        _ => Some(FileKind::Other),
    }
}

/// The kind by a line as `ls -l` writes it, which servers send that tell no mode.
fn kind_of_listing(line: &[u8]) -> Option<FileKind> {
    match line.first()? {
        b'-' => Some(FileKind::File),
        b'd' => Some(FileKind::Folder),
        b'l' => Some(FileKind::Link),
        _ => None,
    }
}

/// A server's words: a line, and not a long one.
fn told(bytes: &[u8]) -> String {
    const TOLD_CHARACTERS_MAX: usize = 200;
    let text = String::from_utf8_lossy(bytes);
    let printable = text.chars().map(|one| if one.is_control() { ' ' } else { one });
    printable.take(TOLD_CHARACTERS_MAX).collect::<String>().trim().to_owned()
}

/// Bytes that are read from the front.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1)?.first().copied().ok_or(Malformed)
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?.try_into().map_err(|_| Malformed)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn long(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?.try_into().map_err(|_| Malformed)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn string(&mut self) -> Result<&'b [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_written_as_the_draft_says() {
        assert_eq!(hello(), [0, 0, 0, 5, 1, 0, 0, 0, 3]);
        let open = Request::Open { path: b"/a", flags: OPEN_READ }.encode(7);
        let expected: [&[u8]; 5] =
            [&[0, 0, 0, 19, 3, 0, 0, 0, 7], &[0, 0, 0, 2], b"/a", &[0, 0, 0, 1], &[0, 0, 0, 0]];
        assert_eq!(open, expected.concat());
        let sync = Request::Sync { handle: b"h" }.encode(1);
        let expected: [&[u8]; 4] = [
            &[0, 0, 0, 31, 200, 0, 0, 0, 1, 0, 0, 0, 17],
            b"fsync@openssh.com",
            &[0, 0, 0, 1],
            b"h",
        ];
        assert_eq!(sync, expected.concat());
    }

    #[test]
    fn a_count_that_lies_takes_no_memory() {
        let names = [&[NAME, 0, 0, 0, 1][..], &[0xFF; 4]].concat();
        assert_eq!(decode(&names), Err(Malformed));
        let data = [&[DATA, 0, 0, 0, 1][..], &[0xFF, 0xFF, 0xFF, 0xFF, 1]].concat();
        assert_eq!(decode(&data), Err(Malformed));
    }

    #[test]
    fn a_kind_comes_from_the_mode_or_the_line() {
        let mut named = vec![NAME, 0, 0, 0, 1, 0, 0, 0, 1];
        for part in [&b"a"[..], b"drwxr-xr-x 2 lab lab 0 a"] {
            named.extend_from_slice(&u32::try_from(part.len()).expect("short").to_be_bytes());
            named.extend_from_slice(part);
        }
        named.extend_from_slice(&[0; 4]);
        let expected = Attributes { kind: Some(FileKind::Folder), ..Attributes::default() };
        let named = decode(&named).expect("it is whole");
        let one = Named { name: b"a".to_vec(), attributes: expected };
        assert_eq!(named, (1, Reply::Names(vec![one])));
        assert_eq!(kind_of_mode(0o100_644), Some(FileKind::File));
        assert_eq!(kind_of_mode(0o010_644), Some(FileKind::Other));
        assert_eq!(kind_of_mode(0o644), None);
    }

    #[test]
    fn the_words_of_a_server_are_a_short_line() {
        let mut status = vec![STATUS, 0, 0, 0, 9, 0, 0, 0, 4];
        let words = format!("no\nspace{}", "!".repeat(1000));
        status.extend_from_slice(&u32::try_from(words.len()).expect("short").to_be_bytes());
        status.extend_from_slice(words.as_bytes());
        let Ok((9, Reply::Status { code: STATUS_FAILURE, told })) = decode(&status) else {
            panic!("it is a status");
        };
        assert!(told.starts_with("no space!") && told.len() == 200, "{told}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = decode_version(&bytes);
        }
    }
}
