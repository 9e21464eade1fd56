//! HTTP/1.1 over a plain socket, as little of it as a load generator needs: requests that are ready as bytes, one under
//! way at a time, the connection kept.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The head of an answer has a few hundred bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A page of resources has some hundred kilobytes.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A connection that opens again where the server closed it.
pub(super) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    input: Vec<u8>,
    filled: usize,
    decoded: Vec<u8>,
}

/// An answer.
pub(super) struct Response<'c> {
    pub(super) status: u16,
    pub(super) body: &'c [u8],
}

/// How a body ends.
enum Length {
    Bytes(usize),
    Chunks,
}

impl Connection {
    pub(super) fn to(address: SocketAddr) -> Self {
        Self { address, stream: None, input: vec![0; 16 * 1024], filled: 0, decoded: Vec::new() }
    }

    /// Sends a request and reads its answer.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<Response<'_>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(request).await?;
        self.filled = 0;
        let head_end = loop {
            let seen = self.filled;
            self.read(&mut stream, HEAD_BYTES_MAX).await?;
            let from = seen.saturating_sub(3);
            let new = self.input.get(from..self.filled).unwrap_or_default();
            if let Some(end) = memchr::memmem::find(new, b"\r\n\r\n") {
                break from + end + 4;
            }
        };
        let (status, length, closes) = head(self.input.get(..head_end).unwrap_or_default())
            .ok_or(io::ErrorKind::InvalidData)?;
        let body = match length {
            Length::Bytes(length) => {
                let end = head_end.saturating_add(length);
                while self.filled < end {
                    self.read(&mut stream, BODY_BYTES_MAX).await?;
                }
                self.input.get(head_end..end).unwrap_or_default()
            }
            Length::Chunks => {
                self.chunks(&mut stream, head_end).await?;
                &self.decoded
            }
        };
        if !closes {
            self.stream = Some(stream);
        }
        Ok(Response { status, body })
    }

    async fn read(&mut self, stream: &mut TcpStream, most: usize) -> io::Result<()> {
        if self.filled == self.input.len() {
            if self.input.len() >= most {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.input.resize(self.input.len() * 2, 0);
        }
        let room = self.input.get_mut(self.filled..).unwrap_or_default();
        let read = stream.read(room).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled += read;
        Ok(())
    }

    /// RFC 9112 §7.1.
    async fn chunks(&mut self, stream: &mut TcpStream, mut at: usize) -> io::Result<()> {
        self.decoded.clear();
        loop {
            let size_end = loop {
                let rest = self.input.get(at..self.filled).unwrap_or_default();
                match memchr::memmem::find(rest, b"\r\n") {
                    Some(end) => break at + end,
                    None => self.read(stream, BODY_BYTES_MAX).await?,
                }
            };
            let size = self.input.get(at..size_end).and_then(|size| std::str::from_utf8(size).ok());
            let size = size.and_then(|size| size.split(';').next());
            let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
            let size = size.ok_or(io::ErrorKind::InvalidData)?;
            let from = size_end + 2;
            let end = from.saturating_add(size).saturating_add(2);
            while self.filled < end {
                self.read(stream, BODY_BYTES_MAX).await?;
            }
            if size == 0 {
                return Ok(());
            }
            self.decoded.extend_from_slice(self.input.get(from..end - 2).unwrap_or_default());
            at = end;
        }
    }
}

/// Status, length, and whether the connection ends with it.
fn head(head: &[u8]) -> Option<(u16, Length, bool)> {
    let mut lines = head.split(|&byte| byte == b'\n');
    let status = lines.next()?.get(9..12)?;
    let status: u16 = std::str::from_utf8(status).ok()?.parse().ok()?;
    let (mut length, mut closes) = (None, false);
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            length = Some(Length::Bytes(std::str::from_utf8(value).ok()?.parse().ok()?));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            length = value.eq_ignore_ascii_case(b"chunked").then_some(Length::Chunks);
        } else if name.eq_ignore_ascii_case(b"connection") {
            closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    if matches!(status, 204 | 304) {
        length = Some(Length::Bytes(0));
    }
    Some((status, length?, closes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server answers in these pieces is read as this status and body, twice over one connection.
    fn check(pieces: &'static [&'static str], status: u16, body: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let serving = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut request = [0; 2];
                for _ in 0..2 {
                    stream.read_exact(&mut request).await.unwrap();
                    for piece in pieces {
                        stream.write_all(piece.as_bytes()).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                }
            });
            let mut connection = Connection::to(address);
            for _ in 0..2 {
                let response = connection.exchange(b"GO").await.unwrap();
                assert_eq!((response.status, response.body), (status, body.as_bytes()));
            }
            serving.await.unwrap();
        });
    }

    #[test]
    fn answers_are_read_to_their_end() {
        check(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], 200, "hello");
        check(
            &["HTTP/1.1 201 Created\r\ncontent-", "length: 5\r\n\r", "\nhe", "llo"],
            201,
            "hello",
        );
        check(&["HTTP/1.1 204 No Content\r\n\r\n"], 204, "");
        check(
            &[
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r",
                "\nlo\r\n0\r\n\r\n",
            ],
            200,
            "hello",
        );
    }
}
