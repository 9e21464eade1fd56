//! An SFTP server in memory, with faults to choose from.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(super) const OPEN: u8 = 3;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const READDIR: u8 = 12;
pub(super) const REALPATH: u8 = 16;

/// What is wrong with the server.
#[derive(Debug, Clone, Default)]
pub(super) enum Fault {
    #[default]
    None,
    /// Offers no extensions.
    Plain,
    /// Lists these names.
    Lists(Vec<Vec<u8>>),
    /// Lists names without an end.
    ListsForEver,
    /// Lists nothing, without an end.
    ListsNothing,
    /// Every file goes on without an end; its size is not told.
    EndlessFiles,
    /// Reads at most seven bytes.
    ShortReads,
    /// Does not answer to such a request.
    HangsOn(u8),
    /// Hangs up at the request of such a kind, counted from 1.
    HangsUpOn(u8, usize),
    /// Sends the head of a packet of 4 GiB in answer.
    HugePacket,
    /// Keeps only the first bytes of what is written.
    KeepsLess,
    /// Answers for another request.
    WrongId,
    /// Resolves every path but the directory to this.
    ResolvesTo(&'static str),
    /// Refuses to write.
    Full,
}

/// The server's files.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) files: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(super) fault: Mutex<Fault>,
    asked: Mutex<BTreeMap<u8, usize>>,
    /// How many sessions there were.
    pub(super) sessions: AtomicUsize,
}

impl Fake {
    pub(super) fn with(fault: Fault) -> Arc<Self> {
        Arc::new(Self { fault: Mutex::new(fault), ..Self::default() })
    }

    pub(super) fn put(&self, path: &str, content: &[u8]) {
        self.files.lock().expect("no panic").insert(path.to_owned(), content.to_vec());
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.files.lock().expect("no panic").keys().cloned().collect()
    }

    fn fault(&self) -> Fault {
        self.fault.lock().expect("no panic").clone()
    }

    /// Serves one session, until the client or a fault ends it.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self: Arc<Self>, mut stream: S) {
        self.sessions.fetch_add(1, Ordering::SeqCst);
        let _ = self.session(&mut stream).await;
        let _ = stream.shutdown().await;
    }

    async fn session<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
    ) -> std::io::Result<()> {
        let _hello = packet(stream).await?;
        let mut version = vec![2, 0, 0, 0, 3];
        if !matches!(self.fault(), Fault::Plain) {
            for part in ["posix-rename@openssh.com", "1", "fsync@openssh.com", "1"] {
                string(&mut version, part.as_bytes());
            }
        }
        send(stream, &version).await?;
        let mut listed = false;
        loop {
            let request = packet(stream).await?;
            let kind = request[0];
            let count = {
                let mut asked = self.asked.lock().expect("no panic");
                let count = asked.entry(kind).or_default();
                *count += 1;
                *count
            };
            match self.fault() {
                Fault::HangsOn(one) if one == kind => std::future::pending().await,
                Fault::HangsUpOn(one, nth) if one == kind && nth == count => return Ok(()),
                Fault::HugePacket => {
                    stream.write_all(&[0xFF, 0xFF, 0xFF, 0xFF, 103]).await?;
                    std::future::pending().await
                }
                _ => {}
            }
            let reply = self.reply(&request, &mut listed);
            send(stream, &reply).await?;
        }
    }

    fn reply(&self, request: &[u8], listed: &mut bool) -> Vec<u8> {
        let kind = request[0];
        let mut id: [u8; 4] = request[1..5].try_into().expect("an id");
        let fault = self.fault();
        if matches!(fault, Fault::WrongId) {
            id[0] ^= 0xFF;
        }
        let mut rest = &request[5..];
        let first = if kind == 200 { take(&mut rest) } else { String::new() };
        let path = take(&mut rest);
        let status = |code: u32| {
            let mut reply = [&[101][..], &id, &code.to_be_bytes()].concat();
            string(&mut reply, b"in the server's words");
            string(&mut reply, b"en");
            reply
        };
        let mut files = self.files.lock().expect("no panic");
        match (kind, &*first) {
            (OPEN, _) => {
                let is_new = rest[3] & 0x08 != 0;
                if is_new && files.contains_key(&path) {
                    return status(4);
                }
                if is_new {
                    files.insert(path.clone(), Vec::new());
                } else if !files.contains_key(&path) {
                    return status(2);
                }
                handle(id, &path)
            }
            (4, _) => status(0),
            (READ, _) => {
                let number =
                    |at: usize| u64::from_be_bytes(rest[at..at + 8].try_into().expect("8"));
                let offset = usize::try_from(number(0)).expect("small");
                let length = u32::from_be_bytes(rest[8..12].try_into().expect("4"));
                let mut length = usize::try_from(length).expect("small");
                if matches!(fault, Fault::EndlessFiles) {
                    return data(id, &vec![b'x'; length]);
                }
                let content = &files[&path];
                if offset >= content.len() {
                    return status(1);
                }
                if matches!(fault, Fault::ShortReads) {
                    length = length.min(7);
                }
                data(id, &content[offset..content.len().min(offset + length)])
            }
            (WRITE, _) => {
                let offset = u64::from_be_bytes(rest[..8].try_into().expect("8"));
                let offset = usize::try_from(offset).expect("small");
                let written = &rest[12..];
                match fault {
                    Fault::Full => return status(4),
                    Fault::KeepsLess if offset > 0 => return status(0),
                    _ => {}
                }
                let content = files.get_mut(&path).expect("it is open");
                content.resize(content.len().max(offset + written.len()), 0);
                content[offset..offset + written.len()].copy_from_slice(written);
                status(0)
            }
            (7 | 8 | 17, _) => match files.get(&path) {
                Some(_) if matches!(fault, Fault::EndlessFiles) => {
                    [&[105][..], &id, &0_u32.to_be_bytes()].concat()
                }
                Some(content) => attributes(id, content.len()),
                None => status(2),
            },
            (11, _) => {
                *listed = false;
                handle(id, &path)
            }
            (READDIR, _) => {
                let names = match &fault {
                    Fault::ListsForEver => vec![b"again".to_vec(); 100],
                    Fault::ListsNothing => Vec::new(),
                    _ if *listed => return status(1),
                    Fault::Lists(names) => names.clone(),
                    _ => {
                        let below = format!("{path}/");
                        let names = files.keys().filter_map(|file| file.strip_prefix(&below));
                        let names = names.filter(|name| !name.contains('/'));
                        names.map(|name| name.as_bytes().to_vec()).collect()
                    }
                };
                *listed = true;
                named(id, &names)
            }
            (13, _) => match files.remove(&path) {
                Some(_) => status(0),
                None => status(2),
            },
            (REALPATH, _) => match fault {
                Fault::ResolvesTo(other) if path != "." => named(id, &[other.into()]),
                _ if path == "." => named(id, &[b"/home/lab".to_vec()]),
                _ => named(id, &[path.into_bytes()]),
            },
            (18, _) | (200, "posix-rename@openssh.com") => {
                let to = take(&mut rest);
                if kind == 18 && files.contains_key(&to) {
                    return status(4);
                }
                match files.remove(&path) {
                    Some(content) => {
                        files.insert(to, content);
                        status(0)
                    }
                    None => status(2),
                }
            }
            (200, "fsync@openssh.com") => status(0),
            _ => status(8),
        }
    }
}

