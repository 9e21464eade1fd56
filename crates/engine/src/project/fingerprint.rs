//! What a configuration is, as a number: to name it, and to tell whether it changed.

use std::fmt;

use pipehat_config::{Node, Value};
use sha2::{Digest, Sha256};

/// The content hash of a channel's whole configuration: its file, and the code tables it uses.
///
/// The same files give the same revision on every machine; what environment variables put in is
/// not a part of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(pub [u8; 32]);

impl Revision {
    /// Of named files, in this order.
    pub(super) fn of<'f>(files: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"pipehat revision 1\n");
        for (name, bytes) in files {
            for part in [name.as_bytes(), bytes] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        Self(hash.finalize().into())
    }
}

/// Twelve hexadecimal digits: enough to tell the revisions of an installation apart.
impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Revision({self})")
    }
}

/// A hash of what a part of a file says, variables put in; where it stands and how it is laid
/// out do not count.
pub(super) fn fingerprint(connector: &str, node: &Node) -> [u8; 32] {
    let mut hash = Sha256::new();
    text(&mut hash, b'c', connector);
    add(&mut hash, node);
    hash.finalize().into()
}

fn text(hash: &mut Sha256, kind: u8, text: &str) {
    hash.update([kind]);
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

fn add(hash: &mut Sha256, node: &Node) {
    match &node.value {
        Value::Null => hash.update(b"n"),
        Value::Scalar(scalar) => text(hash, b's', scalar.text()),
        Value::List(nodes) => {
            hash.update(b"l");
            hash.update((nodes.len() as u64).to_be_bytes());
            nodes.iter().for_each(|node| add(hash, node));
        }
        Value::Map(map) => {
            hash.update(b"m");
            hash.update((map.len() as u64).to_be_bytes());
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|(one, _), (other, _)| one.text.cmp(&other.text));
            for (key, node) in entries {
                text(hash, b'k', &key.text);
                add(hash, node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pipehat_config::{Diagnostics, SourceFile};

    use super::*;

    fn print(text: &str) -> [u8; 32] {
        let file = SourceFile::new("a.yaml", text);
        fingerprint("mllp", &Node::parse(&file, &mut Diagnostics::new()).expect("a tree"))
    }

    #[test]
    fn layout_does_not_count_and_content_does() {
        let one = print("{ listen: 127.0.0.1:1, tls: { cert: a } }");
        assert_eq!(one, print("# moved\ntls:\n  cert: a\nlisten: 127.0.0.1:1\n"));
        assert_ne!(one, print("{ listen: 127.0.0.1:2, tls: { cert: a } }"));
        assert_ne!(print("[a, b]"), print("[ab]"));
        assert_ne!(print("{a: [b]}"), print("{a: b}"));
    }

    #[test]
    fn a_revision_is_of_names_and_contents() {
        let revision = Revision::of([("a", &b"bc"[..])]);
        assert_ne!(revision, Revision::of([("ab", &b"c"[..])]));
        assert_ne!(revision, Revision::of([("a", &b"b"[..]), ("c", &b""[..])]));
        assert_eq!(revision, Revision::of([("a", &b"bc"[..])]));
        assert_eq!(revision.to_string().len(), 12);
    }
}
