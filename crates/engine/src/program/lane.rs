//! The keys of a message's lanes (`order: by PID-3.1, MRG-1.1`).

use bytes::Bytes;
use pipehat_dictionary::STANDARD_GROUPS;
use pipehat_message::{Message, Path};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Program;
use super::coding::readable;

/// Which messages wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lanes {
    /// All of the channel.
    Strict,
    /// None.
    None,
    /// Those with the same value at one of these paths.
    By(Box<[Path]>),
}

/// The lane of all messages where the order is strict, and of those without a value where it is
/// by value: they stay in order among themselves.
const COMMON: u64 = 0;

impl Program {
    /// The lanes of a message as it was received: it waits for all of them and holds all of them.
    /// Ascending, without repeats; none where the channel's order is `none`.
    ///
    /// A key is made of a value alone, not of its path, so that a merge that names a patient in
    /// MRG-1.1 waits for the messages that name the patient in PID-3.1. A path with `*` names a
    /// lane for each value; empty and `""` values name none. `seed` keeps others from guessing
    /// values from keys. Two values with the same key would share a lane: slower, never wrong.
    pub fn lane_keys(&self, bytes: &Bytes, seed: u64) -> Vec<u64> {
        let paths = match &self.lanes {
            Lanes::Strict => return vec![COMMON],
            Lanes::None => return Vec::new(),
            Lanes::By(paths) => paths,
        };
        let readable = readable(bytes, self.charset);
        let Ok(message) = Message::parse(&readable.bytes) else { return vec![COMMON] };
        let message = message.read_groups_with(STANDARD_GROUPS);
        let mut keys = Vec::with_capacity(paths.len());
        for value in paths.iter().flat_map(|path| message.values(path)) {
            if value.is_empty() || value.is_null() {
                continue;
            }
            let key = xxh3_64_with_seed(&value.decoded(), seed).max(COMMON + 1);
            keys.push(key);
        }
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            keys.push(COMMON);
        }
        keys
    }
}
