//! One SFTP session over a stream of bytes: asks, waits for the answers, and bounds what comes.
//!
//! A session does one thing at a time, with several reads or writes of it under way. Whoever drops one of its futures,
//! or gets an error that is not the server's plain refusal, must drop the session: answers may be due.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::packet::{
    self, Attributes, FileKind, Malformed, Named, OPEN_NEW, OPEN_READ, Reply, Request, STATUS_EOF,
    STATUS_FAILURE, STATUS_NO_SUCH_FILE, STATUS_OK, STATUS_OP_UNSUPPORTED,
    STATUS_PERMISSION_DENIED,
};
use super::path::{join, partial_name};
use super::{SftpError, path};

/// The largest packet of a server: OpenSSH's own limit (`SFTP_MAX_MSG_LENGTH`).
const PACKET_BYTES_MAX: u32 = 256 * 1024;

/// What is read or written at once: every server takes packets of 34,000 bytes (§3).
const CHUNK_BYTES: u32 = 32 * 1024;

/// Reads or writes that are under way at the same time: enough for a line of 30 ms to be full at 10 MB/s.
const AT_ONCE: usize = 10;

/// The longest name of a file; systems take 255 bytes.
const NAME_BYTES_MAX: usize = 1024;

/// The longest path that a server may resolve one to.
const RESOLVED_BYTES_MAX: usize = 32 * 1024;

/// One thing in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SftpEntry {
    /// Its name. What is no UTF-8 in it stands there as U+FFFD.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Its size in bytes, where the server tells.
    pub size: Option<u64>,
    /// When it was changed: seconds since 1970, where the server tells.
    pub modified: Option<u32>,
}

/// How much may come.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionLimits {
    /// How long the server may take for an answer.
    pub(super) timeout: Duration,
    pub(super) file_bytes_max: usize,
    pub(super) entries_max: usize,
}

/// A session.
pub(super) struct Session<S> {
    stream: S,
    limits: SessionLimits,
    next_id: u32,
    extensions: BTreeMap<Vec<u8>, Vec<u8>>,
    /// When the whole must be done.
    pub(super) deadline: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Greets the server.
    pub(super) async fn open(
        stream: S,
        limits: SessionLimits,
        deadline: Instant,
    ) -> Result<Self, SftpError> {
        let mut session =
            Self { stream, limits, next_id: 0, extensions: BTreeMap::new(), deadline };
        session.write(&packet::hello()).await?;
        let version = session.packet().await?;
        session.extensions = packet::decode_version(&version)
            .map_err(|Malformed| SftpError::Protocol("it does not speak version 3 of SFTP"))?;
        Ok(session)
    }

    /// A path without links and `..`, from the root of the server.
    pub(super) async fn real_path(&mut self, path: &[u8]) -> Result<Vec<u8>, SftpError> {
        match self.ask(Request::RealPath { path }).await? {
            Reply::Names(names) => match <[Named; 1]>::try_from(names) {
                Ok([one]) if one.name.first() == Some(&b'/') => {
                    if one.name.len() > RESOLVED_BYTES_MAX {
                        return Err(SftpError::Protocol("it resolves a path to one far too long"));
                    }
                    // What a path leads to is compared by names: none of them may lead back.
                    let leads_back = |name: &[u8]| matches!(name, b".." | b".");
                    if one.name.split(|byte| *byte == b'/').any(leads_back) {
                        return Err(SftpError::Protocol("it resolves a path to one with `..`"));
                    }
                    Ok(one.name)
                }
                _ => Err(SftpError::Protocol("it resolves a path to none from its root")),
            },
            other => Err(refusal(other)),
        }
    }

    /// What is in a folder, without itself and the one above.
    pub(super) async fn list(&mut self, folder: &[u8]) -> Result<Vec<SftpEntry>, SftpError> {
        let handle = self.handle(Request::OpenFolder { path: folder }).await?;
        let entries = self.read_folder(&handle).await;
        self.close_after(&handle, entries).await
    }

