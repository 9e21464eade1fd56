//! Between a message's character set and text.
//!
//! Most messages are ASCII, and nothing is looked up for them. Sets in which a character may hold
//! a byte that looks like a delimiter (UTF-16, Shift JIS, GB 18030…) are turned into UTF-8 as a
//! whole before anything is read, and back before anything leaves.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memchr;
use pipehat_message::{Charset, CharsetRule, CharsetSpec, Header};

const ESCAPE: u8 = 0x1B;

/// The character set of the message at hand.
#[derive(Debug, Clone)]
pub(super) struct Coding {
    /// What values are in; none where the message is ASCII throughout.
    values: Option<Charset>,
    rule: CharsetRule,
}

/// Why a message can't go out in the set that it is to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unencodable {
    /// It lacks a character of the message.
    Lacks,
    /// What was written into MSH-18 names none.
    Unknown,
}

impl Unencodable {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Lacks => "the message's character set lacks a character that the message has",
            Self::Unknown => "what a step wrote into MSH-18 names no known character set",
        }
    }
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
    if wide.is_none() && is_plain(received) {
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

/// Whether it is ASCII, and nothing in it begins another set.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.is_ascii() && memchr(ESCAPE, bytes).is_none()
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

    /// A message whose MSH-18 is no longer that of `base`, or was `written` again, in the set that it names now; none where it
    /// is ASCII, or names none.
    ///
    /// # Errors
    /// No such set is known, or it lacks a character of the message. Bytes are no evidence of the set here: these go out.
    pub(super) fn declared_anew(
        &self,
        base: &[u8],
        bytes: &Bytes,
        written: bool,
    ) -> Result<Option<Bytes>, Unencodable> {
        if is_plain(bytes) {
            return Ok(None);
        }
        let own = declared(bytes);
        if own.is_empty() || (!written && own == declared(base)) {
            return Ok(None);
        }
        let spec = CharsetSpec::from_msh18(&own).map_err(|_| Unencodable::Unknown)?;
        let wanted = spec.charset();
        let Some(charset) = self.of_values(base) else { return Ok(None) };
        if charset == wanted {
            return Ok(Some(bytes.clone()));
        }
        let text = charset.decode(bytes).text;
        let encoded = wanted.encode(&text).map_err(|_| Unencodable::Lacks)?;
        Ok(Some(Bytes::from(encoded.into_owned())))
    }

    /// What values are in, of a message that came as `received`.
    fn of_values(&self, received: &[u8]) -> Option<Charset> {
        match self.values {
            Some(charset) => Some(charset),
            None => Some(self.rule.resolve(&declared(received), received).ok()?.of_values()),
        }
    }

    /// Knows what values are in before the first text is written into an ASCII message. Where bytes of the set could look
    /// like delimiters, values are UTF-8, and the message is in this set again before it leaves. None where MSH-18 names no
    /// known set.
    pub(super) fn settle(&mut self, received: &[u8]) -> Option<Option<Charset>> {
        if self.values.is_some() {
            return Some(None);
        }
        let charset = self.rule.resolve(&declared(received), received).ok()?;
        let own = charset.of_values();
        let hides = own == charset && charset.hides_delimiters();
        self.values = Some(if hides { Charset::UTF_8 } else { own });
        Some(hides.then_some(charset))
    }

    /// The bytes of a text; none when the message's set lacks a character of it.
    pub(super) fn encode<'t>(&self, text: &'t str) -> Option<Cow<'t, [u8]>> {
        self.values?.encode(text).ok()
    }
}
