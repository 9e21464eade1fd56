//! The names and numbers by which the parts of the path speak of each other.

use std::fmt;
use std::sync::Arc;

use pipehat_journal::Position;

/// Our number of a message: the position of its Received record. Unlike MSH-10 it never repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub Position);

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// One message on its way to one destination: the message and which of its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId {
    /// The message.
    pub message: MessageId,
    /// Which of the outputs its Processed record lists, from 1.
    pub ordinal: u16,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.message, self.ordinal)
    }
}

/// A channel's name: lower-case letters, digits, `-` and `_`, as its file is named.
pub type ChannelName = Arc<str>;

/// A destination's name, unique in its channel.
pub type DestinationName = Arc<str>;