    async fn read_folder(&mut self, handle: &[u8]) -> Result<Vec<SftpEntry>, SftpError> {
        let mut entries = Vec::new();
        loop {
            match self.ask(Request::ReadFolder { handle }).await? {
                Reply::Status { code: STATUS_EOF, .. } => return Ok(entries),
                Reply::Names(names) if !names.is_empty() => {
                    for named in names {
                        if matches!(&*named.name, b"." | b"..") {
                            continue;
                        }
                        if entries.len() >= self.limits.entries_max {
                            return Err(SftpError::TooMany { limit: self.limits.entries_max });
                        }
                        entries.push(entry(&named)?);
                    }
                }
                Reply::Names(_) => {
                    return Err(SftpError::Protocol("it lists nothing, without an end"));
                }
                other => return Err(refusal(other)),
            }
        }
    }

    /// All of a file.
    pub(super) async fn get(&mut self, path: &[u8]) -> Result<Vec<u8>, SftpError> {
        let about = self.stat(Request::Stat { path }).await?;
        // To open a pipe would wait for whoever writes into it.
        if about.kind.is_some_and(|kind| kind != FileKind::File) {
            return Err(SftpError::NotAFile);
        }
        let limit = self.limits.file_bytes_max;
        if about.size.is_some_and(|size| usize::try_from(size).map_or(true, |size| size > limit)) {
            return Err(SftpError::TooLarge { limit });
        }
        let handle = self.handle(Request::Open { path, flags: OPEN_READ }).await?;
        let content = self.read_all(&handle).await;
        self.close_after(&handle, content).await
    }

    /// Closes what something was done with, unless the session is done for.
    async fn close_after<T>(
        &mut self,
        handle: &[u8],
        outcome: Result<T, SftpError>,
    ) -> Result<T, SftpError> {
        match outcome {
            Err(error) if !error.leaves_connection() => Err(error),
            outcome => {
                let closed = self.close(handle).await;
                outcome.and_then(|value| closed.map(|()| value))
            }
        }
    }

    async fn read_all(&mut self, handle: &[u8]) -> Result<Vec<u8>, SftpError> {
        let limit = self.limits.file_bytes_max;
        let mut content = Vec::new();
        // What is asked for and not yet answered, in the order of the file.
        let mut due: VecDeque<Due> = VecDeque::new();
        let mut next_offset = 0_u64;
        let mut at_end = false;
        loop {
            // One byte past the limit is asked for, so that a longer file is told from one that just fits.
            while !at_end
                && due.len() < AT_ONCE
                && usize::try_from(next_offset).is_ok_and(|offset| offset <= limit)
            {
                let id = self.send_read(handle, next_offset, CHUNK_BYTES).await?;
                due.push_back(Due { id, offset: next_offset, length: CHUNK_BYTES, reply: None });
                next_offset = next_offset.saturating_add(u64::from(CHUNK_BYTES));
            }
            let Some(first) = due.front_mut() else { break };
            let Some(reply) = first.reply.take() else {
                let (id, reply) = self.answer().await?;
                let waiting = due.iter_mut().find(|due| due.id == id && due.reply.is_none());
                let waiting =
                    waiting.ok_or(SftpError::Protocol("it answers what was not asked"))?;
                waiting.reply = Some(reply);
                continue;
            };
            let (offset, length) = (first.offset, first.length);
            due.pop_front();
            match reply {
                Reply::Data(_) if at_end => {
                    return Err(SftpError::Protocol("a file goes on behind its end"));
                }
                Reply::Data(data) => {
                    let got = u32::try_from(data.len()).unwrap_or(u32::MAX);
                    if got == 0 || got > length {
                        return Err(SftpError::Protocol("it reads another length than asked"));
                    }
                    if content.len().saturating_add(data.len()) > limit {
                        return Err(SftpError::TooLarge { limit });
                    }
                    content.extend_from_slice(&data);
                    if got < length {
                        // The server may read less than asked: the rest stands before all that follows.
                        let offset = offset.saturating_add(u64::from(got));
                        let length = length.saturating_sub(got);
                        let id = self.send_read(handle, offset, length).await?;
                        due.push_front(Due { id, offset, length, reply: None });
                    }
                }
                Reply::Status { code: STATUS_EOF, .. } => at_end = true,
                other => return Err(self.after(due, refusal(other)).await),
            }
        }
        Ok(content)
    }

    /// Takes the answers that are due, so that the session can be used on; gives back the error.
    async fn after(&mut self, due: VecDeque<Due>, error: SftpError) -> SftpError {
        for _ in due.iter().filter(|due| due.reply.is_none()) {
            if let Err(error) = self.answer().await {
                return error;
            }
        }
        error
    }

