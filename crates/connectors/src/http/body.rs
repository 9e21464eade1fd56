//! Reading a request's body, within a size and a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio_util::sync::CancellationToken;

use crate::{Admission, Intake};

/// A body of unknown size is read so far before the engine is asked for room: most end within.
const UNADMITTED_BYTES: usize = 64 * 1024;

/// How long a sender waits for room before it is told to come again.
const ROOM_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is larger than a message may be.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The connection ended in it.
    Broken,
    /// The engine has no room, or we are stopping.
    NoRoom,
}

/// How bodies are read.
pub(super) struct BodyReader<'a> {
    pub(super) intake: &'a Arc<dyn Intake>,
    pub(super) stop: &'a CancellationToken,
    pub(super) bytes_max: usize,
    pub(super) timeout: Duration,
}

impl BodyReader<'_> {
    /// The whole body, with the engine's leave to hand it over. What announces its size is not read before there is
    /// room.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        mut body: Incoming,
    ) -> Result<(Bytes, Admission), BodyError> {
        let announced = announced_bytes(headers);
        if announced.is_some_and(|bytes| bytes > self.bytes_max) {
            return Err(BodyError::TooLarge);
        }
        let mut admission = match announced {
            Some(bytes) => Some(self.admit(bytes).await?),
            None => None,
        };
        let mut content = BytesMut::with_capacity(announced.unwrap_or_default());
        let deadline = tokio::time::Instant::now() + self.timeout;
        while let Some(frame) = self.frame(&mut body, deadline).await? {
            if content.len().saturating_add(frame.len()) > self.bytes_max {
                return Err(BodyError::TooLarge);
            }
            content.extend_from_slice(&frame);
            if admission.is_none() && content.len() > UNADMITTED_BYTES {
                admission = Some(self.admit(self.bytes_max).await?);
            }
        }
        let admission = match (admission, announced) {
            (Some(admission), Some(_)) => admission,
            // The most a message may have was asked for: what it does not have is given back.
            (Some(mut admission), None) => {
                admission.reduce(self.bytes_max, content.len());
                admission
            }
            (None, _) => self.admit(content.len()).await?,
        };
        Ok((content.freeze(), admission))
    }

    async fn frame(
        &self,
        body: &mut Incoming,
        deadline: tokio::time::Instant,
    ) -> Result<Option<Bytes>, BodyError> {
        if body.is_end_stream() {
            return Ok(None);
        }
        let frame = tokio::select! {
            frame = tokio::time::timeout_at(deadline, body.frame()) => frame,
            // Whoever is still sending has no answer yet, and tries again elsewhere or later.
            () = self.stop.cancelled() => return Err(BodyError::NoRoom),
        };
        match frame.map_err(|_| BodyError::TooSlow)? {
            None => Ok(None),
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(_)) => Err(BodyError::Broken),
        }
    }

    async fn admit(&self, bytes: usize) -> Result<Admission, BodyError> {
        tokio::select! {
            admission = tokio::time::timeout(ROOM_TIMEOUT, self.intake.admit(bytes)) => {
                admission.ok().and_then(Result::ok).ok_or(BodyError::NoRoom)
            }
            () = self.stop.cancelled() => Err(BodyError::NoRoom),
        }
    }
}

fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    // What does not fit a number is too large, too.
    Some(length.parse().unwrap_or(usize::MAX))
}
