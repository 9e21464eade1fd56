//! Between a message's character set and text.
//!
//! Most messages are ASCII, and nothing is looked up for them. Sets in which a character may hold
//! a byte that looks like a delimiter (UTF-16, Shift JIS, GB 18030…) are turned into UTF-8 as a
//! whole before anything is read, and back before anything leaves.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memchr;
use pipehat_message::{Charset, CharsetRule, Header};

const ESCAPE: u8 = 0x1B;

/// The character set of the message at hand.
#[derive(Debug, Clone)]
pub(super) struct Coding {
    /// What values are in; none where the message is ASCII throughout.
    values: Option<Charset>,
    rule: CharsetRule,
}

/// A message ready to be read.
pub(super) struct Readable {
    /// As received, or in UTF-8.
    pub(super) bytes: Bytes,
    pub(super) coding: Coding,
    /// The set to turn outputs back into.
    pub(super) whole: Option<Charset>,
    /// MSH-18 names no known set.
    pub(super) unknown: bool,
}

/// Makes a received message readable.
pub(super) fn readable(received: &Bytes, rule: CharsetRule) -> Readable {
    let mut readable = Readable {
        bytes: received.clone(),
        coding: Coding { values: None, rule },
        whole: None,
        unknown: false,
    };
    let wide = Charset::detect_wide(received);
    if wide.is_none() && received.is_ascii() && memchr(ESCAPE, received).is_none() {
        return readable;
    }
    let charset = match (rule, wide) {
        (CharsetRule::Declared, Some(wide)) => wide,
        _ => match rule.resolve(&declared(received), received) {
            Ok(charset) => charset,
            Err(_) => {
                readable.unknown = true;
                rule.resolve(b"", received).unwrap_or(Charset::UTF_8)
            }
        },
    };
    if charset.hides_delimiters() {
        let decoded = charset.decode(received);
        readable.bytes = Bytes::from(decoded.text.into_owned());
        readable.whole = Some(charset);
        readable.coding.values = Some(Charset::UTF_8);
    } else {
        readable.coding.values = Some(charset.of_values());
    }
    readable
}

/// The raw MSH-18.
fn declared(bytes: &[u8]) -> Vec<u8> {
    Header::read(bytes).map(|header| header.character_set().to_vec()).unwrap_or_default()
}

impl Coding {
    /// Of a message in ASCII.
    pub(super) const ASCII: Self = Self { values: None, rule: CharsetRule::Declared };

    /// The text that bytes of the message stand for.
    pub(super) fn decode<'v>(&self, bytes: Cow<'v, [u8]>) -> Cow<'v, str> {
        // An escape sequence may have put a byte into an ASCII message that is none.
        let charset = self.values.unwrap_or(Charset::UTF_8);
        match bytes {
            Cow::Borrowed(bytes) => charset.decode(bytes).text,
            Cow::Owned(bytes) => Cow::Owned(charset.decode(&bytes).text.into_owned()),
        }
    }

    /// The bytes of a text; none when the message's set lacks a character of it.
    pub(super) fn encode<'t>(&self, received: &[u8], text: &'t str) -> Option<Cow<'t, [u8]>> {
        if text.is_ascii() {
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        let charset = match self.values {
            Some(charset) => charset,
            None => self.rule.resolve(&declared(received), received).ok()?.of_values(),
        };
        charset.encode(text).ok()
    }
}