    async fn send_read(
        &mut self,
        handle: &[u8],
        offset: u64,
        length: u32,
    ) -> Result<u32, SftpError> {
        self.send(Request::Read { handle, offset, length }).await
    }

    /// Writes a file: beside its final name, synced where the server can, then renamed. A file of that name is replaced.
    pub(super) async fn put(
        &mut self,
        folder: &[u8],
        name: &str,
        token: [u8; 4],
        content: &[u8],
    ) -> Result<(), SftpError> {
        let (mut partial, mut target) = (folder.to_vec(), folder.to_vec());
        join(&mut partial, partial_name(name, token).as_bytes());
        join(&mut target, name.as_bytes());
        let handle = self.handle(Request::Open { path: &partial, flags: OPEN_NEW }).await?;
        let written = self.write_all(&handle, content).await;
        let done = match self.close_after(&handle, written).await {
            Ok(()) => self.rename_over(&partial, &target).await,
            Err(error) => Err(error),
        };
        match done {
            Err(error) if error.leaves_connection() => {
                // What is left of it is of no use to anybody. The first error is what counts.
                let removed = self.ask(Request::Remove { path: &partial }).await;
                removed.and(Err(error))
            }
            done => done,
        }
    }

    async fn write_all(&mut self, handle: &[u8], content: &[u8]) -> Result<(), SftpError> {
        let mut due = 0_usize;
        let mut failed = None;
        let mut offset = 0_u64;
        let chunk = usize::try_from(CHUNK_BYTES).unwrap_or(usize::MAX);
        for data in content.chunks(chunk) {
            if due >= AT_ONCE {
                failed = failed.or(self.status().await?.err());
                due = due.saturating_sub(1);
            }
            if failed.is_some() {
                break;
            }
            self.send(Request::Write { handle, offset, data }).await?;
            due = due.saturating_add(1);
            offset = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        }
        for _ in 0..due {
            failed = failed.or(self.status().await?.err());
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if self.offers(packet::SYNC) {
            match self.ask(Request::Sync { handle }).await? {
                // It offers what the file system can't.
                Reply::Status { code: STATUS_OK | STATUS_OP_UNSUPPORTED, .. } => {}
                other => return Err(refusal(other)),
            }
        }
        let kept = match self.ask(Request::HandleStat { handle }).await? {
            Reply::Attributes(Attributes { size: Some(size), .. }) => size,
            // Who does not tell is taken at its word.
            _ => return Ok(()),
        };
        let sent = u64::try_from(content.len()).unwrap_or(u64::MAX);
        if kept == sent { Ok(()) } else { Err(SftpError::Incomplete { kept, sent }) }
    }

    /// The status of one of the requests that are due; the outer error is the session's.
    async fn status(&mut self) -> Result<Result<(), SftpError>, SftpError> {
        let (_, reply) = self.answer().await?;
        Ok(done(reply))
    }

    /// Renames, in place of what may stand there.
    async fn rename_over(&mut self, from: &[u8], to: &[u8]) -> Result<(), SftpError> {
        if self.offers(packet::RENAME_OVER) {
            match self.ask(Request::RenameOver { from, to }).await? {
                Reply::Status { code: STATUS_OP_UNSUPPORTED, .. } => {}
                other => return done(other),
            }
        }
        // §6.5: a rename fails where the new name is taken.
        match self.rename(from, to).await {
            Err(SftpError::Exists) => {
                done(self.ask(Request::Remove { path: to }).await?)?;
                self.rename(from, to).await
            }
            other => other,
        }
    }

    /// Renames to a name that is free.
    pub(super) async fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), SftpError> {
        match self.ask(Request::Rename { from, to }).await? {
            // Version 3 has no code for a name that is taken.
            Reply::Status { code: STATUS_FAILURE, told } => {
                match self.ask(Request::LinkStat { path: to }).await? {
                    Reply::Attributes(_) => Err(SftpError::Exists),
                    _ => Err(SftpError::Failed { code: STATUS_FAILURE, told }),
                }
            }
            other => done(other),
        }
    }

    /// Removes a file; of a link, the link.
    pub(super) async fn remove(&mut self, path: &[u8]) -> Result<(), SftpError> {
        done(self.ask(Request::Remove { path }).await?)
    }

    async fn stat(&mut self, request: Request<'_>) -> Result<Attributes, SftpError> {
        match self.ask(request).await? {
            Reply::Attributes(attributes) => Ok(attributes),
            other => Err(refusal(other)),
        }
    }

