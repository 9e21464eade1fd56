//! Content codings: gzip and zstd, in and out, in bounded memory.

use std::io::{self, Read, Write};

use bytes::Bytes;

/// What answers are offered in, the best first.
pub(crate) const OFFERED: [&str; 2] = ["zstd", "gzip"];

/// Below this, coding costs more than it saves.
pub(crate) const CODED_BYTES_MIN: usize = 1024;

/// Level 1 of both is several times as fast as the default, at a few percent of size.
const GZIP_LEVEL: u32 = 1;
const ZSTD_LEVEL: i32 = 1;

/// The most memory zstd's window may ask for, as a power of two: 8 MiB, RFC 9659's limit for HTTP.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Why a body can't be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodingError {
    /// A coding we don't have.
    #[error("the header Content-Encoding can be gzip, zstd or identity")]
    Unknown,
    /// Larger than it may be.
    #[error("the body is larger than {limit} bytes when it is decoded")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Not what the coding says.
    #[error("the body can't be decoded as its Content-Encoding says")]
    Damaged(#[source] io::Error),
}

/// Decodes a body that came with `Content-Encoding: coding`.
pub(crate) fn decode(coding: &str, body: Bytes, limit: usize) -> Result<Bytes, CodingError> {
    let mut body = body;
    // Applied in the order listed (RFC 9110 §8.4), undone from the last.
    for (layer, coding) in coding.split(',').rev().map(str::trim).enumerate() {
        if layer > 1 {
            return Err(CodingError::Unknown);
        }
        body = match coding.to_ascii_lowercase().as_str() {
            "identity" | "" => body,
            "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(&*body), limit)?,
            "zstd" => {
                let mut decoder =
                    zstd::stream::read::Decoder::new(&*body).map_err(CodingError::Damaged)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(CodingError::Damaged)?;
                bounded(decoder, limit)?
            }
            _ => return Err(CodingError::Unknown),
        };
    }
    Ok(body)
}

fn bounded(source: impl Read, limit: usize) -> Result<Bytes, CodingError> {
    let mut out = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source.take(most).read_to_end(&mut out).map_err(CodingError::Damaged)?;
    if out.len() > limit {
        return Err(CodingError::TooLarge { limit });
    }
    Ok(out.into())
}

/// Codes a body; `None` where it can't or does not get smaller.
pub(crate) fn encode(coding: &str, body: &[u8]) -> Option<Bytes> {
    let out = Vec::with_capacity(body.len() / 4);
    let coded = match coding {
        "gzip" => {
            let mut encoder =
                flate2::write::GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(body).ok()?;
            encoder.finish().ok()?
        }
        "zstd" => zstd::bulk::compress(body, ZSTD_LEVEL).ok()?,
        _ => return None,
    };
    (coded.len() < body.len()).then(|| coded.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let body = "{\"resourceType\":\"Patient\"}".repeat(100);
        for coding in OFFERED {
            let coded = encode(coding, body.as_bytes()).expect("it gets smaller");
            assert!(coded.len() < body.len() / 10, "{coding}");
            assert_eq!(decode(coding, coded, body.len()).expect("it decodes"), body, "{coding}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let body = vec![b' '; 100_000];
        for coding in OFFERED {
            let coded = encode(coding, &body).expect("it gets smaller");
            assert!(decode(coding, coded.clone(), 100_000).is_ok(), "{coding}");
            let found = decode(coding, coded, 99_999);
            assert!(matches!(found, Err(CodingError::TooLarge { limit: 99_999 })), "{coding}");
        }
    }

    #[test]
    fn what_is_no_coding_is_refused() {
        let body = || Bytes::from_static(b"{}");
        assert!(matches!(decode("br", body(), 10), Err(CodingError::Unknown)));
        assert!(matches!(
            decode("gzip,gzip,gzip", body(), 10),
            Err(CodingError::Damaged(_) | CodingError::Unknown)
        ));
        assert!(matches!(decode("gzip", body(), 10), Err(CodingError::Damaged(_))));
        assert!(matches!(decode("zstd", body(), 10), Err(CodingError::Damaged(_))));
        assert_eq!(decode("identity", body(), 10).expect("as it is"), "{}");
    }
}
