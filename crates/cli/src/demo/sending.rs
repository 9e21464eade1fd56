//! One message of a simulated system, and what must become of it.

use pipehat_message::AcknowledgmentCode;

use super::draft::Draft;
use super::system::System;

/// One message, ready to send.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    /// The channel it is for.
    pub(crate) channel: &'static str,
    /// MSH-10.
    pub(crate) control_id: String,
    /// The message.
    pub(crate) bytes: Vec<u8>,
    /// The patients whose messages must stay in order; none where the channel keeps no order.
    pub(crate) lanes: Vec<String>,
    /// What the first acknowledgment must say.
    pub(crate) acknowledgment: AcknowledgmentCode,
    /// What must become of it.
    pub(crate) fate: Fate,
}

/// What must become of a message.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// It arrives here.
    Arrives(Vec<Arrival>),
    /// The channel does not want it.
    Filtered,
    /// A step sets it aside, with this operator code.
    Parked {
        /// The code.
        code: &'static str,
        /// What makes the simulation send such a message.
        why: &'static str,
    },
    /// The sender is told that it is wrong.
    Rejected,
}

/// What must arrive at a partner.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// Where.
    pub(crate) at: System,
    /// MSH-10 as it arrives.
    pub(crate) control_id: String,
    /// Places in the message, and the bytes they must hold when it arrives.
    pub(crate) contents: Vec<(&'static str, Vec<u8>)>,
    /// The partner refuses it, saying this.
    pub(crate) refused: Option<&'static str>,
    /// Orders that the laboratory will work on, by their numbers.
    pub(crate) orders: Vec<String>,
}

impl Arrival {
    /// It arrives as sent, under the control id it was sent with.
    pub(crate) fn new(at: System, control_id: &str) -> Self {
        Self {
            at,
            control_id: control_id.to_owned(),
            contents: Vec::new(),
            refused: None,
            orders: Vec::new(),
        }
    }

    /// A place must hold this text, in UTF-8.
    pub(crate) fn with(self, path: &'static str, text: impl AsRef<str>) -> Self {
        self.with_bytes(path, text.as_ref().as_bytes().to_vec())
    }

    /// These places must hold what they hold in this message.
    pub(crate) fn same(mut self, draft: &Draft<'_>, paths: &[&'static str]) -> Self {
        for path in paths {
            self = self.with_bytes(path, draft.bytes(path));
        }
        self
    }

    /// A place must hold these bytes.
    pub(crate) fn with_bytes(mut self, path: &'static str, bytes: Vec<u8>) -> Self {
        self.contents.push((path, bytes));
        self
    }
}
