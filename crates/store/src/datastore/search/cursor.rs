//! Where a page ended: the values it was sorted by and the key of its last match, sealed, so that no value of a
//! patient stands in an address and nobody makes one up.

use std::cmp::Ordering;

use pipehat_resource::search::SortKey;

use crate::datastore::body::Seal;
use crate::datastore::interaction::ChangeNumber;
use crate::datastore::sql::SqlValue;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The place of a match among all of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cursor {
    /// By what it was sorted; `Null` where the resource has no such value.
    pub(super) values: Vec<SqlValue>,
    pub(super) key: i64,
}

/// The end of a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PageEnd {
    /// Its last match.
    pub(super) place: Cursor,
    /// The newest change when the first page was read, where the order may change since. Links of older versions have
    /// none.
    pub(super) as_of: Option<ChangeNumber>,
}

/// Whether those alike in what they are sorted by stand in the falling order of their keys: in one falling order, which
/// an index is gone along backwards, those that have a value.
pub(super) fn keys_descend(sort: &[SortKey], values: &[SqlValue]) -> bool {
    let has_value = values.first().is_some_and(|value| *value != SqlValue::Null);
    has_value && matches!(sort, [only] if only.descending)
}

impl Cursor {
    /// Which of two stands first, as the database has it: those without a value last, texts by their bytes.
    pub(super) fn order(&self, other: &Self, sort: &[SortKey]) -> Ordering {
        for ((own, others), key) in self.values.iter().zip(&other.values).zip(sort) {
            let order = match (own, others) {
                (SqlValue::Null, SqlValue::Null) => Ordering::Equal,
                (SqlValue::Null, _) => return Ordering::Greater,
                (_, SqlValue::Null) => return Ordering::Less,
                (SqlValue::Integer(own), SqlValue::Integer(other)) => own.cmp(other),
                (SqlValue::Real(own), SqlValue::Real(other)) => {
                    own.partial_cmp(other).unwrap_or(Ordering::Equal)
                }
                (SqlValue::Text(own), SqlValue::Text(other)) => own.cmp(other),
                _ => Ordering::Equal,
            };
            let order = if key.descending { order.reverse() } else { order };
            if order.is_ne() {
                return order;
            }
        }
        let keys = self.key.cmp(&other.key);
        if keys_descend(sort, &self.values) { keys.reverse() } else { keys }
    }
}

impl PageEnd {
    /// As it is given out; `of` is what it may be used for again.
    pub(super) fn seal(&self, seal: &Seal, of: &str) -> Option<String> {
        let mut bytes = self.place.key.to_le_bytes().to_vec();
        if let Some(ChangeNumber(as_of)) = self.as_of {
            bytes.push(4);
            bytes.extend_from_slice(&as_of.to_le_bytes());
        }
        for value in &self.place.values {
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
        let mut as_of = None;
        while let Some((kind, behind)) = rest.split_first() {
            rest = behind;
            values.push(match kind {
                4 => {
                    as_of = Some(ChangeNumber(u64::from_le_bytes(take(&mut rest)?)));
                    continue;
                }
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
        Some(Self { place: Cursor { values, key: i64::from_le_bytes(*key) }, as_of })
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
    use pipehat_resource::search::SortBy;

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
            for as_of in [None, Some(ChangeNumber(0)), Some(ChangeNumber(1 << 40))] {
                let end = PageEnd { place: Cursor { values: values.clone(), key: 77 }, as_of };
                let text = end.seal(&seal, "Patient").unwrap();
                assert!(text.bytes().all(|byte| ALPHABET.contains(&byte)), "{text}");
                assert_eq!(PageEnd::open(&text, &seal, "Patient"), Some(end));
                assert_eq!(PageEnd::open(&text, &seal, "Observation"), None);
                assert_eq!(PageEnd::open(&text[1..], &seal, "Patient"), None);
                let other = Seal::new(BodyKey::new(1, [4; 32])).unwrap();
                assert_eq!(PageEnd::open(&text, &other, "Patient"), None);
            }
        }
        for text in ["", "A", "é", "####", "AAAA"] {
            assert_eq!(PageEnd::open(text, &seal, "Patient"), None, "{text}");
        }
    }

    /// As links were before they said when the first page was read.
    #[test]
    fn a_link_without_a_time_is_still_followed() {
        let seal = Seal::new(BodyKey::new(1, [3; 32])).unwrap();
        let mut bytes = 5_i64.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[3, 2, 0, 0, 0, b'a', b'b', 0]);
        let text = encode(&seal.seal_page(&bytes, "Patient"));
        let place = Cursor { values: vec![SqlValue::text("ab"), SqlValue::Null], key: 5 };
        let expected = Some(PageEnd { place, as_of: None });
        assert_eq!(PageEnd::open(&text, &seal, "Patient"), expected);
    }

    #[test]
    fn places_stand_in_the_order_of_the_database() {
        let check = |descending: &[bool], sorted: &[(&[SqlValue], i64)]| {
            let sort: Vec<SortKey> = descending
                .iter()
                .map(|descending| SortKey { by: SortBy::Id, descending: *descending })
                .collect();
            let places: Vec<Cursor> = sorted
                .iter()
                .map(|(values, key)| Cursor { values: values.to_vec(), key: *key })
                .collect();
            for (at, place) in places.iter().enumerate() {
                for (other_at, other) in places.iter().enumerate() {
                    assert_eq!(place.order(other, &sort), at.cmp(&other_at), "{place:?} {other:?}");
                }
            }
        };
        let (text, real, null) = (SqlValue::text, SqlValue::Real, || SqlValue::Null);
        check(
            &[false],
            &[
                (&[text("Z")], 9),
                (&[text("a")], 1),
                (&[text("a")], 2),
                (&[text("é")], 0),
                (&[null()], 3),
                (&[null()], 4),
            ],
        );
        check(
            &[true],
            &[
                (&[real(2.5)], 1),
                (&[real(-1.0)], 7),
                (&[real(-1.0)], 5),
                (&[null()], 3),
                (&[null()], 4),
            ],
        );
        check(
            &[true, false],
            &[
                (&[real(2.5), null()], 1),
                (&[real(1.0), text("a")], 5),
                (&[real(1.0), text("a")], 7),
                (&[real(1.0), null()], 2),
                (&[null(), text("a")], 3),
            ],
        );
        check(&[], &[(&[], 1), (&[], 2)]);
    }

    #[test]
    fn bytes_of_any_length_come_back() {
        for length in 0..20u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
