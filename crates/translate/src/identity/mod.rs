//! Who a resource is: the business key by which a message finds what an earlier one made.
//!
//! A resource with an identifier in a known system is found by it (a conditional update or create); any other gets an id
//! that follows from its key and its sender, so that the same thing told twice is one resource. Ids are UUIDs of
//! version 5 (RFC 4122 §4.3): the same key gives the same id, on every machine.

mod keys;

use std::fmt::Write;

use sha1::{Digest, Sha1};
use uuid::Uuid;

pub(crate) use keys::{KeyElement, keys_of};

/// The namespace of all ids made here.
const NAMESPACE: Uuid = Uuid::from_u128(0x5c1f_6b7e_3f0a_4c55_9d0e_7a1b_2c3d_4e5f);

/// How a resource is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The UUID of its key.
    pub(crate) id: Uuid,
    /// By which search it is found: `identifier=http://x|4711`.
    pub(crate) search: Option<String>,
}

impl Identity {
    /// By an identifier.
    pub(crate) fn of_identifier(resource_type: &str, system: &str, value: &str) -> Self {
        let id = uuid(&[resource_type, system, value]);
        Self { id, search: Some(identifier_search(system, value)) }
    }

    /// Where it is found by an identifier, by this one, too (R4 §3.1.1.4.10: any of those that a comma joins).
    pub(crate) fn also_by(&mut self, system: &str, value: &str) {
        if let Some(search) = &mut self.search {
            search.push(',');
            token(system, value, search);
        }
    }

    /// By an identifier that others may have, and by the name; without a name as one that has none.
    pub(crate) fn of_named_identifier(
        resource_type: &str,
        (system, value): (&str, &str),
        name: Option<&str>,
    ) -> Self {
        let id = uuid(&[resource_type, system, value, name.unwrap_or_default()]);
        let mut search = identifier_search(system, value);
        match name {
            Some(name) => {
                search.push_str("&name:exact=");
                escape(name, &mut search);
            }
            None => search.push_str("&name:missing=true"),
        }
        Self { id, search: Some(search) }
    }

    /// A request by the number that it shares with others, and by what it asks for; each as system and value.
    pub(crate) fn of_requisition(number: (&str, &str), code: (&str, &str)) -> Self {
        let id = uuid(&["requisition", number.0, number.1, code.0, code.1]);
        let mut search = String::from("requisition=");
        token(number.0, number.1, &mut search);
        search.push_str("&code=");
        if code.0.is_empty() {
            escape(code.1, &mut search);
        } else {
            token(code.0, code.1, &mut search);
        }
        Self { id, search: Some(search) }
    }

    /// By a key of its sender's.
    pub(crate) fn of_key(parts: &[&str]) -> Self {
        Self { id: uuid(parts), search: None }
    }
}

fn uuid(parts: &[&str]) -> Uuid {
    let length: usize = parts.iter().map(|part| part.len() + 1).sum();
    let mut name = Vec::with_capacity(NAMESPACE.as_bytes().len() + length);
    name.extend_from_slice(NAMESPACE.as_bytes());
    for part in parts {
        name.extend_from_slice(part.as_bytes());
        // No text of a message holds it after decoding.
        name.push(0);
    }
    let digest: [u8; 20] = Sha1::digest(&name).into();
    let bytes = digest.first_chunk().expect("SHA-1 has 20 bytes");
    uuid::Builder::from_sha1_bytes(*bytes).into_uuid()
}

/// A search by identifier (R4 §3.1.1.4.0 for `\`, RFC 3986 for the rest).
pub(crate) fn identifier_search(system: &str, value: &str) -> String {
    let mut search = String::with_capacity(system.len() + value.len() + 16);
    search.push_str("identifier=");
    token(system, value, &mut search);
    search
}

fn token(system: &str, value: &str, out: &mut String) {
    escape(system, out);
    out.push('|');
    escape(value, out);
}

fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if matches!(byte, b',' | b'|' | b'$' | b'\\') {
            out.push_str("%5C");
        }
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => {
                out.push(char::from(byte));
            }
            // Writing to a String does not fail.
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_escaped_twice() {
        assert_eq!(
            identifier_search("urn:oid:1.2", "47|11 &x"),
            "identifier=urn:oid:1.2|47%5C%7C11%20%26x"
        );
    }

    #[test]
    fn the_same_key_gives_the_same_id_and_no_other_does() {
        assert_eq!(Identity::of_key(&["a", "b"]), Identity::of_key(&["a", "b"]));
        assert_ne!(Identity::of_key(&["a", "b"]), Identity::of_key(&["ab", ""]));
    }
}
