//! Character sets: HL7 table 0211, MSH-18 (HL7 v2.5.1 §2.15.9.18, §2.15.9.20).
//!
//! **Undecodable bytes are kept.** A byte that has no character in its set becomes a marker, the private-use character
//! U+10FE00 + byte, is counted, and its position is reported; encoding turns markers into their bytes again. (Where text
//! genuinely holds such a character, each of its bytes is kept as undecodable, so markers are never ambiguous.)
//! Decoding and encoding is the identity on every byte sequence in the single-byte sets, UTF-8, UTF-16 and UTF-32. The
//! Asian multi-byte sets spell some characters in two ways, and ISO 2022 has redundant shifts: what [`Charset::decode`]
//! reads there is for people, and encoding gives the usual spelling. [`Charset::transcode`] keeps what is spelled
//! otherwise as bytes and is the identity in every set.
//!
//! **What a message is in** is decided by [`CharsetRule`]: what MSH-18 declares, unless a feed overrides it. Messages
//! that declare ASCII or nothing and yet hold other bytes are UTF-8 when all of the message is valid UTF-8, else
//! ISO 8859/1, or Windows-1252 when there are bytes that ISO 8859/1 has no printable character for.
//!
//! **Splitting** a message at delimiters needs no decoding in sets whose characters never hold a delimiter byte. Those
//! where they may ([`Charset::hides_delimiters`]) are transcoded as a whole, parsed as UTF-8 and encoded as a whole.

mod character_set;
mod decoded;
mod japanese;
mod legacy;
mod rule;
mod table_0211;
mod wide;

pub use character_set::{Charset, Unencodable};
pub use decoded::{Decoded, UNDECODABLE_POSITIONS_MAX, undecodable_byte};
pub use rule::CharsetRule;
pub use table_0211::{CharsetSpec, UnknownCharset};

#[cfg(test)]
mod tests;
