//! What is known of a message beside its bytes.

use std::borrow::Cow;

use bytes::Bytes;
use pipehat_connectors::{Peer, ResourceChange};

/// What a program works on.
#[derive(Debug, Clone, Copy)]
pub struct ProgramInput<'i> {
    /// The message as received.
    pub bytes: &'i Bytes,
    /// The channel's name.
    pub channel: &'i str,
    /// Who sent it.
    pub peer: &'i Peer,
}

/// A fact an expression may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    Channel,
    PeerAddress,
    PeerIdentity,
    PeerFile,
    /// What a change of a resource says of itself, by its place in [`ResourceChange::NAMES`].
    Change(u8),
    /// One of the named facts of the peer, such as an HTTP header; case does not count.
    Header(Box<str>),
}

impl Fact {
    /// What happened to the resource: `create`, `update` or `delete`.
    pub(super) const CHANGE_KIND: Self = Self::Change(0);

    /// The facts that go by a word alone.
    pub(super) const WORDS: [(&'static str, Self); 8] = [
        ("channel", Self::Channel),
        ("peer.address", Self::PeerAddress),
        ("peer.identity", Self::PeerIdentity),
        ("peer.file", Self::PeerFile),
        ("fhir.change", Self::CHANGE_KIND),
        ("fhir.type", Self::Change(1)),
        ("fhir.id", Self::Change(2)),
        ("fhir.version", Self::Change(3)),
    ];

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(own, _)| *own == word).map(|(_, fact)| fact.clone())
    }

    /// The fact's text; the address without its port.
    pub(super) fn text<'i>(&self, input: &ProgramInput<'i>) -> Option<Cow<'i, str>> {
        let peer = input.peer;
        match self {
            Self::Channel => Some(Cow::Borrowed(input.channel)),
            Self::PeerAddress => {
                peer.address.map(|address| Cow::Owned(address.ip().to_canonical().to_string()))
            }
            Self::PeerIdentity => peer.identity.as_deref().map(Cow::Borrowed),
            Self::PeerFile => peer.file.as_deref().map(Cow::Borrowed),
            Self::Header(name) => header(peer, name),
            Self::Change(place) => header(peer, ResourceChange::NAMES.get(usize::from(*place))?),
        }
        .filter(|text| !text.is_empty())
    }
}

fn header<'p>(peer: &'p Peer, name: &str) -> Option<Cow<'p, str>> {
    let found = peer.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    found.map(|(_, value)| Cow::Borrowed(value.as_str()))
}