fn handle(id: [u8; 4], path: &str) -> Vec<u8> {
    let mut reply = [&[102][..], &id].concat();
    string(&mut reply, path.as_bytes());
    reply
}

fn data(id: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut reply = [&[103][..], &id].concat();
    string(&mut reply, data);
    reply
}

/// With a size, a file's mode and a time.
fn file_attributes(size: usize) -> Vec<u8> {
    let size = u64::try_from(size).expect("small").to_be_bytes();
    let times = [1_767_225_600_u32, 1_767_225_600].map(u32::to_be_bytes).concat();
    [&0xD_u32.to_be_bytes()[..], &size, &0o100_644_u32.to_be_bytes(), &times].concat()
}

fn attributes(id: [u8; 4], size: usize) -> Vec<u8> {
    [&[105][..], &id, &file_attributes(size)].concat()
}

fn named(id: [u8; 4], names: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(names.len()).expect("few").to_be_bytes();
    let mut reply = [&[104][..], &id, &count].concat();
    for name in names {
        string(&mut reply, name);
        string(&mut reply, b"");
        reply.extend_from_slice(&file_attributes(5));
    }
    reply
}

fn string(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(text.len()).expect("short").to_be_bytes());
    bytes.extend_from_slice(text);
}

fn take(bytes: &mut &[u8]) -> String {
    let (length, rest) = bytes.split_at(4);
    let length = u32::from_be_bytes(length.try_into().expect("4"));
    let (text, rest) = rest.split_at(usize::try_from(length).expect("small"));
    *bytes = rest;
    String::from_utf8(text.to_vec()).expect("the client sends UTF-8 here")
}

async fn packet<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let mut packet = vec![0; usize::try_from(length).expect("small")];
    stream.read_exact(&mut packet).await?;
    Ok(packet)
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, packet: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(packet.len()).expect("small").to_be_bytes();
    stream.write_all(&[&length[..], packet].concat()).await?;
    stream.flush().await
}
