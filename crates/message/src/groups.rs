//! Paths through segment groups: what a message has to be told to find what they name.
//!
//! Which segments form a group is known only by the structures of a version of the standard, and those are not known
//! here. Who knows them gives a [`GroupReader`] to [`Message::read_groups_with`]; without one, a path through groups
//! finds nothing and can't be written to. A message that is never asked for such a path pays nothing.

use crate::edit::InsertAt;
use crate::message::Message;
use crate::path::Path;

/// Knows the segment groups of messages.
pub trait GroupReader: Sync {
    /// The segments that a path through groups names, in the order of the message. What is below the segment in the
    /// path does not matter.
    fn segments(&self, message: &Message<'_>, path: &Path) -> Vec<GroupedSegment>;

    /// Where the new segment goes that the path asks for with `(+1)`; `None` if the group it belongs to is not there.
    fn place_of_new(&self, message: &Message<'_>, path: &Path) -> Option<InsertAt>;
}

/// A segment that a path through groups names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupedSegment {
    /// Its index in [`Message::segments`].
    pub index: usize,
    /// The path of just this one: every `*` and `last` before the field replaced by a number.
    pub path: Path,
}
