//! HL7 v2 itself: parse, paths, edit, encode, escape, charsets, batches, acknowledgments, MLLP framing.
//!
//! Bytes go in and views of the same bytes come out: nothing is copied or decoded until asked, and a message
//! that was not edited encodes to exactly the bytes it was parsed from. No I/O and no clock.
//!
//! ```
//! use pipehat_message::{Message, Path};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut message = Message::parse(b"MSH|^~\\&|ADT1|GOOD\rPID|1||4711^^^GOOD^MR\r")?;
//! let identifier: Path = "PID-3.1".parse()?;
//! assert_eq!(message.get(&identifier).map(|value| value.raw()), Some(b"4711".as_slice()));
//!
//! message.set_text(&"PID-8".parse()?, b"F")?;
//! assert_eq!(message.as_bytes(), b"MSH|^~\\&|ADT1|GOOD\rPID|1||4711^^^GOOD^MR|||||F\r");
//! # Ok(())
//! # }
//! ```

mod batch;
mod delimiters;
mod edit;
mod escaping;
mod message;
mod parse;
mod part;
mod path;
mod segment;
#[cfg(test)]
mod testing;
mod value;

pub use batch::{
    BatchError, BatchPart, BatchPartKind, BatchPosition, BatchSplitter, Batches, Finding,
};
pub use delimiters::Delimiters;
pub use edit::{EditError, InsertAt};
pub use message::{Match, Message};
pub use parse::{HeaderFound, Limits, ParseError};
pub use path::{GroupStep, Occurrence, Path, PathError, PathErrorKind};
pub use segment::{Segment, SegmentName, SegmentNameError};
pub use value::{Presence, Value};
