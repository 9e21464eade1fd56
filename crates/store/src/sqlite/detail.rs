//! What is only shown of a message, never searched: sealed as one with its row.

use super::{
    names::{CONTROL_ID_KIND, kept},
    varint,
};
use crate::{
    IndexError, Received,
    keys::{Hash, Hasher, Role},
};

/// The most identifiers that are kept of one message: more than any real one has, so that a
/// message made of nothing else can't flood the index.
pub const IDENTIFIERS_MAX: usize = 256;

const VERSION: u8 = 1;

/// The display texts of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Detail<'a> {
    pub(super) control_id: &'a str,
    pub(super) peer: &'a str,
    /// Kind number and value.
    pub(super) identifiers: Vec<(i64, &'a str)>,
}

impl<'a> Detail<'a> {
    /// Of the message, given the numbers of its identifiers' kinds.
    pub(super) fn of(received: &'a Received, kinds: &[i64]) -> Detail<'a> {
        let values = received.identifiers.iter().map(|identifier| identifier.value.expose().trim());
        let identifiers = kinds.iter().copied().zip(values);
        Detail {
            control_id: received.control_id.expose().trim(),
            peer: received.peer.expose(),
            identifiers: identifiers
                .filter(|(_, value)| !value.is_empty())
                .take(IDENTIFIERS_MAX)
                .collect(),
        }
    }

    /// What the message can be found by, each once, in place of what `hashes` had.
    pub(super) fn hashes(&self, hasher: &Hasher, hashes: &mut Vec<(Hash, i64)>) {
        hashes.clear();
        if !self.control_id.is_empty() {
            hashes.push((hasher.hash(Role::ControlId, self.control_id), CONTROL_ID_KIND));
        }
        for (kind, value) in &self.identifiers {
            let hash = (hasher.hash(Role::Identifier, value), *kind);
            if !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
    }

    /// Writes it, in place of what `bytes` had.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.push(VERSION);
        varint::put_text(bytes, kept(self.control_id));
        varint::put_text(bytes, kept(self.peer));
        for (kind, value) in &self.identifiers {
            varint::put(bytes, kind.unsigned_abs());
            varint::put_text(bytes, kept(value));
        }
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<Detail<'a>, IndexError> {
        let decoded = match bytes.split_first() {
            Some((&VERSION, rest)) => Detail::decode_content(rest),
            _ => None,
        };
        decoded.ok_or(IndexError::Damaged(None))
    }

    fn decode_content(mut rest: &'a [u8]) -> Option<Detail<'a>> {
        let control_id = varint::take_text(&mut rest)?;
        let peer = varint::take_text(&mut rest)?;
        let mut identifiers = Vec::new();
        while !rest.is_empty() {
            let kind = i64::try_from(varint::take(&mut rest)?).ok()?;
            identifiers.push((kind, varint::take_text(&mut rest)?));
        }
        Some(Detail { control_id, peer, identifiers })
    }
}

#[cfg(test)]
mod tests {
    use super::{Detail, IDENTIFIERS_MAX};
    use crate::{
        Identifier, IdentifierKind, IndexKeys, Received,
        keys::{Hasher, Role},
    };

    fn received(values: impl IntoIterator<Item = String>) -> Received {
        let identifiers = values
            .into_iter()
            .map(|value| Identifier { kind: IdentifierKind::Patient, value: value.into() })
            .collect();
        Received { control_id: "C1".into(), peer: "lab".into(), identifiers, ..Received::default() }
    }

    #[test]
    fn a_detail_comes_back() {
        let received = received(["100".into(), " 200 ".into(), "  ".into()]);
        let detail = Detail::of(&received, &[1, 17, 2]);
        assert_eq!(detail.identifiers, [(1, "100"), (17, "200")]);
        let mut bytes = b"what was there before".to_vec();
        detail.encode(&mut bytes);
        assert_eq!(Detail::decode(&bytes).expect("decodes"), detail);
        for end in 0..bytes.len() {
            if let Ok(cut) = Detail::decode(&bytes[..end]) {
                assert!(cut.identifiers.len() < 2, "cut at {end}");
            }
        }
        assert!(Detail::decode(&[9, 0, 0]).is_err(), "another version");
    }

    #[test]
    fn identifiers_are_kept_up_to_their_limit() {
        for (count, expected) in [(IDENTIFIERS_MAX, IDENTIFIERS_MAX), (257, IDENTIFIERS_MAX)] {
            let received = received((0..count).map(|number| number.to_string()));
            let detail = Detail::of(&received, &vec![1; count]);
            assert_eq!(detail.identifiers.len(), expected);
        }
    }

    #[test]
    fn a_value_is_hashed_once_for_each_kind() {
        let received = received(["100".into(), "100".into(), "100".into()]);
        let hasher = Hasher::new(&IndexKeys::new([1; 32], [2; 32]));
        let mut hashes = Vec::new();
        Detail::of(&received, &[1, 1, 2]).hashes(&hasher, &mut hashes);
        let value = hasher.hash(Role::Identifier, "100");
        assert_eq!(hashes, [(hasher.hash(Role::ControlId, "C1"), 0), (value, 1), (value, 2)]);
    }
}