    async fn handle(&mut self, request: Request<'_>) -> Result<Vec<u8>, SftpError> {
        match self.ask(request).await? {
            Reply::Handle(handle) => Ok(handle),
            other => Err(refusal(other)),
        }
    }

    async fn close(&mut self, handle: &[u8]) -> Result<(), SftpError> {
        done(self.ask(Request::Close { handle }).await?)
    }

    fn offers(&self, extension: &str) -> bool {
        self.extensions.contains_key(extension.as_bytes())
    }

    async fn ask(&mut self, request: Request<'_>) -> Result<Reply, SftpError> {
        let asked = self.send(request).await?;
        let (id, reply) = self.answer().await?;
        if id != asked {
            return Err(SftpError::Protocol("it answers what was not asked"));
        }
        Ok(reply)
    }

    async fn send(&mut self, request: Request<'_>) -> Result<u32, SftpError> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.write(&request.encode(id)).await?;
        Ok(id)
    }

    async fn write(&mut self, packet: &[u8]) -> Result<(), SftpError> {
        let writing = async {
            self.stream.write_all(packet).await?;
            self.stream.flush().await
        };
        let until = until(self.limits.timeout, self.deadline);
        let written = timeout_at(until, writing).await.map_err(|_| SftpError::TimedOut)?;
        written.map_err(|_| SftpError::Disconnected)
    }

    async fn answer(&mut self) -> Result<(u32, Reply), SftpError> {
        let packet = self.packet().await?;
        packet::decode(&packet)
            .map_err(|Malformed| SftpError::Protocol("a packet of it can't be read"))
    }

    async fn packet(&mut self) -> Result<Vec<u8>, SftpError> {
        let until = until(self.limits.timeout, self.deadline);
        let stream = &mut self.stream;
        let reading = async {
            let broken = |_| SftpError::Disconnected;
            let length = stream.read_u32().await.map_err(broken)?;
            if length > PACKET_BYTES_MAX {
                return Err(SftpError::Protocol("it sends a packet of more than 256 KiB"));
            }
            let mut packet = vec![0; usize::try_from(length).unwrap_or_default()];
            stream.read_exact(&mut packet).await.map_err(broken)?;
            Ok(packet)
        };
        timeout_at(until, reading).await.map_err(|_| SftpError::TimedOut)?
    }
}

/// A read that is under way.
struct Due {
    id: u32,
    offset: u64,
    length: u32,
    reply: Option<Reply>,
}

fn until(timeout: Duration, deadline: Instant) -> Instant {
    Instant::now().checked_add(timeout).map_or(deadline, |until| until.min(deadline))
}

fn entry(named: &Named) -> Result<SftpEntry, SftpError> {
    let Named { name, attributes } = named;
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(SftpError::Protocol("it lists a name that is empty or far too long"));
    }
    if name.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(SftpError::Protocol("it lists a name that is a path"));
    }
    Ok(SftpEntry {
        name: String::from_utf8_lossy(name).into_owned(),
        kind: attributes.kind.unwrap_or_default(),
        size: attributes.size,
        modified: attributes.modified,
    })
}

fn done(reply: Reply) -> Result<(), SftpError> {
    match reply {
        Reply::Status { code: STATUS_OK, .. } => Ok(()),
        other => Err(refusal(other)),
    }
}

/// What an answer means that is not what was asked for.
fn refusal(reply: Reply) -> SftpError {
    match reply {
        Reply::Status { code: STATUS_NO_SUCH_FILE, .. } => SftpError::NotFound,
        Reply::Status { code: STATUS_PERMISSION_DENIED, .. } => SftpError::NotPermitted,
        Reply::Status { code: STATUS_OK | STATUS_EOF, .. } => {
            SftpError::Protocol("it says that all is well, and gives no answer")
        }
        Reply::Status { code, told } => SftpError::Failed { code, told },
        Reply::Handle(_) | Reply::Data(_) | Reply::Names(_) | Reply::Attributes(_) => {
            SftpError::Protocol("it answers with something else than asked")
        }
    }
}

/// Makes sure that what a path leads to is in a directory.
pub(super) fn within(resolved: Vec<u8>, directory: &[u8]) -> Result<Vec<u8>, SftpError> {
    if path::is_within(&resolved, directory) {
        return Ok(resolved);
    }
    Err(SftpError::Path("a link leads out of the server's `directory`"))
}
