//! Which character set a message is read in.

use super::character_set::Charset;
use super::decoded::undecodable_byte;
use super::table_0211::{CharsetSpec, UnknownCharset};
use crate::header::Header;

/// What decides on the character set of a feed's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CharsetRule {
    /// MSH-18; where it says ASCII or nothing, what the message turns out to be.
    #[default]
    Declared,
    /// This set, whatever MSH-18 says.
    Override(Charset),
}

impl CharsetRule {
    /// The set a message is in: of its raw MSH-18 and of all its bytes.
    ///
    /// For single values of a split message, [`Charset::of_values`] is the set to use.
    ///
    /// # Errors
    /// A name in MSH-18 that no set is known by, unless the rule overrides it.
    pub fn resolve(self, msh18: &[u8], message: &[u8]) -> Result<Charset, UnknownCharset> {
        let declared = match self {
            Self::Override(charset) => return Ok(charset),
            Self::Declared => CharsetSpec::from_msh18(msh18)?.charset(),
        };
        // CNS 11643 is known by its name only: its bytes are no evidence of anything else.
        if declared != Charset::ASCII || message.is_ascii() {
            return Ok(declared);
        }
        Ok(if str::from_utf8(message).is_ok() {
            Charset::UTF_8
        } else if message.iter().any(|byte| matches!(byte, 0x80..=0x9F)) {
            Charset::WINDOWS_1252
        } else {
            Charset::LATIN_1
        })
    }
    /// The set of a whole message, by its own MSH-18 or by how UTF-16 and UTF-32 begin. For people who look at it: a
    /// name that no set is known by counts as none.
    #[must_use]
    pub fn of_message(self, message: &[u8]) -> Charset {
        if let (Self::Declared, Some(wide)) = (self, Charset::detect_wide(message)) {
            return wide;
        }
        let declared = Header::read(message).map(|header| header.character_set().to_vec());
        self.resolve(&declared.unwrap_or_default(), message)
            .or_else(|_| self.resolve(b"", message))
            .unwrap_or(Charset::UTF_8)
    }

    /// A whole message as text for people to read; each byte that is no character of its set is U+FFFD.
    #[must_use]
    pub fn text(self, message: &[u8]) -> String {
        let decoded = self.of_message(message).decode(message);
        if !decoded.had_errors() {
            return decoded.text.into_owned();
        }
        decoded
            .text
            .chars()
            .map(|character| match undecodable_byte(character) {
                Some(_) => char::REPLACEMENT_CHARACTER,
                None => character,
            })
            .collect()
    }
}
