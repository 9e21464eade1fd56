//! Which character set a message is read in.

use super::character_set::Charset;
use super::table_0211::{CharsetSpec, UnknownCharset};

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
}
