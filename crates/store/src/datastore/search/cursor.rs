//! Where a page ended: the values it was sorted by and the key of its last match, sealed, so that no value of a
//! patient stands in an address and nobody makes one up.

use crate::datastore::body::Seal;
use crate::datastore::sql::SqlValue;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The last match of a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cursor {
    /// By what it was sorted; `Null` where the resource has no such value.
    pub(super) values: Vec<SqlValue>,
    pub(super) key: i64,
}

impl Cursor {
    /// As it is given out; `of` is what it may be used for again.
    pub(super) fn seal(&self, seal: &Seal, of: &str) -> Option<String> {
        let mut bytes = self.key.to_le_bytes().to_vec();
        for value in &self.values {
            match value {
                SqlValue::Integer(integer) => {
                    bytes.push(1);
                    bytes.extend_from_slice(&integer.to_le_bytes());
                }
                SqlValue::Real(real) => {
                    bytes.push(2);
                    bytes.extend_from_slice(&real.to_le_bytes());
                }
                SqlValue::Text(text) => {
                    bytes.push(3);
                    bytes.extend_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
                _ => bytes.push(0),
            }
        }
        Some(encode(&seal.seal_page(&bytes, of)))
    }

    /// Reads what was given out. `None` of anything else.
    pub(super) fn open(text: &str, seal: &Seal, of: &str) -> Option<Self> {
        let bytes = seal.open_page(&decode(text)?, of)?;
        let (key, mut rest) = bytes.split_first_chunk::<8>()?;
        let mut values = Vec::new();
        while let Some((kind, behind)) = rest.split_first() {
            rest = behind;
            values.push(match kind {
                0 => SqlValue::Null,
                1 => SqlValue::Integer(i64::from_le_bytes(take(&mut rest)?)),
                2 => SqlValue::Real(f64::from_le_bytes(take(&mut rest)?)),
                3 => {
                    let length = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
                    let (text, behind) = rest.split_at_checked(length)?;
                    rest = behind;
                    SqlValue::Text(String::from_utf8(text.to_vec()).ok()?)
                }
                _ => return None,
            });
        }
        Some(Self { values, key: i64::from_le_bytes(*key) })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*first)
}

/// Base64 for addresses (RFC 4648 §5), without padding.
fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let mut bits = 0u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..=chunk.len() {
            let index = (bits >> (18 - 6 * at)) & 63;
            let character = usize::try_from(index).ok().and_then(|index| ALPHABET.get(index));
            out.push(char::from(character.copied().unwrap_or(b'A')));
        }
    }
    out
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for at in 0..4 {
            let value = match chunk.get(at) {
                Some(byte) => ALPHABET.iter().position(|known| known == byte)?,
                None => 0,
            };
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        let [_, a, b, c] = bits.to_be_bytes();
        out.extend_from_slice([a, b, c].get(..chunk.len().checked_sub(1)?)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datastore::body::BodyKey;

    #[test]
    fn what_is_given_out_comes_back_and_nothing_else() {
        let seal = Seal::new(BodyKey::new(1, [3; 32])).unwrap();
        for values in [
            vec![],
            vec![SqlValue::Null, SqlValue::Integer(-5), SqlValue::Real(1.5)],
            vec![SqlValue::text("Müller")],
        ] {
            let cursor = Cursor { values, key: 77 };
            let text = cursor.seal(&seal, "Patient").unwrap();
            assert!(text.bytes().all(|byte| ALPHABET.contains(&byte)), "{text}");
            assert_eq!(Cursor::open(&text, &seal, "Patient"), Some(cursor));
            assert_eq!(Cursor::open(&text, &seal, "Observation"), None);
            assert_eq!(Cursor::open(&text[1..], &seal, "Patient"), None);
            let other = Seal::new(BodyKey::new(1, [4; 32])).unwrap();
            assert_eq!(Cursor::open(&text, &other, "Patient"), None);
        }
        for text in ["", "A", "é", "####", "AAAA"] {
            assert_eq!(Cursor::open(text, &seal, "Patient"), None, "{text}");
        }
    }

    #[test]
    fn bytes_of_any_length_come_back() {
        for length in 0..20u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
